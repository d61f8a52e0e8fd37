/* The create request. Happy path: RESERVE (payment, attempt, idempotency record: durable), SEND,
 * RECORD, DONE; a manual method has nothing to send. What reli takes, and over which account, is
 * mostly known; else PRICE and ACCOUNT ask. A provider that refuses for a reason of its own leads
 * to NEXT, where the merchant's routes have another one: the refusal is recorded with the attempt
 * that follows it, and then that one is sent.
 *
 * Ways to fail: the key is known (LOOKUP: replay, wait, recover or refuse); the reference is taken
 * (OWNER: its owner ended without money and hands it over, or 409, cached); the payment is beyond a
 * limit on money (422, cached); a random word is taken
 * (new one, once more); the provider does not take the amount with its fee (422, unless the key has
 * an answer already: LOOKUP); maintenance (503, unless the key has an answer); the database is away
 * before the reservation (nothing has happened) or after the provider was asked (the client is told
 * 202, the record is tried again, and the attempt's lease sees to the rest). */
#include "core/flow/charge_int.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/reference.h"
#include "core/flow/fanout.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

static const char *const state_names[] = {
#define X(name, word) word,
    CHARGE_STATES(X)
#undef X
};

#define TO(s) (1u << CHARGE_##s)
static const uint32_t state_next[] = {
    [CHARGE_LOOKUP] = TO(LOOKUP) | TO(RECOVER) | TO(RELEASE) | TO(RESERVE) | TO(SEND) | TO(DONE),
    [CHARGE_RECOVER] = TO(DONE),
    [CHARGE_RELEASE] = TO(RESERVE) | TO(DONE),
    [CHARGE_PRICE] = TO(RESERVE) | TO(DONE),
    [CHARGE_ACCOUNT] = TO(RESERVE) | TO(DONE),
    [CHARGE_RESERVE] = TO(LOOKUP) | TO(PRICE) | TO(ACCOUNT) | TO(RESERVE) | TO(OWNER) | TO(REFUSE) |
                       TO(SEND) | TO(DONE),
    [CHARGE_OWNER] = TO(RESERVE) | TO(REFUSE) | TO(DONE),
    [CHARGE_REFUSE] = TO(LOOKUP) | TO(DONE),
    [CHARGE_SEND] = TO(RECORD),
    [CHARGE_NEXT] = TO(RECORD) | TO(DONE),
    [CHARGE_RECORD] = TO(NEXT) | TO(RECORD) | TO(SEND) | TO(LOOKUP) | TO(DONE),
    [CHARGE_DONE] = 0,
};
#undef TO
static const struct fsm charge_fsm = {"charge", state_names, state_next};

void charge_enter(struct charge *c, enum charge_state to)
{
    fsm_enter(&charge_fsm, &c->state, (int)to);
}

/* ---- the answer ---- */

void charge_reply(struct charge *c, struct err err, const struct charge_result *result)
{
    if (!c->replied)
        c->done(c->ctx, err, result);
    c->replied = true;
}

void charge_end(struct charge *c)
{
    charge_enter(c, CHARGE_DONE);
    timer_off(c->flow->loop, &c->timer);
    c->flow->busy--;
    account_release(c->account);
    arena_free(&c->arena);
    free(c);
}

void charge_end_with(struct charge *c, struct err err, struct str detail)
{
    struct charge_result result = {.detail = detail};
    charge_reply(c, err, &result);
    charge_end(c);
}

void charge_reply_payment(struct charge *c, struct charge_result *result, struct uuid payment,
                          int64_t expires_us, struct str snapshot, struct str person,
                          struct str provider_ref)
{
    char token[CLIENT_TOKEN_LEN + 1], id[UUID_TEXT];
    struct client_token t = {payment, c->in.merchant, c->in.live, expires_us + US_PER_HOUR};
    struct buf body;
    buf_init(&body, BODY_MAX);
    buf_expect(&body, snapshot.n + person.n + CLIENT_TOKEN_LEN + 128);
    client_token_make(c->flow->vault, &t, token);
    render_created(&body, snapshot, person, provider_ref, str_c(token));
    result->body = buf_view(&body);
    result->location = str_c(uuid_text(payment, id));
    charge_reply(c, body.failed ? ERR(NO_MEMORY, "answer") : ERR_OK, result);
    buf_free(&body);
}

void charge_reply_created(struct charge *c, int status, struct str snapshot,
                          struct str provider_ref)
{
    struct charge_result result = {.http_status = status};
    charge_reply_payment(c, &result, c->rec.id, c->rec.p.expires_at_us, snapshot, c->person,
                         provider_ref);
}

/* ---- the provider ---- */

static void record(void *ctx);

static void sent(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    struct charge *c = ctx;
    int n = c->rec.p.n_attempts;
    crash_point(CRASH_CHARGE_SENT);
    attempt_answer(&c->arena, &c->rec, n, result, exchange, &c->said);
    if (!c->answer.given)
        c->answer = (struct move_answer){
            .key = c->in.idem_key,
            .slot = c->place.slot,
            .slot_b = c->place.slot_b,
            .http_status = c->said.event.kind == PAYMENT_EVENT_AMBIGUOUS ? 202 : 201,
            .seq = c->rec.p.version,
        };
    c->next = (struct route_next){0};
    c->tries = 0;
    charge_enter(c, CHARGE_RECORD);
    record(c);
}

