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
    if (!err_is(err)) {
        crash_point(CRASH_FANOUT_STORED);
        for (size_t i = 0; i < o->unit.n_deliveries; i++)
            if (o->unit.is_new[i])
                deliver_start(o->flow, o->unit.row.merchant_id, o->unit.deliveries[i].id, NULL,
                              NULL);
    }
    finish(o, err);
}

enum { E_ID, E_TYPE, E_MODE, E_CALLBACK_URL, E_ENDPOINT, E_FILTER };

static void add(struct fanout *o, const struct rows *r, size_t row, struct uuid endpoint)
{
    struct flow *f = o->flow;
    int64_t now = loop_wall_us(f->loop);
    if (o->unit.n_deliveries == FANOUT_MAX)
        return;
    struct uuid id = random_uuid(now);
    o->unit.deliveries[o->unit.n_deliveries++] = (struct delivery_row){
        .merchant_id = o->unit.row.merchant_id,
        .id = id,
        .mode = arena_dup(&o->arena, rows_str(r, row, E_MODE)),
        .payment_id = o->unit.row.payment_id,
        .seq = o->unit.row.seq,
        .event_id = rows_uuid(r, row, E_ID),
        .event_type = arena_dup(&o->arena, rows_str(r, row, E_TYPE)),
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
    for (size_t i = 0; i < rows_n(r); i++) {
        struct str filter = rows_str(r, i, E_FILTER);
        if (i == 0 && !rows_null(r, i, E_CALLBACK_URL))
            add(o, r, i, o->unit.row.payment_id);
        if (!rows_null(r, i, E_ENDPOINT) && deliver_wants(filter, rows_str(r, i, E_TYPE)))
            add(o, r, i, rows_uuid(r, i, E_ENDPOINT));
    }
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
    f->busy++;
    struct value params[] = {V_UUID(merchant), V_UUID(payment), V_I32(seq)};
    store_read(f->store, Q_fanout_get, params, COUNT_OF(params), loaded, o);
}
