/* One connection to PostgreSQL, pipelined, on the loop.
 *
 *   WAIT -> DIAL -> SETUP -> UP
 *
 * Everything that goes wrong leads back to WAIT, with a pause of 100 ms that doubles up to 5 s; the
 * way from DIAL to UP has one deadline. While answers are outstanding something must arrive within
 * statement_timeout and a little: a server that stopped in the middle, or a network that swallows
 * packets, counts as lost.
 *
 * Only a primary will do, for readers too: what was just written must be found. One that was
 * replaced may come back without knowing it, and would take writes that the others never see; so
 * an older timeline than the newest that this process has met is refused. Writers refuse a database
 * that was made read-only, too: connected to it the service would call itself ready.
 *
 * libpq does not say which statement a result belongs to, so every statement and Sync that goes out
 * leaves an op in a ring, and each result belongs to the ring's head. An error skips the rest of
 * its group: those answer PGRES_PIPELINE_ABORTED, and what was prepared among them is not prepared.
 */
#include "store/pg_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "store/pg_dial.h"
#include "store/query_one.h"
#include "store/store_int.h"

#define PAUSE_MIN_US (100 * US_PER_MS)
#define PAUSE_MAX_US (5 * US_PER_S)
#define CONNECT_TIMEOUT_US (5 * US_PER_S)
#define STALL_GRACE_US (2 * US_PER_S)
/* A connection that lived that long was a good one: the next pause is the shortest again. */
#define GOOD_LIFE_US (2 * US_PER_S)

enum { OPS_MAX = 512 /* a power of two */, TEXT_LIMIT = 256 * 1024 };

enum conn_state { CONN_WAIT, CONN_DIAL, CONN_SETUP, CONN_UP };

enum op_kind {
    OP_SETUP,
    OP_PREPARE,
    OP_RUN,
    OP_SYNC,
    OP_OWN_RUN, /* a roll-back that the owner does not see */
    OP_OWN_SYNC,
};

struct op {
    uint8_t kind;
    bool answered; /* the NULL that ends its results is still to come */
    int16_t stmt;
};

struct pg_conn {
    struct loop *l;
    const struct store_options *o;
    enum pg_role role;
    struct pg_lineage *lineage, met; /* `met`: this connection's server */
    const struct pg_conn_events *events;
    void *ctx;

    enum conn_state state;
    unsigned attempt; /* picks host and address */
    int64_t pause_us, up_since_us, server_version;
    Oid row_types[N_ROW_TYPES];
    bool was_up, quiet; /* quiet: this outage is in the log already */
    struct timer
        alarm; /* WAIT: try again; DIAL, SETUP: the deadline; UP: a look at `progress_us` */
    struct pg_dial *dial;
    PGconn *pg;
    uv_poll_t *poll;
    int watching;
    bool broken; /* libpq refused; `lost_soon` is on its way */
    struct later lost_soon;

    struct op ops[OPS_MAX];
    unsigned head, tail;
    unsigned n_odd; /* NULL results without a reason, in a row */
    int64_t progress_us;
    bool prepared[N_STMTS];
    bool failed; /* the group at the head */
    struct pg_failure failure;
};

static struct metric reconnects = METRIC_COUNTER(
    "reli_store_reconnects_total", "", "Connections to PostgreSQL made again after a loss");

static const char *const role_names[] = {[PG_WRITER] = "writer", [PG_READER] = "reader"};

static void conn_wait(struct pg_conn *c);
static void conn_dial(void *ctx);
static void conn_dialled(void *ctx, struct err err, const char *words, PGconn *pg);
static void conn_setup(struct pg_conn *c);
static bool conn_setup_done(struct pg_conn *c, const PGresult *res);
static bool is_old(const struct pg_conn *c);
static void conn_up(struct pg_conn *c);
static void conn_poll(uv_poll_t *h, int status, int events);
static bool conn_drain(struct pg_conn *c);
static bool conn_take(struct pg_conn *c, PGresult *res);
static void conn_break(struct pg_conn *c);
static void conn_lost(void *ctx);
static void conn_drop(struct pg_conn *c);
static void conn_look(void *ctx);
static void conn_flush(struct pg_conn *c);

