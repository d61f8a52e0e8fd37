/* Forgetting by age. See retention.h. */
#include "core/flow/retention.h"

#include "core/base/log.h"

enum { PAGE = 2000 };
#define KEPT_US (30 * US_PER_DAY)

enum { R_CALLS, R_CALLBACKS, R_REQUESTS, R_PAYERS, R_SECURITY, R_N };

static void dropped(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    int64_t n[R_N] = {0}, most = 0;
    f->busy--;
    if (err_is(err)) { /* the next upkeep finds it again */
        log_warn("retention.failed", F_ERR(err));
        return;
    }
    for (int i = 0; i < R_N; i++) {
        n[i] = rows_i64(r, 0, i);
        most = n[i] > most ? n[i] : most;
    }
    if (most > 0)
        log_info("retention.dropped", F_I64("calls", n[R_CALLS]),
                 F_I64("callbacks", n[R_CALLBACKS]), F_I64("requests", n[R_REQUESTS]),
                 F_I64("payers", n[R_PAYERS]), F_I64("security_events", n[R_SECURITY]));
    if (most >= PAGE && !f->closing)
        retention_run(f);
}

void retention_run(struct flow *f)
{
    struct value params[] = {V_TIME(loop_wall_us(f->loop) - KEPT_US), V_I64(PAGE)};
    f->busy++;
    store_exec(f->store, Q_retention, params, COUNT_OF(params), dropped, f);
}
