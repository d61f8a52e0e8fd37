#ifndef RELI_BASE_BUF_H
#define RELI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/str.h"

/* A growing byte buffer with a limit that is given at init. Appending beyond the limit (or without
 * memory) sets `failed` and drops the rest: look at it once, at the end. */
struct arena;
struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t limit;
    bool failed;
};

void buf_init(struct buf *b, size_t limit);
/* Safe on a zero struct. */
void buf_free(struct buf *b);
/* What it holds moves into the arena, and it is freed. STR_NULL if it failed or the arena is full.
 */
struct str buf_keep(struct buf *b, struct arena *a);
/* Empties it and keeps the memory. */
void buf_reset(struct buf *b);
/* Room for `n` more bytes at b->p + b->n, or NULL; count them in yourself. */
char *buf_room(struct buf *b, size_t n);
void buf_add_slow(struct buf *b, const void *p, size_t n);
void buf_i64(struct buf *b, int64_t v);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A word of a list by commas, which is there once however often it comes. It has no comma. */
void buf_word(struct buf *b, struct str word);
/* Big-endian, as network protocols have them. */
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
/* Drops the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);

/* JSON and parameters are made of many small pieces: appending where there is room is no call. */
static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    if (LIKELY(n - 1 < b->cap - b->n && !b->failed)) { /* not of nothing, whose p may be NULL */
        memcpy(b->p + b->n, p, n);
        b->n += n;
    } else {
        buf_add_slow(b, p, n);
    }
}

/* About `n` more bytes will come: one allocation where it would take several. */
static inline void buf_expect(struct buf *b, size_t n)
{
    if (n <= b->limit && b->n <= b->limit - n)
        (void)buf_room(b, n); /* without memory it fails now instead of later */
}

static inline void buf_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

static inline void buf_c(struct buf *b, const char *c)
{
    buf_add(b, c, strlen(c));
}

static inline void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

static inline struct str buf_view(const struct buf *b)
{
    return str_n(b->p, b->n);
}

#endif
