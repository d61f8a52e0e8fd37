/* Stripe's webhooks, written from its documents. The signatures were computed by another program
 * (Python's hmac). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/stripe_case.h"

#define BODY "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"payment_intent.succeeded\"}"
/* HMAC of "1767960000." and BODY under "whsec_test", "whsec_new", "whsec_other". */
#define TIME "t=1767960000"
#define GOOD "v1=e689462fb03c582d030887cd2b79f4c038de9f3381bbbb45ea6f27e0b066eca3"
#define NEW "v1=8436afaeb52976439f4cd030001e42f75d664ca9659daaf8b1413ff21b76938f"
#define OTHER "v1=e3b6dc85d52cc25d229ca5bbd39dc2ace46c279f9e3cdbd52fa8a77bb20e042b"

static bool verified_by(const char *secrets, const char *signature, const char *body,
                        int64_t now_us)
{
    struct gw_account a = account();
    struct gw_webhook w = {
        .body = str_c(body), .signature = str_c(signature), .timestamp = STR(""), .now_us = now_us};
    set(&a, "webhook_secret", secrets);
    struct err err = gw->webhook_verify(&a, &w);
    assert_true(err.code == ERR_NONE || err.code == ERR_UNAUTHENTICATED);
    return err.code == ERR_NONE;
}

static bool verified(const char *signature, const char *body, int64_t now_us)
{
    return verified_by("whsec_test", signature, body, now_us);
}

