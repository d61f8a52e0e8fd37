/* What an earlier request has left: of the idempotency key, and of the reference. See charge.c. */
#include "core/flow/charge_int.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/reference.h"
#include "core/flow/fanout.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

/* ---- the key ---- */

static void recovered(void *ctx, struct err err, const struct rows *rows)
{
    struct charge *c = ctx;
    struct payment_record rec = {0};
    struct str person = STR("");
    if (!err_is(err))
        err = payment_record_read(rows, &c->arena, &rec);
    if (!err_is(err))
        err = record_person(c->flow, &rec, &c->arena, &person);
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    struct buf b;
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, &rec, person);
    jw_close(&w);
    bool open = rec.p.status == PAYMENT_PROCESSING || rec.p.status == PAYMENT_IN_RECONCILIATION;
    struct charge_result result = {
        .http_status = open ? 202 : 201,
        .recovered = true,
        .current_status = str_c(payment_status_word(rec.p.status)),
    };
    charge_reply_payment(c, &result, rec.id, rec.p.expires_at_us, buf_view(&b), STR_NULL, STR_NULL);
    buf_free(&b);
    charge_end(c);
}

static void replay(struct charge *c, const struct rows *r)
{
    struct uuid payment = rows_uuid(r, 0, IDEM_SUBJECT);
    struct charge_result result = {
        .http_status = (int)rows_i64(r, 0, IDEM_STATUS),
        .replayed = true,
        .original_us = rows_time(r, 0, IDEM_CREATED),
        .current_status = rows_str(r, 0, IDEM_NOW),
    };
    if (!rows_null(r, 0, IDEM_PROBLEM)) {
        result.is_problem = true;
        result.body = rows_str(r, 0, IDEM_PROBLEM);
        charge_reply(c, ERR_OK, &result);
        charge_end(c);
        return;
    }
    struct payment_record rec = {
        .merchant = c->in.merchant, .id = payment, .pii = rows_str(r, 0, IDEM_PII)};
    struct str person;
    struct err err = record_person(c->flow, &rec, &c->arena, &person);
    if (err_is(err) || rows_null(r, 0, IDEM_DATA)) {
        charge_end_with(c, err_is(err) ? err : ERR(INTERNAL, "a replay without its event"),
                        STR_NULL);
        return;
    }
    charge_reply_payment(c, &result, payment, rows_time(r, 0, IDEM_EXPIRES),
                         rows_str(r, 0, IDEM_DATA), person, rows_str(r, 0, IDEM_PROVIDER_REF));
    charge_end(c);
}

static void released(void *ctx, struct err err, const struct rows *rows)
{
    struct charge *c = ctx;
    (void)rows;
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    charge_enter(c, CHARGE_RESERVE);
    charge_reserve(c);
}

/* A record whose owner died before it had a payment: nothing came of it. */
static void release(struct charge *c, struct uuid payment)
{
    struct value params[] = {V_UUID(c->in.merchant), V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->in.idem_key), V_UUID(payment),
                             V_TIME(loop_wall_us(c->flow->loop))};
    charge_enter(c, CHARGE_RELEASE);
    store_exec(c->flow->store, Q_idempotency_release, params, COUNT_OF(params), released, c);
}

static void look_again(void *ctx)
{
    struct charge *c = ctx;
    charge_enter(c, CHARGE_LOOKUP);
    charge_lookup(c);
}

static void in_flight(struct charge *c, const struct rows *r)
{
    struct flow *f = c->flow;
    if (rows_time(r, 0, IDEM_LEASE) <= loop_wall_us(f->loop)) {
        struct uuid payment = rows_uuid(r, 0, IDEM_SUBJECT);
        if (rows_null(r, 0, IDEM_NOW)) {
            release(c, payment);
            return;
        }
        struct value params[] = {V_UUID(c->in.merchant), V_UUID(payment)};
        charge_enter(c, CHARGE_RECOVER);
        store_read(f->store, Q_payment_get, params, COUNT_OF(params), recovered, c);
        return;
    }
    if (loop_mono_us(f->loop) - c->started_us < c->in.wait_us) {
        timer_set(f->loop, &c->timer, 100 * US_PER_MS, look_again, c);
        return;
    }
    charge_end_with(c, ERR(IDEMPOTENCY_IN_PROGRESS, NULL),
                    STR("Another request with this key is being worked on."));
}

