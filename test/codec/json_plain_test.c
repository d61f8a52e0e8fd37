/* What is read without jansson is what jansson reads: made-up documents, and the same with a byte
 * changed, beside jansson's own tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/codec/json_int.h"

enum { DOCUMENTS = 4000, CHANGES = 12, DEEP = 5 };

static uint64_t state_ = 20261121;

static unsigned below(unsigned n)
{
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state_ >> 33) % n);
}

/* ---- documents ---- */

static const char *pick(const char *const *of, size_t n)
{
    return of[below((unsigned)n)];
}

static void put_blank(struct buf *b)
{
    static const char *const blanks[] = {"", "", "", "", " ", "\n", "\t", " \r\n "};
    buf_c(b, pick(blanks, COUNT_OF(blanks)));
}

static void put_any(struct buf *b, int depth)
{
    static const char *const scalars[] = {"0",
                                          "1",
                                          "-1",
                                          "12345678901234567",
                                          "999999999999999999",
                                          "-0",
                                          "0.0",
                                          "-0.0",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "1000.00",
                                          "-2.50",
                                          "0.1",
                                          "123456789012.123456",
                                          "0.00001",
                                          "1e3",
                                          "1E-2",
                                          "1.5e+10",
                                          "1e400",
                                          "00",
                                          "01",
                                          "1.",
                                          ".5",
                                          "-",
                                          "true",
                                          "false",
                                          "null",
                                          "nul",
                                          "\"\"",
                                          "\"word\"",
                                          "\"a b\"",
                                          "\"/\"",
                                          "\"a\\nb\"",
                                          "\"\\u0041\"",
                                          "\"\xc3\xa9\"",
                                          "\"\xc3\"",
                                          "\"\xed\xa0\x80\"",
                                          "\"The service request is processed.\"",
                                          "20261121073000",
                                          "0.12345678901234567890123",
                                          "\"\x7f\"",
                                          "1000.0000000000000000000000"};
    static const char *const names[] = {"\"a\"", "\"b\"",        "\"Value\"",  "\"Name\"",
                                        "\"\"",  "\"\xc3\xa9\"", "\"Amount\"", "\"\\u0061\""};
    unsigned n = below(4);
    bool object = below(2) == 0;
    if (depth == 0 || (depth < DEEP && below(2) == 0)) {
        buf_c(b, pick(scalars, COUNT_OF(scalars)));
        return;
    }
    buf_char(b, object ? '{' : '[');
    put_blank(b);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_char(b, ',');
        put_blank(b);
        if (object) {
            buf_c(b, pick(names, COUNT_OF(names)));
            put_blank(b);
            buf_char(b, ':');
            put_blank(b);
        }
        put_any(b, depth - 1);
        put_blank(b);
    }
    buf_char(b, object ? '}' : ']');
}

/* ---- the same, twice ---- */

static void same(const struct json *j, const json_t *t)
{
    char text[JSON_NUMBER_TEXT], theirs[JSON_NUMBER_TEXT];
    size_t i = 0;
    int64_t v;
    bool truth;
    struct json_iter it = {0};
    void *at = json_object_iter((json_t *)(uintptr_t)t);
    switch (json_typeof(t)) {
    case JSON_OBJECT:
        assert_int_equal(json_kind(j), JSON_OBJ);
        for (; json_next(j, &it); at = json_object_iter_next((json_t *)(uintptr_t)t, at)) {
            assert_non_null(at);
            assert_true(str_eq(it.name, str_c(json_object_iter_key(at))));
            assert_ptr_equal(json_get(j, json_object_iter_key(at)), it.value);
            same(it.value, json_object_iter_value(at));
        }
        assert_null(at);
        assert_null(json_get(j, "nobody"));
        return;
    case JSON_ARRAY:
        assert_int_equal(json_kind(j), JSON_ARR);
        assert_int_equal(json_n(j), json_array_size(t));
        for (; i < json_array_size(t); i++)
            same(json_at(j, i), json_array_get(t, i));
        assert_null(json_at(j, i));
        return;
    case JSON_STRING:
        assert_true(str_eq(json_str(j), str_n(json_string_value(t), json_string_length(t))));
        return;
    case JSON_INTEGER:
        assert_true(json_i64(j, &v) && v == json_integer_value(t));
        snprintf(theirs, sizeof theirs, "%lld", (long long)v);
        assert_true(str_eq(json_number_text(j, text), str_c(theirs)));
        return;
    case JSON_REAL: {
        assert_int_equal(json_kind(j), JSON_REAL_);
        snprintf(theirs, sizeof theirs, "%.15g", json_real_value(t));
        bool told = strtod(theirs, NULL) == json_real_value(t); // NOLINT: equality is the point
        struct str ours = json_number_text(j, text);
        assert_true(told ? str_eq(ours, str_c(theirs)) : ours.p == NULL);
        return;
    }
    case JSON_TRUE:
    case JSON_FALSE:
        assert_true(json_bool(j, &truth) && truth == json_is_true(t));
        return;
    case JSON_NULL:
        assert_int_equal(json_kind(j), JSON_KIND_NULL);
        return;
    }
    fail();
}

