#ifndef RELI_FLOW_SENDING_H
#define RELI_FLOW_SENDING_H

#include "core/base/err.h"
#include "gateways/gateway.h"

/* Requests that move money, in or out: what holds between the commit that says so and the first
 * byte. */

/* Whoever stood still after that commit does not know what others have made of it since: they count
 * it as unknown once its lease is over, and may have heard that it is not there. ERR_TIMEOUT then.
 * Wall clock. */
struct err sending_in_time(int64_t now_us, int64_t sent_at_us, int64_t lease_us) MUST_USE;

/* What is known of a request that could not even be started: it has not left. `err` is
 * why; the message is static. */
struct gw_result sending_not_started(struct err err);

#endif
