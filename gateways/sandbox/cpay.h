#ifndef RELI_GATEWAYS_SANDBOX_CPAY_H
#define RELI_GATEWAYS_SANDBOX_CPAY_H

#include "core/base/money.h"
#include "core/codec/fields.h"
#include "gateways/sandbox/cpay_script.h"
#include "gateways/sandbox/hooks.h"
#include "gateways/sandbox/memo.h"
#include "gateways/sandbox/sandbox_int.h"

/* CPay, the model of a provider (gateways/cpay.md): signed requests, idempotency, payments,
 * refunds, payouts, and signed webhooks that are sent until they are acknowledged. */
extern const struct sandbox_provider cpay_provider;

enum {
    CPAY_REFERENCE = 65, /* and every other id, with its NUL */
    CPAY_SECRET_LEN = 32,
    CPAY_MAX_CURRENCIES = 64,
    CPAY_ORIGIN = 128
};

/* X(NAME, word, may it still change by the payer or by time) */
#define CPAY_STATUSES(X)                           \
    X(PENDING, "pending", 1)                       \
    X(PROCESSING, "processing", 1)                 \
    X(COMPLETED, "completed", 0)                   \
    X(FAILED, "failed", 0)                         \
    X(CANCELLED, "cancelled", 0)                   \
    X(EXPIRED, "expired", 0)                       \
    X(PARTIALLY_REFUNDED, "partially_refunded", 0) \
    X(REFUNDED, "refunded", 0)                     \
    X(DISPUTED, "disputed", 0)                     \
    X(RETURNED, "returned", 0)

enum cpay_status {
#define X(name, word, open) CPAY_##name,
    CPAY_STATUSES(X)
#undef X
        CPAY_N_STATUSES
};
const char *cpay_status_word(enum cpay_status s);
/* CPAY_N_STATUSES for a word that is none. */
enum cpay_status cpay_status_parse(struct str word);
bool cpay_status_open(enum cpay_status s);

enum cpay_method { CPAY_WALLET, CPAY_REDIRECT };

struct cpay_balance {
    uint16_t currency;
    int64_t available, pending;
};

struct cpay {
    struct sandbox *s;
    char *key_id;                    /* cpk_… */
    uint8_t secret[CPAY_SECRET_LEN]; /* what cps_… decodes to */
    char *webhook_secret;            /* cpw_…, used as text */
    struct memos nonces, answers, busy;
    struct cpay_payment *by_reference;
    struct cpay_money *by_id;
    struct hooks hooks;
    struct cpay_balance balances[CPAY_MAX_CURRENCIES];
    size_t n_balances;
};

struct cpay_payment {
    struct booking b; /* id, reference and state are in it */
    struct cpay *c;
    struct timer step, expiry;
    struct money amount;
    int64_t refunded, refunding; /* minor units */
    enum cpay_status status;
    enum cpay_method method;
    const struct cpay_script *script;
    const char *failure; /* failure.code; NULL if none */
    int64_t created_us, updated_us, expires_us;
    int64_t sequence;
    int wrong_codes;
    bool agreed;              /* the code was right */
    char origin[CPAY_ORIGIN]; /* "http://127.0.0.1:8090", as its creator called us */
    char *return_url;         /* NULL if none */
    char *metadata;           /* JSON */
    uint8_t data[SHA256_LEN]; /* hash of all that it was created with */
    UT_hash_handle hh_reference;
};

/* A refund or a payout. */
struct cpay_money {
    struct payback p;
    struct cpay *c;
    struct cpay_payment *of; /* of a refund; NULL of a payout */
    struct timer step;
    struct money amount;
    enum cpay_status status;
    const struct cpay_script *script;
    const char *failure;
    int64_t created_us, updated_us, sequence;
    uint8_t data[SHA256_LEN];
    UT_hash_handle hh_id;
};

/* ---- cpay.c ---- */

struct cpay_fault {
    int status;                         /* 0: none */
    const char *code, *field, *message; /* field may be NULL; message is static */
};

/* A request that has come through the door. */
struct cpay_request {
    struct cpay *c;
    struct http_exchange *x;
    struct call call;
    struct json *body; /* of a POST: an object */
    char key[CPAY_REFERENCE];
    uint8_t hash[SHA256_LEN]; /* of method, path and body */
};

/* Answers with JSON; what a POST has done is kept under its Idempotency-Key. `outcome` is static.
 */
void cpay_answer(struct cpay_request *rq, int status, struct str body, const char *outcome);
/* The same, `after_us` later; until then the key is in progress. */
void cpay_answer_after(struct cpay_request *rq, int64_t after_us, int status, struct str body,
                       const char *outcome);
