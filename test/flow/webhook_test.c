/* core/flow/webhook.c: which events an endpoint's filter takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flow/webhook.h"

static void filters(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *type;
        bool wanted;
    } cases[] = {
        {"*", "payment.completed", true},
        {"*", "refund.failed", true},
        {"payment.completed", "payment.completed", true},
        {"payment.completed", "payment.failed", false},
        {"payment.completed", "payment.completed2", false},
        {"payment.completed2", "payment.completed", false},
        {"payment.completed,payment.failed", "payment.failed", true},
        {"payment.completed,payment.failed", "payment.expired", false},
        {"payment.*", "payment.completed", true},
        {"payment.*", "payment.attempt.failed", true},
        {"payment.*", "payments.completed", false},
        {"payment.*", "payment", false},
        {"payment.*", "refund.completed", false},
        {"refund.*,payment.failed", "payment.failed", true},
        {"refund.*,payment.failed", "refund.completed", true},
        {"refund.*,payment.failed", "payment.completed", false},
        {"refund.completed,*", "payment.completed", true},
        {"pay*", "payment.completed", false}, /* a star stands for whole words only */
        {"payment.comp*", "payment.completed", false},
        {"*.completed", "payment.completed", false},
        {"**", "payment.completed", false},
        {".*", "payment.completed", false},
        {"", "payment.completed", false},
        {",", "payment.completed", false},
        {",,payment.completed", "payment.completed", true},
        {" payment.completed", "payment.completed", false},
        {"PAYMENT.COMPLETED", "payment.completed", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (webhook_wanted(str_c(cases[i].filter), str_c(cases[i].type)) != cases[i].wanted)
            fail_msg("%s: %s", cases[i].filter, cases[i].type);
    assert_false(webhook_wanted(STR_NULL, STR("payment.completed")));
}

static void words(void **state)
{
    static const char *const good[] = {"*",
                                       "payment.*",
                                       "refund.*",
                                       "payout.*",
                                       "payment.initiated",
                                       "payment.updated",
                                       "refund.pending",
                                       "refund.in_reconciliation",
                                       "payout.pending",
                                       "payout.returned"};
    static const char *const bad[] = {"",           "**",         ".*",         "dispute.*",
                                      "payment",    "payment.",   "payments.*", "payment.nope",
                                      " payment.*", "payment.*,", "Payment.*",  "refund.initiated"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!webhook_word_ok(str_c(good[i])))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (webhook_word_ok(str_c(bad[i])))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
