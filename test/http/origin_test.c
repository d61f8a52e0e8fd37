/* Proves http/origin.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/attr.h"
#include "http/origin.h"

static void test_spellings(void **state)
{
    static const char *const good[] = {
        "https://shop.example",       "http://localhost:3000", "https://shop.example:8443",
        "http://127.0.0.1:8080",      "https://[::1]",         "https://[2001:db8::1]:8443",
        "https://xn--bcher-kva.test", "http://a:443",          "https://a:80",
    };
    static const char *const bad[] = {
        "",
        "*",
        "null",
        "shop.example",
        "https://",
        "https://*",
        "https://*.shop.example",
        "https://shop.example/",
        "https://shop.example/x",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://Shop.example",
        "HTTPS://shop.example",
        "ftp://shop.example",
        "file://",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example:",
        "https://shop.example:0",
        "https://shop.example:08443",
        "https://shop.example:65536",
        "https://shop.example:x",
        "https://user@shop.example",
        "https://[::1",
        "https://[]",
        "https://[::1]x",
        "https://\xc3\xbc.test",
        "https://shop.example ",
        "https://shop example",
        "https://shop.example\r\nX: y",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!origin_ok(str_c(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (origin_ok(str_c(bad[i])))
            fail_msg("taken: %s", bad[i]);
}

static void test_of_urls(void **state)
{
    static const char *const cases[][2] = {
        {"https://pay.test", "https://pay.test"},
        {"https://pay.test/", "https://pay.test"},
        {"https://pay.test:8443/reli/x", "https://pay.test:8443"},
        {"http://[::1]:8080/", "http://[::1]:8080"},
        {"pay.test/", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_true(str_eq(origin_of(str_c(cases[i][0])), str_c(cases[i][1])));
}

static void test_lists(void **state)
{
    struct str list = STR("https://a.example, http://localhost:3000,https://b.example:8443");
    static const char *const in[] = {"https://a.example", "http://localhost:3000",
                                     "https://b.example:8443"};
    static const char *const out[] = {
        "",
        "null",
        "*",
        "http://a.example",
        "https://a.example:443",
        "https://A.example",
        "https://a.example.evil.example",
        "https://evil-a.example",
        "https://a.exampl",
        "https://b.example",
        "https://b.example:8444",
        "http://localhost",
        "https://a.example, http://localhost:3000",
        "https://a.example,",
        " https://a.example",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(in); i++)
        assert_true(origin_in(list, str_c(in[i])));
    for (size_t i = 0; i < COUNT_OF(out); i++)
        if (origin_in(list, str_c(out[i])))
            fail_msg("in the list: \"%s\"", out[i]);
    assert_false(origin_in(list, STR_NULL));
    assert_false(origin_in(STR_NULL, STR("https://a.example")));
    assert_false(origin_in(STR(""), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_of_urls),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
