/* The gateway client against a scripted M-Pesa: tokens are fetched once for all, renewed, shared
 * and replaced once when they are rejected; rates, deadlines and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/client_case.h"

enum { MANY = 50 };

/* ---- tokens ---- */

static void one_token_for_all(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[MANY], later;
    setup(&f, NULL);
    for (int i = 0; i < MANY; i++)
        push(&f, &s[i]);
    run(&f);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(s[i].n_done, 1);
        assert_int_equal(s[i].verdict, GW_ACCEPTED);
        assert_string_equal(s[i].ref, REF);
    }
    push(&f, &later);
    run(&f);
    assert_int_equal(later.verdict, GW_ACCEPTED);
    assert_int_equal(f.n_tokens, 1);
    assert_int_equal(f.n_pushes, MANY + 1);
    assert_string_equal(f.authorization[0], "Bearer token-1");
    teardown(&f);
}

static void another_account_another_token(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[2];
    setup(&f, NULL);
    push(&f, &s[0]);
    strcpy(f.account.id, "acc-2");
    push(&f, &s[1]);
    run(&f);
    assert_int_equal(f.n_tokens, 2);
    teardown(&f);
}

static void record(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    push(&f, &s);
    run(&f);
    assert_true(s.sent);
    assert_int_equal(s.http_status, 200);
    assert_true(strstr(s.request, "\"PhoneNumber\":\"25471*****44\"") != NULL);
    assert_true(strstr(s.request, "\"Password\":\"***\"") != NULL);
    assert_string_equal(s.response, ACCEPTED);
    teardown(&f);
}

static void rejected_once(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    f.reject_pushes = 1;
    push(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_ACCEPTED);
    assert_int_equal(f.n_tokens, 2);
    assert_int_equal(f.n_pushes, 2);
    assert_string_equal(f.authorization[0], "Bearer token-1");
    assert_string_equal(f.authorization[1], "Bearer token-2");
    teardown(&f);
}

/* All had the dead token; one new one is fetched for all of them. */
static void rejected_for_many(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[MANY];
    setup(&f, NULL);
    f.reject_pushes = MANY;
    for (int i = 0; i < MANY; i++)
        push(&f, &s[i]);
    run(&f);
    int taken = 0;
    for (int i = 0; i < MANY; i++)
        taken += s[i].verdict == GW_ACCEPTED;
    assert_int_equal(f.n_tokens, 2);
    assert_true(f.n_pushes <= 2 * MANY);
    /* A push that was resent before the last rejection may be rejected twice. */
    assert_int_equal(taken + (2 * MANY - f.n_pushes), MANY);
    teardown(&f);
}

/* The second rejection comes when the new token is there already: it must not cost that one. */
static struct peer_conn *held;

static void hold_second(struct peer_conn *c)
{
    struct fixture *f = c->peer->ctx;
    bool is_push = str_starts(c->request, STR("POST /mpesa/stkpush"));
    if (is_push && f->n_pushes == 1 && held == NULL) {
        f->n_pushes++;
        held = c;
        return;
    }
    daraja(c);
    if (is_push && f->n_pushes == 3) { /* the first one again, with the new token */
        peer_answer(held, "404 Not Found", REJECTED);
        held = NULL;
    }
}

static void rejected_late(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[2];
    setup(&f, NULL);
    held = NULL;
    f.peer.script = hold_second;
    f.reject_pushes = 1;
    push(&f, &s[0]);
    push(&f, &s[1]);
    run(&f);
    assert_int_equal(s[0].verdict, GW_ACCEPTED);
    assert_int_equal(s[1].verdict, GW_ACCEPTED);
    assert_int_equal(f.n_tokens, 2);
    assert_int_equal(f.n_pushes, 4);
    teardown(&f);
}

static void rejected_twice(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    f.reject_pushes = 1000;
    push(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_CONFIGURATION);
    assert_false(s.retry_later);
    assert_int_equal(f.n_tokens, 2);
    assert_int_equal(f.n_pushes, 2);
    teardown(&f);
}

