/* Carries requests to providers. The way of an operation:
 *
 *   TOKEN  wait for the account's access token (kept, shared, or fetched once for all who wait)
 *   TURN   wait until the account's rate allows it; charges, refunds and payouts go before queries
 *   SEND   build with the token, send, read the answer
 *          token rejected, the first time: drop it, back to TOKEN
 *   DONE
 *
 * How it can fail: the account's breaker is open (refused), no token or no turn within the
 * account's timeout (refused: nothing was sent), a second rejected token (refused: settings),
 * anything from outbound.h (NOT_SENT refused, UNKNOWN unknown). client_token.c keeps the tokens and
 * the rates, client_health.c how each account is doing. */
#include "gateways/client.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "gateways/client_int.h"

enum { MAX_OPS = 16384, ARENA_LIMIT = 1024 * 1024, STORED_MAX = 64 * 1024 };
#define DEFAULT_TIMEOUT_US (30 * US_PER_S)

#define TO(s) (1u << OP_##s)
static const uint32_t op_next[] = {
    [OP_TOKEN] = TO(TURN) | TO(DONE),
    [OP_TURN] = TO(SEND) | TO(TOKEN) | TO(DONE),
    [OP_SEND] = TO(TOKEN) | TO(DONE),
    [OP_DONE] = 0,
};
static const char *const op_names[] = {"token", "turn", "send", "done"};
static const struct fsm op_fsm = {"gw_op", op_names, op_next};

static struct err op_new(struct gw_client *c, const struct gw_account *a, enum gw_op kind,
                         gw_done_fn *done, void *ctx, struct op **out);
static struct err op_build(struct op *op, struct str token, struct outbound_request *out);
static struct err op_start(struct op *op, bool whole);
static bool texts_copy(struct arena *mem, struct str *const *texts, size_t n);
static void op_send(struct op *op, struct str token);
static void op_answered(void *ctx, const struct outbound_response *response);
static void op_end(struct op *op);
static void op_report(void *ctx);
static void op_free(struct op *op);

struct err gw_client_new(struct loop *l, struct outbound *out, const struct gw_token_share *share,
                         struct gw_client **client)
{
    struct gw_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR(NO_MEMORY, "gateway client");
    c->loop = l;
    c->out = out;
    c->health = health_rules_default();
    if (share != NULL)
        c->share = *share;
    list_init(&c->ops);
    *client = c;
    return ERR_OK;
}

/* All that is under way ends here; an HTTP call that is still out ends later and finds nobody. */
void gw_client_free(struct gw_client *c)
{
    struct link *k;
    if (c == NULL)
        return;
    c->closing = true;
    while ((k = list_first(&c->ops)) != NULL) {
        struct op *op = CONTAINER_OF(k, struct op, link);
        if (op->state != OP_DONE)
            op_fail(op, op->call != NULL, FAILURE_PROVIDER_UNAVAILABLE, "shutting down");
        loop_later_off(c->loop, &op->report);
        op_report(op);
    }
    slots_free(c);
    free(c);
}

struct err gw_charge_start(struct gw_client *c, const struct gw_account *a,
                           const struct gw_charge *in, gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_CHARGE, done, ctx, &op));
    op->charge = *in;
    struct gw_charge *g = &op->charge;
    struct str *texts[] = {&g->method,       &g->method_token, &g->phone,       &g->email,
                           &g->pay_code,     &g->our_id,       &g->description, &g->return_url,
                           &g->callback_url, &g->trace};
    bool whole = texts_copy(&op->mem, texts, COUNT_OF(texts));
    op->trace = g->trace;
    return op_start(op, whole);
}

struct err gw_query_start(struct gw_client *c, const struct gw_account *a, struct str provider_ref,
                          gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_QUERY, done, ctx, &op));
    op->provider_ref = provider_ref;
    struct str *texts[] = {&op->provider_ref};
    return op_start(op, texts_copy(&op->mem, texts, COUNT_OF(texts)));
}

static bool refund_copy(struct op *op, const struct gw_refund *in)
{
    struct gw_refund *r = &op->refund;
    *r = *in;
    struct str *texts[] = {&r->payment_receipt, &r->payment_ref,  &r->phone, &r->our_id,
                           &r->remarks,         &r->callback_url, &r->trace};
    bool whole = texts_copy(&op->mem, texts, COUNT_OF(texts));
    op->trace = r->trace;
    return whole;
}

struct err gw_refund_start(struct gw_client *c, const struct gw_account *a,
                           const struct gw_refund *in, gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_REFUND, done, ctx, &op));
    return op_start(op, refund_copy(op, in));
}

