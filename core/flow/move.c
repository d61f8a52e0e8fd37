/* One event, one payment, one commit. Happy path: LOAD, WRITE, DONE.
 *
 * Ways to fail: the payment is not there; the event is impossible in its state; somebody else moved
 * it between load and commit (load again, at most MOVE_MAX_TRIES times); the database is away (the
 * event is not lost: who brought it still has it, or its job has). */
#include "core/flow/move.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/flow/limit_count.h"
#include "core/flow/record.h"
#include "core/flow/route.h"

enum { MOVE_MAX_TRIES = 20, MOVE_ARENA = 1024 * 1024 };

enum move_state { MOVING_LOAD, MOVING_STEP, MOVING_WRITE, MOVING_DONE };
static const char *const state_names[] = {"load", "step", "write", "done"};
#define TO(s) (1u << MOVING_##s)
static const uint32_t state_next[] = {
    [MOVING_LOAD] = TO(STEP) | TO(DONE),
    [MOVING_STEP] = TO(WRITE) | TO(DONE),
    [MOVING_WRITE] = TO(LOAD) | TO(DONE),
    [MOVING_DONE] = 0,
};
#undef TO
static const struct fsm move_fsm = {"move", state_names, state_next};

struct move {
    struct flow *flow;
    struct move_request rq;
    struct arena arena;
    int state;
    int tries;
    bool was_doubtful; /* a commit of ours was not answered: its op_id may be in the row */
    bool mine;         /* no commit of ours can have been made before the one that is under way */
    struct uuid op_id;
    struct payment_record rec;
    struct payment_effects fx;
    const char *first_action; /* of two steps in one commit; else NULL */
    int dispatched;
    struct str snapshot;
    struct move_unit unit;
    struct later later;
    move_fn *done;
    void *ctx;
};

static void move_run(struct move *m);

static void finish(struct move *m, struct err err)
{
    fsm_enter(&move_fsm, &m->state, MOVING_DONE);
    if (m->was_doubtful && (err.code == ERR_UNAVAILABLE || err.code == ERR_OVERLOADED))
        err = ERR_D(AMBIGUOUS, err.detail, "a commit was not answered, nor what came of it");
    bool before = m->was_doubtful && !m->mine && m->rq.answer != NULL;
    struct move_result result = {&m->rec, &m->fx, m->snapshot, m->dispatched, before};
    m->flow->busy--;
    m->done(m->ctx, err, err_is(err) ? NULL : &result);
    arena_free(&m->arena);
    free(m);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct move *m = ctx;
    arena_free(&m->arena);
    arena_init(&m->arena, MOVE_ARENA);
    m->rec = (struct payment_record){0};
    if (!err_is(err))
        err = payment_record_read(rows, &m->arena, &m->rec);
    if (err_is(err)) {
        finish(m, err);
        return;
    }
    fsm_enter(&move_fsm, &m->state, MOVING_STEP);
    move_run(m);
}

static void load(struct move *m)
{
    struct value params[] = {V_UUID(m->rq.merchant), V_UUID(m->rq.payment)};
    store_read(m->flow->store, Q_payment_get, params, COUNT_OF(params), loaded, m);
}

static void add_answer(struct move *m)
{
    const struct move_answer *answer = m->rq.answer;
    struct payment_update_row *row = &m->unit.row;
    row->idem_key = answer->key;
    row->idem_slot = answer->slot;
    row->idem_slot_b = answer->slot_b;
    row->idem_http = answer->http_status;
    row->idem_seq = answer->seq;
    if (answer->given)
        return;
    if (m->fx.notice != NOTICE_NONE)
        row->idem_seq = m->rec.p.version;
    row->idem_provider_ref = row->provider_ref;
}

