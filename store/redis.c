/* Redis as one process sees it: commands on one connection, channels on another, since a connection
 * that listens takes no commands.
 *
 * A command is sent, waits in `calls` and is answered in order. All have the same time to live, so
 * the first one is always the first to run out, and one timer is enough. When it runs out the
 * connection is given up: the replies behind the missing one would come late too, and nobody could
 * tell whether ever.
 *
 * Both connections are asked now and then whether they still carry anything; a peer that vanished
 * without a word would otherwise be noticed by the first who needs it. */
#include "store/redis.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <uv.h>

#include "core/base/list.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "store/redis_conn.h"

#define COMMAND_TIMEOUT_US (250 * US_PER_MS)
#define BEAT_US (5 * US_PER_S)

enum { MAX_CALLS = 10000, MAX_CHANNELS = 16, CHANNEL_MAX = 128 };

struct call {
    struct link link;
    redis_fn *done;
    void *ctx;
    int64_t sent_us; /* real_us */
    bool late;       /* its time is up; one more look at the socket is granted */
    struct err err;  /* of those in `failed` */
};

struct channel {
    char name[CHANNEL_MAX];
    size_t len;
    struct redis_subscriber s;
    bool live; /* confirmed on the present connection */
};

struct redis {
    struct loop *l;
    struct redis_target target;
    struct redis_conn *commands, *listening;
    struct list calls;  /* sent, oldest first */
    struct list failed; /* to be told by `tell` */
    struct later tell;
    struct timer deadline, listen_deadline, beat;
    struct channel channels[MAX_CHANNELS];
    size_t n_channels;
    int asked;   /* SUBSCRIBEs that are not confirmed */
    int telling; /* depth of loops that still need `r` */
    bool freed;
};

static struct metric up_gauge = METRIC_GAUGE("reli_redis_up", "", "Whether Redis answers commands");

static void commands_up(void *ctx);
static void commands_down(void *ctx);
static void commands_reply(void *ctx, const struct redisReply *reply);
static void listening_up(void *ctx);
static void listening_down(void *ctx);
static void listening_reply(void *ctx, const struct redisReply *reply);
static void call_fail(struct redis *r, struct call *k, struct err err);
static void call_late(void *ctx);
static void tell_failed(void *ctx);
static void listen_to(struct redis *r, const struct channel *ch);
static void beat(void *ctx);

static const struct redis_conn_events command_events = {commands_up, commands_down, commands_reply};
static const struct redis_conn_events listen_events = {listening_up, listening_down,
                                                       listening_reply};

struct err redis_new(struct loop *l, const char *url, struct redis **out)
{
    struct redis *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR(NO_MEMORY, "Redis");
    r->l = l;
    list_init(&r->calls);
    list_init(&r->failed);
    struct err err = redis_target_parse(url, &r->target);
    if (!err_is(err))
        err = redis_conn_new(l, &r->target, "commands", &command_events, r, &r->commands);
    if (!err_is(err))
        err = redis_conn_new(l, &r->target, "channels", &listen_events, r, &r->listening);
    if (err_is(err)) {
        redis_free(r);
        return err;
    }
    metric_set(&up_gauge, 0);
    redis_conn_start(r->commands);
    timer_set(l, &r->beat, BEAT_US, beat, r);
    *out = r;
    return ERR_OK;
}

static void redis_release(struct redis *r)
{
    if (r->freed && r->telling == 0)
        free(r);
}

void redis_free(struct redis *r)
{
    if (r == NULL)
        return;
    ASSERT(!r->freed);
    r->freed = true;
    timer_off(r->l, &r->deadline);
    timer_off(r->l, &r->listen_deadline);
    timer_off(r->l, &r->beat);
    loop_later_off(r->l, &r->tell);
    redis_conn_free(r->commands);
    redis_conn_free(r->listening);
    r->commands = r->listening = NULL;
    redis_target_free(&r->target);
    metric_set(&up_gauge, 0);
    commands_down(r);
    for (struct link *k = list_first(&r->failed); k != NULL; k = list_next(&r->failed, k))
        CONTAINER_OF(k, struct call, link)->err = ERR(CANCELED, "Redis is closed");
    tell_failed(r);
}

