/* Limits on money as values: their stored text, whom they meet, and when a day or a month began. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/times.h"
#include "core/domain/limit.h"

#define KES CURRENCY('K', 'E', 'S')

static void stored_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int n; /* -1: not understood */
    } cases[] = {
        {"", 0},
        {"merchant::daily:100:0", 1},
        {"merchant::daily:100:5;customer::monthly:0:7", 2},
        {"method:cash:single:1:0", 1},
        {"method::single:1:0", 1},
        {"merchant::daily:0:0", -1},
        {"merchant::single:0:1", -1},
        {"merchant::single:1:1", -1},
        {"merchant:cash:daily:1:0", -1},
        {"shop::daily:1:0", -1},
        {"merchant::weekly:1:0", -1},
        {"merchant::daily:x:0", -1},
        {"merchant::daily:-1:0", -1},
        {"merchant::daily:1:1000000001", -1},
        {"merchant::daily:1", -1},
        {"merchant::daily:1:0:1", -1},
        {"merchant::daily:1:0;", 1},
        {"method:abcdefghijklmnopqrstuvwxyz0123456:daily:1:0", -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct limit_rules r;
        struct err err = limit_rules_parse(str_c(cases[i].text), KES, &r);
        if (err_is(err) != (cases[i].n < 0) || (cases[i].n >= 0 && r.n != cases[i].n))
            fail_msg("%s", cases[i].text);
    }
    struct limit_rules r;
    assert_false(
        err_is(limit_rules_parse(STR("method:cash:daily:100:5;merchant::single:7:0"), KES, &r)));
    assert_int_equal(r.rule[0].scope, LIMIT_METHOD);
    assert_string_equal(r.rule[0].method, "cash");
    assert_int_equal(r.rule[0].span, LIMIT_DAILY);
    assert_int_equal(r.rule[0].max_minor, 100);
    assert_int_equal(r.rule[0].max_count, 5);
    assert_int_equal(r.rule[1].currency, KES);
    assert_int_equal(r.rule[1].max_minor, 7);
}

static void too_many(void **state)
{
    (void)state;
    char text[4096] = "";
    for (int n = 1; n <= LIMIT_RULES_MAX + 1; n++) {
        struct limit_rules r;
        strcat(text, n > 1 ? ";merchant::daily:1:0" : "merchant::daily:1:0");
        assert_int_equal(err_is(limit_rules_parse(str_c(text), KES, &r)), n > LIMIT_RULES_MAX);
    }
}

static void whom_they_meet(void **state)
{
    (void)state;
    static const struct {
        struct limit_rule rule;
        bool cash, card, cash_customer;
    } cases[] = {
        {{.scope = LIMIT_MERCHANT}, true, true, true},
        {{.scope = LIMIT_CUSTOMER}, false, false, true},
        {{.scope = LIMIT_METHOD}, true, true, true},
        {{.scope = LIMIT_METHOD, .method = "cash"}, true, false, true},
        {{.scope = LIMIT_METHOD, .method = "cas"}, false, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(limit_meets(&cases[i].rule, STR("cash"), false), cases[i].cash);
        assert_int_equal(limit_meets(&cases[i].rule, STR("card"), false), cases[i].card);
        assert_int_equal(limit_meets(&cases[i].rule, STR("cash"), true), cases[i].cash_customer);
    }
}

static void days_and_months(void **state)
{
    (void)state;
    static const struct {
        const char *now, *day, *month;
    } cases[] = {
        {"2026-11-21T12:34:56.789Z", "2026-11-21T00:00:00.000Z", "2026-11-01T00:00:00.000Z"},
        {"2026-11-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z"},
        {"2026-12-31T23:59:59.999Z", "2026-12-31T00:00:00.000Z", "2026-12-01T00:00:00.000Z"},
        {"2028-02-29T01:00:00.000Z", "2028-02-29T00:00:00.000Z", "2028-02-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t now;
        char text[TIME_TEXT];
        assert_true(time_parse(str_c(cases[i].now), &now));
        assert_string_equal(time_text(limit_since_us(LIMIT_DAILY, now), text), cases[i].day);
        assert_string_equal(time_text(limit_since_us(LIMIT_MONTHLY, now), text), cases[i].month);
        assert_int_equal(limit_since_us(LIMIT_SINGLE, now), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_texts),
        cmocka_unit_test(too_many),
        cmocka_unit_test(whom_they_meet),
        cmocka_unit_test(days_and_months),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
