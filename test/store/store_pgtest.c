/* Reads, single statements, readiness and the end of a store, against a real PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/store/pg_fixture.h"

/* ---- reads and single statements ---- */

static void test_reads(void **state)
{
    (void)state;
    enum { N = 500 };
    start((struct store_options){0});
    run_ready();
    static struct note notes[N];
    memset(notes, 0, sizeof notes);
    for (int i = 0; i < N; i++)
        divide(&notes[i], 1000 * i, i % 50 == 7 ? 0 : 10);
    struct note bad = {0}, writes = {0};
    store_read(s, (enum query)Q_BAD, NULL, 0, read_noted, &bad);
    const struct value params[] = {V_UUID(random_uuid(US_PER_S)), V_I64(5)};
    store_read(s, (enum query)Q_TOUCH, params, 2, read_noted, &writes);
    run_idle();
    for (int i = 0; i < N; i++) {
        assert_int_equal(notes[i].n, 1);
        assert_int_equal(notes[i].err.code, i % 50 == 7 ? ERR_INTERNAL : ERR_NONE);
        if (notes[i].has_rows)
            assert_int_equal(notes[i].v, 100 * i);
    }
    assert_int_equal(bad.err.code, ERR_INTERNAL);
    assert_int_equal(writes.err.code, ERR_UNAVAILABLE); /* a reader takes no writes */
    assert_int_equal(ask("select count(*) from put_row"), 0);
    finish();
}

static bool all_are_up(void *ctx)
{
    (void)ctx;
    return pg_conn_is_up(s->readers[0].conn) && pg_conn_is_up(s->readers[1].conn);
}

static void test_read_on_a_lost_connection(void **state)
{
    (void)state;
    start((struct store_options){.readers = 2});
    run_ready();
    struct note notes[8] = {0};
    const struct value slow[] = {V_I64(50)};
    for (int i = 0; i < 4; i++)
        store_read(s, (enum query)Q_SLOW, slow, 1, (store_rows_fn *)read_noted, &notes[i]);
    finish();
    for (int i = 0; i < 4; i++)
        assert_int_equal(notes[i].err.code, ERR_CANCELED);

    start((struct store_options){.readers = 2, .writers = 1});
    assert_true(run_until(all_are_up, NULL, 30000)); /* two losses would be one too many */
    for (int i = 0; i < 8; i++)
        divide(&notes[i], 10 * i, 1);
    sql("select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
        " where application_name = 'reli' and datname = current_database()");
    run_idle(); /* they find their connections dead and go again on new ones */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(notes[i].err.code, ERR_NONE);
        assert_int_equal(notes[i].v, 10 * i);
    }
    finish();
}

static int n_up(void)
{
    int n = 0;
    for (int i = 0; i < s->o.writers; i++)
        n += pg_conn_is_up(s->writers[i].conn);
    for (int i = 0; i < s->o.readers; i++)
        n += pg_conn_is_up(s->readers[i].conn);
    return n;
}

static bool four_are_up(void *ctx)
{
    (void)ctx;
    return n_up() == 4;
}

static bool none_is_up(void *ctx)
{
    (void)ctx;
    return n_up() == 0;
}

static bool one_is_up(void *ctx)
{
    (void)ctx;
    return n_up() > 0;
}

/* As if one connection had met a server that took over from this one. */
static void test_a_former_primary(void **state)
{
    (void)state;
    start((struct store_options){.readers = 2, .writers = 2});
    assert_true(run_until(four_are_up, NULL, 30000));
    const struct pg_lineage real = s->lineage;
    assert_true(real.system != 0 && real.timeline >= 1);
    store_leave_old(s); /* all are at the newest */
    assert_int_equal(n_up(), 4);
    s->lineage.timeline++;
    struct note read = {0};
    divide(&read, 10, 1); /* taken by a connection that is then left */
    store_leave_old(s);
    assert_true(run_until(none_is_up, NULL, 30000));
    assert_false(store_ready(s, NULL));
    assert_false(run_until(one_is_up, NULL, 1000)); /* time for several tries */
    /* Another cluster has no timelines to compare with. */
    s->lineage.system++;
    assert_true(run_until(four_are_up, NULL, 20000));
    assert_true(s->lineage.system == real.system && s->lineage.timeline == real.timeline);
    run_idle();
    assert_int_equal(read.n, 1);
    finish();
}

static void test_exec(void **state)
{
    (void)state;
    start((struct store_options){.writers = 1});
    run_ready();
    struct item *items = items_new(20, &put_kind);
    struct note good = {0}, twice = {0};
    const struct value params[] = {V_UUID(random_uuid(US_PER_S)), V_I64(5)};
    write_all(items, 20);
    store_exec(s, (enum query)Q_TOUCH, params, 2, read_noted, &good);
    store_exec(s, (enum query)Q_TOUCH, params, 2, read_noted, &twice);
    run_idle();
    count_items(items, 20, ERR_NONE, 20);
    assert_int_equal(good.err.code, ERR_NONE);
    assert_int_equal(good.v, 5);
    assert_int_equal(twice.err.code, ERR_CONFLICT);
    assert_int_equal(ask("select count(*) from put_row"), 21);
    free(items);
    finish();
}