static void token_failures(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum failure_code code;
        bool retry_later;
    } cases[] = {
        {400, "{\"errorCode\":\"400.008.01\",\"errorMessage\":\"Invalid\"}", FAILURE_CONFIGURATION,
         false},
        {400, "{\"errorCode\":\"400.008.02\",\"errorMessage\":\"grant\"}", FAILURE_CONFIGURATION,
         false},
        {503, "<html>", FAILURE_PROVIDER_UNAVAILABLE, true},
        {0, "{}", FAILURE_PROVIDER_UNAVAILABLE, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        struct seen s[3], q;
        setup(&f, NULL);
        f.token_status = cases[i].status;
        f.token_body = cases[i].body;
        for (int k = 0; k < 3; k++)
            push(&f, &s[k]);
        ask(&f, &q);
        run(&f);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(s[k].verdict, GW_REFUSED);
            assert_int_equal(s[k].code, cases[i].code);
            assert_int_equal(s[k].retry_later, cases[i].retry_later);
            assert_false(s[k].sent);
        }
        assert_int_equal(q.verdict, GW_UNKNOWN);
        assert_int_equal(f.n_tokens, 1);
        assert_int_equal(f.n_pushes + f.n_queries, 0);
        f.token_status = 0; /* the next one tries anew */
        f.token_body = NULL;
        push(&f, &s[0]);
        run(&f);
        assert_int_equal(s[0].verdict, GW_ACCEPTED);
        teardown(&f);
    }
}

static void no_token_in_time(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    f.token_silent = true;
    f.account.timeout_us = 50 * US_PER_MS;
    push(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_PROVIDER_UNAVAILABLE);
    assert_true(s.retry_later);
    assert_int_equal(f.n_pushes, 0);
    teardown(&f);
}

/* 90 % of ten seconds, on the shifted clock: kept before, renewed after. */
static void renewed(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    char path[] = "/tmp/reli_client_clock_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    setup(&f, NULL);
    fprintf(file, "0s\n");
    fflush(file);
    assert_false(err_is(loop_test_clock(f.loop, path)));
    f.expires_in = "1000";
    push(&f, &s);
    run(&f);
    static const struct {
        int shift_s, tokens;
    } steps[] = {{890, 1}, {910, 2}, {1700, 2}, {2200, 3}, {9000, 4}};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        rewind(file);
        fprintf(file, "%ds      \n", steps[i].shift_s);
        fflush(file);
        assert_false(err_is(loop_test_clock(f.loop, path)));
        push(&f, &s);
        run(&f);
        assert_int_equal(s.verdict, GW_ACCEPTED);
        assert_int_equal(f.n_tokens, steps[i].tokens);
    }
    fclose(file);
    remove(path);
    teardown(&f);
}

/* ---- the share ---- */

struct share {
    const char *token; /* what get answers; NULL: none */
    int64_t left_us;
    int n_get, n_put;
    char put[64], key[96]; /* the last */
    bool by_key;           /* get answers what was put under the key */
    bool silent;
    struct loop *loop;
    struct later later;
    void (*done)(void *, struct str, int64_t);
    void *done_ctx;
};

static void share_tell(void *ctx)
{
    struct share *s = ctx;
    s->done(s->done_ctx, s->token != NULL ? str_c(s->token) : STR_NULL,
            loop_wall_us(s->loop) + s->left_us);
}

static void share_get(void *ctx, const char *key, void (*told)(void *, struct str, int64_t),
                      void *done_ctx)
{
    struct share *s = ctx;
    assert_true(str_starts(str_c(key), STR("mpesa:")) && strlen(key) == 6 + 32);
    s->n_get++;
    if (s->by_key)
        s->token = strcmp(key, s->key) == 0 ? s->put : NULL;
    s->done = told;
    s->done_ctx = done_ctx;
    if (s->silent)
        return;
    if (s->n_get % 2 == 0)
        share_tell(s); /* at once is allowed as well */
    else
        loop_later(s->loop, &s->later, share_tell, s);
}

static void share_put(void *ctx, const char *key, struct str token, int64_t expires_wall_us)
{
    struct share *s = ctx;
    assert_true(expires_wall_us > loop_wall_us(s->loop));
    s->n_put++;
    str_copy_c(s->key, sizeof s->key, str_c(key));
    str_copy_c(s->put, sizeof s->put, token);
}

