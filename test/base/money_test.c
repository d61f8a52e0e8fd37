/* Amounts: exponents, parsing, printing, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/money.h"

#define KES CURRENCY('K', 'E', 'S') /* two decimals */
#define RWF CURRENCY('R', 'W', 'F') /* none */
#define KWD CURRENCY('K', 'W', 'D') /* three */

static void exponents(void **state)
{
    (void)state;
    /* ISO 4217 list one: what is not two */
    static const char none[] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    static const char three[] = "BHD IQD JOD KWD LYD OMR TND";
    int n = 0;
    for (char a = 'A'; a <= 'Z'; a++) {
        for (char b = 'A'; b <= 'Z'; b++) {
            for (char c = 'A'; c <= 'Z'; c++) {
                char text[4] = {a, b, c, 0}, back[CURRENCY_TEXT];
                uint16_t currency = currency_parse(str_c(text));
                if (currency == 0) {
                    assert_false(currency_known(CURRENCY(a, b, c)));
                    continue;
                }
                n++;
                assert_int_equal(currency, CURRENCY(a, b, c));
                assert_string_equal(currency_text(currency, back), text);
                int want = strstr(none, text) != NULL ? 0 : strstr(three, text) != NULL ? 3 : 2;
                assert_int_equal(currency_exponent(currency), want);
            }
        }
    }
    assert_true(n > 140 && n < 180);
    static const char *const in_use[] = {"KES", "UGX", "TZS", "RWF", "BIF", "CDF", "ETB", "SSP",
                                         "ZMW", "MWK", "ZAR", "NGN", "GHS", "XOF", "XAF", "USD",
                                         "EUR", "GBP", "XCG", "ZWG", "SLE", "MRU", "STN", "VES"};
    for (size_t i = 0; i < COUNT_OF(in_use); i++)
        assert_int_not_equal(currency_parse(str_c(in_use[i])), 0);
    static const char *const not [] = {"",    "K",   "KE",  "KESX", "kes", "Kes",
                                       "K3S", "QQQ", "DEM", "HRK",  "SLL", "   "};
    for (size_t i = 0; i < COUNT_OF(not ); i++)
        assert_int_equal(currency_parse(str_c(not [i])), 0);
    assert_int_equal(currency_parse(STR_NULL), 0);
    assert_false(currency_known(0));
    assert_false(currency_known(UINT16_MAX));
}

static void parsing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t currency;
        enum err_code code;
        int64_t minor;
    } cases[] = {
        {"1000", KES, ERR_NONE, 100000},
        {"1000.0", KES, ERR_NONE, 100000},
        {"1000.00", KES, ERR_NONE, 100000},
        {"0.1", KES, ERR_NONE, 10},
        {"0.01", KES, ERR_NONE, 1},
        {"0", KES, ERR_NONE, 0},
        {"0.00", KES, ERR_NONE, 0},
        {"007", KES, ERR_NONE, 700},
        {"1000.000", KES, ERR_PARSE, 0}, /* zeros beyond the decimals too */
        {"0.001", KES, ERR_PARSE, 0},
        {"1000", RWF, ERR_NONE, 1000},
        {"1000.0", RWF, ERR_PARSE, 0},
        {"1000.", RWF, ERR_PARSE, 0},
        {"1.234", KWD, ERR_NONE, 1234},
        {"1.2", KWD, ERR_NONE, 1200},
        {"1.2345", KWD, ERR_PARSE, 0},
        {"9999999999999.99", KES, ERR_NONE, 999999999999999},
        {"10000000000000.00", KES, ERR_LIMIT, 0},
        {"10000000000000", KES, ERR_LIMIT, 0},
        {"999999999999999", RWF, ERR_NONE, 999999999999999},
        {"1000000000000000", RWF, ERR_LIMIT, 0},
        {"999999999999.999", KWD, ERR_NONE, 999999999999999},
        {"1000000000000", KWD, ERR_LIMIT, 0},
        {"99999999999999999999999999999999999999", KES, ERR_LIMIT, 0},
        {"0000000000000000000000000000000000001", KES, ERR_NONE, 100},
        {"18446744073709551616", RWF, ERR_LIMIT, 0}, /* 2^64 */
        {"18446744073709551617", RWF, ERR_LIMIT, 0},
        {"9223372036854775808", RWF, ERR_LIMIT, 0},
        {"", KES, ERR_PARSE, 0},
        {".", KES, ERR_PARSE, 0},
        {".5", KES, ERR_PARSE, 0},
        {"5.", KES, ERR_PARSE, 0},
        {"1..2", KES, ERR_PARSE, 0},
        {"1.2.3", KES, ERR_PARSE, 0},
        {"-1", KES, ERR_PARSE, 0},
        {"+1", KES, ERR_PARSE, 0},
        {" 1", KES, ERR_PARSE, 0},
        {"1 ", KES, ERR_PARSE, 0},
        {"1,000", KES, ERR_PARSE, 0},
        {"1e3", KES, ERR_PARSE, 0},
        {"1e400", KES, ERR_PARSE, 0},
        {"1E2", KES, ERR_PARSE, 0},
        {"0x10", KES, ERR_PARSE, 0},
        {"NaN", KES, ERR_PARSE, 0},
        {"Infinity", KES, ERR_PARSE, 0},
        {"1\xd9\xa2", KES, ERR_PARSE, 0}, /* an Arabic digit */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct money m = {-7, 7};
        struct err e = money_parse(str_c(cases[i].text), cases[i].currency, &m);
        if (e.code != cases[i].code)
            fail_msg("\"%s\": %s", cases[i].text, err_word(e.code));
        assert_true(m.minor == (err_is(e) ? -7 : cases[i].minor));
        assert_int_equal(m.currency, err_is(e) ? 7 : cases[i].currency);
    }
    struct money m;
    assert_int_equal(money_parse(STR_NULL, KES, &m).code, ERR_PARSE);
    assert_int_equal(money_parse(str_n("1\0", 2), KES, &m).code, ERR_PARSE);
}

