/* Forgetting by age. See retention.h. */
#include "core/flow/retention.h"

#include "core/base/log.h"

enum { PAGE = 2000 };
#define KEPT_US (30 * US_PER_DAY)

static void drop(struct flow *f, enum query query, store_rows_fn *done)
{
    struct value params[] = {V_TIME(loop_wall_us(f->loop) - KEPT_US), V_I64(PAGE)};
    f->busy++;
    store_exec(f->store, query, params, COUNT_OF(params), done, f);
}

/* Reads the row, how many of each are gone. True: a page was full, there may be more. */
static bool take_row(struct flow *f, struct err err, const struct rows *r, int64_t n[], int columns)
{
    int64_t most = 0;
    f->busy--;
    if (err_is(err)) { /* the next upkeep finds it again */
        log_warn("retention.failed", F_ERR(err));
        return false;
    }
    for (int i = 0; i < columns; i++) {
        n[i] = rows_i64(r, 0, i);
        most = n[i] > most ? n[i] : most;
    }
    return most >= PAGE && !f->closing;
}

enum { R_CALLS, R_CALLBACKS, R_REQUESTS, R_PAYERS, R_N };

static void dropped(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    int64_t n[R_N] = {0};
    bool more = take_row(f, err, r, n, R_N);
    if (n[R_CALLS] + n[R_CALLBACKS] + n[R_REQUESTS] + n[R_PAYERS] > 0)
        log_info("retention.dropped", F_I64("calls", n[R_CALLS]),
                 F_I64("callbacks", n[R_CALLBACKS]), F_I64("requests", n[R_REQUESTS]),
                 F_I64("payers", n[R_PAYERS]));
    if (more)
        drop(f, Q_retention, dropped);
}

static void security_dropped(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    int64_t n[1] = {0};
    bool more = take_row(f, err, r, n, 1);
    if (n[0] > 0)
        log_info("retention.dropped", F_I64("security_events", n[0]));
    if (more)
        drop(f, Q_security_drop, security_dropped);
}

void retention_run(struct flow *f)
{
    drop(f, Q_retention, dropped);
    drop(f, Q_security_drop, security_dropped);
}
