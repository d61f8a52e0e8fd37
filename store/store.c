/* The PostgreSQL store as a whole: options, the end of a turn, deadlines of what waits, readiness.
 * The work is done by the writers (combiner.c) and the readers (reads.c). */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/embed.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "store/pg_dial.h"
#include "store/store_int.h"

#define SKEW_MAX_US (STORE_SKEW_MAX_S * US_PER_S)
#define CHECK_BAD_US (1 * US_PER_S)
#define CHECK_GOOD_US (30 * US_PER_S)

enum { STATEMENT_MAX_BYTES = 64 * 1024 * 1024, BATCH_LIMIT = 4096, CONNECTIONS_LIMIT = 64 };

static struct metric statements = METRIC_COUNTER("reli_store_statements_total", "",
                                                 "Statements sent, apart from BEGIN and COMMIT");
static struct metric waiting =
    METRIC_GAUGE("reli_store_waiting", "", "Units and reads that wait for a connection");

static void store_turn(void *ctx);
static void store_expire(void *ctx);
static void store_tell_refused(void *ctx);
static void check_start(void *ctx);
static void clock_answered(void *ctx, struct err err, const struct rows *rows);
static void schema_answered(void *ctx, struct err err, const struct rows *rows);

static int or_default(int v, int otherwise, int most)
{
    return v <= 0 ? otherwise : v > most ? most : v;
}

struct err store_new(struct loop *l, const struct store_options *o, struct store **out)
{
    if (o->conninfo == NULL)
        return ERR(CONFIG, "no conninfo of a database");
    TRY(pg_dial_check(o->conninfo));
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR(NO_MEMORY, "store");
    s->l = l;
    s->o = *o;
    s->o.writers = or_default(o->writers, 2, CONNECTIONS_LIMIT);
    s->o.readers = or_default(o->readers, 4, CONNECTIONS_LIMIT);
    s->o.max_waiting = or_default(o->max_waiting, 20000, INT32_MAX);
    s->o.max_batch = or_default(o->max_batch, 128, BATCH_LIMIT);
    if (o->statement_timeout_us <= 0)
        s->o.statement_timeout_us = 10 * US_PER_S;
    if (o->wait_timeout_us <= 0)
        s->o.wait_timeout_us = 5 * US_PER_S;
    struct list *lists[] = {&s->ready,     &s->age,       &s->refused,
                            &s->asks_read, &s->asks_exec, &s->asks_refused};
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        list_init(lists[i]);
    unit_keys_init(&s->keys, random_u64());
    params_init(&s->params, STATEMENT_MAX_BYTES);
    loop_hook_add(l, &s->hook, store_turn, s);
    s->conninfo = strdup(o->conninfo);
    s->o.conninfo = s->conninfo;
    struct err err = s->conninfo == NULL ? ERR(NO_MEMORY, "store") : writers_start(s);
    if (!err_is(err))
        err = readers_start(s);
    if (err_is(err)) {
        store_free(s);
        return err;
    }
    *out = s;
    return ERR_OK;
}

void store_free(struct store *s)
{
    if (s == NULL)
        return;
    ASSERT(s->calling == 0);
    s->closing = true;
    for (int i = 0; s->writers != NULL && i < s->o.writers; i++)
        pg_conn_free(s->writers[i].conn);
    for (int i = 0; s->readers != NULL && i < s->o.readers; i++)
        pg_conn_free(s->readers[i].conn);
    timer_off(s->l, &s->check);
    /* An owner that is told may ask for more, which is then refused. */
    while (s->writers != NULL && s->readers != NULL && (units_cancel(s) || asks_cancel(s)))
        continue;
    timer_off(s->l, &s->expiry);
    timer_off(s->l, &s->gather);
    loop_later_off(s->l, &s->tell_refused);
    loop_hook_remove(s->l, &s->hook);
    writers_free(s);
    readers_free(s);
    unit_keys_free(&s->keys);
    params_free(&s->params);
    free(s->conninfo);
    free(s);
}

