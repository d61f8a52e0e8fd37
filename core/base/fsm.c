/* The step counter of asynchronous operations. */
#include "core/base/fsm.h"

#include "core/base/log.h"

void fsm_enter(const struct fsm *f, int *state, int to)
{
    ASSERT((f->next[*state] & (1u << to)) != 0);
    log_debug("fsm.enter", F_C("machine", f->name), F_C("from", f->state_names[*state]),
              F_C("to", f->state_names[to]));
    *state = to;
}
