/* One step of a payout: LOAD it, STEP, WRITE in one unit. Whoever loses the race loads again. */
#include "core/flow/payout_int.h"

#include <stdlib.h>

#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/person.h"
#include "core/flow/record.h"

enum { STEP_TRIES = 20, STEP_ARENA = 512 * 1024 };

struct step {
    struct flow *flow;
    struct payout_move rq;
    struct arena arena;
    int tries;
    bool doubted;
    struct uuid op_id;
    struct payout_rules rules;
    struct payout_record rec;
    struct payout_effects fx;
    char our_id[OUR_ID_TEXT]; /* that the event may name */
    struct payout_move_unit unit;
    payout_moved_fn *done;
    void *ctx;
};

static void finish(struct step *s, struct err err)
{
    struct payout_moved result = {&s->rec, &s->fx};
    s->flow->busy--;
    s->done(s->ctx, err, err_is(err) ? NULL : &result);
    arena_free(&s->arena);
    free(s);
}

static void published(struct step *s, bool fanout)
{
    struct payment_record head = payout_head(&s->rec);
    if (s->fx.notice != NULL)
        flow_published(s->flow, &head, s->rec.p.version, fanout);
}

/* The hold's journal is the payout; what comes later has its own, and another one each time that it
 * is made: of a step whose commit was not answered, and that others have moved on from since, one
 * may be there already. */
static struct err add_books(struct step *s, const struct payment_record *head)
{
    struct record_journal j = {.id = random_uuid(loop_wall_us(s->flow->loop)),
                               .gross = s->rec.p.amount};
    struct move_unit *parts = &s->unit.parts;
    struct payout_update_row *row = &s->unit.row;
    switch (s->fx.money) {
    case PAYOUT_MONEY_NONE:
        return ERR_OK;
    case PAYOUT_MONEY_RELEASE:
        j.event = LEDGER_EVENT_VOID;
        j.against = LEDGER_PAYOUT_CLEARING;
        row->back = j.gross.minor;
        break;
    case PAYOUT_MONEY_SETTLE:
        j.event = LEDGER_EVENT_POST;
        j.against = LEDGER_PAYOUT_CLEARING;
        TRY(record_journal(&s->arena, head, &j, parts));
        j.event = LEDGER_EVENT_PAYOUT_PAID;
        j.against = 0;
        break;
    case PAYOUT_MONEY_SETTLE_LATE:
        j.event = LEDGER_EVENT_PAYOUT_PAID_LATE;
        break;
    case PAYOUT_MONEY_GIVE_BACK:
        j.event = LEDGER_EVENT_PAYOUT_RETURNED;
        row->back = j.gross.minor;
        break;
    }
    TRY(record_journal(&s->arena, head, &j, parts));
    row->journal_id = parts->row.journal_id;
    row->journal_steps = parts->row.journal_steps;
    return ERR_OK;
}

/* A queued payout is sent by whoever has made it so; the job is for when he dies. */
static void add_job(struct step *s)
{
    struct payout_update_row *row = &s->unit.row;
    int64_t now = loop_wall_us(s->flow->loop);
    row->job_run_at = payout_deadline_us(&s->rec.p, &s->rules);
    if (row->job_run_at == TIME_NEVER)
        row->job_run_at = 0;
    row->job_lease = now;
}

static void add_exception(struct step *s, const struct payment_record *head)
{
    static const char *const kinds[] = {
        [PAYOUT_EXCEPTION_STUCK] = "stuck",
        [PAYOUT_EXCEPTION_LATE] = "payout_late",
        [PAYOUT_EXCEPTION_INTEGRITY] = "integrity_failure",
        [PAYOUT_EXCEPTION_TWICE] = "double_payout",
    };
    struct record_exception x = {.kind = kinds[s->fx.exception], .attempt = s->rq.event.request};
    if (x.kind != NULL)
        record_exception(s->flow, &s->arena, head, &x, &s->unit.parts);
}

/* A payout that leaves reconciliation takes the question about it along. */
static void add_resolution(struct step *s, const struct payment_record *head,
                           enum payout_status before)
{
    struct move_resolution answered = {
        .resolution = str_c(payout_status_word(s->rec.p.status)),
        .evidence = STR("the outcome is known"),
        .by = s->rq.actor,
    };
    if (s->rq.resolution != NULL)
        record_resolution(s->flow, head, s->rec.id, s->rq.resolution, &s->unit.parts);
    if (before == PAYOUT_IN_RECONCILIATION && s->rec.p.status != before)
        record_resolution(s->flow, head, s->rec.id, &answered, &s->unit.parts);
}

