/* The life of a merchant: every move that there is, and what each state holds back from whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/domain/merchant.h"
#include "core/domain/permission.h"

static void test_words(void **state)
{
    static const char *const words[] = {"onboarding", "active", "suspended", "closed"};
    enum merchant_status s;
    (void)state;
    assert_int_equal(MERCHANT_N, 4);
    for (enum merchant_status i = 0; i < MERCHANT_N; i++) {
        assert_string_equal(merchant_word(i), words[i]);
        assert_true(merchant_parse(str_c(words[i]), &s));
        assert_int_equal(s, i);
    }
    assert_false(merchant_parse(STR("Active"), &s));
    assert_false(merchant_parse(STR(""), &s));
}

/* By hand: a row is where from, a column where to. */
static void test_moves(void **state)
{
    static const char *const may[] = {
        /* onboarding, active, suspended, closed */
        "-a-c", /* onboarding */
        "--sc", /* active */
        "-a-c", /* suspended */
        "----", /* closed */
    };
    (void)state;
    for (enum merchant_status from = 0; from < MERCHANT_N; from++)
        for (enum merchant_status to = 0; to < MERCHANT_N; to++)
            assert_int_equal(merchant_may_become(from, to), may[from][to] != '-');
}

static bool holds(enum merchant_status s, int kyc, bool live, bool staff, enum permission p)
{
    return (merchant_holds(s, kyc, live, staff).held & permission_bit(p)) != 0;
}

static void test_what_is_held(void **state)
{
    (void)state;
    for (int staff = 0; staff < 2; staff++) {
        for (int live = 0; live < 2; live++) {
            assert_false(holds(MERCHANT_ACTIVE, 1, live, staff, PERM_PAYMENTS_WRITE));
            assert_int_equal(holds(MERCHANT_ACTIVE, 0, live, staff, PERM_PAYMENTS_WRITE), live);
            assert_int_equal(holds(MERCHANT_ONBOARDING, 1, live, staff, PERM_PAYOUTS_WRITE), live);
            for (enum merchant_status s = 0; s < MERCHANT_N; s++) {
                assert_false(holds(s, 0, live, staff, PERM_PAYMENTS_READ));
                assert_false(holds(s, 0, live, staff, PERM_SECURITY_READ));
                assert_false(holds(s, 0, live, staff, PERM_SELF));
            }
            for (enum merchant_status s = MERCHANT_SUSPENDED; s < MERCHANT_N; s++) {
                assert_true(holds(s, 1, live, staff, PERM_PAYMENTS_WRITE));
                assert_true(holds(s, 1, live, staff, PERM_PAYOUTS_WRITE));
                assert_int_equal(holds(s, 1, live, staff, PERM_KEYS), !staff);
                assert_int_equal(holds(s, 1, live, staff, PERM_MEMBERS_WRITE), !staff);
            }
            assert_false(holds(MERCHANT_SUSPENDED, 1, live, staff, PERM_REFUNDS_WRITE));
            assert_int_equal(holds(MERCHANT_CLOSED, 1, live, staff, PERM_REFUNDS_WRITE), !staff);
        }
    }
    assert_int_equal(merchant_holds(MERCHANT_SUSPENDED, 1, false, false).code,
                     ERR_MERCHANT_SUSPENDED);
    assert_int_equal(merchant_holds(MERCHANT_CLOSED, 1, false, false).code, ERR_MERCHANT_CLOSED);
    assert_int_equal(merchant_holds(MERCHANT_ACTIVE, 0, true, false).code, ERR_FORBIDDEN);
    assert_int_equal(merchant_holds(MERCHANT_ACTIVE, 1, true, false).code, ERR_NONE);
}

/* Reading is what is named so, and one's own account. */
static void test_reading(void **state)
{
    uint64_t set = permission_of_reading();
    (void)state;
    for (enum permission p = PERM_NONE + 1; p < PERM_N; p++) {
        bool read = str_ends(str_c(permission_word(p)), STR(".read")) || p == PERM_SELF;
        assert_int_equal((set & permission_bit(p)) != 0, read);
    }
    assert_false((permission_of_platform() & permission_bit(PERM_PAYMENTS_READ)) != 0);
    assert_true((permission_of_platform() & permission_bit(PERM_MERCHANTS_WRITE)) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_what_is_held),
        cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
