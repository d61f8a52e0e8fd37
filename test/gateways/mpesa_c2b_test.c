/* M-Pesa, money that customers send unasked, written from mpesa.md, section 3: the registration and
 * what is said to it, and the body that validation and confirmation share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/codec/json.h"
#include "test/gateways/mpesa_case.h"

#define PAID "https://pay.example.co.ke/cb/9f2c71.confirmation"
#define CHECK "https://pay.example.co.ke/cb/9f2c71.validation"

static struct gw_register places(void)
{
    return (struct gw_register){.paid_url = STR(PAID), .check_url = STR(CHECK)};
}

/* ---- registration ---- */

static void registration_is_byte_by_byte(void **state)
{
    (void)state;
    static const struct {
        const char *version, *path;
    } versions[] = {{"", "v2"}, {"1", "v1"}, {"2", "v2"}};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct gw_account a = account();
        struct gw_register in = places();
        struct outbound_request out;
        char url[128];
        set(&a, "c2b_version", versions[i].version);
        assert_int_equal(gw->register_build(&a, &in, STR("tok"), &mem, &out).code, ERR_NONE);
        (void)snprintf(url, sizeof url, "https://sandbox.safaricom.co.ke/mpesa/c2b/%s/registerurl",
                       versions[i].path);
        assert_string_equal(out.url, url);
        assert_string_equal(out.method, "POST");
        assert_string_equal(out.headers[0], "Authorization: Bearer tok");
        assert_text(out.body, "{\"ShortCode\":522533,\"ResponseType\":\"Completed\","
                              "\"ConfirmationURL\":\"" PAID "\",\"ValidationURL\":\"" CHECK "\"}");
    }
}

static void registration_that_cannot_be_built(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } wrong[] = {{"shortcode", "12"}, {"shortcode", "12x45"}, {"c2b_version", "3"}};
    struct outbound_request out;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct gw_account a = account();
        struct gw_register in = places();
        set(&a, wrong[i].name, wrong[i].value);
        assert_int_equal(gw->register_build(&a, &in, STR("tok"), &mem, &out).code, ERR_INVALID);
    }
    static const char *const urls[] = {"", "https://x.example/mpesa/1", "https://x.example/SQL",
                                       "ftp://x.example/a", "https://x.example/a\r\nb"};
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct gw_account a = account();
        struct gw_register in = places();
        in.paid_url = str_c(urls[i]);
        assert_int_equal(gw->register_build(&a, &in, STR("tok"), &mem, &out).code, ERR_INVALID);
        in = places();
        in.check_url = str_c(urls[i]);
        assert_int_equal(gw->register_build(&a, &in, STR("tok"), &mem, &out).code, ERR_INVALID);
    }
}

/* The misspelled member is the real one. */
#define TAKEN                                                                 \
    "{\"OriginatorCoversationID\":\"8123-4451209-1\",\"ResponseCode\":\"0\"," \
    "\"ResponseDescription\":\"Success\"}"

