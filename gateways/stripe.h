#ifndef RELI_GATEWAYS_STRIPE_H
#define RELI_GATEWAYS_STRIPE_H

#include "core/codec/json.h"
#include "gateways/gateway.h"

/* The parts of the Stripe gateway: stripe.c says what we ask, stripe_answer.c what its words mean,
 * stripe_money.c how it counts, stripe_webhook.c whether and about what it speaks to us unasked.
 * stripe.md describes it. */

/* Shapes and names change with it: requests, fixtures and the webhook endpoint belong to it. */
#define STRIPE_API_VERSION "2026-10-28.endive"

#define STRIPE_SESSION_PREFIX "cs_"
#define STRIPE_INTENT_PREFIX "pi_"
#define STRIPE_DISPUTE_PREFIX "d" /* dp_…, in older accounts du_… */
#define STRIPE_TOKEN_PREFIX "pm_"
/* The keys of our id in metadata, and of how a PaymentIntent came to be: "page", Checkout owns it,
 * or "token", it was confirmed with one as it was made; of a refund "refund". */
#define STRIPE_OUR_KEY "reli"
#define STRIPE_BY_KEY "reli_by"
/* gateway.token_ref: of such an intent while its id is not known. */
#define STRIPE_INTENT_REF "intent"

/* Letters, digits, _ and -, as all ids of Stripe and of ours. */
bool stripe_is_id(struct str s);

/* ---- stripe_money.c ---- */

/* An amount that every currency has. */
#define STRIPE_ANY_UNITS 1000

/* Decimals with which UGX is sent: 2, or 0. */
extern int64_t stripe_ugx_decimals;
/* In Stripe's smallest unit of that currency. ERR_INVALID if Stripe has no such amount. */
struct err stripe_amount_of(struct money in, int64_t *out) MUST_USE;
/* And back; false if it is no amount of ours. `currency` is as Stripe writes it, lower case. */
bool stripe_amount_read(int64_t amount, struct str currency, struct money *out) MUST_USE;

/* ---- stripe_answer.c ---- */

void stripe_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out);
void stripe_query_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);
void stripe_balance_parse(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out);
void stripe_cancel_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out);
void stripe_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                         const struct outbound_response *answer, struct arena *mem,
                         struct gw_result *out);
void stripe_refund_query_parse(const struct gw_account *a, const struct outbound_response *in,
                               struct arena *mem, struct gw_result *out);
/* The meaning of an object, wherever it stands. `a` is NULL where nobody knows the account: in a
 * webhook, which has been verified with its secret. */
void stripe_session_read(const struct gw_account *a, const struct json *session, struct arena *mem,
                         struct gw_result *out);
void stripe_intent_read(const struct gw_account *a, const struct json *intent, struct arena *mem,
                        struct gw_result *out);
void stripe_refund_read(const struct gw_account *a, const struct json *refund, struct arena *mem,
                        struct gw_result *out);
/* A dispute says what became of its charge; whose that is its intent knows. */
void stripe_dispute_read(const struct json *dispute, struct arena *mem, struct gw_result *out);
/* Whether the account's key is of live mode. */
bool stripe_is_live(const struct gw_account *a);
/* The object's "object". */
bool stripe_object_is(const struct json *obj, const char *name);

/* ---- stripe_webhook.c ---- */

struct err stripe_webhook_verify(const struct gw_account *a, const struct gw_webhook *in) MUST_USE;
struct err stripe_webhook_subject(struct str body, struct arena *mem, struct str *our_id) MUST_USE;
struct err stripe_webhook_about(struct str body, struct arena *mem, struct str *ref) MUST_USE;
struct err stripe_callback_parse(const struct gw_callback *in, struct arena *mem,
                                 struct gw_result *out) MUST_USE;
struct err stripe_refund_callback_parse(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out) MUST_USE;

#endif
