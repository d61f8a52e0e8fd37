/* A payment goes on with another provider. Happy path: LOOK (is there one?), MOVE (the end of this
 * attempt and the next one, in one commit), then SEND and RECORD by themselves.
 *
 * Ways to fail: nobody else takes it, or it has moved meanwhile (MOVE, and the payment ends); the
 * database is away (before MOVE: the event is not lost, as with move_start; after SEND: the record
 * is tried again, and the attempt's lease sees to the rest). */
#include "core/flow/failover.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/flow/account.h"
#include "core/flow/attempt.h"
#include "core/flow/route.h"

enum { FAILOVER_ARENA = 4 * 1024 * 1024, RECORD_TRIES = 60 };

enum failover_state { ON_LOAD, ON_LOOK, ON_MOVE, ON_SEND, ON_RECORD, ON_DONE };
static const char *const state_names[] = {"load", "look", "move", "send", "record", "done"};
#define TO(s) (1u << ON_##s)
static const uint32_t state_next[] = {
    [ON_LOAD] = TO(LOOK) | TO(MOVE) | TO(DONE),
    [ON_LOOK] = TO(MOVE) | TO(DONE),
    [ON_MOVE] = TO(SEND) | TO(DONE),
    [ON_SEND] = TO(RECORD),
    [ON_RECORD] = TO(RECORD) | TO(DONE),
    [ON_DONE] = 0,
};
#undef TO
static const struct fsm failover_fsm = {"failover", state_names, state_next};

struct failover {
    struct flow *flow;
    struct move_request rq;
    struct arena arena;
    int state;
    int tries;
    struct payment_record rec;
    struct route_next next;
    const struct flow_account *account; /* of the next attempt; held */
    struct attempt_answer answer;
    struct timer timer;
    move_fn *done;
    void *ctx;
};

static void enter(struct failover *o, enum failover_state to)
{
    fsm_enter(&failover_fsm, &o->state, (int)to);
}

static void end(struct failover *o)
{
    enter(o, ON_DONE);
    timer_off(o->flow->loop, &o->timer);
    o->flow->busy--;
    account_release(o->account);
    arena_free(&o->arena);
    free(o);
}

static void fail(struct failover *o, struct err err)
{
    o->done(o->ctx, err, NULL);
    end(o);
}

/* ---- the next attempt, by itself ---- */

static void record(void *ctx);

static void recorded(void *ctx, struct err err, const struct move_result *result)
{
    struct failover *o = ctx;
    (void)result;
    bool again = err_is(err) && (err_retryable(err.code) || err.code == ERR_AMBIGUOUS);
    if (err_is(err))
        log_warn("failover.not_recorded", F_ID("payment", o->rec.id), F_ERR(err));
    if (again && !o->flow->closing && ++o->tries < RECORD_TRIES)
        timer_set(o->flow->loop, &o->timer, US_PER_S, record, o);
    else
        end(o);
}

static void record(void *ctx)
{
    struct failover *o = ctx;
    struct move_request rq = {
        .merchant = o->rec.merchant,
        .payment = o->rec.id,
        .event = o->answer.event,
        .actor = STR("provider"),
        .call = &o->answer.call,
    };
    enter(o, ON_RECORD);
    failover_start(o->flow, &rq, recorded, o);
}

static void sent(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    struct failover *o = ctx;
    crash_point(CRASH_CHARGE_SENT);
    attempt_answer(&o->arena, &o->rec, o->rec.p.n_attempts, result, exchange, &o->answer);
    o->tries = 0;
    record(o);
}

/* From what was looked at before, and the new attempt: whatever else has changed, the request is
 * the same. */
static void send(struct failover *o, int n, const struct attempt *a)
{
    struct gw_charge in;
    struct payment_record *rec = &o->rec;
    rec->p.attempts[n - 1] = *a;
    rec->p.n_attempts = n;
    rec->provider = str_c(o->next.gateway->name);
    enter(o, ON_SEND);
    if (!err_is(attempt_request(o->flow, &o->arena, rec, n, o->next.gateway, &in))) {
        attempt_send(o->flow, &o->account->gw, &rec->p.attempts[n - 1], &in, sent, o);
        return;
    }
    struct gw_result result = {.verdict = GW_REFUSED, .code = FAILURE_CONFIGURATION};
    struct gw_exchange exchange = {.op = GW_OP_CHARGE};
    sent(o, &result, &exchange);
}

/* ---- the end of the last one ---- */

static void moved(void *ctx, struct err err, const struct move_result *result)
{
    struct failover *o = ctx;
    int n = err_is(err) ? 0 : result->dispatched;
    struct attempt next = n > 0 ? result->rec->p.attempts[n - 1] : (struct attempt){0};
    if (n > 0)
        crash_point(CRASH_FAILOVER_COMMITTED);
    o->done(o->ctx, err, result);
    if (n > 0)
        send(o, n, &next);
    else
        end(o);
}

static void move(struct failover *o)
{
    enter(o, ON_MOVE);
    move_start(o->flow, &o->rq, moved, o);
}

static void looked(void *ctx, struct err err, const struct route_next *next)
{
    struct failover *o = ctx;
    if (err_is(err)) {
        fail(o, err);
        return;
    }
    if (next != NULL) {
        o->next = *next;
        o->account = account_hold(next->account);
        o->rq.next = &o->next;
    }
    move(o);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct failover *o = ctx;
    if (!err_is(err))
        err = payment_record_read(rows, &o->arena, &o->rec);
    if (err_is(err)) {
        fail(o, err);
    } else if (route_may_go_on(&o->rec, &o->rq.event)) {
        enter(o, ON_LOOK);
        route_next_start(o->flow, &o->arena, &o->rec, looked, o);
    } else {
        move(o);
    }
}

void failover_start(struct flow *f, const struct move_request *rq, move_fn *done, void *ctx)
{
    const struct payment_event *ev = &rq->event;
    bool ends = ev->kind == PAYMENT_EVENT_REFUSED || ev->kind == PAYMENT_EVENT_FAILURE ||
                ev->kind == PAYMENT_EVENT_NOT_FOUND;
    ASSERT(rq->next == NULL);
    if (!ends || (ev->code != FAILURE_NONE && !failure_by_provider(ev->code))) {
        move_start(f, rq, done, ctx);
        return;
    }
    struct failover *o = calloc(1, sizeof *o);
    ASSERT(o != NULL);
    o->flow = f;
    o->rq = *rq;
    o->done = done;
    o->ctx = ctx;
    arena_init(&o->arena, FAILOVER_ARENA);
    f->busy++;
    /* what was looked at outlives the caller's record */
    struct value params[] = {V_UUID(rq->merchant), V_UUID(rq->payment)};
    store_read(f->store, Q_payment_get, params, COUNT_OF(params), loaded, o);
}
