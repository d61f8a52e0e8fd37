#ifndef RELI_TEST_HTTP_HARNESS_H
#define RELI_TEST_HTTP_HARNESS_H

/* A server with handlers and clients over real sockets, in one process and one thread: a test
 * sends, then turns the loop until what it waits for is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "http/server.h"

enum { MAX_HELD = 16, BIG = 300 * 1024, HUGE = 24 << 20, PATIENCE = 8000 };

#define DRAIN_US (600 * US_PER_S) /* longer than a test's patience */

static struct {
    struct loop *loop;
    struct http_server *server;
    struct http_exchange *held[MAX_HELD];
    int n_held;
    int n_before, n_after, last_status;
    bool drained;
    struct stream *upgraded;
    struct buf upgraded_in;
    char *big;
    char seen[4096]; /* what the last handler has seen */
} t;

/* ---- handlers ---- */

static inline void on_hello(struct http_exchange *x)
{
    http_reply_json(x, 200, STR("{\"ok\":true}"));
}

static inline void on_echo(struct http_exchange *x)
{
    http_reply(x, 201, STR("text/plain"), x->body);
}

static inline void on_hold(struct http_exchange *x)
{
    assert_true(t.n_held < MAX_HELD);
    t.held[t.n_held++] = x;
}

static inline void on_params(struct http_exchange *x)
{
    struct str all = arena_fmt(x->arena, "%.*s|%.*s", STR_ARG(x->params[0]), STR_ARG(x->params[1]));
    http_reply(x, 200, STR("text/plain"), all);
}

static inline void on_seen(struct http_exchange *x)
{
    struct str q = http_query(x, STR("q")), many = http_header(x, STR("x-many"));
    struct str name, value;
    size_t n = (size_t)snprintf(
        t.seen, sizeof t.seen, "peer=%s unix=%d q=%.*s%s many=%.*s path=%.*s", x->peer.text,
        x->peer.is_unix, STR_ARG(q), q.p == NULL ? "-" : "", STR_ARG(many), STR_ARG(x->path));
    size_t at = 0;
    while (http_query_next(x, &at, &name, &value))
        n += (size_t)snprintf(t.seen + n, sizeof t.seen - n, " %.*s:%.*s", STR_ARG(name),
                              STR_ARG(value));
    http_reply(x, 200, STR("text/plain"), str_n(t.seen, n));
}

static inline void on_big(struct http_exchange *x)
{
    http_reply(x, 200, STR("application/octet-stream"), str_n(t.big, BIG));
}

/* More than any socket buffer takes. */
static inline void on_huge(struct http_exchange *x)
{
    char *body = calloc(1, HUGE);
    assert_non_null(body);
    http_reply(x, 200, STR("application/octet-stream"), str_n(body, HUGE));
    free(body);
}

static inline void on_status(struct http_exchange *x)
{
    int64_t status;
    assert_true(str_to_i64(x->params[0], &status));
    http_reply(x, (int)status, STR("text/plain"), x->params[0]);
}

static inline void on_headers(struct http_exchange *x)
{
    http_set_header(x, STR("X-One"), STR("first"));
    http_set_header(x, STR("x-one"), STR("second"));
    http_set_header(x, STR("Set-Cookie"), STR("a=1"));
    http_set_header(x, STR("Set-Cookie"), STR("b=2"));
    http_set_header(x, STR("Cache-Control"), STR("public"));
    http_set_header(x, STR("X-Split"), STR("a\r\nX-Evil: 1"));
    http_set_header(x, STR("X-Nul"), str_n("a\0b", 3));
    http_set_header(x, STR("X Bad"), STR("a"));
    http_set_header(x, STR("Content-Length"), STR("7"));
    http_reply(x, 204, STR("text/plain"), STR("ignored"));
}

static inline void on_problem(struct http_exchange *x)
{
    struct field_errors e = {.arena = x->arena};
    struct str which = http_query(x, STR("kind"));
    if (str_eq(which, STR("inside"))) {
        http_problem(x, ERR(CRYPTO, "secret detail"), "secret detail");
    } else if (str_eq(which, STR("later"))) {
        http_set_header(x, STR("retry-after"), STR("30"));
        http_problem(x, ERR(MAINTENANCE, "x"), "");
    } else if (str_eq(which, STR("busy"))) {
        http_problem(x, ERR(RATE_LIMITED, "x"), "slow \"down\"");
    } else {
        e.list[e.n++] = (struct field_error){STR("amount"), "required", "is missing"};
        if (str_eq(which, STR("two")))
            e.list[e.n++] = (struct field_error){STR("customer.phone"), "format", "is no number"};
        http_problem_fields(x, ERR(VALIDATION, "x"), NULL, &e);
    }
}

