/* Fee schedules: the grammar, and arithmetic against values worked out by hand and against the
 * definition of rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/domain/fee.h"

#define KES CURRENCY('K', 'E', 'S')
#define RWF CURRENCY('R', 'W', 'F')
#define KWD CURRENCY('K', 'W', 'D')
#define USD CURRENCY('U', 'S', 'D')

static struct fee_schedule schedule(const char *text, uint16_t currency)
{
    struct fee_schedule s;
    struct err err = fee_parse(str_c(text), currency, &s);
    if (err_is(err))
        fail_msg("%s: %s at %d", text, err.what, (int)err.detail);
    return s;
}

static void texts_that_are_schedules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t currency;
        struct fee_schedule want;
    } cases[] = {
        {"1.5% + 20 cap 2000 min 5; > 100000: 1%",
         KES,
         {KES, FEE_PAYER_MERCHANT, 2, {{0, 15000, 2000, 500, 200000}, {10000000, 10000, 0, 0, 0}}}},
        {"0", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0}}}},
        {"0%", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0}}}},
        {"100%", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 1000000, 0, 0, 0}}}},
        {"100.0000%", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 1000000, 0, 0, 0}}}},
        {"0.0001%", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 1, 0, 0, 0}}}},
        {"2.75 %", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 27500, 0, 0, 0}}}},
        {"20", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 0, 2000, 0, 0}}}},
        {"20", RWF, {RWF, FEE_PAYER_MERCHANT, 1, {{0, 0, 20, 0, 0}}}},
        {"0.125", KWD, {KWD, FEE_PAYER_MERCHANT, 1, {{0, 0, 125, 0, 0}}}},
        {"1%+0.30", USD, {USD, FEE_PAYER_MERCHANT, 1, {{0, 10000, 30, 0, 0}}}},
        {"  1%  +  2  min  3  cap  4  ",
         KES,
         {KES, FEE_PAYER_MERCHANT, 1, {{0, 10000, 200, 300, 400}}}},
        {"1%min 3 cap 3", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 10000, 0, 300, 300}}}},
        {"1%;payer customer", KES, {KES, FEE_PAYER_CUSTOMER, 1, {{0, 10000, 0, 0, 0}}}},
        {"1% ; payer merchant ", KES, {KES, FEE_PAYER_MERCHANT, 1, {{0, 10000, 0, 0, 0}}}},
        {"3%;>1:2%;>2:1%+1;payer customer",
         KES,
         {KES,
          FEE_PAYER_CUSTOMER,
          3,
          {{0, 30000, 0, 0, 0}, {100, 20000, 0, 0, 0}, {200, 10000, 100, 0, 0}}}},
        {"1;>1:1;>2:1;>3:1;>4:1;>5:1;>6:1;>7:1",
         RWF,
         {RWF,
          FEE_PAYER_MERCHANT,
          8,
          {{0, 0, 1, 0, 0},
           {1, 0, 1, 0, 0},
           {2, 0, 1, 0, 0},
           {3, 0, 1, 0, 0},
           {4, 0, 1, 0, 0},
           {5, 0, 1, 0, 0},
           {6, 0, 1, 0, 0},
           {7, 0, 1, 0, 0}}}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fee_schedule got;
        const struct fee_schedule *want = &cases[i].want;
        memset(&got, 0, sizeof got);
        struct err err = fee_parse(str_c(cases[i].text), cases[i].currency, &got);
        if (err_is(err))
            fail_msg("%s: %s at %d", cases[i].text, err.what, (int)err.detail);
        assert_int_equal(got.currency, want->currency);
        assert_int_equal(got.payer, want->payer);
        assert_int_equal(got.n_rules, want->n_rules);
        for (int k = 0; k < got.n_rules; k++) {
            assert_int_equal(got.rules[k].over_minor, want->rules[k].over_minor);
            assert_int_equal(got.rules[k].ppm, want->rules[k].ppm);
            assert_int_equal(got.rules[k].fixed_minor, want->rules[k].fixed_minor);
            assert_int_equal(got.rules[k].min_minor, want->rules[k].min_minor);
            assert_int_equal(got.rules[k].cap_minor, want->rules[k].cap_minor);
        }
    }
}

static void texts_that_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t currency;
        enum err_code code;
        int at;
    } cases[] = {
        {"", KES, ERR_PARSE, 0},
        {"   ", KES, ERR_PARSE, 3},
        {"%", KES, ERR_PARSE, 0},
        {"-1%", KES, ERR_PARSE, 0},
        {"-1", KES, ERR_PARSE, 0},
        {"+1", KES, ERR_PARSE, 0},
        {".5%", KES, ERR_PARSE, 0},
        {"1.%", KES, ERR_PARSE, 0},
        {"1.5.5%", KES, ERR_PARSE, 0},
        {"1.50000%", KES, ERR_PARSE, 0},
        {"100.0001%", KES, ERR_PARSE, 0},
        {"101%", KES, ERR_PARSE, 0},
        {"99999999999999999999%", KES, ERR_PARSE, 0},
        {"1e2%", KES, ERR_PARSE, 0},
        {"1,5%", KES, ERR_PARSE, 1},
        {"1% + ", KES, ERR_PARSE, 5},
        {"1% + 2%", KES, ERR_PARSE, 6},
        {"1% 2", KES, ERR_PARSE, 3},
        {"20 + 1%", KES, ERR_PARSE, 3},
        {"20.001", KES, ERR_PARSE, 0},
        {"20.5", RWF, ERR_PARSE, 0},
        {"1% + 0.5", RWF, ERR_PARSE, 5},
        {"1% min 0.5", RWF, ERR_PARSE, 7},
        {"1% cap 5.0", RWF, ERR_PARSE, 7},
        {"1%; > 0.5: 1%", RWF, ERR_PARSE, 6},
        {"1000000000000000", RWF, ERR_LIMIT, 0},
        {"1% cap 99999999999999999999", KES, ERR_LIMIT, 7},
        {"1% min 5 min 6", KES, ERR_PARSE, 9},
        {"1% cap 5 cap 6", KES, ERR_PARSE, 9},
        {"1% cap 5 min 6", KES, ERR_PARSE, 14},
        {"1% cap 0", KES, ERR_PARSE, 8},
        {"1% max 5", KES, ERR_PARSE, 3},
        {"1% min", KES, ERR_PARSE, 6},
        {"1% min 3cap 4", KES, ERR_PARSE, 7}, /* blanks part words */
        {"1% MIN 5", KES, ERR_PARSE, 3},
        {"1%;", KES, ERR_PARSE, 3},
        {"1%;;", KES, ERR_PARSE, 3},
        {"1%; >: 1%", KES, ERR_PARSE, 5},
        {"1%; > 0: 1%", KES, ERR_PARSE, 7},
        {"1%; > 5 1%", KES, ERR_PARSE, 8},
        {"1%; > 5:", KES, ERR_PARSE, 8},
        {"1%; > 5: 1%; > 5: 2%", KES, ERR_PARSE, 16},
        {"1%; > 5: 1%; > 4: 2%", KES, ERR_PARSE, 16},
        {"1%; < 5: 1%", KES, ERR_PARSE, 4},
        {"1%; payer", KES, ERR_PARSE, 9},
        {"1%; payer bank", KES, ERR_PARSE, 14},
        {"1%; payer customer; > 5: 1%", KES, ERR_PARSE, 18},
        {"1%; payer customer; payer merchant", KES, ERR_PARSE, 18},
        {"1%; payer customer customer", KES, ERR_PARSE, 19},
        {"payer customer", KES, ERR_PARSE, 0},
        {"1%\t+ 2", KES, ERR_PARSE, 2},
        {"1%\n", KES, ERR_PARSE, 2},
        {"1;>1:1;>2:1;>3:1;>4:1;>5:1;>6:1;>7:1;>8:1", RWF, ERR_LIMIT, 0},
    };
    struct fee_schedule before, s;
    memset(&before, 7, sizeof before);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        memcpy(&s, &before, sizeof s);
        struct err err = fee_parse(str_c(cases[i].text), cases[i].currency, &s);
        if (err.code != cases[i].code || err.detail != cases[i].at)
            fail_msg("\"%s\": error %d at %d: %s", cases[i].text, (int)err.code, (int)err.detail,
                     err.what);
        assert_memory_equal(&s, &before, sizeof s);
    }
    assert_int_equal(fee_parse(STR_NULL, KES, &s).code, ERR_PARSE);
    assert_int_equal(fee_parse(str_n("1%\0", 3), KES, &s).code, ERR_PARSE);
    char text[FEE_TEXT_MAX + 1];
    memset(text, ' ', sizeof text);
    text[0] = '1';
    assert_false(err_is(fee_parse(str_n(text, FEE_TEXT_MAX), KES, &s)));
    assert_int_equal(fee_parse(str_n(text, FEE_TEXT_MAX + 1), KES, &s).code, ERR_LIMIT);
}

