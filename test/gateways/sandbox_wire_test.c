/* The sandbox over real HTTP: a shop that takes callbacks, a client, and the sandbox on one loop.
 * Every ending of README.md is played from the push to the last query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/sandbox_case.h"

/* The code in an answer of the query: errorCode of an envelope or ResultCode, "html" for neither.
 */
static void query_code(const struct answer *a, char out[64])
{
    char number[JSON_NUMBER_TEXT];
    if (a->body[0] == '<') {
        (void)str_copy_c(out, 64, STR("html"));
        return;
    }
    struct json *j = parsed(a->body);
    copy_text(j, "errorCode", out, 64);
    if (out[0] == 0)
        (void)str_copy_c(out, 64, json_number_text(json_get(j, "ResultCode"), number));
    json_free(j);
}

/* ---- the endings ---- */

struct ending {
    int number;
    int status;        /* of the push; 0: no complete answer */
    const char *error; /* errorCode of a refusal */
    int n_callbacks;
    const char *callback; /* ResultCode of the last */
    const char *state;    /* in the book; NULL: not there */
    const char *query;    /* the final answer */
};

#define PAID(number_, n_)                        \
    {                                            \
        number_, 200, NULL, n_, "0", "paid", "0" \
    }
#define FAILED(number_, code_)                        \
    {                                                 \
        number_, 200, NULL, 1, code_, "failed", code_ \
    }
#define REFUSED(number_, status_, error_)             \
    {                                                 \
        number_, status_, error_, 0, NULL, NULL, NULL \
    }

static const struct ending endings[] = {
    PAID(0, 1),
    FAILED(1, "1"),
    FAILED(2, "1032"),
    FAILED(3, "2001"),
    FAILED(4, "1037"),
    FAILED(5, "1019"),
    FAILED(6, "1025"),
    FAILED(7, "9999"),
    FAILED(8, "4"),
    FAILED(9, "26"),
    FAILED(10, "1001"),
    FAILED(11, "17"),
    FAILED(12, "8006"),
    FAILED(13, "2028"),
    {14, 200, NULL, 1, "7777", "paid", "0"},
    FAILED(15, "SFC_IC0003"),
    PAID(16, 1),
    {20, 200, NULL, 0, NULL, "paid", "0"},
    {21, 200, NULL, 0, NULL, "failed", "1032"},
    PAID(22, 2),
    PAID(23, 1),
    PAID(24, 1),
    PAID(25, 2),
    PAID(26, 1),
    PAID(27, 1),
    PAID(28, 1),
    PAID(29, 1),
    PAID(30, 1),
    {40, 0, NULL, 1, "0", "paid", "0"},
    {41, 0, NULL, 0, NULL, "paid", "0"},
    REFUSED(42, 0, NULL),
    PAID(43, 1),
    REFUSED(44, 503, NULL),
    {45, 200, NULL, 1, "0", "paid", "0"},
    {46, 0, NULL, 1, "0", "paid", "0"},
    REFUSED(47, 500, "500.001.1001"),
    REFUSED(48, 500, "500.003.02"),
    REFUSED(49, 500, "500.001.1001"),
    REFUSED(50, 500, "500.003.1001"),
    REFUSED(51, 404, "404.001.03"),
    REFUSED(52, 400, "400.002.02"),
    PAID(60, 1),
    PAID(61, 1),
    {62, 200, NULL, 1, "0", "paid", "html"},
    {63, 200, NULL, 0, NULL, "pending", "500.001.1001"},
    PAID(64, 1),
    PAID(65, 1),
};

static const struct json *stk_callback(const struct json *j)
{
    const struct json *c = json_path(j, "Body", "stkCallback", NULL);
    assert_non_null(c);
    return c;
}

/* Waits until the only charge is in `state` and `n` callbacks have come; its id goes to `id`. */
static void wait_for(const char *state, int n, char id[64])
{
    bool there = false;
    for (int tries = 0; !there || w.n_callbacks < n; tries++) {
        assert_true(tries < 10000);
        struct json *j = get("/_sandbox/charges");
        const struct json *charge = json_at(json_get(j, "data"), 0);
        there = str_eq(json_str(json_get(charge, "state")), str_c(state));
        copy_text(charge, "checkout_request_id", id, 64);
        json_free(j);
    }
    assert_int_equal(w.n_callbacks, n);
}

