/* Refunds as requests and as work. Happy path of a request: LOAD the payment, RESERVE (refund,
 * reserved amount and idempotency record in one unit), answer; then refund_run sends it.
 *
 * Ways to fail: nothing left to refund (409); the key is known (replay or refuse); a lost race
 * (load again); the database away (503; the same request may be sent again). */
#include "core/flow/refund.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/payment_refund.h"
#include "core/flow/record.h"
#include "core/flow/refund_int.h"

enum { REQUEST_TRIES = 40, REQUEST_ARENA = 2 * 1024 * 1024, BODY_MAX = 64 * 1024 };

void refund_rules_of(const struct gateway *g, struct refund_rules *out)
{
    refund_rules_default(out);
    out->n_rails = 0;
    for (int i = 0; g != NULL && i < g->n_refund_rails && i < REFUND_MAX_RAILS - 1; i++)
        out->rails[out->n_rails++] = g->refund_rails[i];
    out->rails[out->n_rails++] = REFUND_RAIL_MANUAL;
    out->may_revoke = g != NULL && g->may_revoke;
}

struct request {
    struct flow *flow;
    struct refund_input in;
    struct arena arena;
    int tries;
    struct uuid holder; /* of the key */
    int64_t holder_lease_us;
    struct err refusal; /* what is said if the key is not known now either */
    const char *refusal_detail;
    uint8_t fingerprint[FINGERPRINT_LEN];
    struct idempotency_place place;
    struct uuid op_id, id;
    struct payment_record payment;
    struct refund_record refund;
    struct move_unit unit;
    struct str body;
    refund_fn *done;
    void *ctx;
};

static void load(struct request *q);

static void finish(struct request *q, struct err err, struct refund_result *result)
{
    struct refund_result none = {0};
    q->flow->busy--;
    q->done(q->ctx, err, result != NULL ? result : &none);
    arena_free(&q->arena);
    free(q);
}

static void fail(struct request *q, struct err err, const char *detail)
{
    struct refund_result result = {.detail = str_c(detail)};
    finish(q, err, &result);
}

static void release_key(struct request *q, struct uuid holder, int64_t until_us,
                        store_rows_fn *done)
{
    struct value params[] = {V_UUID(q->in.merchant), V_TEXT(mode_word(q->in.live)),
                             V_TEXT(q->in.idem_key), V_UUID(holder), V_TIME(until_us)};
    store_exec(q->flow->store, Q_idempotency_release, params, COUNT_OF(params), done, q);
}

static void refused(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    (void)rows;
    if (err_is(err))
        log_warn("refund.key_kept", F_ERR(err)); /* until its lease has run out */
    fail(q, q->refusal, q->refusal_detail);
}

static void look_up(struct request *q);

/* Nothing comes of the request. A request with the same key, which came at the same time, may have
 * taken what was left: the key is looked up after the payment was read. A key that a write of ours
 * took, which then lost its race, is given back: the same request may be right later. */
static void refuse(struct request *q, struct err err, const char *detail)
{
    q->refusal = err;
    q->refusal_detail = detail;
    if (q->in.idem_key.p != NULL)
        look_up(q);
    else
        fail(q, err, detail);
}

/* ---- the key is known ---- */

static void released(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    (void)rows;
    if (err_is(err))
        finish(q, err, NULL);
    else
        look_up(q);
}

/* The key is held for a refund that is not there (yet): whoever took it is at work, or died before
 * anything came of it. */
static void in_flight(struct request *q)
{
    int64_t now = loop_wall_us(q->flow->loop);
    if (q->holder_lease_us > now) {
        fail(q, ERR(IDEMPOTENCY_IN_PROGRESS, NULL),
             "Another request with this key is being worked on.");
        return;
    }
    release_key(q, q->holder, now, released);
}

enum { F_DATA, F_AT, F_NOW };

/* The refund as it was made: what has changed since is not part of the answer. */
static void replay(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    if (rows_n(r) == 0) {
        in_flight(q);
        return;
    }
    struct refund_result result = {
        .http_status = 201,
        .body = rows_str(r, 0, F_DATA),
        .replayed = true,
        .original_us = rows_time(r, 0, F_AT),
        .current_status = rows_str(r, 0, F_NOW),
    };
    finish(q, ERR_OK, &result);
}

