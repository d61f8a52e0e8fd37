/* The Stripe adapter's requests and the meaning of answers, written from Stripe's documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/stripe_case.h"

static const char paid[] = SESSION("complete", "paid", INTENT("succeeded", "5000"));

static struct gw_charge charge(void)
{
    return (struct gw_charge){.amount = {5000, RWF},
                              .method = STR("card"),
                              .phone = STR("+250788000000"),
                              .email = STR("jane@shop.example"),
                              .pay_code = STR("RL0123456789"),
                              .our_id = STR(OUR_ID),
                              .description = STR("Shoes & more"),
                              .return_url = STR("https://shop.example/back?a=1&b=2"),
                              .callback_url = STR("https://reli.test/cb/x"),
                              .expires_us = NOW_US + 15 * US_PER_MIN,
                              .now_us = NOW_US};
}

static bool has_header(const struct outbound_request *r, const char *line)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcmp(r->headers[i], line) == 0)
            return true;
    return false;
}

/* ---- requests ---- */

static void charges(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge in = charge();
    struct outbound_request r;
    assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_NONE);
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.url, "https://api.stripe.test/v1/checkout/sessions");
    assert_true(has_header(&r, "Authorization: Bearer sk_test_abc"));
    assert_true(has_header(&r, "Stripe-Version: 2026-10-28.endive"));
    assert_true(has_header(&r, "Content-Type: application/x-www-form-urlencoded"));
    assert_true(has_header(&r, "Idempotency-Key: " OUR_ID));
    assert_text(r.body, "mode=payment&client_reference_id=" OUR_ID "&metadata[reli]=" OUR_ID
                        "&payment_intent_data[metadata][reli]=" OUR_ID
                        "&payment_intent_data[metadata][reli_by]=page&line_items[0][quantity]=1&"
                        "line_items[0][price_data][currency]=rwf"
                        "&line_items[0][price_data][unit_amount]=5000"
                        "&line_items[0][price_data][product_data][name]=Shoes%20%26%20more"
                        "&success_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2"
                        "&cancel_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2"
                        "&customer_email=jane%40shop.example&allowed_payment_method_types[0]=card"
                        "&expires_at=1767961860");
    in.method = STR("checkout");
    in.email = in.description = STR("");
    in.expires_us = NOW_US + 2 * US_PER_HOUR;
    a.base_url = STR("http://127.0.0.1:1/stripe/v1");
    assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_NONE);
    assert_string_equal(r.url, "http://127.0.0.1:1/stripe/v1/checkout/sessions");
    assert_true(str_find_str(r.body, STR("allowed_payment")) == SIZE_MAX);
    assert_true(str_find_str(r.body, STR("customer_email")) == SIZE_MAX);
    assert_true(str_find_str(r.body, STR("[name]=RL0123456789&")) != SIZE_MAX);
    assert_true(str_ends(r.body, STR("&expires_at=1767967200")));
}

/* Nothing that a customer or merchant writes makes another field or header. */
static void no_injection(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct outbound_request r;
    for (int c = 0; c < 256; c++) {
        struct gw_charge in = charge();
        char text[] = {'a', (char)c, 'b', '\0'};
        in.description = str_n(text, 3);
        assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_NONE);
        for (size_t i = 0; i < r.body.n; i++)
            assert_true(r.body.p[i] > ' ' && r.body.p[i] < 0x7f);
        size_t n = 0;
        for (size_t i = 0; i < r.body.n; i++)
            n += r.body.p[i] == '&';
        assert_int_equal(n, 13);
        in = charge();
        in.our_id = str_n(text, 3);
        bool plain = c == '-' || c == '_' || ascii_is_alpha((char)c) || ascii_is_digit((char)c);
        assert_int_equal(err_is(gw->charge_build(&a, &in, STR(""), &mem, &r)), !plain);
        (void)fresh(NULL);
        a = account();
    }
}