static void check_refusal(const struct ending *e, const struct answer *a)
{
    if (e->error != NULL) {
        char code[64];
        query_code(a, code);
        assert_string_equal(code, e->error);
    }
    struct json *j = get("/_sandbox/charges");
    assert_int_equal(json_n(json_get(j, "data")), 0);
    json_free(j);
    assert_int_equal(w.n_callbacks, 0);
}

static void check_ending(const struct ending *e, const char *phone, int amount)
{
    struct answer a;
    char id[64], code[64];
    reset();
    push_of(&a, phone, amount);
    assert_int_equal(a.status, e->status);
    if (e->state == NULL) {
        check_refusal(e, &a);
        return;
    }
    wait_for(e->state, e->n_callbacks, id);
    if (e->n_callbacks > 0) {
        char number[JSON_NUMBER_TEXT];
        struct json *j = parsed(w.callbacks[e->n_callbacks - 1]);
        struct str result = json_number_text(json_get(stk_callback(j), "ResultCode"), number);
        assert_true(str_eq(result, str_c(e->callback)));
        bool same_id = str_eq(json_str(json_get(stk_callback(j), "CheckoutRequestID")), str_c(id));
        assert_int_equal(same_id, e->number != 28);
        json_free(j);
    }
    query(&a, id);
    query_code(&a, code);
    assert_string_equal(code, e->query);
}

static void test_every_ending(void **state)
{
    (void)state;
    log_in();
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        char phone[32];
        phone_of(endings[i].number, phone);
        check_ending(&endings[i], phone, 1250);
    }
}

static void test_endings_by_amount(void **state)
{
    (void)state;
    log_in();
    check_ending(&endings[2], "254700000999", 1002);
    check_ending(&endings[0], "254700000999", 3000);
    check_ending(&endings[0], "254700000998", 1002);
}

static void test_callback_comes_first(void **state)
{
    struct answer a;
    (void)state;
    log_in();
    reset();
    push_of(&a, "254711223023", 10);
    assert_int_equal(a.status, 200);
    assert_true(w.callback_was_first);
    reset();
    push_of(&a, "254711223043", 10); /* so slow that the callback overtakes it */
    assert_int_equal(a.status, 200);
    assert_true(w.callback_was_first);
}

static void test_a_revised_decision(void **state)
{
    char id[64];
    struct answer a;
    (void)state;
    log_in();
    reset();
    push_of(&a, "254711223025", 10);
    wait_for("paid", 2, id);
    struct json *first = parsed(w.callbacks[0]), *last = parsed(w.callbacks[1]);
    int64_t code = -1;
    assert_true(json_i64(json_get(stk_callback(first), "ResultCode"), &code));
    assert_int_equal(code, 1037);
    assert_true(json_i64(json_get(stk_callback(last), "ResultCode"), &code));
    assert_int_equal(code, 0);
    json_free(first);
    json_free(last);
}

/* While the customer has not decided, the query keeps quiet, each ending in its way. */
static void test_pending_forms(void **state)
{
    static const struct {
        int number, status;
        const char *code;
    } cases[] = {
        {0, 500, "500.001.1001"},  {4, 500, "500.001.1001"},  {60, 200, "4999"},
        {61, 500, "500.001.1001"}, {62, 502, "html"},         {63, 500, "500.001.1001"},
        {64, 200, "1037"},         {24, 500, "500.001.1001"},
    };
    (void)state;
    log_in();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct answer a;
        char phone[32], id[64], code[64];
        reset();
        settings("{\"delay_ms\":60000,\"timeout_delay_ms\":60000,\"late_delay_s\":60}");
        phone_of(cases[i].number, phone);
        push_of(&a, phone, 10);
        struct json *j = parsed(a.body);
        copy_text(j, "CheckoutRequestID", id, sizeof id);
        json_free(j);
        query(&a, id);
        assert_int_equal(a.status, cases[i].status);
        query_code(&a, code);
        assert_string_equal(code, cases[i].code);
    }
}

