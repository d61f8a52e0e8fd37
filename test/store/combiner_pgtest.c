/* Batches of the write combiner against a real PostgreSQL: what travels together, and what is
 * refused alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/store/pg_fixture.h"

/* ---- batches ---- */

static void test_one_turn_few_commits(void **state)
{
    (void)state;
    enum { N = 1000 };
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &put_kind);
    int64_t commits = metric("reli_store_commits_total"), units = metric("reli_store_units_total");
    write_all(items, N);
    assert_int_equal(store_busy(s), N);
    run_idle();
    count_items(items, N, ERR_NONE, N);
    assert_int_equal(metric("reli_store_commits_total") - commits, 8); /* 1000 / 128 */
    assert_int_equal(metric("reli_store_units_total") - units, N);
    assert_int_equal(metric("reli_store_waiting"), 0);
    assert_int_equal(ask("select count(*) from put_row"), N);
    assert_int_equal(ask("select count(distinct tx) from put_row"), 8);
    for (int i = 0; i < N; i++)
        assert_true(items[i].ours && items[i].n_resets == 0);
    free(items);
    finish();
}

static bool all_left(void *ctx)
{
    (void)ctx;
    return s->ready.n == 0;
}

static bool turned(void *ctx)
{
    (void)ctx;
    return true;
}

static bool is_done(void *ctx)
{
    return ((const struct item *)ctx)->n_done == 1;
}

/* Beside a batch that is under way few units wait for company, though a writer is idle; but not for
 * as long as the batch takes. */
static void test_few_wait_for_company(void **state)
{
    (void)state;
    enum { N = 16 };
    start((struct store_options){.writers = 2});
    run_ready();
    struct item *large = items_new(N, &grief_kind), *few = items_new(N + 1, &put_kind);
    large[0].row.v = 4; /* waits for the row */
    sql("begin; update lock_row set v = v + 1 where id = 1");
    write_all(large, N);
    assert_true(run_until(all_left, NULL, 30000));
    int64_t before_us = store_clock_us();
    write_all(few, 1);
    assert_true(run_until(turned, NULL, 30000));
    assert_true(s->ready.n == 1 || store_clock_us() - before_us >= 5 * US_PER_MS);
    assert_true(run_until(is_done, &few[0], 30000));
    write_all(few + 1, N); /* as many as are under way */
    assert_true(run_until(turned, NULL, 30000));
    assert_int_equal(s->ready.n, 0);
    assert_true(run_until(is_done, &few[N], 30000));
    assert_int_equal(large[0].n_done, 0);
    sql("commit");
    run_idle();
    count_items(large, N, ERR_NONE, N);
    count_items(few, N + 1, ERR_NONE, N + 1);
    assert_int_equal(ask("select count(distinct tx) from put_row"), 2);
    free(large);
    free(few);
    finish();
}

/* Whoever connects before the schema is there looks again for the types of rows. */
static void test_rows_of_a_type_made_later(void **state)
{
    (void)state;
    enum { N = 3 };
    static const enum row_type types[] = {ROW_EVENT};
    const struct unit_kind kind = {.query = (enum query)Q_ROWS,
                                   .tables = item_table,
                                   .n_tables = 1,
                                   .row_types = types,
                                   .on_row = item_row,
                                   .reset = item_reset};
    start((struct store_options){.writers = 1});
    run_ready();
    struct item *items = items_new(N, &kind);
    for (int i = 0; i < N; i++)
        items[i].row.v = 10 + i;
    sql("create type reli.event_new as (ord int4, id uuid, op_id uuid, v int8)");
    write_all(items, N);
    run_idle();
    count_items(items, N, ERR_NONE, N);
    assert_int_equal(ask("select sum(v) from put_row"), 33);
    free(items);
    finish();
}

static void test_duplicate_fails_alone(void **state)
{
    (void)state;
    enum { N = 20 };
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &put_kind);
    write_all(items, 1);
    run_idle();
    items[7].row.id = items[0].row.id;
    int64_t commits = metric("reli_store_commits_total");
    write_all(items + 1, N - 1);
    run_idle();
    count_items(items, N, ERR_NONE, N);
    assert_int_equal(metric("reli_store_commits_total") - commits, 1);
    for (int i = 0; i < N; i++)
        assert_int_equal(items[i].ours, i != 7);
    free(items);
    finish();
}

static void test_poison_fails_alone(void **state)
{
    (void)state;
    enum { N = 100 };
    static const int poison[] = {0, 31, 64, 99};
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &put_kind);
    for (size_t i = 0; i < COUNT_OF(poison); i++)
        items[poison[i]].row.v = -1;
    write_all(items, N);
    run_idle();
    count_items(items, N, ERR_CONFLICT, COUNT_OF(poison));
    count_items(items, N, ERR_NONE, N - COUNT_OF(poison));
    for (size_t i = 0; i < COUNT_OF(poison); i++) {
        assert_int_equal(items[poison[i]].unit.err.code, ERR_CONFLICT);
        assert_int_equal(items[poison[i]].unit.err.detail, 3505720); /* 23514 to base 36 */
    }
    assert_int_equal(ask("select count(*) from put_row"), N - (int)COUNT_OF(poison));
    free(items);
    finish();
}

