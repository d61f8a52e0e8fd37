#ifndef RELI_BASE_CRASH_H
#define RELI_BASE_CRASH_H

#include <stddef.h>

/* Named points at which a test build can be made to die as if by kill -9, to prove that nothing is
 * lost there: RELI_CRASH_AT=<point>[:n] stops at the n-th visit (default 1). The list is
 * crash_points.h; `reli version --crash-points` prints it. Release builds contain none of this. */
enum crash_point {
#define X(name, word, where) CRASH_##name,
#include "core/base/crash_points.h"
#undef X
    CRASH_N_POINTS
};

#ifdef RELI_CRASH_POINTS
void crash_point(enum crash_point point);
#else
static inline void crash_point(enum crash_point point)
{
    (void)point;
}
#endif

/* Number of points in this build: 0 in a release. */
size_t crash_n_points(void);
const char *crash_point_name(size_t i);
const char *crash_point_where(size_t i);

#endif
