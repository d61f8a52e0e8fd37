/* A login by Firebase, up to knowing the person:
 *
 *   check claims -> key is known -> signature -> find by Firebase account -> done
 *                -> fetch keys ->|                  -> find by e-mail -> link -> find again
 *                                                                     -> create ->|
 *
 * Linking and creating are one statement each; who loses a race finds what the other has written.
 */
#include "core/flow/firebase_login.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/crypto/firebase.h"
#include "core/crypto/random.h"
#include "core/flow/auth.h"
#include "core/flow/firebase_keys.h"

enum login_state {
    LOGIN_CHECK,  /* the token */
    LOGIN_SIGNED, /* keys were fetched for it */
    LOGIN_FOUND,
    LOGIN_MAIL_FOUND,
    LOGIN_WRITTEN, /* linked or created */
    LOGIN_FOUND_AGAIN
};

struct login {
    struct flow *flow;
    struct arena *arena;
    struct str text;
    struct uuid invitee;
    firebase_login_fn *done;
    void *ctx;
    enum login_state state;
    struct later later;
    struct firebase_rules rules;
    struct firebase_token token;
    struct str account; /* what the Firebase account is known by */
    char email[USER_EMAIL_MAX + 1];
};

static void login_wake(void *ctx, struct err err);
static void login_begin(void *ctx);
static void user_came(void *ctx, struct err err, const struct user *u);
static void row_written(void *ctx, struct err err, const struct rows *r);

void firebase_login_start(struct flow *f, struct arena *a, struct str id_token, struct uuid invitee,
                          firebase_login_fn *done, void *ctx)
{
    struct login *op = calloc(1, sizeof *op);
    ASSERT(op != NULL);
    op->flow = f;
    op->arena = a;
    op->text = id_token;
    op->invitee = invitee;
    op->done = done;
    op->ctx = ctx;
    f->busy++;
    loop_later(f->loop, &op->later, login_begin, op);
}

static void login_end(struct login *op, struct err err, const struct user *u)
{
    firebase_login_fn *done = op->done;
    void *ctx = op->ctx;
    struct firebase_bearer bearer = {.user = u, .linked = op->state != LOGIN_MAIL_FOUND};
    if (!err_is(err) && !bearer.linked)
        user_hash(op->flow->vault, USER_FIREBASE, op->account, bearer.account);
    /* a hostile token's own words stay out of the log, but for the kid */
    if (err.code == ERR_UNAUTHENTICATED)
        log_info("firebase.refused", F_ERR(err), F_STR("kid", op->token.jwt.kid));
    op->flow->busy--;
    firebase_free(&op->token);
    free(op);
    done(ctx, err, &bearer);
}

static const struct firebase_settings *settings(const struct login *op)
{
    return &op->flow->settings.firebase;
}

static struct err check(struct login *op)
{
    const struct firebase_settings *s = settings(op);
    if (s->first == FIREBASE_OFF)
        return ERR(NOT_FOUND, "logins by Firebase are not set up");
    op->rules = (struct firebase_rules){.project = s->project,
                                        .now_s = loop_wall_us(op->flow->loop) / US_PER_S,
                                        .skew_s = s->skew_s,
                                        .emulator = s->emulator};
    return firebase_read(op->text, &op->rules, &op->token);
}

/* Whether somebody with a verified address is asking: only then may an address say who he is. */
static bool mail_counts(struct login *op)
{
    const struct firebase_user *u = &op->token.user;
    return u->email_verified && user_email(u->email, op->email);
}

static void login_find(struct login *op, enum login_state next)
{
    op->state = next;
    user_find(op->flow, op->arena, USER_FIREBASE, op->account, user_came, op);
}

/* Subs are unique within a project only. */
static void login_find_first(struct login *op)
{
    op->account = arena_fmt(op->arena, "%.*s\n%.*s", STR_ARG(settings(op)->project),
                            STR_ARG(op->token.user.sub));
    if (op->account.p == NULL)
        login_end(op, ERR(NO_MEMORY, "login"), NULL);
    else
        login_find(op, LOGIN_FOUND);
}

static void login_begin(void *ctx)
{
    struct login *op = ctx;
    struct err err = check(op);
    if (!err_is(err)) {
        const struct jwt_keys *keys =
            op->rules.emulator ? NULL : firebase_keys_now(op->flow->firebase_keys);
        err = firebase_signed(&op->token, &op->rules, keys);
        if (err.code == ERR_NOT_FOUND) {
            op->state = LOGIN_SIGNED;
            err = firebase_keys_refresh(op->flow->firebase_keys, login_wake, op);
            if (!err_is(err))
                return;
        }
    }
    if (err_is(err))
        login_end(op, err, NULL);
    else
        login_find_first(op);
}

/* The keys have been fetched, or could not be. */
static void login_wake(void *ctx, struct err err)
{
    struct login *op = ctx;
    ASSERT(op->state == LOGIN_SIGNED);
    if (!err_is(err))
        err = firebase_signed(&op->token, &op->rules, firebase_keys_now(op->flow->firebase_keys));
    if (err.code == ERR_NOT_FOUND)
        err = ERR(UNAUTHENTICATED, err.what);
    if (err_is(err))
        login_end(op, err, NULL);
    else
        login_find_first(op);
}

