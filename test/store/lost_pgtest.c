/* The store while connections to PostgreSQL break on purpose: nothing is lost, nothing comes twice,
 * and nobody is told what is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>

#include "test/store/pg_fixture.h"

/* Stands before the C library's: names that are looked up on the loop's thread would block it. */
static pthread_t loop_thread;
static _Atomic int n_blocking, n_lookups;

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict res)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name != NULL && strcmp(name, "localhost") == 0 &&
        (hints == NULL || (hints->ai_flags & AI_NUMERICHOST) == 0)) {
        n_lookups++;
        n_blocking += pthread_equal(pthread_self(), loop_thread) != 0;
    }
    return real(name, service, hints, res);
}

/* ---- lost connections ---- */

struct storm {
    struct item *items;
    size_t n, at;
    struct timer tick;
    int n_kills;
};

static void storm_tick(void *ctx)
{
    struct storm *w = ctx;
    size_t n = w->n - w->at < 25 ? w->n - w->at : 25;
    write_all(w->items + w->at, n);
    w->at += n;
    if (w->at % 100 == 50)
        w->n_kills += (int)ask("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                               " where application_name = 'reli' and datname = current_database()");
    if (w->at < w->n)
        timer_set(l, &w->tick, US_PER_MS, storm_tick, w);
}

static bool storm_over(void *ctx)
{
    struct storm *w = ctx;
    return w->at == w->n && store_busy(s) == 0;
}

static void test_terminated_backends(void **state)
{
    (void)state;
    enum { N = 1000 };
    start((struct store_options){.wait_timeout_us = 20 * US_PER_S, .max_batch = 16});
    run_ready();
    int64_t reconnects = metric("reli_store_reconnects_total");
    struct storm w = {.items = items_new(N, &put_kind), .n = N};
    timer_set(l, &w.tick, 0, storm_tick, &w);
    assert_true(run_until(storm_over, &w, 60000));
    count_items(w.items, N, ERR_NONE, N);
    for (int i = 0; i < N; i++)
        assert_true(w.items[i].ours); /* by its first run or by its second */
    assert_int_equal(ask("select count(*) from put_row"), N);
    assert_true(w.n_kills >= 6);
    run_ready();
    assert_true(metric("reli_store_reconnects_total") - reconnects >= 1);
    free(w.items);
    finish();
}

static void test_commit_whose_answer_is_lost(void **state)
{
    (void)state;
    enum { N = 50 };
    start((struct store_options){.conninfo = proxy_conninfo});
    run_ready();
    static const enum proxy_mode cuts[] = {PROXY_CUT_REPLY, PROXY_CUT_REQUEST};
    for (size_t k = 0; k < COUNT_OF(cuts); k++) {
        sql("truncate put_row");
        struct item *items = items_new(N, &put_kind);
        int n = proxy.cuts;
        proxy.mode = cuts[k];
        write_all(items, N);
        run_idle();
        assert_int_equal(proxy.cuts, n + 1);
        count_items(items, N, ERR_NONE, N);
        for (int i = 0; i < N; i++) {
            assert_true(items[i].unit.doubt);
            assert_true(items[i].ours);
            assert_int_equal(items[i].n_resets, 1);
        }
        assert_int_equal(ask("select count(*) from put_row"), N);
        /* Found as written by the first run, or written by the second. */
        assert_int_equal(ask("select count(distinct tx) from put_row"), 1);
        char first[100];
        snprintf(first, sizeof first, "select count(*) from put_row where tx = %lld",
                 (long long)items[0].tx);
        assert_int_equal(ask(first), cuts[k] == PROXY_CUT_REPLY ? 0 : N);
        free(items);
    }
    finish();
}

static void test_doubt_that_nobody_can_settle(void **state)
{
    (void)state;
    enum { N = 5 };
    start((struct store_options){.conninfo = proxy_conninfo, .wait_timeout_us = 300 * US_PER_MS});
    run_ready();
    struct item *items = items_new(2 * N, &put_kind);
    proxy.after = PROXY_CLOSED;
    proxy.mode = PROXY_CUT_REPLY;
    write_all(items, N);
    run_idle();
    write_all(items + N, N); /* nobody is there to take them */
    int64_t from = store_clock_us();
    run_idle();
    int64_t took = store_clock_us() - from;
    for (int i = 0; i < 2 * N; i++)
        assert_int_equal(items[i].unit.err.code, i < N ? ERR_AMBIGUOUS : ERR_UNAVAILABLE);
    assert_true(took >= 300 * US_PER_MS && took < 4 * US_PER_S); /* five by default */
    assert_int_equal(ask("select count(*) from put_row"), N);
    free(items);
    finish();
}

static void test_absent_database(void **state)
{
    (void)state;
    proxy.mode = PROXY_CLOSED;
    start((struct store_options){.conninfo = proxy_conninfo, .wait_timeout_us = 200 * US_PER_MS});
    struct item *items = items_new(3, &put_kind);
    struct note note = {0};
    const char *why = NULL;
    assert_false(store_ready(s, &why));
    assert_non_null(why);
    write_all(items, 2);
    divide(&note, 4, 2);
    int64_t from = store_clock_us();
    run_idle();
    int64_t took = store_clock_us() - from;
    assert_true(took >= 150 * US_PER_MS && took < 4 * US_PER_S);
    count_items(items, 2, ERR_UNAVAILABLE, 2);
    assert_int_equal(note.err.code, ERR_UNAVAILABLE);
    proxy.mode = PROXY_PASS;
    run_ready();
    write_all(items + 2, 1);
    divide(&note, 4, 2);
    run_idle();
    assert_int_equal(items[2].unit.err.code, ERR_NONE);
    assert_int_equal(note.err.code, ERR_NONE);
    assert_int_equal(note.n, 2);
    free(items);
    finish();
}

/* The network swallows everything and says nothing. */
static void test_silent_network(void **state)
{
    (void)state;
    start((struct store_options){
        .conninfo = proxy_conninfo, .statement_timeout_us = US_PER_S, .wait_timeout_us = US_PER_S});
    run_ready();
    struct item *items = items_new(2, &put_kind);
    struct note note = {0};
    proxy.mode = PROXY_STALL;
    write_all(items, 1);
    divide(&note, 4, 2);
    run_idle();
    assert_int_equal(items[0].unit.err.code, ERR_AMBIGUOUS);
    assert_int_equal(note.err.code, ERR_UNAVAILABLE);
    proxy.mode = PROXY_PASS;
    run_ready();
    write_all(items + 1, 1);
    run_idle();
    assert_int_equal(items[1].unit.err.code, ERR_NONE);
    free(items);
    finish();
}

/* Each attempt tries another host, and a name is resolved before libpq gets it. */
static void test_several_hosts(void **state)
{
    (void)state;
    char conninfo[1200];
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1,localhost,/nowhere port=1,%d,1 user=%s dbname=%s sslmode=disable"
             " gssencmode=disable",
             proxy.port, PQuser(admin), PQdb(admin));
    loop_thread = pthread_self();
    n_lookups = n_blocking = 0;
    start((struct store_options){.conninfo = conninfo});
    memset(conninfo, 'x', sizeof conninfo - 1); /* the store has a copy */
    run_ready();
    struct item *items = items_new(1, &put_kind);
    write_all(items, 1);
    run_idle();
    assert_int_equal(items[0].unit.err.code, ERR_NONE);
    free(items);
    finish();
    assert_true(n_lookups > 0);
    assert_int_equal(n_blocking, 0);
}

/* A process that stood still finds its answers in the socket, however late it is. */
static void test_late_loop(void **state)
{
    (void)state;
    start((struct store_options){.statement_timeout_us = US_PER_S});
    run_ready();
    struct item *items = items_new(1, &put_kind);
    struct timer turn = {0};
    write_all(items, 1);
    timer_set(l, &turn, 0, until_late, NULL);
    loop_run(l); /* the batch leaves */
    sql("select pg_sleep(3.2)");
    run_idle();
    assert_int_equal(items[0].unit.err.code, ERR_NONE);
    assert_false(items[0].unit.doubt);
    assert_int_equal(items[0].n_resets, 0);
    free(items);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(test_terminated_backends),
        PG_TEST(test_commit_whose_answer_is_lost),
        PG_TEST(test_doubt_that_nobody_can_settle),
        PG_TEST(test_absent_database),
        PG_TEST(test_silent_network),
        PG_TEST(test_several_hosts),
        PG_TEST(test_late_loop),
    };
    PG_RUN(tests);
}
