/* The schema, brought to what this binary knows, and single statements for the command line:
 * synchronous, since nobody else waits on that process.
 *
 *   tables of our own -> for each migration: begin, lock, compare, run, note, commit -> grants
 *
 * Each migration commits together with its row in reli.schema_migration, so a broken one leaves
 * nothing. Replicas that start together queue up at the row of reli.schema_lock; who comes second
 * finds the work done. The comparison is made again under the lock: a newer binary may have been
 * there meanwhile. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/embed.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "store/pg_conn.h"
#include "store/store.h"
#include "store/store_int.h"
#include "store/value_int.h"

enum { CHECKSUM_TEXT = 2 * SHA256_LEN + 1, BOOTSTRAP_TRIES = 10, ONCE_BYTES = 16 * 1024 * 1024 };

static struct err pg_open(const char *conninfo, const char *settings, PGconn **out);
static struct err pg_err(PGconn *pg, const PGresult *res);
static struct err pg_failed(PGconn *pg, const PGresult *res, const char *doing, const char *name);
static struct err pg_run(PGconn *pg, const char *sql, const char *doing, const char *name);
static struct err pg_commit(PGconn *pg, const char *name);
static struct err bootstrap(PGconn *pg);
static struct err migrate_one(PGconn *pg, const struct embed_file *m, int *applied);
static struct err grant(PGconn *pg, const char *service_role);

/* ---- migrations ---- */

/* The longest wait is for another replica at work; a migration itself must not queue up behind a
 * long transaction for long, because everybody else then queues up behind it. */
#define WAIT_FOR_LOCK "set local lock_timeout = '10min'"
#define RUN_FILE "set local lock_timeout = '10s'; set local search_path = pg_catalog"

static struct err migrate(PGconn *pg, const char *service_role, int *applied)
{
    TRY(bootstrap(pg));
    for (const struct embed_file *m = embed_migrations; m->name != NULL; m++)
        TRY(migrate_one(pg, m, applied));
    if (service_role != NULL && service_role[0] != '\0')
        TRY(grant(pg, service_role));
    return ERR_OK;
}

struct err store_migrate(const char *conninfo, const char *service_role, int *applied)
{
    PGconn *pg;
    *applied = 0;
    TRY(crypto_open()); /* checksums */
    TRY(pg_open(conninfo,
                "set client_min_messages = warning;"
                " set idle_in_transaction_session_timeout = '1min'; set TimeZone = 'UTC'",
                &pg));
    struct err err = migrate(pg, service_role, applied);
    PQfinish(pg);
    return err;
}

static bool is_race(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    return state != NULL && (strcmp(state, "23505") == 0 || strcmp(state, "42P06") == 0 ||
                             strcmp(state, "42P07") == 0 || strcmp(state, "XX000") == 0);
}

/* "If not exists" looks first and creates later: of two at once the slower one fails on a
 * catalogue's unique index, after the faster one has committed, and finds everything there when it
 * comes again. What exists is not created again also because that takes rights that a later run
 * need not have. */
static struct err bootstrap(PGconn *pg)
{
    static const char sql[] =
        "do $$ begin"
        " if to_regnamespace('reli') is null then create schema if not exists reli; end if;"
        " if to_regclass('reli.schema_migration') is null then"
        "  create table if not exists reli.schema_migration ("
        "   name text primary key, checksum text not null, applied_at timestamptz not null);"
        " end if;"
        " if to_regclass('reli.schema_lock') is null then"
        "  create table if not exists reli.schema_lock (id int4 primary key);"
        " end if;"
        " if not exists (select from reli.schema_lock where id = 1) then"
        "  insert into reli.schema_lock (id) values (1) on conflict do nothing;"
        " end if; end $$";
    for (int tries = 1;; tries++) {
        PGresult *res = PQexec(pg, sql);
        if (PQresultStatus(res) != PGRES_COMMAND_OK && is_race(res) && tries < BOOTSTRAP_TRIES) {
            PQclear(res);
            continue;
        }
        struct err err = PQresultStatus(res) == PGRES_COMMAND_OK
                             ? ERR_OK
                             : pg_failed(pg, res, "creating the table of migrations", "");
        PQclear(res);
        return err;
    }
}

