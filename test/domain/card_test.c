/* Card numbers in texts: every length, every check digit, every grouping; and what looks like one
 * and is none. The numbers are those that card networks publish for tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/domain/card.h"

static const char *const cards[] = {
    "4111111111111111", "4012888888881881", "5555555555554444",    "2223003122003222",
    "378282246310005",  "30569309025904",   "6011111111111117",    "3530111333300000",
    "4222222222222",    "6304000000000000", "6799990100000000019", "4000000000000002",
};

static const char *const with_cards[] = {
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111 1111-1111 1111",
    "3782 822463 10005",
    "my card is 4111111111111111, thanks",
    "card:4111111111111111.",
    "ORDER4111111111111111",
    "abcdefabcdefabc4111111111111111",  /* 31 */
    "abcdefabcdefabcx4111111111111111", /* x */
    "4111111111111111x",
    "_4111111111111111_",
    "4111 1111 1111 1111 12/26",
    "4111 1111 1111 1111 123",
    "12 4111 1111 1111 1111",
    "2026 07 14 4111111111111111",
    "https://shop.example/pay?pan=4111111111111111",
    "https://shop.example/4111-1111-1111-1111/done",
    "a@4111111111111111.example",
    "+4111111111111111",
    "99999999999999999999 4111111111111111",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 4111 1111 1111 1111",
    "0193e5f0-7123-7890-8234-567890123456 4111111111111111",
};

static const char *const without_cards[] = {
    "",
    "-",
    " ",
    "4111111111111112",
    "4111 1111 1111 1112",
    "411111111111111",
    "4111  1111  1111  1111", /* two blanks: words of their own */
    "4111.1111.1111.1111",
    "4111/1111/1111/1111",
    "41111111111111110000",     /* twenty digits */
    "411111111111111111111111", /* more: no part is looked at */
    "+254700000000",
    "0700 000 000",
    "TXN20261121K7Q2ZD",
    "RL0K7Q2ZD913",
    "2026-11-21T10:00:00Z",
    "0193e5f0-7123-7890-8234-567890123456",
    "41111111-1111-4111-8111-111111111111",
    "0193e5f07123789082344111111111111111e5f0712378908234411111111111",
    "a94a8fe5ccb19ba61c4c08734111111111111111",
    "4111111111111111a94a8fe5ccb19ba6",
    "rct_01a1fdb616dc713e81ec4a5b6777488301a1fdb616dc713e81ec4a5b67774883004111111111111111a94a8f",
};

static void known_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cards); i++) {
        assert_true(card_in_text(str_c(cards[i])));
        assert_true(card_in_number(str_c(cards[i])));
        assert_false(card_in_text(str_from(str_c(cards[i]), strlen(cards[i]) - 12)));
    }
}

static void in_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(with_cards); i++)
        if (!card_in_text(str_c(with_cards[i])))
            fail_msg("not seen: %s", with_cards[i]);
    for (size_t i = 0; i < COUNT_OF(without_cards); i++)
        if (card_in_text(str_c(without_cards[i])))
            fail_msg("not one: %s", without_cards[i]);
}

/* By the definition of ISO/IEC 7812, annex B, from the right and with the check digit left out. */
static char check_digit(const char *payload, size_t n)
{
    static const int doubled[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        int d = payload[n - 1 - i] - '0';
        sum += i % 2 == 0 ? doubled[d] : d;
    }
    return (char)('0' + (10 - sum % 10) % 10);
}

/* Every length, many beginnings: one last digit of ten is right, if the length is a card's. */
static void every_check_digit(void **state)
{
    (void)state;
    char text[32];
    uint64_t x = 88172645463325252u;
    for (size_t n = 2; n <= 24; n++) {
        for (int round = 0; round < 50; round++) {
            for (size_t i = 0; i + 1 < n; i++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                text[i] = (char)('0' + x % 10);
            }
            char right = check_digit(text, n - 1);
            for (char d = '0'; d <= '9'; d++) {
                text[n - 1] = d;
                bool is = n >= 13 && n <= 19 && d == right;
                assert_int_equal(card_in_text(str_n(text, n)), is);
                assert_int_equal(card_in_number(str_n(text, n)), is && text[0] != '1');
            }
        }
    }
}

/* Each way to put one blank or dash or nothing between sixteen digits. */
static void every_grouping(void **state)
{
    (void)state;
    const char *digits = cards[0];
    for (unsigned mask = 0; mask < 1u << 15; mask++) {
        for (int k = 0; k < 2; k++) {
            char text[40];
            size_t n = 0;
            for (unsigned i = 0; i < 16; i++) {
                text[n++] = digits[i];
                if (i < 15 && (mask >> i & 1) != 0)
                    text[n++] = k == 0 ? ' ' : '-';
            }
            assert_true(card_in_text(str_n(text, n)));
        }
    }
}

/* A number stands alone in a text of each other byte, on both sides. */
static void every_neighbour(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[20];
        text[0] = (char)c;
        memcpy(text + 1, cards[0], 16);
        text[17] = (char)c;
        bool digit = c >= '0' && c <= '9';
        if (!digit)
            assert_true(card_in_text(str_n(text, 18)));
        if (!digit)
            assert_true(card_in_text(str_n(text, 17)));
    }
}

static void phones(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "+254700000000",     "+4222222222222",   "004222222222222",
        " +422 222-2222222", "+378282246310005", "0700000000",
    };
    static const char *const not_numbers[] = {
        "4222222222222",   "+4111111111111111",  "4111111111111111",
        "378282246310005", "004111111111111111",
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        assert_false(card_in_phone(str_c(numbers[i])));
    for (size_t i = 0; i < COUNT_OF(not_numbers); i++)
        assert_true(card_in_phone(str_c(not_numbers[i])));
}

static void numbers(void **state)
{
    (void)state;
    assert_true(card_in_number(STR("-4111111111111111")));
    assert_false(card_in_number(STR("4111111111111111.0")));
    assert_false(card_in_number(STR("")));
    assert_false(card_in_number(STR("-")));
    assert_false(card_in_number(STR("1732182923125"))); /* a time, with a right check digit */
    assert_true(card_in_text(STR("1732182923125")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),     cmocka_unit_test(in_texts),
        cmocka_unit_test(every_check_digit), cmocka_unit_test(every_grouping),
        cmocka_unit_test(every_neighbour),   cmocka_unit_test(phones),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
