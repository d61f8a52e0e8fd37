#ifndef RELI_DOMAIN_LANE_H
#define RELI_DOMAIN_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/uuid.h"

/* Whose webhook leaves now. Each endpoint has a lane that only so many are in at once, each
 * merchant a share, and all together a limit; who has to wait waits in his own lane, and what is
 * free goes around among merchants, so that an endpoint that is slow or dead delays nobody else.
 * Pure: in memory, no clock. */

struct lane_rules {
    int endpoint;         /* at once to one endpoint: 4 */
    int failing;          /* to one that failed LANE_FAILURES times in a row: 1 */
    int merchant;         /* at once for one merchant: 64 */
    int total;            /* 512 */
    int waiting;          /* in one lane: 64 */
    int64_t patience_us;  /* the longest wait in a lane, well below a job's lease: 20 s */
    int64_t later_max_us; /* the longest that one is sent away for: 10 min */
};
void lane_rules_default(struct lane_rules *r);

enum { LANE_FAILURES = 3 };

struct lane;
struct lanes;

/* Where a delivery stands; embedded in its owner, zero is "in no lane". */
struct lane_place {
    struct link link; /* while it waits */
    struct lane *lane;
    int64_t since_us;
};

/* NULL without memory. */
struct lanes *lanes_new(const struct lane_rules *r);
/* Nothing may be in a lane any more. NULL is fine. */
void lanes_free(struct lanes *l);

enum lane_verdict {
    LANE_GO,    /* it is in: lane_leave when it has been sent */
    LANE_WAIT,  /* lane_next or lane_expired will name it */
    LANE_LATER, /* the lane is full: come back after *later_us */
};

/* `endpoint` is unique within the merchant. */
enum lane_verdict lane_enter(struct lanes *l, struct uuid merchant, struct uuid endpoint,
                             struct lane_place *p, int64_t now_us, int64_t *later_us);
/* Whether it is in a lane, waiting or not. */
static inline bool lane_holds(const struct lane_place *p)
{
    return p->lane != NULL;
}
/* One that was in has been sent, or not: `ok`, after `took_us`; -1: nothing was sent, and nothing
 * is learnt of the endpoint. */
void lane_leave(struct lanes *l, struct lane_place *p, bool ok, int64_t took_us);
/* One that waited and is in now; NULL: nobody can go. To be asked until it says so, after each
 * lane_leave. */
struct lane_place *lane_next(struct lanes *l);
/* One that has waited for too long and is out of its lane: come back after *later_us. */
struct lane_place *lane_expired(struct lanes *l, int64_t now_us, int64_t *later_us);

int lanes_in(const struct lanes *l);
int lanes_waiting(const struct lanes *l);

#endif
