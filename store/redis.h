#ifndef RELI_STORE_REDIS_H
#define RELI_STORE_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/loop/loop.h"

/* Redis as a helper that may vanish at any moment: nothing here is ever the truth. One connection
 * for commands, one for subscriptions; both reconnect with back-off for ever. */
struct redis;

/* `url`: redis://[user:password@]host[:port][/db] or unix://path[?db=n]. ERR_CONFIG for another. */
struct err redis_new(struct loop *l, const char *url, struct redis **out) MUST_USE;
/* Closes. What is still in flight ends with ERR_CANCELED during this call. NULL is fine. */
void redis_free(struct redis *r);
/* Commands are answered at present. */
bool redis_up(const struct redis *r);

/* The reply of a command: nil, a string or an integer. Alive during the call. */
struct redis_reply {
    bool nil;
    struct str str;
    int64_t i64;
};

/* `done` fires once, never within this call (NULL: nobody cares). ERR_UNAVAILABLE while Redis is
 * away or after the timeout of 250 ms; ERR_FAILED for an error reply, whose text is then in
 * reply->str ("NOSCRIPT …"), and for an array; `reply` is NULL with all other errors.
 * At most 10 000 are in flight, ERR_OVERLOADED beyond. 1 to 64 arguments. */
typedef void redis_fn(void *ctx, struct err err, const struct redis_reply *reply);
void redis_command(struct redis *r, const struct str *args, size_t n_args, redis_fn *done,
                   void *ctx);

/* Messages of one channel (at most 16 channels, each subscribed once, for as long as `r` lives).
 * The subscription is made again after every reconnect, and `gap` is called whenever it begins, the
 * first time too: messages may have been missed. */
struct redis_subscriber {
    void (*message)(void *ctx, struct str payload);
    void (*gap)(void *ctx);
    void *ctx;
};
void redis_subscribe(struct redis *r, struct str channel, const struct redis_subscriber *s);
void redis_publish(struct redis *r, struct str channel, struct str payload);

#endif