static const struct answer_case answers[] = {
    {200, TAKEN, GW_ACCEPTED, FAILURE_NONE, false},
    {200, "{\"ResponseCode\":0,\"ResponseDescription\":\"success\"}", GW_ACCEPTED, FAILURE_NONE,
     false},
    {200, "{\"ResponseCode\":\"1\"}", GW_REFUSED, FAILURE_PROVIDER_ERROR, false},
    {200, "{}", GW_UNKNOWN, FAILURE_NONE, false},
    {200, "", GW_UNKNOWN, FAILURE_NONE, false},
    {200, "<html>", GW_UNKNOWN, FAILURE_NONE, false},
    {503, "<html>", GW_UNKNOWN, FAILURE_NONE, false},
    {500, ENVELOPE("500.003.1001", "Urls are already registered."), GW_FAILED, FAILURE_DUPLICATE,
     false},
    {500, ENVELOPE("500.003.1001", "Duplicate notification info"), GW_FAILED, FAILURE_DUPLICATE,
     false},
    {500, ENVELOPE("500.003.1001", "Internal Server Error"), GW_UNKNOWN, FAILURE_NONE, false},
    {404, ENVELOPE("404.001.03", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_NONE, false},
    {400, ENVELOPE("400.003.01", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_NONE, false},
};

static void answers_to_a_registration(void **state)
{
    (void)state;
    struct gw_account a = account();
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct answer_case *c = &answers[i];
        struct outbound_response in = answer(c->status, c->body);
        struct gw_result r;
        gw->register_parse(&a, &in, &mem, &r);
        if (r.verdict != c->verdict)
            fail_msg("%d %s: verdict %d", c->status, c->body, (int)r.verdict);
        if (c->verdict == GW_FAILED || c->verdict == GW_REFUSED)
            assert_int_equal(r.code, c->code);
    }
    struct outbound_response lost = {.outcome = OUTBOUND_UNKNOWN, .error = "cut"};
    struct outbound_response unsent = {.outcome = OUTBOUND_NOT_SENT, .error = "refused"};
    struct gw_result r;
    gw->register_parse(&a, &lost, &mem, &r);
    assert_int_equal(r.verdict, GW_UNKNOWN);
    gw->register_parse(&a, &unsent, &mem, &r);
    assert_int_equal(r.verdict, GW_REFUSED);
    assert_true(r.retry_later);
}

static void a_cut_answer_registers_nothing(void **state)
{
    (void)state;
    struct gw_account a = account();
    for (size_t n = 0; n < sizeof TAKEN - 1; n++) {
        struct outbound_response in = answer(200, TAKEN);
        struct gw_result r;
        in.body.n = n;
        gw->register_parse(&a, &in, &mem, &r);
        assert_int_equal(r.verdict, GW_UNKNOWN);
    }
}

/* ---- the news ---- */

#define NEWS(id, amount, code, reference, msisdn)                                            \
    "{\"TransactionType\":\"Pay Bill\",\"TransID\":" id ",\"TransTime\":\"20250314113009\"," \
    "\"TransAmount\":" amount ",\"BusinessShortCode\":" code ",\"BillRefNumber\":" reference \
    ",\"InvoiceNumber\":\"\",\"OrgAccountBalance\":\"90312.00\",\"ThirdPartyTransID\":\"\"," \
    "\"MSISDN\":" msisdn ",\"FirstName\":\"WANJIKU\",\"MiddleName\":\"\",\"LastName\":\"NJERI\"}"
#define PLAIN \
    NEWS("\"TCE2M70ZPB\"", "\"750.00\"", "\"522533\"", "\"ACC-7781\"", "\"2547 ***** 344\"")

static struct err parse(struct str body, struct gw_receipt *out)
{
    struct gw_account a = account();
    return gw->receipt_parse(&a, body, &mem, out);
}

static void the_news_as_it_stands_in_the_document(void **state)
{
    (void)state;
    struct gw_receipt r;
    assert_int_equal(parse(STR(PLAIN), &r).code, ERR_NONE);
    assert_text(r.receipt, "TCE2M70ZPB");
    assert_text(r.reference, "ACC-7781");
    assert_int_equal(r.amount.minor, 75000);
    assert_int_equal(r.amount.currency, KES);
    assert_text(r.payer_phone, "2547 ***** 344");
    assert_text(r.payer_name, "WANJIKU NJERI");
}

static void amounts_and_short_codes_in_every_shape(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t minor; /* 0: refused */
    } cases[] = {
        {NEWS("\"TCE2M70ZPB\"", "750", "522533", "\"a\"", "254711223344"), 75000},
        {NEWS("\"TCE2M70ZPB\"", "750.5", "522533", "\"a\"", "254711223344"), 75050},
        {NEWS("\"TCE2M70ZPB\"", "\"10\"", "\"522533\"", "null", "null"), 1000},
        {NEWS("\"TCE2M70ZPB\"", "\"0.00\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"-5\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"1.001\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"1e3\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "null", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"99999999999999999999\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"10\"", "\"522534\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"10\"", "\"\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE2M70ZPB\"", "\"10\"", "null", "\"a\"", "\"\""), 0},
        {NEWS("\"\"", "\"10\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE 2M7\"", "\"10\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"TCE-2M7\"", "\"10\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("5", "\"10\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {NEWS("\"" LONG16 LONG16 "X\"", "\"10\"", "\"522533\"", "\"a\"", "\"\""), 0},
        {"{}", 0},
        {"[]", 0},
        {"", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_receipt r;
        struct err err = parse(str_c(cases[i].body), &r);
        if (err.code != (cases[i].minor > 0 ? ERR_NONE : ERR_PARSE))
            fail_msg("%s: %d", cases[i].body, (int)err.code);
        if (cases[i].minor > 0)
            assert_int_equal(r.amount.minor, cases[i].minor);
    }
}

static void a_till_is_ours_as_well(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_receipt r;
    set(&a, "till", "7654321");
    struct str body = STR(NEWS("\"TCE2M70ZPB\"", "\"10\"", "\"7654321\"", "\"\"", "\"\""));
    assert_int_equal(gw->receipt_parse(&a, body, &mem, &r).code, ERR_NONE);
    assert_text(r.reference, "");
    assert_text(r.payer_phone, "");
}

static void numbers_of_payers(void **state)
{
    (void)state;
    static const struct {
        const char *body, *phone;
    } cases[] = {
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "254711223344"), "+254711223344"},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "\"254711223344\""), "+254711223344"},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "\"25470****149\""), "25470****149"},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "\"" LONG16 LONG16 LONG16 LONG16 "\""), ""},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "\"" LONG128 "*\""), ""},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "true"), ""},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\"", "{}"), ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_receipt r;
        assert_int_equal(parse(str_c(cases[i].body), &r).code, ERR_NONE);
        assert_text(r.payer_phone, cases[i].phone);
    }
}

