/* CPay in the sandbox over real HTTP, written from cpay.md: signatures, idempotency, payments,
 * lists, webhooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateways/sandbox/cpay_script.h"
#include "test/gateways/sandbox_cpay_case.h"

static void life(void **state)
{
    (void)state;
    struct answer a;
    reset();
    create(&a, "life", 150000);
    assert_int_equal(a.status, 201);
    assert_string_equal(text_at(a.body, "object", NULL), "payment");
    assert_string_equal(text_at(a.body, "status", NULL), "pending");
    assert_string_equal(text_at(a.body, "next_action", "type"), "confirm_on_phone");
    assert_string_equal(text_at(a.body, "next_action", "display"), "Confirm on +2507***567");
    hooks(2);
    const char *id = text_at(a.body, "id", NULL);
    assert_string_equal(w.hooks[0].type, "payment.processing");
    assert_string_equal(w.hooks[1].type, "payment.completed");
    assert_string_equal(text_at(w.hooks[1].body, "sequence", NULL), "3");
    assert_string_equal(text_at(w.hooks[1].body, "id", NULL), w.hooks[1].id);
    assert_string_not_equal(w.hooks[0].id, w.hooks[1].id);
    assert_true(hook_signed(&w.hooks[0]) && hook_signed(&w.hooks[1]));
    fetch(&a, id);
    assert_string_equal(text_at(a.body, "status", NULL), "completed");
    assert_string_equal(text_at(a.body, "amount", NULL), "150000");
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_string_equal(a.body, "{\"balances\":[{\"currency\":\"RWF\",\"available\":1150000,"
                                "\"pending\":0}]}");
    inspect(&a, "GET", "/_sandbox/charges?provider=cpay&reference=life", NULL);
    assert_true(str_find_str(str_c(a.body), STR("\"state\":\"paid\"")) != SIZE_MAX);
}

/* Every line of the table: what the payment comes to, and what is told of it. */
static void scripts(void **state)
{
    (void)state;
    static const struct {
        int number;
        int status; /* of the creation */
        const char *end;
        int n_hooks;
        const char *types[4];
    } cases[] = {
        {0, 201, "completed", 2, {"payment.processing", "payment.completed"}},
        {9, 201, "completed", 2, {"payment.processing", "payment.completed"}},
        {500, 201, "completed", 2, {"payment.processing", "payment.completed"}},
        {101, 201, "failed", 2, {"payment.processing", "payment.failed"}},
        {102, 201, "failed", 2, {"payment.processing", "payment.failed"}},
        {103, 201, "pending", 0, {NULL}},
        {104, 500, "completed", 2, {"payment.processing", "payment.completed"}},
        {105,
         201,
         "completed",
         4,
         {"payment.processing", "payment.processing", "payment.completed", "payment.completed"}},
        {106, 201, "completed", 2, {"payment.completed", "payment.processing"}},
        {107, 201, "completed", 0, {NULL}},
        {108, 201, "completed", 2, {"payment.processing", "payment.completed"}},
        {110, 201, "pending", 0, {NULL}},
        {111, 201, "disputed", 3, {"payment.processing", "payment.completed", "payment.disputed"}},
        {115,
         201,
         "refunded",
         4,
         {"payment.processing", "payment.completed", "payment.disputed",
          "payment.dispute_closed"}},
        {112, 201, "completed", 2, {"payment.processing", "payment.completed"}},
        {113, 429, NULL, 0, {NULL}},
        {114, 201, "completed", 2, {"payment.processing", "payment.completed"}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct answer a;
        char reference[32], path[64];
        reset();
        (void)snprintf(reference, sizeof reference, "script-%d", cases[i].number);
        (void)snprintf(path, sizeof path, "/v1/payments?reference=%s", reference);
        create(&a, reference, 150000 + cases[i].number);
        if (a.status != cases[i].status)
            fail_msg("%d: %d %s", cases[i].number, a.status, a.body);
        if (cases[i].end == NULL)
            continue;
        ask(&a, "GET", path, NULL, NULL);
        size_t at = str_find_str(str_c(a.body), STR("cpm_"));
        assert_true(at != SIZE_MAX);
        char id[16];
        (void)str_copy_c(id, sizeof id, str_n(a.body + at, 14));
        hooks(cases[i].n_hooks);
        until(id, cases[i].end);
        for (int k = 0; k < cases[i].n_hooks; k++) {
            if (strcmp(w.hooks[k].type, cases[i].types[k]) != 0)
                fail_msg("%d: hook %d is %s", cases[i].number, k, w.hooks[k].type);
            assert_true(hook_signed(&w.hooks[k]));
        }
    }
}

static void script_choice(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        const char *phone;
        int number;
    } cases[] = {
        {150101, "250781234567", 101},
        {101, "", 101},
        {150000, "250781234102", 102},
        {150101, "250781234102", 101},
        {150000, "", 0},
        {150000, "12", 0},
        {150007, "250781234005", 0},
        {150100, "250781234116", 0},
        {150115, "", 115},
        {150116, "", 0},
        {999999999999114, "", 114},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(cpay_script_of(cases[i].minor, str_c(cases[i].phone))->number,
                         cases[i].number);
    size_t n = 0;
    while (cpay_script_at(n) != NULL)
        n++;
    assert_int_equal(n, 16);
}

/* The page that people read lists exactly the table, in its words. */
static void readme_lists_the_scripts(void **state)
{
    char line[1024], want[128];
    size_t found = 0;
    bool ours = false;
    FILE *f = fopen("gateways/sandbox/README.md", "r");
    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (str_starts(str_c(line), STR("## ")))
            ours = strcmp(line, "## Outcomes of CPay\n") == 0;
        if (!ours || line[0] != '|' || !ascii_is_digit(line[2]))
            continue;
        const struct cpay_script *s = cpay_script_at(found++);
        assert_non_null(s);
        (void)snprintf(want, sizeof want, "| %03d | %s |", s->number, s->words);
        if (!str_starts(str_c(line), str_c(want)))
            fail_msg("%s is not %s", line, want);
    }
    (void)fclose(f);
    assert_null(cpay_script_at(found));
}

