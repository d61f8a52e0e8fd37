/* References that reli makes, and what people make of them when they type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/domain/card.h"
#include "core/domain/reference.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void reference_numbers(void **state)
{
    (void)state;
    char out[REFERENCE_NO_TEXT];
    reference_no_make(INT64_C(1795227420123000), 0, out);
    assert_string_equal(out, "TXN20261121A00000");
    reference_no_make(INT64_C(1795227420123000), UINT64_MAX, out);
    assert_string_equal(out, "TXN20261121ZZZZZZ");
    reference_no_make(INT64_C(1795305599999999), 0x3ffff001,
                      out); /* the day's last microsecond, UTC */
    assert_true(str_starts(str_c(out), STR("TXN20261121")));
    reference_no_make(INT64_C(1795305600000000), 1, out);
    assert_string_equal(out, "TXN20261122A00001");
}

/* A date and digits were a card number once in three thousand, and a merchant who sent our own
 * number back was refused. */
static void reference_numbers_are_no_card_numbers(void **state)
{
    (void)state;
    char out[REFERENCE_NO_TEXT];
    for (uint64_t head = 0; head < 0x10000; head++) {
        reference_no_make(INT64_C(1795227420123000), head << 25 | (next_random() & 0x1ffffff), out);
        assert_non_null(strchr("ABCDEFGHJKMNPQRSTVWXYZ", out[11]));
    }
    for (uint64_t digits = 0; digits < 100000; digits++) {
        uint64_t bits = 0;
        for (uint64_t rest = digits, i = 0; i < 5; i++, rest /= 10)
            bits |= rest % 10 << 5 * i;
        reference_no_make(INT64_C(1795227420123000), bits, out);
        assert_false(card_in_text(str_c(out)));
    }
}

/* Worked by hand from patterns.md, B2: letters as A=10 … Z=35, "00" appended, 98 - n mod 97. */
static void pay_codes(void **state)
{
    (void)state;
    char out[PAY_CODE_TEXT];
    pay_code_make(0, out);
    assert_string_equal(out, "RL0000000098"); /* 98 - 0 */
    pay_code_make(1, out);
    assert_string_equal(out, "RL0000000195"); /* 98 - 100 mod 97 = 98 - 3 */
    pay_code_make(10, out);
    assert_string_equal(out, "RL0000000A68"); /* 98 - 1000 mod 97 = 98 - 30 */
    for (int i = 0; i < 2000; i++) {
        char back[PAY_CODE_TEXT];
        pay_code_make(next_random(), out);
        assert_int_equal(strlen(out), 12);
        for (int k = 2; k < 10; k++)
            assert_non_null(strchr(alphabet, out[k]));
        assert_true(pay_code_parse(str_c(out), back));
        assert_string_equal(out, back);
    }
}

static void as_typed(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *code; /* NULL: refused */
    } cases[] = {
        {"RL0000000195", "RL0000000195"},
        {"rl0000000195", "RL0000000195"},
        {"RL-0000-0001-95", "RL0000000195"},
        {" rl 0000 0001 / 95. ", "RL0000000195"},
        {"RLOOOOOOOI95", "RL0000000195"}, /* O for 0, I for 1 */
        {"rloooooool95", "RL0000000195"}, /* and l */
        {"RL0000000a68", "RL0000000A68"},
        {"RL0000000194", NULL},
        {"RL000000019", NULL},
        {"RL00000001950", NULL},
        {"0000000195", NULL},
        {"XL0000000195", NULL},
        {"RX0000000195", NULL},
        {"R10000000195", NULL},
        {"RL000000U195", NULL},
        {"RL00000001A5", NULL},
        {"RL000000019\xc3\xa9", NULL},
        {"", NULL},
        {"-", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[PAY_CODE_TEXT] = "untouched";
        if (pay_code_parse(str_c(cases[i].typed), out) != (cases[i].code != NULL))
            fail_msg("\"%s\"", cases[i].typed);
        assert_string_equal(out, cases[i].code != NULL ? cases[i].code : "untouched");
    }
    char out[PAY_CODE_TEXT];
    assert_false(pay_code_parse(STR_NULL, out));
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What MOD 97-10 promises of a text in which letters count as two digits: every error that keeps
 * digits digits and letters letters is found; an error that changes the kind, and so the length of
 * the number, is missed about once in 97. */
static void typing_errors_are_found(void **state)
{
    (void)state;
    long tried = 0, missed = 0;
    for (int i = 0; i < 400; i++) {
        char code[PAY_CODE_TEXT], bad[PAY_CODE_TEXT], out[PAY_CODE_TEXT];
        pay_code_make(next_random(), code);
        for (int at = 2; at < 12; at++) {
            for (size_t k = 0; k < 32; k++) {
                memcpy(bad, code, sizeof bad);
                bad[at] = alphabet[k];
                if (bad[at] == code[at])
                    continue;
                bool found = !pay_code_parse(str_c(bad), out);
                if (digit(bad[at]) == digit(code[at]))
                    assert_true(found);
                tried++;
                missed += !found;
            }
        }
        for (int at = 2; at < 11; at++) { /* neighbours exchanged */
            memcpy(bad, code, sizeof bad);
            bad[at] = code[at + 1];
            bad[at + 1] = code[at];
            if (bad[at] == code[at])
                continue;
            bool found = !pay_code_parse(str_c(bad), out);
            if (digit(bad[at]) == digit(code[at]))
                assert_true(found);
            tried++;
            missed += !found;
        }
    }
    assert_true(missed * 50 < tried); /* two in a hundred at most */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_numbers),
        cmocka_unit_test(reference_numbers_are_no_card_numbers),
        cmocka_unit_test(pay_codes),
        cmocka_unit_test(as_typed),
        cmocka_unit_test(typing_errors_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
