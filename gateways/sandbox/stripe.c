/* Stripe's routes and door. Each request is counted, meets the settings, then the checks in this
 * order: key, version, form, Idempotency-Key; only then the operation's own. Source:
 * providers/stripe.md, 1 and 9. */
#include "gateways/sandbox/stripe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/secret.h"
#include "core/base/times.h"
#include "core/crypto/text.h"

/* The demo credentials; README.md shows them. */
#define DEMO_KEY "sk_test_reliSandbox"
#define DEMO_WEBHOOK_SECRET "whsec_reliSandbox"
#define ANSWER_LIFE_US (24 * US_PER_HOUR)

enum { KEY_MAX = 255, ID_DIGITS = 12, BUSY_TWICE = 2 };

/* ---- routes ---- */

static void serve(struct http_exchange *x, const char *op, void (*door)(struct stripe_request *));

/* clang-format off */
#define DOOR(name, op, door)                       \
    static void name(struct http_exchange *x)      \
    {                                              \
        serve(x, op, door);                        \
    }
/* clang-format on */
DOOR(sessions_post, "checkout", stripe_session_create)
DOOR(sessions_get, "checkout_list", stripe_session_list)
DOOR(session_get, "checkout_query", stripe_session_get)
DOOR(session_expire, "checkout_expire", stripe_session_expire)
DOOR(intents_post, "intent", stripe_intent_create)
DOOR(intents_get, "intent_list", stripe_intent_list)
DOOR(intent_get, "intent_query", stripe_intent_get)
DOOR(intent_confirm, "intent_confirm", stripe_intent_confirm)
DOOR(intent_cancel, "intent_cancel", stripe_intent_cancel)
DOOR(dispute_get, "dispute_query", stripe_dispute_get)
DOOR(dispute_submit, "dispute", stripe_dispute_submit)
DOOR(balance_get, "balance", stripe_balance_get)
DOOR(refunds_post, "refund", stripe_refund_create)
DOOR(refunds_get, "refund_list", stripe_refund_list)
DOOR(refund_get, "refund_query", stripe_refund_get)

static const struct route routes[] = {
    {HTTP_POST_, "/v1/checkout/sessions", sessions_post, 0},
    {HTTP_GET_, "/v1/checkout/sessions", sessions_get, 0},
    {HTTP_GET_, "/v1/checkout/sessions/{id}", session_get, 0},
    {HTTP_POST_, "/v1/checkout/sessions/{id}/expire", session_expire, 0},
    {HTTP_POST_, "/v1/payment_intents", intents_post, 0},
    {HTTP_GET_, "/v1/payment_intents", intents_get, 0},
    {HTTP_GET_, "/v1/payment_intents/{id}", intent_get, 0},
    {HTTP_POST_, "/v1/payment_intents/{id}/confirm", intent_confirm, 0},
    {HTTP_POST_, "/v1/payment_intents/{id}/cancel", intent_cancel, 0},
    {HTTP_GET_, "/v1/balance", balance_get, 0},
    {HTTP_GET_, "/v1/disputes/{id}", dispute_get, 0},
    {HTTP_POST_, "/v1/disputes/{id}", dispute_submit, 0},
    {HTTP_POST_, "/v1/refunds", refunds_post, 0},
    {HTTP_GET_, "/v1/refunds", refunds_get, 0},
    {HTTP_GET_, "/v1/refunds/{id}", refund_get, 0},
    {HTTP_GET_, "/pay/{id}", stripe_pay_get, 0},
    {HTTP_POST_, "/pay/{id}", stripe_pay_post, 0},
    {HTTP_GET_, "/3ds/{id}", stripe_3ds_get, 0},
    {HTTP_POST_, "/3ds/{id}", stripe_3ds_post, 0},
    {0, NULL, NULL, 0},
};

static struct err stripe_open(struct sandbox *s, const struct sandbox_options *o, void **state);
static void stripe_reset(void *state);
static void stripe_close(void *state);

const struct sandbox_provider stripe_provider = {
    .name = "stripe",
    .routes = routes,
    .open = stripe_open,
    .reset = stripe_reset,
    .close = stripe_close,
    .delivered = stripe_delivered,
};

/* ---- life ---- */

static struct str text_or(const char *text, const char *otherwise)
{
    return str_c(text != NULL && text[0] != 0 ? text : otherwise);
}

