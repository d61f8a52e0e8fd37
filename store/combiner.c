/* The write combiner. A commit costs far more than a row, so units of work that come while a commit
 * is under way leave together in the next one:
 *
 *   store_write -> ready (or behind a unit with the same key) -> batch -> BEGIN, one statement over
 *   arrays per kind, COMMIT, Sync -> outcomes
 *
 * A writer that is idle takes all that is ready at the end of the turn; while all are busy units
 * gather: that is the combining. A batch costs the server as much as a dozen of its units or more,
 * so few units do not leave beside a large batch: they wait until there are as many of them, or it
 * is over, or some milliseconds have gone. Nothing is told before the Sync.
 *
 * What goes wrong: contention runs the same batch again. Any other refusal halves it until the unit
 * whose fault it is stands alone and gets its own error. A timeout does so with short timeouts, so
 * that one locked row does not cost every half three seconds. A connection that is lost sends its
 * units back to the head of the queue; those whose COMMIT had gone are in doubt. From then on they
 * can only end in success or in ERR_AMBIGUOUS, since a refusal says nothing about the first commit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "store/store_int.h"

#define HURRIED_US (1 * US_PER_S)
#define GATHER_US (5 * US_PER_MS)

enum { CONTENTION_TRIES = 5, KINDS_MAX = 64, SCAN_MAX = 4096 };

static struct metric commits = METRIC_COUNTER("reli_store_commits_total", "", "Batches committed");
static struct metric units_done =
    METRIC_COUNTER("reli_store_units_total", "", "Units of work committed");
static struct metric commit_time = METRIC_HISTOGRAM(
    "reli_store_commit_seconds", "", "Time from sending a batch to its durable commit");

static void unit_free_now(void *ctx, struct unit *u);
static void unit_wait(struct store *s, struct unit *u);
static void unit_end(struct store *s, struct unit *u, struct err err);
static size_t batch_take(struct store *s, struct unit **units);
static void span_run(struct writer *w);
static void span_failed(struct writer *w, const struct pg_failure *f);
static void span_end(struct writer *w, struct err err);
static void writer_up(void *ctx);
static void writer_answer(void *ctx, int stmt, PGresult *result);
static void writer_synced(void *ctx, const struct pg_failure *f);
static void writer_lost(void *ctx, const struct pg_failure *f);

static const struct pg_conn_events writer_events = {
    .up = writer_up,
    .answer = writer_answer,
    .synced = writer_synced,
    .lost = writer_lost,
};

/* ---- units come and go ---- */

void store_write(struct store *s, struct unit *u)
{
    u->link = u->age = (struct link){0};
    u->err = ERR_OK;
    u->tries = 0;
    u->doubt = false;
    u->behind = 0;
    u->since_us = store_clock_us();
    s->n_units++;
    if (store_is_full(s) || !unit_keys_join(&s->keys, u)) {
        u->err = s->closing ? ERR(CANCELED, "the store is closing")
                            : ERR(OVERLOADED, "too much work waits for the database");
        list_push(&s->refused, &u->link);
        store_refuse_soon(s);
        return;
    }
    list_push(&s->age, &u->age);
    if (u->behind == 0)
        list_push(&s->ready, &u->link);
}

/* Its turn has come after waiting for its keys: it is older than most. */
static void unit_free_now(void *ctx, struct unit *u)
{
    struct store *s = ctx;
    list_push_front(&s->ready, &u->link);
}

/* Back to the queue, where its age puts it. */
static void unit_wait(struct store *s, struct unit *u)
{
    list_push_front(&s->ready, &u->link);
    struct link *k = list_first(&s->age);
    while (k != NULL && CONTAINER_OF(k, struct unit, age)->since_us < u->since_us)
        k = list_next(&s->age, k);
    struct link *at = k != NULL ? k : &s->age.head;
    u->age = (struct link){at, at->prev};
    at->prev->next = &u->age;
    at->prev = &u->age;
    s->age.n++;
}

