/* core/flow/replay.c: what events of refunds make of a payment, and what it refuses to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/flow/replay.h"

#define R1 "01935b2f-7c1e-7a44-9d3b-5e8f0a1b2c20"
#define R2 "01935b2f-7c1e-7a44-9d3b-5e8f0a1b2c30"

static const char paid[] = "{\"status\":\"completed\",\"currency\":\"KES\",\"amount_received\":"
                           "\"100.00\",\"amount_refunded\":\"0.00\"}";

struct told {
    const char *refund, *status, *amount;
    bool excess;
    const char *payment; /* the payment's status behind it */
    int64_t refunded;    /* in cents */
};

static struct err tell(struct replay *r, const struct told *t)
{
    char data[256];
    snprintf(data, sizeof data,
             "{\"id\":\"%s\",\"status\":\"%s\",\"amount\":\"%s\",\"currency\":\"KES\","
             "\"excess\":%s}",
             t->refund, t->status, t->amount, t->excess ? "true" : "false");
    return replay_event(r, r->seq + 1, STR("refund.any"), str_c(data));
}

static void refunds_move_the_payment(void **state)
{
    (void)state;
    static const struct told lives[][8] = {
        {{R1, "pending", "40.00", false, "completed", 0},
         {R1, "processing", "40.00", false, "completed", 0},
         {R1, "completed", "40.00", false, "partially_refunded", 4000},
         {R2, "pending", "60.00", false, "partially_refunded", 4000},
         {R2, "completed", "60.00", false, "refunded", 10000},
         {R1, "failed", "40.00", false, "partially_refunded", 6000},
         {R2, "failed", "60.00", false, "completed", 0}},
        /* the same word twice counts once; late after failed counts again */
        {{R1, "completed", "100.00", false, "refunded", 10000},
         {R1, "completed", "100.00", false, "refunded", 10000},
         {R1, "failed", "100.00", false, "completed", 0},
         {R1, "completed", "100.00", false, "refunded", 10000}},
        /* beyond what was received: the books' business */
        {{R1, "completed", "100.00", false, "refunded", 10000},
         {R2, "failed", "30.00", false, "refunded", 10000},
         {R2, "completed", "30.00", true, "refunded", 10000}},
    };
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        struct replay r;
        replay_begin(&r);
        assert_false(err_is(replay_event(&r, 1, STR("payment.completed"), str_c(paid))));
        for (const struct told *t = lives[i]; t->refund != NULL; t++) {
            assert_false(err_is(tell(&r, t)));
            assert_string_equal(r.status, t->payment);
            assert_int_equal(r.refunded.minor, t->refunded);
        }
        replay_end(&r);
    }
}

static void what_it_refuses(void **state)
{
    (void)state;
    static const struct {
        int32_t seq;
        const char *type, *data;
    } bad[] = {
        {2, "payment.completed", paid},
        {0, "payment.completed", paid},
        {1, "payment.completed", "{"},
        {1, "payment.completed", "{\"status\":\"completed\"}"},
        {1, "payout.completed", paid},
        {1, "refund.completed",
         "{\"id\":\"" R1 "\",\"status\":\"completed\",\"amount\":\"1.00\",\"currency\":\"KES\"}"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct replay r;
        replay_begin(&r);
        assert_true(err_is(replay_event(&r, bad[i].seq, str_c(bad[i].type), str_c(bad[i].data))));
        replay_end(&r);
    }
}

int main(void)
{
    json_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refunds_move_the_payment),
        cmocka_unit_test(what_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
