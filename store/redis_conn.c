/* One connection to Redis over hiredis' asynchronous API.
 *
 *   WAIT -> RESOLVE -> GREET (connect, AUTH, SELECT, PING) -> UP
 *
 * Everything that goes wrong leads back to WAIT, with a pause of 50 ms that doubles up to 2 s.
 * RESOLVE and GREET have a deadline.
 *
 * hiredis 0.14 brings five traps. Its libuv adapter ignores a bad status, so the adapter is ours.
 * It has no timeouts. It resolves names while connecting, so it only gets literal addresses. Its
 * context frees itself when the connection breaks: `cleanup` is the one place that every end
 * passes, and whoever has called into it looks at the watcher afterwards, never at the context. And
 * it asserts that replies make sense, so a guard in the reply parser refuses those that do not
 * before hiredis sees them. */
#include "store/redis_conn.h"

#include <fcntl.h>
#include <hiredis/async.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"

#define CONNECT_TIMEOUT_US (1 * US_PER_S)
#define PAUSE_MIN_US (50 * US_PER_MS)
#define PAUSE_MAX_US (2 * US_PER_S)
/* A connection that lived that long was a good one: the next pause is the shortest again. */
#define GOOD_LIFE_US (2 * US_PER_S)

enum {
    MAX_UNSENT = 16 * 1024 * 1024,
    MAX_REPLY = 1024 * 1024,
    MAX_REPLY_PARTS = 4096,
    WHY_TEXT = 96,
};

enum conn_state { CONN_IDLE, CONN_WAIT, CONN_RESOLVE, CONN_GREET, CONN_UP };

/* The poll handle of one hiredis context. It outlives the context until libuv has closed it. */
struct watcher {
    uv_poll_t poll;
    redisAsyncContext *ac;   /* NULL once hiredis frees it */
    struct redis_conn *conn; /* NULL once we have given it up */
    int events;
    int reply_parts; /* of the reply that is being read */
    bool refused;    /* by the guard */
    const redisReplyObjectFunctions *build;
};

struct redis_conn {
    struct loop *l;
    const struct redis_target *target;
    const char *role;
    const struct redis_conn_events *events;
    void *ctx;
    enum conn_state state;
    struct timer alarm; /* WAIT: try again; RESOLVE, GREET: the deadline */
    int64_t pause_us, up_since_us;
    unsigned tries; /* picks the address among several */
    struct resolve *resolving;
    struct watcher *watcher; /* GREET, UP */
    int n_greetings;         /* replies that GREET still waits for */
    bool freed;              /* waits for `resolving` to end */
    enum { TOLD_NOTHING, TOLD_UP, TOLD_DOWN } told;
};

static void conn_connect(void *ctx);
static void conn_resolved(void *ctx, struct err err, const struct resolved *found);
static void conn_late(void *ctx);
static void conn_greet(struct redis_conn *c, redisAsyncContext *ac);
static void conn_greeted(struct redis_conn *c, const redisReply *reply);
static void conn_cut(struct redis_conn *c);
static void conn_lost(struct redis_conn *c, const char *why);
static bool watcher_attach(struct redis_conn *c, redisAsyncContext *ac);
static void on_reply(redisAsyncContext *ac, void *reply, void *unused);

struct err redis_conn_new(struct loop *l, const struct redis_target *target, const char *role,
                          const struct redis_conn_events *events, void *ctx,
                          struct redis_conn **out)
{
    struct redis_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR(NO_MEMORY, "Redis connection");
    *c = (struct redis_conn){.l = l, .target = target, .role = role, .events = events, .ctx = ctx};
    *out = c;
    return ERR_OK;
}

void redis_conn_start(struct redis_conn *c)
{
    if (c->state != CONN_IDLE)
        return;
    c->state = CONN_WAIT;
    timer_set(c->l, &c->alarm, 0, conn_connect, c);
}

void redis_conn_free(struct redis_conn *c)
{
    if (c == NULL)
        return;
    timer_off(c->l, &c->alarm);
    conn_cut(c);
    c->freed = true;
    if (c->resolving != NULL)
        resolve_cancel(c->resolving); /* conn_resolved frees */
    else
        free(c);
}

bool redis_conn_is_up(const struct redis_conn *c)
{
    return c->state == CONN_UP;
}

