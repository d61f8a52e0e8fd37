#ifndef RELI_DOMAIN_RUSH_H
#define RELI_DOMAIN_RUSH_H

#include <stdbool.h>
#include <stdint.h>

/* More comes than gets done: a time in which what can wait should. It begins with the first moment
 * that is called crowded, ends RUSH_ENDS_US after the last one, and after RUSH_MOST_US in any case:
 * what goes on for so long is how it is, and who waits has waited long enough. The next one begins
 * after a calm of RUSH_ENDS_US. All zero: there was none yet. */
#define RUSH_ENDS_US 50000
#define RUSH_MOST_US 5000000

struct rush {
    int64_t since_us, last_us; /* crowded moments, monotonic */
    bool met;
};

/* Now is crowded. */
void rush_met(struct rush *r, int64_t now_us);
bool rush_is_on(const struct rush *r, int64_t now_us);

#endif
