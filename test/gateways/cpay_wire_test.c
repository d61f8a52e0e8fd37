/* The CPay adapter and CPay in the sandbox over real HTTP: two programs written from one document
 * that share nothing. What they say to each other, and what comes of it when answers and webhooks
 * are lost, doubled, late or forged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "gateways/client.h"
#include "gateways/sandbox/sandbox.h"
#include "http/server.h"

#define RWF CURRENCY('R', 'W', 'F')

enum { MAX_HOOKS = 8, REF = 80 };

struct said {
    bool done, sent;
    enum gw_verdict verdict;
    enum failure_code code;
    bool sure, retry_later;
    struct money amount;
    char provider_ref[REF], our_id[REF], receipt[REF], action[512], stored[4096];
};

static struct {
    struct loop *loop;
    struct sandbox *sandbox;
    struct http_server *shop;
    struct outbound *out;
    struct gw_client *client;
    struct gw_account account;
    struct timer deadline, pause;
    struct said hooks[MAX_HOOKS];
    char subjects[MAX_HOOKS][REF];
    bool refund_hooks[MAX_HOOKS];
    int n_hooks, n_forged;
    bool drained;
    char base[64], our_id[65];
    int serial;
} w;

/* ---- the world ---- */

static void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("nothing happened for ten seconds");
}

static void run(void)
{
    timer_set(w.loop, &w.deadline, 10 * US_PER_S, too_late, NULL);
    loop_run(w.loop);
    timer_off(w.loop, &w.deadline);
}

static void stop(void *ctx)
{
    (void)ctx;
    loop_stop(w.loop);
}

static void drained(void *ctx)
{
    w.drained = true;
    stop(ctx);
}

static void keep(struct said *to, const struct gw_result *r)
{
    to->done = true;
    to->verdict = r->verdict;
    to->code = r->code;
    to->sure = r->sure;
    to->retry_later = r->retry_later;
    to->amount = r->amount;
    (void)str_copy_c(to->provider_ref, REF, r->provider_ref);
    (void)str_copy_c(to->our_id, REF, r->our_id);
    (void)str_copy_c(to->receipt, REF, r->receipt);
    (void)str_copy_c(to->action, sizeof to->action, r->next_action);
}

/* The way of a webhook: verify, then whose, then what. */
static void shop_hook(struct http_exchange *x)
{
    const struct gateway *g = w.account.gateway;
    struct gw_webhook hook = {.body = x->body,
                              .signature = http_header(x, str_c(g->signature_header)),
                              .timestamp = STR(""),
                              .now_us = loop_wall_us(w.loop)};
    struct gw_callback in = {.body = x->body, .kind = STR("")};
    struct gw_result r;
    struct str subject;
    assert_null(g->timestamp_header);
    if (err_is(g->webhook_verify(&w.account, &hook))) {
        w.n_forged++;
        http_reply_json(x, 401, STR("{}"));
        return;
    }
    assert_true(w.n_hooks < MAX_HOOKS);
    assert_false(err_is(g->webhook_subject(x->body, x->arena, &subject)));
    bool refund = err_is(g->callback_parse(&in, x->arena, &r));
    if (refund && err_is(g->refund_callback_parse(&in, x->arena, &r)))
        assert_false(err_is(g->payout_callback_parse(&in, x->arena, &r)));
    (void)str_copy_c(w.subjects[w.n_hooks], REF, subject);
    w.refund_hooks[w.n_hooks] = refund;
    keep(&w.hooks[w.n_hooks++], &r);
    http_reply(x, 200, str_c(g->callback_ack_type), str_c(g->callback_ack));
    loop_stop(w.loop);
}

/* One who answers with another's payment. */
static void impostor(struct http_exchange *x)
{
    http_reply_json(x, 201,
                    STR("{\"id\":\"cpm_1\",\"object\":\"payment\",\"reference\":\"another\","
                        "\"amount\":150000,\"currency\":\"RWF\",\"status\":\"pending\"}"));
}

