/* The server over real sockets, in one process and one thread: a test sends, then turns the loop until what
 * it waits for is there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
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

enum { MAX_HELD = 16, BIG = 300 * 1024, PATIENCE = 8000 };

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

static void on_hello(struct http_exchange *x)
{
    http_reply_json(x, 200, STR("{\"ok\":true}"));
}

static void on_echo(struct http_exchange *x)
{
    http_reply(x, 201, STR("text/plain"), x->body);
}

static void on_hold(struct http_exchange *x)
{
    assert_true(t.n_held < MAX_HELD);
    t.held[t.n_held++] = x;
}

static void on_params(struct http_exchange *x)
{
    struct str all = arena_fmt(x->arena, "%.*s|%.*s", STR_ARG(x->params[0]), STR_ARG(x->params[1]));
    http_reply(x, 200, STR("text/plain"), all);
}

static void on_seen(struct http_exchange *x)
{
    struct str q = http_query(x, STR("q")), many = http_header(x, STR("x-many"));
    struct str name, value;
    size_t n = (size_t)snprintf(t.seen, sizeof t.seen, "peer=%s unix=%d q=%.*s%s many=%.*s path=%.*s",
                                x->peer.text, x->peer.is_unix, STR_ARG(q), q.p == NULL ? "-" : "",
                                STR_ARG(many), STR_ARG(x->path));
    size_t at = 0;
    while (http_query_next(x, &at, &name, &value))
        n += (size_t)snprintf(t.seen + n, sizeof t.seen - n, " %.*s:%.*s", STR_ARG(name),
                              STR_ARG(value));
    http_reply(x, 200, STR("text/plain"), str_n(t.seen, n));
}

static void on_big(struct http_exchange *x)
{
    http_reply(x, 200, STR("application/octet-stream"), str_n(t.big, BIG));
}

static void on_headers(struct http_exchange *x)
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

static void on_problem(struct http_exchange *x)
{
    struct field_errors e = {.arena = x->arena};
    struct str which = http_query(x, STR("kind"));
    if (str_eq(which, STR("inside"))) {
        http_problem(x, ERR(CRYPTO, "secret detail"), "secret detail");
    } else if (str_eq(which, STR("busy"))) {
        http_problem(x, ERR(RATE_LIMITED, "x"), "slow \"down\"");
    } else {
        e.list[e.n++] = (struct field_error){STR("amount"), "required", "is missing"};
        if (str_eq(which, STR("two")))
            e.list[e.n++] = (struct field_error){STR("customer.phone"), "format", "is no number"};
        http_problem_fields(x, ERR(VALIDATION, "x"), NULL, &e);
    }
}

static void up_data(void *ctx, struct str bytes)
{
    (void)ctx;
    buf_str(&t.upgraded_in, bytes);
}

static void up_end(void *ctx, struct err err)
{
    (void)ctx;
    (void)err;
    stream_close(t.upgraded);
    t.upgraded = NULL;
}

static void take_upgrade(struct http_exchange *x)
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

static void on_abort(struct http_exchange *x)
{
    http_abort(x, http_query(x, STR("raw")));
}

static bool before(struct http_exchange *x)
{
    t.n_before++;
    if (!str_eq(http_header(x, STR("x-deny")), STR("1")))
        return true;
    http_problem(x, ERR(UNAUTHENTICATED, "x"), "denied");
    return false;
}

static void after(struct http_exchange *x, int status)
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
    {HTTP_GET_, "/headers", on_headers, 0},
    {HTTP_GET_, "/problem", on_problem, 0},
    {HTTP_GET_, "/upgrade", take_upgrade, 0},
    {HTTP_GET_, "/abort", on_abort, 0},
    {0, NULL, NULL, 0},
};

/* ---- turning the loop ---- */

static void stop(void *ctx)
{
    (void)ctx;
    loop_stop(t.loop);
}

static void turn(void)
{
    struct timer timer = {0};
    timer_set(t.loop, &timer, 1000, stop, NULL);
    loop_run(t.loop);
    timer_off(t.loop, &timer);
}

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        int left_ = PATIENCE;                                                                      \
        while (!(cond) && left_-- > 0)                                                             \
            turn();                                                                                \
        assert_true(cond);                                                                         \
    } while (0)

static struct http_server_options options(void)
{
    return (struct http_server_options){.routes = routes, .before = before, .after = after};
}

static void serve(const struct http_server_options *o)
{
    assert_false(err_is(http_server_new(t.loop, o, &t.server)));
    assert_false(err_is(http_server_listen(t.server, STR("127.0.0.1:0"))));
    assert_true(http_server_port(t.server) > 0);
}

static void serve_default(void)
{
    struct http_server_options o = options();
    serve(&o);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    buf_init(&t.upgraded_in, 1 << 20);
    t.big = malloc(BIG);
    for (int i = 0; i < BIG; i++)
        t.big[i] = (char)('a' + i % 26);
    return err_is(loop_new(&t.loop));
}

