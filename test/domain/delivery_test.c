/* core/domain/delivery.c: every state, every HTTP status, every try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/attr.h"
#include "core/base/times.h"
#include "core/domain/delivery.h"

#define NOW (INT64_C(1700000000) * US_PER_S)
#define HALF (UINT32_C(1) << 31) /* the middle of the jitter: none */

static struct delivery_rules rules;

static int setup(void **state)
{
    (void)state;
    memset(&rules, 0xff, sizeof rules);
    delivery_rules_default(&rules);
    return 0;
}

static void defaults(void **state)
{
    (void)state;
    static const int64_t minutes[] = {1, 5, 15, 60, 360};
    int64_t sum = 0;
    assert_int_equal(rules.waits.n, COUNT_OF(minutes));
    for (size_t i = 0; i < COUNT_OF(minutes); i++) {
        assert_int_equal(rules.waits.wait_us[i], minutes[i] * US_PER_MIN);
        sum += rules.waits.wait_us[i];
    }
    assert_int_equal(sum, 7 * US_PER_HOUR + 21 * US_PER_MIN); /* domain.md, section 3 */
    assert_int_equal(rules.lease_us, 60 * US_PER_S);
    assert_int_equal(rules.retry_after_max_us, 24 * US_PER_HOUR);
}

static void words(void **state)
{
    (void)state;
    static const struct {
        enum delivery_status s;
        const char *word;
        bool final;
    } all[] = {
        {DELIVERY_SCHEDULED, "scheduled", false},
        {DELIVERY_SENDING, "sending", false},
        {DELIVERY_RETRY, "retry", false},
        {DELIVERY_DELIVERED, "delivered", true},
        {DELIVERY_DEAD, "dead", true},
        {DELIVERY_CANCELLED, "cancelled", true},
    };
    assert_int_equal(COUNT_OF(all), DELIVERY_N_STATES);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        enum delivery_status s = DELIVERY_N_STATES;
        assert_string_equal(delivery_status_word(all[i].s), all[i].word);
        assert_true(delivery_status_parse(str_c(all[i].word), &s));
        assert_int_equal(s, all[i].s);
        assert_int_equal(delivery_status_final(all[i].s), all[i].final);
    }
    static const char *const none[] = {"", "Scheduled", "sent", "deadly", "dea"};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        enum delivery_status s;
        assert_false(delivery_status_parse(str_c(none[i]), &s));
    }
}

static void moves(void **state)
{
    (void)state;
    static const char *const allowed[] = {
        "scheduled>sending", "scheduled>cancelled", "sending>sending",
        "sending>retry",     "sending>delivered",   "sending>dead",
        "sending>cancelled", "retry>sending",       "retry>cancelled",
    };
    for (int from = 0; from < DELIVERY_N_STATES; from++) {
        for (int to = 0; to < DELIVERY_N_STATES; to++) {
            char move[64] = "";
            strcat(move, delivery_status_word((enum delivery_status)from));
            strcat(move, ">");
            strcat(move, delivery_status_word((enum delivery_status)to));
            bool found = false;
            for (size_t i = 0; i < COUNT_OF(allowed); i++)
                found = found || strcmp(allowed[i], move) == 0;
            assert_int_equal(
                delivery_may_move((enum delivery_status)from, (enum delivery_status)to), found);
        }
    }
}

