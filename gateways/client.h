#ifndef RELI_GATEWAYS_CLIENT_H
#define RELI_GATEWAYS_CLIENT_H

#include "gateways/gateway.h"
#include "gateways/health.h"

/* Carries a gateway's requests: access tokens (one per account, fetched once for all who wait,
 * renewed before they end, shared between replicas through `token_share`), the one retry after a
 * rejected token, and the classification of what came back. */
struct gw_client;

/* How replicas share tokens; both may be NULL. get answers on a later turn or at once, with
 * STR_NULL if there is none; put is best effort. `key` names the provider and, by
 * their hash, the account's keys: whoever has the same ones shares the token. */
struct gw_token_share {
    void *ctx;
    void (*get)(void *ctx, const char *key,
                void (*done)(void *done_ctx, struct str token, int64_t expires_wall_us),
                void *done_ctx);
    void (*put)(void *ctx, const char *key, struct str token, int64_t expires_wall_us);
};

struct err gw_client_new(struct loop *l, struct outbound *out, const struct gw_token_share *share,
                         struct gw_client **client) MUST_USE;
void gw_client_free(struct gw_client *c);

/* When orders are kept away from an account that is not well: health_rules_default() until told
 * otherwise. */
void gw_client_health_rules(struct gw_client *c, const struct health_rules *rules);
/* How an account is doing, as this process has seen it. */
struct health_view gw_client_health(const struct gw_client *c, const struct gw_account *a);
/* An order that the provider had taken ended, as a callback says, with this code, FAILURE_NONE for
 * success: keys that were refused count. */
void gw_client_told(struct gw_client *c, const struct gw_account *a, enum health_kind kind,
                    enum failure_code code);
/* Brings the gauges of all accounts up to now. */
void gw_client_measure(struct gw_client *c);

enum gw_op {
    GW_OP_CHARGE,
    GW_OP_QUERY,
    GW_OP_REFUND,
    GW_OP_REFUND_QUERY,
    GW_OP_REGISTER,
    GW_OP_QR,
    GW_OP_CONFIRM,
    GW_OP_CANCEL,
    GW_OP_BALANCE,
    GW_OP_PAYOUT,
    GW_OP_PAYOUT_QUERY
};

/* What was exchanged, for the record; strings live during `done`. */
struct gw_exchange {
    enum gw_op op;
    struct str request, response; /* redacted */
    bool whole;                   /* there was an answer, complete */
    int http_status;
    int64_t took_us;
    bool sent; /* false: certainly nothing reached the provider */
};

typedef void gw_done_fn(void *ctx, const struct gw_result *result,
                        const struct gw_exchange *exchange);

/* `done` fires exactly once on a later turn; result and exchange live during the call. Never
 * resends an operation, except after GW_TOKEN_REJECTED, once. A charge that was never sent (no
 * token, connect failure) is GW_REFUSED with FAILURE_PROVIDER_UNAVAILABLE and retry_later, or with
 * FAILURE_CONFIGURATION when the provider does not take the account's keys; a charge whose fate is
 * open, and every query that failed, is GW_UNKNOWN. The account, the charge's strings and
 * `provider_ref` are copied. ERR_INVALID (what = words) if no request can be built: nothing was or
 * will be sent. While the account's breaker is open (health.h), charges, refunds and payouts are
 * refused before anything is sent, as when there is no connection, or, for keys that were not
 * taken, with FAILURE_CONFIGURATION; queries go on. An operation takes at most twice the account's
 * timeout: one for all waiting, one for the last call. */
struct err gw_charge_start(struct gw_client *c, const struct gw_account *a,
                           const struct gw_charge *in, gw_done_fn *done, void *ctx) MUST_USE;
struct err gw_query_start(struct gw_client *c, const struct gw_account *a, struct str provider_ref,
                          gw_done_fn *done, void *ctx) MUST_USE;
/* The same for refunds: a refund whose fate is open is GW_UNKNOWN, never sent again; strings of
 * `in` are copied. A query is GW_PENDING when its answer will come by callback. */
struct err gw_refund_start(struct gw_client *c, const struct gw_account *a,
                           const struct gw_refund *in, gw_done_fn *done, void *ctx) MUST_USE;
struct err gw_refund_query_start(struct gw_client *c, const struct gw_account *a,
                                 const struct gw_refund *in, struct str provider_ref,
                                 gw_done_fn *done, void *ctx) MUST_USE;

/* The same for payouts; their keys are those of refunds (HEALTH_REFUND). */
struct err gw_payout_start(struct gw_client *c, const struct gw_account *a,
                           const struct gw_payout *in, gw_done_fn *done, void *ctx) MUST_USE;
struct err gw_payout_query_start(struct gw_client *c, const struct gw_account *a,
                                 const struct gw_payout *in, struct str provider_ref,
                                 gw_done_fn *done, void *ctx) MUST_USE;

/* Hands on a customer's code; takes a payment back (gateway.h, confirm_build and cancel_build). One
 * that was not sent is GW_REFUSED, one whose fate is open GW_UNKNOWN. They are admitted like
 * questions: a provider that is not well is told all the same. */
struct err gw_confirm_start(struct gw_client *c, const struct gw_account *a,
                            const struct gw_act *in, gw_done_fn *done, void *ctx) MUST_USE;
struct err gw_cancel_start(struct gw_client *c, const struct gw_account *a, const struct gw_act *in,
                           gw_done_fn *done, void *ctx) MUST_USE;

/* Tells the provider where to bring money that customers send unasked; GW_ACCEPTED, GW_REFUSED,
 * GW_FAILED or, when nobody knows, GW_UNKNOWN: doing it again is safe. */
struct err gw_register_start(struct gw_client *c, const struct gw_account *a,
                             const struct gw_register *in, gw_done_fn *done, void *ctx) MUST_USE;

/* What the account has: GW_SUCCEEDED with result.balances, or GW_ACCEPTED: its callback will tell.
 */
struct err gw_balance_start(struct gw_client *c, const struct gw_account *a,
                            const struct gw_balance_ask *in, gw_done_fn *done, void *ctx) MUST_USE;

/* A picture that customers scan: GW_ACCEPTED with result.image, else none. */
struct err gw_qr_start(struct gw_client *c, const struct gw_account *a, const struct gw_qr *in,
                       gw_done_fn *done, void *ctx) MUST_USE;

#endif