static inline void up_data(void *ctx, struct str bytes)
{
    (void)ctx;
    buf_str(&t.upgraded_in, bytes);
}

static inline void up_end(void *ctx, struct err err)
{
    (void)ctx;
    (void)err;
    stream_close(t.upgraded);
    t.upgraded = NULL;
}

static inline void take_upgrade(struct http_exchange *x)
{
    static const struct stream_events events = {up_data, up_end, NULL};
    http_set_header(x, STR("Upgrade"), STR("echo"));
    t.upgraded = http_upgrade(x);
    if (t.upgraded == NULL)
        return;
    stream_own(t.upgraded, &events, NULL);
    stream_resume(t.upgraded);
    struct str hi = STR("hi");
    stream_write(t.upgraded, &hi, 1);
}

/* Answers what another connection waits for, in the middle of this one's turn. */
static inline void on_release(struct http_exchange *x)
{
    for (int i = 0; i < t.n_held; i++)
        http_reply_json(t.held[i], 202, STR("{}"));
    t.n_held = 0;
    http_reply_json(x, 200, STR("{}"));
}

static inline void on_drained(void *ctx)
{
    (void)ctx;
    t.drained = true;
}

static inline void on_drain(struct http_exchange *x)
{
    http_server_drain(t.server, DRAIN_US, on_drained, NULL);
    on_hello(x);
}

static inline void on_abort(struct http_exchange *x)
{
    http_abort(x, http_query(x, STR("raw")));
}

static inline bool before(struct http_exchange *x)
{
    t.n_before++;
    if (!str_eq(http_header(x, STR("x-deny")), STR("1")))
        return true;
    http_problem(x, ERR(UNAUTHENTICATED, "x"), "denied");
    return false;
}

static inline void after(struct http_exchange *x, int status)
{
    assert_true(x->request_id[0] != '\0');
    t.n_after++;
    t.last_status = status;
}

static const struct route routes[] = {
    {HTTP_GET_, "/hello", on_hello, 0},
    {HTTP_POST_, "/echo", on_echo, 0},
    {HTTP_PUT_, "/echo", on_echo, 0},
    {HTTP_GET_, "/hold", on_hold, 0},
    {HTTP_GET_, "/params/{a}/{b}", on_params, 0},
    {HTTP_GET_, "/seen", on_seen, 0},
    {HTTP_GET_, "/big", on_big, 0},
    {HTTP_GET_, "/huge", on_huge, 0},
    {HTTP_GET_, "/headers", on_headers, 0},
    {HTTP_GET_, "/status/{n}", on_status, 0},
    {HTTP_GET_, "/problem", on_problem, 0},
    {HTTP_GET_, "/upgrade", take_upgrade, 0},
    {HTTP_GET_, "/abort", on_abort, 0},
    {HTTP_GET_, "/release", on_release, 0},
    {HTTP_GET_, "/drain", on_drain, 0},
    {0, NULL, NULL, 0},
};

/* ---- turning the loop ---- */

static inline void stop(void *ctx)
{
    (void)ctx;
    loop_stop(t.loop);
}

static inline void turn(void)
{
    struct timer timer = {0};
    timer_set(t.loop, &timer, 1000, stop, NULL);
    loop_run(t.loop);
    timer_off(t.loop, &timer);
}

#define UNTIL(cond)                    \
    do {                               \
        int left_ = PATIENCE;          \
        while (!(cond) && left_-- > 0) \
            turn();                    \
        assert_true(cond);             \
    } while (0)

static inline struct http_server_options options(void)
{
    return (struct http_server_options){.routes = routes, .before = before, .after = after};
}

static inline void serve(const struct http_server_options *o)
{
    assert_false(err_is(http_server_new(t.loop, o, &t.server)));
    assert_false(err_is(http_server_listen(t.server, STR("127.0.0.1:0"))));
    assert_true(http_server_port(t.server) > 0);
}

static inline void serve_default(void)
{
    struct http_server_options o = options();
    serve(&o);
}

