/* M-Pesa, money back, written from mpesa.md: requests byte by byte (but for the encrypted password,
 * which is opened with the test's key), acknowledgements, and the results that come later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/crypto/certificate.h"
#include "test/gateways/mpesa_case.h"

#define OUR_ID "01932f0a-7c11-7a2b-8000-00000000c0de"
#define AG "AG_20250314_2010a17c55e0d9f3b821"
#define ID "8821-7710432-1"
#define URL "https://pay.example.co.ke/cb/9f2c71"
#define PASSWORD "Safaricom#999&"

static struct test_certificate cert;

static struct gw_account operator_account(void)
{
    struct gw_account a = account();
    set(&a, "initiator_name", "testapi");
    set(&a, "initiator_password", PASSWORD);
    set(&a, "certificate", cert.pem);
    return a;
}

static struct gw_refund refund(enum refund_rail rail)
{
    return (struct gw_refund){.rail = rail,
                              .amount = {125000, KES},
                              .payment_receipt = STR("TCE9K41XQ7"),
                              .payment_ref = STR(REF),
                              .phone = STR("+254711223344"),
                              .our_id = STR(OUR_ID),
                              .remarks = STR("Order 20931: returned"),
                              .callback_url = STR(URL),
                              .now_us = INT64_C(1741936502) * US_PER_S};
}

/* ---- requests ---- */

/* The body with "@" in the place of the credential, which must hold the password. */
static struct str opened(struct str body)
{
    struct str mark = STR("\"SecurityCredential\":\"");
    size_t at = str_find_str(body, mark);
    assert_true(at != SIZE_MAX);
    size_t from = at + mark.n, to = str_find(body, '"', from);
    struct str text = str_n(body.p + from, to - from);
    assert_int_equal(text.n, 344); /* of a 2048 bit key: mpesa.md 1.3 */
    struct str sealed = base64_decode(&mem, text);
    assert_text(certificate_open(&cert, &mem, sealed), PASSWORD);
    return arena_fmt(&mem, "%.*s@%.*s", (int)from, body.p, STR_ARG(str_from(body, to)));
}

static void assert_sent(const struct outbound_request *r, const char *url, const char *body)
{
    assert_string_equal(r->method, "POST");
    assert_string_equal(r->url, url);
    assert_int_equal(r->n_headers, 3);
    assert_string_equal(r->headers[0], "Authorization: Bearer tok.en");
    assert_string_equal(r->headers[1], "Content-Type: application/json");
    assert_int_equal(r->timeout_us, 30 * US_PER_S);
    assert_text(opened(r->body), body);
}

static void reversal(void **state)
{
    (void)state;
    struct gw_account a = operator_account();
    struct gw_refund in = refund(REFUND_RAIL_REVERSAL);
    struct outbound_request r;
    in.phone = STR("");
    assert_false(err_is(gw_refund_build(&a, &in, STR("tok.en"), &mem, &r)));
    assert_sent(&r, "https://sandbox.safaricom.co.ke/mpesa/reversal/v1/request",
                "{\"Initiator\":\"testapi\",\"SecurityCredential\":\"@\","
                "\"CommandID\":\"TransactionReversal\",\"TransactionID\":\"TCE9K41XQ7\","
                "\"Amount\":1250,\"ReceiverParty\":522533,\"RecieverIdentifierType\":\"11\","
                "\"Remarks\":\"Order 20931 returned\",\"QueueTimeOutURL\":\"" URL ".timeout\","
                "\"ResultURL\":\"" URL "\"}");
    assert_true(r.once);
}

static void payout(void **state)
{
    (void)state;
    struct gw_account a = operator_account();
    struct gw_refund in = refund(REFUND_RAIL_PAYOUT);
    struct outbound_request r;
    in.payment_receipt = STR("");
    in.remarks = STR("?");
    assert_false(err_is(gw_refund_build(&a, &in, STR("tok.en"), &mem, &r)));
    assert_sent(&r, "https://sandbox.safaricom.co.ke/mpesa/b2c/v3/paymentrequest",
                "{\"OriginatorConversationID\":\"" OUR_ID "\",\"InitiatorName\":\"testapi\","
                "\"SecurityCredential\":\"@\",\"CommandID\":\"BusinessPayment\",\"Amount\":1250,"
                "\"PartyA\":522533,\"PartyB\":254711223344,\"Remarks\":\"Refund\","
                "\"QueueTimeOutURL\":\"" URL ".timeout\",\"ResultURL\":\"" URL "\"}");
    assert_true(r.once);
    /* its own short code, whose leading zero survives */
    set(&a, "b2c_shortcode", "012345");
    assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
    assert_true(str_find_str(r.body, STR("\"PartyA\":\"012345\",")) != SIZE_MAX);
}

static void query(void **state)
{
    (void)state;
    struct gw_account a = operator_account();
    struct gw_refund in = refund(REFUND_RAIL_PAYOUT);
    struct outbound_request r;
    set(&a, "b2c_shortcode", "600999");
    assert_false(err_is(gw_refund_query_build(&a, &in, STR(OUR_ID), STR("tok.en"), &mem, &r)));
    assert_sent(&r, "https://sandbox.safaricom.co.ke/mpesa/transactionstatus/v1/query",
                "{\"Initiator\":\"testapi\",\"SecurityCredential\":\"@\","
                "\"CommandID\":\"TransactionStatusQuery\","
                "\"OriginalConversationID\":\"" OUR_ID "\",\"PartyA\":600999,"
                "\"IdentifierType\":\"4\",\"Remarks\":\"Order 20931 returned\","
                "\"QueueTimeOutURL\":\"" URL ".timeout\",\"ResultURL\":\"" URL ".status\"}");
    assert_false(r.once);
    in.rail = REFUND_RAIL_REVERSAL;
    assert_false(err_is(gw_refund_query_build(&a, &in, STR(ID), STR("tok.en"), &mem, &r)));
    assert_sent(&r, "https://sandbox.safaricom.co.ke/mpesa/transactionstatus/v1/query",
                "{\"Initiator\":\"testapi\",\"SecurityCredential\":\"@\","
                "\"CommandID\":\"TransactionStatusQuery\","
                "\"OriginalConversationID\":\"" ID "\",\"PartyA\":522533,"
                "\"IdentifierType\":\"4\",\"Remarks\":\"Order 20931 returned\","
                "\"QueueTimeOutURL\":\"" URL ".timeout\",\"ResultURL\":\"" URL ".status\"}");
    /* the payment's receipt is never what is asked for: it says "Completed" of the payment */
    assert_true(str_find_str(r.body, STR("TCE9K41XQ7")) == SIZE_MAX);
}