static void test_refused_token_is_taken_the_second_time(void **state)
{
    struct answer a;
    (void)state;
    log_in();
    reset();
    for (int i = 0; i < 3; i++) {
        push_begin(&a, "254711223051", 10, "5a5a");
        finish(&a);
        assert_int_equal(a.status, i == 0 ? 404 : 200);
    }
    push_begin(&a, "254711223051", 10, "5b5b");
    finish(&a);
    assert_int_equal(a.status, 404);
}

/* ---- doors ---- */

static void expect_code(const struct answer *a, int status, const char *code)
{
    char have[64];
    query_code(a, have);
    assert_int_equal(a->status, status);
    assert_string_equal(have, code);
}

static void test_token_door(void **state)
{
    struct answer a;
    (void)state;
    ask(&a, "GET", TOKEN_PATH, NULL, NULL, NULL);
    expect_code(&a, 400, "400.008.01");
    ask(&a, "GET", TOKEN_PATH, "Authorization: Basic eDp5", NULL, NULL);
    expect_code(&a, 400, "400.008.01");
    ask(&a, "GET", "/mpesa/oauth/v1/generate?grant_type=password", BASIC, NULL, NULL);
    expect_code(&a, 400, "400.008.02");
    ask(&a, "POST", TOKEN_PATH, BASIC, JSON_TYPE, "{}");
    expect_code(&a, 405, "405.001");
}

#define PUSH_PATH "/mpesa/mpesa/stkpush/v1/processrequest"

static void test_push_door(void **state)
{
    char bearer[128];
    struct answer a;
    (void)state;
    log_in();
    (void)snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", w.token);
    ask(&a, "POST", PUSH_PATH, JSON_TYPE, NULL, "{}");
    expect_code(&a, 404, "404.001.04");
    ask(&a, "POST", PUSH_PATH, JSON_TYPE, "Authorization: Bearer nope", "{}");
    expect_code(&a, 404, "404.001.03");
    ask(&a, "POST", PUSH_PATH, "Authorization: Bearer 0123456789012345678901234567", JSON_TYPE,
        "{}");
    expect_code(&a, 404, "404.001.03");
    ask(&a, "POST", PUSH_PATH, bearer, "Content-Type: application/x-www-form-urlencoded", "a=b");
    expect_code(&a, 400, "400.002.02");
    ask(&a, "POST", PUSH_PATH, bearer, JSON_TYPE, "{\"a\":");
    expect_code(&a, 400, "400.002.05");
    ask(&a, "POST", PUSH_PATH, bearer, JSON_TYPE, "[]");
    expect_code(&a, 400, "400.002.05");
    ask(&a, "POST", PUSH_PATH, bearer, JSON_TYPE, "{}");
    expect_code(&a, 400, "400.002.02");
    ask(&a, "GET", PUSH_PATH, bearer, NULL, NULL);
    expect_code(&a, 405, "405.001");
    query(&a, "ws_CO_nobody");
    expect_code(&a, 400, "400.002.02");
}

static void test_tokens_end(void **state)
{
    struct answer a;
    char old[64];
    (void)state;
    log_in();
    memcpy(old, w.token, sizeof old);
    log_in();
    memcpy(w.token, old, sizeof old); /* older ones stay valid */
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.status, 200);
    settings("{\"token_single\":true}");
    log_in();
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.status, 200);
    memcpy(w.token, old, sizeof old);
    push_of(&a, "254711223000", 10);
    expect_code(&a, 404, "404.001.03");
}

/* ---- settings ---- */

static int64_t number_at(const struct json *j, const char *a, const char *b)
{
    int64_t v;
    return json_i64(b != NULL ? json_get(json_get(j, a), b) : json_get(j, a), &v) ? v : -1;
}

static void test_settings_over_http(void **state)
{
    struct answer a;
    (void)state;
    ask(&a, "POST", "/_sandbox/chaos", JSON_TYPE, NULL, "{\"delay_ms\":77,\"nope\":1}");
    assert_int_equal(a.status, 422);
    ask(&a, "POST", "/_sandbox/chaos", JSON_TYPE, NULL, "[]");
    assert_int_equal(a.status, 400);
    struct json *j = get("/_sandbox/chaos");
    assert_int_equal(number_at(j, "delay_ms", NULL), 0);
    assert_int_equal(number_at(j, "slow_answer_ms", NULL), 50);
    json_free(j);
    settings("{\"delay_ms\":77,\"slow_answer_ms\":1}");
    j = get("/_sandbox/chaos");
    assert_int_equal(number_at(j, "delay_ms", NULL), 77);
    json_free(j);
    reset(); /* to the state after the start, not to the defaults */
    j = get("/_sandbox/chaos");
    assert_int_equal(number_at(j, "delay_ms", NULL), 0);
    assert_int_equal(number_at(j, "slow_answer_ms", NULL), 50);
    json_free(j);
}

