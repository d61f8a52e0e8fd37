#ifndef RELI_GATEWAYS_MPESA_H
#define RELI_GATEWAYS_MPESA_H

#include "core/codec/json.h"
#include "core/codec/jsonw.h"
#include "gateways/gateway.h"

/* The parts of the M-Pesa gateway: mpesa.c, mpesa_refund.c and mpesa_payout.c say what we ask,
 * mpesa_answer.c and mpesa_result.c what Daraja's words mean. */

/* ---- mpesa.c: what requests share ---- */

enum { MPESA_BODY_MAX = 8192 };
/* Amounts: whole shillings, of which one is the least. What are a payment's most and a payout's
 * least and most is gateway_mpesa's. Source: mpesa.md 1.4. Seen: sandbox yes, live no. */
#define MPESA_MIN_MINOR INT64_C(100)

bool mpesa_is_shortcode(struct str s);
/* +2547… or +2541…, 12 digits. */
bool mpesa_is_phone(struct str e164);
/* Whether Daraja takes it as an address for callbacks. */
bool mpesa_url_ok(const struct gw_account *a, struct str url);
/* Kenya shillings, whole, from `min_minor` to `max_minor`; ERR_INVALID. */
struct err mpesa_amount_check(struct money amount, int64_t min_minor, int64_t max_minor) MUST_USE;
/* Letters, digits and single blanks of `in`, at most `max` bytes; `otherwise` if less than `min`
 * are left. `out` has room for `max`. */
struct str mpesa_words(struct str in, size_t min, size_t max, const char *otherwise, char *out);
void mpesa_put_digits(struct jsonw *w, const char *name, struct str digits);
/* A POST of `body`, which is copied, wiped and freed, with the token. */
struct err mpesa_request(const struct gw_account *a, const char *path, struct str token,
                         struct buf *body, struct arena *mem,
                         struct outbound_request *out) MUST_USE;

/* ---- mpesa_operator.c: what an operator's requests share ---- */

/* gw_callback.kind of what comes to the QueueTimeOutURL, and of the results of status queries; that
 * of a reversal's or payout's own result is "". */
#define MPESA_KIND_TIMEOUT "timeout"
#define MPESA_KIND_STATUS "status"

/* The operator: its name, and its password as it is sent. */
struct mpesa_operator {
    struct str name, credential;
};
struct err mpesa_operator_read(const struct gw_account *a, struct arena *mem,
                               struct mpesa_operator *o) MUST_USE;

/* Whether it is a certificate's text; one that lies in a file is read when it is needed. */
struct err mpesa_certificate_check(struct str certificate, struct arena *mem) MUST_USE;

/* The end of a request: where its result is to come, and words for people. */
struct mpesa_tail {
    struct str callback_url, remarks;
    const char *no_remarks; /* in their place */
};
/* Closes the object; `query`: the result is of a status query. */
void mpesa_put_tail(struct jsonw *w, const struct mpesa_tail *in, bool query, struct arena *mem);
/* An id or a receipt, without blanks. */
bool mpesa_is_word(struct str s);
/* Asks what became of the request that is known by `provider_ref`. */
struct err mpesa_status_build(const struct gw_account *a, struct str shortcode,
                              struct str provider_ref, const struct mpesa_tail *tail,
                              struct str token, struct arena *mem,
                              struct outbound_request *out) MUST_USE;

/* ---- mpesa_refund.c, mpesa_payout.c ---- */

struct err mpesa_refund_build(const struct gw_account *a, const struct gw_refund *in,
                              struct str token, struct arena *mem,
                              struct outbound_request *out) MUST_USE;
struct err mpesa_refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                    struct str provider_ref, struct str token, struct arena *mem,
                                    struct outbound_request *out) MUST_USE;
struct err mpesa_payout_build(const struct gw_account *a, const struct gw_payout *in,
                              struct str token, struct arena *mem,
                              struct outbound_request *out) MUST_USE;
struct err mpesa_payout_query_build(const struct gw_account *a, const struct gw_payout *in,
                                    struct str provider_ref, struct str token, struct arena *mem,
                                    struct outbound_request *out) MUST_USE;

/* ---- mpesa_answer.c: tokens, pushes, queries, and what all answers share ---- */

struct err mpesa_token_parse(const struct outbound_response *in, struct arena *mem,
                             struct str *token, int64_t *life_us) MUST_USE;
void mpesa_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);
void mpesa_query_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out);
struct err mpesa_callback_parse(const struct gw_callback *in, struct arena *mem,
                                struct gw_result *out) MUST_USE;

/* The JSON of an answer to a question. NULL if there is none: `out` then says what that means. */
struct json *mpesa_question_json(const struct outbound_response *in, struct gw_result *out);
/* Reads an error envelope: was the order taken? Did the question reach anybody? */
void mpesa_order_envelope(const struct outbound_response *in, const struct json *root,
                          struct arena *mem, struct gw_result *out);
void mpesa_question_envelope(const struct json *root, struct arena *mem, struct gw_result *out);

/* A code, id or receipt: printable, no blanks, not too long; else STR_NULL. */
struct str mpesa_word(struct arena *mem, struct str s, size_t max);
/* Result codes come as numbers and as strings. */
struct str mpesa_code(struct arena *mem, const struct json *j);
/* Letters and digits; else STR_NULL. */
struct str mpesa_receipt(struct arena *mem, const struct json *j);
void mpesa_unknown(struct gw_result *out, const char *why);

/* ---- mpesa_c2b.c: money that customers send unasked ---- */

struct err mpesa_register_build(const struct gw_account *a, const struct gw_register *in,
                                struct str token, struct arena *mem,
                                struct outbound_request *out) MUST_USE;
void mpesa_register_parse(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out);
struct err mpesa_qr_build(const struct gw_account *a, const struct gw_qr *in, struct str token,
                          struct arena *mem, struct outbound_request *out) MUST_USE;
void mpesa_qr_parse(const struct gw_account *a, const struct outbound_response *in,
                    struct arena *mem, struct gw_result *out);
struct err mpesa_receipt_parse(const struct gw_account *a, struct str body, struct arena *mem,
                               struct gw_receipt *out) MUST_USE;

/* ---- mpesa_balance.c ---- */

struct err mpesa_balance_build(const struct gw_account *a, const struct gw_balance_ask *in,
                               struct str token, struct arena *mem,
                               struct outbound_request *out) MUST_USE;
void mpesa_balance_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out);
struct err mpesa_balance_callback_parse(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out) MUST_USE;

/* ---- mpesa_result.c: reversals, payouts, and what all results share ---- */

/* An acknowledgement: GW_ACCEPTED with the id of the request. */
void mpesa_acknowledged(const struct json *root, struct arena *mem, struct gw_result *out);
/* The Value under a Key of a result's parameters; NULL if there is none. Two of them set *twice. */
const struct json *mpesa_parameter(const struct json *result, const char *key, bool *twice);
/* What a result code other than 0 means; FAILURE_NONE if it leaves open what was done, or nobody
 * has documented it. */
enum failure_code mpesa_result_failure(struct str code);

void mpesa_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                        const struct outbound_response *answer, struct arena *mem,
                        struct gw_result *out);
void mpesa_payout_parse(const struct gw_account *a, const struct gw_payout *in,
                        const struct outbound_response *answer, struct arena *mem,
                        struct gw_result *out);
/* The acknowledgement of a question about either. */
void mpesa_status_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);
/* What is told later of either. */
struct err mpesa_result_parse(const struct gw_callback *in, struct arena *mem,
                              struct gw_result *out) MUST_USE;

#endif
