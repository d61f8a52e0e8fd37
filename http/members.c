/* People of a merchant: listed, invited, confirmed, given other roles, taken out. On the platform
 * merchant that is the installation's staff. Who invites is given the token, and can be who accepts
 * it: until another person confirms him a member is no second one (core/domain/person.h). Owners
 * are made and changed by owners only, and the last one stays: the statements see to it. */
#include "http/api.h"

#include "core/codec/jsonw.h"
#include "core/crypto/password.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"
#include "core/domain/person.h"
#include "core/flow/firebase_login.h"
#include "core/flow/password_work.h"
#include "http/list.h"

enum { MEMBER_BODY = 1 << 20, TOKEN_LEN = 4 + 2 * (16 + 16 + 24) };
#define INVITATION_US (7 * US_PER_DAY)

/* One request; in the exchange's arena. */
struct member_op {
    struct http_exchange *x;
    struct uuid merchant, user;
    enum role role;
    struct str name, password, id_token;
    char spelling[USER_EMAIL_MAX + 1];
    int status;
    /* an invitation */
    char token[TOKEN_LEN + 1];
    uint8_t token_hash[32];
    int64_t expires_us;
    bool shows_token;
    const struct user *known;
    struct str inviter;           /* the person */
    char stands_for[PERSON_TEXT]; /* from now on, if he is not confirmed */
    struct str hash;              /* of the password; p == NULL: he keeps what he has */
    struct guard guard;
    bool counted; /* a try, to be forgiven */
    uint8_t firebase[USER_HASH];
    bool links; /* that account of Firebase */
};

static struct flow *flow_of(const struct member_op *op)
{
    return api_of(op->x)->flow;
}

static struct member_op *op_new(struct http_exchange *x)
{
    struct member_op *op = ARENA_NEW(x->arena, struct member_op);
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "member"), "");
        return NULL;
    }
    op->x = x;
    if (api_who(x) != NULL)
        op->merchant = api_who(x)->merchant;
    return op;
}

/* ---- showing ---- */

enum {
    M_USER,
    M_PERSON,
    M_ROLE,
    M_STATUS,
    M_ACCOUNT,
    M_TOTP,
    M_LOCKED,
    M_LOGIN,
    M_EXPIRES,
    M_CREATED,
    M_UPDATED,
    M_STANDS_FOR
};

static struct str status_of(const struct rows *r, size_t i, int64_t now_us)
{
    if (!str_eq(rows_str(r, i, M_STATUS), STR("active")))
        return rows_str(r, i, M_STATUS);
    if (!str_eq(rows_str(r, i, M_ACCOUNT), STR("active")))
        return rows_str(r, i, M_ACCOUNT);
    return rows_time(r, i, M_LOCKED) > now_us ? STR("locked") : STR("active");
}

/* Of who has not joined yet no more than his address: anybody can be invited, and whether he is
 * known elsewhere, by what name and when he was there last is not the inviter's to see. */
static struct err put_member(struct jsonw *w, struct member_op *op, const struct rows *r, size_t i)
{
    struct flow *f = flow_of(op);
    struct str email, name;
    bool joined = str_eq(rows_str(r, i, M_STATUS), STR("active"));
    bool named = joined || str_eq(rows_str(r, i, M_ACCOUNT), STR("invited"));
    struct uuid id = rows_uuid(r, i, M_USER);
    TRY(user_person_open(f->vault, id, rows_str(r, i, M_PERSON), op->x->arena, &email, &name));
    jw_open(w);
    jw_uuid(w, "id", id);
    jw_c(w, "object", "member");
    jw_str(w, "email", email);
    jw_str(w, "name", named ? name : STR_NULL);
    jw_str(w, "role", rows_str(r, i, M_ROLE));
    jw_str(w, "status", status_of(r, i, loop_wall_us(f->loop)));
    jw_bool(w, "confirmed", joined && rows_null(r, i, M_STANDS_FOR));
    jw_bool(w, "totp_enabled", joined && rows_bool(r, i, M_TOTP));
    jw_time(w, "last_login_at", joined ? rows_time(r, i, M_LOGIN) : 0);
    if (op->shows_token) {
        jw_key(w, "invitation");
        jw_open(w);
        jw_c(w, "token", op->token);
        jw_time(w, "expires_at", op->expires_us);
        jw_close(w);
    }
    jw_time(w, "created_at", rows_time(r, i, M_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, M_UPDATED));
    jw_close(w);
    return ERR_OK;
}