static int setup(void **state)
{
    static unsigned char key[] = "cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE";
    static unsigned char secret[] = "cpw_sandbox_webhook_secret";
    static const struct route routes[] = {{HTTP_POST_, "/hook", shop_hook, 0},
                                          {HTTP_POST_, "/v1/payments", impostor, 0},
                                          {0, NULL, NULL, 0}};
    const struct http_server_options shop = {.routes = routes};
    const struct outbound_options out = {.user_agent = "test"};
    char url[64];
    (void)state;
    memset(&w, 0, sizeof w);
    assert_int_equal(crypto_open().code, ERR_NONE);
    assert_int_equal(loop_new(&w.loop).code, ERR_NONE);
    assert_int_equal(http_server_new(w.loop, &shop, &w.shop).code, ERR_NONE);
    assert_int_equal(http_server_listen(w.shop, STR("127.0.0.1:0")).code, ERR_NONE);
    assert_int_equal(outbound_new(w.loop, &out, &w.out).code, ERR_NONE);
    assert_int_equal(gw_client_new(w.loop, w.out, NULL, &w.client).code, ERR_NONE);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/hook", http_server_port(w.shop));
    const struct sandbox_options sandbox = {
        .listen = STR("127.0.0.1:0"),
        .settings = STR("{\"cpay_delay_ms\":2,\"late_delay_s\":0,\"slow_answer_ms\":1500}"),
        .cpay_webhook_url = url};
    assert_int_equal(sandbox_new(w.loop, &sandbox, &w.sandbox).code, ERR_NONE);
    (void)snprintf(w.base, sizeof w.base, "http://127.0.0.1:%d/cpay", sandbox_port(w.sandbox));
    w.account = (struct gw_account){.gateway = gateway_find(STR("cpay")),
                                    .id = "cpay:test",
                                    .base_url = str_c(w.base),
                                    .timeout_us = 5 * US_PER_S};
    w.account.settings[0] = (struct secret){key, sizeof key - 1};
    w.account.settings[1] = (struct secret){secret, sizeof secret - 1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_client_free(w.client);
    outbound_free(w.out);
    sandbox_drain(w.sandbox, US_PER_S, drained, NULL);
    while (!w.drained)
        run();
    sandbox_free(w.sandbox);
    http_server_drain(w.shop, US_PER_S, stop, NULL);
    run();
    http_server_free(w.shop);
    loop_free(w.loop);
    crypto_close();
    arena_trim();
    return 0;
}

/* ---- what we do ---- */

static void answered(void *ctx, const struct gw_result *r, const struct gw_exchange *x)
{
    struct said *s = ctx;
    keep(s, r);
    s->sent = x->sent;
    (void)str_copy_c(s->stored, sizeof s->stored, x->request);
    loop_stop(w.loop);
}

static struct said wait_for(struct said *s)
{
    while (!s->done)
        run();
    return *s;
}

static struct said charge_as(int64_t minor, const char *phone, const char *return_url)
{
    struct said s = {0};
    struct gw_charge in = {.amount = {minor, RWF},
                           .method = STR("cpay"),
                           .phone = str_c(phone),
                           .email = STR(""),
                           .pay_code = STR("RL0K7Q2ZD913"),
                           .our_id = str_c(w.our_id),
                           .description = STR("Order 20931"),
                           .return_url = str_c(return_url),
                           .callback_url = STR("http://127.0.0.1/cb"),
                           .now_us = loop_wall_us(w.loop)};
    in.expires_us = in.now_us + 15 * US_PER_MIN;
    assert_int_equal(gw_charge_start(w.client, &w.account, &in, answered, &s).code, ERR_NONE);
    return wait_for(&s);
}

static void next_id(void)
{
    (void)snprintf(w.our_id, sizeof w.our_id, "%064x", ++w.serial);
    w.n_hooks = w.n_forged = 0;
}

static struct said charge(int64_t minor)
{
    next_id();
    return charge_as(minor, "+250781234567", "");
}

static struct said query(const char *ref)
{
    struct said s = {0};
    assert_int_equal(gw_query_start(w.client, &w.account, str_c(ref), answered, &s).code, ERR_NONE);
    return wait_for(&s);
}

/* Asks until it is decided. */
static struct said decided(const char *ref)
{
    struct said s = {0};
    for (int i = 0; i < 1000; i++) {
        s = query(ref);
        if (s.verdict != GW_PENDING)
            return s;
    }
    fail_msg("never decided");
    return s;
}

static void hooks(int n)
{
    while (w.n_hooks < n)
        run();
}

static struct said refund(const char *payment, const char *our_id, int64_t minor, bool ask)
{
    struct said s = {0};
    const struct gw_refund in = {.rail = REFUND_RAIL_REVERSAL,
                                 .amount = {minor, RWF},
                                 .payment_receipt = str_c(payment),
                                 .payment_ref = str_c(w.our_id),
                                 .phone = STR(""),
                                 .our_id = str_c(our_id),
                                 .remarks = STR("Broken"),
                                 .callback_url = STR("http://127.0.0.1/cb"),
                                 .now_us = loop_wall_us(w.loop)};
    struct err err = ask ? gw_refund_query_start(w.client, &w.account, &in, in.our_id, answered, &s)
                         : gw_refund_start(w.client, &w.account, &in, answered, &s);
    assert_int_equal(err.code, ERR_NONE);
    return wait_for(&s);
}

static struct said payout(const char *our_id, int64_t minor, bool ask)
{
    struct said s = {0};
    const struct gw_payout in = {.amount = {minor, RWF},
                                 .phone = STR("+250781234567"),
                                 .name = STR("Aline U."),
                                 .our_id = str_c(our_id),
                                 .purpose = STR(""),
                                 .remarks = STR("July"),
                                 .callback_url = STR("http://127.0.0.1/cb"),
                                 .now_us = loop_wall_us(w.loop)};
    struct err err = ask ? gw_payout_query_start(w.client, &w.account, &in, in.our_id, answered, &s)
                         : gw_payout_start(w.client, &w.account, &in, answered, &s);
    assert_int_equal(err.code, ERR_NONE);
    return wait_for(&s);
}

/* ---- stories ---- */

static void paid(void **state)
{
    (void)state;
    struct said s = charge(150000);
    assert_int_equal(s.verdict, GW_ACCEPTED);
    assert_string_equal(s.our_id, w.our_id);
    assert_true(str_starts(str_c(s.provider_ref), STR("cpm_")));
    assert_true(str_starts(str_c(s.action), STR("{\"type\":\"approve_on_phone\",\"expires_at\"")));
    assert_true(str_find_str(str_c(s.stored), STR("234567")) == SIZE_MAX);
    hooks(2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(w.subjects[i], w.our_id);
        assert_string_equal(w.hooks[i].our_id, w.our_id);
        assert_string_equal(w.hooks[i].provider_ref, s.provider_ref);
        assert_false(w.refund_hooks[i]);
    }
    assert_int_equal(w.hooks[0].verdict, GW_PENDING);
    assert_int_equal(w.hooks[1].verdict, GW_SUCCEEDED);
    const char *const refs[] = {s.provider_ref, w.our_id};
    for (size_t i = 0; i < COUNT_OF(refs); i++) { /* by its id and by ours */
        struct said q = query(refs[i]);
        assert_int_equal(q.verdict, GW_SUCCEEDED);
        assert_string_equal(q.provider_ref, s.provider_ref);
        assert_string_equal(q.receipt, s.provider_ref);
        assert_int_equal(q.amount.minor, 150000);
        assert_int_equal(q.amount.currency, RWF);
    }
}

static void failed(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        enum failure_code code;
    } cases[] = {{150101, FAILURE_INSUFFICIENT_FUNDS}, {150102, FAILURE_CANCELLED_BY_CUSTOMER}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct said s = charge(cases[i].minor);
        assert_int_equal(s.verdict, GW_ACCEPTED);
        hooks(2);
        assert_int_equal(w.hooks[1].verdict, GW_FAILED);
        assert_int_equal(w.hooks[1].code, cases[i].code);
        assert_true(w.hooks[1].sure);
        s = query(s.provider_ref);
        assert_int_equal(s.verdict, GW_FAILED);
        assert_int_equal(s.code, cases[i].code);
    }
}

