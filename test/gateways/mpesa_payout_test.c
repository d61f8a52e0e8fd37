/* M-Pesa, payouts: what is asked for each purpose, and what is not asked at all. What Daraja says
 * of them is what it says of refunds by payout (mpesa_refund_test.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "test/crypto/certificate.h"
#include "test/gateways/mpesa_case.h"

#define OUR_ID "d41c7e90-33b2-4f6a-8e55-0f1e2d3c4b5a"
#define URL "https://pay.example.co.ke/cb/9f2c73"

static struct test_certificate cert;

static struct gw_account operator_account(void)
{
    struct gw_account a = account();
    set(&a, "initiator_name", "testapi");
    set(&a, "initiator_password", "Safaricom#999&");
    set(&a, "certificate", cert.pem);
    set(&a, "b2c_shortcode", "600998");
    return a;
}

static struct gw_payout payout(void)
{
    return (struct gw_payout){.amount = {125000, KES},
                              .phone = STR("+254711223344"),
                              .name = STR("Wanjiku"),
                              .our_id = STR(OUR_ID),
                              .purpose = STR(""),
                              .remarks = STR(""),
                              .callback_url = STR(URL),
                              .now_us = INT64_C(1741936502) * US_PER_S};
}

/* The body without the credential, which is random by design. */
static struct str uncovered(struct str body)
{
    struct str mark = STR("\"SecurityCredential\":\"");
    size_t at = str_find_str(body, mark);
    assert_true(at != SIZE_MAX);
    size_t from = at + mark.n, to = str_find(body, '"', from);
    return arena_fmt(&mem, "%.*s@%.*s", (int)from, body.p, STR_ARG(str_from(body, to)));
}

