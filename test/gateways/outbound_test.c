/* Outbound calls against a scripted server: what is known about a request when its call ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/crypto/mac.h"
#include "gateways/outbound.h"
#include "test/gateways/peer.h"

/* One call and what came of it. */
struct seen {
    struct fixture *f;
    int n_done;
    struct outbound_response r;
    char body[1024], type[64];
};

struct fixture {
    struct loop *loop;
    struct outbound *out;
    struct test_peer peer;
    struct timer watchdog;
    int left; /* calls that are not done */
    char url[128];
};

static void too_long(void *ctx)
{
    (void)ctx;
    fail_msg("the test hangs");
}

static void no_script(struct peer_conn *c)
{
    fail_msg("unexpected request: %.*s", STR_ARG(c->request));
}

static void setup_with(struct fixture *f, struct outbound_options o,
                       void (*script)(struct peer_conn *))
{
    memset(f, 0, sizeof *f);
    assert_false(err_is(loop_new(&f->loop)));
    assert_false(err_is(outbound_new(f->loop, &o, &f->out)));
    peer_start(&f->peer, f->loop, script, f);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/path?q=1", f->peer.port);
}

static void setup(struct fixture *f, void (*script)(struct peer_conn *))
{
    setup_with(f, (struct outbound_options){.user_agent = "reli-test"}, script);
}

static void run(struct fixture *f)
{
    timer_set(f->loop, &f->watchdog, 20 * US_PER_S, too_long, NULL);
    loop_run(f->loop);
    timer_off(f->loop, &f->watchdog);
}

static void teardown(struct fixture *f)
{
    outbound_free(f->out);
    peer_stop(&f->peer);
    loop_run(f->loop);
    loop_free(f->loop);
}

static void done(void *ctx, const struct outbound_response *r)
{
    struct seen *s = ctx;
    s->n_done++;
    s->r = *r;
    str_copy_c(s->body, sizeof s->body, r->body);
    str_copy_c(s->type, sizeof s->type, r->content_type);
    if (--s->f->left == 0)
        loop_stop(s->f->loop);
}

static struct outbound_call *start(struct fixture *f, struct outbound_request in, struct seen *s)
{
    struct outbound_call *call = NULL;
    *s = (struct seen){.f = f};
    if (in.method == NULL)
        in.method = "GET";
    if (in.url == NULL)
        in.url = f->url;
    f->left++;
    assert_false(err_is(outbound_start(f->out, &in, done, s, &call)));
    assert_int_equal(s->n_done, 0);
    return call;
}

/* One call from start to end with a script. */
static struct seen call_once(void (*script)(struct peer_conn *), struct outbound_request in)
{
    struct fixture f;
    struct seen s;
    setup(&f, script);
    start(&f, in, &s);
    run(&f);
    assert_int_equal(s.n_done, 1);
    assert_int_equal(outbound_in_flight(f.out), 0);
    teardown(&f);
    assert_int_equal(s.n_done, 1);
    return s;
}

/* ---- answers ---- */

static void say_hello(struct peer_conn *c)
{
    peer_answer(c, "200 OK", "{\"hello\":1}");
}

static void normal(void **state)
{
    (void)state;
    struct seen s = call_once(say_hello, (struct outbound_request){0});
    assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
    assert_int_equal(s.r.status, 200);
    assert_string_equal(s.body, "{\"hello\":1}");
    assert_string_equal(s.type, "application/json");
    assert_true(s.r.error == NULL);
    assert_int_equal(s.r.retry_after_s, -1);
    assert_true(s.r.took_us > 0 && s.r.took_us < 10 * US_PER_S);
}

static char request_seen[2048];

static void note_request(struct peer_conn *c)
{
    str_copy_c(request_seen, sizeof request_seen, c->request);
    say_hello(c);
}

