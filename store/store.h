#ifndef RELI_STORE_STORE_H
#define RELI_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/loop/loop.h"
#include "queries.h"
#include "store/value.h"

/* PostgreSQL from the loop: pipelined connections, reads that never wait behind a commit, and the
 * write combiner: units of work that arrive while a commit is under way leave together in the
 * next one, each with its own outcome.
 *
 * Every statement is a file of sql/query, or made of one of sql/list, named by its enum. */
enum query {
#define QUERY_NAME_(name) Q_##name,
    QUERIES(QUERY_NAME_)
#undef QUERY_NAME_
        N_QUERIES
};

struct store;

struct store_options {
    const char *conninfo; /* libpq URI or keywords */
    int writers, readers; /* defaults 2 and 4 */
    int max_waiting;      /* units and reads that may wait; default 20 000, then ERR_OVERLOADED */
    int max_batch;        /* units in one commit; default 128 */
    bool by_merchant;     /* one merchant per batch (Citus) */
    int64_t statement_timeout_us; /* default 10 s */
    int64_t wait_timeout_us;      /* how long work waits for a connection; default 5 s, then
                                     ERR_UNAVAILABLE */
};

/* Starts connecting; work waits for the first connection. */
struct err store_new(struct loop *l, const struct store_options *o, struct store **out) MUST_USE;
/* Closes. What is still waiting ends with ERR_CANCELED during this call, a write whose commit is
 * under way with ERR_AMBIGUOUS. Never from within a callback of this store. */
void store_free(struct store *s);
/* A writer and a reader are connected, the schema is the one of this binary and the clocks agree
 * within 2 s (RELI_TEST_CLOCK aside). `why` (may be NULL) gets static words when not. */
bool store_ready(const struct store *s, const char **why);
/* Units and reads not finished. */
int store_busy(const struct store *s);

/* ---- reads ---- */

/* `rows` is NULL when err is set. */
typedef void store_rows_fn(void *ctx, struct err err, const struct rows *rows);

/* Runs one statement on a reader. `done` fires once, on a later turn. ERR_UNAVAILABLE: no
 * connection in time or lost (a read is tried once more); ERR_OVERLOADED: too many wait. Parameters
 * are copied. */
void store_read(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx);

/* ---- writes ---- */

/* A table of the arrays that one kind of unit writes: the rows of all units of a batch, column by
 * column, become array parameters. */
struct unit_table {
    const struct column *columns;
    size_t n_columns;
    size_t row_size;
};

/* Types of the schema for whole rows: int4 (the row's unit), then the columns of a table. */
enum row_type {
    ROW_NONE,
    ROW_PAYMENT,
    ROW_ATTEMPT,
    ROW_EVENT,
    ROW_AUDIT,
    ROW_PAYMENT_CHANGE,
    ROW_ACCOUNT,
    ROW_TRANSFER,
    ROW_EXCEPTION,
    ROW_CALL,
    ROW_REFUND,
    ROW_REFUND_ATTEMPT,
    ROW_RESOLUTION,
    ROW_LIMIT,
    ROW_INBOUND,
    N_ROW_TYPES
};

enum { UNIT_MAX_TABLES = 12, UNIT_MAX_KEYS = 4 };

struct unit;

/* What is locked before any statement of a batch: one statement over the rows of one table, of all
 * units whose kinds name this lock; not run when there are none. Kinds that move the same rows
 * otherwise lock them in the order of their ranks, and batches would wait for each other. One lock
 * at most among the kinds of a store. */
struct unit_lock {
    enum query query;
    const struct unit_table *table;
};

/* A kind of unit: one statement over arrays. Its parameters are, for each table in order: an int4
 * array with each row's unit (index in the batch, from 0), then one array per column; or, if the
 * table has a row_type, one array of such rows, which costs the server far less. It returns
 * rows whose first column is that index (int4); on_row gets each of them. A unit without rows keeps
 * the outcome it was submitted with. Units of a kind are ordered by (merchant, keys[0]);
 * kinds run in the order of `rank`. */
struct unit_kind {
    enum query query;
    int rank;
    const struct unit_table *tables;
    size_t n_tables;
    const enum row_type *row_types; /* of each table; NULL: arrays of columns throughout */
    void (*on_row)(struct unit *u, const struct rows *r, size_t row);
    /* Before a unit is run again (rolled back batch, lost connection): puts back what on_row
     * changed. */
    void (*reset)(struct unit *u);
    const struct unit_lock *lock; /* NULL: none */
    size_t lock_table;            /* which of the tables has its rows */
};

/* A unit of work, embedded in the operation that owns it; untouched by the owner from store_write
 * to `done`. What `rows` points at must live as long. */
struct unit {
    const struct unit_kind *kind;
    struct uuid merchant;
    /* Two units that share a key never are in one batch, nor in two at a time: they run in the
     * order of store_write. Hashes or ids of what is written; zero is none. */
    uint64_t keys[UNIT_MAX_KEYS];
    const void *rows[UNIT_MAX_TABLES];
    size_t n_rows[UNIT_MAX_TABLES];
    loop_fn *done; /* fires once, on a later turn; u->err is then set */
    void *ctx;
    struct err err; /* ERR_OK: committed, the outcome is in the owner's own fields.
                       UNAVAILABLE: certainly not committed; AMBIGUOUS: the connection was lost and
                       time ran out before it could be run again; else the database's refusal of
                       this very unit */
    /* the store's own */
    struct link link;                     /* among those that may run now */
    struct link age;                      /* among all that wait, by since_us */
    struct unit *key_next[UNIT_MAX_KEYS]; /* who wants the same key next */
    int behind;                           /* how many of its keys others have before it */
    int64_t since_us;
    int tries;
    bool doubt; /* was in a batch whose commit was not answered */
};

/* Hands over a unit. Units must bear being run twice when the first commit was not answered
 * (`u->doubt` is then set): conflicts with one's own rows are told apart by op_id or id. */
void store_write(struct store *s, struct unit *u);

/* One statement with scalar parameters in a transaction of its own on a writer; for what is rare.
 * ERR_AMBIGUOUS: the connection was lost before its commit was answered. */
void store_exec(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx);

/* ---- migrations: synchronous, for the command line ---- */

/* Applies what is missing of embed_migrations, forward only; safe to run twice and from two
 * replicas at once (locked by a row). Then calls reli.grant_service for `service_role` when not
 * empty. `applied` counts. Errors are logged in words. */
struct err store_migrate(const char *conninfo, const char *service_role, int *applied) MUST_USE;
/* The role that a connection string names, "" if none. ERR_CONFIG if it is no connection string. */
struct err store_conninfo_user(const char *conninfo, char *out, size_t cap) MUST_USE;
/* Runs one embedded statement synchronously and hands its rows to `done`, which is not called when
 * an error is returned; for the command line. */
struct err store_run_once(const char *conninfo, enum query query, const struct value *params,
                          size_t n_params, store_rows_fn *done, void *ctx) MUST_USE;
/* What the server is like; likewise. */
struct store_look {
    int64_t skew_us; /* how far its clock is from ours, at least */
    bool read_only;  /* the database takes no writes */
};
struct err store_look_once(const char *conninfo, struct store_look *out) MUST_USE;
enum { STORE_SKEW_MAX_S = 2 }; /* more, and a replica is not ready */

#endif
