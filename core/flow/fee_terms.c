/* Fee schedules and limits, parsed once and believed for a second. When that is over, who asks
 * first goes to the database, and the others go on with what was known until he is back. */
#include "core/flow/fee_terms.h"

#include <stdlib.h>

#include "core/base/times.h"

enum { CACHE = 1024 };
#define FRESH_US US_PER_S
#define ASKING_US (US_PER_S / 4)

struct cached {
    struct uuid merchant;
    bool live;
    int32_t version;
    struct fee_schedule schedule; /* its currency even without a version */
    struct limit_rules limits;
    int64_t asked_us; /* monotonic; 0: empty */
    int64_t until_us;
};
static struct cached cache[CACHE];
static unsigned n_forgotten; /* what was asked for before is not kept */

struct asking {
    struct flow *flow;
    struct fee_question q;
    unsigned n_forgotten; /* when it was asked */
    fee_terms_fn *done;
    void *ctx;
};

static struct cached *slot(const struct fee_question *q)
{
    unsigned random = (unsigned)q->merchant.b[14] << 8 | q->merchant.b[15]; /* of a UUIDv7 */
    return &cache[(random ^ q->amount.currency ^ (q->live ? 0x200u : 0u)) % CACHE];
}

static bool is_about(const struct cached *c, const struct fee_question *q)
{
    return c->asked_us != 0 && c->live == q->live && c->schedule.currency == q->amount.currency &&
           uuid_eq(c->merchant, q->merchant);
}

void fee_terms_by(const struct fee_schedule *schedule, struct money amount,
                  const struct gateway *gateway, struct fee_terms *out)
{
    struct fee fee;
    struct err err = fee_compute(schedule, amount, &fee);
    out->on_top = schedule->payer == FEE_PAYER_CUSTOMER;
    if (!err_is(err) && out->on_top && gateway->whole_units)
        err = fee_round_top(&fee);
    int64_t max = gateway->max_minor;
    out->too_much = err_is(err) || (max > 0 && fee.gross.minor > max);
    out->fee_minor = out->too_much ? 0 : fee.fee.minor;
}

static struct fee_terms terms_of(const struct fee_question *q, const struct cached *c)
{
    struct fee_terms terms = {.version = c->version, .limits = &c->limits};
    if (c->version != 0)
        fee_terms_by(&c->schedule, q->amount, q->gateway, &terms);
    return terms;
}

bool fee_terms_known(struct flow *f, const struct fee_question *q, struct fee_terms *out)
{
    struct cached *c = slot(q);
    int64_t now = loop_mono_us(f->loop);
    if (!is_about(c, q) || now >= c->asked_us + 2 * FRESH_US)
        return false;
    if (now >= c->until_us) {
        c->until_us = now + ASKING_US;
        return false;
    }
    *out = terms_of(q, c);
    return true;
}

void fee_terms_forget(struct uuid merchant, bool live)
{
    n_forgotten++;
    for (size_t i = 0; i < CACHE; i++)
        if (cache[i].live == live && uuid_eq(cache[i].merchant, merchant))
            cache[i].asked_us = 0;
}

enum { T_VERSION, T_SCHEDULE, T_LIMITS };

static struct err read_terms(const struct asking *a, const struct rows *r, struct cached *out)
{
    int64_t now = loop_mono_us(a->flow->loop);
    *out = (struct cached){
        .merchant = a->q.merchant,
        .live = a->q.live,
        .schedule = {.currency = a->q.amount.currency},
        .asked_us = now > 0 ? now : 1,
        .until_us = now + FRESH_US,
    };
    if (rows_n(r) == 0)
        return ERR_OK;
    TRY(limit_rules_parse(rows_str(r, 0, T_LIMITS), a->q.amount.currency, &out->limits));
    out->version = (int32_t)rows_i64(r, 0, T_VERSION);
    if (out->version == 0)
        return ERR_OK;
    struct err err = fee_parse(rows_str(r, 0, T_SCHEDULE), a->q.amount.currency, &out->schedule);
    return err_is(err) ? ERR_D(INTERNAL, err.detail, "stored fee schedule not understood") : ERR_OK;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct asking *a = ctx;
    struct cached now = {0};
    struct fee_terms terms = {0};
    if (!err_is(err))
        err = read_terms(a, r, &now);
    if (!err_is(err)) {
        *slot(&a->q) = now;
        terms = terms_of(&a->q, slot(&a->q));
        if (a->n_forgotten != n_forgotten)
            slot(&a->q)->asked_us = 0;
    }
    a->flow->busy--;
    a->done(a->ctx, err, err_is(err) ? NULL : &terms);
    free(a);
}

void fee_terms_start(struct flow *f, const struct fee_question *q, fee_terms_fn *done, void *ctx)
{
    struct asking *a = calloc(1, sizeof *a);
    ASSERT(a != NULL);
    *a = (struct asking){f, *q, n_forgotten, done, ctx};
    f->busy++;
    struct value params[] = {V_UUID(q->merchant), V_TEXT(mode_word(q->live)),
                             V_TEXT(currency_str(q->amount.currency))};
    store_read(f->store, Q_terms_get, params, COUNT_OF(params), found, a);
}
