/* A payout's work: LOAD it and its account, then DISPATCH and SEND, or TICK and ASK. What the
 * provider says is one more step; what nobody knows is asked about, never sent again. */
#include "core/flow/payout_int.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/flow/account.h"
#include "core/flow/sending.h"

struct work {
    struct sending s;
    struct uuid payout;
    bool verify, live; /* whoever waits wants it asked about now */
    struct payout_record rec;
    struct payout_event said;
    loop_fn *done;
    payout_moved_fn *verified;
    void *ctx;
};

static void finish(struct work *w, struct err err, const struct payout_moved *result)
{
    if (err_is(err) && !w->verify)
        log_warn("payout.failed", F_ID("payout", w->payout), F_ERR(err));
    if (w->done != NULL)
        w->done(w->ctx);
    if (w->verified != NULL)
        w->verified(w->ctx, err, err_is(err) ? NULL : result);
    sending_end(&w->s);
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

static void answer_moved(void *ctx, struct err err, const struct payout_moved *result)
{
    struct work *w = ctx;
    if (err_is(err) && sending_again(&w->s, err, store_answer, w)) {
        log_warn("payout.not_recorded", F_ID("payout", w->payout), F_ERR(err));
        return;
    }
    if (!err_is(err))
        crash_point(CRASH_PAYOUT_RECORDED);
    finish(w, err, result);
}

static void store_answer(void *ctx)
{
    struct work *w = ctx;
    struct payout_move rq = {
        .merchant = w->s.merchant,
        .payout = w->payout,
        .event = w->said,
        .actor = STR("provider"),
        .call = &w->s.call,
    };
    payout_move_start(w->s.flow, &rq, answer_moved, w);
}

static void said(struct work *w, const struct gw_result *result, const struct gw_exchange *x,
                 bool query)
{
    static const enum payout_event_kind events[] = {
        [SENDING_ACCEPTED] = PAYOUT_EVENT_ACCEPTED,
        [SENDING_REFUSED] = PAYOUT_EVENT_REFUSED,
        [SENDING_AMBIGUOUS] = PAYOUT_EVENT_AMBIGUOUS,
        [SENDING_SUCCESS] = PAYOUT_EVENT_SUCCESS,
        [SENDING_FAILURE] = PAYOUT_EVENT_FAILURE,
        [SENDING_RETURN] = PAYOUT_EVENT_RETURN,
        [SENDING_STILL_PENDING] = PAYOUT_EVENT_STILL_PENDING,
        [SENDING_UNREACHABLE] = PAYOUT_EVENT_UNREACHABLE,
    };
    enum sending_word word = sending_word(result->verdict, query);
    struct gw_result r =
        sending_said(&w->s, result, x, w->rec.p.n, query ? "payout_query" : "payout", word);
    w->said = (struct payout_event){
        .kind = events[word],
        .request = w->rec.p.n,
        .sent_at_us = w->rec.p.sent_at_us,
        .later = r.retry_later,
        .amount = r.amount,
        .code = r.code,
        .provider_ref = r.provider_ref,
        .receipt = r.receipt,
        .provider_code = r.provider_code,
        .message = r.message,
    };
    log_info("payout.said", F_ID("payout", w->payout), F_C("op", w->s.call.op),
             F_C("outcome", w->s.call.outcome), F_I64("http", x->http_status));
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
    struct flow *f = w->s.flow;
    struct gw_payout in;
    struct payout_rules rules;
    const struct flow_account *account = w->s.account;
    payout_rules_default(&rules);
    struct err err = account == NULL ? ERR(CONFIG, "the account is not configured here")
                                     : payout_request(f, &w->s.arena, &w->rec, w->rec.p.n,
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
    return text.p != NULL ? arena_dup(&w->s.arena, text) : STR_NULL;
}

/* Its texts outlive the step's arena. */
static void keep(struct work *w, const struct payout_moved *result)
{
    struct payout_record *rec = &w->rec;
    *rec = *result->payout;
    struct str *const texts[] = {&rec->reference,   &rec->provider,     &rec->method,
                                 &rec->pii,         &rec->purpose,      &rec->description,
                                 &rec->metadata,    &rec->callback_url, &rec->requested_by,
                                 &rec->approved_by, &rec->requester,    &rec->trace};
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
        .merchant = w->s.merchant,
        .payout = w->payout,
        .event = {.kind = kind},
        .actor = STR("system"),
    };
    payout_move_start(w->s.flow, &rq, done, w);
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
    sending_account(&w->s, account);
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
        err = payout_record_read(rows, 0, &w->s.arena, &w->rec);
    if (!err_is(err) && w->verify && w->rec.live != w->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        finish(w, err, NULL);
    else if (w->verify && (!payout_is_open(&w->rec.p) || w->rec.p.provider_ref[0] == '\0' ||
                           w->rec.p.request == PAYOUT_REQUEST_SENDING))
        finish_as_is(w);
    else
        account_start(w->s.flow, w->s.merchant, w->rec.account_id, account_found, w);
}

static struct work *work_new(struct flow *f, struct uuid merchant, struct uuid payout)
{
    struct work *w = calloc(1, sizeof *w);
    ASSERT(w != NULL);
    sending_begin(&w->s, f, merchant);
    w->payout = payout;
    return w;
}

static void load(struct work *w)
{
    struct value params[] = {V_UUID(w->s.merchant), V_UUID(w->payout)};
    store_read(w->s.flow->store, Q_payout_get, params, COUNT_OF(params), loaded, w);
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
