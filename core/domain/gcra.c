/* The generic cell rate algorithm on values; see gcra.h. core/flow/throttle.c has it once more, in
 * Lua, for the bucket that replicas share. */
#include "core/domain/gcra.h"

static const struct {
    char letter;
    int64_t us;
} units[] = {
    {'s', INT64_C(1000000)},
    {'m', 60 * INT64_C(1000000)},
    {'h', 3600 * INT64_C(1000000)},
};

static bool number(struct str text, int64_t max, int64_t *out)
{
    return str_is_digits(text) && str_to_i64(text, out) && *out >= 1 && *out <= max;
}

static bool rate(struct str text, int64_t *n, int64_t *interval_us)
{
    struct str digits = STR_NULL;
    if (!str_split(&text, '/', &digits) || text.n != 1)
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        int64_t seconds = units[i].us / units[0].us;
        if (units[i].letter != text.p[0])
            continue;
        if (!number(digits, GCRA_RATE_MAX * seconds, n) || *n > GCRA_BURST_MAX)
            return false;
        *interval_us = (units[i].us + *n - 1) / *n;
        return true;
    }
    return false;
}

bool gcra_parse(struct str text, struct gcra_rule *out)
{
    struct str rest = text, word = STR_NULL, burst = STR_NULL;
    struct gcra_rule r = {0};
    *out = r;
    if (str_eq(text, STR("0")))
        return true;
    if (!str_split(&rest, ' ', &word) || !rate(word, &r.burst, &r.interval_us))
        return false;
    if (rest.p != NULL && (!str_split(&rest, ' ', &word) || !str_eq(word, STR("burst")) ||
                           !str_split(&rest, ' ', &burst) || rest.p != NULL ||
                           !number(burst, GCRA_BURST_MAX, &r.burst)))
        return false;
    *out = r;
    return true;
}

struct gcra_rule gcra_share(const struct gcra_rule *r, int n)
{
    struct gcra_rule share = {r->interval_us * n, r->burst / n};
    if (share.burst < 1)
        share.burst = 1;
    return share;
}

int64_t gcra_left(const struct gcra_rule *r, int64_t tat_us, int64_t now_us)
{
    int64_t full_in_us = tat_us > now_us ? tat_us - now_us : 0;
    int64_t free_us = r->interval_us * r->burst - full_in_us;
    return free_us > 0 ? free_us / r->interval_us : 0;
}

int64_t gcra_take(const struct gcra_rule *r, int64_t *tat_us, int64_t now_us, int64_t n)
{
    int64_t left = gcra_left(r, *tat_us, now_us);
    if (n > left)
        n = left;
    if (*tat_us < now_us)
        *tat_us = now_us;
    *tat_us += n * r->interval_us;
    return n;
}

int64_t gcra_wait_us(const struct gcra_rule *r, int64_t tat_us, int64_t now_us)
{
    int64_t wait_us = tat_us - now_us - r->interval_us * (r->burst - 1);
    return wait_us > 0 ? wait_us : 0;
}