struct err pg_conn_new(struct loop *l, const struct store_options *o, enum pg_role role,
                       struct pg_lineage *lineage, const struct pg_conn_events *events, void *ctx,
                       struct pg_conn **out)
{
    struct pg_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR(NO_MEMORY, "pg connection");
    c->l = l;
    c->o = o;
    c->role = role;
    c->lineage = lineage;
    c->events = events;
    c->ctx = ctx;
    c->attempt = random_below(1u << 16);
    timer_set(l, &c->alarm, 0, conn_dial, c);
    *out = c;
    return ERR_OK;
}

void pg_conn_free(struct pg_conn *c)
{
    if (c == NULL)
        return;
    conn_drop(c);
    timer_off(c->l, &c->alarm);
    free(c);
}

bool pg_conn_is_up(const struct pg_conn *c)
{
    return c->state == CONN_UP && !c->broken;
}

Oid pg_conn_row_type(struct pg_conn *c, enum row_type type)
{
    if (c->row_types[type] == InvalidOid && !c->broken)
        conn_break(c);
    return c->row_types[type];
}

/* ---- sending ---- */

static const char *stmt_text(int stmt)
{
    static const char *const own[] = {
        [STMT_BEGIN - N_QUERIES] = "begin",
        [STMT_COMMIT - N_QUERIES] = "commit",
        [STMT_ROLLBACK - N_QUERIES] = "rollback",
        [STMT_HURRY - N_QUERIES] = "select set_config('lock_timeout', '100ms', true),"
                                   " set_config('statement_timeout', $1, true)",
        [STMT_CLOCK - N_QUERIES] = "select clock_timestamp(),"
                                   " to_regclass('reli.schema_migration') is not null",
        [STMT_SCHEMA - N_QUERIES] =
            "select name from reli.schema_migration order by name desc limit 1",
    };
    return stmt < N_QUERIES ? query_text((enum query)stmt) : own[stmt - N_QUERIES];
}

static const char *stmt_text_of_one(int stmt)
{
    return stmt < N_QUERIES ? query_text_of_one((enum query)stmt) : stmt_text(stmt);
}

static const char *stmt_name(int stmt)
{
    static const char *const own[] = {
        [STMT_BEGIN - N_QUERIES] = "reli begin",       [STMT_COMMIT - N_QUERIES] = "reli commit",
        [STMT_ROLLBACK - N_QUERIES] = "reli rollback", [STMT_HURRY - N_QUERIES] = "reli hurry",
        [STMT_CLOCK - N_QUERIES] = "reli clock",       [STMT_SCHEMA - N_QUERIES] = "reli schema",
    };
    return stmt < N_QUERIES ? query_name((enum query)stmt) : own[stmt - N_QUERIES];
}

bool pg_conn_has_room(const struct pg_conn *c, size_t n)
{
    /* Each may have to be prepared first; then the Sync, and a roll-back with its own. */
    return OPS_MAX - (c->tail - c->head) >= 2 * n + 4;
}

static void op_push(struct pg_conn *c, enum op_kind kind, int stmt)
{
    ASSERT(c->tail - c->head < OPS_MAX);
    if (c->head == c->tail) {
        c->progress_us = store_clock_us();
        if (!timer_is_on(&c->alarm))
            timer_set(c->l, &c->alarm, c->o->statement_timeout_us + STALL_GRACE_US, conn_look, c);
    }
    c->ops[c->tail++ % OPS_MAX] = (struct op){.kind = (uint8_t)kind, .stmt = (int16_t)stmt};
}

