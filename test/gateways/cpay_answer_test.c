/* CPay, what its answers mean, written from cpay.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/cpay_case.h"

static const struct gw_refund asked_refund = {.rail = REFUND_RAIL_REVERSAL,
                                              .payment_ref = {"cpm_01J8Z0DEMO", 14},
                                              .payment_receipt = {"cpm_01J8Z0DEMO", 14},
                                              .our_id = {REFUND_ID, sizeof REFUND_ID - 1}};

static const struct gw_payout asked_payout = {.our_id = {PAYOUT_ID, sizeof PAYOUT_ID - 1}};

enum reader {
    READ_CHARGE,
    READ_QUERY,
    READ_REFUND,
    READ_REFUND_QUERY,
    READ_PAYOUT,
    READ_PAYOUT_QUERY,
    N_READERS
};

static void hear(const struct gw_account *a, enum reader reader, const struct outbound_response *in,
                 struct arena *m, struct gw_result *r)
{
    switch (reader) {
    case READ_CHARGE:
        gw->charge_parse(a, in, m, r);
        break;
    case READ_QUERY:
        gw->query_parse(a, in, m, r);
        break;
    case READ_REFUND:
        gw->refund_parse(a, &asked_refund, in, m, r);
        break;
    case READ_REFUND_QUERY:
        gw->refund_query_parse(a, in, m, r);
        break;
    case READ_PAYOUT:
        gw->payout_parse(a, &asked_payout, in, m, r);
        break;
    default:
        gw->payout_query_parse(a, in, m, r);
    }
}

static struct gw_result parse(enum reader reader, const struct outbound_response *in)
{
    struct gw_account a = account();
    struct gw_result r;
    memset(&r, 0xa5, sizeof r);
    hear(&a, reader, in, &mem, &r);
    check_result(&r);
    return r;
}

struct answer_case {
    int status;
    const char *body;
    enum gw_verdict verdict;
    enum failure_code code;
    bool sure, retry_later;
};

static void run(enum reader reader, const struct answer_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct outbound_response in = answer(c[i].status, c[i].body);
        struct gw_result r = parse(reader, &in);
        if (r.verdict != c[i].verdict || r.code != c[i].code || r.sure != c[i].sure ||
            r.retry_later != c[i].retry_later)
            fail_msg("reader %d case %zu (%d %s): verdict %d code %d sure %d later %d", (int)reader,
                     i, c[i].status, c[i].body, (int)r.verdict, (int)r.code, r.sure, r.retry_later);
    }
}

/* Errors mean the same for payments, refunds and payouts: was anything taken? */
static const struct answer_case errors[] = {
    {400, FAULT("invalid_request"), GW_REFUSED, FAILURE_CONFIGURATION, 0, 0},
    {400, FAULT("unsupported_currency"), GW_REFUSED, FAILURE_CONFIGURATION, 0, 0},
    {400, FAULT("amount_out_of_range"), GW_REFUSED, FAILURE_AMOUNT_INVALID, 0, 0},
    {400, FAULT("invalid_msisdn"), GW_REFUSED, FAILURE_DECLINED, 0, 0},
    {401, FAULT("signature_invalid"), GW_REFUSED, FAILURE_CONFIGURATION, 0, 0},
    {401, FAULT("timestamp_out_of_range"), GW_REFUSED, FAILURE_CONFIGURATION, 0, 0},
    {401, FAULT("unknown_key"), GW_REFUSED, FAILURE_CONFIGURATION, 0, 0},
    {401, FAULT("nonce_reused"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {402, FAULT("insufficient_funds"), GW_REFUSED, FAILURE_INSUFFICIENT_FUNDS, 0, 0},
    {402, FAULT("declined"), GW_REFUSED, FAILURE_DECLINED, 0, 0},
    {402, FAULT("limit_exceeded"), GW_REFUSED, FAILURE_LIMIT_EXCEEDED, 0, 0},
    {404, FAULT("not_found"), GW_REFUSED, FAILURE_CONFIGURATION, 0, 0},
    {409, FAULT("duplicate_reference"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {409, FAULT("idempotency_conflict"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {409, FAULT("idempotency_in_progress"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {409, FAULT("invalid_state"), GW_REFUSED, FAILURE_DECLINED, 0, 0},
    {409, FAULT("refund_exceeds_payment"), GW_REFUSED, FAILURE_AMOUNT_INVALID, 0, 0},
    {409, FAULT("something_new"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {429, FAULT("rate_limited"), GW_REFUSED, FAILURE_PROVIDER_BUSY, 0, 1},
    {429, FAULT("something_new"), GW_REFUSED, FAILURE_PROVIDER_BUSY, 0, 1},
    {400, FAULT("something_new"), GW_REFUSED, FAILURE_PROVIDER_ERROR, 0, 0},
    {408, FAULT("declined"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {500, FAULT("internal"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {503, FAULT("unavailable"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {500, FAULT("declined"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {200, FAULT("declined"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {302, FAULT("declined"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {400, FAULT(""), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {400, FAULT("no code"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {400, FAULT("a_code_that_is_much_too_long_for_one"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {400, "{\"error\":\"declined\"}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {400, "{\"error\":{\"code\":5}}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {400, "{}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {502, "<html>Bad Gateway</html>", GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {404, "<html>Not Found</html>", GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {204, "", GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {201, "", GW_UNKNOWN, FAILURE_NONE, 0, 0},
};

static void order_errors(void **state)
{
    (void)state;
    run(READ_CHARGE, errors, COUNT_OF(errors));
    run(READ_REFUND, errors, COUNT_OF(errors));
    run(READ_PAYOUT, errors, COUNT_OF(errors));
}

/* A question that failed says nothing about what was asked. */
static void question_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct outbound_response in = answer(errors[i].status, errors[i].body);
        assert_int_equal(parse(READ_QUERY, &in).verdict, GW_UNKNOWN);
        assert_int_equal(parse(READ_REFUND_QUERY, &in).verdict, GW_UNKNOWN);
        assert_int_equal(parse(READ_PAYOUT_QUERY, &in).verdict, GW_UNKNOWN);
        assert_int_equal(parse(READ_QUERY, &in).retry_later, errors[i].status == 429);
    }
}

static void charges(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {201, PAYMENT("pending", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {200, PAYMENT("pending", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {201, PAYMENT("processing", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {201, PAYMENT("completed", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {201, PAYMENT("failed", FAILURE_("declined", "true")), GW_REFUSED, FAILURE_DECLINED, 0, 0},
        {201, PAYMENT("failed", FAILURE_("declined", "false")), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {201, PAYMENT("expired", "null"), GW_REFUSED, FAILURE_CUSTOMER_TIMEOUT, 0, 0},
        {201, PAYMENT("something_new", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {202, PAYMENT("pending", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, REFUND("pending", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, LIST(PAYMENT("pending", "null")), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    };
    run(READ_CHARGE, cases, COUNT_OF(cases));
    struct outbound_response in = answer(201, PAYMENT("pending", "null"));
    struct gw_result r = parse(READ_CHARGE, &in);
    assert_text(r.provider_ref, "cpm_01J8Z0DEMO");
    assert_text(r.our_id, OUR_ID);
    assert_text(r.next_action, "");
}

static void actions(void **state)
{
    (void)state;
#define UNTIL ",\"expires_at\":\"2026-01-10T12:15:00.000Z\"}"
    static const struct {
        const char *body, *action;
    } cases[] = {
        {PAYMENT_OF(OUR_ID, "pending",
                    "{\"type\":\"confirm_on_phone\",\"display\":\"Confirm on +2507***001\"}",
                    "null"),
         "{\"type\":\"approve_on_phone\"" UNTIL},
        {PAYMENT_OF(OUR_ID, "pending",
                    "{\"type\":\"redirect\",\"url\":\"https://p.example/a?b=\\\"c\"}", "null"),
         "{\"type\":\"redirect\",\"url\":\"https://p.example/a?b=\\\"c\"" UNTIL},
        {PAYMENT_OF(OUR_ID, "pending",
                    "{\"type\":\"otp\",\"submit_url\":\"https://p.example/otp\"}", "null"),
         "{\"type\":\"otp\"" UNTIL},
        {PAYMENT_OF(OUR_ID, "pending", "{\"type\":\"redirect\",\"url\":\"javascript:x\"}", "null"),
         ""},
        {PAYMENT_OF(OUR_ID, "pending", "{\"type\":\"redirect\",\"url\":\"https://a b\"}", "null"),
         ""},
        {PAYMENT_OF(OUR_ID, "pending", "{\"type\":\"redirect\"}", "null"), ""},
        {PAYMENT_OF(OUR_ID, "pending", "{\"type\":\"dance\"}", "null"), ""},
        {PAYMENT_OF(OUR_ID, "pending", "[]", "null"), ""},
        {PAYMENT_OF(OUR_ID, "pending", "\"redirect\"", "null"), ""},
        {PAYMENT_OF(OUR_ID, "completed", "{\"type\":\"otp\"}", "null"), ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(201, cases[i].body);
        assert_text(parse(READ_CHARGE, &in).next_action, cases[i].action);
        in.status = 200;
        assert_text(parse(READ_QUERY, &in).next_action, cases[i].action);
    }
}

#define FAILED(code_, final_, failure_, sure_)                                                   \
    {                                                                                            \
        200, PAYMENT("failed", FAILURE_(code_, final_)), GW_FAILED, FAILURE_##failure_, sure_, 0 \
    }

static const struct answer_case payments[] = {
    {200, PAYMENT("pending", "null"), GW_PENDING, FAILURE_NONE, 0, 0},
    {200, PAYMENT("processing", "null"), GW_PENDING, FAILURE_NONE, 0, 0},
    {200, PAYMENT("completed", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
    {200, PAYMENT("partially_refunded", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
    {200, PAYMENT("refunded", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
    {200, PAYMENT("disputed", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
    {200, PAYMENT("cancelled", "null"), GW_FAILED, FAILURE_CANCELLED_BY_CUSTOMER, 1, 0},
    {200, PAYMENT("expired", "null"), GW_FAILED, FAILURE_CUSTOMER_TIMEOUT, 1, 0},
    FAILED("insufficient_funds", "true", INSUFFICIENT_FUNDS, 1),
    FAILED("payer_rejected", "true", CANCELLED_BY_CUSTOMER, 1),
    FAILED("payer_timeout", "true", CUSTOMER_TIMEOUT, 1),
    FAILED("payer_not_found", "true", CUSTOMER_UNREACHABLE, 1),
    FAILED("limit_exceeded", "true", LIMIT_EXCEEDED, 1),
    FAILED("declined", "true", DECLINED, 1),
    FAILED("fraud_suspected", "true", DECLINED, 1),
    FAILED("provider_error", "true", PROVIDER_ERROR, 1),
    FAILED("provider_error", "false", PROVIDER_ERROR, 0),
    FAILED("something_new", "true", PROVIDER_ERROR, 1),
    FAILED("declined", "\"true\"", DECLINED, 0),
    {200, PAYMENT("failed", "null"), GW_FAILED, FAILURE_PROVIDER_ERROR, 0, 0},
    {200, PAYMENT("failed", "{}"), GW_FAILED, FAILURE_PROVIDER_ERROR, 0, 0},
    {200, PAYMENT("COMPLETED", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {200, PAYMENT("settled", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {200, PAYMENT("", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    {201, PAYMENT("completed", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
};

static void query_answers(void **state)
{
    (void)state;
    run(READ_QUERY, payments, COUNT_OF(payments));
    struct outbound_response in = answer(200, PAYMENT("completed", "null"));
    struct gw_result r = parse(READ_QUERY, &in);
    assert_text(r.provider_ref, "cpm_01J8Z0DEMO");
    assert_text(r.receipt, "cpm_01J8Z0DEMO");
    assert_text(r.our_id, OUR_ID);
    assert_int_equal(r.amount.minor, 150000);
    assert_int_equal(r.amount.currency, RWF);
}

static void lists(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {200, LIST(""), GW_NOT_FOUND, FAILURE_NONE, 0, 0},
        {200, LIST(PAYMENT("completed", "null")), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {200, LIST(PAYMENT("completed", "null") "," PAYMENT("completed", "null")), GW_UNKNOWN,
         FAILURE_NONE, 0, 0},
        {200, LIST("null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {200, LIST("[]"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {200, "{\"object\":\"list\"}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {200, "{\"object\":\"list\",\"data\":{}}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {200, "{\"object\":\"list\",\"data\":null}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {200, "[]", GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {200, "{\"data\":[]}", GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {404, LIST(""), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    };
    run(READ_QUERY, cases, COUNT_OF(cases));
    for (size_t i = 2; i < COUNT_OF(cases); i++) {
        struct outbound_response in = answer(cases[i].status, cases[i].body);
        assert_int_equal(parse(READ_REFUND_QUERY, &in).verdict, GW_UNKNOWN);
    }
    /* what was asked for by our reference comes with the provider's own */
    struct outbound_response in = answer(200, LIST(PAYMENT("completed", "null")));
    struct gw_result r = parse(READ_QUERY, &in);
    assert_text(r.our_id, OUR_ID);
    assert_text(r.provider_ref, "cpm_01J8Z0DEMO");
    assert_text(r.receipt, "cpm_01J8Z0DEMO");
}

static void refund_answers(void **state)
{
    (void)state;
    static const struct answer_case sent[] = {
        {201, REFUND("pending", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {200, REFUND("pending", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {201, REFUND("completed", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {201, REFUND("failed", FAILURE_("declined", "true")), GW_FAILED, FAILURE_DECLINED, 1, 0},
        {201, REFUND("processing", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, REFUND("disputed", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, REFUND_OF("cpm_OTHER", REFUND_ID, "completed", "null"), GW_UNKNOWN, FAILURE_NONE, 0,
         0},
        {201, REFUND_OF("cpm_01J8Z0DEMO", "another", "completed", "null"), GW_UNKNOWN, FAILURE_NONE,
         0, 0},
        {201, PAYMENT("completed", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    };
    static const struct answer_case told[] = {
        {200, LIST(REFUND("pending", "null")), GW_PENDING, FAILURE_NONE, 0, 0},
        {200, LIST(REFUND("completed", "null")), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {200, LIST(REFUND("failed", FAILURE_("insufficient_funds", "true"))), GW_FAILED,
         FAILURE_INSUFFICIENT_FUNDS, 1, 0},
        {200, REFUND("completed", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {200, LIST(""), GW_NOT_FOUND, FAILURE_NONE, 0, 0},
        {200, LIST(PAYMENT("completed", "null")), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    };
    run(READ_REFUND, sent, COUNT_OF(sent));
    run(READ_REFUND_QUERY, told, COUNT_OF(told));
    struct outbound_response in = answer(200, LIST(REFUND("completed", "null")));
    struct gw_result r = parse(READ_REFUND_QUERY, &in);
    assert_text(r.provider_ref, REFUND_ID);
    assert_text(r.receipt, "cpr_01J8Z0BACK");
    assert_int_equal(r.amount.minor, 50000);
    /* Nothing of another's refund is kept. */
    in = answer(201, REFUND_OF("cpm_01J8Z0DEMO", "another", "completed", "null"));
    r = parse(READ_REFUND, &in);
    assert_int_equal(r.provider_ref.n + r.our_id.n, 0);
}

static void payout_answers(void **state)
{
    (void)state;
    static const struct answer_case sent[] = {
        {201, PAYOUT("pending", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {200, PAYOUT("pending", "null"), GW_ACCEPTED, FAILURE_NONE, 0, 0},
        {201, PAYOUT("completed", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {201, PAYOUT("failed", FAILURE_("payer_not_found", "true")), GW_FAILED,
         FAILURE_CUSTOMER_UNREACHABLE, 1, 0},
        /* it was there before */
        {200, PAYOUT("returned", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, PAYOUT("processing", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, PAYOUT("refunded", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {202, PAYOUT("pending", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, PAYOUT_OF("another", "completed", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, REFUND("completed", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {201, PAYMENT("completed", "null"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    };
    static const struct answer_case told[] = {
        {200, LIST(PAYOUT("pending", "null")), GW_PENDING, FAILURE_NONE, 0, 0},
        {200, LIST(PAYOUT("completed", "null")), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {200, LIST(PAYOUT("returned", "null")), GW_REVERSED, FAILURE_NONE, 0, 0},
        {200, LIST(PAYOUT("failed", FAILURE_("declined", "true"))), GW_FAILED, FAILURE_DECLINED, 1,
         0},
        {200, PAYOUT("completed", "null"), GW_SUCCEEDED, FAILURE_NONE, 0, 0},
        {200, LIST(""), GW_NOT_FOUND, FAILURE_NONE, 0, 0},
        {200, LIST(PAYOUT("pending", "null") "," PAYOUT("failed", "null")), GW_UNKNOWN,
         FAILURE_NONE, 0, 0},
        {200, LIST(REFUND("completed", "null")), GW_UNKNOWN, FAILURE_NONE, 0, 0},
        {404, FAULT("not_found"), GW_UNKNOWN, FAILURE_NONE, 0, 0},
    };
    run(READ_PAYOUT, sent, COUNT_OF(sent));
    run(READ_PAYOUT_QUERY, told, COUNT_OF(told));
    struct outbound_response in = answer(200, LIST(PAYOUT("completed", "null")));
    struct gw_result r = parse(READ_PAYOUT_QUERY, &in);
    assert_text(r.provider_ref, PAYOUT_ID);
    assert_text(r.our_id, PAYOUT_ID);
    assert_text(r.receipt, "cpo_01J8Z0OUT0");
    assert_int_equal(r.amount.minor, 70000);
    /* nothing of another's is kept; a status of payouts says nothing of others */
    in = answer(201, PAYOUT_OF("another", "completed", "null"));
    r = parse(READ_PAYOUT, &in);
    assert_int_equal(r.provider_ref.n + r.our_id.n, 0);
    in = answer(200, PAYMENT("returned", "null"));
    assert_int_equal(parse(READ_QUERY, &in).verdict, GW_UNKNOWN);
    in = answer(200, LIST(REFUND("returned", "null")));
    assert_int_equal(parse(READ_REFUND_QUERY, &in).verdict, GW_UNKNOWN);
}

/* No answer at all: what was certainly not sent was not taken, everything else is open. */
static void no_answer(void **state)
{
    (void)state;
    struct outbound_response never = {.outcome = OUTBOUND_NOT_SENT, .error = "connect"};
    struct outbound_response lost = {.outcome = OUTBOUND_UNKNOWN, .error = "timeout"};
    struct outbound_response mute = {.outcome = OUTBOUND_UNKNOWN};
    for (int reader = 0; reader < N_READERS; reader++) {
        bool order = reader == READ_CHARGE || reader == READ_REFUND || reader == READ_PAYOUT;
        struct gw_result r = parse((enum reader)reader, &never);
        assert_int_equal(r.verdict, order ? GW_REFUSED : GW_UNKNOWN);
        assert_int_equal(r.code, order ? FAILURE_PROVIDER_UNAVAILABLE : FAILURE_NONE);
        assert_true(r.retry_later);
        r = parse((enum reader)reader, &lost);
        assert_int_equal(r.verdict, GW_UNKNOWN);
        assert_false(r.retry_later);
        assert_int_equal(parse((enum reader)reader, &mute).verdict, GW_UNKNOWN);
    }
}

/* ---- spoiled answers ---- */

static const char *const whole[N_READERS] = {
    [READ_CHARGE] = PAYMENT_OF(OUR_ID, "pending",
                               "{\"type\":\"redirect\",\"url\":\"https://p.example/a\"}", "null"),
    [READ_QUERY] = PAYMENT("completed", "null"),
    [READ_REFUND] = REFUND("completed", "null"),
    [READ_REFUND_QUERY] = LIST(REFUND("completed", "null")),
    [READ_PAYOUT] = PAYOUT("completed", "null"),
    [READ_PAYOUT_QUERY] = LIST(PAYOUT("returned", "null")),
};

static void truncated(void **state)
{
    for (int reader = 0; reader < N_READERS; reader++) {
        for (size_t n = 0; n < strlen(whole[reader]); n++) {
            struct outbound_response in = answer(reader == READ_CHARGE ? 201 : 200, whole[reader]);
            in.body.n = n;
            assert_int_equal(parse((enum reader)reader, &in).verdict, GW_UNKNOWN);
        }
        (void)fresh(state);
    }
}

/* Any one byte in the place of another: whatever comes of it keeps the rules (check_result), and
 * never becomes a success over another amount unless the digits themselves were changed. */
static void one_byte(void **state)
{
    static const char bytes[] = {'"', '0', '}', 'x', '\\', '-', '\0', (char)0xff};
    for (int reader = 0; reader < N_READERS; reader++) {
        size_t n = strlen(whole[reader]);
        for (size_t at = 0; at < n; at++) {
            for (size_t k = 0; k < sizeof bytes; k++) {
                struct outbound_response in = answer(200, whole[reader]);
                char *copy = arena_alloc(&mem, n);
                assert_non_null(copy);
                memcpy(copy, whole[reader], n);
                copy[at] = bytes[k];
                in.body = str_n(copy, n);
                (void)parse((enum reader)reader, &in);
            }
            (void)fresh(state);
        }
    }
}

/* Each member in turn with a value of every other kind. */
static void wrong_types(void **state)
{
    static const char *const needed[] = {"id",     "object",   "reference",
                                         "amount", "currency", "status"};
    static const char *const values[] = {"null",  "true", "-1", "0",   "1.5",   "\"\"",
                                         "\"x\"", "[]",   "{}", "[1]", "1e400", "\"150000\""};
    static const char *const names[] = {
        "id",       "object",      "reference", "amount",          "currency",
        "status",   "next_action", "failure",   "amount_refunded", "fee",
        "livemode", "metadata",    "expires_at"};
    static const struct {
        const char *name, *value;
    } fields[] = {{"id", "\"cpm_1\""},     {"object", "\"payment\""}, {"reference", "\"r\""},
                  {"amount", "150000"},    {"currency", "\"RWF\""},   {"status", "\"completed\""},
                  {"next_action", "null"}, {"failure", "null"},       {"amount_refunded", "0"},
                  {"fee", "null"},         {"livemode", "false"},     {"metadata", "{}"},
                  {"expires_at", "null"}};
    for (size_t spoiled = 0; spoiled < COUNT_OF(names); spoiled++) {
        bool matters = false;
        for (size_t i = 0; i < COUNT_OF(needed); i++)
            matters |= strcmp(needed[i], names[spoiled]) == 0;
        for (size_t v = 0; v < COUNT_OF(values); v++) {
            struct buf b;
            buf_init(&b, 4096);
            for (size_t i = 0; i < COUNT_OF(fields); i++)
                buf_fmt(&b, "%s\"%s\":%s", i == 0 ? "{" : ",", fields[i].name,
                        strcmp(fields[i].name, names[spoiled]) == 0 ? values[v] : fields[i].value);
            buf_char(&b, '}');
            buf_char(&b, 0);
            struct outbound_response in = answer(200, b.p);
            enum gw_verdict got = parse(READ_QUERY, &in).verdict;
            bool huge = strcmp(values[v], "1e400") == 0; /* no JSON that we take */
            bool word = strcmp(names[spoiled], "reference") == 0 &&
                        (strcmp(values[v], "\"x\"") == 0 || strcmp(values[v], "\"150000\"") == 0);
            enum gw_verdict want = (matters && !word) || huge ? GW_UNKNOWN : GW_SUCCEEDED;
            if (got != want)
                fail_msg("%s: verdict %d", b.p, (int)got);
            buf_free(&b);
        }
        (void)fresh(state);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *amount;
        bool ok;
    } cases[] = {
        {"1", true},
        {"999999999999999", true},
        {"1000000000000000", false},
        {"9223372036854775807", false},
        {"9223372036854775808", false},
        {"99999999999999999999999999", false},
        {"-150000", false},
        {"150000.0", false},
        {"15e4", false},
        {"0", false},
        {"-0", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"id\":\"cpm_1\",\"object\":\"payment\",\"reference\":\"r\",\"amount\":%s,"
                       "\"currency\":\"RWF\",\"status\":\"completed\"}",
                       cases[i].amount);
        struct outbound_response in = answer(200, body);
        enum gw_verdict got = parse(READ_QUERY, &in).verdict;
        if (got != (cases[i].ok ? GW_SUCCEEDED : GW_UNKNOWN))
            fail_msg("%s: verdict %d", cases[i].amount, (int)got);
    }
}

static void said_twice(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"id\":\"cpm_1\",\"object\":\"payment\",\"reference\":\"r\",\"amount\":1,"
        "\"currency\":\"RWF\",\"status\":\"failed\",\"status\":\"completed\"}",
        "{\"id\":\"cpm_1\",\"id\":\"cpm_2\",\"object\":\"payment\",\"reference\":\"r\","
        "\"amount\":1,\"currency\":\"RWF\",\"status\":\"completed\"}",
        "{\"id\":\"cpm_1\",\"object\":\"payment\",\"reference\":\"r\",\"amount\":1,"
        "\"am\\u006funt\":2,\"currency\":\"RWF\",\"status\":\"completed\"}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct outbound_response in = answer(200, bodies[i]);
        assert_int_equal(parse(READ_QUERY, &in).verdict, GW_UNKNOWN);
    }
}

/* The provider's words are kept short and whole. */
static void words(void **state)
{
    (void)state;
    char body[1024], text[512];
    for (size_t i = 0; i < 150; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 3);
    text[0] = 'x';
    text[1] = '\t';
    (void)snprintf(body, sizeof body, "{\"error\":{\"code\":\"declined\",\"message\":\"x\\n%s\"}}",
                   text + 2);
    struct outbound_response in = answer(402, body);
    struct gw_result r = parse(READ_CHARGE, &in);
    assert_int_equal(r.message.n, 200);
    assert_true(str_starts(r.message, STR("x \xc3\xa9")));
    assert_text(r.provider_code, "declined");
}

/* With an arena that ends anywhere nothing becomes certain that is not. */
static void little_memory(void **state)
{
    (void)state;
    for (int reader = 0; reader < N_READERS; reader++) {
        for (size_t limit = 0; limit < 1024; limit += 16) {
            struct gw_account a = {.gateway = gw};
            struct outbound_response in = answer(reader == READ_CHARGE ? 201 : 200, whole[reader]);
            struct gw_result r;
            struct arena small;
            arena_init(&small, limit);
            hear(&a, (enum reader)reader, &in, &small, &r);
            check_result(&r);
            assert_true(r.verdict != GW_NOT_FOUND && r.verdict != GW_REFUSED);
            arena_free(&small);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(order_errors, fresh),
        cmocka_unit_test_setup(question_errors, fresh),
        cmocka_unit_test_setup(charges, fresh),
        cmocka_unit_test_setup(actions, fresh),
        cmocka_unit_test_setup(query_answers, fresh),
        cmocka_unit_test_setup(lists, fresh),
        cmocka_unit_test_setup(refund_answers, fresh),
        cmocka_unit_test_setup(payout_answers, fresh),
        cmocka_unit_test_setup(no_answer, fresh),
        cmocka_unit_test_setup(truncated, fresh),
        cmocka_unit_test_setup(one_byte, fresh),
        cmocka_unit_test_setup(wrong_types, fresh),
        cmocka_unit_test_setup(numbers, fresh),
        cmocka_unit_test_setup(said_twice, fresh),
        cmocka_unit_test_setup(words, fresh),
        cmocka_unit_test_setup(little_memory, fresh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