static void refused_before_sending(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct outbound_request r;
    struct gw_charge in = charge();
    const char *setting = NULL;
    in.return_url = STR("");
    assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_INVALID);
    in.return_url = STR("javascript:alert(1)");
    assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_INVALID);
    in.return_url = STR("https://shop.example/a b");
    assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_INVALID);
    static const char *const keys[] = {"", "pk_test_x", "sk_test_x\r\nX: y", "sk_test_x y", "sk_"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        in = charge();
        set(&a, "api_key", keys[i]);
        assert_int_equal(gw->charge_build(&a, &in, STR(""), &mem, &r).code, ERR_INVALID);
        assert_int_equal(gw->account_check(&a, &mem, &setting).code, ERR_INVALID);
        assert_string_equal(setting, "api_key");
    }
    a = account();
    assert_int_equal(gw->account_check(&a, &mem, &setting).code, ERR_NONE);
    set(&a, "webhook_secret", "whsec_a,other");
    assert_int_equal(gw->account_check(&a, &mem, &setting).code, ERR_INVALID);
    assert_string_equal(setting, "webhook_secret");
}

struct amount_case {
    const char *currency;
    int64_t minor, units; /* -1: Stripe has no such amount */
};

/* As it is asked for, and as it is read when it has been paid. */
static void counted(const struct amount_case *c)
{
    struct gw_account a = account();
    struct gw_charge in = charge();
    struct outbound_request r;
    char want[64], body[1024], lower[4] = "";
    in.amount = (struct money){c->minor, currency_parse(str_c(c->currency))};
    struct err err = gw->charge_build(&a, &in, STR(""), &mem, &r);
    if (err_is(err) != (c->units < 0))
        fail_msg("%s %lld", c->currency, (long long)c->minor);
    if (c->units < 0)
        return;
    (void)snprintf(want, sizeof want, "[unit_amount]=%lld&", (long long)c->units);
    assert_true(str_find_str(r.body, str_c(want)) != SIZE_MAX);
    for (int k = 0; k < 3; k++)
        lower[k] = ascii_lower(c->currency[k]);
    (void)snprintf(body, sizeof body,
                   "{\"id\":\"cs_test_a1\",\"object\":\"checkout.session\",\"amount_total\":%lld,"
                   "\"client_reference_id\":\"%s\",\"currency\":\"%s\",\"livemode\":false,"
                   "\"metadata\":{\"reli\":\"%s\"},\"payment_intent\":\"pi_1\","
                   "\"payment_status\":\"paid\",\"status\":\"complete\"}",
                   (long long)c->units, OUR_ID, lower, OUR_ID);
    struct outbound_response back = answer(200, body);
    struct gw_result said;
    gw->query_parse(&a, &back, &mem, &said);
    assert_int_equal(said.verdict, GW_SUCCEEDED);
    assert_int_equal(said.amount.minor, c->minor);
    assert_int_equal(said.amount.currency, in.amount.currency);
}

