/* core/flow/webhook_sign.c. The first vector is the worked one of providers/webhooks-out.md,
 * checked there with the official library; the others were computed with Python's hmac module. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/crypto/ed25519.h"
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
        struct webhook_key keys[2];
        size_t n = 0;
        for (; n < 2 && cases[i].secrets[n] != NULL; n++)
            assert_false(err_is(webhook_key_parse(str_c(cases[i].secrets[n]), &arena, &keys[n])));
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
    struct webhook_key key;
    assert_false(err_is(webhook_key_parse(STR(ONES), &arena, &key)));
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
    struct webhook_key key;
    for (size_t n = 0; n <= 100; n++) { /* the length decides */
        char bytes[100], text[160] = "whsec_";
        memset(bytes, 7, sizeof bytes);
        struct buf b;
        buf_init(&b, 150);
        base64_add(&b, str_n(bytes, n));
        memcpy(text + 6, b.p != NULL ? b.p : "", b.n);
        struct err err = webhook_key_parse(str_n(text, 6 + b.n), &arena, &key);
        buf_free(&b);
        bool good = n >= 24 && n <= 64;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_PARSE);
        if (good)
            assert_true(str_eq(key.bytes, str_n(bytes, n)));
    }
    static const char *const bad[] = {
        "",
        "whsec_",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "WHSEC_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        ONES " ",
        ONES "@",
        ONES "@0",
        ONES "@-5",
        ONES "@x",
        ONES "@5@6",
        "@5",
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
        assert_int_equal(webhook_key_parse(str_c(bad[i]), &arena, &key).code, ERR_PARSE);
}

static void make(void **state)
{
    (void)state;
    struct str one = webhook_secret_make(&arena), other = webhook_secret_make(&arena);
    struct webhook_key key;
    assert_int_equal(one.n, 6 + 32);
    assert_false(err_is(webhook_key_parse(one, &arena, &key)));
    assert_int_equal(key.bytes.n, WEBHOOK_SECRET_MIN);
    assert_false(str_eq(one, other));
    struct arena small;
    arena_init(&small, 16);
    assert_null(webhook_secret_make(&small).p);
    arena_free(&small);
}

/* RFC 8032, section 7.1, tests 2 and 3. */
static void ed25519_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *public, *message, *signature;
    } cases[] = {
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
         "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t seed[ED25519_SEED], public[ED25519_PUBLIC], wanted[ED25519_SIGNATURE],
            got[ED25519_SIGNATURE];
        char message[2];
        size_t n = strlen(cases[i].message) / 2;
        assert_true(hex_decode(str_c(cases[i].seed), true, seed, sizeof seed));
        assert_true(hex_decode(str_c(cases[i].public), true, wanted, sizeof public));
        assert_false(err_is(ed25519_public(seed, public)));
        assert_memory_equal(public, wanted, sizeof public);
        assert_true(hex_decode(str_c(cases[i].message), true, message, n));
        assert_true(hex_decode(str_c(cases[i].signature), true, wanted, sizeof wanted));
        assert_false(err_is(ed25519_sign(seed, str_n(message, n), got)));
        assert_memory_equal(got, wanted, sizeof got);
    }
}

/* A pair is shown by its public half, and signs beside the shared secret. */
static void pairs(void **state)
{
    (void)state;
    struct str whsk = webhook_private_make(&arena), whpk = webhook_public_text(&arena, whsk);
    assert_true(str_starts(whsk, STR("whsk_")) && whsk.n == 5 + 88);
    assert_true(str_starts(whpk, STR("whpk_")) && whpk.n == 5 + 44);
    assert_null(webhook_public_text(&arena, STR(ONES)).p);
    struct webhook_key keys[WEBHOOK_KEYS_MAX];
    size_t n;
    struct str both = arena_fmt(&arena, ONES " %.*s", STR_ARG(whsk));
    assert_true(str_eq(webhook_public_text(&arena, both), whpk));
    assert_false(err_is(webhook_keys_parse(both, 0, &arena, keys, &n)));
    assert_int_equal(n, 2);
    struct buf out;
    buf_init(&out, 1024);
    webhook_sign(STR("msg_1"), 1700000000, STR("{\"a\":1}"), keys, n, &out);
    struct str text = buf_view(&out);
    assert_true(str_starts(text, STR("v1,g9EIBBIwm31AQEkP7q60DV8jDWYbrjV7TTZJL+PIcMo= v1a,")));
    struct str signature = base64_decode(&arena, str_from(text, text.n - 88));
    uint8_t wanted[ED25519_SIGNATURE];
    assert_false(err_is(
        ed25519_sign((const uint8_t *)keys[1].bytes.p, STR("msg_1.1700000000.{\"a\":1}"), wanted)));
    assert_memory_equal(signature.p, wanted, sizeof wanted);
    buf_free(&out);
}

static size_t count(struct str texts, int64_t now_s)
{
    struct webhook_key keys[WEBHOOK_KEYS_MAX];
    size_t n;
    assert_false(err_is(webhook_keys_parse(texts, now_s, &arena, keys, &n)));
    return n;
}

static void rotation(void **state)
{
    (void)state;
    struct str secret, first = STR(ONES), keys;
    keys = webhook_keys_rotated(&arena, first, 1000, 2000, &secret);
    assert_true(str_starts(keys, secret) && !str_starts(keys, first));
    assert_int_equal(count(keys, 1000), 2);
    assert_int_equal(count(keys, 1999), 2);
    assert_int_equal(count(keys, 2000), 1);
    /* a second one within the overlap: the first keeps its end */
    keys = webhook_keys_rotated(&arena, keys, 1500, 2500, &secret);
    assert_true(str_starts(keys, secret));
    assert_int_equal(count(keys, 1999), 3);
    assert_int_equal(count(keys, 2000), 2);
    assert_int_equal(count(keys, 2500), 1);
    /* never more than three, the oldest goes */
    keys = webhook_keys_rotated(&arena, keys, 1600, 2600, &secret);
    assert_int_equal(count(keys, 1600), 3);
    assert_int_equal(count(keys, 2500), 2);
    /* what has run out is forgotten; at once, if nothing is to overlap */
    keys = webhook_keys_rotated(&arena, keys, 9000, 9000, &secret);
    assert_true(str_eq(keys, secret));
    /* pairs rotate along */
    struct str pair = arena_fmt(&arena, ONES " %.*s", STR_ARG(webhook_private_make(&arena)));
    keys = webhook_keys_rotated(&arena, pair, 1000, 2000, &secret);
    assert_int_equal(count(keys, 1000), 4);
    assert_int_equal(count(keys, 2000), 2);
    assert_false(str_eq(webhook_public_text(&arena, keys), webhook_public_text(&arena, pair)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),  cmocka_unit_test(the_buffer),      cmocka_unit_test(parse),
        cmocka_unit_test(make),     cmocka_unit_test(ed25519_vectors), cmocka_unit_test(pairs),
        cmocka_unit_test(rotation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