static struct err fill(struct step *s, enum payout_status before)
{
    struct flow *f = s->flow;
    struct move_unit *parts = &s->unit.parts;
    struct payout_update_row *row = &s->unit.row;
    s->rec.op_id = s->op_id;
    s->rec.p.updated_at_us = loop_wall_us(f->loop);
    struct payment_record head = payout_head(&s->rec);
    s->unit = (struct payout_move_unit){0};
    payout_update_fill(&s->rec, row);
    add_job(s);
    if (s->fx.notice != NULL) {
        TRY(payout_event_row(f, &s->arena, &s->rec, s->fx.notice, &parts->events[0]));
        parts->n_events = 1;
        row->log_seq = s->rec.p.version;
    }
    if (s->fx.action != NULL) {
        payout_audit_row(f, &s->rec, before, s->fx.action, s->rq.actor, &parts->audits[0]);
        parts->n_audits = 1;
        row->audit_a = parts->audits[0].id;
    }
    TRY(add_books(s, &head));
    add_exception(s, &head);
    add_resolution(s, &head, before);
    if (s->rq.inbound != NULL) {
        row->inbound_subject = s->rq.inbound->subject;
        row->inbound_key = s->rq.inbound->dedupe_key;
        row->inbound_n = s->rq.inbound->n;
    }
    return s->rq.call == NULL ? ERR_OK : record_call(f, &s->arena, &head, s->rq.call, parts);
}

static void load(struct step *s);

static void wrote(void *ctx)
{
    struct step *s = ctx;
    struct err err = s->unit.unit.err;
    s->doubted |= s->unit.unit.doubt;
    if (err_is(err)) {
        finish(s, err);
    } else if (s->unit.moved) {
        s->rec.revision++;
        published(s, s->unit.fanout);
        finish(s, ERR_OK);
    } else if (++s->tries == STEP_TRIES) {
        finish(s, ERR(CONFLICT, "too many lost races"));
    } else {
        load(s);
    }
}

/* Where the provider takes our id for its reference, it is known before the provider answers; where
 * it knows a request again by it, what was sent away goes with the same. */
static void name_request(struct step *s)
{
    const struct gateway *g = gateway_find(s->rec.provider);
    int n = s->rec.p.n;
    s->rq.event.again = g != NULL && g->payout_may_resend;
    if (g == NULL || !g->payout_our_id_is_ref || n >= PAYOUT_MAX_REQUESTS)
        return;
    struct uuid id = attempt_id(s->rec.id, n > 0 && s->rq.event.again ? n : n + 1);
    s->rq.event.provider_ref = str_c(our_id_make(g, id, s->rec.merchant, s->our_id));
}

static void step(struct step *s)
{
    enum payout_status before = s->rec.p.status;
    if (s->doubted && uuid_eq(s->rec.op_id, s->op_id)) {
        published(s, true); /* the commit without an answer was made; `fx` is what it said */
        finish(s, ERR_OK);
        return;
    }
    s->fx = (struct payout_effects){0};
    if (s->rq.event.kind == PAYOUT_EVENT_DISPATCH)
        name_request(s);
    if (s->rq.event.kind == PAYOUT_EVENT_APPROVE)
        s->rq.event.same_person = person_same(s->rec.requester, s->rq.person);
    struct err err =
        payout_step(&s->rec.p, &s->rq.event, &s->rules, loop_wall_us(s->flow->loop), &s->fx);
    if (!err_is(err) && s->rq.event.kind == PAYOUT_EVENT_APPROVE && s->fx.changed)
        s->rec.approved_by = s->rq.actor;
    bool more = s->rq.inbound != NULL || s->rq.call != NULL || s->rq.resolution != NULL;
    if (!err_is(err) && (s->fx.changed || more)) {
        err = fill(s, before);
        if (!err_is(err)) {
            payout_move_unit_ready(&s->unit, wrote, s);
            store_write(s->flow->store, &s->unit.unit);
            return;
        }
    }
    finish(s, err);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct step *s = ctx;
    arena_free(&s->arena);
    arena_init(&s->arena, STEP_ARENA);
    s->rec = (struct payout_record){0};
    if (!err_is(err))
        err = payout_record_read(rows, 0, &s->arena, &s->rec);
    if (!err_is(err) && s->rq.live_only && s->rec.live != s->rq.live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        finish(s, err);
    else
        step(s);
}

static void load(struct step *s)
{
    struct value params[] = {V_UUID(s->rq.merchant), V_UUID(s->rq.payout)};
    store_read(s->flow->store, Q_payout_get, params, COUNT_OF(params), loaded, s);
}

void payout_move_start(struct flow *f, const struct payout_move *rq, payout_moved_fn *done,
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
    payout_rules_default(&s->rules);
    arena_init(&s->arena, STEP_ARENA);
    f->busy++;
    load(s);
}
