#ifndef RELI_GATEWAYS_SANDBOX_DARAJA_H
#define RELI_GATEWAYS_SANDBOX_DARAJA_H

#include "gateways/sandbox/daraja_check.h"
#include "gateways/sandbox/outcome.h"
#include "gateways/sandbox/sandbox_int.h"

/* M-Pesa Kenya as its REST API "Daraja" shows it: token, STK push and its query, reversal, payout
 * (B2C) and transaction status. */
extern const struct sandbox_provider daraja_provider;

struct daraja_token;
struct daraja_url;
struct daraja_order;
struct daraja_c2b;
struct rsa_key;

enum { DARAJA_N_ACCOUNTS = 2, DARAJA_N_TEXTS = 8 };

struct daraja {
    struct sandbox *s;
    char *basic; /* the Authorization header of the token call */
    char *texts[DARAJA_N_TEXTS];
    struct daraja_account accounts[DARAJA_N_ACCOUNTS];
    const char *payout_shortcode, *initiator, *initiator_password;
    int n_wrong_credentials;     /* in a row */
    struct rsa_key *key;         /* of SecurityCredential */
    struct buf certificate;      /* PEM */
    struct list inquiries;       /* status queries on their way */
    struct daraja_c2b *c2b;      /* registered URLs and what customers sent by themselves */
    unsigned n_results;          /* makes each result's form another one */
    struct daraja_token *tokens; /* by text; in order of issue */
    struct daraja_url *refused;  /* callback URLs whose push has met ANSWER_TOKEN_ONCE */
};

/* True if the settings let the request through; it has been answered otherwise. */
bool daraja_enter(struct daraja *d, struct http_exchange *x, struct call *call);
/* The body as JSON, NULL if it is none; json_free is the caller's. */
struct json *daraja_body_of(const struct http_exchange *x);
/* Notes a member of the body in the record of the call, even where it is refused later. */
void daraja_note(char *dst, size_t cap, const struct json *body, const char *name);
/* What all operations ask first: token, type, shape. */
struct daraja_fault daraja_operation_check(struct daraja *d, const struct http_exchange *x,
                                           const struct json *body);
/* Answers in Daraja's error envelope. */
void daraja_refuse(struct daraja *d, struct http_exchange *x, struct call *call,
                   struct daraja_fault f);
/* True at the first call with that URL's hash. */
bool daraja_first_refusal(struct daraja *d, const char *url_hash);

/* daraja_push.c: the life of a push that has passed the checks; answers `x`. */
void daraja_push_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                       const struct daraja_push *push, const struct daraja_account *account);
/* Answers a query about it. */
void daraja_push_query(struct daraja *d, struct http_exchange *x, struct call *call,
                       struct booking *b);
void daraja_push_called_back(void *state, struct booking *b);
/* A new receipt number. */
void daraja_receipt(struct daraja *d, char out[CALL_TEXT]);

/* daraja_refund.c: the doors of the operations with an initiator, and what they open with. */
struct err daraja_refund_open(struct daraja *d, const struct sandbox_options *o) MUST_USE;
void daraja_refund_reset(struct daraja *d);
void daraja_refund_close(struct daraja *d);
void daraja_reversal_post(struct http_exchange *x);
void daraja_payout_post(struct http_exchange *x);
void daraja_payout_v1_post(struct http_exchange *x);
void daraja_status_post(struct http_exchange *x);
void daraja_balance_post(struct http_exchange *x);
void daraja_certificate_get(struct http_exchange *x);

/* daraja_result.c: the life of what has passed the checks; these answer `x`. `forced` is the result
 * code that it ends with whatever its outcome, NULL if none. */
void daraja_payback_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                          const struct daraja_order *order, bool payout, const char *forced);
void daraja_payback_told(void *state, struct payback *p);
void daraja_inquiry_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                          const struct daraja_order *order, bool balance, const char *forced);
/* daraja_c2b.c: URLs that are registered, and money that customers send by themselves. */
struct err daraja_c2b_open(struct daraja *d) MUST_USE;
void daraja_c2b_reset(struct daraja *d);
void daraja_c2b_close(struct daraja *d);
void daraja_register_v1_post(struct http_exchange *x);
void daraja_register_v2_post(struct http_exchange *x);
void daraja_simulate_post(struct http_exchange *x);
void daraja_qr_post(struct http_exchange *x);
/* A validation was answered. */
void daraja_c2b_delivered(void *state, const struct delivery *d);
/* For POST and GET /_sandbox/mpesa/c2b; both answer `x`. */
void daraja_c2b_pay(struct daraja *d, struct http_exchange *x);
void daraja_c2b_list(struct daraja *d, struct http_exchange *x);

/* Drops the status queries that are on their way. */
void daraja_inquiries_drop(struct daraja *d);

#endif
