/* Queues per key in an open hash table with linear probing; the queues' links lie in the units. */
#include "store/unit_keys.h"

#include <stdlib.h>

enum { FIRST_CAP = 256 };

void unit_keys_init(struct unit_keys *k, uint64_t seed)
{
    *k = (struct unit_keys){.seed = seed | 1};
}

void unit_keys_free(struct unit_keys *k)
{
    free(k->places);
    k->places = NULL;
    k->n = k->cap = 0;
}

static size_t home_of(const struct unit_keys *k, uint64_t key)
{
    uint64_t h = key * k->seed;
    h ^= h >> 32;
    h *= k->seed;
    return (size_t)(h >> 32) & (k->cap - 1);
}

/* The key's place, or the free one where it would go. */
static size_t place_of(const struct unit_keys *k, uint64_t key)
{
    size_t i = home_of(k, key);
    while (k->places[i].key != 0 && k->places[i].key != key)
        i = (i + 1) & (k->cap - 1);
    return i;
}

static bool grow(struct unit_keys *k)
{
    if ((k->n + UNIT_MAX_KEYS) * 2 <= k->cap)
        return true;
    struct unit_keys bigger = *k;
    bigger.cap = k->cap > 0 ? k->cap * 2 : FIRST_CAP;
    bigger.places = calloc(bigger.cap, sizeof *bigger.places);
    if (bigger.places == NULL)
        return false;
    for (size_t i = 0; i < k->cap; i++)
        if (k->places[i].key != 0)
            bigger.places[place_of(&bigger, k->places[i].key)] = k->places[i];
    free(k->places);
    *k = bigger;
    return true;
}

/* Closes the gap, so that whoever probes past it still finds what lies behind. */
static void remove_place(struct unit_keys *k, size_t gap)
{
    size_t mask = k->cap - 1;
    for (size_t i = (gap + 1) & mask; k->places[i].key != 0; i = (i + 1) & mask) {
        size_t home = home_of(k, k->places[i].key);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            k->places[gap] = k->places[i];
            gap = i;
        }
    }
    k->places[gap] = (struct key_queue){0};
    k->n--;
}

/* Which of a unit's keys it is. */
static size_t index_of(const struct unit *u, uint64_t key)
{
    size_t i = 0;
    while (u->keys[i] != key) {
        i++;
        ASSERT(i < UNIT_MAX_KEYS);
    }
    return i;
}

/* A key that is there, and not for the second time. */
static bool counts(const struct unit *u, size_t i)
{
    return u->keys[i] != 0 && index_of(u, u->keys[i]) == i;
}

bool unit_keys_join(struct unit_keys *k, struct unit *u)
{
    u->behind = 0;
    if (!grow(k))
        return false;
    for (size_t i = 0; i < UNIT_MAX_KEYS; i++) {
        u->key_next[i] = NULL;
        if (!counts(u, i))
            continue;
        struct key_queue *q = &k->places[place_of(k, u->keys[i])];
        if (q->key == 0) {
            *q = (struct key_queue){u->keys[i], u, u};
            k->n++;
        } else {
            q->last->key_next[index_of(q->last, q->key)] = u;
            q->last = u;
            u->behind++;
        }
    }
    return true;
}

static void leave_middle(struct key_queue *q, const struct unit *u, size_t i)
{
    struct unit *before = q->first;
    struct unit **next = &before->key_next[index_of(before, q->key)];
    while (*next != u) {
        ASSERT(*next != NULL);
        before = *next;
        next = &before->key_next[index_of(before, q->key)];
    }
    *next = u->key_next[i];
    if (q->last == u)
        q->last = before;
}

void unit_keys_leave(struct unit_keys *k, struct unit *u, unit_keys_fn *free_now, void *ctx)
{
    for (size_t i = 0; i < UNIT_MAX_KEYS; i++) {
        if (!counts(u, i))
            continue;
        size_t place = place_of(k, u->keys[i]);
        struct key_queue *q = &k->places[place];
        ASSERT(q->key != 0);
        struct unit *next = u->key_next[i];
        if (q->first != u) {
            leave_middle(q, u, i);
        } else if (next == NULL) {
            remove_place(k, place);
        } else {
            q->first = next;
            if (--next->behind == 0)
                free_now(ctx, next);
        }
        u->key_next[i] = NULL;
    }
}