void charge_send(struct charge *c)
{
    struct gw_charge in;
    struct gw_exchange exchange = {.op = GW_OP_CHARGE};
    struct gw_result result = {.verdict = GW_REFUSED, .code = FAILURE_CONFIGURATION};
    int n = c->rec.p.n_attempts;
    if (err_is(charge_request(c, &in)))
        sent(c, &result, &exchange); /* nothing has left: that much is certain */
    else
        attempt_send(c->flow, &c->account->gw, &c->rec.p.attempts[n - 1], &in, sent, c);
}

/* The client is not kept waiting for a database that is away; the record is tried again. What it is
 * told is what a replay will say: 202, or, when nobody knows which answer is recorded, to ask
 * again.
 */
static void tell_early(struct charge *c, struct err err)
{
    struct charge_result none = {0};
    if (c->replied)
        return;
    if (err.code == ERR_AMBIGUOUS && c->in.idem_key.p != NULL) {
        charge_reply(c, err, &none);
        return;
    }
    charge_reply_created(c, 202, c->snapshot, STR_NULL);
    c->answer.http_status = 202;
    c->answer.given = true;
}

static void not_recorded(struct charge *c, struct err err)
{
    struct flow *f = c->flow;
    bool again = err_retryable(err.code) || err.code == ERR_AMBIGUOUS;
    log_warn("charge.not_recorded", F_ID("payment", c->rec.id), F_ERR(err));
    tell_early(c, err);
    if (again && !f->closing && ++c->tries < 60)
        timer_set(f->loop, &c->timer, US_PER_S, record, c);
    else
        charge_end(c);
}

/* The next attempt is durable: it is this request's to send. */
static void go_on(struct charge *c, const struct move_result *result)
{
    struct payment_record *rec = &c->rec;
    int n = result->dispatched;
    crash_point(CRASH_FAILOVER_COMMITTED);
    rec->p = result->rec->p;
    rec->revision = result->rec->revision;
    rec->op_id = result->rec->op_id;
    rec->provider = str_c(c->next.gateway->name);
    rec->account_id = c->account->id;
    rec->next_action = c->next.next_action;
    rec->places[n - 1] = (struct attempt_place){rec->provider, rec->account_id, c->next.choice};
    c->snapshot = arena_dup(&c->arena, result->snapshot);
    charge_enter(c, CHARGE_SEND);
    charge_send(c);
}

static void recorded(void *ctx, struct err err, const struct move_result *result)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        not_recorded(c, err);
        return;
    }
    if (result->dispatched > 0) {
        go_on(c, result);
        return;
    }
    crash_point(CRASH_CHARGE_RECORDED);
    if (result->answered_before && !c->replied) {
        c->recorded = true;
        charge_enter(c, CHARGE_LOOKUP);
        charge_lookup(c);
        return;
    }
    bool told = result->snapshot.p != NULL;
    charge_reply_created(c, c->answer.http_status, told ? result->snapshot : c->snapshot,
                         told ? STR_NULL : str_c(result->rec->p.provider_ref));
    charge_end(c);
}

static void move(struct charge *c)
{
    struct move_request rq = {
        .merchant = c->in.merchant,
        .payment = c->rec.id,
        .event = c->said.event,
        .actor = STR("provider"),
        .known = c->tries == 0 ? &c->rec : NULL,
        .answer = c->in.idem_key.p != NULL ? &c->answer : NULL,
        .call = &c->said.call,
        .next = c->next.gateway != NULL ? &c->next : NULL,
    };
    move_start(c->flow, &rq, recorded, c);
}

static void next_found(void *ctx, struct err err, const struct route_next *next)
{
    struct charge *c = ctx;
    charge_enter(c, CHARGE_RECORD);
    if (err_is(err)) {
        not_recorded(c, err);
        return;
    }
    if (next != NULL) {
        account_release(c->account);
        c->account = account_hold(next->account);
        c->next = *next;
    }
    move(c);
}

static void record(void *ctx)
{
    struct charge *c = ctx;
    if (c->next.gateway == NULL && route_may_go_on(&c->rec, &c->said.event)) {
        charge_enter(c, CHARGE_NEXT);
        route_next_start(c->flow, &c->arena, &c->rec, next_found, c);
    } else {
        move(c);
    }
}

void charge_start(struct flow *f, const struct charge_input *in, charge_fn *done, void *ctx)
{
    struct charge *c = calloc(1, sizeof *c);
    ASSERT(c != NULL);
    c->flow = f;
    c->in = *in;
    c->done = done;
    c->ctx = ctx;
    c->started_us = loop_mono_us(f->loop);
    arena_init(&c->arena, CHARGE_ARENA);
    f->busy++;
    struct buf person;
    buf_init(&person, 4096);
    if (in->phone.n > 0 || in->email.n > 0 || in->name.n > 0)
        render_person(&person, in->phone, in->email, in->name);
    c->person = arena_dup(&c->arena, buf_view(&person));
    buf_free(&person);
    if (in->idem_key.p != NULL) {
        fingerprint_make(f->vault, in->route, in->fields, in->n_fields, c->fingerprint);
        c->place = idempotency_place(loop_wall_us(f->loop), f->settings.idempotency_retention_us);
    }
    c->state = CHARGE_RESERVE;
    if (in->idem_key.p != NULL && idempotency_seen(in->merchant, in->live, in->idem_key)) {
        charge_enter(c, CHARGE_LOOKUP);
        charge_lookup(c);
    } else {
        charge_reserve(c);
    }
}
