#ifndef RELI_BASE_FSM_H
#define RELI_BASE_FSM_H

#include <stdint.h>

#include "core/base/attr.h"

/* States of an asynchronous operation: each state names the step to run on the next wake, `next[s]`
 * is the set of states that may follow s. Moving elsewhere is our own bug. */
struct fsm {
    const char *name;
    const char *const *state_names;
    const uint32_t *next;
};

/* Checks the table, traces the move at debug level, sets *state. */
void fsm_enter(const struct fsm *f, int *state, int to);

#endif
