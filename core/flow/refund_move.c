/* One step of a refund: LOAD payment and refund, STEP, WRITE both in one unit. Whoever loses the
 * race loads again. */
#include <stdlib.h>

#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/payment_refund.h"
#include "core/domain/person.h"
#include "core/flow/record.h"
#include "core/flow/refund.h"
#include "core/flow/refund_int.h"

enum { STEP_TRIES = 20, STEP_ARENA = 1024 * 1024, SNAPSHOT_MAX = 64 * 1024 };

struct step {
    struct flow *flow;
    struct refund_move rq;
    struct arena arena;
    int tries;
    struct uuid payment_id;
    struct payment_record payment;
    struct refund_record refund;
    struct refund_effects fx;
    struct uuid op_id;
    char our_id[OUR_ID_TEXT]; /* that the event may name */
    bool doubted;
    struct move_unit unit;
    refund_moved_fn *done;
    void *ctx;
};

static void finish(struct step *s, struct err err)
{
    struct refund_moved result = {&s->payment, &s->refund, &s->fx};
    s->flow->busy--;
    s->done(s->ctx, err, err_is(err) ? NULL : &result);
    arena_free(&s->arena);
    free(s);
}

void render_refund(struct jsonw *w, const struct refund_record *rec)
{
    const struct refund *r = &rec->r;
    const struct rail_attempt *last = r->n_attempts > 0 ? &r->attempts[r->n_attempts - 1] : NULL;
    char currency[CURRENCY_TEXT];
    jw_uuid(w, "id", rec->id);
    jw_c(w, "object", "refund");
    jw_uuid(w, "payment_id", rec->payment);
    jw_str(w, "mode", mode_word(rec->live));
    jw_c(w, "status", refund_status_word(r->status));
    jw_money(w, "amount", r->amount);
    jw_c(w, "currency", currency_text(r->amount.currency, currency));
    jw_str(w, "reason", rec->reason);
    jw_str(w, "rail", last != NULL ? str_c(refund_rail_word(last->rail)) : STR_NULL);
    jw_str(w, "provider_transaction_id", str_c_opt(r->provider_ref));
    jw_str(w, "provider_receipt", str_c_opt(r->receipt));
    if (r->failure == FAILURE_NONE) {
        jw_null(w, "failure");
    } else {
        jw_key(w, "failure");
        jw_open(w);
        jw_c(w, "code", failure_word(r->failure));
        jw_str(w, "provider_code", str_c_opt(r->failure_provider_code));
        jw_c(w, "message",
             r->failure_message[0] ? r->failure_message : failure_message(r->failure));
        jw_c(w, "advice", failure_advice_word(r->failure));
        jw_close(w);
    }
    jw_bool(w, "excess", rec->excess);
    jw_str(w, "requested_by", rec->requested_by);
    jw_str(w, "approved_by", rec->approved_by);
    jw_time(w, "created_at", r->created_at_us);
    jw_time(w, "updated_at", r->updated_at_us);
    jw_time(w, "completed_at", r->completed_at_us);
}

static const char *exception_word(enum refund_exception e)
{
    static const char *const words[] = {
        [REFUND_EXCEPTION_STUCK] = "stuck",
        [REFUND_EXCEPTION_MANUAL] = "refund_manual",
        [REFUND_EXCEPTION_REVOKED] = "refund_revoked",
        [REFUND_EXCEPTION_LATE] = "refund_late",
        [REFUND_EXCEPTION_INTEGRITY] = "integrity_failure",
        [REFUND_EXCEPTION_TWICE] = "double_refund",
    };
    return words[e];
}

/* A refund is paid from what the merchant has yet to get; one beyond what was received, from what
 * is to be cleared. The first settlement's journal is the refund, what comes later has its own, and
 * another one each time that it is made: of a step whose commit was not answered, and that others
 * have moved on from since, one may be there already. */
static struct err post(struct step *s, bool excess)
{
    struct record_journal j = {.id = random_uuid(loop_wall_us(s->flow->loop)),
                               .gross = s->refund.r.amount};
    switch (s->fx.money) {
    case REFUND_MONEY_NONE:
    case REFUND_MONEY_RELEASE:
        return ERR_OK;
    case REFUND_MONEY_SETTLE:
        j.id = s->refund.id;
        j.event = LEDGER_EVENT_REFUND_SETTLED;
        break;
    case REFUND_MONEY_SETTLE_LATE:
        j.event = excess ? LEDGER_EVENT_REFUND_EXCESS : LEDGER_EVENT_REFUND_SETTLED;
        break;
    case REFUND_MONEY_UNDO:
        j.event = excess ? LEDGER_EVENT_REFUND_EXCESS_UNDONE : LEDGER_EVENT_REFUND_UNDONE;
        break;
    }
    return record_journal(&s->arena, &s->payment, &j, &s->unit);
}

