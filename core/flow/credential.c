/* GUARD counts the try, FIND looks the person up, CHECK compares the password on the thread pool
 * and the code of the second factor. A person who is known by id is found first, since his counter
 * goes by his e-mail address. Where the password could not be looked at, RETURN takes the try back.
 *
 * Ways to fail: too many tries before, wrong, not active, no thread free, the database away. */
#include "core/flow/credential.h"

#include <stdlib.h>

#include "core/base/fsm.h"
#include "core/base/secret.h"
#include "core/crypto/totp.h"
#include "core/flow/password_work.h"

enum credential_state {
    CREDENTIAL_START,
    CREDENTIAL_GUARD,
    CREDENTIAL_FIND,
    CREDENTIAL_CHECK,
    CREDENTIAL_RETURN,
    CREDENTIAL_DONE
};
static const char *const state_names[] = {"start", "guard", "find", "check", "return", "done"};
#define TO(s) (1u << CREDENTIAL_##s)
static const uint32_t state_next[] = {
    [CREDENTIAL_START] = TO(GUARD) | TO(FIND),
    [CREDENTIAL_GUARD] = TO(FIND) | TO(CHECK) | TO(DONE),
    [CREDENTIAL_FIND] = TO(GUARD) | TO(CHECK) | TO(DONE),
    [CREDENTIAL_CHECK] = TO(RETURN) | TO(DONE),
    [CREDENTIAL_RETURN] = TO(DONE),
    [CREDENTIAL_DONE] = 0,
};
#undef TO
static const struct fsm credential_fsm = {"credential", state_names, state_next};

struct check {
    struct flow *flow;
    struct arena *arena;
    struct credential_input in;
    struct secret password;
    char email[USER_EMAIL_MAX + 1];
    int state;
    struct err err; /* why the try is taken back */
    struct credential out;
    credential_fn *done;
    void *ctx;
};

static void finish(struct check *c, struct err err)
{
    fsm_enter(&credential_fsm, &c->state, CREDENTIAL_DONE);
    c->flow->busy--;
    secret_free(&c->password);
    c->done(c->ctx, err, &c->out);
    free(c);
}

static void returned(void *ctx, struct err err, const struct rows *r)
{
    struct check *c = ctx;
    (void)err; /* it stays counted: stricter, and not wrong */
    (void)r;
    finish(c, c->err);
}

static void take_back(struct check *c, struct err err)
{
    struct value params[] = {V_BYTES(guard_account(&c->out.guard)),
                             V_BYTES(guard_address(&c->out.guard))};
    c->err = err;
    fsm_enter(&credential_fsm, &c->state, CREDENTIAL_RETURN);
    store_exec(c->flow->store, Q_login_guard_return, params, COUNT_OF(params), returned, c);
}

/* ---- check ---- */

static struct err check_totp(struct check *c)
{
    const struct user *u = c->out.user;
    struct str secret;
    if (!u->totp_on || c->in.without_totp)
        return ERR_OK;
    if (c->in.totp.p == NULL)
        return ERR(TOTP_REQUIRED, NULL);
    TRY(vault_open(c->flow->vault, "account_user.totp", UUID_NIL, u->id, u->totp, c->arena,
                   &secret));
    return totp_check(secret, c->in.totp, loop_wall_us(c->flow->loop), -1, &c->out.totp_step)
               ? ERR_OK
               : ERR(UNAUTHENTICATED, "wrong code");
}

static void checked(void *ctx, struct err err, bool right)
{
    struct check *c = ctx;
    const struct user *u = c->out.user;
    if (err_is(err)) {
        take_back(c, err);
        return;
    }
    if (!right)
        err = ERR(UNAUTHENTICATED, "wrong password");
    if (!err_is(err) && (u == NULL || !str_eq(u->status, STR("active"))))
        err = ERR(UNAUTHENTICATED, "not an active account");
    if (!err_is(err))
        err = check_totp(c);
    finish(c, err);
}