static void test_one_key_keeps_order(void **state)
{
    (void)state;
    enum { N = 40, CHAINS = 3 };
    start((struct store_options){.writers = 3});
    run_ready();
    struct item *items = items_new(N * CHAINS, &chain_kind);
    for (int c = 0; c < CHAINS; c++) {
        for (int i = 0; i < N; i++) {
            struct item *it = &items[i * CHAINS + c];
            it->row.id = items[c].row.id;
            it->row.v = i;
            it->unit.keys[i % UNIT_MAX_KEYS] = (uint64_t)(1000 + c);
            it->unit.keys[(i + 1) % UNIT_MAX_KEYS] = 0;
        }
        char text[UUID_TEXT], insert[128];
        snprintf(insert, sizeof insert, "insert into chain values ('%s', 0)",
                 uuid_text(items[c].row.id, text));
        sql(insert);
    }
    write_all(items, N * CHAINS);
    run_idle();
    count_items(items, N * CHAINS, ERR_NONE, N * CHAINS);
    for (int i = CHAINS; i < N * CHAINS; i++) {
        assert_true(items[i].ours);
        assert_true(items[i].order > items[i - CHAINS].order);
        assert_true(items[i].tx > items[i - CHAINS].tx);
    }
    assert_int_equal(ask("select min(v) from chain"), N);
    free(items);
    finish();
}

static void test_kinds_and_merchants(void **state)
{
    (void)state;
    enum { N = 30 };
    for (int by_merchant = 0; by_merchant < 2; by_merchant++) {
        sql("truncate put_row");
        start((struct store_options){.writers = 1, .by_merchant = by_merchant != 0});
        run_ready();
        struct item *puts = items_new(N, &put_kind), *griefs = items_new(N, &grief_kind);
        for (int i = 0; i < N; i++)
            puts[i].unit.merchant.b[0] = griefs[i].unit.merchant.b[0] = (uint8_t)(i % 3);
        int64_t commits = metric("reli_store_commits_total");
        write_all(griefs, N);
        write_all(puts, N);
        run_idle();
        count_items(puts, N, ERR_NONE, N);
        count_items(griefs, N, ERR_NONE, N);
        assert_int_equal(metric("reli_store_commits_total") - commits, by_merchant ? 3 : 1);
        assert_int_equal(ask("select count(distinct tx) from put_row"), by_merchant ? 3 : 1);
        for (int i = 0; i < N; i++)
            assert_int_equal(puts[i].tx, griefs[i].tx); /* one transaction for all kinds */
        free(puts);
        free(griefs);
        finish();
    }
}

/* Units of two kinds that name one lock: it runs once per batch, over the rows of both, and before
 * either; not at all for a batch without them. */
static void test_a_lock_goes_before_all(void **state)
{
    (void)state;
    enum { N = 12 };
    sql("truncate put_row");
    start((struct store_options){.writers = 1});
    run_ready();
    struct item *puts = items_new(N, &locked_put_kind), *others = items_new(N, &locked_kind),
                *plain = items_new(N, &chain_kind);
    write_all(plain, N);
    run_idle();
    assert_int_equal(ask("select count(*) from lock_log"), 0);
    puts[3].row.v = 7;
    others[5].row.v = 11;
    write_all(others, N);
    write_all(puts, N);
    run_idle();
    count_items(puts, N, ERR_NONE, N);
    count_items(others, N, ERR_NONE, N);
    assert_int_equal(ask("select count(*) from lock_log"), 1);
    assert_int_equal(ask("select n from lock_log"), 2 * N);
    assert_int_equal(ask("select sum from lock_log"), 18);
    assert_int_equal(ask("select tx from lock_log"), puts[0].tx);
    for (int i = 0; i < N; i++)
        assert_true(puts[i].ours && puts[i].tx == others[i].tx);
    sql("truncate lock_log");
    struct item *none = items_new(1, &locked_kind); /* it has no rows to lock */
    none->unit.n_rows[0] = 0;
    write_all(none, 1);
    run_idle();
    assert_int_equal(none->unit.err.code, ERR_NONE);
    assert_int_equal(ask("select count(*) from lock_log"), 0);
    free(puts);
    free(others);
    free(plain);
    free(none);
    finish();
}

static void test_too_many_wait(void **state)
{
    (void)state;
    enum { N = 15, ROOM = 10 };
    start((struct store_options){.max_waiting = ROOM});
    run_ready();
    struct item *items = items_new(N, &put_kind);
    write_all(items, N);
    run_idle();
    count_items(items, N, ERR_OVERLOADED, N - ROOM);
    for (int i = 0; i < N; i++)
        assert_int_equal(items[i].unit.err.code, i < ROOM ? ERR_NONE : ERR_OVERLOADED);
    assert_int_equal(ask("select count(*) from put_row"), ROOM);
    free(items);
    finish();
}