static void on_drained(void *ctx)
{
    (void)ctx;
    t.drained = true;
}

static int teardown(void **state)
{
    (void)state;
    if (t.upgraded != NULL)
        stream_close(t.upgraded);
    http_server_free(t.server);
    for (int i = 0; i < t.n_held; i++)
        if (t.held[i] != NULL)
            on_hello(t.held[i]); /* into the void */
    loop_run(t.loop); /* returns when nothing is open any more */
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

static struct client client_to(const struct sockaddr *a, socklen_t len, int rcvbuf)
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

static struct client client_with(int rcvbuf)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)http_server_port(t.server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return client_to((const struct sockaddr *)&a, sizeof a, rcvbuf);
}

static struct client client(void)
{
    return client_with(0);
}

static void client_close(struct client *c)
{
    close(c->fd);
    buf_free(&c->in);
}

static void say(struct client *c, struct str s)
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

static void say_c(struct client *c, const char *text)
{
    say(c, str_c(text));
}

static bool hear(struct client *c)
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
static const char *header(const char *name)
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

static bool take_reply(struct client *c, bool no_body)
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

static void answer_of(struct client *c, bool no_body)
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

static void expect(struct client *c, int status)
{
    r.status = 0;
    answer_of(c, false);
    assert_int_equal(r.status, status);
}

static void expect_closed(struct client *c)
{
    int left = PATIENCE;
    while (!c->closed && left-- > 0)
        if (!hear(c))
            turn();
    assert_true(c->closed);
    assert_int_equal(c->in.n, 0);
}

static void expect_body(const char *body)
{
    assert_string_equal(r.body, body);
}

#define HOST "Host: x\r\n"

/* ---- tests ---- */

static void test_hello(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    for (int i = 0; i < 3; i++) { /* keep-alive */
        say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        expect(&c, 200);
        expect_body("{\"ok\":true}");
    }
    assert_string_equal(header("Content-Type"), "application/json");
    assert_string_equal(header("X-Content-Type-Options"), "nosniff");
    assert_string_equal(header("Referrer-Policy"), "no-referrer");
    assert_string_equal(header("X-Frame-Options"), "DENY");
    assert_string_equal(header("Content-Security-Policy"),
                        "default-src 'none'; frame-ancestors 'none'");
    assert_string_equal(header("Cache-Control"), "no-store");
    assert_int_equal(strlen(header("X-Request-Id")), 36);
    assert_int_equal(strlen(header("Date")), 29);
    assert_null(header("Connection"));
    assert_null(header("Strict-Transport-Security"));
    assert_null(header("Vary"));
    assert_int_equal(t.n_before, 3);
    assert_int_equal(t.n_after, 3);
    assert_int_equal(http_server_n_connections(t.server), 1);
    client_close(&c);
    UNTIL(http_server_n_connections(t.server) == 0);
}

static void test_date_is_now(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    struct tm tm = {0};
    assert_non_null(strptime(header("Date"), "%a, %d %b %Y %H:%M:%S GMT", &tm));
    int wday = tm.tm_wday;
    int64_t apart = (int64_t)time(NULL) - (int64_t)timegm(&tm);
    assert_in_range(apart + 5, 0, 10);
    assert_int_equal(wday, tm.tm_wday); /* timegm computes it again */
    client_close(&c);
}

static void test_request_id(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        bool taken;
    } cases[] = {{"abc", true},
                 {"A-z_0.9", true},
                 {"", false},
                 {"a b", false},
                 {"a\"b", false},
                 {"0123456789012345678901234567890123456789012345678901234567890123", true},
                 {"01234567890123456789012345678901234567890123456789012345678901234", false}};
    serve_default();
    struct client c = client();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: %s\r\n\r\n",
                 cases[i].id);
        say_c(&c, text);
        expect(&c, 200);
        assert_int_equal(strcmp(header("X-Request-Id"), cases[i].id) == 0, cases[i].taken);
    }
    client_close(&c);
}

/* Out of order completion, answers in order. */
static void test_pipelined(void **state)
{
    (void)state;
    serve_default();
    struct client c = client(), d = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "X-Request-Id: one\r\n\r\n"
              "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: two\r\n\r\n"
              "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nX-Request-Id: three\r\n\r\nabc"
              "GET /hold HTTP/1.1\r\n" HOST "X-Request-Id: four\r\n\r\n");
    UNTIL(t.n_held == 1);
    say_c(&d, "GET /hold HTTP/1.1\r\n" HOST "X-Request-Id: other\r\n\r\n");
    UNTIL(t.n_held == 2);
    for (int i = 0; i < 5; i++)
        turn();
    assert_false(hear(&c)); /* nothing may overtake the first */
    http_reply_json(t.held[1], 200, STR("1"));
    expect(&d, 200);
    assert_string_equal(header("X-Request-Id"), "other");
    http_reply_json(t.held[0], 202, STR("2"));
    expect(&c, 202);
    assert_string_equal(header("X-Request-Id"), "one");
    expect(&c, 200);
    assert_string_equal(header("X-Request-Id"), "two");
    expect(&c, 201);
    assert_string_equal(header("X-Request-Id"), "three");
    expect_body("abc");
    UNTIL(t.n_held == 3);
    http_problem(t.held[2], ERR(CONFLICT, "x"), NULL);
    expect(&c, 409);
    assert_string_equal(header("X-Request-Id"), "four");
    t.n_held = 0;
    client_close(&c);
    client_close(&d);
}

