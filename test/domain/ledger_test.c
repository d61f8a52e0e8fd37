/* The books: what each event posts, leg by leg, as domain.md section 5 has it, and that every event
 * is whole: nothing is posted twice, nothing is left out, and what is undone is undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/domain/fee.h"
#include "core/domain/ledger.h"

#define KES CURRENCY('K', 'E', 'S')

struct want {
    const char *kind, *debit, *credit;
    int64_t amount;
    const char *state;
};

static const struct {
    const char *name;
    enum ledger_event event;
    int64_t gross, fee, cost;
    enum ledger_account against;
    int first_step;
    struct want legs[LEDGER_MAX_TRANSFERS];
} cases[] = {
    {"payment of 1000, fee 25, cost 10",
     LEDGER_EVENT_PAYMENT_RECEIVED,
     1000,
     25,
     10,
     0,
     1,
     {{"payment_received", "provider_receivable", "merchant_pending", 975, "posted"},
      {"payment_fee", "provider_receivable", "fees_income", 25, "posted"},
      {"payment_cost", "provider_fee_expense", "provider_receivable", 10, "posted"}}},
    {"payment without a fee",
     LEDGER_EVENT_PAYMENT_RECEIVED,
     1000,
     0,
     0,
     0,
     1,
     {{"payment_received", "provider_receivable", "merchant_pending", 1000, "posted"}}},
    {"payment that is all fee",
     LEDGER_EVENT_PAYMENT_RECEIVED,
     5,
     5,
     0,
     0,
     1,
     {{"payment_fee", "provider_receivable", "fees_income", 5, "posted"}}},
    {"payment with a cost only",
     LEDGER_EVENT_PAYMENT_RECEIVED,
     1000,
     0,
     3,
     0,
     1,
     {{"payment_received", "provider_receivable", "merchant_pending", 1000, "posted"},
      {"payment_cost", "provider_fee_expense", "provider_receivable", 3, "posted"}}},
    {"money that is no payment's",
     LEDGER_EVENT_PAYMENT_UNALLOCATED,
     700,
     0,
     0,
     0,
     1,
     {{"payment_unallocated", "provider_receivable", "unallocated", 700, "posted"}}},
    {"unallocated money that is the merchant's",
     LEDGER_EVENT_UNALLOCATED_KEPT,
     700,
     0,
     0,
     0,
     1,
     {{"unallocated_kept", "unallocated", "merchant_pending", 700, "posted"}}},
    {"unallocated money that was given back",
     LEDGER_EVENT_UNALLOCATED_RETURNED,
     700,
     0,
     0,
     0,
     1,
     {{"unallocated_returned", "unallocated", "provider_receivable", 700, "posted"}}},
    {"pending money that can be paid out",
     LEDGER_EVENT_MATURED,
     700,
     0,
     0,
     0,
     2,
     {{"matured", "merchant_pending", "merchant_available", 700, "posted"}}},
    {"less is pending than was brought",
     LEDGER_EVENT_MATURED_BACK,
     300,
     0,
     0,
     0,
     2,
     {{"matured_back", "merchant_available", "merchant_pending", 300, "posted"}}},
    {"payout paid from what was held",
     LEDGER_EVENT_PAYOUT_PAID,
     250,
     0,
     0,
     0,
     2,
     {{"payout_paid", "payout_clearing", "provider_receivable", 250, "posted"}}},
    {"payout paid after its hold was given back",
     LEDGER_EVENT_PAYOUT_PAID_LATE,
     250,
     0,
     0,
     0,
     1,
     {{"payout_paid_late", "merchant_pending", "provider_receivable", 250, "posted"}}},
    {"payout returned",
     LEDGER_EVENT_PAYOUT_RETURNED,
     250,
     0,
     0,
     0,
     1,
     {{"payout_returned", "provider_receivable", "merchant_available", 250, "posted"}}},
    {"payment reversed, fee kept",
     LEDGER_EVENT_PAYMENT_REVERSED,
     1000,
     0,
     0,
     0,
     4,
     {{"payment_reversed", "merchant_pending", "provider_receivable", 1000, "posted"}}},
    {"payment reversed, fee given back",
     LEDGER_EVENT_PAYMENT_REVERSED,
     1000,
     25,
     0,
     0,
     4,
     {{"payment_reversed", "merchant_pending", "provider_receivable", 975, "posted"},
      {"payment_fee_reversed", "fees_income", "provider_receivable", 25, "posted"}}},
    {"refund settled",
     LEDGER_EVENT_REFUND_SETTLED,
     400,
     0,
     0,
     0,
     1,
     {{"refund_settled", "merchant_pending", "provider_receivable", 400, "posted"}}},
    {"refund settled over a rail that costs",
     LEDGER_EVENT_REFUND_SETTLED,
     400,
     0,
     7,
     0,
     1,
     {{"refund_settled", "merchant_pending", "provider_receivable", 400, "posted"},
      {"refund_cost", "provider_fee_expense", "provider_receivable", 7, "posted"}}},
    {"refund undone",
     LEDGER_EVENT_REFUND_UNDONE,
     400,
     0,
     0,
     0,
     2,
     {{"refund_undone", "provider_receivable", "merchant_pending", 400, "posted"}}},
    {"refund paid twice",
     LEDGER_EVENT_REFUND_EXCESS,
     400,
     0,
     0,
     0,
     2,
     {{"refund_excess", "refund_clearing", "provider_receivable", 400, "posted"}}},
    {"refund paid twice, one came back",
     LEDGER_EVENT_REFUND_EXCESS_UNDONE,
     400,
     0,
     0,
     0,
     3,
     {{"refund_excess_undone", "provider_receivable", "refund_clearing", 400, "posted"}}},
    {"hold for a refund",
     LEDGER_EVENT_HOLD,
     300,
     0,
     0,
     LEDGER_REFUND_CLEARING,
     1,
     {{"hold", "merchant_available", "refund_clearing", 300, "pending"}}},
    {"hold for a payout",
     LEDGER_EVENT_HOLD,
     300,
     0,
     0,
     LEDGER_PAYOUT_CLEARING,
     1,
     {{"hold", "merchant_available", "payout_clearing", 300, "pending"}}},
    {"hold used",
     LEDGER_EVENT_POST,
     300,
     0,
     0,
     LEDGER_PAYOUT_CLEARING,
     2,
     {{"hold_posted", "merchant_available", "payout_clearing", 300, "posted"}}},
    {"hold free again",
     LEDGER_EVENT_VOID,
     300,
     0,
     0,
     LEDGER_DISPUTE_HOLD,
     2,
     {{"hold_voided", "merchant_available", "dispute_hold", 300, "voided"}}},
};

static void what_is_posted(void **state)
{
    (void)state;
    bool seen[LEDGER_EVENT_N] = {false};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct ledger_amounts in = {.gross = {cases[i].gross, KES},
                                          .fee_minor = cases[i].fee,
                                          .cost_minor = cases[i].cost,
                                          .against = cases[i].against,
                                          .first_step = cases[i].first_step};
        struct ledger_posting out;
        struct err err = ledger_post(cases[i].event, &in, &out);
        if (err_is(err))
            fail_msg("%s: %s", cases[i].name, err.what);
        seen[cases[i].event] = true;
        int n = 0;
        for (; n < LEDGER_MAX_TRANSFERS && cases[i].legs[n].kind != NULL; n++) {
            const struct want *want = &cases[i].legs[n];
            const struct ledger_transfer *t = &out.transfers[n];
            assert_true(n < out.n);
            assert_int_equal(t->step, cases[i].first_step + n);
            assert_string_equal(t->kind, want->kind);
            assert_string_equal(ledger_account_word(t->debit), want->debit);
            assert_string_equal(ledger_account_word(t->credit), want->credit);
            assert_int_equal(t->amount.minor, want->amount);
            assert_int_equal(t->amount.currency, KES);
            assert_string_equal(ledger_state_word(t->state), want->state);
        }
        assert_int_equal(out.n, n);
    }
    for (int i = 0; i < LEDGER_EVENT_N; i++)
        assert_true(seen[i]);
}

/* Debits less credits of each account, as far as they are posted. */
struct books {
    int64_t balance[LEDGER_N_ACCOUNTS];
    int64_t held; /* pending, less posted from a hold, less voided */
};

