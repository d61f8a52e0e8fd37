/* Daraja's routes, and the doors of token, push and query. Each request is counted, meets the
 * settings, then the checks in the order in which Daraja makes them: token, shape, fields,
 * password. Source: providers/mpesa.md. */
#include "gateways/sandbox/daraja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/daraja_body.h"

enum { TOKEN_TEXT = 29, MAX_TOKENS = 1024, MAX_URLS = 100000 };

struct daraja_token {
    char text[TOKEN_TEXT];
    int64_t until_us; /* monotonic */
    UT_hash_handle hh;
};

struct daraja_url {
    char hash[URL_HASH_TEXT];
    UT_hash_handle hh;
};

static void token_get(struct http_exchange *x);
static void push_post(struct http_exchange *x);
static void query_post(struct http_exchange *x);
static void wrong_method(struct http_exchange *x);

/* The base URL ends in the provider's prefix, hence "/mpesa/mpesa/stkpush/…" on the wire. */
static const struct route routes[] = {
    {HTTP_GET_, "/oauth/v1/generate", token_get, 0},
    {HTTP_POST_, "/oauth/v1/generate", wrong_method, 0},
    {HTTP_POST_, "/mpesa/stkpush/v1/processrequest", push_post, 0},
    {HTTP_GET_, "/mpesa/stkpush/v1/processrequest", wrong_method, 0},
    {HTTP_POST_, "/mpesa/stkpushquery/v1/query", query_post, 0},
    {HTTP_GET_, "/mpesa/stkpushquery/v1/query", wrong_method, 0},
    {HTTP_POST_, "/mpesa/reversal/v1/request", daraja_reversal_post, 0},
    {HTTP_GET_, "/mpesa/reversal/v1/request", wrong_method, 0},
    {HTTP_POST_, "/mpesa/b2c/v3/paymentrequest", daraja_payout_post, 0},
    {HTTP_GET_, "/mpesa/b2c/v3/paymentrequest", wrong_method, 0},
    {HTTP_POST_, "/mpesa/b2c/v1/paymentrequest", daraja_payout_v1_post, 0},
    {HTTP_GET_, "/mpesa/b2c/v1/paymentrequest", wrong_method, 0},
    {HTTP_POST_, "/mpesa/transactionstatus/v1/query", daraja_status_post, 0},
    {HTTP_GET_, "/mpesa/transactionstatus/v1/query", wrong_method, 0},
    {HTTP_POST_, "/mpesa/accountbalance/v1/query", daraja_balance_post, 0},
    {HTTP_GET_, "/mpesa/accountbalance/v1/query", wrong_method, 0},
    {HTTP_POST_, "/mpesa/c2b/v1/registerurl", daraja_register_v1_post, 0},
    {HTTP_GET_, "/mpesa/c2b/v1/registerurl", wrong_method, 0},
    {HTTP_POST_, "/mpesa/c2b/v2/registerurl", daraja_register_v2_post, 0},
    {HTTP_GET_, "/mpesa/c2b/v2/registerurl", wrong_method, 0},
    {HTTP_POST_, "/mpesa/c2b/v1/simulate", daraja_simulate_post, 0},
    {HTTP_POST_, "/mpesa/qrcode/v1/generate", daraja_qr_post, 0},
    {HTTP_GET_, "/mpesa/qrcode/v1/generate", wrong_method, 0},
    {HTTP_POST_, "/mpesa/c2b/v2/simulate", daraja_simulate_post, 0},
    {HTTP_GET_, "/_certificate", daraja_certificate_get, 0},
    {0, NULL, NULL, 0},
};

static const struct daraja_fault bad_token = {404, "404.001.03", "Invalid Access Token"};
static const struct daraja_fault bad_header = {404, "404.001.04", "Invalid Authentication Header"};
static const struct daraja_fault bad_auth = {400, "400.008.01", "Invalid Authentication passed"};
static const struct daraja_fault bad_grant = {400, "400.008.02", "Invalid grant type passed"};
static const struct daraja_fault bad_body = {400, "400.002.05", "Invalid Request Payload"};
static const struct daraja_fault bad_id = {400, "400.002.02",
                                           "Bad Request - Invalid CheckoutRequestID"};
