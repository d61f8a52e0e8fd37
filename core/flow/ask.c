/* A status query. What cannot be asked is UNREACHABLE: nothing is concluded from it. */
#include "core/flow/ask.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"

struct ask {
    struct flow *flow;
    int attempt;
    char our_id[OUR_ID_TEXT]; /* by which it was asked for; "" by the provider's reference */
    struct later later;
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
    ev.renames = q->our_id[0] != '\0' && str_eq(result->our_id, str_c(q->our_id));
    arena_init(&a, 1024 * 1024);
    struct move_call call = {
        .attempt = q->attempt,
        .op = "query",
        .outcome = ev.kind == PAYMENT_EVENT_UNREACHABLE ? "ambiguous" : "ok",
        .http_status = exchange->http_status,
        .took_us = exchange->took_us,
        .next_action = result->next_action,
        .body = arena_fmt(&a, "{\"request\":%.*s,\"response\":%.*s}",
                          STR_ARG(exchange->request.n > 0 ? exchange->request : STR("null")),
                          STR_ARG(exchange->response.n > 0 ? exchange->response : STR("null"))),
    };
    finish(q, &ev, &call);
    arena_free(&a);
}

static void not_asked(void *ctx)
{
    struct ask *q = ctx;
    struct payment_event ev = {
        .kind = PAYMENT_EVENT_UNREACHABLE, .attempt = q->attempt, .source = SOURCE_POLL};
    finish(q, &ev, NULL);
}

void ask_start(struct flow *f, const struct ask_request *rq, ask_fn *done, void *ctx)
{
    struct ask *q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    *q = (struct ask){.flow = f, .attempt = rq->attempt, .done = done, .ctx = ctx};
    struct uuid attempt, merchant;
    if (our_id_read(rq->provider_ref, &attempt, &merchant))
        str_copy_c(q->our_id, sizeof q->our_id, rq->provider_ref);
    f->busy++;
    const struct flow_account *account = flow_account_by_id(f, rq->account);
    struct err err = account == NULL
                         ? ERR(CONFIG, "the account is not configured here")
                         : gw_query_start(f->gateways, &account->gw, rq->provider_ref, answered, q);
    if (err_is(err)) {
        log_warn("ask.failed", F_ERR(err));
        loop_later(f->loop, &q->later, not_asked, q);
    }
}
