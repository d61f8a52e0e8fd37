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

#define PAYOUT(reference, amount)                         \
    "{\"reference\":\"" reference "\",\"amount\":" amount \
    ",\"currency\":\"RWF\",\"destination\":{\"type\":\"wallet\",\"msisdn\":\"+250781234567\"}}"

static void payouts(void **state)
{
    (void)state;
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

/* One of a list by its reference, or nothing. */
static void payout_is(const char *reference, const char *status)
{
    struct answer a;
    char path[64], want[64];
    (void)snprintf(path, sizeof path, "/v1/payouts?reference=%s", reference);
    (void)snprintf(want, sizeof want, "\"status\":\"%s\"", status != NULL ? status : "");
    ask(&a, "GET", path, NULL, NULL);
    assert_int_equal(a.status, 200);
    bool there = str_find_str(str_c(a.body), STR("\"object\":\"payout\"")) != SIZE_MAX;
    assert_int_equal(there, status != NULL);
    if (there && str_find_str(str_c(a.body), str_c(want)) == SIZE_MAX)
        fail_msg("not %s: %s", status, a.body);
}

static void payouts_are_found_by_reference(void **state)
{
    (void)state;
    struct answer a;
    reset();
    payout_is("o1", NULL);
    ask(&a, "POST", "/v1/payouts", "payout-key-1", PAYOUT("o1", "5104"));
    assert_fault(&a, 500, "internal", NULL);
    hooks(1);
    assert_string_equal(w.hooks[0].type, "payout.completed");
    assert_true(hook_signed(&w.hooks[0]));
    payout_is("o1", "completed");
    payout_is("o2", NULL);
    /* the same again is what it was, under its key and under another */
    ask(&a, "POST", "/v1/payouts", "payout-key-1", PAYOUT("o1", "5104"));
    assert_int_equal(a.status, 201);
    ask(&a, "POST", "/v1/payouts", "payout-key-2", PAYOUT("o1", "5104"));
    assert_int_equal(a.status, 200);
    ask(&a, "POST", "/v1/payouts", "payout-key-3", PAYOUT("o1", "5204"));
    assert_fault(&a, 409, "duplicate_reference", "reference");
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_true(str_find_str(str_c(a.body), STR("\"available\":994896")) != SIZE_MAX);
    /* a refund's reference is no payout's, nor the reverse */
    ask(&a, "GET", "/v1/refunds?reference=o1", NULL, NULL);
    assert_true(str_find_str(str_c(a.body), STR("\"data\":[]")) != SIZE_MAX);
}

static void payouts_that_come_back(void **state)
{
    (void)state;
    struct answer a;
    reset();
    ask(&a, "POST", "/v1/payouts", "payout-key-1", PAYOUT("o1", "5111"));
    assert_int_equal(a.status, 201);
    hooks(2);
    assert_string_equal(w.hooks[0].type, "payout.completed");
    assert_string_equal(w.hooks[1].type, "payout.returned");
    payout_is("o1", "returned");
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_true(str_find_str(str_c(a.body), STR("\"available\":1000000")) != SIZE_MAX);
    for (int i = 0; i < 3; i++) {
        ask(&a, "POST", "/v1/payouts", "payout-key-2", PAYOUT("o2", "5113"));
        assert_int_equal(a.status, i < 2 ? 429 : 201);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refunds),
        cmocka_unit_test(refunds_that_fail),
        cmocka_unit_test(payouts),
        cmocka_unit_test(payouts_are_found_by_reference),
        cmocka_unit_test(payouts_that_come_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