bool redis_up(const struct redis *r)
{
    return redis_conn_is_up(r->commands);
}

/* ---- commands ---- */

/* The monotonic clock without the test clock's shift: that moves our day, not the network. */
static int64_t real_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

void redis_command(struct redis *r, const struct str *args, size_t n_args, redis_fn *done,
                   void *ctx)
{
    struct call *k = calloc(1, sizeof *k);
    ASSERT(k != NULL); /* `done` was promised */
    k->done = done;
    k->ctx = ctx;
    struct err err;
    if (r->freed)
        err = ERR(CANCELED, "Redis is closed");
    else if (r->calls.n >= MAX_CALLS)
        err = ERR(OVERLOADED, "too many Redis commands in flight");
    else
        err = redis_conn_send(r->commands, args, n_args);
    if (err_is(err)) {
        call_fail(r, k, err);
        return;
    }
    k->sent_us = real_us();
    list_push(&r->calls, &k->link);
    if (!timer_is_on(&r->deadline))
        timer_set(r->l, &r->deadline, COMMAND_TIMEOUT_US, call_late, r);
}

void redis_publish(struct redis *r, struct str channel, struct str payload)
{
    const struct str args[] = {STR("PUBLISH"), channel, payload};
    redis_command(r, args, COUNT_OF(args), NULL, NULL);
}

/* The call is unlinked; `r` may be gone afterwards. */
static void call_end(struct call *k, struct err err, const struct redis_reply *reply)
{
    redis_fn *done = k->done;
    void *ctx = k->ctx;
    free(k);
    if (done != NULL)
        done(ctx, err, reply);
}

static void call_fail(struct redis *r, struct call *k, struct err err)
{
    k->err = err;
    list_push(&r->failed, &k->link);
    if (!r->freed)
        loop_later(r->l, &r->tell, tell_failed, r);
}

/* Those that fail meanwhile are told the next time, but at the end there is none. */
static void tell_failed(void *ctx)
{
    struct redis *r = ctx;
    r->telling++;
    for (size_t n = r->failed.n; n > 0 || r->freed; n--) {
        struct link *k = list_pop(&r->failed);
        if (k == NULL)
            break;
        struct call *call = CONTAINER_OF(k, struct call, link);
        call_end(call, call->err, NULL);
    }
    r->telling--;
    redis_release(r);
}

static void commands_up(void *ctx)
{
    (void)ctx;
    metric_set(&up_gauge, 1);
}

static void commands_down(void *ctx)
{
    struct redis *r = ctx;
    metric_set(&up_gauge, 0);
    timer_off(r->l, &r->deadline);
    struct link *k;
    while ((k = list_pop(&r->calls)) != NULL)
        call_fail(r, CONTAINER_OF(k, struct call, link), ERR(UNAVAILABLE, "Redis gave no answer"));
}

static void commands_reply(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    struct link *k = list_pop(&r->calls);
    if (k == NULL)
        return;
    struct redis_reply out = {0};
    struct err err = ERR_OK;
    switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        out.str = str_n(reply->str, reply->len);
        break;
    case REDIS_REPLY_INTEGER:
        out.i64 = reply->integer;
        break;
    case REDIS_REPLY_NIL:
        out.nil = true;
        break;
    case REDIS_REPLY_ERROR:
        out.str = str_n(reply->str, reply->len);
        err = ERR(FAILED, "Redis refused the command");
        break;
    default:
        err = ERR(FAILED, "Redis answered with an array");
        break;
    }
    call_end(CONTAINER_OF(k, struct call, link), err, &out);
}

