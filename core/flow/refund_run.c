/* A refund's work: LOAD it and its account, then DISPATCH the next rail and SEND it, or TICK and
 * ASK. What the provider says is one more step; a rail that refused for certain opens the next one
 * at once. */
#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/flow/account.h"
#include "core/flow/record.h"
#include "core/flow/refund.h"
#include "core/flow/refund_rules.h"
#include "core/flow/render.h"
#include "core/flow/sending.h"

enum { WORK_ARENA = 1024 * 1024, ANSWER_TRIES = 60 };

struct work {
    struct flow *flow;
    struct uuid merchant, refund;
    struct arena arena;
    struct payment_record payment;
    struct refund_record rec;
    const struct flow_account *account; /* held; NULL: it is not configured here */
    struct refund_event said;
    struct move_call call;
    struct timer timer;
    int tries; /* to store what was said */
    loop_fn *done;
    void *ctx;
};

static void finish(struct work *w, struct err err)
{
    if (err_is(err))
        log_warn("refund.failed", F_ID("refund", w->refund), F_ERR(err));
    w->flow->busy--;
    if (w->done != NULL)
        w->done(w->ctx);
    account_release(w->account);
    arena_free(&w->arena);
    free(w);
}

static void load(struct work *w);

static void store_answer(void *ctx);

/* The provider's word is not lost because the database is away: only we have it. */
static void answer_moved(void *ctx, struct err err, const struct refund_moved *result)
{
    struct work *w = ctx;
    bool again = err_retryable(err.code) || err.code == ERR_AMBIGUOUS || err.code == ERR_CONFLICT;
    if (err_is(err) && again && !w->flow->closing && ++w->tries < ANSWER_TRIES) {
        log_warn("refund.not_recorded", F_ID("refund", w->refund), F_ERR(err));
        timer_set(w->flow->loop, &w->timer, US_PER_S, store_answer, w);
        return;
    }
    w->tries = 0;
    if (!err_is(err) && result->fx->next_rail != REFUND_RAIL_NONE && !w->flow->closing)
        load(w);
    else
        finish(w, err);
}

static enum refund_event_kind kind_of(enum gw_verdict verdict, bool query)
{
    switch (verdict) {
    case GW_ACCEPTED:
        return query ? REFUND_EVENT_STILL_PENDING : REFUND_EVENT_ACCEPTED;
    case GW_REFUSED:
    case GW_TOKEN_REJECTED:
        return query ? REFUND_EVENT_UNREACHABLE : REFUND_EVENT_REFUSED;
    case GW_SUCCEEDED:
        return REFUND_EVENT_SUCCESS;
    case GW_FAILED:
        return REFUND_EVENT_FAILURE;
    case GW_PENDING:
        return query ? REFUND_EVENT_STILL_PENDING : REFUND_EVENT_AMBIGUOUS;
    case GW_UNKNOWN:
    case GW_REVERSED: /* of payments only */
    case GW_NOT_FOUND:
        break;
    }
    return query ? REFUND_EVENT_UNREACHABLE : REFUND_EVENT_AMBIGUOUS;
}

static void store_answer(void *ctx)
{
    struct work *w = ctx;
    struct refund_move rq = {
        .merchant = w->merchant,
        .refund = w->refund,
        .event = w->said,
        .actor = STR("provider"),
        .call = &w->call,
    };
    refund_move_start(w->flow, &rq, answer_moved, w);
}

static void said(struct work *w, const struct gw_result *r, const struct gw_exchange *x, bool query)
{
    struct arena *a = &w->arena;
    const struct rail_attempt *at = &w->rec.r.attempts[w->rec.r.n_attempts - 1];
    w->said = (struct refund_event){
        .kind = kind_of(r->verdict, query),
        .attempt = at->n,
        .amount = r->amount,
        .code = r->code,
        .provider_ref = arena_dup(a, r->provider_ref),
        .receipt = arena_dup(a, r->receipt),
        .provider_code = arena_dup(a, r->provider_code),
        .message = arena_dup(a, r->message),
    };
    const char *outcome =
        w->said.kind == REFUND_EVENT_ACCEPTED || w->said.kind == REFUND_EVENT_SUCCESS ||
                w->said.kind == REFUND_EVENT_STILL_PENDING
            ? "ok"
        : w->said.kind == REFUND_EVENT_REFUSED || w->said.kind == REFUND_EVENT_FAILURE
            ? "refused"
            : "ambiguous";
    w->call = record_exchange(a, at->n, query ? "refund_query" : "refund", outcome, x);
    log_info("refund.said", F_ID("refund", w->refund), F_C("rail", refund_rail_word(at->rail)),
             F_C("op", w->call.op), F_C("outcome", outcome), F_I64("http", x->http_status));
    store_answer(w);
}

static void sent(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    said(ctx, result, exchange, false);
}

static void asked(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    said(ctx, result, exchange, true);
}