/* The bytes on the wire: method, path, our headers, body; no Expect, no Accept-Encoding. */
static void request_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *method, *body, *start, *end;
    } cases[] = {
        {"GET", "", "GET /path?q=1 HTTP/1.1\r\n", "X-One: 1\r\n\r\n"},
        {"POST", "{\"a\":1}", "POST /path?q=1 HTTP/1.1\r\n", "Content-Length: 7\r\n\r\n{\"a\":1}"},
        {"POST", "", "POST /path?q=1 HTTP/1.1\r\n", "Content-Length: 0\r\n\r\n"},
        {"PUT", "x", "PUT /path?q=1 HTTP/1.1\r\n", "Content-Length: 1\r\n\r\nx"},
        {"DELETE", "", "DELETE /path?q=1 HTTP/1.1\r\n", "X-One: 1\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct seen s = call_once(
            note_request, (struct outbound_request){.method = cases[i].method,
                                                    .n_headers = 2,
                                                    .headers = {"Content-Type: text/x", "X-One: 1"},
                                                    .body = str_c(cases[i].body)});
        struct str r = str_c(request_seen);
        assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
        assert_true(str_starts(r, str_c(cases[i].start)));
        assert_true(str_icontains(r, STR("\r\nX-One: 1\r\n")));
        assert_true(str_icontains(r, STR("\r\nContent-Type: text/x\r\n")));
        assert_true(str_icontains(r, STR("\r\nUser-Agent: reli-test\r\n")));
        assert_false(str_icontains(r, STR("expect:")));
        assert_false(str_icontains(r, STR("accept-encoding:")));
        assert_false(str_icontains(r, STR("urlencoded")));
        if (cases[i].body[0] != '\0' || strcmp(cases[i].method, "POST") == 0)
            assert_true(str_ends(r, str_c(cases[i].end)));
        else
            assert_true(str_ends(r, STR("\r\n\r\n")));
    }
}

/* What the server says in one go, then what it does, and what we must make of it. */
enum ending { KEEP, CLOSE, RESET };
struct wire_case {
    const char *name, *bytes;
    enum ending ending;
    enum outbound_outcome outcome;
    int status;
    const char *body;
};

static const struct wire_case *wire;

static void play(struct peer_conn *c)
{
    peer_say(c, str_c(wire->bytes));
    if (wire->ending == CLOSE)
        peer_close(c);
    else if (wire->ending == RESET)
        peer_reset(c);
}

static void wires(void **state)
{
    (void)state;
    static const struct wire_case cases[] = {
        {"chunked",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         KEEP, OUTBOUND_ANSWERED, 200, "abcde"},
        {"trailers",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", KEEP,
         OUTBOUND_ANSWERED, 200, "a"},
        {"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", CLOSE, OUTBOUND_ANSWERED, 200,
         "all of it"},
        {"no content", "HTTP/1.1 204 No Content\r\n\r\n", KEEP, OUTBOUND_ANSWERED, 204, ""},
        {"error status", "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", KEEP,
         OUTBOUND_ANSWERED, 500, "{}"},
        {"redirect stays", "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
         KEEP, OUTBOUND_ANSWERED, 302, ""},
        {"interim first",
         "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz",
         KEEP, OUTBOUND_ANSWERED, 200, "z"},
        {"interim only", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", CLOSE, OUTBOUND_UNKNOWN, 0,
         ""},
        {"nothing", "", CLOSE, OUTBOUND_UNKNOWN, 0, ""},
        {"nothing, reset", "", RESET, OUTBOUND_UNKNOWN, 0, ""},
        {"half a status line", "HTTP/1.1 20", CLOSE, OUTBOUND_UNKNOWN, 0, ""},
        {"half the head", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", CLOSE,
         OUTBOUND_UNKNOWN, 0, ""},
        {"half a header", "HTTP/1.1 200 OK\r\nContent-Le", CLOSE, OUTBOUND_UNKNOWN, 0, ""},
        {"half the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"", CLOSE,
         OUTBOUND_UNKNOWN, 0, ""},
        {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", CLOSE,
         OUTBOUND_UNKNOWN, 0, ""},
        {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
         CLOSE, OUTBOUND_UNKNOWN, 0, ""},
        {"body, then reset", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"", RESET,
         OUTBOUND_UNKNOWN, 0, ""},
        {"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", CLOSE, OUTBOUND_UNKNOWN, 0, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wire = &cases[i];
        struct seen s =
            call_once(play, (struct outbound_request){.method = "POST", .body = STR("{}")});
        if (s.r.outcome != wire->outcome || s.r.status != wire->status ||
            strcmp(s.body, wire->body) != 0)
            fail_msg("%s: outcome %d, status %d, body '%s', error %s", wire->name, s.r.outcome,
                     s.r.status, s.body, s.r.error != NULL ? s.r.error : "none");
        assert_true((s.r.error == NULL) == (s.r.outcome == OUTBOUND_ANSWERED));
    }
}

static void retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t low, high;
    } cases[] = {
        {"7", 7, 7},
        {"0", 0, 0},
        {"99999999999999999999999", 366 * 86400, 366 * 86400},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0},
        {"Fri, 31 Dec 2100 23:59:59 GMT", 366 * 86400, 366 * 86400},
        {"soon", -1, -1},
        {"-5", -1, -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char bytes[256];
        snprintf(bytes, sizeof bytes,
                 "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
                 cases[i].value);
        struct wire_case c = {"retry", bytes, KEEP, OUTBOUND_ANSWERED, 503, ""};
        wire = &c;
        struct seen s = call_once(play, (struct outbound_request){0});
        if (s.r.retry_after_s < cases[i].low || s.r.retry_after_s > cases[i].high)
            fail_msg("%s: %lld", cases[i].value, (long long)s.r.retry_after_s);
    }
}