static void test_many_pipelined(void **state)
{
    (void)state;
    enum { N = 3000 };
    serve_default();
    struct client c = client();
    struct buf all;
    buf_init(&all, 1 << 20);
    for (int i = 0; i < N; i++)
        buf_fmt(&all, "\r\nGET /hello HTTP/1.1\r\n" HOST "X-Request-Id: %d\r\n\r\n", i);
    say(&c, buf_view(&all));
    for (int i = 0; i < N; i++) {
        expect(&c, 200);
        assert_int_equal(atoi(header("X-Request-Id")), i);
    }
    buf_free(&all);
    client_close(&c);
}

static void test_bytes_one_by_one(void **state)
{
    (void)state;
    static const char text[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
                               "\r\nPUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
                               "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    serve_default();
    struct client c = client();
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        say(&c, str_n(text + i, 1));
        turn();
    }
    expect(&c, 201);
    expect_body("hello");
    expect(&c, 201);
    expect_body("abcde");
    expect(&c, 200);
    client_close(&c);
}

/* Cut in two at every place. */
static void test_bytes_in_two_parts(void **state)
{
    (void)state;
    static const char text[] = "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n0\r\nX: y\r\n\r\n"
                               "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi";
    serve_default();
    struct client c = client();
    for (size_t i = 1; i + 1 < sizeof text; i++) {
        say(&c, str_n(text, i));
        turn();
        say(&c, str_n(text + i, sizeof text - 1 - i));
        expect(&c, 201);
        expect_body("abc");
        expect(&c, 201);
        expect_body("hi");
    }
    client_close(&c);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
        const char *code;
    } cases[] = {
        {"GET / HTTP/1.1\nHost: x\n\n", 400, "bad_request"},
        {"GET /hello HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400, "bad_request"},
        {"GET /hello HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400, "bad_request"},
        {"GET /hello HTTP/1.1\r\n\r\n", 400, "bad_request"},
        {"GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", 400, "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400,
         "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\n", 400, "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400,
         "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400,
         "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400,
         "bad_request"},
        {"GET http://x/hello HTTP/1.1\r\n" HOST "\r\n", 400, "bad_request"},
        {"CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", 400, "bad_request"},
        {"GET /hello HTTP/3.0\r\n" HOST "\r\n", 505, "http_version_not_supported"},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 413, "body_too_large"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413,
         "body_too_large"},
        {"POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", 404,
         "not_found"},
        {"BREW /hello HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed"},
        {"TRACE /nowhere HTTP/1.1\r\n" HOST "\r\n", 404, "not_found"},
    };
    serve_default();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c = client();
        char code[64];
        say_c(&c, cases[i].text);
        say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); /* must not be answered */
        expect(&c, cases[i].status);
        snprintf(code, sizeof code, "\"code\":\"%s\"", cases[i].code);
        assert_non_null(strstr(r.body, code));
        assert_string_equal(header("Content-Type"), "application/problem+json");
        assert_string_equal(header("Connection"), "close");
        assert_string_equal(header("X-Content-Type-Options"), "nosniff");
        expect_closed(&c);
        client_close(&c);
    }
    assert_int_equal(t.n_before, 0);
    assert_int_equal(t.n_after, COUNT_OF(cases));
    UNTIL(http_server_n_connections(t.server) == 0);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[20000];
    serve_default();
    struct client c = client();
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    say(&c, str_n(text, 9000));
    expect(&c, 414);
    expect_closed(&c);
    client_close(&c);
    c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "X: ");
    say(&c, str_n(text, 17000));
    expect(&c, 431);
    expect_closed(&c);
    client_close(&c);
    c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 100; i++)
        say_c(&c, "A: b\r\n");
    expect(&c, 431);
    expect_closed(&c);
    client_close(&c);
}

