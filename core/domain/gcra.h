#ifndef RELI_DOMAIN_GCRA_H
#define RELI_DOMAIN_GCRA_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"
#include "core/base/str.h"

/* How many requests in which time: the generic cell rate algorithm. Pure, whole microseconds.
 *
 * A bucket holds up to `burst` cells; every `interval_us` one comes back. All that is kept of it is
 * `tat_us`, the time at which it will be full again; any time that has passed is a full bucket. In
 * any span of time no more is taken than burst + span / interval. */
struct gcra_rule {
    int64_t interval_us; /* 0: no limit */
    int64_t burst;       /* at least 1 where there is one */
};

/* Faster than that the whole microseconds of the interval would cost more than 5 % of the rate. */
enum { GCRA_RATE_MAX = 50000, GCRA_BURST_MAX = 1000000 };

/* "100/s burst 200", "10/m", "1000/h burst 50"; without a burst it is the number itself. "0": no
 * limit. The interval is rounded up: never more than was said. */
bool gcra_parse(struct str text, struct gcra_rule *out) MUST_USE;

static inline bool gcra_is_off(const struct gcra_rule *r)
{
    return r->interval_us == 0;
}

/* One of `n` equal shares: together they admit no more than the whole does, as long as its burst is
 * at least n. A bucket's tat_us means the same fill in a share as in the whole. */
struct gcra_rule gcra_share(const struct gcra_rule *r, int n);

/* Cells that are there. */
int64_t gcra_left(const struct gcra_rule *r, int64_t tat_us, int64_t now_us);
/* Takes as many as are there, `n` at most; how many it were. */
int64_t gcra_take(const struct gcra_rule *r, int64_t *tat_us, int64_t now_us, int64_t n);
/* How long until one is there; 0: it is. */
int64_t gcra_wait_us(const struct gcra_rule *r, int64_t tat_us, int64_t now_us);

#endif