/* Each beginning of a good text is read or refused, in memory that ends where it ends. */
static void cut_texts(void **state)
{
    (void)state;
    static const char good[] = "1.5% + 20 cap 2000 min 5; > 100000: 1%; payer customer";
    for (size_t n = 0; n < sizeof good; n++) {
        char *text = test_malloc(n + 1);
        memcpy(text, good, n);
        struct fee_schedule s;
        struct err err = fee_parse(str_n(text, n), KES, &s);
        assert_true(!err_is(err) || (err.code == ERR_PARSE && err.detail <= (int32_t)n));
        test_free(text);
    }
}

static void fees(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t currency;
        int64_t amount, fee, gross, net;
    } cases[] = {
        {"0", KES, 100000, 0, 100000, 100000},
        {"1.5% + 20 cap 2000 min 5; > 100000: 1%", KES, 100000, 3500, 100000, 96500},
        {"1.5% + 20 cap 2000 min 5; > 100000: 1%", KES, 10000000, 152000, 10000000, 9848000},
        {"1.5% + 20 cap 2000 min 5; > 100000: 1%", KES, 10000001, 100000, 10000001, 9900001},
        {"1.5% cap 20 min 5", KES, 100000, 1500, 100000, 98500},
        {"1.5% cap 20 min 5", KES, 1000000, 2000, 1000000, 998000},
        {"1.5% cap 20 min 5", KES, 1000, 500, 1000, 500},
        {"1.5% cap 20 min 5", KES, 400, 400, 400, 0}, /* never above the amount */
        {"20", KES, 1, 1, 1, 0},
        {"100%", KES, 777, 777, 777, 0},
        {"100% + 1", KES, 777, 777, 777, 0},
        /* half up, in whole francs */
        {"1.5%", RWF, 100, 2, 100, 98},  /* 1.5 */
        {"1.5%", RWF, 99, 1, 99, 98},    /* 1.485 */
        {"1.5%", RWF, 101, 2, 101, 99},  /* 1.515 */
        {"1.5%", RWF, 300, 5, 300, 295}, /* 4.5 */
        {"1%", RWF, 49, 0, 49, 49},      /* 0.49 */
        {"1%", RWF, 50, 1, 50, 49},      /* 0.5 */
        {"0.0001%", RWF, 499999, 0, 499999, 499999},
        {"0.0001%", RWF, 500000, 1, 500000, 499999},
        {"0.125", KWD, 1000, 125, 1000, 875},
        /* put on top */
        {"2%; payer customer", KES, 100000, 2000, 102000, 100000},
        {"20; payer customer", KES, 1, 2000, 2001, 1},
        {"5%;>10:4%;>20:3%;payer customer", RWF, 10, 1, 11, 10}, /* 0.5 */
        {"50%;>10:40%;>20:30%;payer customer", RWF, 10, 5, 15, 10},
        {"50%;>10:40%;>20:30%;payer customer", RWF, 11, 4, 15, 11}, /* 4.4 */
        {"50%;>10:40%;>20:30%;payer customer", RWF, 20, 8, 28, 20},
        {"50%;>10:40%;>20:30%;payer customer", RWF, 21, 6, 27, 21}, /* 6.3 */
        /* the largest amount */
        {"0.0001%", RWF, MONEY_MAX, 1000000000, MONEY_MAX, 999998999999999},
        {"33.3333%", RWF, MONEY_MAX, 333333000000000, MONEY_MAX, 666666999999999},
        {"99.9999%", RWF, MONEY_MAX, 999998999999999, MONEY_MAX, 1000000000},
        {"100% + 999999999999999", RWF, MONEY_MAX, MONEY_MAX, MONEY_MAX, 0},
        {"1; payer customer", RWF, MONEY_MAX - 1, 1, MONEY_MAX, MONEY_MAX - 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fee_schedule s = schedule(cases[i].text, cases[i].currency);
        struct fee f;
        struct err err = fee_compute(&s, (struct money){cases[i].amount, cases[i].currency}, &f);
        assert_false(err_is(err));
        if (f.fee.minor != cases[i].fee || f.gross.minor != cases[i].gross ||
            f.net.minor != cases[i].net)
            fail_msg("%s of %lld: fee %lld, gross %lld, net %lld", cases[i].text,
                     (long long)cases[i].amount, (long long)f.fee.minor, (long long)f.gross.minor,
                     (long long)f.net.minor);
        assert_int_equal(f.fee.currency, cases[i].currency);
        assert_int_equal(f.gross.currency, cases[i].currency);
        assert_int_equal(f.net.currency, cases[i].currency);
    }
}

