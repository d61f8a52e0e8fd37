/* A bump allocator with free lists by size: a world is made of some thousand short-lived pieces,
 * and the next world starts on the same warm memory. */
#include "test/sim/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/attr.h"

#if defined(__SANITIZE_ADDRESS__)
#define BY_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BY_MALLOC 1
#endif
#endif
#ifndef BY_MALLOC
#define BY_MALLOC 0
#endif

enum { N_CLASSES = 24, LEAST_SHIFT = 5 };
#define REGION_SIZE ((size_t)1 << 30)

/* Before each piece. */
struct head {
    struct head *next, *prev; /* free list; under a sanitizer the list of all */
    uint32_t class, owner;
    size_t n;
};

static struct {
    unsigned owner;
    int64_t n_live[HEAP_OWNERS];
    char *region;
    size_t used;
    struct head *spare[N_CLASSES];
    struct head all; /* BY_MALLOC */
} h;

void heap_owner(unsigned owner)
{
    h.owner = owner;
}

int64_t heap_n_live(unsigned owner)
{
    return h.n_live[owner];
}

static void *bump(size_t n)
{
    if (h.region == NULL) {
        void *p = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ASSERT(p != MAP_FAILED);
        h.region = p;
    }
    n = (n + 15) & ~(size_t)15;
    ASSERT(h.used + n <= REGION_SIZE);
    void *p = h.region + h.used;
    h.used += n;
    return p;
}

static uint32_t class_of(size_t n)
{
    uint32_t class = 0;
    while (((size_t)1 << (class + LEAST_SHIFT)) < n)
        class ++;
    ASSERT(class < N_CLASSES);
    return class;
}

static struct head *piece_new(size_t n)
{
    struct head *p;
    if (BY_MALLOC) {
        p = malloc(sizeof *p + n);
        ASSERT(p != NULL);
        if (h.all.next == NULL)
            h.all.next = h.all.prev = &h.all;
        p->next = h.all.next;
        p->prev = &h.all;
        p->next->prev = p;
        h.all.next = p;
        p->class = 0;
    } else {
        uint32_t class = class_of(n);
        p = h.spare[class];
        if (p != NULL)
            h.spare[class] = p->next;
        else
            p = bump(sizeof *p + ((size_t)1 << (class + LEAST_SHIFT)));
        p->class = class;
    }
    p->owner = h.owner;
    p->n = n;
    h.n_live[h.owner]++;
    return p;
}

void *sim_malloc(size_t n)
{
    return piece_new(n) + 1;
}

void *sim_malloc_chunk(size_t n)
{
    unsigned owner = h.owner;
    h.owner = 0;
    void *p = sim_malloc(n);
    h.owner = owner;
    return p;
}

void *sim_calloc(size_t n, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(n, size, &all))
        return NULL;
    void *p = sim_malloc(all);
    memset(p, 0, all);
    return p;
}

void sim_free(void *p)
{
    if (p == NULL)
        return;
    struct head *at = (struct head *)p - 1;
    h.n_live[at->owner]--;
    if (BY_MALLOC) {
        at->next->prev = at->prev;
        at->prev->next = at->next;
        free(at);
    } else {
        at->next = h.spare[at->class];
        h.spare[at->class] = at;
    }
}

void *sim_realloc(void *p, size_t n)
{
    struct head *at = p != NULL ? (struct head *)p - 1 : NULL;
    if (at != NULL && !BY_MALLOC && n <= (size_t)1 << (at->class + LEAST_SHIFT)) {
        at->n = n;
        return p;
    }
    void *to = sim_malloc(n);
    if (at != NULL) {
        memcpy(to, p, at->n < n ? at->n : n);
        sim_free(p);
    }
    return to;
}

void heap_reset(void)
{
    while (BY_MALLOC && h.all.next != NULL && h.all.next != &h.all)
        sim_free(h.all.next + 1);
    h.used = 0;
    h.owner = 0;
    memset(h.spare, 0, sizeof h.spare);
    memset(h.n_live, 0, sizeof h.n_live);
}

void *world_alloc(size_t n)
{
    if (!BY_MALLOC) {
        void *p = bump(n);
        memset(p, 0, n);
        return p;
    }
    unsigned owner = h.owner;
    h.owner = 0;
    void *p = sim_calloc(1, n);
    h.owner = owner;
    return p;
}

struct str world_dup(struct str s)
{
    if (s.p == NULL)
        return STR_NULL;
    char *p = world_alloc(s.n + 1);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return str_n(p, s.n);
}