static void query_refused(void **state)
{
    (void)state;
    static const struct {
        enum refund_rail rail;
        const char *ref, *our_id, *url, *setting;
        bool ok;
    } cases[] = {
        {REFUND_RAIL_REVERSAL, ID, OUR_ID, URL, NULL, true},
        {REFUND_RAIL_PAYOUT, ID, OUR_ID, URL, NULL, true},
        {REFUND_RAIL_REVERSAL, ID, "", URL, NULL, true},
        {REFUND_RAIL_REVERSAL, "", OUR_ID, URL, NULL, false},
        {REFUND_RAIL_PAYOUT, "", OUR_ID, URL, NULL, false},
        {REFUND_RAIL_PAYOUT, ID, "", URL, NULL, true},
        {REFUND_RAIL_REVERSAL, "a b", OUR_ID, URL, NULL, false},
        {REFUND_RAIL_REVERSAL, LONG128 "x", OUR_ID, URL, NULL, false},
        {REFUND_RAIL_MANUAL, ID, OUR_ID, URL, NULL, false},
        {REFUND_RAIL_NONE, ID, OUR_ID, URL, NULL, false},
        {REFUND_RAIL_PAYOUT, ID, OUR_ID, "https://x.example/mpesa", NULL, false},
        {REFUND_RAIL_PAYOUT, ID, OUR_ID, URL, "initiator_password", false},
        {REFUND_RAIL_PAYOUT, ID, OUR_ID, URL, "shortcode", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = operator_account();
        struct gw_refund in = refund(cases[i].rail);
        struct outbound_request r;
        in.our_id = str_c(cases[i].our_id);
        in.callback_url = str_c(cases[i].url);
        if (cases[i].setting != NULL)
            set(&a, cases[i].setting, "");
        struct err err = gw_refund_query_build(&a, &in, str_c(cases[i].ref), STR("t"), &mem, &r);
        if (err.code != (cases[i].ok ? ERR_NONE : ERR_INVALID))
            fail_msg("case %zu: %s", i, err.what != NULL ? err.what : "taken");
    }
}

static void remarks(void **state)
{
    (void)state;
#define TEN "0123456789"
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", "Refund"},
        {"x", "Refund"},
        {"ok", "ok"},
        {"\"}, {\"Amount\": 9", "Amount 9"},
        {"\xc3\xa9", "Refund"},
        {TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "x", TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = operator_account();
        struct gw_refund in = refund(REFUND_RAIL_REVERSAL);
        struct outbound_request r;
        in.remarks = str_c(cases[i].in);
        assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
        struct str part = arena_fmt(&mem, ",\"Remarks\":\"%s\",", cases[i].out);
        if (str_find_str(r.body, part) == SIZE_MAX)
            fail_msg("'%s' gave %.*s", cases[i].in, STR_ARG(r.body));
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        uint16_t currency;
        const char *phone, *receipt, *our_id, *url, *setting, *value;
        bool reversal, payout; /* whether it can be built */
    } cases[] = {
        {.reversal = true, .payout = true},
        {.minor = 1000, .reversal = true, .payout = true},
        {.minor = 900, .reversal = true}, /* a payout's least is ten shillings */
        {.minor = 100, .reversal = true},
        {.minor = 25000000, .reversal = true, .payout = true},
        {.minor = 25000100},
        {.minor = 125050},
        {.minor = 99},
        {.minor = -1000},
        {.currency = CURRENCY('U', 'G', 'X')},
        {.phone = "", .reversal = true},
        {.phone = "+255711223344", .reversal = true},
        {.phone = "254711223344", .reversal = true},
        {.receipt = "", .payout = true},
        {.receipt = "TCE9 K41", .payout = true},
        {.receipt = LONG128 "x", .payout = true},
        {.our_id = "", .reversal = true},
        {.our_id = "a b", .reversal = true},
        {.our_id = LONG128 "x", .reversal = true},
        {.url = "https://x.example/sql/1"},
        {.url = ""},
        {.setting = "shortcode", .value = "1234"},
        {.setting = "b2c_shortcode", .value = "12345678", .reversal = true},
        {.setting = "b2c_shortcode", .value = "12x45", .reversal = true},
        {.setting = "initiator_name", .value = ""},
        {.setting = "initiator_name", .value = "\x01"},
        {.setting = "initiator_name", .value = LONG128 "x"},
        {.setting = "initiator_password", .value = ""},
        {.setting = "initiator_password", .value = LONG128 LONG128},
        {.setting = "certificate", .value = ""},
        {.setting = "certificate", .value = "not one"},
        {.setting = "certificate", .value = "/no/such/file"},
        {.setting = "certificate", .value = "/dev/zero"},
        {.setting = "certificate", .value = "/"},
    };
    static const enum refund_rail rails[] = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t k = 0; k < COUNT_OF(rails); k++) {
            struct gw_account a = operator_account();
            struct gw_refund in = refund(rails[k]);
            struct outbound_request r;
            if (cases[i].minor != 0)
                in.amount.minor = cases[i].minor;
            if (cases[i].currency != 0)
                in.amount.currency = cases[i].currency;
            if (cases[i].phone != NULL)
                in.phone = str_c(cases[i].phone);
            if (cases[i].receipt != NULL)
                in.payment_receipt = str_c(cases[i].receipt);
            if (cases[i].our_id != NULL)
                in.our_id = str_c(cases[i].our_id);
            if (cases[i].url != NULL)
                in.callback_url = str_c(cases[i].url);
            if (cases[i].setting != NULL)
                set(&a, cases[i].setting, cases[i].value);
            bool ok = k == 0 ? cases[i].reversal : cases[i].payout;
            struct err err = gw_refund_build(&a, &in, STR("t"), &mem, &r);
            if (err.code != (ok ? ERR_NONE : ERR_INVALID))
                fail_msg("case %zu, rail %zu: %s", i, k, err.what != NULL ? err.what : "taken");
        }
    }
    struct gw_account a = operator_account();
    struct outbound_request r;
    struct gw_refund manual = refund(REFUND_RAIL_MANUAL);
    assert_int_equal(gw_refund_build(&a, &manual, STR("t"), &mem, &r).code, ERR_INVALID);
}

