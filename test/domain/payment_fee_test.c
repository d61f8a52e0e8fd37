/* A payment and its fee: fixed when it is made, taken when it completes in time, asked of the
 * customer where he bears it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/times.h"
#include "core/domain/payment.h"

#define KES CURRENCY('K', 'E', 'S')
#define USD CURRENCY('U', 'S', 'D')

enum { AMOUNT = 100000, FEE = 2500, NOW = 1000000 };

struct bench {
    struct payment p;
    struct payment_rules rules;
    struct payment_effects fx;
    int64_t now;
};

static struct err step(struct bench *b, struct payment_event ev)
{
    b->now += US_PER_S;
    return payment_step(&b->p, &ev, &b->rules, b->now, &b->fx);
}

static void must(struct bench *b, struct payment_event ev)
{
    assert_false(err_is(step(b, ev)));
    assert_true(b->fx.changed);
}

static struct bench begin(bool is_manual, bool on_top)
{
    struct bench b = {.p = {.amount = {AMOUNT, KES},
                            .fee_due_minor = FEE,
                            .fee_on_top = on_top,
                            .created_at_us = NOW,
                            .expires_at_us = NOW + US_PER_HOUR},
                      .now = NOW};
    payment_rules_default(&b.rules);
    b.rules.manual = is_manual;
    payment_begin(&b.p, &b.fx);
    must(&b, (struct payment_event){.kind = is_manual ? PAYMENT_EVENT_NEEDS_CUSTOMER
                                                      : PAYMENT_EVENT_DISPATCH});
    return b;
}

static struct payment_event success(int64_t minor)
{
    return (struct payment_event){.kind = PAYMENT_EVENT_SUCCESS,
                                  .attempt = 1,
                                  .source = SOURCE_CALLBACK,
                                  .amount = {minor, minor != 0 ? KES : 0},
                                  .receipt = STR("R1")};
}

static void what_is_asked(void **state)
{
    (void)state;
    struct payment p = {.amount = {AMOUNT, KES}};
    assert_int_equal(payment_asked(&p).minor, AMOUNT);
    p.fee_due_minor = FEE;
    assert_int_equal(payment_asked(&p).minor, AMOUNT);
    p.fee_on_top = true;
    assert_int_equal(payment_asked(&p).minor, AMOUNT + FEE);
    assert_int_equal(payment_asked(&p).currency, KES);
}

/* Who bears it, what the provider names (0: nothing), what comes of it. */
static void over_a_provider(void **state)
{
    (void)state;
    static const struct {
        bool on_top;
        int64_t said;
        bool right;
        int64_t received;
    } cases[] = {
        {false, AMOUNT, true, AMOUNT},
        {false, 0, true, AMOUNT},
        {false, AMOUNT + FEE, false, 0},
        {false, AMOUNT - FEE, false, 0},
        {true, AMOUNT + FEE, true, AMOUNT + FEE},
        {true, 0, true, AMOUNT + FEE},
        {true, AMOUNT, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench b = begin(false, cases[i].on_top);
        assert_int_equal(b.p.attempts[0].amount.minor, AMOUNT + (cases[i].on_top ? FEE : 0));
        assert_int_equal(b.p.fee_minor, 0);
        must(&b, success(cases[i].said));
        assert_int_equal(b.p.status,
                         cases[i].right ? PAYMENT_COMPLETED : PAYMENT_IN_RECONCILIATION);
        assert_int_equal(b.fx.posting, cases[i].right ? POSTING_RECEIVED : POSTING_UNALLOCATED);
        assert_int_equal(b.p.received_minor, cases[i].received);
        assert_int_equal(b.fx.posted.minor, cases[i].right ? cases[i].received : cases[i].said);
        assert_int_equal(b.p.fee_minor, cases[i].right ? FEE : 0);
    }
}

static void by_hand(void **state)
{
    (void)state;
    for (int on_top = 0; on_top <= 1; on_top++) {
        struct bench b = begin(true, on_top);
        struct payment_event ev = {.kind = PAYMENT_EVENT_CONFIRM, .source = SOURCE_API};
        const struct money wrong[] = {{on_top ? AMOUNT : AMOUNT + FEE, KES},
                                      {payment_asked(&b.p).minor, USD}};
        for (size_t i = 0; i < COUNT_OF(wrong); i++) {
            ev.amount = wrong[i];
            assert_int_equal(step(&b, ev).code, ERR_INVALID);
            assert_int_equal(b.p.fee_minor, 0);
        }
        ev.amount = payment_asked(&b.p);
        must(&b, ev);
        assert_int_equal(b.p.status, PAYMENT_COMPLETED);
        assert_int_equal(b.p.received_minor, AMOUNT + (on_top ? FEE : 0));
        assert_int_equal(b.p.fee_minor, FEE);
    }
}

static void late_money_costs_nothing(void **state)
{
    (void)state;
    for (int on_top = 0; on_top <= 1; on_top++) {
        struct bench b = begin(false, on_top);
        must(&b, (struct payment_event){.kind = PAYMENT_EVENT_FAILURE,
                                        .attempt = 1,
                                        .source = SOURCE_CALLBACK,
                                        .code = FAILURE_CUSTOMER_TIMEOUT});
        assert_int_equal(b.p.status, PAYMENT_FAILED);
        assert_int_equal(b.p.fee_minor, 0);
        must(&b, success(0));
        assert_int_equal(b.p.status, PAYMENT_COMPLETED);
        assert_true(b.p.late);
        assert_int_equal(b.p.received_minor, AMOUNT + (on_top ? FEE : 0));
        assert_int_equal(b.p.fee_minor, 0);
        assert_int_equal(b.p.fee_due_minor, FEE);
    }
}

static void taken_once(void **state)
{
    (void)state;
    struct bench b = begin(false, false);
    must(&b, success(AMOUNT));
    assert_false(err_is(step(&b, success(AMOUNT))));
    assert_int_equal(b.fx.posting, POSTING_NONE);
    assert_int_equal(b.p.fee_minor, FEE);
    assert_int_equal(b.p.received_minor, AMOUNT);
}

/* The second provider takes no cents. Whoever takes the money, the fee is what it was with him, and
 * the merchant gets what he has asked for; a fee that he bears himself is the same with both. */
static void of_who_took_it(void **state)
{
    (void)state;
    for (int on_top = 0; on_top <= 1; on_top++) {
        for (int first = 0; first <= 1; first++) {
            struct bench b = begin(false, on_top);
            int64_t other = on_top ? FEE + 50 : FEE;
            must(&b, (struct payment_event){.kind = PAYMENT_EVENT_REFUSED,
                                            .attempt = 1,
                                            .source = SOURCE_API,
                                            .code = FAILURE_PROVIDER_BUSY,
                                            .route_left = true});
            assert_true(b.fx.next_attempt);
            b.p.fee_due_minor = other;
            must(&b, (struct payment_event){.kind = PAYMENT_EVENT_DISPATCH});
            struct payment_event paid = success(0);
            paid.attempt = first ? 1 : 2;
            must(&b, paid);
            assert_int_equal(b.p.status, PAYMENT_COMPLETED);
            assert_int_equal(b.p.fee_minor, first ? FEE : other);
            assert_int_equal(b.p.fee_due_minor, b.p.fee_minor);
            assert_int_equal(b.p.received_minor, AMOUNT + (on_top ? b.p.fee_minor : 0));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked), cmocka_unit_test(over_a_provider),
        cmocka_unit_test(by_hand),       cmocka_unit_test(late_money_costs_nothing),
        cmocka_unit_test(taken_once),    cmocka_unit_test(of_who_took_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