/* Stripe's units for ours, from its table of currencies. */
static void amounts(void **state)
{
    (void)state;
    static const struct amount_case cases[] = {
        {"RWF", 5000, 5000},
        {"KES", 5000, 5000},
        {"USD", 1, 1},
        {"JPY", 7, 7},
        {"UGX", 5, 500},
        {"ISK", 5, 500},
        {"KWD", 5120, 5120},
        {"KWD", 5124, -1},
        {"MGA", 500, 5},
        {"MGA", 501, -1},
        {"XOF", 99999999, 99999999},
        {"XOF", 100000000, -1},
        {"UGX", 999999, 99999900},
        {"UGX", 1000000, -1},
        {"EUR", 0, -1},
        {"EUR", -5, -1},
        {"EUR", INT64_MAX, -1},
        {"BHD", 10, 10},
        {"TND", 5, -1},
        {"VND", 3, 3},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        counted(&cases[i]);
}

/* Stripe's papers say both: the installation knows what its account sees. */
static void shillings_of_uganda_without_decimals(void **state)
{
    (void)state;
    static const struct amount_case cases[] = {
        {"UGX", 5, 5},
        {"UGX", 99999999, 99999999},
        {"UGX", 100000000, -1},
        {"ISK", 5, 500},
    };
    assert_string_equal(gw->facts[0].name, "ugx_decimals");
    assert_int_equal(*gw->facts[0].value, 2);
    *gw->facts[0].value = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        counted(&cases[i]);
    *gw->facts[0].value = 2;
}

static void questions(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct outbound_request r;
    assert_int_equal(gw->query_build(&a, STR("cs_test_a1"), NOW_US, STR(""), &mem, &r).code, 0);
    assert_string_equal(
        r.url, "https://api.stripe.test/v1/checkout/sessions/cs_test_a1?expand[0]=payment_intent");
    assert_string_equal(r.method, "GET");
    assert_int_equal(gw->query_build(&a, STR("pi_1"), NOW_US, STR(""), &mem, &r).code, 0);
    assert_string_equal(r.url, "https://api.stripe.test/v1/payment_intents/pi_1");
    assert_int_equal(gw->query_build(&a, STR(OUR_ID), NOW_US, STR(""), &mem, &r).code, 0);
    assert_string_equal(r.url, "https://api.stripe.test/v1/checkout/sessions?limit=100&"
                               "created[gte]=1767959700&created[lte]=1767960300");
    static const char *const none[] = {"", "x", "cs_test_/../x",
                                       "019ba2a0b600400080000000000000011"};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_true(err_is(gw->query_build(&a, str_c(none[i]), NOW_US, STR(""), &mem, &r)));
}

static void refund_requests(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_refund in = {.rail = REFUND_RAIL_REVERSAL,
                           .amount = {2000, RWF},
                           .payment_receipt = STR("pi_1"),
                           .payment_ref = STR("cs_test_a1"),
                           .our_id = STR(OUR_ID),
                           .remarks = STR("one shoe"),
                           .now_us = NOW_US};
    struct outbound_request r;
    assert_int_equal(gw->refund_build(&a, &in, STR(""), &mem, &r).code, ERR_NONE);
    assert_string_equal(r.url, "https://api.stripe.test/v1/refunds");
    assert_true(has_header(&r, "Idempotency-Key: " OUR_ID));
    assert_text(r.body,
                "payment_intent=pi_1&amount=2000&reason=requested_by_customer&"
                "metadata[reli]=" OUR_ID "&metadata[reli_by]=refund&metadata[remarks]=one%20shoe");
    assert_int_equal(gw->refund_query_build(&a, &in, STR(OUR_ID), STR(""), &mem, &r).code, 0);
    assert_string_equal(r.url, "https://api.stripe.test/v1/refunds?payment_intent=pi_1&limit=100");
    in.payment_receipt = STR("");
    assert_true(err_is(gw->refund_build(&a, &in, STR(""), &mem, &r)));
    in.payment_receipt = STR("pi_1");
    in.rail = REFUND_RAIL_PAYOUT;
    assert_true(err_is(gw->refund_build(&a, &in, STR(""), &mem, &r)));
}

/* ---- answers ---- */

enum op { CHARGE, QUERY, REFUND_, REFUND_QUERY };

static struct gw_result parse(enum op op, const struct outbound_response *in)
{
    static const struct gw_refund refund = {.rail = REFUND_RAIL_REVERSAL,
                                            .payment_receipt = {"pi_1", 4},
                                            .payment_ref = {"cs_test_a1", 10},
                                            .our_id = {OUR_ID, sizeof OUR_ID - 1}};
    struct gw_account a = account();
    struct gw_result r;
    if (op == CHARGE)
        gw->charge_parse(&a, in, &mem, &r);
    else if (op == QUERY)
        gw->query_parse(&a, in, &mem, &r);
    else if (op == REFUND_)
        gw->refund_parse(&a, &refund, in, &mem, &r);
    else
        gw->refund_query_parse(&a, in, &mem, &r);
    check_result(&r);
    return r;
}

static const struct answer_case {
    enum op op;
    int status;
    const char *body;
    enum gw_verdict verdict;
    enum failure_code code;
} answers[] = {
    {CHARGE, 200, SESSION("open", "unpaid", "null"), GW_ACCEPTED, 0},
    {CHARGE, 200, paid, GW_ACCEPTED, 0},
    {CHARGE, 201, SESSION("open", "unpaid", "null"), GW_UNKNOWN, 0},
    {CHARGE, 200, SESSION("blessed", "unpaid", "null"), GW_UNKNOWN, 0},
    {CHARGE, 200, SESSION_OF("cs_live_a1", OUR_ID, "open", "unpaid", "null", "true"), GW_UNKNOWN,
     0},
    {CHARGE, 200, "{}", GW_UNKNOWN, 0},
    {CHARGE, 200, "", GW_UNKNOWN, 0},
    {CHARGE, 200, "<html>", GW_UNKNOWN, 0},
    {CHARGE, 400, FAULT("invalid_request_error", "amount_too_small"), GW_REFUSED,
     FAILURE_AMOUNT_INVALID},
    {CHARGE, 400, FAULT("invalid_request_error", "parameter_unknown"), GW_REFUSED,
     FAILURE_CONFIGURATION},
    {CHARGE, 400, FAULT("idempotency_error", "x"), GW_UNKNOWN, 0},
    {CHARGE, 400, "{}", GW_UNKNOWN, 0},
    {CHARGE, 401, FAULT("invalid_request_error", "x"), GW_REFUSED, FAILURE_CONFIGURATION},
    {CHARGE, 402, FAULT("card_error", "card_declined"), GW_REFUSED, FAILURE_DECLINED},
    {CHARGE, 403, FAULT("invalid_request_error", "x"), GW_REFUSED, FAILURE_CONFIGURATION},
    {CHARGE, 403, "<html>", GW_UNKNOWN, 0},
    {CHARGE, 404, FAULT("invalid_request_error", "resource_missing"), GW_REFUSED,
     FAILURE_CONFIGURATION},
    {CHARGE, 409, FAULT("invalid_request_error", "idempotency_key_in_use"), GW_UNKNOWN, 0},
    {CHARGE, 424, FAULT("api_error", "x"), GW_UNKNOWN, 0},
    {CHARGE, 429, FAULT("invalid_request_error", "rate_limit"), GW_REFUSED, FAILURE_PROVIDER_BUSY},
    {CHARGE, 500, FAULT("api_error", "x"), GW_UNKNOWN, 0},
    {CHARGE, 500, FAULT("invalid_request_error", "amount_too_small"), GW_UNKNOWN, 0},
    {QUERY, 200, SESSION("open", "unpaid", "null"), GW_PENDING, 0},
    {QUERY, 200, paid, GW_SUCCEEDED, 0},
    {QUERY, 200, SESSION("complete", "paid", "\"pi_1\""), GW_SUCCEEDED, 0},
    {QUERY, 200, SESSION("complete", "paid", "null"), GW_UNKNOWN, 0},
    {QUERY, 200, SESSION("complete", "paid", INTENT("processing", "0")), GW_UNKNOWN, 0},
    {QUERY, 200, SESSION("complete", "unpaid", "\"pi_1\""), GW_PENDING, 0},
    {QUERY, 200, SESSION("complete", "unpaid", INTENT("processing", "0")), GW_PENDING, 0},
    {QUERY, 200,
     SESSION(
         "complete", "unpaid",
         INTENT_OF(OUR_ID, "requires_payment_method", "0", DECLINE("insufficient_funds"), "null")),
     GW_FAILED, FAILURE_INSUFFICIENT_FUNDS},
    {QUERY, 200,
     SESSION("open", "unpaid",
             INTENT_OF(OUR_ID, "requires_payment_method", "0", DECLINE("lost_card"), "null")),
     GW_PENDING, 0},
    {QUERY, 200, SESSION("expired", "unpaid", "null"), GW_FAILED, FAILURE_CUSTOMER_TIMEOUT},
    {QUERY, 200, SESSION("expired", "paid", "\"pi_1\""), GW_UNKNOWN, 0},
    {QUERY, 200, SESSION("open", "paid", "\"pi_1\""), GW_UNKNOWN, 0},
    {QUERY, 200, SESSION("complete", "no_payment_required", "null"), GW_UNKNOWN, 0},
    {QUERY, 200, INTENT("succeeded", "5000"), GW_SUCCEEDED, 0},
    {QUERY, 200, INTENT("succeeded", "0"), GW_UNKNOWN, 0},
    {QUERY, 200, INTENT("requires_action", "0"), GW_PENDING, 0},
    {QUERY, 200, INTENT("blessed", "5000"), GW_UNKNOWN, 0},
    {QUERY, 200, INTENT_OF(OUR_ID, "canceled", "0", "null", "\"expired\""), GW_FAILED,
     FAILURE_CUSTOMER_TIMEOUT},
    {QUERY, 200, LIST("", "false"), GW_NOT_FOUND, 0},
    {QUERY, 200, LIST("", "true"), GW_UNKNOWN, 0},
    {QUERY, 200, LIST("", "null"), GW_UNKNOWN, 0},
    {QUERY, 200,
     LIST(SESSION_OF("cs_test_b2", OTHER_ID, "complete", "paid", "\"pi_2\"", "false"), "false"),
     GW_NOT_FOUND, 0},
    {QUERY, 200,
     LIST(SESSION_OF("cs_test_b2", OTHER_ID, "complete", "paid", "\"pi_2\"",
                     "false") "," SESSION("open", "unpaid", "null"),
          "true"),
     GW_PENDING, 0},
    {QUERY, 200,
     LIST(SESSION("open", "unpaid", "null") "," SESSION("complete", "paid", "\"pi_1\""), "false"),
     GW_UNKNOWN, 0},
    {QUERY, 404, FAULT("invalid_request_error", "resource_missing"), GW_UNKNOWN, 0},
    {QUERY, 429, FAULT("invalid_request_error", "rate_limit"), GW_UNKNOWN, 0},
    {QUERY, 500, paid, GW_UNKNOWN, 0},
    {REFUND_, 200, REFUND("succeeded"), GW_SUCCEEDED, 0},
    {REFUND_, 200, REFUND("pending"), GW_ACCEPTED, 0},
    {REFUND_, 200, REFUND("requires_action"), GW_ACCEPTED, 0},
    {REFUND_, 200, REFUND_OF(OUR_ID, "pi_1", "failed", "\"declined\""), GW_FAILED,
     FAILURE_DECLINED},
    {REFUND_, 200, REFUND("blessed"), GW_UNKNOWN, 0},
    {REFUND_, 200, REFUND_OF(OTHER_ID, "pi_1", "succeeded", "null"), GW_UNKNOWN, 0},
    {REFUND_, 200, REFUND_OF(OUR_ID, "pi_2", "succeeded", "null"), GW_UNKNOWN, 0},
    {REFUND_, 400, FAULT("invalid_request_error", "charge_already_refunded"), GW_REFUSED,
     FAILURE_AMOUNT_INVALID},
    {REFUND_, 500, FAULT("api_error", "x"), GW_UNKNOWN, 0},
    {REFUND_QUERY, 200, LIST(REFUND("succeeded"), "false"), GW_SUCCEEDED, 0},
    {REFUND_QUERY, 200, LIST(REFUND("pending"), "false"), GW_PENDING, 0},
    {REFUND_QUERY, 200, LIST("", "false"), GW_NOT_FOUND, 0},
    {REFUND_QUERY, 200, LIST(REFUND_OF(OTHER_ID, "pi_1", "succeeded", "null"), "false"),
     GW_NOT_FOUND, 0},
    {REFUND_QUERY, 200, REFUND("canceled"), GW_FAILED, FAILURE_DECLINED},
};

static void meanings(void **state)
{
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct answer_case *c = &answers[i];
        struct outbound_response in = answer(c->status, c->body);
        struct gw_result r = parse(c->op, &in);
        if (r.verdict != c->verdict || r.code != c->code)
            fail_msg("verdict %d code %d: %d %s", (int)r.verdict, (int)r.code, c->status, c->body);
        (void)fresh(state);
    }
}

