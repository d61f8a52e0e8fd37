/* The alarm clock is the database's: jobs are rows, a lease is a compare-and-set on one, and a
 * process that dies leaves nothing but leases that run out. */
#include "core/flow/jobs.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/crypto/random.h"
#include "core/flow/callback.h"
#include "core/flow/deliver.h"
#include "core/flow/erasure.h"
#include "core/flow/fanout.h"
#include "core/flow/keys.h"
#include "core/flow/payout.h"
#include "core/flow/refund.h"
#include "core/flow/reseal.h"
#include "core/flow/retention.h"
#include "core/flow/tick.h"
#include "store/kinds.h"

enum { PER_BUCKET = 64 }; /* of each kind */
#define BEAT_US (10 * US_PER_S)
#define SECOND_BEAT_US US_PER_S /* who started together soon know of each other */
#define DEAD_US (60 * US_PER_S)
#define UPKEEP_US (6 * US_PER_HOUR)
#define SOON_US (20 * US_PER_MS)

static struct metric taken_total = METRIC_COUNTER("reli_jobs_total", "", "Jobs taken by lease");

/* Those that come first are looked for first. Most wait for others, providers and endpoints, that
 * may take their time: each kind of these has a sixth of what runs at once, so that neither those
 * of a provider that hangs nor those of slow endpoints keep anything else waiting. */
enum job_kind {
    JOB_REFUND,
    JOB_PAYOUT,
    JOB_INBOUND,
    JOB_FANOUT,
    JOB_ERASURE,
    JOB_RESEAL,
    JOB_PAYMENT,
    JOB_DELIVERY,
    JOB_N_KINDS
};
static const struct str words[JOB_N_KINDS] = {
    [JOB_REFUND] = {"refund", 6},   [JOB_PAYOUT] = {"payout", 6},
    [JOB_INBOUND] = {"inbound", 7}, [JOB_FANOUT] = {"fanout", 6},
    [JOB_ERASURE] = {"erasure", 7}, [JOB_RESEAL] = {"reseal", 6},
    [JOB_PAYMENT] = {"payment", 7}, [JOB_DELIVERY] = {"delivery", 8},
};

struct running {
    struct jobs *jobs;
    enum job_kind kind;
    struct lease_unit unit;
};

struct jobs {
    struct flow *flow;
    struct jobs_options o;
    struct timer scan_timer, beat_timer, upkeep_timer;
    bool scanning, stopped, beaten;
    bool freed; /* of a kind that had no room one has ended, since the last scan */
    int n_running, n_of[JOB_N_KINDS];
    int64_t started_us;
};

static void scan(void *ctx);

static bool has_room(const struct jobs *j, enum job_kind kind)
{
    int most = j->o.max_running;
    if (kind != JOB_FANOUT && kind != JOB_ERASURE && kind != JOB_RESEAL)
        most /= 6;
    if (kind == JOB_INBOUND)
        most = callbacks_most(j->flow, most);
    return j->n_running < j->o.max_running && j->n_of[kind] < most;
}

static void work_done(void *ctx)
{
    struct running *r = ctx;
    struct jobs *j = r->jobs;
    if (!has_room(j, r->kind) && !j->freed) {
        j->freed = true;
        if (!j->scanning && !j->stopped)
            timer_set(j->flow->loop, &j->scan_timer, SOON_US, scan, j);
    }
    j->n_running--;
    j->n_of[r->kind]--;
    j->flow->busy--;
    free(r);
}

static void work(struct running *r)
{
    struct flow *f = r->jobs->flow;
    const struct lease_row *row = &r->unit.row;
    metric_add(&taken_total, 1);
    switch (r->kind) {
    case JOB_REFUND:
        refund_run(f, row->merchant_id, row->subject, work_done, r);
        break;
    case JOB_PAYOUT:
        payout_run(f, row->merchant_id, row->subject, work_done, r);
        break;
    case JOB_INBOUND:
        callback_process(f, row->merchant_id, row->subject, row->n, r->unit.tries, work_done, r);
        break;
    case JOB_FANOUT:
        fanout_start(f, row->merchant_id, row->subject, row->n, work_done, r);
        break;
    case JOB_ERASURE:
        erasure_run(f, row->merchant_id, row->subject, work_done, r);
        break;
    case JOB_RESEAL:
        reseal_run(f, row->n, work_done, r);
        break;
    case JOB_PAYMENT:
        tick_start(f, row->merchant_id, row->subject, work_done, r);
        break;
    case JOB_DELIVERY:
        deliver_start(f, row->merchant_id, row->subject, work_done, r);
        break;
    case JOB_N_KINDS:
        ASSERT(false);
    }
}

static void leased(void *ctx)
{
    struct running *r = ctx;
    if (err_is(r->unit.unit.err) || !r->unit.taken || r->jobs->flow->closing)
        work_done(r);
    else
        work(r);
}

static enum job_kind kind_of(struct str word)
{
    int k = 0;
    while (k < JOB_N_KINDS && !str_eq(word, words[k]))
        k++;
    return (enum job_kind)k;
}

enum { J_MERCHANT, J_KIND, J_SUBJECT, J_N };

static void take(struct jobs *j, const struct rows *rows, size_t i)
{
    struct flow *f = j->flow;
    enum job_kind kind = kind_of(rows_str(rows, i, J_KIND));
    struct running *r = kind != JOB_N_KINDS && has_room(j, kind) ? calloc(1, sizeof *r) : NULL;
    if (r == NULL)
        return;
    int64_t now = loop_wall_us(f->loop);
    r->jobs = j;
    r->kind = kind;
    r->unit.row = (struct lease_row){
        .merchant_id = rows_uuid(rows, i, J_MERCHANT),
        .kind = words[kind],
        .subject = rows_uuid(rows, i, J_SUBJECT),
        .n = (int32_t)rows_i64(rows, i, J_N),
        .owner = f->replica,
        .until = now + FLOW_LEASE_US,
        .now = now,
    };
    j->n_running++;
    j->n_of[kind]++;
    f->busy++;
    lease_unit_ready(&r->unit, leased, r);
    store_write(f->store, &r->unit.unit);
}

