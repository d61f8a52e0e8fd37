/* A refund's work: LOAD it and its account, then DISPATCH the next rail and SEND it, or TICK and
 * ASK. What the provider says is one more step; a rail that refused for certain opens the next one
 * at once. */
#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/flow/account.h"
#include "core/flow/record.h"
#include "core/flow/refund.h"
#include "core/flow/refund_int.h"
#include "core/flow/render.h"
#include "core/flow/sending.h"

struct work {
    struct sending s;
    struct uuid refund;
    struct payment_record payment;
    struct refund_record rec;
    int n; /* of the attempt that is sent or asked about */
    struct refund_event said;
    loop_fn *done;
    void *ctx;
};

static void finish(struct work *w, struct err err)
{
    if (err_is(err))
        log_warn("refund.failed", F_ID("refund", w->refund), F_ERR(err));
    if (w->done != NULL)
        w->done(w->ctx);
    sending_end(&w->s);
    free(w);
}

static void load(struct work *w);

static void store_answer(void *ctx);

static void answer_moved(void *ctx, struct err err, const struct refund_moved *result)
{
    struct work *w = ctx;
    if (err_is(err) && sending_again(&w->s, err, store_answer, w)) {
        log_warn("refund.not_recorded", F_ID("refund", w->refund), F_ERR(err));
        return;
    }
    if (!err_is(err) && result->fx->next_rail != REFUND_RAIL_NONE && !w->s.flow->closing)
        load(w);
    else
        finish(w, err);
}

static void store_answer(void *ctx)
{
    struct work *w = ctx;
    struct refund_move rq = {
        .merchant = w->s.merchant,
        .refund = w->refund,
        .event = w->said,
        .actor = STR("provider"),
        .call = &w->s.call,
    };
    refund_move_start(w->s.flow, &rq, answer_moved, w);
}

static const struct rail_attempt *at_work(const struct work *w)
{
    return &w->rec.r.attempts[w->n - 1];
}

static void said(struct work *w, const struct gw_result *result, const struct gw_exchange *x,
                 bool query)
{
    static const enum refund_event_kind events[] = {
        [SENDING_ACCEPTED] = REFUND_EVENT_ACCEPTED,
        [SENDING_REFUSED] = REFUND_EVENT_REFUSED,
        [SENDING_AMBIGUOUS] = REFUND_EVENT_AMBIGUOUS,
        [SENDING_SUCCESS] = REFUND_EVENT_SUCCESS,
        [SENDING_FAILURE] = REFUND_EVENT_FAILURE,
        [SENDING_STILL_PENDING] = REFUND_EVENT_STILL_PENDING,
        [SENDING_UNREACHABLE] = REFUND_EVENT_UNREACHABLE,
    };
    const struct rail_attempt *at = at_work(w);
    /* no refund comes back: that is said of payments and payouts only */
    bool stray = result->verdict == GW_REVERSED;
    const struct gateway *g = gateway_find(w->payment.provider);
    enum sending_word word = sending_word(stray ? GW_UNKNOWN : result->verdict, query);
    struct gw_result r =
        sending_said(&w->s, result, x, at->n, query ? "refund_query" : "refund", word);
    bool revoked = word == SENDING_FAILURE && g != NULL && g->may_revoke;
    w->said = (struct refund_event){
        .kind = revoked ? REFUND_EVENT_REVOKE : events[word],
        .attempt = at->n,
        .afresh = query && at->status == RAIL_FAILED,
        .later = r.retry_later,
        .sent_at_us = at->sent_at_us,
        .amount = r.amount,
        .code = r.code,
        .provider_ref = r.provider_ref,
        .receipt = r.receipt,
        .provider_code = r.provider_code,
        .message = r.message,
    };
    log_info("refund.said", F_ID("refund", w->refund), F_C("rail", refund_rail_word(at->rail)),
             F_C("op", w->s.call.op), F_C("outcome", w->s.call.outcome),
             F_I64("http", x->http_status));
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
    struct flow *f = w->s.flow;
    struct arena *a = &w->s.arena;
    const struct rail_attempt *at = at_work(w);
    struct str person, phone;
    TRY(record_person(f, &w->payment, a, &person));
    TRY(person_phone(person, a, &phone));
    const struct gateway *g = gateway_find(w->payment.provider);
    *out = (struct gw_refund){
        .rail = at->rail,
        .amount = w->rec.r.amount,
        .payment_receipt = str_c(w->payment.p.receipt),
        .payment_ref = str_c(w->payment.p.provider_ref),
        .phone = phone,
        .remarks = w->rec.reason.p != NULL ? w->rec.reason : STR("Refund"),
        .trace = w->rec.trace.p != NULL ? w->rec.trace : STR(""),
        .now_us = loop_wall_us(f->loop),
    };
    return sending_names(f, a, g, attempt_id(w->refund, at->n), w->s.merchant, &out->our_id,
                         &out->callback_url);
}

