/* Chunked arenas with a small process-wide store of spare chunks, so that a request costs no malloc
 * once the process is warm. */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_SIZE = 8192, MAX_SPARE = 512, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap; /* bytes of data */
    size_t used;
    size_t unused_; /* keeps data aligned to 16 */
    unsigned char data[];
};

static struct arena_chunk *spare;
static size_t n_spare;

static struct arena_chunk *chunk_get(size_t need)
{
    size_t cap = CHUNK_SIZE - sizeof(struct arena_chunk);
    if (need <= cap && spare != NULL) {
        struct arena_chunk *c = spare;
        spare = c->next;
        n_spare--;
        c->used = 0;
        return c;
    }
    if (need > cap)
        cap = need;
    struct arena_chunk *c = malloc(sizeof *c + cap);
    if (c == NULL)
        return NULL;
    c->cap = cap;
    c->used = 0;
    return c;
}

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit};
}

void arena_free(struct arena *a)
{
    struct arena_chunk *next;
    for (struct arena_chunk *c = a->head; c != NULL; c = next) {
        next = c->next;
        if (c->cap == CHUNK_SIZE - sizeof *c && n_spare < MAX_SPARE) {
            explicit_bzero(c->data, c->used); /* requests hold phone numbers and keys */
            c->next = spare;
            spare = c;
            n_spare++;
        } else {
            explicit_bzero(c->data, c->used);
            free(c);
        }
    }
    a->head = NULL;
    a->used = 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > a->limit)
        return NULL;
    size_t need = n == 0 ? ALIGN : (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
    struct arena_chunk *c = a->head;
    if (c == NULL || c->cap - c->used < need) {
        if (a->used + need > a->limit)
            return NULL;
        c = chunk_get(need);
        if (c == NULL)
            return NULL;
        c->next = a->head;
        a->head = c;
    }
    if (a->used + need > a->limit)
        return NULL;
    void *p = c->data + c->used;
    c->used += need;
    a->used += need;
    memset(p, 0, need);
    return p;
}

struct str arena_dup(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (p == NULL)
        return STR_NULL;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return str_n(p, s.n);
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
    char small[512]; /* formatting is the dear part: seldom twice */
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
    if (p != NULL && (size_t)n < sizeof small)
        memcpy(p, small, (size_t)n + 1);
    else if (p != NULL)
        (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    if (n > 0) /* what is formatted may be a key or a token */
        explicit_bzero(small, (size_t)n < sizeof small ? (size_t)n : sizeof small);
    return p != NULL ? str_n(p, (size_t)n) : STR_NULL;
}

void arena_trim(void)
{
    while (spare != NULL) {
        struct arena_chunk *next = spare->next;
        free(spare);
        spare = next;
    }
    n_spare = 0;
}