static bool conn_prepare(struct pg_conn *c, int stmt, const struct params *p)
{
    int n = p != NULL ? p->n : 0;
    const Oid *types = p != NULL ? p->type : NULL;
    if (!c->o->by_merchant)
        return PQsendPrepare(c->pg, stmt_name(stmt), stmt_text(stmt), n, types) == 1;
    struct buf text;
    buf_init(&text, TEXT_LIMIT);
    bool good = query_for_one(stmt_text_of_one(stmt), n, &text) &&
                PQsendPrepare(c->pg, stmt_name(stmt), text.p, n, types) == 1;
    buf_free(&text);
    return good;
}

static bool conn_run(struct pg_conn *c, enum op_kind kind, int stmt, const struct params *p)
{
    int n = p != NULL ? p->n : 0;
    if (c->broken)
        return false;
    if (!c->prepared[stmt]) {
        if (!conn_prepare(c, stmt, p)) {
            conn_break(c);
            return false;
        }
        c->prepared[stmt] = true; /* taken back if its result says otherwise */
        op_push(c, OP_PREPARE, stmt);
    }
    if (PQsendQueryPrepared(c->pg, stmt_name(stmt), n, p != NULL ? p->value : NULL,
                            p != NULL ? p->length : NULL, p != NULL ? p->format : NULL, 1) != 1) {
        conn_break(c);
        return false;
    }
    op_push(c, kind, stmt);
    return true;
}

static void conn_sync(struct pg_conn *c, enum op_kind kind)
{
    if (c->broken)
        return;
    if (PQpipelineSync(c->pg) != 1) {
        conn_break(c);
        return;
    }
    op_push(c, kind, 0);
    conn_flush(c);
}

bool pg_conn_send(struct pg_conn *c, int stmt, const struct params *p)
{
    ASSERT(c->state == CONN_UP);
    return conn_run(c, OP_RUN, stmt, p);
}

void pg_conn_sync(struct pg_conn *c)
{
    ASSERT(c->state == CONN_UP);
    conn_sync(c, OP_SYNC);
}

/* ---- connecting ---- */

static void conn_wait(struct pg_conn *c)
{
    c->state = CONN_WAIT;
    bool lived = c->up_since_us != 0 && store_clock_us() - c->up_since_us >= GOOD_LIFE_US;
    c->up_since_us = 0;
    if (c->pause_us == 0 || lived)
        c->pause_us = PAUSE_MIN_US;
    int64_t half = c->pause_us / 2;
    timer_set(c->l, &c->alarm, half + random_below((uint32_t)half), conn_dial, c);
    c->pause_us = c->pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : c->pause_us * 2;
}

static void log_outage(struct pg_conn *c, const char *what, const char *words)
{
    if (c->quiet)
        return;
    c->quiet = true;
    struct str line = str_trim(str_first(str_c(words), 200));
    log_warn("store.connect_failed", F_C("role", role_names[c->role]), F_C("what", what),
             F_STR("words", line));
}

static void conn_late(void *ctx)
{
    struct pg_conn *c = ctx;
    log_outage(c, "PostgreSQL does not answer in time", "");
    conn_drop(c);
    conn_wait(c);
}

static void conn_dial(void *ctx)
{
    struct pg_conn *c = ctx;
    c->state = CONN_DIAL;
    struct err err = pg_dial_start(c->l, c->o->conninfo, c->attempt++, conn_dialled, c, &c->dial);
    if (err_is(err)) {
        c->dial = NULL;
        log_outage(c, err.what, "");
        conn_wait(c);
        return;
    }
    timer_set(c->l, &c->alarm, CONNECT_TIMEOUT_US, conn_late, c);
}

