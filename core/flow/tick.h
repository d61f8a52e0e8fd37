#ifndef RELI_FLOW_TICK_H
#define RELI_FLOW_TICK_H

#include "core/flow/flow.h"

/* A payment's deadline has come: steps it, asks the provider if the step says so, and steps it with
 * the answer. The payment's job moves with each commit. `done` fires once, on a later turn. */
void tick_start(struct flow *f, struct uuid merchant, struct uuid payment, loop_fn *done,
                void *ctx);

#endif