static void reply(struct member_op *op, struct err err, struct buf *b)
{
    if (err_is(err)) {
        buf_free(b);
        http_problem(op->x, err, err.code == ERR_NOT_FOUND ? "No such member." : "");
    } else {
        api_reply_buf(op->x, op->status, b);
    }
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    struct buf b;
    buf_init(&b, MEMBER_BODY);
    struct jsonw w = jw_into(&b);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err))
        err = put_member(&w, op, r, 0);
    reply(op, err, &b);
}

static void load(struct member_op *op, store_rows_fn *done)
{
    struct value params[] = {V_UUID(op->merchant), V_UUID(op->user), V_UUID(uuid_next(op->user)),
                             V_I64(1), V_I64(0)};
    store_read(flow_of(op)->store, Q_member_list, params, COUNT_OF(params), done, op);
}

static void show(struct member_op *op, int status)
{
    op->status = status;
    load(op, shown);
}

/* ---- listing ---- */

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    return put_member(w, l->ctx, r, row);
}

static const struct list_kind members = {
    .queries = LIST_QUERIES(member_list),
    .id = M_USER,
    .rising = true,
    .put = put_listed,
};

void member_index(struct http_exchange *x)
{
    struct member_op *op = op_new(x);
    struct listing *l = op != NULL ? list_new(x, &members, op) : NULL;
    if (l != NULL)
        list_run(l, &V_UUID(op->merchant), 1);
}

/* ---- reading ---- */

static void read_role(struct fields *f, struct member_op *op)
{
    struct str s;
    if (fields_text(f, "role", REQUIRED, 1, 16, &s) && !role_parse(s, &op->role))
        fields_fault(f, "role", "unknown", "owner, admin, operator, viewer or support.");
}

static void read_invitation(struct fields *f, struct member_op *op)
{
    static const char *const names[] = {"email", "role", "name", NULL};
    struct str s;
    fields_only(f, names);
    read_role(f, op);
    if (fields_text(f, "email", REQUIRED, 3, USER_EMAIL_MAX, &s) && !user_email(s, op->spelling))
        fields_fault(f, "email", "format", "Not an e-mail address.");
    if (fields_text(f, "name", OPTIONAL, 1, USER_NAME_MAX, &s))
        op->name = arena_dup(op->x->arena, s);
}

static void read_change(struct fields *f, struct member_op *op)
{
    static const char *const names[] = {"role", NULL};
    fields_only(f, names);
    read_role(f, op);
}

static bool read_token(struct member_op *op, struct str s)
{
    uint8_t b[32];
    if (s.n != TOKEN_LEN || !str_starts(s, STR("rit_")) ||
        !hex_decode(str_first(str_from(s, 4), 64), true, b, sizeof b))
        return false;
    memcpy(op->merchant.b, b, 16);
    memcpy(op->user.b, b + 16, 16);
    vault_hash(flow_of(op)->vault, "invitation", s, op->token_hash);
    return true;
}

static void read_acceptance(struct fields *f, struct member_op *op)
{
    static const char *const names[] = {"token", "password", "id_token", "name", NULL};
    struct str s, password = STR_NULL, id_token = STR_NULL;
    fields_only(f, names);
    if (fields_text(f, "token", REQUIRED, 1, 256, &s) && !read_token(op, s))
        op->user = UUID_NIL; /* nobody's */
    if (fields_text(f, "password", OPTIONAL, PASSWORD_MIN, PASSWORD_MAX, &password) &&
        !password_fits(password))
        fields_fault(f, "password", "length", "8 to 256 bytes.");
    (void)fields_text(f, "id_token", OPTIONAL, 1, ID_TOKEN_FIELD_MAX, &id_token);
    if (f->errors->n == 0 && (password.p == NULL) == (id_token.p == NULL))
        fields_fault(f, "password", "required", "Send either password or id_token.");
    if (id_token.p != NULL)
        op->id_token = arena_dup(op->x->arena, id_token);
    else
        op->password = arena_dup(op->x->arena, password);
    if (fields_text(f, "name", OPTIONAL, 1, USER_NAME_MAX, &s))
        op->name = arena_dup(op->x->arena, s);
}

