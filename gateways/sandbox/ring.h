#ifndef RELI_GATEWAYS_SANDBOX_RING_H
#define RELI_GATEWAYS_SANDBOX_RING_H

#include <stddef.h>
#include <stdint.h>

/* The last `max` of a sequence of equal items, numbered from 1; memory grows with use. */
struct ring {
    char *p;
    size_t item_size, cap, max;
    int64_t n; /* of the newest item; 0 when empty */
};

void ring_init(struct ring *r, size_t item_size, size_t max);
/* Gives the memory back and starts again at 1; ring_init's sizes stay. */
void ring_reset(struct ring *r);
/* Room for the next item, zeroed; the oldest makes way when the ring is full. NULL without memory:
 * the item is then counted, but not kept. Good until the next ring_add. */
void *ring_add(struct ring *r);
/* NULL if there is no such item any more. */
void *ring_at(const struct ring *r, int64_t n);
/* The number of the oldest item that is kept; n + 1 when none is. */
int64_t ring_first(const struct ring *r);

#endif