static void max_age(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t want;
    } cases[] = {
        {"Cache-Control: public, max-age=20000, must-revalidate, no-transform", 20000},
        {"cache-control:MAX-AGE=7", 7},
        {"Cache-Control: max-age=0", 0},
        {"Cache-Control: max-age=99999999999999999999999", INT64_MAX},
        {"Cache-Control: max-age=-5", -1},
        {"Cache-Control: max-age=", -1},
        {"Cache-Control: max-age=soon", -1},
        {"Cache-Control: max-age=\"60\"", -1},
        {"Cache-Control: s-maxage=60", -1},
        {"Cache-Control: no-store", -1},
        {"Cache-Control:", -1},
        {"X-Cache-Control: max-age=7", -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char bytes[256];
        snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 0\r\n\r\n",
                 cases[i].header);
        struct wire_case c = {"max-age", bytes, KEEP, OUTBOUND_ANSWERED, 200, ""};
        wire = &c;
        struct seen s = call_once(play, (struct outbound_request){0});
        if (s.r.max_age_s != cases[i].want)
            fail_msg("%s: %lld", cases[i].header, (long long)s.r.max_age_s);
    }
}

static void oversize(void **state)
{
    (void)state;
    struct wire_case c = {
        "long", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789",
        KEEP,   OUTBOUND_UNKNOWN,
        0,      ""};
    wire = &c;
    struct seen s = call_once(play, (struct outbound_request){.max_response = 20});
    assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
    s = call_once(play, (struct outbound_request){.max_response = 19});
    assert_int_equal(s.r.outcome, OUTBOUND_UNKNOWN);
    assert_string_equal(s.r.error, "the answer is too long");
    s = call_once(play, (struct outbound_request){.max_response = 19, .cut_response = true});
    assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
    assert_string_equal(s.body, "0123456789012345678");
}

static void endless_head(struct peer_conn *c)
{
    static char line[4096];
    memset(line, 'x', sizeof line - 2);
    memcpy(line, "X-Long: ", 8);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    peer_say(c, STR("HTTP/1.1 200 OK\r\n"));
    for (int i = 0; i < 20; i++)
        peer_say(c, str_n(line, sizeof line));
    peer_say(c, STR("Content-Length: 0\r\n\r\n"));
}

static void oversize_head(void **state)
{
    (void)state;
    struct seen s = call_once(endless_head, (struct outbound_request){.cut_response = true});
    assert_int_equal(s.r.outcome, OUTBOUND_UNKNOWN);
}

