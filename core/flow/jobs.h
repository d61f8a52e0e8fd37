#ifndef RELI_FLOW_JOBS_H
#define RELI_FLOW_JOBS_H

#include "core/flow/flow.h"

/* Runs the jobs whose time has come: once a second it reads candidates, takes each by lease, and
 * does the work. Any replica carries on another's. Also the replica's heartbeat and the daily
 * upkeep of the tables. */
struct jobs;

struct jobs_options {
    const char *version;
    int64_t scan_us; /* between scans, default 1 s */
    int max_running; /* default 1200 */
};

struct err jobs_new(struct flow *f, const struct jobs_options *o, struct jobs **out) MUST_USE;
/* Takes no more; what runs is finished (flow.busy counts it). */
void jobs_stop(struct jobs *j);
/* After the store is closed. */
void jobs_free(struct jobs *j);

#endif