static void by_phone(void **state)
{
    (void)state;
    struct answer a;
    reset();
    ask(&a, "POST", "/v1/payments", "by-phone-1", payment_body("p1", 150000, "+250781234101"));
    assert_int_equal(a.status, 201);
    until(text_at(a.body, "id", NULL), "failed");
    fetch(&a, text_at(a.body, "id", NULL));
    assert_string_equal(text_at(a.body, "failure", "code"), "insufficient_funds");
    hooks(2);
}

/* ---- signatures ---- */

static void signatures(void **state)
{
    (void)state;
    struct answer a;
    reset();
    static const int64_t skews[] = {0, 290, -290, 310, -310, 86400};
    for (size_t i = 0; i < COUNT_OF(skews); i++) {
        w.skew_s = skews[i];
        ask(&a, "GET", "/v1/balance", NULL, NULL);
        if (skews[i] < 300 && skews[i] > -300)
            assert_int_equal(a.status, 200);
        else
            assert_fault(&a, 401, "timestamp_out_of_range", "CPay-Timestamp");
    }
    w.skew_s = 0;
    w.key = "cpk_other";
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_fault(&a, 401, "unknown_key", NULL);
    w.key = NULL;
    w.secret = "reli sandbox CPay demo secret 02";
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_fault(&a, 401, "signature_invalid", "CPay-Signature");
    w.secret = NULL;
    static const char *const short_or_odd[] = {"fifteen-letters", "with a blank in it",
                                               "ümlaut-1234567890"};
    for (size_t i = 0; i < COUNT_OF(short_or_odd); i++) {
        w.nonce = short_or_odd[i];
        ask(&a, "GET", "/v1/balance", NULL, NULL);
        assert_int_not_equal(a.status, 200);
    }
    w.nonce = "sixteen-letters-";
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_int_equal(a.status, 200);
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_fault(&a, 401, "nonce_reused", NULL);
    reset();
    ask(&a, "GET", "/v1/balance", NULL, NULL);
    assert_fault(&a, 401, "nonce_reused", NULL);
    w.nonce = NULL;
    inspect(&a, "GET", "/cpay/v1/balance", NULL);
    assert_fault(&a, 401, "unknown_key", NULL);
    inspect(&a, "GET", "/cpay/v1/health", NULL);
    assert_string_equal(a.body, "{\"status\":\"ok\"}");
}

