/* Proves ws/frames.h at both ends: each case in one piece and byte by byte. The server's cases in
 * full are in test/system/test_rfc6455.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "ws/frames.h"

#define LIT(text)             \
    {                         \
        text, sizeof text - 1 \
    }
/* A mask of zeros leaves the payload readable. */
#define M "\0\0\0\0"

enum { MESSAGE_MAX = 10 };

struct ear {
    struct buf heard;
};

static void on_text(void *ctx, struct str part, bool last)
{
    struct ear *e = ctx;
    buf_str(&e->heard, part);
    buf_c(&e->heard, last ? "|" : "");
}

static void on_ping(void *ctx, struct str payload)
{
    struct ear *e = ctx;
    buf_fmt(&e->heard, "<%.*s>", STR_ARG(payload));
}

static void on_pong(void *ctx)
{
    struct ear *e = ctx;
    buf_c(&e->heard, "pong");
}

static void on_closed(void *ctx, int code)
{
    struct ear *e = ctx;
    buf_fmt(&e->heard, "bye %d", code);
}

struct sent {
    bool is_client;
    struct str bytes;
    const char *heard;
    int code;
};

static void check(const struct sent *c, size_t piece)
{
    struct frames_side side = {c->is_client, MESSAGE_MAX, on_text, on_ping, on_pong, on_closed};
    struct frames f = {0};
    struct ear e;
    int code = 0;
    buf_init(&e.heard, 4096);
    for (struct str rest = c->bytes; rest.n > 0; rest = str_from(rest, piece))
        code |= frames_take(&f, &side, &e, str_first(rest, piece));
    assert_int_equal(code, c->code);
    buf_char(&e.heard, '\0');
    assert_string_equal(e.heard.p, c->heard);
    /* nothing is held between frames */
    if (code != 0 || piece >= c->bytes.n)
        assert_null(f.frame);
    frames_end(&f);
    buf_free(&e.heard);
}

static void test_frames(void **state)
{
    static const struct sent cases[] = {
        {false, LIT("\x81\x82" M "hi"), "hi|", 0},
        {false, LIT("\x81\x80" M), "|", 0},
        {false, LIT("\x01\x81" M "h\x89\x81" M "p\x80\x81" M "i"), "h<p>i|", 0},
        {false, LIT("\x8a\x80" M "\x88\x82" M "\x03\xe8\x89\x80" M), "pongbye 1000", 0},
        {false, LIT("\x88\x80" M "\xff\xff"), "bye 1005", 0},
        {false, LIT("\x81\x02hi"), "", CLOSE_PROTOCOL},
        {false, LIT("\xc1\x82" M "hi"), "", CLOSE_PROTOCOL},
        {false, LIT("\x82\x82" M "hi"), "", CLOSE_UNSUPPORTED},
        {false, LIT("\x81\x8b" M "01234567890"), "", CLOSE_TOO_BIG},
        {false, LIT("\x01\x86" M "012345\x80\x85" M "67890"), "012345", CLOSE_TOO_BIG},
        {false, LIT("\x88\x81" M "\x03"), "", CLOSE_PROTOCOL},
        {false, LIT("\x88\x82" M "\x03\xed"), "", CLOSE_PROTOCOL},
        {false, LIT("\x88\x83" M "\x03\xe8\xff"), "", CLOSE_NOT_TEXT},
        {true, LIT("\x81\x02hi\x89\x00\x88\x02\x03\xe9"), "hi|<>bye 1001", 0},
        {true, LIT("\x81\x82" M "hi"), "", CLOSE_PROTOCOL},
        {true, LIT("\x89\x80" M), "", CLOSE_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(&cases[i], cases[i].bytes.n);
        check(&cases[i], 1);
    }
}

/* Every way to write a code point in up to four bytes, against the definition. */
static void test_text_is_utf8(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                    0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                    0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    enum { N = sizeof bytes };
    (void)state;
    for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
        char frame[] = "\x81\x84" M "0123";
        size_t k = i;
        bool has_nul = false;
        for (size_t j = 0; j < 4; j++, k /= N) {
            frame[6 + j] = (char)bytes[k % N];
            has_nul |= bytes[k % N] == 0;
        }
        struct ear e;
        struct frames f = {0};
        static const struct frames_side side = {false,   MESSAGE_MAX, NULL,
                                                on_ping, on_pong,     on_closed};
        int code = frames_take(&f, &side, &e, str_n(frame, sizeof frame - 1));
        bool good = utf8_valid(str_n(frame + 6, 4));
        if (!has_nul) /* which is a character here, and none of ours elsewhere */
            assert_int_equal(code, good ? 0 : CLOSE_NOT_TEXT);
        frames_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_text_is_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