/* ---- no answer ---- */

static void silence(struct peer_conn *c)
{
    (void)c;
}

static void timeout(void **state)
{
    (void)state;
    struct seen s = call_once(silence, (struct outbound_request){.timeout_us = 600 * US_PER_MS});
    assert_int_equal(s.r.outcome, OUTBOUND_UNKNOWN);
    assert_string_equal(s.r.error, "timeout");
    assert_true(s.r.took_us >= 600 * US_PER_MS);
}

static void refused_port(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, no_script);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", f.peer.port);
    peer_stop(&f.peer); /* nobody listens on its port now */
    loop_run(f.loop);
    start(&f, (struct outbound_request){.url = url}, &s);
    run(&f);
    assert_int_equal(s.r.outcome, OUTBOUND_NOT_SENT);
    assert_false(s.r.address_refused);
    teardown(&f);
}

static void unknown_name(void **state)
{
    (void)state;
    struct seen s =
        call_once(no_script, (struct outbound_request){.url = "http://no-such-host.invalid/"});
    assert_int_equal(s.r.outcome, OUTBOUND_NOT_SENT);
    assert_string_equal(s.r.error, "the name does not resolve");
}

/* TLS to a server that speaks plain HTTP: our request never left. */
static void garbage(struct peer_conn *c)
{
    peer_say(c, STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
    peer_close(c);
}

static void tls_failure(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, no_script);
    f.peer.accepted = garbage;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", f.peer.port);
    start(&f, (struct outbound_request){.url = url, .method = "POST", .body = STR("{}")}, &s);
    run(&f);
    assert_int_equal(s.r.outcome, OUTBOUND_NOT_SENT);
    teardown(&f);
}

/* A TLS handshake that never ends. */
static void connect_timeout(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup_with(&f, (struct outbound_options){.connect_timeout_us = 50 * US_PER_MS}, no_script);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", f.peer.port);
    start(&f, (struct outbound_request){.url = url}, &s);
    run(&f);
    assert_int_equal(s.r.outcome, OUTBOUND_NOT_SENT);
    assert_true(s.r.took_us < 10 * US_PER_S);
    teardown(&f);
}

/* A shifted clock rings all alarms too early, libcurl's as well: the call ends in its own time all
 * the same, and other people's servers keep theirs. */
static FILE *clock_file;
static char clock_path[] = "/tmp/reli_outbound_clock_XXXXXX";

static void shift_clock(struct peer_conn *c)
{
    rewind(clock_file);
    fprintf(clock_file, "10s\n");
    fflush(clock_file);
    assert_false(err_is(loop_test_clock(c->peer->loop, clock_path)));
}

static void shifted_clock(void **state)
{
    (void)state;
    static const struct {
        const char *scheme;
        int64_t connect_us, timeout_us;
        enum outbound_outcome outcome;
        int64_t low_us;
    } cases[] = {
        {"https", 200 * US_PER_MS, 9 * US_PER_S, OUTBOUND_NOT_SENT, 190 * US_PER_MS},
        {"http", 5 * US_PER_S, 300 * US_PER_MS, OUTBOUND_UNKNOWN, 300 * US_PER_MS},
    };
    int fd = mkstemp(clock_path);
    assert_true(fd >= 0);
    clock_file = fdopen(fd, "w");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        struct seen s;
        char url[64];
        setup_with(&f, (struct outbound_options){.connect_timeout_us = cases[i].connect_us},
                   silence);
        f.peer.accepted = shift_clock;
        snprintf(url, sizeof url, "%s://127.0.0.1:%d/", cases[i].scheme, f.peer.port);
        start(&f, (struct outbound_request){.url = url, .timeout_us = cases[i].timeout_us}, &s);
        run(&f);
        assert_int_equal(s.r.outcome, cases[i].outcome);
        assert_true(s.r.took_us >= cases[i].low_us && s.r.took_us < 5 * US_PER_S);
        teardown(&f);
    }
    fclose(clock_file);
    remove(clock_path);
}

/* ---- addresses ---- */