static struct err stripe_open(struct sandbox *s, const struct sandbox_options *o, void **state)
{
    struct stripe *c = *state = calloc(1, sizeof *c);
    struct str key = text_or(o->stripe_api_key, DEMO_KEY), secret;
    struct str secrets = text_or(o->stripe_webhook_secret, DEMO_WEBHOOK_SECRET);
    if (c == NULL)
        return ERR(NO_MEMORY, "stripe");
    c->s = s;
    stripe_hooks_open(c);
    if (!str_starts(key, STR("sk_test_")) || !str_is_printable_ascii(key))
        return ERR(CONFIG, "SANDBOX_STRIPE_API_KEY does not begin with sk_test_");
    c->api_key = stripe_dup(key);
    while (str_split(&secrets, ',', &secret)) {
        if (!str_starts(secret, STR("whsec_")) || c->n_webhook_secrets == STRIPE_MAX_SECRETS)
            return ERR(CONFIG, "SANDBOX_STRIPE_WEBHOOK_SECRET is not one to four of whsec_…");
        c->webhook_secrets[c->n_webhook_secrets] = stripe_dup(secret);
        if (c->webhook_secrets[c->n_webhook_secrets++] == NULL)
            return ERR(NO_MEMORY, "stripe");
    }
    return c->api_key != NULL ? ERR_OK : ERR(NO_MEMORY, "stripe");
}

/* Orders and refunds have gone with the books. */
static void stripe_reset(void *state)
{
    struct stripe *c = state;
    hooks_drop(&c->hooks);
    memos_drop(&c->answers);
    memos_drop(&c->busy);
}

static void stripe_close(void *state)
{
    struct stripe *c = state;
    stripe_reset(c);
    free(c->api_key);
    for (size_t i = 0; i < c->n_webhook_secrets; i++)
        free(c->webhook_secrets[i]);
    free(c);
}

/* Twelve digits of 32 values; the factor is odd, so that no number comes twice before all have. */
void stripe_id(struct stripe *c, const char *prefix, char *out, size_t cap)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t v = ++c->s->serial * UINT64_C(0x9e3779b97f4a7c15);
    size_t n = strlen(prefix);
    ASSERT(n + ID_DIGITS < cap);
    memcpy(out, prefix, n);
    for (size_t i = 0; i < ID_DIGITS; i++, v >>= 5)
        out[n + ID_DIGITS - 1 - i] = digits[v & 31];
    out[n + ID_DIGITS] = 0;
}

int64_t stripe_now_s(const struct stripe *c)
{
    return loop_wall_us(c->s->loop) / US_PER_S;
}

/* ---- answers ---- */

static void keep(struct stripe_request *rq, int status, struct str body, int64_t busy_us)
{
    struct stripe *c = rq->c;
    int64_t now_us = loop_mono_us(c->s->loop);
    if (rq->memo[0] == 0)
        return;
    struct memo *m = memo_add(&c->answers, str_c(rq->memo), now_us + ANSWER_LIFE_US);
    if (m == NULL)
        return;
    memcpy(m->hash, rq->hash, sizeof m->hash);
    m->status = status;
    m->busy_until_us = now_us + busy_us;
    m->body = strndup(body.p, body.n);
    m->body_len = m->body != NULL ? body.n : 0;
}

/* Every answer has a name by which Stripe's support finds it. */
static void reply(struct stripe_request *rq, int64_t after_us, int status, struct str body)
{
    char id[CALL_ID];
    stripe_id(rq->c, "req_", id, sizeof id);
    http_set_header(rq->x, STR("Request-Id"), str_c(id));
    http_set_header(rq->x, STR("Stripe-Version"), STR(STRIPE_VERSION));
    sandbox_reply_after(rq->c->s, rq->x, &rq->call, after_us, status, "application/json", body,
                        NULL);
}

void stripe_answer(struct stripe_request *rq, int status, struct str body, const char *outcome)
{
    keep(rq, status, body, 0);
    rq->call.accepted = true;
    rq->call.outcome = outcome;
    reply(rq, 0, status, body);
}

