#ifndef RELI_TEST_GATEWAYS_SANDBOX_CASE_H
#define RELI_TEST_GATEWAYS_SANDBOX_CASE_H

/* What the tests of the sandbox over real HTTP share: a shop that takes callbacks, a client, and
 * the sandbox on one loop. cmocka.h comes first. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "gateways/outbound.h"
#include "gateways/sandbox/daraja_body.h"
#include "gateways/sandbox/journal.h"
#include "gateways/sandbox/sandbox.h"
#include "http/server.h"

#define PASSKEY "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
#define JSON_TYPE "Content-Type: application/json"

enum { MAX_CALLBACKS = 8, TEXT = 4096 };

struct answer {
    bool done;
    enum outbound_outcome outcome;
    int status;
    char body[65536];
};

static struct {
    struct loop *loop;
    struct sandbox *sandbox;
    struct http_server *shop;
    struct outbound *client;
    struct timer deadline;
    char callbacks[MAX_CALLBACKS][TEXT], paths[MAX_CALLBACKS][64];
    int n_callbacks;
    char token[64];
    int serial;
    bool push_answered, callback_was_first, draining, drained;
} w;

static inline void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("nothing happened for ten seconds");
}

/* Runs the loop until someone stops it. */
static inline void run(void)
{
    timer_set(w.loop, &w.deadline, 10 * US_PER_S, too_late, NULL);
    loop_run(w.loop);
    timer_off(w.loop, &w.deadline);
}

static inline void stop(void *ctx)
{
    (void)ctx;
    loop_stop(w.loop);
}

static inline void drained(void *ctx)
{
    w.drained = true;
    stop(ctx);
}

static inline void sandbox_down(void)
{
    if (!w.draining)
        sandbox_drain(w.sandbox, US_PER_S, drained, NULL);
    w.draining = true;
}

static inline void shop_callback(struct http_exchange *x)
{
    assert_true(w.n_callbacks < MAX_CALLBACKS);
    (void)str_copy_c(w.paths[w.n_callbacks], sizeof w.paths[0], x->path);
    (void)str_copy_c(w.callbacks[w.n_callbacks++], TEXT, x->body);
    if (!w.push_answered)
        w.callback_was_first = true;
    http_reply_json(x, 200, STR("{\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}"));
    loop_stop(w.loop);
}

