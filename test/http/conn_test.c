/* Connections: order of answers, pieces of any size, deadlines, slow and vanishing clients,
 * upgrades, the end of the server. */
#include "test/http/harness.h"

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

static struct {
    int seen, most; /* answers made until the last turn, and in one turn */
} per_turn;

static void count_turn(void *ctx)
{
    (void)ctx;
    int n = t.n_after - per_turn.seen;
    per_turn.seen = t.n_after;
    if (n > per_turn.most)
        per_turn.most = n;
}

/* A client with thousands of requests in its pocket gets all answers, but not the loop for itself.
 */
static void test_many_pipelined(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct turn_hook hook = {0};
    serve_default();
    per_turn.seen = per_turn.most = 0;
    loop_hook_add(t.loop, &hook, count_turn, NULL);
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
    assert_in_range(per_turn.most, 2, 200);
    loop_hook_remove(t.loop, &hook);
    buf_free(&all);
    client_close(&c);
}

static void test_bytes_one_by_one(void **state)
{
    (void)state;
    static const char text[] =
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
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

/* The client goes away behind each byte of what it says; nothing may be left of it. */
static void test_gone_behind_each_byte(void **state)
{
    (void)state;
    static const char text[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                               "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
                               "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n0\r\n\r\n";
    serve_default();
    for (size_t i = 0; i < 2 * sizeof text; i++) {
        struct client c = client();
        struct linger reset = {.l_onoff = 1};
        if (i % 2 == 0)
            setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        say(&c, str_first(str_c(text), i / 2));
        turn();
        client_close(&c);
    }
    UNTIL(http_server_n_connections(t.server) == 0);
    http_server_drain(t.server, DRAIN_US, on_drained, NULL);
    UNTIL(t.drained);
}

static void test_handler_answers_others(void **state)
{
    (void)state;
    serve_default();
    struct client c = client(), d = client();
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    say_c(&d, "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /release HTTP/1.1\r\n" HOST "\r\n"
              "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nz");
    expect(&d, 200);
    expect_body("{\"ok\":true}");
    expect(&d, 200);
    expect_body("{}");
    expect(&d, 201);
    expect(&c, 202);
    expect(&c, 200);
    client_close(&c);
    client_close(&d);
}

static void test_drain_from_a_handler(void **state)
{
    (void)state;
    serve_default();
    struct client c = client(), d = client();
    say_c(&c, "GET /drain HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    assert_string_equal(header("Connection"), "close");
    expect_closed(&c);
    expect_closed(&d);
    UNTIL(t.drained);
    client_close(&c);
    client_close(&d);
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
    o.head_timeout_us = 240 * US_PER_MS; /* a machine may stand still for a while */
    o.request_timeout_us = 480 * US_PER_MS;
    o.idle_timeout_us = 400 * US_PER_MS;
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
    UNTIL(loop_mono_us(t.loop) - from > 600 * US_PER_MS);
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

/* The stream cannot tell any more when its queue is empty: the connection has to look. */
static void test_half_closed_behind_a_full_queue(void **state)
{
    (void)state;
    enum { N = 40 };
    serve_default();
    struct client c = client_with(4096);
    say_c(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < N; i++)
        say_c(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    shutdown(c.fd, SHUT_WR);
    UNTIL(t.n_held == 1 && http_client_gone(t.held[0]));
    on_hello(t.held[0]);
    t.n_held = 0;
    for (int i = 0; i < 20; i++)
        turn();
    assert_true(t.n_after < N);
    expect(&c, 200);
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
    /* The last answer comes whole too, then the end. */
    for (int i = 0; i < N; i++)
        say_c(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    say_c(&c, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    for (int i = 0; i <= N; i++) {
        expect(&c, 200);
        assert_memory_equal(r.body, t.big, BIG);
    }
    expect_closed(&c);
    client_close(&c);
}

static struct {
    char path[64];
    int shift_s;
} test_clock;

static void clock_write(int shift_s)
{
    FILE *f = fopen(test_clock.path, "w");
    assert_non_null(f);
    fprintf(f, "%ds\n", shift_s);
    fclose(f);
    test_clock.shift_s = shift_s;
}

static void clock_start(void)
{
    snprintf(test_clock.path, sizeof test_clock.path, "/tmp/reli_http_clock_%d", (int)getpid());
    clock_write(0);
    assert_false(err_is(loop_test_clock(t.loop, test_clock.path)));
}

static void clock_advance(int seconds)
{
    int64_t from = loop_mono_us(t.loop);
    clock_write(test_clock.shift_s + seconds);
    UNTIL(loop_mono_us(t.loop) - from >= seconds * US_PER_S);
}

/* In whatever state the connection is: between requests, or with its last answer on the way. */
static void test_stalled_reader_is_cut(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /huge HTTP/1.1\r\n" HOST "\r\n",
        "GET /huge HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
    };
    clock_start();
    serve_default();
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        struct client c = client_with(4096);
        say_c(&c, requests[i]);
        UNTIL(t.n_after == (int)i + 1);
        clock_advance(25);
        turn();
        assert_int_equal(http_server_n_connections(t.server), 1); /* 25 s are not 30 */
        clock_advance(6);
        UNTIL(http_server_n_connections(t.server) == 0);
        client_close(&c);
    }
    unlink(test_clock.path);
}

/* Two minutes for one answer are no fault in someone who keeps taking bytes. */
static void test_slow_but_steady_reader(void **state)
{
    (void)state;
    static char sink[1 << 20];
    clock_start();
    serve_default();
    struct client c = client_with(4096);
    say_c(&c, "GET /huge HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    size_t got = 0;
    for (int i = 1; i <= 6; i++) {
        for (size_t until = got + HUGE / 8; got < until;) {
            ssize_t n = recv(c.fd, sink, sizeof sink, 0);
            assert_true(n > 0 || (n < 0 && errno == EAGAIN));
            if (n > 0)
                got += (size_t)n;
            else
                turn();
        }
        clock_advance(20);
    }
    for (ssize_t n = 1; n != 0;) {
        n = recv(c.fd, sink, sizeof sink, 0);
        assert_true(n >= 0 || errno == EAGAIN);
        if (n > 0)
            got += (size_t)n;
        else if (n < 0)
            turn();
    }
    assert_in_range(got, HUGE + 100, HUGE + 2000);
    client_close(&c);
    unlink(test_clock.path);
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
    say_c(&a, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 1);
    say_c(&b, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_held == 2);
    struct client c = client();
    expect(&c, 503);
    assert_string_equal(header("Retry-After"), "1");
    assert_non_null(strstr(r.body, "\"code\":\"overloaded\""));
    expect_closed(&c);
    client_close(&c);
    on_hello(t.held[0]);
    expect(&a, 200);
    client_close(&a);
    UNTIL(http_server_n_connections(t.server) == 1);
    c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    on_hello(t.held[1]);
    t.n_held = 0;
    expect(&b, 200);
    client_close(&b);
    client_close(&c);
}

static void say_hello(struct client *c)
{
    say_c(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(c, 200);
}

/* Whoever opens connections and says nothing, or half of something, shuts nobody out. */
static void test_who_waits_longest_makes_room(void **state)
{
    (void)state;
    struct http_server_options o = options();
    o.max_connections = 3;
    serve(&o);
    struct client reader = client(), silent = client();
    say_c(&reader, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(t.n_after == 1); /* and does not read: this one is owed the rest */
    UNTIL(http_server_n_connections(t.server) == 2);
    struct client half = client();
    say_c(&half, "GET /hello HTTP/1.1\r\n");
    UNTIL(http_server_n_connections(t.server) == 3);
    for (int i = 0; i < 5; i++)
        turn();
    struct client a = client();
    say_hello(&a);
    expect_closed(&silent);
    struct client b = client();
    say_hello(&b);
    expect_closed(&half);
    say_hello(&a);
    say_hello(&b);
    struct client c = client();
    say_hello(&c);
    expect_closed(&a);
    say_hello(&b);
    assert_int_equal(http_server_n_connections(t.server), 3);
    struct client *all[] = {&reader, &silent, &half, &a, &b, &c};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        client_close(all[i]);
}

#define UPGRADE "Connection: Upgrade\r\nUpgrade: echo\r\n"

static void test_upgrade_with_early_bytes(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c,
          "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /upgrade HTTP/1.1\r\n" HOST UPGRADE "\r\nearly");
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
    http_server_drain(t.server, DRAIN_US, on_drained, NULL);
    assert_false(t.drained); /* never from within the call */
    UNTIL(t.drained);
    expect_closed(&c);
    expect_closed(&d);
    client_close(&c);
    client_close(&d);
}

/* Between /readyz 503 and the drain: who comes is served, and shall come somewhere else next. */
static void test_lead_away(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    http_server_lead_away(t.server);
    struct client d = client();
    for (struct client *one = &c;; one = &d) {
        say_c(one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        expect(one, 200);
        assert_string_equal(header("Connection"), "close");
        expect_closed(one);
        if (one == &d)
            break;
    }
    client_close(&c);
    client_close(&d);
    http_server_drain(t.server, DRAIN_US, on_drained, NULL);
    UNTIL(t.drained);
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
    http_server_drain(t.server, DRAIN_US, on_drained, NULL);
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
    http_server_drain(t.server, DRAIN_US, on_drained, NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pipelined),
        TEST(test_many_pipelined),
        TEST(test_bytes_one_by_one),
        TEST(test_bytes_in_two_parts),
        TEST(test_gone_behind_each_byte),
        TEST(test_handler_answers_others),
        TEST(test_drain_from_a_handler),
        TEST(test_timeouts),
        TEST(test_client_gone),
        TEST(test_half_closed),
        TEST(test_half_closed_behind_a_full_queue),
        TEST(test_slow_reader),
        TEST(test_stalled_reader_is_cut),
        TEST(test_slow_but_steady_reader),
        TEST(test_read_ahead_is_bounded),
        TEST(test_too_many_connections),
        TEST(test_who_waits_longest_makes_room),
        TEST(test_upgrade_with_early_bytes),
        TEST(test_upgrade_later),
        TEST(test_upgrade_refused),
        TEST(test_abort),
        TEST(test_drain_idle),
        TEST(test_lead_away),
        TEST(test_drain_busy),
        TEST(test_drain_waits_for_orphans),
        TEST(test_drain_timeout),
    };
    log_open(STDERR_FILENO, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
