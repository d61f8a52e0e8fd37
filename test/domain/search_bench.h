#ifndef RELI_TEST_SEARCH_BENCH_H
#define RELI_TEST_SEARCH_BENCH_H

/* An exhaustive search in breadth: nodes by layers, one event per layer. A node is a struct of
 * which only the first `size` bytes are kept, and which is the same as another one when their
 * abstractions (a hash of what the machine's future depends on) are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"

/* What may happen, whichever machine it happens to. */
#define HAPPENINGS(X)                 \
    X(REQUEST, "request")             \
    X(ANSWER, "answer")               \
    X(LOST_ANSWER, "lost answer")     \
    X(CALLBACK, "callback")           \
    X(LATE_CALLBACK, "late callback") \
    X(QUERY_RESULT, "query result")   \
    X(TIMEOUT, "timeout")             \
    X(DUPLICATE, "duplicate")         \
    X(CRASH, "crash")                 \
    X(RESTART, "restart")             \
    X(REFUND, "refund")               \
    X(PERSON, "person")

enum happening {
#define X(name, word) HAPPENING_##name,
    HAPPENINGS(X)
#undef X
        HAPPENING_N
};

#ifdef __SANITIZE_ADDRESS__
enum { EVENTS = 7 }; /* sanitizers look for other things, and slowly */
#else
enum { EVENTS = 8 };
#endif
enum { SPACE_SLOTS = 1 << 21 };

struct space {
    size_t size;
    uint64_t *seen;
    char *now, *next; /* the layers */
    size_t n_now, n_next, cap_now, cap_next;
    size_t n_here;             /* states since space_open */
    size_t states;             /* of all searches */
    size_t taken[HAPPENING_N]; /* transitions, by what happened */
    size_t moves;              /* of which changed something */
};

static inline void mix(uint64_t *h, int64_t v)
{
    *h = (*h ^ (uint64_t)v) * UINT64_C(0x9e3779b97f4a7c15);
    *h ^= *h >> 29;
}

static inline void space_open(struct space *s, size_t size)
{
    s->size = size;
    s->seen = calloc(SPACE_SLOTS, sizeof *s->seen);
    assert_non_null(s->seen);
    s->n_here = 0;
}

/* Keeps a node that was not there yet for the next layer; false if it was. */
static inline bool space_keep(struct space *s, uint64_t abstraction, const void *node)
{
    uint64_t h = abstraction | 1;
    size_t i = (size_t)(h >> 8) % SPACE_SLOTS;
    for (; s->seen[i] != 0; i = (i + 1) % SPACE_SLOTS)
        if (s->seen[i] == h)
            return false;
    s->seen[i] = h;
    s->states++;
    assert_true(++s->n_here < SPACE_SLOTS / 2);
    if (s->n_next == s->cap_next) {
        s->cap_next = s->cap_next > 0 ? 2 * s->cap_next : 64;
        s->next = realloc(s->next, s->cap_next * s->size);
        assert_non_null(s->next);
    }
    memcpy(s->next + s->n_next++ * s->size, node, s->size);
    return true;
}

/* The same in the first `size` bytes; cmocka looks byte by byte, so only at what is not. */
static inline void assert_kept(const void *is, const void *was, size_t size)
{
    if (memcmp(is, was, size) != 0)
        assert_memory_equal(is, was, size);
}

typedef void space_expand_fn(void *ctx, const void *node);

/* Every order of up to `events` events; `expand` tries all of them in one node. */
static inline void space_run(struct space *s, int events, space_expand_fn *expand, void *ctx)
{
    for (int depth = 0; depth < events; depth++) {
        char *layer = s->next;
        size_t n = s->n_next, cap = s->cap_next;
        s->next = s->now;
        s->cap_next = s->cap_now;
        s->n_next = 0;
        s->now = layer;
        s->cap_now = cap;
        for (size_t i = 0; i < n; i++)
            expand(ctx, layer + i * s->size);
    }
}

static inline void space_close(struct space *s)
{
    free(s->seen);
    free(s->now);
    free(s->next);
    s->seen = NULL;
    s->now = s->next = NULL;
    s->n_now = s->n_next = s->cap_now = s->cap_next = 0;
}

/* Prints what was seen; everything that may happen has. */
static inline void space_report(const struct space *s, const char *what)
{
    static const char *const words[] = {
#define X(name, word) word,
        HAPPENINGS(X)
#undef X
    };
    size_t all = 0;
    for (int i = 0; i < HAPPENING_N; i++)
        all += s->taken[i];
    print_message("%s: %zu states, %zu transitions, %zu of them moves (", what, s->states, all,
                  s->moves);
    for (int i = 0; i < HAPPENING_N; i++)
        print_message("%s%s %zu", i > 0 ? ", " : "", words[i], s->taken[i]);
    print_message(")\n");
    for (int i = 0; i < HAPPENING_N; i++)
        if (s->taken[i] == 0)
            fail_msg("never happened: %s", words[i]);
}

#endif
