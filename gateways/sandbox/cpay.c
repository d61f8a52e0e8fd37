/* CPay's routes and door. Each request is counted, meets the settings, then the checks in this
 * order: signature, shape, Idempotency-Key; only then the operation's own. Source:
 * providers/patterns.md, part A. */
#include "gateways/sandbox/cpay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"

#define ANSWER_LIFE_US (24 * US_PER_HOUR)

enum { KEY_MIN = 8, KEY_MAX = 64, ID_DIGITS = 10 };

/* ---- routes ---- */

static void serve(struct http_exchange *x, const char *op, void (*door)(struct cpay_request *));
static void health_get(struct http_exchange *x);
static void balance(struct cpay_request *rq);

/* clang-format off */
#define DOOR(name, op, door)                       \
    static void name(struct http_exchange *x)      \
    {                                              \
        serve(x, op, door);                        \
    }
/* clang-format on */
DOOR(payments_post, "create", cpay_payment_create)
DOOR(payments_get, "list", cpay_payment_list)
DOOR(payment_get, "query", cpay_payment_get)
DOOR(otp_post, "otp", cpay_payment_otp)
DOOR(cancel_post, "cancel", cpay_payment_cancel)
DOOR(refunds_post, "refund", cpay_refund_create)
DOOR(refunds_get, "refund_list", cpay_refund_list)
DOOR(refund_get, "refund_query", cpay_refund_get)
DOOR(payouts_post, "payout", cpay_payout_create)
DOOR(payouts_get, "payout_list", cpay_payout_list)
DOOR(payout_get, "payout_query", cpay_payout_get)
DOOR(balance_get, "balance", balance)

static const struct route routes[] = {
    {HTTP_POST_, "/v1/payments", payments_post, 0},
    {HTTP_GET_, "/v1/payments", payments_get, 0},
    {HTTP_GET_, "/v1/payments/{id}", payment_get, 0},
    {HTTP_POST_, "/v1/payments/{id}/otp", otp_post, 0},
    {HTTP_POST_, "/v1/payments/{id}/cancel", cancel_post, 0},
    {HTTP_POST_, "/v1/payments/{id}/refunds", refunds_post, 0},
    {HTTP_GET_, "/v1/refunds", refunds_get, 0},
    {HTTP_GET_, "/v1/refunds/{id}", refund_get, 0},
    {HTTP_POST_, "/v1/payouts", payouts_post, 0},
    {HTTP_GET_, "/v1/payouts", payouts_get, 0},
    {HTTP_GET_, "/v1/payouts/{id}", payout_get, 0},
    {HTTP_GET_, "/v1/balance", balance_get, 0},
    {HTTP_GET_, "/v1/health", health_get, 0},
    {HTTP_GET_, "/pay/{id}", cpay_page_get, 0},
    {HTTP_POST_, "/pay/{id}", cpay_page_post, 0},
    {0, NULL, NULL, 0},
};

static struct err cpay_open(struct sandbox *s, const struct sandbox_options *o, void **state);
static void cpay_reset(void *state);
static void cpay_close(void *state);

const struct sandbox_provider cpay_provider = {
    .name = "cpay",
    .routes = routes,
    .open = cpay_open,
    .reset = cpay_reset,
    .close = cpay_close,
    .delivered = cpay_delivered,
};

/* ---- life ---- */

static struct err cpay_open(struct sandbox *s, const struct sandbox_options *o, void **state)
{
    struct cpay *c = *state = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR(NO_MEMORY, "cpay");
    c->s = s;
    cpay_hooks_open(c);
    return cpay_auth_open(c, o);
}

/* Payments, refunds and payouts have gone with the books. Nonces stay used. */
static void cpay_reset(void *state)
{
    struct cpay *c = state;
    hooks_drop(&c->hooks);
    memos_drop(&c->answers);
    memos_drop(&c->busy);
    c->n_balances = 0;
}

static void cpay_close(void *state)
{
    struct cpay *c = state;
    cpay_reset(c);
    memos_drop(&c->nonces);
    cpay_auth_close(c);
    free(c);
}