static void enter(struct books *b, enum ledger_event event, struct ledger_amounts in)
{
    struct ledger_posting out;
    assert_false(err_is(ledger_post(event, &in, &out)));
    assert_in_range(out.n, 1, LEDGER_MAX_TRANSFERS);
    for (int i = 0; i < out.n; i++) {
        const struct ledger_transfer *t = &out.transfers[i];
        assert_true(t->amount.minor > 0);
        assert_int_equal(t->amount.currency, in.gross.currency);
        assert_int_not_equal(t->debit, t->credit);
        assert_int_equal(t->step, in.first_step + i);
        if (t->state == LEDGER_POSTED) {
            b->balance[t->debit] += t->amount.minor;
            b->balance[t->credit] -= t->amount.minor;
        }
        if (event == LEDGER_EVENT_HOLD || event == LEDGER_EVENT_POST || event == LEDGER_EVENT_VOID)
            b->held += t->state == LEDGER_PENDING ? t->amount.minor : -t->amount.minor;
    }
}

static void assert_balances(const struct books *b, const struct books *want)
{
    int64_t sum = 0;
    for (int i = 0; i < LEDGER_N_ACCOUNTS; i++) {
        assert_int_equal(b->balance[i], want->balance[i]);
        sum += b->balance[i];
    }
    assert_int_equal(sum, 0);
    assert_int_equal(b->held, want->held);
}