static void public_only(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "https://localhost/", /* a name: by what it resolves to */
        "https://localhost:8443/x",
    };
    static const char *const bad[] = {
        "https://127.0.0.1/", "https://[::1]/",      "https://2130706433/",     "https://0x7f.1/",
        "https://127.1/",     "http://example.com/", "https://example.com:22/", "https://10.1.2.3/",
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct seen s =
            call_once(no_script, (struct outbound_request){.url = urls[i], .public_only = true});
        assert_int_equal(s.r.outcome, OUTBOUND_NOT_SENT);
        assert_true(s.r.address_refused);
    }
    struct fixture f;
    struct seen s = {.f = &f};
    setup(&f, no_script);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct outbound_call *call;
        struct outbound_request in = {.method = "GET", .url = bad[i], .public_only = true};
        assert_int_equal(outbound_start(f.out, &in, done, &s, &call).code, ERR_INVALID);
        assert_true(call == NULL);
    }
    assert_int_equal(outbound_in_flight(f.out), 0);
    teardown(&f);
    assert_int_equal(s.n_done, 0);
}

static void invalid_requests(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s = {.f = &f};
    struct outbound_call *call;
    setup(&f, no_script);
    const struct outbound_request bad[] = {
        {.method = "GET", .url = "ftp://127.0.0.1/"},
        {.method = "GET", .url = "file:///etc/passwd"},
        {.method = "GET", .url = "http://user:pw@127.0.0.1/"},
        {.method = "GET", .url = "/relative"},
        {.method = "GET", .url = ""},
        {.method = "GET", .url = f.url, .n_headers = 1, .headers = {"X: a\r\nY: b"}},
        {.method = "GET", .url = f.url, .n_headers = 1, .headers = {"no colon"}},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(outbound_start(f.out, &bad[i], done, &s, &call).code, ERR_INVALID);
    teardown(&f);
}

/* ---- connections ---- */

static void by_name(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[3];
    setup(&f, say_hello);
    char url[64];
    snprintf(url, sizeof url, "http://localhost:%d/", f.peer.port);
    for (int i = 0; i < 2; i++) /* one look-up for both */
        start(&f, (struct outbound_request){.url = url}, &s[i]);
    run(&f);
    start(&f, (struct outbound_request){.url = url}, &s[2]); /* known by now */
    run(&f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(s[i].r.outcome, OUTBOUND_ANSWERED);
    teardown(&f);
}

static void reuse(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++) {
        struct fixture f;
        struct seen s;
        setup(&f, say_hello);
        for (int i = 0; i < 5; i++) {
            start(&f, (struct outbound_request){.once = once == 1}, &s);
            run(&f);
            assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
        }
        assert_int_equal(f.peer.n_requests, 5);
        assert_int_equal(f.peer.n_conns, 1);
        teardown(&f);
    }
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

/* Servers hang up on connections that are idle: by then a call that is made once has a new one, and
 * no other needs one. libcurl counts whole seconds. */
static void idle_connection(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++) {
        struct fixture f;
        struct seen s;
        struct timer idle = {0};
        setup(&f, say_hello);
        for (int i = 0; i < 2; i++) {
            start(&f, (struct outbound_request){.once = once == 1}, &s);
            run(&f);
            assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
            if (i == 0) {
                timer_set(f.loop, &idle, 2100 * US_PER_MS, stop, f.loop);
                run(&f);
            }
        }
        assert_int_equal(f.peer.n_conns, once == 1 ? 2 : 1);
        teardown(&f);
    }
}

static void hello_and_close(struct peer_conn *c)
{
    say_hello(c);
    peer_close(c);
}

/* A peer that hangs up after each answer: the kept connection is seen to be dead before the next
 * request goes, which therefore is sent once and answered. */
static void peer_hangs_up(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, hello_and_close);
    for (int i = 0; i < 3; i++) {
        start(&f, (struct outbound_request){.once = true}, &s);
        run(&f);
        assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
    }
    assert_int_equal(f.peer.n_requests, 3);
    assert_int_equal(f.peer.n_conns, 3);
    teardown(&f);
}

