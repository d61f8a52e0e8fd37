/* The gateway client's refunds against a scripted M-Pesa: sent once, unknown when nobody answers,
 * asked about, and refused where nothing can have been sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/crypto/certificate.h"
#include "test/gateways/client_case.h"

static struct test_certificate cert;

static void set_operator(struct fixture *f)
{
    set(&f->account, "initiator_name", "testapi");
    set(&f->account, "initiator_password", "Safaricom999");
    set(&f->account, "certificate", cert.pem);
}

/* In memory that is overwritten as soon as the operation has started: all must have been copied. */
struct refund_text {
    char receipt[16], phone[16], our_id[40], remarks[16], url[32], ref[16];
};

static struct gw_refund refund(struct refund_text *t, enum refund_rail rail)
{
    strcpy(t->receipt, "TCE9K41XQ7");
    strcpy(t->phone, "+254711223344");
    strcpy(t->our_id, "01932f0a-7c11-7a2b-8000-00000000c0de");
    strcpy(t->remarks, "Order 1");
    strcpy(t->url, "http://127.0.0.1/cb/00ff");
    strcpy(t->ref, "8821-1");
    return (struct gw_refund){.rail = rail,
                              .amount = {125000, CURRENCY('K', 'E', 'S')},
                              .payment_receipt = str_c(t->receipt),
                              .payment_ref = STR(REF),
                              .phone = str_c(t->phone),
                              .our_id = str_c(t->our_id),
                              .remarks = str_c(t->remarks),
                              .callback_url = str_c(t->url)};
}

static void give_back(struct fixture *f, struct seen *s, enum refund_rail rail)
{
    struct refund_text t;
    struct gw_refund in = refund(&t, rail);
    *s = (struct seen){.f = f};
    f->left++;
    assert_false(err_is(gw_refund_start(f->client, &f->account, &in, done, s)));
    memset(&t, 'x', sizeof t);
    assert_int_equal(s->n_done, 0);
}

static void ask_refund(struct fixture *f, struct seen *s, enum refund_rail rail)
{
    struct refund_text t;
    struct gw_refund in = refund(&t, rail);
    *s = (struct seen){.f = f};
    f->left++;
    assert_false(err_is(gw_refund_query_start(f->client, &f->account, &in, str_c(t.ref), done, s)));
    memset(&t, 'x', sizeof t);
    assert_int_equal(s->n_done, 0);
}

static void refunds(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    set_operator(&f);
    give_back(&f, &s, REFUND_RAIL_REVERSAL);
    run(&f);
    assert_int_equal(s.verdict, GW_ACCEPTED);
    assert_int_equal(s.op, GW_OP_REFUND);
    assert_string_equal(s.ref, "8821-1");
    assert_string_equal(f.refund_path, "/mpesa/reversal/v1/request");
    assert_string_equal(s.response, ACKNOWLEDGED);
    assert_string_equal(s.request,
                        "{\"Initiator\":\"***\",\"SecurityCredential\":\"***\","
                        "\"CommandID\":\"TransactionReversal\",\"TransactionID\":\"TCE9K41XQ7\","
                        "\"Amount\":1250,\"ReceiverParty\":522533,\"RecieverIdentifierType\":"
                        "\"11\",\"Remarks\":\"Order 1\",\"QueueTimeOutURL\":"
                        "\"http://127.0.0.1/cb/***\",\"ResultURL\":\"http://127.0.0.1/cb/***\"}");
    give_back(&f, &s, REFUND_RAIL_PAYOUT);
    run(&f);
    assert_int_equal(s.verdict, GW_ACCEPTED);
    assert_string_equal(f.refund_path, "/mpesa/b2c/v3/paymentrequest");
    assert_non_null(strstr(s.request, "\"OriginatorConversationID\":\"01932f0a-7c11-"));
    assert_non_null(strstr(s.request, "\"PartyB\":\"25471*****44\""));
    /* the answer to a question comes by callback, and its acknowledgement has ids of its own */
    static const enum refund_rail rails[] = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT};
    for (size_t i = 0; i < COUNT_OF(rails); i++) {
        ask_refund(&f, &s, rails[i]);
        run(&f);
        assert_int_equal(s.verdict, GW_PENDING);
        assert_int_equal(s.op, GW_OP_REFUND_QUERY);
        assert_string_equal(s.ref, "");
        assert_string_equal(f.refund_path, "/mpesa/transactionstatus/v1/query");
        assert_non_null(strstr(s.request, "\"OriginalConversationID\":\"8821-1\""));
    }
    assert_int_equal(f.n_refunds, 4);
    assert_int_equal(f.n_tokens, 1);
    teardown(&f);
}

