/* Proves core/loop/loop.h: clocks, timers against a naive model, laters, hooks, signals, resolving.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"

static struct loop *loop_or_die(void)
{
    struct loop *l = NULL;
    assert_int_equal(loop_new(&l).code, ERR_NONE);
    return l;
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static int64_t real_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* ---- timers ---- */

enum { N = 400, STEPS = 20000 };

struct model {
    struct loop *l;
    struct timer t[N];
    bool on[N];
    int64_t due[N];
    int n_on, n_fired;
    int64_t last_fired;
    uint64_t seed;
    bool frozen; /* while the last ones fire nothing new is set */
};

struct slot {
    struct model *m;
    int i;
};

static struct slot slots[N];

static uint32_t dice(struct model *m)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(m->seed >> 33);
}

static void model_fired(void *ctx);

static void model_set(struct model *m, int i, int64_t after_us)
{
    int64_t before = loop_mono_us(m->l);
    timer_set(m->l, &m->t[i], after_us, model_fired, &slots[i]);
    int64_t after = loop_mono_us(m->l);
    if (after_us < 1)
        after_us = 1;
    assert_true(m->t[i].due_us >= before + after_us && m->t[i].due_us <= after + after_us);
    m->n_on += !m->on[i];
    m->on[i] = true;
    m->due[i] = m->t[i].due_us;
}

static void model_off(struct model *m, int i)
{
    timer_off(m->l, &m->t[i]);
    m->n_on -= m->on[i];
    m->on[i] = false;
}

static void model_check(const struct model *m)
{
    assert_int_equal(m->l->n_timers, m->n_on);
    for (int i = 0; i < N; i++)
        assert_int_equal(timer_is_on(&m->t[i]), m->on[i]);
    for (size_t i = 0; i < m->l->n_timers; i++) {
        assert_int_equal(m->l->heap[i]->place, i + 1);
        if (i > 0)
            assert_true(m->l->heap[(i - 1) / 2]->due_us <= m->l->heap[i]->due_us);
    }
}

static void model_fired(void *ctx)
{
    struct slot *s = ctx;
    struct model *m = s->m;
    assert_true(m->on[s->i]);
    assert_false(timer_is_on(&m->t[s->i]));
    assert_true(m->due[s->i] <= loop_mono_us(m->l));
    for (int i = 0; i < N; i++)
        assert_true(!m->on[i] || m->due[i] >= m->due[s->i]);
    m->on[s->i] = false;
    m->n_on--;
    m->n_fired++;
    if (m->frozen || m->n_fired > 3 * N)
        return;
    int other = (int)(dice(m) % N);
    switch (dice(m) % 4) {
    case 0:
        model_set(m, s->i, dice(m) % 3000);
        break;
    case 1:
        model_set(m, other, (int64_t)(dice(m) % 3000) - 1000);
        break;
    case 2:
        model_off(m, other);
        break;
    default:
        break;
    }
}

static void test_timers_agree_with_a_naive_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct model *m = calloc(1, sizeof *m);
        m->l = loop_or_die();
        m->seed = seed;
        for (int i = 0; i < N; i++)
            slots[i] = (struct slot){m, i};
        for (int step = 0; step < STEPS; step++) {
            int i = (int)(dice(m) % N);
            if (dice(m) % 3 == 0)
                model_off(m, i);
            else
                model_set(m, i, (int64_t)(dice(m) % 30000) - 100);
            if (step % 64 == 0)
                model_check(m);
        }
        model_check(m);
        assert_true(m->n_on > N / 4);
        loop_run(m->l); /* ends by itself: nothing is left to wait for */
        assert_int_equal(m->n_on, 0);
        assert_true(m->n_fired > N / 4);
        loop_free(m->l);
        free(m);
    }
}

struct again {
    struct loop *l;
    struct timer t;
    int n;
    int64_t at[5];
};

static void set_again(void *ctx)
{
    struct again *a = ctx;
    a->at[a->n++] = loop_mono_us(a->l);
    if (a->n < 5)
        timer_set(a->l, &a->t, -7, set_again, a);
}

