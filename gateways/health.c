/* Sliding counts and breakers. See health.h. */
#include "gateways/health.h"

#include "core/base/attr.h"
#include "core/base/times.h"

struct health_rules health_rules_default(void)
{
    return (struct health_rules){
        .window_us = US_PER_MIN,
        .min_calls = 20,
        .fail_percent = 50,
        .open_us = 30 * US_PER_S,
        .max_refusals = 3,
        .keys_open_us = 5 * US_PER_MIN,
    };
}

/* ---- the window ---- */

static int64_t period_of(const struct health_rules *rules, int64_t now_us)
{
    return now_us / (rules->window_us / HEALTH_BUCKETS);
}

static void count(struct health *h, const struct health_rules *rules, bool well, int64_t now_us)
{
    int64_t period = period_of(rules, now_us);
    size_t i = (size_t)(period % HEALTH_BUCKETS);
    if (h->buckets[i].period != period) {
        h->buckets[i].period = period;
        h->buckets[i].n_well = h->buckets[i].n_unwell = 0;
    }
    h->buckets[i].n_well += well;
    h->buckets[i].n_unwell += !well;
}

static void sum(const struct health *h, const struct health_rules *rules, int64_t now_us,
                int64_t *n, int64_t *n_unwell)
{
    int64_t period = period_of(rules, now_us);
    *n = *n_unwell = 0;
    for (size_t i = 0; i < HEALTH_BUCKETS; i++) {
        if (h->buckets[i].period <= period - HEALTH_BUCKETS)
            continue;
        *n += h->buckets[i].n_well + h->buckets[i].n_unwell;
        *n_unwell += h->buckets[i].n_unwell;
    }
}

static void forget(struct health *h)
{
    for (size_t i = 0; i < HEALTH_BUCKETS; i++)
        h->buckets[i].n_well = h->buckets[i].n_unwell = 0;
}

/* ---- a breaker ---- */

static void breaker_open(struct breaker *b, int64_t until_us)
{
    *b = (struct breaker){.state = HEALTH_OPEN, .until_us = until_us, .n_refusals = b->n_refusals};
}

static void breaker_close(struct breaker *b)
{
    *b = (struct breaker){.state = HEALTH_CLOSED};
}

static enum health_state breaker_state(const struct breaker *b, int64_t now_us)
{
    return b->state == HEALTH_OPEN && now_us >= b->until_us ? HEALTH_HALF_OPEN : b->state;
}

static bool breaker_admits(const struct breaker *b, int64_t now_us)
{
    enum health_state state = breaker_state(b, now_us);
    return state == HEALTH_CLOSED || (state == HEALTH_HALF_OPEN && !b->probing);
}

/* True: what was admitted is the probe. */
static bool breaker_enter(struct breaker *b, int64_t now_us)
{
    b->state = breaker_state(b, now_us);
    if (b->state == HEALTH_HALF_OPEN)
        b->probing = true;
    return b->probing;
}

/* ---- orders ---- */

enum health_refusal health_admit(struct health *h, const struct health_rules *rules,
                                 enum health_kind kind, int64_t now_us, unsigned *probes)
{
    *probes = 0;
    if (kind == HEALTH_ASKS || rules->min_calls == 0)
        return HEALTH_ADMITTED;
    if (!breaker_admits(&h->keys[kind], now_us))
        return HEALTH_REFUSED_KEYS;
    /* A refund that is not sent has used up its rail: it is tried, however the provider does. */
    if (kind != HEALTH_REFUND && !breaker_admits(&h->calls, now_us))
        return HEALTH_REFUSED_CALLS;
    if (breaker_enter(&h->keys[kind], now_us))
        *probes |= HEALTH_PROBES_KEYS;
    if (kind != HEALTH_REFUND && breaker_enter(&h->calls, now_us))
        *probes |= HEALTH_PROBES_CALLS;
    return HEALTH_ADMITTED;
}

static void note_calls(struct health *h, const struct health_rules *rules, bool probe,
                       enum health_outcome outcome, int64_t now_us)
{
    struct breaker *b = &h->calls;
    int64_t n, n_unwell;
    if (outcome != HEALTH_NOTHING)
        count(h, rules, outcome != HEALTH_UNWELL, now_us);
    if (probe) {
        b->probing = false;
        if (outcome == HEALTH_UNWELL) {
            breaker_open(b, now_us + rules->open_us);
        } else if (outcome != HEALTH_NOTHING) {
            breaker_close(b);
            forget(h);
        }
        return;
    }
    if (outcome != HEALTH_UNWELL || b->state != HEALTH_CLOSED)
        return;
    sum(h, rules, now_us, &n, &n_unwell);
    if (n >= rules->min_calls && n_unwell * 100 >= n * rules->fail_percent)
        breaker_open(b, now_us + rules->open_us);
}

static void note_keys(struct breaker *b, const struct health_rules *rules, bool probe, bool refused,
                      bool taken, int64_t now_us)
{
    if (probe)
        b->probing = false;
    if (refused) {
        b->n_refusals++;
        bool many = b->n_refusals >= rules->max_refusals;
        if (probe || (many && b->state != HEALTH_OPEN))
            breaker_open(b, now_us + rules->keys_open_us);
    } else if (taken && b->state != HEALTH_OPEN) {
        breaker_close(b);
    }
}

void health_note(struct health *h, const struct health_rules *rules, enum health_kind kind,
                 unsigned probes, enum health_outcome outcome, int64_t now_us)
{
    if (rules->min_calls == 0) {
        if (outcome != HEALTH_NOTHING)
            count(h, rules, outcome != HEALTH_UNWELL, now_us);
        return;
    }
    note_calls(h, rules, (probes & HEALTH_PROBES_CALLS) != 0, outcome, now_us);
    for (int k = 0; k < HEALTH_N_KINDS; k++) {
        bool same = k == (int)kind;
        bool refused = outcome == HEALTH_TOKEN_REFUSED || (outcome == HEALTH_KEYS_REFUSED && same);
        note_keys(&h->keys[k], rules, same && (probes & HEALTH_PROBES_KEYS) != 0, refused,
                  same && outcome == HEALTH_WELL, now_us);
    }
}

/* ---- views ---- */

struct health_view health_look(const struct health *h, const struct health_rules *rules,
                               int64_t now_us)
{
    const struct breaker *keys = &h->keys[HEALTH_CHARGE];
    enum health_state by_calls = breaker_state(&h->calls, now_us),
                      by_keys = breaker_state(keys, now_us);
    bool worse_keys = by_keys > by_calls;
    struct health_view v = {.state = worse_keys ? by_keys : by_calls};
    int64_t n, n_unwell;
    v.takes_charges = breaker_admits(&h->calls, now_us) && breaker_admits(keys, now_us);
    if (v.state != HEALTH_CLOSED)
        v.reason = worse_keys ? "credentials" : "unwell";
    v.money_out = breaker_state(&h->keys[HEALTH_REFUND], now_us);
    sum(h, rules, now_us, &n, &n_unwell);
    if (n < rules->min_calls)
        n = rules->min_calls; /* one of two calls is no verdict */
    v.score = n > 0 ? (int)(100 - 100 * n_unwell / n) : 100;
    if (v.state == HEALTH_OPEN)
        v.score = 0;
    else if (v.state == HEALTH_HALF_OPEN && v.score > 50)
        v.score = 50;
    return v;
}

const char *health_state_word(enum health_state s)
{
    static const char *const words[] = {"closed", "half_open", "open"};
    ASSERT((unsigned)s < COUNT_OF(words));
    return words[s];
}
