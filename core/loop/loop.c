/* The reactor: what makes a libuv loop one with turns. libuv runs callbacks of I/O while it polls,
 * then closes handles, runs its timers and calls `prepare`: there a turn ends. So a turn is: I/O
 * callbacks, due timers, calls asked for by loop_later, hooks, wait. */
#include "core/loop/loop.h"

#include <signal.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/loop/loop_int.h"

enum { LOG_MUCH = 32 * 1024, LOG_PAUSE_MS = 50, SEALED_MAX = 256 * 1024 };

static const int signals[N_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

static struct metric lag =
    METRIC_HISTOGRAM("reli_loop_lag_seconds", "", "Time that the work of a loop turn took");
static struct metric turns = METRIC_COUNTER("reli_loop_turns_total", "", "Turns of the loop");

static void init_handles(struct loop *l);
static void close_handles(struct loop *l);
static void on_prepare(uv_prepare_t *h);
static void turn_end(struct loop *l);
static void log_leak(uv_handle_t *h, void *arg);

struct err loop_new(struct loop **out)
{
    struct loop *l = calloc(1, sizeof *l);
    if (l == NULL)
        return ERR(NO_MEMORY, "loop");
    int rc = uv_loop_init(&l->uv);
    if (rc != 0) {
        free(l);
        return ERR_D(IO, rc, "uv_loop_init");
    }
    l->uv.data = l;
    l->stale = true;
    l->armed_ms = -1;
    list_init(&l->laters);
    list_init(&l->hooks);
    list_init(&l->leaving);
    list_init(&l->holding);
    buf_init(&l->sealed, SEALED_MAX);
    init_handles(l);
    /* A peer that closes while we write to it must cost its connection, not the process. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    *out = l;
    return ERR_OK;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    ASSERT(!l->running);
    close_handles(l);
    int rc = uv_loop_close(&l->uv);
    if (rc != 0) {
        uv_walk(&l->uv, log_leak, NULL);
        log_error("loop.leak", F_ERR(ERR_D(INTERNAL, rc, "handles or requests are still open")));
        log_flush();
#ifdef RELI_CRASH_POINTS
        ASSERT(rc == 0);
#endif
        return; /* what is open still points into it */
    }
    timers_free(l);
    clock_free(l);
    buf_free(&l->sealed);
    free(l);
    log_flush();
}

void loop_run(struct loop *l)
{
    ASSERT(!l->running);
    l->running = true;
    l->stale = true;
    uv_update_time(&l->uv);
    do {
        if (!l->stop) {
            l->in_uv = true;
            uv_run(&l->uv, UV_RUN_DEFAULT);
            l->in_uv = false;
        }
        turn_end(l); /* libuv leaves before `prepare` of the last turn */
    } while (!l->stop && uv_loop_alive(&l->uv));
    l->stop = false;
    l->running = false;
    log_flush();
}