static struct err send_to(redisAsyncContext *ac, const struct str *args, size_t n_args)
{
    const char *argv[REDIS_MAX_ARGS];
    size_t len[REDIS_MAX_ARGS];
    ASSERT(n_args > 0 && n_args <= REDIS_MAX_ARGS);
    for (size_t i = 0; i < n_args; i++) {
        argv[i] = args[i].p != NULL ? args[i].p : "";
        len[i] = args[i].n;
    }
    if (redisAsyncCommandArgv(ac, on_reply, NULL, (int)n_args, argv, len) != REDIS_OK)
        return ERR(UNAVAILABLE, "Redis takes no command");
    return ERR_OK;
}

struct err redis_conn_send(struct redis_conn *c, const struct str *args, size_t n_args)
{
    if (c->state != CONN_UP)
        return ERR(UNAVAILABLE, "no connection to Redis");
    if (sdslen(c->watcher->ac->c.obuf) > MAX_UNSENT)
        return ERR(OVERLOADED, "Redis takes no bytes");
    return send_to(c->watcher->ac, args, n_args);
}

void redis_conn_drop(struct redis_conn *c, const char *why)
{
    if (c->state != CONN_UP)
        return;
    conn_cut(c);
    conn_lost(c, why);
}

/* ---- the way up ---- */

static void conn_open(struct redis_conn *c, redisAsyncContext *ac)
{
    if (ac == NULL) {
        conn_lost(c, "out of memory");
        return;
    }
    if (ac->err != 0 || !watcher_attach(c, ac)) {
        char why[WHY_TEXT];
        str_copy_c(why, sizeof why, str_c(ac->err != 0 ? ac->errstr : "cannot watch the socket"));
        redisAsyncFree(ac);
        conn_lost(c, why);
        return;
    }
    conn_greet(c, ac);
}

static void conn_connect(void *ctx)
{
    struct redis_conn *c = ctx;
    timer_set(c->l, &c->alarm, CONNECT_TIMEOUT_US, conn_late, c);
    if (c->target->is_unix) {
        c->state = CONN_GREET;
        conn_open(c, redisAsyncConnectUnix(c->target->host));
        return;
    }
    c->state = CONN_RESOLVE;
    struct err err =
        resolve_start(c->l, c->target->host, c->target->port, conn_resolved, c, &c->resolving);
    if (err_is(err)) {
        c->resolving = NULL;
        conn_lost(c, err.what);
    }
}

static void conn_resolved(void *ctx, struct err err, const struct resolved *found)
{
    struct redis_conn *c = ctx;
    c->resolving = NULL;
    if (c->freed) {
        free(c);
        return;
    }
    if (err_is(err)) {
        conn_lost(c, err.what);
        return;
    }
    const struct sockaddr_storage *sa = found->addr[c->tries++ % (unsigned)found->n];
    char ip[NI_MAXHOST], port[NI_MAXSERV];
    socklen_t len =
        sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int64_t port_number;
    if (getnameinfo((const struct sockaddr *)sa, len, ip, sizeof ip, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
        !str_to_i64(str_c(port), &port_number)) {
        conn_lost(c, "unprintable address");
        return;
    }
    timer_set(c->l, &c->alarm, CONNECT_TIMEOUT_US, conn_late, c);
    c->state = CONN_GREET;
    conn_open(c, redisAsyncConnect(ip, (int)port_number));
}

static void conn_late(void *ctx)
{
    struct redis_conn *c = ctx;
    if (c->resolving != NULL) {
        resolve_cancel(c->resolving); /* conn_resolved comes with ERR_CANCELED */
        return;
    }
    conn_cut(c);
    conn_lost(c, "timeout while connecting");
}

/* Sent in one go, before the connection stands; a wrong password shows in the replies. */
static void conn_greet(struct redis_conn *c, redisAsyncContext *ac)
{
    const struct redis_target *t = c->target;
    struct str password = secret_view(&t->password);
    char db[16];
    snprintf(db, sizeof db, "%d", t->db);
    const struct str auth[] = {STR("AUTH"), password};
    const struct str auth_user[] = {STR("AUTH"), str_c(t->user), password};
    const struct str select[] = {STR("SELECT"), str_c(db)};
    const struct str ping[] = {STR("PING")};
    struct err err = ERR_OK;
    c->n_greetings = 0;
    if (!str_empty(password)) {
        c->n_greetings++;
        err = t->user[0] != '\0' ? send_to(ac, auth_user, 3) : send_to(ac, auth, 2);
    }
    if (t->db != 0 && !err_is(err)) {
        c->n_greetings++;
        err = send_to(ac, select, 2);
    }
    if (!err_is(err)) {
        c->n_greetings++;
        err = send_to(ac, ping, 1);
    }
    if (err_is(err)) {
        conn_cut(c);
        conn_lost(c, err.what);
    }
}

static void conn_greeted(struct redis_conn *c, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        /* NOAUTH, WRONGPASS, LOADING …: words of the server about itself */
        char why[WHY_TEXT];
        str_copy_c(why, sizeof why, str_n(reply->str, reply->len));
        conn_cut(c);
        conn_lost(c, why);
        return;
    }
    if (--c->n_greetings > 0)
        return;
    timer_off(c->l, &c->alarm);
    c->state = CONN_UP;
    c->up_since_us = loop_mono_us(c->l);
    if (c->told != TOLD_UP)
        log_info("redis.up", F_C("role", c->role));
    c->told = TOLD_UP;
    c->events->up(c->ctx);
}

