/* A status query. What cannot be asked is UNREACHABLE: nothing is concluded from it. */
#include "core/flow/ask.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/flow/account.h"
#include "core/flow/record.h"

struct ask {
    struct flow *flow;
    int attempt;
    char provider_ref[GW_REF_MAX + 1];
    bool by_our_id; /* which is provider_ref, as long as we know no better */
    ask_fn *done;
    void *ctx;
};

struct payment_event ask_event(const struct gw_result *r, int attempt, enum status_source source)
{
    struct payment_event ev = {
        .kind = PAYMENT_EVENT_UNREACHABLE,
        .attempt = attempt,
        .source = source,
        .amount = r->amount,
        .code = r->code,
        .sure = r->sure,
        .provider_ref = r->provider_ref,
        .receipt = r->receipt,
        .provider_code = r->provider_code,
        .message = r->message,
        .asks = gw_asks(r),
        .acted = r->acted,
    };
    if (r->verdict == GW_SUCCEEDED)
        ev.kind = PAYMENT_EVENT_SUCCESS;
    else if (r->verdict == GW_FAILED)
        ev.kind = PAYMENT_EVENT_FAILURE;
    else if (r->verdict == GW_REVERSED)
        ev.kind = PAYMENT_EVENT_REVERSED;
    else if (r->verdict == GW_PENDING)
        ev.kind = PAYMENT_EVENT_STILL_PENDING;
    else if (r->verdict == GW_NOT_FOUND)
        ev.kind = PAYMENT_EVENT_NOT_FOUND;
    return ev;
}

struct payment_event ask_event_keep(struct arena *a, const struct payment_event *said)
{
    struct payment_event kept = *said;
    kept.provider_ref = arena_dup(a, said->provider_ref);
    kept.receipt = arena_dup(a, said->receipt);
    kept.provider_code = arena_dup(a, said->provider_code);
    kept.message = arena_dup(a, said->message);
    return kept;
}

struct move_call ask_call_keep(struct arena *a, const struct move_call *call)
{
    struct move_call kept = *call;
    kept.body = arena_dup(a, call->body);
    kept.next_action = arena_dup(a, call->next_action);
    return kept;
}

static void finish(struct ask *q, const struct payment_event *said, const struct move_call *call)
{
    q->flow->busy--;
    q->done(q->ctx, said, call);
    free(q);
}

static void answered(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    struct ask *q = ctx;
    struct arena a;
    crash_point(CRASH_POLL_ASKED);
    struct payment_event ev = ask_event(result, q->attempt, SOURCE_POLL);
    ev.renames = q->by_our_id && str_eq(result->our_id, gw_our_id_of(str_c(q->provider_ref)));
    arena_init(&a, 1024 * 1024);
    bool unknown = ev.kind == PAYMENT_EVENT_UNREACHABLE;
    struct move_call call =
        record_exchange(&a, q->attempt, "query", unknown ? "ambiguous" : "ok", exchange);
    call.next_action = result->next_action;
    finish(q, &ev, &call);
    arena_free(&a);
}

static void not_asked(struct ask *q, struct err err)
{
    struct payment_event ev = {
        .kind = PAYMENT_EVENT_UNREACHABLE, .attempt = q->attempt, .source = SOURCE_POLL};
    log_warn("ask.failed", F_ERR(err));
    finish(q, &ev, NULL);
}

static void account_found(void *ctx, struct err err, const struct flow_account *account)
{
    struct ask *q = ctx;
    if (!err_is(err))
        err = gw_query_start(q->flow->gateways, &account->gw, str_c(q->provider_ref), answered, q);
    if (err_is(err))
        not_asked(q, err);
}

void ask_start(struct flow *f, const struct ask_request *rq, ask_fn *done, void *ctx)
{
    struct ask *q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    *q = (struct ask){.flow = f, .attempt = rq->attempt, .done = done, .ctx = ctx};
    struct uuid attempt, merchant;
    str_copy_c(q->provider_ref, sizeof q->provider_ref, rq->provider_ref);
    q->by_our_id = our_id_read(gw_our_id_of(rq->provider_ref), &attempt, &merchant);
    f->busy++;
    account_start(f, rq->merchant, rq->account, account_found, q);
}
