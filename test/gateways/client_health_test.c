/* The gateway client and its breaker against a scripted M-Pesa: what counts as unwell, who is kept
 * away, and that questions never are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/metric.h"
#include "test/gateways/client_case.h"

static void start(struct fixture *f, int64_t open_us)
{
    setup(f, NULL);
    struct health_rules rules = health_rules_default();
    rules.min_calls = 4;
    rules.open_us = open_us;
    gw_client_health_rules(f->client, &rules);
}

static struct seen pushed(struct fixture *f)
{
    struct seen s;
    push(f, &s);
    run(f);
    s.f = NULL;
    return s;
}

static enum health_state state_of(const struct fixture *f)
{
    return gw_client_health(f->client, &f->account).state;
}

/* Each answer four times: does it open the breaker? */
static void what_is_unwell(void **state)
{
    (void)state;
    static const struct {
        const char *status, *body;
        bool unwell;
    } cases[] = {
        {"200 OK", ACCEPTED, false},
        {"500 Internal Server Error", "<html>", true},
        {"502 Bad Gateway", "", true},
        {"429 Too Many Requests", "{}", true},
        {"200 OK", "{}", true},
        {"200 OK", "<html>", true},
        {"500 Internal Server Error",
         "{\"requestId\":\"1\",\"errorCode\":\"500.001.1001\",\"errorMessage\":\"Wrong "
         "credentials\"}",
         false},
        {"400 Bad Request",
         "{\"requestId\":\"1\",\"errorCode\":\"400.002.02\",\"errorMessage\":\"Invalid Amount\"}",
         false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        start(&f, US_PER_HOUR);
        f.push_status = cases[i].status;
        f.push_body = cases[i].body;
        for (int k = 0; k < 4; k++) {
            assert_int_equal(state_of(&f), HEALTH_CLOSED);
            (void)pushed(&f);
        }
        if ((state_of(&f) == HEALTH_OPEN) != cases[i].unwell)
            fail_msg("%s %s", cases[i].status, cases[i].body);
        teardown(&f);
    }
}

static void break_it(struct fixture *f)
{
    f->push_status = "503 Busy";
    f->push_body = "<html>";
    for (int k = 0; k < 4; k++)
        (void)pushed(f);
}

static void open_sends_no_order_and_every_question(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s, q;
    start(&f, US_PER_HOUR);
    break_it(&f);
    f.push_status = "200 OK";
    f.push_body = ACCEPTED;
    int n = f.n_pushes;
    s = pushed(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_PROVIDER_UNAVAILABLE);
    assert_true(s.retry_later);
    assert_false(s.sent);
    assert_int_equal(f.n_pushes, n);
    ask(&f, &q);
    run(&f);
    assert_int_equal(q.verdict, GW_SUCCEEDED);
    strcpy(f.account.id, "acc-2"); /* another account is another matter */
    assert_int_equal(state_of(&f), HEALTH_CLOSED);
    assert_int_equal(pushed(&f).verdict, GW_ACCEPTED);
    teardown(&f);
}

/* One after the other, a quarter of a second apart; of one that is well, all at once. */
static void open_slows_questions(void **state)
{
    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        struct fixture f;
        struct seen q[4];
        start(&f, US_PER_HOUR);
        if (broken)
            break_it(&f);
        int64_t began_us = loop_mono_us(f.loop);
        for (size_t i = 0; i < COUNT_OF(q); i++)
            ask(&f, &q[i]);
        run(&f);
        for (size_t i = 0; i < COUNT_OF(q); i++)
            assert_int_equal(q[i].verdict, GW_SUCCEEDED);
        if (broken)
            assert_true(loop_mono_us(f.loop) - began_us >= 3 * US_PER_S / 4);
        teardown(&f);
    }
}

/* The wait is over at once: every push is a probe, one at a time. */
static void probes(void **state)
{
    (void)state;
    struct fixture f;
    struct seen first, second;
    start(&f, 1);
    break_it(&f);
    assert_int_equal(state_of(&f), HEALTH_HALF_OPEN);
    push(&f, &first);
    push(&f, &second);
    run(&f);
    assert_int_equal(first.sent + second.sent, 1);
    assert_int_equal(state_of(&f), HEALTH_HALF_OPEN);
    f.push_status = "200 OK";
    f.push_body = ACCEPTED;
    assert_int_equal(pushed(&f).verdict, GW_ACCEPTED);
    assert_int_equal(state_of(&f), HEALTH_CLOSED);
    teardown(&f);
}

/* Three tokens in a row were not given, or given and not taken; one for many counts once. */
static void refused_keys(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct fixture f;
        start(&f, US_PER_HOUR);
        for (int k = 0; k < 3; k++) {
            struct seen many[5];
            assert_int_equal(state_of(&f), HEALTH_CLOSED);
            if (how == 0) {
                f.token_status = 400;
                f.token_body = "{\"errorCode\":\"400.008.01\",\"errorMessage\":\"Invalid\"}";
                for (int i = 0; i < 5; i++)
                    push(&f, &many[i]);
                run(&f);
                assert_int_equal(many[4].code, FAILURE_CONFIGURATION);
            } else {
                f.reject_pushes = 1000;
                assert_int_equal(pushed(&f).code, FAILURE_CONFIGURATION);
            }
        }
        assert_int_equal(state_of(&f), HEALTH_OPEN);
        int n = f.n_tokens;
        struct seen s = pushed(&f);
        assert_int_equal(s.verdict, GW_REFUSED);
        assert_int_equal(s.code, FAILURE_CONFIGURATION);
        assert_false(s.retry_later);
        assert_int_equal(f.n_tokens, n);
        teardown(&f);
    }
}

static void told_by_results(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, US_PER_HOUR);
    gw_client_told(f.client, &f.account, HEALTH_REFUND, FAILURE_CONFIGURATION); /* unknown yet */
    (void)pushed(&f);
    for (int k = 0; k < 3; k++)
        gw_client_told(f.client, &f.account, HEALTH_REFUND, FAILURE_CONFIGURATION);
    assert_int_equal(pushed(&f).verdict, GW_ACCEPTED);
    for (int k = 0; k < 3; k++)
        gw_client_told(f.client, &f.account, HEALTH_CHARGE, FAILURE_CONFIGURATION);
    assert_int_equal(pushed(&f).code, FAILURE_CONFIGURATION);
    teardown(&f);
}

/* The gauges go with the account. */
static void gauges(void **state)
{
    (void)state;
    struct fixture f;
    struct buf b;
    start(&f, US_PER_HOUR);
    break_it(&f);
    gw_client_measure(f.client);
    buf_init(&b, 1 << 20);
    metric_print(&b);
    assert_true(
        str_find_str(buf_view(&b),
                     STR("reli_provider_breaker{provider=\"mpesa\",account=\"acc-1\"} 2")) !=
        SIZE_MAX);
    assert_true(str_find_str(buf_view(&b),
                             STR("reli_provider_health{provider=\"mpesa\",account=\"acc-1\"} 0")) !=
                SIZE_MAX);
    teardown(&f);
    buf_reset(&b);
    metric_print(&b);
    assert_true(str_find_str(buf_view(&b), STR("reli_provider_")) == SIZE_MAX);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unwell),
        cmocka_unit_test(open_sends_no_order_and_every_question),
        cmocka_unit_test(open_slows_questions),
        cmocka_unit_test(probes),
        cmocka_unit_test(refused_keys),
        cmocka_unit_test(told_by_results),
        cmocka_unit_test(gauges),
    };
    log_open(2, LOG_OFF);
    if (err_is(crypto_open()))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_close();
    return rc;
}
