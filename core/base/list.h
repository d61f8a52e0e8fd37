#ifndef RELI_BASE_LIST_H
#define RELI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/attr.h"

/* Intrusive doubly linked ring. A zero link is "in no list". */
struct link {
    struct link *next, *prev;
};

struct list {
    struct link head;
    size_t n;
};

static inline void list_init(struct list *l)
{
    l->head.next = l->head.prev = &l->head;
    l->n = 0;
}

static inline bool list_linked(const struct link *k)
{
    return k->next != NULL;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->n == 0;
}

static inline void list_push(struct list *l, struct link *k)
{
    k->prev = l->head.prev;
    k->next = &l->head;
    l->head.prev->next = k;
    l->head.prev = k;
    l->n++;
}

static inline void list_push_front(struct list *l, struct link *k)
{
    k->next = l->head.next;
    k->prev = &l->head;
    l->head.next->prev = k;
    l->head.next = k;
    l->n++;
}

static inline void list_remove(struct list *l, struct link *k)
{
    ASSERT(list_linked(k) && l->n > 0);
    k->next->prev = k->prev;
    k->prev->next = k->next;
    k->next = k->prev = NULL;
    l->n--;
}

static inline struct link *list_first(const struct list *l)
{
    return l->n > 0 ? l->head.next : NULL;
}

static inline struct link *list_pop(struct list *l)
{
    struct link *k = list_first(l);
    if (k != NULL)
        list_remove(l, k);
    return k;
}

/* The one after `k`, NULL at the end. */
static inline struct link *list_next(const struct list *l, const struct link *k)
{
    return k->next != &l->head ? k->next : NULL;
}

static inline void *list_item_(struct link *k, size_t offset)
{
    return k != NULL ? (char *)k - offset : NULL;
}

/* The struct that holds a link; NULL for NULL. Evaluates the link once: it may be list_pop(…). */
#define LIST_ITEM(link_ptr, type, member) ((type *)list_item_((link_ptr), offsetof(type, member)))

#endif