static void charges_are(int64_t n)
{
    struct json *j = get("/_sandbox/charges");
    assert_int_equal(number_at(j, "total", NULL), n);
    json_free(j);
}

static void test_outages(void **state)
{
    struct answer a;
    (void)state;
    log_in();
    reset();
    settings("{\"down\":true}");
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.outcome, OUTBOUND_UNKNOWN);
    charges_are(0);
    settings("{\"down\":false,\"reset_rate\":1000}");
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.outcome, OUTBOUND_UNKNOWN);
    charges_are(0);
    settings("{\"reset_rate\":0,\"fail_rate\":1000}");
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.status, 500);
    assert_int_equal(a.body[0], '<');
    charges_are(0);
    settings("{\"fail_rate\":0,\"drop_answer_rate\":1000}");
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.outcome, OUTBOUND_UNKNOWN);
    charges_are(1);
    struct json *j = get("/_sandbox/calls?op=push");
    assert_int_equal(number_at(j, "counts", "mpesa.push"), 4);
    assert_int_equal(number_at(j, "accepted", "mpesa.push"), 1);
    json_free(j);
}

static void test_callback_rates(void **state)
{
    struct answer a;
    char id[64];
    (void)state;
    log_in();
    reset();
    settings("{\"callback_loss_rate\":1000}");
    push_of(&a, "254711223000", 10);
    wait_for("paid", 0, id);
    struct json *j = get("/_sandbox/callbacks");
    assert_int_equal(number_at(j, "lost", NULL), 1);
    assert_int_equal(number_at(j, "sent", NULL), 0);
    json_free(j);
    reset();
    settings("{\"callback_dup_rate\":1000}");
    push_of(&a, "254711223000", 10);
    wait_for("paid", 2, id);
    assert_string_equal(w.callbacks[0], w.callbacks[1]);
}

static void test_spike_arrest(void **state)
{
    struct answer a;
    int taken = 0;
    (void)state;
    log_in();
    reset();
    settings("{\"spike_limit_per_s\":3,\"delay_ms\":60000}");
    for (int i = 0; i < 12; i++) {
        push_of(&a, "254711223000", 10);
        taken += a.status == 200;
        if (a.status != 200)
            expect_code(&a, 500, "500.003.02");
    }
    assert_in_range(taken, 3, 9); /* the twelve may fall into up to three seconds */
    charges_are(taken);
}

static void test_answers_wait(void **state)
{
    struct answer a;
    (void)state;
    log_in();
    settings("{\"answer_delay_ms\":{\"min\":60,\"max\":60}}");
    int64_t from = loop_mono_us(w.loop);
    push_of(&a, "254711223000", 10);
    assert_int_equal(a.status, 200);
    assert_true(loop_mono_us(w.loop) - from >= 60 * US_PER_MS);
}

/* ---- the records ---- */