static void test_a_timer_set_for_now_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct again a = {.l = loop_or_die()};
    timer_set(a.l, &a.t, 0, set_again, &a);
    loop_run(a.l);
    assert_int_equal(a.n, 5);
    for (int i = 1; i < 5; i++)
        assert_true(a.at[i] > a.at[i - 1]);
    loop_free(a.l);
}

static void never(void *ctx)
{
    (void)ctx;
    fail_msg("must not fire");
}

static void test_a_timer_is_not_early_and_can_lie_at_the_end_of_time(void **state)
{
    (void)state;
    struct loop *l = loop_or_die();
    struct timer t = {0}, far = {0};
    timer_off(l, &far);
    timer_set(l, &far, TIME_NEVER, never, NULL);
    assert_true(far.due_us == TIME_NEVER);
    int64_t begin = real_us(CLOCK_MONOTONIC);
    timer_set(l, &t, 7300, stop, l);
    loop_run(l);
    assert_true(real_us(CLOCK_MONOTONIC) - begin >= 7300);
    assert_true(timer_is_on(&far));
    timer_off(l, &far);
    timer_off(l, &far);
    loop_run(l);
    loop_free(l);
}

/* ---- turns ---- */

struct trace {
    struct loop *l;
    char text[64];
    size_t n;
    struct later a, b, c;
    struct turn_hook h1, h2, h3;
    struct timer t;
    int turn;
    int64_t mono, wall;
};

static void note(struct trace *t, char c)
{
    assert_true(t->n + 1 < sizeof t->text);
    t->text[t->n++] = c;
}

static void later_c(void *ctx)
{
    note(ctx, 'c');
}

static void later_b(void *ctx)
{
    note(ctx, 'b');
}

static void later_a(void *ctx)
{
    struct trace *t = ctx;
    note(t, 'a');
    loop_later(t->l, &t->c, later_c, t);
}

static void hook_3(void *ctx)
{
    note(ctx, '3');
}

static void hook_1(void *ctx)
{
    struct trace *t = ctx;
    note(t, '1');
    if (t->turn == 0) {
        loop_hook_add(t->l, &t->h3, hook_3, t);
    } else if (t->turn == 1) {
        loop_hook_remove(t->l, &t->h2); /* the next one */
        loop_hook_remove(t->l, &t->h1); /* itself */
        loop_hook_remove(t->l, &t->h1);
        loop_stop(t->l);
    }
    t->turn++;
}

static void hook_2(void *ctx)
{
    note(ctx, '2');
}

static void test_laters_and_hooks_come_in_order(void **state)
{
    (void)state;
    struct trace t = {.l = loop_or_die()};
    struct later gone = {0};
    loop_hook_add(t.l, &t.h1, hook_1, &t);
    loop_hook_add(t.l, &t.h2, hook_2, &t);
    loop_later(t.l, &t.a, later_b, &t);
    loop_later(t.l, &t.a, later_a,
               &t); /* asked for twice: the second stands, in the first's place */
    loop_later(t.l, &gone, never, NULL);
    loop_later(t.l, &t.b, later_b, &t);
    loop_later_off(t.l, &gone);
    loop_later_off(t.l, &gone);
    loop_run(t.l);
    /* First turn: a, b, then the hooks that stood at its beginning. Second: what `a` and the hook
     * asked for; then hook 1 takes itself and hook 2 away and stops. The turn in which the loop
     * leaves ends as well. */
    assert_string_equal(t.text, "ab12c133");
    loop_hook_remove(t.l, &t.h3);
    loop_free(t.l);
}

static void off_others(void *ctx)
{
    struct trace *t = ctx;
    note(t, 'o');
    loop_later_off(t->l, &t->b);
    loop_later(t->l, &t->a, later_b, t);
}

static void test_a_later_takes_others_back_and_keeps_the_loop_awake(void **state)
{
    (void)state;
    struct trace t = {.l = loop_or_die()};
    loop_later(t.l, &t.a, off_others, &t);
    loop_later(t.l, &t.b, never, &t);
    loop_run(t.l); /* with nothing else to wait for, it ends when the last call is made */
    assert_string_equal(t.text, "ob");
    loop_free(t.l);
}

