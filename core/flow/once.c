/* Keys of requests that change what is there. Happy path: LOOK UP, CLAIM, then the caller's work,
 * ANSWER, and LOOK UP once more, so that the first answer and its repetitions are made of the same.
 *
 * Ways to fail: the key is known (its answer, or that it is another request's, or under way); who
 * held it has died (it is taken over: what can be asked for here may be asked for again); the
 * database is away (the key is held until its lease has run out). */
#include "core/flow/once.h"

#include "core/base/log.h"
#include "core/base/times.h"

enum { ONCE_TRIES = 20 };
#define AGAIN_US (100 * US_PER_MS)

static void look_up(void *ctx);

static void finish(struct once *o, struct err err, struct str detail, const struct once_known *k)
{
    o->flow->busy--;
    o->done(o->ctx, err, detail, err_is(err) ? NULL : k);
}

static void begin(struct once *o, once_fn *done, void *ctx)
{
    o->flow->busy++;
    o->done = done;
    o->ctx = ctx;
}

/* ---- taking it ---- */

/* Of two slots the one of the earlier period comes first, whoever asks: it decides. */
static void claim(struct once *o);

static void claimed(void *ctx, struct err err, const struct rows *r)
{
    struct once *o = ctx;
    struct once_known mine = {.mine = true};
    bool both = o->place.slot_b >= 0;
    if (err_is(err))
        finish(o, err, STR_NULL, NULL);
    else if (o->claims == 0 && rows_n(r) == 0 && ++o->tries < ONCE_TRIES)
        look_up(o);
    else if (o->claims == 0 && rows_n(r) == 0)
        finish(o, ERR(IDEMPOTENCY_IN_PROGRESS, NULL), STR_NULL, NULL);
    else if (o->claims++ == 0 && both)
        claim(o);
    else
        finish(o, ERR_OK, STR_NULL, &mine);
}

static void claim(struct once *o)
{
    const struct once_input *in = &o->in;
    const struct idempotency_place *at = &o->place;
    int64_t now = loop_wall_us(o->flow->loop);
    struct err fresh = idempotency_place_fresh(at, now);
    if (err_is(fresh)) {
        finish(o, fresh, STR_NULL, NULL);
        return;
    }
    if (o->claims == 0)
        o->lease_until_us = now + FLOW_LEASE_US;
    bool before = at->slot_b == at->look_b; /* the second slot is of the period before */
    bool second = before ? o->claims == 0 : o->claims > 0;
    struct value params[] = {
        V_UUID(in->merchant),
        V_TEXT(mode_word(in->live)),
        V_TEXT(in->key),
        V_I16(second ? at->slot_b : at->slot),
        V_I32(at->period - (second && before)), /* what lies there goes with it */
        V_BYTES(str_n((char *)o->fingerprint, FINGERPRINT_LEN)),
        V_UUID(in->payment),
        V_TIME(o->lease_until_us),
        V_TIME(now),
    };
    store_exec(o->flow->store, Q_idempotency_claim, params, COUNT_OF(params), claimed, o);
}

/* ---- what is known of it ---- */

static void given_back(void *ctx, struct err err, const struct rows *r)
{
    struct once *o = ctx;
    (void)r;
    if (err_is(err))
        finish(o, err, STR_NULL, NULL);
    else
        look_up(o);
}

static void drop(struct once *o, int64_t lease_until_us, store_rows_fn *done)
{
    const struct once_input *in = &o->in;
    struct value params[] = {V_UUID(in->merchant), V_TEXT(mode_word(in->live)), V_TEXT(in->key),
                             V_UUID(in->payment), V_TIME(lease_until_us)};
    store_exec(o->flow->store, Q_idempotency_drop, params, COUNT_OF(params), done, o);
}

static void in_flight(struct once *o, int64_t lease_us)
{
    struct loop *l = o->flow->loop;
    if (!o->answered && lease_us <= loop_wall_us(l) && ++o->tries < ONCE_TRIES) {
        o->taken_over = true;
        drop(o, lease_us, given_back);
    } else if (!o->answered && loop_mono_us(l) - o->started_us < o->in.wait_us) {
        timer_set(l, &o->timer, AGAIN_US, look_up, o);
    } else {
        finish(o, ERR(IDEMPOTENCY_IN_PROGRESS, NULL),
               STR("Another request with this key is being worked on."), NULL);
    }
}