static void checksum(const struct embed_file *m, char out[CHECKSUM_TEXT])
{
    uint8_t sum[SHA256_LEN];
    struct buf b;
    sha256_one(embed_text(m), sum);
    buf_init(&b, CHECKSUM_TEXT);
    hex_add(&b, str_n((const char *)sum, sizeof sum));
    str_copy_c(out, CHECKSUM_TEXT, buf_view(&b));
    buf_free(&b);
}

static struct err refuse(const char *why, const char *name)
{
    log_error("migrate.refused", F_C("why", why), F_C("migration", name));
    return ERR(CONFIG, why);
}

/* The database's history must be the beginning of ours, file by file. */
static struct err compare(const PGresult *rows, const struct embed_file *until, bool *there)
{
    *there = false;
    const struct embed_file *m = embed_migrations;
    for (int i = 0; i < PQntuples(rows); i++, m++) {
        const char *name = PQgetvalue(rows, i, 0);
        const struct embed_file *same = embed_migrations;
        while (same->name != NULL && strcmp(same->name, name) != 0)
            same++;
        if (same->name == NULL)
            return refuse(
                "the database has a migration that this program does not know: it is newer", name);
        if (same != m)
            return refuse("a migration was added before one that the database already has",
                          m->name);
        char sum[CHECKSUM_TEXT];
        checksum(m, sum);
        if (strcmp(sum, PQgetvalue(rows, i, 1)) != 0)
            return refuse("a migration was changed after it had been applied", name);
        if (m == until)
            *there = true;
    }
    return ERR_OK;
}

static struct err lock_and_compare(PGconn *pg, const struct embed_file *m, bool *there)
{
    TRY(pg_run(pg, WAIT_FOR_LOCK "; select id from reli.schema_lock where id = 1 for update",
               "waiting for the lock", m->name));
    PGresult *rows = PQexec(pg, "select name, checksum from reli.schema_migration"
                                " order by name collate \"C\"");
    struct err err = PQresultStatus(rows) == PGRES_TUPLES_OK
                         ? compare(rows, m, there)
                         : pg_failed(pg, rows, "reading what is applied", m->name);
    PQclear(rows);
    return err;
}

static struct err note(PGconn *pg, const struct embed_file *m)
{
    char sum[CHECKSUM_TEXT];
    checksum(m, sum);
    const char *const params[] = {m->name, sum};
    PGresult *res = PQexecParams(pg,
                                 "insert into reli.schema_migration (name, checksum, applied_at)"
                                 " values ($1, $2, pg_catalog.now())",
                                 2, NULL, params, NULL, NULL, 0);
    struct err err = PQresultStatus(res) == PGRES_COMMAND_OK
                         ? ERR_OK
                         : pg_failed(pg, res, "noting the migration", m->name);
    PQclear(res);
    return err;
}

static struct err run_file(PGconn *pg, const struct embed_file *m)
{
    struct str text = embed_text(m);
    char *sql = malloc(text.n + 1);
    if (sql == NULL)
        return ERR(NO_MEMORY, "migration");
    str_copy_c(sql, text.n + 1, text);
    struct err err = pg_run(pg, RUN_FILE, "preparing the migration", m->name);
    if (!err_is(err))
        err = pg_run(pg, sql, "running the migration", m->name);
    free(sql);
    if (!err_is(err) && PQtransactionStatus(pg) != PQTRANS_INTRANS)
        err = refuse("a migration must not end its own transaction", m->name);
    return err;
}