static void purposes(void **state)
{
    (void)state;
    static const struct {
        const char *purpose, *remarks, *command, *said;
    } cases[] = {
        {"", "", "BusinessPayment", "Payout"},
        {GW_PURPOSE_BUSINESS, "Invoice 7: paid", "BusinessPayment", "Invoice 7 paid"},
        {GW_PURPOSE_SALARY, "July", "SalaryPayment", "July"},
        {GW_PURPOSE_SALARY, "?", "SalaryPayment", "Salary"},
        {GW_PURPOSE_PROMOTION, "", "PromotionPayment", "Promotion"},
        {GW_PURPOSE_REFUND, "", "BusinessPayment", "Refund"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = operator_account();
        struct gw_payout in = payout();
        struct outbound_request r;
        in.purpose = str_c(cases[i].purpose);
        in.remarks = str_c(cases[i].remarks);
        assert_false(err_is(gw->payout_build(&a, &in, STR("tok.en"), &mem, &r)));
        assert_string_equal(r.url, "https://sandbox.safaricom.co.ke/mpesa/b2c/v3/paymentrequest");
        assert_true(r.once);
        assert_text(uncovered(r.body),
                    arena_fmt(&mem,
                              "{\"OriginatorConversationID\":\"" OUR_ID "\","
                              "\"InitiatorName\":\"testapi\",\"SecurityCredential\":\"@\","
                              "\"CommandID\":\"%s\",\"Amount\":1250,\"PartyA\":600998,"
                              "\"PartyB\":254711223344,\"Remarks\":\"%s\","
                              "\"QueueTimeOutURL\":\"" URL ".timeout\",\"ResultURL\":\"" URL "\"}",
                              cases[i].command, cases[i].said)
                        .p);
        assert_false(err_is(gw->payout_query_build(&a, &in, STR(OUR_ID), STR("tok.en"), &mem, &r)));
        assert_text(
            uncovered(r.body),
            arena_fmt(&mem,
                      "{\"Initiator\":\"testapi\",\"SecurityCredential\":\"@\","
                      "\"CommandID\":\"TransactionStatusQuery\","
                      "\"OriginalConversationID\":\"" OUR_ID "\",\"PartyA\":600998,"
                      "\"IdentifierType\":\"4\",\"Remarks\":\"%s\",\"QueueTimeOutURL\":\"" URL
                      ".timeout\",\"ResultURL\":\"" URL ".status\"}",
                      cases[i].said)
                .p);
        assert_false(r.once);
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        uint16_t currency;
        const char *phone, *our_id, *url, *purpose, *setting, *value;
        bool taken;
    } cases[] = {
        {.minor = 1000, .taken = true},
        {.minor = 900},
        {.minor = 25000000, .taken = true},
        {.minor = 25000100},
        {.minor = 125050},
        {.currency = CURRENCY('U', 'G', 'X')},
        {.phone = ""},
        {.phone = "+255711223344"},
        {.our_id = ""},
        {.our_id = "a b"},
        {.url = "https://x.example/sql/1"},
        {.purpose = "gift"},
        {.purpose = "Salary"},
        {.setting = "b2c_shortcode", .value = "12x45"},
        {.setting = "b2c_shortcode", .value = "", .taken = true}, /* the pay bill's */
        {.setting = "initiator_password", .value = ""},
        {.setting = "certificate", .value = "not one"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = operator_account();
        struct gw_payout in = payout();
        struct outbound_request r;
        in.amount.minor = cases[i].minor != 0 ? cases[i].minor : in.amount.minor;
        in.amount.currency = cases[i].currency != 0 ? cases[i].currency : in.amount.currency;
        in.phone = cases[i].phone != NULL ? str_c(cases[i].phone) : in.phone;
        in.our_id = cases[i].our_id != NULL ? str_c(cases[i].our_id) : in.our_id;
        in.callback_url = cases[i].url != NULL ? str_c(cases[i].url) : in.callback_url;
        in.purpose = cases[i].purpose != NULL ? str_c(cases[i].purpose) : in.purpose;
        if (cases[i].setting != NULL)
            set(&a, cases[i].setting, cases[i].value);
        struct err err = gw->payout_build(&a, &in, STR("t"), &mem, &r);
        if (err.code != (cases[i].taken ? ERR_NONE : ERR_INVALID))
            fail_msg("case %zu: %s", i, err.what != NULL ? err.what : "taken");
    }
}

/* What the papers are not sure of is asked as the installation knows it. */
static void limits_corrected(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        bool paid, paid_out;
    } cases[] = {{200, true, false},       {300, true, true},      {30000000, true, false},
                 {30000100, false, false}, {15000000, true, true}, {15000100, true, false}};
    int64_t most = fact("max_amount", 30000000), least_out = fact("min_payout", 300),
            most_out = fact("max_payout", 15000000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = operator_account();
        struct gw_charge c = charge();
        struct gw_qr q = {c.amount, c.pay_code};
        struct gw_payout out = payout();
        struct outbound_request r;
        c.amount.minor = q.amount.minor = out.amount.minor = cases[i].minor;
        assert_int_equal(!err_is(gw->charge_build(&a, &c, STR("t"), &mem, &r)), cases[i].paid);
        assert_int_equal(!err_is(gw->qr_build(&a, &q, STR("t"), &mem, &r)), cases[i].paid);
        assert_int_equal(!err_is(gw->payout_build(&a, &out, STR("t"), &mem, &r)),
                         cases[i].paid_out);
    }
    assert_int_equal(fact("max_amount", most), 30000000);
    assert_int_equal(fact("min_payout", least_out), 300);
    assert_int_equal(fact("max_payout", most_out), 15000000);
}

/* A refund's rail of payouts is this one, to the byte; other rails never come here. */
static void refunds(void **state)
{
    (void)state;
    struct gw_account a = operator_account();
    struct gw_payout in = payout();
    struct gw_refund back = {.rail = REFUND_RAIL_PAYOUT,
                             .amount = in.amount,
                             .phone = in.phone,
                             .our_id = in.our_id,
                             .remarks = in.remarks,
                             .callback_url = in.callback_url,
                             .now_us = in.now_us};
    struct outbound_request out, rail;
    in.purpose = STR(GW_PURPOSE_REFUND);
    assert_false(err_is(gw->payout_build(&a, &in, STR("t"), &mem, &out)));
    assert_false(err_is(gw_refund_build(&a, &back, STR("t"), &mem, &rail)));
    assert_text(uncovered(rail.body), uncovered(out.body).p);
    assert_true(gw_refund_our_id_is_ref(gw, REFUND_RAIL_PAYOUT));
    assert_false(gw_refund_our_id_is_ref(gw, REFUND_RAIL_REVERSAL));
    assert_true(err_is(gw->refund_build(&a, &back, STR("t"), &mem, &rail)));
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(purposes, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_corrected, setup, teardown),
        cmocka_unit_test_setup_teardown(refunds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
