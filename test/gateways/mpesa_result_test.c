/* M-Pesa, what became of a push, written from mpesa.md: the query, the callback, and what is stored
 * of all that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/mpesa_case.h"

/* ---- query ---- */

#define RESULT(code)                                                                           \
    "{\"ResponseCode\":\"0\",\"ResponseDescription\":\"The service request has been accepted " \
    "successsfully\",\"MerchantRequestID\":\"4c1e\",\"CheckoutRequestID\":\"" REF              \
    "\",\"ResultCode\":" code ",\"ResultDesc\":\"words\"}"

static const struct {
    const char *code;
    enum failure_code failure;
} failures[] = {
    {"1", FAILURE_INSUFFICIENT_FUNDS},      {"2", FAILURE_LIMIT_EXCEEDED},
    {"3", FAILURE_LIMIT_EXCEEDED},          {"4", FAILURE_LIMIT_EXCEEDED},
    {"8", FAILURE_LIMIT_EXCEEDED},          {"17", FAILURE_DUPLICATE},
    {"26", FAILURE_PROVIDER_BUSY},          {"1001", FAILURE_PROVIDER_BUSY},
    {"1019", FAILURE_CUSTOMER_TIMEOUT},     {"1025", FAILURE_PROVIDER_ERROR},
    {"9999", FAILURE_PROVIDER_ERROR},       {"1032", FAILURE_CANCELLED_BY_CUSTOMER},
    {"1037", FAILURE_CUSTOMER_UNREACHABLE}, {"2001", FAILURE_WRONG_PIN},
    {"2028", FAILURE_CONFIGURATION},        {"8006", FAILURE_CUSTOMER_BLOCKED},
    {"SFC_IC0003", FAILURE_CONFIGURATION},
};

static bool is_sure(const char *code)
{
    return strcmp(code, "1032") == 0 || strcmp(code, "2001") == 0;
}

static void query_failures(void **state)
{
    (void)state;
    struct gw_account a = account();
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            const char *q = quoted == 1 ? "\"" : "";
            if (quoted == 0 && failures[i].code[0] == 'S')
                continue;
            struct str body = arena_fmt(&mem,
                                        "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"" REF
                                        "\",\"ResultCode\":%s%s%s,\"ResultDesc\":\"w\"}",
                                        q, failures[i].code, q);
            struct outbound_response in = answer(200, body.p);
            struct gw_result r;
            gw->query_parse(&a, &in, &mem, &r);
            assert_int_equal(r.verdict, GW_FAILED);
            assert_int_equal(r.code, failures[i].failure);
            assert_int_equal(r.sure, is_sure(failures[i].code));
            assert_text(r.provider_code, failures[i].code);
            assert_text(r.provider_ref, REF);
        }
    }
}

