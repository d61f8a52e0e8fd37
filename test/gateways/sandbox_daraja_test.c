/* The simulated Daraja: what it refuses and what it says. Expectations are taken from
 * providers/mpesa.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/daraja_body.h"
#include "gateways/sandbox/daraja_check.h"

static struct json *parsed(struct str text)
{
    struct json *j = NULL;
    size_t where;
    assert_int_equal(json_parse(text, &j, &where).code, ERR_NONE);
    return j;
}

static void assert_str(struct str have, const char *want)
{
    if (!str_eq(have, str_c(want)))
        fail_msg("have %.*s\nwant %s", STR_ARG(have), want);
}

/* ---- what Daraja refuses ---- */

#define PASSKEY "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"

static const struct {
    const char *name, *value;
} push_fields[] = {
    {"BusinessShortCode", "174379"},
    {"Password", "\"eA==\""},
    {"Timestamp", "\"20250314101502\""},
    {"TransactionType", "\"CustomerPayBillOnline\""},
    {"Amount", "1250"},
    {"PartyA", "254711223344"},
    {"PartyB", "174379"},
    {"PhoneNumber", "254711223344"},
    {"CallBackURL", "\"https://pay.example.co.ke/cb/9f2c71\""},
    {"AccountReference", "\"INV20931\""},
    {"TransactionDesc", "\"Order 20931\""},
};

/* A push in which `name` has another value, or is missing (NULL). */
static struct json *push_with(const char *name, const char *value)
{
    struct buf b;
    bool first = true;
    buf_init(&b, 8192);
    for (size_t i = 0; i < COUNT_OF(push_fields); i++) {
        bool other = name != NULL && strcmp(name, push_fields[i].name) == 0;
        const char *v = other ? value : push_fields[i].value;
        if (v == NULL)
            continue;
        buf_fmt(&b, "%c\"%s\":%s", first ? '{' : ',', push_fields[i].name, v);
        first = false;
    }
    buf_char(&b, '}');
    struct json *j = parsed(buf_view(&b));
    buf_free(&b);
    return j;
}

