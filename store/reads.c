/* Reads: statements that change nothing, on connections of their own, so that they never wait
 * behind a commit. What came in a turn leaves at its end, spread over the connections that have
 * least to do; many are in flight on each. A Sync costs both sides more than a look-up by key, so a
 * few reads of one statement share one, unless the statement was slow when it last ran: their
 * answers come together. Where one of them fails, those behind it have not been run and go again.
 * A read on a connection that is lost is tried once more on another. */
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "store/store_int.h"

enum { FLIGHT_MAX = 64, ONE_MORE_TRY = 1, GROUP_MIN = 4, GROUP_MAX = 8 };
#define QUICK_US (100 * US_PER_MS)

static void reader_up(void *ctx);
static void reader_answer(void *ctx, int stmt, PGresult *result);
static void reader_synced(void *ctx, const struct pg_failure *f);
static void reader_lost(void *ctx, const struct pg_failure *f);

static const struct pg_conn_events reader_events = {
    .up = reader_up,
    .answer = reader_answer,
    .synced = reader_synced,
    .lost = reader_lost,
};

/* ---- asks ---- */

void store_read(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx)
{
    ask_add(s, &s->asks_read, (int)query, params, n_params, done, ctx);
}

void store_exec(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx)
{
    ask_add(s, &s->asks_exec, (int)query, params, n_params, done, ctx);
}

static bool has_bytes(const struct value *v)
{
    return (v->type == COL_TEXT || v->type == COL_JSON || v->type == COL_BYTES) &&
           v->u.str.p != NULL;
}

static struct ask *ask_new(const struct value *params, size_t n_params)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < n_params; i++)
        n_bytes += has_bytes(&params[i]) ? params[i].u.str.n : 0;
    struct ask *k = malloc(sizeof *k + n_params * sizeof *params + n_bytes);
    ASSERT(k != NULL); /* `done` has to be told, and there is nothing to remember it in */
    *k = (struct ask){.n_params = n_params};
    char *to = (char *)(k->params + n_params);
    for (size_t i = 0; i < n_params; i++) {
        k->params[i] = params[i];
        if (!has_bytes(&params[i]))
            continue;
        struct str s = params[i].u.str;
        if (s.n > 0)
            memcpy(to, s.p, s.n);
        k->params[i].u.str.p = to;
        to += s.n;
    }
    return k;
}

static void ask_refuse(struct store *s, struct ask *k, struct err err)
{
    k->err = err;
    list_push(&s->asks_refused, &k->link);
    store_refuse_soon(s);
}

void ask_add(struct store *s, struct list *queue, int stmt, const struct value *params,
             size_t n_params, store_rows_fn *done, void *ctx)
{
    struct ask *k = ask_new(params, n_params);
    k->stmt = stmt;
    k->done = done;
    k->ctx = ctx;
    k->since_us = store_clock_us();
    s->n_asks += stmt < N_QUERIES; /* the store's own are nobody's business */
    if (stmt < N_QUERIES && store_is_full(s))
        ask_refuse(s, k, ERR(OVERLOADED, "too much work waits for the database"));
    else
        list_push(queue, &k->link);
}

bool ask_send(struct store *s, struct pg_conn *conn, struct ask *k)
{
    params_reset(&s->params);
    for (size_t i = 0; i < k->n_params; i++)
        params_value(&s->params, &k->params[i]);
    if (!params_ready(&s->params)) {
        ask_refuse(s, k, ERR(LIMIT, "parameters are too large for one statement"));
        return false;
    }
    /* If the connection breaks here, its loss finds the ask in flight. */
    (void)pg_conn_send(conn, k->stmt, &s->params);
    store_count_statements(1);
    return true;
}

void ask_end(struct store *s, struct ask *k, struct err err)
{
    s->n_asks -= k->stmt < N_QUERIES;
    struct rows r = {k->result};
    if (!err_is(err) && k->result == NULL)
        err = ERR(INTERNAL, "the database gave no result");
    if (k->done != NULL) {
        s->calling++;
        k->done(k->ctx, err, err_is(err) ? NULL : &r);
        s->calling--;
    }
    PQclear(k->result);
    free(k);
}

