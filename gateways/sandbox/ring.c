/* A sequence of which only the newest part is kept. While it is not full, item n lies at n - 1, so
 * that it can grow by realloc; afterwards it wraps. */
#include "gateways/sandbox/ring.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 256 };

void ring_init(struct ring *r, size_t item_size, size_t max)
{
    *r = (struct ring){.item_size = item_size, .max = max};
}

void ring_reset(struct ring *r)
{
    free(r->p);
    ring_init(r, r->item_size, r->max);
}

static char *slot(const struct ring *r, int64_t n)
{
    return r->p + (size_t)((n - 1) % (int64_t)r->cap) * r->item_size;
}

void *ring_add(struct ring *r)
{
    if ((size_t)r->n == r->cap && r->cap < r->max) {
        size_t cap = r->cap == 0 ? FIRST_CAP : r->cap * 2;
        if (cap > r->max)
            cap = r->max;
        char *p = realloc(r->p, cap * r->item_size);
        if (p != NULL) {
            r->p = p;
            r->cap = cap;
        } else {
            r->max = r->cap; /* a ring that has begun to wrap can't grow any more */
        }
    }
    r->n++;
    if (r->cap == 0)
        return NULL;
    return memset(slot(r, r->n), 0, r->item_size);
}

int64_t ring_first(const struct ring *r)
{
    return r->n > (int64_t)r->cap ? r->n - (int64_t)r->cap + 1 : 1;
}

void *ring_at(const struct ring *r, int64_t n)
{
    return n >= ring_first(r) && n <= r->n && r->cap > 0 ? slot(r, n) : NULL;
}