static void test_calls_tell_what_was_asked(void **state)
{
    struct answer a;
    char id[64], hash[URL_HASH_TEXT], url[128];
    (void)state;
    log_in();
    reset();
    push_begin(&a, "254711223000", 1250, "c0ffee");
    finish(&a);
    push_of(&a, "254711223052", 10);
    wait_for("paid", 1, id);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/cb/c0ffee", http_server_port(w.shop));
    call_url_hash(str_c(url), hash);
    struct json *j = get("/_sandbox/calls?op=push&phone=254711223000");
    assert_int_equal(number_at(j, "total", NULL), 1);
    assert_int_equal(number_at(j, "counts", "mpesa.push"), 2);
    const struct json *c = json_at(json_get(j, "data"), 0);
    assert_true(str_eq(json_str(json_get(c, "amount")), STR("1250")));
    assert_true(str_eq(json_str(json_get(c, "reference")), STR("INV1")));
    assert_true(str_eq(json_str(json_get(c, "checkout_request_id")), str_c(id)));
    assert_true(str_eq(json_str(json_get(c, "callback_url_hash")), str_c(hash)));
    assert_true(str_eq(json_str(json_get(c, "outcome")), STR("success")));
    assert_int_equal(number_at(c, "http_status", NULL), 200);
    json_free(j);
    j = get("/_sandbox/callbacks");
    c = json_at(json_get(j, "data"), 0);
    assert_true(str_eq(json_str(json_get(c, "checkout_request_id")), str_c(id)));
    assert_true(str_eq(json_str(json_get(c, "callback_url_hash")), str_c(hash)));
    json_free(j);
    ask(&a, "GET", "/_sandbox/calls?limit=x", NULL, NULL, NULL);
    assert_int_equal(a.status, 422);
}

/* What was on its way before a reset does not arrive behind it. */
static void test_reset_cancels(void **state)
{
    struct answer a;
    char id[64];
    (void)state;
    log_in();
    reset();
    settings("{\"delay_ms\":100,\"slow_answer_ms\":60000}");
    push_begin(&a, "254711223043", 10, "aa");
    struct json *j = NULL;
    for (int64_t n = 0; n == 0;) { /* until it has been queued */
        json_free(j);
        j = get("/_sandbox/charges");
        n = number_at(j, "total", NULL);
    }
    json_free(j);
    reset();
    finish(&a); /* the answer that was held back is cut */
    assert_int_equal(a.outcome, OUTBOUND_UNKNOWN);
    charges_are(0);
    settings("{\"delay_ms\":100}");
    push_of(&a, "254711223000", 10); /* its time comes after that of the first */
    wait_for("paid", 1, id);
    j = parsed(w.callbacks[0]);
    assert_true(str_eq(json_str(json_get(stk_callback(j), "CheckoutRequestID")), str_c(id)));
    json_free(j);
    j = get("/_sandbox/callbacks");
    assert_int_equal(number_at(j, "total", NULL), 1);
    json_free(j);
}

static void test_drain_with_everything_pending(void **state)
{
    struct answer slow;
    (void)state;
    log_in();
    reset();
    settings("{\"delay_ms\":60000,\"slow_answer_ms\":60000}");
    push_begin(&slow, "254711223043", 10, "ab");
    struct json *j = NULL;
    for (int64_t n = 0; n == 0;) {
        json_free(j);
        j = get("/_sandbox/charges");
        n = number_at(j, "total", NULL);
    }
    json_free(j);
    assert_false(slow.done);
    sandbox_down();
    finish(&slow);
    assert_int_equal(slow.outcome, OUTBOUND_UNKNOWN);
}

static void test_bad_settings_are_refused(void **state)
{
    struct sandbox *s = NULL;
    (void)state;
    struct sandbox_options o = {.listen = STR("127.0.0.1:0"), .settings = STR("{\"fail\":1}")};
    assert_int_equal(sandbox_new(w.loop, &o, &s).code, ERR_CONFIG);
    o.settings = STR("nonsense");
    assert_int_equal(sandbox_new(w.loop, &o, &s).code, ERR_CONFIG);
    o = (struct sandbox_options){.listen = STR("nowhere")};
    assert_int_not_equal(sandbox_new(w.loop, &o, &s).code, ERR_NONE);
    assert_null(s);
}

#define WIRE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE(test_every_ending),
        WIRE(test_endings_by_amount),
        WIRE(test_callback_comes_first),
        WIRE(test_a_revised_decision),
        WIRE(test_pending_forms),
        WIRE(test_refused_token_is_taken_the_second_time),
        WIRE(test_token_door),
        WIRE(test_push_door),
        WIRE(test_tokens_end),
        WIRE(test_settings_over_http),
        WIRE(test_outages),
        WIRE(test_callback_rates),
        WIRE(test_spike_arrest),
        WIRE(test_answers_wait),
        WIRE(test_calls_tell_what_was_asked),
        WIRE(test_reset_cancels),
        WIRE(test_drain_with_everything_pending),
        WIRE(test_bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