/* The answer is a 500, nobody knows an id: our own finds it, and so does sending it again. */
static void answer_lost(void **state)
{
    char back_id[] = "refund-0200";
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct said s = charge(150104);
        assert_int_equal(s.verdict, GW_UNKNOWN);
        assert_int_equal(str_c(s.provider_ref).n, 0);
        if (again)
            assert_int_equal(charge_as(150104, "+250781234567", "").verdict, GW_ACCEPTED);
        s = decided(w.our_id);
        assert_int_equal(s.verdict, GW_SUCCEEDED);
        assert_string_equal(s.our_id, w.our_id);
        assert_true(str_starts(str_c(s.provider_ref), STR("cpm_")));
        assert_string_equal(s.receipt, s.provider_ref);
        hooks(2);
        assert_string_equal(w.subjects[1], w.our_id);
        /* what is known by our id only is refunded by its receipt */
        back_id[sizeof back_id - 2] = (char)('0' + again);
        assert_int_equal(refund(s.receipt, back_id, 1000, false).verdict, GW_ACCEPTED);
        hooks(3);
    }
}

static void never_there(void **state)
{
    (void)state;
    next_id();
    assert_int_equal(query(w.our_id).verdict, GW_NOT_FOUND);
    assert_int_equal(query("cpm_0000000000").verdict, GW_UNKNOWN);
}

