#ifndef RELI_FLOW_KEEPER_H
#define RELI_FLOW_KEEPER_H

#include "core/flow/flow.h"

/* Keeps the log: gives positions to what was committed, rolls balances up, and seals the audit
 * trail; within a second of the commit. One replica does it at a time, by lease. */
struct keeper;

struct err keeper_new(struct flow *f, struct keeper **out) MUST_USE;
/* Starts nothing new; what runs is counted in flow.busy. */
void keeper_stop(struct keeper *k);
/* After the store is closed. Safe on NULL. */
void keeper_free(struct keeper *k);

#endif