#define AT(account) balance[LEDGER_##account]

/* Every small payment, with every fee and cost, through its whole life. */
static void sums(void **state)
{
    (void)state;
    for (int64_t gross = 1; gross <= 20; gross++)
        for (int64_t fee = 0; fee <= gross; fee++)
            for (int64_t cost = 0; cost <= gross + 2; cost++) {
                struct books b = {0}, want = {0};
                struct ledger_amounts in = {
                    .gross = {gross, KES}, .fee_minor = fee, .cost_minor = cost, .first_step = 1};
                enter(&b, LEDGER_EVENT_PAYMENT_RECEIVED, in);
                want.AT(PROVIDER_RECEIVABLE) = gross - cost;
                want.AT(MERCHANT_PENDING) = fee - gross;
                want.AT(FEES_INCOME) = -fee;
                want.AT(PROVIDER_FEE_EXPENSE) = cost;
                assert_balances(&b, &want);

                /* taken back by the provider: only his cost is left */
                struct books reversed = b;
                in.cost_minor = 0;
                enter(&reversed, LEDGER_EVENT_PAYMENT_REVERSED, in);
                assert_balances(&reversed, &(struct books){.AT(PROVIDER_RECEIVABLE) = -cost,
                                                           .AT(PROVIDER_FEE_EXPENSE) = cost});

                /* a refund and its undoing leave its cost */
                in.fee_minor = 0;
                in.cost_minor = cost;
                enter(&b, LEDGER_EVENT_REFUND_SETTLED, in);
                in.cost_minor = 0;
                want.AT(PROVIDER_RECEIVABLE) -= gross + cost;
                want.AT(MERCHANT_PENDING) += gross;
                want.AT(PROVIDER_FEE_EXPENSE) += cost;
                assert_balances(&b, &want);
                enter(&b, LEDGER_EVENT_REFUND_UNDONE, in);
                want.AT(PROVIDER_RECEIVABLE) += gross;
                want.AT(MERCHANT_PENDING) -= gross;
                assert_balances(&b, &want);
            }
}