/* ---- the way down ---- */

/* Lets go of the context, without an event. From within a reply hiredis frees it when that returns.
 */
static void conn_cut(struct redis_conn *c)
{
    struct watcher *w = c->watcher;
    if (w == NULL)
        return;
    c->watcher = NULL;
    w->conn = NULL;
    redisAsyncFree(w->ac);
}

static void conn_lost(struct redis_conn *c, const char *why)
{
    bool was_up = c->state == CONN_UP;
    if (c->told != TOLD_DOWN)
        log_warn("redis.down", F_C("role", c->role), F_C("why", why));
    c->told = TOLD_DOWN;
    if (was_up && loop_mono_us(c->l) - c->up_since_us >= GOOD_LIFE_US)
        c->pause_us = 0;
    c->pause_us = c->pause_us == 0 ? PAUSE_MIN_US : c->pause_us * 2;
    if (c->pause_us > PAUSE_MAX_US)
        c->pause_us = PAUSE_MAX_US;
    c->state = CONN_WAIT;
    int64_t jitter_us = (int64_t)random_below((uint32_t)c->pause_us / 2);
    timer_set(c->l, &c->alarm, c->pause_us + jitter_us, conn_connect, c);
    if (was_up)
        c->events->down(c->ctx);
}

/* ---- hiredis on libuv ---- */

/* A NULL reply only says that the connection is gone, which `cleanup` tells. */
static void on_reply(redisAsyncContext *ac, void *reply, void *unused)
{
    (void)unused;
    struct watcher *w = ac->ev.data;
    struct redis_conn *c = w->conn;
    if (c == NULL || reply == NULL)
        return;
    if (c->state == CONN_GREET)
        conn_greeted(c, reply);
    else
        c->events->reply(c->ctx, reply);
}

static void watcher_poll(uv_poll_t *h, int status, int events)
{
    struct watcher *w = h->data;
    if (status < 0) /* reading and writing find out what it is */
        events = UV_READABLE | UV_WRITABLE;
    if (w->ac != NULL && (events & UV_READABLE))
        redisAsyncHandleRead(w->ac);
    if (w->ac != NULL && (events & UV_WRITABLE))
        redisAsyncHandleWrite(w->ac);
    struct redis_conn *c = w->conn;
    if (c == NULL)
        return;
    /* libuv stops watching after a bad status, even if hiredis saw nothing wrong */
    const char *why = status < 0 ? "bad socket" : "reply too large";
    if (status < 0 || w->ac->c.reader->len > MAX_REPLY) {
        conn_cut(c);
        conn_lost(c, why);
    }
}

static void watcher_want(struct watcher *w, int events)
{
    if (w->events == events)
        return;
    w->events = events;
    if (events == 0)
        uv_poll_stop(&w->poll);
    else
        uv_poll_start(&w->poll, events, watcher_poll);
}

static void add_read(void *privdata)
{
    struct watcher *w = privdata;
    watcher_want(w, w->events | UV_READABLE);
}

static void del_read(void *privdata)
{
    struct watcher *w = privdata;
    watcher_want(w, w->events & ~UV_READABLE);
}