static void what_is_read(void **state)
{
    (void)state;
    struct outbound_response in = answer(200, SESSION("open", "unpaid", "null"));
    struct gw_result r = parse(CHARGE, &in);
    assert_text(r.provider_ref, "cs_test_a1");
    assert_text(r.our_id, OUR_ID);
    assert_text(r.next_action,
                "{\"type\":\"redirect\",\"url\":\"https://checkout.stripe.com/c/pay/cs_test_a1\","
                "\"expires_at\":\"2026-01-09T13:00:00.000Z\"}");
    assert_true(gw_asks(&r));
    in = answer(200, paid);
    r = parse(QUERY, &in);
    assert_text(r.receipt, "pi_1");
    assert_int_equal(r.amount.minor, 5000);
    assert_int_equal(r.amount.currency, RWF);
    /* What was received counts, not what was asked for. */
    in = answer(200, SESSION("complete", "paid", INTENT("succeeded", "4999")));
    r = parse(QUERY, &in);
    assert_int_equal(r.amount.minor, 4999);
    in = answer(200, LIST(REFUND("succeeded"), "false"));
    r = parse(REFUND_QUERY, &in);
    assert_text(r.receipt, "re_1");
    assert_text(r.provider_ref, OUR_ID);
    assert_int_equal(r.amount.minor, 2000);
    in.asked = STR("");
    r = parse(REFUND_QUERY, &in);
    assert_int_equal(r.verdict, GW_UNKNOWN);
}

