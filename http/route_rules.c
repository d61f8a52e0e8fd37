/* The merchant's routes: shown, and set as a whole. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/flow/route.h"

enum { ROUTES_TEXT_MAX = 64 * 1024 };

struct route_op {
    struct http_exchange *x;
    struct routes routes;
};

static void reply(struct http_exchange *x, const struct routes *routes)
{
    struct buf b;
    buf_init(&b, ROUTES_TEXT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "routes");
    jw_str(&w, "mode", mode_word(api_who(x)->live));
    jw_i64(&w, "version", routes->version);
    jw_key(&w, "routes");
    routes_put(&w, routes);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

static void found(void *ctx, struct err err, const struct routes *routes)
{
    struct http_exchange *x = ctx;
    if (err_is(err))
        http_problem(x, err, "");
    else
        reply(x, routes);
}

/* Always from the database: another replica may have changed them. */
void route_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    routes_start(api_of(x)->flow, who->merchant, who->live, found, x);
}

static void written(void *ctx, struct err err, const struct rows *r)
{
    struct route_op *op = ctx;
    const struct principal *who = api_who(op->x);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    if (err_is(err)) {
        http_problem(op->x, err,
                     err.code == ERR_CONFLICT ? "They were set at the same moment." : "");
        return;
    }
    op->routes.version = (int32_t)rows_i64(r, 0, 0);
    routes_forget(who->merchant, who->live);
    reply(op->x, &op->routes);
}

static void write_routes(struct route_op *op)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct buf b;
    buf_init(&b, ROUTES_TEXT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_key(&w, "routes");
    routes_put(&w, &op->routes);
    jw_close(&w);
    struct value params[] = {V_UUID(who->merchant),    V_TEXT(mode_word(who->live)),
                             V_TEXT(buf_view(&b)),     V_TIME(now),
                             V_UUID(random_uuid(now)), V_TEXT(str_c(who->actor))};
    if (b.failed)
        http_problem(op->x, ERR(NO_MEMORY, "routes"), "");
    else
        store_exec(f->store, Q_route_set, params, COUNT_OF(params), written, op);
    buf_free(&b);
}

void route_put(struct http_exchange *x)
{
    static const char *const names[] = {"routes", NULL};
    struct route_op *op = ARENA_NEW(x->arena, struct route_op);
    struct body_fields b;
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "routes"), "");
        return;
    }
    if (!body_open(x, &b))
        return;
    op->x = x;
    fields_only(&b.f, names);
    routes_read(json_get(b.json, "routes"), &b.errors, &op->routes);
    if (body_close(x, &b))
        write_routes(op);
}
