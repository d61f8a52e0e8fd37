/* The breaker over given time: when it opens, whom it refuses, who probes, and what closes it; the
 * rules are those of domain.md, section 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/times.h"
#include "gateways/health.h"

#define START (1000 * US_PER_S)

struct patient {
    struct health h;
    struct health_rules rules;
    int64_t now;
};

static struct patient patient(void)
{
    return (struct patient){.rules = health_rules_default(), .now = START};
}

static enum health_refusal admit(struct patient *p, enum health_kind kind, unsigned *probes)
{
    return health_admit(&p->h, &p->rules, kind, p->now, probes);
}

/* An order from its admission to its end; how it was met. */
static enum health_refusal order(struct patient *p, enum health_kind kind, enum health_outcome o)
{
    unsigned probes;
    enum health_refusal r = admit(p, kind, &probes);
    if (r == HEALTH_ADMITTED)
        health_note(&p->h, &p->rules, kind, probes, o, p->now);
    return r;
}

static void orders(struct patient *p, int n, enum health_outcome o)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(order(p, HEALTH_CHARGE, o), HEALTH_ADMITTED);
}

static struct health_view look(const struct patient *p)
{
    return health_look(&p->h, &p->rules, p->now);
}

static void new_is_well(void **state)
{
    (void)state;
    struct patient p = patient();
    struct health_view v = look(&p);
    assert_int_equal(v.state, HEALTH_CLOSED);
    assert_int_equal(v.score, 100);
    assert_true(v.takes_charges);
    assert_null(v.reason);
}

/* For every mix of up to 40 calls: open exactly when, at a failure, at least 20 had been made and
 * half of them or more had failed. */
static void opens_at_half_of_twenty(void **state)
{
    (void)state;
    for (int n_well = 0; n_well <= 40; n_well++) {
        struct patient p = patient();
        orders(&p, n_well, HEALTH_WELL);
        for (int bad = 1; bad <= 45; bad++) {
            orders(&p, 1, HEALTH_UNWELL);
            bool open = n_well + bad >= 20 && 2 * bad >= n_well + bad;
            assert_int_equal(look(&p).state, open ? HEALTH_OPEN : HEALTH_CLOSED);
            if (open)
                break;
        }
        assert_int_equal(look(&p).state, HEALTH_OPEN);
        assert_int_equal(look(&p).score, 0);
        assert_false(look(&p).takes_charges);
        assert_string_equal(look(&p).reason, "unwell");
    }
}

static void what_says_nothing_counts_nothing(void **state)
{
    (void)state;
    struct patient p = patient();
    orders(&p, 100, HEALTH_NOTHING);
    orders(&p, 19, HEALTH_UNWELL);
    assert_int_equal(look(&p).state, HEALTH_CLOSED);
    orders(&p, 1, HEALTH_UNWELL);
    assert_int_equal(look(&p).state, HEALTH_OPEN);
}

static void failures_are_forgotten(void **state)
{
    (void)state;
    struct patient p = patient();
    orders(&p, 19, HEALTH_UNWELL);
    assert_int_equal(look(&p).score, 5);
    p.now += 61 * US_PER_S;
    assert_int_equal(look(&p).score, 100);
    orders(&p, 19, HEALTH_UNWELL);
    assert_int_equal(look(&p).state, HEALTH_CLOSED);
    p.now += 50 * US_PER_S;
    orders(&p, 1, HEALTH_UNWELL);
    assert_int_equal(look(&p).state, HEALTH_OPEN);
}

static void open_refuses_charges_and_neither_refunds_nor_questions(void **state)
{
    (void)state;
    struct patient p = patient();
    unsigned probes;
    orders(&p, 20, HEALTH_UNWELL);
    for (int64_t s = 0; s < 30; s++) {
        assert_int_equal(admit(&p, HEALTH_CHARGE, &probes), HEALTH_REFUSED_CALLS);
        assert_int_equal(admit(&p, HEALTH_REFUND, &probes), HEALTH_ADMITTED);
        assert_int_equal(probes, 0);
        assert_int_equal(order(&p, HEALTH_ASKS, HEALTH_UNWELL), HEALTH_ADMITTED);
        assert_int_equal(order(&p, HEALTH_ASKS, HEALTH_WELL), HEALTH_ADMITTED);
        p.now += US_PER_S;
    }
    assert_int_equal(look(&p).state, HEALTH_HALF_OPEN);
    assert_int_equal(look(&p).score <= 50, 1);
    assert_true(look(&p).takes_charges);
}