static struct err migrate_one(PGconn *pg, const struct embed_file *m, int *applied)
{
    bool there = false;
    TRY(pg_run(pg, "begin", "opening a transaction", m->name));
    struct err err = lock_and_compare(pg, m, &there);
    if (!err_is(err) && !there) {
        err = run_file(pg, m);
        if (!err_is(err))
            err = note(pg, m);
    }
    if (err_is(err)) {
        PQclear(PQexec(pg, "rollback"));
        return err;
    }
    TRY(pg_commit(pg, m->name));
    if (!there) {
        ++*applied;
        log_info("migrate.applied", F_C("migration", m->name));
    }
    return ERR_OK;
}

/* Under the lock too: two grants on one table at the same time fail on each other. */
static struct err grant(PGconn *pg, const char *service_role)
{
    TRY(pg_run(pg, "begin", "opening a transaction", "grants"));
    struct err err =
        pg_run(pg, WAIT_FOR_LOCK "; select id from reli.schema_lock where id = 1 for update",
               "waiting for the lock", "grants");
    PGresult *res = NULL;
    bool exists = false;
    if (!err_is(err)) {
        res = PQexec(pg, "select to_regprocedure('reli.grant_service(text)') is not null");
        exists = PQresultStatus(res) == PGRES_TUPLES_OK && PQgetvalue(res, 0, 0)[0] == 't';
        if (PQresultStatus(res) != PGRES_TUPLES_OK)
            err = pg_failed(pg, res, "looking for reli.grant_service", "grants");
        PQclear(res);
    }
    if (exists) {
        res = PQexecParams(pg, "select reli.grant_service($1::text)", 1, NULL, &service_role, NULL,
                           NULL, 0);
        if (PQresultStatus(res) != PGRES_TUPLES_OK)
            err = pg_failed(pg, res, "granting rights to the service's role", "grants");
        if (err.code == ERR_INTERNAL)
            err = ERR(CONFIG, "the service's role cannot be granted its rights");
        PQclear(res);
    }
    if (err_is(err)) {
        PQclear(PQexec(pg, "rollback"));
        return err;
    }
    return pg_commit(pg, "grants");
}

/* ---- one statement ---- */

static struct err once(PGconn *pg, enum query query, struct params *p, store_rows_fn *done,
                       void *ctx)
{
    if (!params_ready(p))
        return ERR(LIMIT, "the statement's parameters are too large");
    PGresult *res =
        PQexecParams(pg, query_text(query), p->n, p->type, p->value, p->length, p->format, 1);
    struct err err = ERR_OK;
    if (PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK)
        done(ctx, ERR_OK, &(struct rows){.result = res});
    else
        err = pg_err(pg, res);
    if (err_is(err)) /* no words of the server: they may quote a parameter */
        log_error("database.failed", F_C("statement", query_name(query)), F_ERR(err),
                  F_C("sqlstate", PQresultErrorField(res, PG_DIAG_SQLSTATE)),
                  F_C("constraint", PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME)));
    PQclear(res);
    return err;
}

struct err store_run_once(const char *conninfo, enum query query, const struct value *params,
                          size_t n_params, store_rows_fn *done, void *ctx)
{
    PGconn *pg;
    TRY(pg_open(conninfo,
                "set statement_timeout = '30s'; set lock_timeout = '10s'; set jit = off;"
                " set TimeZone = 'UTC'",
                &pg));
    struct params *p = malloc(sizeof *p);
    if (p == NULL) {
        PQfinish(pg);
        return ERR(NO_MEMORY, "parameters");
    }
    params_init(p, ONCE_BYTES);
    for (size_t i = 0; i < n_params; i++)
        params_value(p, &params[i]);
    struct err err = once(pg, query, p, done, ctx);
    params_free(p);
    free(p);
    PQfinish(pg);
    return err;
}

static int64_t wall_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

