#ifndef RELI_STORE_UNIT_KEYS_H
#define RELI_STORE_UNIT_KEYS_H

#include "store/store.h"

/* Who may run: a queue per key. A unit stands in the queues of all its keys from store_write to its
 * end and may run when it is at the head of each. So no two units that share a key ever run at the
 * same time, in one batch or in two, and each key's units run in the order of their coming. */
struct key_queue {
    uint64_t key; /* 0: a free place */
    struct unit *first, *last;
};

struct unit_keys {
    struct key_queue *places;
    size_t n, cap; /* cap is 0 or a power of two, at least twice n */
    uint64_t seed; /* odd; keys may be a client's choice */
};

void unit_keys_init(struct unit_keys *k, uint64_t seed);
void unit_keys_free(struct unit_keys *k);

/* Sets u->behind, 0 when it may run. False without memory: nothing is changed then. */
bool unit_keys_join(struct unit_keys *k, struct unit *u) MUST_USE;
typedef void unit_keys_fn(void *ctx, struct unit *u);
/* `free_now` is called for each unit that may run from now on. */
void unit_keys_leave(struct unit_keys *k, struct unit *u, unit_keys_fn *free_now, void *ctx);

#endif