static void one_probe(void **state)
{
    (void)state;
    static const struct {
        enum health_outcome outcome;
        enum health_state then;
    } cases[] = {
        {HEALTH_WELL, HEALTH_CLOSED},          {HEALTH_ANSWERED, HEALTH_CLOSED},
        {HEALTH_UNWELL, HEALTH_OPEN},          {HEALTH_NOTHING, HEALTH_HALF_OPEN},
        {HEALTH_TOKEN_REFUSED, HEALTH_CLOSED}, {HEALTH_KEYS_REFUSED, HEALTH_CLOSED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct patient p = patient();
        unsigned probes, other;
        orders(&p, 20, HEALTH_UNWELL);
        p.now += 30 * US_PER_S;
        assert_int_equal(admit(&p, HEALTH_CHARGE, &probes), HEALTH_ADMITTED);
        assert_int_equal(probes, HEALTH_PROBES_CALLS);
        assert_false(look(&p).takes_charges);
        assert_int_equal(admit(&p, HEALTH_CHARGE, &other), HEALTH_REFUSED_CALLS);
        assert_int_equal(admit(&p, HEALTH_REFUND, &other), HEALTH_ADMITTED);
        /* Who was sent before it opened decides nothing. */
        health_note(&p.h, &p.rules, HEALTH_CHARGE, 0, HEALTH_UNWELL, p.now);
        health_note(&p.h, &p.rules, HEALTH_CHARGE, 0, HEALTH_WELL, p.now);
        assert_int_equal(look(&p).state, HEALTH_HALF_OPEN);
        health_note(&p.h, &p.rules, HEALTH_CHARGE, probes, cases[i].outcome, p.now);
        assert_int_equal(look(&p).state, cases[i].then);
        assert_int_equal(look(&p).takes_charges, cases[i].then != HEALTH_OPEN);
        if (cases[i].then == HEALTH_CLOSED) /* with a clean sheet */
            orders(&p, 19, HEALTH_UNWELL);
    }
}

static void refused_tokens_keep_all_orders_away(void **state)
{
    (void)state;
    struct patient p = patient();
    unsigned probes;
    orders(&p, 2, HEALTH_TOKEN_REFUSED);
    orders(&p, 1, HEALTH_WELL); /* so the keys are right */
    orders(&p, 2, HEALTH_TOKEN_REFUSED);
    assert_int_equal(look(&p).state, HEALTH_CLOSED);
    orders(&p, 1, HEALTH_TOKEN_REFUSED);
    assert_int_equal(look(&p).state, HEALTH_OPEN);
    assert_string_equal(look(&p).reason, "credentials");
    assert_int_equal(admit(&p, HEALTH_CHARGE, &probes), HEALTH_REFUSED_KEYS);
    assert_int_equal(admit(&p, HEALTH_REFUND, &probes), HEALTH_REFUSED_KEYS);
    assert_int_equal(admit(&p, HEALTH_ASKS, &probes), HEALTH_ADMITTED);
    p.now += 5 * US_PER_MIN;
    assert_int_equal(admit(&p, HEALTH_CHARGE, &probes), HEALTH_ADMITTED);
    assert_int_equal(probes, HEALTH_PROBES_KEYS);
    health_note(&p.h, &p.rules, HEALTH_CHARGE, probes, HEALTH_TOKEN_REFUSED, p.now);
    assert_int_equal(look(&p).state, HEALTH_OPEN);
    p.now += 5 * US_PER_MIN;
    assert_int_equal(order(&p, HEALTH_CHARGE, HEALTH_WELL), HEALTH_ADMITTED);
    assert_int_equal(look(&p).state, HEALTH_CLOSED);
}

/* The operator's password is the refunds' own; an acknowledgement is no proof of it. */
static void refused_keys_of_refunds(void **state)
{
    (void)state;
    struct patient p = patient();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_ANSWERED), HEALTH_ADMITTED);
        health_note(&p.h, &p.rules, HEALTH_REFUND, 0, HEALTH_KEYS_REFUSED, p.now);
    }
    assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_WELL), HEALTH_REFUSED_KEYS);
    assert_int_equal(look(&p).state, HEALTH_CLOSED); /* of charges */
    assert_int_equal(look(&p).money_out, HEALTH_OPEN);
    orders(&p, 10, HEALTH_WELL);
    assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_WELL), HEALTH_REFUSED_KEYS);
    p.now += 5 * US_PER_MIN;
    assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_ANSWERED), HEALTH_ADMITTED);
    health_note(&p.h, &p.rules, HEALTH_REFUND, 0, HEALTH_KEYS_REFUSED, p.now);
    assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_WELL), HEALTH_REFUSED_KEYS);
    p.now += 5 * US_PER_MIN;
    assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_ANSWERED), HEALTH_ADMITTED);
    health_note(&p.h, &p.rules, HEALTH_REFUND, 0, HEALTH_WELL, p.now);
    assert_int_equal(look(&p).money_out, HEALTH_CLOSED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_KEYS_REFUSED), HEALTH_ADMITTED);
    assert_int_equal(order(&p, HEALTH_REFUND, HEALTH_WELL), HEALTH_ADMITTED);
}

