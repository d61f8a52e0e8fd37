#ifndef RELI_FLOW_FAILOVER_H
#define RELI_FLOW_FAILOVER_H

#include "core/flow/move.h"

/* As move_start, for what a provider says of an attempt when no client waits for the answer: if the
 * event ends the attempt and another provider takes the payment, the next attempt is made in the
 * same commit, and then sent; whatever becomes of that is recorded in the same way, at most
 * PAYMENT_MAX_ATTEMPTS times. `done` tells of the first commit. rq->next must be NULL. */
void failover_start(struct flow *f, const struct move_request *rq, move_fn *done, void *ctx);

#endif
