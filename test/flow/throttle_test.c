/* Limits on requests over replicas: a clock of its own, and a Redis that is slow, away or forgetful
 * as the test wants it. Its bucket counts what is free, not when it is full: not the arithmetic
 * that is tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/crypto/mac.h"
#include "core/flow/throttle.h"

enum { REPLICAS = 3, CALLS = 256, TIMERS = 64, BUCKETS = 8 };

/* ---- the clock ---- */

static int64_t now_us;
static struct timer *timers[TIMERS];
static size_t n_timers;

int64_t loop_mono_us(const struct loop *l)
{
    (void)l;
    return now_us;
}

void timer_off(struct loop *l, struct timer *t)
{
    (void)l;
    for (size_t i = 0; i < n_timers; i++)
        if (timers[i] == t)
            timers[i] = timers[--n_timers];
    t->place = 0;
}

void timer_set(struct loop *l, struct timer *t, int64_t after_us, loop_fn *fn, void *ctx)
{
    timer_off(l, t);
    assert_true(n_timers < TIMERS);
    *t = (struct timer){now_us + after_us, 1, fn, ctx};
    timers[n_timers++] = t;
}

/* ---- Redis ---- */

struct redis {
    bool up, forgot;
    int64_t delay_us;
    int n_asked, n_full_script;
};

struct call {
    int64_t due_us;
    bool done_already;
    struct err err;
    char text[64];
    redis_fn *done;
    void *ctx;
};
static struct call calls[CALLS]; /* those under way, in any order */
static size_t n_calls;

static struct cell_bucket {
    char key[128];
    int64_t free_us, at_us;
} shared[BUCKETS];

bool redis_up(const struct redis *r)
{
    return r->up;
}

static int64_t number(struct str s)
{
    int64_t n = 0;
    assert_true(str_to_i64(s, &n));
    return n;
}

static struct cell_bucket *bucket_of(struct str key, int64_t full_us)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct cell_bucket *b = &shared[i];
        if (b->key[0] == '\0') {
            str_copy_c(b->key, sizeof b->key, key);
            b->free_us = full_us;
            b->at_us = now_us;
        }
        if (str_eq(str_c(b->key), key))
            return b;
    }
    fail();
    return NULL;
}

static void run_script(const struct str *args, char *out, size_t cap)
{
    int64_t interval = number(args[4]), burst = number(args[5]), want = number(args[6]),
            back = number(args[7]), floor = number(args[8]), full = interval * burst, n = 0;
    struct cell_bucket *b = bucket_of(args[3], full);
    b->free_us += now_us - b->at_us;
    b->at_us = now_us;
    if (b->free_us > full)
        b->free_us = full;
    b->free_us += back * interval;
    if (b->free_us > full - floor)
        b->free_us = full - floor;
    if (b->free_us < 0)
        b->free_us = 0;
    while (n < want && b->free_us >= interval) {
        b->free_us -= interval;
        n++;
    }
    snprintf(out, cap, "%lld %lld", (long long)n, (long long)(full - b->free_us));
}

void redis_command(struct redis *r, const struct str *args, size_t n_args, redis_fn *done,
                   void *ctx)
{
    assert_int_equal(n_args, 9);
    assert_true(n_calls < CALLS);
    struct call *c = &calls[n_calls++];
    *c = (struct call){.due_us = now_us + r->delay_us, .done = done, .ctx = ctx};
    bool whole = str_eq(args[0], STR("EVAL"));
    r->n_asked++;
    r->n_full_script += whole;
    if (!r->up) {
        c->err = ERR(UNAVAILABLE, "down");
    } else if (r->forgot && !whole) {
        c->err = ERR(FAILED, "reply");
        snprintf(c->text, sizeof c->text, "NOSCRIPT No matching script.");
    } else {
        r->forgot = false;
        run_script(args, c->text, sizeof c->text);
    }
}

/* The next thing that happens until `until_us`. */
static bool happens(int64_t until_us)
{
    struct call *c = NULL;
    struct timer *t = NULL;
    for (size_t i = 0; i < n_calls; i++)
        if (c == NULL || calls[i].due_us < c->due_us)
            c = &calls[i];
    for (size_t i = 0; i < n_timers; i++)
        if (t == NULL || timers[i]->due_us < t->due_us)
            t = timers[i];
    if (c != NULL && c->due_us <= until_us && (t == NULL || c->due_us <= t->due_us)) {
        struct call got = *c;
        *c = calls[--n_calls];
        now_us = got.due_us > now_us ? got.due_us : now_us;
        struct redis_reply reply = {.str = str_c(got.text)};
        got.done(got.ctx, got.err, got.text[0] != '\0' ? &reply : NULL);
        return true;
    }
    if (t == NULL || t->due_us > until_us)
        return false;
    now_us = t->due_us > now_us ? t->due_us : now_us;
    timer_off(NULL, t);
    t->fn(t->ctx);
    return true;
}

