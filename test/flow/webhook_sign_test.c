/* core/flow/webhook_sign.c. The first vector is the worked one of providers/webhooks-out.md,
 * checked there with the official library; the others were computed with Python's hmac module. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"
#include "core/flow/webhook_sign.h"

#define ONES "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
#define COUNTING                                                                                 \
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+" \
    "Pw=="

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 * 1024);
    return err_is(crypto_open()) ? 1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    arena_trim();
    crypto_close();
    return 0;
}

static void vectors(void **state)
{
    (void)state;
    static char long_body[20000];
    memset(long_body, 'x', sizeof long_body);
    static const char zeros[] = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const struct {
        const char *secrets[2];
        const char *id;
        int64_t at;
        struct str body;
        const char *expected;
    } cases[] = {
        {{ONES},
         "msg_1",
         1700000000,
         STR("{\"a\":1}"),
         "v1,g9EIBBIwm31AQEkP7q60DV8jDWYbrjV7TTZJL+PIcMo="},
        {{ONES, COUNTING}, /* during a rotation */
         "018f2c3e-0000-7000-8000-000000000001",
         1795230000,
         STR("{\"name\":\"Am\xc3\xa9lie \\\"x\\\"\"}"),
         "v1,8pSEK1kaMoPcWnHjs3hr9Bxjo1/JDPvvvF8w+dbx7/M= "
         "v1,Tndrdj/SCqKZz7VpgLT+hxc4HzN2UwRv+0YmjYUvuOc="},
        {{COUNTING}, "m", 0, STR(""), "v1,f52fS8MMI3AaLVODCkYqKAwHsLlcHsHtmqpPYSFUypg="},
        {{zeros},
         "m",
         0,
         str_n(long_body, sizeof long_body),
         "v1,Dn4DuWk2tcm39EhPanTJvgWitA3uoHhOtnkIluF3X+Q="},
        {{NULL}, "m", 0, STR("x"), ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str keys[2];
        size_t n = 0;
        for (; n < 2 && cases[i].secrets[n] != NULL; n++)
            assert_false(
                err_is(webhook_secret_parse(str_c(cases[i].secrets[n]), &arena, &keys[n])));
        struct buf out;
        buf_init(&out, 1024);
        webhook_sign(str_c(cases[i].id), cases[i].at, cases[i].body, keys, n, &out);
        assert_false(out.failed);
        assert_true(str_eq(buf_view(&out), str_c(cases[i].expected)));
        buf_free(&out);
    }
}

/* It appends, and a buffer that is too small says so. */
static void the_buffer(void **state)
{
    (void)state;
    struct str key;
    assert_false(err_is(webhook_secret_parse(STR(ONES), &arena, &key)));
    struct buf out;
    buf_init(&out, 1024);
    buf_c(&out, "webhook-signature: ");
    webhook_sign(STR("msg_1"), 1700000000, STR("{\"a\":1}"), &key, 1, &out);
    assert_true(str_eq(buf_view(&out),
                       STR("webhook-signature: v1,g9EIBBIwm31AQEkP7q60DV8jDWYbrjV7TTZJL+PIcMo=")));
    buf_free(&out);
    buf_init(&out, 40);
    webhook_sign(STR("msg_1"), 1700000000, STR("{\"a\":1}"), &key, 1, &out);
    assert_true(out.failed);
    buf_free(&out);
}

static void parse(void **state)
{
    (void)state;
    struct str key;
    for (size_t n = 0; n <= 100; n++) { /* the length decides */
        char bytes[100], text[160] = "whsec_";
        memset(bytes, 7, sizeof bytes);
        struct buf b;
        buf_init(&b, 150);
        base64_add(&b, str_n(bytes, n));
        memcpy(text + 6, b.p != NULL ? b.p : "", b.n);
        struct err err = webhook_secret_parse(str_n(text, 6 + b.n), &arena, &key);
        buf_free(&b);
        bool good = n >= 24 && n <= 64;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_PARSE);
        if (good)
            assert_true(str_eq(key, str_n(bytes, n)));
    }
    static const char *const bad[] = {
        "",
        "whsec_",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "WHSEC_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        ONES " ",
        " " ONES,
        ONES "\n",
        ONES "=",
        ONES "AQ",
        "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE*",
        "whsec_AQEBAQEBAQEB AQEBAQEBAQEBAQEBAQEBAQE",
        "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw", /* 25 bytes without padding */
        "whsec_-_EBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",   /* the URL alphabet */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(webhook_secret_parse(str_c(bad[i]), &arena, &key).code, ERR_PARSE);
}

static void make(void **state)
{
    (void)state;
    struct str one = webhook_secret_make(&arena), other = webhook_secret_make(&arena), key;
    assert_int_equal(one.n, 6 + 32);
    assert_false(err_is(webhook_secret_parse(one, &arena, &key)));
    assert_int_equal(key.n, WEBHOOK_SECRET_MIN);
    assert_false(str_eq(one, other));
    struct arena small;
    arena_init(&small, 16);
    assert_null(webhook_secret_make(&small).p);
    arena_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(the_buffer),
        cmocka_unit_test(parse),
        cmocka_unit_test(make),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