/* ---- idempotency ---- */

static void idempotency(void **state)
{
    (void)state;
    struct answer a, b;
    const char *body = payment_body("idem", 150000, "+250781234567");
    reset();
    ask(&a, "POST", "/v1/payments", NULL, body);
    assert_fault(&a, 400, "invalid_request", "Idempotency-Key");
    ask(&a, "POST", "/v1/payments", "1234567", body);
    assert_fault(&a, 400, "invalid_request", "Idempotency-Key");
    ask(&a, "POST", "/v1/payments", "12345678", body);
    assert_int_equal(a.status, 201);
    until(text_at(a.body, "id", NULL), "completed");
    ask(&b, "POST", "/v1/payments", "12345678", body);
    assert_int_equal(b.status, 201);
    assert_string_equal(a.body, b.body); /* as it was then */
    ask(&b, "POST", "/v1/payments", "12345678", payment_body("idem", 150001, "+250781234567"));
    assert_fault(&b, 409, "idempotency_conflict", NULL);
    /* another key: the reference tells that it is the same, or not */
    ask(&b, "POST", "/v1/payments", "another-key", body);
    assert_int_equal(b.status, 200);
    assert_string_equal(text_at(a.body, "id", NULL), text_at(b.body, "id", NULL));
    ask(&b, "POST", "/v1/payments", "third-key", payment_body("idem", 150001, "+250781234567"));
    assert_fault(&b, 409, "duplicate_reference", "reference");
    inspect(&a, "GET", "/_sandbox/charges?provider=cpay", NULL);
    assert_true(str_starts(str_c(a.body), STR("{\"total\":1,")));
    hooks(2);
}

/* A lost answer: the same request again gets what the first one did. */
static void lost_answer(void **state)
{
    (void)state;
    struct answer a;
    reset();
    create(&a, "lost", 150104);
    assert_fault(&a, 500, "internal", NULL);
    create(&a, "lost", 150104);
    assert_int_equal(a.status, 201);
    until(text_at(a.body, "id", NULL), "completed");
    hooks(2);
}

static void sent_away(void **state)
{
    (void)state;
    struct answer a;
    reset();
    for (int i = 0; i < 2; i++) {
        create(&a, "busy", 150113);
        assert_fault(&a, 429, "rate_limited", NULL);
        assert_int_equal(a.retry_after_s, 1);
    }
    create(&a, "busy", 150113);
    assert_int_equal(a.status, 201);
    hooks(2);
}

static void in_progress(void **state)
{
    (void)state;
    struct answer a, b;
    const char *body = payment_body("slow", 150114, "+250781234567");
    reset();
    settings("{\"slow_answer_ms\":5000}");
    begin(&a, "POST", "/v1/payments", "slow-key", body);
    hooks(1);
    ask(&b, "POST", "/v1/payments", "slow-key", body);
    assert_fault(&b, 409, "idempotency_in_progress", NULL);
    assert_int_equal(b.retry_after_s, 1);
    assert_false(a.done);
    inspect(&b, "POST", "/_sandbox/reset", NULL); /* cuts the answer that is held back */
    finish(&a);
    assert_int_equal(a.status, 0);
}

/* ---- what is refused ---- */

