#ifndef RELI_TEST_GATEWAYS_SANDBOX_CPAY_CASE_H
#define RELI_TEST_GATEWAYS_SANDBOX_CPAY_CASE_H

/* What the tests of CPay in the sandbox share: a shop that takes webhooks, a client that signs, and
 * the sandbox on one loop. cmocka.h comes first. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "gateways/outbound.h"
#include "gateways/sandbox/sandbox.h"
#include "http/server.h"

#define KEY "cpk_sandbox"
#define SECRET "reli sandbox CPay demo secret 01"
#define HOOK_SECRET "cpw_sandbox_webhook_secret"

enum { MAX_HOOKS = 16, TEXT = 4096 };

struct hook {
    char id[32], type[32], signature[160], body[TEXT];
};

struct answer {
    bool done;
    enum outbound_outcome outcome;
    int status;
    int64_t retry_after_s;
    char body[65536];
};

static struct {
    struct loop *loop;
    struct sandbox *sandbox;
    struct http_server *shop;
    struct outbound *client;
    struct timer deadline, nap;
    struct hook hooks[MAX_HOOKS];
    int n_hooks, refuse; /* so many hooks get a 500 first */
    int64_t skew_s;
    const char *nonce, *key, *secret; /* NULL: as it should be */
    int serial;
    bool drained;
} w;

/* ---- the world ---- */

static inline void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("nothing happened for ten seconds");
}

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

static inline void shop_hook(struct http_exchange *x)
{
    assert_true(w.n_hooks < MAX_HOOKS);
    struct hook *h = &w.hooks[w.n_hooks++];
    struct json *j = NULL;
    assert_int_equal(json_parse(x->body, &j, NULL).code, ERR_NONE);
    (void)str_copy_c(h->type, sizeof h->type, json_str(json_get(j, "type")));
    json_free(j);
    (void)str_copy_c(h->id, sizeof h->id, http_header(x, STR("cpay-event-id")));
    (void)str_copy_c(h->signature, sizeof h->signature, http_header(x, STR("cpay-signature")));
    (void)str_copy_c(h->body, sizeof h->body, x->body);
    bool refused = w.refuse > 0;
    w.refuse -= refused;
    http_reply_json(x, refused ? 500 : 200, STR("{}"));
    loop_stop(w.loop);
}

