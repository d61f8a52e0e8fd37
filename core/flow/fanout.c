/* From an event to its deliveries: LOAD endpoints, STORE deliveries (which ends the job), start
 * sending. */
#include "core/flow/fanout.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/crypto/random.h"
#include "core/flow/deliver.h"
#include "store/kinds.h"

struct fanout {
    struct flow *flow;
    struct arena arena;
    struct fanout_unit unit;
    struct webhook *hook;                 /* what it says, once somebody wants it */
    struct deliver *prepared[FANOUT_MAX]; /* as its deliveries */
    int64_t known_us;                     /* when the event and the endpoints were read */
    loop_fn *done;
    void *ctx;
};

static void finish(struct fanout *o, struct err err)
{
    if (err_is(err))
        log_warn("fanout.failed", F_ID("payment", o->unit.row.payment_id), F_ERR(err));
    o->flow->busy--;
    if (o->done != NULL)
        o->done(o->ctx);
    arena_free(&o->arena);
    free(o);
}

static void stored(void *ctx)
{
    struct fanout *o = ctx;
    struct err err = o->unit.unit.err;
    if (!err_is(err))
        crash_point(CRASH_FANOUT_STORED);
    for (size_t i = 0; i < o->unit.n_deliveries; i++) {
        if (!err_is(err) && o->unit.is_new[i])
            deliver_begin(o->prepared[i]);
        else
            deliver_discard(o->prepared[i]);
    }
    finish(o, err);
}

static void add(struct fanout *o, const struct rows *r, size_t row, struct uuid endpoint)
{
    struct flow *f = o->flow;
    struct uuid merchant = o->unit.row.merchant_id;
    int64_t now = loop_wall_us(f->loop);
    size_t n = o->unit.n_deliveries;
    if (n == FANOUT_MAX)
        return;
    if (n == 0 && err_is(webhook_new(f, merchant, r, &o->hook)))
        o->hook = NULL; /* they are made all the same, and each tells what is wrong */
    struct uuid id = random_uuid(now);
    o->prepared[n] = deliver_prepare(f, merchant, id, o->hook, r, row, endpoint, o->known_us);
    o->unit.deliveries[o->unit.n_deliveries++] = (struct delivery_row){
        .merchant_id = merchant,
        .id = id,
        .mode = arena_dup(&o->arena, rows_str(r, 0, HOOK_MODE)),
        .payment_id = o->unit.row.payment_id,
        .seq = o->unit.row.seq,
        .event_id = rows_uuid(r, 0, HOOK_EVENT),
        .event_type = arena_dup(&o->arena, rows_str(r, 0, HOOK_TYPE)),
        .endpoint_id = endpoint,
        .at = now,
        .job_bucket = job_bucket(id),
        .job_owner = f->replica,
        .job_lease = now + FLOW_LEASE_US,
    };
}

static void loaded(void *ctx, struct err err, const struct rows *r)
{
    struct fanout *o = ctx;
    if (err_is(err)) {
        finish(o, err);
        return;
    }
    bool found = rows_n(r) > 0 && !rows_null(r, 0, HOOK_EVENT);
    if (found && !rows_null(r, 0, HOOK_CALLBACK_URL))
        add(o, r, 0, o->unit.row.payment_id);
    for (size_t i = 1; found && i < rows_n(r); i++)
        if (webhook_wanted(rows_str(r, i, HOOK_FILTER), rows_str(r, 0, HOOK_TYPE)))
            add(o, r, i, rows_uuid(r, i, HOOK_ENDPOINT));
    webhook_drop(o->hook);
    o->hook = NULL;
    crash_point(CRASH_FANOUT_LOADED);
    fanout_unit_ready(&o->unit, stored, o);
    store_write(o->flow->store, &o->unit.unit);
}

void fanout_start(struct flow *f, struct uuid merchant, struct uuid payment, int32_t seq,
                  loop_fn *done, void *ctx)
{
    struct fanout *o = calloc(1, sizeof *o);
    ASSERT(o != NULL);
    o->flow = f;
    o->done = done;
    o->ctx = ctx;
    o->unit.row = (struct fanout_row){.merchant_id = merchant, .payment_id = payment, .seq = seq};
    arena_init(&o->arena, 64 * 1024);
    o->known_us = loop_mono_us(f->loop);
    f->busy++;
    struct value params[] = {V_UUID(merchant), V_UUID(payment), V_I32(seq),
                             V_TEXT(mode_word(id_is_live(payment)))};
    store_read(f->store, Q_fanout_get, params, COUNT_OF(params), loaded, o);
}