static const struct daraja_fault bad_method = {405, "405.001", "Method Not Allowed"};
/* Pitfall 7 of section 8: a form instead of JSON looks to Daraja as if the first field were
 * missing. */
static const struct daraja_fault bad_form = {400, "400.002.02",
                                             "Bad Request - Invalid BusinessShortCode"};
static const struct daraja_fault spike = {500, "500.003.02",
                                          "Error Occurred: Spike Arrest Violation"};

static struct err daraja_open(struct sandbox *s, const struct sandbox_options *o, void **state);
static void daraja_reset(void *state);
static void daraja_close(void *state);

const struct sandbox_provider daraja_provider = {
    .name = "mpesa",
    .routes = routes,
    .open = daraja_open,
    .reset = daraja_reset,
    .close = daraja_close,
    .called_back = daraja_push_called_back,
    .told = daraja_payback_told,
    .delivered = daraja_c2b_delivered,
};

/* ---- life ---- */

static struct err copy(char **out, const char *text, const char *otherwise)
{
    *out = strdup(text != NULL && text[0] != 0 ? text : otherwise);
    return *out != NULL ? ERR_OK : ERR(NO_MEMORY, "daraja");
}

static struct err credentials(struct daraja *d, const struct sandbox_options *o)
{
    const char *key = o->mpesa_consumer_key, *secret = o->mpesa_consumer_secret;
    struct buf plain, header;
    buf_init(&plain, 1024);
    buf_init(&header, 2048);
    buf_c(&plain, key != NULL && key[0] != 0 ? key : "sandbox_consumer_key");
    buf_char(&plain, ':');
    buf_c(&plain, secret != NULL && secret[0] != 0 ? secret : "sandbox_consumer_secret");
    buf_c(&header, "Basic ");
    if (!plain.failed)
        base64_add(&header, buf_view(&plain));
    buf_char(&header, 0);
    struct err e = plain.failed || header.failed
                       ? ERR(CONFIG, "the sandbox's consumer key is too long")
                       : copy(&d->basic, header.p, "");
    buf_free(&plain);
    buf_free(&header);
    TRY(e);
    TRY(copy(&d->texts[0], o->mpesa_shortcode, "174379"));
    TRY(copy(&d->texts[1], o->mpesa_passkey,
             "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"));
    TRY(copy(&d->texts[2], o->mpesa_till_store, "600997"));
    TRY(copy(&d->texts[3], o->mpesa_till, "7654321"));
    TRY(copy(&d->texts[4], o->mpesa_till_passkey, "sandbox_till_passkey"));
    TRY(copy(&d->texts[5], o->mpesa_b2c_shortcode, "600998"));
    TRY(copy(&d->texts[6], o->mpesa_initiator_name, "testapi"));
    TRY(copy(&d->texts[7], o->mpesa_initiator_password, "sandbox_initiator_password"));
    d->payout_shortcode = d->texts[5];
    d->initiator = d->texts[6];
    d->initiator_password = d->texts[7];
    d->accounts[0] = (struct daraja_account){d->texts[0], d->texts[1], NULL};
    d->accounts[1] = (struct daraja_account){d->texts[2], d->texts[4], d->texts[3]};
    return ERR_OK;
}

static struct err daraja_open(struct sandbox *s, const struct sandbox_options *o, void **state)
{
    struct daraja *d = *state = calloc(1, sizeof *d);
    if (d == NULL)
        return ERR(NO_MEMORY, "daraja");
    d->s = s;
    list_init(&d->inquiries);
    TRY(credentials(d, o));
    TRY(daraja_c2b_open(d));
    return daraja_refund_open(d, o);
}

static void tokens_drop(struct daraja *d)
{
    struct daraja_token *t, *next;
    HASH_ITER(hh, d->tokens, t, next)
    {
        HASH_DEL(d->tokens, t);
        free(t);
    }
}