static void add_attempts(struct move *m, const struct payment *before)
{
    for (int i = 0; i < m->rec.p.n_attempts; i++) {
        const struct attempt *now = &m->rec.p.attempts[i];
        /* Both come from one copy; padding that differs would cost a row that says nothing new.
         * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
        if (i < before->n_attempts && memcmp(now, &before->attempts[i], sizeof *now) == 0)
            continue;
        attempt_row_fill(&m->rec, now, m->rec.p.updated_at_us,
                         &m->unit.attempts[m->unit.n_attempts++]);
        if (now->receipt[0] != '\0' &&
            (i >= before->n_attempts || before->attempts[i].receipt[0] == '\0'))
            m->unit.row.receipt_claim = str_c(now->receipt);
    }
}

static struct str attempt_detail(struct move *m)
{
    const struct attempt *a = payment_attempt(&m->rec.p, m->rq.event.attempt);
    if (a == NULL)
        return STR_NULL;
    return arena_fmt(&m->arena, "attempt %d %s%s%s", a->n, attempt_status_word(a->status),
                     a->provider_code[0] != '\0' ? ", provider code " : "", a->provider_code);
}

static void add_audit(struct move *m, const struct payment *before, const char *action,
                      struct str detail)
{
    struct audit_row *row = &m->unit.audits[m->unit.n_audits];
    record_audit(m->flow, &m->rec, before->status, action, m->rq.actor, detail, row);
    if (m->unit.n_audits++ == 0)
        m->unit.row.audit_a = row->id;
    else
        m->unit.row.audit_b = row->id;
}

static void add_exception(struct move *m)
{
    struct record_exception x = {
        .kind = m->fx.exception != EXCEPTION_NONE ? payment_exception_word(m->fx.exception)
                                                  : m->rq.exception,
        .attempt = m->rq.event.attempt,
        .waiting = m->fx.posting == POSTING_UNALLOCATED ? m->fx.posted : (struct money){0},
        .detail = attempt_detail(m),
    };
    if (x.kind != NULL)
        record_exception(m->flow, &m->arena, &m->rec, &x, &m->unit);
}

/* A payment that leaves reconciliation by evidence takes the question about it along. */
static void add_resolution(struct move *m, const struct payment *before)
{
    struct move_resolution answered = {
        .resolution = str_c(payment_status_word(m->rec.p.status)),
        .evidence = str_c(status_source_word(m->rec.p.source)),
        .by = m->rq.actor,
    };
    if (m->rq.resolution != NULL)
        record_resolution(m->flow, &m->rec, m->rec.id, m->rq.resolution, &m->unit);
    if (before->status == PAYMENT_IN_RECONCILIATION && m->rec.p.status != before->status)
        record_resolution(m->flow, &m->rec, m->rec.id, &answered, &m->unit);
}

/* The payment is where its attempt went: the latest, or the one that it was paid by. */
static void set_place(struct move *m, const struct payment *before)
{
    struct payment_record *rec = &m->rec;
    int n = m->dispatched;
    if (before->completed_at_us == 0 && rec->p.completed_at_us != 0)
        n = m->fx.posted_attempt;
    struct attempt_place place = payment_place(rec, n);
    rec->provider = place.provider;
    rec->account_id = place.account_id;
}

/* Everything that the step says, as rows. */
static struct err fill(struct move *m, const struct payment *before)
{
    struct flow *f = m->flow;
    struct payment_record *rec = &m->rec;
    int64_t now = loop_wall_us(f->loop);
    set_place(m, before);
    struct payment_rules rules = flow_rules(f, gateway_find(rec->provider));
    if (m->dispatched > 0)
        rec->next_action = m->rq.next->next_action;
    else if (m->rq.call != NULL && m->rq.call->next_action.n > 0)
        rec->next_action = m->rq.call->next_action;
    else if (before->status == PAYMENT_REQUIRES_ACTION && rec->p.status == PAYMENT_PROCESSING)
        rec->next_action = STR_NULL; /* the customer has acted */
    if (payment_status_final(rec->p.status) || rec->p.status == PAYMENT_IN_RECONCILIATION)
        rec->next_action = STR_NULL;
    rec->op_id = m->op_id;
    m->unit = (struct move_unit){0};
    payment_update_fill(rec, &m->unit.row);
    m->unit.row.job_run_at = payment_deadline_us(&rec->p, &rules);
    m->unit.row.job_lease = now;
    m->unit.row.claim_provider = payment_place(rec, m->rq.event.attempt).provider;
    add_attempts(m, before);
    m->snapshot = STR_NULL;
    if (m->fx.notice != NOTICE_NONE) {
        TRY(record_event(f, &m->arena, rec, m->fx.notice, &m->unit.events[0]));
        m->unit.n_events = 1;
        m->snapshot = m->unit.events[0].data;
        m->unit.row.log_seq = rec->p.version;
    }
    if (m->first_action != NULL)
        add_audit(m, before, m->first_action, attempt_detail(m));
    if (m->fx.action != NULL)
        add_audit(m, before, m->fx.action,
                  m->dispatched > 0 ? arena_fmt(&m->arena, "attempt %d %.*s", m->dispatched,
                                                STR_ARG(rec->provider))
                                    : attempt_detail(m));
    struct uuid item = m->rq.resolution != NULL ? m->rq.resolution->item : UUID_NIL;
    TRY(record_posting(&m->arena, rec, &m->fx, item, &m->unit));
    TRY(limit_recount(&m->arena, rec, before->status, &m->unit.limits, &m->unit.n_limits));
    add_exception(m);
    add_resolution(m, before);
    if (m->rq.answer != NULL && m->dispatched == 0)
        add_answer(m);
    if (m->rq.inbound != NULL)
        record_inbound(m->rq.inbound, &m->unit);
    return m->rq.call != NULL ? record_call(f, &m->arena, rec, m->rq.call, &m->unit) : ERR_OK;
}

static void wrote(void *ctx)
{
    struct move *m = ctx;
    struct err err = m->unit.unit.err;
    if (err_is(err)) {
        finish(m, err);
        return;
    }
    m->was_doubtful |= m->unit.unit.doubt;
    switch (m->unit.stage) {
    case MOVE_DONE:
        m->rec.revision++;
        if (m->fx.notice != NOTICE_NONE)
            flow_published(m->flow, &m->rec, m->rec.p.version, m->unit.fanout);
        finish(m, ERR_OK);
        return;
    case MOVE_RECEIPT_TAKEN:
        finish(m, ERR_D(CONFLICT, MOVE_RECEIPT_TAKEN, "the receipt is another payment's"));
        return;
    case MOVE_LOST_RACE:
    case MOVE_KEY_KNOWN: /* not asked for here */
        break;
    }
    if (++m->tries == MOVE_MAX_TRIES) {
        finish(m, ERR(CONFLICT, "too many lost races"));
        return;
    }
    fsm_enter(&move_fsm, &m->state, MOVING_LOAD);
    move_run(m);
}

/* The commit of which we had no answer was made, and nobody has moved the payment since: `fx` is
 * still what it said. */
static void finish_mine(struct move *m)
{
    struct err err = ERR_OK;
    m->snapshot = STR_NULL;
    if (m->fx.notice != NOTICE_NONE) {
        struct event_row again;
        err = record_event(m->flow, &m->arena, &m->rec, m->fx.notice, &again);
        if (!err_is(err))
            m->snapshot = again.data;
        flow_published(m->flow, &m->rec, m->rec.p.version, true);
    }
    finish(m, err);
}

/* One attempt asks for money once: what comes with another receipt is not what it asked for, even
 * if the payment was told before how the attempt ended. */
static bool other_money(const struct move *m, const struct attempt *a)
{
    const struct payment_event *ev = &m->rq.event;
    return m->rq.receipts_differ && ev->kind == PAYMENT_EVENT_SUCCESS && a != NULL &&
           a->receipt[0] != '\0' && ev->receipt.n > 0 && !str_eq(ev->receipt, str_c(a->receipt));
}

/* The attempt has ended, and the next one is durable before a byte of it leaves: in the same
 * commit. */
static struct err step_on(struct move *m, const struct payment_rules *rules, int64_t now)
{
    const struct route_next *next = m->rq.next;
    struct payment_event ev = {.kind = PAYMENT_EVENT_DISPATCH,
                               .source = m->rq.event.source,
                               .provider_ref = next->our_ref,
                               .random = m->rq.event.random};
    m->first_action = m->fx.action;
    m->rec.p.fee_due_minor = next->fee_due_minor;
    m->rec.places[m->rec.p.n_attempts] =
        (struct attempt_place){str_c(next->gateway->name), next->account->id, next->choice};
    m->dispatched = m->rec.p.n_attempts + 1;
    return payment_step(&m->rec.p, &ev, rules, now, &m->fx);
}

static void step(struct move *m)
{
    struct attempt_place place = payment_place(&m->rec, m->rq.event.attempt);
    struct payment_rules rules = flow_rules(m->flow, gateway_find(place.provider));
    struct payment before = m->rec.p;
    int64_t now = loop_wall_us(m->flow->loop);
    if (m->was_doubtful && uuid_eq(m->rec.op_id, m->op_id)) {
        finish_mine(m);
        return;
    }
    if (other_money(m, payment_attempt(&m->rec.p, m->rq.event.attempt))) {
        finish(m, ERR_D(CONFLICT, MOVE_OTHER_MONEY, "the attempt was paid by another receipt"));
        return;
    }
    m->fx = (struct payment_effects){0};
    m->snapshot = STR_NULL;
    m->first_action = NULL;
    m->dispatched = 0;
    m->rq.event.route_left = m->rq.next != NULL && m->rq.next->attempts == m->rec.p.n_attempts;
    struct err err = payment_step(&m->rec.p, &m->rq.event, &rules, now, &m->fx);
    if (!err_is(err) && m->fx.next_attempt)
        err = step_on(m, &rules, now);
    bool more = m->rq.answer != NULL || m->rq.inbound != NULL || m->rq.call != NULL;
    if (err_is(err) || (!m->fx.changed && !more)) {
        finish(m, err);
        return;
    }
    if (!m->fx.changed)
        m->rec.p.updated_at_us = before.updated_at_us;
    fsm_enter(&move_fsm, &m->state, MOVING_WRITE);
    err = fill(m, &before);
    if (err_is(err)) {
        finish(m, err);
        return;
    }
    m->mine = !m->was_doubtful;
    move_unit_ready(&m->unit, wrote, m);
    store_write(m->flow->store, &m->unit.unit);
}

static void move_run(struct move *m)
{
    if (m->state == MOVING_LOAD)
        load(m);
    else
        step(m);
}

static void begin(void *ctx)
{
    move_run(ctx);
}

/* A first step from a record that the caller has: its texts are borrowed from the caller. */
static void start_known(struct move *m)
{
    m->rec = *m->rq.known;
    fsm_enter(&move_fsm, &m->state, MOVING_STEP);
    loop_later(m->flow->loop, &m->later, begin, m);
}

void move_start(struct flow *f, const struct move_request *rq, move_fn *done, void *ctx)
{
    struct move *m = calloc(1, sizeof *m);
    ASSERT(m != NULL);
    m->flow = f;
    m->rq = *rq;
    m->done = done;
    m->ctx = ctx;
    m->op_id = random_uuid(loop_wall_us(f->loop));
    m->rq.event.random = (uint32_t)random_u64();
    arena_init(&m->arena, MOVE_ARENA);
    f->busy++;
    if (rq->known != NULL)
        start_known(m);
    else
        load(m);
}