static void refused(void **state)
{
    (void)state;
#define FRONT "{\"reference\":\"r\",\"amount\":1000,\"currency\":\"RWF\",\"method\":\"wallet\""
#define PAYER ",\"payer\":{\"msisdn\":\"+250781234567\"}"
    static const struct {
        const char *body, *code, *field;
    } cases[] = {
        {"", "invalid_request", "reference"},
        {"[]", "invalid_request", NULL},
        {"{", "invalid_request", NULL},
        {FRONT "}", "invalid_request", "payer"},
        {FRONT ",\"payer\":{}}", "invalid_request", "payer.msisdn"},
        {FRONT ",\"payer\":{\"msisdn\":\"0781234567\"}}", "invalid_msisdn", "payer.msisdn"},
        {FRONT ",\"payer\":{\"msisdn\":\"+250 781\"}}", "invalid_msisdn", "payer.msisdn"},
        {FRONT PAYER ",\"surprise\":1}", "invalid_request", "surprise"},
        {FRONT PAYER ",\"expires_in\":59}", "invalid_request", "expires_in"},
        {FRONT PAYER ",\"expires_in\":86401}", "invalid_request", "expires_in"},
        {FRONT PAYER ",\"metadata\":{\"a\":1}}", "invalid_request", "metadata"},
        {FRONT PAYER ",\"metadata\":[]}", "invalid_request", "metadata"},
        {"{\"reference\":\"a b\",\"amount\":1,\"currency\":\"RWF\",\"method\":\"wallet\"" PAYER "}",
         "invalid_request", "reference"},
        {"{\"reference\":\"r\",\"amount\":0,\"currency\":\"RWF\",\"method\":\"wallet\"" PAYER "}",
         "amount_out_of_range", "amount"},
        {"{\"reference\":\"r\",\"amount\":-5,\"currency\":\"RWF\",\"method\":\"wallet\"" PAYER "}",
         "amount_out_of_range", "amount"},
        {"{\"reference\":\"r\",\"amount\":1000000000000000,\"currency\":\"RWF\","
         "\"method\":\"wallet\"" PAYER "}",
         "amount_out_of_range", "amount"},
        {"{\"reference\":\"r\",\"amount\":\"5\",\"currency\":\"RWF\",\"method\":\"wallet\"" PAYER
         "}",
         "invalid_request", "amount"},
        {"{\"reference\":\"r\",\"amount\":5.5,\"currency\":\"RWF\",\"method\":\"wallet\"" PAYER "}",
         "invalid_request", "amount"},
        {"{\"reference\":\"r\",\"amount\":5,\"currency\":\"rwf\",\"method\":\"wallet\"" PAYER "}",
         "unsupported_currency", "currency"},
        {"{\"reference\":\"r\",\"amount\":5,\"currency\":\"QQQ\",\"method\":\"wallet\"" PAYER "}",
         "unsupported_currency", "currency"},
        {"{\"reference\":\"r\",\"amount\":5,\"currency\":\"RWF\",\"method\":\"card\"" PAYER "}",
         "invalid_request", "method"},
        {"{\"reference\":\"r\",\"amount\":5,\"currency\":\"RWF\",\"method\":\"redirect\"}",
         "invalid_request", "return_url"},
        {"{\"reference\":\"r\",\"amount\":5,\"currency\":\"RWF\",\"method\":\"redirect\","
         "\"return_url\":\"javascript:1\"}",
         "invalid_request", "return_url"},
    };
    reset();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct answer a;
        ask(&a, "POST", "/v1/payments", "refused-key", cases[i].body);
        assert_fault(&a, 400, cases[i].code, cases[i].field);
    }
    struct answer a;
    ask(&a, "GET", "/v1/payments/cpm_NOBODYS000", NULL, NULL);
    assert_fault(&a, 404, "not_found", NULL);
    ask(&a, "GET", "/v1/payments?limit=101", NULL, NULL);
    assert_fault(&a, 400, "invalid_request", "limit");
    ask(&a, "GET", "/v1/payments?status=odd", NULL, NULL);
    assert_fault(&a, 400, "invalid_request", "status");
    ask(&a, "GET", "/v1/payments?cursor=5", NULL, NULL);
    assert_fault(&a, 400, "invalid_request", "cursor");
    ask(&a, "GET", "/v1/payments?created_from=now", NULL, NULL);
    assert_fault(&a, 400, "invalid_request", "created_from");
    inspect(&a, "GET", "/_sandbox/charges?provider=cpay", NULL);
    assert_true(str_starts(str_c(a.body), STR("{\"total\":0,")));
}

