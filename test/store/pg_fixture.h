#ifndef RELI_TEST_STORE_PG_FIXTURE_H
#define RELI_TEST_STORE_PG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/embed.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "store/store.h"
#include "store/store_int.h"
#include "test/store/pg_proxy.h"

/* What the tests of the store against a real PostgreSQL share. DATABASE_URL names a database that a
 * program has to itself; without it: exit 77.
 *
 * The statements are this file's own, linked in place of those of sql/query; so it is included
 * once. */

/* ---- statements ---- */

enum { Q_PUT, Q_CHAIN, Q_GRIEF, Q_BOTH, Q_DIVIDE, Q_SLOW, Q_BAD, Q_TOUCH, Q_LOCK, Q_ROWS, N_OWN };
_Static_assert((int)N_OWN <= (int)N_QUERIES, "the enum has room for them");

static const struct {
    const char *name, *sql;
} own[N_OWN] = {
    /* A row per unit; its op_id tells whose it is. */
    [Q_PUT] = {"put",
               "with u as (select * from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int8[])"
               "            as u(ord, id, op_id, v)),"
               "     i as (insert into put_row (id, op_id, v, tx)"
               "           select id, op_id, v, txid_current() from u"
               "           on conflict (id) do nothing returning id)"
               " select u.ord, u.id in (select id from i) or exists (select from put_row p"
               "        where p.id = u.id and p.op_id = u.op_id), txid_current() from u"},
    /* Compare and set: the step works only after the one before it. */
    [Q_CHAIN] = {"chain", "with u as (select * from unnest($1::int4[], $2::uuid[], $3::uuid[],"
                          "                               $4::int8[]) as u(ord, id, op_id, v))"
                          " update chain c set v = u.v + 1 from u where c.id = u.id and c.v = u.v"
                          " returning u.ord, true, txid_current()"},
    /* Trouble by value: sleeps, or refuses as often as grief_left says. */
    [Q_GRIEF] = {"grief", "with u as (select * from unnest($1::int4[], $2::uuid[], $3::uuid[],"
                          "                               $4::int8[]) as u(ord, id, op_id, v))"
                          " select u.ord, grief(u.v), txid_current() from u"},
    [Q_BOTH] = {"both", "with u as (select * from unnest($1::int4[], $2::uuid[], $3::uuid[],"
                        "                               $4::int8[]) as u(ord, id, op_id, v))"
                        " select u.ord, lock_both(), txid_current() from u"},
    [Q_DIVIDE] = {"divide", "select $1::int8 / $2::int8, $3::text"},
    [Q_SLOW] = {"slow", "select pg_sleep($1::int8 / 1000.0)::text"},
    [Q_BAD] = {"bad", "select no_such_column from put_row"},
    [Q_TOUCH] = {"touch",
                 "insert into put_row (id, op_id, v, tx) values ($1, $1, $2, txid_current())"
                 " returning v"},
    /* As put, of whole rows. */
    [Q_ROWS] = {"rows", "with u as (select * from unnest($1::reli.event_new[])),"
                        "     i as (insert into put_row (id, op_id, v) select id, op_id, v from u)"
                        " select ord, true, txid_current() from u"},
    /* What is locked before a batch: its answer is nobody's. */
    [Q_LOCK] = {"lock", "with u as (select * from unnest($1::int4[], $2::uuid[], $3::uuid[],"
                        "                               $4::int8[]) as u(ord, id, op_id, v))"
                        " insert into lock_log select count(*), txid_current(), sum(v) from u"
                        " returning 0, false, 0::int8"},
};

const char *query_text(enum query query)
{
    return own[query].sql;
}

const char *query_text_of_one(enum query query)
{
    return query_text(query);
}

const char *query_name(enum query query)
{
    return own[query].name;
}

static const unsigned char nothing[] = "";
const struct embed_file embed_migrations[] = {
    {"0001_first", nothing, nothing}, {"0002_second", nothing, nothing}, {0}};

static const char schema[] =
    "drop table if exists put_row, chain, lock_row, lock_log; drop sequence if exists grief_left;"
    "create table put_row (id uuid primary key, op_id uuid not null, v int8 not null, tx int8,"
    "                      constraint put_row_v_check_102 check (v >= 0));"
    "create table chain (id uuid primary key, v int8 not null);"
    "create table lock_log (n int8 not null, tx int8 not null, sum int8 not null);"
    "create table lock_row (id int4 primary key, v int4 not null);"
    "insert into lock_row values (1, 0), (2, 0);"
    "create sequence grief_left minvalue 0 start 0;"
    "create or replace function grief(p int8) returns bool language plpgsql as $$"
    " begin"
    "  if p = 1 and nextval('grief_left') < 4 then"
    "   raise exception 'again' using errcode = 'serialization_failure'; end if;"
    "  if p = 2 then"
    "   raise exception 'always' using errcode = 'serialization_failure'; end if;"
    "  if p = 3 then perform pg_sleep(30); end if;"
    "  if p = 4 then update lock_row set v = v + 1 where id = 1; end if;"
    "  if p = 5 then raise exception 'full' using errcode = 'disk_full'; end if;"
    "  return true;"
    " end $$;"
    "create or replace function lock_both() returns bool language plpgsql as $$"
    " begin"
    "  update lock_row set v = v + 1 where id = 2; update lock_row set v = v + 1 where id = 1;"
    "  return true;"
    " end $$;"
    "create schema if not exists reli; drop type if exists reli.event_new;"
    "drop table if exists reli.schema_migration;"
    "create table reli.schema_migration (name text primary key, checksum text, applied_at "
    "timestamptz);"
    "insert into reli.schema_migration values ('0001_first', '', now()), ('0002_second', '', "
    "now())";

