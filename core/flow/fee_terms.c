/* Fee schedules, parsed once and believed for a second. When that is over, who asks first goes to
 * the database, and the others go on with what was known until he is back. */
#include "core/flow/fee_terms.h"

#include <stdlib.h>

#include "core/base/times.h"

enum { CACHE = 1024 };
#define FRESH_US US_PER_S
#define ASKING_US (US_PER_S / 4)

struct cached {
    struct uuid merchant;
    bool live;
    int64_t asked_us; /* monotonic; 0: empty */
    int64_t until_us;
    struct fee_terms terms; /* of schedule.currency */
};
static struct cached cache[CACHE];

struct asking {
    struct flow *flow;
    struct uuid merchant;
    bool live;
    uint16_t currency;
    fee_terms_fn *done;
    void *ctx;
};

static struct cached *slot(struct uuid merchant, bool live, uint16_t currency)
{
    unsigned random = (unsigned)merchant.b[14] << 8 | merchant.b[15]; /* of a UUIDv7 */
    return &cache[(random ^ currency ^ (live ? 0x200u : 0u)) % CACHE];
}

static bool is_of(const struct cached *c, struct uuid merchant, bool live, uint16_t currency)
{
    return c->asked_us != 0 && c->live == live && c->terms.schedule.currency == currency &&
           uuid_eq(c->merchant, merchant);
}

const struct fee_terms *fee_terms_known(struct flow *f, struct uuid merchant, bool live,
                                        uint16_t currency)
{
    struct cached *c = slot(merchant, live, currency);
    int64_t now = loop_mono_us(f->loop);
    if (!is_of(c, merchant, live, currency) || now >= c->asked_us + 2 * FRESH_US)
        return NULL;
    if (now < c->until_us)
        return &c->terms;
    c->until_us = now + ASKING_US;
    return NULL;
}

static void keep(const struct asking *a, const struct fee_terms *terms)
{
    int64_t now = loop_mono_us(a->flow->loop);
    *slot(a->merchant, a->live, a->currency) = (struct cached){
        .merchant = a->merchant,
        .live = a->live,
        .asked_us = now > 0 ? now : 1,
        .until_us = now + FRESH_US,
        .terms = *terms,
    };
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct asking *a = ctx;
    struct fee_terms terms = {.schedule = {.currency = a->currency}};
    if (!err_is(err) && rows_n(r) > 0) {
        terms.version = (int32_t)rows_i64(r, 0, 0);
        err = fee_parse(rows_str(r, 0, 1), a->currency, &terms.schedule);
        if (err_is(err))
            err = ERR_D(INTERNAL, err.detail, "stored fee schedule not understood");
    }
    if (!err_is(err))
        keep(a, &terms);
    a->flow->busy--;
    a->done(a->ctx, err, err_is(err) ? NULL : &terms);
    free(a);
}

void fee_terms_start(struct flow *f, struct uuid merchant, bool live, uint16_t currency,
                     fee_terms_fn *done, void *ctx)
{
    struct asking *a = calloc(1, sizeof *a);
    ASSERT(a != NULL);
    *a = (struct asking){f, merchant, live, currency, done, ctx};
    f->busy++;
    struct value params[] = {V_UUID(merchant), V_TEXT(mode_word(live)),
                             V_TEXT(currency_str(currency))};
    store_read(f->store, Q_fee_schedule_get, params, COUNT_OF(params), found, a);
}