static void refund_rejected(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    set_operator(&f);
    f.reject_refunds = 1;
    give_back(&f, &s, REFUND_RAIL_PAYOUT);
    run(&f);
    assert_int_equal(s.verdict, GW_ACCEPTED);
    assert_int_equal(f.n_refunds, 2);
    assert_int_equal(f.n_tokens, 2);
    f.reject_refunds = 1000;
    give_back(&f, &s, REFUND_RAIL_PAYOUT);
    run(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_CONFIGURATION);
    assert_int_equal(f.n_refunds, 4);
    ask_refund(&f, &s, REFUND_RAIL_PAYOUT);
    run(&f);
    assert_int_equal(s.verdict, GW_UNKNOWN);
    teardown(&f);
}

static void refund_ends(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    set_operator(&f);
    give_back(&f, &s, REFUND_RAIL_REVERSAL);
    run(&f); /* a token is there now */
    /* no answer: unknown, and never sent again */
    f.refund_silent = true;
    f.account.timeout_us = 600 * US_PER_MS;
    give_back(&f, &s, REFUND_RAIL_REVERSAL);
    run(&f);
    assert_int_equal(s.verdict, GW_UNKNOWN);
    assert_int_equal(s.code, FAILURE_NONE);
    assert_true(s.sent);
    assert_int_equal(f.n_refunds, 2);
    ask_refund(&f, &s, REFUND_RAIL_REVERSAL);
    run(&f);
    assert_int_equal(s.verdict, GW_UNKNOWN);
    /* nobody listens: certainly not sent */
    peer_stop(&f.peer);
    loop_run(f.loop);
    give_back(&f, &s, REFUND_RAIL_REVERSAL);
    run(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_PROVIDER_UNAVAILABLE);
    assert_true(s.retry_later);
    assert_false(s.sent);
    ask_refund(&f, &s, REFUND_RAIL_REVERSAL);
    run(&f);
    assert_int_equal(s.verdict, GW_UNKNOWN);
    assert_false(s.sent);
    teardown(&f);
}

/* Questions carry the operator's password too: refused three times, by the acknowledgement or by
 * its result, they wait with the orders, and so he is not locked. */
static void refused_operator_is_not_asked_with(void **state)
{
    (void)state;
    static const char refused[] = "{\"OriginatorConversationID\":\"q\",\"ConversationID\":\"AG\","
                                  "\"ResponseCode\":\"2001\",\"ResponseDescription\":\"no\"}";
    for (int later = 0; later < 2; later++) {
        struct fixture f;
        struct seen s;
        setup(&f, NULL);
        set_operator(&f);
        f.refund_body = later ? NULL : refused;
        for (int i = 0; i < 3; i++) {
            ask_refund(&f, &s, REFUND_RAIL_REVERSAL);
            run(&f);
            assert_true(s.sent);
            assert_int_equal(s.verdict, later ? GW_PENDING : GW_UNKNOWN);
            if (later)
                gw_client_told(f.client, &f.account, HEALTH_REFUND, FAILURE_CONFIGURATION);
        }
        struct health_view v = gw_client_health(f.client, &f.account);
        assert_int_equal(v.money_out, HEALTH_OPEN);
        assert_true(v.takes_charges);
        int n = f.n_refunds;
        ask_refund(&f, &s, REFUND_RAIL_REVERSAL);
        run(&f);
        assert_false(s.sent);
        assert_int_equal(s.verdict, GW_UNKNOWN);
        give_back(&f, &s, REFUND_RAIL_REVERSAL);
        run(&f);
        assert_int_equal(s.verdict, GW_REFUSED);
        assert_int_equal(f.n_refunds, n);
        teardown(&f);
    }
}