static void shared_tokens(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[4];
    struct share share = {.left_us = 1000 * US_PER_S};
    struct gw_token_share vt = {&share, share_get, share_put};
    /* nobody has one: fetched, and given to the others */
    setup(&f, &vt);
    share.loop = f.loop;
    for (int i = 0; i < 4; i++)
        push(&f, &s[i]);
    run(&f);
    assert_int_equal(share.n_get, 1);
    assert_int_equal(f.n_tokens, 1);
    assert_string_equal(share.put, "token-1");
    /* the provider rejects it, another replica has a newer one */
    share.token = "from-others";
    f.reject_pushes = 1;
    push(&f, &s[0]);
    run(&f);
    assert_int_equal(s[0].verdict, GW_ACCEPTED);
    assert_int_equal(f.n_tokens, 1);
    assert_string_equal(f.authorization[5], "Bearer from-others");
    /* that one is rejected too, and the share still has it: fetched */
    f.reject_pushes = 1;
    push(&f, &s[0]);
    run(&f);
    assert_int_equal(s[0].verdict, GW_ACCEPTED);
    assert_int_equal(f.n_tokens, 2);
    assert_int_equal(share.n_put, 2);
    teardown(&f);
    /* one that has ended is not taken */
    share = (struct share){.token = "old", .left_us = -1};
    setup(&f, &vt);
    share.loop = f.loop;
    push(&f, &s[0]);
    run(&f);
    assert_string_equal(f.authorization[0], "Bearer token-1");
    teardown(&f);
}

/* A new token may end the older ones: two accounts of one application must not fetch in turn. */
static void accounts_with_the_same_keys_share_a_token(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    struct share share = {.left_us = 1000 * US_PER_S, .by_key = true};
    struct gw_token_share vt = {&share, share_get, share_put};
    static const struct {
        const char *account, *secret, *token;
        int fetched;
    } steps[] = {{"acc-1", "secret", "Bearer token-1", 1},
                 {"acc-2", "secret", "Bearer token-1", 1},
                 {"acc-3", "another", "Bearer token-2", 2}};
    setup(&f, &vt);
    share.loop = f.loop;
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        str_copy_c(f.account.id, sizeof f.account.id, str_c(steps[i].account));
        set(&f.account, "consumer_secret", steps[i].secret);
        push(&f, &s);
        run(&f);
        assert_int_equal(s.verdict, GW_ACCEPTED);
        assert_int_equal(f.n_tokens, steps[i].fetched);
        assert_string_equal(f.authorization[i], steps[i].token);
    }
    teardown(&f);
}

static void silent_share(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    struct share share = {.silent = true, .token = "late", .left_us = 1000 * US_PER_S};
    struct gw_token_share vt = {&share, share_get, share_put};
    setup(&f, &vt);
    share.loop = f.loop;
    push(&f, &s);
    run(&f); /* a second later it is fetched */
    assert_int_equal(s.verdict, GW_ACCEPTED);
    share_tell(&share); /* too late, for nobody */
    teardown(&f);
}

/* ---- ends ---- */

static void queries(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    ask(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_SUCCEEDED);
    /* the answer is about somebody else's payment */
    f.query_body = "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"ws_CO_other\","
                   "\"ResultCode\":\"0\",\"ResultDesc\":\"ok\"}";
    ask(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_UNKNOWN);
    teardown(&f);
}

static void push_ends(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    f.push_status = "500 Oops";
    f.push_body = "{\"errorCode\":\"500.003.02\",\"errorMessage\":\"Spike Arrest\"}";
    push(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_PROVIDER_BUSY);
    assert_true(s.retry_later && s.sent);
    /* no answer: never sent again */
    f.push_silent = true;
    f.account.timeout_us = 600 * US_PER_MS;
    int before = f.n_pushes;
    push(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_UNKNOWN);
    assert_true(s.sent);
    assert_int_equal(f.n_pushes, before + 1);
    teardown(&f);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    setup(&f, NULL);
    push(&f, &s);
    run(&f); /* a token is there now */
    peer_stop(&f.peer);
    loop_run(f.loop);
    push(&f, &s);
    run(&f);
    assert_int_equal(s.verdict, GW_REFUSED);
    assert_int_equal(s.code, FAILURE_PROVIDER_UNAVAILABLE);
    assert_true(s.retry_later);
    assert_false(s.sent);
    teardown(&f);
}

