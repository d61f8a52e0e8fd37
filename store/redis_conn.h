#ifndef RELI_STORE_REDIS_CONN_H
#define RELI_STORE_REDIS_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/loop/loop.h"
#include "store/redis_url.h"

/* Private to the store: one connection to Redis that comes back by itself. */
struct redis_conn;
struct redisReply;

enum { REDIS_MAX_ARGS = 64 };

/* None of them is called from within a redis_conn_* function but `down`, from redis_conn_drop. Each
 * may call any of them, redis_conn_free included. */
struct redis_conn_events {
    /* Logged in, the database is chosen, commands are taken. */
    void (*up)(void *ctx);
    /* Once after each `up`: what was sent and not answered never will be. */
    void (*down)(void *ctx);
    /* A reply, in the order of the commands, or a message of a subscription; never nil. Borrowed.
     */
    void (*reply)(void *ctx, const struct redisReply *reply);
};

/* `target` is borrowed and outlives the connection; `role` is for the log. Nothing happens before
 * redis_conn_start. */
struct err redis_conn_new(struct loop *l, const struct redis_target *target, const char *role,
                          const struct redis_conn_events *events, void *ctx,
                          struct redis_conn **out) MUST_USE;
void redis_conn_start(struct redis_conn *c);
/* No event after this call. NULL is fine. */
void redis_conn_free(struct redis_conn *c);
bool redis_conn_is_up(const struct redis_conn *c);
/* Queues a command; the bytes are copied. ERR_UNAVAILABLE when down, ERR_OVERLOADED when Redis does
 * not take what waits to be sent. */
struct err redis_conn_send(struct redis_conn *c, const struct str *args, size_t n_args) MUST_USE;
/* Gives this connection up and makes another after the back-off; nothing happens unless up. `why`
 * is static text. */
void redis_conn_drop(struct redis_conn *c, const char *why);

#endif