/* No part of an answer is an answer. */
static void truncated(void **state)
{
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct answer_case *c = &answers[i];
        for (size_t n = 0; n < strlen(c->body); n++) {
            struct outbound_response in = answer(c->status, c->body);
            in.body.n = n;
            struct gw_result r = parse(c->op, &in);
            if (r.verdict != GW_UNKNOWN)
                fail_msg("%d: %.*s", (int)r.verdict, STR_ARG(in.body));
        }
        (void)fresh(state);
    }
}

/* Each member of a good answer with a value of each other type: never another success than the
 * true one. */
static void wrong_types(void **state)
{
    static const char *const values[] = {
        "null", "true",         "-1", "1e999", "99999999999999999999",
        "\"\"", "\"x\\u0000\"", "[]", "{}",    "0.5"};
    const char *end;
    for (const char *p = strchr(paid, ':'); p != NULL; p = strchr(p + 1, ':')) {
        if (p[-1] != '"' || p[1] == '/')
            continue;
        int depth = 0;
        bool quoted = false;
        for (end = p + 1; depth > 0 || quoted || (*end != ',' && *end != '}'); end++) {
            quoted ^= *end == '"';
            depth += !quoted && *end == '{' ? 1 : !quoted && *end == '}' ? -1 : 0;
            depth += !quoted && *end == '[' ? 1 : !quoted && *end == ']' ? -1 : 0;
        }
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            struct str body =
                arena_fmt(&mem, "%.*s%s%s", (int)(p + 1 - paid), paid, values[i], end);
            struct outbound_response in = answer(200, body.p);
            struct gw_result r = parse(QUERY, &in);
            if (r.verdict == GW_SUCCEEDED)
                assert_true(r.amount.minor == 5000 && r.amount.currency == RWF);
            assert_true(r.verdict != GW_FAILED && r.verdict != GW_NOT_FOUND);
            r = parse(CHARGE, &in);
            assert_true(r.verdict == GW_ACCEPTED || r.verdict == GW_UNKNOWN);
        }
        (void)fresh(state);
    }
}