static void test_push_is_taken(void **state)
{
    static const struct {
        const char *name, *value;
    } fine[] = {
        {NULL, NULL},
        {"BusinessShortCode", "\"174379\""},
        {"BusinessShortCode", "\"00123\""},
        {"Amount", "\"1250\""},
        {"Amount", "1"},
        {"PartyA", "\"254711223344\""},
        {"PhoneNumber", "\"254110000000\""},
        {"PartyB", "7654321"},
        {"CallBackURL", "\"http://127.0.0.1:8080/api/v1/cb/00ff\""},
        {"CallBackURL", "\"HTTPS://[::1]/x\""},
        {"AccountReference", "\"A\""},
        {"AccountReference", "\"ABCDEFGHIJ12\""},
        {"TransactionDesc", "\"x\""},
        {"TransactionDesc", "\"1234567890123\""},
        {"TransactionType", "\"CustomerBuyGoodsOnline\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        struct daraja_push push;
        struct json *j = push_with(fine[i].name, fine[i].value);
        struct daraja_fault f = daraja_check_push(j, &push);
        if (f.status != 0)
            fail_msg("%s %s: %s", fine[i].name, fine[i].value, f.message);
        json_free(j);
    }
    struct daraja_push push;
    struct json *j = push_with("Amount", "\"001250\"");
    assert_int_equal(daraja_check_push(j, &push).status, 0);
    assert_int_equal(push.amount, 1250);
    assert_str(push.shortcode, "174379");
    assert_str(push.phone, "254711223344");
    assert_str(push.reference, "INV20931");
    assert_str(push.url, "https://pay.example.co.ke/cb/9f2c71");
    json_free(j);
}

static void test_push_is_refused(void **state)
{
    static const struct {
        const char *name, *value, *message;
    } wrong[] = {
        {"BusinessShortCode", NULL, "BusinessShortCode"},
        {"BusinessShortCode", "1743", "BusinessShortCode"},
        {"BusinessShortCode", "17437912", "BusinessShortCode"},
        {"BusinessShortCode", "\"17437x\"", "BusinessShortCode"},
        {"BusinessShortCode", "174379.0", "BusinessShortCode"},
        {"BusinessShortCode", "-174379", "BusinessShortCode"},
        {"BusinessShortCode", "null", "BusinessShortCode"},
        {"Password", NULL, "Password"},
        {"Password", "12", "Password"},
        {"Password", "\"\"", "Password"},
        {"Timestamp", NULL, "Timestamp"},
        {"Timestamp", "20250314101502", "Timestamp"},
        {"TransactionType", NULL, "TransactionType"},
        {"TransactionType", "\"customerpaybillonline\"", "TransactionType"},
        {"TransactionType", "\"CustomerPayBill\"", "TransactionType"},
        {"Amount", NULL, "Amount"},
        {"Amount", "0", "Amount"},
        {"Amount", "-5", "Amount"},
        {"Amount", "1250.0", "Amount"},
        {"Amount", "12.5", "Amount"},
        {"Amount", "\"1250.00\"", "Amount"},
        {"Amount", "\" 1250\"", "Amount"},
        {"Amount", "\"+1\"", "Amount"},
        {"Amount", "\"\"", "Amount"},
        {"Amount", "\"99999999999999999999\"", "Amount"},
        {"Amount", "true", "Amount"},
        {"Amount", "[1]", "Amount"},
        {"PartyA", NULL, "PartyA"},
        {"PartyA", "711223344", "PartyA"},
        {"PartyA", "\"+254711223344\"", "PartyA"},
        {"PartyB", NULL, "PartyB"},
        {"PartyB", "\"x\"", "PartyB"},
        {"PhoneNumber", NULL, "PhoneNumber"},
        {"PhoneNumber", "\"0711223344\"", "PhoneNumber"},
        {"PhoneNumber", "\"+254711223344\"", "PhoneNumber"},
        {"PhoneNumber", "254211223344", "PhoneNumber"},
        {"PhoneNumber", "255711223344", "PhoneNumber"},
        {"PhoneNumber", "2547112233445", "PhoneNumber"},
        {"PhoneNumber", "25471122334", "PhoneNumber"},
        {"CallBackURL", NULL, "CallBackURL"},
        {"CallBackURL", "5", "CallBackURL"},
        {"CallBackURL", "\"\"", "CallBackURL"},
        {"CallBackURL", "\"pay.example/cb\"", "CallBackURL"},
        {"CallBackURL", "\"ftp://pay.example/cb\"", "CallBackURL"},
        {"CallBackURL", "\"https://\"", "CallBackURL"},
        {"CallBackURL", "\"https:///cb\"", "CallBackURL"},
        {"CallBackURL", "\"https://a b/cb\"", "CallBackURL"},
        {"CallBackURL", "\"https://pay.example/MPesa/cb\"", "CallBackURL"},
        {"CallBackURL", "\"https://pay.example/safaricom\"", "CallBackURL"},
        {"CallBackURL", "\"https://pay.example/a.EXE\"", "CallBackURL"},
        {"CallBackURL", "\"https://pay.example/exec\"", "CallBackURL"},
        {"CallBackURL", "\"https://cmd.example/\"", "CallBackURL"},
        {"CallBackURL", "\"https://pay.example/mysql\"", "CallBackURL"},
        {"CallBackURL", "\"https://pay.example/?query=1\"", "CallBackURL"},
        {"AccountReference", NULL, "AccountReference"},
        {"AccountReference", "\"\"", "AccountReference"},
        {"AccountReference", "\"ABCDEFGHIJ123\"", "AccountReference"},
        {"AccountReference", "\"INV-1\"", "AccountReference"},
        {"AccountReference", "\"INV 1\"", "AccountReference"},
        {"AccountReference", "\"\\u00e9\"", "AccountReference"},
        {"AccountReference", "20931", "AccountReference"},
        {"TransactionDesc", NULL, "Remarks"},
        {"TransactionDesc", "\"\"", "Remarks"},
        {"TransactionDesc", "7", "Remarks"},
        {"TransactionDesc", "\"12345678901234\"", "TransactionDesc"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char want[80];
        struct daraja_push push;
        struct json *j = push_with(wrong[i].name, wrong[i].value);
        struct daraja_fault f = daraja_check_push(j, &push);
        (void)snprintf(want, sizeof want, "Bad Request - Invalid %s", wrong[i].message);
        if (f.status != 400)
            fail_msg("taken: %s %s", wrong[i].name, wrong[i].value);
        assert_string_equal(f.code, "400.002.02");
        assert_string_equal(f.message, want);
        json_free(j);
    }
}

static void test_query_is_checked(void **state)
{
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{\"BusinessShortCode\":174379,\"Password\":\"eA==\",\"Timestamp\":\"20250314101502\","
         "\"CheckoutRequestID\":\"ws_CO_1\"}",
         NULL},
        {"{\"Password\":\"eA==\",\"Timestamp\":\"20250314101502\",\"CheckoutRequestID\":\"ws_CO_"
         "1\"}",
         "Bad Request - Invalid BusinessShortCode"},
        {"{\"BusinessShortCode\":174379,\"Timestamp\":\"20250314101502\",\"CheckoutRequestID\":"
         "\"a\"}",
         "Bad Request - Invalid Password"},
        {"{\"BusinessShortCode\":174379,\"Password\":\"eA==\",\"CheckoutRequestID\":\"a\"}",
         "Bad Request - Invalid Timestamp"},
        {"{\"BusinessShortCode\":174379,\"Password\":\"eA==\",\"Timestamp\":\"20250314101502\"}",
         "Bad Request - Invalid CheckoutRequestID"},
        {"{\"BusinessShortCode\":174379,\"Password\":\"eA==\",\"Timestamp\":\"20250314101502\","
         "\"CheckoutRequestID\":12}",
         "Bad Request - Invalid CheckoutRequestID"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct daraja_query query;
        struct json *j = parsed(str_c(cases[i].body));
        struct daraja_fault f = daraja_check_query(j, &query);
        if (cases[i].message == NULL)
            assert_int_equal(f.status, 0);
        else
            assert_string_equal(f.message, cases[i].message);
        json_free(j);
    }
}

static const struct daraja_account accounts[] = {
    {"174379", PASSKEY, NULL},
    {"600997", "sandbox_till_passkey", "7654321"},
};

static struct str password_of(struct arena *a, const char *plain)
{
    return base64_text(a, str_c(plain));
}

static void test_password_and_timestamp(void **state)
{
    static const struct {
        const char *shortcode, *plain, *timestamp, *now;
        int64_t tolerance_s;
        const char *code; /* NULL: taken */
    } cases[] = {
        /* East Africa Time is three hours ahead */
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:15:02Z", 300,
         NULL},
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:20:02Z", 300,
         NULL},
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:10:02Z", 300,
         NULL},
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:20:03Z", 300,
         "400.002.02"},
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:10:01Z", 300,
         "400.002.02"},
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2025-03-14T10:15:02Z", 300,
         "400.002.02"},
        {"174379", "174379" PASSKEY "20250314101502", "20250314101502", "2031-01-01T00:00:00Z", 0,
         NULL},
        {"600997", "600997sandbox_till_passkey20250314101502", "20250314101502",
         "2025-03-14T07:15:02Z", 300, NULL},
        {"600997", "600997" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:15:02Z", 300,
         "500.001.1001"},
        {"174379", "174379" PASSKEY "20250314101503", "20250314101502", "2025-03-14T07:15:02Z", 300,
         "500.001.1001"},
        {"522533", "522533" PASSKEY "20250314101502", "20250314101502", "2025-03-14T07:15:02Z", 300,
         "500.001.1001"},
        {"174379", "174379" PASSKEY "20250230101502", "20250230101502", "2025-03-02T07:15:02Z", 0,
         "400.002.02"},
        {"174379", "174379" PASSKEY "20250314251502", "20250314251502", "2025-03-14T22:15:02Z", 0,
         "400.002.02"},
        {"174379", "174379" PASSKEY "2025031410150", "2025031410150", "2025-03-14T07:15:02Z", 0,
         "400.002.02"},
        {"174379", "174379" PASSKEY "2025-03-141015", "2025-03-141015", "2025-03-14T07:15:02Z", 0,
         "400.002.02"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        int64_t now;
        const struct daraja_account *account;
        arena_init(&a, 8192);
        assert_true(time_parse(str_c(cases[i].now), &now));
        struct daraja_fault f =
            daraja_check_password(accounts, COUNT_OF(accounts), str_c(cases[i].shortcode),
                                  password_of(&a, cases[i].plain), str_c(cases[i].timestamp), now,
                                  cases[i].tolerance_s, &account);
        if (cases[i].code == NULL && f.status != 0)
            fail_msg("case %zu refused: %s", i, f.message);
        if (cases[i].code != NULL && (f.code == NULL || strcmp(f.code, cases[i].code) != 0))
            fail_msg("case %zu: %s", i, f.code != NULL ? f.code : "taken");
        arena_free(&a);
    }
}

