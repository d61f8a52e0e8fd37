#ifndef RELI_FLOW_FANOUT_H
#define RELI_FLOW_FANOUT_H

#include "core/flow/flow.h"

/* Makes the webhook deliveries of one event, one per endpoint that wants it and one for the
 * payment's own callback_url, and starts them. The caller holds the lease of the fan-out job, which
 * goes with the commit; on failure it stays for whoever takes it next. */
void fanout_start(struct flow *f, struct uuid merchant, struct uuid payment, int32_t seq,
                  loop_fn *done, void *ctx);

#endif