static void not_built(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s = {.f = &f};
    setup(&f, NULL);
    struct gw_charge c = charge(&f);
    c.amount.minor = 150;
    assert_int_equal(gw_charge_start(f.client, &f.account, &c, done, &s).code, ERR_INVALID);
    f.account.gateway = gateway_find(STR("cash"));
    assert_int_equal(gw_charge_start(f.client, &f.account, &c, done, &s).code, ERR_INVALID);
    f.account.gateway = gateway_find(STR("mpesa"));
    teardown(&f);
    assert_int_equal(s.n_done + f.n_tokens, 0);
}

/* Twenty a second: what comes later waits, and a charge goes before a query that came first. */
static void rate(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s[3], q, late;
    setup(&f, NULL);
    push(&f, &s[0]);
    run(&f);
    f.account.rate_per_s = 20;
    f.account.timeout_us = 5 * US_PER_S;
    struct seen burst[20];
    for (int i = 0; i < 20; i++)
        push(&f, &burst[i]);
    ask(&f, &q);
    push(&f, &late);
    f.n_ended = 0;
    run(&f);
    assert_int_equal(f.n_pushes, 22);
    assert_true(late.order < q.order);
    assert_int_equal(late.verdict, GW_ACCEPTED);
    assert_int_equal(q.verdict, GW_SUCCEEDED);
    /* no turn within the deadline: refused, not sent */
    f.account.rate_per_s = 1;
    f.account.timeout_us = 500 * US_PER_MS;
    push(&f, &s[1]);
    push(&f, &s[2]);
    run(&f);
    assert_int_equal(s[2].verdict, GW_REFUSED);
    assert_int_equal(s[2].code, FAILURE_PROVIDER_BUSY);
    assert_true(s[2].retry_later);
    assert_false(s[2].sent);
    teardown(&f);
}

/* Queries take half of the burst at most: a charge finds room at once. */
static void rate_queries(void **state)
{
    (void)state;
    struct fixture f;
    struct seen q[20], s;
    setup(&f, NULL);
    push(&f, &s);
    run(&f);
    f.account.rate_per_s = 20;
    for (int i = 0; i < 20; i++)
        ask(&f, &q[i]);
    push(&f, &s);
    f.n_ended = 0;
    run(&f);
    assert_true(s.order < q[15].order);
    assert_int_equal(f.n_queries, 20);
    teardown(&f);
}

static void stop_on_push(struct peer_conn *c)
{
    struct fixture *f = c->peer->ctx;
    daraja(c);
    if (f->n_pushes > 0)
        loop_stop(f->loop);
}

static void free_in_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct seen sent, waiting;
    setup(&f, NULL);
    f.push_silent = true;
    f.peer.script = stop_on_push;
    push(&f, &sent);
    run(&f);
    strcpy(f.account.id, "acc-2");
    push(&f, &waiting); /* for a token */
    f.left++;           /* gw_client_free must not stop the loop */
    teardown(&f);
    assert_int_equal(sent.n_done, 1);
    assert_int_equal(sent.verdict, GW_UNKNOWN);
    assert_int_equal(waiting.n_done, 1);
    assert_int_equal(waiting.verdict, GW_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token_for_all),
        cmocka_unit_test(another_account_another_token),
        cmocka_unit_test(record),
        cmocka_unit_test(rejected_once),
        cmocka_unit_test(rejected_for_many),
        cmocka_unit_test(rejected_late),
        cmocka_unit_test(rejected_twice),
        cmocka_unit_test(token_failures),
        cmocka_unit_test(no_token_in_time),
        cmocka_unit_test(renewed),
        cmocka_unit_test(shared_tokens),
        cmocka_unit_test(accounts_with_the_same_keys_share_a_token),
        cmocka_unit_test(silent_share),
        cmocka_unit_test(queries),
        cmocka_unit_test(push_ends),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(not_built),
        cmocka_unit_test(rate),
        cmocka_unit_test(rate_queries),
        cmocka_unit_test(free_in_flight),
    };
    log_open(2, LOG_OFF);
    if (err_is(crypto_open()))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_close();
    return rc;
}
