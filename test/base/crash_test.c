/* core/base/crash.c: the list of points, and that a process dies at the visit that was asked for,
 * in builds that have points, and nowhere in a release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/attr.h"
#include "core/base/crash.h"
#include "test/base/child.h"

static void the_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRASH_N_POINTS; i++) {
        const char *name = crash_point_name(i);
        const char *dot = strchr(name, '.');
        assert_true(dot != NULL && dot != name && dot[1] != '\0');
        assert_null(strchr(name, ':')); /* parts it from the number */
        assert_true(crash_point_where(i)[0] != '\0');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(name, crash_point_name(k));
    }
    assert_string_equal(crash_point_name(CRASH_CHARGE_SENT), "charge.sent");
#ifdef RELI_CRASH_POINTS
    assert_int_equal(crash_n_points(), CRASH_N_POINTS);
#else
    assert_int_equal(crash_n_points(), 0);
#endif
}

/* Visits all points three times and writes a letter after each visit of charge.sent. */
static void visit(int fd, const void *arg)
{
    if (arg != NULL)
        (void)setenv("RELI_CRASH_AT", arg, 1);
    else
        (void)unsetenv("RELI_CRASH_AT");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CRASH_N_POINTS; i++) {
            crash_point((enum crash_point)i);
            if (i == CRASH_CHARGE_SENT && write(fd, "x", 1) != 1)
                _exit(1);
        }
    }
}

static void deaths(void **state)
{
    (void)state;
    static const struct {
        const char *at;
        const char *seen; /* of charge.sent */
        bool dies;
    } cases[] = {
        {NULL, "xxx", false},
        {"", "xxx", false},
        {"no.such", "xxx", false},
        {"charge.sen", "xxx", false},
        {"charge.sent", "", true},
        {"charge.sent:1", "", true},
        {"charge.sent:2", "x", true},
        {"charge.sent:3", "xx", true},
        {"charge.sent:4", "xxx", false},
        {"charge.sent:x", "", true}, /* no number is one */
        {"charge.sent:0", "", true},
        {"charge.reserved", "", true}, /* stands before it in a round */
        {"charge.recorded:2", "xx", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[16];
        int status = child_run(visit, cases[i].at, out, sizeof out);
#ifdef RELI_CRASH_POINTS
        const char *seen = cases[i].seen;
        bool dies = cases[i].dies;
#else
        const char *seen = "xxx";
        bool dies = false;
#endif
        assert_string_equal(out, seen);
        if (dies)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list),
        cmocka_unit_test(deaths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