static void signatures(void **state)
{
    (void)state;
    static const struct {
        const char *secrets, *signature;
        bool ok;
    } cases[] = {
        {"whsec_test", TIME "," GOOD, true},
        {"whsec_test", GOOD "," TIME, true},
        {"whsec_test", TIME ", " GOOD, true},
        {"whsec_test", TIME "," OTHER "," GOOD, true}, /* the sender rolls */
        {"whsec_test", TIME "," GOOD "," OTHER ",v0=00", true},
        {"whsec_new,whsec_test", TIME "," GOOD, true}, /* so do we */
        {"whsec_test, whsec_new", TIME "," NEW, true},
        {"whsec_test,whsec_new", TIME "," OTHER, false},
        {"whsec_test", TIME "," NEW, false},
        {"", TIME "," GOOD, false},
        {",", TIME "," GOOD, false},
        {"whsec_tes", TIME "," GOOD, false},
        {"whsec_test", "", false},
        {"whsec_test", TIME, false},
        {"whsec_test", GOOD, false},
        {"whsec_test", TIME "," TIME "," GOOD, false},
        {"whsec_test", "t=1767960001," GOOD, false},
        {"whsec_test", "t=01767960000," GOOD, false},
        {"whsec_test", "t=+1767960000," GOOD, false},
        {"whsec_test", "t=," GOOD, false},
        {"whsec_test", "t=99999999999999999999," GOOD, false},
        {"whsec_test", TIME ",v1=", false},
        {"whsec_test", TIME ",v0=e689462fb03c582d030887cd2b79f4c038de9f3381bbbb45ea6f27e0b066eca3",
         false},
        {"whsec_test", TIME ",v1=E689462FB03C582D030887CD2B79F4C038DE9F3381BBBB45EA6F27E0B066ECA3",
         false},
        {"whsec_test", TIME ",v1=e689462fb03c582d030887cd2b79f4c038de9f3381bbbb45ea6f27e0b066eca",
         false},
        {"whsec_test", TIME "," GOOD "00", false},
        {"whsec_test",
         TIME ",v1=1,v1=2,v1=3,v1=4,v1=5,v1=6,v1=7,v1=8,v1=9,v1=1,v1=2,v1=3,v1=4,v1=5,v1=6," GOOD,
         true},
        {"whsec_test",
         TIME
         ",v1=1,v1=2,v1=3,v1=4,v1=5,v1=6,v1=7,v1=8,v1=9,v1=1,v1=2,v1=3,v1=4,v1=5,v1=6,v1=7," GOOD,
         false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (verified_by(cases[i].secrets, cases[i].signature, BODY, NOW_US) != cases[i].ok)
            fail_msg("%s: %s", cases[i].secrets, cases[i].signature);
}

static void times(void **state)
{
    (void)state;
    static const struct {
        int64_t off_s;
        bool ok;
    } cases[] = {{0, true},     {299, true},   {300, true},     {301, false},      {-300, true},
                 {-301, false}, {3600, false}, {-86400, false}, {400000000, false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(verified(TIME "," GOOD, BODY, NOW_US + cases[i].off_s * US_PER_S),
                         cases[i].ok);
}

/* No bit of the body and of the signature may be another one. */
static void forged(void **state)
{
    char body[] = BODY, signature[] = TIME "," GOOD;
    for (size_t i = 0; i < sizeof body - 1; i++) {
        for (int bit = 0; bit < 8; bit++) {
            body[i] = (char)(body[i] ^ (1 << bit));
            assert_false(verified(signature, body, NOW_US));
            body[i] = (char)(body[i] ^ (1 << bit));
        }
        (void)fresh(state);
    }
    for (size_t i = sizeof TIME + 3; i < sizeof signature - 1; i++) {
        for (int bit = 0; bit < 8; bit++) {
            signature[i] = (char)(signature[i] ^ (1 << bit));
            assert_false(verified(signature, body, NOW_US));
            signature[i] = (char)(signature[i] ^ (1 << bit));
        }
        (void)fresh(state);
    }
    assert_true(verified(signature, body, NOW_US));
    assert_false(verified(signature, BODY " ", NOW_US));
    assert_false(verified(signature, "", NOW_US));
}

/* One URL for both modes, with a secret of each: genuine, thanked for, and none of ours. */
static void an_event_of_the_other_mode_is_none_of_ours(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_webhook w = {
        .body = STR("{\"id\":\"evt_1\",\"object\":\"event\",\"livemode\":false,"
                    "\"type\":\"payment_intent.succeeded\"}"),
        .signature = STR(TIME ",v1="
                              "f16eaac30b096d3eddb44cbda9c7275296b90dfcc5ad6ddefa1451610d079574"),
        .timestamp = STR(""),
        .now_us = NOW_US};
    set(&a, "webhook_secret", "whsec_live,whsec_test");
    set(&a, "api_key", "sk_test_1");
    assert_int_equal(gw->webhook_verify(&a, &w).code, ERR_NONE);
    set(&a, "api_key", "rk_live_1");
    assert_int_equal(gw->webhook_verify(&a, &w).code, ERR_NOT_FOUND);
    set(&a, "webhook_secret", "whsec_live");
    assert_int_equal(gw->webhook_verify(&a, &w).code, ERR_UNAUTHENTICATED);
}

/* ---- what they say ---- */

enum { PAYMENT_, REFUND__, NEITHER };

static const struct event_case {
    const char *body;
    int about;
    enum gw_verdict verdict;
    enum failure_code code;
} events[] = {
    {EVENT("checkout.session.completed", SESSION("complete", "paid", "\"pi_1\"")), PAYMENT_,
     GW_SUCCEEDED, 0},
    {EVENT("checkout.session.completed", SESSION("complete", "unpaid", "\"pi_1\"")), PAYMENT_,
     GW_PENDING, 0},
    {EVENT("checkout.session.async_payment_succeeded", SESSION("complete", "paid", "\"pi_1\"")),
     PAYMENT_, GW_SUCCEEDED, 0},
    {EVENT("checkout.session.async_payment_failed", SESSION("complete", "unpaid", "\"pi_1\"")),
     PAYMENT_, GW_FAILED, FAILURE_DECLINED},
    {EVENT("checkout.session.expired", SESSION("expired", "unpaid", "null")), PAYMENT_, GW_FAILED,
     FAILURE_CUSTOMER_TIMEOUT},
    {EVENT("payment_intent.succeeded", INTENT("succeeded", "5000")), PAYMENT_, GW_SUCCEEDED, 0},
    {EVENT("payment_intent.payment_failed",
           INTENT_OF(OUR_ID, "requires_payment_method", "0", DECLINE("generic_decline"), "null")),
     PAYMENT_, GW_PENDING, 0},
    {EVENT("payment_intent.requires_action", INTENT("requires_action", "0")), PAYMENT_, GW_PENDING,
     0},
    {EVENT("payment_intent.processing", INTENT("processing", "0")), PAYMENT_, GW_PENDING, 0},
    {EVENT("payment_intent.canceled",
           INTENT_OF(OUR_ID, "canceled", "0", "null", "\"requested_by_customer\"")),
     PAYMENT_, GW_FAILED, FAILURE_CANCELLED_BY_CUSTOMER},
    {EVENT("refund.created", REFUND("pending")), REFUND__, GW_PENDING, 0},
    {EVENT("refund.created", REFUND("succeeded")), REFUND__, GW_SUCCEEDED, 0},
    {EVENT("refund.updated", REFUND("succeeded")), REFUND__, GW_SUCCEEDED, 0},
    {EVENT("charge.refund.updated", REFUND("succeeded")), REFUND__, GW_SUCCEEDED, 0},
    {EVENT("refund.failed", REFUND_OF(OUR_ID, "pi_1", "failed", "\"insufficient_funds\"")),
     REFUND__, GW_FAILED, FAILURE_INSUFFICIENT_FUNDS},
    /* the event and its object disagree: nothing is believed */
    {EVENT("checkout.session.expired", SESSION("complete", "paid", "\"pi_1\"")), PAYMENT_,
     GW_UNKNOWN, 0},
    {EVENT("checkout.session.completed", SESSION("expired", "unpaid", "null")), PAYMENT_,
     GW_UNKNOWN, 0},
    {EVENT("checkout.session.async_payment_failed", SESSION("complete", "paid", "\"pi_1\"")),
     PAYMENT_, GW_UNKNOWN, 0},
    {EVENT("payment_intent.succeeded", INTENT("processing", "0")), PAYMENT_, GW_UNKNOWN, 0},
    {EVENT("payment_intent.payment_failed", INTENT("succeeded", "5000")), PAYMENT_, GW_UNKNOWN, 0},
    {EVENT("refund.failed", REFUND("succeeded")), REFUND__, GW_UNKNOWN, 0},
    {EVENT("refund.created", SESSION("complete", "paid", "\"pi_1\"")), PAYMENT_, GW_UNKNOWN, 0},
    {EVENT("payment_intent.succeeded", REFUND("succeeded")), REFUND__, GW_UNKNOWN, 0},
    /* nobody has documented it */
    {EVENT("checkout.session.blessed", SESSION("complete", "paid", "\"pi_1\"")), PAYMENT_,
     GW_UNKNOWN, 0},
    {EVENT("payment_intent.succeeded", INTENT("blessed", "5000")), PAYMENT_, GW_UNKNOWN, 0},
    {EVENT("payment_intent.succeeded", INTENT("succeeded", "null")), PAYMENT_, GW_UNKNOWN, 0},
    /* about nothing of ours */
    {EVENT("charge.succeeded",
           "{\"id\":\"ch_1\",\"object\":\"charge\",\"metadata\":{\"reli\":\"" OUR_ID "\"}}"),
     NEITHER, 0, 0},
    {EVENT("charge.dispute.created", "{\"id\":\"dp_1\",\"object\":\"dispute\",\"metadata\":{}}"),
     NEITHER, 0, 0},
    {EVENT("payment_intent.succeeded", INTENT_OF("", "succeeded", "5000", "null", "null")), NEITHER,
     0, 0},
    {EVENT("payment_intent.succeeded", INTENT_OF("a/b", "succeeded", "5000", "null", "null")),
     NEITHER, 0, 0},
    {EVENT("payment_intent.succeeded", "null"), NEITHER, 0, 0},
    {"{\"object\":\"v2.core.event\",\"type\":\"x\"}", NEITHER, 0, 0},
    {INTENT("succeeded", "5000"), NEITHER, 0, 0},
    {"{}", NEITHER, 0, 0},
    {"[]", NEITHER, 0, 0},
    {"", NEITHER, 0, 0},
};

static void says(void **state)
{
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        const struct event_case *c = &events[i];
        struct gw_callback in = {.body = str_c(c->body), .kind = STR("")};
        struct gw_result r, back;
        struct str subject;
        bool payment = !err_is(gw->callback_parse(&in, &mem, &r));
        bool refund = !err_is(gw->refund_callback_parse(&in, &mem, &back));
        if (payment != (c->about == PAYMENT_) || refund != (c->about == REFUND__))
            fail_msg("%d %d: %s", payment, refund, c->body);
        assert_int_equal(err_is(gw->webhook_subject(in.body, &mem, &subject)), c->about == NEITHER);
        if (c->about == NEITHER)
            continue;
        if (refund)
            r = back;
        check_result(&r);
        if (r.verdict != c->verdict || r.code != c->code)
            fail_msg("verdict %d code %d: %s", (int)r.verdict, (int)r.code, c->body);
        assert_text(subject, OUR_ID);
        assert_text(r.our_id, OUR_ID);
        (void)fresh(state);
    }
}

#define REFUND_AT_STRIPE(status, more)                                                            \
    "{\"id\":\"re_9\",\"object\":\"refund\",\"amount\":2000,\"charge\":\"ch_1\",\"currency\":"    \
    "\"rwf\",\"payment_intent\":\"pi_1\",\"reason\":\"duplicate\",\"status\":\"" status "\"" more \
    "}"

/* The merchant gives money back in Stripe's dashboard: reli did not ask for it, and its books have
 * to know. */
static void a_refund_made_at_stripe_takes_the_payment_back(void **state)
{
    static const struct {
        const char *body, *dispute;
        enum gw_verdict verdict;
        enum gw_dispute_state state;
    } cases[] = {
        {EVENT("refund.created", REFUND_AT_STRIPE("succeeded", ",\"metadata\":{}")), "re_9",
         GW_REVERSED, GW_DISPUTE_LOST},
        {EVENT("refund.updated", REFUND_AT_STRIPE("succeeded", ",\"metadata\":{\"order\":\"7\"}")),
         "re_9", GW_REVERSED, GW_DISPUTE_LOST},
        {EVENT("refund.created", REFUND_AT_STRIPE("pending", ",\"metadata\":{}")), "", GW_PENDING,
         GW_DISPUTE_OPEN},
        {EVENT("refund.updated", REFUND_AT_STRIPE("canceled", ",\"metadata\":{}")), "", GW_PENDING,
         GW_DISPUTE_OPEN},
        {EVENT("refund.failed", REFUND_AT_STRIPE("failed", ",\"metadata\":{\"x\":\"y\"}")),
         "re_9.failed", GW_PENDING, GW_DISPUTE_OPEN},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_callback in = {.body = str_c(cases[i].body), .kind = STR("")};
        struct gw_result r;
        struct str ref, subject;
        assert_int_equal(gw->webhook_subject(in.body, &mem, &subject).code, ERR_PARSE);
        assert_int_equal(gw->webhook_about(in.body, &mem, &ref).code, ERR_NONE);
        assert_text(ref, "pi_1");
        assert_int_equal(gw->callback_parse(&in, &mem, &r).code, ERR_NONE);
        assert_int_equal(r.verdict, cases[i].verdict);
        assert_text(r.dispute.id, cases[i].dispute);
        if (r.dispute.id.n > 0) {
            assert_int_equal(r.dispute.state, cases[i].state);
            assert_int_equal(r.dispute.amount.minor, 2000);
            assert_text(r.dispute.reason, "duplicate");
        }
        assert_text(r.receipt, r.verdict == GW_REVERSED ? "pi_1" : "");
        (void)fresh(state);
    }
}

/* The intent's id is no reference of ours: that of the Checkout object is. */
static void references(void **state)
{
    (void)state;
    struct gw_callback in = {.kind = STR("")};
    struct gw_result r;
    in.body = STR(EVENT("payment_intent.succeeded", INTENT("succeeded", "5000")));
    assert_int_equal(gw->callback_parse(&in, &mem, &r).code, ERR_NONE);
    assert_int_equal(r.provider_ref.n, 0);
    assert_text(r.receipt, "pi_1");
    in.body = STR(EVENT("checkout.session.completed", SESSION("complete", "paid", "\"pi_1\"")));
    assert_int_equal(gw->callback_parse(&in, &mem, &r).code, ERR_NONE);
    assert_text(r.provider_ref, "cs_test_a1");
    assert_text(r.receipt, "pi_1");
}

static void truncated(void **state)
{
    static const char *const bodies[] = {
        EVENT("checkout.session.completed", SESSION("complete", "paid", "\"pi_1\"")),
        EVENT("refund.updated", REFUND("succeeded")),
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (size_t n = 0; n < strlen(bodies[i]); n++) {
            struct gw_callback in = {.body = str_n(bodies[i], n), .kind = STR("")};
            struct gw_result r;
            struct str subject;
            assert_int_equal(gw->callback_parse(&in, &mem, &r).code, ERR_PARSE);
            assert_int_equal(gw->refund_callback_parse(&in, &mem, &r).code, ERR_PARSE);
            assert_int_equal(gw->webhook_subject(in.body, &mem, &subject).code, ERR_PARSE);
        }
        (void)fresh(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(signatures, fresh),
        cmocka_unit_test_setup(times, fresh),
        cmocka_unit_test_setup(forged, fresh),
        cmocka_unit_test_setup(says, fresh),
        cmocka_unit_test_setup(an_event_of_the_other_mode_is_none_of_ours, fresh),
        cmocka_unit_test_setup(a_refund_made_at_stripe_takes_the_payment_back, fresh),
        cmocka_unit_test_setup(references, fresh),
        cmocka_unit_test_setup(truncated, fresh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
