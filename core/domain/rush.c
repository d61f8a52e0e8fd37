/* When what can wait should. */
#include "core/domain/rush.h"

static bool is_over(const struct rush *r, int64_t now_us)
{
    return !r->met || now_us - r->last_us > RUSH_ENDS_US;
}

void rush_met(struct rush *r, int64_t now_us)
{
    if (is_over(r, now_us))
        r->since_us = now_us;
    r->last_us = now_us;
    r->met = true;
}

bool rush_is_on(const struct rush *r, int64_t now_us)
{
    return !is_over(r, now_us) && now_us - r->since_us <= RUSH_MOST_US;
}