/* ---- codes, cancelling, pages ---- */

static void codes(void **state)
{
    (void)state;
    for (int right = 0; right < 2; right++) {
        struct answer a;
        char path[64], key[32];
        reset();
        create(&a, "code", 150110);
        assert_string_equal(text_at(a.body, "next_action", "type"), "otp");
        const char *id = text_at(a.body, "id", NULL);
        char kept[16];
        (void)str_copy_c(kept, sizeof kept, str_c(id));
        (void)snprintf(path, sizeof path, "/v1/payments/%s/otp", kept);
        for (int i = 0; i < (right ? 2 : 3); i++) {
            (void)snprintf(key, sizeof key, "otp-%d-%d-key", right, i);
            ask(&a, "POST", path, key, "{\"code\":\"000000\"}");
            assert_fault(&a, 400, "invalid_request", "code");
        }
        ask(&a, "POST", path, "otp-last-key", "{\"code\":\"123456\"}");
        if (right)
            assert_int_equal(a.status, 200);
        else
            assert_fault(&a, 409, "invalid_state", NULL);
        until(kept, right ? "completed" : "failed");
        hooks(right ? 2 : 1);
    }
}

static void cancelled(void **state)
{
    (void)state;
    struct answer a;
    char path[64];
    reset();
    create(&a, "cancel", 150103);
    (void)snprintf(path, sizeof path, "/v1/payments/%s/cancel", text_at(a.body, "id", NULL));
    ask(&a, "POST", path, "cancel-key-1", NULL);
    assert_int_equal(a.status, 200);
    assert_string_equal(text_at(a.body, "status", NULL), "cancelled");
    ask(&a, "POST", path, "cancel-key-2", NULL);
    assert_fault(&a, 409, "invalid_state", NULL);
    hooks(1);
    assert_string_equal(w.hooks[0].type, "payment.cancelled");
}

static void redirected(void **state)
{
    (void)state;
    for (int pays = 0; pays < 2; pays++) {
        struct answer a;
        char id[16], path[64];
        reset();
        ask(&a, "POST", "/v1/payments", "redirect-key",
            "{\"reference\":\"web\",\"amount\":5000,\"currency\":\"KES\",\"method\":\"redirect\","
            "\"return_url\":\"http://127.0.0.1:1/back\"}");
        assert_int_equal(a.status, 201);
        (void)str_copy_c(id, sizeof id, str_c(text_at(a.body, "id", NULL)));
        (void)snprintf(path, sizeof path, "/cpay/pay/%s", id);
        assert_true(str_ends(str_c(text_at(a.body, "next_action", "url")), str_c(path)));
        inspect(&a, "GET", path, NULL);
        assert_int_equal(a.status, 200);
        assert_true(str_find_str(str_c(a.body), STR("50.00 KES, pending")) != SIZE_MAX);
        inspect(&a, "POST", path, pays ? "answer=pay" : "answer=refuse");
        assert_int_equal(a.status, 303);
        until(id, pays ? "completed" : "failed");
        hooks(pays ? 2 : 1);
    }
}

/* ---- lists ---- */