static void transport(void **state)
{
    (void)state;
    for (int op = CHARGE; op <= REFUND_QUERY; op++) {
        bool order = op == CHARGE || op == REFUND_;
        struct outbound_response in = {.outcome = OUTBOUND_NOT_SENT, .error = "refused"};
        struct gw_result r = parse((enum op)op, &in);
        assert_int_equal(r.verdict, order ? GW_REFUSED : GW_UNKNOWN);
        assert_true(r.retry_later);
        in = (struct outbound_response){.outcome = OUTBOUND_UNKNOWN, .error = "timeout"};
        assert_int_equal(parse((enum op)op, &in).verdict, GW_UNKNOWN);
    }
}

static void masked(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 64 * 1024);
    gw->redact(STR("{\"customer_email\":\"a@b.c\",\"client_secret\":\"pi_1_secret_x\",\"amount\":1,"
                   "\"url\":\"https://checkout.stripe.com/c/pay/cs_test_a1\"}"),
               &out);
    assert_true(str_find_str(buf_view(&out), STR("a@b.c")) == SIZE_MAX);
    assert_true(str_find_str(buf_view(&out), STR("secret_x")) == SIZE_MAX);
    assert_true(str_find_str(buf_view(&out), STR("cs_test_a1")) == SIZE_MAX);
    assert_true(str_find_str(buf_view(&out), STR("\"amount\":1")) != SIZE_MAX);
    buf_reset(&out);
    gw->redact(STR("customer_email=a%40b.c"), &out);
    assert_true(str_find_str(buf_view(&out), STR("b.c")) == SIZE_MAX);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(charges, fresh),
        cmocka_unit_test_setup(no_injection, fresh),
        cmocka_unit_test_setup(refused_before_sending, fresh),
        cmocka_unit_test_setup(amounts, fresh),
        cmocka_unit_test_setup(shillings_of_uganda_without_decimals, fresh),
        cmocka_unit_test_setup(questions, fresh),
        cmocka_unit_test_setup(refund_requests, fresh),
        cmocka_unit_test_setup(meanings, fresh),
        cmocka_unit_test_setup(what_is_read, fresh),
        cmocka_unit_test_setup(truncated, fresh),
        cmocka_unit_test_setup(wrong_types, fresh),
        cmocka_unit_test_setup(transport, fresh),
        cmocka_unit_test_setup(masked, fresh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
