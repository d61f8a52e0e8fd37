/* What the sandbox does for money that customers send by themselves, over real HTTP: registration,
 * validation, confirmation, as mpesa.md, section 3, has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/sandbox_case.h"

#define V1 "/mpesa/mpesa/c2b/v1/registerurl"
#define V2 "/mpesa/mpesa/c2b/v2/registerurl"

static const char *bearer(void)
{
    static char text[128];
    (void)snprintf(text, sizeof text, "Authorization: Bearer %s", w.token);
    return text;
}

static void register_at(struct answer *a, const char *path, const char *shortcode, const char *type)
{
    char body[512];
    int port = http_server_port(w.shop);
    (void)snprintf(body, sizeof body,
                   "{\"ShortCode\":\"%s\",\"ResponseType\":\"%s\","
                   "\"ConfirmationURL\":\"http://127.0.0.1:%d/cb/paid\","
                   "\"ValidationURL\":\"http://127.0.0.1:%d/cb/check\"}",
                   shortcode, type, port, port);
    ask(a, "POST", path, bearer(), JSON_TYPE, body);
}

static void error_is(const struct answer *a, int status, const char *code)
{
    assert_int_equal(a->status, status);
    struct json *j = parsed(a->body);
    assert_true(str_eq(json_str(json_get(j, "errorCode")), str_c(code)));
    json_free(j);
}

static void pay(struct answer *a, const char *more)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"shortcode\":174379,\"phone\":\"254711223344\",\"amount\":750,"
                   "\"account\":\"ACC-7781\"%s}",
                   more);
    ask(a, "POST", "/_sandbox/mpesa/c2b", JSON_TYPE, NULL, body);
}

static void callbacks_wait(int n)
{
    while (w.n_callbacks < n)
        run();
}

static void state_is(const char *word)
{
    for (int i = 0; i < 100; i++) {
        struct json *j = get("/_sandbox/mpesa/c2b");
        const struct json *t = json_at(json_get(j, "data"), 0);
        bool there = str_eq(json_str(json_get(t, "state")), str_c(word));
        json_free(j);
        if (there)
            return;
    }
    fail_msg("the transfer is not %s", word);
}

static void one_registration_per_short_code(void **state)
{
    (void)state;
    struct answer a;
    register_at(&a, V2, "174379", "Completed");
    assert_int_equal(a.status, 404); /* nobody has logged in */
    log_in();
    register_at(&a, V2, "174379", "completed");
    error_is(&a, 400, "400.002.02");
    register_at(&a, V2, "999999", "Completed");
    error_is(&a, 400, "400.002.02");
    register_at(&a, V2, "174379", "Completed");
    assert_int_equal(a.status, 200);
    struct json *j = parsed(a.body);
    assert_true(json_str(json_get(j, "OriginatorCoversationID")).n > 0);
    assert_true(str_eq(json_str(json_get(j, "ResponseCode")), STR("0")));
    json_free(j);
    register_at(&a, V1, "174379", "Cancelled");
    error_is(&a, 500, "500.003.1001");
    reset();
    register_at(&a, V1, "174379", "Cancelled");
    assert_int_equal(a.status, 200);
}

static void urls_with_forbidden_words_are_refused(void **state)
{
    (void)state;
    struct answer a;
    log_in();
    ask(&a, "POST", V2, bearer(), JSON_TYPE,
        "{\"ShortCode\":174379,\"ResponseType\":\"Completed\","
        "\"ConfirmationURL\":\"https://x.example/mpesa\",\"ValidationURL\":\"https://x.example/"
        "a\"}");
    error_is(&a, 400, "400.002.02");
    ask(&a, "POST", V2, bearer(), JSON_TYPE,
        "{\"ShortCode\":174379,\"ResponseType\":\"Completed\","
        "\"ConfirmationURL\":\"https://x.example/a\",\"ValidationURL\":\"https://x.example/"
        "EXEC\"}");
    error_is(&a, 400, "400.002.02");
}

static void asked_then_told(void **state)
{
    (void)state;
    static const struct {
        const char *path, *start;
        size_t length;
    } versions[] = {{V2, "2547 ***** 344", 14}, {V1, "", 64}};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct answer a;
        reset();
        log_in();
        register_at(&a, versions[i].path, "174379", "Completed");
        pay(&a, "");
        assert_int_equal(a.status, 200);
        callbacks_wait(2);
        assert_string_equal(w.paths[0], "/cb/check");
        assert_string_equal(w.paths[1], "/cb/paid");
        struct json *asked = parsed(w.callbacks[0]), *told = parsed(w.callbacks[1]);
        assert_true(
            str_eq(json_str(json_get(asked, "TransID")), json_str(json_get(told, "TransID"))));
        assert_int_equal(json_str(json_get(told, "TransID")).n, 10);
        assert_true(str_eq(json_str(json_get(told, "TransAmount")), STR("750.00")));
        assert_true(str_eq(json_str(json_get(told, "BillRefNumber")), STR("ACC-7781")));
        assert_true(str_eq(json_str(json_get(told, "BusinessShortCode")), STR("174379")));
        assert_true(str_eq(json_str(json_get(asked, "OrgAccountBalance")), STR("")));
        assert_true(json_str(json_get(told, "OrgAccountBalance")).n > 0);
        struct str number = json_str(json_get(told, "MSISDN"));
        assert_int_equal(number.n, versions[i].length);
        assert_true(str_starts(number, str_c(versions[i].start)));
        json_free(asked);
        json_free(told);
        state_is("paid");
    }
}

