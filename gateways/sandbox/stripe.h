#ifndef RELI_GATEWAYS_SANDBOX_STRIPE_H
#define RELI_GATEWAYS_SANDBOX_STRIPE_H

#include "core/base/money.h"
#include "gateways/sandbox/hooks.h"
#include "gateways/sandbox/memo.h"
#include "gateways/sandbox/sandbox_int.h"
#include "gateways/sandbox/stripe_form.h"
#include "gateways/sandbox/stripe_script.h"

/* Stripe: form-encoded requests under a secret key, Idempotency-Key, PaymentIntents, Checkout with
 * its page, 3-D Secure with its page, refunds, and signed events that are sent until they are
 * acknowledged. Amounts are in Stripe's own smallest units. */
extern const struct sandbox_provider stripe_provider;

#define STRIPE_VERSION "2026-10-28.endive"

enum { STRIPE_MAX_SECRETS = 4, STRIPE_ORIGIN = 128, STRIPE_CURRENCY = 4, STRIPE_MEMO_KEY = 65 };

enum stripe_session_status { STRIPE_OPEN, STRIPE_COMPLETE, STRIPE_EXPIRED };

/* X(NAME, word) */
#define STRIPE_INTENT_STATUSES(X)                         \
    X(REQUIRES_PAYMENT_METHOD, "requires_payment_method") \
    X(REQUIRES_CONFIRMATION, "requires_confirmation")     \
    X(REQUIRES_ACTION, "requires_action")                 \
    X(PROCESSING, "processing")                           \
    X(CANCELED, "canceled")                               \
    X(SUCCEEDED, "succeeded")

enum stripe_intent_status {
#define X(name, word) STRIPE_##name,
    STRIPE_INTENT_STATUSES(X)
#undef X
};

struct stripe {
    struct sandbox *s;
    char *api_key;
    char *webhook_secrets[STRIPE_MAX_SECRETS]; /* each signs, while it is being rolled */
    size_t n_webhook_secrets;
    struct memos answers, busy;
    struct stripe_order *by_intent, *by_charge;
    struct stripe_refund *by_refund;
    struct hooks hooks;
};

/* A Checkout object with the intent that it owns, or an intent alone. */
struct stripe_order {
    struct booking b; /* id: of the Checkout object, or of the intent alone */
    struct stripe *c;
    struct timer step, expiry;
    bool session;
    enum stripe_session_status status;
    bool unpaid; /* complete, but the money comes later or never */
    enum stripe_intent_status intent;
    char intent_id[CALL_TEXT], charge_id[CALL_TEXT]; /* "" until there is one */
    int64_t amount, received, refunded;
    char currency[STRIPE_CURRENCY]; /* lower case */
    const struct stripe_card *card; /* of the last try; NULL before */
    bool declined;                  /* the last try was */
    const char *why_canceled;       /* static; NULL: not told */
    const char *dispute;            /* its status; NULL: none */
    bool dispute_won;               /* by the evidence that was sent */
    int64_t dispute_s;              /* since */
    enum stripe_trick trick;
    int64_t created_s, expires_s;
    char origin[STRIPE_ORIGIN];
    /* Texts of its creation, "" if none; the metadata are JSON objects. */
    char *reference, *email, *description, *success_url, *cancel_url, *return_url;
    char *metadata, *intent_metadata;
    UT_hash_handle hh_intent, hh_charge;
};

struct stripe_refund {
    struct payback p;
    struct stripe *c;
    struct stripe_order *of;
    struct timer step;
    int64_t amount, created_s;
    const char *status, *failure, *reason; /* static */
    enum stripe_trick trick;
    char *metadata;
    UT_hash_handle hh_id;
};

/* ---- stripe.c ---- */

struct stripe_fault {
    int status; /* 0: none */
    const char *type, *code;
    const char *message;        /* static; with one %s for `param` where it has one */
    char param[STRIPE_KEY_MAX]; /* "" if none */
};

struct stripe_request {
    struct stripe *c;
    struct http_exchange *x;
    struct call call;
    struct stripe_form form; /* of the body, or of the query */
    char memo[STRIPE_MEMO_KEY];
    uint8_t hash[SHA256_LEN];
};

/* Answers with JSON; what a POST has done is kept under its Idempotency-Key. `outcome` is static.
 */
void stripe_answer(struct stripe_request *rq, int status, struct str body, const char *outcome);
/* As its trick wants it: at once, late, or kept and told as 500. */
void stripe_answer_by(struct stripe_request *rq, enum stripe_trick trick, struct str body,
                      const char *outcome);
void stripe_refuse(struct stripe_request *rq, struct stripe_fault f);
/* What STRIPE_TRICK_DROPPED answers. */
struct stripe_fault stripe_internal(void);
/* A declined card: kept under the key, since it is as final as a payment. */
void stripe_refuse_body(struct stripe_request *rq, int status, struct str body,
                        const char *outcome);