static void conn_dialled(void *ctx, struct err err, const char *words, PGconn *pg)
{
    struct pg_conn *c = ctx;
    c->dial = NULL;
    if (err_is(err)) {
        log_outage(c, err.what, words);
        conn_wait(c);
        return;
    }
    c->pg = pg;
    c->state = CONN_SETUP;
    c->poll = malloc(sizeof *c->poll);
    if (c->poll == NULL || uv_poll_init(loop_uv(c->l), c->poll, PQsocket(pg)) != 0) {
        free(c->poll);
        c->poll = NULL;
    } else {
        c->poll->data = c;
    }
    if (c->poll == NULL || PQsetnonblocking(pg, 1) != 0 || PQenterPipelineMode(pg) != 1) {
        log_outage(c, "cannot use the connection", "");
        conn_drop(c);
        conn_wait(c);
        return;
    }
    conn_setup(c);
}

#define SERVER                                                                          \
    "select pg_is_in_recovery(), current_setting('server_version_num')::int4,"          \
    " (select system_identifier from pg_control_system()),"                             \
    " case when not pg_is_in_recovery()"                                                \
    " then ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 end," \
    " current_setting('transaction_read_only')::bool"
enum { SERVER_COLUMNS = 5 };

/* The number of a row type, if it is there. */
#define ROW_TYPE(name)                                         \
    ", (select t.oid::int8 from pg_type t join pg_namespace n" \
    " on n.oid = t.typnamespace where n.nspname = 'reli'"      \
    " and t.typname = '" name "')"

/* Only writers write rows. In the order of their enum. */
#define WRITER                                                                                   \
    SERVER ROW_TYPE("payment_new") ROW_TYPE("attempt_new") ROW_TYPE("event_new")                 \
        ROW_TYPE("audit_new") ROW_TYPE("payment_change") ROW_TYPE("account_new")                 \
            ROW_TYPE("transfer_new") ROW_TYPE("exception_new") ROW_TYPE("call_new")              \
                ROW_TYPE("refund_new") ROW_TYPE("refund_attempt_new") ROW_TYPE("resolution_new") \
                    ROW_TYPE("limit_new") ROW_TYPE("inbound_new")

/* Every setting of a session in one round trip. On writers the planner is kept on nested loops over
 * indexes with generic plans: a batch's arrays are small beside the tables, whatever the statistics
 * say, and a plan that turns to scanning a table in the middle of the day would be an outage. */
static const char *const setup_text[] = {
    [PG_WRITER] = WRITER ", set_config('application_name', 'reli', false),"
                         " set_config('client_encoding', 'UTF8', false),"
                         " set_config('TimeZone', 'UTC', false),"
                         " set_config('statement_timeout', $1, false),"
                         " set_config('lock_timeout', '3s', false),"
                         " set_config('idle_in_transaction_session_timeout', '30s', false),"
                         " set_config('plan_cache_mode', $2, false),"
                         " set_config('jit', 'off', false),"
                         " set_config('enable_seqscan', 'off', false),"
                         " set_config('enable_hashjoin', 'off', false),"
                         " set_config('enable_mergejoin', 'off', false)",
    [PG_READER] = SERVER ", set_config('application_name', 'reli', false),"
                         " set_config('client_encoding', 'UTF8', false),"
                         " set_config('TimeZone', 'UTC', false),"
                         " set_config('statement_timeout', $1, false),"
                         " set_config('default_transaction_read_only', 'on', false),"
                         " set_config('plan_cache_mode', $2, false),"
                         " set_config('jit', 'off', false)",
};

static void conn_setup(struct pg_conn *c)
{
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%lldms",
             (long long)(c->o->statement_timeout_us / US_PER_MS));
    /* Citus plans for the node whose rows a statement is about: it has to know the values. */
    const char *plans = c->o->by_merchant ? "force_custom_plan" : "force_generic_plan";
    const char *value[] = {timeout, plans};
    if (PQsendQueryParams(c->pg, setup_text[c->role], COUNT_OF(value), NULL, value, NULL, NULL,
                          1) != 1) {
        conn_break(c);
        return;
    }
    op_push(c, OP_SETUP, 0);
    conn_sync(c, OP_OWN_SYNC);
}