static void nobody_is_told_what_nobody_asked_for(void **state)
{
    (void)state;
    struct answer a;
    pay(&a, "");
    assert_int_equal(a.status, 422); /* no registration */
}

/* The shop is deaf: the ResponseType of the registration decides. */
static void response_type_decides_without_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *type, *word;
    } types[] = {{"Completed", "paid"}, {"Cancelled", "rejected"}};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct answer a;
        char body[512];
        reset();
        log_in();
        (void)snprintf(body, sizeof body,
                       "{\"ShortCode\":174379,\"ResponseType\":\"%s\","
                       "\"ConfirmationURL\":\"http://127.0.0.1:1/a\","
                       "\"ValidationURL\":\"http://127.0.0.1:1/b\"}",
                       types[i].type);
        ask(&a, "POST", V2, bearer(), JSON_TYPE, body);
        assert_int_equal(a.status, 200);
        pay(&a, "");
        state_is(types[i].word);
    }
}

static void the_same_news_twice_with_a_receipt_of_ours(void **state)
{
    (void)state;
    struct answer a;
    log_in();
    register_at(&a, V2, "174379", "Completed");
    pay(&a, ",\"receipt\":\"TJ47X0KQ2P\",\"times\":2,\"validate\":false");
    callbacks_wait(2);
    assert_string_equal(w.paths[0], "/cb/paid");
    assert_string_equal(w.callbacks[0], w.callbacks[1]);
    assert_non_null(strstr(w.callbacks[0], "\"TransID\":\"TJ47X0KQ2P\""));
}

static void darajas_own_door_for_tests(void **state)
{
    (void)state;
    struct answer a;
    log_in();
    register_at(&a, V2, "174379", "Completed");
    ask(&a, "POST", "/mpesa/mpesa/c2b/v2/simulate", bearer(), JSON_TYPE,
        "{\"ShortCode\":174379,\"CommandID\":\"CustomerPayBillOnline\",\"Amount\":1,"
        "\"Msisdn\":254708374149,\"BillRefNumber\":\"ACC1\"}");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "Accept the service request successfully."));
    callbacks_wait(2);
    assert_non_null(strstr(w.callbacks[1], "\"BillRefNumber\":\"ACC1\""));
    assert_non_null(strstr(w.callbacks[1], "\"TransAmount\":\"1.00\""));
}

static void a_picture_needs_all_of_its_fields(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"RefNo\":\"A\",\"Amount\":1,\"TrxCode\":\"PB\",\"CPI\":\"174379\",\"Size\":\"300\"}",
        "{\"MerchantName\":\"M\",\"Amount\":1,\"TrxCode\":\"PB\",\"CPI\":\"174379\",\"Size\":"
        "\"1\"}",
        "{\"MerchantName\":\"M\",\"RefNo\":\"A\",\"Amount\":0,\"TrxCode\":\"PB\",\"CPI\":"
        "\"174379\"}",
        "{\"MerchantName\":\"M\",\"RefNo\":\"A\",\"Amount\":1,\"TrxCode\":\"XX\",\"CPI\":"
        "\"174379\"}",
        "{\"MerchantName\":\"M\",\"RefNo\":\"A\",\"Amount\":1,\"TrxCode\":\"PB\",\"CPI\":\"x\"}",
    };
    struct answer a;
    log_in();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        ask(&a, "POST", "/mpesa/mpesa/qrcode/v1/generate", bearer(), JSON_TYPE, wrong[i]);
        error_is(&a, 400, "400.002.02");
    }
    ask(&a, "POST", "/mpesa/mpesa/qrcode/v1/generate", bearer(), JSON_TYPE,
        "{\"MerchantName\":\"M\",\"RefNo\":\"A\",\"Amount\":1,\"TrxCode\":\"PB\","
        "\"CPI\":\"174379\",\"Size\":\"300\"}");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"QRCode\":\"iVBOR"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_registration_per_short_code, setup, teardown),
        cmocka_unit_test_setup_teardown(urls_with_forbidden_words_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(asked_then_told, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_told_what_nobody_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(response_type_decides_without_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_news_twice_with_a_receipt_of_ours, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_picture_needs_all_of_its_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(darajas_own_door_for_tests, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
