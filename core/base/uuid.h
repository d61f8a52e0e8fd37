#ifndef RELI_BASE_UUID_H
#define RELI_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/str.h"

enum { UUID_TEXT = 37 };

/* 16 bytes in network order; all zero is the nil UUID, which is also the platform merchant. */
struct uuid {
    uint8_t b[16];
};

#define UUID_NIL ((struct uuid){{0}})
/* Above every id that is given. */
#define UUID_MOST   \
    ((struct uuid){ \
        {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}})

static inline bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, 16) == 0;
}

static inline int uuid_cmp(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, 16);
}

static inline bool uuid_is_nil(struct uuid u)
{
    return uuid_eq(u, UUID_NIL);
}

/* Makes UUIDs of version 7 (RFC 9562) that grow strictly within one generator: 48 bits of
 * milliseconds, a 12 bit counter, 62 random bits. */
struct uuid_gen {
    int64_t last_ms;
    uint32_t counter;
};

/* `wall_us` is microseconds since 1970; `random` is fresh for every call. */
struct uuid uuid_v7(struct uuid_gen *g, int64_t wall_us, const uint8_t random[10]);
/* The milliseconds since 1970 that a version 7 UUID carries. */
int64_t uuid_v7_ms(struct uuid u);
/* The smallest version 7 UUID of that millisecond, as a bound for ranges; before 1970 that of its
 * first. */
struct uuid uuid_v7_floor(int64_t wall_ms);

/* The one behind it in order; nil after the last. */
struct uuid uuid_next(struct uuid u);

/* 36 lower-case characters and NUL. */
const char *uuid_text(struct uuid u, char out[UUID_TEXT]);
/* The canonical 36 characters, either case. */
bool uuid_parse(struct str text, struct uuid *out) MUST_USE;

#endif