static void spin_us(int64_t us)
{
    int64_t until = real_us(CLOCK_MONOTONIC) + us;
    while (real_us(CLOCK_MONOTONIC) < until)
        continue;
}

static void same_now(void *ctx)
{
    struct trace *t = ctx;
    assert_true(loop_mono_us(t->l) == t->mono && loop_wall_us(t->l) == t->wall);
    t->n++;
}

static void later_turn(void *ctx)
{
    struct trace *t = ctx;
    assert_true(loop_mono_us(t->l) >= t->mono + 6000);
    assert_true(loop_wall_us(t->l) != t->wall);
    loop_hook_remove(t->l, &t->h1);
    t->n += 10;
}

static void take_now(void *ctx)
{
    struct trace *t = ctx;
    t->mono = loop_mono_us(t->l);
    t->wall = loop_wall_us(t->l);
    spin_us(3000);
    same_now(t);
    loop_later(t->l, &t->a, same_now, t);
    loop_hook_add(t->l, &t->h1, same_now, t);
    timer_set(t->l, &t->t, 0, later_turn, t);
    spin_us(3000);
}

static void test_now_stands_still_within_a_turn(void **state)
{
    (void)state;
    struct trace t = {.l = loop_or_die()};
    timer_set(t.l, &t.t, 0, take_now, &t);
    loop_run(t.l);
    assert_int_equal(t.n, 13);
    int64_t off = loop_wall_us(t.l) - real_us(CLOCK_REALTIME);
    assert_true(off < US_PER_S && off > -US_PER_S);
    loop_free(t.l);
}

static void work_6_ms(void *ctx)
{
    (void)ctx;
    spin_us(6000);
}

static int64_t metric_of(const char *line)
{
    struct buf b;
    long long value = -1;
    buf_init(&b, 1 << 16);
    metric_print(&b);
    buf_char(&b, '\0');
    const char *at = strstr(b.p, line);
    if (at != NULL)
        value = strtoll(at + strlen(line), NULL, 10);
    buf_free(&b);
    return value;
}

static void test_a_long_turn_shows_as_lag(void **state)
{
    (void)state;
    struct loop *l = loop_or_die();
    struct timer t = {0};
    timer_set(l, &t, 0, stop, l);
    loop_run(l);
    int64_t turns = metric_of("\nreli_loop_turns_total ");
    int64_t short_ones = metric_of("\nreli_loop_lag_seconds_bucket{le=\"0.005000\"} ");
    int64_t all = metric_of("\nreli_loop_lag_seconds_count ");
    assert_int_equal(turns, all);
    timer_set(l, &t, 0, work_6_ms, NULL);
    loop_run(l);
    int64_t more_short = metric_of("\nreli_loop_lag_seconds_bucket{le=\"0.005000\"} ") - short_ones;
    int64_t more = metric_of("\nreli_loop_lag_seconds_count ") - all;
    assert_true(more > more_short && more_short >= 0);
    assert_int_equal(metric_of("\nreli_loop_turns_total ") - turns, more);
    loop_free(l);
}

static void test_stop_before_run_ends_it(void **state)
{
    (void)state;
    struct loop *l = loop_or_die();
    struct timer t = {0};
    timer_set(l, &t, US_PER_HOUR, never, NULL);
    loop_stop(l);
    loop_run(l);
    timer_off(l, &t);
    timer_set(l, &t, 0, stop, l);
    loop_run(l); /* the stop is used up: it runs again */
    assert_false(timer_is_on(&t));
    loop_free(l);
    loop_free(NULL);
}

/* ---- the test clock ---- */

struct shift {
    struct loop *l;
    const char *path;
    struct timer soon, far;
    int64_t mono, wall;
    int n;
    struct turn_hook watch;
    int64_t seen;
};