struct stripe_fault stripe_missing(const char *param);
struct stripe_fault stripe_invalid(const char *param, const char *message);
/* The first parameter that fits none of `known`, as in stripe_form_unknown. */
struct stripe_fault stripe_foreign(const struct stripe_request *rq, const char *const *known);
struct stripe_fault stripe_no_such(struct str id);
struct stripe_fault stripe_full(void);
/* Whether this amount's creation is sent away once more; it has then been answered. */
bool stripe_sent_away(struct stripe_request *rq, struct str reference);
/* `prefix` and twelve characters that no other id has. */
void stripe_id(struct stripe *c, const char *prefix, char *out, size_t cap);
int64_t stripe_now_s(const struct stripe *c);

/* ---- stripe_check.c: fields ---- */

/* An integer of `key`; `*out` stays when it is absent. */
struct stripe_fault stripe_read_i64(const struct stripe_form *f, const char *key, int64_t min,
                                    int64_t max, int64_t *out);
struct stripe_fault stripe_read_bool(const struct stripe_form *f, const char *key, bool *out);
struct stripe_fault stripe_read_url(const struct stripe_form *f, const char *key, struct str *out);
struct stripe_fault stripe_read_currency(const struct stripe_form *f, const char *key,
                                         char out[STRIPE_CURRENCY]);
/* Whether Stripe takes that amount in that currency. */
struct stripe_fault stripe_check_amount(const char *key, int64_t amount, const char *currency);
/* `prefix[…]` as a JSON object, for free(). */
struct stripe_fault stripe_read_metadata(const struct stripe_form *f, const char *prefix,
                                         char **out);
char *stripe_dup(struct str s);

/* ---- stripe_body.c ---- */

void stripe_body_session(struct jsonw *w, const struct stripe_order *o, bool expand);
void stripe_body_intent(struct jsonw *w, const struct stripe_order *o, bool expand);
void stripe_body_charge(struct jsonw *w, const struct stripe_order *o);
void stripe_body_refund(struct jsonw *w, const struct stripe_refund *r);
void stripe_body_dispute(struct jsonw *w, const struct stripe_order *o);
void stripe_body_fault(struct buf *out, const struct stripe_fault *f);
/* The answer to a card that was declined: with the intent in it. */
void stripe_body_declined(struct buf *out, const struct stripe_order *o);

/* ---- stripe_order.c: what becomes of an order ---- */

struct stripe_order *stripe_order_new(struct stripe_request *rq, bool session);
/* Books what was asked for, unless it is refused (`f`), or its amount's script refuses it or sends
 * it away (`key`: what the same request is known by). False: answered, and dropped. */
bool stripe_order_book(struct stripe_request *rq, struct stripe_order *o, struct stripe_fault f,
                       struct str key);
/* NULL if there is none. */
struct stripe_order *stripe_order_find(struct stripe *c, struct str id, bool session);
struct stripe_order *stripe_order_by_intent(struct stripe *c, struct str id);
struct stripe_order *stripe_order_by_charge(struct stripe *c, struct str id);
/* The intent of an order gets its id. False without memory. */
bool stripe_order_intend(struct stripe_order *o);
/* A card is tried; afterwards the intent says what came of it. */
void stripe_order_try(struct stripe_order *o, const struct stripe_card *card);
/* The customer has come back from 3-D Secure. */
void stripe_order_authenticated(struct stripe_order *o, bool well);
void stripe_order_cancel(struct stripe_order *o);
void stripe_order_expire(struct stripe_order *o);

/* ---- stripe_dispute.c ---- */

void stripe_dispute_open(struct stripe_order *o);
void stripe_dispute_get(struct stripe_request *rq);
void stripe_dispute_submit(struct stripe_request *rq);

/* ---- stripe_checkout.c, stripe_intent.c, stripe_list.c, stripe_refund.c, stripe_page.c: doors
 * ----
 */

void stripe_session_create(struct stripe_request *rq);
void stripe_session_get(struct stripe_request *rq);
void stripe_session_list(struct stripe_request *rq);
void stripe_session_expire(struct stripe_request *rq);
void stripe_intent_create(struct stripe_request *rq);
void stripe_intent_list(struct stripe_request *rq);
void stripe_intent_get(struct stripe_request *rq);
void stripe_intent_confirm(struct stripe_request *rq);
void stripe_intent_cancel(struct stripe_request *rq);
void stripe_balance_get(struct stripe_request *rq);
void stripe_refund_create(struct stripe_request *rq);
void stripe_refund_get(struct stripe_request *rq);
void stripe_refund_list(struct stripe_request *rq);
void stripe_pay_get(struct http_exchange *x);
void stripe_pay_post(struct http_exchange *x);
void stripe_3ds_get(struct http_exchange *x);
void stripe_3ds_post(struct http_exchange *x);

/* ---- stripe_hook.c: events ---- */

enum stripe_subject { STRIPE_OF_SESSION, STRIPE_OF_INTENT, STRIPE_OF_CHARGE, STRIPE_OF_DISPUTE };

void stripe_tell(const struct stripe_order *o, const char *type, enum stripe_subject what,
                 int64_t after_us);
void stripe_tell_refund(const struct stripe_refund *r, const char *type);
void stripe_delivered(void *state, const struct delivery *d);
void stripe_hooks_open(struct stripe *c);

#endif
