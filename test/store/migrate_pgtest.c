/* store/migrate.c against a real PostgreSQL: each test has a database of its own on the server of
 * DATABASE_URL, owned by its role. DATABASE_ADMIN_URL makes the databases and roles; without it the
 * role of DATABASE_URL must be allowed to. Exit 77 without DATABASE_URL.
 *
 * The migrations are this file's own, linked in place of the embedded ones: names and texts lie in
 * buffers, so that a test can change history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/embed.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "store/store.h"

enum { SLOTS = 3, TEXT = 512, ROUNDS = 5, REPLICAS = 6 };

static char names[SLOTS][32];
static unsigned char texts[SLOTS][TEXT + 1];
#define SLOT(i)                             \
    {                                       \
        names[i], texts[i], texts[i] + TEXT \
    }
const struct embed_file embed_migrations[] = {SLOT(0), SLOT(1), SLOT(2), {0}};
const struct embed_file embed_citus[] = {{0}};
const struct embed_file embed_static[] = {{0}};

static const unsigned char everything[] = "select $1::uuid, $2::uuid, $3::text, $4::json, "
                                          "$5::bytea, $6::int8, $7::int4, $8::int2, $9::bool,"
                                          " $10::timestamptz, $11::text, $12::timestamptz";
static const unsigned char refused[] = "insert into t (v) values ($1::text) returning v";
static const unsigned char nothing[] = "select 1 where false";
enum { Q_EVERYTHING, Q_REFUSED, Q_NOTHING };
const struct embed_file embed_queries[] = {
    {"everything", everything, everything + sizeof everything - 1},
    {"refused", refused, refused + sizeof refused - 1},
    {"nothing", nothing, nothing + sizeof nothing - 1},
    {0},
};

static void put(int slot, const char *name, const char *sql)
{
    snprintf(names[slot], sizeof names[slot], "%s", name);
    memset(texts[slot], '\n', TEXT);
    assert_true(strlen(sql) <= TEXT);
    memcpy(texts[slot], sql, strlen(sql));
}

static void history(void)
{
    put(0, "0001_first",
        "create table reli.a (id int4 primary key); insert into reli.a values (1);");
    put(1, "0002_second", "alter table reli.a add column v text; update reli.a set v = 'x';");
    put(2, "0003_third",
        "create function reli.grant_service(p_role text) returns void language plpgsql as $$"
        "begin execute format('grant usage on schema reli to %I', p_role);"
        " execute format('grant select on reli.a to %I', p_role); end $$;");
}

/* ---- a database per test ---- */

static char conninfo[2048], database[64], owner[64];

static PGconn *admin(void)
{
    const char *url = getenv("DATABASE_ADMIN_URL");
    PGconn *pg = PQconnectdb(url != NULL ? url : getenv("DATABASE_URL"));
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    return pg;
}

static void run(PGconn *pg, const char *sql)
{
    PGresult *res = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    PQclear(res);
}

/* DATABASE_URL with another database. */
static void make_conninfo(void)
{
    PQconninfoOption *o = PQconninfoParse(getenv("DATABASE_URL"), NULL);
    assert_non_null(o);
    size_t n = 0;
    for (PQconninfoOption *k = o; k->keyword != NULL; k++) {
        if (k->val == NULL || strcmp(k->keyword, "dbname") == 0)
            continue;
        n += (size_t)snprintf(conninfo + n, sizeof conninfo - n, "%s='", k->keyword);
        for (const char *c = k->val; *c != '\0'; c++)
            n += (size_t)snprintf(conninfo + n, sizeof conninfo - n, "%s%c",
                                  *c == '\'' || *c == '\\' ? "\\" : "", *c);
        n += (size_t)snprintf(conninfo + n, sizeof conninfo - n, "' ");
        assert_true(n < sizeof conninfo);
    }
    snprintf(conninfo + n, sizeof conninfo - n, "dbname='%s'", database);
    PQconninfoFree(o);
}

static int setup(void **state)
{
    (void)state;
    char sql[256];
    static int n;
    snprintf(database, sizeof database, "reli_migrate_%d_%d", (int)getpid(), n++);
    make_conninfo();
    PGconn *pg = admin();
    snprintf(sql, sizeof sql, "create database %s template template0 owner %s", database, owner);
    run(pg, sql);
    PQfinish(pg);
    history();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char sql[256];
    PGconn *pg = admin();
    snprintf(sql, sizeof sql, "drop database %s with (force)", database);
    run(pg, sql);
    PQfinish(pg);
    crypto_close();
    return 0;
}

static PGconn *inside(void)
{
    PGconn *pg = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    run(pg, "set client_min_messages = error");
    return pg;
}

static void in_database(const char *sql)
{
    PGconn *pg = inside();
    run(pg, sql);
    PQfinish(pg);
}