static void test_largest_body(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    char *body = malloc(MIB);
    memset(body, 'x', MIB);
    serve_default();
    struct client c = client();
    for (int chunked = 0; chunked < 2; chunked++) {
        say_c(&c, chunked ? "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n100000\r\n"
                          : "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
        say(&c, str_n(body, MIB));
        if (chunked)
            say_c(&c, "\r\n0\r\n\r\n");
        int left = PATIENCE;
        while (c.in.n < MIB && left-- > 0)
            if (!hear(&c))
                turn();
        size_t end = str_find_str(buf_view(&c.in), STR("\r\n\r\n"));
        assert_true(end != SIZE_MAX && str_starts(buf_view(&c.in), STR("HTTP/1.1 201 ")));
        while (c.in.n < end + 4 + MIB && left-- > 0)
            if (!hear(&c))
                turn();
        assert_int_equal(c.in.n, end + 4 + MIB);
        assert_memory_equal(c.in.p + end + 4, body, MIB);
        buf_reset(&c.in);
    }
    /* One more, in many chunks: refused as soon as it is too much, though it is being sent. */
    say_c(&c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1025; i++) {
        say_c(&c, "400\r\n");
        say(&c, str_n(body, 1024));
        say_c(&c, "\r\n");
    }
    expect(&c, 413);
    expect_closed(&c);
    client_close(&c);
    free(body);
}

static void test_continue(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    expect(&c, 100);
    say_c(&c, "ok");
    expect(&c, 201);
    expect_body("ok");
    say_c(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nno");
    expect(&c, 201); /* the body was there already */
    client_close(&c);
}

static void test_get_with_body_and_unknown_path(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nGET /"
              "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nPOST "
              "DELETE /hello HTTP/1.1\r\n" HOST "\r\n"
              "GET /hello/ HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    expect(&c, 404);
    assert_null(header("Connection"));
    expect(&c, 405);
    assert_string_equal(header("Allow"), "GET, HEAD, OPTIONS");
    expect(&c, 200);
    client_close(&c);
}

static void test_head(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "HEAD /hello HTTP/1.1\r\n" HOST "\r\nHEAD /nowhere HTTP/1.1\r\n" HOST "\r\n");
    answer_of(&c, true);
    assert_int_equal(r.status, 200);
    assert_string_equal(header("Content-Length"), "11");
    answer_of(&c, true);
    assert_int_equal(r.status, 404);
    assert_true(atoi(header("Content-Length")) > 10);
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); /* still in step */
    expect(&c, 200);
    client_close(&c);
}

static void test_options_and_cors(void **state)
{
    (void)state;
    struct http_server_options o = options();
    o.cors_origins = STR("https://shop.example, http://localhost:3000");
    o.server_headers = STR("Strict-Transport-Security: max-age=1\r\n");
    serve(&o);
    struct client c = client();
    say_c(&c, "OPTIONS /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 204);
    assert_string_equal(header("Allow"), "GET, HEAD, OPTIONS");
    assert_string_equal(header("Vary"), "Origin");
    assert_string_equal(header("Strict-Transport-Security"), "max-age=1");
    assert_null(header("Content-Length"));
    assert_null(header("Access-Control-Allow-Origin"));
    say_c(&c, "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: http://localhost:3000\r\n"
              "Access-Control-Request-Method: PUT\r\n\r\n");
    expect(&c, 204);
    assert_string_equal(header("Access-Control-Allow-Origin"), "http://localhost:3000");
    assert_string_equal(header("Access-Control-Allow-Methods"), "POST, PUT, OPTIONS");
    assert_non_null(strstr(header("Access-Control-Allow-Headers"), "Idempotency-Key"));
    assert_string_equal(header("Access-Control-Max-Age"), "600");
    say_c(&c, "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: http://localhost:3001\r\n"
              "Access-Control-Request-Method: PUT\r\n\r\n");
    expect(&c, 204);
    assert_null(header("Access-Control-Allow-Origin"));
    assert_null(header("Access-Control-Allow-Methods"));
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "Origin: https://shop.example\r\n\r\n");
    expect(&c, 200);
    assert_string_equal(header("Access-Control-Allow-Origin"), "https://shop.example");
    assert_non_null(strstr(header("Access-Control-Expose-Headers"), "Retry-After"));
    say_c(&c, "OPTIONS /nowhere HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 404);
    say_c(&c, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 204);
    client_close(&c);
}

static void test_params_and_query(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int status;
        const char *body; /* NULL: not looked at */
    } cases[] = {
        {"/params/a/b", 200, "a|b"},
        {"/params/a%20b/%C3%A4/", 200, "a b|\xc3\xa4"},
        {"/params/a%2Fb/+", 200, "a/b|+"},
        {"/params/%00/b", 400, NULL},
        {"/params/%/b", 400, NULL},
        {"/params/a/%ff", 400, NULL},
        {"/hello?a=%00", 400, NULL},
        {"/hello?a=%zz", 400, NULL},
        {"/params//b", 404, NULL},
        {"/seen?q=1&q=2&&x=a+b%26c&=v&flag", 200,
         "peer=127.0.0.1 unix=0 q=1 many= path=/seen q:1 q:2 x:a b&c :v flag:"},
        {"/seen?qq=1", 200, "peer=127.0.0.1 unix=0 q=- many= path=/seen qq:1"},
        {"/seen?q=", 200, "peer=127.0.0.1 unix=0 q= many= path=/seen q:"},
        {"/seen?", 200, "peer=127.0.0.1 unix=0 q=- many= path=/seen"},
    };
    serve_default();
    struct client c = client();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
        say_c(&c, text);
        expect(&c, cases[i].status);
        if (cases[i].body != NULL)
            expect_body(cases[i].body);
    }
    say_c(&c, "GET /seen HTTP/1.1\r\n" HOST "X-Many: a\r\nx-MANY: b, c\r\nX-Many: d\r\n\r\n");
    expect(&c, 200);
    assert_non_null(strstr(r.body, "many=a, b, c, d "));
    client_close(&c);
}