static void say(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void never_back(void *ctx)
{
    struct shift *s = ctx;
    assert_true(loop_mono_us(s->l) > s->seen);
    s->seen = loop_mono_us(s->l);
}

static void hour_has_passed(void *ctx)
{
    struct shift *s = ctx;
    assert_true(loop_mono_us(s->l) - s->mono >= US_PER_HOUR);
    assert_true(loop_wall_us(s->l) - s->wall >= 2 * US_PER_HOUR);
    s->n++;
    s->mono = loop_mono_us(s->l);
    s->wall = loop_wall_us(s->l);
    say(s->path, "-300\n");
}

/* Looks until the wall clock has been set back. */
static void wait_for_back(void *ctx)
{
    struct shift *s = ctx;
    if (s->n == 1 && loop_wall_us(s->l) < s->wall - US_PER_HOUR) {
        assert_true(loop_mono_us(s->l) - s->mono < US_PER_MIN);
        s->n++;
        timer_set(s->l, &s->far, 5000, stop, s->l); /* time goes on at its old pace */
        return;
    }
    timer_set(s->l, &s->soon, 1000, wait_for_back, s);
}

static void test_the_test_clock_shifts_and_fires_but_mono_never_goes_back(void **state)
{
    (void)state;
    char path[] = "/tmp/reli_clock_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct shift s = {.l = loop_or_die(), .path = path};
    static const char *const bad[] = {"+", "x", "-", "1.5", "9999999999999", "5m junk", "--1s"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        say(path, bad[i]);
        assert_int_equal(loop_test_clock(s.l, path).code, ERR_CONFIG);
    }
    assert_int_equal(loop_test_clock(s.l, "/nonexistent/clock").code, ERR_CONFIG);
    say(path, ""); /* a new file says nothing yet */
    assert_int_equal(loop_test_clock(s.l, path).code, ERR_NONE);
    s.mono = loop_mono_us(s.l);
    s.wall = loop_wall_us(s.l);
    say(path, "90s\n");
    assert_int_equal(loop_test_clock(s.l, path).code, ERR_NONE);
    int64_t wall_step = loop_wall_us(s.l) - s.wall, mono_step = loop_mono_us(s.l) - s.mono;
    assert_true(wall_step >= 85 * US_PER_S && wall_step < 120 * US_PER_S);
    assert_true(mono_step >= 90 * US_PER_S && mono_step < 120 * US_PER_S);
    say(path, "3h");
    loop_hook_add(s.l, &s.watch, never_back, &s);
    timer_set(s.l, &s.far, US_PER_HOUR, hour_has_passed, &s);
    timer_set(s.l, &s.soon, 0, wait_for_back, &s);
    loop_run(s.l);
    assert_int_equal(s.n, 2);
    loop_hook_remove(s.l, &s.watch);
    unlink(path);
    loop_free(s.l);
}

static void skip_an_hour(void *ctx)
{
    struct shift *s = ctx;
    s->n++;
    loop_skip(s->l, US_PER_HOUR);
}

static void test_a_skip_fires_timers_and_leaves_the_wall_clock(void **state)
{
    (void)state;
    struct shift s = {.l = loop_or_die()};
    s.mono = loop_mono_us(s.l);
    s.wall = loop_wall_us(s.l);
    timer_set(s.l, &s.far, US_PER_HOUR, stop, s.l);
    timer_set(s.l, &s.soon, 0, skip_an_hour, &s);
    loop_run(s.l);
    assert_int_equal(s.n, 1);
    assert_true(loop_mono_us(s.l) - s.mono >= US_PER_HOUR);
    assert_true(loop_wall_us(s.l) - s.wall < US_PER_HOUR);
    loop_free(s.l);
}

/* ---- signals ---- */

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void raise_term(void *ctx)
{
    (void)ctx;
    raise(SIGTERM);
    raise(SIGPIPE);
}

struct stopper {
    struct loop *l;
    int n;
};

static void stopped(void *ctx)
{
    struct stopper *s = ctx;
    s->n++;
    loop_stop(s->l);
}

static void test_stop_signals_call_and_can_be_taken_back(void **state)
{
    (void)state;
    struct stopper s = {.l = loop_or_die()};
    struct timer t = {0}, far = {0};
    struct sigaction now;
    assert_int_equal(loop_on_stop_signal(s.l, stopped, &s).code, ERR_NONE);
    timer_set(s.l, &far, US_PER_HOUR, never, NULL);
    timer_set(s.l, &t, 0, raise_term, NULL);
    loop_run(s.l);
    assert_int_equal(s.n, 1);
    assert_int_equal(loop_on_stop_signal(s.l, NULL, NULL).code, ERR_NONE);
    sigaction(SIGTERM, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    timer_off(s.l, &far);
    assert_int_equal(loop_on_stop_signal(s.l, stopped, &s).code, ERR_NONE);
    loop_run(s.l); /* handlers alone keep no loop alive */
    loop_free(s.l);
}

/* ---- names ---- */

struct answer {
    struct loop *l;
    int n;
    struct err err;
    int found, loopback;
    bool starting, stop;
};

static void answered(void *ctx, struct err err, const struct resolved *found)
{
    struct answer *a = ctx;
    assert_false(a->starting);
    a->n++;
    a->err = err;
    a->found = found->n;
    for (int i = 0; i < found->n; i++) {
        const struct sockaddr_storage *s = found->addr[i];
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)s;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)s;
        if (s->ss_family == AF_INET)
            a->loopback +=
                ntohl(v4->sin_addr.s_addr) == INADDR_LOOPBACK && ntohs(v4->sin_port) == 81;
        else
            a->loopback += IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) && ntohs(v6->sin6_port) == 81;
    }
    if (a->stop)
        loop_stop(a->l);
}