static bool conn_setup_done(struct pg_conn *c, const PGresult *res)
{
    struct rows r = {res};
    if (rows_n(&r) != 1)
        return false;
    if (rows_bool(&r, 0, 0) || rows_null(&r, 0, 3)) {
        log_outage(c, "this server is a standby", "");
        return false;
    }
    if (c->role == PG_WRITER && rows_bool(&r, 0, 4)) {
        log_outage(c, "the database takes no writes: it was made read-only", "");
        return false;
    }
    c->server_version = rows_i64(&r, 0, 1);
    c->met = (struct pg_lineage){rows_i64(&r, 0, 2), rows_i64(&r, 0, 3)};
    if (is_old(c)) {
        log_outage(c, "this server was the primary once, and has been replaced", "");
        return false;
    }
    *c->lineage = c->met;
    for (int i = ROW_NONE + 1; c->role == PG_WRITER && i < N_ROW_TYPES; i++)
        c->row_types[i] = (Oid)rows_i64(&r, 0, SERVER_COLUMNS + i - 1);
    return true;
}

/* Of another cluster nothing is known: somebody has moved the database. */
static bool is_old(const struct pg_conn *c)
{
    return c->met.system == c->lineage->system && c->met.timeline < c->lineage->timeline;
}

void pg_conn_leave_if_old(struct pg_conn *c)
{
    if (pg_conn_is_up(c) && is_old(c))
        conn_break(c);
}

static void conn_up(struct pg_conn *c)
{
    c->state = CONN_UP;
    c->quiet = false;
    c->up_since_us = store_clock_us();
    timer_off(c->l, &c->alarm);
    log_info("store.connected", F_C("role", role_names[c->role]),
             F_I64("server_version", c->server_version));
    if (c->was_up)
        metric_add(&reconnects, 1);
    c->was_up = true;
    c->events->up(c->ctx);
}

/* ---- I/O ---- */

static void conn_watch(struct pg_conn *c, int events)
{
    if (c->watching == events)
        return;
    c->watching = events;
    uv_poll_start(c->poll, events, conn_poll);
}