/* Sends or asks; what cannot even be started is known for certain not to have left. */
static void call_provider(struct work *w, bool query)
{
    struct flow *f = w->s.flow;
    struct gw_refund in;
    struct refund_rules rules;
    const struct flow_account *account = w->s.account;
    const struct rail_attempt *at = at_work(w);
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
    result.retry_later = result.code != FAILURE_CONFIGURATION;
    struct gw_exchange exchange = {.op = query ? GW_OP_REFUND_QUERY : GW_OP_REFUND};
    said(w, &result, &exchange, query);
}

static void keep(struct work *w, const struct refund_moved *result)
{
    w->payment = *result->payment;
    w->rec = *result->refund;
    /* texts that outlive the step's arena */
    w->payment.provider = arena_dup(&w->s.arena, w->payment.provider);
    w->payment.pii = w->payment.pii.p != NULL ? arena_dup(&w->s.arena, w->payment.pii) : STR_NULL;
    w->rec.reason = w->rec.reason.p != NULL ? arena_dup(&w->s.arena, w->rec.reason) : STR_NULL;
    w->rec.trace = w->rec.trace.p != NULL ? arena_dup(&w->s.arena, w->rec.trace) : STR_NULL;
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
    w->n = w->rec.r.n_attempts;
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
    w->n = result->fx->ask_attempt;
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
    sending_account(&w->s, account);
    refund_rules_of(account != NULL ? account->gw.gateway : NULL, &rules);
    bool send = refund_wants_sending(&w->rec.r, &rules, loop_wall_us(w->s.flow->loop));
    struct refund_move rq = {
        .merchant = w->s.merchant,
        .refund = w->refund,
        .event = {.kind = send ? REFUND_EVENT_DISPATCH : REFUND_EVENT_TICK},
        .actor = STR("system"),
    };
    refund_move_start(w->s.flow, &rq, send ? dispatched : ticked, w);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct work *w = ctx;
    size_t next;
    w->rec = (struct refund_record){0};
    if (!err_is(err))
        err = refund_record_read(rows, 0, &w->s.arena, &w->rec, &next);
    if (err_is(err))
        finish(w, err);
    else
        account_start(w->s.flow, w->s.merchant, w->rec.account_id, account_found, w);
}

static void load(struct work *w)
{
    struct value params[] = {V_UUID(w->s.merchant), V_UUID_OPT(UUID_NIL), V_UUID_OPT(w->refund)};
    store_read(w->s.flow->store, Q_refund_get, params, COUNT_OF(params), loaded, w);
}

void refund_run(struct flow *f, struct uuid merchant, struct uuid refund, loop_fn *done, void *ctx)
{
    struct work *w = calloc(1, sizeof *w);
    ASSERT(w != NULL);
    sending_begin(&w->s, f, merchant);
    w->refund = refund;
    w->done = done;
    w->ctx = ctx;
    load(w);
}