static void known(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    if (rows_n(r) == 0) {
        if (err_is(q->refusal))
            fail(q, q->refusal, q->refusal_detail);
        else
            load(q); /* given back meanwhile */
        return;
    }
    struct uuid subject = rows_uuid(r, 0, IDEM_SUBJECT);
    struct str stored = rows_str(r, 0, IDEM_FINGERPRINT);
    if (uuid_eq(subject, q->id) && err_is(q->refusal)) {
        int64_t own = loop_wall_us(q->flow->loop) + 2 * FLOW_LEASE_US;
        release_key(q, q->id, own, refused);
    } else if (uuid_eq(subject, q->id)) {
        load(q);
    } else if (!str_eq(str_first(stored, 32), str_n((char *)q->fingerprint, 32))) {
        struct str names =
            fingerprint_difference(q->fingerprint, stored, q->in.fields, q->in.n_fields, &q->arena);
        struct str words =
            arena_fmt(&q->arena, "The key was used with another request; these differ: %.*s.",
                      STR_ARG(names));
        fail(q, ERR(IDEMPOTENCY_KEY_REUSED, NULL), words.p);
    } else {
        q->holder = subject;
        q->holder_lease_us = rows_time(r, 0, IDEM_LEASE);
        char text[UUID_TEXT];
        struct value params[] = {V_UUID(q->in.merchant), V_UUID(q->in.payment),
                                 V_TEXT(str_c(uuid_text(subject, text)))};
        store_read(q->flow->store, Q_refund_first, params, COUNT_OF(params), replay, q);
    }
}

static void look_up(struct request *q)
{
    idempotency_look(q->flow, q->in.merchant, q->in.live, q->in.idem_key, &q->place, known, q);
}

/* ---- the reservation ---- */

static void answered(void *ctx, struct err err, const struct rows *r)
{
    (void)ctx, (void)r;
    if (err_is(err))
        log_warn("refund.not_answered",
                 F_ERR(err)); /* a retry finds the refund by its key all the same */
}

static void created(struct request *q)
{
    struct flow *f = q->flow;
    struct refund_result result = {.http_status = 201, .body = q->body};
    struct uuid merchant = q->in.merchant, id = q->id;
    bool send = q->refund.r.status == REFUND_PENDING;
    flow_published(f, &q->payment, q->payment.p.version, q->unit.fanout);
    if (q->in.idem_key.p != NULL) {
        struct value params[] = {V_UUID(merchant),
                                 V_TEXT(mode_word(q->in.live)),
                                 V_TEXT(q->in.idem_key),
                                 V_UUID(id),
                                 V_I16(201),
                                 V_I32(q->payment.p.version),
                                 V_TIME(0)};
        store_exec(f->store, Q_idempotency_answer, params, COUNT_OF(params), answered, NULL);
    }
    finish(q, ERR_OK, &result);
    if (send)
        refund_run(f, merchant, id, NULL, NULL);
}

static void own_rows(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    if (err_is(err))
        finish(q, err, NULL);
    else if (rows_n(r) > 0)
        created(q);
    else
        load(q);
}

static void wrote(void *ctx)
{
    struct request *q = ctx;
    struct err err = q->unit.unit.err;
    if (err_is(err)) {
        finish(q, err, NULL);
    } else if (q->unit.stage == MOVE_DONE) {
        created(q);
    } else if (++q->tries == REQUEST_TRIES) {
        refuse(q, ERR(CONFLICT, "too many lost races"), "");
    } else if (q->unit.unit.doubt) { /* a commit that was not answered may have been this one */
        struct value params[] = {V_UUID(q->in.merchant), V_UUID_OPT(UUID_NIL), V_UUID_OPT(q->id)};
        store_read(q->flow->store, Q_refund_get, params, COUNT_OF(params), own_rows, q);
    } else if (q->unit.stage == MOVE_KEY_KNOWN) {
        look_up(q);
    } else {
        load(q);
    }
}

static struct err fill_idempotency(struct request *q)
{
    struct payment_update_row *row = &q->unit.row;
    if (q->in.idem_key.p == NULL)
        return ERR_OK;
    TRY(idempotency_place_fresh(&q->place, loop_wall_us(q->flow->loop)));
    row->idem_key = q->in.idem_key;
    row->idem_subject = q->id;
    row->idem_slot = q->place.slot;
    row->idem_slot_b = q->place.slot_b;
    row->idem_look_a = q->place.look_a;
    row->idem_look_b = q->place.look_b;
    row->idem_period = q->place.period;
    row->idem_fingerprint = str_n((char *)q->fingerprint, FINGERPRINT_LEN);
    row->idem_lease = loop_wall_us(q->flow->loop) + FLOW_LEASE_US;
    return ERR_OK;
}

