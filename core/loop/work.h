#ifndef RELI_LOOP_WORK_H
#define RELI_LOOP_WORK_H

#include "core/loop/loop.h"

/* Work that blocks or takes long, on libuv's thread pool: so many at once, so many that wait, and
 * no more. The thread pool also resolves names: a pool of work must leave threads to it. */
struct work_pool;

struct work_pool_options {
    int at_once, queue;
    int64_t wait_us; /* longest time until a thread takes it up */
};

struct err work_pool_new(struct loop *l, const struct work_pool_options *o,
                         struct work_pool **out) MUST_USE;
/* What waits ends with ERR_CANCELED during this call; what a thread is at ends in loop_run, which
 * has to follow. NULL is fine. */
void work_pool_free(struct work_pool *p);

/* On a thread: touches nothing but its ctx, no loop, no log, no random.h, no mac.h. */
typedef void work_run_fn(void *ctx);
/* On the loop; ctx is the owner's again. */
typedef void work_done_fn(void *ctx, struct err err);

/* `done` fires once: after `run`, or with ERR_TIMEOUT or ERR_CANCELED without it. On a later turn
 * except within work_pool_free. ERR_OVERLOADED if the queue is full, ERR_NO_MEMORY: neither `run`
 * nor `done` is called then. */
struct err work_start(struct work_pool *p, work_run_fn *run, work_done_fn *done,
                      void *ctx) MUST_USE;

#endif
