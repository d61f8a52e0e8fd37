/* A queue in front of libuv's thread pool, which has none that could be full:
 *
 *   work_start -> (queue) -> thread -> on_worked -> done, next from the queue
 *
 * A work that no thread has taken up in time is taken back, from our queue or from libuv's. */
#include "core/loop/work.h"

#include <stdlib.h>

#include "core/loop/loop_int.h"

struct work_pool {
    struct loop *l;
    struct work_pool_options o;
    struct list waiting, at_work;
    bool closed;
};

struct work {
    struct link link;
    struct work_pool *pool;
    uv_work_t req;
    struct timer deadline;
    work_run_fn *run;
    work_done_fn *done;
    void *ctx;
    bool sent; /* to libuv */
};

static void work_send(struct work *w);
static void on_thread(uv_work_t *req);
static void on_worked(uv_work_t *req, int status);
static void deadline_passed(void *ctx);

struct err work_pool_new(struct loop *l, const struct work_pool_options *o, struct work_pool **out)
{
    struct work_pool *p = calloc(1, sizeof *p);
    if (p == NULL)
        return ERR(NO_MEMORY, "pool of work");
    p->l = l;
    p->o = *o;
    list_init(&p->waiting);
    list_init(&p->at_work);
    *out = p;
    return ERR_OK;
}

static void work_end(struct work *w, struct err err)
{
    timer_off(w->pool->l, &w->deadline);
    w->done(w->ctx, err);
    free(w);
}

void work_pool_free(struct work_pool *p)
{
    if (p == NULL)
        return;
    p->closed = true;
    for (struct link *k = list_first(&p->at_work); k != NULL; k = list_next(&p->at_work, k))
        uv_cancel((uv_req_t *)&LIST_ITEM(k, struct work, link)->req);
    struct work *w;
    while ((w = LIST_ITEM(list_pop(&p->waiting), struct work, link)) != NULL)
        work_end(w, ERR(CANCELED, "work"));
    if (list_is_empty(&p->at_work))
        free(p);
}

struct err work_start(struct work_pool *p, work_run_fn *run, work_done_fn *done, void *ctx)
{
    ASSERT(!p->closed);
    bool at_once = p->at_work.n < (size_t)p->o.at_once;
    if (!at_once && p->waiting.n >= (size_t)p->o.queue)
        return ERR(OVERLOADED, "the queue of work is full");
    struct work *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ERR(NO_MEMORY, "work");
    *w = (struct work){.pool = p, .run = run, .done = done, .ctx = ctx, .req.data = w};
    timer_set(p->l, &w->deadline, p->o.wait_us, deadline_passed, w);
    if (at_once)
        work_send(w);
    else
        list_push(&p->waiting, &w->link);
    return ERR_OK;
}

static void work_send(struct work *w)
{
    w->sent = true;
    list_push(&w->pool->at_work, &w->link);
    int rc = uv_queue_work(&w->pool->l->uv, &w->req, on_thread, on_worked);
    ASSERT(rc == 0); /* fails only without a function */
}

static void on_thread(uv_work_t *req)
{
    struct work *w = req->data;
    w->run(w->ctx);
}

static void on_worked(uv_work_t *req, int status)
{
    struct work *w = req->data;
    struct work_pool *p = w->pool;
    loop_enter(p->l);
    list_remove(&p->at_work, &w->link);
    struct work *next = NULL;
    if (!p->closed)
        next = LIST_ITEM(list_pop(&p->waiting), struct work, link);
    if (next != NULL)
        work_send(next);
    bool last = p->closed && list_is_empty(&p->at_work);
    struct err taken_back = p->closed ? ERR(CANCELED, "work") : ERR(TIMEOUT, "no thread was free");
    work_end(w, status == 0 ? ERR_OK : taken_back);
    if (last)
        free(p);
}

static void deadline_passed(void *ctx)
{
    struct work *w = ctx;
    if (w->sent) {
        /* on_worked comes soon; but if a thread is at it, only when that is through */
        uv_cancel((uv_req_t *)&w->req);
        return;
    }
    list_remove(&w->pool->waiting, &w->link);
    work_end(w, ERR(TIMEOUT, "no thread was free"));
}