static struct err fill(struct request *q, struct money amount)
{
    struct flow *f = q->flow;
    struct payment_record *p = &q->payment;
    int64_t now = loop_wall_us(f->loop);
    struct refund_effects fx = {0};
    q->refund = (struct refund_record){
        .merchant = q->in.merchant,
        .id = q->id,
        .payment = p->id,
        .account_id = p->account_id,
        .live = p->live,
        .reason = q->in.reason,
        .requested_by = q->in.actor,
        .requester = q->in.person,
        .trace = q->in.trace,
        .r = {.amount = amount, .created_at_us = now, .updated_at_us = now},
    };
    refund_begin(&q->refund.r, q->in.approval_above > 0 && amount.minor > q->in.approval_above,
                 &fx);
    p->reserved_minor += amount.minor;
    p->op_id = q->op_id;
    p->p.updated_at_us = now;
    p->p.version++;
    q->refund.r.version = p->p.version;
    struct buf b;
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_refund(&w, &q->refund);
    jw_close(&w);
    q->body = buf_keep(&b, &q->arena);
    if (q->body.p == NULL)
        return ERR(NO_MEMORY, "refund");
    q->unit = (struct move_unit){0};
    payment_update_fill(p, &q->unit.row);
    q->unit.events[0] = record_event_of(f, p, refund_notice_type(fx.notice), q->body);
    q->unit.n_events = 1;
    q->unit.row.log_seq = p->p.version;
    record_audit(f, p, p->p.status, "refund.requested", q->in.actor, q->in.reason,
                 &q->unit.audits[0]);
    q->unit.n_audits = 1;
    q->unit.row.audit_a = q->unit.audits[0].id;
    refund_row_fill(&q->refund, true, &q->unit.refunds[0]);
    q->unit.n_refunds = 1;
    bool send = q->refund.r.status == REFUND_PENDING;
    q->unit.row.job_kind = STR("refund");
    q->unit.row.job_subject = q->id;
    q->unit.row.job_bucket = job_bucket(q->id);
    q->unit.row.job_run_at = send ? now + FLOW_LEASE_US : 0;
    q->unit.row.job_owner = f->replica;
    q->unit.row.job_lease = now + FLOW_LEASE_US;
    return fill_idempotency(q);
}

static void payment_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    struct payment_record *p = &q->payment;
    struct money amount = {0};
    *p = (struct payment_record){0};
    if (!err_is(err))
        err = payment_record_read(rows, &q->arena, p);
    if (!err_is(err) && p->live != q->in.live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        fail(q, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    amount = (struct money){p->p.received_minor - p->p.refunded_minor - p->reserved_minor,
                            p->p.amount.currency};
    if (!q->in.whole &&
        (err_is(money_parse(q->in.amount, amount.currency, &amount)) || amount.minor <= 0)) {
        struct refund_result result = {.amount_bad = true};
        finish(q, ERR(VALIDATION, NULL), &result);
        return;
    }
    if (p->p.status != PAYMENT_COMPLETED && p->p.status != PAYMENT_PARTIALLY_REFUNDED) {
        refuse(q, ERR(INVALID_STATE, NULL), "Only a completed payment can be refunded.");
        return;
    }
    if (amount.minor <= 0 ||
        !refund_fits(p->p.received_minor, p->p.refunded_minor, p->reserved_minor, amount.minor)) {
        refuse(q, ERR(INVALID_STATE, NULL), "More than what is left of the payment.");
        return;
    }
    err = fill(q, amount);
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    move_unit_ready(&q->unit, wrote, q);
    store_write(q->flow->store, &q->unit.unit);
}

static void load(struct request *q)
{
    struct value params[] = {V_UUID(q->in.merchant), V_UUID(q->in.payment)};
    store_read(q->flow->store, Q_payment_get, params, COUNT_OF(params), payment_loaded, q);
}

void refund_create(struct flow *f, const struct refund_input *in, refund_fn *done, void *ctx)
{
    struct request *q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    int64_t now = loop_wall_us(f->loop);
    q->flow = f;
    q->in = *in;
    q->done = done;
    q->ctx = ctx;
    q->op_id = random_uuid(now);
    q->id = random_uuid(now);
    q->id.b[15] = (uint8_t)((q->id.b[15] & 0x80) | 0x20 | (in->live ? 0x10 : 0));
    arena_init(&q->arena, REQUEST_ARENA);
    f->busy++;
    if (in->idem_key.p == NULL) {
        load(q);
        return;
    }
    fingerprint_make(f->vault, in->route, in->fields, in->n_fields, q->fingerprint);
    q->place = idempotency_place(now, f->settings.idempotency_retention_us);
    look_up(q); /* a replay must not depend on what is left of the payment */
}