static struct resolve *start(struct answer *a, const char *host)
{
    struct resolve *r = NULL;
    a->starting = true;
    assert_int_equal(resolve_start(a->l, host, "81", answered, a, &r).code, ERR_NONE);
    a->starting = false;
    return r;
}

static void test_names_and_literals_resolve(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct answer a = {.l = loop_or_die()};
        start(&a, hosts[i]);
        loop_run(a.l);
        assert_int_equal(a.n, 1);
        assert_int_equal(a.err.code, ERR_NONE);
        assert_true(a.found >= 1 && a.found <= RESOLVE_MAX);
        assert_int_equal(a.loopback, a.found);
        loop_free(a.l);
    }
}

static void test_what_is_no_name_has_no_address(void **state)
{
    (void)state;
    struct answer a = {.l = loop_or_die()};
    struct resolve *r = NULL;
    char long_name[400];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(resolve_start(a.l, long_name, "81", answered, &a, &r).code, ERR_IO);
    start(&a, ".."); /* the resolver refuses it without asking a server */
    loop_run(a.l);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.err.code, ERR_IO);
    assert_int_equal(a.found, 0);
    loop_free(a.l);
}

static void wait_for_pipe(uv_work_t *w)
{
    char c;
    ssize_t n = read(*(int *)w->data, &c, 1);
    (void)n;
}

static void test_a_name_that_never_comes_has_a_deadline(void **state)
{
    (void)state;
    char path[] = "/tmp/reli_clock_XXXXXX";
    int fd = mkstemp(path), hold[2];
    close(fd);
    struct answer a = {.l = loop_or_die(), .stop = true};
    uv_work_t work = {.data = &hold[0]};
    assert_int_equal(pipe(hold), 0);
    assert_int_equal(uv_queue_work(loop_uv(a.l), &work, wait_for_pipe, NULL), 0);
    /* Behind `work` on the only thread, with ten seconds: a machine may stand still for a while. */
    start(&a, "localhost");
    say(path, "5");
    assert_int_equal(loop_test_clock(a.l, path).code, ERR_NONE);
    struct timer t = {0};
    timer_set(a.l, &t, 0, stop, a.l);
    loop_run(a.l);
    assert_int_equal(a.n, 0);
    say(path, "11");
    assert_int_equal(loop_test_clock(a.l, path).code, ERR_NONE);
    loop_run(a.l);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.err.code, ERR_TIMEOUT);
    close(hold[1]);
    loop_run(a.l);
    assert_int_equal(a.n, 1);
    close(hold[0]);
    unlink(path);
    loop_free(a.l);
}

