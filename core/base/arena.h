#ifndef RELI_BASE_ARENA_H
#define RELI_BASE_ARENA_H

#include <stddef.h>

#include "core/base/attr.h"
#include "core/base/str.h"

/* Memory that a request, operation or job owns: everything in it dies together.
 * Allocation never fails for the caller below the cap; beyond it arena_alloc returns NULL, so a
 * hostile input costs its own request and nothing else. Chunks are recycled by the process. */
struct arena_chunk;

struct arena {
    struct arena_chunk *head;
    size_t used;  /* bytes handed out, each piece rounded up to 16 */
    size_t limit; /* cap in bytes */
};

void arena_init(struct arena *a, size_t limit);
/* Gives all of it back; the arena can be used again. Safe on a zero struct. */
void arena_free(struct arena *a);
/* Zeroed, aligned for any type; NULL beyond the cap. n == 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n) MUST_USE;
/* A copy that ends in NUL (not counted in n); {NULL, 0} beyond the cap. */
struct str arena_dup(struct arena *a, struct str s);
/* printf into the arena; {NULL, 0} beyond the cap. */
struct str arena_fmt(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Returns recycled chunks to the system, at exit. */
void arena_trim(void);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))

#endif