/* Whether it was plain. Good or bad is jansson's to say. */
static bool judge(struct str text)
{
    struct json *plain = json_plain(text), *any;
    json_t *tree = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (plain != NULL && tree == NULL)
        fail_msg("taken: %.*s", STR_ARG(text));
    if (plain != NULL) {
        struct buf ours;
        buf_init(&ours, 1 << 20);
        same(plain, tree);
        json_canonical(plain, &ours);
        char *theirs = json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS);
        assert_true(str_eq(buf_view(&ours), str_c(theirs)));
        free(theirs);
        buf_free(&ours);
        json_plain_free(plain);
    }
    bool good = !err_is(json_parse(text, &any, NULL));
    assert_int_equal(good, tree != NULL);
    if (good)
        same(any, tree);
    json_free(good ? any : NULL);
    json_decref(tree);
    return plain != NULL;
}

static void test_beside_jansson(void **state)
{
    (void)state;
    static const char bytes[] = "\"\\{}[],:-+.eE0195 \n\ttrufalsn\x01\x7f\x80\xc3\xa9";
    size_t n_plain = 0;
    for (int i = 0; i < DOCUMENTS; i++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        put_any(&b, DEEP);
        n_plain += judge(buf_view(&b));
        for (int k = 0; k < CHANGES && b.n > 0; k++) {
            char *at = &b.p[below((unsigned)b.n)], was = *at;
            *at = bytes[below(sizeof bytes)]; /* its NUL as well */
            judge(buf_view(&b));
            *at = was;
            judge(str_first(buf_view(&b), below((unsigned)b.n)));
        }
        buf_free(&b);
    }
    assert_true(n_plain > DOCUMENTS / 20 && n_plain < DOCUMENTS);
}

static const char callback[] =
    "{\"Body\":{\"stkCallback\":{\"MerchantRequestID\":\"1\",\"CheckoutRequestID\":\"ws_CO_1\","
    "\"ResultCode\":0,\"CallbackMetadata\":{\"Item\":[{\"Name\":\"Amount\",\"Value\":1000.00},"
    "{\"Name\":\"Balance\"},{\"Name\":\"PhoneNumber\",\"Value\":254711222333}]}}}}";

/* Each that it is for: none of them goes the long way. */
static void test_what_providers_send_is_plain(void **state)
{
    (void)state;
    assert_true(judge(str_c(callback)));
    assert_true(judge(STR("[]")));
    assert_true(judge(STR(" {\"a\" : \"caf\xc3\xa9\" , \"b\" : [ ] } ")));
}

/* Items and levels up to the limit are plain, and one more is not. */
static void test_limits(void **state)
{
    (void)state;
    for (int n = 63; n <= 66; n++) {
        struct buf b;
        buf_init(&b, 4096);
        buf_char(&b, '[');
        for (int i = 0; i < n; i++)
            buf_c(&b, i > 0 ? ",1" : "1");
        buf_char(&b, ']');
        assert_int_equal(judge(buf_view(&b)), n <= 64);
        buf_free(&b);
    }
    for (int n = JSON_MAX_DEPTH - 1; n <= JSON_MAX_DEPTH + 1; n++) {
        struct buf b;
        struct json *j;
        buf_init(&b, 4096);
        for (int i = 0; i < n; i++)
            buf_char(&b, '[');
        for (int i = 0; i < n; i++)
            buf_char(&b, ']');
        j = json_plain(buf_view(&b));
        assert_int_equal(j != NULL, n <= JSON_MAX_DEPTH);
        if (j != NULL)
            json_plain_free(j);
        buf_free(&b);
    }
}

/* Nothing points into the text that was read. */
static void test_the_text_may_go(void **state)
{
    (void)state;
    char text[sizeof callback];
    struct json *j;
    memcpy(text, callback, sizeof text);
    assert_int_equal(json_parse(str_n(text, sizeof text - 1), &j, NULL).code, ERR_NONE);
    memset(text, 'x', sizeof text);
    struct str ref = json_str(json_path(j, "Body", "stkCallback", "CheckoutRequestID", NULL));
    assert_true(str_eq(ref, STR("ws_CO_1")));
    json_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_jansson),
        cmocka_unit_test(test_what_providers_send_is_plain),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_the_text_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
