#ifndef RELI_DOMAIN_SCHEDULE_H
#define RELI_DOMAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

enum { SCHEDULE_MAX = 24 };

/* A list of waits in microseconds. */
struct schedule {
    int n;
    int64_t wait_us[SCHEDULE_MAX];
};

/* "1m,5m,15m": 1 to SCHEDULE_MAX durations, each above zero. */
bool schedule_parse(struct str text, struct schedule *out) MUST_USE;
/* The wait before try `i` (0 the first); TIME_NEVER past the end. */
int64_t schedule_wait_us(const struct schedule *s, int i);
/* The same, but the last wait repeats for ever. */
int64_t schedule_wait_or_last_us(const struct schedule *s, int i);
/* `us` changed by up to ±10 %; `random` is uniform. */
int64_t schedule_jitter_us(int64_t us, uint32_t random);

#endif
