/* Borrowed strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/str.h"

static void equality(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_eq(STR("a"), STR("a")));
    assert_false(str_eq(STR("a"), STR("A")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_ieq(STR("aZ-9"), STR("Az-9")));
    assert_false(str_ieq(STR("@"), STR("`"))); /* 0x40 and 0x60 differ by the case bit only */
    assert_false(str_ieq(STR("["), STR("{")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR_NULL, STR_NULL));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_true(str_ends(STR_NULL, STR("")));
}

static void search(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("a,b,c"), ',', 0), 1);
    assert_int_equal(str_find(STR("a,b,c"), ',', 2), 3);
    assert_true(str_find(STR("a,b,c"), ',', 4) == SIZE_MAX);
    assert_true(str_find(STR("abc"), 'c', 3) == SIZE_MAX);
    assert_true(str_find(STR_NULL, 'c', 0) == SIZE_MAX);
    assert_int_equal(str_find_str(STR("hello"), STR("ll")), 2);
    assert_int_equal(str_find_str(STR("hello"), STR("")), 0);
    assert_true(str_find_str(STR("hel"), STR("hello")) == SIZE_MAX);
    assert_true(str_find_str(STR_NULL, STR("a")) == SIZE_MAX);
    assert_true(str_icontains(STR("Mozilla/5.0 Firefox"), STR("FIREFOX")));
    assert_true(str_icontains(STR("abc"), STR("C")));
    assert_false(str_icontains(STR("abc"), STR("abcd")));
    assert_true(str_icontains(STR_NULL, STR_NULL));
    assert_false(str_icontains(STR_NULL, STR("a")));
}

static void parts(void **state)
{
    (void)state;
    assert_true(str_eq(str_from(STR("abc"), 1), STR("bc")));
    assert_int_equal(str_from(STR("abc"), 3).n, 0);
    assert_int_equal(str_from(STR("abc"), 9).n, 0);
    assert_null(str_from(STR_NULL, 0).p); /* no arithmetic on a null pointer */
    assert_null(str_from(STR_NULL, 5).p);
    assert_true(str_eq(str_first(STR("abc"), 2), STR("ab")));
    assert_true(str_eq(str_first(STR("abc"), 9), STR("abc")));
    assert_true(str_eq(str_trim(STR(" \t\r\n a b \n")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t ")).n, 0);
    assert_int_equal(str_trim(STR_NULL).n, 0);
}

static void splitting(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *part[4];
    } cases[] = {
        {"a,b,c", 3, {"a", "b", "c"}}, {"", 1, {""}},        {",", 2, {"", ""}},
        {"a,", 2, {"a", ""}},          {",a", 2, {"", "a"}}, {"a", 1, {"a"}},
        {"a,,b", 3, {"a", "", "b"}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str rest = str_c(cases[i].text), part;
        size_t n = 0;
        while (str_split(&rest, ',', &part)) {
            assert_true(n < cases[i].n);
            assert_true(str_eq(part, str_c(cases[i].part[n])));
            n++;
        }
        assert_int_equal(n, cases[i].n);
    }
    struct str none = STR_NULL, part;
    assert_false(str_split(&none, ',', &part));
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t v;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x1", false, 0},
        {"--1", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t v = 42;
        assert_int_equal(str_to_i64(str_c(cases[i].text), &v), cases[i].ok);
        assert_true(v == (cases[i].ok ? cases[i].v : 42));
    }
    int64_t v;
    assert_false(str_to_i64(STR_NULL, &v));
    assert_true(str_is_digits(STR("0123456789")));
    assert_false(str_is_digits(STR("")));
    assert_false(str_is_digits(STR("1a")));
    assert_true(str_is_printable_ascii(STR(" ~")));
    assert_false(str_is_printable_ascii(STR("\x1f")));
    assert_false(str_is_printable_ascii(STR("\x7f")));
    assert_false(str_is_printable_ascii(STR("\xc3\xa9")));
}

/* Every sequence of one to four bytes, by a decoder written from RFC 3629's grammar. */
static bool grammar(const unsigned char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        unsigned char c = p[i];
        size_t left = n - i;
#define TAIL(k) (p[i + (k)] >= 0x80 && p[i + (k)] <= 0xbf)
        if (c >= 0x01 && c <= 0x7f)
            i += 1;
        else if (c >= 0xc2 && c <= 0xdf && left >= 2 && TAIL(1))
            i += 2;
        else if (left >= 3 && TAIL(1) && TAIL(2) &&
                 ((c == 0xe0 && p[i + 1] >= 0xa0) || (c >= 0xe1 && c <= 0xec) ||
                  (c == 0xed && p[i + 1] <= 0x9f) || c == 0xee || c == 0xef))
            i += 3;
        else if (left >= 4 && TAIL(1) && TAIL(2) && TAIL(3) &&
                 ((c == 0xf0 && p[i + 1] >= 0x90) || (c >= 0xf1 && c <= 0xf3) ||
                  (c == 0xf4 && p[i + 1] <= 0x8f)))
            i += 4;
        else
            return false;
#undef TAIL
    }
    return true;
}

static void utf8(void **state)
{
    (void)state;
    unsigned char p[4];
    for (unsigned v = 0; v < 1u << 16; v++) { /* all pairs */
        p[0] = (unsigned char)(v >> 8);
        p[1] = (unsigned char)v;
        if (utf8_valid(str_n((char *)p, 2)) != grammar(p, 2))
            fail_msg("%02x %02x", p[0], p[1]);
    }
    static const unsigned char edge[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                         0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                         0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    size_t n = COUNT_OF(edge);
    for (size_t v = 0; v < n * n * n * n; v++) {
        p[0] = edge[v % n];
        p[1] = edge[v / n % n];
        p[2] = edge[v / n / n % n];
        p[3] = edge[v / n / n / n];
        for (size_t len = 3; len <= 4; len++)
            if (utf8_valid(str_n((char *)p, len)) != grammar(p, len))
                fail_msg("%02x %02x %02x %02x, %zu bytes", p[0], p[1], p[2], p[3], len);
    }
    assert_true(utf8_valid(STR_NULL));
    assert_int_equal(utf8_count(STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

static void copies(void **state)
{
    (void)state;
    char out[5];
    assert_string_equal(str_copy_c(out, sizeof out, STR("abc")), "abc");
    assert_string_equal(str_copy_c(out, sizeof out, STR("abcd")), "abcd");
    assert_string_equal(str_copy_c(out, sizeof out, STR("abcde")), "abcd");
    assert_string_equal(str_copy_c(out, sizeof out, STR_NULL), "");
    assert_string_equal(str_copy_c(out, 1, STR("abc")), "");
}

static void copy_is_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"abc\xc3\xa9", "abc"},        /* two bytes across the limit of four */
        {"ab\xc3\xa9z", "ab\xc3\xa9"}, /* just fits */
        {"ab\xe2\x82\xac", "ab"},      /* three bytes */
        {"a\xf0\x9f\x98\x80", "a"},    /* four bytes */
        {"\xf0\x9f\x98\x80z", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[5];
        assert_string_equal(str_copy_c(out, sizeof out, str_c(cases[i].text)), cases[i].want);
    }
    char out[5]; /* no text at all: cut all the same, and it ends */
    str_copy_c(out, sizeof out, STR("\x80\x80\x80\x80\x80\x80"));
    assert_true(strlen(out) <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality), cmocka_unit_test(search),
        cmocka_unit_test(parts),    cmocka_unit_test(splitting),
        cmocka_unit_test(integers), cmocka_unit_test(utf8),
        cmocka_unit_test(copies),   cmocka_unit_test(copy_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
