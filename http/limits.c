/* A merchant's limits on money: shown, and set as a whole. */
#include "http/api.h"

#include "core/crypto/random.h"
#include "core/flow/fee_terms.h"
#include "core/flow/limit_text.h"

enum { LIMITS_TEXT_MAX = 64 * 1024 };

struct limit_op {
    struct http_exchange *x;
    struct limit_rules rules;
};

static void reply(struct http_exchange *x, const struct limit_rules *rules)
{
    struct buf b;
    buf_init(&b, LIMITS_TEXT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "limits");
    jw_str(&w, "mode", mode_word(api_who(x)->live));
    jw_key(&w, "limits");
    limits_put(&w, rules);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

static struct limit_op *op_new(struct http_exchange *x)
{
    struct limit_op *op = ARENA_NEW(x->arena, struct limit_op);
    if (op == NULL)
        http_problem(x, ERR(NO_MEMORY, "limits"), "");
    else
        op->x = x;
    return op;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct limit_op *op = ctx;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        if (op->rules.n == LIMIT_RULES_MAX ||
            !limit_rule_of(r, i, 0, &op->rules.rule[op->rules.n++]))
            err = ERR(INTERNAL, "stored limit not understood");
    if (err_is(err))
        http_problem(op->x, err, "");
    else
        reply(op->x, &op->rules);
}

void limit_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct limit_op *op = op_new(x);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    if (op != NULL)
        store_read(api_of(x)->flow->store, Q_limit_get, params, COUNT_OF(params), found, op);
}

static void written(void *ctx, struct err err, const struct rows *r)
{
    struct limit_op *op = ctx;
    const struct principal *who = api_who(op->x);
    fee_terms_forget(who->merchant, who->live);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(op->x, err, "");
    else
        limit_index(op->x); /* in their order */
}

static void write_limits(struct limit_op *op)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct buf b;
    buf_init(&b, LIMITS_TEXT_MAX);
    struct jsonw w = jw_into(&b);
    limits_put_stored(&w, &op->rules);
    struct value params[] = {V_UUID(who->merchant),    V_TEXT(mode_word(who->live)),
                             V_JSON(buf_view(&b)),     V_TIME(now),
                             V_UUID(random_uuid(now)), V_TEXT(str_c(who->actor))};
    if (b.failed)
        http_problem(op->x, ERR(NO_MEMORY, "limits"), "");
    else
        store_exec(f->store, Q_limit_set, params, COUNT_OF(params), written, op);
    buf_free(&b);
}

void limit_put(struct http_exchange *x)
{
    static const char *const names[] = {"limits", NULL};
    struct limit_op *op = op_new(x);
    struct body_fields b;
    if (op == NULL || !body_open(x, &b))
        return;
    fields_only(&b.f, names);
    limits_read(json_get(b.json, "limits"), &b.errors, &op->rules);
    if (body_close(x, &b))
        write_limits(op);
}
