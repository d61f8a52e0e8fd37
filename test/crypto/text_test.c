/* Bytes as text: one spelling per value. And the random source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/crypto/random.h"
#include "core/crypto/text.h"

static void hex(void **state)
{
    (void)state;
    struct buf b;
    unsigned char all[256], back[256];
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    buf_init(&b, 512);
    hex_add(&b, str_n((char *)all, 256));
    assert_int_equal(b.n, 512);
    assert_true(str_starts(buf_view(&b), STR("000102")));
    assert_true(str_ends(buf_view(&b), STR("fdfeff")));
    assert_true(hex_decode(buf_view(&b), true, back, 256));
    assert_memory_equal(all, back, 256);
    assert_false(hex_decode(buf_view(&b), true, back, 255));
    assert_false(hex_decode(str_first(buf_view(&b), 3), true, back, 256));
    assert_true(hex_decode(STR("aBcD"), false, back, 2));
    assert_int_equal(back[0], 0xab);
    assert_false(hex_decode(STR("aBcD"), true, back, 2));
    assert_true(hex_decode(STR_NULL, true, back, 0));
    for (int c = 0; c < 256; c++) {
        char two[2] = {'0', (char)c};
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        bool upper = c >= 'A' && c <= 'F';
        assert_int_equal(hex_decode(str_n(two, 2), true, back, 1), digit);
        assert_int_equal(hex_decode(str_n(two, 2), false, back, 1), digit || upper);
    }
    hex_add(&b, STR("x"));
    assert_true(b.failed);
    buf_free(&b);
}

/* RFC 4648, section 10. */
static void base64_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    struct arena a;
    arena_init(&a, 65536);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, 100);
        base64_add(&b, str_c(cases[i].plain));
        assert_true(str_eq(buf_view(&b), str_c(cases[i].text)));
        assert_true(str_eq(base64_text(&a, str_c(cases[i].plain)), str_c(cases[i].text)));
        if (cases[i].plain[0] != '\0')
            assert_true(str_eq(base64_decode(&a, str_c(cases[i].text)), str_c(cases[i].plain)));
        buf_free(&b);
    }
    char bytes[256];
    for (size_t n = 1; n < sizeof bytes; n++) {
        bytes[n] = (char)(n * 37);
        struct str text = base64_text(&a, str_n(bytes + 1, n));
        assert_true(str_eq(base64_decode(&a, text), str_n(bytes + 1, n)));
        arena_free(&a);
    }
    arena_trim();
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "Z",    "Zg",       "Zg=",    "Zg===",  "====",   "=Zg=",
        "Z===",    "Zg=g", "Zm9v=",    " Zg==",  "Zg== ",  "Zg\n==", "Zm9v\n",
        "Zm9\xc3", "Zm-_", "Zg==Zg==", "Zm9vZg", "Zg==\n",
    };
    struct arena a;
    arena_init(&a, 4096);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (base64_decode(&a, str_c(bad[i])).p != NULL)
            fail_msg("\"%s\"", bad[i]);
    assert_null(base64_decode(&a, str_n("Zm\0v", 4)).p);
    assert_null(base64_decode(&a, STR_NULL).p);
    arena_free(&a);
    struct arena small; /* beyond the cap */
    arena_init(&small, 2);
    assert_null(base64_decode(&small, STR("Zm9v")).p);
    assert_null(base64_text(&small, STR("foo")).p);
    arena_free(&small);
    arena_trim();
}

/* The bits that the padding leaves over could be anything, so that one value had sixteen spellings.
 */
static void base64_has_one_spelling(void **state)
{
    (void)state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct arena a;
    int one = 0, two = 0;
    for (size_t i = 0; i < 64; i++) {
        char text[4] = {'Z', alphabet[i], '=', '='};
        arena_init(&a, 4096);
        struct str plain = base64_decode(&a, str_n(text, 4));
        if (plain.p != NULL) {
            two++;
            assert_true(str_eq(base64_text(&a, plain), str_n(text, 4)));
        }
        text[2] = text[1];
        text[1] = 'm';
        plain = base64_decode(&a, str_n(text, 4));
        if (plain.p != NULL) {
            one++;
            assert_true(str_eq(base64_text(&a, plain), str_n(text, 4)));
        }
        arena_free(&a);
    }
    assert_int_equal(two, 4);
    assert_int_equal(one, 16);
    arena_trim();
}