/* The one value that a statement answers. */
static void assert_value(const char *sql, const char *expected)
{
    PGconn *pg = inside();
    PGresult *res = PQexec(pg, sql);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    assert_int_equal(PQntuples(res), 1);
    assert_string_equal(PQgetvalue(res, 0, 0), expected);
    PQclear(res);
    PQfinish(pg);
}

#define NAMES "select coalesce(string_agg(name, ' ' order by name), '') from reli.schema_migration"

static enum err_code migrate(const char *role, int expected)
{
    int applied = -1;
    struct err err = store_migrate(conninfo, role, &applied);
    assert_int_equal(applied, expected);
    return err.code;
}

/* ---- the good ways ---- */

static void fresh_then_again(void **state)
{
    (void)state;
    assert_int_equal(migrate(NULL, 3), ERR_NONE);
    assert_value(NAMES, "0001_first 0002_second 0003_third");
    assert_value("select v from reli.a", "x");
    assert_value("select bool_and(applied_at <= now() and applied_at > now() - interval '1 hour'"
                 " and checksum ~ '^[0-9a-f]{64}$') from reli.schema_migration",
                 "t");
    assert_int_equal(migrate("", 0), ERR_NONE);
    assert_int_equal(migrate(NULL, 0), ERR_NONE);
    assert_value("select count(*) from reli.a", "1");
}

static void only_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(migrate(NULL, 3), ERR_NONE);
    in_database("delete from reli.schema_migration where name = '0003_third';"
                "drop function reli.grant_service(text)");
    assert_int_equal(migrate(NULL, 1), ERR_NONE);
    assert_value(NAMES, "0001_first 0002_second 0003_third");
}

static void replicas_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        int gate[2];
        pid_t pids[REPLICAS];
        assert_int_equal(pipe(gate), 0);
        for (int i = 0; i < REPLICAS; i++) {
            pids[i] = fork();
            assert_true(pids[i] >= 0);
            if (pids[i] != 0)
                continue;
            char c;
            int applied = 0;
            close(gate[1]);
            ssize_t n = read(gate[0], &c, 1); /* all leave at once, when the parent closes */
            struct err err = store_migrate(conninfo, "reli_migrate_role", &applied);
            _exit(n != 0 || err_is(err) ? 100 : applied);
        }
        close(gate[0]);
        close(gate[1]);
        int applied = 0;
        for (int i = 0; i < REPLICAS; i++) {
            int status;
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= SLOTS);
            applied += WEXITSTATUS(status);
        }
        assert_int_equal(applied, SLOTS); /* each by one of them */
        assert_value(NAMES, "0001_first 0002_second 0003_third");
        assert_value("select count(*) from reli.a", "1");
        in_database("drop owned by reli_migrate_role; drop schema reli cascade");
    }
}

static void rights(void **state)
{
    (void)state;
    assert_int_equal(migrate("reli_migrate_role", 3), ERR_NONE);
    assert_value("select has_table_privilege('reli_migrate_role', 'reli.a', 'select')", "t");
    assert_value("select has_table_privilege('reli_migrate_role', 'reli.a', 'insert')", "f");
    assert_int_equal(migrate("reli_migrate_role", 0), ERR_NONE);
    assert_int_equal(migrate("no such role'; drop schema reli cascade; --", 0), ERR_CONFIG);
    assert_value("select count(*) from reli.a", "1");
    /* no such function: nothing to do */
    in_database("drop function reli.grant_service(text)");
    assert_int_equal(migrate("reli_migrate_role", 0), ERR_NONE);
    in_database("drop owned by reli_migrate_role");
}

/* A later run, with nothing to apply, needs no right to create anything. */
static void few_rights_suffice_later(void **state)
{
    (void)state;
    assert_int_equal(migrate("reli_migrate_role", 3), ERR_NONE);
    in_database("grant select on reli.schema_migration to reli_migrate_role;"
                "grant select, update on reli.schema_lock to reli_migrate_role");
    size_t n = strlen(conninfo);
    snprintf(conninfo + n, sizeof conninfo - n, " options='-c role=reli_migrate_role'");
    assert_int_equal(migrate(NULL, 0), ERR_NONE);
    put(2, "0003_third",
        "create table reli.more (id int4)"); /* changed: refused before it is run */
    assert_int_equal(migrate(NULL, 0), ERR_CONFIG);
    conninfo[n] = '\0';
    in_database("drop owned by reli_migrate_role");
}

/* ---- the bad ways ---- */