/* The unit is in no list. */
static void unit_end(struct store *s, struct unit *u, struct err err)
{
    if (u->doubt && err_is(err) && err.code != ERR_AMBIGUOUS)
        err = ERR_D(AMBIGUOUS, err.detail, "the connection was lost during the commit");
    unit_keys_leave(&s->keys, u, unit_free_now, s);
    s->n_units--;
    u->err = err;
    s->calling++;
    u->done(u->ctx);
    s->calling--;
}

void units_expire(struct store *s, int64_t now_us)
{
    struct unit *u;
    while ((u = LIST_ITEM(list_first(&s->age), struct unit, age)) != NULL &&
           u->since_us + s->o.wait_timeout_us <= now_us) {
        list_remove(&s->age, &u->age);
        if (list_linked(&u->link))
            list_remove(&s->ready, &u->link);
        unit_end(s, u, ERR(UNAVAILABLE, "waited too long for the database"));
    }
}

void units_tell_refused(struct store *s)
{
    /* Those that are refused from within `done` wait for the next turn. */
    for (size_t n = s->refused.n; n > 0; n--) {
        struct unit *u = LIST_ITEM(list_pop(&s->refused), struct unit, link);
        s->n_units--;
        s->calling++;
        u->done(u->ctx);
        s->calling--;
    }
}

/* ---- a batch leaves ---- */

static void gathered(void *ctx)
{
    (void)ctx; /* the end of this turn looks again */
}

/* Whether what is ready is enough to leave beside what is under way. */
static bool enough_ready(struct store *s)
{
    size_t flying = 0;
    for (int i = 0; i < s->o.writers; i++)
        if (s->writers[i].state == WRITER_BATCH)
            flying += s->writers[i].spans[0].hi;
    const struct unit *oldest = LIST_ITEM(list_first(&s->age), struct unit, age);
    if (s->ready.n >= flying || oldest == NULL)
        return true;
    int64_t left_us = oldest->since_us + GATHER_US - store_clock_us();
    if (left_us > 0 && !timer_is_on(&s->gather))
        timer_set(s->l, &s->gather, left_us, gathered, s);
    return left_us <= 0;
}

void writers_leave(struct store *s)
{
    for (int i = 0; i < s->o.writers; i++) {
        struct writer *w = &s->writers[i];
        if (w->state != WRITER_IDLE || !pg_conn_is_up(w->conn))
            continue;
        struct ask *k = LIST_ITEM(list_pop(&s->asks_exec), struct ask, link);
        if (k != NULL) {
            if (ask_send(s, w->conn, k)) {
                w->ask = k;
                w->state = WRITER_ASK;
                pg_conn_sync(w->conn);
            }
            continue;
        }
        if (!enough_ready(s))
            return;
        size_t n = batch_take(s, w->units);
        if (n == 0)
            return;
        w->spans[0] = (struct span){.hi = n};
        w->n_spans = 1;
        w->started_us = store_clock_us();
        span_run(w);
    }
}

/* Kinds in their order, and rows in the order of their keys: two batches that meet take row locks
 * in one order. */
static int unit_order(const void *left, const void *right)
{
    const struct unit *a = *(struct unit *const *)left, *b = *(struct unit *const *)right;
    if (a->kind != b->kind) {
        if (a->kind->rank != b->kind->rank)
            return a->kind->rank < b->kind->rank ? -1 : 1;
        return a->kind->query < b->kind->query ? -1 : 1;
    }
    int order = uuid_cmp(a->merchant, b->merchant);
    if (order != 0)
        return order;
    return a->keys[0] < b->keys[0] ? -1 : a->keys[0] > b->keys[0];
}

/* What is ready and fits. No two ready units share a key: that is what the queues of keys are for.
 */
