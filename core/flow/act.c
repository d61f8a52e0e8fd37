/* Codes and cancelling. Happy path: MARK (the try or the wish is kept), SEND, RECORD, DONE.
 *
 * Ways to fail: it is not possible in the payment's state (MARK); the provider says no (RECORD the
 * exchange, and the payment stands as before); nobody knows what he did (RECORD, then ASK and
 * RECORD what he says of the payment, as after a third wrong code); the database is away (the wish
 * is kept or not: asking again is safe, and the polls find out the rest). */
#include "core/flow/act.h"

#include <stdlib.h>

#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "core/flow/ask.h"
#include "core/flow/record.h"

enum { ACT_ARENA = 1024 * 1024 };

enum act_state { ACT_MARK, ACT_SEND, ACT_RECORD, ACT_ASK, ACT_DONE };
static const char *const state_names[] = {"mark", "send", "record", "ask", "done"};
#define TO(s) (1u << ACT_##s)
static const uint32_t state_next[] = {
    [ACT_MARK] = TO(SEND) | TO(DONE),
    [ACT_SEND] = TO(RECORD) | TO(ASK) | TO(DONE),
    [ACT_RECORD] = TO(ASK) | TO(DONE),
    [ACT_ASK] = TO(RECORD),
    [ACT_DONE] = 0,
};
#undef TO
static const struct fsm act_fsm = {"act", state_names, state_next};

struct act {
    struct flow *flow;
    struct act_input in;
    struct arena arena;
    int state;
    int n;          /* of the attempt */
    int tries_left; /* of codes, after this one */
    struct uuid account;
    struct str provider_ref, next_action;
    struct payment_event event;
    struct move_call call;
    bool has_call;
    bool asks; /* once the exchange is recorded */
    bool asked;
    struct err verdict; /* told at the end; none: how the payment stands */
    const char *detail;
    act_fn *done;
    void *ctx;
};

static void record(struct act *a);

static void enter(struct act *a, enum act_state to)
{
    fsm_enter(&act_fsm, &a->state, (int)to);
}

static void finish(struct act *a, struct err err, const char *detail,
                   const struct payment_record *rec)
{
    bool decided = rec != NULL && payment_status_final(rec->p.status);
    struct act_result result = {rec, !decided && a->asks};
    enter(a, ACT_DONE);
    a->flow->busy--;
    a->done(a->ctx, err, detail, a->tries_left, err_is(err) ? NULL : &result);
    arena_free(&a->arena);
    free(a);
}

bool act_possible(const struct payment_record *rec, enum act_kind kind)
{
    const struct payment *p = &rec->p;
    if (p->n_attempts == 0 || payment_idle(p))
        return false;
    const struct gateway *g = gateway_find(payment_place(rec, p->n_attempts).provider);
    if (kind == ACT_CANCEL)
        return g != NULL && g->cancel_build != NULL;
    return g != NULL && g->confirm_build != NULL && p->status == PAYMENT_REQUIRES_ACTION &&
           str_find_str(rec->next_action, STR("\"type\":\"otp\"")) != SIZE_MAX;
}

/* ---- what the provider says of the payment now ---- */

static void told(void *ctx, const struct payment_event *said, const struct move_call *call)
{
    struct act *a = ctx;
    a->event = ask_event_keep(&a->arena, said);
    a->has_call = call != NULL;
    if (a->has_call)
        a->call = ask_call_keep(&a->arena, call);
    record(a);
}

static void ask(struct act *a)
{
    struct ask_request rq = {a->in.rec->merchant, a->account, a->provider_ref, a->n};
    a->asked = true;
    enter(a, ACT_ASK);
    ask_start(a->flow, &rq, told, a);
}

/* ---- the record ---- */

static void recorded(void *ctx, struct err err, const struct move_result *result)
{
    struct act *a = ctx;
    if (err_is(err))
        finish(a, err, "", NULL);
    else if (a->asks && !a->asked)
        ask(a);
    else
        finish(a, a->verdict, a->detail, result->rec);
}

static void record(struct act *a)
{
    struct move_request rq = {
        .merchant = a->in.rec->merchant,
        .payment = a->in.rec->id,
        .event = a->event,
        .actor = STR("provider"),
        .call = a->has_call ? &a->call : NULL,
    };
    enter(a, ACT_RECORD);
    move_start(a->flow, &rq, recorded, a);
}

/* ---- the provider ---- */

/* next_action once more, with the tries that are left. */
static struct str with_tries(struct act *a)
{
    static const struct str name = {",\"tries_left\":", 14};
    struct str text = a->next_action;
    size_t at = str_find_str(text, name);
    if (at == SIZE_MAX)
        at = text.n > 0 ? text.n - 1 : 0;
    return arena_fmt(&a->arena, "%.*s%.*s%d}", STR_ARG(str_first(text, at)), STR_ARG(name),
                     a->tries_left);
}