/* ---- refusals of a batch ---- */

static void test_serialization_failure_runs_again(void **state)
{
    (void)state;
    enum { N = 10 };
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &put_kind), *grief = items_new(1, &grief_kind);
    grief->row.v = 1; /* the first four runs fail */
    write_all(grief, 1);
    write_all(items, N);
    run_idle();
    count_items(items, N, ERR_NONE, N);
    count_items(grief, 1, ERR_NONE, 1);
    assert_int_equal(grief->n_resets, 4);
    assert_int_equal(ask("select count(distinct tx) from put_row"), 1); /* not halved */
    free(items);
    free(grief);
    finish();
}

static void test_endless_contention_ends(void **state)
{
    (void)state;
    enum { N = 4 };
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &put_kind), *grief = items_new(1, &grief_kind);
    grief->row.v = 2;
    write_all(grief, 1);
    write_all(items, N);
    run_idle();
    count_items(items, N, ERR_NONE, N);
    count_items(grief, 1, ERR_CONFLICT, 1);
    free(items);
    free(grief);
    finish();
}

static void test_deadlock_runs_again(void **state)
{
    (void)state;
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(1, &both_kind);
    PGconn *other = PQconnectdb(getenv("DATABASE_URL"));
    PQclear(PQexec(other, "begin; update lock_row set v = v + 100 where id = 1"));
    /* Who has waited for a second looks for a deadlock, and ends it. This one begins anew before
     * that, again and again: it is the unit that finds it. */
    assert_int_equal(PQsendQuery(other,
                                 "set local lock_timeout = '700ms';"
                                 "do $$ begin"
                                 " while not exists (select from pg_locks where not granted)"
                                 " loop perform pg_sleep(0.002); end loop;"
                                 " for i in 1..100 loop begin"
                                 " update lock_row set v = v + 100 where id = 2; exit;"
                                 " exception when lock_not_available then null; end; end loop;"
                                 " end $$; commit"),
                     1);
    write_all(items, 1);
    run_idle();
    PGresult *res;
    while ((res = PQgetResult(other)) != NULL) {
        assert_int_equal(PQresultStatus(res), PGRES_COMMAND_OK);
        PQclear(res);
    }
    PQfinish(other);
    count_items(items, 1, ERR_NONE, 1);
    assert_true(items->n_resets >= 1); /* once more if it has been quicker than who waited */
    assert_int_equal(ask("select sum(v) from lock_row"), 202);
    free(items);
    finish();
}

static void test_statement_timeout_fails_alone(void **state)
{
    (void)state;
    enum { N = 20 };
    start((struct store_options){.statement_timeout_us = US_PER_S});
    run_ready();
    struct item *items = items_new(N, &put_kind), *grief = items_new(1, &grief_kind);
    grief->row.v = 3; /* sleeps */
    write_all(items, N);
    write_all(grief, 1);
    run_idle();
    count_items(items, N, ERR_NONE, N);
    count_items(grief, 1, ERR_TIMEOUT, 1);
    free(items);
    free(grief);
    finish();
}

/* One row that somebody else holds costs its own unit three seconds, and the others not much more.
 */
static void test_locked_row_fails_alone(void **state)
{
    (void)state;
    enum { N = 100 };
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &put_kind), *grief = items_new(1, &grief_kind);
    grief->row.v = 4;
    sql("begin; update lock_row set v = 0 where id = 1");
    write_all(items, N);
    write_all(grief, 1);
    int64_t from = store_clock_us();
    run_idle();
    int64_t took = store_clock_us() - from;
    sql("rollback");
    count_items(items, N, ERR_NONE, N);
    count_items(grief, 1, ERR_TIMEOUT, 1);
    assert_true(took >= 3 * US_PER_S && took < 6 * US_PER_S);
    free(items);
    free(grief);
    finish();
}

static void test_exhausted_server(void **state)
{
    (void)state;
    enum { N = 8 };
    start((struct store_options){0});
    run_ready();
    struct item *items = items_new(N, &grief_kind);
    items[3].row.v = 5;
    write_all(items, N);
    run_idle();
    count_items(items, N, ERR_OVERLOADED, N);
    free(items);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(test_one_turn_few_commits),
        PG_TEST(test_few_wait_for_company),
        PG_TEST(test_rows_of_a_type_made_later),
        PG_TEST(test_duplicate_fails_alone),
        PG_TEST(test_poison_fails_alone),
        PG_TEST(test_one_key_keeps_order),
        PG_TEST(test_kinds_and_merchants),
        PG_TEST(test_a_lock_goes_before_all),
        PG_TEST(test_too_many_wait),
        PG_TEST(test_serialization_failure_runs_again),
        PG_TEST(test_endless_contention_ends),
        PG_TEST(test_deadlock_runs_again),
        PG_TEST(test_statement_timeout_fails_alone),
        PG_TEST(test_locked_row_fails_alone),
        PG_TEST(test_exhausted_server),
    };
    PG_RUN(tests);
}