static size_t batch_take(struct store *s, struct unit **units)
{
    struct unit *u = LIST_ITEM(list_first(&s->ready), struct unit, link);
    if (u == NULL)
        return 0;
    struct uuid merchant = u->merchant;
    size_t n = 0;
    for (int seen = 0; u != NULL && n < (size_t)s->o.max_batch && seen < SCAN_MAX; seen++) {
        struct unit *next = LIST_ITEM(list_next(&s->ready, &u->link), struct unit, link);
        if (!s->o.by_merchant || uuid_eq(u->merchant, merchant)) {
            list_remove(&s->ready, &u->link);
            list_remove(&s->age, &u->age);
            units[n++] = u;
        }
        u = next;
    }
    qsort(units, n, sizeof(struct unit *), unit_order);
    /* A batch of more kinds than the connection has room for: the rest goes next time. */
    size_t n_kinds = 1;
    for (size_t i = 1; i < n; i++)
        if (units[i]->kind != units[i - 1]->kind && ++n_kinds > KINDS_MAX) {
            while (n > i)
                unit_wait(s, units[--n]);
        }
    return n;
}

/* ---- a span of a batch runs ---- */

static size_t kind_end(const struct writer *w, size_t from, size_t hi)
{
    size_t i = from;
    while (i < hi && w->units[i]->kind == w->units[from]->kind)
        i++;
    return i;
}

/* Which of a unit's tables is encoded; SIZE_MAX: it has none such. */
static size_t nth_table(const struct unit *u, const struct unit_lock *lock, size_t t)
{
    if (lock == NULL)
        return t;
    return u->kind->lock == lock ? u->kind->lock_table : SIZE_MAX;
}

/* The rows of all units from … to - 1, column by column: of their table `t`, or of the one with a
 * lock's rows. `ord` counts within the span. */
static void table_encode(struct writer *w, size_t from, size_t to, const struct unit_table *table,
                         const struct unit_lock *lock, size_t t)
{
    struct params *p = &w->s->params;
    size_t lo = w->spans[w->n_spans - 1].lo;
    params_array_open(p, COL_I32);
    for (size_t i = from; i < to; i++) {
        size_t k = nth_table(w->units[i], lock, t);
        int32_t ord = (int32_t)(i - lo);
        if (k != SIZE_MAX)
            params_array_add(p, &ord, 0, w->units[i]->n_rows[k]);
    }
    params_array_close(p);
    for (size_t c = 0; c < table->n_columns; c++) {
        params_array_open(p, table->columns[c].type);
        for (size_t i = from; i < to; i++) {
            size_t k = nth_table(w->units[i], lock, t);
            if (k != SIZE_MAX && w->units[i]->n_rows[k] > 0)
                params_array_add(p, (const char *)w->units[i]->rows[k] + table->columns[c].offset,
                                 table->row_size, w->units[i]->n_rows[k]);
        }
        params_array_close(p);
    }
}

/* The same as one array of rows. */
static void rows_encode(struct writer *w, size_t from, size_t to, size_t t)
{
    struct params *p = &w->s->params;
    const struct unit_kind *kind = w->units[from]->kind;
    const struct unit_table *table = &kind->tables[t];
    size_t lo = w->spans[w->n_spans - 1].lo;
    params_rows_open(p, pg_conn_row_type(w->conn, kind->row_types[t]));
    for (size_t i = from; i < to; i++) {
        const char *row = w->units[i]->rows[t];
        for (size_t n = w->units[i]->n_rows[t]; n > 0; n--, row += table->row_size)
            params_rows_add(p, (int32_t)(i - lo), table->columns, table->n_columns, row);
    }
    params_array_close(p);
}

/* Whose batch it is, if it is one merchant's: what `whose` becomes (store/query_one.h). */
static void add_merchant(struct writer *w, size_t i)
{
    if (w->s->o.by_merchant)
        params_value(&w->s->params, &V_UUID(w->units[i]->merchant));
}

static bool kind_encode(struct writer *w, size_t from, size_t to)
{
    const struct unit_kind *kind = w->units[from]->kind;
    params_reset(&w->s->params);
    for (size_t t = 0; t < kind->n_tables; t++) {
        if (kind->row_types != NULL && kind->row_types[t] != ROW_NONE)
            rows_encode(w, from, to, t);
        else
            table_encode(w, from, to, &kind->tables[t], NULL, t);
    }
    add_merchant(w, from);
    return params_ready(&w->s->params);
}