/* A kept connection dies under the second request. libcurl sends it once more on a new one: fine
 * for a query, a double charge for a push, which is never sent again (no_silent_resend). */
static void die_on_second(struct peer_conn *c)
{
    if (c->n_requests == 1 && c->peer->n_conns == 1)
        say_hello(c);
    else if (c->peer->n_conns == 1)
        peer_reset(c);
    else
        say_hello(c);
}

static void dead_connection(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, die_on_second);
    start(&f, (struct outbound_request){0}, &s);
    run(&f);
    start(&f, (struct outbound_request){.method = "POST", .body = STR("{}")}, &s);
    run(&f);
    assert_int_equal(s.r.outcome, OUTBOUND_ANSWERED);
    assert_int_equal(f.peer.n_requests, 3); /* the silent resend */
    teardown(&f);
}

static void die_if_alone(struct peer_conn *c)
{
    if (c->peer->n_requests == 1)
        say_hello(c);
    else
        peer_reset(c);
}

static void no_silent_resend(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, die_if_alone);
    start(&f, (struct outbound_request){0}, &s);
    run(&f);
    start(&f, (struct outbound_request){.method = "POST", .body = STR("{}"), .once = true}, &s);
    run(&f);
    assert_int_equal(s.r.outcome, OUTBOUND_UNKNOWN);
    assert_int_equal(f.peer.n_requests, 2);
    teardown(&f);
}

static void limits(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[12];
    struct outbound_call *call;
    setup_with(&f, (struct outbound_options){.max_per_host = 3, .max_in_flight = 12}, say_hello);
    for (int i = 0; i < 12; i++)
        start(&f, (struct outbound_request){0}, &s[i]);
    struct outbound_request in = {.method = "GET", .url = f.url};
    assert_int_equal(outbound_start(f.out, &in, done, &s[0], &call).code, ERR_OVERLOADED);
    assert_int_equal(outbound_in_flight(f.out), 12);
    run(&f);
    for (int i = 0; i < 12; i++)
        assert_int_equal(s[i].r.outcome, OUTBOUND_ANSWERED);
    assert_true(f.peer.n_conns <= 3);
    teardown(&f);
}

/* Calls that wait for a connection to the host have a deadline too. */
static void queued_timeout(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[2];
    setup_with(&f, (struct outbound_options){.max_per_host = 1}, silence);
    start(&f, (struct outbound_request){.timeout_us = US_PER_S}, &s[0]);
    start(&f, (struct outbound_request){.timeout_us = 50 * US_PER_MS}, &s[1]);
    run(&f);
    assert_int_equal(s[0].r.outcome, OUTBOUND_UNKNOWN);
    assert_int_equal(s[1].r.outcome, OUTBOUND_NOT_SENT);
    assert_int_equal(f.peer.n_requests, 1);
    teardown(&f);
}

/* ---- cancel and free ---- */

struct canceler {
    struct outbound_call *call;
    struct later later;
    struct outbound *out;
};

static void cancel_now(void *ctx)
{
    outbound_cancel(ctx);
}

static struct outbound_call *to_cancel;

static void cancel_from_script(struct peer_conn *c)
{
    (void)c;
    outbound_cancel(to_cancel);
}

static void cancel(void **state)
{
    (void)state;
    enum { AT_ONCE, NAME_AT_ONCE, NEXT_TURN, ON_ACCEPT, ON_REQUEST, N_PHASES };
    for (int phase = 0; phase < N_PHASES; phase++) {
        struct fixture f;
        struct seen s;
        struct later later = {0};
        setup(&f, phase == ON_REQUEST ? cancel_from_script : silence);
        if (phase == ON_ACCEPT)
            f.peer.accepted = cancel_from_script;
        char url[64];
        snprintf(url, sizeof url, "http%s://%s:%d/", phase == ON_ACCEPT ? "s" : "",
                 phase == NAME_AT_ONCE ? "localhost" : "127.0.0.1", f.peer.port);
        to_cancel = start(&f, (struct outbound_request){.url = url}, &s);
        if (phase == AT_ONCE || phase == NAME_AT_ONCE)
            outbound_cancel(to_cancel);
        if (phase == AT_ONCE)
            outbound_cancel(to_cancel); /* again: nothing */
        if (phase == NEXT_TURN)
            loop_later(f.loop, &later, cancel_now, to_cancel);
        assert_int_equal(s.n_done, 0);
        run(&f);
        assert_int_equal(s.n_done, 1);
        assert_int_equal(s.r.outcome, phase == ON_REQUEST ? OUTBOUND_UNKNOWN : OUTBOUND_NOT_SENT);
        assert_string_equal(s.r.error, "canceled");
        teardown(&f);
        assert_int_equal(s.n_done, 1);
    }
}

