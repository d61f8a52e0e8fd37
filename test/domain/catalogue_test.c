/* Failures and schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/times.h"
#include "core/domain/failure.h"
#include "core/domain/schedule.h"

static void failures(void **state)
{
    (void)state;
    for (int i = 0; i < FAILURE_N_CODES; i++) {
        enum failure_code code = (enum failure_code)i;
        assert_int_equal(failure_parse(str_c(failure_word(code))), code);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(failure_word(code), failure_word((enum failure_code)k));
        if (code != FAILURE_NONE) {
            assert_true(failure_message(code)[0] != '\0');
            assert_true(failure_advice_word(code)[0] != '\0');
        }
    }
    assert_int_equal(failure_parse(STR("no_such")), FAILURE_NONE);
    assert_int_equal(failure_parse(STR("WRONG_PIN")), FAILURE_NONE);
    assert_int_equal(failure_parse(STR_NULL), FAILURE_NONE);
    /* contract.md, section 4 */
    static const char *const promised[] = {"insufficient_funds",
                                           "wrong_pin",
                                           "cancelled_by_customer",
                                           "customer_timeout",
                                           "customer_unreachable",
                                           "limit_exceeded",
                                           "duplicate",
                                           "provider_unavailable",
                                           "provider_error",
                                           "configuration",
                                           "declined"};
    for (size_t i = 0; i < COUNT_OF(promised); i++)
        assert_int_not_equal(failure_parse(str_c(promised[i])), FAILURE_NONE);
    static const char *const advice[] = {"do_not_retry", "retry_now", "retry_later",
                                         "use_other_method", "fix_configuration"};
    for (int i = 1; i < FAILURE_N_CODES; i++) {
        bool known = false;
        for (size_t k = 0; k < COUNT_OF(advice); k++)
            known |= str_eq(str_c(failure_advice_word((enum failure_code)i)), str_c(advice[k]));
        assert_true(known);
    }
    /* nobody may be told to pay again while the outcome is open */
    assert_int_equal(failure_advice(FAILURE_UNKNOWN_OUTCOME), ADVICE_DO_NOT_RETRY);
    assert_int_equal(failure_advice(FAILURE_INTEGRITY), ADVICE_DO_NOT_RETRY);
}

static void schedules_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int n; /* 0: refused */
    } cases[] = {
        {"1m,5m,15m,1h,6h", 5},
        {"15s", 1},
        {" 1m , 5m ", 2},
        {"1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", 24},
        {"1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", 0},
        {"", 0},
        {",", 0},
        {"1m,", 0},
        {",1m", 0},
        {"0s", 0},
        {"1m,0s", 0},
        {"1m;5m", 0},
        {"1", 0},
        {"-1s", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct schedule s = {.n = 77};
        assert_int_equal(schedule_parse(str_c(cases[i].text), &s), cases[i].n > 0);
        assert_int_equal(s.n, cases[i].n > 0 ? cases[i].n : 77);
    }
    struct schedule s;
    assert_false(schedule_parse(STR_NULL, &s));
    assert_true(schedule_parse(STR("1m,5m"), &s));
    assert_int_equal(schedule_wait_us(&s, 0), US_PER_MIN);
    assert_int_equal(schedule_wait_us(&s, 1), 5 * US_PER_MIN);
    assert_true(schedule_wait_us(&s, 2) == TIME_NEVER);
    assert_int_equal(schedule_wait_or_last_us(&s, 1), 5 * US_PER_MIN);
    assert_int_equal(schedule_wait_or_last_us(&s, 2), 5 * US_PER_MIN);
    assert_int_equal(schedule_wait_or_last_us(&s, 1000), 5 * US_PER_MIN);
}

/* It read the wait before the first. */
static void an_empty_schedule_never_comes(void **state)
{
    (void)state;
    const struct schedule none = {0};
    assert_true(schedule_wait_us(&none, 0) == TIME_NEVER);
    assert_true(schedule_wait_or_last_us(&none, 0) == TIME_NEVER);
    assert_true(schedule_wait_or_last_us(&none, 5) == TIME_NEVER);
}

static void jitter(void **state)
{
    (void)state;
    static const int64_t waits[] = {
        1, 9, 10, 15 * US_PER_S, 300 * US_PER_S, US_PER_DAY, 3660 * US_PER_DAY};
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        int64_t tenth = waits[i] / 10, last = 0;
        for (uint32_t r = 0; r < 0xff000000u; r += 0x00ffffffu) {
            int64_t us = schedule_jitter_us(waits[i], r);
            assert_true(us >= waits[i] - tenth && us <= waits[i] + tenth);
            assert_true(us >= last && us > 0);
            last = us;
        }
        assert_true(schedule_jitter_us(waits[i], 0) == waits[i] - tenth);
        assert_true(schedule_jitter_us(waits[i], 0x80000000u) ==
                    waits[i]); /* the middle is exact */
        int64_t top = schedule_jitter_us(waits[i], UINT32_MAX);
        assert_true(top <= waits[i] + tenth && top >= waits[i] + tenth - tenth / 30000 - 1);
    }
    assert_true(schedule_jitter_us(TIME_NEVER, 0) == TIME_NEVER);
    assert_true(schedule_jitter_us(TIME_NEVER, UINT32_MAX) == TIME_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures),
        cmocka_unit_test(schedules_parse),
        cmocka_unit_test(an_empty_schedule_never_comes),
        cmocka_unit_test(jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