void loop_stop(struct loop *l)
{
    l->stop = true;
    if (l->in_uv)
        uv_stop(&l->uv);
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

static void stay_awake(uv_idle_t *h)
{
    (void)h;
}

void loop_later(struct loop *l, struct later *k, loop_fn *fn, void *ctx)
{
    k->fn = fn;
    k->ctx = ctx;
    if (list_linked(&k->link))
        return;
    list_push(&l->laters, &k->link);
    uv_idle_start(&l->busy, stay_awake);
}

void loop_later_off(struct loop *l, struct later *k)
{
    if (!list_linked(&k->link))
        return;
    list_remove(&l->laters, &k->link);
    if (list_is_empty(&l->laters))
        uv_idle_stop(&l->busy);
}

void loop_hook_add(struct loop *l, struct turn_hook *h, loop_fn *fn, void *ctx)
{
    ASSERT(!list_linked(&h->link));
    h->fn = fn;
    h->ctx = ctx;
    list_push(&l->hooks, &h->link);
}

void loop_hook_remove(struct loop *l, struct turn_hook *h)
{
    if (!list_linked(&h->link))
        return;
    if (l->next_hook == &h->link)
        l->next_hook = list_next(&l->hooks, &h->link);
    list_remove(&l->hooks, &h->link);
}

static void on_signal(uv_signal_t *h, int number)
{
    struct loop *l = h->data;
    loop_enter(l);
    log_info("signal.received", F_I64("signal", number));
    if (number == SIGHUP && l->on_reload != NULL)
        l->on_reload(l->on_reload_ctx);
    else if (number != SIGHUP && l->on_stop != NULL)
        l->on_stop(l->on_stop_ctx);
}

static struct err listen_to(struct loop *l, int i, bool on)
{
    int rc =
        on ? uv_signal_start(&l->signal[i], on_signal, signals[i]) : uv_signal_stop(&l->signal[i]);
    return rc == 0 ? ERR_OK : ERR_D(IO, rc, "signal handler");
}

struct err loop_on_stop_signal(struct loop *l, loop_fn *fn, void *ctx)
{
    l->on_stop = fn;
    l->on_stop_ctx = ctx;
    for (int i = 0; i < N_SIGNALS; i++)
        if (signals[i] != SIGHUP)
            TRY(listen_to(l, i, fn != NULL));
    return ERR_OK;
}

struct err loop_on_reload_signal(struct loop *l, loop_fn *fn, void *ctx)
{
    l->on_reload = fn;
    l->on_reload_ctx = ctx;
    for (int i = 0; i < N_SIGNALS; i++)
        if (signals[i] == SIGHUP)
            TRY(listen_to(l, i, fn != NULL));
    return ERR_OK;
}

/* ---- a turn's end ---- */

static void laters_run(struct loop *l)
{
    if (list_is_empty(&l->laters))
        return;
    list_push(&l->laters, &l->later_mark);
    for (;;) {
        struct link *k = list_pop(&l->laters);
        if (k == &l->later_mark)
            break;
        struct later *later = CONTAINER_OF(k, struct later, link);
        later->fn(later->ctx);
    }
    if (list_is_empty(&l->laters))
        uv_idle_stop(&l->busy);
}

static void hooks_run(struct loop *l)
{
    if (list_is_empty(&l->hooks))
        return;
    list_push(&l->hooks, &l->hook_mark);
    struct link *k = list_first(&l->hooks);
    while (k != &l->hook_mark) {
        struct turn_hook *h = CONTAINER_OF(k, struct turn_hook, link);
        l->next_hook = list_next(&l->hooks, k);
        h->fn(h->ctx);
        k = l->next_hook;
    }
    list_remove(&l->hooks, &l->hook_mark);
    l->next_hook = NULL;
}

static void pause_over(uv_timer_t *h)
{
    (void)h;
}

/* The first line after a quiet time leaves at once, then they leave in batches. */
static void log_pass(struct loop *l)
{
    size_t waiting = log_waiting();
    bool pausing = uv_is_active((uv_handle_t *)&l->log_pause) != 0;
    if (waiting == 0 || (pausing && waiting < LOG_MUCH))
        return;
    log_flush();
    if (!pausing)
        uv_timer_start(&l->log_pause, pause_over, LOG_PAUSE_MS, 0);
}

static void turn_end(struct loop *l)
{
    loop_enter(l);
    timers_fire(l);
    laters_run(l);
    hooks_run(l);
    log_pass(l);
    int64_t real_us = clock_real_us();
    metric_add(&turns, 1);
    metric_observe_us(&lag, real_us - l->work_from_us);
    timers_arm(l, real_us);
    clock_leave(l);
}

static void on_prepare(uv_prepare_t *h)
{
    turn_end(h->data);
}

/* ---- handles ---- */

static void own(struct loop *l, void *handle, bool keeps_alive)
{
    uv_handle_t *h = handle;
    h->data = l;
    if (!keeps_alive)
        uv_unref(h);
}

static void init_handles(struct loop *l)
{
    uv_prepare_init(&l->uv, &l->prepare);
    own(l, &l->prepare, false);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_idle_init(&l->uv, &l->busy);
    own(l, &l->busy, true);
    uv_timer_init(&l->uv, &l->alarm);
    own(l, &l->alarm, true);
    uv_timer_init(&l->uv, &l->log_pause);
    own(l, &l->log_pause, false);
    uv_timer_init(&l->uv, &l->clock_look);
    own(l, &l->clock_look, false);
    for (int i = 0; i < N_SIGNALS; i++) {
        uv_signal_init(&l->uv, &l->signal[i]);
        own(l, &l->signal[i], false);
    }
}

static void handle_closed(uv_handle_t *h)
{
    struct loop *l = h->data;
    l->n_closing--;
}

static void close_handles(struct loop *l)
{
    uv_handle_t *all[] = {
        (uv_handle_t *)&l->prepare,   (uv_handle_t *)&l->busy,       (uv_handle_t *)&l->alarm,
        (uv_handle_t *)&l->log_pause, (uv_handle_t *)&l->clock_look, (uv_handle_t *)&l->signal[0],
        (uv_handle_t *)&l->signal[1], (uv_handle_t *)&l->signal[2],
    };
    bool handled[N_SIGNALS];
    sigset_t held, before;
    sigemptyset(&held);
    for (int i = 0; i < N_SIGNALS; i++) {
        handled[i] = uv_is_active((uv_handle_t *)&l->signal[i]) != 0;
        if (handled[i])
            sigaddset(&held, signals[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, &before);
    l->n_closing = (int)COUNT_OF(all);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        uv_close(all[i], handle_closed);
    while (l->n_closing > 0)
        uv_run(&l->uv, UV_RUN_NOWAIT);
    /* libuv has put the default back, which kills: who is on his way out has been asked already.
     * What came in between is dropped with it. */
    for (int i = 0; i < N_SIGNALS; i++)
        if (handled[i])
            (void)signal(signals[i], SIG_IGN);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void log_leak(uv_handle_t *h, void *arg)
{
    (void)arg;
    const char *name = uv_handle_type_name(uv_handle_get_type(h));
    log_error("loop.leak", F_C("handle", name != NULL ? name : "unknown"),
              F_BOOL("closing", uv_is_closing(h) != 0));
}
