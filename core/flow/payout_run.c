/* A payout's work: LOAD it and its account, then DISPATCH and SEND, or TICK and ASK. What the
 * provider says is one more step; what nobody knows is asked about, never sent again. */
#include "core/flow/payout_int.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/flow/account.h"
#include "core/flow/record.h"
#include "core/flow/sending.h"

enum { WORK_ARENA = 1024 * 1024, ANSWER_TRIES = 60 };

struct work {
    struct flow *flow;
    struct uuid merchant, payout;
    bool verify, live; /* whoever waits wants it asked about now */
    struct arena arena;
    struct payout_record rec;
    const struct flow_account *account; /* held; NULL: it is not configured here */
    struct payout_event said;
    struct move_call call;
    struct timer timer;
    int tries; /* to store what was said */
    loop_fn *done;
    payout_moved_fn *verified;
    void *ctx;
};

static void finish(struct work *w, struct err err, const struct payout_moved *result)
{
    if (err_is(err) && !w->verify)
        log_warn("payout.failed", F_ID("payout", w->payout), F_ERR(err));
    w->flow->busy--;
    if (w->done != NULL)
        w->done(w->ctx);
    if (w->verified != NULL)
        w->verified(w->ctx, err, err_is(err) ? NULL : result);
    account_release(w->account);
    arena_free(&w->arena);
    free(w);
}

/* Nothing to be asked about: as it is. */
static void finish_as_is(struct work *w)
{
    struct payout_effects none = {0};
    struct payout_moved result = {&w->rec, &none};
    finish(w, ERR_OK, &result);
}

static void store_answer(void *ctx);

/* The provider's word is not lost because the database is away: only we have it. */
static void answer_moved(void *ctx, struct err err, const struct payout_moved *result)
{
    struct work *w = ctx;
    bool again = err_retryable(err.code) || err.code == ERR_AMBIGUOUS || err.code == ERR_CONFLICT;
    if (err_is(err) && again && !w->flow->closing && ++w->tries < ANSWER_TRIES) {
        log_warn("payout.not_recorded", F_ID("payout", w->payout), F_ERR(err));
        timer_set(w->flow->loop, &w->timer, US_PER_S, store_answer, w);
        return;
    }
    if (!err_is(err))
        crash_point(CRASH_PAYOUT_RECORDED);
    finish(w, err, result);
}

static enum payout_event_kind kind_of(enum gw_verdict verdict, bool query)
{
    switch (verdict) {
    case GW_ACCEPTED:
        return query ? PAYOUT_EVENT_STILL_PENDING : PAYOUT_EVENT_ACCEPTED;
    case GW_REFUSED:
    case GW_TOKEN_REJECTED:
        return query ? PAYOUT_EVENT_UNREACHABLE : PAYOUT_EVENT_REFUSED;
    case GW_SUCCEEDED:
        return PAYOUT_EVENT_SUCCESS;
    case GW_FAILED:
        return PAYOUT_EVENT_FAILURE;
    case GW_REVERSED:
        return PAYOUT_EVENT_RETURN;
    case GW_PENDING:
        return query ? PAYOUT_EVENT_STILL_PENDING : PAYOUT_EVENT_AMBIGUOUS;
    case GW_UNKNOWN:
    case GW_NOT_FOUND: /* it may still be on its way there */
        break;
    }
    return query ? PAYOUT_EVENT_UNREACHABLE : PAYOUT_EVENT_AMBIGUOUS;
}

static void store_answer(void *ctx)
{
    struct work *w = ctx;
    struct payout_move rq = {
        .merchant = w->merchant,
        .payout = w->payout,
        .event = w->said,
        .actor = STR("provider"),
        .call = &w->call,
    };
    payout_move_start(w->flow, &rq, answer_moved, w);
}

static const char *outcome_of(enum payout_event_kind kind)
{
    switch (kind) {
    case PAYOUT_EVENT_ACCEPTED:
    case PAYOUT_EVENT_SUCCESS:
    case PAYOUT_EVENT_STILL_PENDING:
        return "ok";
    case PAYOUT_EVENT_REFUSED:
    case PAYOUT_EVENT_FAILURE:
    case PAYOUT_EVENT_RETURN:
        return "refused";
    default:
        return "ambiguous";
    }
}