static void test_forwarded_for(void **state)
{
    (void)state;
    static const struct {
        const char *trusted, *lines, *peer;
    } cases[] = {
        {"", "X-Forwarded-For: 1.1.1.1\r\n", "127.0.0.1"},
        {"10.0.0.0/8", "X-Forwarded-For: 1.1.1.1\r\n", "127.0.0.1"},
        {"127.0.0.0/8", "", "127.0.0.1"},
        {"127.0.0.0/8", "X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1"},
        {"127.0.0.0/8", "X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n", "1.1.1.1"},
        {"127.0.0.0/8,10.0.0.0/8", "X-Forwarded-For: 6.6.6.6, 1.1.1.1:99 , 10.0.0.1\r\n", "1.1.1.1"},
        {"127.0.0.0/8,10.0.0.0/8", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.0.0.1\r\n",
         "1.1.1.1"},
        {"127.0.0.0/8", "X-Forwarded-For: 6.6.6.6, nonsense\r\n", "127.0.0.1"},
        {"127.0.0.0/8", "X-Forwarded-For: 6.6.6.6,\r\n", "127.0.0.1"},
        {"127.0.0.0/8", "X-Forwarded-For: [2001:db8::1]:7\r\n", "2001:db8::1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_server_options o = options();
        o.trusted_proxies = str_c(cases[i].trusted);
        serve(&o);
        struct client c = client();
        char text[256], want[128];
        snprintf(text, sizeof text, "GET /seen HTTP/1.1\r\n" HOST "%s\r\n", cases[i].lines);
        snprintf(want, sizeof want, "peer=%s unix=0 ", cases[i].peer);
        say_c(&c, text);
        expect(&c, 200);
        assert_memory_equal(r.body, want, strlen(want));
        client_close(&c);
        http_server_free(t.server);
        t.server = NULL;
    }
}

static void test_unix_socket(void **state)
{
    (void)state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/tmp/reli_http_test_%d.sock", (int)getpid());
    struct http_server_options o = options();
    o.trusted_proxies = STR("unix");
    assert_false(err_is(http_server_new(t.loop, &o, &t.server)));
    char address[128];
    snprintf(address, sizeof address, "unix:%s, 127.0.0.1:0", a.sun_path);
    assert_false(err_is(http_server_listen(t.server, str_c(address))));
    assert_true(http_server_port(t.server) > 0);
    struct client c = client_to((const struct sockaddr *)&a, sizeof a, 0);
    say_c(&c, "GET /seen HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    assert_non_null(strstr(r.body, "peer=unix unix=1 "));
    say_c(&c, "GET /seen HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1\r\n\r\n");
    expect(&c, 200);
    assert_non_null(strstr(r.body, "peer=1.1.1.1 unix=0 "));
    client_close(&c);
    unlink(a.sun_path);
}

static void test_answer_headers(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /headers HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 204);
    assert_string_equal(header("X-One"), "second");
    assert_null(strstr(r.head, "first"));
    assert_non_null(strstr(r.head, "Set-Cookie: a=1\r\n"));
    assert_non_null(strstr(r.head, "Set-Cookie: b=2\r\n"));
    assert_string_equal(header("Cache-Control"), "public");
    assert_null(strstr(r.head, "no-store"));
    assert_string_equal(header("X-Frame-Options"), "DENY");
    assert_null(header("X-Evil"));
    assert_null(header("X-Split"));
    assert_null(header("X-Nul"));
    assert_null(header("X Bad"));
    assert_null(header("Content-Length"));
    assert_null(header("Content-Type"));
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); /* nothing of it is left */
    expect(&c, 200);
    assert_null(header("X-One"));
    assert_string_equal(header("Cache-Control"), "no-store");
    client_close(&c);
}