/* Payments go on without an operator; the rails are listed and each says why it cannot be used. */
static void without_operator(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct gw_refund in = refund(REFUND_RAIL_REVERSAL);
    struct outbound_request r;
    assert_int_equal(gw->n_refund_rails, 2);
    assert_int_equal(gw->refund_rails[0], REFUND_RAIL_REVERSAL);
    assert_int_equal(gw->refund_rails[1], REFUND_RAIL_PAYOUT);
    assert_false(err_is(gw->charge_build(&a, &c, STR("t"), &mem, &r)));
    for (int i = 0; i < gw->n_refund_rails; i++) {
        in.rail = gw->refund_rails[i];
        struct err err = gw_refund_build(&a, &in, STR("t"), &mem, &r);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.what, "the operator's credentials are not configured");
    }
    in.payment_receipt = STR("");
    a = operator_account();
    in.rail = REFUND_RAIL_REVERSAL;
    assert_string_equal(gw_refund_build(&a, &in, STR("t"), &mem, &r).what, "no receipt to reverse");
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void certificate_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/reli_mpesa_refund_XXXXXX", path[64];
    struct gw_account a = operator_account();
    struct gw_refund in = refund(REFUND_RAIL_REVERSAL);
    struct outbound_request r;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/certificate", dir);
    set(&a, "certificate", path);
    assert_int_equal(gw_refund_build(&a, &in, STR("t"), &mem, &r).code, ERR_INVALID);
    write_file(path, cert.pem, strlen(cert.pem));
    assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
    (void)opened(r.body);
    write_file(path, cert.der, cert.der_n);
    assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
    (void)opened(r.body);
    write_file(path, "", 0);
    assert_int_equal(gw_refund_build(&a, &in, STR("t"), &mem, &r).code, ERR_INVALID);
    remove(path);
    /* a pipe without a writer would hold up the loop */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(gw_refund_build(&a, &in, STR("t"), &mem, &r).code, ERR_INVALID);
    remove(path);
    rmdir(dir);
    /* base64 of DER as the setting itself */
    set(&a, "certificate", base64_text(&mem, str_n((const char *)cert.der, cert.der_n)).p);
    assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
    (void)opened(r.body);
}

/* ---- acknowledgements ---- */

#define ACK(code, id)                                                         \
    "{\"ConversationID\":\"" AG "\",\"OriginatorConversationID\":\"" id "\"," \
    "\"ResponseCode\":" code                                                  \
    ",\"ResponseDescription\":\"Accept the service request successfully.\"}"
#define REFUSED(code, failure)                                   \
    {                                                            \
        200, ACK("\"" code "\"", ID), GW_REFUSED, failure, false \
    }
#define OPEN(code)                                         \
    {                                                      \
        200, ACK("\"" code "\"", ID), GW_UNKNOWN, 0, false \
    }