void ask_finish(struct store *s, struct ask *k, const struct pg_failure *f)
{
    if (f != NULL)
        pg_failure_log(f);
    ask_end(s, k, f != NULL ? pg_failure_err(f) : ERR_OK);
}

void asks_tell_refused(struct store *s)
{
    for (size_t n = s->asks_refused.n; n > 0; n--) {
        struct ask *k = LIST_ITEM(list_pop(&s->asks_refused), struct ask, link);
        ask_end(s, k, k->err);
    }
}

static void queue_expire(struct store *s, struct list *queue, int64_t now_us)
{
    struct ask *k;
    while ((k = LIST_ITEM(list_first(queue), struct ask, link)) != NULL &&
           k->since_us + s->o.wait_timeout_us <= now_us) {
        list_remove(queue, &k->link);
        ask_end(s, k, ERR(UNAVAILABLE, "waited too long for the database"));
    }
}

void asks_expire(struct store *s, int64_t now_us)
{
    queue_expire(s, &s->asks_read, now_us);
    queue_expire(s, &s->asks_exec, now_us);
}

/* ---- readers ---- */

static bool reader_has_room(const struct reader *r)
{
    return pg_conn_is_up(r->conn) && r->flight.n < FLIGHT_MAX && pg_conn_has_room(r->conn, 1);
}

static struct reader *reader_pick(struct store *s)
{
    struct reader *best = NULL;
    for (int i = 0; i < s->o.readers; i++) {
        struct reader *r = &s->readers[i];
        if (reader_has_room(r) && (best == NULL || r->flight.n < best->flight.n))
            best = r;
    }
    return best;
}

/* How many of those that wait share a Sync. A few do though other connections are idle; more only
 * when all have work. */
static size_t group_size(const struct store *s, int stmt)
{
    size_t each = s->asks_read.n / (size_t)s->o.readers;
    if (s->slow[stmt])
        return 1;
    return each < GROUP_MIN ? GROUP_MIN : each > GROUP_MAX ? GROUP_MAX : each;
}

static void group_leave(struct store *s, struct reader *r, struct ask *k)
{
    int stmt = k->stmt;
    struct ask *last = NULL;
    for (size_t room = group_size(s, stmt);
         room > 0 && k != NULL && k->stmt == stmt && reader_has_room(r); room--) {
        list_remove(&s->asks_read, &k->link);
        if (ask_send(s, r->conn, k)) {
            list_push(&r->flight, &k->link);
            k->ends_group = false;
            last = k;
        }
        k = LIST_ITEM(list_first(&s->asks_read), struct ask, link);
    }
    if (last == NULL)
        return;
    last->ends_group = true;
    if (pg_conn_is_up(r->conn))
        pg_conn_sync(r->conn);
}

void readers_leave(struct store *s)
{
    struct ask *k;
    while ((k = LIST_ITEM(list_first(&s->asks_read), struct ask, link)) != NULL) {
        struct reader *r = reader_pick(s);
        if (r == NULL)
            return;
        group_leave(s, r, k);
    }
}

static void reader_up(void *ctx)
{
    struct reader *r = ctx;
    store_leave_old(r->s);
    store_check_soon(r->s);
}

/* Of the first in flight that has none: they come in order. */
static void reader_answer(void *ctx, int stmt, PGresult *result)
{
    struct reader *r = ctx;
    struct link *at = list_first(&r->flight);
    while (at != NULL && CONTAINER_OF(at, struct ask, link)->result != NULL)
        at = list_next(&r->flight, at);
    struct ask *k = LIST_ITEM(at, struct ask, link);
    ASSERT(k != NULL && k->stmt == stmt);
    k->result = result;
}