static void run_until(int64_t until_us)
{
    while (happens(until_us))
        ;
    now_us = until_us;
}

/* ---- replicas and those who ask ---- */

static struct redis redises[REPLICAS];
static struct flow flows[REPLICAS];
static int n_replicas;
static int64_t admitted, refused, since_us, most_over;
static int64_t ideal, ideal_tat_us; /* one bucket that everybody asks at once */
static struct gcra_rule rule;

struct asker {
    struct throttle_wait wait;
    bool waits;
    int64_t asked_us, took_us;
};

static void begin(int n, struct gcra_rule r)
{
    struct throttle_rules rules = {.of = {[THROTTLE_API] = r, [THROTTLE_ADDRESS] = r}};
    n_replicas = n;
    rule = r;
    memset(shared, 0, sizeof shared);
    n_calls = n_timers = 0;
    admitted = refused = ideal = ideal_tat_us = 0;
    most_over = INT64_MIN;
    now_us = since_us = 1000 * US_PER_S;
    for (int i = 0; i < n; i++) {
        redises[i] = (struct redis){.up = true, .forgot = true, .delay_us = 200};
        flows[i] = (struct flow){.redis = &redises[i], .n_replicas = n};
        assert_int_equal(throttle_new(&flows[i], &rules).code, ERR_NONE);
    }
}

static void finish(void)
{
    run_until(now_us + US_PER_S);
    for (int i = 0; i < n_replicas; i++)
        throttle_free(&flows[i]);
    assert_int_equal(n_timers, 0);
}

static void count(enum throttle_answer answer, const struct throttle_state *s)
{
    int64_t allowed = rule.burst + (now_us - since_us) / rule.interval_us;
    assert_true(s->left >= 0 && s->left <= rule.burst && s->full_us >= 0);
    if (answer == THROTTLE_PASS) {
        admitted++;
        if (admitted - allowed > most_over)
            most_over = admitted - allowed;
    } else {
        refused++;
        assert_true(s->wait_us > 0 && s->left == 0);
    }
}

static void told(void *ctx, enum throttle_answer answer, const struct throttle_state *s)
{
    struct asker *a = ctx;
    assert_true(a->waits && s != NULL);
    a->waits = false;
    a->took_us = now_us - a->asked_us;
    count(answer, s);
}

static enum throttle_answer ask(int replica, const char *who, struct asker *a)
{
    struct throttle_state s;
    *a = (struct asker){.wait = {.done = told, .ctx = a}, .asked_us = now_us};
    enum throttle_answer answer =
        throttle_take(&flows[replica], THROTTLE_API, str_c(who), &s, &a->wait);
    a->waits = answer == THROTTLE_LATER;
    ideal += gcra_take(&rule, &ideal_tat_us, now_us, 1);
    if (!a->waits)
        count(answer, &s);
    return answer;
}

enum { ASKERS = 1 << 16 };
static struct asker askers[ASKERS];
static size_t n_askers;

static uint32_t seed;
static uint32_t roll(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)seed * below >> 32);
}

/* Requests at `rate` a second in all, to random replicas. */
static void demand(int64_t rate, int64_t for_us)
{
    int64_t end_us = now_us + for_us;
    n_askers = 0;
    while (now_us < end_us) {
        run_until(now_us + (int64_t)roll((uint32_t)(2 * US_PER_S / rate) + 1));
        assert_true(n_askers < ASKERS);
        (void)ask((int)roll((uint32_t)n_replicas), "api_key:1", &askers[n_askers++]);
    }
    run_until(now_us + 300 * US_PER_MS);
    for (size_t i = 0; i < n_askers; i++)
        assert_false(askers[i].waits);
}

static int64_t allowance(void)
{
    return rule.burst + (now_us - since_us) / rule.interval_us;
}

/* ---- tests ---- */

static void replicas_together_keep_the_limit(void **state)
{
    (void)state;
    static const struct gcra_rule rules[] = {
        {10000, 200}, {10000, 1}, {1000, 5}, {200, 1000}, {100000, 20}, {3334, 300},
    };
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        for (int n = 1; n <= REPLICAS; n++)
            for (seed = 1; seed < 4; seed++) {
                uint32_t s = seed;
                begin(n, rules[i]);
                int64_t per_s = US_PER_S / rule.interval_us;
                int64_t for_us = per_s > 1000 ? US_PER_S : 5 * US_PER_S;
                demand(per_s * 4 + 20, for_us + rule.burst * rule.interval_us / 3);
                if (most_over > 0 || admitted * 100 < ideal * 95 || refused == 0)
                    fail_msg("rule %zu, %d replicas, seed %u: %lld admitted, %lld over, %lld due",
                             i, n, s, (long long)admitted, (long long)most_over, (long long)ideal);
                finish();
                seed = s;
            }
}

