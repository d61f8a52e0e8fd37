/* Timers as a binary heap over one libuv timer: setting and moving one costs no handle, no callback
 * of closing, and the test clock can shift all of them at once. */
#include <stdlib.h>

#include "core/base/times.h"
#include "core/loop/loop_int.h"

enum { FIRST_CAP = 64 };

static void put(struct loop *l, size_t at, struct timer *t)
{
    l->heap[at] = t;
    t->place = at + 1;
}

static void sift_up(struct loop *l, struct timer *t, size_t at)
{
    while (at > 0 && l->heap[(at - 1) / 2]->due_us > t->due_us) {
        put(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(l, at, t);
}

static void sift_down(struct loop *l, struct timer *t, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= l->n_timers)
            break;
        if (child + 1 < l->n_timers && l->heap[child + 1]->due_us < l->heap[child]->due_us)
            child++;
        if (l->heap[child]->due_us >= t->due_us)
            break;
        put(l, at, l->heap[child]);
        at = child;
    }
    put(l, at, t);
}

static void settle(struct loop *l, struct timer *t, size_t at)
{
    if (at > 0 && l->heap[(at - 1) / 2]->due_us > t->due_us)
        sift_up(l, t, at);
    else
        sift_down(l, t, at);
}

static void alarm_rings(uv_timer_t *h)
{
    struct loop *l = h->data;
    l->armed_ms = -1; /* turn_end comes next and fires what is due */
}

/* An active alarm keeps the loop alive; its time is set at the end of the turn. */
static void keep_alive(struct loop *l)
{
    uv_timer_start(&l->alarm, alarm_rings, 0, 0);
    l->armed_ms = 0;
}

void timer_set(struct loop *l, struct timer *t, int64_t after_us, loop_fn *fn, void *ctx)
{
    int64_t now_us = loop_mono_us(l);
    if (after_us < 1)
        after_us = 1; /* later than this turn's now: not in the round that may be under way */
    t->due_us = after_us > TIME_NEVER - now_us ? TIME_NEVER : now_us + after_us;
    t->fn = fn;
    t->ctx = ctx;
    if (timer_is_on(t)) {
        ASSERT(t->place <= l->n_timers && l->heap[t->place - 1] == t);
        settle(l, t, t->place - 1);
        return;
    }
    if (l->n_timers == l->cap_timers) {
        size_t cap = l->cap_timers == 0 ? FIRST_CAP : 2 * l->cap_timers;
        struct timer **heap = realloc(l->heap, cap * sizeof *heap);
        ASSERT(heap != NULL); /* a deadline cannot be refused */
        l->heap = heap;
        l->cap_timers = cap;
    }
    if (l->n_timers == 0)
        keep_alive(l);
    sift_up(l, t, l->n_timers++);
}

void timer_off(struct loop *l, struct timer *t)
{
    if (!timer_is_on(t))
        return;
    size_t at = t->place - 1;
    ASSERT(at < l->n_timers && l->heap[at] == t);
    t->place = 0;
    struct timer *last = l->heap[--l->n_timers];
    if (last != t)
        settle(l, last, at);
    if (l->n_timers == 0) {
        uv_timer_stop(&l->alarm);
        l->armed_ms = -1;
    }
}

void timers_fire(struct loop *l)
{
    int64_t now_us = l->mono_us;
    while (l->n_timers > 0 && l->heap[0]->due_us <= now_us) {
        struct timer *t = l->heap[0];
        timer_off(l, t);
        t->fn(t->ctx);
    }
}

void timers_arm(struct loop *l, int64_t real_us)
{
    if (l->n_timers == 0)
        return;
    int64_t due_us = l->heap[0]->due_us - l->mono_shift_us;
    int64_t at_ms = due_us <= real_us ? 0 : (due_us - 1) / US_PER_MS + 1;
    if (at_ms != 0 && at_ms == l->armed_ms)
        return;
    uv_update_time(&l->uv); /* a long turn would otherwise be slept once more */
    int64_t now_ms = (int64_t)uv_now(&l->uv);
    uv_timer_start(&l->alarm, alarm_rings, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
    l->armed_ms = at_ms;
}

void timers_free(struct loop *l)
{
    free(l->heap);
}
