/* Requests and answers: what is taken, what is refused, what an answer looks like. */
#include "test/http/harness.h"

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
         "0\r\n\r\n",
         400, "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400,
         "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400,
         "bad_request"},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
         400, "bad_request"},
        {"GET ftp://x/hello HTTP/1.1\r\n" HOST "\r\n", 400, "bad_request"},
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

/* Odd, but by the letter: the guards and llhttp must both take it, and the next request stays in
 * step. */
static void test_accepted(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n0002\r\nok\r\n000\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n2;a;b=c\r\nok\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nT: u\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
        "Content-Length: 7\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nX:\r\nY: \t \r\n\r\nok",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0002\r\n\r\nok",
        "\r\n\r\nPOST /echo/ HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok",
        "POST /echo?\"<>^`{|} HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok",
        "POST /echo HTTP/1.1\r\nhost:x\r\n!#$%&'*+-.^_`|~: y\r\nContent-Length: 2\r\n\r\nok",
        "POST /echo HTTP/1.1\r\n" HOST "X: \xc3\xa4\xff\r\nContent-Length: 2\r\n\r\nok",
        "POST /echo HTTP/1.1\r\n" HOST "Connection: keep-alive, x\r\nContent-Length: 2\r\n\r\nok",
        "PUT /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    };
    serve_default();
    struct client c = client();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        say_c(&c, cases[i]);
        r.status = 0;
        answer_of(&c, false);
        if (r.status != 201 || strcmp(r.body, "ok") != 0)
            fail_msg("%d %s", r.status, cases[i]);
    }
    client_close(&c);
    c = client();
    say_c(&c, "POST /echo HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n"
              "Content-Length: 2\r\n\r\nok");
    expect(&c, 201);
    expect_body("ok");
    expect_closed(&c);
    client_close(&c);
}

/* The log names the pattern, never what a client has put into the path. */
static void test_access_log(void **state)
{
    (void)state;
    char path[64], line[4096] = "";
    snprintf(path, sizeof path, "/tmp/reli_http_log_%d", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    log_open(fd, LOG_INFO);
    struct http_server_options o = options();
    o.access_log = true;
    serve(&o);
    struct client c = client();
    say_c(&c, "GET /params/secret-a/secret-b?secret-c HTTP/1.1\r\n" HOST "X-Request-Id: rq\r\n\r\n"
              "DELETE /secret-d HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 200);
    expect(&c, 404);
    log_flush();
    assert_true(pread(fd, line, sizeof line - 1, 0) > 0);
    assert_non_null(strstr(line, "\"event\":\"http.request\",\"request_id\":\"rq\",\"route\":"
                                 "\"/params/{a}/{b}\",\"method\":\"GET\",\"status\":200,"));
    assert_non_null(strstr(line, "\"bytes\":17}"));
    assert_non_null(strstr(line, "\"route\":\"-\",\"method\":\"DELETE\",\"status\":404,"));
    assert_null(strstr(line, "secret"));
    client_close(&c);
    log_open(STDERR_FILENO, LOG_OFF);
    close(fd);
    unlink(path);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[20000];
    serve_default();
    struct client c = client();
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    say(&c, str_n(text, 17000));
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
        say_c(&c, chunked ? "POST /echo HTTP/1.1\r\n" HOST
                            "Transfer-Encoding: chunked\r\n\r\n100000\r\n"
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
        {"127.0.0.0/8,10.0.0.0/8", "X-Forwarded-For: 6.6.6.6, 1.1.1.1:99 , 10.0.0.1\r\n",
         "1.1.1.1"},
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
                "fields\",\"status\":422,\"detail\":\"Mend the fields in errors.\",\"code\":"
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
    say_c(&c, "GET /problem?kind=later HTTP/1.1\r\n" HOST "\r\n");
    expect(&c, 503);
    assert_string_equal(header("Retry-After"), "30");
    say_c(&c, "GET /hello HTTP/1.1\r\n" HOST "X-Deny: 1\r\n\r\n");
    expect(&c, 401);
    client_close(&c);
}

/* Every status; the connection stays in step behind each. */
static void test_each_status(void **state)
{
    (void)state;
    serve_default();
    struct client c = client();
    for (int status = 200; status <= 599; status++) {
        char text[64], body[16] = "";
        snprintf(text, sizeof text, "GET /status/%d HTTP/1.1\r\n" HOST "\r\n", status);
        if (status != 204 && status != 304)
            snprintf(body, sizeof body, "%d", status);
        say_c(&c, text);
        expect(&c, status);
        expect_body(body);
        assert_int_equal(header("Content-Length") != NULL, body[0] != '\0');
        assert_true(r.head[12] == ' ' && r.head[13] > ' '); /* a reason */
    }
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
    say_c(&c,
          "GET /hello HTTP/1.1\r\n" HOST "Connection: x, close\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
    expect(&c, 200);
    expect_closed(&c);
    client_close(&c);
}

static void test_bad_options(void **state)
{
    (void)state;
    static const struct route twice[] = {
        {HTTP_GET_, "/a", on_hello, 0}, {HTTP_GET_, "/a", on_hello, 0}, {0, NULL, NULL, 0}};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hello),
        TEST(test_date_is_now),
        TEST(test_request_id),
        TEST(test_refused),
        TEST(test_accepted),
        TEST(test_access_log),
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
        TEST(test_each_status),
        TEST(test_old_http),
        TEST(test_bad_options),
        TEST(test_metrics),
    };
    log_open(STDERR_FILENO, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