static void test_wrong_credentials_are_named(void **state)
{
    const struct daraja_account *account;
    (void)state;
    struct daraja_fault f = daraja_check_password(accounts, 2, STR("174379"), STR("eA=="),
                                                  STR("20250314101502"), 0, 0, &account);
    assert_string_equal(f.message, "Wrong credentials");
    assert_int_equal(f.status, 500);
    f = daraja_check_password(accounts, 2, STR("174378"), STR("eA=="), STR("20250314101502"), 0, 0,
                              &account);
    assert_string_equal(f.message, "Merchant does not exist");
}

static void test_misfits(void **state)
{
    static const struct {
        size_t account;
        const char *type, *party_b;
        int64_t amount;
        const char *result;
    } cases[] = {
        {0, "CustomerPayBillOnline", "174379", 250000, NULL},
        {0, "CustomerPayBillOnline", "174379", 250001, "3"},
        {0, "CustomerPayBillOnline", "7654321", 10, "SFC_IC0003"},
        {0, "CustomerBuyGoodsOnline", "174379", 10, "2028"},
        {1, "CustomerBuyGoodsOnline", "7654321", 10, NULL},
        {1, "CustomerBuyGoodsOnline", "600997", 10, "SFC_IC0003"},
        {1, "CustomerPayBillOnline", "600997", 10, "2028"},
        {1, "CustomerPayBillOnline", "7654321", 10, "2028"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct daraja_push push = {.type = str_c(cases[i].type),
                                   .party_b = str_c(cases[i].party_b),
                                   .amount = cases[i].amount};
        const char *result = daraja_misfit(&accounts[cases[i].account], &push);
        if (cases[i].result == NULL)
            assert_null(result);
        else
            assert_string_equal(result, cases[i].result);
    }
}

/* ---- what Daraja says ---- */

static struct daraja_told told_of(const char *result)
{
    struct daraja_told t = {.merchant_id = "4c1e-1",
                            .checkout_id = "ws_CO_14032025101503711223344",
                            .result = result,
                            .phone = "254711223344",
                            .receipt = "TCE9K41XQ7",
                            .amount = 1250};
    assert_true(time_parse(STR("2025-03-14T10:15:41+03:00"), &t.settled_us));
    return t;
}

#define HEAD_(result, desc)                                                          \
    "{\"Body\":{\"stkCallback\":{\"MerchantRequestID\":\"4c1e-1\","                  \
    "\"CheckoutRequestID\":\"ws_CO_14032025101503711223344\",\"ResultCode\":" result \
    ",\"ResultDesc\":\"" desc "\""
#define PAID_(result) HEAD_(result, "The service request is processed successfully.")
#define ITEMS_(items) ",\"CallbackMetadata\":{\"Item\":[" items "]}}}}"
#define RECEIPT_ "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"TCE9K41XQ7\"},"
#define DATE_ "{\"Name\":\"TransactionDate\",\"Value\":20250314101541},"

static void test_callbacks(void **state)
{
    static const struct {
        const char *result;
        enum outcome_callback form;
        const char *want;
    } cases[] = {
        {"0", CALLBACK_PLAIN,
         PAID_("0") ITEMS_("{\"Name\":\"Amount\",\"Value\":1250.00}," RECEIPT_
                           "{\"Name\":\"Balance\"}," DATE_
                           "{\"Name\":\"PhoneNumber\",\"Value\":254711223344}")},
        {"0", CALLBACK_NO_BALANCE,
         PAID_("0") ITEMS_("{\"Name\":\"Amount\",\"Value\":1250.0}," RECEIPT_ DATE_
                           "{\"Name\":\"PhoneNumber\",\"Value\":254711223344}")},
        {"0", CALLBACK_WRONG_AMOUNT,
         PAID_("0") ITEMS_("{\"Name\":\"Amount\",\"Value\":1251.00}," RECEIPT_
                           "{\"Name\":\"Balance\"}," DATE_
                           "{\"Name\":\"PhoneNumber\",\"Value\":254711223344}")},
        {"0", CALLBACK_WRONG_PHONE,
         PAID_("0") ITEMS_("{\"Name\":\"Amount\",\"Value\":1250.00}," RECEIPT_
                           "{\"Name\":\"Balance\"}," DATE_
                           "{\"Name\":\"PhoneNumber\",\"Value\":254799999999}")},
        {"0", CALLBACK_TEXT_FIELDS,
         PAID_("\"0\"") ITEMS_("{\"Name\":\"Amount\",\"Value\":\"1250.00\"}," RECEIPT_
                               "{\"Name\":\"Balance\",\"Value\":\"{Amount={CurrencyCode=KES, "
                               "MinimumAmount=125000, BasicAmount=1250.00}}\"},"
                               "{\"Name\":\"TransactionDate\",\"Value\":\"20250314101541\"},"
                               "{\"Name\":\"PhoneNumber\",\"Value\":\"254711223344\"}")},
        {"1032", CALLBACK_PLAIN, HEAD_("1032", "Request cancelled by user") "}}}"},
        {"SFC_IC0003", CALLBACK_PLAIN,
         HEAD_("\"SFC_IC0003\"", "The operator does not exist.") "}}}"},
        {"7777", CALLBACK_ODD_CODE, HEAD_("7777", "An unknown condition occurred.") "}}}"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct daraja_told t = told_of(cases[i].result);
        struct buf b;
        buf_init(&b, 8192);
        daraja_body_callback(&b, &t, cases[i].form);
        assert_str(buf_view(&b), cases[i].want);
        json_free(parsed(buf_view(&b)));
        buf_free(&b);
    }
}

static void test_answers(void **state)
{
    struct daraja_told t = told_of("1032");
    struct buf b;
    (void)state;
    buf_init(&b, 4096);
    daraja_body_token(&b, "k3VtQ0aBzY7xLr9sWn2pHd5fJgTe", 3599);
    assert_str(buf_view(&b),
               "{\"access_token\":\"k3VtQ0aBzY7xLr9sWn2pHd5fJgTe\",\"expires_in\":\"3599\"}");
    buf_reset(&b);
    daraja_body_fault(&b, "7f3a", "400.002.02", "Bad Request - Invalid Amount");
    assert_str(buf_view(&b), "{\"requestId\":\"7f3a\",\"errorCode\":\"400.002.02\","
                             "\"errorMessage\":\"Bad Request - Invalid Amount\"}");
    buf_reset(&b);
    daraja_body_accepted(&b, "4c1e-1", "ws_CO_1");
    assert_str(buf_view(&b), "{\"MerchantRequestID\":\"4c1e-1\",\"CheckoutRequestID\":\"ws_CO_1\","
                             "\"ResponseCode\":\"0\","
                             "\"ResponseDescription\":\"Success. Request accepted for processing\","
                             "\"CustomerMessage\":\"Success. Request accepted for processing\"}");
    buf_reset(&b);
    daraja_body_result(&b, &t, false);
    assert_str(buf_view(&b),
               "{\"ResponseCode\":\"0\","
               "\"ResponseDescription\":\"The service request has been accepted successsfully\","
               "\"MerchantRequestID\":\"4c1e-1\","
               "\"CheckoutRequestID\":\"ws_CO_14032025101503711223344\","
               "\"ResultCode\":\"1032\",\"ResultDesc\":\"Request cancelled by user\"}");
    buf_reset(&b);
    daraja_body_result(&b, &t, true);
    struct json *j = parsed(buf_view(&b));
    assert_int_equal(json_kind(json_get(j, "ResultCode")), JSON_INT);
    assert_int_equal(json_kind(json_get(j, "ResponseCode")), JSON_INT);
    json_free(j);
    buf_free(&b);
}

static void test_result_texts(void **state)
{
    (void)state;
    const struct outcome *o;
    for (size_t i = 0; (o = outcome_at(i)) != NULL; i++)
        assert_string_not_equal(daraja_result_text(o->result), "An unknown condition occurred.");
    assert_string_equal(daraja_result_text("7777"), "An unknown condition occurred.");
}

static void test_time_is_east_african(void **state)
{
    int64_t us, back;
    char text[DARAJA_TIME];
    (void)state;
    assert_true(time_parse(STR("2024-12-31T21:00:00Z"), &us));
    daraja_time_text(us, text);
    assert_string_equal(text, "20250101000000");
    assert_true(daraja_time_parse(str_c(text), &back));
    assert_true(us == back);
    assert_false(daraja_time_parse(STR("20250101 00000"), &back));
    assert_false(daraja_time_parse(STR(""), &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_is_taken),
        cmocka_unit_test(test_push_is_refused),
        cmocka_unit_test(test_query_is_checked),
        cmocka_unit_test(test_password_and_timestamp),
        cmocka_unit_test(test_wrong_credentials_are_named),
        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_result_texts),
        cmocka_unit_test(test_time_is_east_african),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_trim();
    return failed;
}