/* ---- life and death ---- */

static bool is_not_ready_for(void *ctx)
{
    const char *why = NULL;
    return !store_ready(s, &why) && why != NULL && strcmp(why, ctx) == 0;
}

static void test_readiness(void **state)
{
    (void)state;
    static char without[] = "the database has no schema: migrate it";
    static char another[] = "the database's schema is of another version";
    sql("drop table reli.schema_migration");
    start((struct store_options){0});
    assert_true(run_until(is_not_ready_for, without, 30000));
    sql("create table reli.schema_migration (name text primary key, applied_at timestamptz);"
        "insert into reli.schema_migration values ('0001_first', now())");
    assert_true(run_until(is_not_ready_for, another, 30000)); /* it looks every second */
    assert_false(run_until(is_ready, NULL, 1300));
    sql("insert into reli.schema_migration values ('0002_second', now())");
    run_ready();
    finish();
}

static void test_bad_options(void **state)
{
    (void)state;
    assert_int_equal(loop_new(&l).code, ERR_NONE);
    assert_int_equal(store_new(l, &(struct store_options){0}, &s).code, ERR_CONFIG);
    assert_int_equal(store_new(l, &(struct store_options){.conninfo = "host"}, &s).code,
                     ERR_CONFIG);
    loop_run(l);
    loop_free(l);
    l = NULL;
}

/* Closing at any moment tells everybody once and leaks nothing (the sanitizer looks). */
static void test_free_with_work_in_flight(void **state)
{
    (void)state;
    enum { N = 300, MOMENTS = 12 };
    for (int moment = 0; moment < MOMENTS; moment++) {
        sql("truncate put_row");
        start((struct store_options){.max_batch = 16, .max_waiting = 290});
        if (moment > 0)
            run_ready();
        struct item *items = items_new(N, &put_kind);
        struct note notes[20] = {0}, touched = {0};
        for (int i = 200; i < 280; i++)
            items[i].unit.keys[1] = 77; /* some wait for each other */
        items[60].row.v = -1;           /* one batch is being halved */
        write_all(items, N);
        for (int i = 0; i < 20; i++)
            divide(&notes[i], i, 1);
        const struct value params[] = {V_UUID(random_uuid(US_PER_S)), V_I64(5)};
        store_exec(s, (enum query)Q_TOUCH, params, 2, read_noted, &touched);
        struct timer stop = {0};
        if (moment > 1) {
            timer_set(l, &stop, (moment - 2) * US_PER_MS, until_late, NULL);
            loop_run(l);
        }
        finish();
        int64_t n_good = 0, n_doubt = 0;
        for (int i = 0; i < N; i++) {
            enum err_code code = items[i].unit.err.code;
            assert_int_equal(items[i].n_done, 1);
            assert_true(code == ERR_NONE || code == ERR_CANCELED || code == ERR_AMBIGUOUS ||
                        code == ERR_OVERLOADED || (i == 60 && code == ERR_CONFLICT));
            n_good += code == ERR_NONE;
            n_doubt += code == ERR_AMBIGUOUS;
        }
        for (int i = 0; i < 20; i++)
            assert_int_equal(notes[i].n, 1);
        assert_int_equal(touched.n, 1);
        sql("select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name = 'reli' and datname = current_database()");
        int64_t n_rows = ask("select count(*) from put_row where v = 0");
        assert_true(n_rows >= n_good && n_rows <= n_good + n_doubt);
        free(items);
    }
}

static bool a_writer_pauses(void *ctx)
{
    (void)ctx;
    return s->writers[0].state == WRITER_PAUSE || s->writers[1].state == WRITER_PAUSE;
}

static void test_free_between_two_tries(void **state)
{
    (void)state;
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(3, &grief_kind);
    items[1].row.v = 2; /* a serialization failure, always */
    write_all(items, 3);
    assert_true(run_until(a_writer_pauses, NULL, 30000));
    finish();
    count_items(items, 3, ERR_CANCELED, 3); /* certainly rolled back: no doubt */
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(test_reads),
        PG_TEST(test_read_on_a_lost_connection),
        PG_TEST(test_a_former_primary),
        PG_TEST(test_exec),
        PG_TEST(test_readiness),
        PG_TEST(test_bad_options),
        PG_TEST(test_free_with_work_in_flight),
        PG_TEST(test_free_between_two_tries),
    };
    PG_RUN(tests);
}