static void what_comes_and_goes(void **state)
{
    (void)state;
    struct books b = {0};
    struct ledger_amounts in = {.gross = {70, KES}, .first_step = 1};
    enter(&b, LEDGER_EVENT_REFUND_EXCESS, in);
    assert_balances(&b, &(struct books){.AT(REFUND_CLEARING) = 70, .AT(PROVIDER_RECEIVABLE) = -70});
    enter(&b, LEDGER_EVENT_REFUND_EXCESS_UNDONE, in);
    assert_balances(&b, &(struct books){0});
    enter(&b, LEDGER_EVENT_PAYMENT_UNALLOCATED, in);
    assert_balances(&b, &(struct books){.AT(PROVIDER_RECEIVABLE) = 70, .AT(UNALLOCATED) = -70});
    struct books kept = b, returned = b;
    enter(&kept, LEDGER_EVENT_UNALLOCATED_KEPT, in);
    assert_balances(&kept,
                    &(struct books){.AT(PROVIDER_RECEIVABLE) = 70, .AT(MERCHANT_PENDING) = -70});
    enter(&returned, LEDGER_EVENT_UNALLOCATED_RETURNED, in);
    assert_balances(&returned, &(struct books){0});
}

static void holds(void **state)
{
    (void)state;
    static const enum ledger_account against[] = {LEDGER_REFUND_CLEARING, LEDGER_PAYOUT_CLEARING,
                                                  LEDGER_DISPUTE_HOLD};
    for (size_t i = 0; i < COUNT_OF(against); i++) {
        struct books used = {0}, freed = {0}, want = {.held = 50};
        struct ledger_amounts in = {.gross = {50, KES}, .against = against[i], .first_step = 1};
        enter(&used, LEDGER_EVENT_HOLD, in);
        assert_balances(&used, &want); /* a hold moves no balance */
        freed = used;
        in.first_step = 2;
        enter(&used, LEDGER_EVENT_POST, in);
        want = (struct books){.AT(MERCHANT_AVAILABLE) = 50};
        want.balance[against[i]] = -50;
        assert_balances(&used, &want);
        enter(&freed, LEDGER_EVENT_VOID, in);
        assert_balances(&freed, &(struct books){0});
    }
}

/* The fee that was computed is the fee that is posted, whoever pays it. */
static void fees_fit(void **state)
{
    (void)state;
    static const char *const texts[] = {"2.5% + 1", "100%", "2.5% + 1; payer customer"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct fee_schedule s;
        assert_false(err_is(fee_parse(str_c(texts[i]), KES, &s)));
        for (int64_t amount = 1; amount <= 500; amount++) {
            struct fee f;
            struct books b = {0};
            assert_false(err_is(fee_compute(&s, (struct money){amount, KES}, &f)));
            enter(&b, LEDGER_EVENT_PAYMENT_RECEIVED,
                  (struct ledger_amounts){
                      .gross = f.gross, .fee_minor = f.fee.minor, .first_step = 1});
            assert_int_equal(b.AT(MERCHANT_PENDING), -f.net.minor);
            assert_int_equal(b.AT(FEES_INCOME), -f.fee.minor);
            assert_int_equal(b.AT(PROVIDER_RECEIVABLE), f.gross.minor);
        }
    }
}

