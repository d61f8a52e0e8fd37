/* core/flow/auth.c: the form of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/flow/auth.h"

#define HEX48 "0123456789abcdef0123456789abcdef0123456789abcdef"

static void keys(void **state)
{
    (void)state;
    static const char *const good[] = {"sk_test_" HEX48, "sk_live_" HEX48, "rk_test_" HEX48,
                                       "rk_live_" HEX48};
    static const char *const bad[] = {
        "",
        "sk_test_",
        HEX48,
        "sk_test_" HEX48 "0",
        "sk_test_" HEX48 " ",
        "sk-test-" HEX48,
        "pk_test_" HEX48,
        "SK_test_" HEX48,
        "sk_Test_" HEX48,
        "sk_demo_" HEX48,
        "sk_liveX" HEX48,
    };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(auth_key_ok(str_c(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(auth_key_ok(str_c(bad[i])));
    assert_false(auth_key_ok(STR_NULL));
    char key[AUTH_KEY_LEN + 1];
    for (size_t at = 8; at < AUTH_KEY_LEN; at++) { /* every place, every byte */
        memcpy(key, good[0], sizeof key);
        for (int c = 0; c < 256; c++) {
            key[at] = (char)c;
            bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            assert_int_equal(auth_key_ok(str_n(key, AUTH_KEY_LEN)), hex);
        }
    }
}

static void made_keys(void **state)
{
    (void)state;
    char a[AUTH_KEY_LEN + 1], b[AUTH_KEY_LEN + 1];
    static const char *const prefixes[] = {"sk_test_", "sk_live_", "rk_test_", "rk_live_"};
    for (int i = 0; i < 4; i++) {
        auth_key_make((i & 1) != 0, i >= 2, a);
        auth_key_make((i & 1) != 0, i >= 2, b);
        assert_int_equal(strlen(a), AUTH_KEY_LEN);
        assert_true(auth_key_ok(str_c(a)));
        assert_true(str_starts(str_c(a), str_c(prefixes[i])));
        assert_string_not_equal(a, b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(made_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
