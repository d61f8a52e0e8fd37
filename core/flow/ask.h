#ifndef RELI_FLOW_ASK_H
#define RELI_FLOW_ASK_H

#include "core/flow/move.h"

/* Asks the provider what became of an attempt. */
struct ask_request {
    struct uuid merchant, account;
    struct str provider_ref;
    int attempt;
};

/* The answer as an event of source POLL for the payment machine (SUCCESS, FAILURE, STILL_PENDING,
 * NOT_FOUND or UNREACHABLE), and the exchange to be kept with the move. Both live during the call,
 * which comes once, on a later turn. */
typedef void ask_fn(void *ctx, const struct payment_event *said, const struct move_call *call);
void ask_start(struct flow *f, const struct ask_request *rq, ask_fn *done, void *ctx);

/* The provider's word as an event, texts borrowed. */
struct payment_event ask_event(const struct gw_result *r, int attempt, enum status_source source);

/* What was said and the exchange, to be kept beyond the call: their texts in the arena. */
struct payment_event ask_event_keep(struct arena *a, const struct payment_event *said);
struct move_call ask_call_keep(struct arena *a, const struct move_call *call);

#endif