/* The first answer takes longer than our patience: what is sent again meets "in progress". */
static void answer_slow(void **state)
{
    (void)state;
    w.account.timeout_us = 700 * US_PER_MS;
    struct said s = charge(150114);
    w.account.timeout_us = 5 * US_PER_S;
    assert_int_equal(s.verdict, GW_UNKNOWN);
    assert_int_equal(charge_as(150114, "+250781234567", "").verdict, GW_UNKNOWN);
    assert_int_equal(decided(w.our_id).verdict, GW_SUCCEEDED);
    hooks(2);
}

/* Our id with other data: what is there is never mistaken for what was asked now. */
static void other_data(void **state)
{
    (void)state;
    assert_int_equal(charge(150000).verdict, GW_ACCEPTED);
    hooks(2);
    struct said s = charge_as(150001, "+250781234567", "");
    assert_int_equal(s.verdict, GW_UNKNOWN);
    assert_int_equal(decided(w.our_id).amount.minor, 150000);
}

static void sent_away(void **state)
{
    (void)state;
    struct said s = charge(150113);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s.verdict, GW_REFUSED);
        assert_int_equal(s.code, FAILURE_PROVIDER_BUSY);
        assert_true(s.retry_later);
        s = charge_as(150113, "+250781234567", "");
    }
    assert_int_equal(s.verdict, GW_ACCEPTED);
    hooks(2);
}

static void other_hooks(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        int n_hooks, n_forged;
        enum gw_verdict verdicts[4];
    } cases[] = {
        {150105, 4, 0, {GW_PENDING, GW_PENDING, GW_SUCCEEDED, GW_SUCCEEDED}},
        {150106, 2, 0, {GW_SUCCEEDED, GW_PENDING}},
        {150107, 0, 0, {GW_PENDING}},
        {150108, 2, 0, {GW_PENDING, GW_SUCCEEDED}},
        {150111, 3, 0, {GW_PENDING, GW_SUCCEEDED, GW_SUCCEEDED}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct said s = charge(cases[i].minor);
        hooks(cases[i].n_hooks);
        for (int k = 0; k < cases[i].n_hooks; k++)
            assert_int_equal(w.hooks[k].verdict, cases[i].verdicts[k]);
        assert_int_equal(w.n_forged, 0);
        assert_int_equal(decided(s.provider_ref).verdict, GW_SUCCEEDED);
    }
    assert_int_equal(charge(150109).verdict, GW_ACCEPTED);
    hooks(2);
    assert_int_equal(w.n_forged, 2); /* refused, then told again with the right signature */
}