static void broken_leaves_nothing_half_done(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum err_code code;
    } cases[] = {
        {"create table reli.b (id int4); select no_such_column from reli.b", ERR_INTERNAL},
        {"create table reli.b (id int4); this is no SQL", ERR_INTERNAL},
        {"create table reli.b (id int4); insert into reli.a values (1)", ERR_CONFLICT},
        {"create table reli.b (id int4); copy reli.b from stdin", ERR_INTERNAL},
        {"create table reli.b (id int4); rollback", ERR_CONFIG},
        {"rollback", ERR_CONFIG},
        {"create table reli.b (id int4); select pg_terminate_backend(pg_backend_pid())",
         ERR_UNAVAILABLE},
        {"create table reli.b (id int4); delete from reli.schema_migration;"
         "do $$ begin raise exception 'stop'; end $$",
         ERR_INTERNAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        history();
        put(1, "0002_second", cases[i].sql);
        enum err_code code = migrate("reli_migrate_role", i == 0 ? 1 : 0);
        if (code != cases[i].code)
            fail_msg("%s: %s", cases[i].sql, err_word(code));
        assert_value(NAMES, "0001_first");
        assert_value("select to_regclass('reli.b') is null", "t");
        assert_value("select count(*) from reli.a", "1");
    }
    history();
    assert_int_equal(migrate(NULL, 2), ERR_NONE); /* mended */
    assert_value("select v from reli.a", "x");
}

static void a_migration_that_commits_is_told(void **state)
{
    (void)state;
    put(1, "0002_second", "create table reli.b (id int4); commit");
    assert_int_equal(migrate(NULL, 1), ERR_CONFIG);
    assert_value(NAMES, "0001_first");
}

static void changed_history_is_refused(void **state)
{
    (void)state;
    assert_int_equal(migrate(NULL, 3), ERR_NONE);
    for (int slot = 0; slot < SLOTS; slot++) {
        history();
        texts[slot][TEXT - 1] = ' ';
        assert_int_equal(migrate(NULL, 0), ERR_CONFIG);
    }
    history();
    in_database("update reli.schema_migration set checksum = upper(checksum)");
    assert_int_equal(migrate(NULL, 0), ERR_CONFIG);
}

static void newer_database_is_refused(void **state)
{
    (void)state;
    assert_int_equal(migrate(NULL, 3), ERR_NONE);
    in_database("insert into reli.schema_migration values ('0004_later', '', now())");
    assert_int_equal(migrate(NULL, 0), ERR_CONFIG);
    /* also before anything is applied by an old binary */
    in_database("delete from reli.schema_migration where name < '0004'");
    assert_int_equal(migrate(NULL, 0), ERR_CONFIG);
    assert_value(NAMES, "0004_later");
}

static void a_migration_in_between_is_refused(void **state)
{
    (void)state;
    put(1, "0003_second", "select 1");
    put(2, "0004_third", "select 2");
    assert_int_equal(migrate(NULL, 3), ERR_NONE);
    in_database("delete from reli.schema_migration where name = '0004_third'");
    put(1, "0002_between", "create table reli.between (id int4)");
    put(2, "0003_second", "select 1");
    assert_int_equal(migrate(NULL, 0), ERR_CONFIG);
    assert_value("select to_regclass('reli.between') is null", "t");
}

static void no_connection(void **state)
{
    (void)state;
    static const struct {
        const char *conninfo;
        enum err_code code;
    } cases[] = {
        {"host=/no/such/directory", ERR_UNAVAILABLE},
        {"postgresql://u:hush@127.0.0.1:1/x", ERR_UNAVAILABLE},
        {"postgresql://u:hush@[::1/x", ERR_CONFIG},
        {"password=hush nonsense", ERR_CONFIG},
    };
    FILE *lines = tmpfile();
    assert_non_null(lines);
    log_open(fileno(lines), LOG_INFO);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int applied = -1;
        struct err err = store_migrate(cases[i].conninfo, NULL, &applied);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(applied, 0);
    }
    log_close();
    log_open(STDERR_FILENO, LOG_OFF);
    char text[4096];
    rewind(lines);
    text[fread(text, 1, sizeof text - 1, lines)] = '\0';
    fclose(lines);
    assert_non_null(strstr(text, "database.unreachable"));
    assert_null(strstr(text, "hush"));
}

/* ---- one statement ---- */

struct seen {
    int calls;
    size_t rows;
    bool good;
};

static const struct uuid some_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255}};
#define SOME_TIME INT64_C(1700000000123456)

static void check_everything(void *ctx, struct err err, const struct rows *r)
{
    struct seen *s = ctx;
    s->calls++;
    s->rows = rows_n(r);
    s->good = !err_is(err) && uuid_eq(rows_uuid(r, 0, 0), some_id) && rows_null(r, 0, 1) &&
              str_eq(rows_str(r, 0, 2), STR("h\xc3\xa9")) &&
              str_eq(rows_str(r, 0, 3), STR("{\"a\": 1}")) &&
              str_eq(rows_str(r, 0, 4), str_n("\0\xff", 2)) && rows_i64(r, 0, 5) == INT64_MIN &&
              rows_i64(r, 0, 6) == -7 && rows_i64(r, 0, 7) == 7 && rows_bool(r, 0, 8) &&
              rows_time(r, 0, 9) == SOME_TIME && rows_null(r, 0, 10) && rows_null(r, 0, 11);
}