/* The statement was to be prepared by a read before it, which did not get that far. */
static bool was_not_prepared(const struct pg_failure *f)
{
    return strcmp(f->state, "26000") == 0;
}

static void reader_synced(void *ctx, const struct pg_failure *f)
{
    struct reader *r = ctx;
    struct store *s = r->s;
    struct list group;
    struct ask *k;
    list_init(&group);
    do {
        k = LIST_ITEM(list_pop(&r->flight), struct ask, link);
        ASSERT(k != NULL);
        list_push(&group, &k->link);
    } while (!k->ends_group);
    k = LIST_ITEM(list_first(&group), struct ask, link);
    s->slow[k->stmt] = store_clock_us() - k->since_us > QUICK_US;
    struct link *last = group.head.prev;
    /* Backwards, so that the front of the queue keeps their order: what has no result failed, if it
     * is the first, and else was not run. */
    while (f != NULL && last != &group.head) {
        struct link *before = last->prev;
        k = CONTAINER_OF(last, struct ask, link);
        bool is_first = before == &group.head || CONTAINER_OF(before, struct ask, link)->result;
        if (k->result != NULL || (is_first && (!was_not_prepared(f) || k->tries++ >= ONE_MORE_TRY)))
            break;
        list_remove(&group, last);
        list_push_front(&s->asks_read, last);
        last = before;
    }
    while ((k = LIST_ITEM(list_pop(&group), struct ask, link)) != NULL)
        ask_finish(s, k, k->result == NULL ? f : NULL);
}

static void reader_lost(void *ctx, const struct pg_failure *f)
{
    (void)f;
    struct reader *r = ctx;
    struct store *s = r->s;
    struct list tired;
    list_init(&tired);
    /* Backwards, so that the front of the queue keeps their order. */
    while (!list_is_empty(&r->flight)) {
        struct link *last = r->flight.head.prev;
        struct ask *k = CONTAINER_OF(last, struct ask, link);
        list_remove(&r->flight, last);
        PQclear(k->result);
        k->result = NULL;
        list_push_front(k->tries++ < ONE_MORE_TRY ? &s->asks_read : &tired, last);
    }
    while (!list_is_empty(&tired))
        ask_end(s, LIST_ITEM(list_pop(&tired), struct ask, link),
                ERR(UNAVAILABLE, "the connection to the database was lost"));
}

struct err readers_start(struct store *s)
{
    s->readers = calloc((size_t)s->o.readers, sizeof *s->readers);
    if (s->readers == NULL)
        return ERR(NO_MEMORY, "readers");
    for (int i = 0; i < s->o.readers; i++) {
        struct reader *r = &s->readers[i];
        r->s = s;
        list_init(&r->flight);
        TRY(pg_conn_new(s->l, &s->o, PG_READER, &s->lineage, &reader_events, r, &r->conn));
    }
    return ERR_OK;
}

static bool queue_cancel(struct store *s, struct list *queue)
{
    bool any = !list_is_empty(queue);
    while (!list_is_empty(queue))
        ask_end(s, LIST_ITEM(list_pop(queue), struct ask, link),
                ERR(CANCELED, "the store is closing"));
    return any;
}

bool asks_cancel(struct store *s)
{
    bool any = false;
    for (int i = 0; i < s->o.readers; i++)
        any = queue_cancel(s, &s->readers[i].flight) || any;
    for (int i = 0; i < s->o.writers; i++) {
        struct ask *k = s->writers[i].ask;
        s->writers[i].ask = NULL;
        if (k != NULL) {
            any = true;
            ask_end(s, k, ERR(AMBIGUOUS, "the store closed during the commit"));
        }
    }
    any = queue_cancel(s, &s->asks_read) || any;
    any = queue_cancel(s, &s->asks_exec) || any;
    any = any || !list_is_empty(&s->asks_refused);
    asks_tell_refused(s);
    return any;
}

void readers_free(struct store *s)
{
    free(s->readers);
}