static void a_breaker_that_is_off(void **state)
{
    (void)state;
    struct patient p = patient();
    p.rules.min_calls = 0;
    orders(&p, 100, HEALTH_UNWELL);
    orders(&p, 100, HEALTH_TOKEN_REFUSED);
    assert_int_equal(look(&p).state, HEALTH_CLOSED);
    assert_int_equal(look(&p).score, 50);
}

/* Every sequence of six steps: time that passes, orders sent and ended in any order. Whatever
 * comes, at most one probe is out, a probe means half open, and a closed breaker refuses nobody. */
static void every_sequence(void **state)
{
    (void)state;
    enum { STEPS = 7, MOVES = 6 };
    int total = 1;
    for (int i = 0; i < STEPS; i++)
        total *= MOVES;
    for (int code = 0; code < total; code++) {
        struct patient p = patient();
        unsigned out[STEPS], probes;
        int n_out = 0, n_probes = 0;
        p.rules.min_calls = 2;
        for (int i = 0, c = code; i < STEPS; i++, c /= MOVES) {
            if (c % MOVES == 0) {
                p.now += 30 * US_PER_S;
            } else if (c % MOVES <= 2) {
                enum health_state before = look(&p).state;
                bool takes = look(&p).takes_charges;
                bool admitted = admit(&p, HEALTH_CHARGE, &probes) == HEALTH_ADMITTED;
                assert_int_equal(admitted, takes);
                assert_true(before != HEALTH_CLOSED || admitted);
                assert_true(before != HEALTH_OPEN || !admitted);
                if (admitted) {
                    assert_int_equal(probes != 0, before == HEALTH_HALF_OPEN);
                    n_probes += probes != 0;
                    out[n_out++] = probes;
                }
            } else if (n_out > 0) {
                static const enum health_outcome ends[] = {HEALTH_NOTHING, HEALTH_WELL,
                                                           HEALTH_UNWELL};
                probes = out[--n_out];
                n_probes -= probes != 0;
                health_note(&p.h, &p.rules, HEALTH_CHARGE, probes, ends[c % MOVES - 3], p.now);
            }
            assert_true(n_probes <= 1);
            assert_true(look(&p).score >= 0 && look(&p).score <= 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_is_well),
        cmocka_unit_test(opens_at_half_of_twenty),
        cmocka_unit_test(what_says_nothing_counts_nothing),
        cmocka_unit_test(failures_are_forgotten),
        cmocka_unit_test(open_refuses_charges_and_neither_refunds_nor_questions),
        cmocka_unit_test(one_probe),
        cmocka_unit_test(refused_tokens_keep_all_orders_away),
        cmocka_unit_test(refused_keys_of_refunds),
        cmocka_unit_test(a_breaker_that_is_off),
        cmocka_unit_test(every_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