static void amounts_that_have_no_fee(void **state)
{
    (void)state;
    struct fee_schedule merchant = schedule("1%", KES);
    struct fee_schedule customer = schedule("1; payer customer", RWF);
    struct fee_schedule most = schedule("100% + 999999999999999; payer customer", RWF);
    struct fee before, f;
    memset(&before, 7, sizeof before);
    memcpy(&f, &before, sizeof f);
    assert_int_equal(fee_compute(&merchant, (struct money){0, KES}, &f).code, ERR_INVALID);
    assert_int_equal(fee_compute(&merchant, (struct money){-1, KES}, &f).code, ERR_INVALID);
    assert_int_equal(fee_compute(&merchant, (struct money){INT64_MIN, KES}, &f).code, ERR_INVALID);
    assert_int_equal(fee_compute(&merchant, (struct money){100, USD}, &f).code, ERR_INVALID);
    assert_int_equal(fee_compute(&merchant, (struct money){MONEY_MAX + 1, KES}, &f).code,
                     ERR_LIMIT);
    assert_int_equal(fee_compute(&merchant, (struct money){INT64_MAX, KES}, &f).code, ERR_LIMIT);
    assert_int_equal(fee_compute(&customer, (struct money){MONEY_MAX, RWF}, &f).code, ERR_LIMIT);
    assert_int_equal(fee_compute(&most, (struct money){MONEY_MAX, RWF}, &f).code, ERR_LIMIT);
    assert_memory_equal(&f, &before, sizeof f);
}

