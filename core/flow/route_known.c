/* Merchants' routes, parsed once and believed for a second, as fee_terms.c does. */
#include <stdlib.h>

#include "core/base/times.h"
#include "core/flow/route.h"

enum { CACHE = 256, ROUTES_ARENA = 256 * 1024 };
#define FRESH_US US_PER_S
#define ASKING_US (US_PER_S / 4)

struct cached {
    struct uuid merchant;
    bool live;
    int64_t asked_us; /* monotonic; 0: empty */
    int64_t until_us;
    struct routes routes;
};
static struct cached cache[CACHE];

struct asking {
    struct flow *flow;
    struct uuid merchant;
    bool live;
    routes_fn *done;
    void *ctx;
};

static struct cached *slot(struct uuid merchant, bool live)
{
    unsigned random = (unsigned)merchant.b[14] << 8 | merchant.b[15]; /* of a UUIDv7 */
    return &cache[(random ^ (live ? 0x80u : 0u)) % CACHE];
}

static bool is_about(const struct cached *c, struct uuid merchant, bool live)
{
    return c->asked_us != 0 && c->live == live && uuid_eq(c->merchant, merchant);
}

/* When the second is over, who asks first goes to the database, and the others go on with what was
 * known until he is back. */
bool routes_known(struct flow *f, struct uuid merchant, bool live, struct routes *out)
{
    struct cached *c = slot(merchant, live);
    int64_t now = loop_mono_us(f->loop);
    if (!is_about(c, merchant, live) || now >= c->asked_us + 2 * FRESH_US)
        return false;
    if (now >= c->until_us) {
        c->until_us = now + ASKING_US;
        return false;
    }
    *out = c->routes;
    return true;
}

void routes_forget(struct uuid merchant, bool live)
{
    struct cached *c = slot(merchant, live);
    if (is_about(c, merchant, live))
        c->asked_us = 0;
}

/* {"routes": [...]} */
static struct err read_stored(struct str text, int32_t version, struct routes *out)
{
    struct arena a;
    struct json *j;
    TRY(json_parse(text, &j, NULL));
    arena_init(&a, ROUTES_ARENA);
    struct field_errors errors = {.arena = &a};
    routes_read(json_get(j, "routes"), &errors, out);
    out->version = version;
    json_free(j);
    arena_free(&a);
    return errors.n > 0 ? ERR(INTERNAL, "stored routes not understood") : ERR_OK;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct asking *a = ctx;
    struct cached now = {.merchant = a->merchant, .live = a->live};
    if (!err_is(err) && rows_n(r) > 0)
        err = read_stored(rows_str(r, 0, 1), (int32_t)rows_i64(r, 0, 0), &now.routes);
    if (!err_is(err)) {
        int64_t mono = loop_mono_us(a->flow->loop);
        now.asked_us = mono > 0 ? mono : 1;
        now.until_us = mono + FRESH_US;
        *slot(a->merchant, a->live) = now;
    }
    a->flow->busy--;
    a->done(a->ctx, err, err_is(err) ? NULL : &now.routes);
    free(a);
}

void routes_start(struct flow *f, struct uuid merchant, bool live, routes_fn *done, void *ctx)
{
    struct asking *a = calloc(1, sizeof *a);
    ASSERT(a != NULL);
    *a = (struct asking){f, merchant, live, done, ctx};
    f->busy++;
    struct value params[] = {V_UUID(merchant), V_TEXT(mode_word(live))};
    store_read(f->store, Q_route_get, params, COUNT_OF(params), found, a);
}
