/* JSON in: what is refused, what is read, and the bytes that are handed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/codec/json.h"

static bool parses(struct str text)
{
    struct json *root;
    size_t where;
    struct err e = json_parse(text, &root, &where);
    if (err_is(e)) {
        assert_int_equal(e.code, ERR_INVALID_JSON);
        assert_null(root);
        assert_true(where <= text.n);
        return false;
    }
    json_free(root);
    return true;
}

#define TEXT(lit)            \
    {                        \
        lit, sizeof(lit) - 1 \
    }

static void documents(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        bool ok;
    } cases[] = {
        {TEXT("{}"), true},
        {TEXT("[]"), true},
        {TEXT(" \t\r\n{ } \n"), true},
        {TEXT("{\"a\":[1,2.5,-3,true,false,null,\"x\"]}"), true},
        {TEXT("{\"\":1}"), true},
        {TEXT("{\"a\":\"\\u00e9\\ud83d\\ude00\"}"), true},
        {TEXT("{\"a\":\"\xc3\xa9\"}"), true},
        {TEXT("[9223372036854775807,-9223372036854775808]"), true},
        {TEXT(""), false},
        {TEXT(" "), false},
        {TEXT("null"), false},
        {TEXT("1"), false},
        {TEXT("\"a\""), false},
        {TEXT("{"), false},
        {TEXT("{]"), false},
        {TEXT("{}{}"), false},
        {TEXT("{} x"), false},
        {TEXT("{}\0"), false},
        {TEXT("{\"a\":1,}"), false},
        {TEXT("[1,]"), false},
        {TEXT("[,1]"), false},
        {TEXT("{a:1}"), false},
        {TEXT("{'a':1}"), false},
        {TEXT("{\"a\" 1}"), false},
        {TEXT("[1 2]"), false},
        {TEXT("[NaN]"), false},
        {TEXT("[Infinity]"), false},
        {TEXT("[-]"), false},
        {TEXT("[+1]"), false},
        {TEXT("[01]"), false},
        {TEXT("[00]"), false},
        {TEXT("[1.]"), false},
        {TEXT("[.5]"), false},
        {TEXT("[1e]"), false},
        {TEXT("[0x1]"), false},
        {TEXT("[1e400]"), false},
        {TEXT("[-1e400]"), false},
        {TEXT("[9223372036854775808]"), false},
        {TEXT("[truE]"), false},
        {TEXT("[nul]"), false},
        {TEXT("// x\n{}"), false},
        {TEXT("{}/* x */"), false},
        {TEXT("\xef\xbb\xbf{}"), false},          /* byte order mark */
        {TEXT("{\"a\":1,\"a\":2}"), false},       /* duplicate */
        {TEXT("{\"a\":1,\"\\u0061\":2}"), false}, /* duplicate by escape */
        {TEXT("{\"x\":{\"a\":1,\"a\":1}}"), false},
        {TEXT("[\"\\u0000\"]"), false},
        {TEXT("[\"a\0b\"]"), false},
        {TEXT("{\"\\u0000\":1}"), false},
        {TEXT("[\"\n\"]"), false},
        {TEXT("[\"\x1f\"]"), false},
        {TEXT("[\"\\x\"]"), false},
        {TEXT("[\"\\u12\"]"), false},
        {TEXT("[\"\\ud83d\"]"), false}, /* half a pair */
        {TEXT("[\"\\ude00\"]"), false},
        {TEXT("[\"\\ud83dx\"]"), false},
        {TEXT("[\"\x80\"]"), false},
        {TEXT("[\"\xc0\xaf\"]"), false},         /* overlong */
        {TEXT("[\"\xed\xa0\x80\"]"), false},     /* surrogate */
        {TEXT("[\"\xf4\x90\x80\x80\"]"), false}, /* beyond U+10FFFF */
        {TEXT("[\"\xc3\"]"), false},
        {TEXT("[\"a]"), false},
        {TEXT("[\"a\\"), false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (parses(cases[i].text) != cases[i].ok)
            fail_msg("%.*s", STR_ARG(cases[i].text));
    assert_false(parses(STR_NULL));
}