static inline int setup(void **state)
{
    static const struct route routes[] = {{HTTP_POST_, "/hook", shop_hook, 0}, {0, NULL, NULL, 0}};
    const struct http_server_options shop = {.routes = routes};
    const struct outbound_options client = {.user_agent = "test"};
    char url[64];
    (void)state;
    memset(&w, 0, sizeof w);
    assert_int_equal(crypto_open().code, ERR_NONE);
    assert_int_equal(loop_new(&w.loop).code, ERR_NONE);
    assert_int_equal(http_server_new(w.loop, &shop, &w.shop).code, ERR_NONE);
    assert_int_equal(http_server_listen(w.shop, STR("127.0.0.1:0")).code, ERR_NONE);
    assert_int_equal(outbound_new(w.loop, &client, &w.client).code, ERR_NONE);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/hook", http_server_port(w.shop));
    const struct sandbox_options sandbox = {
        .listen = STR("127.0.0.1:0"),
        .settings = STR("{\"cpay_delay_ms\":2,\"late_delay_s\":0,\"slow_answer_ms\":50}"),
        .cpay_webhook_url = url};
    assert_int_equal(sandbox_new(w.loop, &sandbox, &w.sandbox).code, ERR_NONE);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    outbound_free(w.client);
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

/* ---- a client ---- */

static inline void answered(void *ctx, const struct outbound_response *r)
{
    struct answer *a = ctx;
    a->done = true;
    a->outcome = r->outcome;
    a->status = r->outcome == OUTBOUND_ANSWERED ? r->status : 0;
    a->retry_after_s = r->retry_after_s;
    (void)str_copy_c(a->body, sizeof a->body, r->body);
    loop_stop(w.loop);
}

static inline void hex_of(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* The document's five lines, put together here anew. */
static inline void sign(const char *method, const char *path, const char *time, const char *nonce,
                        const char *body, char out[65])
{
    uint8_t bytes[SHA256_LEN];
    char hash[65], text[2048];
    sha256_one(str_c(body), bytes);
    hex_of(bytes, sizeof bytes, hash);
    int n = snprintf(text, sizeof text, "%s\n%s\n%s\n%s\n%s", method, path, time, nonce, hash);
    assert_true(n > 0 && (size_t)n < sizeof text);
    hmac_sha256_one(str_c(w.secret != NULL ? w.secret : SECRET), str_n(text, (size_t)n), bytes);
    hex_of(bytes, sizeof bytes, out);
}

static inline void begin(struct answer *a, const char *method, const char *path,
                         const char *idempotency, const char *body)
{
    char url[768], full[512], time[24], nonce[40], mac[65], lines[6][160];
    struct outbound_call *call;
    struct outbound_request q = {.method = method,
                                 .url = url,
                                 .body = str_c(body),
                                 .timeout_us = 5 * US_PER_S,
                                 .once = true};
    (void)snprintf(full, sizeof full, "/cpay%s", path);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", sandbox_port(w.sandbox), full);
    (void)snprintf(time, sizeof time, "%lld",
                   (long long)(loop_wall_us(w.loop) / US_PER_S + w.skew_s));
    (void)snprintf(nonce, sizeof nonce, "test-nonce-%020d", ++w.serial);
    const char *used = w.nonce != NULL ? w.nonce : nonce;
    sign(method, full, time, used, body != NULL ? body : "", mac);
    (void)snprintf(lines[0], 160, "CPay-Key: %s", w.key != NULL ? w.key : KEY);
    (void)snprintf(lines[1], 160, "CPay-Timestamp: %s", time);
    (void)snprintf(lines[2], 160, "CPay-Nonce: %s", used);
    (void)snprintf(lines[3], 160, "CPay-Signature: v1=%s", mac);
    (void)snprintf(lines[4], 160, "Content-Type: application/json");
    (void)snprintf(lines[5], 160, "Idempotency-Key: %s", idempotency != NULL ? idempotency : "");
    for (int i = 0; i < (idempotency != NULL ? 6 : 5); i++)
        q.headers[q.n_headers++] = lines[i];
    a->done = false;
    assert_int_equal(outbound_start(w.client, &q, answered, a, &call).code, ERR_NONE);
}

static inline void finish(struct answer *a)
{
    while (!a->done)
        run();
}

static inline void ask(struct answer *a, const char *method, const char *path,
                       const char *idempotency, const char *body)
{
    begin(a, method, path, idempotency, body);
    finish(a);
}

static struct json *parsed(const char *text)
{
    struct json *j = NULL;
    if (json_parse(str_c(text), &j, NULL).code != ERR_NONE)
        fail_msg("no JSON: %s", text);
    return j;
}

/* The text at a path of at most two names, in the body of an answer or hook. */
static inline const char *text_at(const char *body, const char *name, const char *inner)
{
    static char out[8][512];
    static unsigned turn;
    char *to = out[turn++ % 8], number[JSON_NUMBER_TEXT];
    struct json *root = parsed(body);
    const struct json *j = json_get(root, name);
    j = inner != NULL ? json_get(j, inner) : j;
    struct str s = json_kind(j) == JSON_INT ? json_number_text(j, number) : json_str(j);
    (void)str_copy_c(to, 512, s);
    json_free(root);
    return to;
}

static inline void assert_fault(const struct answer *a, int status, const char *code,
                                const char *field)
{
    if (a->status != status || strcmp(text_at(a->body, "error", "code"), code) != 0 ||
        (field != NULL && strcmp(text_at(a->body, "error", "field"), field) != 0))
        fail_msg("not %d %s %s: %d %s", status, code, field != NULL ? field : "", a->status,
                 a->body);
}

static inline void inspect(struct answer *a, const char *method, const char *path, const char *body)
{
    char url[256];
    struct outbound_call *call;
    struct outbound_request q = {.method = method,
                                 .url = url,
                                 .body = str_c(body),
                                 .timeout_us = 5 * US_PER_S,
                                 .n_headers = 1,
                                 .headers = {"Content-Type: application/json"}};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", sandbox_port(w.sandbox), path);
    a->done = false;
    assert_int_equal(outbound_start(w.client, &q, answered, a, &call).code, ERR_NONE);
    finish(a);
}

static inline void reset(void)
{
    struct answer a;
    inspect(&a, "POST", "/_sandbox/reset", NULL);
    assert_int_equal(a.status, 200);
    w.n_hooks = w.refuse = 0;
}

static inline void settings(const char *json)
{
    struct answer a;
    inspect(&a, "POST", "/_sandbox/chaos", json);
    assert_int_equal(a.status, 200);
}

/* ---- payments ---- */

static inline const char *payment_body(const char *reference, int64_t amount, const char *phone)
{
    static char out[4][512];
    static unsigned turn;
    char *to = out[turn++ % 4];
    (void)snprintf(to, 512,
                   "{\"reference\":\"%s\",\"amount\":%lld,\"currency\":\"RWF\","
                   "\"method\":\"wallet\",\"payer\":{\"msisdn\":\"%s\"}}",
                   reference, (long long)amount, phone);
    return to;
}

static inline void create(struct answer *a, const char *reference, int64_t amount)
{
    char key[80];
    (void)snprintf(key, sizeof key, "key-%s", reference);
    ask(a, "POST", "/v1/payments", key, payment_body(reference, amount, "+250781234567"));
}

static inline void fetch(struct answer *a, const char *id)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/v1/payments/%s", id);
    ask(a, "GET", path, NULL, NULL);
    assert_int_equal(a->status, 200);
}

/* Asks until it is there; each answer is one turn of the world. */
static inline void until(const char *id, const char *status)
{
    struct answer a;
    char kept[16];
    (void)str_copy_c(kept, sizeof kept, str_c(id));
    for (int i = 0; i < 500; i++) {
        fetch(&a, kept);
        if (strcmp(text_at(a.body, "status", NULL), status) == 0)
            return;
    }
    fail_msg("never %s: %s", status, a.body);
}

static inline void hooks(int n)
{
    while (w.n_hooks < n)
        run();
}

static inline bool hook_signed(const struct hook *h)
{
    uint8_t mac[SHA256_LEN];
    char want[96], hex[65], text[TEXT + 32];
    struct str rest = str_c(h->signature), time;
    (void)str_split(&rest, ',', &time);
    time = str_from(time, 2);
    int n = snprintf(text, sizeof text, "%.*s.%s", STR_ARG(time), h->body);
    hmac_sha256_one(STR(HOOK_SECRET), str_n(text, (size_t)n), mac);
    hex_of(mac, sizeof mac, hex);
    (void)snprintf(want, sizeof want, "t=%.*s,v1=%s", STR_ARG(time), hex);
    return strcmp(want, h->signature) == 0;
}

#endif
