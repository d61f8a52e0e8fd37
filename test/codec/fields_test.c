/* Validation of a client's object: each fault is named, and no fault hides another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/codec/fields.h"

#define KES CURRENCY('K', 'E', 'S')

struct bench {
    struct arena arena;
    struct json *root;
    struct field_errors errors;
    struct fields f;
};

static void open_bench(struct bench *b, const char *text)
{
    arena_init(&b->arena, 65536);
    assert_false(err_is(json_parse(str_c(text), &b->root, NULL)));
    b->errors = (struct field_errors){.arena = &b->arena};
    b->f = (struct fields){b->root, "", &b->errors};
}

static void close_bench(struct bench *b)
{
    json_free(b->root);
    arena_free(&b->arena);
    arena_trim();
}

static void assert_fault(const struct bench *b, size_t i, const char *param, const char *code)
{
    assert_true(i < b->errors.n);
    assert_true(str_eq(b->errors.list[i].param, str_c(param)));
    assert_string_equal(b->errors.list[i].code, code);
    assert_true(b->errors.list[i].message[0] != '\0');
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *json, *code; /* "" fine, NULL absent and that is fine */
        enum field_need need;
    } cases[] = {
        {"{\"t\":\"ab\"}", "", REQUIRED},
        {"{\"t\":\"abcd\"}", "", REQUIRED},
        {"{\"t\":\"a\"}", "length", REQUIRED},
        {"{\"t\":\"abcde\"}", "length", REQUIRED},
        {"{\"t\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}", "", REQUIRED}, /* characters, not bytes */
        {"{\"t\":\"\"}", "length", OPTIONAL},
        {"{\"t\":5}", "type", REQUIRED},
        {"{\"t\":[]}", "type", OPTIONAL},
        {"{\"t\":null}", NULL, OPTIONAL},
        {"{\"t\":null}", "required", REQUIRED},
        {"{}", NULL, OPTIONAL},
        {"{}", "required", REQUIRED},
        {"{\"t\":\"a\\nb\"}", "", REQUIRED},
        {"{\"t\":\"a\\tb\"}", "", REQUIRED},
        {"{\"t\":\"a\\rb\"}", "format", REQUIRED},
        {"{\"t\":\"a\\u001bb\"}", "format", REQUIRED},
        {"{\"t\":\"a\\u007f\"}", "format", REQUIRED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench b;
        struct str out = STR("untouched");
        open_bench(&b, cases[i].json);
        bool fine = cases[i].code != NULL && cases[i].code[0] == '\0';
        bool fault = cases[i].code != NULL && !fine;
        assert_int_equal(fields_text(&b.f, "t", cases[i].need, 2, 4, &out), fine);
        assert_int_equal(b.errors.n, fault ? 1 : 0);
        if (fault)
            assert_fault(&b, 0, "t", cases[i].code);
        if (!fine)
            assert_true(str_eq(out, STR("untouched")));
        close_bench(&b);
    }
}