/* The lock that the units of a span want; NULL if none has rows for it. */
static const struct unit_lock *lock_of(const struct writer *w, const struct span *span)
{
    for (size_t i = span->lo; i < span->hi; i++) {
        const struct unit *u = w->units[i];
        if (u->kind->lock != NULL && u->n_rows[u->kind->lock_table] > 0)
            return u->kind->lock;
    }
    return NULL;
}

/* False: the connection broke. */
static bool send_lock(struct writer *w, const struct span *span)
{
    const struct unit_lock *lock = lock_of(w, span);
    w->lock = -1;
    if (lock == NULL)
        return true;
    params_reset(&w->s->params);
    table_encode(w, span->lo, span->hi, lock->table, lock, 0);
    add_merchant(w, span->lo);
    if (!params_ready(&w->s->params)) {
        w->too_large = true;
        return true;
    }
    w->lock = (int)lock->query;
    store_count_statements(1);
    return pg_conn_send(w->conn, w->lock, &w->s->params);
}

static bool send_hurry(struct writer *w)
{
    struct store *s = w->s;
    int64_t timeout_us = s->o.statement_timeout_us;
    char text[32];
    snprintf(text, sizeof text, "%lldms",
             (long long)((timeout_us < HURRIED_US ? timeout_us : HURRIED_US) / US_PER_MS));
    params_reset(&s->params);
    params_value(&s->params, &V_TEXT(str_c(text)));
    return params_ready(&s->params) && pg_conn_send(w->conn, STMT_HURRY, &s->params);
}

/* If the connection breaks in the middle, writer_lost comes. */
static void span_run(struct writer *w)
{
    const struct span *span = &w->spans[w->n_spans - 1];
    w->state = WRITER_BATCH;
    w->committing = w->committed = w->too_large = false;
    w->answer_at = span->lo;
    w->sent_us = store_clock_us();
    for (size_t i = span->lo; i < span->hi; i++)
        if (w->units[i]->tries++ > 0 && w->units[i]->kind->reset != NULL)
            w->units[i]->kind->reset(w->units[i]);
    bool good = pg_conn_send(w->conn, STMT_BEGIN, NULL);
    if (span->hurried)
        good = good && send_hurry(w);
    good = good && send_lock(w, span);
    for (size_t from = span->lo, to; good && !w->too_large && from < span->hi; from = to) {
        to = kind_end(w, from, span->hi);
        if (!kind_encode(w, from, to)) {
            w->too_large = true;
            break;
        }
        good = pg_conn_send(w->conn, (int)w->units[from]->kind->query, &w->s->params);
        store_count_statements(1);
    }
    if (w->too_large)
        good = good && pg_conn_send(w->conn, STMT_ROLLBACK, NULL);
    else if (good)
        good = w->committing = pg_conn_send(w->conn, STMT_COMMIT, NULL);
    if (good)
        pg_conn_sync(w->conn);
}

/* ---- answers ---- */

static void take_rows(struct writer *w, const PGresult *result)
{
    struct rows r = {result};
    const struct span *span = &w->spans[w->n_spans - 1];
    size_t from = w->answer_at;
    w->answer_at = kind_end(w, from, span->hi);
    for (size_t row = 0; row < rows_n(&r); row++) {
        int64_t ord = rows_null(&r, row, 0) ? -1 : rows_i64(&r, row, 0);
        if (ord < (int64_t)(from - span->lo) || ord >= (int64_t)(w->answer_at - span->lo)) {
            log_error("store.row_of_nobody",
                      F_C("statement", query_name(w->units[from]->kind->query)));
            continue;
        }
        struct unit *u = w->units[span->lo + (size_t)ord];
        if (u->kind->on_row != NULL)
            u->kind->on_row(u, &r, row);
    }
}