/* Who asks for less than the limit is never refused, however it is spread. */
static void below_the_limit_all_pass(void **state)
{
    (void)state;
    for (int percent = 30; percent <= 90; percent += 20)
        for (int n = 1; n <= REPLICAS; n++) {
            seed = (uint32_t)(percent + n);
            begin(n, (struct gcra_rule){2000, 100});
            demand(500 * percent / 100, 20 * US_PER_S);
            if (refused > 0)
                fail_msg("%d %%, %d replicas: %lld refused", percent, n, (long long)refused);
            finish();
        }
}

static void a_busy_key_seldom_waits(void **state)
{
    (void)state;
    int waited = 0;
    seed = 7;
    begin(2, (struct gcra_rule){50, 10000});
    demand(10000, 2 * US_PER_S);
    for (size_t i = 0; i < n_askers; i++)
        waited += askers[i].took_us > 0;
    int asked = redises[0].n_asked + redises[1].n_asked;
    assert_int_equal(refused, 0);
    assert_true(waited * 50 < (int)n_askers);
    assert_true(asked * 20 < (int)n_askers);
    assert_int_equal(redises[0].n_full_script, 1); /* then by its hash */
    finish();
}

static void what_is_not_spent_goes_back(void **state)
{
    (void)state;
    struct asker a;
    begin(2, (struct gcra_rule){US_PER_S, 100});
    for (int i = 0; i < 40; i++) { /* demand that makes a replica lease ahead */
        assert_int_not_equal(ask(0, "api_key:1", &a), THROTTLE_STOP);
        run_until(now_us + US_PER_MS);
    }
    assert_int_equal(admitted, 40);
    run_until(now_us + 300 * US_PER_MS);
    for (int i = 0; i < 60; i++) {
        assert_int_not_equal(ask(1, "api_key:1", &a), THROTTLE_STOP);
        run_until(now_us + 10);
        if (a.waits)
            run_until(now_us + US_PER_MS);
    }
    assert_int_equal(admitted, 100);
    assert_int_equal(refused, 0);
    finish();
}

static void an_empty_bucket_is_not_asked_for_again(void **state)
{
    (void)state;
    struct asker a;
    begin(1, (struct gcra_rule){US_PER_S, 1});
    assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_LATER);
    run_until(now_us + US_PER_MS);
    assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_LATER);
    run_until(now_us + US_PER_MS);
    assert_int_equal(refused, 1);
    int asked = redises[0].n_asked;
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_STOP);
    assert_int_equal(redises[0].n_asked, asked);
    struct throttle_state s;
    assert_false(throttle_is_shut(&flows[0], THROTTLE_ADDRESS, STR("api_key:1"), &s));
    assert_true(throttle_is_shut(&flows[0], THROTTLE_API, STR("api_key:1"), &s));
    assert_true(s.wait_us > 990 * US_PER_MS && s.wait_us <= US_PER_S);
    run_until(now_us + s.wait_us);
    assert_false(throttle_is_shut(&flows[0], THROTTLE_API, STR("api_key:1"), &s));
    assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_LATER);
    run_until(now_us + US_PER_MS);
    assert_int_equal(admitted, 2);
    finish();
}

static void without_redis_shares_keep_the_limit(void **state)
{
    (void)state;
    for (int n = 1; n <= REPLICAS; n++) {
        seed = (uint32_t)n;
        begin(n, (struct gcra_rule){5000, 60});
        for (int i = 0; i < n; i++)
            redises[i].up = false;
        demand(1000, 5 * US_PER_S);
        assert_true(most_over <= 0);
        assert_true(admitted * 100 >= (allowance() - 60) * 95);
        for (int i = 0; i < n; i++)
            assert_int_equal(redises[i].n_asked, 0);
        finish();
    }
}

/* It goes away, comes back empty, and is slow in between. */
static void redis_that_comes_and_goes(void **state)
{
    (void)state;
    for (seed = 1; seed < 20; seed++) {
        uint32_t s = seed;
        begin(2, (struct gcra_rule){2000, 50});
        for (int phase = 0; phase < 12; phase++) {
            int kind = (int)roll(4);
            for (int i = 0; i < 2; i++) {
                redises[i].up = kind != 0;
                redises[i].delay_us = kind == 1 ? 60 * US_PER_MS : 200;
                redises[i].forgot = kind == 2;
            }
            if (kind == 2)
                memset(shared, 0, sizeof shared);
            demand(2500, 400 * US_PER_MS);
        }
        /* an outage may cost a share of the burst, once per change */
        if (most_over > 50 || admitted * 100 < (allowance() - 12 * 150) * 90)
            fail_msg("seed %u: %lld admitted of %lld, %lld over", s, (long long)admitted,
                     (long long)allowance(), (long long)most_over);
        finish();
        seed = s;
    }
}