static bool nested(size_t depth, char open, char close, const char *inside)
{
    struct buf b;
    buf_init(&b, 100000);
    for (size_t i = 0; i < depth; i++) {
        buf_char(&b, open);
        if (open == '{')
            buf_c(&b, "\"a\":");
    }
    buf_c(&b, inside);
    for (size_t i = 0; i < depth; i++)
        buf_char(&b, close);
    bool ok = parses(buf_view(&b));
    buf_free(&b);
    return ok;
}

static void depth(void **state)
{
    (void)state;
    assert_true(nested(32, '[', ']', ""));
    assert_false(nested(33, '[', ']', ""));
    assert_true(nested(32, '{', '}', "1"));
    assert_false(nested(33, '{', '}', "1"));
    assert_false(nested(5000, '[', ']', ""));
    assert_true(nested(32, '[', ']', "\"[[[[\\\"[[[[{{{{\"")); /* brackets in a string are text */
    assert_false(nested(2, ']', '[', ""));
    size_t where;
    struct json *root;
    assert_true(err_is(json_parse(STR("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), &root, &where)));
    assert_int_equal(where, 32);
}

/* Most of these are JSON by the letter, and what is wrong with them is another thing. */
static void what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *what;
    } cases[] = {
        {TEXT(""), "Not valid JSON"},
        {TEXT("{\"a\":1,}"), "Not valid JSON"},
        {TEXT("{\"a\":\"\0\"}"), "Not valid JSON"},
        {TEXT("{\"a\":\"\xff\"}"), "Not valid JSON"},
        {TEXT("{\"a\":1,\"a\":1}"), "The same member twice"},
        {TEXT("[9223372036854775808]"), "A number out of range"},
        {TEXT("[-9223372036854775809]"), "A number out of range"},
        {TEXT("[1e400]"), "A number out of range"},
        {TEXT("[\"\\u0000\"]"), "The character U+0000"},
        {TEXT("{\"a\\u0000\":1}"), "The character U+0000"},
        {TEXT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
         "More than 32 levels"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json *root;
        assert_string_equal(json_parse(cases[i].text, &root, NULL).what, cases[i].what);
    }
}

static struct json *must_parse(const char *text)
{
    struct json *root;
    assert_false(err_is(json_parse(str_c(text), &root, NULL)));
    return root;
}

static void getters(void **state)
{
    (void)state;
    struct json *j = must_parse("{\"s\":\"x\\u00e9\",\"i\":-5,\"r\":1.5,\"t\":true,\"f\":false,"
                                "\"n\":null,\"a\":[1,[2]],\"o\":{\"p\":{\"q\":7}},\"e\":\"\"}");
    int64_t i = 42;
    bool b = true;
    assert_true(str_eq(json_str(json_get(j, "s")), STR("x\xc3\xa9")));
    assert_int_equal(json_kind(json_get(j, "s")), JSON_STR);
    assert_non_null(json_str(json_get(j, "e")).p);
    assert_int_equal(json_str(json_get(j, "e")).n, 0);
    assert_true(json_i64(json_get(j, "i"), &i));
    assert_int_equal(i, -5);
    assert_int_equal(json_kind(json_get(j, "r")), JSON_REAL_);
    assert_true(json_bool(json_get(j, "t"), &b) && b);
    assert_true(json_bool(json_get(j, "f"), &b) && !b);
    assert_int_equal(json_kind(json_get(j, "n")), JSON_KIND_NULL);
    assert_int_equal(json_n(json_get(j, "a")), 2);
    assert_int_equal(json_kind(json_at(json_get(j, "a"), 1)), JSON_ARR);
    assert_int_equal(json_kind(json_at(json_get(j, "a"), 2)), JSON_ABSENT);
    assert_true(json_i64(json_path(j, "o", "p", "q", NULL), &i));
    assert_int_equal(i, 7);
    assert_null(json_path(j, "o", "x", "q", NULL));
    assert_null(json_path(j, "s", "x", NULL));
    assert_ptr_equal(json_path(j, NULL), j);
    /* every getter takes what is of another kind, and nothing */
    const struct json *odd[] = {NULL,
                                j,
                                json_get(j, "s"),
                                json_get(j, "n"),
                                json_get(j, "a"),
                                json_get(j, "r"),
                                json_get(j, "t")};
    for (size_t k = 0; k < COUNT_OF(odd); k++) {
        i = 42;
        assert_false(json_i64(odd[k], &i));
        assert_int_equal(i, 42);
        assert_null(json_get(odd[k], "nothing"));
        assert_null(json_at(odd[k], 9));
        if (k != 2)
            assert_null(json_str(odd[k]).p);
        if (k != 6)
            assert_false(json_bool(odd[k], &b));
        if (k != 4)
            assert_int_equal(json_n(odd[k]), 0);
    }
    json_free(j);
    json_free(NULL);
}

static void numbers_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text; /* NULL: cannot be told exactly */
    } cases[] = {
        {"1000", "1000"},
        {"-5", "-5"},
        {"0", "0"},
        {"9223372036854775807", "9223372036854775807"},
        {"1000.00", "1000"},
        {"0.1", "0.1"},
        {"0.10", "0.1"},
        {"19.99", "19.99"},
        {"1234567890123.45", "1234567890123.45"},
        {"99999999999999.9", "99999999999999.9"},
        {"12345678901234.56", NULL}, /* sixteen digits */
        {"0.1234567890123456", NULL},
        {"1E2", "100"},
        {"\"1000.00\"", "1000.00"},
        {"\"abc\"", "abc"},
        {"\"\"", ""},
        {"true", NULL},
        {"null", NULL},
        {"[]", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[100], out[JSON_NUMBER_TEXT];
        (void)snprintf(text, sizeof text, "[%s]", cases[i].value);
        struct json *j = must_parse(text);
        struct str got = json_number_text(json_at(j, 0), out);
        if ((got.p == NULL) != (cases[i].text == NULL) || !str_eq(got, str_c(cases[i].text)))
            fail_msg("%s: %.*s", cases[i].value, STR_ARG(got));
        json_free(j);
    }
    char out[JSON_NUMBER_TEXT];
    assert_null(json_number_text(NULL, out).p);
}

/* All amounts of up to fifteen digits with two decimals survive the way through a double. */
static void fifteen_digits_are_exact(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t minor = x % 1000000000000000u;
        while (minor > 0 && x % 3 == 0 && minor % 2 == 0)
            minor /= 10;
        if (minor % 10 == 0)
            minor++; /* the last decimal is not zero, so that the text is canonical */
        char want[40], text[48], out[JSON_NUMBER_TEXT];
        (void)snprintf(want, sizeof want, "%llu.%02llu", (unsigned long long)(minor / 100),
                       (unsigned long long)(minor % 100));
        (void)snprintf(text, sizeof text, "[%s]", want);
        struct json *j = must_parse(text);
        assert_true(str_eq(json_number_text(json_at(j, 0), out), str_c(want)));
        json_free(j);
    }
}

static void iteration_keeps_the_order(void **state)
{
    (void)state;
    struct json *j = must_parse("{\"z\":1,\"a\":2,\"m\":3}");
    struct json_iter it = {0};
    char seen[4] = "";
    size_t n = 0;
    while (json_next(j, &it)) {
        assert_true(n < 3);
        seen[n++] = it.name.p[0];
    }
    assert_string_equal(seen, "zam");
    struct json_iter none = {0};
    assert_false(json_next(NULL, &none));
    assert_false(json_next(json_get(j, "z"), &none));
    json_free(j);
}

static void canonical(void **state)
{
    (void)state;
    struct json *a = must_parse("{\"b\":{\"y\":1,\"x\":[1,2]},\"a\":\"\\u00e9\"}");
    struct json *b = must_parse(" { \"a\" : \"\xc3\xa9\", \"b\" : {\"x\":[1, 2],\"y\":1} } ");
    struct buf x, y;
    buf_init(&x, 200);
    buf_init(&y, 200);
    json_canonical(a, &x);
    json_canonical(b, &y);
    assert_false(x.failed || y.failed);
    assert_true(str_eq(buf_view(&x), buf_view(&y)));
    assert_true(str_eq(buf_view(&x), STR("{\"a\":\"\xc3\xa9\",\"b\":{\"x\":[1,2],\"y\":1}}")));
    buf_reset(&x);
    json_canonical(json_get(a, "a"), &x);
    assert_true(str_eq(buf_view(&x), STR("\"\xc3\xa9\"")));
    json_free(a);
    json_free(b);
    buf_free(&x);
    buf_free(&y);
}

static void member_bytes(void **state)
{
    (void)state;
    static const char text[] =
        " { \"a\" : 1 , \"s\":\"x\\\"}]\",\"metadata\" : { \"k\" : [ 1, \"}\" ] } ,"
        "\"in\":{\"deep\":1}, \"e\":{}, \"l\":[], \"t\":true,\"n\":-1.5e3 } ";
    static const struct {
        const char *name, *bytes;
    } cases[] = {
        {"a", "1"},
        {"s", "\"x\\\"}]\""},
        {"metadata", "{ \"k\" : [ 1, \"}\" ] }"},
        {"deep", NULL},
        {"in", "{\"deep\":1}"},
        {"e", "{}"},
        {"l", "[]"},
        {"t", "true"},
        {"n", "-1.5e3"},
        {"nothing", NULL},
        {"", NULL},
        {"meta", NULL},
    };
    json_free(must_parse(text));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str got = json_member_bytes(str_c(text), str_c(cases[i].name));
        assert_int_equal(got.p == NULL, cases[i].bytes == NULL);
        assert_true(str_eq(got, str_c(cases[i].bytes)));
    }
    assert_null(json_member_bytes(STR("[1]"), STR("a")).p);
    assert_null(json_member_bytes(STR("{}"), STR("a")).p);
}