static void pages(void **state)
{
    (void)state;
    struct answer a;
    char reference[24], path[96], cursor[32] = "";
    int n = 0;
    reset();
    settings("{\"cpay_webhook_url\":\"\"}");
    for (int i = 0; i < 5; i++) {
        (void)snprintf(reference, sizeof reference, "page-%d", i);
        create(&a, reference, 150103);
    }
    do {
        (void)snprintf(path, sizeof path, "/v1/payments?status=pending&limit=2%s%s",
                       cursor[0] != 0 ? "&cursor=" : "", cursor);
        ask(&a, "GET", path, NULL, NULL);
        struct json *j = parsed(a.body);
        const struct json *data = json_get(j, "data");
        for (size_t i = 0; i < json_n(data); i++) {
            (void)snprintf(reference, sizeof reference, "page-%d", n++);
            assert_true(
                str_eq(json_str(json_get(json_at(data, i), "reference")), str_c(reference)));
        }
        (void)str_copy_c(cursor, sizeof cursor, json_str(json_get(j, "next_cursor")));
        json_free(j);
    } while (cursor[0] != 0);
    assert_int_equal(n, 5);
    ask(&a, "GET", "/v1/payments?reference=page-9", NULL, NULL);
    assert_string_equal(a.body, "{\"object\":\"list\",\"data\":[],\"next_cursor\":null}");
    ask(&a, "GET", "/v1/payments?created_from=2999-01-01T00:00:00Z", NULL, NULL);
    assert_string_equal(a.body, "{\"object\":\"list\",\"data\":[],\"next_cursor\":null}");
}

/* ---- webhooks ---- */

static void told_again(void **state)
{
    (void)state;
    struct answer a;
    reset();
    w.refuse = 1;
    create(&a, "again", 150000);
    hooks(3); /* 500, then completed, then the first once more */
    assert_string_equal(w.hooks[0].type, "payment.processing");
    assert_string_equal(w.hooks[2].type, "payment.processing");
    assert_string_equal(w.hooks[0].id, w.hooks[2].id);
    assert_string_equal(w.hooks[0].body, w.hooks[2].body);
    assert_true(hook_signed(&w.hooks[2]));
}

static void forged_first(void **state)
{
    (void)state;
    struct answer a;
    int good = 0, bad = 0;
    reset();
    create(&a, "forged", 150109);
    hooks(4);
    for (int i = 0; i < 4; i++) {
        bool fine = hook_signed(&w.hooks[i]);
        good += fine;
        bad += !fine;
    }
    assert_int_equal(good, 2);
    assert_int_equal(bad, 2);
    assert_false(hook_signed(&w.hooks[0]));
}

static void configuration(void **state)
{
    (void)state;
    static const struct {
        const char *key, *secret, *url;
    } cases[] = {
        {"cpk_a", NULL, NULL},
        {"cpk_a:cps_short", NULL, NULL},
        {"a:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE", NULL, NULL},
        {NULL, "secret", NULL},
        {NULL, NULL, "not a url"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sandbox *s = NULL;
        const struct sandbox_options o = {.listen = STR("127.0.0.1:0"),
                                          .cpay_api_key = cases[i].key,
                                          .cpay_webhook_secret = cases[i].secret,
                                          .cpay_webhook_url = cases[i].url};
        assert_int_equal(sandbox_new(w.loop, &o, &s).code, ERR_CONFIG);
    }
    struct answer a;
    inspect(&a, "POST", "/_sandbox/chaos", "{\"cpay_webhook_url\":\"nowhere\"}");
    assert_int_equal(a.status, 422);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life),          cmocka_unit_test(scripts),
        cmocka_unit_test(script_choice), cmocka_unit_test(readme_lists_the_scripts),
        cmocka_unit_test(by_phone),      cmocka_unit_test(signatures),
        cmocka_unit_test(idempotency),   cmocka_unit_test(lost_answer),
        cmocka_unit_test(sent_away),     cmocka_unit_test(in_progress),
        cmocka_unit_test(refused),       cmocka_unit_test(codes),
        cmocka_unit_test(cancelled),     cmocka_unit_test(redirected),
        cmocka_unit_test(pages),         cmocka_unit_test(told_again),
        cmocka_unit_test(forged_first),  cmocka_unit_test(configuration),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
