/* A turn's two clocks. libuv calls back while it polls, without telling us first that the wait is
 * over; so the time is taken by whoever is first to enter or to ask in a turn, and stands until its
 * end. */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"

enum { LOOK_EVERY_MS = 20, FOREIGN_WORK_US = 5000 };
#define SHIFT_MAX_S (INT64_C(3650) * 24 * 3600)

static struct err read_shift(const char *path, int64_t *shift_us);
static void apply_shift(struct loop *l, int64_t shift_us);

int64_t clock_real_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

static void take(struct loop *l)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    int64_t real_us = clock_real_us();
    int64_t mono_us = real_us + l->mono_shift_us;
    /* At least one tick: "the next turn" is always later than this one. */
    l->mono_us = mono_us > l->mono_us ? mono_us : l->mono_us + 1;
    l->wall_us = (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000 + l->wall_shift_us;
    /* Outside loop_run there are no turns: each look is fresh. */
    l->stale = !l->running;
    /* libuv's own clock (milliseconds) was taken when the wait ended: it shows work that was done
     * since by callbacks which never looked at the clock. */
    int64_t waited_until_us = (int64_t)uv_now(&l->uv) * US_PER_MS;
    l->work_from_us = real_us - waited_until_us > FOREIGN_WORK_US ? waited_until_us : real_us;
    log_now(l->wall_us);
}

void loop_enter(struct loop *l)
{
    if (l->stale)
        take(l);
}

void clock_leave(struct loop *l)
{
    l->stale = true;
    /* A line that is logged by somebody who has not entered gets its time from the system. */
    if (l->wall_shift_us == 0)
        log_now(0);
}

int64_t loop_wall_us(const struct loop *l)
{
    loop_enter((struct loop *)l); /* const to the caller: it only looks */
    return l->wall_us;
}

int64_t loop_mono_us(const struct loop *l)
{
    loop_enter((struct loop *)l);
    return l->mono_us;
}

/* ---- the test clock ---- */

static void look(uv_timer_t *h)
{
    struct loop *l = h->data;
    int64_t shift_us = l->wall_shift_us;
    struct err err = read_shift(l->clock_path, &shift_us);
    if (!err_is(err))
        apply_shift(l, shift_us);
    else if (!l->clock_bad)
        log_warn("clock.unreadable", F_ERR(err));
    l->clock_bad = err_is(err);
}

struct err loop_test_clock(struct loop *l, const char *path)
{
    int64_t shift_us = l->wall_shift_us;
    TRY(read_shift(path, &shift_us));
    char *copy = strdup(path);
    if (copy == NULL)
        return ERR(NO_MEMORY, "test clock");
    free(l->clock_path);
    l->clock_path = copy;
    apply_shift(l, shift_us);
    int rc = uv_timer_start(&l->clock_look, look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    return rc == 0 ? ERR_OK : ERR_D(IO, rc, "test clock");
}

void clock_free(struct loop *l)
{
    free(l->clock_path);
}

/* Counts from the next turn on; timers_arm looks at the new shift at the end of this one. */
static void apply_shift(struct loop *l, int64_t shift_us)
{
    int64_t by_us = shift_us - l->wall_shift_us;
    l->wall_shift_us = shift_us;
    if (by_us > 0)
        loop_skip(l, by_us);
}

void loop_skip(struct loop *l, int64_t by_us)
{
    ASSERT(by_us >= 0);
    l->mono_shift_us += by_us;
}

/* Leaves the shift alone if the file says nothing: it is new, or about to be written. */
static struct err read_shift(const char *path, int64_t *shift_us)
{
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return ERR(CONFIG, "the test clock's file is unreadable");
    struct str s = str_trim(str_n(text, (size_t)n));
    if (s.n == 0)
        return ERR_OK;
    bool back = str_starts(s, STR("-"));
    struct str rest = back || str_starts(s, STR("+")) ? str_from(s, 1) : s;
    int64_t us;
    if (!str_empty(rest) && str_is_digits(rest)) {
        if (!str_to_i64(rest, &us) || us > SHIFT_MAX_S)
            return ERR(CONFIG, "the test clock's shift is out of range");
        us *= US_PER_S;
    } else if (!duration_parse(rest, &us)) {
        return ERR(CONFIG, "the test clock's file holds no duration");
    }
    *shift_us = back ? -us : us;
    return ERR_OK;
}