/* NULL: answered. */
static struct member_op *op_read(struct http_exchange *x,
                                 void (*read)(struct fields *f, struct member_op *op))
{
    struct member_op *op = op_new(x);
    struct body_fields b;
    if (op == NULL || !body_open(x, &b))
        return NULL;
    read(&b.f, op);
    return body_close(x, &b) ? op : NULL;
}

static bool is_owner(const struct member_op *op)
{
    return api_who(op->x)->role == ROLE_OWNER;
}

static void owners_only(struct http_exchange *x)
{
    http_problem(x, ERR(FORBIDDEN, NULL), "Owners are made and changed by owners.");
}

/* ---- inviting ---- */

static void make_token(struct member_op *op)
{
    uint8_t b[16 + 16 + 24];
    struct buf text;
    memcpy(b, op->merchant.b, 16);
    memcpy(b + 16, op->user.b, 16);
    random_bytes(b + 32, 24);
    buf_init(&text, TOKEN_LEN);
    buf_c(&text, "rit_");
    hex_add(&text, str_n((char *)b, sizeof b));
    str_copy_c(op->token, sizeof op->token, buf_view(&text));
    buf_free(&text);
    vault_hash(flow_of(op)->vault, "invitation", str_c(op->token), op->token_hash);
}

static void invited(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    if (err_is(err)) {
        http_problem(op->x, err,
                     err.code == ERR_CONFLICT ? "He was invited, or joined, at the same moment."
                                              : "");
        return;
    }
    op->shows_token = true;
    show(op, 201);
}

static void invite(struct member_op *op)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = flow_of(op);
    int64_t now = loop_wall_us(f->loop);
    uint8_t index[USER_HASH];
    struct buf person;
    op->user = op->known != NULL ? op->known->id : random_uuid(now);
    op->expires_us = now + INVITATION_US;
    make_token(op);
    user_hash(f->vault, USER_EMAIL, str_c(op->spelling), index);
    buf_init(&person, USER_SEALED_MAX);
    struct err err = user_person_seal(f->vault, op->user, str_c(op->spelling), op->name, &person);
    struct value params[] = {V_UUID(op->merchant),
                             V_UUID(op->user),
                             V_BOOL(op->known == NULL),
                             V_BYTES(str_n((char *)index, USER_HASH)),
                             V_BYTES(buf_view(&person)),
                             V_TEXT(str_c(role_word(op->role))),
                             V_BYTES(str_n((char *)op->token_hash, 32)),
                             V_TEXT(str_c(who->actor)),
                             V_TIME(op->expires_us),
                             V_TIME(now),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(who->person))};
    if (err_is(err))
        http_problem(op->x, err, "");
    else
        store_exec(f->store, Q_member_invite, params, COUNT_OF(params), invited, op);
    buf_free(&person);
}

static bool is_member(const struct user *u, struct uuid merchant)
{
    for (size_t i = 0; i < u->n_memberships; i++)
        if (uuid_eq(u->membership[i].merchant, merchant))
            return true;
    return false;
}

static void looked_up(void *ctx, struct err err, const struct user *u)
{
    struct member_op *op = ctx;
    op->known = u;
    if (err_is(err))
        http_problem(op->x, err, "");
    else if (u != NULL && is_member(u, op->merchant))
        http_problem(op->x, ERR(INVALID_STATE, NULL), "He is a member already.");
    else
        invite(op);
}

void member_invite(struct http_exchange *x)
{
    struct member_op *op = op_read(x, read_invitation);
    if (op == NULL)
        return;
    if (op->role == ROLE_OWNER && !is_owner(op))
        owners_only(x);
    else
        user_find(flow_of(op), x->arena, USER_EMAIL, str_c(op->spelling), looked_up, op);
}

/* ---- changing ---- */

enum { C_WAS, C_CHANGED, C_LAST_OWNER };

/* False: answered. */
static bool changed(struct member_op *op, struct err err, const struct rows *r)
{
    auth_forget(op->user);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(op->x, err, err.code == ERR_NOT_FOUND ? "No such member." : "");
    else if (rows_bool(r, 0, C_CHANGED))
        return true;
    else if (!is_owner(op))
        owners_only(op->x);
    else
        http_problem(op->x, ERR(INVALID_STATE, NULL), "The last owner stays.");
    return false;
}

static void role_changed(void *ctx, struct err err, const struct rows *r)
{
    if (changed(ctx, err, r))
        show(ctx, 200);
}

