/* One row, read every second. */
#include "core/flow/maintenance.h"

#include <stdlib.h>

#include "core/base/log.h"

#define EVERY_US US_PER_S
#define FIRST_US (US_PER_S / 10)

enum { M_ON, M_MESSAGE, M_BY, M_AT };

static void read_row(void *ctx);

void maintenance_take(struct maintenance *m, const struct rows *r)
{
    m->known = true;
    bool on = rows_n(r) > 0 && rows_bool(r, 0, M_ON);
    if (on != m->on)
        log_info("maintenance.switched", F_BOOL("on", on),
                 F_STR("by", rows_n(r) > 0 ? rows_str(r, 0, M_BY) : STR("")));
    m->on = on;
    if (rows_n(r) == 0)
        return;
    str_copy_c(m->message, sizeof m->message, rows_str(r, 0, M_MESSAGE));
    str_copy_c(m->by, sizeof m->by, rows_str(r, 0, M_BY));
    m->since_us = rows_time(r, 0, M_AT);
}

static void plan(struct flow *f)
{
    struct maintenance *m = f->maintenance;
    if (!m->stopped)
        timer_set(f->loop, &m->timer, m->known ? EVERY_US : FIRST_US, read_row, f);
}

static void row_read(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    f->busy--;
    if (!err_is(err))
        maintenance_take(f->maintenance, r);
    plan(f);
}

static void read_row(void *ctx)
{
    struct flow *f = ctx;
    f->busy++;
    store_read(f->store, Q_maintenance_get, NULL, 0, row_read, f);
}

struct err maintenance_new(struct flow *f, bool forced)
{
    f->maintenance = calloc(1, sizeof *f->maintenance);
    if (f->maintenance == NULL)
        return ERR(NO_MEMORY, "maintenance");
    f->maintenance->forced = forced;
    timer_set(f->loop, &f->maintenance->timer, 0, read_row, f);
    return ERR_OK;
}

void maintenance_stop(struct flow *f)
{
    f->maintenance->stopped = true;
    timer_off(f->loop, &f->maintenance->timer);
}

void maintenance_free(struct flow *f)
{
    if (f->maintenance != NULL)
        timer_off(f->loop, &f->maintenance->timer);
    free(f->maintenance);
    f->maintenance = NULL;
}
