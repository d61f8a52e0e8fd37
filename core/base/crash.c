/* Dies on demand. See crash.h. */
#include "core/base/crash.h"

#include "core/base/attr.h"
#include "core/base/str.h"

static const struct {
    const char *name, *where;
} points[] = {
#define X(name, word, where) {word, where},
#include "core/base/crash_points.h"
#undef X
};

const char *crash_point_name(size_t i)
{
    ASSERT(i < COUNT_OF(points));
    return points[i].name;
}

const char *crash_point_where(size_t i)
{
    ASSERT(i < COUNT_OF(points));
    return points[i].where;
}

#ifdef RELI_CRASH_POINTS
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

size_t crash_n_points(void)
{
    return COUNT_OF(points);
}

void crash_point(enum crash_point point)
{
    static int64_t left[CRASH_N_POINTS]; /* visits still to pass; 0: not asked for */
    static bool read_env;
    if (!read_env) {
        read_env = true;
        struct str want = str_c(getenv("RELI_CRASH_AT")), name;
        if (str_split(&want, ':', &name)) {
            int64_t nth = 1;
            if (want.p != NULL && (!str_to_i64(want, &nth) || nth < 1))
                nth = 1;
            for (size_t i = 0; i < COUNT_OF(points); i++)
                if (str_eq(name, str_c(points[i].name)))
                    left[i] = nth;
        }
    }
    if (left[point] > 0 && --left[point] == 0)
        (void)kill(getpid(), SIGKILL);
}
#else
size_t crash_n_points(void)
{
    return 0;
}
#endif
