/* Bounded byte buffers. */
#include "core/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/arena.h"

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.limit = b->limit};
}

struct str buf_keep(struct buf *b, struct arena *a)
{
    struct str kept = b->failed ? STR_NULL : arena_dup(a, buf_view(b));
    buf_free(b);
    return kept;
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (b->p != NULL && b->cap - b->n >= n)
        return b->p + b->n;
    if (n > b->limit || b->n > b->limit - n) {
        b->failed = true;
        return NULL;
    }
    size_t cap = b->cap > 0 ? b->cap : 256;
    while (cap < b->n + n)
        cap *= 2;
    if (cap > b->limit)
        cap = b->limit;
    char *p = realloc(b->p, cap);
    if (p == NULL) {
        b->failed = true;
        return NULL;
    }
    b->p = p;
    b->cap = cap;
    return b->p + b->n;
}

void buf_add_slow(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    char *room = buf_room(b, n);
    if (room == NULL)
        return;
    memcpy(room, p, n);
    b->n += n;
}

void buf_i64(struct buf *b, int64_t v)
{
    char text[24];
    char *end = text + sizeof text;
    char *p = end;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    if (v < 0)
        *--p = '-';
    buf_add(b, p, (size_t)(end - p));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof small) {
        buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        char *room = buf_room(b, (size_t)n + 1);
        if (room != NULL) {
            (void)vsnprintf(room, (size_t)n + 1, fmt, again);
            b->n += (size_t)n;
        }
    }
    va_end(again);
}

void buf_be16(struct buf *b, uint16_t v)
{
    unsigned char x[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    buf_add(b, x, sizeof x);
}

void buf_word(struct buf *b, struct str word)
{
    struct str rest = buf_view(b), one;
    while (str_split(&rest, ',', &one))
        if (str_eq(one, word))
            return;
    if (b->n > 0)
        buf_char(b, ',');
    buf_str(b, word);
}

void buf_be32(struct buf *b, uint32_t v)
{
    unsigned char x[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 8), (unsigned char)v};
    buf_add(b, x, sizeof x);
}

void buf_be64(struct buf *b, uint64_t v)
{
    buf_be32(b, (uint32_t)(v >> 32));
    buf_be32(b, (uint32_t)v);
}

void buf_consume(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    b->n -= n;
    if (b->n > 0)
        memmove(b->p, b->p + n, b->n);
}
