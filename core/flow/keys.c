/* The installation's keys: LIST, MAKE what is missing (two replicas may: the first insert wins),
 * LIST again, CHECK. */
#include "core/flow/keys.h"

#include <stdlib.h>

#include "core/base/log.h"

enum { K_KIND, K_NUMBER, K_WRAPPED, K_AT };

struct err keys_take(struct vault *v, const struct rows *r, int64_t now_us)
{
    struct err first = ERR_OK;
    int32_t newest = 0, oldest = INT32_MAX;
    for (size_t i = 0; i < rows_n(r); i++) {
        struct str kind = rows_str(r, i, K_KIND);
        int32_t number = (int32_t)rows_i64(r, i, K_NUMBER);
        struct err err = vault_add(v, kind, number, rows_str(r, i, K_WRAPPED));
        if (err_is(err) && !err_is(first))
            first = err;
        if (!str_eq(kind, STR("data")))
            continue;
        if (number < oldest)
            oldest = number;
        if (number > newest && rows_time(r, i, K_AT) + KEYS_SETTLE_US <= now_us)
            newest = number;
    }
    vault_seal_by(v, newest > 0 ? newest : oldest);
    return first;
}

static void refreshed(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    f->busy--;
    if (!err_is(err))
        err = keys_take(f->vault, r, loop_wall_us(f->loop));
    if (err_is(err))
        log_warn("keys.not_read", F_ERR(err));
}

void keys_refresh(struct flow *f)
{
    f->busy++;
    store_read(f->store, Q_installation_key_list, NULL, 0, refreshed, f);
}

struct keys_load {
    struct flow *flow;
    struct keys_options o;
    struct timer timer;
    bool cancelled;
    bool waiting; /* for the store */
    keys_fn *done;
    void *ctx;
};

static void list(void *ctx);

static void finish(struct keys_load *k, struct err err)
{
    keys_fn *done = k->done;
    void *ctx = k->ctx;
    timer_off(k->flow->loop, &k->timer);
    free(k);
    done(ctx, err);
}

static bool gone(struct keys_load *k)
{
    bool cancelled = k->cancelled;
    k->waiting = false;
    if (cancelled)
        free(k);
    return cancelled;
}

static void again(struct keys_load *k, struct err err)
{
    log_warn("keys.waiting", F_ERR(err));
    timer_set(k->flow->loop, &k->timer, US_PER_S / 2, list, k);
}

static void checked(void *ctx, struct err err, const struct rows *r)
{
    struct keys_load *k = ctx;
    if (gone(k))
        return;
    if (err_is(err)) {
        again(k, err);
        return;
    }
    bool live = rows_bool(r, 0, 0), loose = rows_bool(r, 0, 1);
    if (live && k->o.refuse_live)
        finish(k,
               ERR(CONFIG,
                   "RELI_TEST_CLOCK or FIREBASE_AUTH_EMULATOR_HOST is set and a live key exists"));
    else if (live && loose)
        finish(k, ERR(CONFIG, "a live key exists and the database role may change audit_log"));
    else
        finish(k, ERR_OK);
}

static void made(void *ctx, struct err err, const struct rows *r)
{
    struct keys_load *k = ctx;
    (void)r;
    if (gone(k))
        return;
    if (err_is(err))
        again(k, err);
    else
        list(k);
}

static void made_first(void *ctx, struct err err, const struct rows *r)
{
    (void)ctx, (void)r;
    if (err_is(err))
        log_warn("keys.waiting", F_ERR(err));
}

/* Both inserts go in order over the writers; the listing that follows tells whether they are there.
 */
static void make(struct keys_load *k)
{
    struct flow *f = k->flow;
    static const char *const kinds[] = {"data", "hmac"};
    for (int i = 0; i < 2; i++) {
        struct buf wrapped;
        buf_init(&wrapped, 256);
        struct err err = vault_make_wrapped(f->vault, &wrapped);
        struct value params[] = {V_TEXT(str_c(kinds[i])), V_I32(1), V_BYTES(buf_view(&wrapped)),
                                 V_TIME(loop_wall_us(f->loop))};
        if (err_is(err)) {
            buf_free(&wrapped);
            finish(k, err);
            return;
        }
        bool last = i == 1;
        k->waiting |= last;
        store_exec(f->store, Q_installation_key_insert, params, COUNT_OF(params),
                   last ? made : made_first, k);
        buf_free(&wrapped);
    }
}

static void listed(void *ctx, struct err err, const struct rows *r)
{
    struct keys_load *k = ctx;
    struct flow *f = k->flow;
    if (gone(k))
        return;
    if (err_is(err)) {
        again(k, err);
        return;
    }
    err = keys_take(f->vault, r, loop_wall_us(f->loop));
    if (err_is(err)) {
        finish(k, ERR_D(CONFIG, err.detail, "RELI_MASTER_KEY does not open the stored keys"));
        return;
    }
    if (!vault_ready(f->vault)) {
        make(k);
        return;
    }
    k->waiting = true;
    store_read(f->store, Q_live_keys, NULL, 0, checked, k);
}

static void list(void *ctx)
{
    struct keys_load *k = ctx;
    k->waiting = true;
    store_read(k->flow->store, Q_installation_key_list, NULL, 0, listed, k);
}

struct err keys_load_start(struct flow *f, const struct keys_options *o, keys_fn *done, void *ctx,
                           struct keys_load **out)
{
    struct keys_load *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "keys");
    *k = (struct keys_load){.flow = f, .o = *o, .done = done, .ctx = ctx};
    list(k);
    *out = k;
    return ERR_OK;
}

void keys_load_cancel(struct keys_load *k)
{
    if (k == NULL)
        return;
    timer_off(k->flow->loop, &k->timer);
    k->cancelled = true;
    if (!k->waiting)
        free(k);
}