void member_change(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct member_op *op = op_read(x, read_change);
    if (op == NULL || !api_path_id(x, 0, &op->user))
        return;
    int64_t now = loop_wall_us(flow_of(op)->loop);
    struct value params[] = {
        V_UUID(op->merchant),     V_UUID(op->user), V_TEXT(str_c(role_word(op->role))),
        V_BOOL(is_owner(op)),     V_TIME(now),      V_UUID(random_uuid(now)),
        V_TEXT(str_c(who->actor))};
    store_exec(flow_of(op)->store, Q_member_change, params, COUNT_OF(params), role_changed, op);
}

static void removed(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    if (changed(op, err, r))
        http_reply(op->x, 204, STR("application/json"), STR_NULL);
}

void member_remove(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct member_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->user))
        return;
    int64_t now = loop_wall_us(flow_of(op)->loop);
    struct value params[] = {V_UUID(op->merchant),     V_UUID(op->user),
                             V_BOOL(is_owner(op)),     V_TIME(now),
                             V_UUID(random_uuid(now)), V_TEXT(str_c(who->actor))};
    store_exec(flow_of(op)->store, Q_member_remove, params, COUNT_OF(params), removed, op);
}

/* ---- confirming: that he is somebody else, says somebody else again ---- */

static void confirmed(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    auth_forget(op->user);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    if (err_is(err))
        http_problem(op->x, err, err.code == ERR_CONFLICT ? "He changed at the same moment." : "");
    else
        show(op, 200);
}

static void confirm(struct member_op *op, struct str stands_for)
{
    const struct principal *who = api_who(op->x);
    int64_t now = loop_wall_us(flow_of(op)->loop);
    char person[PERSON_TEXT];
    if (!person_of_user(stands_for, op->user, person)) {
        http_problem(op->x, ERR(INTERNAL, "stored people not understood"), "");
        return;
    }
    if (person_same(str_c(who->person), str_c(person))) {
        http_problem(op->x, ERR(FORBIDDEN, NULL),
                     "Neither he nor who invited him can confirm him: it takes another person.");
        return;
    }
    struct value params[] = {V_UUID(op->merchant),     V_UUID(op->user),
                             V_TEXT(stands_for),       V_TIME(now),
                             V_UUID(random_uuid(now)), V_TEXT(str_c(who->actor))};
    store_exec(flow_of(op)->store, Q_member_confirm, params, COUNT_OF(params), confirmed, op);
}

static void candidate_found(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(op->x, err, err.code == ERR_NOT_FOUND ? "No such member." : "");
    else if (!str_eq(rows_str(r, 0, M_STATUS), STR("active")))
        http_problem(op->x, ERR(INVALID_STATE, NULL), "He has not accepted his invitation yet.");
    else if (rows_null(r, 0, M_STANDS_FOR))
        show(op, 200);
    else
        confirm(op, rows_str(r, 0, M_STANDS_FOR));
}

void member_confirm(struct http_exchange *x)
{
    struct member_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->user))
        load(op, candidate_found);
}

/* ---- accepting: who has an account proves that it is his; who has none gets one ---- */

static void not_invited(struct http_exchange *x)
{
    http_problem(x, ERR(NOT_FOUND, NULL), "No such invitation, or it is over.");
}

static void accepted(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    auth_forget(op->user);
    if (!err_is(err) && rows_n(r) == 0)
        not_invited(op->x);
    else if (err_is(err))
        http_problem(op->x, err, "");
    else
        show(op, 200);
}

static void accept(struct member_op *op)
{
    struct flow *f = flow_of(op);
    int64_t now = loop_wall_us(f->loop);
    const struct guard *guard = op->counted ? &op->guard : NULL;
    bool opens = str_eq(op->known->status, STR("invited"));
    struct str firebase = op->links ? str_n((char *)op->firebase, USER_HASH) : STR_NULL;
    char actor[USER_ACTOR_TEXT];
    struct buf person;
    struct err err = ERR_OK;
    buf_init(&person, USER_SEALED_MAX);
    if (opens && op->name.p != NULL)
        err = user_person_seal(f->vault, op->user, op->known->email, op->name, &person);
    struct value params[] = {
        V_UUID(op->merchant),
        V_UUID(op->user),
        V_BYTES(str_n((char *)op->token_hash, 32)),
        V_TIME(now),
        V_TEXT(op->hash),
        V_BYTES(person.n > 0 ? buf_view(&person) : STR_NULL),
        V_I32(op->known->version),
        V_UUID(random_uuid(now)),
        V_TEXT(str_c(user_actor(op->user, actor))),
        V_BYTES(guard_account(guard)),
        V_BYTES(guard_address(guard)),
        V_BYTES(firebase),
        V_TEXT(op->known->stands_for.p != NULL ? str_c(op->stands_for) : STR_NULL)};
    if (err_is(err))
        http_problem(op->x, err, "");
    else
        store_exec(f->store, Q_invitation_accept, params, COUNT_OF(params), accepted, op);
    buf_free(&person);
}

