/* core/loop/loop.h in virtual time: what the flows use of it. */
#include "core/base/times.h"
#include "test/sim/parts.h"

int64_t loop_wall_us(const struct loop *l)
{
    return w.epoch_us + w.now_us + l->skew_us;
}

int64_t loop_mono_us(const struct loop *l)
{
    (void)l;
    return w.now_us;
}

void timer_off(struct loop *l, struct timer *t)
{
    if (t->place == 0)
        return;
    struct timer *last = l->timers[--l->n_timers];
    l->timers[t->place - 1] = last;
    last->place = t->place;
    t->place = 0;
}

void timer_set(struct loop *l, struct timer *t, int64_t after_us, loop_fn *fn, void *ctx)
{
    if (t->place == 0) {
        ASSERT(l->n_timers < MAX_TIMERS);
        l->timers[l->n_timers++] = t;
        t->place = l->n_timers;
    }
    t->due_us = w.now_us + (after_us > 0 ? after_us : 0);
    t->fn = fn;
    t->ctx = ctx;
}

void loop_later(struct loop *l, struct later *k, loop_fn *fn, void *ctx)
{
    k->fn = fn;
    k->ctx = ctx;
    if (!list_linked(&k->link))
        list_push(&l->laters, &k->link);
}

void loop_laters_run(struct loop *l)
{
    struct link *k;
    while ((k = list_pop(&l->laters)) != NULL) {
        struct later *later = CONTAINER_OF(k, struct later, link);
        later->fn(later->ctx);
    }
}

static bool of_jobs(const struct process *p, const struct timer *t)
{
    return t->ctx == p->jobs;
}

static struct timer *next(const struct process *p, bool jobs)
{
    struct timer *first = NULL;
    for (size_t i = 0; i < p->loop.n_timers; i++) {
        struct timer *t = p->loop.timers[i];
        if (of_jobs(p, t) == jobs && (first == NULL || t->due_us < first->due_us))
            first = t;
    }
    return first;
}

/* Alarms that go off while it stands still go off when it goes on. */
static int64_t awake_us(const struct process *p, const struct timer *t)
{
    if (t == NULL)
        return TIME_NEVER;
    return t->due_us > p->frozen_until_us ? t->due_us : p->frozen_until_us;
}

int64_t loop_next_us(const struct process *p)
{
    return awake_us(p, next(p, false));
}

int64_t loop_next_jobs_us(const struct process *p)
{
    return awake_us(p, next(p, true));
}

void loop_fire(struct process *p, bool jobs)
{
    struct timer *t;
    while (p->alive && (t = next(p, jobs)) != NULL && t->due_us <= w.now_us && !process_frozen(p)) {
        loop_fn *fn = t->fn;
        void *ctx = t->ctx;
        timer_off(&p->loop, t);
        (void)process_run_now(p, fn, ctx);
    }
}