struct err gw_refund_query_start(struct gw_client *c, const struct gw_account *a,
                                 const struct gw_refund *in, struct str provider_ref,
                                 gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_REFUND_QUERY, done, ctx, &op));
    op->provider_ref = provider_ref;
    struct str *texts[] = {&op->provider_ref};
    bool whole = texts_copy(&op->mem, texts, COUNT_OF(texts));
    return op_start(op, refund_copy(op, in) && whole);
}

static bool payout_copy(struct op *op, const struct gw_payout *in)
{
    struct gw_payout *p = &op->payout;
    *p = *in;
    struct str *texts[] = {&p->phone,   &p->name,         &p->our_id, &p->purpose,
                           &p->remarks, &p->callback_url, &p->trace};
    bool whole = texts_copy(&op->mem, texts, COUNT_OF(texts));
    op->trace = p->trace;
    return whole;
}

struct err gw_payout_start(struct gw_client *c, const struct gw_account *a,
                           const struct gw_payout *in, gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_PAYOUT, done, ctx, &op));
    return op_start(op, payout_copy(op, in));
}

struct err gw_payout_query_start(struct gw_client *c, const struct gw_account *a,
                                 const struct gw_payout *in, struct str provider_ref,
                                 gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_PAYOUT_QUERY, done, ctx, &op));
    op->provider_ref = provider_ref;
    struct str *texts[] = {&op->provider_ref};
    bool whole = texts_copy(&op->mem, texts, COUNT_OF(texts));
    return op_start(op, payout_copy(op, in) && whole);
}

struct err gw_register_start(struct gw_client *c, const struct gw_account *a,
                             const struct gw_register *in, gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_REGISTER, done, ctx, &op));
    op->places = *in;
    struct str *texts[] = {&op->places.paid_url, &op->places.check_url};
    return op_start(op, texts_copy(&op->mem, texts, COUNT_OF(texts)));
}

struct err gw_qr_start(struct gw_client *c, const struct gw_account *a, const struct gw_qr *in,
                       gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_QR, done, ctx, &op));
    op->qr = *in;
    struct str *texts[] = {&op->qr.pay_code};
    return op_start(op, texts_copy(&op->mem, texts, COUNT_OF(texts)));
}

static struct err act_start(struct gw_client *c, const struct gw_account *a, enum gw_op kind,
                            const struct gw_act *in, gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, kind, done, ctx, &op));
    op->act = *in;
    struct str *texts[] = {&op->act.provider_ref, &op->act.code, &op->act.key};
    bool whole = texts_copy(&op->mem, texts, COUNT_OF(texts));
    op->provider_ref = op->act.provider_ref;
    return op_start(op, whole);
}

struct err gw_confirm_start(struct gw_client *c, const struct gw_account *a,
                            const struct gw_act *in, gw_done_fn *done, void *ctx)
{
    return act_start(c, a, GW_OP_CONFIRM, in, done, ctx);
}

struct err gw_cancel_start(struct gw_client *c, const struct gw_account *a, const struct gw_act *in,
                           gw_done_fn *done, void *ctx)
{
    return act_start(c, a, GW_OP_CANCEL, in, done, ctx);
}

struct err gw_balance_start(struct gw_client *c, const struct gw_account *a,
                            const struct gw_balance_ask *in, gw_done_fn *done, void *ctx)
{
    struct op *op;
    TRY(op_new(c, a, GW_OP_BALANCE, done, ctx, &op));
    op->balance = *in;
    struct str *texts[] = {&op->balance.callback_url};
    return op_start(op, texts_copy(&op->mem, texts, COUNT_OF(texts)));
}

/* ---- an operation ---- */

/* The copy lives and dies with the arena, which wipes itself. */
struct err account_copy(struct arena *mem, const struct gw_account *in, struct gw_account *out)
{
    *out = *in;
    out->base_url = arena_dup(mem, in->base_url);
    bool whole = out->base_url.p != NULL;
    for (size_t i = 0; i < in->gateway->n_settings; i++) {
        struct str copy = arena_dup(mem, secret_view(&in->settings[i]));
        whole &= copy.p != NULL;
        out->settings[i] = (struct secret){(unsigned char *)(uintptr_t)copy.p, copy.n};
    }
    return whole ? ERR_OK : ERR(NO_MEMORY, "account");
}

