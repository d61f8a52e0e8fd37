#ifndef RELI_FLOW_WEBHOOK_H
#define RELI_FLOW_WEBHOOK_H

#include "core/flow/flow.h"
#include "core/flow/webhook_sign.h"

/* What a webhook says, and where one goes. */

/* The columns that fanout_get.sql and delivery_get.sql begin with: up to HOOK_TRACE of the event,
 * in the first row, then of an endpoint. */
enum webhook_column {
    HOOK_EVENT,
    HOOK_TYPE,
    HOOK_MODE,
    HOOK_PAYMENT,
    HOOK_SEQ,
    HOOK_DATA,
    HOOK_AT,
    HOOK_PII,
    HOOK_CALLBACK_URL,
    HOOK_MERCHANT_SECRET,
    HOOK_EARLIER,
    HOOK_TRACE,
    HOOK_ENDPOINT,
    HOOK_URL,
    HOOK_ENDPOINT_STATUS,
    HOOK_SECRETS,
    HOOK_FILTER,
    HOOK_ORDERED,
    HOOK_COLUMNS
};

/* Whether this is a word of a filter: a type of event, "payment.*" and its like, or "*". */
bool webhook_word_ok(struct str word);

/* Whether an endpoint's filter ("payment.completed,payment.failed", "payment.*" or "*") takes this
 * type. */
bool webhook_wanted(struct str filter, struct str type);

enum { TRACE_TEXT = 56 }; /* a traceparent of W3C Trace Context, and NUL */

/* An event as all who get it get it: rendered once, shared by its deliveries, and gone with the
 * last of them. */
struct webhook {
    struct flow *flow; /* counts its bytes in webhooks_held */
    int holders;
    struct uuid payment; /* or payout */
    char event[UUID_TEXT];
    char trace[TRACE_TEXT]; /* traceparent of the request that made the payment; "" without */
    int32_t seq;
    struct str body;
    struct str earlier; /* the payment's events before it, newest first: "id type" by commas */
};

/* Of the event in the first row; who gets it holds it. ERR_LIMIT, or what the vault says. */
struct err webhook_new(struct flow *f, struct uuid merchant, const struct rows *r,
                       struct webhook **out) MUST_USE;
struct webhook *webhook_hold(struct webhook *w);
/* NULL is fine. */
void webhook_drop(struct webhook *w);

struct webhook_target {
    bool gone;            /* the endpoint is disabled or deleted; the rest is empty then */
    struct uuid endpoint; /* nil: the payment's own callback_url */
    struct str url;       /* ends in NUL */
    struct str previous;  /* the webhook-id of the payment's event before this one that went there:
                             who has not seen it has missed something. "" for the first */
    struct webhook_key keys[WEBHOOK_KEYS_MAX];
    size_t n_keys;
};

/* Where `w` goes for `endpoint` (the payment's id: its callback_url), by row `i`; what it points at
 * lives in the arena. What the vault says. */
struct err webhook_aim(struct flow *f, struct uuid merchant, const struct rows *r, size_t i,
                       struct uuid endpoint, const struct webhook *w, struct arena *a,
                       struct webhook_target *out) MUST_USE;

#endif