static void said(struct work *w, const struct gw_result *r, const struct gw_exchange *x, bool query)
{
    struct arena *a = &w->arena;
    w->said = (struct payout_event){
        .kind = kind_of(r->verdict, query),
        .request = w->rec.p.n,
        .sent_at_us = w->rec.p.sent_at_us,
        .later = r->retry_later,
        .amount = r->amount,
        .code = r->code,
        .provider_ref = arena_dup(a, r->provider_ref),
        .receipt = arena_dup(a, r->receipt),
        .provider_code = arena_dup(a, r->provider_code),
        .message = arena_dup(a, r->message),
    };
    w->call = record_exchange(a, w->rec.p.n, query ? "payout_query" : "payout",
                              outcome_of(w->said.kind), x);
    log_info("payout.said", F_ID("payout", w->payout), F_C("op", w->call.op),
             F_C("outcome", w->call.outcome), F_I64("http", x->http_status));
    crash_point(CRASH_PAYOUT_SENT);
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

/* Sends or asks; what cannot even be started is known for certain not to have left. It may be
 * started later, unless it is wrong in itself. */
static void call_provider(struct work *w, bool query)
{
    struct flow *f = w->flow;
    struct gw_payout in;
    struct payout_rules rules;
    const struct flow_account *account = w->account;
    payout_rules_default(&rules);
    struct err err = account == NULL ? ERR(CONFIG, "the account is not configured here")
                                     : payout_request(f, &w->arena, &w->rec, w->rec.p.n,
                                                      account->gw.gateway, &in);
    if (!err_is(err) && !query)
        err = sending_in_time(loop_wall_us(f->loop), w->rec.p.sent_at_us, rules.sending_lease_us);
    if (!err_is(err) && query)
        err = gw_payout_query_start(f->gateways, &account->gw, &in, str_c(w->rec.p.provider_ref),
                                    asked, w);
    else if (!err_is(err))
        err = gw_payout_start(f->gateways, &account->gw, &in, sent, w);
    if (!err_is(err))
        return;
    struct gw_result result = sending_not_started(err);
    result.retry_later = result.code != FAILURE_CONFIGURATION;
    struct gw_exchange exchange = {.op = query ? GW_OP_PAYOUT_QUERY : GW_OP_PAYOUT};
    said(w, &result, &exchange, query);
}

static struct str kept(struct work *w, struct str text)
{
    return text.p != NULL ? arena_dup(&w->arena, text) : STR_NULL;
}

/* Its texts outlive the step's arena. */
static void keep(struct work *w, const struct payout_moved *result)
{
    struct payout_record *rec = &w->rec;
    *rec = *result->payout;
    struct str *const texts[] = {&rec->reference,  &rec->provider,     &rec->method,
                                 &rec->pii,        &rec->purpose,      &rec->description,
                                 &rec->metadata,   &rec->callback_url, &rec->requested_by,
                                 &rec->approved_by};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = kept(w, *texts[i]);
}

static void dispatch(struct work *w);

static void dispatched(void *ctx, struct err err, const struct payout_moved *result)
{
    struct work *w = ctx;
    if (err.code == ERR_INVALID_STATE) /* somebody else has, or it was cancelled meanwhile */
        err = ERR_OK;
    if (err_is(err) || result == NULL || result->payout->p.request != PAYOUT_REQUEST_SENDING) {
        finish(w, err, result);
        return;
    }
    keep(w, result);
    crash_point(CRASH_PAYOUT_RESERVED);
    call_provider(w, false);
}

static void ticked(void *ctx, struct err err, const struct payout_moved *result)
{
    struct work *w = ctx;
    bool queued = !err_is(err) && result->payout->p.status == PAYOUT_QUEUED;
    if (err_is(err) || (!result->fx->ask && !queued)) {
        finish(w, err, result);
        return;
    }
    keep(w, result);
    if (queued)
        dispatch(w);
    else
        call_provider(w, true);
}

static void move(struct work *w, enum payout_event_kind kind, payout_moved_fn *done)
{
    struct payout_move rq = {
        .merchant = w->merchant,
        .payout = w->payout,
        .event = {.kind = kind},
        .actor = STR("system"),
    };
    payout_move_start(w->flow, &rq, done, w);
}

static void dispatch(struct work *w)
{
    move(w, PAYOUT_EVENT_DISPATCH, dispatched);
}

/* Without an answer of the database nothing is sent: the job comes again. */
static void account_found(void *ctx, struct err err, const struct flow_account *account)
{
    struct work *w = ctx;
    if (err_is(err) && err.code != ERR_CONFIG) {
        finish(w, err, NULL);
        return;
    }
    w->account = account_hold(account);
    if (w->verify)
        call_provider(w, true);
    else if (w->rec.p.status == PAYOUT_QUEUED)
        dispatch(w);
    else
        move(w, PAYOUT_EVENT_TICK, ticked);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct work *w = ctx;
    if (!err_is(err))
        err = payout_record_read(rows, 0, &w->arena, &w->rec);
    if (!err_is(err) && w->verify && w->rec.live != w->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        finish(w, err, NULL);
    else if (w->verify && (!payout_is_open(&w->rec.p) || w->rec.p.provider_ref[0] == '\0' ||
                           w->rec.p.request == PAYOUT_REQUEST_SENDING))
        finish_as_is(w);
    else
        account_start(w->flow, w->merchant, w->rec.account_id, account_found, w);
}

static struct work *work_new(struct flow *f, struct uuid merchant, struct uuid payout)
{
    struct work *w = calloc(1, sizeof *w);
    ASSERT(w != NULL);
    *w = (struct work){.flow = f, .merchant = merchant, .payout = payout};
    arena_init(&w->arena, WORK_ARENA);
    f->busy++;
    return w;
}

static void load(struct work *w)
{
    struct value params[] = {V_UUID(w->merchant), V_UUID(w->payout)};
    store_read(w->flow->store, Q_payout_get, params, COUNT_OF(params), loaded, w);
}

void payout_run(struct flow *f, struct uuid merchant, struct uuid payout, loop_fn *done, void *ctx)
{
    struct work *w = work_new(f, merchant, payout);
    w->done = done;
    w->ctx = ctx;
    load(w);
}

void payout_verify(struct flow *f, struct uuid merchant, struct uuid payout, bool live,
                   payout_moved_fn *done, void *ctx)
{
    struct work *w = work_new(f, merchant, payout);
    w->verify = true;
    w->live = live;
    w->verified = done;
    w->ctx = ctx;
    load(w);
}