/* Ten digits of 32 values; the factor is odd, so that no number comes twice before all have. */
void cpay_id(struct cpay *c, const char *prefix, char out[CALL_TEXT])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t v = ++c->s->serial * UINT64_C(0x9e3779b97f4a7c15);
    size_t n = strlen(prefix);
    ASSERT(n + ID_DIGITS < CALL_TEXT);
    memcpy(out, prefix, n);
    for (size_t i = 0; i < ID_DIGITS; i++, v >>= 5)
        out[n + ID_DIGITS - 1 - i] = digits[v & 31];
    out[n + ID_DIGITS] = 0;
}

/* ---- answers ---- */

static void keep(struct cpay_request *rq, int status, struct str body, int64_t busy_us)
{
    struct cpay *c = rq->c;
    int64_t now_us = loop_mono_us(c->s->loop);
    if (rq->key[0] == 0)
        return;
    struct memo *m = memo_add(&c->answers, str_c(rq->key), now_us + ANSWER_LIFE_US);
    if (m == NULL)
        return;
    memcpy(m->hash, rq->hash, sizeof m->hash);
    m->status = status;
    m->busy_until_us = now_us + busy_us;
    m->body = strndup(body.p, body.n);
    m->body_len = m->body != NULL ? body.n : 0;
}

void cpay_answer_after(struct cpay_request *rq, int64_t after_us, int status, struct str body,
                       const char *outcome)
{
    keep(rq, status, body, after_us);
    rq->call.accepted = true;
    rq->call.outcome = outcome;
    sandbox_reply_after(rq->c->s, rq->x, &rq->call, after_us, status, "application/json", body,
                        NULL);
}

void cpay_answer(struct cpay_request *rq, int status, struct str body, const char *outcome)
{
    cpay_answer_after(rq, 0, status, body, outcome);
}

/* A refusal by the payer's bank (402) is as final as a payment: it is kept, too. */
void cpay_refuse(struct cpay_request *rq, struct cpay_fault f)
{
    struct buf b;
    char id[CALL_TEXT];
    cpay_id(rq->c, "req_", id);
    buf_init(&b, 4096);
    cpay_body_fault(&b, &f, id);
    if (f.status == 402)
        keep(rq, f.status, buf_view(&b), 0);
    if (f.status < 500 && cpay_fault_retryable(&f))
        http_set_header(rq->x, STR("Retry-After"), STR("1"));
    rq->call.outcome = f.message;
    sandbox_reply(rq->c->s, rq->x, &rq->call, f.status, "application/json", buf_view(&b));
    buf_free(&b);
}

void cpay_answer_lost(struct cpay_request *rq, int status, struct str body)
{
    static const struct cpay_fault internal = {500, "internal", NULL, "Something went wrong"};
    keep(rq, status, body, 0);
    rq->call.accepted = true;
    cpay_refuse(rq, internal);
}

static void replay(struct cpay_request *rq, const struct memo *m)
{
    http_set_header(rq->x, STR("Idempotent-Replayed"), STR("true"));
    rq->call.outcome = "answered as before";
    sandbox_reply(rq->c->s, rq->x, &rq->call, m->status, "application/json",
                  str_n(m->body, m->body_len));
}

/* ---- the door ---- */

/* True if the request is new; it has been answered otherwise. */
static bool idempotency(struct cpay_request *rq)
{
    static const struct cpay_fault missing = {400, "invalid_request", "Idempotency-Key",
                                              "Send 8 to 64 letters, digits, - or _"};
    static const struct cpay_fault conflict = {409, "idempotency_conflict", "Idempotency-Key",
                                               "The key was used for another request"};
    static const struct cpay_fault busy = {409, "idempotency_in_progress", "Idempotency-Key",
                                           "The first request is still being worked on"};
    struct http_exchange *x = rq->x;
    struct str key = http_header(x, STR("idempotency-key"));
    const struct str parts[] = {x->path, STR("\n"), x->body};
    if (!cpay_id_fine(key, KEY_MIN, KEY_MAX)) {
        cpay_refuse(rq, missing);
        return false;
    }
    int64_t now_us = loop_mono_us(rq->c->s->loop);
    const struct memo *m = memo_find(&rq->c->answers, key, now_us);
    sha256(parts, COUNT_OF(parts), rq->hash);
    if (m == NULL) {
        (void)str_copy_c(rq->key, sizeof rq->key, key);
        return true;
    }
    if (memcmp(m->hash, rq->hash, sizeof rq->hash) != 0)
        cpay_refuse(rq, conflict);
    else if (m->busy_until_us > now_us)
        cpay_refuse(rq, busy);
    else
        replay(rq, m);
    return false;
}

