#ifndef RELI_BASE_TIMES_H
#define RELI_BASE_TIMES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

/* Times are int64_t microseconds: wall time since 1970 UTC, or monotonic. TIME_NEVER sorts last. */
#define TIME_NEVER INT64_MAX
#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)
#define US_PER_MIN (60 * US_PER_S)
#define US_PER_HOUR (60 * US_PER_MIN)
#define US_PER_DAY (24 * US_PER_HOUR)

enum { TIME_TEXT = 32 };

/* A broken-down date of the proleptic Gregorian calendar. month 1 to 12, day 1 to 31. */
struct date {
    int year, month, day, hour, minute, second, us;
};

struct date date_of(int64_t wall_us);
/* Fields must be in range; day is checked against the month by time_parse only. */
int64_t date_to_us(struct date d);

/* RFC 3339 UTC with milliseconds: "2026-11-21T02:17:00.123Z". Years 0 to 9999. */
const char *time_text(int64_t wall_us, char out[TIME_TEXT]);
/* RFC 3339 with any offset, fraction optional; also a bare date, which is its midnight UTC. */
bool time_parse(struct str text, int64_t *wall_us) MUST_USE;

/* "250ms", "90s", "15m", "6h", "3d": a decimal integer and a unit; up to ten years. */
bool duration_parse(struct str text, int64_t *us) MUST_USE;

#endif