static void stop_loop(struct peer_conn *c)
{
    struct fixture *f = c->peer->ctx;
    loop_stop(f->loop);
}

static void free_in_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[4];
    setup(&f, stop_loop);
    char url[64], tls[64];
    snprintf(url, sizeof url, "http://localhost:%d/", f.peer.port);
    snprintf(tls, sizeof tls, "https://127.0.0.1:%d/", f.peer.port);
    start(&f, (struct outbound_request){0}, &s[0]);
    start(&f, (struct outbound_request){.url = tls}, &s[1]);
    f.left++; /* done by outbound_free must not stop the loop */
    run(&f);
    start(&f, (struct outbound_request){.url = url}, &s[2]); /* resolving */
    start(&f, (struct outbound_request){0}, &s[3]);          /* not yet connected */
    teardown(&f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(s[i].n_done, 1);
    assert_int_equal(s[0].r.outcome, OUTBOUND_UNKNOWN);
    assert_int_equal(s[1].r.outcome, OUTBOUND_NOT_SENT);
    assert_int_equal(s[2].r.outcome, OUTBOUND_NOT_SENT);
    assert_int_equal(s[3].r.outcome, OUTBOUND_NOT_SENT);
}

/* `done` may start the next call. */
static void again(void *ctx, const struct outbound_response *r)
{
    struct seen *s = ctx;
    struct outbound_call *call;
    struct outbound_request in = {.method = "GET", .url = s->f->url};
    assert_int_equal(r->outcome, OUTBOUND_ANSWERED);
    if (++s->n_done < 200)
        assert_false(err_is(outbound_start(s->f->out, &in, again, s, &call)));
    else
        loop_stop(s->f->loop);
}

static void chain(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, say_hello);
    struct seen s = {.f = &f};
    struct outbound_call *call;
    struct outbound_request in = {.method = "GET", .url = f.url};
    assert_false(err_is(outbound_start(f.out, &in, again, &s, &call)));
    run(&f);
    assert_int_equal(s.n_done, 200);
    assert_int_equal(f.peer.n_conns, 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal),
        cmocka_unit_test(request_bytes),
        cmocka_unit_test(wires),
        cmocka_unit_test(retry_after),
        cmocka_unit_test(max_age),
        cmocka_unit_test(oversize),
        cmocka_unit_test(oversize_head),
        cmocka_unit_test(timeout),
        cmocka_unit_test(refused_port),
        cmocka_unit_test(unknown_name),
        cmocka_unit_test(tls_failure),
        cmocka_unit_test(connect_timeout),
        cmocka_unit_test(shifted_clock),
        cmocka_unit_test(public_only),
        cmocka_unit_test(invalid_requests),
        cmocka_unit_test(by_name),
        cmocka_unit_test(reuse),
        cmocka_unit_test(idle_connection),
        cmocka_unit_test(peer_hangs_up),
        cmocka_unit_test(dead_connection),
        cmocka_unit_test(no_silent_resend),
        cmocka_unit_test(limits),
        cmocka_unit_test(queued_timeout),
        cmocka_unit_test(cancel),
        cmocka_unit_test(free_in_flight),
        cmocka_unit_test(chain),
    };
    log_open(2, LOG_OFF);
    if (err_is(crypto_open()))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_close();
    return rc;
}