struct err store_look_once(const char *conninfo, struct store_look *out)
{
    PGconn *pg;
    TRY(pg_open(conninfo, "set statement_timeout = '10s'", &pg));
    int64_t before_us = wall_us(), theirs_us = 0;
    PGresult *res =
        PQexec(pg, "select (extract(epoch from clock_timestamp()) * 1000000)::int8::text,"
                   " current_setting('transaction_read_only')");
    int64_t after_us = wall_us();
    bool told = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1 &&
                str_to_i64(str_c(PQgetvalue(res, 0, 0)), &theirs_us);
    struct err err = told ? ERR_OK : pg_err(pg, res);
    out->read_only = told && strcmp(PQgetvalue(res, 0, 1), "on") == 0;
    PQclear(res);
    PQfinish(pg);
    out->skew_us = theirs_us < before_us  ? before_us - theirs_us
                   : theirs_us > after_us ? theirs_us - after_us
                                          : 0;
    return err;
}

/* ---- libpq ---- */

static void no_notice(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

/* libpq's complaint about a conninfo may quote all of it, with the password. */
static bool conninfo_good(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    PQconninfoFree(options);
    return options != NULL;
}

/* `settings` are sent as statements: connection poolers refuse those of the start-up packet. */
static struct err pg_open(const char *conninfo, const char *settings, PGconn **out)
{
    if (!conninfo_good(conninfo)) {
        log_error("database.unreachable", F_C("why", "the connection string is malformed"));
        return ERR(CONFIG, "the database's connection string is malformed");
    }
    const char *const keys[] = {"connect_timeout",      "application_name", "client_encoding",
                                "target_session_attrs", "dbname",           NULL};
    const char *const values[] = {"10", "reli", "UTF8", "primary", conninfo, NULL};
    PGconn *pg = PQconnectdbParams(keys, values, 1); /* what comes later wins: the operator's */
    if (pg == NULL)
        return ERR(NO_MEMORY, "libpq");
    if (PQstatus(pg) != CONNECTION_OK) {
        log_error("database.unreachable", F_STR("why", str_trim(str_c(PQerrorMessage(pg)))));
        PQfinish(pg);
        return ERR(UNAVAILABLE, "cannot connect to the database");
    }
    PQsetNoticeProcessor(pg, no_notice, NULL);
    struct err err = pg_run(pg, settings, "setting up the connection", "");
    if (err_is(err))
        PQfinish(pg);
    else
        *out = pg;
    return err;
}

static struct err pg_err(PGconn *pg, const PGresult *res)
{
    if (PQstatus(pg) != CONNECTION_OK)
        return ERR(UNAVAILABLE, "the connection to the database was lost");
    struct pg_failure f = {.stmt = STMT_BEGIN};
    str_copy_c(f.state, sizeof f.state, str_c(PQresultErrorField(res, PG_DIAG_SQLSTATE)));
    return pg_failure_err(&f);
}

/* Says what went wrong. The server's detail and context lines are left out: they quote values. */
static struct err pg_failed(PGconn *pg, const PGresult *res, const char *doing, const char *name)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    const char *at = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    struct str message = primary != NULL ? str_c(primary) : str_trim(str_c(PQerrorMessage(pg)));
    log_error("database.failed", F_C("doing", doing), F_C("name", name), F_STR("message", message),
              F_C("sqlstate", state), F_C("position", at), F_C("hint", hint));
    return pg_err(pg, res);
}

static struct err pg_run(PGconn *pg, const char *sql, const char *doing, const char *name)
{
    PGresult *res = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(res);
    struct err err = ERR_OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        err = pg_failed(pg, res, doing, name);
    PQclear(res);
    return err;
}

/* The commit of a transaction that has failed succeeds, as a rollback. */
static struct err pg_commit(PGconn *pg, const char *name)
{
    PGresult *res = PQexec(pg, "commit");
    struct err err = ERR_OK;
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        err = pg_failed(pg, res, "committing", name);
    else if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
        err = ERR(FAILED, "the transaction was rolled back");
    PQclear(res);
    return err;
}

struct err store_conninfo_user(const char *conninfo, char *out, size_t cap)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    out[0] = '\0';
    if (options == NULL)
        return ERR(CONFIG, "DATABASE_URL is not a libpq connection string");
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
        if (strcmp(o->keyword, "user") == 0 && o->val != NULL)
            str_copy_c(out, cap, str_c(o->val));
    PQconninfoFree(options);
    return ERR_OK;
}
