#ifndef RELI_FLOW_TOKEN_SHARE_H
#define RELI_FLOW_TOKEN_SHARE_H

#include "core/flow/flow.h"

/* Providers' access tokens, shared between replicas over Redis, sealed: some providers end the old
 * token when a new one is fetched. Without Redis each replica fetches its own. `ctx` of the result
 * is `f`. */
struct gw_token_share token_share(struct flow *f);

#endif