static void add_write(void *privdata)
{
    struct watcher *w = privdata;
    watcher_want(w, w->events | UV_WRITABLE);
}

static void del_write(void *privdata)
{
    struct watcher *w = privdata;
    watcher_want(w, w->events & ~UV_WRITABLE);
}

static void watcher_closed(uv_handle_t *h)
{
    free(h->data);
}

/* hiredis is about to free its context, whatever the reason. */
static void cleanup(void *privdata)
{
    struct watcher *w = privdata;
    struct redis_conn *c = w->conn;
    char why[WHY_TEXT];
    str_copy_c(why, sizeof why,
               w->refused ? STR("unexpected reply")
                          : str_c(w->ac->err != 0 ? w->ac->errstr : "closed"));
    w->ac = NULL;
    w->conn = NULL;
    uv_close((uv_handle_t *)&w->poll, watcher_closed);
    if (c != NULL) {
        c->watcher = NULL;
        conn_lost(c, why);
    }
}

/* ---- the guard: replies that hiredis would assert about ---- */

static bool push_word(const char *p, size_t n)
{
    struct str s = str_n(p, n);
    return str_eq(s, STR("message")) || str_eq(s, STR("subscribe"));
}

/* A push is [word, channel, anything flat]. `n` is a string's length or an array's. */
static bool expected_push(const redisReadTask *t, int type, const char *p, size_t n)
{
    if (t->parent == NULL)
        return type == REDIS_REPLY_ARRAY && n == 3;
    if (t->idx == 0)
        return type == REDIS_REPLY_STRING && push_word(p, n);
    return type == REDIS_REPLY_STRING || (t->idx == 2 && type == REDIS_REPLY_INTEGER);
}

/* Whether a part of a reply may come here. Where nobody waits for one, hiredis can bear an error,
 * or a push when subscribed. Refusing makes it close the connection. */
static struct watcher *guard_ask(const redisReadTask *t, int type, const char *p, size_t n)
{
    struct watcher *w = t->privdata;
    const redisAsyncContext *ac = w->ac;
    bool good = true;
    if (t->parent == NULL)
        w->reply_parts = 0;
    if (++w->reply_parts > MAX_REPLY_PARTS)
        good = false;
    else if (ac->replies.head == NULL)
        good = (ac->c.flags & REDIS_SUBSCRIBED) != 0 ? expected_push(t, type, p, n)
                                                     : type == REDIS_REPLY_ERROR;
    if (good)
        return w;
    w->refused = true;
    return NULL;
}

static void *guard_string(const redisReadTask *t, char *p, size_t n)
{
    struct watcher *w = guard_ask(t, t->type, p, n);
    return w != NULL ? w->build->createString(t, p, n) : NULL;
}

static void *guard_array(const redisReadTask *t, int elements)
{
    struct watcher *w = guard_ask(t, REDIS_REPLY_ARRAY, NULL, (size_t)elements);
    if (w == NULL || elements > MAX_REPLY_PARTS)
        return NULL;
    return w->build->createArray(t, elements);
}

static void *guard_integer(const redisReadTask *t, long long v)
{
    struct watcher *w = guard_ask(t, REDIS_REPLY_INTEGER, NULL, 0);
    return w != NULL ? w->build->createInteger(t, v) : NULL;
}

static void *guard_nil(const redisReadTask *t)
{
    struct watcher *w = guard_ask(t, REDIS_REPLY_NIL, NULL, 0);
    return w != NULL ? w->build->createNil(t) : NULL;
}

static redisReplyObjectFunctions guard = {guard_string, guard_array, guard_integer, guard_nil,
                                          freeReplyObject};

static bool watcher_attach(struct redis_conn *c, redisAsyncContext *ac)
{
    struct watcher *w = calloc(1, sizeof *w);
    if (w == NULL)
        return false;
    (void)fcntl(ac->c.fd, F_SETFD, FD_CLOEXEC); /* hiredis does not */
    if (uv_poll_init(loop_uv(c->l), &w->poll, ac->c.fd) != 0) {
        free(w); /* libuv keeps nothing of a handle that it refused */
        return false;
    }
    w->poll.data = w;
    w->ac = ac;
    w->conn = c;
    w->build = ac->c.reader->fn;
    ac->c.reader->fn = &guard;
    ac->c.reader->privdata = w;
    ac->ev.data = w;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    c->watcher = w;
    return true;
}