static void test_cancel_answers_once(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        /* Several: the first ones are with a thread already, the last ones still wait for one. */
        struct answer a = {.l = loop_or_die()};
        for (int k = 1; k <= 12; k++) {
            struct resolve *r = start(&a, hosts[i]);
            a.starting = true;
            resolve_cancel(r);
            resolve_cancel(r);
            a.starting = false;
        }
        loop_run(a.l);
        assert_int_equal(a.n, 12);
        assert_int_equal(a.err.code, ERR_CANCELED);
        assert_int_equal(a.found, 0);
        loop_free(a.l);
    }
}

/* ---- the log ---- */

static void log_a_line(void *ctx)
{
    log_info("test.line", F_C("where", ctx));
}

static void test_lines_leave_while_the_loop_waits(void **state)
{
    (void)state;
    int fd[2];
    char text[512];
    assert_int_equal(pipe(fd), 0);
    log_open(fd[1], LOG_INFO);
    struct loop *l = loop_or_die();
    struct timer t = {0}, second = {0}, end = {0};
    int n = 0;
    timer_set(l, &t, 0, log_a_line, (char[]){"first"});
    timer_set(l, &second, 1000, log_a_line, (char[]){"second"});
    timer_set(l, &end, 200 * US_PER_MS, stop, l);
    struct turn_hook h = {0};
    loop_hook_add(l, &h, count, &n);
    loop_run(l);
    loop_hook_remove(l, &h);
    assert_true(n >= 3 && n < 50); /* woken for the lines, not spinning */
    assert_int_equal(log_waiting(), 0);
    ssize_t got = read(fd[0], text, sizeof text - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, "\"first\""));
    assert_non_null(strstr(text, "\"second\""));
    assert_int_equal(read(fd[0], text, 0), 0);
    loop_free(l);
    log_open(STDERR_FILENO, LOG_WARN);
    close(fd[0]);
    close(fd[1]);
}

static void handle_gone(uv_handle_t *h)
{
    (void)h;
}

static void test_free_names_what_leaks(void **state)
{
    (void)state;
#ifndef RELI_CRASH_POINTS
    int fd[2];
    char text[1024];
    assert_int_equal(pipe(fd), 0);
    log_open(fd[1], LOG_INFO);
    struct loop *l = loop_or_die();
    uv_timer_t forgotten;
    uv_timer_init(loop_uv(l), &forgotten);
    loop_free(l);
    ssize_t got = read(fd[0], text, sizeof text - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, "\"loop.leak\""));
    assert_non_null(strstr(text, "\"handle\":\"timer\""));
    uv_close((uv_handle_t *)&forgotten, handle_gone);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->uv), 0);
    free(l);
    log_open(STDERR_FILENO, LOG_WARN);
    close(fd[0]);
    close(fd[1]);
#else
    (void)handle_gone; /* such a build stops at the leak */
#endif
}

int main(void)
{
    alarm(120); /* a loop that hangs fails */
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    log_open(STDERR_FILENO, LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_agree_with_a_naive_model),
        cmocka_unit_test(test_a_timer_set_for_now_waits_for_the_next_turn),
        cmocka_unit_test(test_a_timer_is_not_early_and_can_lie_at_the_end_of_time),
        cmocka_unit_test(test_laters_and_hooks_come_in_order),
        cmocka_unit_test(test_a_later_takes_others_back_and_keeps_the_loop_awake),
        cmocka_unit_test(test_now_stands_still_within_a_turn),
        cmocka_unit_test(test_a_long_turn_shows_as_lag),
        cmocka_unit_test(test_stop_before_run_ends_it),
        cmocka_unit_test(test_the_test_clock_shifts_and_fires_but_mono_never_goes_back),
        cmocka_unit_test(test_a_skip_fires_timers_and_leaves_the_wall_clock),
        cmocka_unit_test(test_stop_signals_call_and_can_be_taken_back),
        cmocka_unit_test(test_names_and_literals_resolve),
        cmocka_unit_test(test_what_is_no_name_has_no_address),
        cmocka_unit_test(test_cancel_answers_once),
        cmocka_unit_test(test_a_name_that_never_comes_has_a_deadline),
        cmocka_unit_test(test_lines_leave_while_the_loop_waits),
        cmocka_unit_test(test_free_names_what_leaks),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
