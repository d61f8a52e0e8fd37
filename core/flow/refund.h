#ifndef RELI_FLOW_REFUND_H
#define RELI_FLOW_REFUND_H

#include "core/codec/jsonw.h"
#include "core/flow/idempotency.h"
#include "core/flow/move.h"

/* Money back (contract.md, section 4; domain.md, section 2.3): reserved in the payment before
 * anything is sent, rails tried in order, unknown outcomes reserved until there is evidence. Every
 * step is one unit with its payment. */

struct refund_input {
    struct uuid merchant, payment;
    bool live;
    struct str actor, person; /* who asks, and who stands behind (core/domain/person.h) */
    bool whole;               /* all that is left */
    struct str amount;        /* decimal text in the payment's currency, when not whole */
    struct str reason;
    struct str trace;       /* traceparent of the request; absent without */
    int64_t approval_above; /* minor units; larger refunds wait for a second person; 0: none does */
    struct str idem_key;    /* p == NULL without */
    struct str route;
    size_t n_fields;
    struct fingerprint_field fields[FINGERPRINT_MAX_FIELDS];
};

struct refund_result {
    int http_status;
    struct str body;
    bool replayed;
    int64_t original_us;
    struct str current_status; /* replayed: the refund's status now */
    struct str detail;         /* with an error: words for the client */
    bool amount_bad;           /* with ERR_VALIDATION: the amount is what is wrong */
};

/* `done` fires once, on a later turn; strings of the result live during the call. ERR_NOT_FOUND,
 * ERR_INVALID_STATE (not refundable, or more than is left), ERR_VALIDATION, ERR_IDEMPOTENCY_*. The
 * refund is sent afterwards. */
typedef void refund_fn(void *ctx, struct err err, const struct refund_result *result);
void refund_create(struct flow *f, const struct refund_input *in, refund_fn *done, void *ctx);

/* One event on one refund, as move_start for payments. `result` has the refund as it is then. */
struct refund_move {
    struct uuid merchant, refund;
    bool live_only, live; /* with live_only: 404 for the other mode */
    struct refund_event event;
    struct str actor, person;
    const struct move_inbound *inbound; /* these three may be NULL */
    const struct move_call *call;
    const struct move_resolution *resolution;
};
struct refund_moved {
    const struct payment_record *payment;
    const struct refund_record *refund;
    const struct refund_effects *fx;
};
typedef void refund_moved_fn(void *ctx, struct err err, const struct refund_moved *result);
void refund_move_start(struct flow *f, const struct refund_move *rq, refund_moved_fn *done,
                       void *ctx);

/* What a refund needs next: sends it over the next rail, asks the provider, or lets time pass. For
 * its job, and after every step that leaves something to be sent. `done` may be NULL. */
void refund_run(struct flow *f, struct uuid merchant, struct uuid refund, loop_fn *done, void *ctx);

/* The resource. */
void render_refund(struct jsonw *w, const struct refund_record *rec);

#endif
