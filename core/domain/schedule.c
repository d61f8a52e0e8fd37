/* Schedules of waits: polls, retries, watches. */
#include "core/domain/schedule.h"

#include "core/base/times.h"

bool schedule_parse(struct str text, struct schedule *out)
{
    struct str part;
    struct schedule s = {0};
    while (str_split(&text, ',', &part)) {
        int64_t us;
        if (s.n == SCHEDULE_MAX || !duration_parse(str_trim(part), &us) || us <= 0)
            return false;
        s.wait_us[s.n++] = us;
    }
    if (s.n == 0)
        return false;
    *out = s;
    return true;
}

int64_t schedule_wait_us(const struct schedule *s, int i)
{
    return i < s->n ? s->wait_us[i] : TIME_NEVER;
}

int64_t schedule_wait_or_last_us(const struct schedule *s, int i)
{
    return s->n == 0 ? TIME_NEVER : s->wait_us[i < s->n ? i : s->n - 1];
}

int64_t schedule_jitter_us(int64_t us, uint32_t random)
{
    if (us == TIME_NEVER)
        return us;
    int64_t tenth = us / 10, span = 2 * tenth, bits = (int64_t)(random >> 16);
    /* span * bits / 2^16 in two parts, so that nothing overflows in 64 bits */
    return us - tenth + (span >> 16) * bits + (((span & 0xffff) * bits) >> 16);
}