static bool body_read(struct cpay_request *rq)
{
    static const struct cpay_fault no_json = {400, "invalid_request", NULL,
                                              "The body is not a JSON object"};
    static const struct cpay_fault no_type = {400, "invalid_request", "Content-Type",
                                              "Send application/json"};
    struct http_exchange *x = rq->x;
    if (x->body.n > 0 &&
        !str_ieq(str_first(http_header(x, STR("content-type")), 16), STR("application/json"))) {
        cpay_refuse(rq, no_type);
        return false;
    }
    struct str text = x->body.n > 0 ? x->body : STR("{}");
    if (err_is(json_parse(text, &rq->body, NULL)) || json_kind(rq->body) != JSON_OBJ) {
        cpay_refuse(rq, no_json);
        return false;
    }
    return true;
}

static void note(struct cpay_request *rq)
{
    char text[JSON_NUMBER_TEXT];
    struct call *call = &rq->call;
    struct str phone = json_str(json_path(rq->body, "payer", "msisdn", NULL));
    if (phone.n == 0)
        phone = json_str(json_path(rq->body, "destination", "msisdn", NULL));
    if (str_starts(phone, STR("+")))
        phone = str_from(phone, 1);
    call_text(call->phone, sizeof call->phone, phone);
    call_text(call->reference, sizeof call->reference, json_str(json_get(rq->body, "reference")));
    call_text(call->amount, sizeof call->amount,
              json_number_text(json_get(rq->body, "amount"), text));
}

static void enter(struct cpay_request *rq, void (*door)(struct cpay_request *))
{
    static const struct cpay_fault spike = {429, "rate_limited", NULL, "Too many requests"};
    bool post = rq->x->method == HTTP_POST_;
    struct sandbox *s = rq->c->s;
    enum gate gate = sandbox_gate(s, rq->x, &rq->call);
    if (gate == GATE_SHUT)
        return;
    struct cpay_fault f = gate == GATE_SPIKE ? spike : cpay_auth_check(rq->c, rq->x);
    if (f.status != 0) {
        cpay_refuse(rq, f);
        return;
    }
    if (post && !body_read(rq))
        return;
    if (post)
        note(rq);
    if (!post || idempotency(rq))
        door(rq);
}

static void serve(struct http_exchange *x, const char *op, void (*door)(struct cpay_request *))
{
    struct cpay_request rq = {
        .c = sandbox_state(x), .x = x, .call = sandbox_call(x, op), .body = NULL};
    if (x->params[0].n > 0)
        call_text(rq.call.id, sizeof rq.call.id, x->params[0]);
    enter(&rq, door);
    json_free(rq.body);
}

static void health_get(struct http_exchange *x)
{
    struct cpay *c = sandbox_state(x);
    struct call call = sandbox_call(x, "health");
    if (sandbox_gate(c->s, x, &call) == GATE_SHUT)
        return;
    call.accepted = true;
    call.outcome = "health";
    sandbox_reply(c->s, x, &call, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

/* ---- balance ---- */

static void balance(struct cpay_request *rq)
{
    struct cpay *c = rq->c;
    char currency[CURRENCY_TEXT];
    struct buf *b = sandbox_scratch(c->s);
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_key(&w, "balances");
    jw_open_list(&w);
    for (size_t i = 0; i < c->n_balances; i++) {
        jw_open(&w);
        jw_c(&w, "currency", currency_text(c->balances[i].currency, currency));
        jw_i64(&w, "available", c->balances[i].available);
        jw_i64(&w, "pending", c->balances[i].pending);
        jw_close(&w);
    }
    jw_close_list(&w);
    jw_close(&w);
    cpay_answer(rq, 200, buf_view(b), "balance");
}
