/* What the payment machine itself says of its moves, as the SQL CHECK takes them, against the
 * tables written from domain.md. That they are reached, and no others, is the search's to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/domain/payment_oracle.h"

/* Refunds move a payment by their own function, and what leaves the state as it is names none. */
static bool is_move(int from, int to)
{
    for (size_t i = 0; i < COUNT_OF(payment_table); i++) {
        const struct payment_move *m = &payment_table[i];
        if (is_in(m->from, from) && m->to == to && m->maker != OTHERS && m->what != WHAT_REFUND &&
            m->what != WHAT_REFUND_UNDONE)
            return true;
    }
    return false;
}

static bool is_attempt_move(int from, int to)
{
    for (size_t i = 0; i < COUNT_OF(attempt_table); i++)
        if (is_in(attempt_table[i].from, from) && (int)attempt_table[i].to == to)
            return true;
    return false;
}

static void payments(void **state)
{
    (void)state;
    for (int from = 0; from < PAYMENT_N_STATES; from++)
        for (int to = 0; to < PAYMENT_N_STATES; to++)
            if (payment_may_move((enum payment_status)from, (enum payment_status)to) !=
                is_move(from, to))
                fail_msg("%s -> %s", payment_status_word((enum payment_status)from),
                         payment_status_word((enum payment_status)to));
}

static void attempts(void **state)
{
    (void)state;
    for (int from = 0; from < ATTEMPT_N_STATES; from++)
        for (int to = 0; to < ATTEMPT_N_STATES; to++)
            if (attempt_may_move((enum attempt_status)from, (enum attempt_status)to) !=
                is_attempt_move(from, to))
                fail_msg("%s -> %s", attempt_status_word((enum attempt_status)from),
                         attempt_status_word((enum attempt_status)to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payments),
        cmocka_unit_test(attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