void cpay_refuse(struct cpay_request *rq, struct cpay_fault f);
/* Keeps the answer under the key, and tells something else. */
void cpay_answer_lost(struct cpay_request *rq, int status, struct str body);
/* `prefix` and ten characters that no other id has. */
void cpay_id(struct cpay *c, const char *prefix, char out[CALL_TEXT]);

/* ---- cpay_auth.c ---- */

/* Takes the credentials apart. ERR_CONFIG. */
struct err cpay_auth_open(struct cpay *c, const struct sandbox_options *o) MUST_USE;
void cpay_auth_close(struct cpay *c);
/* status 0 if the request is signed as it must be; its nonce is then used up. */
struct cpay_fault cpay_auth_check(struct cpay *c, const struct http_exchange *x);
bool cpay_id_fine(struct str s, size_t min, size_t max);

/* ---- cpay_body.c ---- */

bool cpay_fault_retryable(const struct cpay_fault *f);

void cpay_body_payment(struct jsonw *w, const struct cpay_payment *p);
void cpay_body_money(struct jsonw *w, const struct cpay_money *m);
void cpay_body_fault(struct buf *out, const struct cpay_fault *f, const char *request_id);
/* `p` or `m`; the other is NULL. */
void cpay_body_event(struct buf *out, const char *id, const char *type, int64_t at_us,
                     int64_t sequence, const struct cpay_payment *p, const struct cpay_money *m);

/* ---- cpay_check.c: what may be asked for ---- */

struct cpay_order {
    struct str reference, phone /* digits */, description, return_url, metadata;
    struct money amount;
    enum cpay_method method;
    int64_t expires_in_s;
    uint8_t data[SHA256_LEN];
};
struct cpay_fault cpay_check_payment(struct cpay_request *rq, struct cpay_order *out);
/* amount.minor 0: not named. */
struct cpay_fault cpay_check_refund(struct cpay_request *rq, struct cpay_order *out);
struct cpay_fault cpay_check_payout(struct cpay_request *rq, struct cpay_order *out);
struct cpay_fault cpay_check_code(struct cpay_request *rq, struct str *code);

/* ---- cpay_list.c: pages of payments, refunds, payouts ---- */

void cpay_payment_list(struct cpay_request *rq);
void cpay_refund_list(struct cpay_request *rq);
void cpay_payout_list(struct cpay_request *rq);

/* ---- cpay_payment.c: the doors of payments ---- */

void cpay_payment_create(struct cpay_request *rq);
void cpay_payment_get(struct cpay_request *rq);
void cpay_payment_otp(struct cpay_request *rq);
void cpay_payment_cancel(struct cpay_request *rq);
/* The page to which `next_action` sends the payer. */
void cpay_page_get(struct http_exchange *x);
void cpay_page_post(struct http_exchange *x);
/* <…113>: 429 twice. True if it has been answered. */
bool cpay_sent_away(struct cpay_request *rq, struct str reference);
/* NULL if there is none. */
struct cpay_payment *cpay_payment_find(struct cpay *c, struct str id);
struct cpay_payment *cpay_payment_by_reference(struct cpay *c, struct str reference);

/* ---- cpay_life.c: what becomes of a payment ---- */

/* Sets its alarms. */
void cpay_life_begin(struct cpay_payment *p);
/* The payer has agreed (the code was right, the page says yes), or refuses with `failure`. */
void cpay_life_agree(struct cpay_payment *p);
void cpay_life_end(struct cpay_payment *p, enum cpay_status to, const char *failure);
/* A refund of it is over. */
void cpay_life_refunded(struct cpay_payment *p, int64_t minor);
/* NULL when there is no room for another currency. */
struct cpay_balance *cpay_balance(struct cpay *c, uint16_t currency);

/* ---- cpay_money.c: refunds and payouts ---- */

void cpay_refund_create(struct cpay_request *rq);
void cpay_refund_get(struct cpay_request *rq);
void cpay_payout_create(struct cpay_request *rq);
void cpay_payout_get(struct cpay_request *rq);

/* ---- cpay_hook.c: webhooks ---- */

/* Tells of `p` or `m` (the other NULL) after `after_us`, as the script says. */
void cpay_tell(struct cpay *c, const char *type, const struct cpay_payment *p,
               const struct cpay_money *m, int64_t after_us);
void cpay_delivered(void *state, const struct delivery *d);
void cpay_hooks_open(struct cpay *c);

#endif
