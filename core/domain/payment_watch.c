/* The schedules of status queries. Moments live in the attempt (next_poll_at_us), so that a restart
 * finds them again; the next one is planned before a question is asked, so that a crash between the
 * two never makes a tight loop. */
#include "core/domain/payment_watch.h"

#include "core/base/times.h"

enum watch watch_of(const struct payment *p, const struct attempt *a)
{
    bool open = a->status == ATTEMPT_SUBMITTED || a->status == ATTEMPT_UNCERTAIN;
    bool unpaid = a->status == ATTEMPT_FAILED || a->status == ATTEMPT_EXPIRED;
    if (a->provider_ref[0] == '\0')
        return WATCH_NONE;
    switch (p->status) {
    case PAYMENT_PENDING:
    case PAYMENT_PROCESSING:
    case PAYMENT_REQUIRES_ACTION:
        return open ? WATCH_POLL : WATCH_NONE;
    case PAYMENT_IN_RECONCILIATION:
        return open ? WATCH_RECON : WATCH_NONE;
    case PAYMENT_FAILED:
    case PAYMENT_EXPIRED:
    case PAYMENT_CANCELLED:
        return open || unpaid ? WATCH_LATE : WATCH_NONE;
    default: /* paid by another attempt: a success of this one would be the second */
        return open ? WATCH_LATE : WATCH_NONE;
    }
}

/* `wait_us` from `from_us`, where never stays never. */
static int64_t after(int64_t from_us, int64_t wait_us)
{
    return wait_us == TIME_NEVER ? TIME_NEVER : from_us + wait_us;
}

void watch_start(const struct payment *p, struct attempt *a, const struct payment_rules *rules,
                 int64_t now_us, uint32_t random)
{
    int64_t first = TIME_NEVER;
    switch (watch_of(p, a)) {
    case WATCH_NONE:
        break;
    case WATCH_POLL:
        first = after(a->sent_at_us,
                      schedule_jitter_us(schedule_wait_or_last_us(&rules->poll, 0), random));
        break;
    case WATCH_RECON:
        first = after(now_us, schedule_jitter_us(schedule_wait_us(&rules->recon, 0), random));
        break;
    case WATCH_LATE:
        first = after(now_us, schedule_wait_us(&rules->late_watch, 0));
        break;
    }
    a->poll_n = 0;
    a->next_poll_at_us = first;
}

bool watch_due(const struct payment *p, const struct attempt *a, int64_t now_us)
{
    return watch_of(p, a) != WATCH_NONE && a->next_poll_at_us <= now_us;
}

/* The wait of the present phase before its next question. */
static int64_t wait_us(enum watch watch, const struct attempt *a, const struct payment_rules *rules,
                       uint32_t random)
{
    int64_t us = watch == WATCH_POLL ? schedule_wait_or_last_us(&rules->poll, a->poll_n)
                                     : schedule_wait_us(&rules->recon, a->poll_n);
    return schedule_jitter_us(us, random);
}

void watch_asked(const struct payment *p, struct attempt *a, const struct payment_rules *rules,
                 int64_t now_us, uint32_t random)
{
    enum watch watch = watch_of(p, a);
    if (watch != WATCH_LATE) {
        a->poll_n++;
        a->next_poll_at_us = after(now_us, wait_us(watch, a, rules, random));
        return;
    }
    /* The end is where the present wait began. What a long standstill has missed is asked once. */
    int64_t wait = schedule_wait_us(&rules->late_watch, a->poll_n);
    int64_t end = wait == TIME_NEVER ? TIME_NEVER : a->next_poll_at_us - wait;
    do {
        a->poll_n++;
        wait = schedule_wait_us(&rules->late_watch, a->poll_n);
        a->next_poll_at_us = end == TIME_NEVER ? TIME_NEVER : after(end, wait);
    } while (a->next_poll_at_us <= now_us);
}

bool watch_put_off(const struct payment *p, struct attempt *a, const struct payment_rules *rules,
                   int64_t now_us, uint32_t random)
{
    enum watch watch = watch_of(p, a);
    if (watch != WATCH_POLL && watch != WATCH_RECON)
        return false;
    int64_t next = after(now_us, wait_us(watch, a, rules, random));
    if (next == a->next_poll_at_us)
        return false;
    a->next_poll_at_us = next;
    return true;
}

void payment_rules_default(struct payment_rules *r)
{
    *r = (struct payment_rules){
        .prompt_window_us = 90 * US_PER_S,
        .sending_lease_us = 60 * US_PER_S,
        .poll = {8,
                 {15 * US_PER_S, 30 * US_PER_S, 45 * US_PER_S, 60 * US_PER_S, 90 * US_PER_S,
                  120 * US_PER_S, 180 * US_PER_S, 300 * US_PER_S}},
        .recon = {7,
                  {5 * US_PER_MIN, US_PER_HOUR, US_PER_DAY, US_PER_DAY, US_PER_DAY, US_PER_DAY,
                   US_PER_DAY}},
        .late_watch = {5,
                       {5 * US_PER_MIN, 30 * US_PER_MIN, 2 * US_PER_HOUR, 12 * US_PER_HOUR,
                        24 * US_PER_HOUR}},
    };
}
