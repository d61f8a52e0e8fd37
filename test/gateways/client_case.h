#ifndef RELI_TEST_GATEWAYS_CLIENT_CASE_H
#define RELI_TEST_GATEWAYS_CLIENT_CASE_H

/* What the gateway client's tests share: a scripted M-Pesa, an account with it, operations.
 * cmocka.h comes first. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/crypto/mac.h"
#include "gateways/client.h"
#include "test/gateways/peer.h"

#define REF "ws_CO_14032025101503711223344"
#define ACCEPTED \
    "{\"CheckoutRequestID\":\"" REF "\",\"ResponseCode\":\"0\",\"ResponseDescription\":\"ok\"}"
#define REJECTED \
    "{\"requestId\":\"1\",\"errorCode\":\"404.001.03\",\"errorMessage\":\"Invalid Access Token\"}"

#define ACKNOWLEDGED \
    "{\"ConversationID\":\"AG_1\",\"OriginatorConversationID\":\"8821-1\",\"ResponseCode\":\"0\"}"

struct seen {
    struct fixture *f;
    int n_done;
    enum gw_verdict verdict;
    enum failure_code code;
    bool retry_later, sent;
    int http_status;
    char ref[64], request[1024], response[1024];
    int order;
    enum gw_op op;
};

struct fixture {
    struct loop *loop;
    struct outbound *out;
    struct gw_client *client;
    struct test_peer peer;
    struct timer watchdog;
    struct gw_account account;
    char base[64];
    int left, n_ended;
    /* what the script does */
    int n_tokens, n_pushes, n_queries, n_refunds;
    int reject_pushes;      /* so many pushes answer 404.001.03 */
    int token_status;       /* 0: 200 */
    const char *token_body; /* NULL: a token named after its number */
    const char *expires_in;
    bool token_silent, push_silent;
    const char *push_status, *push_body, *query_body;
    int reject_refunds;
    bool refund_silent;
    const char *refund_body; /* NULL: acknowledged */
    char refund_path[64];
    char authorization[16][64]; /* of the pushes */
};

static inline void too_long(void *ctx)
{
    (void)ctx;
    fail_msg("the test hangs");
}

static inline void note_authorization(struct fixture *f, struct str request)
{
    size_t at = str_find_str(request, STR("Authorization: "));
    struct str rest = str_from(request, at + 15), value;
    if (at != SIZE_MAX && str_split(&rest, '\r', &value))
        str_copy_c(f->authorization[f->n_pushes % 16], 64, value);
}

static inline void token_answer(struct fixture *f, struct peer_conn *c)
{
    char body[128];
    f->n_tokens++;
    if (f->token_silent)
        return;
    snprintf(body, sizeof body, "{\"access_token\":\"token-%d\",\"expires_in\":\"%s\"}",
             f->n_tokens, f->expires_in);
    peer_answer(c,
                f->token_status == 0     ? "200 OK"
                : f->token_status == 400 ? "400 Bad"
                                         : "503 Busy",
                f->token_body != NULL ? f->token_body : body);
}

static inline void refund_answer(struct fixture *f, struct peer_conn *c)
{
    struct str rest = str_from(c->request, 5), path;
    if (str_split(&rest, ' ', &path))
        str_copy_c(f->refund_path, sizeof f->refund_path, path);
    f->n_refunds++;
    if (f->refund_silent)
        return;
    if (f->reject_refunds > 0) {
        f->reject_refunds--;
        peer_answer(c, "404 Not Found", REJECTED);
    } else {
        peer_answer(c, "200 OK", f->refund_body != NULL ? f->refund_body : ACKNOWLEDGED);
    }
}

static inline void daraja(struct peer_conn *c)
{
    struct fixture *f = c->peer->ctx;
    if (str_starts(c->request, STR("GET /oauth/v1/generate?grant_type=client_credentials "))) {
        token_answer(f, c);
    } else if (str_starts(c->request, STR("POST /mpesa/stkpush/v1/processrequest "))) {
        note_authorization(f, c->request);
        f->n_pushes++;
        if (f->push_silent)
            return;
        if (f->reject_pushes > 0) {
            f->reject_pushes--;
            peer_answer(c, "404 Not Found", REJECTED);
        } else {
            peer_answer(c, f->push_status, f->push_body);
        }
    } else if (str_starts(c->request, STR("POST /mpesa/stkpushquery/v1/query "))) {
        f->n_queries++;
        peer_answer(c, "200 OK", f->query_body);
    } else if (str_starts(c->request, STR("POST /mpesa/reversal/")) ||
               str_starts(c->request, STR("POST /mpesa/b2c/")) ||
               str_starts(c->request, STR("POST /mpesa/transactionstatus/"))) {
        refund_answer(f, c);
    } else {
        fail_msg("unexpected: %.*s", STR_ARG(c->request));
    }
}