/* What is put on top becomes whole units; what was asked for stays. */
static void whole_units(void **state)
{
    (void)state;
    static const struct {
        uint16_t currency;
        int64_t net, fee, want;
    } cases[] = {
        {KES, 10000, 0, 0},
        {KES, 10000, 1, 0},
        {KES, 10000, 49, 0},
        {KES, 10000, 50, 100},
        {KES, 10000, 100, 100},
        {KES, 10000, 149, 100},
        {KES, 10000, 1575, 1600},
        {KWD, 5000, 1499, 1000},
        {KWD, 5000, 1500, 2000},
        {RWF, 7, 3, 3},
        {RWF, MONEY_MAX - 1, 1, 1},
        {KES, 99, MONEY_MAX - 99, MONEY_MAX - 99}, /* 9999999999999.00 */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint16_t c = cases[i].currency;
        struct fee f = {.gross = {cases[i].net + cases[i].fee, c},
                        .fee = {cases[i].fee, c},
                        .net = {cases[i].net, c}};
        assert_false(err_is(fee_round_top(&f)));
        assert_int_equal(f.fee.minor, cases[i].want);
        assert_int_equal(f.net.minor, cases[i].net);
        assert_int_equal(f.gross.minor, cases[i].net + cases[i].want);
    }
    struct fee most = {{MONEY_MAX, KES}, {MONEY_MAX - 100, KES}, {100, KES}}, before = most;
    assert_int_equal(fee_round_top(&most).code, ERR_LIMIT); /* …99.99 would become …00.00 */
    assert_memory_equal(&most, &before, sizeof most);
}

/* By the definition of half up: twice the distance to the exact share is at most one unit, and a
 * half goes up. All small amounts, percentages around each step. */
static void rounding(void **state)
{
    (void)state;
    static const int32_t ppms[] = {1,     7,      9999,   10000,  14999,  15000,  15001,  33333,
                                   99999, 250000, 333333, 499999, 500000, 500001, 999999, 1000000};
    for (size_t i = 0; i < COUNT_OF(ppms); i++) {
        struct fee_schedule s = {.currency = RWF, .n_rules = 1, .rules = {{.ppm = ppms[i]}}};
        for (int64_t amount = 1; amount <= 3000; amount++) {
            struct fee f;
            assert_false(err_is(fee_compute(&s, (struct money){amount, RWF}, &f)));
            int64_t twice_off = 2 * (f.fee.minor * 1000000 - amount * ppms[i]);
            assert_true(twice_off <= 1000000 && twice_off > -1000000);
            assert_int_equal(f.fee.minor + f.net.minor, amount);
        }
    }
}

/* Whatever the schedule: nothing is lost between customer, merchant and us. */
static void nothing_is_lost(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0", "1", "100%", "2.5% + 3 min 4 cap 9; > 50: 1%; > 70: 2", "99.9999% + 1 min 2",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct fee_schedule s = schedule(texts[i], RWF);
        for (int payer = 0; payer <= 1; payer++) {
            s.payer = (enum fee_payer)payer;
            for (int64_t amount = 1; amount <= 200; amount++) {
                struct fee f;
                assert_false(err_is(fee_compute(&s, (struct money){amount, RWF}, &f)));
                assert_int_equal(f.gross.minor, f.net.minor + f.fee.minor);
                assert_true(f.fee.minor >= 0 && f.net.minor >= 0);
                assert_int_equal(payer == FEE_PAYER_CUSTOMER ? f.net.minor : f.gross.minor, amount);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_schedules),
        cmocka_unit_test(texts_that_are_not),
        cmocka_unit_test(cut_texts),
        cmocka_unit_test(fees),
        cmocka_unit_test(amounts_that_have_no_fee),
        cmocka_unit_test(whole_units),
        cmocka_unit_test(rounding),
        cmocka_unit_test(nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