/* The payment stands as before. */
static void refused(struct act *a, const struct gw_result *r)
{
    a->event.kind = PAYMENT_EVENT_UNREACHABLE;
    if (a->in.kind == ACT_CODE && r->code == FAILURE_WRONG_PIN) {
        a->verdict = ERR(OTP_WRONG, NULL);
        a->asks = a->tries_left == 0; /* the provider may have ended it */
        a->call.next_action = with_tries(a);
    } else if (a->in.kind == ACT_CANCEL && !r->retry_later) {
        a->verdict = ERR(INVALID_STATE, NULL);
        a->detail = "The provider does not take it back.";
    } else {
        a->verdict = ERR(UNAVAILABLE, NULL);
        a->detail = "The provider could not be asked; try again.";
    }
}

static void sent(void *ctx, const struct gw_result *r, const struct gw_exchange *exchange)
{
    struct act *a = ctx;
    struct arena *m = &a->arena;
    bool refusal = r->verdict == GW_REFUSED || r->verdict == GW_TOKEN_REJECTED;
    bool unknown = r->verdict == GW_UNKNOWN;
    const char *op = a->in.kind == ACT_CODE ? "confirm" : "cancel";
    struct payment_event said =
        ask_event(r, a->n, r->verdict == GW_SUCCEEDED ? SOURCE_POLL : SOURCE_API);
    a->event = ask_event_keep(m, &said);
    a->has_call = true;
    a->call = record_exchange(m, a->n, op,
                              unknown   ? "ambiguous"
                              : refusal ? "refused"
                                        : "ok",
                              exchange);
    a->call.next_action = arena_dup(m, r->next_action);
    a->asks = unknown || (a->in.kind == ACT_CANCEL && r->verdict == GW_PENDING);
    if (refusal)
        refused(a, r);
    log_info("act.said", F_ID("payment", a->in.rec->id), F_C("op", op),
             F_C("outcome", a->call.outcome), F_I64("http", exchange->http_status));
    record(a);
}

static void account_found(void *ctx, struct err err, const struct flow_account *account)
{
    struct act *a = ctx;
    struct flow *f = a->flow;
    char key[UUID_TEXT];
    struct gw_act in = {
        .provider_ref = a->provider_ref,
        .code = a->in.code.p != NULL ? a->in.code : STR(""),
        .key = str_c(uuid_text(random_uuid(loop_wall_us(f->loop)), key)),
        .now_us = loop_wall_us(f->loop),
    };
    if (!err_is(err) && a->in.kind == ACT_CODE)
        err = gw_confirm_start(f->gateways, &account->gw, &in, sent, a);
    else if (!err_is(err))
        err = gw_cancel_start(f->gateways, &account->gw, &in, sent, a);
    if (err.code == ERR_INVALID) { /* not by what is known of it yet: that is asked for */
        a->asks = true;
        ask(a);
    } else if (err_is(err)) {
        log_warn("act.not_sent", F_ID("payment", a->in.rec->id), F_ERR(err));
        finish(a, ERR(UNAVAILABLE, NULL), "The provider could not be asked; try again.", NULL);
    }
}

/* ---- the wish ---- */

static void marked(void *ctx, struct err err, const struct move_result *result)
{
    struct act *a = ctx;
    if (err_is(err)) {
        finish(a, err, "", NULL);
        return;
    }
    const struct payment_record *rec = result->rec;
    const struct attempt *at = &rec->p.attempts[a->n - 1];
    a->tries_left = PAYMENT_MAX_CODES - at->codes_n;
    a->account = payment_place(rec, a->n).account_id;
    a->provider_ref = arena_dup(&a->arena, str_c(at->provider_ref));
    a->next_action = arena_dup(&a->arena, rec->next_action);
    if (a->provider_ref.n == 0) {
        finish(a, ERR(INVALID_STATE, NULL), "The provider has given no reference yet.", NULL);
        return;
    }
    enter(a, ACT_SEND);
    account_start(a->flow, rec->merchant, a->account, account_found, a);
}

void act_start(struct flow *f, const struct act_input *in, act_fn *done, void *ctx)
{
    struct act *a = calloc(1, sizeof *a);
    ASSERT(a != NULL);
    *a = (struct act){
        .flow = f, .in = *in, .n = in->rec->p.n_attempts, .detail = "", .done = done, .ctx = ctx};
    arena_init(&a->arena, ACT_ARENA);
    f->busy++;
    struct move_request rq = {
        .merchant = in->rec->merchant,
        .payment = in->rec->id,
        .event = {.kind =
                      in->kind == ACT_CODE ? PAYMENT_EVENT_CODE_GIVEN : PAYMENT_EVENT_CANCEL_ASKED,
                  .attempt = a->n,
                  .source = SOURCE_API},
        .actor = in->actor,
        .known = in->rec,
    };
    move_start(f, &rq, marked, a);
}
