/* CPay in the sandbox over real HTTP, written from cpay.md: refunds and payouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/sandbox_cpay_case.h"

static void refund(struct answer *a, const char *payment, const char *reference, int64_t amount)
{
    char path[64], key[64], body[128];
    (void)snprintf(path, sizeof path, "/v1/payments/%s/refunds", payment);
    (void)snprintf(key, sizeof key, "refund-%s", reference);
    if (amount > 0)
        (void)snprintf(body, sizeof body, "{\"reference\":\"%s\",\"amount\":%lld}", reference,
                       (long long)amount);
    else
        (void)snprintf(body, sizeof body, "{\"reference\":\"%s\"}", reference);
    ask(a, "POST", path, key, body);
}

static void refunds(void **state)
{
    (void)state;
    struct answer a;
    char id[16], path[128];
    reset();
    create(&a, "paid", 150000);
    (void)str_copy_c(id, sizeof id, str_c(text_at(a.body, "id", NULL)));
    refund(&a, id, "early", 1000);
    assert_fault(&a, 409, "invalid_state", NULL);
    until(id, "completed");
    refund(&a, id, "r1", 50000);
    assert_int_equal(a.status, 201);
    assert_string_equal(text_at(a.body, "status", NULL), "pending");
    assert_string_equal(text_at(a.body, "payment", NULL), id);
    refund(&a, id, "r2", 100001);
    assert_fault(&a, 409, "refund_exceeds_payment", "amount");
    until(id, "partially_refunded");
    refund(&a, id, "r3", 0);
    assert_string_equal(text_at(a.body, "amount", NULL), "100000");
    until(id, "refunded");
    refund(&a, id, "r4", 1);
    assert_fault(&a, 409, "invalid_state", NULL);
    refund(&a, id, "r1", 50000);
    assert_int_equal(a.status, 201); /* as it was answered then */
    (void)snprintf(path, sizeof path, "/v1/refunds?payment=%s&reference=r1", id);
    ask(&a, "GET", path, NULL, NULL);
    assert_true(str_find_str(str_c(a.body), STR("\"status\":\"completed\"")) != SIZE_MAX);
    assert_true(str_find_str(str_c(a.body), STR("\"r3\"")) == SIZE_MAX);
    (void)snprintf(path, sizeof path, "/v1/refunds?payment=%s", id);
    ask(&a, "GET", path, NULL, NULL);
    assert_true(str_find_str(str_c(a.body), STR("\"r1\"")) != SIZE_MAX &&
                str_find_str(str_c(a.body), STR("\"r3\"")) != SIZE_MAX);
    hooks(4);
    assert_string_equal(w.hooks[3].type, "refund.completed");
    assert_true(hook_signed(&w.hooks[3]));
    refund(&a, "cpm_NOBODYS000", "r9", 1);
    assert_fault(&a, 404, "not_found", NULL);
}

static void refunds_that_fail(void **state)
{
    (void)state;
    struct answer a;
    char id[16];
    reset();
    create(&a, "paid", 150112);
    (void)str_copy_c(id, sizeof id, str_c(text_at(a.body, "id", NULL)));
    until(id, "completed");
    refund(&a, id, "r1", 50000);
    assert_int_equal(a.status, 201);
    hooks(3);
    assert_string_equal(w.hooks[2].type, "refund.failed");
    fetch(&a, id);
    assert_string_equal(text_at(a.body, "status", NULL), "completed");
    assert_string_equal(text_at(a.body, "amount_refunded", NULL), "0");
}

static void payouts(void **state)
{
    (void)state;
#define PAYOUT(reference, amount)                         \
    "{\"reference\":\"" reference "\",\"amount\":" amount \
    ",\"currency\":\"RWF\",\"destination\":{\"type\":\"wallet\",\"msisdn\":\"+250781234567\"}}"
    struct answer a;
    char path[64];
    reset();
    ask(&a, "POST", "/v1/payouts", "payout-key-1", PAYOUT("o1", "400000"));
    assert_int_equal(a.status, 201);
    (void)snprintf(path, sizeof path, "/v1/payouts/%s", text_at(a.body, "id", NULL));
    hooks(1);
    assert_string_equal(w.hooks[0].type, "payout.completed");
    ask(&a, "GET", path, NULL, NULL);
    assert_string_equal(text_at(a.body, "status", NULL), "completed");
    ask(&a, "POST", "/v1/payouts", "payout-key-2", PAYOUT("o2", "600001"));
    assert_fault(&a, 402, "insufficient_funds", NULL);
    ask(&a, "POST", "/v1/payouts", "payout-key-2", PAYOUT("o2", "600001"));
    assert_fault(&a, 402, "insufficient_funds", NULL);
    ask(&a, "POST", "/v1/payouts", "payout-key-3", PAYOUT("o3", "1101"));
    hooks(2);
    assert_string_equal(w.hooks[1].type, "payout.failed");
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_string_equal(a.body, "{\"balances\":[{\"currency\":\"RWF\",\"available\":600000,"
                                "\"pending\":0}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refunds),
        cmocka_unit_test(refunds_that_fail),
        cmocka_unit_test(payouts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