/* ---- units ---- */

struct item_row {
    struct uuid id, op_id;
    int64_t v;
};

struct item {
    struct unit unit;
    struct item_row row;
    bool ours;
    int64_t tx;
    int n_done, n_rows, n_resets, order;
};

static int done_order;
static bool in_write;

static inline void item_row(struct unit *u, const struct rows *r, size_t row)
{
    struct item *it = CONTAINER_OF(u, struct item, unit);
    it->ours = rows_bool(r, row, 1);
    it->tx = rows_i64(r, row, 2);
    it->n_rows++;
}

static inline void item_reset(struct unit *u)
{
    struct item *it = CONTAINER_OF(u, struct item, unit);
    it->ours = false;
    it->n_rows = 0;
    it->n_resets++;
}

static inline void item_done(void *ctx)
{
    struct item *it = ctx;
    assert_false(in_write);
    it->n_done++;
    it->order = done_order++;
}

static const struct column item_columns[] = {
    COLUMN(UUID, item_row, id), COLUMN(UUID, item_row, op_id), COLUMN(I64, item_row, v)};
static const struct unit_table item_table[] = {
    {item_columns, COUNT_OF(item_columns), sizeof(struct item_row)}};
#define ITEM_KIND(query_, rank_, lock_)                                                      \
    {                                                                                        \
        .query = (enum query)(query_), .rank = (rank_), .tables = item_table, .n_tables = 1, \
        .on_row = item_row, .reset = item_reset, .lock = (lock_)                             \
    }
static const struct unit_lock item_lock = {(enum query)Q_LOCK, item_table};
static const struct unit_kind put_kind = ITEM_KIND(Q_PUT, 1, NULL);
static const struct unit_kind chain_kind = ITEM_KIND(Q_CHAIN, 2, NULL);
static const struct unit_kind grief_kind = ITEM_KIND(Q_GRIEF, 3, NULL);
static const struct unit_kind both_kind = ITEM_KIND(Q_BOTH, 4, NULL);
static const struct unit_kind locked_kind = ITEM_KIND(Q_GRIEF, 5, &item_lock);
static const struct unit_kind locked_put_kind = ITEM_KIND(Q_PUT, 6, &item_lock);

static inline struct item *items_new(size_t n, const struct unit_kind *kind)
{
    struct item *items = calloc(n, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < n; i++) {
        struct item *it = &items[i];
        it->row.id = random_uuid(INT64_C(1700000000000000));
        it->row.op_id = random_uuid(INT64_C(1700000000000000));
        it->unit = (struct unit){
            .kind = kind, .rows = {&it->row}, .n_rows = {1}, .done = item_done, .ctx = it};
        memcpy(&it->unit.keys[0], it->row.id.b, 8); /* the time: made different below */
        it->unit.keys[0] ^= random_u64() | 1;
    }
    return items;
}

static inline void count_items(const struct item *items, size_t n, enum err_code code, size_t want)
{
    size_t got = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(items[i].n_done, 1);
        got += items[i].unit.err.code == code;
        if (items[i].unit.err.code == ERR_NONE)
            assert_int_equal(items[i].n_rows, 1);
    }
    assert_int_equal(got, want);
}

/* ---- fixture ---- */

static struct loop *l;
static struct store *s;
static PGconn *admin;
static struct proxy proxy;
static char proxy_conninfo[1024];

static inline void sql(const char *text)
{
    PGresult *res = PQexec(admin, text);
    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(admin));
    PQclear(res);
}

static inline int64_t ask(const char *text)
{
    PGresult *res = PQexec(admin, text);
    if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1)
        fail_msg("%s: %s", text, PQerrorMessage(admin));
    int64_t v = atoll(PQgetvalue(res, 0, 0));
    PQclear(res);
    return v;
}

static inline int64_t metric(const char *name)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    metric_print(&b);
    buf_char(&b, '\0');
    char find[100];
    snprintf(find, sizeof find, "\n%s ", name);
    const char *at = strstr(b.p, find);
    int64_t v = at != NULL ? atoll(at + strlen(find)) : 0;
    buf_free(&b);
    return v;
}