static void query_answers(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {200, RESULT("\"0\""), GW_SUCCEEDED, 0, false},
        {200, RESULT("0"), GW_SUCCEEDED, 0, false},
        {200, RESULT("\"4999\""), GW_PENDING, 0, false},
        {200, RESULT("4999"), GW_PENDING, 0, false},
        {200, RESULT("\"7777\""), GW_PENDING, 0, false},
        {200, RESULT("\"00\""), GW_PENDING, 0, false},
        {200, RESULT("null"), GW_UNKNOWN, 0, false},
        {200, RESULT("false"), GW_UNKNOWN, 0, false},
        {200, "{\"ResponseCode\":\"1\",\"ResultCode\":\"0\"}", GW_UNKNOWN, 0, false},
        {200, "{\"ResultCode\":\"0\"}", GW_UNKNOWN, 0, false},
        {200, "{}", GW_UNKNOWN, 0, false},
        {200, "", GW_UNKNOWN, 0, false},
        {200, "<html>", GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.001.1001", "The transaction is being processed"), GW_PENDING, 0, false},
        {500, ENVELOPE("500.001.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.001.1001", "Wrong credentials"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.003.02", "Spike Arrest Violation"), GW_UNKNOWN, 0, true},
        {404, ENVELOPE("404.001.03", "Invalid Access Token"), GW_TOKEN_REJECTED, 0, false},
        {400, ENVELOPE("400.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED, 0, false},
        {404, ENVELOPE("404.001.01", "Resource not found"), GW_UNKNOWN, 0, false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid CheckoutRequestID"), GW_UNKNOWN, 0,
         false},
        {500, RESULT("\"0\""), GW_UNKNOWN, 0, false},
        {502, "<html>", GW_UNKNOWN, 0, false},
    };
    struct gw_account a = account();
    struct gw_result r;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(cases[i].status, cases[i].body);
        gw->query_parse(&a, &in, &mem, &r);
        if (r.verdict != cases[i].verdict || r.code != cases[i].code ||
            r.retry_later != cases[i].retry_later)
            fail_msg("%d %s: verdict %d, code %d", cases[i].status, cases[i].body, r.verdict,
                     r.code);
        /* A query names neither receipt nor amount nor phone. */
        assert_int_equal(r.receipt.n, 0);
        assert_int_equal(r.amount.currency, 0);
        assert_int_equal(r.phone.n, 0);
    }
    static const enum outbound_outcome lost[] = {OUTBOUND_NOT_SENT, OUTBOUND_UNKNOWN};
    for (size_t i = 0; i < COUNT_OF(lost); i++) {
        struct outbound_response in = {.outcome = lost[i], .error = "gone"};
        gw->query_parse(&a, &in, &mem, &r);
        assert_int_equal(r.verdict, GW_UNKNOWN);
    }
}

/* ---- callback ---- */

#define CALLBACK(code, metadata)                                                              \
    "{\"Body\":{\"stkCallback\":{\"MerchantRequestID\":\"4c1e\",\"CheckoutRequestID\":\"" REF \
    "\",\"ResultCode\":" code ",\"ResultDesc\":\"words\"" metadata "}}}"
#define ITEMS(items) ",\"CallbackMetadata\":{\"Item\":[" items "]}"
#define AMOUNT(v) "{\"Name\":\"Amount\",\"Value\":" v "}"
#define RECEIPT "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"TCE9K41XQ7\"}"
#define REST                                                                          \
    "{\"Name\":\"Balance\"},{\"Name\":\"TransactionDate\",\"Value\":20250314101541}," \
    "{\"Name\":\"PhoneNumber\",\"Value\":254711223344}"

static struct err callback(const char *body, struct gw_result *r)
{
    struct gw_callback in = {.body = str_c(body), .content_type = STR("application/json")};
    return gw->callback_parse(&in, &mem, r);
}

static void callback_success(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t minor;
        const char *phone;
    } cases[] = {
        {CALLBACK("0", ITEMS(AMOUNT("1250.00") "," RECEIPT "," REST)), 125000, "+254711223344"},
        {CALLBACK("\"0\"", ITEMS(AMOUNT("1250.0") "," RECEIPT "," REST)), 125000, "+254711223344"},
        {CALLBACK("0", ITEMS(REST "," RECEIPT "," AMOUNT("1250"))), 125000, "+254711223344"},
        {CALLBACK("0", ITEMS(AMOUNT("\"1250.00\"") "," RECEIPT)), 125000, ""},
        {CALLBACK("0", ITEMS(AMOUNT(
                           "\"1250\"") "," RECEIPT
                                       ",{\"Name\":\"PhoneNumber\",\"Value\":\"254711223344\"}")),
         125000, "+254711223344"},
        {CALLBACK("0", ITEMS(AMOUNT("1") "," RECEIPT
                                         ",{\"Name\":\"PhoneNumber\",\"Value\":\"2547****3344\"}")),
         100, ""},
        {CALLBACK(
             "0",
             ITEMS(AMOUNT(
                 "250000.00") "," RECEIPT
                              ",{\"Name\":\"Balance\",\"Value\":\"{Amount={CurrencyCode=KES}}\"}"
                              ",{\"Name\":\"Unknown\",\"Value\":[1]},17,{\"Value\":3},{\"Name\":"
                              "5}")),
         25000000, ""},
        {CALLBACK("0", ITEMS(AMOUNT("1250.55") "," RECEIPT)), 125055, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_result r;
        assert_false(err_is(callback(cases[i].body, &r)));
        if (r.verdict != GW_SUCCEEDED)
            fail_msg("%s: %s", cases[i].body, r.why);
        assert_int_equal(r.amount.minor, cases[i].minor);
        assert_int_equal(r.amount.currency, KES);
        assert_text(r.receipt, "TCE9K41XQ7");
        assert_text(r.provider_ref, REF);
        assert_text(r.phone, cases[i].phone);
    }
}

static void callback_open(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        CALLBACK("7777", ""),
        CALLBACK("4999", ""),
        CALLBACK("null", ""),
        CALLBACK("\"\"", ""),
        CALLBACK("0", ""),
        CALLBACK("0", ITEMS("")),
        CALLBACK("0", ",\"CallbackMetadata\":{\"Item\":{\"Name\":\"Amount\",\"Value\":1}}"),
        CALLBACK("0", ITEMS(AMOUNT("1250"))),
        CALLBACK("0", ITEMS(RECEIPT)),
        CALLBACK("0", ITEMS("{\"Name\":\"Amount\"}," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("1250.005") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("\"1250.000\"") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("-1250") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("0.00") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("1e300") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("\"1,250\"") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("1250") "," AMOUNT("1") "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("1250") "," RECEIPT "," RECEIPT)),
        CALLBACK("0", ITEMS(AMOUNT("1250") ",{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"\"}")),
        CALLBACK("0", ITEMS(AMOUNT("1250") ",{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"a b\"}")),
        CALLBACK("0", ITEMS(AMOUNT("1250") ",{\"Name\":\"MpesaReceiptNumber\",\"Value\":1}")),
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct gw_result r;
        assert_false(err_is(callback(bodies[i], &r)));
        if (r.verdict != GW_UNKNOWN)
            fail_msg("%s: %d", bodies[i], r.verdict);
        assert_true(r.why != NULL);
        assert_text(r.provider_ref, REF);
        assert_int_equal(r.receipt.n, 0);
        assert_int_equal(r.amount.currency, 0);
    }
}

static void callback_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        for (int quoted = failures[i].code[0] == 'S'; quoted < 2; quoted++) {
            const char *q = quoted == 1 ? "\"" : "";
            struct str body = arena_fmt(&mem,
                                        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"" REF
                                        "\",\"ResultCode\":%s%s%s,\"ResultDesc\":\"w\"}}}",
                                        q, failures[i].code, q);
            struct gw_result r;
            assert_false(err_is(callback(body.p, &r)));
            assert_int_equal(r.verdict, GW_FAILED);
            assert_int_equal(r.code, failures[i].failure);
            assert_int_equal(r.sure, is_sure(failures[i].code));
            assert_text(r.provider_code, failures[i].code);
        }
    }
}

static void callback_foreign(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"Body\":{}}",
        "{\"Body\":{\"stkCallback\":{}}}",
        "{\"Body\":{\"stkCallback\":[]}}",
        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"\",\"ResultCode\":0}}}",
        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":5,\"ResultCode\":0}}}",
        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"" LONG128 "x\",\"ResultCode\":0}}}",
        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"a\\u0000b\",\"ResultCode\":0}}}",
        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"\xff\xfe\",\"ResultCode\":0}}}",
        "{\"Result\":{\"ResultCode\":0}}",
        CALLBACK("0", "") "x",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct gw_result r;
        if (callback(bodies[i], &r).code != ERR_PARSE)
            fail_msg("taken: %s", bodies[i]);
    }
    assert_string_equal(gw->callback_ack, "{\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}");
}

/* ---- masking ---- */

static void masks(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"<html>secret</html>", "{\"unreadable_bytes\":19}"},
        {"{\"Password\":\"abc\",\"x\":1}", "{\"Password\":\"***\",\"x\":1}"},
        {"{\"access_token\":\"abc\"}", "{\"access_token\":\"***\"}"},
        {"{\"SecurityCredential\":{\"a\":1}}", "{\"SecurityCredential\":\"***\"}"},
        {"{\"PartyA\":254711223344,\"PartyB\":522533}",
         "{\"PartyA\":\"25471*****44\",\"PartyB\":522533}"},
        {"{\"MSISDN\":\"+254711223344\"}", "{\"MSISDN\":\"+2547******44\"}"},
        {"{\"a\":[{\"phone\":\"254711223344\"}]}", "{\"a\":[{\"phone\":\"25471*****44\"}]}"},
        {"{\"CallBackURL\":\"https://p.example/cb/9f2c71\"}",
         "{\"CallBackURL\":\"https://p.example/cb/***\"}"},
        {"{\"Item\":[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"PhoneNumber\",\"Value\":"
         "254711223344}]}",
         "{\"Item\":[{\"Name\":\"Amount\",\"Value\":5},"
         "{\"Name\":\"PhoneNumber\",\"Value\":\"25471*****44\"}]}"},
        {"{\"Item\":[{\"Value\":\"254711223344\",\"Name\":\"PhoneNumber\"}]}",
         "{\"Item\":[{\"Value\":\"25471*****44\",\"Name\":\"PhoneNumber\"}]}"},
        {"{ \"t\" : true , \"n\" : null , \"s\" : \"a\\\"b\" }",
         "{\"t\":true,\"n\":null,\"s\":\"a\\\"b\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        buf_init(&out, 4096);
        gw->redact(str_c(cases[i].in), &out);
        assert_text(buf_view(&out), cases[i].out);
        buf_free(&out);
    }
    /* Our own request keeps neither password nor phone nor the callback's token. */
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    struct buf out;
    assert_false(err_is(gw->charge_build(&a, &c, STR("t"), &mem, &r)));
    buf_init(&out, 4096);
    gw->redact(r.body, &out);
    assert_false(str_icontains(buf_view(&out), STR("711223344")));
    assert_false(str_icontains(buf_view(&out), STR("NTIyNT")));
    assert_false(str_icontains(buf_view(&out), STR("9f2c71")));
    assert_true(str_icontains(buf_view(&out), STR("\"AccountReference\":\"RL0K7Q2ZD913\"")));
    buf_free(&out);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(query_failures), T(query_answers),     T(callback_success),
        T(callback_open),  T(callback_failures), T(callback_foreign),
        T(masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