static void conn_flush(struct pg_conn *c)
{
    int rc = PQflush(c->pg);
    if (rc < 0)
        conn_break(c);
    else
        conn_watch(c, rc == 0 ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

static void conn_poll(uv_poll_t *h, int status, int events)
{
    struct pg_conn *c = h->data;
    /* Also after an error: a dying server's last words tell what did not happen. */
    bool good = true;
    if (status < 0 || (events & UV_READABLE) != 0) {
        good = PQconsumeInput(c->pg) == 1;
        good = conn_drain(c) && good;
    }
    if (!good || status < 0) {
        conn_lost(c);
        return;
    }
    if (!c->broken && (c->watching & UV_WRITABLE) != 0)
        conn_flush(c);
}

/* Takes what has arrived; false when the connection is of no use any more. */
static bool conn_drain(struct pg_conn *c)
{
    while (c->head != c->tail && PQisBusy(c->pg) == 0)
        if (!conn_take(c, PQgetResult(c->pg)))
            return false;
    /* Nothing is asked for: what libpq holds then is the news of its own death. */
    return PQstatus(c->pg) == CONNECTION_OK;
}

static void failure_note(struct pg_conn *c, const PGresult *res, int stmt)
{
    struct pg_failure *f = &c->failure;
    *f = (struct pg_failure){.stmt = stmt};
    str_copy_c(f->state, sizeof f->state, str_c(PQresultErrorField(res, PG_DIAG_SQLSTATE)));
    struct str name = str_c(PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME));
    size_t n = name.n;
    while (n > 0 && ascii_is_digit(name.p[n - 1]))
        n--;
    if (n > 1 && n < name.n && name.p[n - 1] == '_')
        name.n = n - 1;
    str_copy_c(f->constraint, sizeof f->constraint, name);
    c->failed = true;
}

/* An error that is about the connection, not about the statement. */
static bool is_fatal(const struct pg_conn *c, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (state == NULL || severity == NULL || strcmp(severity, "ERROR") != 0)
        return true;
    return strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0 ||
           (c->role == PG_WRITER && strcmp(state, "25006") == 0); /* became a standby */
}

static bool take_error(struct pg_conn *c, const struct op *op, const PGresult *res)
{
    bool fatal = is_fatal(c, res);
    /* libpq's own errors have no SQLSTATE and prove nothing. A commit that ends with the connection
     * may have come to pass. */
    bool owners = op->kind == OP_RUN || op->kind == OP_PREPARE;
    bool proof = owners && PQresultErrorField(res, PG_DIAG_SQLSTATE) != NULL &&
                 !(fatal && op->stmt == STMT_COMMIT);
    if (proof && !c->failed)
        failure_note(c, res, op->stmt);
    if (op->kind == OP_SETUP)
        log_outage(c, "the session's settings were refused",
                   PQresultErrorField(res, PG_DIAG_SQLSTATE));
    if (op->kind == OP_PREPARE)
        c->prepared[op->stmt] = false;
    return !fatal && op->kind != OP_SETUP && op->kind != OP_OWN_RUN;
}

static bool take_sync(struct pg_conn *c, enum op_kind kind)
{
    if (kind != OP_SYNC && kind != OP_OWN_SYNC)
        return false;
    c->head++;
    bool failed = c->failed;
    c->failed = false;
    if (kind == OP_OWN_SYNC) {
        if (c->state == CONN_SETUP)
            conn_up(c);
        return true;
    }
    if (failed && c->role == PG_WRITER && PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
        /* At once: a failed transaction keeps its locks. */
        conn_run(c, OP_OWN_RUN, STMT_ROLLBACK, NULL);
        conn_sync(c, OP_OWN_SYNC);
    }
    c->events->synced(c->ctx, failed ? &c->failure : NULL);
    return true;
}

/* One result for the op at the head; false when the connection is of no use any more. */
static bool conn_take(struct pg_conn *c, PGresult *res)
{
    struct op *op = &c->ops[c->head % OPS_MAX];
    c->progress_us = store_clock_us();
    if (res == NULL) {
        if (op->answered) {
            c->head++;
            c->n_odd = 0;
            return true;
        }
        return ++c->n_odd < 3;
    }
    c->n_odd = 0;
    bool good;
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(res);
        return take_sync(c, op->kind);
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        op->answered = true;
        if (op->kind == OP_RUN) {
            c->events->answer(c->ctx, op->stmt, res);
            return true;
        }
        good = op->kind != OP_SETUP || conn_setup_done(c, res);
        break;
    case PGRES_PIPELINE_ABORTED:
        op->answered = true;
        if (op->kind == OP_PREPARE)
            c->prepared[op->stmt] = false;
        good = true;
        break;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
    case PGRES_SINGLE_TUPLE:
    default:
        op->answered = true;
        good = take_error(c, op, res);
        break;
    }
    PQclear(res);
    return good;
}

/* ---- the end ---- */

/* libpq refuses: tells the owner from a turn of its own, since it may be in the middle of sending.
 */
static void conn_break(struct pg_conn *c)
{
    c->broken = true;
    loop_later(c->l, &c->lost_soon, conn_lost, c);
}

static void conn_lost(void *ctx)
{
    struct pg_conn *c = ctx;
    bool was_up = c->state == CONN_UP;
    if (was_up)
        log_warn("store.connection_lost", F_C("role", role_names[c->role]),
                 F_C("sqlstate", c->failed ? c->failure.state : ""));
    else
        log_outage(c, "lost while setting up", "");
    bool failed = c->failed;
    conn_drop(c);
    conn_wait(c);
    if (was_up)
        c->events->lost(c->ctx, failed ? &c->failure : NULL);
}