void stripe_answer_by(struct stripe_request *rq, enum stripe_trick trick, struct str body,
                      const char *outcome)
{
    int64_t slow_us = rq->c->s->chaos.slow_answer_ms * US_PER_MS;
    if (trick == STRIPE_TRICK_LOST_ANSWER) {
        keep(rq, 200, body, 0);
        rq->call.accepted = true;
        rq->memo[0] = 0;
        stripe_refuse(rq, stripe_internal());
    } else if (trick == STRIPE_TRICK_SLOW) {
        keep(rq, 200, body, slow_us);
        rq->call.accepted = true;
        rq->call.outcome = outcome;
        reply(rq, slow_us, 200, body);
    } else {
        stripe_answer(rq, 200, body, outcome);
    }
}

/* What did not pass a check is not kept; the rest is not what came of it either. */
void stripe_refuse(struct stripe_request *rq, struct stripe_fault f)
{
    struct buf b;
    buf_init(&b, 4096);
    stripe_body_fault(&b, &f);
    if (f.status == 409 || f.status == 429 || f.status >= 500)
        http_set_header(rq->x, STR("Stripe-Should-Retry"), STR("true"));
    rq->call.outcome = f.message;
    reply(rq, 0, f.status, buf_view(&b));
    buf_free(&b);
}

void stripe_refuse_body(struct stripe_request *rq, int status, struct str body, const char *outcome)
{
    keep(rq, status, body, 0);
    rq->call.outcome = outcome;
    reply(rq, 0, status, body);
}

static struct stripe_fault fault(int status, const char *type, const char *code,
                                 const char *message, struct str param)
{
    struct stripe_fault f = {.status = status, .type = type, .code = code, .message = message};
    call_text(f.param, sizeof f.param, param);
    return f;
}

struct stripe_fault stripe_missing(const char *param)
{
    return fault(400, "invalid_request_error", "parameter_missing", "Missing required param: %s.",
                 str_c(param));
}

struct stripe_fault stripe_invalid(const char *param, const char *message)
{
    return fault(400, "invalid_request_error", NULL, message, str_c(param));
}

struct stripe_fault stripe_no_such(struct str id)
{
    return fault(404, "invalid_request_error", "resource_missing", "No such object: '%s'", id);
}

struct stripe_fault stripe_internal(void)
{
    return fault(500, "api_error", NULL, "Something went wrong", STR(""));
}

struct stripe_fault stripe_full(void)
{
    return fault(503, "api_error", NULL, "The sandbox is full: reset it", STR(""));
}

struct stripe_fault stripe_foreign(const struct stripe_request *rq, const char *const *known)
{
    struct str key = stripe_form_unknown(&rq->form, known);
    if (key.p == NULL)
        return (struct stripe_fault){0};
    return fault(400, "invalid_request_error", "parameter_unknown",
                 "Received unknown parameter: %s", key);
}

/* True if the request is new; it has been answered otherwise. */
static bool idempotency(struct stripe_request *rq)
{
    struct http_exchange *x = rq->x;
    struct str key = http_header(x, STR("idempotency-key"));
    const struct str parts[] = {x->path, STR("\n"), x->body};
    uint8_t digest[SHA256_LEN];
    struct buf hex;
    if (key.p == NULL)
        return true;
    if (key.n == 0 || key.n > KEY_MAX || !str_is_printable_ascii(key)) {
        stripe_refuse(rq, stripe_invalid("Idempotency-Key", "The Idempotency-Key is not valid"));
        return false;
    }
    sha256_one(key, digest);
    buf_init(&hex, sizeof rq->memo);
    hex_add(&hex, str_n((const char *)digest, sizeof digest));
    int64_t now_us = loop_mono_us(rq->c->s->loop);
    const struct memo *m = memo_find(&rq->c->answers, buf_view(&hex), now_us);
    sha256(parts, COUNT_OF(parts), rq->hash);
    if (m == NULL)
        (void)str_copy_c(rq->memo, sizeof rq->memo, buf_view(&hex));
    buf_free(&hex);
    if (m == NULL)
        return true;
    if (memcmp(m->hash, rq->hash, sizeof rq->hash) != 0) {
        stripe_refuse(rq, fault(400, "idempotency_error", NULL,
                                "Keys for idempotent requests can only be used with the same "
                                "parameters they were first used with.",
                                STR("")));
    } else if (m->busy_until_us > now_us) {
        stripe_refuse(rq, fault(409, "invalid_request_error", "idempotency_key_in_use",
                                "There is currently another in-progress request using this "
                                "Idempotent Key.",
                                STR("")));
    } else {
        http_set_header(x, STR("Idempotent-Replayed"), STR("true"));
        rq->call.outcome = "answered as before";
        reply(rq, 0, m->status, str_n(m->body, m->body_len));
    }
    return false;
}

