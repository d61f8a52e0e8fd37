/* The schedules of questions about refunds. Moments live in the attempt (next_poll_at_us), so that
 * a restart finds them again; the next one is planned before a question is asked, so that a crash
 * between the two never makes a tight loop. */
#include "core/domain/refund_watch.h"

#include "core/base/times.h"

/* There is something open to ask about. */
static bool rail_watched(const struct rail_attempt *a)
{
    return (a->status == RAIL_SUBMITTED || a->status == RAIL_UNCERTAIN) &&
           a->rail != REFUND_RAIL_MANUAL && a->provider_ref[0] != '\0';
}

static bool doubted(const struct rail_attempt *a)
{
    return a->status == RAIL_FAILED && a->next_poll_at_us != TIME_NEVER;
}

bool rail_asked_about(const struct rail_attempt *a)
{
    return rail_watched(a) || doubted(a);
}

/* The wait before the next question, from `from_us`. */
static int64_t next_us(const struct refund *r, const struct rail_attempt *a,
                       const struct refund_rules *rules, int64_t from_us, uint32_t random)
{
    int64_t wait_us = r->status == REFUND_PROCESSING && !doubted(a)
                          ? schedule_wait_or_last_us(&rules->poll, a->poll_n)
                          : schedule_wait_us(&rules->recon, a->poll_n);
    wait_us = schedule_jitter_us(wait_us, random);
    return wait_us == TIME_NEVER ? TIME_NEVER : from_us + wait_us;
}

void rail_watch_start(const struct refund *r, struct rail_attempt *a,
                      const struct refund_rules *rules, int64_t now_us, uint32_t random)
{
    int64_t from_us = r->status == REFUND_PROCESSING ? a->sent_at_us : now_us;
    if (a->status == RAIL_REJECTED || a->status == RAIL_FAILED)
        return; /* a doubt, or when it is sent again */
    a->poll_n = 0;
    a->next_poll_at_us = rail_watched(a) ? next_us(r, a, rules, from_us, random) : TIME_NEVER;
}

void rail_watch_all(struct refund *r, const struct refund_rules *rules, int64_t now_us,
                    uint32_t random)
{
    for (int i = 0; i < r->n_attempts; i++)
        rail_watch_start(r, &r->attempts[i], rules, now_us, random);
}

void rail_watch_asked(const struct refund *r, struct rail_attempt *a,
                      const struct refund_rules *rules, int64_t now_us, uint32_t random)
{
    a->poll_n++;
    a->next_poll_at_us = next_us(r, a, rules, now_us, random);
}

bool rail_watch_put_off(const struct refund *r, struct rail_attempt *a,
                        const struct refund_rules *rules, int64_t now_us, uint32_t random)
{
    int64_t next = rail_asked_about(a) ? next_us(r, a, rules, now_us, random) : a->next_poll_at_us;
    bool moved = next != a->next_poll_at_us;
    a->next_poll_at_us = next;
    return moved;
}

bool rail_watch_doubt(struct rail_attempt *a, int64_t now_us)
{
    if (doubted(a) && a->next_poll_at_us <= now_us)
        return false;
    a->poll_n = 0;
    a->next_poll_at_us = now_us;
    return true;
}

bool rail_watch_sure(struct rail_attempt *a)
{
    bool was = doubted(a);
    a->next_poll_at_us = was ? TIME_NEVER : a->next_poll_at_us;
    return was;
}