static void what_people_type(void **state)
{
    (void)state;
    static const struct {
        const char *body, *reference;
    } cases[] = {
        {NEWS("\"T1\"", "\"10\"", "522533", "\"  rlk7 q2zd \\t\"", "\"\""), "rlk7 q2zd"},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"a\\nb\"", "\"\""), "a b"},
        {NEWS("\"T1\"", "\"10\"", "522533", "7781", "\"\""), "7781"},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"" LONG128 "\"", "\"\""),
         LONG16 LONG16 LONG16 LONG16},
        {NEWS("\"T1\"", "\"10\"", "522533", "\"Ž\"", "\"\""), "Ž"},
        {NEWS("\"T1\"", "\"10\"", "522533", "[]", "\"\""), ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_receipt r;
        assert_int_equal(parse(str_c(cases[i].body), &r).code, ERR_NONE);
        assert_text(r.reference, cases[i].reference);
        assert_true(utf8_valid(r.reference));
    }
}

/* 64 bytes end within a character of two: it goes whole. */
static void a_long_reference_is_cut_between_characters(void **state)
{
    (void)state;
    struct gw_receipt r;
    struct str body = STR(NEWS("\"T1\"", "\"10\"", "522533",
                               "\"" LONG16 LONG16 LONG16 "0123456789abcdeŽŽŽ\"", "\"\""));
    assert_int_equal(parse(body, &r).code, ERR_NONE);
    assert_int_equal(r.reference.n, 63);
    assert_true(utf8_valid(r.reference));
}

/* The money has moved: a name in another encoding must not hide it. */
static void names_that_are_no_utf8(void **state)
{
    (void)state;
    char body[sizeof PLAIN];
    struct gw_receipt r;
    memcpy(body, PLAIN, sizeof PLAIN);
    char *name = strstr(body, "NJERI");
    name[1] = (char)0xd3;
    assert_int_equal(parse(str_c(body), &r).code, ERR_NONE);
    assert_text(r.payer_name, "WANJIKU N?ERI");
    assert_int_equal(r.amount.minor, 75000);
}

static void cut_news_is_no_news(void **state)
{
    (void)state;
    struct gw_receipt r;
    for (size_t n = 0; n < sizeof PLAIN - 1; n++)
        assert_int_equal(parse(str_n(PLAIN, n), &r).code, ERR_PARSE);
}

/* ---- pictures ---- */

#define PICTURE                                                         \
    "{\"ResponseCode\":\"AG_20250314_0001\",\"RequestID\":\"16738-1\"," \
    "\"ResponseDescription\":\"QR Code Successfully Generated.\",\"QRCode\":\"aW1hZ2U=\"}"

static void a_picture_is_asked_for_byte_by_byte(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_qr in = {.amount = {125000, KES}, .pay_code = STR("RL0K7Q2ZD913")};
    struct outbound_request out;
    assert_int_equal(gw->qr_build(&a, &in, STR("tok"), &mem, &out).code, ERR_NONE);
    assert_string_equal(out.url, "https://sandbox.safaricom.co.ke/mpesa/qrcode/v1/generate");
    assert_text(out.body, "{\"MerchantName\":\"Merchant\",\"RefNo\":\"RL0K7Q2ZD913\","
                          "\"Amount\":1250,\"TrxCode\":\"PB\",\"CPI\":\"522533\","
                          "\"Size\":\"300\"}");
    set(&a, "type", "till");
    set(&a, "till", "7654321");
    set(&a, "merchant_name", "Mama \"Njeri\"'s\nShoes and everything else that there is");
    assert_int_equal(gw->qr_build(&a, &in, STR("tok"), &mem, &out).code, ERR_NONE);
    assert_text(out.body, "{\"MerchantName\":\"Mama Njeris Shoes and ever\","
                          "\"RefNo\":\"RL0K7Q2ZD913\",\"Amount\":1250,\"TrxCode\":\"BG\","
                          "\"CPI\":\"7654321\",\"Size\":\"300\"}");
    in.amount.minor = 125050;
    assert_int_equal(gw->qr_build(&a, &in, STR("tok"), &mem, &out).code, ERR_INVALID);
    in = (struct gw_qr){.amount = {125000, KES}, .pay_code = STR("")};
    assert_int_equal(gw->qr_build(&a, &in, STR("tok"), &mem, &out).code, ERR_INVALID);
}