bool stripe_sent_away(struct stripe_request *rq, struct str reference)
{
    uint8_t digest[SHA256_LEN];
    struct buf hex;
    int64_t now_us = loop_mono_us(rq->c->s->loop);
    sha256_one(reference, digest);
    buf_init(&hex, STRIPE_MEMO_KEY);
    hex_add(&hex, str_n((const char *)digest, sizeof digest));
    struct memo *m = memo_find(&rq->c->busy, buf_view(&hex), now_us);
    if (m == NULL)
        m = memo_add(&rq->c->busy, buf_view(&hex), now_us + US_PER_DAY);
    buf_free(&hex);
    if (m == NULL || ++m->n > BUSY_TWICE)
        return false;
    stripe_refuse(rq, fault(429, "invalid_request_error", "rate_limit",
                            "Too many requests hit the API too quickly.", STR("")));
    return true;
}

/* ---- the door ---- */

static struct stripe_fault check_headers(const struct stripe_request *rq)
{
    struct http_exchange *x = rq->x;
    struct str key = http_header(x, STR("authorization"));
    struct str version = http_header(x, STR("stripe-version"));
    struct str type = http_header(x, STR("content-type"));
    static const struct str form = {"application/x-www-form-urlencoded", 33};
    if (!str_starts(key, STR("Bearer ")) || !secret_eq(str_from(key, 7), str_c(rq->c->api_key)))
        return fault(401, "invalid_request_error", NULL, "Invalid API Key provided.", STR(""));
    if (version.p != NULL && !str_eq(version, STR(STRIPE_VERSION)))
        return fault(400, "invalid_request_error", NULL,
                     "Invalid Stripe API version: only " STRIPE_VERSION " is played here.",
                     STR(""));
    if (x->body.n > 0 && !str_ieq(str_first(type, form.n), form))
        return fault(400, "invalid_request_error", NULL,
                     "The body has to be application/x-www-form-urlencoded.", STR(""));
    return (struct stripe_fault){0};
}

static void note(struct stripe_request *rq)
{
    struct call *call = &rq->call;
    struct str amount = stripe_form_get(&rq->form, "amount");
    struct str reference = stripe_form_get(&rq->form, "client_reference_id");
    if (amount.p == NULL)
        amount = stripe_form_get(&rq->form, "line_items[0][price_data][unit_amount]");
    if (reference.p == NULL)
        reference = stripe_form_get(&rq->form, "metadata[reli]");
    call_text(call->reference, sizeof call->reference, reference);
    call_text(call->amount, sizeof call->amount, amount);
}

static void enter(struct stripe_request *rq, void (*door)(struct stripe_request *))
{
    bool post = rq->x->method == HTTP_POST_;
    enum gate gate = sandbox_gate(rq->c->s, rq->x, &rq->call);
    if (gate == GATE_SHUT)
        return;
    struct stripe_fault f = check_headers(rq);
    if (f.status == 0 && gate == GATE_SPIKE)
        f = fault(429, "invalid_request_error", "rate_limit",
                  "Too many requests hit the API too quickly.", STR(""));
    if (f.status == 0 &&
        !stripe_form_read(rq->x->arena, post ? rq->x->body : rq->x->query, &rq->form))
        f = fault(400, "invalid_request_error", NULL, "Invalid form encoding.", STR(""));
    if (f.status != 0) {
        stripe_refuse(rq, f);
        return;
    }
    note(rq);
    if (!post || idempotency(rq))
        door(rq);
}

static void serve(struct http_exchange *x, const char *op, void (*door)(struct stripe_request *))
{
    struct stripe_request *rq = ARENA_NEW(x->arena, struct stripe_request);
    ASSERT(rq != NULL);
    rq->c = sandbox_state(x);
    rq->x = x;
    rq->call = sandbox_call(x, op);
    if (x->params[0].n > 0)
        call_text(rq->call.id, sizeof rq->call.id, x->params[0]);
    enter(rq, door);
}