static struct err provider_refund(struct work *w, struct gw_refund *out)
{
    char token[CALLBACK_TOKEN_LEN + 1], id[OUR_ID_TEXT];
    struct flow *f = w->flow;
    struct arena *a = &w->arena;
    const struct rail_attempt *at = &w->rec.r.attempts[w->rec.r.n_attempts - 1];
    struct uuid attempt = attempt_id(w->refund, at->n);
    struct str person, phone;
    TRY(record_person(f, &w->payment, a, &person));
    TRY(person_phone(person, a, &phone));
    const struct gateway *g = gateway_find(w->payment.provider);
    callback_token_make(f->vault, g->name, attempt, w->merchant, token);
    *out = (struct gw_refund){
        .rail = at->rail,
        .amount = w->rec.r.amount,
        .payment_receipt = str_c(w->payment.p.receipt),
        .payment_ref = str_c(w->payment.p.provider_ref),
        .phone = phone,
        .our_id = arena_dup(a, str_c(our_id_make(g, attempt, w->merchant, id))),
        .remarks = w->rec.reason.p != NULL ? w->rec.reason : STR("Refund"),
        .callback_url = arena_fmt(a, "%.*s/api/v1/cb/%s", STR_ARG(f->settings.public_url), token),
        .now_us = loop_wall_us(f->loop),
    };
    return ERR_OK;
}

/* Sends or asks; what cannot even be started is known for certain not to have left. */
static void call_provider(struct work *w, bool query)
{
    struct flow *f = w->flow;
    struct gw_refund in;
    struct refund_rules rules;
    const struct flow_account *account = w->account;
    const struct rail_attempt *at = &w->rec.r.attempts[w->rec.r.n_attempts - 1];
    refund_rules_of(account != NULL ? account->gw.gateway : NULL, &rules);
    struct err err = account == NULL ? ERR(CONFIG, "the account is not configured here")
                                     : provider_refund(w, &in);
    if (!err_is(err) && !query)
        err = sending_in_time(loop_wall_us(f->loop), at->sent_at_us, rules.sending_lease_us);
    if (!err_is(err) && query)
        err = gw_refund_query_start(f->gateways, &account->gw, &in, str_c(at->provider_ref), asked,
                                    w);
    else if (!err_is(err))
        err = gw_refund_start(f->gateways, &account->gw, &in, sent, w);
    if (!err_is(err))
        return;
    struct gw_result result = sending_not_started(err);
    struct gw_exchange exchange = {.op = query ? GW_OP_REFUND_QUERY : GW_OP_REFUND};
    said(w, &result, &exchange, query);
}

static void keep(struct work *w, const struct refund_moved *result)
{
    w->payment = *result->payment;
    w->rec = *result->refund;
    /* texts that outlive the step's arena */
    w->payment.provider = arena_dup(&w->arena, w->payment.provider);
    w->payment.pii = w->payment.pii.p != NULL ? arena_dup(&w->arena, w->payment.pii) : STR_NULL;
    w->rec.reason = w->rec.reason.p != NULL ? arena_dup(&w->arena, w->rec.reason) : STR_NULL;
}

static void dispatched(void *ctx, struct err err, const struct refund_moved *result)
{
    struct work *w = ctx;
    const struct refund *r = err_is(err) ? NULL : &result->refund->r;
    bool open = r != NULL && result->fx->changed && r->n_attempts > 0 &&
                r->attempts[r->n_attempts - 1].status == RAIL_SENDING;
    if (!open) {
        finish(w, err);
        return;
    }
    keep(w, result);
    crash_point(CRASH_REFUND_RESERVED);
    call_provider(w, false);
}

static void ticked(void *ctx, struct err err, const struct refund_moved *result)
{
    struct work *w = ctx;
    if (err_is(err) || result->fx->ask_attempt == 0) {
        finish(w, err);
        return;
    }
    keep(w, result);
    call_provider(w, true);
}

/* Without an answer of the database nothing is sent: the job comes again. The rails are the
 * gateway's; the step itself looks again with the payment at hand. */
static void account_found(void *ctx, struct err err, const struct flow_account *account)
{
    struct work *w = ctx;
    struct refund_rules rules;
    if (err_is(err) && err.code != ERR_CONFIG) {
        finish(w, err);
        return;
    }
    account_release(w->account);
    w->account = account_hold(account);
    refund_rules_of(account != NULL ? account->gw.gateway : NULL, &rules);
    bool send = refund_wants_sending(&w->rec.r, &rules);
    struct refund_move rq = {
        .merchant = w->merchant,
        .refund = w->refund,
        .event = {.kind = send ? REFUND_EVENT_DISPATCH : REFUND_EVENT_TICK},
        .actor = STR("system"),
    };
    refund_move_start(w->flow, &rq, send ? dispatched : ticked, w);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct work *w = ctx;
    size_t next;
    w->rec = (struct refund_record){0};
    if (!err_is(err))
        err = refund_record_read(rows, 0, &w->arena, &w->rec, &next);
    if (err_is(err))
        finish(w, err);
    else
        account_start(w->flow, w->merchant, w->rec.account_id, account_found, w);
}

static void load(struct work *w)
{
    struct value params[] = {V_UUID(w->merchant), V_UUID_OPT(UUID_NIL), V_UUID_OPT(w->refund)};
    store_read(w->flow->store, Q_refund_get, params, COUNT_OF(params), loaded, w);
}

void refund_run(struct flow *f, struct uuid merchant, struct uuid refund, loop_fn *done, void *ctx)
{
    struct work *w = calloc(1, sizeof *w);
    ASSERT(w != NULL);
    *w = (struct work){.flow = f, .merchant = merchant, .refund = refund, .done = done, .ctx = ctx};
    arena_init(&w->arena, WORK_ARENA);
    f->busy++;
    load(w);
}
