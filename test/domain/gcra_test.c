/* Limits on requests: the grammar, and every pattern of arrivals in a small time against the
 * definition (in no span of time more than burst + span / interval). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/domain/gcra.h"

static void texts_that_are_rules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct gcra_rule want;
    } cases[] = {
        {"0", {0, 0}},
        {"100/s burst 200", {10000, 200}},
        {"100/s", {10000, 100}},
        {"1/s burst 1", {1000000, 1}},
        {"300/s", {3334, 300}},
        {"50000/s burst 1000000", {20, 1000000}},
        {"10/m", {6000000, 10}},
        {"7/m burst 2", {8571429, 2}},
        {"1/h", {3600000000, 1}},
        {"1000000/h", {3600, 1000000}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gcra_rule r;
        if (!gcra_parse(str_c(cases[i].text), &r) || r.interval_us != cases[i].want.interval_us ||
            r.burst != cases[i].want.burst)
            fail_msg("%s", cases[i].text);
        assert_int_equal(gcra_is_off(&r), i == 0);
    }
}

static void texts_that_are_none(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "/s",
        "100",
        "100/",
        "0/s",
        "-1/s",
        "1.5/s",
        "100/d",
        "100/ms",
        "100/S",
        "50001/s",
        "1000001/h",
        "100 /s",
        " 100/s",
        "100/s ",
        "100/s burst",
        "100/s burst ",
        "00",
        "100/s  burst 2",
        "100/s burst 0",
        "100/s burst -1",
        "100/s burst 1000001",
        "100/s burst 2 ",
        "100/s burst 2 2",
        "100/s Burst 2",
        "100/s,burst 2",
        "off",
        "99999999999999999999/s",
        "100/s burst 99999999999999999999",
        "100/s\n",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gcra_rule r = {1, 1};
        if (gcra_parse(str_c(cases[i]), &r))
            fail_msg("\"%s\"", cases[i]);
        assert_true(gcra_is_off(&r));
    }
}

/* Whether one more at `now` keeps every span that ends there within the rule. */
static bool definition(const struct gcra_rule *r, const int *admitted, int now)
{
    int n = 1;
    for (int from = now; from >= 0; from--) {
        n += admitted[from];
        if (n > r->burst + (now - from) / r->interval_us)
            return false;
    }
    return true;
}

enum { TICKS = 13 };

static void every_pattern_of_arrivals(void **state)
{
    (void)state;
    int refused = 0;
    for (int rule = 0; rule < 16; rule++) {
        struct gcra_rule r = {1 + rule % 4, 1 + rule / 4};
        for (int pattern = 0; pattern < 1 << TICKS; pattern++) {
            int admitted[TICKS] = {0};
            int64_t tat = 0;
            for (int now = 0; now < TICKS; now++) {
                int asked = (pattern >> now & 1) != 0 ? 2 : 0;
                for (int i = 0; i < asked; i++) {
                    bool want = definition(&r, admitted, now);
                    assert_int_equal(gcra_left(&r, tat, now) > 0, want);
                    assert_int_equal(gcra_wait_us(&r, tat, now) == 0, want);
                    assert_int_equal(gcra_take(&r, &tat, now, 1), want);
                    admitted[now] += want;
                    refused += !want;
                }
            }
        }
    }
    assert_true(refused > 0);
}

static void many_at_once_are_one_after_the_other(void **state)
{
    (void)state;
    for (int64_t burst = 1; burst < 6; burst++)
        for (int64_t tat = -3; tat < 20; tat++)
            for (int64_t n = 0; n < 8; n++) {
                struct gcra_rule r = {3, burst};
                int64_t together = tat, single = tat, left = gcra_left(&r, tat, 1), n_single = 0;
                int64_t took = gcra_take(&r, &together, 1, n);
                for (int64_t i = 0; i < n; i++)
                    n_single += gcra_take(&r, &single, 1, 1);
                assert_int_equal(took, n_single);
                assert_int_equal(took, n < left ? n : left);
                assert_int_equal(gcra_left(&r, together, 1), left - took);
                if (n > 0)
                    assert_int_equal(together, single);
            }
}

static void the_wait_is_exact(void **state)
{
    (void)state;
    for (int64_t burst = 1; burst < 5; burst++)
        for (int64_t tat = 0; tat < 30; tat++) {
            struct gcra_rule r = {4, burst};
            int64_t wait = gcra_wait_us(&r, tat, 5);
            assert_true(gcra_left(&r, tat, 5 + wait) >= 1);
            if (wait > 0)
                assert_int_equal(gcra_left(&r, tat, 5 + wait - 1), 0);
        }
}

static void shares_are_no_more_than_the_whole(void **state)
{
    (void)state;
    for (int n = 1; n <= 7; n++)
        for (int64_t burst = 1; burst < 30; burst++)
            for (int64_t tat = 0; tat < 200; tat += 7) {
                struct gcra_rule r = {5, burst}, share = gcra_share(&r, n);
                int64_t sum = 0;
                for (int i = 0; i < n; i++) {
                    int64_t own = tat;
                    sum += gcra_take(&share, &own, 0, burst);
                }
                assert_int_equal(share.interval_us, 5 * n);
                assert_true(sum <= gcra_left(&r, tat, 0) || burst < n);
                assert_true(share.burst >= 1);
                if (n == 1)
                    assert_int_equal(sum, gcra_left(&r, tat, 0));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_rules),
        cmocka_unit_test(texts_that_are_none),
        cmocka_unit_test(every_pattern_of_arrivals),
        cmocka_unit_test(many_at_once_are_one_after_the_other),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(shares_are_no_more_than_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