static void writer_answer(void *ctx, int stmt, PGresult *result)
{
    struct writer *w = ctx;
    if (w->state == WRITER_ASK) {
        w->ask->result = result;
        return;
    }
    if (stmt == STMT_COMMIT) /* a failed transaction answers ROLLBACK here, and no error */
        w->committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    else if (stmt == w->lock)
        w->lock = -1;
    else if (stmt < N_QUERIES)
        take_rows(w, result);
    PQclear(result);
}

static void writer_next(struct writer *w)
{
    if (w->n_spans > 0)
        span_run(w);
    else
        w->state = WRITER_IDLE;
}

static void writer_synced(void *ctx, const struct pg_failure *f)
{
    struct writer *w = ctx;
    if (w->state == WRITER_ASK) {
        struct ask *k = w->ask;
        w->ask = NULL;
        w->state = WRITER_IDLE;
        if (f != NULL && pg_failure_class(f) == PG_CONTENTION && k->tries++ < CONTENTION_TRIES)
            list_push_front(&w->s->asks_exec, &k->link);
        else
            ask_finish(w->s, k, f);
        return;
    }
    static const struct pg_failure rolled_back = {.state = "25P02", .stmt = STMT_COMMIT};
    const struct span span = w->spans[w->n_spans - 1];
    if (w->too_large && span.hi - span.lo == 1) {
        span_end(w, ERR(LIMIT, "a unit is too large for one statement"));
    } else if (f != NULL || !w->committed) {
        span_failed(w, f != NULL ? f : &rolled_back);
    } else {
        crash_point(CRASH_STORE_COMMITTED);
        metric_add(&commits, 1);
        metric_add(&units_done, (int64_t)(span.hi - span.lo));
        metric_observe_us(&commit_time, store_clock_us() - w->sent_us);
        span_end(w, ERR_OK);
    }
}

/* The running span is over for its units. The next one leaves first: it need not wait for owners.
 */
static void span_end(struct writer *w, struct err err)
{
    const struct span span = w->spans[--w->n_spans];
    writer_next(w);
    for (size_t i = span.lo; i < span.hi; i++)
        unit_end(w->s, w->units[i], err);
}

static void pause_over(void *ctx)
{
    struct writer *w = ctx;
    span_run(w);
}

static void span_split(struct writer *w)
{
    struct span *span = &w->spans[w->n_spans - 1];
    ASSERT(w->n_spans < SPANS_MAX);
    size_t middle = span->lo + (span->hi - span->lo) / 2;
    struct span first = {.lo = span->lo, .hi = middle, .hurried = span->hurried};
    span->lo = middle;
    span->tries = 0;
    w->spans[w->n_spans++] = first;
}

/* The unit's own first transaction, on the connection that was lost, may still hold the lock. */
static bool waits_for_itself(const struct writer *w, const struct span *span)
{
    const struct unit *u = w->units[span->lo];
    return span->hi - span->lo == 1 && u->doubt &&
           store_clock_us() < u->since_us + w->s->o.wait_timeout_us;
}

static void span_failed(struct writer *w, const struct pg_failure *f)
{
    struct store *s = w->s;
    struct span *span = &w->spans[w->n_spans - 1];
    enum pg_class class = pg_failure_class(f);
    span->tries++;
    if ((class == PG_CONTENTION && span->tries <= CONTENTION_TRIES) ||
        (class == PG_TIMED_OUT && waits_for_itself(w, span))) {
        int shift = span->tries < CONTENTION_TRIES ? span->tries : CONTENTION_TRIES;
        w->state = WRITER_PAUSE;
        timer_set(s->l, &w->pause, US_PER_MS + random_below(4000u << shift), pause_over, w);
        return;
    }
    /* Time and resources are short for all alike: halving must end some time. */
    bool late =
        store_clock_us() - w->started_us >= s->o.statement_timeout_us + s->o.wait_timeout_us;
    if (span->hi - span->lo == 1 || class == PG_EXHAUSTED || (class == PG_TIMED_OUT && late)) {
        pg_failure_log(f);
        span_end(w, pg_failure_err(f));
        return;
    }
    span->hurried = span->hurried || class == PG_TIMED_OUT;
    span_split(w);
    span_run(w);
}