static inline int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    buf_init(&t.upgraded_in, 1 << 20);
    t.big = malloc(BIG);
    for (int i = 0; i < BIG; i++)
        t.big[i] = (char)('a' + i % 26);
    return err_is(loop_new(&t.loop));
}

static inline int teardown(void **state)
{
    (void)state;
    if (t.upgraded != NULL)
        stream_close(t.upgraded);
    http_server_free(t.server);
    for (int i = 0; i < t.n_held; i++)
        if (t.held[i] != NULL)
            on_hello(t.held[i]); /* into the void */
    loop_run(t.loop);            /* returns when nothing is open any more */
    loop_free(t.loop);
    buf_free(&t.upgraded_in);
    free(t.big);
    arena_trim();
    return 0;
}

/* ---- a client ---- */

struct client {
    int fd;
    struct buf in;
    bool closed;
};

static inline struct client client_to(const struct sockaddr *a, socklen_t len, int rcvbuf)
{
    struct client c = {.fd = socket(a->sa_family, SOCK_STREAM, 0)};
    assert_true(c.fd >= 0);
    buf_init(&c.in, 32 << 20);
    if (rcvbuf > 0)
        setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    assert_int_equal(connect(c.fd, a, len), 0);
    fcntl(c.fd, F_SETFL, O_NONBLOCK);
    const int on = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return c;
}

static inline struct client client_with(int rcvbuf)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)http_server_port(t.server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return client_to((const struct sockaddr *)&a, sizeof a, rcvbuf);
}

static inline struct client client(void)
{
    return client_with(0);
}

static inline void client_close(struct client *c)
{
    close(c->fd);
    buf_free(&c->in);
}

static inline void say(struct client *c, struct str s)
{
    while (s.n > 0) {
        ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            turn();
        else if (n < 0)
            return; /* the server has closed; what it answered shows why */
        else
            s = str_from(s, (size_t)n);
    }
}

static inline void say_c(struct client *c, const char *text)
{
    say(c, str_c(text));
}

static inline bool hear(struct client *c)
{
    char *room = buf_room(&c->in, 65536);
    assert_non_null(room);
    ssize_t n = recv(c->fd, room, 65536, 0);
    if (n > 0)
        c->in.n += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        c->closed = true;
    return n > 0;
}

struct reply {
    int status;
    char head[4096];
    char body[512 * 1024];
    size_t n_body;
};

static struct reply r; /* the last one */

/* Value of a header of the last reply, NULL if absent. */
static inline const char *header(const char *name)
{
    static char value[1024];
    char find[128];
    snprintf(find, sizeof find, "\r\n%s: ", name);
    const char *at = strcasestr(r.head, find);
    if (at == NULL)
        return NULL;
    at += strlen(find);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static inline bool take_reply(struct client *c, bool no_body)
{
    size_t end = str_find_str(buf_view(&c->in), STR("\r\n\r\n"));
    if (end == SIZE_MAX)
        return false;
    assert_true(end + 5 < sizeof r.head);
    str_copy_c(r.head, sizeof r.head, str_first(buf_view(&c->in), end + 4));
    assert_int_equal(sscanf(r.head, "HTTP/1.1 %d ", &r.status), 1);
    const char *length = header("Content-Length");
    r.n_body = no_body || length == NULL ? 0 : (size_t)atol(length);
    if (c->in.n < end + 4 + r.n_body)
        return false;
    memcpy(r.body, c->in.p + end + 4, r.n_body);
    r.body[r.n_body] = '\0';
    buf_consume(&c->in, end + 4 + r.n_body);
    return true;
}

static inline void answer_of(struct client *c, bool no_body)
{
    int left = PATIENCE;
    while (!take_reply(c, no_body) && left-- > 0) {
        if (hear(c))
            continue;
        if (c->closed)
            break;
        turn();
    }
    assert_true(left > 0 && !(c->closed && r.status == 0));
}

static inline void expect(struct client *c, int status)
{
    r.status = 0;
    answer_of(c, false);
    assert_int_equal(r.status, status);
}

static inline void expect_closed(struct client *c)
{
    int left = PATIENCE;
    while (!c->closed && left-- > 0)
        if (!hear(c))
            turn();
    assert_true(c->closed);
    assert_int_equal(c->in.n, 0);
}

static inline void expect_body(const char *body)
{
    assert_string_equal(r.body, body);
}

#define HOST "Host: x\r\n"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