static void redirected(void **state)
{
    (void)state;
    next_id();
    struct said s = charge_as(150000, "", "http://127.0.0.1:1/back");
    char want[256];
    (void)snprintf(want, sizeof want, "{\"type\":\"redirect\",\"url\":\"%s/pay/%s\",", w.base,
                   s.provider_ref);
    assert_int_equal(s.verdict, GW_ACCEPTED);
    assert_true(str_starts(str_c(s.action), str_c(want)));
    s = query(w.our_id);
    assert_int_equal(s.verdict, GW_PENDING);
    assert_true(str_starts(str_c(s.action), str_c(want)));
}

static void refunded(void **state)
{
    (void)state;
    struct said s = charge(150000);
    hooks(2);
    struct said back = refund(s.provider_ref, "refund-0001", 50000, false);
    assert_int_equal(back.verdict, GW_ACCEPTED);
    assert_string_equal(back.provider_ref, "refund-0001");
    hooks(3);
    assert_true(w.refund_hooks[2]);
    assert_string_equal(w.subjects[2], "refund-0001");
    assert_int_equal(w.hooks[2].verdict, GW_SUCCEEDED);
    assert_int_equal(w.hooks[2].amount.minor, 50000);
    back = refund(s.provider_ref, "refund-0001", 50000, true);
    assert_int_equal(back.verdict, GW_SUCCEEDED);
    assert_string_equal(back.provider_ref, "refund-0001");
    assert_true(str_starts(str_c(back.receipt), STR("cpr_")));
    back = refund(s.provider_ref, "refund-0002", 100001, false);
    assert_int_equal(back.verdict, GW_REFUSED);
    assert_int_equal(back.code, FAILURE_AMOUNT_INVALID);
    assert_int_equal(refund(s.provider_ref, "refund-0003", 1000, true).verdict, GW_NOT_FOUND);
    /* the answer is lost: our id finds it */
    assert_int_equal(refund(s.provider_ref, "refund-0004", 1104, false).verdict, GW_UNKNOWN);
    hooks(4);
    assert_int_equal(refund(s.provider_ref, "refund-0004", 1104, true).verdict, GW_SUCCEEDED);
    assert_int_equal(query(s.provider_ref).verdict, GW_SUCCEEDED);
    /* a key of the same name with another amount */
    assert_int_equal(refund(s.provider_ref, "refund-0004", 1105, false).verdict, GW_UNKNOWN);
}

static void refund_fails(void **state)
{
    (void)state;
    struct said s = charge(150112);
    hooks(2);
    assert_int_equal(refund(s.provider_ref, "refund-0101", 50000, false).verdict, GW_ACCEPTED);
    hooks(3);
    assert_int_equal(w.hooks[2].verdict, GW_FAILED);
    assert_int_equal(w.hooks[2].code, FAILURE_DECLINED);
    s = refund(s.provider_ref, "refund-0101", 50000, true);
    assert_int_equal(s.verdict, GW_FAILED);
    assert_true(s.sure);
}

static void anothers_payment(void **state)
{
    (void)state;
    char base[64];
    struct str right = w.account.base_url;
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%d", http_server_port(w.shop));
    w.account.base_url = str_c(base);
    struct said s = charge(150000);
    w.account.base_url = right;
    assert_int_equal(s.verdict, GW_UNKNOWN);
    assert_int_equal(str_c(s.provider_ref).n, 0);
}

/* In each outcome of the provider: what the answer says, what the webhooks say, and what a question
 * says in the end, by our id alone. */