/* Tokens live through a reset as they do through an outage: nobody has asked for new ones. */
static void daraja_reset(void *state)
{
    struct daraja *d = state;
    struct daraja_url *u, *next;
    HASH_ITER(hh, d->refused, u, next)
    {
        HASH_DEL(d->refused, u);
        free(u);
    }
    daraja_refund_reset(d);
    daraja_c2b_reset(d);
}

static void daraja_close(void *state)
{
    struct daraja *d = state;
    daraja_reset(d);
    daraja_refund_close(d);
    daraja_c2b_close(d);
    tokens_drop(d);
    free(d->basic);
    for (size_t i = 0; i < COUNT_OF(d->texts); i++)
        free(d->texts[i]);
    free(d);
}

bool daraja_first_refusal(struct daraja *d, const char *url_hash)
{
    struct daraja_url *u;
    HASH_FIND(hh, d->refused, url_hash, URL_HASH_TEXT - 1, u);
    if (u != NULL || HASH_COUNT(d->refused) >= MAX_URLS)
        return false;
    u = calloc(1, sizeof *u);
    if (u == NULL)
        return false;
    memcpy(u->hash, url_hash, URL_HASH_TEXT);
    HASH_ADD(hh, d->refused, hash, URL_HASH_TEXT - 1, u);
    if (u->hh.tbl == NULL) {
        free(u);
        return false;
    }
    return true;
}

void daraja_refuse(struct daraja *d, struct http_exchange *x, struct call *call,
                   struct daraja_fault f)
{
    struct buf *b = sandbox_scratch(d->s);
    uint64_t random = random_u64();
    char id[40];
    (void)snprintf(id, sizeof id, "%04x-%04x-%04x-%012llx", (unsigned)(random >> 48),
                   (unsigned)(random >> 32 & 0xffff), (unsigned)(random >> 16 & 0xffff),
                   (unsigned long long)(random * 0x9e3779b97f4a7c15u >> 16));
    daraja_body_fault(b, id, f.code, f.message);
    call->outcome = f.message;
    sandbox_reply(d->s, x, call, f.status, "application/json", buf_view(b));
}

/* ---- doors ---- */

bool daraja_enter(struct daraja *d, struct http_exchange *x, struct call *call)
{
    enum gate gate = sandbox_gate(d->s, x, call);
    if (gate == GATE_SPIKE)
        daraja_refuse(d, x, call, spike);
    return gate == GATE_OPEN;
}

static void wrong_method(struct http_exchange *x)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "wrong_method");
    if (daraja_enter(d, x, &call))
        daraja_refuse(d, x, &call, bad_method);
}

/* The oldest makes way; with token_single every older one does. NULL without memory. */
static const struct daraja_token *token_new(struct daraja *d)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (d->s->chaos.token_single)
        tokens_drop(d);
    if (HASH_COUNT(d->tokens) >= MAX_TOKENS) {
        struct daraja_token *oldest = d->tokens;
        HASH_DEL(d->tokens, oldest);
        free(oldest);
    }
    struct daraja_token *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    for (size_t i = 0; i < TOKEN_TEXT - 1; i++)
        t->text[i] = alphabet[random_below(sizeof alphabet - 1)];
    t->until_us = loop_mono_us(d->s->loop) + d->s->chaos.token_life_s * US_PER_S;
    HASH_ADD(hh, d->tokens, text, TOKEN_TEXT - 1, t);
    if (t->hh.tbl == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

static void token_get(struct http_exchange *x)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "token");
    if (!daraja_enter(d, x, &call))
        return;
    if (!str_eq(http_header(x, STR("authorization")), str_c(d->basic))) {
        daraja_refuse(d, x, &call, bad_auth);
        return;
    }
    if (!str_eq(http_query(x, STR("grant_type")), STR("client_credentials"))) {
        daraja_refuse(d, x, &call, bad_grant);
        return;
    }
    const struct daraja_token *t = token_new(d);
    if (t == NULL) {
        daraja_refuse(d, x, &call, spike);
        return;
    }
    struct buf *b = sandbox_scratch(d->s);
    daraja_body_token(b, t->text, d->s->chaos.token_life_s);
    call.accepted = true;
    call.outcome = "token";
    sandbox_reply(d->s, x, &call, 200, "application/json", buf_view(b));
}