static void test_problems(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /problem HTTP/1.1\r\n" HOST "X-Request-Id: r1\r\n\r\n");
    expect(&c, 422);
    expect_body("{\"type\":\"/docs/errors#validation_failed\",\"title\":\"The request has invalid "
                "fields\",\"status\":422,\"detail\":\"The request has invalid fields\",\"code\":"
                "\"validation_failed\",\"param\":\"amount\",\"errors\":[{\"param\":\"amount\","
                "\"code\":\"required\",\"message\":\"is missing\"}],\"request_id\":\"r1\"}");
    say_c(&c, "GET /problem?kind=two HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 422);
    assert_null(strstr(r.body, "\"code\":\"validation_failed\",\"param\""));
    assert_non_null(strstr(r.body, "\"param\":\"customer.phone\""));
    say_c(&c, "GET /problem?kind=inside HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 500);
    assert_non_null(strstr(r.body, "\"code\":\"internal\""));
    assert_null(strstr(r.body, "secret"));
    say_c(&c, "GET /problem?kind=busy HTTP/1.1\r\n" HOST "X-Request-Id: r2\r\n\r\n");
    expect(&c, 429);
    assert_string_equal(header("Retry-After"), "1");
    assert_non_null(strstr(r.body, "\"detail\":\"slow \\\"down\\\"\""));
    assert_non_null(strstr(r.body, "\"request_id\":\"r2\""));
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "X-Deny: 1\r\n\r\n");
    expect(&c, 401);
    client_close(&c);
}

static void test_old_http(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(&c, 200);
    assert_string_equal(header("Connection"), "keep-alive");
    say_c(&c, "GET /hello HTTP/1.0\r\n\r\n");
    expect(&c, 200);
    assert_string_equal(header("Connection"), "close");
    expect_closed(&c);
    client_close(&c);
    c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "Connection: x, close\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
    expect(&c, 200);
    expect_closed(&c);
    client_close(&c);
}

static void test_timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status; /* 0: closed without a word */
    } cases[] = {
        {"", 0},
        {"\r\n\r\n", 0},
        {"G", 408},
        {"GET /hello HTTP/1.1\r\nHost: x\r\nX", 408},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc", 408},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", 408},
        {"GET /hello HTTP/1.1\r\n" HOST "\r\n", 200},
        {"GET /hello HTTP/1.1\r\n" HOST "\r\nGET", 208},
    };
    struct http_server_options o = options();
    o.head_timeout_us = 30 * US_PER_MS;
    o.request_timeout_us = 60 * US_PER_MS;
    o.idle_timeout_us = 50 * US_PER_MS;
    serve(&o);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c = client();
        say_c(&c, cases[i].text);
        if (cases[i].status == 208) { /* one good answer, then the other one times out */
            expect(&c, 200);
            expect(&c, 408);
        } else if (cases[i].status != 0) {
            expect(&c, cases[i].status);
        }
        if (cases[i].status >= 208)
            assert_string_equal(header("Connection"), "close");
        expect_closed(&c);
        client_close(&c);
    }
    /* A handler may take longer than all of these. */
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    int64_t from = loop_mono_us(t.loop);
    UNTIL(loop_mono_us(t.loop) - from > 150 * US_PER_MS);
    on_hello(t.held[0]);
    t.n_held = 0;
    expect(&c, 200);
    client_close(&c);
}

static void test_client_gone(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    assert_false(http_client_gone(t.held[0]));
    struct linger reset = {.l_onoff = 1};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&c);
    UNTIL(http_client_gone(t.held[0]));
    UNTIL(http_server_n_connections(t.server) == 0);
    assert_true(str_eq(t.held[0]->path, STR("/hold"))); /* its memory is still there */
    assert_int_equal(t.n_after, 0);
    on_hello(t.held[0]);
    assert_int_equal(t.n_after, 1);
    t.n_held = 0;
}

/* A client that closes only its side still gets all answers. */
static void test_half_closed(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n"
              "GET /big HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n");
    shutdown(c.fd, SHUT_WR);
    UNTIL(t.n_held == 1 && http_client_gone(t.held[0]));
    http_reply_json(t.held[0], 202, STR("1"));
    t.n_held = 0;
    expect(&c, 202);
    expect(&c, 200);
    expect(&c, 200);
    assert_int_equal(r.n_body, BIG);
    expect_closed(&c);
    client_close(&c);
    UNTIL(http_server_n_connections(t.server) == 0);
}

static void test_half_closed_behind_a_full_queue(void **state)
{
    (void)state;
    enum { N = 40 };
    serve_default();
    struct client c = client_with(4096);
    for (int i = 0; i < N; i++)
        say_c(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    shutdown(c.fd, SHUT_WR);
    for (int i = 0; i < 20; i++)
        turn();
    assert_true(t.n_after < N);
    for (int i = 0; i < N; i++) {
        expect(&c, 200);
        assert_int_equal(r.n_body, BIG);
    }
    expect_closed(&c);
    client_close(&c);
}

/* Nothing is started for a client that does not take its answers; when it does, all come. */
static void test_slow_reader(void **state)
{
    (void)state;
    enum { N = 60 };
    serve_default();
    struct client c = client_with(4096);
    for (int i = 0; i < N; i++)
        say_c(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 20; i++)
        turn();
    int started = t.n_after;
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(t.n_after, started);
    assert_true(started < N);
    for (int i = 0; i < N; i++) {
        expect(&c, 200);
        assert_memory_equal(r.body, t.big, BIG);
    }
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    client_close(&c);
}

static void set_clock(const char *path, const char *shift)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", shift);
    fclose(f);
}

