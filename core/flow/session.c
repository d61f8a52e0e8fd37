/* Sessions: opened by a login, gone on with by refresh tokens, ended by a logout, by reuse, by
 * disuse or by age. Each step is one statement with its own conditions: who loses a race gets no
 * row. */
#include "core/flow/session.h"

#include <stdlib.h>

#include "core/crypto/random.h"
#include "core/flow/session_token.h"

struct session_op {
    struct flow *flow;
    struct arena *arena;
    void *ctx;
    struct uuid session;
    /* opening */
    struct session_input in;
    const struct user_membership *membership;
    session_open_fn *opened;
    /* going on */
    int32_t generation;
    session_refresh_fn *refreshed;
    int64_t refresh_until_us;
};

static const struct session_rules *rules_of(const struct flow *f)
{
    return &f->settings.sessions;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static struct session_op *op_new(struct flow *f, struct arena *a, void *ctx)
{
    struct session_op *op = calloc(1, sizeof *op);
    ASSERT(op != NULL);
    op->flow = f;
    op->arena = a;
    op->ctx = ctx;
    f->busy++;
    return op;
}

static struct err make_tokens(struct session_op *op, struct uuid user, int64_t ends_us,
                              struct session_tokens *out)
{
    struct flow *f = op->flow;
    int64_t now = loop_wall_us(f->loop);
    out->access_until_us = earlier(now + rules_of(f)->access_us, ends_us);
    out->refresh_until_us = op->refresh_until_us;
    session_refresh_make(f->vault, op->session, op->generation, out->refresh);
    return session_access_make(rules_of(f), op->arena, user, op->session, now, out->access_until_us,
                               &out->access);
}

/* ---- opening ---- */

static int64_t ends_us(const struct session_op *op)
{
    return uuid_v7_ms(op->session) * US_PER_MS + rules_of(op->flow)->max_us;
}

static void open_done(struct session_op *op, struct err err)
{
    struct session_grant g = {
        .user = op->in.user, .membership = op->membership, .session = op->session};
    if (!err_is(err))
        err = make_tokens(op, op->in.user->id, ends_us(op), &g.tokens);
    session_open_fn *done = op->opened;
    void *ctx = op->ctx;
    op->flow->busy--;
    free(op);
    done(ctx, err, &g);
    explicit_bzero(g.tokens.refresh, sizeof g.tokens.refresh);
}

static void open_written(void *ctx, struct err err, const struct rows *r)
{
    struct session_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(UNAUTHENTICATED, "changed meanwhile, or the code was used");
    op->generation = 1;
    open_done(op, err);
}

static const struct user_membership *membership_of(const struct session_input *in)
{
    const struct user *u = in->user;
    struct uuid wanted = UUID_NIL;
    if (in->merchant.p != NULL && !uuid_parse(in->merchant, &wanted))
        return NULL;
    for (size_t i = 0; i < u->n_memberships; i++)
        if (in->merchant.p == NULL || uuid_eq(u->membership[i].merchant, wanted))
            return &u->membership[i];
    return NULL;
}

static struct err open_refused(const struct session_op *op)
{
    const struct user *u = op->in.user;
    if (rules_of(op->flow)->n_secrets == 0)
        return ERR(UNAVAILABLE, "JWT_SECRET_KEY is not set");
    if (!str_eq(u->status, STR("active")))
        return ERR(UNAUTHENTICATED, "not an active account");
    if (u->totp_on && op->in.totp_step == 0)
        return ERR(TOTP_REQUIRED, NULL);
    if (op->membership == NULL)
        return ERR(NO_MEMBERSHIP, NULL);
    return ERR_OK;
}

struct refusal {
    struct later later;
    struct session_op *op;
    struct err err;
};

static void open_refuse(void *ctx)
{
    struct refusal *no = ctx;
    struct session_op *op = no->op;
    struct err err = no->err;
    free(no);
    open_done(op, err);
}

void session_open(struct flow *f, struct arena *a, const struct session_input *in,
                  session_open_fn *done, void *ctx)
{
    struct session_op *op = op_new(f, a, ctx);
    int64_t now = loop_wall_us(f->loop);
    char actor[USER_ACTOR_TEXT];
    op->opened = done;
    op->in = *in;
    op->session = random_uuid(now);
    op->membership = membership_of(in);
    op->refresh_until_us = earlier(now + rules_of(f)->refresh_us, ends_us(op));
    struct err err = open_refused(op);
    if (err_is(err)) {
        struct refusal *no = calloc(1, sizeof *no);
        ASSERT(no != NULL);
        no->op = op;
        no->err = err;
        loop_later(f->loop, &no->later, open_refuse, no);
        return;
    }
    struct value params[] = {
        V_UUID(op->session),
        V_UUID(in->user->id),
        V_UUID(op->membership->merchant),
        V_TIME(now),
        V_TIME(op->refresh_until_us),
        V_TIME(ends_us(op)),
        V_I64(in->totp_step),
        V_BYTES(guard_account(in->guard)),
        V_I32(in->user->version),
        V_TEXT(in->address),
        V_UUID(random_uuid(now)),
        V_TEXT(str_c(user_actor(in->user->id, actor))),
        V_TEXT(str_c(in->how)),
        V_BYTES(guard_address(in->guard)),
    };
    store_exec(f->store, Q_session_open, params, COUNT_OF(params), open_written, op);
}

/* ---- going on ---- */

static void refresh_done(struct session_op *op, struct err err, const struct session_tokens *t,
                         const struct session_reuse *reused)
{
    session_refresh_fn *done = op->refreshed;
    void *ctx = op->ctx;
    op->flow->busy--;
    free(op);
    done(ctx, err, t, reused);
}

static void reuse_looked_at(void *ctx, struct err err, const struct rows *r)
{
    struct session_reuse reused = {0};
    if (!err_is(err) && rows_n(r) > 0)
        reused = (struct session_reuse){true, rows_uuid(r, 0, 0), rows_uuid(r, 0, 1)};
    if (reused.is)
        auth_forget(reused.user);
    if (!err_is(err))
        err = ERR(UNAUTHENTICATED, "refresh token not good any more");
    refresh_done(ctx, err, NULL, &reused);
}

/* That two came at once shows only now: the one that lost sees what the other has committed. */
static void look_for_reuse(struct session_op *op)
{
    int64_t now = loop_wall_us(op->flow->loop);
    struct value params[] = {V_UUID(op->session), V_I32(op->generation), V_TIME(now),
                             V_UUID(random_uuid(now))};
    store_exec(op->flow->store, Q_session_reused, params, COUNT_OF(params), reuse_looked_at, op);
}

static void refresh_written(void *ctx, struct err err, const struct rows *r)
{
    struct session_op *op = ctx;
    struct session_tokens t = {0};
    if (!err_is(err) && rows_n(r) == 0) {
        look_for_reuse(op);
        return;
    }
    op->generation++;
    if (!err_is(err)) {
        op->refresh_until_us = earlier(op->refresh_until_us, rows_time(r, 0, 2));
        err = make_tokens(op, rows_uuid(r, 0, 0), rows_time(r, 0, 2), &t);
    }
    refresh_done(op, err, &t, &(struct session_reuse){0});
    explicit_bzero(t.refresh, sizeof t.refresh);
}

static void refresh_forged(void *ctx)
{
    struct refusal *no = ctx;
    struct session_op *op = no->op;
    struct err err = no->err;
    free(no);
    refresh_done(op, err, NULL, &(struct session_reuse){0});
}

void session_refresh(struct flow *f, struct arena *a, struct str refresh, session_refresh_fn *done,
                     void *ctx)
{
    struct session_op *op = op_new(f, a, ctx);
    int64_t now = loop_wall_us(f->loop);
    op->refreshed = done;
    op->refresh_until_us = now + rules_of(f)->refresh_us;
    if (!session_refresh_read(f->vault, refresh, &op->session, &op->generation)) {
        struct refusal *no = calloc(1, sizeof *no);
        ASSERT(no != NULL);
        no->op = op;
        no->err = ERR(UNAUTHENTICATED, "no refresh token");
        loop_later(f->loop, &no->later, refresh_forged, no);
        return;
    }
    struct value params[] = {V_UUID(op->session), V_I32(op->generation), V_TIME(now),
                             V_TIME(op->refresh_until_us), V_TIME(now - rules_of(f)->idle_us)};
    store_exec(f->store, Q_session_refresh, params, COUNT_OF(params), refresh_written, op);
}

void session_end(struct flow *f, const struct session_ending *e, store_rows_fn *done, void *ctx)
{
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(e->user),       V_UUID_OPT(e->session),   V_TIME(now),
                             V_TEXT(str_c(e->why)), V_UUID(random_uuid(now)), V_UUID(e->merchant),
                             V_TEXT(e->actor)};
    store_exec(f->store, Q_session_end, params, COUNT_OF(params), done, ctx);
}