static void looked(void *ctx, struct err err, const struct rows *r)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    if (rows_n(r) == 0) {
        c->held = false; /* any more */
        if (c->recorded || ++c->tries > RESERVE_TRIES) {
            charge_end_with(c, ERR(IDEMPOTENCY_IN_PROGRESS, NULL), STR_NULL);
            return;
        }
        charge_enter(c, CHARGE_RESERVE);
        charge_reserve(c);
        return;
    }
    if (idempotency_look_there(&c->place, rows_uuid(r, 0, IDEM_SUBJECT))) {
        charge_lookup(c);
        return;
    }
    idempotency_remember(c->in.merchant, c->in.live, c->in.idem_key);
    struct str stored = rows_str(r, 0, IDEM_FINGERPRINT);
    if (!str_eq(str_first(stored, 32), str_n((char *)c->fingerprint, 32))) {
        struct str names =
            fingerprint_difference(c->fingerprint, stored, c->in.fields, c->in.n_fields, &c->arena);
        charge_end_with(c, ERR(IDEMPOTENCY_KEY_REUSED, NULL),
                        arena_fmt(&c->arena,
                                  "The key was used with another request; these differ: %.*s.",
                                  STR_ARG(names)));
    } else if (!c->recorded && c->unit.unit.doubt &&
               uuid_eq(rows_uuid(r, 0, IDEM_SUBJECT), c->rec.id) && !rows_null(r, 0, IDEM_NOW) &&
               rows_null(r, 0, IDEM_STATUS)) {
        charge_enter(c, CHARGE_SEND); /* our own commit, of which we had no answer */
        charge_send(c);
    } else if (rows_null(r, 0, IDEM_STATUS) ||
               (rows_null(r, 0, IDEM_PROBLEM) && rows_null(r, 0, IDEM_NOW))) {
        in_flight(c, r); /* or its payment was refused, and the refusal is still to be stored */
    } else {
        replay(c, r);
    }
}

void charge_lookup(struct charge *c)
{
    idempotency_look(c->flow, c->in.merchant, c->in.live, c->in.idem_key, &c->place, looked, c);
}

/* ---- what no payment comes of: the answer of the key, if there is one ---- */

static void refused(void *ctx, struct err err, const struct rows *rows)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    if (rows != NULL && rows_n(rows) == 0) { /* this took too long, and the key is another's */
        charge_enter(c, CHARGE_LOOKUP);
        charge_lookup(c);
        return;
    }
    struct charge_result result = {
        .http_status = err_http(c->refusal.err.code),
        .is_problem = true,
        .body = c->in.problem(c->in.problem_ctx, c->refusal.err, c->refusal.detail.p),
    };
    charge_reply(c, ERR_OK, &result);
    charge_end(c);
}

static void refuse(struct charge *c, struct err why, struct str detail)
{
    charge_enter(c, CHARGE_REFUSE);
    c->refusal = (struct charge_refusal){why, detail};
    if (c->in.idem_key.p == NULL) {
        refused(c, ERR_OK, NULL);
        return;
    }
    struct str body = c->in.problem(c->in.problem_ctx, why, detail.p);
    struct value params[] = {V_UUID(c->in.merchant),
                             V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->in.idem_key),
                             V_UUID(c->rec.id),
                             V_I16(err_http(why.code)),
                             V_TEXT(body),
                             V_TIME(0)};
    store_exec(c->flow->store, Q_idempotency_refuse, params, COUNT_OF(params), refused, c);
}

static void owner_known(void *ctx, struct err err, const struct rows *r)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    enum payment_status status = PAYMENT_FAILED;
    bool ended =
        rows_n(r) == 1 &&
        (rows_null(r, 0, 1) ||
         (payment_status_parse(rows_str(r, 0, 1), &status) && rows_i64(r, 0, 2) == 0 &&
          (status == PAYMENT_FAILED || status == PAYMENT_EXPIRED || status == PAYMENT_CANCELLED)));
    bool gone = rows_n(r) == 0; /* taken and given up meanwhile: try again */
    if ((!ended && !gone) || ++c->tries > RESERVE_TRIES) {
        refuse(c, ERR(DUPLICATE_REFERENCE, NULL), STR("Another payment has this reference."));
        return;
    }
    c->previous_owner = ended ? rows_uuid(r, 0, 0) : UUID_NIL;
    charge_enter(c, CHARGE_RESERVE);
    charge_reserve(c);
}

void charge_owner(struct charge *c)
{
    struct value params[] = {V_UUID(c->in.merchant), V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->rec.reference)};
    charge_enter(c, CHARGE_OWNER);
    store_read(c->flow->store, Q_reference_get, params, COUNT_OF(params), owner_known, c);
}

void charge_limited(struct charge *c)
{
    char words[96];
    size_t i = (size_t)c->unit.crossed - 1;
    struct str detail = STR("The payment is beyond a limit that the merchant has set.");
    if (i < c->counts.n) {
        struct str one = arena_fmt(&c->arena, "The payment is beyond the %s.",
                                   limit_words(c->counts.rules[i], words));
        detail = one.p != NULL ? one : detail;
    }
    refuse(c, ERR(LIMIT_EXCEEDED, NULL), detail);
}