static void take(void **state)
{
    (void)state;
    static const struct {
        enum delivery_status from;
        int64_t next_at_us;
        bool taken;
    } cases[] = {
        {DELIVERY_SCHEDULED, 0, true},       {DELIVERY_SCHEDULED, NOW, true},
        {DELIVERY_SCHEDULED, NOW + 1, true}, /* when it is due is the job's business */
        {DELIVERY_RETRY, NOW, true},         {DELIVERY_RETRY, NOW + 1, true},
        {DELIVERY_SENDING, NOW + 1, false},  {DELIVERY_SENDING, NOW, true},
        {DELIVERY_SENDING, NOW - 1, true},   {DELIVERY_DELIVERED, TIME_NEVER, false},
        {DELIVERY_DEAD, TIME_NEVER, false},  {DELIVERY_CANCELLED, TIME_NEVER, false},
        {DELIVERY_DELIVERED, 0, false},      {DELIVERY_DEAD, 0, false},
        {DELIVERY_CANCELLED, 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct delivery d = {cases[i].from, 3, cases[i].next_at_us}, before = d;
        struct err err = delivery_take(&d, &rules, NOW);
        if (cases[i].taken) {
            assert_int_equal(err.code, ERR_NONE);
            assert_int_equal(d.status, DELIVERY_SENDING);
            assert_int_equal(d.tries, 4);
            assert_int_equal(d.next_at_us, NOW + rules.lease_us);
        } else {
            assert_int_equal(err.code, ERR_INVALID_STATE);
            assert_true(d.status == before.status && d.tries == before.tries &&
                        d.next_at_us == before.next_at_us);
        }
    }
}

/* What the table of webhooks-out.md says of one answer. */
static void check_answer(int http, int tries, bool gone)
{
    struct delivery d = {DELIVERY_SENDING, tries, NOW + 1};
    struct delivery_outcome o = {http, -1, gone, HALF};
    struct delivery_effects fx;
    memset(&fx, 0xff, sizeof fx);
    assert_int_equal(delivery_done(&d, &rules, &o, NOW, &fx).code, ERR_NONE);
    bool ok = http / 100 == 2, cancelled = !ok && gone, gone_for_good = !ok && !gone && http == 410;
    bool used_up = tries > 5;
    enum delivery_status expected = ok                         ? DELIVERY_DELIVERED
                                    : cancelled                ? DELIVERY_CANCELLED
                                    : gone_for_good || used_up ? DELIVERY_DEAD
                                                               : DELIVERY_RETRY;
    assert_int_equal(d.status, expected);
    assert_true(delivery_may_move(DELIVERY_SENDING, expected));
    assert_int_equal(fx.succeeded, ok);
    assert_int_equal(fx.failed, !ok && !cancelled);
    assert_int_equal(fx.disable_endpoint, gone_for_good);
    assert_int_equal(d.tries, cancelled && http == 0 ? tries - 1 : tries);
    if (expected == DELIVERY_RETRY)
        assert_int_equal(d.next_at_us, NOW + rules.waits.wait_us[tries - 1]);
    else
        assert_int_equal(d.next_at_us, TIME_NEVER);
}

static void every_answer(void **state)
{
    (void)state;
    for (int http = 0; http < 1000; http++)
        for (int tries = 1; tries <= 8; tries++)
            for (int gone = 0; gone < 2; gone++)
                check_answer(http, tries, gone == 1);
}

static void done_only_while_sending(void **state)
{
    (void)state;
    for (int s = 0; s < DELIVERY_N_STATES; s++) {
        for (int http = 0; http <= 500; http += 100) {
            struct delivery d = {(enum delivery_status)s, 1, NOW}, before = d;
            struct delivery_outcome o = {http, -1, false, 0};
            struct delivery_effects fx;
            memset(&fx, 0xff, sizeof fx);
            struct err err = delivery_done(&d, &rules, &o, NOW, &fx);
            if (s == DELIVERY_SENDING) {
                assert_int_equal(err.code, ERR_NONE);
                continue;
            }
            assert_int_equal(err.code, ERR_INVALID_STATE);
            assert_false(fx.failed || fx.succeeded || fx.disable_endpoint);
            assert_true(d.status == before.status && d.tries == before.tries &&
                        d.next_at_us == before.next_at_us);
        }
    }
}

static int64_t wait_after(int http, int tries, int64_t retry_after_s, uint32_t random)
{
    struct delivery d = {DELIVERY_SENDING, tries, NOW};
    struct delivery_outcome o = {http, retry_after_s, false, random};
    struct delivery_effects fx;
    assert_int_equal(delivery_done(&d, &rules, &o, NOW, &fx).code, ERR_NONE);
    assert_int_equal(d.status, DELIVERY_RETRY);
    return d.next_at_us - NOW;
}

static void jitter_is_a_fifth_both_ways(void **state)
{
    (void)state;
    for (int tries = 1; tries <= 5; tries++) {
        int64_t wait = rules.waits.wait_us[tries - 1], fifth = wait / 5, before = 0;
        assert_int_equal(wait_after(500, tries, -1, 0), wait - fifth);
        assert_int_equal(wait_after(500, tries, -1, HALF), wait);
        int64_t most = wait_after(500, tries, -1, UINT32_MAX);
        assert_true(most <= wait + fifth && most > wait + fifth - wait / 1000);
        for (uint32_t step = 0; step < 256; step++) {
            int64_t us = wait_after(500, tries, -1, step << 24);
            assert_true(us > before); /* 256 different waits, evenly */
            before = us;
        }
    }
    /* short waits have theirs too; the longest that a schedule can have does not overflow */
    rules.waits = (struct schedule){2, {1000, 3650 * US_PER_DAY}};
    assert_int_equal(wait_after(0, 1, -1, 0), 800);
    assert_int_equal(wait_after(0, 1, -1, HALF), 1000);
    assert_int_equal(wait_after(0, 1, -1, UINT32_MAX), 1199);
    int64_t ten_years = 3650 * US_PER_DAY, most = wait_after(0, 2, -1, UINT32_MAX);
    assert_true(most > ten_years + ten_years / 6 && most <= ten_years + ten_years / 5);
}

static void retry_after_is_not_before(void **state)
{
    (void)state;
    static const struct {
        int http, tries;
        int64_t retry_after_s, wait_s;
    } cases[] = {
        {429, 1, 300, 300},     {503, 1, 300, 300},         {500, 1, 300, 300},
        {429, 1, 59, 60}, /* sooner than the schedule: the schedule */
        {429, 1, 60, 60},       {429, 1, 61, 61},           {429, 1, 0, 60},
        {429, 1, -1, 60},       {429, 1, -2, 60},           {429, 1, INT64_MIN, 60},
        {429, 5, 300, 21600},   {429, 1, 86399, 86399},     {429, 1, 86400, 86400},
        {429, 1, 86401, 86400}, {429, 1, INT64_MAX, 86400}, {0, 1, 300, 60}, /* nobody has spoken */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(wait_after(cases[i].http, cases[i].tries, cases[i].retry_after_s, HALF),
                         cases[i].wait_s * US_PER_S);
    /* the jitter never makes it earlier than asked */
    assert_int_equal(wait_after(429, 1, 60, 0), 60 * US_PER_S);
    assert_true(wait_after(429, 1, 60, UINT32_MAX) > 60 * US_PER_S);
    /* it prolongs nothing that is used up, and changes nothing of a success */
    struct delivery d = {DELIVERY_SENDING, 6, NOW};
    struct delivery_effects fx;
    assert_false(
        err_is(delivery_done(&d, &rules, &(struct delivery_outcome){503, 60, false, 0}, NOW, &fx)));
    assert_int_equal(d.status, DELIVERY_DEAD);
    d = (struct delivery){DELIVERY_SENDING, 1, NOW};
    assert_false(
        err_is(delivery_done(&d, &rules, &(struct delivery_outcome){200, 60, false, 0}, NOW, &fx)));
    assert_int_equal(d.status, DELIVERY_DELIVERED);
}

/* From the first try to the last, with a process that dies in the middle. */
static void a_whole_life(void **state)
{
    (void)state;
    struct delivery d = {DELIVERY_SCHEDULED, 0, NOW};
    struct delivery_effects fx;
    int64_t now = NOW;
    int requests = 0;
    while (!delivery_status_final(d.status)) {
        assert_false(err_is(delivery_take(&d, &rules, now)));
        requests++;
        assert_int_equal(d.tries, requests);
        if (requests == 3) { /* nobody ever says what became of it */
            assert_true(err_is(delivery_take(&d, &rules, now + rules.lease_us - 1)));
            now += rules.lease_us;
            continue;
        }
        struct delivery_outcome o = {500, -1, false, HALF};
        assert_false(err_is(delivery_done(&d, &rules, &o, now, &fx)));
        if (!delivery_status_final(d.status))
            now = d.next_at_us;
    }
    assert_int_equal(requests, 6);
    assert_int_equal(d.status, DELIVERY_DEAD);
    assert_true(err_is(delivery_take(&d, &rules, TIME_NEVER)));
    /* the lost try takes the place of one with its wait of 15 minutes */
    assert_int_equal(now - NOW,
                     7 * US_PER_HOUR + 21 * US_PER_MIN - 15 * US_PER_MIN + rules.lease_us);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(words),
        TEST(moves),
        TEST(take),
        TEST(every_answer),
        TEST(done_only_while_sending),
        TEST(jitter_is_a_fifth_both_ways),
        TEST(retry_after_is_not_before),
        TEST(a_whole_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
