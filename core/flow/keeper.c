/* The log's clerk: LEAD, then for each merchant with new rows APPEND and SEAL, one after the other.
 * What fails is found again on the next round. Where much is written rounds follow each other
 * sooner, so that none is long: payments wait behind it. */
#include "core/flow/keeper.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/flow/seal.h"

enum { MERCHANTS = 200, APPEND_ROWS = 1000, SEAL_ROWS = 1000, BUSY = 64 };
#define ROUND_US (500 * US_PER_MS)
#define BUSY_ROUND_US (100 * US_PER_MS) /* after one with BUSY audit rows */
#define LEAD_US (5 * US_PER_S)
#define LEAD_AGAIN_US (400 * US_PER_MS) /* no need to ask again so soon */
#define SWEEP_US US_PER_MIN

struct keeper {
    struct flow *flow;
    struct timer timer;
    bool stopped;
    int64_t swept_us, led_us; /* monotonic: the last sweep, the last lead that was had */
    int64_t made;             /* positions of audit rows, in this round */
    size_t n, at;             /* merchants of this round, and the one being worked on */
    struct uuid merchants[MERCHANTS];
    bool full; /* there may be more than was taken */
    struct seal seal;
    uint8_t previous[SEAL_HASH];
    bool has_previous;
};

static void next_merchant(struct keeper *k);
static void round_start(void *ctx);

static void round_end(struct keeper *k, bool again)
{
    k->flow->busy--;
    if (!k->stopped)
        timer_set(k->flow->loop, &k->timer,
                  again             ? 0
                  : k->made >= BUSY ? BUSY_ROUND_US
                                    : ROUND_US,
                  round_start, k);
}

static void merchant_done(struct keeper *k)
{
    k->at++;
    next_merchant(k);
}

/* ---- seal ---- */

static void find_unsealed(struct keeper *k);

static void sealed(void *ctx, struct err err, const struct rows *r)
{
    struct keeper *k = ctx;
    if (!err_is(err) && rows_n(r) > 0) {
        char head[2 * SEAL_HASH + 1];
        for (int i = 0; i < SEAL_HASH; i++) {
            static const char digits[] = "0123456789abcdef";
            head[2 * i] = digits[k->seal.hash[i] >> 4];
            head[2 * i + 1] = digits[k->seal.hash[i] & 15];
        }
        head[2 * SEAL_HASH] = '\0';
        log_info("audit.sealed", F_ID("merchant", k->seal.merchant), F_I64("n", k->seal.n),
                 F_I64("to", k->seal.to), F_C("head", head));
        find_unsealed(k); /* there may be more than one seal's worth */
        return;
    }
    merchant_done(k);
}

static void rows_came(void *ctx, struct err err, const struct rows *r)
{
    struct keeper *k = ctx;
    struct seal *s = &k->seal;
    int64_t bad = 0;
    if (!err_is(err))
        err = seal_make(k->flow->vault, s,
                        k->has_previous ? str_n((char *)k->previous, SEAL_HASH) : STR(""), r, &bad);
    if (err_is(err)) {
        log_error("audit.not_sealed", F_ID("merchant", s->merchant), F_I64("position", bad),
                  F_ERR(err));
        merchant_done(k);
        return;
    }
    struct value params[] = {V_UUID(s->merchant),
                             V_I64(s->n),
                             V_I64(s->from),
                             V_I64(s->to),
                             V_BYTES(str_n((char *)s->hash, SEAL_HASH)),
                             V_BYTES(str_n((char *)s->mac, SEAL_HASH)),
                             V_TIME(loop_wall_us(k->flow->loop))};
    store_exec(k->flow->store, Q_seal_insert, params, COUNT_OF(params), sealed, k);
}