static void answers_with_and_without_a_picture(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {200, PICTURE, GW_ACCEPTED, FAILURE_NONE, false},
        {200, "{\"ResponseCode\":\"00\",\"QRCode\":\"aW1hZ2U=\"}", GW_ACCEPTED, FAILURE_NONE,
         false},
        {200, "{\"ResponseCode\":\"00\"}", GW_UNKNOWN, FAILURE_NONE, false},
        {200, "{\"ResponseCode\":\"00\",\"QRCode\":\"\"}", GW_UNKNOWN, FAILURE_NONE, false},
        {200, "{\"ResponseCode\":\"00\",\"QRCode\":\"<script>\"}", GW_UNKNOWN, FAILURE_NONE, false},
        {400, ENVELOPE("400.002.02", "Bad Request - Invalid CPI"), GW_UNKNOWN, FAILURE_NONE, false},
        {404, ENVELOPE("404.001.03", "Invalid Access Token"), GW_TOKEN_REJECTED, FAILURE_NONE,
         false},
        {502, "<html>", GW_UNKNOWN, FAILURE_NONE, false},
    };
    struct gw_account a = account();
    struct gw_result r;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(cases[i].status, cases[i].body);
        gw->qr_parse(&a, &in, &mem, &r);
        if (r.verdict != cases[i].verdict)
            fail_msg("%s: verdict %d", cases[i].body, (int)r.verdict);
        assert_int_equal(r.image.n > 0, cases[i].verdict == GW_ACCEPTED);
    }
    for (size_t n = 0; n < sizeof PICTURE - 1; n++) {
        struct outbound_response in = answer(200, PICTURE);
        in.body.n = n;
        gw->qr_parse(&a, &in, &mem, &r);
        assert_int_equal(r.verdict, GW_UNKNOWN);
    }
}

static void nothing_of_it_is_stored_in_the_clear(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    gw->redact(STR("{\"ShortCode\":522533,\"ConfirmationURL\":\"" PAID
                   "\",\"ValidationURL\":\"" CHECK "\"}"),
               &out);
    assert_int_equal(str_find_str(buf_view(&out), STR("9f2c71")), SIZE_MAX);
    buf_free(&out);
}

/* Operators look at what came in; who the payer is stays where it can be erased. */
static void a_payers_names_are_masked(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    gw->redact(STR("{\"TransID\":\"TCE2M70ZPB\",\"MSISDN\":254711223344,\"FirstName\":\"WANJIKU\","
                   "\"MiddleName\":\"\",\"LastName\":\"NJERI\"}"),
               &out);
    assert_text(buf_view(&out), "{\"TransID\":\"TCE2M70ZPB\",\"MSISDN\":\"25471*****44\","
                                "\"FirstName\":\"***\",\"MiddleName\":\"***\","
                                "\"LastName\":\"***\"}");
    buf_free(&out);
}

static void every_question_has_an_answer(void **state)
{
    (void)state;
    static const char *const codes[GW_CHECK_N] = {
        [GW_CHECK_ACCEPT] = "0",
        [GW_CHECK_REFERENCE] = "C2B00012",
        [GW_CHECK_AMOUNT] = "C2B00013",
        [GW_CHECK_OTHER] = "C2B00016",
    };
    for (int i = 0; i < GW_CHECK_N; i++) {
        struct json *j;
        assert_int_equal(json_parse(str_c(gw->check_answers[i]), &j, NULL).code, ERR_NONE);
        assert_text(json_str(json_get(j, "ResultCode")), codes[i]);
        json_free(j);
    }
    assert_string_equal(gw->receipt_ack, "{\"ResultCode\":0,\"ResultDesc\":\"Success\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registration_is_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(registration_that_cannot_be_built, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_to_a_registration, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cut_answer_registers_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_news_as_it_stands_in_the_document, setup, teardown),
        cmocka_unit_test_setup_teardown(amounts_and_short_codes_in_every_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(a_till_is_ours_as_well, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_of_payers, setup, teardown),
        cmocka_unit_test_setup_teardown(what_people_type, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_reference_is_cut_between_characters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_that_are_no_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_news_is_no_news, setup, teardown),
        cmocka_unit_test_setup_teardown(a_picture_is_asked_for_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_with_and_without_a_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(a_payers_names_are_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_it_is_stored_in_the_clear, setup, teardown),
        cmocka_unit_test_setup_teardown(every_question_has_an_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