/* A long text that is no amount was called too large. */
static void garbage_after_many_digits_is_no_amount(void **state)
{
    (void)state;
    struct money m;
    assert_int_equal(money_parse(STR("99999999999999999999x"), KES, &m).code, ERR_PARSE);
    assert_int_equal(money_parse(STR("99999999999999999999."), KES, &m).code, ERR_PARSE);
    assert_int_equal(money_parse(STR("99999999999999999999.123"), KES, &m).code, ERR_PARSE);
}

static void printing(void **state)
{
    (void)state;
    static const struct {
        struct money m;
        const char *text;
    } cases[] = {
        {{0, KES}, "0.00"},
        {{1, KES}, "0.01"},
        {{10, KES}, "0.10"},
        {{100, KES}, "1.00"},
        {{-1, KES}, "-0.01"},
        {{-100, KES}, "-1.00"},
        {{0, RWF}, "0"},
        {{-3, RWF}, "-3"},
        {{1000, RWF}, "1000"},
        {{0, KWD}, "0.000"},
        {{1, KWD}, "0.001"},
        {{1234, KWD}, "1.234"},
        {{100000, KES}, "1000.00"},
        {{MONEY_MAX, KES}, "9999999999999.99"},
        {{INT64_MAX, KWD}, "9223372036854775.807"},
        {{INT64_MIN, KWD}, "-9223372036854775.808"},
        {{INT64_MIN, RWF}, "-9223372036854775808"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[MONEY_TEXT];
        assert_string_equal(money_text(cases[i].m, text), cases[i].text);
        struct money back;
        if (cases[i].m.minor >= 0 && cases[i].m.minor <= MONEY_MAX) {
            assert_false(err_is(money_parse(str_c(text), cases[i].m.currency, &back)));
            assert_true(back.minor == cases[i].m.minor);
        }
    }
}

static void sums(void **state)
{
    (void)state;
    struct money out = {5, KES};
    assert_true(money_add((struct money){1, KES}, (struct money){2, KES}, &out));
    assert_int_equal(out.minor, 3);
    assert_true(money_add((struct money){1, KES}, (struct money){-2, KES}, &out));
    assert_int_equal(out.minor, -1);
    assert_false(money_add((struct money){INT64_MAX, KES}, (struct money){1, KES}, &out));
    assert_int_equal(out.minor, -1);
    assert_false(money_add((struct money){INT64_MIN, KES}, (struct money){-1, KES}, &out));
    assert_int_equal(out.minor, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponents),
        cmocka_unit_test(parsing),
        cmocka_unit_test(garbage_after_many_digits_is_no_amount),
        cmocka_unit_test(printing),
        cmocka_unit_test(sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
