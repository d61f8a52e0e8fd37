/* How items of the operators' queue may end: every kind of the schema with every resolution,
 * against a table written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/domain/exception.h"

/* One letter per resolution that is allowed: n(oted), c(ompleted), f(ailed), k(ept), r(eturned). */
static const struct {
    const char *kind, *waiting, *settled;
} table[] = {
    {"stuck", "cf", "cf"},         {"integrity_failure", "cfkr", "ncf"},
    {"double_success", "kr", "n"}, {"double_refund", "n", "n"},
    {"unallocated", "kr", ""},     {"refund_manual", "cf", "cf"},
    {"refund_late", "n", "n"},     {"refund_revoked", "n", "n"},
    {"payout_late", "n", "n"},     {"double_payout", "n", "n"},
    {"reversed", "n", "n"},        {"receipt_taken", "n", "n"},
    {"callback_dead", "n", "n"},   {"endpoint_disabled", "n", "n"},
    {"sig_forged", "n", "n"},      {"no such kind", "", ""},
};

static const char letters[RESOLUTION_N] = {
    [RESOLUTION_NOTED] = 'n', [RESOLUTION_COMPLETED] = 'c', [RESOLUTION_FAILED] = 'f',
    [RESOLUTION_KEPT] = 'k',  [RESOLUTION_RETURNED] = 'r',
};

static bool has(const char *set, char letter)
{
    for (; *set != '\0'; set++)
        if (*set == letter)
            return true;
    return false;
}

static void every_kind_and_resolution(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (int r = 0; r < RESOLUTION_N; r++) {
            struct str kind = str_c(table[i].kind);
            assert_int_equal(exception_may_end(kind, true, (enum exception_resolution)r),
                             has(table[i].waiting, letters[r]));
            assert_int_equal(exception_may_end(kind, false, (enum exception_resolution)r),
                             has(table[i].settled, letters[r]));
        }
    }
}

/* Whatever moves money or decides an outcome takes two people. */
static void only_noting_takes_one(void **state)
{
    (void)state;
    for (int r = 0; r < RESOLUTION_N; r++)
        assert_int_equal(resolution_needs_two((enum exception_resolution)r), letters[r] != 'n');
}

static void words_come_back(void **state)
{
    (void)state;
    enum exception_resolution out;
    for (int r = 0; r < RESOLUTION_N; r++) {
        assert_true(resolution_parse(str_c(resolution_word((enum exception_resolution)r)), &out));
        assert_int_equal(out, r);
    }
    assert_false(resolution_parse(STR("Noted"), &out));
    assert_false(resolution_parse(STR(""), &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_and_resolution),
        cmocka_unit_test(only_noting_takes_one),
        cmocka_unit_test(words_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