static bool offers(const struct gateway *g, enum gw_op kind)
{
    switch (kind) {
    case GW_OP_CHARGE:
        return g->charge_build != NULL;
    case GW_OP_QUERY:
        return g->query_build != NULL;
    case GW_OP_REFUND:
    case GW_OP_REFUND_QUERY:
        return g->n_refund_rails > 0;
    case GW_OP_REGISTER:
        return g->register_build != NULL;
    case GW_OP_QR:
        return g->qr_build != NULL;
    case GW_OP_CONFIRM:
        return g->confirm_build != NULL;
    case GW_OP_CANCEL:
        return g->cancel_build != NULL;
    case GW_OP_BALANCE:
        return g->balance_build != NULL;
    case GW_OP_PAYOUT:
        return g->payout_build != NULL;
    case GW_OP_PAYOUT_QUERY:
        return g->payout_query_build != NULL;
    }
    return false;
}

/* Each text in the place of the one that it copies. */
static bool texts_copy(struct arena *mem, struct str *const *texts, size_t n)
{
    bool whole = true;
    for (size_t i = 0; i < n; i++) {
        *texts[i] = arena_dup(mem, *texts[i]);
        whole &= texts[i]->p != NULL;
    }
    return whole;
}

static struct err op_new(struct gw_client *c, const struct gw_account *a, enum gw_op kind,
                         gw_done_fn *done, void *ctx, struct op **out)
{
    const struct gateway *g = a->gateway;
    if (g->manual || !offers(g, kind))
        return ERR(INVALID, "the gateway has no such operation");
    if (c->closing)
        return ERR(CANCELED, "shutting down");
    if (c->ops.n >= MAX_OPS)
        return ERR(OVERLOADED, "too many provider requests");
    struct op *op = calloc(1, sizeof *op);
    if (op == NULL)
        return ERR(NO_MEMORY, "operation");
    op->client = c;
    op->kind = kind;
    op->done = done;
    op->ctx = ctx;
    arena_init(&op->mem, ARENA_LIMIT);
    struct err err = account_copy(&op->mem, a, &op->account);
    if (!err_is(err))
        err = slot_hold(c, a, &op->slot);
    if (err_is(err)) {
        arena_free(&op->mem);
        free(op);
        return err;
    }
    if (op->account.timeout_us <= 0)
        op->account.timeout_us = DEFAULT_TIMEOUT_US;
    op->started_us = loop_mono_us(c->loop);
    list_push(&c->ops, &op->link);
    *out = op;
    return ERR_OK;
}

static void op_free(struct op *op)
{
    struct gw_client *c = op->client;
    timer_off(c->loop, &op->deadline);
    list_remove(&c->ops, &op->link);
    slot_release(op->slot);
    arena_free(&op->mem);
    free(op);
}

static struct err op_build(struct op *op, struct str token, struct outbound_request *out)
{
    const struct gw_account *a = &op->account;
    const struct gateway *g = a->gateway;
    switch (op->kind) {
    case GW_OP_CHARGE:
        return g->charge_build(a, &op->charge, token, &op->mem, out);
    case GW_OP_QUERY:
        return g->query_build(a, op->provider_ref, loop_wall_us(op->client->loop), token, &op->mem,
                              out);
    case GW_OP_REFUND:
        return gw_refund_build(a, &op->refund, token, &op->mem, out);
    case GW_OP_REFUND_QUERY:
        return gw_refund_query_build(a, &op->refund, op->provider_ref, token, &op->mem, out);
    case GW_OP_REGISTER:
        return g->register_build(a, &op->places, token, &op->mem, out);
    case GW_OP_QR:
        return g->qr_build(a, &op->qr, token, &op->mem, out);
    case GW_OP_CONFIRM:
        return g->confirm_build(a, &op->act, token, &op->mem, out);
    case GW_OP_CANCEL:
        return g->cancel_build(a, &op->act, token, &op->mem, out);
    case GW_OP_BALANCE:
        return g->balance_build(a, &op->balance, token, &op->mem, out);
    case GW_OP_PAYOUT:
        return g->payout_build(a, &op->payout, token, &op->mem, out);
    case GW_OP_PAYOUT_QUERY:
        return g->payout_query_build(a, &op->payout, op->provider_ref, token, &op->mem, out);
    }
    return ERR(INVALID, "no such operation");
}