static void looked(void *ctx, struct err err, const struct rows *r)
{
    struct once *o = ctx;
    if (err_is(err)) {
        finish(o, err, STR_NULL, NULL);
        return;
    }
    if (rows_n(r) == 0 && o->answered) { /* it took so long that somebody else gave it back */
        finish(o, ERR(IDEMPOTENCY_IN_PROGRESS, NULL), STR_NULL, NULL);
        return;
    }
    if (rows_n(r) == 0) {
        o->claims = 0;
        claim(o);
        return;
    }
    struct str stored = rows_str(r, 0, IDEM_FINGERPRINT);
    struct once_known k = {
        .http_status = (int)rows_i64(r, 0, IDEM_STATUS),
        .problem = rows_null(r, 0, IDEM_PROBLEM) ? STR_NULL : rows_str(r, 0, IDEM_PROBLEM),
        .data = rows_str(r, 0, IDEM_DATA),
        .pii = rows_null(r, 0, IDEM_PII) ? STR_NULL : rows_str(r, 0, IDEM_PII),
        .now = rows_str(r, 0, IDEM_NOW),
        .original_us = rows_time(r, 0, IDEM_CREATED),
    };
    if (!str_eq(str_first(stored, 32), str_n((char *)o->fingerprint, 32))) {
        struct str names =
            fingerprint_difference(o->fingerprint, stored, &o->in.field, 1, o->arena);
        finish(o, ERR(IDEMPOTENCY_KEY_REUSED, NULL),
               arena_fmt(o->arena, "The key was used with another request; these differ: %.*s.",
                         STR_ARG(names)),
               NULL);
    } else if (rows_null(r, 0, IDEM_STATUS)) {
        in_flight(o, rows_time(r, 0, IDEM_LEASE));
    } else {
        finish(o, ERR_OK, STR_NULL, &k);
    }
}

static void look_up(void *ctx)
{
    struct once *o = ctx;
    idempotency_look(o->flow, o->in.merchant, o->in.live, o->in.key, &o->place, looked, o);
}

void once_start(struct once *o, struct flow *f, const struct once_input *in, struct arena *arena,
                once_fn *done, void *ctx)
{
    *o = (struct once){
        .flow = f,
        .in = *in,
        .place = idempotency_place(loop_wall_us(f->loop), f->settings.idempotency_retention_us),
        .arena = arena,
        .started_us = loop_mono_us(f->loop)};
    o->place.made_from = o->place.made_until = in->payment; /* it is there already */
    begin(o, done, ctx);
    fingerprint_make(f->vault, in->route, &in->field, 1, o->fingerprint);
    look_up(o);
}

/* ---- its answer ---- */

static void dropped(void *ctx, struct err err, const struct rows *r)
{
    struct once *o = ctx;
    (void)r;
    if (err_is(err))
        log_warn("once.key_kept", F_ERR(err)); /* until its lease has run out */
    finish(o, ERR_OK, STR_NULL, NULL);
}

void once_answer(struct once *o, int http_status, int32_t seq, once_fn *done, void *ctx)
{
    const struct once_input *in = &o->in;
    struct value params[] = {V_UUID(in->merchant),     V_TEXT(mode_word(in->live)), V_TEXT(in->key),
                             V_UUID(in->payment),      V_I16(http_status),          V_I32(seq),
                             V_TIME(o->lease_until_us)};
    begin(o, done, ctx);
    o->answered = true;
    store_exec(o->flow->store, Q_idempotency_answer, params, COUNT_OF(params), given_back, o);
}

void once_refuse(struct once *o, int http_status, struct str problem, once_fn *done, void *ctx)
{
    const struct once_input *in = &o->in;
    struct value params[] = {V_UUID(in->merchant),     V_TEXT(mode_word(in->live)), V_TEXT(in->key),
                             V_UUID(in->payment),      V_I16(http_status),          V_TEXT(problem),
                             V_TIME(o->lease_until_us)};
    begin(o, done, ctx);
    o->answered = true;
    store_exec(o->flow->store, Q_idempotency_refuse, params, COUNT_OF(params), given_back, o);
}

void once_drop(struct once *o, once_fn *done, void *ctx)
{
    begin(o, done, ctx);
    drop(o, o->lease_until_us, dropped);
}
