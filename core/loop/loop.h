#ifndef RELI_LOOP_LOOP_H
#define RELI_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/str.h"

/* The reactor of a process: one libuv loop, one `now` per turn, timers, end-of-turn hooks, signals
 * and name resolution. Everything runs on the thread that calls loop_run. */
struct loop;
struct uv_loop_s;
struct sockaddr_storage;

struct err loop_new(struct loop **out) MUST_USE;
/* All handles must be closed (their owners freed) and the close callbacks run: loop_run until it
 * returns, then loop_free. Logs what is still open and asserts in debug builds. NULL is fine. */
void loop_free(struct loop *l);

/* Runs until loop_stop, or until nothing is left to wait for. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
struct uv_loop_s *loop_uv(struct loop *l);

/* This turn's clocks, microseconds: taken by the first look after the wait, fresh at each look
 * outside loop_run. Both are shifted by the test clock; monotonic never goes back. */
int64_t loop_wall_us(const struct loop *l);
int64_t loop_mono_us(const struct loop *l);
/* Both clocks are shifted by what the file says, read again every 20 ms: a duration ("90s", "-5m")
 * or whole seconds; empty, it leaves the shift as it is. Timers that the shift makes due fire. A
 * shift back moves the wall clock only. ERR_CONFIG if the file is unreadable now. */
struct err loop_test_clock(struct loop *l, const char *path) MUST_USE;
/* The monotonic clock alone goes on by so much from the next turn on, and timers that this makes
 * due fire: for the sandbox, where tests say when something has taken its time. */
void loop_skip(struct loop *l, int64_t by_us);

typedef void loop_fn(void *ctx);

/* An alarm, embedded in its owner; zero is "off". Fires once, on a turn at or after its time. */
struct timer {
    int64_t due_us; /* monotonic */
    size_t place;   /* 1 + index in the heap; 0 off */
    loop_fn *fn;
    void *ctx;
};

/* Sets or moves it. `after_us` < 0 counts as 0: the next turn. */
void timer_set(struct loop *l, struct timer *t, int64_t after_us, loop_fn *fn, void *ctx);
/* Safe when off. */
void timer_off(struct loop *l, struct timer *t);
static inline bool timer_is_on(const struct timer *t)
{
    return t->place != 0;
}

/* A call that is made once, soon: after the present callback has returned, before the loop sleeps.
 * What is asked for from within such a call happens on the next turn. */
struct later {
    struct link link;
    loop_fn *fn;
    void *ctx;
};
void loop_later(struct loop *l, struct later *k, loop_fn *fn, void *ctx);
/* Safe when not pending. */
void loop_later_off(struct loop *l, struct later *k);

/* A call at the end of every turn, before the loop waits for I/O; in the order of adding. */
struct turn_hook {
    struct link link;
    loop_fn *fn;
    void *ctx;
};
void loop_hook_add(struct loop *l, struct turn_hook *h, loop_fn *fn, void *ctx);
void loop_hook_remove(struct loop *l, struct turn_hook *h);

/* SIGINT and SIGTERM call `fn`; SIGPIPE is ignored. NULL takes the handlers back. */
struct err loop_on_stop_signal(struct loop *l, loop_fn *fn, void *ctx) MUST_USE;
/* SIGHUP calls `fn`. NULL takes the handler back. */
struct err loop_on_reload_signal(struct loop *l, loop_fn *fn, void *ctx) MUST_USE;

/* Resolves a name or literal address to stream sockets on the thread pool. `done` fires once on a
 * later turn: addresses are valid during the call. ERR_IO when there is none, ERR_CANCELED,
 * ERR_TIMEOUT after ten seconds. `port` is a number. */
enum { RESOLVE_MAX = 8 };
struct resolved {
    int n;
    const struct sockaddr_storage *addr[RESOLVE_MAX];
};
typedef void resolve_fn(void *ctx, struct err err, const struct resolved *found);
struct resolve;
struct err resolve_start(struct loop *l, const char *host, const char *port, resolve_fn *done,
                         void *ctx, struct resolve **out) MUST_USE;
void resolve_cancel(struct resolve *r);

#endif