static void amounts(void **state)
{
    (void)state;
    static const struct {
        const char *json, *code;
        int64_t minor;
    } cases[] = {
        {"{\"m\":1000.00}", "", 100000},
        {"{\"m\":1000}", "", 100000},
        {"{\"m\":\"1000\"}", "", 100000},
        {"{\"m\":\"1000.00\"}", "", 100000},
        {"{\"m\":0.1}", "", 10},
        {"{\"m\":1e3}", "", 100000},
        {"{\"m\":0.01}", "", 1},
        {"{\"m\":0.001}", "format", 0},
        {"{\"m\":\"1000.000\"}", "format", 0},
        {"{\"m\":0}", "range", 0},
        {"{\"m\":\"0.00\"}", "range", 0},
        {"{\"m\":-1}", "format", 0},
        {"{\"m\":-0.0}", "format", 0},
        {"{\"m\":10000000000000}", "range", 0},
        {"{\"m\":9999999999999.99}", "", 999999999999999},
        {"{\"m\":99999999999999.99}", "format", 0}, /* not told apart by fifteen digits */
        {"{\"m\":1e300}", "format", 0},
        {"{\"m\":\"1e3\"}", "format", 0},
        {"{\"m\":\"\"}", "format", 0},
        {"{\"m\":\" 1\"}", "format", 0},
        {"{\"m\":\"1,000\"}", "format", 0},
        {"{\"m\":true}", "type", 0},
        {"{\"m\":{}}", "type", 0},
        {"{\"m\":null}", "required", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench b;
        struct money m = {-1, 0};
        open_bench(&b, cases[i].json);
        bool fine = cases[i].code[0] == '\0';
        if (fields_money(&b.f, "m", REQUIRED, KES, &m) != fine)
            fail_msg("%s", cases[i].json);
        assert_int_equal(b.errors.n, fine ? 0 : 1);
        if (fine)
            assert_true(m.minor == cases[i].minor && m.currency == KES);
        else
            assert_fault(&b, 0, "m", cases[i].code);
        close_bench(&b);
    }
    struct bench b; /* the currency's own fault is told elsewhere */
    struct money m;
    open_bench(&b, "{\"m\":\"nonsense\"}");
    assert_false(fields_money(&b.f, "m", REQUIRED, 0, &m));
    assert_int_equal(b.errors.n, 0);
    close_bench(&b);
}

static void integers_and_objects(void **state)
{
    (void)state;
    struct bench b;
    int64_t v = 42;
    const struct json *o = NULL;
    open_bench(&b, "{\"i\":5,\"s\":\"5\",\"r\":5.0,\"o\":{\"x\":1},\"n\":null}");
    assert_true(fields_i64(&b.f, "i", REQUIRED, 5, 5, &v));
    assert_int_equal(v, 5);
    assert_false(fields_i64(&b.f, "i", REQUIRED, 6, 9, &v));
    assert_false(fields_i64(&b.f, "i", REQUIRED, 0, 4, &v));
    assert_false(fields_i64(&b.f, "s", REQUIRED, 0, 9, &v));
    assert_false(fields_i64(&b.f, "r", REQUIRED, 0, 9, &v));
    assert_false(fields_i64(&b.f, "n", OPTIONAL, 0, 9, &v));
    assert_false(fields_object(&b.f, "i", REQUIRED, &o));
    assert_true(fields_object(&b.f, "o", REQUIRED, &o));
    assert_false(fields_object(&b.f, "n", OPTIONAL, &o));
    assert_int_equal(b.errors.n, 5);
    assert_fault(&b, 0, "i", "range");
    assert_fault(&b, 1, "i", "range");
    assert_fault(&b, 2, "s", "type");
    assert_fault(&b, 3, "r", "type");
    assert_fault(&b, 4, "i", "type");
    struct fields inner = {o, "o.", &b.errors};
    static const char *const none[] = {NULL};
    fields_only(&inner, none);
    fields_fault(&inner, "y", "format", "Wrong.");
    assert_fault(&b, 5, "o.x", "unknown");
    assert_fault(&b, 6, "o.y", "format");
    close_bench(&b);
}

static void unknown_fields(void **state)
{
    (void)state;
    static const char *const names[] = {"amount", "currency", NULL};
    struct bench b;
    open_bench(&b, "{\"amount\":1,\"ammount\":1,\"Currency\":1,\"currency\":1,\"\":1}");
    fields_only(&b.f, names);
    assert_int_equal(b.errors.n, 3);
    assert_fault(&b, 0, "ammount", "unknown");
    assert_fault(&b, 1, "Currency", "unknown");
    assert_fault(&b, 2, "", "unknown");
    close_bench(&b);
}

/* A long name was cut in the middle of a character: the answer was then no valid UTF-8. */
static void an_unknown_name_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    for (int shift = 0; shift < 4; shift++) {
        char text[300] = "{\"";
        for (int i = 0; i < shift; i++)
            strcat(text, "x");
        for (int i = 0; i < 30; i++)
            strcat(text, "\xe2\x82\xac");
        strcat(text, "\":1}");
        struct bench b;
        open_bench(&b, text);
        fields_only(&b.f, none);
        assert_int_equal(b.errors.n, 1);
        assert_true(utf8_valid(b.errors.list[0].param));
        assert_true(b.errors.list[0].param.n <= 64 && b.errors.list[0].param.n > 60);
        close_bench(&b);
    }
}

static void faults_are_bounded(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    struct bench b;
    open_bench(&b, "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,"
                   "\"j\":1,\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"r\":1}");
    fields_only(&b.f, none);
    assert_int_equal(b.errors.n, MAX_FIELD_ERRORS);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(amounts),
        cmocka_unit_test(integers_and_objects),
        cmocka_unit_test(unknown_fields),
        cmocka_unit_test(an_unknown_name_is_cut_between_characters),
        cmocka_unit_test(faults_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
