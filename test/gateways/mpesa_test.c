/* M-Pesa, what we ask and what the answers mean, written from mpesa.md: requests byte by byte, the
 * token, the push. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/mpesa_case.h"

/* ---- requests ---- */

static void assert_header(const struct outbound_request *r, const char *line)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcmp(r->headers[i], line) == 0)
            return;
    fail_msg("no header %s", line);
}

static void push_paybill(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    assert_false(err_is(gw->charge_build(&a, &c, STR("tok.en"), &mem, &r)));
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.url, "https://sandbox.safaricom.co.ke/mpesa/stkpush/v1/processrequest");
    assert_header(&r, "Authorization: Bearer tok.en");
    assert_header(&r, "Content-Type: application/json");
    assert_text(r.body,
                "{\"BusinessShortCode\":522533,"
                "\"Password\":\"NTIyNTMzdGVzdC1wYXNza2V5MjAyNTAzMTQxMDE1MDI=\","
                "\"Timestamp\":\"20250314101502\",\"TransactionType\":\"CustomerPayBillOnline\","
                "\"Amount\":1250,\"PartyA\":254711223344,\"PartyB\":522533,"
                "\"PhoneNumber\":254711223344,"
                "\"CallBackURL\":\"https://pay.example.co.ke/cb/9f2c71\","
                "\"AccountReference\":\"RL0K7Q2ZD913\",\"TransactionDesc\":\"Order 20931\"}");
    assert_true(r.once);
    assert_false(r.public_only);
    assert_int_equal(r.timeout_us, 30 * US_PER_S);
}

/* The store number asks, the till is paid; a leading zero survives; a year turns three hours early.
 */
static void push_till(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    set(&a, "shortcode", "012345");
    set(&a, "type", "till");
    set(&a, "till", "7654321");
    c.now_us = INT64_C(1735678800) * US_PER_S; /* 2024-12-31 21:00:00 UTC */
    c.phone = STR("+254110000000");
    c.description = STR("");
    c.amount.minor = 100;
    assert_false(err_is(gw->charge_build(&a, &c, STR("t"), &mem, &r)));
    assert_text(r.body,
                "{\"BusinessShortCode\":\"012345\","
                "\"Password\":\"MDEyMzQ1dGVzdC1wYXNza2V5MjAyNTAxMDEwMDAwMDA=\","
                "\"Timestamp\":\"20250101000000\",\"TransactionType\":\"CustomerBuyGoodsOnline\","
                "\"Amount\":1,\"PartyA\":254110000000,\"PartyB\":7654321,"
                "\"PhoneNumber\":254110000000,"
                "\"CallBackURL\":\"https://pay.example.co.ke/cb/9f2c71\","
                "\"AccountReference\":\"RL0K7Q2ZD913\",\"TransactionDesc\":\"Payment\"}");
}

static void descriptions(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", "Payment"},
        {" \t\n", "Payment"},
        {"#&%", "Payment"},
        {"\xc3\xa9\xc3\xa9", "Payment"},
        {"Lunch", "Lunch"},
        {"  a  b  ", "a b"},
        {"caf\xc3\xa9 No. 5", "caf No 5"},
        {"1234567890123", "1234567890123"},
        {"12345678901234", "1234567890123"},
        {"123456789012 45", "123456789012"},
        {"12345678901 345", "12345678901 3"},
        {"\"quoted\\\"", "quoted"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        c.description = str_c(cases[i].in);
        assert_false(err_is(gw->charge_build(&a, &c, STR("t"), &mem, &r)));
        struct str tail = arena_fmt(&mem, "\"TransactionDesc\":\"%s\"}", cases[i].out);
        if (!str_ends(r.body, tail))
            fail_msg("'%s' gave %.*s", cases[i].in, STR_ARG(r.body));
    }
}

