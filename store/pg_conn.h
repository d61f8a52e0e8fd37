#ifndef RELI_STORE_PG_CONN_H
#define RELI_STORE_PG_CONN_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "core/base/err.h"
#include "core/loop/loop.h"
#include "store/store.h"
#include "store/value_int.h"

/* One pipelined connection that comes back by itself for ever. Its owner sends groups: statements
 * and a Sync. Answers come in the order of sending. */
struct pg_conn;

enum pg_role { PG_WRITER, PG_READER };

/* Whose word counts: of a cluster's servers the one with the newest timeline that any connection of
 * a store has met. A primary that was replaced and does not know it yet has an older one. */
struct pg_lineage {
    int64_t system; /* the cluster's identifier */
    int64_t timeline;
};

/* Statements beside those of enum query. */
enum pg_stmt {
    STMT_BEGIN = N_QUERIES,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_HURRY,  /* short timeouts for the rest of a transaction */
    STMT_CLOCK,  /* the server's time, and whether there is a table of migrations */
    STMT_SCHEMA, /* the name of the last migration */
    N_STMTS,
};

/* Why the first statement of a group that failed was refused. */
struct pg_failure {
    char state[6];       /* SQLSTATE */
    char constraint[64]; /* without a trailing _<digits>, which partitions and shards add */
    int stmt;
};

enum pg_class {
    PG_REFUSED,    /* the data's fault */
    PG_CONTENTION, /* serialization failure or deadlock: the same again may pass */
    PG_TIMED_OUT,  /* statement or lock timeout */
    PG_EXHAUSTED,  /* the server has no resources */
};

enum pg_class pg_failure_class(const struct pg_failure *f);
/* What whoever asked for it is told. */
struct err pg_failure_err(const struct pg_failure *f);
void pg_failure_log(const struct pg_failure *f);

/* None may free the connection. */
struct pg_conn_events {
    void (*up)(void *ctx);
    /* A statement of a group succeeded. The result is the receiver's. */
    void (*answer)(void *ctx, int stmt, PGresult *result);
    /* A group is over; `f` is NULL unless it failed. */
    void (*synced)(void *ctx, const struct pg_failure *f);
    /* Only after `up`. What is not synced stays without answer. `f`: the server refused a statement
     * of the first such group before, so that this group certainly had no effect. */
    void (*lost)(void *ctx, const struct pg_failure *f);
};

/* The options and `lineage` (zero at first, shared by all connections of a store) are borrowed. */
struct err pg_conn_new(struct loop *l, const struct store_options *o, enum pg_role role,
                       struct pg_lineage *lineage, const struct pg_conn_events *events, void *ctx,
                       struct pg_conn **out) MUST_USE;
/* No event after it. Safe on NULL. */
void pg_conn_free(struct pg_conn *c);

bool pg_conn_is_up(const struct pg_conn *c);
/* The server's number of a row type; 0: the schema is not there, or was not when this connection
 * came up, which then ends (`lost` follows) to look anew. */
Oid pg_conn_row_type(struct pg_conn *c, enum row_type type);
/* Another connection has met the server's successor: nothing more is sent here, `lost` follows. */
void pg_conn_leave_if_old(struct pg_conn *c);
/* Whether `n` statements and a Sync may be sent now. */
bool pg_conn_has_room(const struct pg_conn *c, size_t n);
/* Hands a statement to libpq, prepared on its first use. `p` (ready; NULL for none) may be used
 * anew afterwards. False when the connection has just broken: the statement did not go, `lost`
 * follows. */
bool pg_conn_send(struct pg_conn *c, int stmt, const struct params *p);
/* Ends the group and sends. */
void pg_conn_sync(struct pg_conn *c);

#endif
