#ifndef RELI_STORE_PG_DIAL_H
#define RELI_STORE_PG_DIAL_H

#include <libpq-fe.h>

#include "core/base/err.h"
#include "core/loop/loop.h"

/* One attempt to connect to PostgreSQL without ever blocking the loop. */
struct pg_dial;

/* `pg` belongs to the receiver; NULL when err is set. `words` is libpq's message, "" if there is
 * none. */
typedef void pg_dial_fn(void *ctx, struct err err, const char *words, PGconn *pg);

/* ERR_CONFIG for a conninfo that libpq cannot read. Words about it are not for the log: libpq
 * quotes. */
struct err pg_dial_check(const char *conninfo) MUST_USE;
/* Tries one of the hosts, and one of its addresses: `attempt` picks, so count it up. `done` fires
 * once on a later turn, but never after pg_dial_cancel; the deadline is the caller's. */
struct err pg_dial_start(struct loop *l, const char *conninfo, unsigned attempt, pg_dial_fn *done,
                         void *ctx, struct pg_dial **out) MUST_USE;
void pg_dial_cancel(struct pg_dial *d);

#endif