static const struct answer_case acks[] = {
    {200, ACK("\"0\"", ID), GW_ACCEPTED, 0, false},
    {200, ACK("0", ID), GW_ACCEPTED, 0, false},
    {200, ACK("\"0\"", LONG128), GW_ACCEPTED, 0, false},
    {200, ACK("\"0\"", LONG128 "x"), GW_UNKNOWN, 0, false},
    {200, ACK("\"0\"", ""), GW_UNKNOWN, 0, false},
    {200, ACK("\"0\"", "a b"), GW_UNKNOWN, 0, false},
    {200, ACK("\"0\"", "a\\u0007b"), GW_UNKNOWN, 0, false},
    {200, ACK("null", ID), GW_UNKNOWN, 0, false},
    {200, ACK("\"\"", ID), GW_UNKNOWN, 0, false},
    {200, ACK("[0]", ID), GW_UNKNOWN, 0, false},
    {201, ACK("\"0\"", ID), GW_UNKNOWN, 0, false},
    {500, ACK("\"0\"", ID), GW_UNKNOWN, 0, false},
    {200, "{\"ResponseCode\":\"0\",\"ConversationID\":\"" AG "\"}", GW_UNKNOWN, 0, false},
    {200, "{\"ResponseCode\":\"0\",\"Conv", GW_UNKNOWN, 0, false},
    {200, "{}", GW_UNKNOWN, 0, false},
    {200, "[]", GW_UNKNOWN, 0, false},
    {200, "", GW_UNKNOWN, 0, false},
    {200, "<html>OK</html>", GW_UNKNOWN, 0, false},
    {200, ENVELOPE("400.002.02", "Bad Request - Invalid Amount"), GW_UNKNOWN, 0, false},
    REFUSED("1", FAILURE_INSUFFICIENT_FUNDS),
    REFUSED("21", FAILURE_CONFIGURATION),
    REFUSED("2001", FAILURE_CONFIGURATION),
    {200, ACK("\"26\"", ID), GW_REFUSED, FAILURE_PROVIDER_BUSY, true},
    OPEN("777"),
    OPEN("15"),
    OPEN("17"),
    OPEN("100000000"),
    OPEN("R000001"),
    /* submitted before: whatever the status and the code beside it */
    {500, ENVELOPE("500.002.1001", "Duplicate OriginatorConversationID."), GW_UNKNOWN, 0, false},
    {400, ENVELOPE("400.002.02", "Bad Request - DUPLICATE OriginatorConversationID"), GW_UNKNOWN, 0,
     false},
    {400, ENVELOPE("400.999.99", "duplicate request"), GW_UNKNOWN, 0, false},
    {429, ENVELOPE("500.003.02", "Duplicate"), GW_UNKNOWN, 0, false},
    {409, ENVELOPE("409.000.00", "Conflict"), GW_UNKNOWN, 0, false},
    {500, ENVELOPE("500.002.1001", "Service is currently under maintenance"), GW_REFUSED,
     FAILURE_PROVIDER_UNAVAILABLE, true},
    {400, ENVELOPE("400.002.02", "Bad Request - Invalid Amount"), GW_REFUSED,
     FAILURE_AMOUNT_INVALID, false},
    {400, ENVELOPE("400.002.02", "Bad Request - Invalid TransactionID"), GW_REFUSED,
     FAILURE_CONFIGURATION, false},
    {404, ENVELOPE("404.001.03", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_CONFIGURATION,
     false},
    {401, ENVELOPE("401.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_CONFIGURATION,
     false},
    {404, ENVELOPE("404.001.01", "Resource not found"), GW_REFUSED, FAILURE_CONFIGURATION, false},
    {500, ENVELOPE("500.001.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
    {500, ENVELOPE("500.003.1001", "Internal Server Error"), GW_UNKNOWN, 0, false},
    {500, ENVELOPE("500.003.02", "Spike Arrest Violation"), GW_REFUSED, FAILURE_PROVIDER_BUSY,
     true},
    {500, ENVELOPE("500.999.99", "new words"), GW_UNKNOWN, 0, false},
    {408, ENVELOPE("408.000.00", "timed out"), GW_UNKNOWN, 0, false},
    {403, "<html>blocked</html>", GW_UNKNOWN, 0, false},
    {503, "", GW_UNKNOWN, 0, false},
    {302, "", GW_UNKNOWN, 0, false},
};

static void acknowledgements(void **state)
{
    (void)state;
    struct gw_account a = operator_account();
    static const enum refund_rail rails[] = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT};
    for (size_t k = 0; k < COUNT_OF(rails); k++) {
        struct gw_refund in = refund(rails[k]);
        struct gw_result r;
        for (size_t i = 0; i < COUNT_OF(acks); i++) {
            struct outbound_response answered = answer(acks[i].status, acks[i].body);
            gw_refund_parse(&a, &in, &answered, &mem, &r);
            if (r.verdict != acks[i].verdict || r.code != acks[i].code ||
                r.retry_later != acks[i].retry_later)
                fail_msg("%d %s: verdict %d, code %d", acks[i].status, acks[i].body, r.verdict,
                         r.code);
            assert_true((r.verdict == GW_ACCEPTED) == (r.provider_ref.n > 0));
            assert_true((r.verdict == GW_UNKNOWN) == (r.why != NULL));
            assert_int_equal(r.receipt.n, 0);
        }
        struct outbound_response taken = answer(200, ACK("\"0\"", ID));
        gw_refund_parse(&a, &in, &taken, &mem, &r);
        assert_text(r.provider_ref, ID);
        assert_text(r.message, "Accept the service request successfully.");
        struct outbound_response unsent = {.outcome = OUTBOUND_NOT_SENT, .error = "refused"};
        gw_refund_parse(&a, &in, &unsent, &mem, &r);
        assert_int_equal(r.verdict, GW_REFUSED);
        assert_int_equal(r.code, FAILURE_PROVIDER_UNAVAILABLE);
        assert_true(r.retry_later);
        /* an incomplete answer is not read, whatever it says */
        struct outbound_response lost = {.outcome = OUTBOUND_UNKNOWN,
                                         .status = 200,
                                         .body = STR(ACK("\"0\"", ID)),
                                         .error = "timeout"};
        gw_refund_parse(&a, &in, &lost, &mem, &r);
        assert_int_equal(r.verdict, GW_UNKNOWN);
        assert_string_equal(r.why, "timeout");
        assert_int_equal(r.provider_ref.n, 0);
    }
}

static void query_acknowledgements(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {200, ACK("\"0\"", "of-the-query"), GW_PENDING, 0, false},
        {200, ACK("0", ""), GW_PENDING, 0, false},
        {200, ACK("\"1\"", ID), GW_UNKNOWN, 0, false},
        {200, ACK("\"2001\"", ID), GW_UNKNOWN, FAILURE_CONFIGURATION, false},
        {200, ACK("\"8006\"", ID), GW_UNKNOWN, FAILURE_CONFIGURATION, false},
        {500, ENVELOPE("500.001.1001", "Wrong credentials"), GW_UNKNOWN, FAILURE_CONFIGURATION,
         false},
        {200, ACK("\"R000002\"", ID), GW_UNKNOWN, 0, false},
        {200, ACK("null", ID), GW_UNKNOWN, 0, false},
        {200, "{}", GW_UNKNOWN, 0, false},
        {200, "", GW_UNKNOWN, 0, false},
        {400, ENVELOPE("400.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED, 0, false},
        {404, ENVELOPE("404.001.01", "Resource not found"), GW_UNKNOWN, 0, false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid TransactionID"), GW_UNKNOWN, 0, false},
        {500, ENVELOPE("500.003.02", "Spike Arrest Violation"), GW_UNKNOWN, 0, true},
        {500, ACK("\"0\"", ID), GW_UNKNOWN, 0, false},
        {502, "<html>", GW_UNKNOWN, 0, false},
    };
    struct gw_account a = operator_account();
    struct gw_result r;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(cases[i].status, cases[i].body);
        gw->refund_query_parse(&a, &in, &mem, &r);
        if (r.verdict != cases[i].verdict || r.code != cases[i].code ||
            r.retry_later != cases[i].retry_later)
            fail_msg("%d %s: verdict %d, code %d", cases[i].status, cases[i].body, r.verdict,
                     r.code);
        /* the ids in it are the question's */
        assert_int_equal(r.provider_ref.n, 0);
    }
    static const enum outbound_outcome lost[] = {OUTBOUND_NOT_SENT, OUTBOUND_UNKNOWN};
    for (size_t i = 0; i < COUNT_OF(lost); i++) {
        struct outbound_response in = {.outcome = lost[i], .error = "gone"};
        gw->refund_query_parse(&a, &in, &mem, &r);
        assert_int_equal(r.verdict, GW_UNKNOWN);
    }
}

/* ---- results ---- */

#define RESULT_OF(code, desc, rest)                                                 \
    "{\"Result\":{\"ResultType\":0,\"ResultCode\":" code ",\"ResultDesc\":\"" desc  \
    "\",\"OriginatorConversationID\":\"" ID "\",\"ConversationID\":\"" AG "\"" rest \
    ",\"ReferenceData\":{\"ReferenceItem\":{\"Key\":\"QueueTimeoutURL\",\"Value\":" \
    "\"https://internalapi.safaricom.co.ke/mpesa/b2cresults/v1/submit\"}}}}"
#define RESULT(code, rest) RESULT_OF(code, "words", rest)
#define TX(id) ",\"TransactionID\":\"" id "\""
#define MOVED TX("TCE5P90LMN")
#define LIST(items) ",\"ResultParameters\":{\"ResultParameter\":[" items "]}"
#define SINGLE(item) ",\"ResultParameters\":{\"ResultParameter\":" item "}"
#define P(key, value) "{\"Key\":\"" key "\",\"Value\":" value "}"
#define PAYOUT_ITEMS(amount)                                                                       \
    P("TransactionAmount", amount)                                                                 \
    "," P("TransactionReceipt", "\"TCE5P90LMN\"") "," P(                                           \
        "ReceiverPartyPublicName",                                                                 \
        "\"25471122334"                                                                            \
        "4 - WANJIKU "                                                                             \
        "N\"") "," P("TransactionCompletedDateTime",                                               \
                     "\"14.03.2025 12:01:33\"") "," P("B2CUtilityAccountAvailableFunds",           \
                                                      "10116.00") "," P("B2CChargesPaidAccountAva" \
                                                                        "ilableFunds",             \
                                                                        "-1540.00") "," P("B2CRec" \
                                                                                          "ipient" \
                                                                                          "IsRegi" \
                                                                                          "s"      \
                                                                                          "teredC" \
                                                                                          "ustome" \
                                                                                          "r",     \
                                                                                          "\"Y\"")
#define REVERSAL_ITEMS(amount)                                                                     \
    P("DebitAccountBalance", "\"Utility Account|KES|51661.00|51661.00|0.00|0.00\"")                \
    "," P("Amount", amount) "," P("TransCompletedTime", "20250314164825") "," P(                   \
        "OriginalTransactionID",                                                                   \
        "\"TCE9K41XQ7\"") "," P("Charge",                                                          \
                                "0.00") "," P("CreditPartyPublicName",                             \
                                              "\"254711223344 - WANJIKU N\"") "," P("DebitPartyPu" \
                                                                                    "blicName",    \
                                                                                    "\"522533 - "  \
                                                                                    "A SHOP\"")

static struct err callback_at(const char *kind, const char *body, struct gw_result *r)
{
    struct gw_callback in = {
        .body = str_c(body), .content_type = STR("application/json"), .kind = str_c(kind)};
    return gw->refund_callback_parse(&in, &mem, r);
}

static struct err callback(const char *body, struct gw_result *r)
{
    return callback_at("", body, r);
}

static void success(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t minor;
    } cases[] = {
        {RESULT("0", MOVED LIST(PAYOUT_ITEMS("1250"))), 125000},
        {RESULT("\"0\"", MOVED LIST(PAYOUT_ITEMS("1250.00"))), 125000},
        {RESULT("0", MOVED LIST(PAYOUT_ITEMS("\"1250.0\""))), 125000},
        {RESULT("0", MOVED LIST(REVERSAL_ITEMS("1250.0"))), 125000},
        {RESULT("0", MOVED LIST(REVERSAL_ITEMS("\"1250\""))), 125000},
        {RESULT("0", MOVED SINGLE(P("Amount", "10"))), 1000},
        {RESULT("0", MOVED SINGLE(P("BOCompletedTime", "20250314164825"))), 0},
        {RESULT("0", MOVED SINGLE("{\"Key\":\"TransactionAmount\"}")), 0},
        {RESULT("0", MOVED SINGLE(P("Amount", "null"))), 0},
        {RESULT("0", MOVED LIST("17,{},{\"Key\":5,\"Value\":1},[]")), 0},
        /* keys repeat, and an entry without a value says nothing */
        {RESULT("0", MOVED LIST("{\"Key\":\"Amount\"}," P("Charge", "1") "," P("Charge", "2") "," P(
                         "Amount", "1250"))),
         125000},
        {RESULT("0", MOVED), 0},
        {RESULT("0", MOVED ",\"ResultParameters\":{}"), 0},
        {RESULT("0", MOVED ",\"ResultParameters\":null"), 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_result r;
        assert_false(err_is(callback(cases[i].body, &r)));
        if (r.verdict != GW_SUCCEEDED)
            fail_msg("%s: %s", cases[i].body, r.why);
        assert_text(r.receipt, "TCE5P90LMN");
        assert_text(r.provider_ref, ID);
        assert_text(r.provider_code, "0");
        assert_text(r.message, "words");
        assert_int_equal(r.amount.minor, cases[i].minor);
        assert_int_equal(r.amount.currency, cases[i].minor > 0 ? KES : 0);
        assert_null(r.why);
    }
}

static const struct {
    const char *code;
    enum failure_code failure; /* FAILURE_NONE: leaves it open */
} codes[] = {
    {"1", FAILURE_INSUFFICIENT_FUNDS},
    {"2", FAILURE_LIMIT_EXCEEDED},
    {"3", FAILURE_LIMIT_EXCEEDED},
    {"4", FAILURE_LIMIT_EXCEEDED},
    {"8", FAILURE_LIMIT_EXCEEDED},
    {"11", FAILURE_CONFIGURATION},
    {"2006", FAILURE_CONFIGURATION},
    {"15", FAILURE_NONE},
    {"17", FAILURE_NONE},
    {"18", FAILURE_CONFIGURATION},
    {"19", FAILURE_NONE},
    {"20", FAILURE_CONFIGURATION},
    {"21", FAILURE_CONFIGURATION},
    {"22", FAILURE_CONFIGURATION},
    {"24", FAILURE_CONFIGURATION},
    {"25", FAILURE_CONFIGURATION},
    {"26", FAILURE_PROVIDER_BUSY},
    {"29", FAILURE_CONFIGURATION},
    {"2001", FAILURE_CONFIGURATION},
    {"2028", FAILURE_CONFIGURATION},
    {"2040", FAILURE_DECLINED},
    {"8006", FAILURE_CONFIGURATION},
    {"SFC_IC0003", FAILURE_DECLINED},
    {"R000001", FAILURE_NONE},
    {"R000002", FAILURE_DECLINED},
    {"100000000", FAILURE_NONE},
    {"100000001", FAILURE_NONE},
    {"100000002", FAILURE_PROVIDER_BUSY},
    {"100000004", FAILURE_NONE},
    {"100000005", FAILURE_CONFIGURATION},
    {"100000007", FAILURE_NONE},
    {"100000009", FAILURE_NONE},
    {"100000010", FAILURE_CONFIGURATION},
    {"100000011", FAILURE_PROVIDER_BUSY},
    {"7777", FAILURE_NONE},
    {"00", FAILURE_NONE},
    {"-1", FAILURE_NONE},
    {"1037", FAILURE_NONE},
    {"C2B00012", FAILURE_NONE},
};

/* Numbers and strings, with and without parameters; TransactionID is no proof. */
static void failures(void **state)
{
    (void)state;
    static const char *const rests[] = {"", TX("SKE0000000"),
                                        TX("TCE5P90LMN") SINGLE(P("BOCompletedTime", "2025"))};
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        bool number = ascii_is_digit(codes[i].code[0]) && codes[i].code[0] != '0';
        for (int quoted = number ? 0 : 1; quoted < 2; quoted++) {
            for (size_t k = 0; k < COUNT_OF(rests); k++) {
                const char *q = quoted == 1 ? "\"" : "";
                struct str body = arena_fmt(
                    &mem,
                    "{\"Result\":{\"ResultType\":0,\"ResultCode\":%s%s%s,\"ResultDesc\":\"w\","
                    "\"OriginatorConversationID\":\"" ID "\"%s}}",
                    q, codes[i].code, q, rests[k]);
                struct gw_result r;
                bool open = codes[i].failure == FAILURE_NONE;
                assert_false(err_is(callback(body.p, &r)));
                if (r.verdict != (open ? GW_UNKNOWN : GW_FAILED) || r.code != codes[i].failure)
                    fail_msg("%s: verdict %d, code %d", body.p, r.verdict, r.code);
                assert_int_equal(r.sure, !open);
                assert_int_equal(r.retry_later, codes[i].failure == FAILURE_PROVIDER_BUSY);
                assert_text(r.provider_code, codes[i].code);
                assert_text(r.provider_ref, ID);
                assert_int_equal(r.receipt.n, 0);
                assert_int_equal(r.amount.currency, 0);
            }
        }
    }
}

static void open_results(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        RESULT("null", MOVED),
        RESULT("\"\"", MOVED),
        RESULT("[0]", MOVED),
        RESULT("0", ""),
        RESULT("0", TX("")),
        RESULT("0", TX("SKE0000000")),
        RESULT("0", TX("TCE5 P90")),
        RESULT("0", ",\"TransactionID\":5"),
        RESULT("0", MOVED SINGLE(P("Amount", "\"12,50\""))),
        RESULT("0", MOVED SINGLE(P("Amount", "-5"))),
        RESULT("0", MOVED SINGLE(P("Amount", "0"))),
        RESULT("0", MOVED SINGLE(P("Amount", "12.505"))),
        RESULT("0", MOVED SINGLE(P("Amount", "[10]"))),
        RESULT("0", MOVED LIST(P("Amount", "10") "," P("Amount", "10"))),
        RESULT("0", MOVED LIST(P("Amount", "10") "," P("TransactionAmount", "20"))),
        /* not processed in the queue's time: not "not processed" */
        RESULT_OF("1", "The service request expired in the queue.", ""),
        RESULT_OF("26", "Queue timeout", ""),
        RESULT_OF("1", "The request TIMED OUT", TX("SKE0000000")),
        RESULT_OF("2001", "request time out", ""),
        RESULT_OF("\"R000002\"", "Timeout", ""),
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct gw_result r;
        assert_false(err_is(callback(bodies[i], &r)));
        if (r.verdict != GW_UNKNOWN)
            fail_msg("%s: %d", bodies[i], r.verdict);
        assert_non_null(r.why);
        assert_int_equal(r.code, FAILURE_NONE);
        assert_int_equal(r.receipt.n, 0);
        assert_int_equal(r.amount.currency, 0);
    }
    /* Without the id nothing is certain. */
    static const char *const nameless[] = {
        "{\"Result\":{\"ResultCode\":0,\"ConversationID\":\"" AG "\"" MOVED "}}",
        "{\"Result\":{\"ResultCode\":1,\"ConversationID\":\"" AG "\"}}",
        "{\"Result\":{\"ResultCode\":1,\"ConversationID\":\"" AG "\","
        "\"OriginatorConversationID\":\"\"}}",
    };
    for (size_t i = 0; i < COUNT_OF(nameless); i++) {
        struct gw_result r;
        assert_false(err_is(callback(nameless[i], &r)));
        assert_int_equal(r.verdict, GW_UNKNOWN);
        assert_int_equal(r.provider_ref.n, 0);
    }
}

/* Whatever comes to the QueueTimeOutURL, or to one that nobody gave out: the request may still be
 * carried out. */
static void queue_timeouts(void **state)
{
    (void)state;
    static const char *const kinds[] = {"timeout", "other"};
    static const char *const results[] = {"0", "1", "26", "2001", "\"R000002\"", "null"};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        for (size_t i = 0; i < COUNT_OF(results); i++) {
            struct gw_result r;
            struct str body =
                arena_fmt(&mem,
                          "{\"Result\":{\"ResultType\":1,\"ResultCode\":%s,\"ResultDesc\":\"w\","
                          "\"OriginatorConversationID\":\"" ID "\"" MOVED "}}",
                          results[i]);
            assert_false(err_is(callback_at(kinds[k], body.p, &r)));
            assert_int_equal(r.verdict, GW_UNKNOWN);
            assert_int_equal(r.code, FAILURE_NONE);
            assert_int_equal(r.receipt.n, 0);
        }
    }
}

/* ---- results of status queries ---- */

#define STATUS_OF(code, items)                                                              \
    "{\"Result\":{\"ResultType\":0,\"ResultCode\":" code ",\"ResultDesc\":\"words\","       \
    "\"OriginatorConversationID\":\"of-the-query\",\"ConversationID\":\"AG_of_the_query\"," \
    "\"TransactionID\":\"TCE0000000\"" LIST(items) "}}"
#define STATUS_REST                                                                                \
    P("DebitPartyName", "\"522533 - A SHOP\"")                                                     \
    "," P("DebitPartyName", "\"254711223344 - WANJIKU N\"") "," P(                                 \
        "ConversationID",                                                                          \
        "\"" AG                                                                                    \
        "\"") "," P("InitiatedTime",                                                               \
                    "20250314164825") "," P("DebitPartyCharges",                                   \
                                            "\"Fee For B2C Payment|KES|22.40\"") ",{\"Key\":"      \
                                                                                 "\"TransactionRe" \
                                                                                 "ason\"}"
#define STATUS_IS(word) P("TransactionStatus", "\"" word "\"")
#define STATUS_REF P("OriginatorConversationID", "\"" ID "\"")
#define STATUS_RECEIPT P("ReceiptNo", "\"TCE5P90LMN\"")

static void status_success(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t minor;
    } cases[] = {
        {STATUS_OF("0", STATUS_REST "," STATUS_IS("Completed") "," P(
                            "Amount", "\"1250\"") "," STATUS_REF "," STATUS_RECEIPT),
         125000},
        {STATUS_OF("\"0\"", STATUS_RECEIPT "," P("Amount", "1250.00") "," STATUS_REF
                                                                      "," STATUS_IS("COMPLETED")),
         125000},
        {STATUS_OF("0", STATUS_IS("Completed") "," STATUS_REF "," STATUS_RECEIPT), 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_result r;
        assert_false(err_is(callback_at("status", cases[i].body, &r)));
        if (r.verdict != GW_SUCCEEDED)
            fail_msg("%s: %s", cases[i].body, r.why);
        /* the refund's, not the question's */
        assert_text(r.provider_ref, ID);
        assert_text(r.receipt, "TCE5P90LMN");
        assert_int_equal(r.amount.minor, cases[i].minor);
    }
}

static void status_open(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        STATUS_OF("1", STATUS_IS("Completed") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("null", STATUS_IS("Completed") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", STATUS_IS("Pending") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", STATUS_IS("Failed") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", STATUS_IS("Cancelled") "," STATUS_REF),
        STATUS_OF("0", STATUS_IS("Not Completed") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", STATUS_IS("") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", "{\"Key\":\"TransactionStatus\"}," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", P("TransactionStatus", "0") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0",
                  STATUS_IS("Completed") "," STATUS_IS("Failed") "," STATUS_REF "," STATUS_RECEIPT),
        STATUS_OF("0", STATUS_IS("Completed") "," STATUS_RECEIPT),
        STATUS_OF("0", STATUS_IS("Completed") "," STATUS_REF),
        STATUS_OF("0", STATUS_IS("Completed") "," STATUS_REF "," P("ReceiptNo", "\"T0000000\"")),
        STATUS_OF("0", STATUS_IS("Completed") "," STATUS_REF "," STATUS_RECEIPT
                                              "," P("Amount", "\"x\"")),
        STATUS_OF("0", STATUS_IS("Completed") "," STATUS_REF "," STATUS_REF "," STATUS_RECEIPT),
        /* The status is missing: what remains must not be read as a payout's success. */
        STATUS_OF("0", STATUS_RECEIPT "," P("Amount", "10") "," STATUS_REF),
        STATUS_OF("0", P("FinalisedTime", "20250314164825") "," P("Amount", "10")),
        STATUS_OF("0", P("Amount", "10")),
        STATUS_OF("0", ""),
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct gw_result r;
        assert_false(err_is(callback_at("status", bodies[i], &r)));
        if (r.verdict != GW_UNKNOWN)
            fail_msg("%s: %d", bodies[i], r.verdict);
        assert_non_null(r.why);
        assert_int_equal(r.code, FAILURE_NONE);
        assert_int_equal(r.receipt.n, 0);
        assert_int_equal(r.amount.currency, 0);
    }
}

/* A question that failed has the shape of a refund that failed: the URL tells them apart, and its
 * own id if it comes to the wrong one. */
static void status_failed(void **state)
{
    (void)state;
    static const char body[] = "{\"Result\":{\"ResultType\":0,\"ResultCode\":2001,"
                               "\"ResultDesc\":\"The initiator information is invalid.\","
                               "\"OriginatorConversationID\":\"of-the-query\","
                               "\"ConversationID\":\"AG_of_the_query\","
                               "\"TransactionID\":\"TCE0000000\"}}";
    struct gw_result r;
    assert_false(err_is(callback_at("status", body, &r)));
    assert_int_equal(r.verdict, GW_UNKNOWN);
    assert_int_equal(r.code, FAILURE_CONFIGURATION); /* its operator was refused */
    assert_false(err_is(callback(body, &r)));
    assert_int_equal(r.verdict, GW_FAILED);
    assert_text(r.provider_ref, "of-the-query");
}

static void foreign(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"Result\":{}}",
        "{\"Result\":[]}",
        "{\"Result\":5}",
        "{\"Result\":{\"ResultCode\":0,\"ConversationID\":\"\"}}",
        "{\"Result\":{\"ResultCode\":0,\"ConversationID\":5}}",
        "{\"Result\":{\"ResultCode\":0,\"ConversationID\":\"" LONG128 "x\"}}",
        "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"" REF "\",\"ResultCode\":0}}}",
        RESULT("0", MOVED) "x",
    };
    struct gw_result r;
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        if (callback(bodies[i], &r).code != ERR_PARSE)
            fail_msg("taken: %s", bodies[i]);
    /* nor is a refund's result a payment's */
    struct gw_callback in = {.body = STR(RESULT("0", MOVED))};
    assert_int_equal(gw->callback_parse(&in, &mem, &r).code, ERR_PARSE);
}

/* ---- masking ---- */

static void assert_masked(struct str in, const char *out)
{
    struct buf b;
    buf_init(&b, 8192);
    gw->redact(in, &b);
    assert_text(buf_view(&b), out);
    buf_free(&b);
}

static void masks(void **state)
{
    (void)state;
    struct gw_account a = operator_account();
    struct gw_refund in = refund(REFUND_RAIL_PAYOUT);
    struct outbound_request r;
    assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
    assert_masked(r.body, "{\"OriginatorConversationID\":\"" OUR_ID "\",\"InitiatorName\":\"***\","
                          "\"SecurityCredential\":\"***\",\"CommandID\":\"BusinessPayment\","
                          "\"Amount\":1250,\"PartyA\":522533,\"PartyB\":\"25471*****44\","
                          "\"Remarks\":\"Order 20931 returned\","
                          "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/***\","
                          "\"ResultURL\":\"https://pay.example.co.ke/cb/***\"}");
    in.rail = REFUND_RAIL_REVERSAL;
    assert_false(err_is(gw_refund_build(&a, &in, STR("t"), &mem, &r)));
    assert_masked(r.body,
                  "{\"Initiator\":\"***\",\"SecurityCredential\":\"***\","
                  "\"CommandID\":\"TransactionReversal\",\"TransactionID\":\"TCE9K41XQ7\","
                  "\"Amount\":1250,\"ReceiverParty\":522533,\"RecieverIdentifierType\":\"11\","
                  "\"Remarks\":\"Order 20931 returned\","
                  "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/***\","
                  "\"ResultURL\":\"https://pay.example.co.ke/cb/***\"}");
    assert_masked(STR("{\"R\":[{\"Key\":\"ReceiverPartyPublicName\",\"Value\":"
                      "\"254711223344 - WANJIKU N\"},"
                      "{\"Value\":\"WANJIKU\",\"Key\":\"DebitPartyName\"},"
                      "{\"Key\":\"CreditPartyName\",\"Value\":{\"a\":1}},"
                      "{\"Key\":\"CreditPartyPublicName\",\"Value\":\"W\"},"
                      "{\"Key\":\"DebitPartyPublicName\",\"Value\":\"W\"},"
                      "{\"Key\":\"Amount\",\"Value\":5},"
                      "{\"Key\":\"PhoneNumber\",\"Value\":254711223344}]}"),
                  "{\"R\":[{\"Key\":\"ReceiverPartyPublicName\",\"Value\":\"***\"},"
                  "{\"Value\":\"***\",\"Key\":\"DebitPartyName\"},"
                  "{\"Key\":\"CreditPartyName\",\"Value\":\"***\"},"
                  "{\"Key\":\"CreditPartyPublicName\",\"Value\":\"***\"},"
                  "{\"Key\":\"DebitPartyPublicName\",\"Value\":\"***\"},"
                  "{\"Key\":\"Amount\",\"Value\":5},"
                  "{\"Key\":\"PhoneNumber\",\"Value\":\"25471*****44\"}]}");
}

static int group_setup(void **state)
{
    (void)state;
    certificate_new(&cert);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    certificate_free(&cert);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(reversal),
        T(payout),
        T(query),
        T(query_refused),
        T(remarks),
        T(refused),
        T(without_operator),
        T(certificate_file),
        T(acknowledgements),
        T(query_acknowledgements),
        T(success),
        T(failures),
        T(open_results),
        T(queue_timeouts),
        T(status_success),
        T(status_open),
        T(status_failed),
        T(foreign),
        T(masks),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
