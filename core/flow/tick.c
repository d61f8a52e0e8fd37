/* Time passes over a payment: STEP, then ASK and STEP again if the provider has to be asked. A
 * failure anywhere leaves the job to whoever finds its lease run out. */
#include "core/flow/tick.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/flow/ask.h"
#include "core/flow/failover.h"
#include "store/kinds.h"

struct tick {
    struct flow *flow;
    struct uuid merchant, payment;
    loop_fn *done;
    void *ctx;
    /* what the provider said, kept until it is committed */
    struct arena arena;
    struct payment_event said;
    struct move_call call;
    bool has_call;
};

static void finish(struct tick *t, struct err err)
{
    if (err_is(err))
        log_warn("tick.failed", F_ID("payment", t->payment), F_ERR(err));
    t->flow->busy--;
    t->done(t->ctx);
    arena_free(&t->arena);
    free(t);
}

static void answer_moved(void *ctx, struct err err, const struct move_result *result);

static void move_answer(struct tick *t, const char *exception)
{
    struct move_request rq = {
        .merchant = t->merchant,
        .payment = t->payment,
        .event = t->said,
        .actor = STR("provider"),
        .call = t->has_call ? &t->call : NULL,
        .exception = exception,
    };
    failover_start(t->flow, &rq, answer_moved, t);
}

/* A receipt that is another payment's proves nothing, but the provider's word on its own reference
 * stands. */
static void answer_moved(void *ctx, struct err err, const struct move_result *result)
{
    struct tick *t = ctx;
    (void)result;
    if (err.code == ERR_CONFLICT && err.detail == MOVE_RECEIPT_TAKEN && t->said.receipt.n > 0) {
        t->said.receipt = STR("");
        move_answer(t, "receipt_taken");
        return;
    }
    finish(t, err);
}

static void answered(void *ctx, const struct payment_event *said, const struct move_call *call)
{
    struct tick *t = ctx;
    t->said = ask_event_keep(&t->arena, said);
    t->has_call = call != NULL;
    if (t->has_call)
        t->call = ask_call_keep(&t->arena, call);
    move_answer(t, NULL);
}

static void stepped(void *ctx, struct err err, const struct move_result *result)
{
    struct tick *t = ctx;
    if (err_is(err) || result->fx->ask_attempt == 0) {
        finish(t, err);
        return;
    }
    crash_point(CRASH_TICK_COMMITTED);
    struct payment_record rec = *result->rec;
    const struct attempt *at = payment_attempt(&rec.p, result->fx->ask_attempt);
    struct ask_request rq = {t->merchant, payment_place(&rec, at->n).account_id,
                             str_c(at->provider_ref), at->n};
    ask_start(t->flow, &rq, answered, t);
}

void tick_start(struct flow *f, struct uuid merchant, struct uuid payment, loop_fn *done, void *ctx)
{
    struct tick *t = calloc(1, sizeof *t);
    ASSERT(t != NULL);
    *t = (struct tick){
        .flow = f, .merchant = merchant, .payment = payment, .done = done, .ctx = ctx};
    arena_init(&t->arena, 1024 * 1024);
    f->busy++;
    struct move_request rq = {
        .merchant = merchant,
        .payment = payment,
        .event = {.kind = PAYMENT_EVENT_TICK, .source = SOURCE_POLL},
        .actor = STR("system"),
    };
    move_start(f, &rq, stepped, t);
}
