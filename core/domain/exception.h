#ifndef RELI_DOMAIN_EXCEPTION_H
#define RELI_DOMAIN_EXCEPTION_H

#include <stdbool.h>

#include "core/base/attr.h"
#include "core/base/str.h"

/* The operators' one queue: what kinds of items there are, and how each may end. An item is `open`,
 * `assigned` once somebody has proposed how it ends, and `resolved`; whatever moves money or
 * decides an outcome takes a second person who proposes the same. */

/* X(NAME, word) */
#define EXCEPTION_RESOLUTIONS(X)                                                      \
    X(NOTED, "noted")         /* seen; nothing moves. One person is enough */         \
    X(COMPLETED, "completed") /* the outcome that nobody knew: it was paid */         \
    X(FAILED, "failed")       /* it was not; what came of it meanwhile is returned */ \
    X(KEPT, "kept")           /* unallocated money is the merchant's */               \
    X(RETURNED, "returned")   /* unallocated money was given back by hand */

enum exception_resolution {
#define X(name, word) RESOLUTION_##name,
    EXCEPTION_RESOLUTIONS(X)
#undef X
        RESOLUTION_N
};

const char *resolution_word(enum exception_resolution r);
bool resolution_parse(struct str word, enum exception_resolution *out) MUST_USE;
bool resolution_needs_two(enum exception_resolution r);

/* Whether an item of the kind may end so; `waiting`: it has money in `unallocated`. `kind` is a
 * word of reli.exception_item. */
bool exception_may_end(struct str kind, bool waiting, enum exception_resolution r);

#endif
