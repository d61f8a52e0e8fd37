/* Passwords: what fits, what opens, and that nobody can log in as nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/mac.h"
#include "core/crypto/password.h"

static void round_trip(void **state)
{
    (void)state;
    char a[PASSWORD_HASH_TEXT], b[PASSWORD_HASH_TEXT];
    struct str password = STR("gari la ng\xc3\xb6mbe");
    assert_false(err_is(password_hash(password, a)));
    assert_false(err_is(password_hash(password, b)));
    assert_string_not_equal(a, b);
    assert_true(str_starts(str_c(a), STR("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_true(password_check(password, str_c(a)));
    assert_true(password_check(password, str_c(b)));
    assert_false(password_check(str_first(password, password.n - 1), str_c(a)));
    assert_false(password_check(STR("gari la ngombe"), str_c(a)));
}

static void lengths(void **state)
{
    (void)state;
    char text[PASSWORD_MAX + 2], hash[PASSWORD_HASH_TEXT];
    memset(text, 'x', sizeof text);
    for (size_t n = 0; n < sizeof text; n++)
        assert_int_equal(password_fits(str_n(text, n)), n >= 8 && n <= 256);
    assert_false(password_fits(STR("pass\0word")));
    assert_false(password_fits(STR("password\xff")));
    assert_int_equal(password_hash(str_n(text, 7), hash).code, ERR_INVALID);
    assert_int_equal(password_hash(str_n(text, 257), hash).code, ERR_INVALID);
    /* the last byte of the longest counts */
    assert_false(err_is(password_hash(str_n(text, 256), hash)));
    text[255] = 'y';
    assert_false(password_check(str_n(text, 256), str_c(hash)));
    text[255] = 'x';
    assert_true(password_check(str_n(text, 256), str_c(hash)));
}

static void nobody(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_TEXT], much[300];
    memset(much, 'h', sizeof much);
    assert_false(password_check(STR("password"), STR_NULL));
    assert_false(password_check(STR("password"), STR("")));
    assert_false(password_check(STR(""), STR("")));
    assert_false(password_check(STR("password"), STR("*")));
    assert_false(password_check(STR("password"), str_n(much, sizeof much)));
    assert_false(err_is(password_hash(STR("password"), hash)));
    assert_false(password_check(STR(""), str_c(hash)));
    assert_false(password_check(STR("passwor"), str_c(hash)));
}

static int open_crypto(void **state)
{
    (void)state;
    return err_is(crypto_open());
}

static int close_crypto(void **state)
{
    (void)state;
    crypto_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(lengths),
        cmocka_unit_test(nobody),
    };
    return cmocka_run_group_tests(tests, open_crypto, close_crypto);
}