static void check_password(struct check *c)
{
    const struct user *u = c->out.user;
    struct str hash = u != NULL && u->password_hash.p != NULL ? u->password_hash : STR("");
    struct str password = secret_view(&c->password);
    fsm_enter(&credential_fsm, &c->state, CREDENTIAL_CHECK);
    struct err err = password_check_start(c->flow->passwords, password, hash, checked, c);
    if (err_is(err))
        take_back(c, err);
}

/* ---- guard ---- */

static void find(struct check *c);

static void guarded(void *ctx, struct err err, const struct rows *r)
{
    struct check *c = ctx;
    int64_t now = loop_wall_us(c->flow->loop);
    if (!err_is(err) && (!rows_null(r, 0, 0) || rows_i64(r, 0, 1) < 2)) {
        int64_t until = rows_time(r, 0, 0);
        c->out.wait_us = until > now ? until - now : US_PER_S;
        err = ERR(TOO_MANY_ATTEMPTS, NULL);
    }
    if (err_is(err))
        finish(c, err);
    else if (uuid_is_nil(c->in.user))
        find(c);
    else
        check_password(c);
}

/* Peers of a Unix socket that nobody tells apart share no counter but their accounts'. */
static void hash_address(struct check *c)
{
    char text[ADDRESS_BLOCK_TEXT];
    struct str block = str_c(address_block(c->in.address, text));
    struct str all = block;
    if (str_eq(block, STR("unix")))
        all = arena_fmt(c->arena, "unix %s", c->email);
    vault_hash(c->flow->vault, "guard.address", all, c->out.guard.address);
}

static void guard(struct check *c)
{
    struct guard *g = &c->out.guard;
    user_hash(c->flow->vault, USER_EMAIL, str_c(c->email), g->account);
    hash_address(c);
    struct value params[] = {V_BYTES(str_n((char *)g->account, USER_HASH)),
                             V_BYTES(str_n((char *)g->address, USER_HASH)),
                             V_TIME(loop_wall_us(c->flow->loop)), V_I32(CREDENTIAL_TRIES),
                             V_I32(CREDENTIAL_TRIES_ADDRESS)};
    fsm_enter(&credential_fsm, &c->state, CREDENTIAL_GUARD);
    store_exec(c->flow->store, Q_login_guard_take, params, COUNT_OF(params), guarded, c);
}

/* ---- find ---- */

static void found(void *ctx, struct err err, const struct user *u)
{
    struct check *c = ctx;
    c->out.user = u;
    if (!err_is(err) && u == NULL && !uuid_is_nil(c->in.user))
        err = ERR(UNAUTHENTICATED, "no such person");
    if (err_is(err)) {
        finish(c, err);
        return;
    }
    if (uuid_is_nil(c->in.user)) {
        check_password(c);
        return;
    }
    str_copy_c(c->email, sizeof c->email, u->email);
    guard(c);
}

static void find(struct check *c)
{
    fsm_enter(&credential_fsm, &c->state, CREDENTIAL_FIND);
    if (uuid_is_nil(c->in.user))
        user_find(c->flow, c->arena, USER_EMAIL, str_c(c->email), found, c);
    else
        user_get(c->flow, c->arena, c->in.user, found, c);
}

void credential_check(struct flow *f, struct arena *a, const struct credential_input *in,
                      credential_fn *done, void *ctx)
{
    struct check *c = calloc(1, sizeof *c);
    ASSERT(c != NULL);
    c->flow = f;
    c->arena = a;
    c->in = *in;
    c->done = done;
    c->ctx = ctx;
    f->busy++;
    struct err err = secret_set(&c->password, in->password);
    ASSERT(!err_is(err));
    if (uuid_is_nil(in->user)) {
        if (!user_email(in->email, c->email)) /* nobody's, and treated like that */
            str_copy_c(c->email, sizeof c->email, in->email);
        guard(c);
    } else {
        find(c);
    }
}