static void handle_free(uv_handle_t *h)
{
    free(h);
}

static void conn_drop(struct pg_conn *c)
{
    if (c->dial != NULL)
        pg_dial_cancel(c->dial);
    c->dial = NULL;
    if (c->poll != NULL)
        uv_close((uv_handle_t *)c->poll, handle_free); /* before its socket */
    c->poll = NULL;
    c->watching = 0;
    PQfinish(c->pg);
    c->pg = NULL;
    loop_later_off(c->l, &c->lost_soon);
    c->broken = false;
    c->failed = false;
    c->head = c->tail = c->n_odd = 0;
    memset(c->prepared, 0, sizeof c->prepared);
}

/* The test clock may ring early: what counts is real time. And if it is this process that stood
 * still, the answer lies in the socket. */
static void conn_look(void *ctx)
{
    struct pg_conn *c = ctx;
    int64_t patience_us = c->o->statement_timeout_us + STALL_GRACE_US;
    bool good = true;
    if (c->head != c->tail && c->progress_us + patience_us <= store_clock_us())
        good = PQconsumeInput(c->pg) == 1 && conn_drain(c);
    if (c->head == c->tail && good)
        return;
    int64_t left = c->progress_us + patience_us - store_clock_us();
    if (good && left > 0)
        timer_set(c->l, &c->alarm, left, conn_look, c);
    else
        conn_lost(c);
}

/* ---- failures ---- */

enum pg_class pg_failure_class(const struct pg_failure *f)
{
    if (strcmp(f->state, "40001") == 0 || strcmp(f->state, "40P01") == 0)
        return PG_CONTENTION;
    if (strcmp(f->state, "57014") == 0 || strcmp(f->state, "55P03") == 0)
        return PG_TIMED_OUT;
    return strncmp(f->state, "53", 2) == 0 ? PG_EXHAUSTED : PG_REFUSED;
}

/* The five characters of a SQLSTATE as a number to base 36. */
static int32_t state_number(const char *state)
{
    int32_t n = 0;
    for (; *state != '\0'; state++)
        n = n * 36 + (ascii_is_digit(*state) ? *state - '0' : ascii_upper(*state) - 'A' + 10);
    return n;
}

/* A table, column, function, type or schema that is not there; a right that is not. */
static bool lacks_schema(const char *state)
{
    static const char *const states[] = {"42P01", "42703", "42883", "42704", "3F000", "42501"};
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

struct err pg_failure_err(const struct pg_failure *f)
{
    int32_t detail = state_number(f->state);
    switch (pg_failure_class(f)) {
    case PG_CONTENTION:
        return ERR_D(CONFLICT, detail, "the database met too much contention");
    case PG_TIMED_OUT:
        return ERR_D(TIMEOUT, detail, "the database took too long");
    case PG_EXHAUSTED:
        return ERR_D(OVERLOADED, detail, "the database has no resources left");
    case PG_REFUSED:
        break;
    }
    if (strncmp(f->state, "23", 2) == 0)
        return ERR_D(CONFLICT, detail, "a constraint of the database");
    if (strcmp(f->state, "25006") == 0)
        return ERR_D(UNAVAILABLE, detail, "the database takes no writes: it was made read-only");
    if (strncmp(f->state, "58", 2) == 0)
        return ERR_D(UNAVAILABLE, detail, "the database's disk or system fails");
    if (lacks_schema(f->state))
        return ERR_D(
            INTERNAL, detail,
            "the schema is missing, older or not for this role: reli migrate as the owner");
    return ERR_D(INTERNAL, detail, "the database refused a statement");
}

void pg_failure_log(const struct pg_failure *f)
{
    log_warn("store.refused", F_C("sqlstate", f->state), F_C("constraint", f->constraint),
             F_C("statement", stmt_name(f->stmt)));
}
