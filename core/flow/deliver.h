#ifndef RELI_FLOW_DELIVER_H
#define RELI_FLOW_DELIVER_H

#include "core/flow/flow.h"

/* Whether an endpoint's filter ("payment.completed,payment.failed", "payment.*" or "*") takes this
 * type. */
bool deliver_wants(struct str filter, struct str type);

/* Flow.deliveries: who may send now in this process (core/domain/lane.h). ERR_NO_MEMORY. */
struct err deliver_gate_new(struct flow *f) MUST_USE;
/* When nothing is being delivered any more. Safe without. */
void deliver_gate_free(struct flow *f);

/* What the answer to a delivery's n-th request is sealed for. */
struct uuid delivery_attempt_row(struct uuid delivery, int n);

/* Makes one request of a delivery whose job the caller has leased: waits for its turn, renders the
 * event as it was, signs, sends, and records the outcome, with which the job ends or moves. One
 * whose lane is full is put off; no try is counted. `done` (may be NULL)
 * fires once, on a later turn. */
void deliver_start(struct flow *f, struct uuid merchant, struct uuid delivery, loop_fn *done,
                   void *ctx);

/* Another delivery of the same event to the same place, with the same webhook-id. `done` gets its
 * id; ERR_NOT_FOUND. */
typedef void deliver_again_fn(void *ctx, struct err err, struct uuid delivery);
void deliver_again(struct flow *f, struct uuid merchant, struct uuid delivery, bool live,
                   deliver_again_fn *done, void *ctx);

#endif