/* ---- the first login ---- */

static struct str account_hash(const struct login *op, uint8_t hash[USER_HASH])
{
    user_hash(op->flow->vault, USER_FIREBASE, op->account, hash);
    return str_n((const char *)hash, USER_HASH);
}

static void login_link(struct login *op, const struct user *u)
{
    uint8_t hash[USER_HASH];
    char actor[USER_ACTOR_TEXT];
    int64_t now = loop_wall_us(op->flow->loop);
    struct uuid of = u->n_memberships > 0 ? u->membership[0].merchant : UUID_NIL;
    struct value params[] = {
        V_BYTES(account_hash(op, hash)),
        V_UUID(u->id),
        V_I32(u->version),
        V_TIME(now),
        V_UUID(random_uuid(now)),
        V_UUID(of),
        V_TEXT(str_c(user_actor(u->id, actor))),
    };
    op->state = LOGIN_WRITTEN;
    store_exec(op->flow->store, Q_firebase_link, params, COUNT_OF(params), row_written, op);
}

static void login_create(struct login *op)
{
    struct flow *f = op->flow;
    uint8_t hash[USER_HASH], mail[USER_HASH];
    char actor[USER_ACTOR_TEXT];
    int64_t now = loop_wall_us(f->loop);
    struct uuid id = random_uuid(now);
    struct str name = op->token.user.name;
    struct buf person;
    buf_init(&person, USER_SEALED_MAX);
    struct err err = user_person_seal(f->vault, id, str_c(op->email),
                                      name.n <= USER_NAME_MAX ? name : STR_NULL, &person);
    if (err_is(err)) {
        buf_free(&person);
        login_end(op, err, NULL);
        return;
    }
    user_hash(f->vault, USER_EMAIL, str_c(op->email), mail);
    struct value params[] = {
        V_UUID(id),
        V_BYTES(str_n((const char *)mail, USER_HASH)),
        V_BYTES(account_hash(op, hash)),
        V_BYTES(buf_view(&person)),
        V_TIME(now),
        V_UUID(random_uuid(now)),
        V_TEXT(str_c(user_actor(id, actor))),
    };
    op->state = LOGIN_WRITTEN;
    store_exec(f->store, Q_firebase_create, params, COUNT_OF(params), row_written, op);
    buf_free(&person);
}

/* Any user for a login, and one alone for an invitation. */
static bool is_wanted(const struct login *op, const struct user *u)
{
    return uuid_is_nil(op->invitee) || (u != NULL && uuid_eq(u->id, op->invitee));
}

static void mail_found(struct login *op, const struct user *u)
{
    bool create = settings(op)->first == FIREBASE_CREATE, login = uuid_is_nil(op->invitee);
    if (u == NULL && create && login)
        login_create(op);
    else if (u == NULL || !is_wanted(op, u) || (login && str_eq(u->status, STR("invited"))))
        login_end(op, ERR(NO_MEMBERSHIP, "nobody here"), NULL);
    else if (str_eq(u->status, STR("invited")))
        login_end(op, ERR_OK, u);
    else if (!str_eq(u->status, STR("active")))
        login_end(op, ERR(UNAUTHENTICATED, "not an active account"), NULL);
    else if (u->totp_on)
        login_end(op, ERR(TOTP_REQUIRED, NULL), NULL);
    else
        login_link(op, u);
}

static void user_came(void *ctx, struct err err, const struct user *u)
{
    struct login *op = ctx;
    if (err_is(err)) {
        login_end(op, err, NULL);
    } else if (op->state == LOGIN_MAIL_FOUND) {
        mail_found(op, u);
    } else if (u != NULL && !is_wanted(op, u)) {
        login_end(op, ERR(NO_MEMBERSHIP, "somebody else"), NULL);
    } else if (u != NULL) {
        login_end(op, ERR_OK, u);
    } else if (op->state == LOGIN_FOUND_AGAIN) {
        login_end(op, ERR(CONFLICT, "changed meanwhile"), NULL);
    } else if (mail_counts(op)) {
        op->state = LOGIN_MAIL_FOUND;
        user_find(op->flow, op->arena, USER_EMAIL, str_c(op->email), user_came, op);
    } else {
        login_end(op, ERR(NO_MEMBERSHIP, "nobody here, and no verified address"), NULL);
    }
}

static void row_written(void *ctx, struct err err, const struct rows *r)
{
    struct login *op = ctx;
    if (err_is(err)) {
        login_end(op, err, NULL);
        return;
    }
    if (rows_n(r) > 0) /* his sessions may have ended */
        auth_forget(rows_uuid(r, 0, 0));
    log_info("firebase.first_login", F_BOOL("written", rows_n(r) > 0));
    login_find(op, LOGIN_FOUND_AGAIN);
}