static void op_parse(struct op *op, const struct outbound_response *in)
{
    const struct gw_account *a = &op->account;
    const struct gateway *g = a->gateway;
    switch (op->kind) {
    case GW_OP_CHARGE:
        g->charge_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_QUERY:
        g->query_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_REFUND:
        gw_refund_parse(a, &op->refund, in, &op->mem, &op->result);
        break;
    case GW_OP_REFUND_QUERY:
        gw_refund_query_parse(a, &op->refund, in, &op->mem, &op->result);
        break;
    case GW_OP_REGISTER:
        g->register_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_QR:
        g->qr_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_CONFIRM:
        g->confirm_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_CANCEL:
        g->cancel_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_BALANCE:
        g->balance_parse(a, in, &op->mem, &op->result);
        break;
    case GW_OP_PAYOUT:
        g->payout_parse(a, &op->payout, in, &op->mem, &op->result);
        break;
    case GW_OP_PAYOUT_QUERY:
        g->payout_query_parse(a, in, &op->mem, &op->result);
        break;
    }
}

static bool op_admitted(struct op *op)
{
    switch (health_admit_op(op)) {
    case HEALTH_ADMITTED:
        return true;
    case HEALTH_REFUSED_CALLS:
        op_fail(op, false, FAILURE_PROVIDER_UNAVAILABLE, "the provider is not well: not asked");
        break;
    case HEALTH_REFUSED_KEYS:
        op_fail(op, false, FAILURE_CONFIGURATION,
                "the provider refused the account's keys: not asked again yet");
        break;
    }
    return false;
}

static void op_late(void *ctx)
{
    struct op *op = ctx;
    bool turn = op->state == OP_TURN;
    op->outcome = turn ? HEALTH_NOTHING : HEALTH_UNWELL;
    op_fail(op, false, turn ? FAILURE_PROVIDER_BUSY : FAILURE_PROVIDER_UNAVAILABLE,
            turn ? "no turn in time" : "no access token in time");
}

/* All waiting, also for a second token, ends one timeout after the start. */
static void op_begin(struct op *op)
{
    struct loop *l = op->client->loop;
    int64_t left_us = op->started_us + op->account.timeout_us - loop_mono_us(l);
    timer_set(l, &op->deadline, left_us, op_late, op);
    slot_want_token(op->slot, op);
}

/* What cannot be built is told before a token is fetched for it. With a token at hand it is what
 * will be sent, unless it has to wait: then it is built again. */
static struct err op_start(struct op *op, bool whole)
{
    struct str token;
    op->is_built = slot_token(op->slot, &token, &op->generation);
    struct err err = whole ? op_build(op, op->is_built ? token : STR("none"), &op->built)
                           : ERR(NO_MEMORY, "provider request");
    if (err_is(err))
        op_free(op);
    else if (op_admitted(op))
        op_begin(op);
    return err;
}

void op_has_token(struct op *op)
{
    fsm_enter(&op_fsm, &op->state, OP_TURN);
    slot_want_turn(op->slot, op);
}

void op_has_turn(struct op *op)
{
    struct str token;
    unsigned before = op->generation;
    if (!slot_token(op->slot, &token, &op->generation)) { /* lost while we waited */
        fsm_enter(&op_fsm, &op->state, OP_TOKEN);
        slot_want_token(op->slot, op);
        return;
    }
    bool waited = op->again || op->started_us != loop_mono_us(op->client->loop);
    op->is_built &= !waited && before == op->generation;
    fsm_enter(&op_fsm, &op->state, OP_SEND);
    op_send(op, token);
}

static void op_send(struct op *op, struct str token)
{
    struct gw_client *c = op->client;
    struct err err = ERR_OK;
    if (op->is_built)
        op->request = op->built;
    else
        err = op_build(op, token, &op->request);
    if (err_is(err)) {
        op_fail(op, false, FAILURE_CONFIGURATION, err.what);
        return;
    }
    if (op->trace.n > 0 && op->request.n_headers < OUTBOUND_MAX_HEADERS)
        op->request.headers[op->request.n_headers++] =
            arena_fmt(&op->mem, "traceparent: %.*s", STR_ARG(op->trace)).p;
    op->request.timeout_us = op->account.timeout_us;
    op->request.public_only = op->account.public_only;
    /* From here its deadline is the HTTP call's: an answer that is under way is waited for. */
    timer_off(c->loop, &op->deadline);
    struct op_link *link = calloc(1, sizeof *link);
    err = link == NULL ? ERR(NO_MEMORY, "operation")
                       : outbound_start(c->out, &op->request, op_answered, link, &op->call);
    if (err_is(err)) {
        free(link);
        bool busy = err.code == ERR_OVERLOADED || err.code == ERR_NO_MEMORY;
        op_fail(op, false, busy ? FAILURE_PROVIDER_UNAVAILABLE : FAILURE_CONFIGURATION, err.what);
        return;
    }
    link->op = op;
    op->call_link = link;
}