static void test_stalled_reader_is_cut(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/reli_http_clock_%d", (int)getpid());
    set_clock(path, "0s");
    assert_false(err_is(loop_test_clock(t.loop, path)));
    serve_default();
    struct client c = client_with(4096);
    for (int i = 0; i < 60; i++)
        say_c(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    int started = -1; /* until no further one starts */
    for (int same = 0; same < 20; same = t.n_after == started ? same + 1 : 0) {
        started = t.n_after;
        turn();
    }
    assert_true(started > 0 && started < 60);
    assert_int_equal(http_server_n_connections(t.server), 1);
    set_clock(path, "31s");
    UNTIL(http_server_n_connections(t.server) == 0);
    client_close(&c);
    unlink(path);
}

/* While a handler works, no more than a bounded part of what a client sends is read. */
static void test_read_ahead_is_bounded(void **state)
{
    (void)state;
    static const char line[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    size_t taken = 0;
    for (int quiet = 0; quiet < 30;) {
        ssize_t n = send(c.fd, line, sizeof line - 1, MSG_NOSIGNAL);
        if (n > 0) {
            taken += (size_t)n;
            quiet = 0;
            assert_true(taken < 64u << 20); /* else it is swallowed without end */
        } else {
            quiet++;
            turn();
        }
    }
    assert_true(taken > 16 * 1024);
    http_reply_json(t.held[0], 202, STR("1"));
    t.n_held = 0;
    expect(&c, 202);
    for (size_t i = 0; i < taken / (sizeof line - 1); i++)
        expect(&c, 200);
    client_close(&c);
}

static void test_too_many_connections(void **state)
{
    (void)state;
    struct http_server_options o = options();
    o.max_connections = 2;
    serve(&o);
    struct client a = client(), b = client();
    UNTIL(http_server_n_connections(t.server) == 2);
    struct client c = client();
    expect(&c, 503);
    assert_string_equal(header("Retry-After"), "1");
    assert_non_null(strstr(r.body, "\"code\":\"overloaded\""));
    expect_closed(&c);
    client_close(&c);
    say_c(&a, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&a, 200);
    client_close(&a);
    UNTIL(http_server_n_connections(t.server) == 1);
    c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    client_close(&b);
    client_close(&c);
}

#define UPGRADE "Connection: Upgrade\r\nUpgrade: echo\r\n"

static void test_upgrade_with_early_bytes(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /upgrade HTTP/1.1\r\n" HOST UPGRADE "\r\nearly");
    expect(&c, 200);
    r.status = 0;
    answer_of(&c, true);
    assert_int_equal(r.status, 101);
    assert_string_equal(header("Upgrade"), "echo");
    assert_string_equal(header("Connection"), "Upgrade");
    assert_null(header("Content-Length"));
    UNTIL(t.upgraded_in.n == 5);
    assert_int_equal(http_server_n_connections(t.server), 0);
    say_c(&c, "+late");
    UNTIL(t.upgraded_in.n == 10);
    assert_memory_equal(t.upgraded_in.p, "early+late", 10);
    while (c.in.n < 2)
        if (!hear(&c))
            turn();
    assert_memory_equal(c.in.p, "hi", 2);
    client_close(&c);
    UNTIL(t.upgraded == NULL);
}

static void test_upgrade_later(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(t.n_held == 1);
    say_c(&c, "early");
    for (int i = 0; i < 5; i++)
        turn();
    take_upgrade(t.held[0]);
    t.n_held = 0;
    UNTIL(t.upgraded_in.n == 5);
    client_close(&c);
    UNTIL(t.upgraded == NULL);
}

static void test_upgrade_refused(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST UPGRADE "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200); /* another answer: what follows may be of any protocol */
    assert_string_equal(header("Connection"), "close");
    expect_closed(&c);
    client_close(&c);
    c = client();
    say_c(&c, "GET /upgrade HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 400);
    assert_null(t.upgraded);
    client_close(&c);
    c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(t.n_held == 1);
    client_close(&c);
    UNTIL(http_client_gone(t.held[0]));
    take_upgrade(t.held[0]);
    assert_null(t.upgraded);
    t.n_held = 0;
    UNTIL(http_server_n_connections(t.server) == 0);
}

static void test_abort(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /abort HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect_closed(&c);
    client_close(&c);
    c = client();
    say_c(&c, "GET /abort?raw=HTTP/1.1+200 HTTP/1.1\r\n" HOST "\r\n");
    while (c.in.n < 12)
        if (!hear(&c))
            turn();
    assert_memory_equal(c.in.p, "HTTP/1.1 200", 12);
    buf_reset(&c.in);
    expect_closed(&c);
    client_close(&c);
    assert_int_equal(t.last_status, 0);
}

static void test_drain_idle(void **state)
{
    (void)state;
    serve_default();
    struct client c = client(), d = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    UNTIL(http_server_n_connections(t.server) == 2);
    http_server_drain(t.server, 5 * US_PER_S, on_drained, NULL);
    assert_false(t.drained); /* never from within the call */
    UNTIL(t.drained);
    expect_closed(&c);
    expect_closed(&d);
    client_close(&c);
    client_close(&d);
}

static void test_drain_busy(void **state)
{
    (void)state;
    serve_default();
    struct client c = client(), d = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    say_c(&d, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    UNTIL(t.n_held == 1 && http_server_n_connections(t.server) == 2);
    for (int i = 0; i < 5; i++)
        turn();
    http_server_drain(t.server, 5 * US_PER_S, on_drained, NULL);
    say_c(&d, "b"); /* what has begun may end */
    expect(&d, 201);
    assert_string_equal(header("Connection"), "close");
    expect_closed(&d);
    for (int i = 0; i < 5; i++)
        turn();
    assert_false(t.drained);
    on_hello(t.held[0]);
    t.n_held = 0;
    expect(&c, 200);
    assert_string_equal(header("Connection"), "close");
    expect_closed(&c);
    UNTIL(t.drained);
    client_close(&c);
    client_close(&d);
}

static void test_drain_waits_for_orphans(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    struct linger reset = {.l_onoff = 1};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&c);
    UNTIL(http_server_n_connections(t.server) == 0);
    http_server_drain(t.server, 5 * US_PER_S, on_drained, NULL);
    for (int i = 0; i < 5; i++)
        turn();
    assert_false(t.drained); /* a payment may be under way */
    on_hello(t.held[0]);
    t.n_held = 0;
    UNTIL(t.drained);
}

static void test_drain_timeout(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    http_server_drain(t.server, 20 * US_PER_MS, on_drained, NULL);
    UNTIL(t.drained);
    expect_closed(&c);
    client_close(&c);
    /* The exchange outlives the server. */
    http_server_free(t.server);
    t.server = NULL;
    turn();
    assert_true(str_eq(t.held[0]->path, STR("/hold")));
    on_hello(t.held[0]);
    t.n_held = 0;
    assert_int_equal(t.n_after, 0); /* whoever was to be told may be gone */
}

static void test_bad_options(void **state)
{
    (void)state;
    static const struct route twice[] = {{HTTP_GET_, "/a", on_hello, 0},
                                         {HTTP_GET_, "/a", on_hello, 0},
                                         {0, NULL, NULL, 0}};
    struct http_server_options bad[5];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        bad[i] = options();
    bad[0].routes = twice;
    bad[1].trusted_proxies = STR("10.0.0.0/99");
    bad[2].cors_origins = STR("*");
    bad[3].server_headers = STR("X: y");
    bad[4].max_head = 1 << 20;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct http_server *s;
        assert_int_equal(http_server_new(t.loop, &bad[i], &s).code, ERR_CONFIG);
        assert_null(s);
    }
}

static void test_metrics(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 20);
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    expect(&c, 404);
    metric_print(&out);
    buf_char(&out, '\0');
    assert_non_null(strstr(out.p, "reli_http_requests_total{class=\"2xx\"} "));
    assert_non_null(strstr(out.p, "reli_http_requests_total{class=\"4xx\"} "));
    assert_non_null(strstr(out.p, "reli_http_connections 1\n"));
    assert_non_null(strstr(out.p, "reli_http_request_seconds_count "));
    buf_free(&out);
    client_close(&c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hello),
        TEST(test_date_is_now),
        TEST(test_request_id),
        TEST(test_pipelined),
        TEST(test_many_pipelined),
        TEST(test_bytes_one_by_one),
        TEST(test_bytes_in_two_parts),
        TEST(test_refused),
        TEST(test_limits),
        TEST(test_largest_body),
        TEST(test_continue),
        TEST(test_get_with_body_and_unknown_path),
        TEST(test_head),
        TEST(test_options_and_cors),
        TEST(test_params_and_query),
        TEST(test_forwarded_for),
        TEST(test_unix_socket),
        TEST(test_answer_headers),
        TEST(test_problems),
        TEST(test_old_http),
        TEST(test_timeouts),
        TEST(test_client_gone),
        TEST(test_half_closed),
        TEST(test_half_closed_behind_a_full_queue),
        TEST(test_slow_reader),
        TEST(test_stalled_reader_is_cut),
        TEST(test_read_ahead_is_bounded),
        TEST(test_too_many_connections),
        TEST(test_upgrade_with_early_bytes),
        TEST(test_upgrade_later),
        TEST(test_upgrade_refused),
        TEST(test_abort),
        TEST(test_drain_idle),
        TEST(test_drain_busy),
        TEST(test_drain_waits_for_orphans),
        TEST(test_drain_timeout),
        TEST(test_bad_options),
        TEST(test_metrics),
    };
    log_open(STDERR_FILENO, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