static inline int setup(void **state)
{
    static const struct route routes[] = {{HTTP_POST_, "/cb/{token}", shop_callback, 0},
                                          {0, NULL, NULL, 0}};
    const struct http_server_options shop = {.routes = routes};
    const struct outbound_options client = {.user_agent = "test"};
    const struct sandbox_options sandbox = {
        .listen = STR("127.0.0.1:0"),
        .settings = STR("{\"delay_ms\":0,\"timeout_delay_ms\":0,\"late_delay_s\":0,"
                        "\"slow_answer_ms\":50}")};
    (void)state;
    memset(&w, 0, sizeof w);
    assert_int_equal(crypto_open().code, ERR_NONE);
    assert_int_equal(loop_new(&w.loop).code, ERR_NONE);
    assert_int_equal(http_server_new(w.loop, &shop, &w.shop).code, ERR_NONE);
    assert_int_equal(http_server_listen(w.shop, STR("127.0.0.1:0")).code, ERR_NONE);
    assert_int_equal(outbound_new(w.loop, &client, &w.client).code, ERR_NONE);
    assert_int_equal(sandbox_new(w.loop, &sandbox, &w.sandbox).code, ERR_NONE);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    outbound_free(w.client);
    sandbox_down();
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

/* ---- a client ---- */

static inline void answered(void *ctx, const struct outbound_response *r)
{
    struct answer *a = ctx;
    a->done = true;
    a->outcome = r->outcome;
    a->status = r->outcome == OUTBOUND_ANSWERED ? r->status : 0;
    (void)str_copy_c(a->body, sizeof a->body, r->body);
    loop_stop(w.loop);
}

static inline void begin(struct answer *a, const char *method, const char *path, const char *header,
                         const char *header_2, const char *body)
{
    char url[512];
    struct outbound_call *call;
    struct outbound_request q = {.method = method,
                                 .url = url,
                                 .body = str_c(body),
                                 .timeout_us = 5 * US_PER_S,
                                 .once = true}; /* a cut must not be repeated unasked */
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", sandbox_port(w.sandbox), path);
    if (header != NULL)
        q.headers[q.n_headers++] = header;
    if (header_2 != NULL)
        q.headers[q.n_headers++] = header_2;
    a->done = false;
    assert_int_equal(outbound_start(w.client, &q, answered, a, &call).code, ERR_NONE);
}

static inline void finish(struct answer *a)
{
    while (!a->done)
        run();
}

static inline void ask(struct answer *a, const char *method, const char *path, const char *header,
                       const char *header_2, const char *body)
{
    begin(a, method, path, header, header_2, body);
    finish(a);
}

/* The body of an answer. The caller frees it. */
static inline struct json *parsed(const char *text)
{
    struct json *j = NULL;
    size_t where;
    if (json_parse(str_c(text), &j, &where).code != ERR_NONE)
        fail_msg("no JSON: %s", text);
    return j;
}

static inline struct json *get(const char *path)
{
    struct answer a;
    ask(&a, "GET", path, NULL, NULL, NULL);
    assert_int_equal(a.status, 200);
    return parsed(a.body);
}

static inline void settings(const char *json)
{
    struct answer a;
    ask(&a, "POST", "/_sandbox/chaos", JSON_TYPE, NULL, json);
    assert_int_equal(a.status, 200);
}

static inline void reset(void)
{
    struct answer a;
    ask(&a, "POST", "/_sandbox/reset", NULL, NULL, NULL);
    assert_int_equal(a.status, 200);
    w.n_callbacks = 0;
    w.push_answered = w.callback_was_first = false;
}

static inline void copy_text(const struct json *j, const char *name, char *dst, size_t cap)
{
    (void)str_copy_c(dst, cap, json_str(json_get(j, name)));
}

#define BASIC "Authorization: Basic c2FuZGJveF9jb25zdW1lcl9rZXk6c2FuZGJveF9jb25zdW1lcl9zZWNyZXQ="
#define TOKEN_PATH "/mpesa/oauth/v1/generate?grant_type=client_credentials"

static inline void log_in(void)
{
    struct answer a;
    ask(&a, "GET", TOKEN_PATH, BASIC, NULL, NULL);
    assert_int_equal(a.status, 200);
    struct json *j = parsed(a.body);
    copy_text(j, "access_token", w.token, sizeof w.token);
    assert_int_equal(strlen(w.token), 28);
    assert_true(str_eq(json_str(json_get(j, "expires_in")), STR("3599")));
    json_free(j);
}

static inline void password_now(char timestamp[DARAJA_TIME], char out[256])
{
    struct buf plain, encoded;
    daraja_time_text(loop_wall_us(w.loop), timestamp);
    buf_init(&plain, 512);
    buf_init(&encoded, 512);
    buf_fmt(&plain, "174379" PASSKEY "%s", timestamp);
    base64_add(&encoded, buf_view(&plain));
    (void)str_copy_c(out, 256, buf_view(&encoded));
    buf_free(&plain);
    buf_free(&encoded);
}

static inline void push_begin(struct answer *a, const char *phone, int amount,
                              const char *path_token)
{
    char timestamp[DARAJA_TIME], password[256], body[2048], bearer[128];
    password_now(timestamp, password);
    (void)snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", w.token);
    (void)snprintf(body, sizeof body,
                   "{\"BusinessShortCode\":174379,\"Password\":\"%s\",\"Timestamp\":\"%s\","
                   "\"TransactionType\":\"CustomerPayBillOnline\",\"Amount\":%d,\"PartyA\":%s,"
                   "\"PartyB\":174379,\"PhoneNumber\":%s,"
                   "\"CallBackURL\":\"http://127.0.0.1:%d/cb/%s\","
                   "\"AccountReference\":\"INV1\",\"TransactionDesc\":\"Order\"}",
                   password, timestamp, amount, phone, phone, http_server_port(w.shop), path_token);
    begin(a, "POST", "/mpesa/mpesa/stkpush/v1/processrequest", bearer, JSON_TYPE, body);
}

static inline void push_of(struct answer *a, const char *phone, int amount)
{
    char path_token[16];
    (void)snprintf(path_token, sizeof path_token, "%08x", (unsigned)++w.serial);
    push_begin(a, phone, amount, path_token);
    finish(a);
    w.push_answered = true;
}

static inline void phone_of(int number, char out[32])
{
    (void)snprintf(out, 32, "254711223%03d", number);
}

static inline void query(struct answer *a, const char *id)
{
    char timestamp[DARAJA_TIME], password[256], body[1024], bearer[128];
    password_now(timestamp, password);
    (void)snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", w.token);
    (void)snprintf(body, sizeof body,
                   "{\"BusinessShortCode\":\"174379\",\"Password\":\"%s\",\"Timestamp\":\"%s\","
                   "\"CheckoutRequestID\":\"%s\"}",
                   password, timestamp, id);
    ask(a, "POST", "/mpesa/mpesa/stkpushquery/v1/query", bearer, JSON_TYPE, body);
}

#endif