/* He is who was invited: `u` as he is now. */
static void proved(struct member_op *op, const struct user *u)
{
    op->known = u;
    if (u->stands_for.p != NULL &&
        !person_invited(u->stands_for, op->inviter, op->user, op->stands_for))
        http_problem(
            op->x, ERR(INVALID_STATE, NULL),
            "Too many stand behind this account: have it confirmed first, or who invites.");
    else
        accept(op);
}

static void hashed(void *ctx, struct err err, struct str hash)
{
    struct member_op *op = ctx;
    op->hash = hash;
    if (err_is(err))
        http_problem(op->x, err, "");
    else
        proved(op, op->known);
}

static void password_checked(void *ctx, struct err err, const struct credential *c)
{
    struct member_op *op = ctx;
    if (err_is(err)) {
        auth_refused(op->x, err, c->wait_us);
        return;
    }
    op->guard = c->guard;
    op->counted = true;
    proved(op, c->user);
}

static void id_token_checked(void *ctx, struct err err, const struct firebase_bearer *b)
{
    struct member_op *op = ctx;
    if (err.code == ERR_NO_MEMBERSHIP)
        err = ERR(UNAUTHENTICATED, "an ID token of somebody else");
    if (!err_is(err) && b->linked && !str_eq(b->user->status, STR("active")))
        err = ERR(UNAUTHENTICATED, "not an active account");
    if (err_is(err)) {
        firebase_refused(op->x, err);
        return;
    }
    op->links = !b->linked;
    memcpy(op->firebase, b->account, USER_HASH);
    proved(op, b->user);
}

static void prove(struct member_op *op, const struct user *u)
{
    struct flow *f = flow_of(op);
    struct http_exchange *x = op->x;
    op->known = u;
    if (op->id_token.p != NULL) {
        firebase_login_start(f, x->arena, op->id_token, u->id, id_token_checked, op);
    } else if (str_eq(u->status, STR("invited"))) {
        struct err err = password_hash_start(f->passwords, op->password, hashed, op);
        if (err_is(err))
            http_problem(x, err, "");
    } else {
        struct credential_input in = {.user = u->id,
                                      .password = op->password,
                                      .without_totp = true,
                                      .address = api_client(x)};
        credential_check(f, x->arena, &in, password_checked, op);
    }
}

static void invitee_found(void *ctx, struct err err, const struct user *u)
{
    struct member_op *op = ctx;
    if (!err_is(err) && u == NULL)
        not_invited(op->x);
    else if (err_is(err))
        http_problem(op->x, err, "");
    else
        prove(op, u);
}

static void invitation_found(void *ctx, struct err err, const struct rows *r)
{
    struct member_op *op = ctx;
    if (!err_is(err) && rows_n(r) > 0)
        op->inviter = arena_dup(op->x->arena, rows_str(r, 0, 1));
    if (!err_is(err) && rows_n(r) == 0)
        not_invited(op->x);
    else if (err_is(err) || op->inviter.p == NULL)
        http_problem(op->x, err_is(err) ? err : ERR(NO_MEMORY, "invitation"), "");
    else
        user_get(flow_of(op), op->x->arena, op->user, invitee_found, op);
}

void invitation_accept(struct http_exchange *x)
{
    struct member_op *op = op_read(x, read_acceptance);
    if (op == NULL)
        return;
    if (op->password.p == NULL && op->id_token.p == NULL) {
        http_problem(x, ERR(NO_MEMORY, "invitation"), "");
        return;
    }
    struct value params[] = {V_UUID(op->merchant), V_UUID(op->user),
                             V_BYTES(str_n((char *)op->token_hash, 32)),
                             V_TIME(loop_wall_us(flow_of(op)->loop))};
    store_read(flow_of(op)->store, Q_invitation_get, params, COUNT_OF(params), invitation_found,
               op);
}