/* Whether the money is beyond what was received; the payment's amounts then stay. */
static bool take_money(struct step *s)
{
    struct payment_record *p = &s->payment;
    bool undo = s->fx.money == REFUND_MONEY_UNDO;
    bool excess = undo && s->refund.excess;
    if (s->fx.money != REFUND_MONEY_NONE && !excess)
        excess =
            !payment_take_refund(&p->p, &p->reserved_minor, s->fx.money, s->refund.r.amount.minor);
    if (s->fx.money != REFUND_MONEY_NONE)
        s->refund.excess = excess && !undo;
    return excess;
}

static struct err add_event(struct step *s)
{
    struct buf b;
    struct payment_record *p = &s->payment;
    p->p.version++;
    s->refund.r.version = p->p.version;
    buf_init(&b, SNAPSHOT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_refund(&w, &s->refund);
    jw_close(&w);
    struct str data = buf_keep(&b, &s->arena);
    if (data.p == NULL)
        return ERR(NO_MEMORY, "snapshot");
    s->unit.events[0] = record_event_of(s->flow, p, refund_notice_type(s->fx.notice), data);
    s->unit.n_events = 1;
    return ERR_OK;
}

static void add_job(struct step *s)
{
    struct refund_rules rules;
    struct payment_update_row *row = &s->unit.row;
    const struct refund *r = &s->refund.r;
    int64_t now = loop_wall_us(s->flow->loop);
    refund_rules_of(gateway_find(s->payment.provider), &rules);
    bool to_send = refund_wants_sending(r, &rules, now);
    row->job_kind = STR("refund");
    row->job_subject = s->refund.id;
    row->job_bucket = job_bucket(s->refund.id);
    row->job_run_at = to_send ? now + FLOW_LEASE_US : refund_deadline_us(r, &rules);
    row->job_lease = now;
}

static void add_exception(struct step *s, bool fits)
{
    struct record_exception x = {
        .kind = fits ? exception_word(s->fx.exception) : "double_refund",
        .refund = s->refund.id,
        .attempt = s->rq.event.attempt,
    };
    if (x.kind != NULL)
        record_exception(s->flow, &s->arena, &s->payment, &x, &s->unit);
}

/* A refund that leaves reconciliation takes the question about it along. */
static void add_resolution(struct step *s, const struct refund *before)
{
    struct move_resolution answered = {
        .resolution = str_c(refund_status_word(s->refund.r.status)),
        .evidence = STR("the outcome is known"),
        .by = s->rq.actor,
    };
    if (s->rq.resolution != NULL)
        record_resolution(s->flow, &s->payment, s->refund.id, s->rq.resolution, &s->unit);
    if (before->status == REFUND_IN_RECONCILIATION && s->refund.r.status != before->status)
        record_resolution(s->flow, &s->payment, s->refund.id, &answered, &s->unit);
}

static struct err fill(struct step *s, const struct refund *before, enum payment_status was)
{
    struct flow *f = s->flow;
    struct payment_record *p = &s->payment;
    p->op_id = s->op_id;
    p->p.updated_at_us = loop_wall_us(f->loop);
    bool excess = take_money(s);
    s->unit = (struct move_unit){0};
    struct err err = ERR_OK;
    if (s->fx.notice != REFUND_NOTICE_NONE)
        err = add_event(s); /* raises the version: before the rows are filled */
    payment_update_fill(p, &s->unit.row);
    s->unit.row.log_seq = s->unit.n_events > 0 ? p->p.version : 0;
    add_job(s);
    refund_row_fill(&s->refund, false, &s->unit.refunds[0]);
    s->unit.n_refunds = 1;
    for (int i = 0; i < s->refund.r.n_attempts; i++) {
        const struct rail_attempt *now = &s->refund.r.attempts[i];
        /* Both come from one copy; padding that differs would cost a row that says nothing new.
         * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
        if (i >= before->n_attempts || memcmp(now, &before->attempts[i], sizeof *now) != 0)
            refund_attempt_row_fill(&s->refund, now, p->p.updated_at_us,
                                    &s->unit.refund_attempts[s->unit.n_refund_attempts++]);
    }
    if (s->fx.action != NULL) {
        record_audit(f, p, was, s->fx.action, s->rq.actor,
                     arena_fmt(&s->arena, "refund %s to %s", refund_status_word(before->status),
                               refund_status_word(s->refund.r.status)),
                     &s->unit.audits[0]);
        s->unit.n_audits = 1;
        s->unit.row.audit_a = s->unit.audits[0].id;
    }
    if (!err_is(err))
        err = post(s, excess);
    add_exception(s, !s->refund.excess || !excess);
    add_resolution(s, before);
    if (s->rq.inbound != NULL)
        record_inbound(s->rq.inbound, &s->unit);
    if (!err_is(err) && s->rq.call != NULL)
        err = record_call(f, &s->arena, p, s->rq.call, &s->unit);
    return err;
}

static void load(struct step *s);

static void lost_race(struct step *s)
{
    if (++s->tries == STEP_TRIES)
        finish(s, ERR(CONFLICT, "too many lost races"));
    else
        load(s);
}

static void wrote(void *ctx)
{
    struct step *s = ctx;
    struct err err = s->unit.unit.err;
    s->doubted |= s->unit.unit.doubt;
    if (err_is(err)) {
        finish(s, err);
    } else if (s->unit.stage == MOVE_DONE) {
        s->payment.revision++;
        if (s->fx.notice != REFUND_NOTICE_NONE)
            flow_published(s->flow, &s->payment, s->payment.p.version, s->unit.fanout);
        finish(s, ERR_OK);
    } else {
        lost_race(s);
    }
}

/* What operators say is about the rail that is still open; what went by hand they confirm. */
static void name_rail(struct step *s)
{
    struct refund_event *ev = &s->rq.event;
    const struct refund *r = &s->refund.r;
    for (int i = 0; i < r->n_attempts && ev->attempt == 0; i++) {
        enum rail_status rail = r->attempts[i].status;
        if (rail == RAIL_SENDING || rail == RAIL_SUBMITTED || rail == RAIL_UNCERTAIN)
            ev->attempt = r->attempts[i].n;
    }
    if (ev->kind == REFUND_EVENT_SUCCESS && ev->attempt > 0 && ev->attempt <= r->n_attempts &&
        r->attempts[ev->attempt - 1].rail == REFUND_RAIL_MANUAL)
        ev->kind = REFUND_EVENT_CONFIRM;
}

/* Where the provider takes our id for its reference, it is known before the provider answers; where
 * it knows a request again by it, what was sent away goes with the same. */
static void name_request(struct step *s, const struct refund_rules *rules)
{
    const struct gateway *g = gateway_find(s->payment.provider);
    enum refund_rail rail = refund_next_rail(&s->refund.r, rules);
    int n = s->refund.r.n_attempts;
    if (g == NULL || rail == REFUND_RAIL_NONE)
        return;
    s->rq.event.again = gw_refund_may_resend(g, rail);
    if (!gw_refund_our_id_is_ref(g, rail) || n == REFUND_MAX_ATTEMPTS)
        return;
    bool same = s->rq.event.again && refund_is_parked(&s->refund.r);
    struct uuid id = attempt_id(s->refund.id, same ? n : n + 1);
    s->rq.event.provider_ref = str_c(our_id_make(g, id, s->refund.merchant, s->our_id));
}

/* Where an attempt may have been sent twice, a result does not say which time was one too many. */
static bool sent_once(const struct step *s)
{
    const struct gateway *g = gateway_find(s->payment.provider);
    const struct refund *r = &s->refund.r;
    int n = s->rq.event.attempt;
    return g != NULL && n >= 1 && n <= r->n_attempts &&
           !gw_refund_may_resend(g, r->attempts[n - 1].rail);
}

/* The commit of which we had no answer was made, and nobody has moved the payment since: `fx` is
 * still what it said. */
static void finish_mine(struct step *s)
{
    if (s->fx.notice != REFUND_NOTICE_NONE)
        flow_published(s->flow, &s->payment, s->payment.p.version, true);
    finish(s, ERR_OK);
}

/* The refund may have moved after its payment was read, and then the step is about amounts that the
 * payment did not have yet. */
static bool amounts_fit(const struct step *s)
{
    const struct payment_record *p = &s->payment;
    return (s->fx.money == REFUND_MONEY_UNDO && s->refund.excess) ||
           payment_fits_refund(&p->p, p->reserved_minor, s->fx.money, s->refund.r.amount.minor);
}

static void step(struct step *s)
{
    struct refund_rules rules;
    struct refund before = s->refund.r;
    enum payment_status was = s->payment.p.status;
    if (s->doubted && uuid_eq(s->payment.op_id, s->op_id)) {
        finish_mine(s);
        return;
    }
    refund_rules_of(gateway_find(s->payment.provider), &rules);
    s->fx = (struct refund_effects){0};
    struct err err = ERR_OK;
    if (s->rq.event.kind == REFUND_EVENT_DISPATCH)
        name_request(s, &rules);
    if (s->rq.event.kind == REFUND_EVENT_FAILURE && !sent_once(s))
        s->rq.event.later = false;
    if (s->rq.resolution != NULL)
        name_rail(s);
    err = refund_step(&s->refund.r, &s->rq.event, &rules, loop_wall_us(s->flow->loop), &s->fx);
    if (!err_is(err) && s->rq.event.kind == REFUND_EVENT_APPROVE && s->fx.changed)
        s->refund.approved_by = s->rq.actor;
    if (!err_is(err) && !amounts_fit(s)) {
        lost_race(s);
        return;
    }
    bool more = s->rq.inbound != NULL || s->rq.call != NULL;
    if (!err_is(err) && (s->fx.changed || more)) {
        err = fill(s, &before, was);
        if (!err_is(err)) {
            move_unit_ready(&s->unit, wrote, s);
            store_write(s->flow->store, &s->unit.unit);
            return;
        }
    }
    finish(s, err);
}

static void refund_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct step *s = ctx;
    size_t next;
    s->refund = (struct refund_record){0};
    if (!err_is(err))
        err = refund_record_read(rows, 0, &s->arena, &s->refund, &next);
    if (err_is(err)) {
        finish(s, err);
        return;
    }
    if (s->rq.event.kind == REFUND_EVENT_APPROVE)
        s->rq.event.same_person = person_same(s->refund.requester, s->rq.person);
    step(s);
}

static void read_refund(struct step *s, store_rows_fn *done)
{
    struct value params[] = {V_UUID(s->rq.merchant), V_UUID_OPT(UUID_NIL),
                             V_UUID_OPT(s->rq.refund)};
    store_read(s->flow->store, Q_refund_get, params, COUNT_OF(params), done, s);
}

static void payment_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct step *s = ctx;
    arena_free(&s->arena);
    arena_init(&s->arena, STEP_ARENA);
    s->payment = (struct payment_record){0};
    if (!err_is(err))
        err = payment_record_read(rows, &s->arena, &s->payment);
    if (err_is(err))
        finish(s, err);
    else
        read_refund(s, refund_loaded);
}

/* The payment is read before the refund: a refund that moves after that has raised the payment's
 * revision, and the compare-and-set on it fails. */
static void load(struct step *s)
{
    struct value params[] = {V_UUID(s->rq.merchant), V_UUID(s->payment_id)};
    store_read(s->flow->store, Q_payment_get, params, COUNT_OF(params), payment_loaded, s);
}

/* Which payment it is of, which never changes. */
static void found(void *ctx, struct err err, const struct rows *rows)
{
    struct step *s = ctx;
    struct refund_record rec = {0};
    size_t next;
    if (!err_is(err))
        err = refund_record_read(rows, 0, &s->arena, &rec, &next);
    if (!err_is(err) && s->rq.live_only && rec.live != s->rq.live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        finish(s, err);
        return;
    }
    s->payment_id = rec.payment;
    load(s);
}

void refund_move_start(struct flow *f, const struct refund_move *rq, refund_moved_fn *done,
                       void *ctx)
{
    struct step *s = calloc(1, sizeof *s);
    ASSERT(s != NULL);
    s->flow = f;
    s->rq = *rq;
    s->done = done;
    s->ctx = ctx;
    s->op_id = random_uuid(loop_wall_us(f->loop));
    s->rq.event.random = (uint32_t)random_u64();
    arena_init(&s->arena, STEP_ARENA);
    f->busy++;
    read_refund(s, found);
}
