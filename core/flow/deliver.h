#ifndef RELI_FLOW_DELIVER_H
#define RELI_FLOW_DELIVER_H

#include "core/flow/flow.h"
#include "core/flow/webhook.h"

struct deliver;

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

/* The same for one that the caller is about to make, so that nothing has to be read: `hook` goes to
 * `endpoint` by row `i` of what was read at `known_us` (NULL: it has to be read, to tell what is
 * wrong). Once it stands and its job is leased, deliver_begin; else deliver_discard. */
struct deliver *deliver_prepare(struct flow *f, struct uuid merchant, struct uuid delivery,
                                struct webhook *hook, const struct rows *r, size_t i,
                                struct uuid endpoint, int64_t known_us);
void deliver_begin(struct deliver *o);
void deliver_discard(struct deliver *o);

/* What this process has read of endpoints and people is read again before it is used: something was
 * changed. Other processes do so within a second. */
void deliver_forget(struct flow *f);

/* Another delivery of the same event to the same place, with the same webhook-id. `done` gets its
 * id; ERR_NOT_FOUND. */
typedef void deliver_again_fn(void *ctx, struct err err, struct uuid delivery);
void deliver_again(struct flow *f, struct uuid merchant, struct uuid delivery, bool live,
                   deliver_again_fn *done, void *ctx);

#endif