static void scanned(void *ctx, struct err err, const struct rows *rows)
{
    struct jobs *j = ctx;
    size_t n = err_is(err) ? 0 : rows_n(rows);
    j->scanning = false;
    j->flow->busy--;
    if (j->stopped)
        return;
    for (size_t i = 0; i < n; i++)
        take(j, rows, i);
    /* many at once: look again soon */
    timer_set(j->flow->loop, &j->scan_timer, n >= PER_BUCKET || j->freed ? SOON_US : j->o.scan_us,
              scan, j);
}

static void scan(void *ctx)
{
    struct jobs *j = ctx;
    struct flow *f = j->flow;
    j->scanning = true;
    j->freed = false;
    f->busy++;
    char text[128];
    struct buf kinds = {.p = text, .cap = sizeof text, .limit = sizeof text};
    for (int k = 0; k < JOB_N_KINDS; k++)
        if (has_room(j, (enum job_kind)k)) {
            buf_char(&kinds, kinds.n == 0 ? '{' : ',');
            buf_str(&kinds, words[k]);
        }
    buf_char(&kinds, '}');
    ASSERT(!kinds.failed);
    struct value params[] = {V_TIME(loop_wall_us(f->loop)), V_I64(PER_BUCKET),
                             V_TEXT(buf_view(&kinds))};
    store_read(f->store, Q_job_due, params, COUNT_OF(params), scanned, j);
}

static void beaten(void *ctx, struct err err, const struct rows *rows)
{
    struct jobs *j = ctx;
    j->flow->busy--;
    if (!err_is(err) && rows_n(rows) == 1)
        j->flow->n_replicas = (int)rows_i64(rows, 0, 0);
}

static void beat(void *ctx)
{
    struct jobs *j = ctx;
    struct flow *f = j->flow;
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(f->replica), V_TEXT(str_c(j->o.version)), V_TIME(j->started_us),
                             V_TIME(now), V_TIME(now - DEAD_US)};
    f->busy++;
    store_exec(f->store, Q_replica_beat, params, COUNT_OF(params), beaten, j);
    keys_refresh(f);
    timer_set(f->loop, &j->beat_timer, j->beaten ? BEAT_US : SECOND_BEAT_US, beat, j);
    j->beaten = true;
}

static void keep_up(struct jobs *j);

static void kept_up(void *ctx, struct err err, const struct rows *rows)
{
    struct jobs *j = ctx;
    j->flow->busy--;
    if (err_is(err)) {
        log_warn("upkeep.failed", F_ERR(err));
        return;
    }
    int64_t made = rows_i64(rows, 0, 0);
    log_info("upkeep.done", F_I64("partitions", made),
             F_BOOL("idempotency_slot_emptied", rows_bool(rows, 0, 1)));
    if (made > 0 && !j->stopped) /* of one table: the next one */
        keep_up(j);
}

static void people_kept_up(void *ctx, struct err err, const struct rows *rows)
{
    struct jobs *j = ctx;
    j->flow->busy--;
    if (err_is(err))
        log_warn("upkeep.failed", F_ERR(err));
    else if (rows_i64(rows, 0, 0) > 0)
        log_info("upkeep.sessions_gone", F_I64("n", rows_i64(rows, 0, 0)));
}

/* Partitions ahead of time and the next idempotency slot. Cheap and harmless when all replicas do
 * it. */
static void keep_up(struct jobs *j)
{
    struct flow *f = j->flow;
    int64_t now = loop_wall_us(f->loop);
    int64_t period = now / f->settings.idempotency_retention_us;
    struct value params[] = {V_TIME(now), V_I32((int32_t)period)};
    f->busy++;
    store_exec(f->store, Q_upkeep, params, COUNT_OF(params), kept_up, j);
}

static void upkeep(void *ctx)
{
    struct jobs *j = ctx;
    struct flow *f = j->flow;
    int64_t retention = f->settings.idempotency_retention_us;
    struct value params[] = {V_TIME(loop_wall_us(f->loop))};
    keep_up(j);
    f->busy++;
    store_exec(f->store, Q_people_upkeep, params, COUNT_OF(params), people_kept_up, j);
    retention_run(f);
    int64_t next = UPKEEP_US < retention / 2 ? UPKEEP_US : retention / 2;
    timer_set(f->loop, &j->upkeep_timer, next, upkeep, j);
}

struct err jobs_new(struct flow *f, const struct jobs_options *o, struct jobs **out)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (j == NULL)
        return ERR(NO_MEMORY, "jobs");
    j->flow = f;
    j->o = *o;
    if (j->o.scan_us == 0)
        j->o.scan_us = US_PER_S;
    if (j->o.max_running == 0)
        j->o.max_running = 1200;
    j->started_us = loop_wall_us(f->loop);
    timer_set(f->loop, &j->scan_timer, 0, scan, j);
    timer_set(f->loop, &j->beat_timer, 0, beat, j);
    timer_set(f->loop, &j->upkeep_timer, 5 * US_PER_S, upkeep, j);
    *out = j;
    return ERR_OK;
}

void jobs_stop(struct jobs *j)
{
    j->stopped = true;
    timer_off(j->flow->loop, &j->scan_timer);
    timer_off(j->flow->loop, &j->beat_timer);
    timer_off(j->flow->loop, &j->upkeep_timer);
}

void jobs_free(struct jobs *j)
{
    free(j);
}