static void paid_out(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        enum gw_verdict answer, hook, end;
        int n_hooks;
        enum failure_code code;
    } cases[] = {
        {7000, GW_ACCEPTED, GW_SUCCEEDED, GW_SUCCEEDED, 1, FAILURE_NONE},
        {7101, GW_ACCEPTED, GW_FAILED, GW_FAILED, 1, FAILURE_INSUFFICIENT_FUNDS},
        {7104, GW_UNKNOWN, GW_SUCCEEDED, GW_SUCCEEDED, 1, FAILURE_NONE},
        {7105, GW_ACCEPTED, GW_SUCCEEDED, GW_SUCCEEDED, 2, FAILURE_NONE},
        {7107, GW_ACCEPTED, 0, GW_SUCCEEDED, 0, FAILURE_NONE},
        {7108, GW_ACCEPTED, GW_SUCCEEDED, GW_SUCCEEDED, 1, FAILURE_NONE},
        {7111, GW_ACCEPTED, GW_SUCCEEDED, GW_REVERSED, 2, FAILURE_NONE},
        {7113, GW_REFUSED, 0, GW_NOT_FOUND, 0, FAILURE_PROVIDER_BUSY},
        {900000001, GW_REFUSED, 0, GW_NOT_FOUND, 0, FAILURE_INSUFFICIENT_FUNDS},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        next_id();
        struct said s = payout(w.our_id, cases[i].minor, false);
        assert_int_equal(s.verdict, cases[i].answer);
        assert_true(str_find_str(str_c(s.stored), STR("Aline")) == SIZE_MAX);
        assert_true(str_find_str(str_c(s.stored), STR("234567")) == SIZE_MAX);
        hooks(cases[i].n_hooks);
        if (cases[i].n_hooks > 0) {
            assert_int_equal(w.hooks[0].verdict, cases[i].hook);
            assert_string_equal(w.subjects[0], w.our_id);
            assert_string_equal(w.hooks[0].our_id, w.our_id);
        }
        do
            s = payout(w.our_id, cases[i].minor, true);
        while (s.verdict == GW_PENDING);
        assert_int_equal(s.verdict, cases[i].end);
        if (s.verdict == GW_SUCCEEDED) {
            assert_true(str_starts(str_c(s.receipt), STR("cpo_")));
            assert_int_equal(s.amount.minor, cases[i].minor);
        }
        if (s.verdict == GW_FAILED)
            assert_int_equal(s.code, cases[i].code);
    }
    /* sent again it is the one that was there: paid once */
    next_id();
    assert_int_equal(payout(w.our_id, 7104, false).verdict, GW_UNKNOWN);
    hooks(1);
    assert_int_equal(payout(w.our_id, 7104, false).verdict, GW_ACCEPTED);
    assert_int_equal(payout(w.our_id, 7104, true).verdict, GW_SUCCEEDED);
    /* other data under our id is never mistaken for it */
    assert_int_equal(payout(w.our_id, 7000, false).verdict, GW_UNKNOWN);
}

static void wrong_key(void **state)
{
    (void)state;
    static unsigned char other[] = "cpk_sandbox:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    struct secret right = w.account.settings[0];
    w.account.settings[0] = (struct secret){other, sizeof other - 1};
    struct said s = charge(150000);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_CONFIGURATION);
    assert_int_equal(query(w.our_id).verdict, GW_UNKNOWN);
    w.account.settings[0] = right;
    assert_int_equal(query(w.our_id).verdict, GW_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paid),         cmocka_unit_test(failed),
        cmocka_unit_test(answer_lost),  cmocka_unit_test(never_there),
        cmocka_unit_test(answer_slow),  cmocka_unit_test(other_data),
        cmocka_unit_test(sent_away),    cmocka_unit_test(other_hooks),
        cmocka_unit_test(redirected),   cmocka_unit_test(refunded),
        cmocka_unit_test(refund_fails), cmocka_unit_test(paid_out),
        cmocka_unit_test(wrong_key),    cmocka_unit_test(anothers_payment),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
