#ifndef RELI_LOOP_LOOP_INT_H
#define RELI_LOOP_LOOP_INT_H

#include <uv.h>

#include "core/base/buf.h"
#include "core/crypto/tls.h"
#include "core/loop/loop.h"
#include "core/loop/stream.h"

/* What the files of this room share; nobody else includes it, but for the room's tests. */
enum { READ_BUF = 64 * 1024, N_SIGNALS = 3 };

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;  /* runs turn_end */
    uv_idle_t busy;        /* active while calls wait: the loop neither sleeps nor ends */
    uv_timer_t alarm;      /* the one timer that drives the heap */
    uv_timer_t log_pause;  /* active for a while after a flush of the log */
    uv_timer_t clock_look; /* reads the test clock's file */
    uv_signal_t signal[N_SIGNALS];
    int n_closing; /* of the handles above */
    bool running, in_uv, stop;

    /* clock.c. `stale`: nobody has looked at the clock since the loop began to wait. */
    bool stale;
    int64_t mono_us, wall_us;
    int64_t mono_shift_us, wall_shift_us;
    int64_t work_from_us; /* unshifted monotonic time at which this turn's work began */
    char *clock_path;
    bool clock_bad;

    /* timer.c: a binary heap, the earliest on top. */
    struct timer **heap;
    size_t n_timers, cap_timers;
    int64_t armed_ms; /* what `alarm` is set to, on libuv's clock; -1 if off */

    struct list laters, hooks;
    struct link later_mark, hook_mark; /* end the batch that runs now */
    struct link *next_hook;            /* while hooks run: the one that comes next */
    loop_fn *on_stop, *on_reload;
    void *on_stop_ctx, *on_reload_ctx;

    char read_buf[READ_BUF]; /* bytes are lent to one `data` call at a time */
    char opened[TLS_RECORD]; /* likewise: a record in the clear */
    struct buf sealed;       /* records on their way out; empty between calls */

    /* stream.c, of all streams together; who began first is first. */
    struct list leaving, holding;
    size_t copies; /* bytes */
};

/* Every callback that libuv makes into this room calls it first: the first one of a turn takes the
 * time, which is then the same for all. */
void loop_enter(struct loop *l);
/* CLOCK_MONOTONIC, without the test clock's shift. */
int64_t clock_real_us(void);
/* The turn is over; the next loop_enter takes the time anew. */
void clock_leave(struct loop *l);
void clock_free(struct loop *l);

void timers_fire(struct loop *l);
/* Sets the alarm to the earliest timer; `real_us` is the present. */
void timers_arm(struct loop *l, int64_t real_us);
void timers_free(struct loop *l);

/* Takes over a connected socket, also if it fails. */
struct err stream_from_fd(struct loop *l, int fd, const struct peer *peer,
                          struct stream **out) MUST_USE;
/* Who is behind the one that connected. */
void stream_set_peer(struct stream *s, const struct peer *peer);
/* From now on TLS, as the server; bytes that were put back are its first. `done` gets the owner's
 * ctx when the handshake is over, if it goes well; else `end` comes. Nothing may be written before.
 */
struct err stream_secure(struct stream *s, struct tls_site *site, loop_fn *done) MUST_USE;

/* arrival.c: connections between accept(2) and their owner. */
struct arrivals {
    struct loop *l;
    struct listener_flags flags;
    struct listener_guard guard;
    accept_fn *accept;
    void *ctx;
    struct list waiting; /* the oldest first */
    int64_t logged_us;
};
/* Takes the stream: to its owner, now or when it is through, or nowhere. */
void arrival_start(struct arrivals *a, struct stream *s);
/* Cuts off all that wait. */
void arrivals_close(struct arrivals *a);

#endif