static void unsealed(void *ctx, struct err err, const struct rows *r)
{
    struct keeper *k = ctx;
    if (err_is(err) || rows_n(r) == 0) {
        merchant_done(k);
        return;
    }
    struct str hash = rows_null(r, 0, 2) ? STR("") : rows_str(r, 0, 2);
    int64_t head = rows_i64(r, 0, 4);
    k->has_previous = hash.n == SEAL_HASH;
    if (k->has_previous)
        memcpy(k->previous, hash.p, SEAL_HASH);
    k->seal = (struct seal){
        .merchant = rows_uuid(r, 0, 0), .n = rows_i64(r, 0, 1) + 1, .from = rows_i64(r, 0, 3) + 1};
    k->seal.to = head - k->seal.from + 1 > SEAL_ROWS ? k->seal.from + SEAL_ROWS - 1 : head;
    struct value params[] = {V_UUID(k->seal.merchant), V_I64(k->seal.from - 1), V_I64(k->seal.to),
                             V_I64(SEAL_ROWS)};
    store_read(k->flow->store, Q_seal_rows, params, COUNT_OF(params), rows_came, k);
}

static void find_unsealed(struct keeper *k)
{
    struct value params[] = {V_UUID(k->merchants[k->at]), V_I64(1)};
    store_read(k->flow->store, Q_seal_waiting, params, COUNT_OF(params), unsealed, k);
}

/* ---- append ---- */

static void appended(void *ctx, struct err err, const struct rows *r)
{
    struct keeper *k = ctx;
    if (err_is(err)) {
        merchant_done(k);
        return;
    }
    k->full |= rows_i64(r, 0, 0) == APPEND_ROWS;
    k->made += rows_i64(r, 0, 1);
    if (rows_i64(r, 0, 1) > 0)
        find_unsealed(k);
    else
        merchant_done(k);
}

static void next_merchant(struct keeper *k)
{
    if (k->at == k->n || k->stopped) {
        round_end(k, k->full);
        return;
    }
    struct value params[] = {V_UUID(k->merchants[k->at]), V_I64(APPEND_ROWS),
                             V_TIME(loop_wall_us(k->flow->loop))};
    store_exec(k->flow->store, Q_log_append, params, COUNT_OF(params), appended, k);
}

/* ---- a round ---- */

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct keeper *k = ctx;
    k->at = 0;
    k->n = err_is(err) ? 0 : rows_n(r);
    k->full = k->n == MERCHANTS;
    for (size_t i = 0; i < k->n; i++)
        k->merchants[i] = rows_uuid(r, i, 0);
    next_merchant(k);
}

/* Once a minute also those whose seal was not finished by a process that died. */
static void look(struct keeper *k)
{
    struct flow *f = k->flow;
    struct value limit = V_I64(MERCHANTS);
    if (loop_mono_us(f->loop) - k->swept_us >= SWEEP_US) {
        struct value params[] = {V_UUID_OPT(UUID_NIL), limit};
        k->swept_us = loop_mono_us(f->loop);
        store_read(f->store, Q_seal_waiting, params, COUNT_OF(params), found, k);
        return;
    }
    store_read(f->store, Q_log_waiting, &limit, 1, found, k);
}

static void leading(void *ctx, struct err err, const struct rows *r)
{
    struct keeper *k = ctx;
    if (err_is(err) || rows_n(r) == 0) {
        round_end(k, false);
        return;
    }
    k->led_us = loop_mono_us(k->flow->loop);
    look(k);
}

static void round_start(void *ctx)
{
    struct keeper *k = ctx;
    struct flow *f = k->flow;
    int64_t now = loop_wall_us(f->loop);
    f->busy++;
    k->made = 0;
    if (k->led_us != 0 && loop_mono_us(f->loop) - k->led_us < LEAD_AGAIN_US) {
        look(k);
        return;
    }
    k->led_us = 0;
    struct value params[] = {V_UUID(f->replica), V_TIME(now), V_TIME(now + LEAD_US)};
    store_exec(f->store, Q_log_lead, params, COUNT_OF(params), leading, k);
}

struct err keeper_new(struct flow *f, struct keeper **out)
{
    struct keeper *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "keeper");
    k->flow = f;
    k->swept_us = loop_mono_us(f->loop);
    timer_set(f->loop, &k->timer, ROUND_US, round_start, k);
    *out = k;
    return ERR_OK;
}

void keeper_stop(struct keeper *k)
{
    k->stopped = true;
    timer_off(k->flow->loop, &k->timer);
}

void keeper_free(struct keeper *k)
{
    free(k);
}