static void count(void *ctx, struct err err, const struct rows *r)
{
    struct seen *s = ctx;
    s->calls++;
    s->rows = rows_n(r);
    s->good = !err_is(err);
}

static void one_statement(void **state)
{
    (void)state;
    const struct value params[] = {
        V_UUID(some_id),
        V_UUID_OPT(UUID_NIL),
        V_TEXT(STR("h\xc3\xa9")),
        V_JSON(STR("{\"a\": 1}")),
        V_BYTES(str_n("\0\xff", 2)),
        V_I64(INT64_MIN),
        V_I32(-7),
        V_I16(7),
        V_BOOL(true),
        V_TIME(SOME_TIME),
        V_TEXT(STR_NULL),
        V_TIME(TIME_NEVER),
    };
    struct seen s = {0};
    assert_false(err_is(store_run_once(conninfo, (enum query)Q_EVERYTHING, params, COUNT_OF(params),
                                       check_everything, &s)));
    assert_true(s.calls == 1 && s.rows == 1 && s.good);
    s = (struct seen){0};
    assert_false(err_is(store_run_once(conninfo, (enum query)Q_NOTHING, NULL, 0, count, &s)));
    assert_true(s.calls == 1 && s.rows == 0 && s.good);
}

static void one_statement_refused(void **state)
{
    (void)state;
    FILE *lines = tmpfile();
    assert_non_null(lines);
    log_open(fileno(lines), LOG_INFO);
    const struct value hush = V_TEXT(STR("hush"));
    struct seen s = {0};
    in_database("create table public.t (v text primary key)");
    assert_false(err_is(store_run_once(conninfo, (enum query)Q_REFUSED, &hush, 1, count, &s)));
    assert_true(s.calls == 1 && s.rows == 1);
    struct err err = store_run_once(conninfo, (enum query)Q_REFUSED, &hush, 1, count, &s);
    assert_int_equal(err.code, ERR_CONFLICT);
    in_database("drop table public.t; create table public.t (v int4)");
    err = store_run_once(conninfo, (enum query)Q_REFUSED, &hush, 1, count, &s);
    assert_int_equal(err.code, ERR_INTERNAL);
    static char big[17 * 1024 * 1024];
    const struct value too_big = V_BYTES(str_n(big, sizeof big));
    err = store_run_once(conninfo, (enum query)Q_REFUSED, &too_big, 1, count, &s);
    assert_int_equal(err.code, ERR_LIMIT);
    err = store_run_once("host=/no/such/directory", (enum query)Q_NOTHING, NULL, 0, count, &s);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(s.calls, 1);
    log_close();
    log_open(STDERR_FILENO, LOG_OFF);
    char text[4096];
    rewind(lines);
    text[fread(text, 1, sizeof text - 1, lines)] = '\0';
    fclose(lines);
    assert_non_null(strstr(text, "23505"));
    assert_null(strstr(text, "hush"));
}

/* The owner is a member of the service's role, so that a test can act as it. */
static int roles_setup(void **state)
{
    (void)state;
    char sql[256];
    PGconn *pg = PQconnectdb(getenv("DATABASE_URL"));
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    snprintf(owner, sizeof owner, "%s", PQuser(pg));
    PQfinish(pg);
    pg = admin();
    snprintf(sql, sizeof sql,
             "set client_min_messages = error; drop role if exists reli_migrate_role;"
             "create role reli_migrate_role; grant reli_migrate_role to %s",
             owner);
    run(pg, sql);
    PQfinish(pg);
    return 0;
}

static int roles_teardown(void **state)
{
    (void)state;
    PGconn *pg = admin();
    run(pg, "drop role reli_migrate_role");
    PQfinish(pg);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    if (getenv("DATABASE_URL") == NULL)
        return 77;
    log_open(STDERR_FILENO, LOG_OFF);
    const struct CMUnitTest tests[] = {
        TEST(fresh_then_again),
        TEST(only_what_is_missing),
        TEST(replicas_at_once),
        TEST(rights),
        TEST(few_rights_suffice_later),
        TEST(broken_leaves_nothing_half_done),
        TEST(a_migration_that_commits_is_told),
        TEST(changed_history_is_refused),
        TEST(newer_database_is_refused),
        TEST(a_migration_in_between_is_refused),
        TEST(no_connection),
        TEST(one_statement),
        TEST(one_statement_refused),
    };
    return cmocka_run_group_tests(tests, roles_setup, roles_teardown);
}
