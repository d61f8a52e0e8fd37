#ifndef RELI_FLOW_RETENTION_H
#define RELI_FLOW_RETENTION_H

#include "core/flow/flow.h"

/* Drops what is kept for a while only: what was exchanged with providers and merchants' servers,
 * payers of money that has been decided about, security events. Page by page until nothing old is
 * left; harmless when several replicas do it. Ends by itself. */
void retention_run(struct flow *f);

#endif
