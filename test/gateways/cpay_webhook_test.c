/* CPay's webhooks, written from cpay.md. The signatures were computed by another program (Python's
 * hmac). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/cpay_case.h"

#define BODY "{\"id\":\"evt_01J8Z0DEMO\",\"type\":\"payment.completed\"}"
/* HMAC of "1767960000." and BODY under "cpw_test" and "cpw_old". */
#define TIME "t=1767960000"
#define GOOD "v1=e0363d0c987a6cccfb9d094af94b27ad8d3b2c277521eb06721cfa78ba20d4f4"
#define OLD "v1=9231afad2c0eabc323a88de2b9d80a39c28323cdb67e1661c5d752f6ac5f071f"

static bool verified(const char *signature, const char *body, int64_t now_us)
{
    struct gw_account a = account();
    struct gw_webhook w = {
        .body = str_c(body), .signature = str_c(signature), .timestamp = STR(""), .now_us = now_us};
    struct err err = gw->webhook_verify(&a, &w);
    assert_true(err.code == ERR_NONE || err.code == ERR_UNAUTHENTICATED);
    return err.code == ERR_NONE;
}

static void signatures(void **state)
{
    (void)state;
    static const struct {
        const char *signature;
        bool ok;
    } cases[] = {
        {TIME "," GOOD, true},
        {GOOD "," TIME, true},
        {TIME ", " GOOD, true},
        {TIME "," OLD "," GOOD, true}, /* the sender rotates */
        {TIME "," GOOD "," OLD, true},
        {TIME ",v0=00,v2=11," GOOD, true},
        {TIME ",v1=," GOOD, true},
        {TIME "," OLD, false},
        {"", false},
        {TIME, false},
        {GOOD, false},
        {TIME "," TIME "," GOOD, false},
        {"t=1767960001," GOOD, false},
        {"t=01767960000," GOOD, false},
        {"t=+1767960000," GOOD, false},
        {"t=," GOOD, false},
        {"t=1767960000.0," GOOD, false},
        {"t=99999999999999999999," GOOD, false},
        {TIME ",v1=", false},
        {TIME ",v1=E0363D0C987A6CCCFB9D094AF94B27AD8D3B2C277521EB06721CFA78BA20D4F4", false},
        {TIME ",v1=e0363d0c987a6cccfb9d094af94b27ad8d3b2c277521eb06721cfa78ba20d4f", false},
        {TIME "," GOOD "00", false},
        {TIME ",v1=0" OLD, false},
        {TIME ",v2=e0363d0c987a6cccfb9d094af94b27ad8d3b2c277521eb06721cfa78ba20d4f4", false},
        {TIME ",v1=1,v1=2,v1=3,v1=4,v1=5,v1=6,v1=7," GOOD, true},
        {TIME ",v1=1,v1=2,v1=3,v1=4,v1=5,v1=6,v1=7,v1=8," GOOD, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (verified(cases[i].signature, BODY, NOW_US) != cases[i].ok)
            fail_msg("%s", cases[i].signature);
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
    (void)state;
    char body[] = BODY, signature[] = TIME "," GOOD;
    for (size_t i = 0; i < sizeof body - 1; i++) {
        for (int bit = 0; bit < 8; bit++) {
            body[i] = (char)(body[i] ^ (1 << bit));
            assert_false(verified(signature, body, NOW_US));
            body[i] = (char)(body[i] ^ (1 << bit));
        }
    }
    for (size_t i = sizeof TIME + 3; i < sizeof signature - 1; i++) {
        for (int bit = 0; bit < 8; bit++) {
            signature[i] = (char)(signature[i] ^ (1 << bit));
            assert_false(verified(signature, body, NOW_US));
            signature[i] = (char)(signature[i] ^ (1 << bit));
        }
    }
    assert_true(verified(signature, body, NOW_US));
    assert_false(verified(signature, BODY " ", NOW_US));
}

/* Without a secret nobody can have signed anything, not even with an empty key. */
static void no_secret(void **state)
{
    (void)state;
    struct gw_account a = account();
    uint8_t mac[SHA256_LEN];
    char signature[128];
    int at = snprintf(signature, sizeof signature, "%s,v1=", TIME);
    hmac_sha256_one(STR(""), STR("1767960000." BODY), mac);
    for (size_t i = 0; i < sizeof mac; i++)
        at += snprintf(signature + at, sizeof signature - (size_t)at, "%02x", mac[i]);
    struct gw_webhook w = {.body = STR(BODY), .signature = str_c(signature), .now_us = NOW_US};
    set(&a, "webhook_secret", "");
    assert_int_equal(gw->webhook_verify(&a, &w).code, ERR_UNAUTHENTICATED);
    a.settings[1] = (struct secret){0};
    assert_int_equal(gw->webhook_verify(&a, &w).code, ERR_UNAUTHENTICATED);
}

/* ---- what they say ---- */

enum { PAYMENT_EVENT_, REFUND_EVENT_, PAYOUT_EVENT_, NEITHER };

static const struct event_case {
    const char *body;
    int about;
    enum gw_verdict verdict;
    enum failure_code code;
} events[] = {
    {EVENT("payment.processing", PAYMENT("processing", "null")), PAYMENT_EVENT_, GW_PENDING, 0},
    {EVENT("payment.completed", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_SUCCEEDED, 0},
    {EVENT("payment.completed", PAYMENT("partially_refunded", "null")), PAYMENT_EVENT_,
     GW_SUCCEEDED, 0},
    {EVENT("payment.failed", PAYMENT("failed", FAILURE_("declined", "true"))), PAYMENT_EVENT_,
     GW_FAILED, FAILURE_DECLINED},
    {EVENT("payment.cancelled", PAYMENT("cancelled", "null")), PAYMENT_EVENT_, GW_FAILED,
     FAILURE_CANCELLED_BY_CUSTOMER},
    {EVENT("payment.expired", PAYMENT("expired", "null")), PAYMENT_EVENT_, GW_FAILED,
     FAILURE_CUSTOMER_TIMEOUT},
    {EVENT("payment.disputed", PAYMENT("disputed", "null")), PAYMENT_EVENT_, GW_SUCCEEDED, 0},
    {EVENT("payment.dispute_closed", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_SUCCEEDED,
     0},
    {EVENT("payment.dispute_closed", PAYMENT("refunded", "null")), PAYMENT_EVENT_, GW_REVERSED, 0},
    /* by a refund of ours */
    {EVENT("payment.completed", PAYMENT("refunded", "null")), PAYMENT_EVENT_, GW_SUCCEEDED, 0},
    {EVENT("refund.completed", REFUND("completed", "null")), REFUND_EVENT_, GW_SUCCEEDED, 0},
    {EVENT("refund.failed", REFUND("failed", FAILURE_("declined", "true"))), REFUND_EVENT_,
     GW_FAILED, FAILURE_DECLINED},
    {EVENT("payout.completed", PAYOUT("completed", "null")), PAYOUT_EVENT_, GW_SUCCEEDED, 0},
    {EVENT("payout.failed", PAYOUT("failed", FAILURE_("declined", "true"))), PAYOUT_EVENT_,
     GW_FAILED, FAILURE_DECLINED},
    {EVENT("payout.returned", PAYOUT("returned", "null")), PAYOUT_EVENT_, GW_REVERSED, 0},
    /* the event and its object disagree: nothing is believed */
    {EVENT("payout.completed", PAYOUT("returned", "null")), PAYOUT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payout.returned", PAYOUT("completed", "null")), PAYOUT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payout.failed", PAYOUT("completed", "null")), PAYOUT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payout.completed", PAYOUT("pending", "null")), PAYOUT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("refund.completed", PAYOUT("completed", "null")), PAYOUT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payout.completed", REFUND("completed", "null")), REFUND_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payment.completed", PAYMENT("failed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payment.failed", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payment.processing", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("refund.completed", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payment.completed", REFUND("completed", "null")), REFUND_EVENT_, GW_UNKNOWN, 0},
    {EVENT("refund.completed", REFUND("pending", "null")), REFUND_EVENT_, GW_UNKNOWN, 0},
    /* nobody has documented it */
    {EVENT("payment.blessed", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("payment.completed", PAYMENT("blessed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    {EVENT("", PAYMENT("completed", "null")), PAYMENT_EVENT_, GW_UNKNOWN, 0},
    /* about nothing of ours */
    {EVENT(
         "balance.changed",
         "{\"id\":\"cpb_1\",\"object\":\"balance\",\"reference\":\"p1\",\"status\":\"completed\"}"),
     NEITHER, GW_UNKNOWN, 0},
    {EVENT("payment.completed", PAYMENT_OF("", "completed", "null", "null")), NEITHER, GW_UNKNOWN,
     0},
    {EVENT("payment.completed", PAYMENT_OF("a/b", "completed", "null", "null")), NEITHER,
     GW_UNKNOWN, 0},
    {EVENT("payment.completed", "null"), NEITHER, GW_UNKNOWN, 0},
    {EVENT("payment.completed", "[]"), NEITHER, GW_UNKNOWN, 0},
    {PAYMENT("completed", "null"), NEITHER, GW_UNKNOWN, 0},
    {"{}", NEITHER, GW_UNKNOWN, 0},
    {"[]", NEITHER, GW_UNKNOWN, 0},
    {"", NEITHER, GW_UNKNOWN, 0},
    {"null", NEITHER, GW_UNKNOWN, 0},
    {"{\"type\":\"payment.completed\",\"type\":\"payment.failed\"}", NEITHER, GW_UNKNOWN, 0},
};

static void says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        const struct event_case *c = &events[i];
        struct gw_callback in = {.body = str_c(c->body), .kind = STR("")};
        struct gw_result r;
        struct str subject = STR_NULL;
        struct gw_result as[NEITHER];
        const struct err read[NEITHER] = {gw->callback_parse(&in, &mem, &as[0]),
                                          gw->refund_callback_parse(&in, &mem, &as[1]),
                                          gw->payout_callback_parse(&in, &mem, &as[2])};
        r = as[c->about != NEITHER ? c->about : 0];
        for (int k = 0; k < NEITHER; k++)
            if (read[k].code != (k == c->about ? ERR_NONE : ERR_PARSE))
                fail_msg("as %d: %s", k, c->body);
        if (c->about != NEITHER)
            check_result(&r);
        if (r.verdict != c->verdict || r.code != c->code)
            fail_msg("verdict %d code %d: %s", (int)r.verdict, (int)r.code, c->body);
        assert_int_equal(err_is(gw->webhook_subject(in.body, &mem, &subject)), c->about == NEITHER);
        if (c->about == PAYMENT_EVENT_) {
            assert_text(subject, OUR_ID);
            assert_text(r.our_id, OUR_ID);
        } else if (c->about == REFUND_EVENT_) {
            assert_text(subject, REFUND_ID);
            assert_text(r.our_id, REFUND_ID);
        } else if (c->about == PAYOUT_EVENT_) {
            assert_text(subject, PAYOUT_ID);
            assert_text(r.our_id, PAYOUT_ID);
        } else {
            assert_int_equal(subject.n, 0);
        }
        if (c->about == PAYMENT_EVENT_ && r.verdict != GW_UNKNOWN)
            assert_true(str_starts(r.provider_ref, STR("cpm_")));
    }
}

static void truncated(void **state)
{
    static const char *const bodies[] = {
        EVENT("payment.completed", PAYMENT("completed", "null")),
        EVENT("refund.completed", REFUND("completed", "null")),
        EVENT("payout.completed", PAYOUT("completed", "null")),
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (size_t n = 0; n < strlen(bodies[i]); n++) {
            struct gw_callback in = {.body = str_n(bodies[i], n), .kind = STR("")};
            struct gw_result r;
            struct str subject;
            assert_int_equal(gw->callback_parse(&in, &mem, &r).code, ERR_PARSE);
            assert_int_equal(gw->refund_callback_parse(&in, &mem, &r).code, ERR_PARSE);
            assert_int_equal(gw->payout_callback_parse(&in, &mem, &r).code, ERR_PARSE);
            assert_int_equal(gw->webhook_subject(in.body, &mem, &subject).code, ERR_PARSE);
        }
        (void)fresh(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(signatures, fresh), cmocka_unit_test_setup(times, fresh),
        cmocka_unit_test_setup(forged, fresh),     cmocka_unit_test_setup(no_secret, fresh),
        cmocka_unit_test_setup(says, fresh),       cmocka_unit_test_setup(truncated, fresh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