/* ---- writers come and go ---- */

static void writer_up(void *ctx)
{
    struct writer *w = ctx;
    w->state = WRITER_IDLE; /* the end of this turn finds work for it */
    store_leave_old(w->s);
}

static void writer_lost(void *ctx, const struct pg_failure *f)
{
    struct writer *w = ctx;
    struct store *s = w->s;
    enum writer_state state = w->state;
    w->state = WRITER_AWAY;
    timer_off(s->l, &w->pause);
    if (state == WRITER_ASK) {
        struct ask *k = w->ask;
        w->ask = NULL;
        ask_end(s, k,
                f != NULL ? ERR(UNAVAILABLE, "the connection to the database was lost")
                          : ERR(AMBIGUOUS, "the connection was lost during the commit"));
        return;
    }
    if (state != WRITER_BATCH && state != WRITER_PAUSE)
        return;
    const struct span running = w->spans[w->n_spans - 1];
    bool committed = state == WRITER_BATCH && w->committed;
    bool doubt = state == WRITER_BATCH && w->committing && f == NULL && !committed;
    /* The spans lie side by side, the running one first; backwards, so that the front of the queue
     * ends in their order. */
    for (size_t i = w->spans[0].hi; i > (committed ? running.hi : running.lo); i--) {
        struct unit *u = w->units[i - 1];
        if (doubt && i <= running.hi)
            u->doubt = true;
        unit_wait(s, u);
    }
    w->n_spans = 0;
    for (size_t i = running.lo; committed && i < running.hi; i++)
        unit_end(s, w->units[i], ERR_OK);
}

struct err writers_start(struct store *s)
{
    s->writers = calloc((size_t)s->o.writers, sizeof *s->writers);
    if (s->writers == NULL)
        return ERR(NO_MEMORY, "writers");
    for (int i = 0; i < s->o.writers; i++) {
        struct writer *w = &s->writers[i];
        w->s = s;
        w->units = calloc((size_t)s->o.max_batch, sizeof(struct unit *));
        if (w->units == NULL)
            return ERR(NO_MEMORY, "writers");
        TRY(pg_conn_new(s->l, &s->o, PG_WRITER, &s->lineage, &writer_events, w, &w->conn));
    }
    return ERR_OK;
}

bool units_cancel(struct store *s)
{
    bool any = false;
    for (int i = 0; i < s->o.writers; i++) {
        struct writer *w = &s->writers[i];
        enum writer_state state = w->state;
        w->state = WRITER_AWAY;
        timer_off(s->l, &w->pause);
        if (state != WRITER_BATCH && state != WRITER_PAUSE)
            continue;
        any = true;
        const struct span running = w->spans[w->n_spans - 1];
        for (size_t k = running.lo; k < w->spans[0].hi; k++) {
            struct unit *u = w->units[k];
            if (state == WRITER_BATCH && w->committing && k < running.hi)
                u->doubt = true;
            unit_end(s, u, ERR(CANCELED, "the store is closing"));
        }
    }
    struct unit *u;
    while ((u = LIST_ITEM(list_first(&s->age), struct unit, age)) != NULL) {
        any = true;
        list_remove(&s->age, &u->age);
        if (list_linked(&u->link))
            list_remove(&s->ready, &u->link);
        unit_end(s, u, ERR(CANCELED, "the store is closing"));
    }
    any = any || !list_is_empty(&s->refused);
    units_tell_refused(s);
    return any;
}

void writers_free(struct store *s)
{
    for (int i = 0; s->writers != NULL && i < s->o.writers; i++) {
        timer_off(s->l, &s->writers[i].pause);
        free(s->writers[i].units);
    }
    free(s->writers);
}