static void counting(void *out, size_t n)
{
    static unsigned char next;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = next++;
}

static void randomness(void **state)
{
    (void)state;
    unsigned seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint32_t v = random_below(10);
        assert_true(v < 10);
        seen[v]++;
    }
    for (int i = 0; i < 10; i++)
        assert_true(seen[i] > 700 && seen[i] < 1300); /* ten standard deviations */
    assert_int_equal(random_below(1), 0);
    unsigned char big[2000] = {0}, zero[64] = {0};
    random_bytes(big, sizeof big);
    assert_memory_not_equal(big + sizeof big - 64, zero, 64);
    assert_true(random_u64() != random_u64());
    struct uuid last = UUID_NIL;
    for (int i = 0; i < 5000; i++) {
        struct uuid u = random_uuid(INT64_C(1795227420123000));
        assert_true(uuid_cmp(u, last) > 0);
        last = u;
    }
    random_source(counting);
    unsigned char four[4];
    random_bytes(four, 4);
    assert_int_equal(four[3], four[0] + 3);
    random_source(NULL);
}

/* RFC 4648, section 10, in the alphabet of section 5; every length and byte. */
static void base64url(void **state)
{
    (void)state;
    struct arena a;
    struct buf b;
    char bytes[256];
    arena_init(&a, 65536);
    buf_init(&b, 4096);
    base64url_add(&b, STR("\xfb\xff\xfe"));
    base64url_add(&b, STR("f"));
    base64url_add(&b, STR("fo"));
    assert_true(str_eq(buf_view(&b), STR("-__-ZgZm8")));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    for (size_t n = 1; n <= sizeof bytes; n++) {
        buf_reset(&b);
        base64url_add(&b, str_n(bytes, n));
        assert_true(str_eq(base64url_decode(&a, buf_view(&b)), str_n(bytes, n)));
        arena_free(&a);
    }
    static const char *const wrong[] = {"",     "Z",    "Zg==", "Zg=",    "Zm8=",  "Zh",
                                        "Zm9",  "Zm+v", "Zm/v", "Zm9v\n", " Zm9v", "Zm9vZ",
                                        "Zm.v", "====", "Z===", "Zm9v="};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_null(base64url_decode(&a, str_c(wrong[i])).p);
    assert_null(base64url_decode(&a, str_n("Zm\0v", 4)).p);
    /* of the last characters of one byte's text, four have no bits left over */
    int right = 0;
    for (int c = 1; c < 256; c++) {
        char two[2] = {'Z', (char)c};
        right += base64url_decode(&a, str_n(two, 2)).p != NULL;
    }
    assert_int_equal(right, 4);
    buf_free(&b);
    arena_free(&a);
    arena_trim();
}

/* RFC 4648, section 10, without the padding. */
static void base32(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "MY"},
        {"fo", "MZXQ"},
        {"foo", "MZXW6"},
        {"foob", "MZXW6YQ"},
        {"fooba", "MZXW6YTB"},
        {"foobar", "MZXW6YTBOI"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, 100);
        base32_add(&b, str_c(cases[i][0]));
        assert_true(str_eq(buf_view(&b), str_c(cases[i][1])));
        buf_free(&b);
    }
}

static void percent(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    percent_add(&b, STR("aZ09-._~"));
    percent_add(&b, str_n(" \0%+/:@\xc3\xa9\x7f", 10));
    assert_true(str_eq(buf_view(&b), STR("aZ09-._~%20%00%25%2B%2F%3A%40%C3%A9%7F")));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex),
        cmocka_unit_test(base64_vectors),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(base64url),
        cmocka_unit_test(base32),
        cmocka_unit_test(percent),
        cmocka_unit_test(randomness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