/* A turn of ours may have been long: before Redis is blamed the socket is read once more. */
static void call_late(void *ctx)
{
    struct redis *r = ctx;
    struct call *k = LIST_ITEM(list_first(&r->calls), struct call, link);
    if (k == NULL)
        return;
    int64_t left_us = k->sent_us + COMMAND_TIMEOUT_US - real_us();
    if (left_us > 0 || !k->late) {
        k->late = left_us <= 0;
        timer_set(r->l, &r->deadline, left_us, call_late, r);
        return;
    }
    redis_conn_drop(r->commands, "timeout");
}

/* ---- channels ---- */

void redis_subscribe(struct redis *r, struct str channel, const struct redis_subscriber *s)
{
    ASSERT(r->n_channels < MAX_CHANNELS && channel.n > 0 && channel.n <= CHANNEL_MAX);
    struct channel *ch = &r->channels[r->n_channels++];
    memcpy(ch->name, channel.p, channel.n);
    ch->len = channel.n;
    ch->s = *s;
    redis_conn_start(r->listening);
    if (redis_conn_is_up(r->listening))
        listen_to(r, ch);
}

static void listen_late(void *ctx)
{
    struct redis *r = ctx;
    redis_conn_drop(r->listening, "timeout");
}

static void listen_to(struct redis *r, const struct channel *ch)
{
    const struct str args[] = {STR("SUBSCRIBE"), str_n(ch->name, ch->len)};
    if (err_is(redis_conn_send(r->listening, args, COUNT_OF(args))))
        return; /* it is on its way down, and comes here again when up */
    r->asked++;
    timer_set(r->l, &r->listen_deadline, COMMAND_TIMEOUT_US, listen_late, r);
}

static void listening_up(void *ctx)
{
    struct redis *r = ctx;
    for (size_t i = 0; i < r->n_channels; i++)
        listen_to(r, &r->channels[i]);
}

static void listening_down(void *ctx)
{
    struct redis *r = ctx;
    timer_off(r->l, &r->listen_deadline);
    r->asked = 0;
    for (size_t i = 0; i < r->n_channels; i++)
        r->channels[i].live = false;
}

static struct channel *find_channel(struct redis *r, struct str name)
{
    for (size_t i = 0; i < r->n_channels; i++)
        if (str_eq(name, str_n(r->channels[i].name, r->channels[i].len)))
            return &r->channels[i];
    return NULL;
}

/* [word, channel, payload or number]: the connection lets nothing else pass, this looks all the
 * same. */
static void listening_reply(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        redis_conn_drop(r->listening, "unexpected reply");
        return;
    }
    const struct redisReply *last = reply->element[2];
    struct str word = str_n(reply->element[0]->str, reply->element[0]->len);
    struct channel *ch = find_channel(r, str_n(reply->element[1]->str, reply->element[1]->len));
    if (ch == NULL)
        return;
    if (str_eq(word, STR("message")) && last->type == REDIS_REPLY_STRING) {
        ch->s.message(ch->s.ctx, str_n(last->str, last->len));
    } else if (str_eq(word, STR("subscribe"))) {
        if (r->asked > 0 && --r->asked == 0)
            timer_off(r->l, &r->listen_deadline);
        bool begins = !ch->live;
        ch->live = true;
        if (begins)
            ch->s.gap(ch->s.ctx);
    }
}

/* ---- are they still there? ---- */

/* A connection that listens takes no PING that hiredis could tell from a message; to subscribe once
 * more to what one has is answered too. */
static void beat(void *ctx)
{
    struct redis *r = ctx;
    timer_set(r->l, &r->beat, BEAT_US, beat, r);
    const struct str ping[] = {STR("PING")};
    if (redis_up(r) && list_is_empty(&r->calls))
        redis_command(r, ping, COUNT_OF(ping), NULL, NULL);
    if (redis_conn_is_up(r->listening) && r->n_channels > 0 && r->asked == 0)
        listen_to(r, &r->channels[0]);
}