static void amounts_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum ledger_event event;
        struct ledger_amounts in;
        enum err_code code;
    } bad[] = {
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{0, KES}, 0, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{-1, KES}, 0, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, 0}, 0, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, 0xffff}, 0, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, 0, 0, 0, 0}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, 2, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, -1, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, INT64_MIN, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, 0, -1, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, 0, 0, LEDGER_BANK, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{MONEY_MAX + 1, KES}, 0, 0, 0, 1}, ERR_LIMIT},
        {LEDGER_EVENT_PAYMENT_RECEIVED, {{1, KES}, 0, MONEY_MAX + 1, 0, 1}, ERR_LIMIT},
        {LEDGER_EVENT_PAYMENT_UNALLOCATED, {{9, KES}, 1, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_UNALLOCATED, {{9, KES}, 0, 1, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_PAYMENT_REVERSED, {{9, KES}, 0, 1, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_REFUND_SETTLED, {{9, KES}, 1, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_REFUND_UNDONE, {{9, KES}, 1, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_REFUND_UNDONE, {{9, KES}, 0, 1, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_HOLD, {{9, KES}, 0, 0, 0, 1}, ERR_INVALID},
        {LEDGER_EVENT_HOLD, {{9, KES}, 0, 0, LEDGER_MERCHANT_AVAILABLE, 1}, ERR_INVALID},
        {LEDGER_EVENT_POST, {{9, KES}, 0, 0, LEDGER_BANK, 1}, ERR_INVALID},
        {LEDGER_EVENT_VOID, {{9, KES}, 1, 0, LEDGER_DISPUTE_HOLD, 1}, ERR_INVALID},
    };
    struct ledger_posting before, out;
    memset(&before, 7, sizeof before);
    memcpy(&out, &before, sizeof out);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct err err = ledger_post(bad[i].event, &bad[i].in, &out);
        if (err.code != bad[i].code)
            fail_msg("case %zu: %d", i, (int)err.code);
        assert_memory_equal(&out, &before, sizeof out);
    }
    const struct ledger_amounts most = {{MONEY_MAX, KES}, MONEY_MAX, MONEY_MAX, 0, 1};
    assert_false(err_is(ledger_post(LEDGER_EVENT_PAYMENT_RECEIVED, &most, &out)));
}

/* domain.md 5: the types, and which of them keep a running balance. */
static void account_types(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum ledger_side side;
        bool guarded;
    } want[] = {
        {"provider_receivable", LEDGER_DEBIT, false},  {"bank", LEDGER_DEBIT, false},
        {"merchant_pending", LEDGER_CREDIT, false},    {"merchant_available", LEDGER_CREDIT, true},
        {"merchant_reserve", LEDGER_CREDIT, true},     {"fees_income", LEDGER_CREDIT, false},
        {"provider_fee_expense", LEDGER_DEBIT, false}, {"commission", LEDGER_CREDIT, false},
        {"unallocated", LEDGER_CREDIT, false},         {"refund_clearing", LEDGER_CREDIT, false},
        {"payout_clearing", LEDGER_CREDIT, false},     {"dispute_hold", LEDGER_CREDIT, true},
        {"fx_position", LEDGER_DEBIT, false},          {"rounding", LEDGER_DEBIT, false},
        {"points_liability", LEDGER_CREDIT, false},
    };
    assert_int_equal(COUNT_OF(want), LEDGER_N_ACCOUNTS);
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        enum ledger_account a = LEDGER_N_ACCOUNTS;
        assert_true(ledger_account_parse(str_c(want[i].word), &a));
        assert_string_equal(ledger_account_word(a), want[i].word);
        assert_int_equal(ledger_account_side(a), want[i].side);
        assert_int_equal(ledger_account_guarded(a), want[i].guarded);
    }
    enum ledger_account a;
    assert_false(ledger_account_parse(STR(""), &a));
    assert_false(ledger_account_parse(STR("merchant"), &a));
    assert_int_equal(ledger_account_owner(LEDGER_PROVIDER_RECEIVABLE),
                     LEDGER_OWNER_PROVIDER_ACCOUNT);
    assert_int_equal(ledger_account_owner(LEDGER_MERCHANT_PENDING), LEDGER_OWNER_MERCHANT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_posted),
        cmocka_unit_test(sums),
        cmocka_unit_test(what_comes_and_goes),
        cmocka_unit_test(holds),
        cmocka_unit_test(fees_fit),
        cmocka_unit_test(amounts_that_are_refused),
        cmocka_unit_test(account_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