/* Masked for the record; what does not fit is left out. */
static struct str redacted(struct op *op, struct str body)
{
    struct buf out;
    if (op->account.gateway->redact == NULL)
        return arena_dup(&op->mem, str_first(body, STORED_MAX));
    buf_init(&out, STORED_MAX);
    op->account.gateway->redact(body, &out);
    struct str copy = out.failed ? STR("") : arena_dup(&op->mem, buf_view(&out));
    buf_free(&out);
    return copy;
}

/* An answer about another attempt is no answer. Of what a refund or a payout was asked its gateway
 * has seen itself. */
static bool is_about(const struct op *op)
{
    const struct gw_result *r = &op->result;
    switch (op->kind) {
    case GW_OP_CHARGE:
        return r->our_id.n == 0 || str_eq(r->our_id, op->charge.our_id);
    case GW_OP_REFUND:
    case GW_OP_PAYOUT:
    case GW_OP_REGISTER:
    case GW_OP_QR:
    case GW_OP_BALANCE:
        return true;
    case GW_OP_QUERY:
    case GW_OP_REFUND_QUERY:
    case GW_OP_PAYOUT_QUERY:
    case GW_OP_CONFIRM:
    case GW_OP_CANCEL:
        break;
    }
    return r->provider_ref.n == 0 || str_eq(r->provider_ref, op->provider_ref) ||
           (r->our_id.n > 0 && /* it was asked for by ours */
            str_eq(r->our_id, gw_our_id_of(op->provider_ref)));
}

static void op_answered(void *ctx, const struct outbound_response *response)
{
    struct op_link *link = ctx;
    struct op *op = link->op;
    free(link);
    if (op == NULL)
        return; /* the client is gone */
    op->call = NULL;
    op->call_link = NULL;
    struct outbound_response answer = *response;
    answer.asked = op->provider_ref;
    op_parse(op, &answer);
    op->exchange.sent = response->outcome != OUTBOUND_NOT_SENT;
    op->exchange.whole = response->outcome == OUTBOUND_ANSWERED;
    op->exchange.http_status = response->status;
    op->exchange.took_us = response->took_us;
    op->exchange.response = redacted(op, response->body);
    if (op->result.verdict == GW_TOKEN_REJECTED) {
        bool news = slot_token_rejected(op->slot, op->generation) || op->probes != 0;
        bool late = loop_mono_us(op->client->loop) - op->started_us >= op->account.timeout_us;
        if (!op->again && !late) {
            op->again = true;
            fsm_enter(&op_fsm, &op->state, OP_TOKEN);
            op_begin(op);
            return;
        }
        if (late || news)
            op->outcome = late ? HEALTH_UNWELL : HEALTH_TOKEN_REFUSED;
        op_fail(op, false, late ? FAILURE_PROVIDER_UNAVAILABLE : FAILURE_CONFIGURATION,
                "the access token was rejected");
        return;
    }
    op->outcome = health_of_answer(op, response);
    if (!is_about(op))
        op->result =
            (struct gw_result){.verdict = GW_UNKNOWN, .why = "an answer about another attempt"};
    op_end(op);
}

/* ---- ends ---- */

void op_fail(struct op *op, bool sent, enum failure_code code, const char *why)
{
    struct gw_result *r = &op->result;
    struct str code_text = r->provider_code, message = r->message;
    op->exchange.sent |= sent;
    *r = (struct gw_result){.verdict = GW_UNKNOWN, .why = why, .code = code};
    r->retry_later = !sent && code != FAILURE_CONFIGURATION;
    /* After a rejected token the provider's own words are kept. */
    r->provider_code = code_text;
    r->message = message.n > 0 ? message : str_c(why);
    if (op_is_order(op) && !sent)
        r->verdict = GW_REFUSED;
    else if (op_is_order(op))
        r->code = FAILURE_NONE;
    op_end(op);
}

static void op_end(struct op *op)
{
    slot_leave(op);
    health_note_op(op);
    if (op->call_link != NULL)
        op->call_link->op = NULL;
    if (op->call != NULL)
        outbound_cancel(op->call);
    op->call = NULL;
    op->call_link = NULL;
    timer_off(op->client->loop, &op->deadline);
    fsm_enter(&op_fsm, &op->state, OP_DONE);
    loop_later(op->client->loop, &op->report, op_report, op);
}

static void op_report(void *ctx)
{
    struct op *op = ctx;
    op->exchange.op = op->kind;
    /* a customer's one-time code is kept nowhere */
    op->exchange.request = op->kind == GW_OP_CONFIRM ? STR("") : redacted(op, op->request.body);
    op->done(op->ctx, &op->result, &op->exchange);
    op_free(op);
}