static inline void start(struct store_options o)
{
    if (o.conninfo == NULL)
        o.conninfo = getenv("DATABASE_URL");
    assert_int_equal(loop_new(&l).code, ERR_NONE);
    assert_int_equal(store_new(l, &o, &s).code, ERR_NONE);
}

static inline void finish(void)
{
    store_free(s);
    s = NULL;
    loop_run(l); /* handles close */
    loop_free(l);
    l = NULL;
}

/* Runs the loop until the condition holds at the end of a turn. `ms` is a limit, not a wait. */
struct until {
    bool (*holds)(void *ctx);
    void *ctx;
    bool held;
};

static inline void until_look(void *ctx)
{
    struct until *w = ctx;
    w->held = w->held || w->holds(w->ctx);
    if (w->held)
        loop_stop(l);
}

static inline void until_late(void *ctx)
{
    (void)ctx;
    loop_stop(l);
}

static inline bool run_until(bool (*holds)(void *ctx), void *ctx, int64_t ms)
{
    struct until w = {.holds = holds, .ctx = ctx};
    struct turn_hook hook = {0};
    struct timer limit = {0};
    loop_hook_add(l, &hook, until_look, &w);
    timer_set(l, &limit, ms * US_PER_MS, until_late, NULL);
    loop_run(l);
    timer_off(l, &limit);
    loop_hook_remove(l, &hook);
    return w.held;
}

static inline bool is_idle(void *ctx)
{
    (void)ctx;
    return store_busy(s) == 0;
}

static inline bool is_ready(void *ctx)
{
    (void)ctx;
    return store_ready(s, NULL);
}

static inline void write_all(struct item *items, size_t n)
{
    in_write = true;
    for (size_t i = 0; i < n; i++)
        store_write(s, &items[i].unit);
    in_write = false;
}

static inline void run_ready(void)
{
    if (!run_until(is_ready, NULL, 30000)) {
        const char *why;
        store_ready(s, &why);
        fail_msg("not ready: %s", why);
    }
}

static inline void run_idle(void)
{
    assert_true(run_until(is_idle, NULL, 60000));
}

static inline int setup(void **state)
{
    (void)state;
    sql(schema);
    done_order = 0;
    proxy.after = PROXY_PASS;
    proxy.mode = PROXY_PASS;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    if (s != NULL)
        store_free(s);
    s = NULL;
    l = NULL; /* after a failure the loop is left as it is */
    return 0;
}

/* ---- asks ---- */

struct note {
    int n;
    struct err err;
    int64_t v;
    bool has_rows;
};

static inline void read_noted(void *ctx, struct err err, const struct rows *rows)
{
    struct note *note = ctx;
    assert_false(in_write);
    note->n++;
    note->err = err;
    note->has_rows = rows != NULL;
    assert_int_equal(rows == NULL, err_is(err));
    note->v = rows != NULL && rows_n(rows) == 1 ? rows_i64(rows, 0, 0) : -1;
}

static inline void divide(struct note *note, int64_t a, int64_t b)
{
    const struct value params[] = {V_I64(a), V_I64(b), V_TEXT(STR("copied"))};
    in_write = true;
    store_read(s, (enum query)Q_DIVIDE, params, 3, read_noted, note);
    in_write = false;
}

/* Exit 77: skipped. */
static inline int pg_open_all(void)
{
    const char *url = getenv("DATABASE_URL");
    if (url == NULL || *url == '\0')
        return 77;
    log_open(2, LOG_OFF);
    admin = PQconnectdb(url);
    if (PQstatus(admin) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(admin));
        return 1;
    }
    PQclear(PQexec(admin, "set client_min_messages = error"));
    if (ask("select count(*) from pg_tables where schemaname = 'reli' and tablename = 'payment'") !=
        0) {
        fprintf(stderr, "DATABASE_URL names a database in use\n");
        return 1;
    }
    if (!proxy_start(&proxy, PQhost(admin), atoi(PQport(admin))))
        return 1;
    snprintf(proxy_conninfo, sizeof proxy_conninfo,
             "host=localhost port=%d user=%s dbname=%s sslmode=disable gssencmode=disable",
             proxy.port, PQuser(admin), PQdb(admin));
    return 0;
}

static inline void pg_close_all(void)
{
    proxy_stop(&proxy);
    PQfinish(admin);
}

#define PG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define PG_RUN(tests)                                    \
    do {                                                 \
        int rc_ = pg_open_all();                         \
        if (rc_ != 0)                                    \
            return rc_;                                  \
        rc_ = cmocka_run_group_tests(tests, NULL, NULL); \
        pg_close_all();                                  \
        return rc_;                                      \
    } while (0)

#endif