int store_busy(const struct store *s)
{
    int64_t n = s->n_units + s->n_asks;
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

static size_t store_waiting(const struct store *s)
{
    return s->age.n + s->asks_read.n + s->asks_exec.n;
}

bool store_is_full(const struct store *s)
{
    return s->closing || store_waiting(s) >= (size_t)s->o.max_waiting;
}

void store_count_statements(int64_t n)
{
    metric_add(&statements, n);
}

void store_refuse_soon(struct store *s)
{
    if (!s->closing)
        loop_later(s->l, &s->tell_refused, store_tell_refused, s);
}

static void store_tell_refused(void *ctx)
{
    struct store *s = ctx;
    units_tell_refused(s);
    asks_tell_refused(s);
}

/* ---- the end of a turn ---- */

static int64_t oldest_us(const struct store *s)
{
    int64_t oldest = TIME_NEVER;
    const struct unit *u = LIST_ITEM(list_first(&s->age), struct unit, age);
    if (u != NULL)
        oldest = u->since_us;
    const struct list *queues[] = {&s->asks_read, &s->asks_exec};
    for (size_t i = 0; i < COUNT_OF(queues); i++) {
        const struct ask *k = LIST_ITEM(list_first(queues[i]), struct ask, link);
        if (k != NULL && k->since_us < oldest)
            oldest = k->since_us;
    }
    return oldest;
}

/* One alarm for all that waits, set to the oldest. */
static void expiry_arm(struct store *s)
{
    int64_t oldest = oldest_us(s);
    if (oldest == TIME_NEVER)
        return; /* an alarm that is on rings for nothing: cheaper than to move it each turn */
    int64_t due_us = oldest + s->o.wait_timeout_us;
    if (timer_is_on(&s->expiry) && s->expiry_us <= due_us)
        return;
    s->expiry_us = due_us;
    timer_set(s->l, &s->expiry, due_us - store_clock_us(), store_expire, s);
}

static void store_turn(void *ctx)
{
    struct store *s = ctx;
    readers_leave(s);
    writers_leave(s);
    expiry_arm(s);
    int64_t n = (int64_t)store_waiting(s);
    if (n != waiting.value)
        metric_set(&waiting, n);
}

static void store_expire(void *ctx)
{
    struct store *s = ctx;
    int64_t now_us = store_clock_us();
    units_expire(s, now_us);
    asks_expire(s, now_us);
}

/* ---- readiness ---- */

bool store_ready(const struct store *s, const char **why)
{
    bool writer = false, reader = false;
    for (int i = 0; i < s->o.writers; i++)
        writer = writer || pg_conn_is_up(s->writers[i].conn);
    for (int i = 0; i < s->o.readers; i++)
        reader = reader || pg_conn_is_up(s->readers[i].conn);
    const char *words = NULL;
    if (!writer || !reader)
        words = "not connected to the database";
    else if (!s->checked)
        words = "the database's clock and schema are not known yet";
    else if (!s->schema_good)
        words = s->schema_words;
    else if (!s->clock_good)
        words = "the clocks of this machine and of the database are more than 2 s apart";
    if (why != NULL)
        *why = words;
    return words == NULL;
}

void store_leave_old(struct store *s)
{
    for (int i = 0; i < s->o.writers; i++)
        pg_conn_leave_if_old(s->writers[i].conn);
    for (int i = 0; i < s->o.readers; i++)
        pg_conn_leave_if_old(s->readers[i].conn);
}

static int64_t real_wall_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

void store_check_soon(struct store *s)
{
    if (!s->checking)
        timer_set(s->l, &s->check, 0, check_start, s);
}

static void check_start(void *ctx)
{
    struct store *s = ctx;
    s->checking = true;
    s->clock_asked_us = real_wall_us();
    ask_add(s, &s->asks_read, STMT_CLOCK, NULL, 0, clock_answered, s);
}

static void check_end(struct store *s)
{
    s->checking = false;
    if (s->closing)
        return;
    bool good = s->checked && s->clock_good && s->schema_good;
    timer_set(s->l, &s->check, good ? CHECK_GOOD_US : CHECK_BAD_US, check_start, s);
}

static void check_failed(struct store *s, struct err err)
{
    if (err.code == ERR_INTERNAL) { /* refused: most likely rights are missing */
        s->schema_good = false;
        s->schema_words = "the database's migrations cannot be read";
        s->checked = true;
    }
    check_end(s);
}

static void clock_answered(void *ctx, struct err err, const struct rows *rows)
{
    struct store *s = ctx;
    if (err_is(err) || rows_n(rows) != 1) {
        check_failed(s, err);
        return;
    }
    /* The server looked at its clock some time between question and answer. */
    int64_t theirs_us = rows_time(rows, 0, 0);
    s->clock_good =
        theirs_us >= s->clock_asked_us - SKEW_MAX_US && theirs_us <= real_wall_us() + SKEW_MAX_US;
    if (rows_bool(rows, 0, 1) && !s->closing) {
        ask_add(s, &s->asks_read, STMT_SCHEMA, NULL, 0, schema_answered, s);
        return;
    }
    s->schema_good = false;
    s->schema_words = "the database has no schema: migrate it";
    s->checked = true;
    check_end(s);
}

static void schema_answered(void *ctx, struct err err, const struct rows *rows)
{
    struct store *s = ctx;
    if (err_is(err)) {
        check_failed(s, err);
        return;
    }
    struct str ours = STR_NULL, theirs = STR_NULL;
    for (const struct embed_file *f = embed_migrations; f->name != NULL; f++)
        ours = str_c(f->name);
    if (rows_n(rows) == 1)
        theirs = rows_str(rows, 0, 0);
    s->schema_good = str_eq(ours, theirs);
    s->schema_words = theirs.p == NULL ? "the database has no schema: migrate it"
                                       : "the database's schema is of another version";
    s->checked = true;
    check_end(s);
}
