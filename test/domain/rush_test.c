/* Crowded moments, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/attr.h"
#include "core/domain/rush.h"

enum { MOMENTS = 8 };

struct row {
    const char *name;
    int64_t met_ms[MOMENTS]; /* crowded moments, 0 ends; the first is at 1 */
    int64_t at_ms;
    bool on;
};

static const struct row rows[] = {
    {"none yet", {0}, 1, false},
    {"at once", {1}, 1, true},
    {"for a moment", {1}, 51, true},
    {"and no longer", {1}, 52, false},
    {"from moment to moment", {1, 51, 101}, 151, true},
    {"after a calm another begins", {1, 5000}, 5050, true},
    {"which is no longer either", {1, 5000}, 5051, false},
};

static void moments(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rush r = {0};
        for (size_t k = 0; k < MOMENTS && rows[i].met_ms[k] > 0; k++)
            rush_met(&r, rows[i].met_ms[k] * 1000);
        if (rush_is_on(&r, rows[i].at_ms * 1000) != rows[i].on)
            fail_msg("%s", rows[i].name);
    }
}

/* What is crowded for a minute is a rush for its first five seconds; then there has to be a calm.
 */
static void seconds(void **state)
{
    (void)state;
    struct rush r = {0};
    int64_t on_us = 0, step_us = 10000, minute_us = 60000000;
    for (int64_t now = step_us; now <= minute_us; now += step_us) {
        rush_met(&r, now);
        on_us += rush_is_on(&r, now) ? step_us : 0;
    }
    assert_int_equal(on_us, 5000000 + step_us);
    assert_false(rush_is_on(&r, minute_us + 51000));
    rush_met(&r, minute_us + 51000);
    assert_true(rush_is_on(&r, minute_us + 51000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments),
        cmocka_unit_test(seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
