/* Forgetting a person. The job: PAGE as long as there is one, then END, which says whether it has
 * to come again. What fails is found again when the job's lease has run out. See erasure.h. */
#include "core/flow/erasure.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/crypto/random.h"
#include "core/flow/deliver.h"

enum { PAGE = 50 };
/* Well within the job's lease: who works longer hands on. */
#define RUN_US (20 * US_PER_S)

/* ---- the request ---- */

struct request {
    struct flow *flow;
    struct uuid merchant, customer;
    erasure_fn *done;
    void *ctx;
};

static void begun(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    struct flow *f = q->flow;
    bool active = !err_is(err) && rows_bool(r, 0, 0), waiting = !err_is(err) && rows_bool(r, 0, 1);
    if (active && waiting)
        err = ERR(INVALID_STATE, "money is on its way");
    deliver_forget(f);
    if (active && !waiting)
        log_info("customer.erased", F_ID("customer", q->customer));
    f->busy--;
    q->done(q->ctx, err);
    free(q);
}

void erasure_start(struct flow *f, const struct erasure_input *in, erasure_fn *done, void *ctx)
{
    struct request *q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    *q = (struct request){f, in->merchant, in->customer, done, ctx};
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {
        V_UUID(in->merchant), V_TEXT(mode_word(in->live)),     V_UUID(in->customer),
        V_TIME(now),          V_I16(job_bucket(in->customer)), V_UUID(random_uuid(now)),
        V_TEXT(in->actor),
    };
    f->busy++;
    store_exec(f->store, Q_customer_erase, params, COUNT_OF(params), begun, q);
}

/* ---- the job ---- */

struct run {
    struct flow *flow;
    struct uuid merchant, customer;
    int64_t until_us; /* monotonic */
    loop_fn *done;
    void *ctx;
};

static void blank(struct run *u);

static void finish(struct run *u, struct err err)
{
    if (err_is(err))
        log_warn("erasure.failed", F_ID("customer", u->customer), F_ERR(err));
    u->flow->busy--;
    u->done(u->ctx);
    free(u);
}

static void ended(void *ctx, struct err err, const struct rows *r)
{
    struct run *u = ctx;
    if (!err_is(err))
        log_info("erasure.looked", F_ID("customer", u->customer),
                 F_BOOL("over", rows_bool(r, 0, 0)));
    finish(u, err);
}

static void blanked(void *ctx, struct err err, const struct rows *r)
{
    struct run *u = ctx;
    struct flow *f = u->flow;
    if (err_is(err)) {
        finish(u, err);
        return;
    }
    if (rows_i64(r, 0, 0) > 0 && !f->closing && loop_mono_us(f->loop) < u->until_us) {
        blank(u);
        return;
    }
    struct value params[] = {V_UUID(u->merchant), V_UUID(u->customer),
                             V_TIME(loop_wall_us(f->loop))};
    store_exec(f->store, Q_customer_erase_end, params, COUNT_OF(params), ended, u);
}

static void blank(struct run *u)
{
    struct value params[] = {V_UUID(u->merchant), V_UUID(u->customer), V_I64(PAGE)};
    store_exec(u->flow->store, Q_customer_erase_page, params, COUNT_OF(params), blanked, u);
}

void erasure_run(struct flow *f, struct uuid merchant, struct uuid customer, loop_fn *done,
                 void *ctx)
{
    struct run *u = calloc(1, sizeof *u);
    ASSERT(u != NULL);
    *u = (struct run){f, merchant, customer, loop_mono_us(f->loop) + RUN_US, done, ctx};
    f->busy++;
    blank(u);
}
