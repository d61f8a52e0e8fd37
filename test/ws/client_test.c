/* Proves ws/client.h: what it asks, whom it believes, and what it says to a server that is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "ws/client.h"

struct heard {
    struct buf sent, messages;
    int opened, over, status, code;
};

static void on_send(void *ctx, struct str bytes)
{
    struct heard *h = ctx;
    buf_str(&h->sent, bytes);
}

static void on_opened(void *ctx)
{
    struct heard *h = ctx;
    h->opened++;
}

static void on_message(void *ctx, struct str text)
{
    struct heard *h = ctx;
    buf_fmt(&h->messages, "%.*s|", STR_ARG(text));
}

static void on_over(void *ctx, int status, int code)
{
    struct heard *h = ctx;
    h->over++;
    h->status = status;
    h->code = code;
}

/* The key is of zeros then, the mask too. */
static void zeros(void *out, size_t n)
{
    memset(out, 0, n);
}

#define ACCEPT "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
#define AGREED                                                                          \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n"

static void begin(struct client *c, struct heard *h)
{
    static const struct client_events events = {on_send, on_opened, on_message, on_over};
    *h = (struct heard){0};
    buf_init(&h->sent, 65536);
    buf_init(&h->messages, 65536);
    client_begin(c, STR("pay.example:8443"), STR("/ws/merchant?after=7"),
                 STR("Authorization: Bearer k\r\n"), &events, h);
}

static void finish(struct client *c, struct heard *h)
{
    client_end(c);
    buf_free(&h->sent);
    buf_free(&h->messages);
}

static void take_in_pieces(struct client *c, struct str bytes, size_t piece)
{
    for (; bytes.n > 0; bytes = str_from(bytes, piece))
        client_take(c, str_first(bytes, piece));
}

static bool said(struct heard *h, const char *text, size_t n)
{
    bool same = str_eq(buf_view(&h->sent), str_n(text, n));
    buf_reset(&h->sent);
    return same;
}

static void test_the_request(void **state)
{
    struct client c;
    struct heard h;
    static const char request[] =
        "GET /ws/merchant?after=7 HTTP/1.1\r\nHost: pay.example:8443\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer k\r\n\r\n";
    (void)state;
    begin(&c, &h);
    assert_true(said(&h, request, sizeof request - 1));
    finish(&c, &h);
}

static void test_messages(void **state)
{
    static const char frames[] = AGREED "\x81\x02hi\x01\x01"
                                        "a\x89\x01p\x80\x01"
                                        "b\x81\x00";
    (void)state;
    for (size_t piece = 1; piece <= sizeof frames; piece++) {
        struct client c;
        struct heard h;
        begin(&c, &h);
        buf_reset(&h.sent);
        take_in_pieces(&c, str_n(frames, sizeof frames - 1), piece);
        assert_int_equal(h.opened, 1);
        assert_int_equal(h.over, 0);
        assert_true(str_eq(buf_view(&h.messages), STR("hi|ab||")));
        assert_true(said(&h, "\x8a\x81\0\0\0\0p", 7)); /* masked */
        client_leave(&c);
        assert_true(said(&h, "\x88\x82\0\0\0\0\x03\xe8", 8));
        client_take(&c, STR("\x81\x02hi"));
        assert_true(str_eq(buf_view(&h.messages), STR("hi|ab||")));
        finish(&c, &h);
    }
}

static void test_servers_that_do_not_agree(void **state)
{
#define HEAD(lines) "HTTP/1.1 101 x\r\n" lines "\r\n"
#define UP "Upgrade: WebSocket\r\n"
#define CONN "connection: upgrade\r\n"
#define ACC "sec-websocket-accept: " ACCEPT "\r\n"
    static const struct {
        const char *text;
        int status;
        bool good;
    } answers[] = {
        {HEAD(UP CONN ACC), 0, true},
        {HEAD(CONN ACC), 0, false},
        {HEAD(UP ACC), 0, false},
        {HEAD(UP CONN), 0, false},
        {HEAD(UP CONN "Sec-WebSocket-Accept: " ACCEPT "x\r\n"), 0, false},
        {HEAD(UP CONN "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), 0, false},
        {HEAD(UP CONN ACC "Sec-WebSocket-Protocol: chat\r\n"), 0, false},
        {HEAD(UP CONN ACC "Sec-WebSocket-Extensions: permessage-deflate\r\n"), 0, false},
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", 401, false},
        {"HTTP/1.1 503 x\r\n\r\n", 503, false},
        {"HTTP/1.1 x01 x\r\n\r\n", 0, false},
        {"SSH-2.0-OpenSSH\r\n\r\n", 0, false},
        {"\r\n\r\n", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct client c;
        struct heard h;
        begin(&c, &h);
        take_in_pieces(&c, str_c(answers[i].text), 5);
        assert_int_equal(h.opened, answers[i].good);
        assert_int_equal(h.over, !answers[i].good);
        assert_int_equal(h.status, answers[i].status);
        assert_int_equal(h.code, 0);
        finish(&c, &h);
    }
}

static void test_a_head_without_end(void **state)
{
    struct client c;
    struct heard h;
    (void)state;
    begin(&c, &h);
    for (int i = 0; i < 3000; i++)
        client_take(&c, STR("X-Junk: 1\r\n"));
    assert_int_equal(h.over, 1);
    finish(&c, &h);
}

static void test_goodbyes(void **state)
{
    static const struct {
        struct str frames;
        int code;
        const char *answer;
    } cases[] = {
        {{"\x88\x02\x03\xe9", 4}, 1001, "\x88\x82\0\0\0\0\x03\xe9"},
        {{"\x88\x02\x03\xf5\x81\x01x", 7}, 1013, "\x88\x82\0\0\0\0\x03\xf5"},
        {{"\x81\x82\0\0\0\0hi", 8}, 1002, "\x88\x82\0\0\0\0\x03\xea"},
        {{"\x82\x01x", 3}, 1003, "\x88\x82\0\0\0\0\x03\xeb"},
        {{"\x81\x01\xff", 3}, 1007, "\x88\x82\0\0\0\0\x03\xef"},
        {{"\x81\x7f\0\0\0\0\x7f\xff\xff\xffx", 11}, 1009, "\x88\x82\0\0\0\0\x03\xf1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client c;
        struct heard h;
        begin(&c, &h);
        client_take(&c, STR(AGREED));
        buf_reset(&h.sent);
        client_take(&c, cases[i].frames);
        assert_int_equal(h.over, 1);
        assert_int_equal(h.status, 0);
        assert_int_equal(h.code, cases[i].code);
        assert_true(said(&h, cases[i].answer, 8));
        assert_int_equal(h.messages.n, 0);
        client_leave(&c);
        assert_int_equal(h.sent.n, 0);
        finish(&c, &h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_request),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_servers_that_do_not_agree),
        cmocka_unit_test(test_a_head_without_end),
        cmocka_unit_test(test_goodbyes),
    };
    if (err_is(crypto_open()))
        return 1;
    random_source(zeros);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_close();
    return failed;
}
