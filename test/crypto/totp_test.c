/* The second factor against the vectors of RFC 6238 and RFC 4226, and one use of a code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/totp.h"

static const struct str secret = {"12345678901234567890", 20};

/* RFC 6238, appendix B, its last six digits; RFC 4226, appendix D. */
static void vectors(void **state)
{
    (void)state;
    static const struct {
        int64_t step;
        const char *code;
    } cases[] = {
        {59 / 30, "287082"},
        {1111111109 / 30, "081804"},
        {1111111111 / 30, "050471"},
        {1234567890 / 30, "005924"},
        {2000000000 / 30, "279037"},
        {INT64_C(20000000000) / 30, "353130"},
        {0, "755224"},
        {1, "287082"},
        {2, "359152"},
        {3, "969429"},
        {4, "338314"},
        {5, "254676"},
        {6, "287922"},
        {7, "162583"},
        {8, "399871"},
        {9, "520489"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char code[TOTP_DIGITS + 1];
        totp_code(secret, cases[i].step, code);
        assert_string_equal(code, cases[i].code);
    }
}

static void window(void **state)
{
    (void)state;
    int64_t wall = INT64_C(1234567890) * US_PER_S, step;
    int64_t now = totp_step(wall);
    assert_int_equal(now, 1234567890 / 30);
    for (int off = -3; off <= 3; off++) {
        char code[TOTP_DIGITS + 1];
        totp_code(secret, now + off, code);
        step = -7;
        bool right = totp_check(secret, str_c(code), wall, -1, &step);
        assert_int_equal(right, off >= -1 && off <= 1);
        assert_int_equal(step, right ? now + off : -7);
    }
}

static void once(void **state)
{
    (void)state;
    int64_t wall = INT64_C(1234567890) * US_PER_S, step;
    int64_t now = totp_step(wall);
    for (int used = -2; used <= 2; used++)
        for (int off = -1; off <= 1; off++) {
            char code[TOTP_DIGITS + 1];
            totp_code(secret, now + off, code);
            assert_int_equal(totp_check(secret, str_c(code), wall, now + used, &step), off > used);
        }
}

static void forms(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "5924",    "05924",  "0005924", "005924 ",
                                        " 005924", "00592x",  "+05924", "005 924", "005923",
                                        "059240",  "0059240", "00592"};
    int64_t wall = INT64_C(1234567890) * US_PER_S, step;
    assert_true(totp_check(secret, STR("005924"), wall, -1, &step));
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(totp_check(secret, str_c(wrong[i]), wall, -1, &step));
    assert_false(totp_check(secret, str_n("005924\0", 7), wall, -1, &step));
    assert_false(totp_check(secret, STR_NULL, wall, -1, &step));
    assert_false(totp_check(STR("12345678901234567891"), STR("005924"), wall, -1, &step));
}

static void address(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    totp_url(&b, STR("Duka & Co"), STR("a+b@example.com"), secret);
    assert_true(
        str_eq(buf_view(&b), STR("otpauth://totp/Duka%20%26%20Co:a%2Bb%40example.com"
                                 "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Duka%20%26%20Co"
                                 "&algorithm=SHA1&digits=6&period=30")));
    buf_free(&b);
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
        cmocka_unit_test(vectors), cmocka_unit_test(window),  cmocka_unit_test(once),
        cmocka_unit_test(forms),   cmocka_unit_test(address),
    };
    return cmocka_run_group_tests(tests, open_crypto, close_crypto);
}
