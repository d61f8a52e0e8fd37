#ifndef RELI_FLOW_THROTTLE_H
#define RELI_FLOW_THROTTLE_H

#include "core/domain/gcra.h"
#include "core/flow/flow.h"

/* Limits on requests (contract.md, sections 2 and 3). One bucket per class and subject, in Redis,
 * shared by all replicas: over any span of time they admit no more than burst + rate × time, and at
 * least 95 % of that if it is asked for.
 *
 * A process leases cells, as many as it has lately spent in 50 ms, and spends them without asking;
 * what it has not spent 100 ms later it gives back. While Redis is away, or takes more than 20 ms,
 * it goes on with its share: the limit divided by the replicas that live, from the fill that was
 * last known. What it admits then is told to Redis afterwards. */

/* X(NAME, word): whose requests are counted together. */
#define THROTTLE_CLASSES(X)                                                          \
    X(API, "api")           /* what an API key or a user asks for */                 \
    X(ADDRESS, "address")   /* refused credentials, by the address they came from */ \
    X(LOGIN, "login")       /* attempts to log in, by address */                     \
    X(PROVIDER, "provider") /* genuine callbacks, by provider */

enum throttle_class {
#define X(name, word) THROTTLE_##name,
    THROTTLE_CLASSES(X)
#undef X
        THROTTLE_N
};

struct throttle_rules {
    struct gcra_rule of[THROTTLE_N];
};

/* For core/app.c: sets f->throttle. Freed after Redis, whose end ends those that wait. */
struct err throttle_new(struct flow *f, const struct throttle_rules *rules) MUST_USE;
void throttle_free(struct flow *f);

enum throttle_answer { THROTTLE_PASS, THROTTLE_STOP, THROTTLE_LATER };

/* How a bucket is now, as far as this process knows. */
struct throttle_state {
    struct gcra_rule rule; /* off: no limit, and the rest is zero */
    int64_t left;          /* requests that may come at once */
    int64_t full_us;       /* until all of them may */
    int64_t wait_us;       /* stopped: until one may come */
};

/* Who waits; in the caller's memory until `done`. */
struct throttle_wait {
    struct link link;
    /* Fires once, on a later turn; `state` is NULL when the service is closing. */
    void (*done)(void *ctx, enum throttle_answer answer, const struct throttle_state *state);
    void *ctx;
};

/* Takes a cell. THROTTLE_LATER: w->done will tell, after 20 ms at the latest. Without f->throttle
 * all may pass. Subjects are of any text; what lies behind THROTTLE_SUBJECT_MAX bytes does not
 * count. */
enum { THROTTLE_SUBJECT_MAX = 63 };
enum throttle_answer throttle_take(struct flow *f, enum throttle_class class, struct str subject,
                                   struct throttle_state *state, struct throttle_wait *w) MUST_USE;
/* Whether a cell is known not to be there; without taking one, and without asking anybody. */
bool throttle_is_shut(const struct flow *f, enum throttle_class class, struct str subject,
                      struct throttle_state *state) MUST_USE;

#endif