static struct daraja_fault token_check(struct daraja *d, const struct http_exchange *x)
{
    struct str header = http_header(x, STR("authorization"));
    struct daraja_token *t;
    if (!str_starts(header, STR("Bearer ")))
        return bad_header;
    struct str text = str_from(header, 7);
    if (text.n != TOKEN_TEXT - 1)
        return bad_token;
    HASH_FIND(hh, d->tokens, text.p, TOKEN_TEXT - 1, t);
    if (t == NULL || t->until_us <= loop_mono_us(d->s->loop))
        return bad_token;
    return (struct daraja_fault){0, NULL, NULL};
}

struct daraja_fault daraja_operation_check(struct daraja *d, const struct http_exchange *x,
                                           const struct json *body)
{
    struct daraja_fault f = token_check(d, x);
    if (f.status != 0)
        return f;
    struct str type = http_header(x, STR("content-type"));
    if (!str_ieq(str_first(type, 16), STR("application/json")))
        return bad_form;
    return json_kind(body) == JSON_OBJ ? (struct daraja_fault){0, NULL, NULL} : bad_body;
}

void daraja_note(char *dst, size_t cap, const struct json *body, const char *name)
{
    char text[JSON_NUMBER_TEXT];
    call_text(dst, cap, json_number_text(json_get(body, name), text));
}

static void push_answer(struct daraja *d, struct http_exchange *x, struct call *call,
                        const struct json *body)
{
    struct daraja_push push;
    const struct daraja_account *account;
    if (!daraja_enter(d, x, call))
        return;
    struct daraja_fault f = daraja_operation_check(d, x, body);
    if (f.status == 0)
        f = daraja_check_push(body, &push);
    if (f.status == 0)
        f = daraja_check_password(d->accounts, DARAJA_N_ACCOUNTS, push.shortcode, push.password,
                                  push.timestamp, loop_wall_us(d->s->loop),
                                  d->s->chaos.timestamp_tolerance_s, &account);
    if (f.status != 0)
        daraja_refuse(d, x, call, f);
    else
        daraja_push_begin(d, x, call, &push, account);
}

struct json *daraja_body_of(const struct http_exchange *x)
{
    struct json *body = NULL;
    size_t where;
    return err_is(json_parse(x->body, &body, &where)) ? NULL : body;
}

static void push_post(struct http_exchange *x)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "push");
    struct json *body = daraja_body_of(x);
    struct str url = json_str(json_get(body, "CallBackURL"));
    daraja_note(call.phone, sizeof call.phone, body, "PhoneNumber");
    daraja_note(call.amount, sizeof call.amount, body, "Amount");
    daraja_note(call.reference, sizeof call.reference, body, "AccountReference");
    if (url.n > 0)
        call_url_hash(url, call.url_hash);
    push_answer(d, x, &call, body);
    json_free(body);
}

static void query_answer(struct daraja *d, struct http_exchange *x, struct call *call,
                         const struct json *body)
{
    struct daraja_query query;
    const struct daraja_account *account;
    struct booking *b = NULL;
    if (!daraja_enter(d, x, call))
        return;
    struct daraja_fault f = daraja_operation_check(d, x, body);
    if (f.status == 0)
        f = daraja_check_query(body, &query);
    if (f.status == 0)
        f = daraja_check_password(d->accounts, DARAJA_N_ACCOUNTS, query.shortcode, query.password,
                                  query.timestamp, loop_wall_us(d->s->loop),
                                  d->s->chaos.timestamp_tolerance_s, &account);
    if (f.status == 0) {
        b = book_find(&d->s->book, query.id);
        if (b == NULL || b->provider != daraja_provider.name)
            f = bad_id; /* not documented; the code of a field that does not fit */
    }
    if (f.status != 0)
        daraja_refuse(d, x, call, f);
    else
        daraja_push_query(d, x, call, b);
}

static void query_post(struct http_exchange *x)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "query");
    struct json *body = daraja_body_of(x);
    daraja_note(call.id, sizeof call.id, body, "CheckoutRequestID");
    query_answer(d, x, &call, body);
    json_free(body);
}
