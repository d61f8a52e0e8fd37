#ifndef RELI_STORE_STORE_INT_H
#define RELI_STORE_STORE_INT_H

#include <uv.h>

#include "core/base/list.h"
#include "store/pg_conn.h"
#include "store/store.h"
#include "store/unit_keys.h"
#include "store/value_int.h"

/* What the parts of the PostgreSQL store share; nobody else includes it. */

/* A statement's text, ending in NUL, and its name. */
const char *query_text(enum query query);
/* What stands for it where merchants live on several nodes: sql/citus has some that differ. */
const char *query_text_of_one(enum query query);
const char *query_name(enum query query);

/* Real monotonic time: the test clock shifts the loop's, and a shift must not look like a stalled
 * database. */
static inline int64_t store_clock_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

/* One statement with scalar parameters whose rows somebody waits for. */
struct ask {
    struct link link;
    int stmt;
    store_rows_fn *done;
    void *ctx;
    int64_t since_us;
    int tries;
    bool ends_group; /* of those that share a Sync */
    struct err err;
    PGresult *result; /* until its Sync */
    size_t n_params;
    struct value params[]; /* their bytes lie behind them */
};

struct reader {
    struct store *s;
    struct pg_conn *conn;
    struct list flight; /* asks that are sent, in order */
};

enum writer_state { WRITER_AWAY, WRITER_IDLE, WRITER_BATCH, WRITER_ASK, WRITER_PAUSE };

/* Units lo … hi - 1 of a batch that run in one transaction. */
struct span {
    size_t lo, hi;
    int tries;
    bool hurried; /* timed out before: runs with short timeouts */
};

enum { SPANS_MAX = 64 }; /* halves of halves: twice the bits of a count */

struct writer {
    struct store *s;
    struct pg_conn *conn;
    enum writer_state state;
    struct unit **units; /* max_batch of them */
    struct span spans[SPANS_MAX];
    size_t n_spans;   /* the last one runs */
    size_t answer_at; /* first unit of the kind whose answer comes next */
    int64_t sent_us, started_us;
    bool committing; /* COMMIT was handed to libpq */
    bool committed;  /* COMMIT was answered with COMMIT */
    bool too_large;
    int lock; /* the statement that locks rows for the batch, until its answer; -1 none */
    struct timer pause;
    struct ask *ask;
};

struct store {
    struct loop *l;
    struct store_options o;
    char *conninfo;
    struct turn_hook hook;
    struct params params; /* of the statement that is being sent */
    struct pg_lineage lineage;

    struct writer *writers;
    struct reader *readers;

    struct unit_keys keys;
    struct list ready;   /* units that may run, by link */
    struct list age;     /* units that wait, by age */
    struct list refused; /* units that end with their err on the next turn, by link */
    struct list asks_read, asks_exec, asks_refused;
    bool slow[N_STMTS]; /* reads of it, when they last ran */
    struct later tell_refused;
    int64_t n_units, n_asks; /* not finished */
    struct timer gather; /* wakes the loop for units that wait for company */
    struct timer expiry;
    int64_t expiry_us; /* real time that `expiry` is set to */

    struct timer check;
    int64_t clock_asked_us; /* wall time */
    bool clock_good, schema_good, checked, checking;
    const char *schema_words;
    bool closing;
    int calling; /* owners' callbacks under way */
};

/* ---- combiner.c ---- */
struct err writers_start(struct store *s) MUST_USE;
/* At the end of a turn: what waits leaves. */
void writers_leave(struct store *s);
/* Units that have waited too long are told. */
void units_expire(struct store *s, int64_t now_us);
/* Ends every unit that is in a writer or waits; true if there was any. */
bool units_cancel(struct store *s);
void units_tell_refused(struct store *s);
void writers_free(struct store *s);

/* ---- reads.c ---- */
struct err readers_start(struct store *s) MUST_USE;
void readers_leave(struct store *s);
void asks_expire(struct store *s, int64_t now_us);
bool asks_cancel(struct store *s);
void asks_tell_refused(struct store *s);
void readers_free(struct store *s);
/* Statements of the store itself are never too many. */
void ask_add(struct store *s, struct list *queue, int stmt, const struct value *params,
             size_t n_params, store_rows_fn *done, void *ctx);
/* Encodes and sends, without the Sync; false when it cannot be sent at all (the ask is then
 * refused). */
bool ask_send(struct store *s, struct pg_conn *conn, struct ask *k);
/* Tells and frees. */
void ask_end(struct store *s, struct ask *k, struct err err);
/* What an ask that got a refusal is to be told. */
void ask_finish(struct store *s, struct ask *k, const struct pg_failure *f);

/* ---- store.c ---- */
bool store_is_full(const struct store *s);
void store_refuse_soon(struct store *s);
/* A connection is up: those to a server that its own has replaced end. */
void store_leave_old(struct store *s);
/* A reader is up: look at clock and schema now. */
void store_check_soon(struct store *s);
void store_count_statements(int64_t n);

#endif