static void nobody_waits_longer_than_the_deadline(void **state)
{
    (void)state;
    struct asker a[50];
    begin(2, (struct gcra_rule){10000, 40});
    redises[0].delay_us = 240 * US_PER_MS;
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask(0, "api_key:1", &a[i]), THROTTLE_LATER);
    run_until(now_us + 21 * US_PER_MS);
    for (int i = 0; i < 50; i++) {
        assert_false(a[i].waits);
        assert_true(a[i].took_us <= 20 * US_PER_MS);
    }
    assert_int_equal(admitted, 20);      /* half of the burst */
    run_until(now_us + 250 * US_PER_MS); /* the cells that came late pay for them */
    redises[0].delay_us = 200;
    demand(2000, US_PER_S);
    assert_true(most_over <= 0);
    finish();
}

static void redis_that_answers_rubbish(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "1", "a b", "-1 5", "1 -5", "1 ", "1 2 3", " 1 2"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct asker a;
        begin(2, (struct gcra_rule){10000, 10});
        assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_LATER);
        snprintf(calls[0].text, sizeof calls[0].text, "%s", texts[i]);
        if (texts[i][0] == '\0')
            calls[0].err = ERR(FAILED, "an array");
        run_until(now_us + US_PER_MS);
        assert_int_equal(admitted, 1);
        assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_PASS); /* not asked again at once */
        finish();
    }
}

/* Many that come once do not push out what they have in common: a class has its own memory. */
static void hostile_keys(void **state)
{
    (void)state;
    struct asker a;
    struct throttle_wait w = {.done = told, .ctx = &a};
    struct throttle_state s;
    begin(1, (struct gcra_rule){US_PER_S, 1});
    redises[0].up = false;
    assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_PASS);
    for (int i = 0; i < 100000; i++) {
        char who[128];
        snprintf(who, sizeof who, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(throttle_take(&flows[0], THROTTLE_ADDRESS, str_c(who), &s, &w),
                         THROTTLE_PASS);
    }
    assert_int_equal(ask(0, "api_key:1", &a), THROTTLE_STOP);
    assert_true(throttle_is_shut(&flows[0], THROTTLE_ADDRESS, STR("10.1.134.159"), &s));
    assert_false(
        throttle_is_shut(&flows[0], THROTTLE_ADDRESS, STR("10.0.0.0"), &s)); /* forgotten */
    char longest[300];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(throttle_take(&flows[0], THROTTLE_ADDRESS, str_n(longest, 300), &s, &w),
                     THROTTLE_PASS);
    assert_int_equal(throttle_take(&flows[0], THROTTLE_ADDRESS, str_n(longest, 63), &s, &w),
                     THROTTLE_STOP);
    finish();
}

static void what_has_no_limit_passes(void **state)
{
    (void)state;
    struct asker a;
    struct throttle_wait w = {.done = told, .ctx = &a};
    struct throttle_state s;
    struct flow bare = {0};
    assert_int_equal(throttle_take(&bare, THROTTLE_API, STR("x"), &s, &w), THROTTLE_PASS);
    assert_true(gcra_is_off(&s.rule));
    begin(1, (struct gcra_rule){US_PER_S, 1});
    for (int i = 0; i < 10; i++)
        assert_int_equal(throttle_take(&flows[0], THROTTLE_LOGIN, STR("x"), &s, &w), THROTTLE_PASS);
    assert_true(gcra_is_off(&s.rule));
    assert_false(throttle_is_shut(&flows[0], THROTTLE_LOGIN, STR("x"), &s));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_together_keep_the_limit),
        cmocka_unit_test(below_the_limit_all_pass),
        cmocka_unit_test(a_busy_key_seldom_waits),
        cmocka_unit_test(what_is_not_spent_goes_back),
        cmocka_unit_test(an_empty_bucket_is_not_asked_for_again),
        cmocka_unit_test(without_redis_shares_keep_the_limit),
        cmocka_unit_test(redis_that_comes_and_goes),
        cmocka_unit_test(nobody_waits_longer_than_the_deadline),
        cmocka_unit_test(redis_that_answers_rubbish),
        cmocka_unit_test(hostile_keys),
        cmocka_unit_test(what_has_no_limit_passes),
    };
    if (err_is(crypto_open()))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_close();
    return failed;
}