static void push_refused(void **state)
{
    (void)state;
    static const struct {
        const char *setting, *value; /* changed setting */
        int64_t minor;
        uint16_t currency;
        const char *phone, *code, *url;
        bool ok;
    } cases[] = {
        {.ok = true},
        {.currency = CURRENCY('U', 'G', 'X')},
        {.currency = CURRENCY('U', 'S', 'D')},
        {.minor = 99},
        {.minor = 125001},
        {.minor = -100},
        {.minor = 100, .ok = true},
        {.minor = 25000000, .ok = true},
        {.minor = 25000100},
        {.phone = "+255711223344"},
        {.phone = "254711223344"},
        {.phone = "+25471122334"},
        {.phone = "+2547112233445"},
        {.phone = "+254811223344"},
        {.phone = "+254111223344", .ok = true},
        {.phone = "+2547112233x4"},
        {.phone = ""},
        {.code = "RL0K7Q2ZD9134"},
        {.code = "RL0K-7Q2Z"},
        {.code = ""},
        {.setting = "account_reference_max", .value = "13", .code = "RL0K7Q2ZD9134", .ok = true},
        {.setting = "account_reference_max", .value = "11"},
        {.setting = "account_reference_max", .value = "0"},
        {.setting = "account_reference_max", .value = "many"},
        {.url = "https://x.example/Mpesa/1"},
        {.url = "https://safaricom.example/1"},
        {.url = "https://x.example/SQL/1"},
        {.url = "https://x.example/executive"},
        {.url = "https://x.example/cmd"},
        {.url = "https://x.example/1?query=1"},
        {.url = "http://127.0.0.1:8080/api/v1/cb/00ff", .ok = true},
        {.url = "ftp://x.example/1"},
        {.url = "https://x.example/\n1"},
        {.url = ""},
        {.setting = "shortcode", .value = "1234"},
        {.setting = "shortcode", .value = "12345678"},
        {.setting = "shortcode", .value = "12E45"},
        {.setting = "passkey", .value = ""},
        {.setting = "type", .value = "paybill", .ok = true},
        {.setting = "type", .value = "shop"},
        {.setting = "type", .value = "till"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        if (cases[i].setting != NULL)
            set(&a, cases[i].setting, cases[i].value);
        if (cases[i].minor != 0)
            c.amount.minor = cases[i].minor;
        if (cases[i].currency != 0)
            c.amount.currency = cases[i].currency;
        if (cases[i].phone != NULL)
            c.phone = str_c(cases[i].phone);
        if (cases[i].code != NULL)
            c.pay_code = str_c(cases[i].code);
        if (cases[i].url != NULL)
            c.callback_url = str_c(cases[i].url);
        struct err err = gw->charge_build(&a, &c, STR("t"), &mem, &r);
        if (err.code != (cases[i].ok ? ERR_NONE : ERR_INVALID))
            fail_msg("case %zu: %s", i, err.what != NULL ? err.what : "taken");
    }
}

static void live_wants_https(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    a.base_url = STR("https://api.safaricom.co.ke");
    assert_false(err_is(gw->charge_build(&a, &c, STR("t"), &mem, &r)));
    c.callback_url = STR("http://pay.example.co.ke/cb/1");
    assert_int_equal(gw->charge_build(&a, &c, STR("t"), &mem, &r).code, ERR_INVALID);
}

static void query(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct outbound_request r;
    assert_false(
        err_is(gw->query_build(&a, STR(REF), INT64_C(1741936502) * US_PER_S, STR("t"), &mem, &r)));
    assert_string_equal(r.url, "https://sandbox.safaricom.co.ke/mpesa/stkpushquery/v1/query");
    assert_text(r.body, "{\"BusinessShortCode\":522533,"
                        "\"Password\":\"NTIyNTMzdGVzdC1wYXNza2V5MjAyNTAzMTQxMDE1MDI=\","
                        "\"Timestamp\":\"20250314101502\",\"CheckoutRequestID\":\"" REF "\"}");
    assert_false(r.once);
    assert_int_equal(gw->query_build(&a, STR(""), 0, STR("t"), &mem, &r).code, ERR_INVALID);
    assert_int_equal(gw->query_build(&a, STR("a\"b\x01"), 0, STR("t"), &mem, &r).code, ERR_INVALID);
}

/* ---- token ---- */

static void token(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct outbound_request r;
    assert_false(err_is(gw->token_build(&a, &mem, &r)));
    assert_string_equal(r.method, "GET");
    assert_string_equal(
        r.url, "https://sandbox.safaricom.co.ke/oauth/v1/generate?grant_type=client_credentials");
    assert_header(&r, "Authorization: Basic a2V5OnM6ZWNyZXQ=");
    static const struct {
        int status;
        const char *body;
        enum err_code code;
        const char *token;
        int64_t life_s;
    } cases[] = {
        {200, "{\"access_token\":\"k3V\",\"expires_in\":\"3599\"}", ERR_NONE, "k3V", 3599},
        {200, "{\"access_token\":\"k3V\",\"expires_in\":3600}", ERR_NONE, "k3V", 3600},
        {200, "{\"access_token\":\"k3V\"}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"\",\"expires_in\":3600}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"a b\",\"expires_in\":3600}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":3600}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"k3V\",\"expires_in\":0}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"k3V\",\"expires_in\":-1}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"k3V\",\"expires_in\":1e30}", ERR_PARSE, NULL, 0},
        {200, "{\"access_token\":\"k3V\",\"expires_in\":\"9223372036849937607\"}", ERR_PARSE, NULL,
         0},
        {200, "<html>", ERR_IO, NULL, 0},
        {200, "", ERR_IO, NULL, 0},
        {400, "{\"requestId\":\"1\",\"errorCode\":\"400.008.01\",\"errorMessage\":\"Invalid\"}",
         ERR_CONFIG, NULL, 0},
        {400, "{\"errorCode\":\"400.008.02\",\"errorMessage\":\"Invalid grant type\"}", ERR_CONFIG,
         NULL, 0},
        {401, "", ERR_CONFIG, NULL, 0},
        {500, "{\"errorCode\":\"500.003.02\",\"errorMessage\":\"Spike\"}", ERR_IO, NULL, 0},
        {503, "<html>", ERR_IO, NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(cases[i].status, cases[i].body);
        struct str got = STR_NULL;
        int64_t life_us = 0;
        struct err err = gw->token_parse(&in, &mem, &got, &life_us);
        if (err.code != cases[i].code)
            fail_msg("%s: %s", cases[i].body, err.what);
        if (err.code != ERR_NONE)
            continue;
        assert_text(got, cases[i].token);
        assert_int_equal(life_us, cases[i].life_s * US_PER_S);
    }
    struct outbound_response lost = {.outcome = OUTBOUND_UNKNOWN, .error = "timeout"};
    struct str got;
    int64_t life_us;
    assert_int_equal(gw->token_parse(&lost, &mem, &got, &life_us).code, ERR_IO);
}

/* ---- answers ---- */

#define TAKEN(code, ref)                                                                       \
    "{\"MerchantRequestID\":\"4c1e\",\"CheckoutRequestID\":\"" ref "\",\"ResponseCode\":" code \
    ",\"ResponseDescription\":\"Success. Request accepted for processing\","                   \
    "\"CustomerMessage\":\"Success. Request accepted for processing\"}"

static void push_answers(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {200, TAKEN("\"0\"", REF), GW_ACCEPTED, 0, false},
        {200, TAKEN("0", REF), GW_ACCEPTED, 0, false},
        {200, TAKEN("\"0\"", LONG128), GW_ACCEPTED, 0, false},
        {200, TAKEN("\"0\"", LONG128 "x"), GW_UNKNOWN, 0, false},
        {200, TAKEN("\"0\"", ""), GW_UNKNOWN, 0, false},
        {200, TAKEN("\"0\"", "a\\u0007b"), GW_UNKNOWN, 0, false},
        {200, TAKEN("\"0\"", "a\\u00e9b"), GW_UNKNOWN, 0, false},
        {200, TAKEN("\"0\"", "a b"), GW_UNKNOWN, 0, false},
        {200, TAKEN("\"1\"", REF), GW_REFUSED, FAILURE_INSUFFICIENT_FUNDS, false},
        {200, TAKEN("\"777\"", ""), GW_REFUSED, FAILURE_PROVIDER_ERROR, false},
        {200, TAKEN("null", REF), GW_UNKNOWN, 0, false},
        {200, TAKEN("\"\"", REF), GW_UNKNOWN, 0, false},
        {200, TAKEN("[0]", REF), GW_UNKNOWN, 0, false},
        {201, TAKEN("\"0\"", REF), GW_UNKNOWN, 0, false},
        {200, "{\"ResponseCode\":\"0\"}", GW_UNKNOWN, 0, false},
        {200, "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":17}", GW_UNKNOWN, 0, false},
        {200, "", GW_UNKNOWN, 0, false},
        {200, "{}", GW_UNKNOWN, 0, false},
        {200, "[]", GW_UNKNOWN, 0, false},
        {200, "{\"ResponseCode\":\"0\",\"Check", GW_UNKNOWN, 0, false},
        {200, "<html>OK</html>", GW_UNKNOWN, 0, false},
        {200, ENVELOPE("400.002.02", "Bad Request - Invalid Amount"), GW_UNKNOWN, 0, false},
        {302, "", GW_UNKNOWN, 0, false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid Amount"), GW_REFUSED,
         FAILURE_AMOUNT_INVALID, false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid PhoneNumber"), GW_REFUSED,
         FAILURE_DECLINED, false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid CallBackURL"), GW_REFUSED,
         FAILURE_CONFIGURATION, false},
        {400, ENVELOPE("400.002.05", "Invalid Request Payload"), GW_REFUSED, FAILURE_CONFIGURATION,
         false},
        {400, ENVELOPE("400.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED,
         FAILURE_CONFIGURATION, false},
        {400, ENVELOPE("400.003.02", "Bad Request"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {401, ENVELOPE("401.002.01", "Error Occurred - Invalid Access Token"), GW_TOKEN_REJECTED,
         FAILURE_CONFIGURATION, false},
        {401, ENVELOPE("401.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED,
         FAILURE_CONFIGURATION, false},
        {404, ENVELOPE("404.001.03", "Invalid Access Token"), GW_TOKEN_REJECTED,
         FAILURE_CONFIGURATION, false},
        {404, ENVELOPE("404.001.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION,
         false},
        {404, ENVELOPE("404.002.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION,
         false},
        {404, ENVELOPE("404.003.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION,
         false},
        {404, ENVELOPE("404.001.04", "Invalid Authentication Header"), GW_REFUSED,
         FAILURE_CONFIGURATION, false},
        {405, ENVELOPE("405.001", "Method not allowed"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {500, ENVELOPE("500.001.1001", "[MerchantValidate] - Merchant does not exist"), GW_REFUSED,
         FAILURE_CONFIGURATION, false},
        {500, ENVELOPE("500.001.1001", "Wrong credentials"), GW_REFUSED, FAILURE_CONFIGURATION,
         false},
        {500,
         ENVELOPE("500.001.1001",
                  "Unable to lock subscriber, a transaction is already in process for the current "
                  "subscriber"),
         GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
        {500, ENVELOPE("500.001.1001", "UNABLE TO LOCK SUBSCRIBER"), GW_REFUSED,
         FAILURE_PROVIDER_BUSY, true},
        {500, ENVELOPE("500.001.1001", "The transaction is being processed"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.001.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.001.1001", "words that nobody has seen"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.002.1001", "Service is currently under maintenance"), GW_REFUSED,
         FAILURE_PROVIDER_UNAVAILABLE, true},
        {500, ENVELOPE("500.002.1001", "Duplicate OriginatorConversationID."), GW_UNKNOWN, 0,
         false},
        {500, ENVELOPE("500.003.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.003.02", "Error Occurred: Spike Arrest Violation"), GW_REFUSED,
         FAILURE_PROVIDER_BUSY, true},
        {429, ENVELOPE("500.003.02", "System is busy. Please try again in few minutes."),
         GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
        {500, ENVELOPE("500.003.03", "Error Occurred: Quota Violation"), GW_REFUSED,
         FAILURE_PROVIDER_BUSY, true},
        {503, ENVELOPE("503.000.00", "spike arrest violation"), GW_REFUSED, FAILURE_PROVIDER_BUSY,
         true},
        {429, ENVELOPE("429.000.00", "slow down"), GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
        {400, ENVELOPE("400.999.99", "new words"), GW_REFUSED, FAILURE_PROVIDER_ERROR, false},
        {408, ENVELOPE("408.000.00", "timed out"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.999.99", "new words"), GW_UNKNOWN, 0, false},
        {502, ENVELOPE("502.000.00", "bad gateway"), GW_UNKNOWN, 0, false},
        {500, "{\"errorCode\":500,\"errorMessage\":\"a number\"}", GW_UNKNOWN, 0, false},
        {400, "{\"fault\":{\"faultstring\":\"x\"}}", GW_UNKNOWN, 0, false},
        {403, "<html>blocked</html>", GW_UNKNOWN, 0, false},
        {503, "<html>Service Unavailable</html>", GW_UNKNOWN, 0, false},
        {503, "", GW_UNKNOWN, 0, false},
    };
    struct gw_account a = account();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(cases[i].status, cases[i].body);
        struct gw_result r;
        gw->charge_parse(&a, &in, &mem, &r);
        if (r.verdict != cases[i].verdict || r.code != cases[i].code ||
            r.retry_later != cases[i].retry_later)
            fail_msg("%d %s: verdict %d, code %d", cases[i].status, cases[i].body, r.verdict,
                     r.code);
        assert_true((r.verdict == GW_ACCEPTED) == (r.provider_ref.n > 0));
        assert_true((r.verdict == GW_UNKNOWN) == (r.why != NULL));
    }
}

static void push_answer_fields(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_result r;
    struct outbound_response in = answer(200, TAKEN("\"0\"", REF));
    gw->charge_parse(&a, &in, &mem, &r);
    assert_text(r.provider_ref, REF);
    assert_text(r.message, "Success. Request accepted for processing");
    in = answer(500, ENVELOPE("500.003.02", "Spike\\nArrest"));
    gw->charge_parse(&a, &in, &mem, &r);
    assert_text(r.provider_code, "500.003.02");
    assert_text(r.message, "Spike Arrest");
    assert_int_equal(r.provider_ref.n, 0);
    /* 199 letters and a two-byte one: the cut falls before it. */
    struct str pad = arena_fmt(&mem, "%0199d", 0);
    struct str body = arena_fmt(
        &mem, "{\"errorCode\":\"500.003.02\",\"errorMessage\":\"%.*s\xc3\xa9xx\"}", STR_ARG(pad));
    in = answer(500, body.p);
    gw->charge_parse(&a, &in, &mem, &r);
    assert_int_equal(r.message.n, 199);
    assert_true(utf8_valid(r.message));
}

static void push_without_answer(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_result r;
    struct outbound_response in = {.outcome = OUTBOUND_NOT_SENT, .error = "refused"};
    gw->charge_parse(&a, &in, &mem, &r);
    assert_int_equal(r.verdict, GW_REFUSED);
    assert_int_equal(r.code, FAILURE_PROVIDER_UNAVAILABLE);
    assert_true(r.retry_later);
    /* An incomplete answer is not read, whatever it says. */
    in = (struct outbound_response){.outcome = OUTBOUND_UNKNOWN,
                                    .status = 200,
                                    .body = STR(TAKEN("\"0\"", REF)),
                                    .error = "timeout"};
    gw->charge_parse(&a, &in, &mem, &r);
    assert_int_equal(r.verdict, GW_UNKNOWN);
    assert_string_equal(r.why, "timeout");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(push_paybill),
        T(push_till),
        T(descriptions),
        T(push_refused),
        T(live_wants_https),
        T(query),
        T(token),
        T(push_answers),
        T(push_answer_fields),
        T(push_without_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
