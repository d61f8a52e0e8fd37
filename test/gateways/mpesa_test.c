/* M-Pesa: requests byte by byte and every answer that mpesa.md names, written from that document. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/times.h"
#include "gateways/gateway.h"

#define KES CURRENCY('K', 'E', 'S')
#define REF "ws_CO_14032025101503711223344"

static const struct gateway *gw;
static struct arena mem;

static int setup(void **state)
{
    (void)state;
    gw = gateway_find(STR("mpesa"));
    arena_init(&mem, 1024 * 1024);
    return gw == NULL;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&mem);
    return 0;
}

/* ---- requests ---- */

static void set(struct gw_account *a, const char *name, const char *value)
{
    for (size_t i = 0; i < gw->n_settings; i++) {
        if (strcmp(gw->settings[i].name, name) == 0) {
            struct str copy = arena_dup(&mem, str_c(value));
            a->settings[i] = (struct secret){(unsigned char *)(uintptr_t)copy.p, copy.n};
            return;
        }
    }
    fail_msg("no setting %s", name);
}

static struct gw_account account(void)
{
    struct gw_account a = {.gateway = gw,
                           .id = "acc",
                           .base_url = STR("https://sandbox.safaricom.co.ke"),
                           .timeout_us = 30 * US_PER_S};
    set(&a, "consumer_key", "key");
    set(&a, "consumer_secret", "s:ecret");
    set(&a, "shortcode", "522533");
    set(&a, "passkey", "test-passkey");
    return a;
}

static struct gw_charge charge(void)
{
    return (struct gw_charge){.amount = {125000, KES},
                              .phone = STR("+254711223344"),
                              .pay_code = STR("RL0K7Q2ZD913"),
                              .description = STR("Order 20931"),
                              .callback_url = STR("https://pay.example.co.ke/cb/9f2c71"),
                              .now_us = INT64_C(1741936502) * US_PER_S}; /* 2025-03-14 07:15:02 UTC */
}

static void assert_header(const struct outbound_request *r, const char *line)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcmp(r->headers[i], line) == 0)
            return;
    fail_msg("no header %s", line);
}

static void assert_text(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
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
    assert_true(r.no_reuse);
    assert_false(r.public_only);
    assert_int_equal(r.timeout_us, 30 * US_PER_S);
}

/* The store number asks, the till is paid; a leading zero survives; a year turns three hours early. */
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
    assert_text(r.body, "{\"BusinessShortCode\":\"012345\","
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
    assert_false(err_is(gw->query_build(&a, STR(REF), INT64_C(1741936502) * US_PER_S, STR("t"), &mem, &r)));
    assert_string_equal(r.url, "https://sandbox.safaricom.co.ke/mpesa/stkpushquery/v1/query");
    assert_text(r.body, "{\"BusinessShortCode\":522533,"
                        "\"Password\":\"NTIyNTMzdGVzdC1wYXNza2V5MjAyNTAzMTQxMDE1MDI=\","
                        "\"Timestamp\":\"20250314101502\",\"CheckoutRequestID\":\"" REF "\"}");
    assert_false(r.no_reuse);
    assert_int_equal(gw->query_build(&a, STR(""), 0, STR("t"), &mem, &r).code, ERR_INVALID);
    assert_int_equal(gw->query_build(&a, STR("a\"b\x01"), 0, STR("t"), &mem, &r).code, ERR_INVALID);
}

/* ---- token ---- */

static struct outbound_response answer(int status, const char *body)
{
    return (struct outbound_response){
        .outcome = OUTBOUND_ANSWERED, .status = status, .body = str_c(body), .retry_after_s = -1};
}

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
        {200, "<html>", ERR_IO, NULL, 0},
        {200, "", ERR_IO, NULL, 0},
        {400, "{\"requestId\":\"1\",\"errorCode\":\"400.008.01\",\"errorMessage\":\"Invalid\"}", ERR_CONFIG,
         NULL, 0},
        {400, "{\"errorCode\":\"400.008.02\",\"errorMessage\":\"Invalid grant type\"}", ERR_CONFIG, NULL, 0},
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