static void refund_not_built(void **state)
{
    (void)state;
    struct fixture f;
    struct refund_text t;
    struct seen s = {.f = &f};
    setup(&f, NULL);
    struct gw_refund in = refund(&t, REFUND_RAIL_PAYOUT);
    struct err err = gw_refund_start(f.client, &f.account, &in, done, &s);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.what, "the operator's credentials are not configured");
    assert_int_equal(gw_refund_query_start(f.client, &f.account, &in, STR("AG_1"), done, &s).code,
                     ERR_INVALID);
    set_operator(&f);
    assert_int_equal(gw_refund_query_start(f.client, &f.account, &in, STR(""), done, &s).code,
                     ERR_INVALID);
    in.rail = REFUND_RAIL_MANUAL;
    assert_int_equal(gw_refund_start(f.client, &f.account, &in, done, &s).code, ERR_INVALID);
    in.rail = REFUND_RAIL_PAYOUT;
    f.account.gateway = gateway_find(STR("cash"));
    assert_int_equal(gw_refund_start(f.client, &f.account, &in, done, &s).code, ERR_INVALID);
    assert_int_equal(gw_refund_query_start(f.client, &f.account, &in, STR("AG_1"), done, &s).code,
                     ERR_INVALID);
    f.account.gateway = gateway_find(STR("mpesa"));
    teardown(&f);
    assert_int_equal(s.n_done + f.n_tokens + f.n_refunds, 0);
}

/* When the rate is used up, a refund goes before questions that came first. */
static void refund_turns(void **state)
{
    (void)state;
    struct fixture f;
    struct seen q[20], asked, back;
    setup(&f, NULL);
    set_operator(&f);
    ask(&f, &q[0]);
    run(&f); /* a token is there now */
    f.account.rate_per_s = 20;
    for (int i = 0; i < 20; i++)
        ask(&f, &q[i]);
    ask_refund(&f, &asked, REFUND_RAIL_PAYOUT);
    give_back(&f, &back, REFUND_RAIL_PAYOUT);
    f.n_ended = 0;
    run(&f);
    assert_int_equal(back.verdict, GW_ACCEPTED);
    assert_true(back.order < q[15].order);
    assert_true(asked.order > back.order);
    teardown(&f);
}

static void stop_on_refund(struct peer_conn *c)
{
    struct fixture *f = c->peer->ctx;
    daraja(c);
    if (f->n_refunds > 0)
        loop_stop(f->loop);
}

static void free_refunds_in_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct seen sent, waiting, asking;
    setup(&f, NULL);
    set_operator(&f);
    f.refund_silent = true;
    f.peer.script = stop_on_refund;
    give_back(&f, &sent, REFUND_RAIL_PAYOUT);
    run(&f);
    strcpy(f.account.id, "acc-2");
    give_back(&f, &waiting, REFUND_RAIL_PAYOUT); /* for a token */
    ask_refund(&f, &asking, REFUND_RAIL_PAYOUT);
    f.left++; /* gw_client_free must not stop the loop */
    teardown(&f);
    assert_int_equal(sent.n_done + waiting.n_done + asking.n_done, 3);
    assert_int_equal(sent.verdict, GW_UNKNOWN);
    assert_int_equal(waiting.verdict, GW_REFUSED);
    assert_int_equal(asking.verdict, GW_UNKNOWN);
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
        cmocka_unit_test(refunds),
        cmocka_unit_test(refund_rejected),
        cmocka_unit_test(refund_ends),
        cmocka_unit_test(refused_operator_is_not_asked_with),
        cmocka_unit_test(refund_not_built),
        cmocka_unit_test(refund_turns),
        cmocka_unit_test(free_refunds_in_flight),
    };
    log_open(2, LOG_OFF);
    if (err_is(crypto_open()))
        return 1;
    int rc = cmocka_run_group_tests(tests, group_setup, group_teardown);
    crypto_close();
    return rc;
}
