/* Proves core/loop/work.h: so many at once, so many that wait, deadlines in both queues, and an end
 * while threads are at work. Threads are held by a semaphore, so nothing depends on speed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/times.h"
#include "core/loop/work.h"

enum { MANY = 12, THREADS = 4 };

static struct scene {
    struct loop *l;
    struct work_pool *pool;
    sem_t begun, go;
    atomic_int now, most, n_run;
    int n_done, order[MANY], until;
    struct err err[MANY];
    struct timer timer;
} s;

struct item {
    int i;
};
static struct item items[MANY];

static void run(void *ctx)
{
    (void)ctx;
    int now = atomic_fetch_add(&s.now, 1) + 1, most = atomic_load(&s.most);
    while (now > most && !atomic_compare_exchange_weak(&s.most, &most, now))
        ;
    sem_post(&s.begun);
    sem_wait(&s.go);
    atomic_fetch_sub(&s.now, 1);
    atomic_fetch_add(&s.n_run, 1);
}

static void done(void *ctx, struct err err)
{
    struct item *it = ctx;
    s.err[it->i] = err;
    s.order[s.n_done++] = it->i;
    if (s.n_done == s.until)
        loop_stop(s.l);
}

static void begin(int at_once, int queue, int64_t wait_us)
{
    struct work_pool_options o = {.at_once = at_once, .queue = queue, .wait_us = wait_us};
    memset(&s, 0, sizeof s);
    sem_init(&s.begun, 0, 0);
    sem_init(&s.go, 0, 0);
    assert_false(err_is(loop_new(&s.l)));
    assert_false(err_is(work_pool_new(s.l, &o, &s.pool)));
    for (int i = 0; i < MANY; i++)
        items[i].i = i;
}

static struct err start(int i)
{
    return work_start(s.pool, run, done, &items[i]);
}

static void wait_begun(int n)
{
    while (n-- > 0)
        sem_wait(&s.begun);
}

static void let_go(int n)
{
    while (n-- > 0)
        sem_post(&s.go);
}

static void run_until(int n)
{
    s.until = n;
    if (s.n_done < n)
        loop_run(s.l);
    assert_int_equal(s.n_done, n);
}

static void end(void)
{
    work_pool_free(s.pool);
    loop_run(s.l);
    loop_free(s.l);
    sem_destroy(&s.begun);
    sem_destroy(&s.go);
}

static void limits(void **state)
{
    (void)state;
    begin(2, 3, US_PER_HOUR);
    for (int i = 0; i < 5; i++)
        assert_false(err_is(start(i)));
    assert_int_equal(start(5).code, ERR_OVERLOADED);
    wait_begun(2);
    let_go(1);
    run_until(1);
    /* one place is free again, and only one */
    assert_false(err_is(start(6)));
    assert_int_equal(start(7).code, ERR_OVERLOADED);
    let_go(MANY);
    run_until(6);
    assert_int_equal(atomic_load(&s.n_run), 6);
    assert_int_equal(atomic_load(&s.most), 2);
    for (int i = 0; i < 7; i++)
        assert_int_equal(s.err[i].code, ERR_NONE);
    end();
}

static void order(void **state)
{
    (void)state;
    begin(1, MANY, US_PER_HOUR);
    let_go(MANY);
    for (int i = 0; i < MANY; i++)
        assert_false(err_is(start(i)));
    run_until(MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(s.order[i], i);
    end();
}

/* Those who wait are told; those at work go on to their end. */
static void late(void **state)
{
    (void)state;
    begin(1, 2, US_PER_MS);
    for (int i = 0; i < 3; i++)
        assert_false(err_is(start(i)));
    wait_begun(1);
    run_until(2);
    assert_int_equal(s.err[1].code, ERR_TIMEOUT);
    assert_int_equal(s.err[2].code, ERR_TIMEOUT);
    assert_false(err_is(start(3))); /* there is room again */
    let_go(2);
    run_until(4);
    assert_int_equal(s.err[0].code, ERR_NONE);
    end();
}

/* All of libuv's threads are taken: what waits there is taken back too. */
static void late_in_libuv(void **state)
{
    (void)state;
    begin(THREADS + 2, 0, US_PER_MS);
    for (int i = 0; i < THREADS + 2; i++)
        assert_false(err_is(start(i)));
    wait_begun(THREADS);
    run_until(2);
    assert_int_equal(s.err[THREADS].code, ERR_TIMEOUT);
    assert_int_equal(s.err[THREADS + 1].code, ERR_TIMEOUT);
    let_go(THREADS);
    run_until(THREADS + 2);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(s.err[i].code, ERR_NONE);
    assert_int_equal(atomic_load(&s.n_run), THREADS);
    end();
}

static void freed_at_work(void **state)
{
    (void)state;
    begin(THREADS + 1, 2, US_PER_HOUR);
    for (int i = 0; i < THREADS + 3; i++)
        assert_false(err_is(start(i)));
    wait_begun(THREADS);
    work_pool_free(s.pool);
    s.pool = NULL;
    assert_int_equal(s.n_done, 2); /* those of our queue, at once */
    assert_int_equal(s.err[THREADS + 1].code, ERR_CANCELED);
    assert_int_equal(s.err[THREADS + 2].code, ERR_CANCELED);
    let_go(THREADS);
    loop_run(s.l);
    assert_int_equal(s.n_done, THREADS + 3);
    assert_int_equal(s.err[THREADS].code, ERR_CANCELED); /* that of libuv's */
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(s.err[i].code, ERR_NONE);
    end();
}

static int few_threads(void **state)
{
    (void)state;
    char n[12];
    alarm(120); /* threads that wait for a word that never comes end nothing by themselves */
    snprintf(n, sizeof n, "%d", THREADS);
    return setenv("UV_THREADPOOL_SIZE", n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),        cmocka_unit_test(order),         cmocka_unit_test(late),
        cmocka_unit_test(late_in_libuv), cmocka_unit_test(freed_at_work),
    };
    return cmocka_run_group_tests(tests, few_threads, NULL);
}