#define ENVELOPE(code, message)                                                                    \
    "{\"requestId\":\"7f3a-41c2\",\"errorCode\":\"" code "\",\"errorMessage\":\"" message "\"}"
#define TAKEN(code, ref)                                                                           \
    "{\"MerchantRequestID\":\"4c1e\",\"CheckoutRequestID\":\"" ref "\",\"ResponseCode\":" code     \
    ",\"ResponseDescription\":\"Success. Request accepted for processing\","                        \
    "\"CustomerMessage\":\"Success. Request accepted for processing\"}"
#define LONG16 "0123456789abcdef"
#define LONG128 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16

struct answer_case {
    int status;
    const char *body;
    enum gw_verdict verdict;
    enum failure_code code;
    bool retry_later;
};

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
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid Amount"), GW_REFUSED, FAILURE_AMOUNT_INVALID,
         false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid PhoneNumber"), GW_REFUSED, FAILURE_DECLINED,
         false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid CallBackURL"), GW_REFUSED,
         FAILURE_CONFIGURATION, false},
        {400, ENVELOPE("400.002.05", "Invalid Request Payload"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {400, ENVELOPE("400.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_CONFIGURATION,
         false},
        {400, ENVELOPE("400.003.02", "Bad Request"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {401, ENVELOPE("401.002.01", "Error Occurred - Invalid Access Token"), GW_TOKEN_REJECTED,
         FAILURE_CONFIGURATION, false},
        {401, ENVELOPE("401.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_CONFIGURATION,
         false},
        {404, ENVELOPE("404.001.03", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_CONFIGURATION,
         false},
        {404, ENVELOPE("404.001.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {404, ENVELOPE("404.002.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {404, ENVELOPE("404.003.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {404, ENVELOPE("404.001.04", "Invalid Authentication Header"), GW_REFUSED, FAILURE_CONFIGURATION,
         false},
        {405, ENVELOPE("405.001", "Method not allowed"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {500, ENVELOPE("500.001.1001", "[MerchantValidate] - Merchant does not exist"), GW_REFUSED,
         FAILURE_CONFIGURATION, false},
        {500, ENVELOPE("500.001.1001", "Wrong credentials"), GW_REFUSED, FAILURE_CONFIGURATION, false},
        {500,
         ENVELOPE("500.001.1001",
                  "Unable to lock subscriber, a transaction is already in process for the current "
                  "subscriber"),
         GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
        {500, ENVELOPE("500.001.1001", "UNABLE TO LOCK SUBSCRIBER"), GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
        {500, ENVELOPE("500.001.1001", "The transaction is being processed"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.001.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.001.1001", "words that nobody has seen"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.002.1001", "Service is currently under maintenance"), GW_REFUSED,
         FAILURE_PROVIDER_UNAVAILABLE, true},
        {500, ENVELOPE("500.002.1001", "Duplicate OriginatorConversationID."), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.003.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.003.02", "Error Occurred: Spike Arrest Violation"), GW_REFUSED,
         FAILURE_PROVIDER_BUSY, true},
        {429, ENVELOPE("500.003.02", "System is busy. Please try again in few minutes."), GW_REFUSED,
         FAILURE_PROVIDER_BUSY, true},
        {500, ENVELOPE("500.003.03", "Error Occurred: Quota Violation"), GW_REFUSED, FAILURE_PROVIDER_BUSY,
         true},
        {503, ENVELOPE("503.000.00", "spike arrest violation"), GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
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
            fail_msg("%d %s: verdict %d, code %d", cases[i].status, cases[i].body, r.verdict, r.code);
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
    in = (struct outbound_response){
        .outcome = OUTBOUND_UNKNOWN, .status = 200, .body = STR(TAKEN("\"0\"", REF)), .error = "timeout"};
    gw->charge_parse(&a, &in, &mem, &r);
    assert_int_equal(r.verdict, GW_UNKNOWN);
    assert_string_equal(r.why, "timeout");
}

/* ---- query ---- */

#define RESULT(code)                                                                               \
    "{\"ResponseCode\":\"0\",\"ResponseDescription\":\"The service request has been accepted "      \
    "successsfully\",\"MerchantRequestID\":\"4c1e\",\"CheckoutRequestID\":\"" REF                    \
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
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid CheckoutRequestID"), GW_UNKNOWN, 0, false},
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
            fail_msg("%d %s: verdict %d, code %d", cases[i].status, cases[i].body, r.verdict, r.code);
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

#define CALLBACK(code, metadata)                                                                   \
    "{\"Body\":{\"stkCallback\":{\"MerchantRequestID\":\"4c1e\",\"CheckoutRequestID\":\"" REF       \
    "\",\"ResultCode\":" code ",\"ResultDesc\":\"words\"" metadata "}}}"
#define ITEMS(items) ",\"CallbackMetadata\":{\"Item\":[" items "]}"
#define AMOUNT(v) "{\"Name\":\"Amount\",\"Value\":" v "}"
#define RECEIPT "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"TCE9K41XQ7\"}"
#define REST                                                                                       \
    "{\"Name\":\"Balance\"},{\"Name\":\"TransactionDate\",\"Value\":20250314101541},"                \
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
        {CALLBACK("0", ITEMS(AMOUNT("\"1250\"") "," RECEIPT
                             ",{\"Name\":\"PhoneNumber\",\"Value\":\"254711223344\"}")),
         125000, "+254711223344"},
        {CALLBACK("0", ITEMS(AMOUNT("1") "," RECEIPT
                             ",{\"Name\":\"PhoneNumber\",\"Value\":\"2547****3344\"}")),
         100, ""},
        {CALLBACK("0",
                  ITEMS(AMOUNT("250000.00") "," RECEIPT
                        ",{\"Name\":\"Balance\",\"Value\":\"{Amount={CurrencyCode=KES}}\"}"
                        ",{\"Name\":\"Unknown\",\"Value\":[1]},17,{\"Value\":3},{\"Name\":5}")),
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
        {"{\"PartyA\":254711223344,\"PartyB\":522533}", "{\"PartyA\":\"25471*****44\",\"PartyB\":522533}"},
        {"{\"MSISDN\":\"+254711223344\"}", "{\"MSISDN\":\"+2547******44\"}"},
        {"{\"a\":[{\"phone\":\"254711223344\"}]}", "{\"a\":[{\"phone\":\"25471*****44\"}]}"},
        {"{\"CallBackURL\":\"https://p.example/cb/9f2c71\"}",
         "{\"CallBackURL\":\"https://p.example/cb/***\"}"},
        {"{\"Item\":[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"PhoneNumber\",\"Value\":254711223344}]}",
         "{\"Item\":[{\"Name\":\"Amount\",\"Value\":5},"
         "{\"Name\":\"PhoneNumber\",\"Value\":\"25471*****44\"}]}"},
        {"{\"Item\":[{\"Value\":\"254711223344\",\"Name\":\"PhoneNumber\"}]}",
         "{\"Item\":[{\"Value\":\"25471*****44\",\"Name\":\"PhoneNumber\"}]}"},
        {"{ \"t\" : true , \"n\" : null , \"s\" : \"a\\\"b\" }", "{\"t\":true,\"n\":null,\"s\":\"a\\\"b\"}"},
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
        T(push_paybill),     T(push_till),          T(descriptions),
        T(push_refused),     T(live_wants_https),   T(query),
        T(token),            T(push_answers),       T(push_answer_fields),
        T(push_without_answer), T(query_failures),  T(query_answers),
        T(callback_success), T(callback_open),      T(callback_failures),
        T(callback_foreign), T(masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