/* A name written with escapes is the same name: json_get found it, json_member_bytes did not. */
static void member_bytes_of_an_escaped_name(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"metadat\\u0061\":{\"k\":1}}",
        "{\"\\u006d\\u0065\\u0074\\u0061\\u0064\\u0061\\u0074\\u0061\":{\"k\":1}}",
        "{\"\\u00e9\":2,\"x\\\"\":3,\"m\\u0065tadata\":{\"k\":1}}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        json_free(must_parse(texts[i]));
        assert_true(str_eq(json_member_bytes(str_c(texts[i]), STR("metadata")), STR("{\"k\":1}")));
        assert_null(json_member_bytes(str_c(texts[i]), STR("metadat")).p);
        assert_null(json_member_bytes(str_c(texts[i]), STR("metadata2")).p);
    }
    assert_true(str_eq(json_member_bytes(STR("{\"a\\/b\\n\":5}"), STR("a/b\n")), STR("5")));
}

static void compact(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 200);
    json_compact(STR(" { \"a b\" :\t[ 1 ,\r\n 2 ] , \"c\\\" \" : \" \" } "), &b);
    assert_true(str_eq(buf_view(&b), STR("{\"a b\":[1,2],\"c\\\" \":\" \"}")));
    buf_free(&b);
}

int main(void)
{
    json_seed(12345);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),
        cmocka_unit_test(depth),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(getters),
        cmocka_unit_test(numbers_as_text),
        cmocka_unit_test(fifteen_digits_are_exact),
        cmocka_unit_test(iteration_keeps_the_order),
        cmocka_unit_test(canonical),
        cmocka_unit_test(member_bytes),
        cmocka_unit_test(member_bytes_of_an_escaped_name),
        cmocka_unit_test(compact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
