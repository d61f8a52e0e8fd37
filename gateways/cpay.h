#ifndef RELI_GATEWAYS_CPAY_H
#define RELI_GATEWAYS_CPAY_H

#include "core/codec/json.h"
#include "gateways/gateway.h"

/* The parts of the CPay gateway: cpay.c says what we ask, cpay_answer.c what its words mean,
 * cpay_webhook.c whether and about what it speaks to us unasked. cpay.md is the protocol. */

#define CPAY_PAYMENT_PREFIX "cpm_"
#define CPAY_REFUND_PREFIX "cpr_"
#define CPAY_PAYOUT_PREFIX "cpo_"

enum { CPAY_ID_MAX = 64 };

/* Letters, digits, - and _, as all ids of the protocol. */
bool cpay_is_id(struct str s);

/* ---- cpay_answer.c ---- */

void cpay_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out);
void cpay_query_parse(const struct gw_account *a, const struct outbound_response *in,
                      struct arena *mem, struct gw_result *out);
void cpay_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                       const struct outbound_response *answer, struct arena *mem,
                       struct gw_result *out);
void cpay_refund_query_parse(const struct gw_account *a, const struct outbound_response *in,
                             struct arena *mem, struct gw_result *out);
void cpay_payout_parse(const struct gw_account *a, const struct gw_payout *in,
                       const struct outbound_response *answer, struct arena *mem,
                       struct gw_result *out);
void cpay_payout_query_parse(const struct gw_account *a, const struct outbound_response *in,
                             struct arena *mem, struct gw_result *out);
void cpay_confirm_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);
void cpay_balance_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);
void cpay_cancel_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out);
/* The meaning of an object, wherever it stands. One that is not of that kind says nothing, and has
 * no our_id. */
enum cpay_object { CPAY_PAYMENT = 1, CPAY_REFUND = 2, CPAY_PAYOUT = 4 };
void cpay_object_read(enum cpay_object kind, const struct json *obj, struct arena *mem,
                      struct gw_result *out);

/* ---- cpay_webhook.c ---- */

struct err cpay_webhook_verify(const struct gw_account *a, const struct gw_webhook *in) MUST_USE;
struct err cpay_webhook_subject(struct str body, struct arena *mem, struct str *our_id) MUST_USE;
struct err cpay_callback_parse(const struct gw_callback *in, struct arena *mem,
                               struct gw_result *out) MUST_USE;
struct err cpay_refund_callback_parse(const struct gw_callback *in, struct arena *mem,
                                      struct gw_result *out) MUST_USE;
struct err cpay_payout_callback_parse(const struct gw_callback *in, struct arena *mem,
                                      struct gw_result *out) MUST_USE;

#endif
