/* JSON out: commas, escapes, kinds of values; what is written is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/codec/jsonw.h"

#define KES CURRENCY('K', 'E', 'S')

static void a_document(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    struct uuid u = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x7d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89,
                      0xab, 0xcd, 0xef}};
    jw_open(&w);
    jw_uuid(&w, "id", u);
    jw_str(&w, "s", STR("x"));
    jw_str(&w, "none", STR_NULL);
    jw_c(&w, "empty", "");
    jw_i64(&w, "min", INT64_MIN);
    jw_bool(&w, "yes", true);
    jw_bool(&w, "no", false);
    jw_null(&w, "null");
    jw_time(&w, "at", INT64_C(1795227420123000));
    jw_time(&w, "never", TIME_NEVER);
    jw_time(&w, "unset", 0);
    jw_money(&w, "amount", (struct money){100000, KES});
    jw_raw(&w, "raw", STR("{\"k\":[1]}"));
    jw_raw(&w, "raw_none", STR_NULL);
    jw_key(&w, "list");
    jw_open_list(&w);
    jw_i64(&w, NULL, 1);
    jw_c(&w, NULL, "two");
    jw_open(&w);
    jw_close(&w);
    jw_open_list(&w);
    jw_close_list(&w);
    jw_bool(&w, NULL, true);
    jw_close_list(&w);
    jw_key(&w, "o");
    jw_open(&w);
    jw_i64(&w, "a", 1);
    jw_close(&w);
    jw_i64(&w, "last", 0);
    jw_close(&w);
    assert_true(str_eq(buf_view(&b),
                       STR("{\"id\":\"01234567-89ab-7def-8123-456789abcdef\",\"s\":\"x\",\"none\":"
                           "null,\"empty\":\"\","
                           "\"min\":-9223372036854775808,\"yes\":true,\"no\":false,\"null\":null,"
                           "\"at\":\"2026-11-21T02:17:00.123Z\",\"never\":null,\"unset\":null,"
                           "\"amount\":\"1000.00\","
                           "\"raw\":{\"k\":[1]},\"raw_none\":null,\"list\":[1,\"two\",{},[],true],"
                           "\"o\":{\"a\":1},\"last\":0}")));
    struct json *back;
    assert_false(err_is(json_parse(buf_view(&b), &back, NULL)));
    json_free(back);
    buf_free(&b);
}

static void every_character_is_read_back(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x110000; c += c < 0x900 ? 1 : 977) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char text[6] = "a";
        size_t n = 1;
        if (c < 0x80) {
            text[n++] = (char)c;
        } else if (c < 0x800) {
            text[n++] = (char)(0xc0 | c >> 6);
            text[n++] = (char)(0x80 | (c & 63));
        } else if (c < 0x10000) {
            text[n++] = (char)(0xe0 | c >> 12);
            text[n++] = (char)(0x80 | (c >> 6 & 63));
            text[n++] = (char)(0x80 | (c & 63));
        } else {
            text[n++] = (char)(0xf0 | c >> 18);
            text[n++] = (char)(0x80 | (c >> 12 & 63));
            text[n++] = (char)(0x80 | (c >> 6 & 63));
            text[n++] = (char)(0x80 | (c & 63));
        }
        text[n++] = 'z';
        struct buf b;
        struct json *j;
        buf_init(&b, 64);
        buf_char(&b, '[');
        json_quote(&b, str_n(text, n));
        buf_char(&b, ']');
        assert_false(err_is(json_parse(buf_view(&b), &j, NULL)));
        assert_true(str_eq(json_str(json_at(j, 0)), str_n(text, n)));
        json_free(j);
        buf_free(&b);
    }
}

static void escapes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    json_quote(&b, STR("\"\\/\n\r\t\x01\x1f\x7f\0"));
    assert_true(str_eq(buf_view(&b), STR("\"\\\"\\\\/\\n\\r\\t\\u0001\\u001f\x7f\\u0000\"")));
    buf_reset(&b);
    json_quote(&b, STR_NULL);
    assert_true(str_eq(buf_view(&b), STR("\"\"")));
    buf_free(&b);
}

static void a_full_buffer_is_told(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "name", "a long text");
    jw_close(&w);
    assert_true(b.failed);
    assert_true(b.n <= 8);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document),
        cmocka_unit_test(every_character_is_read_back),
        cmocka_unit_test(escapes),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