static inline void set(struct gw_account *a, const char *name, const char *value)
{
    for (size_t i = 0; i < a->gateway->n_settings; i++)
        if (strcmp(a->gateway->settings[i].name, name) == 0) {
            secret_free(&a->settings[i]);
            assert_false(err_is(secret_set(&a->settings[i], str_c(value))));
        }
}

static inline void setup(struct fixture *f, const struct gw_token_share *share)
{
    memset(f, 0, sizeof *f);
    f->expires_in = "3599";
    f->push_status = "200 OK";
    f->push_body = ACCEPTED;
    f->query_body = "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"" REF
                    "\",\"ResultCode\":\"0\",\"ResultDesc\":\"ok\"}";
    assert_false(err_is(loop_new(&f->loop)));
    assert_false(err_is(outbound_new(f->loop, &(struct outbound_options){0}, &f->out)));
    assert_false(err_is(gw_client_new(f->loop, f->out, share, &f->client)));
    peer_start(&f->peer, f->loop, daraja, f);
    snprintf(f->base, sizeof f->base, "http://127.0.0.1:%d", f->peer.port);
    f->account = (struct gw_account){.gateway = gateway_find(STR("mpesa")),
                                     .id = "acc-1",
                                     .base_url = str_c(f->base),
                                     .timeout_us = 10 * US_PER_S};
    set(&f->account, "consumer_key", "key");
    set(&f->account, "consumer_secret", "secret");
    set(&f->account, "shortcode", "522533");
    set(&f->account, "passkey", "test-passkey");
}

static inline void teardown(struct fixture *f)
{
    gw_client_free(f->client);
    outbound_free(f->out);
    peer_stop(&f->peer);
    loop_run(f->loop);
    loop_free(f->loop);
    for (size_t i = 0; i < GW_MAX_SETTINGS; i++)
        secret_free(&f->account.settings[i]);
}

static inline void run(struct fixture *f)
{
    timer_set(f->loop, &f->watchdog, 20 * US_PER_S, too_long, NULL);
    loop_run(f->loop);
    timer_off(f->loop, &f->watchdog);
}

static inline void done(void *ctx, const struct gw_result *r, const struct gw_exchange *x)
{
    struct seen *s = ctx;
    s->n_done++;
    s->verdict = r->verdict;
    s->code = r->code;
    s->retry_later = r->retry_later;
    s->sent = x->sent;
    s->op = x->op;
    s->http_status = x->http_status;
    s->order = ++s->f->n_ended;
    str_copy_c(s->ref, sizeof s->ref, r->provider_ref);
    str_copy_c(s->request, sizeof s->request, x->request);
    str_copy_c(s->response, sizeof s->response, x->response);
    assert_true((r->verdict == GW_UNKNOWN) <= (r->why != NULL));
    if (--s->f->left == 0)
        loop_stop(s->f->loop);
}

static inline struct gw_charge charge(const struct fixture *f)
{
    return (struct gw_charge){.amount = {125000, CURRENCY('K', 'E', 'S')},
                              .phone = STR("+254711223344"),
                              .pay_code = STR("RL0K7Q2ZD913"),
                              .description = STR("Order"),
                              .callback_url = STR("http://127.0.0.1/cb/00ff"),
                              .now_us = loop_wall_us(f->loop)};
}

static inline void push(struct fixture *f, struct seen *s)
{
    struct gw_charge c = charge(f);
    *s = (struct seen){.f = f};
    f->left++;
    assert_false(err_is(gw_charge_start(f->client, &f->account, &c, done, s)));
    assert_int_equal(s->n_done, 0);
}

static inline void ask(struct fixture *f, struct seen *s)
{
    *s = (struct seen){.f = f};
    f->left++;
    assert_false(err_is(gw_query_start(f->client, &f->account, STR(REF), done, s)));
    assert_int_equal(s->n_done, 0);
}

#endif
