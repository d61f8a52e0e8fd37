/* Logging in and out, and a person's own account. A login counts its tries before it makes them
 * (core/flow/credential.h); what is answered to a wrong one is one answer, whatever was wrong. */
#include "http/api.h"

#include <stdio.h>

#include "core/codec/jsonw.h"
#include "core/crypto/password.h"
#include "core/crypto/random.h"
#include "core/crypto/totp.h"
#include "core/flow/password_work.h"

enum { AUTH_BODY = 64 * 1024 };

/* One request about a login or an account; in the exchange's arena. */
struct auth_op {
    struct http_exchange *x;
    struct str email, password, totp, merchant;
    struct str refresh, new_password;
    bool everywhere;
    struct credential found;
    struct buf secret;
    int64_t totp_step;
    enum { TOTP_ENROL, TOTP_CONFIRM, TOTP_DISABLE } totp_what;
};

static struct flow *flow_of(const struct auth_op *op)
{
    return api_of(op->x)->flow;
}

/* ---- reading ---- */

/* A field of a request: X(member of struct auth_op, name, need, min, max). */
struct field {
    const char *name;
    enum field_need need;
    size_t min, max, offset;
};
#define FIELD(name_, member, need_, min_, max_)                    \
    (struct field)                                                 \
    {                                                              \
        name_, need_, min_, max_, offsetof(struct auth_op, member) \
    }
enum { FIELDS_MAX = 6 };

static bool read_everywhere(struct fields *f, struct auth_op *op)
{
    const struct json *j = json_get(f->obj, "everywhere");
    if (j != NULL && json_kind(j) != JSON_KIND_NULL && !json_bool(j, &op->everywhere))
        fields_fault(f, "everywhere", "type", "Must be true or false.");
    return true;
}

/* NULL: answered. */
static struct auth_op *op_read(struct http_exchange *x, const struct field *list, size_t n)
{
    const char *names[FIELDS_MAX + 1] = {NULL};
    struct auth_op *op = ARENA_NEW(x->arena, struct auth_op);
    struct body_fields b;
    struct str s;
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "auth"), "");
        return NULL;
    }
    if (!body_open(x, &b))
        return NULL;
    op->x = x;
    for (size_t i = 0; i < n; i++)
        names[i] = list[i].name;
    fields_only(&b.f, names);
    for (size_t i = 0; i < n; i++) {
        if (list[i].max == 0)
            read_everywhere(&b.f, op);
        else if (fields_text(&b.f, list[i].name, list[i].need, list[i].min, list[i].max, &s))
            *(struct str *)(void *)((char *)op + list[i].offset) = arena_dup(x->arena, s);
    }
    if (op->new_password.p != NULL && !password_fits(op->new_password))
        fields_fault(&b.f, "new_password", "length", "8 to 256 bytes.");
    return body_close(x, &b) ? op : NULL;
}

/* ---- answers ---- */

static void put_tokens(struct jsonw *w, int64_t now_us, const struct session_tokens *t)
{
    jw_key(w, "tokens");
    jw_open(w);
    jw_str(w, "access", t->access);
    jw_c(w, "refresh", t->refresh);
    jw_c(w, "token_type", "Bearer");
    jw_i64(w, "expires_in", (t->access_until_us - now_us) / US_PER_S);
    jw_i64(w, "refresh_expires_in", (t->refresh_until_us - now_us) / US_PER_S);
    jw_close(w);
}

static void put_user(struct jsonw *w, const struct user *u, enum role role)
{
    jw_key(w, "user");
    jw_open(w);
    jw_uuid(w, "id", u->id);
    jw_c(w, "object", "user");
    jw_str(w, "email", u->email);
    jw_str(w, "name", u->name);
    jw_c(w, "role", role_word(role));
    jw_bool(w, "totp_enabled", u->totp_on);
    jw_close(w);
}

/* The platform has no name: null, and the person is staff. */
static void put_merchant(struct jsonw *w, const char *name, const struct user_membership *m)
{
    if (name != NULL)
        jw_key(w, name);
    if (m->name.p == NULL) {
        jw_null(w, NULL);
        return;
    }
    jw_open(w);
    jw_uuid(w, "id", m->merchant);
    jw_str(w, "name", m->name);
    jw_str(w, "country", m->country);
    jw_str(w, "status", m->status);
    jw_close(w);
}

void auth_reply_grant(struct http_exchange *x, const struct session_grant *g)
{
    struct buf b;
    buf_init(&b, AUTH_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    put_tokens(&w, loop_wall_us(api_of(x)->flow->loop), &g->tokens);
    put_user(&w, g->user, g->membership->role);
    put_merchant(&w, "merchant", g->membership);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

void auth_refused(struct http_exchange *x, struct err err, int64_t wait_us)
{
    char seconds[24];
    const char *detail = "";
    if (err.code == ERR_TOO_MANY_ATTEMPTS) {
        snprintf(seconds, sizeof seconds, "%lld", (long long)((wait_us + US_PER_S - 1) / US_PER_S));
        http_set_header(x, STR("Retry-After"), str_c(seconds));
        api_security(x, SECURITY_LOCKOUT, NULL);
        detail = "Too many failed attempts; wait.";
    } else if (err.code == ERR_UNAUTHENTICATED) {
        api_security(x, SECURITY_LOGIN_FAILED, err.what);
        http_set_header(x, STR("WWW-Authenticate"), STR("Bearer realm=\"reli\""));
        detail = "Wrong e-mail address, password or code.";
    } else if (err.code == ERR_TOTP_REQUIRED) {
        http_set_header(x, STR("WWW-Authenticate"), STR("Bearer realm=\"reli\""));
        detail = "Send totp, the code of the second factor.";
    } else if (err.code == ERR_NO_MEMBERSHIP) {
        detail = "You are no member of a merchant here, or not of that one.";
    } else if (err.code == ERR_UNAVAILABLE && api_of(x)->flow->settings.sessions.n_secrets == 0) {
        detail = "Nobody can log in: JWT_SECRET_KEY is not set.";
    }
    http_problem(x, err, detail);
}

/* ---- login ---- */

static void opened(void *ctx, struct err err, const struct session_grant *g)
{
    struct auth_op *op = ctx;
    if (err_is(err))
        auth_refused(op->x, err, 0);
    else
        auth_reply_grant(op->x, g);
}

static void login_checked(void *ctx, struct err err, const struct credential *c)
{
    struct auth_op *op = ctx;
    if (err_is(err)) {
        auth_refused(op->x, err, c->wait_us);
        return;
    }
    op->found = *c;
    struct session_input in = {
        .user = c->user,
        .merchant = op->merchant,
        .totp_step = c->totp_step,
        .guard = &op->found.guard,
        .address = api_client(op->x),
        .how = "password",
    };
    session_open(flow_of(op), op->x->arena, &in, opened, op);
}

void auth_login(struct http_exchange *x)
{
    const struct field fields[] = {
        FIELD("email", email, REQUIRED, 3, USER_EMAIL_MAX),
        FIELD("password", password, REQUIRED, 1, PASSWORD_MAX),
        FIELD("totp", totp, OPTIONAL, TOTP_DIGITS, TOTP_DIGITS),
        FIELD("merchant", merchant, OPTIONAL, 36, 36),
    };
    struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
    if (op == NULL)
        return;
    struct credential_input in = {
        .email = op->email, .password = op->password, .totp = op->totp, .address = api_client(x)};
    credential_check(flow_of(op), x->arena, &in, login_checked, op);
}

/* ---- refresh ---- */

static void refreshed(void *ctx, struct err err, const struct session_tokens *t,
                      const struct session_reuse *reused)
{
    struct auth_op *op = ctx;
    char actor[USER_ACTOR_TEXT];
    struct buf b;
    if (reused->is) {
        struct security_event e = {.kind = SECURITY_REFRESH_REUSED,
                                   .merchant = reused->merchant,
                                   .address = api_client(op->x),
                                   .actor = str_c(user_actor(reused->user, actor)),
                                   .route = str_c(op->x->route->pattern)};
        security_note(flow_of(op), &e);
    }
    if (err.code == ERR_UNAUTHENTICATED) {
        api_unauthenticated(op->x, reused->is ? NULL : "refresh token");
        return;
    }
    if (err_is(err)) {
        http_problem(op->x, err, "");
        return;
    }
    buf_init(&b, AUTH_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    put_tokens(&w, loop_wall_us(flow_of(op)->loop), t);
    jw_close(&w);
    api_reply_buf(op->x, 200, &b);
}

void auth_refresh(struct http_exchange *x)
{
    const struct field fields[] = {FIELD("refresh", refresh, REQUIRED, 1, 1024)};
    struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
    if (op != NULL)
        session_refresh(flow_of(op), x->arena, op->refresh, refreshed, op);
}

/* ---- logout ---- */

static void ended(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    (void)r;
    auth_forget(api_who(x)->user);
    if (err_is(err))
        http_problem(x, err, "");
    else
        http_reply(x, 204, STR("application/json"), STR_NULL);
}

/* Audit rows of a person's own account are his own merchant's, whomever he acts for. */
static struct uuid own_merchant(const struct principal *who)
{
    return who->staff ? UUID_NIL : who->merchant;
}

void auth_logout(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct session_ending e = {.user = who->user,
                               .session = who->session,
                               .merchant = own_merchant(who),
                               .actor = str_c(who->actor),
                               .why = "logout"};
    if (x->body.n > 0) { /* without one: this session */
        const struct field fields[] = {{"everywhere", OPTIONAL, 0, 0, 0}};
        struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
        if (op == NULL)
            return;
        if (op->everywhere)
            e.session = UUID_NIL;
    }
    session_end(api_of(x)->flow, &e, ended, x);
}

/* ---- who am I ---- */

static void put_permissions(struct jsonw *w, const struct principal *who)
{
    jw_key(w, "permissions");
    jw_open_list(w);
    for (enum permission p = PERM_NONE + 1; p < PERM_N; p++)
        if (principal_may(who, p) && (who->hold.held & permission_bit(p)) == 0)
            jw_c(w, NULL, permission_word(p));
    jw_close_list(w);
}

static void put_memberships(struct jsonw *w, const struct user *u)
{
    jw_key(w, "memberships");
    jw_open_list(w);
    for (size_t i = 0; i < u->n_memberships; i++) {
        jw_open(w);
        jw_c(w, "role", role_word(u->membership[i].role));
        put_merchant(w, "merchant", &u->membership[i]);
        jw_close(w);
    }
    jw_close_list(w);
}

static void me_found(void *ctx, struct err err, const struct user *u)
{
    struct http_exchange *x = ctx;
    const struct principal *who = api_who(x);
    if (!err_is(err) && u == NULL)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, AUTH_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    put_user(&w, u, who->role);
    jw_key(&w, "session");
    jw_open(&w);
    jw_uuid(&w, "id", who->session);
    jw_bool(&w, "staff", who->staff);
    if (uuid_is_nil(who->merchant))
        jw_null(&w, "merchant_id");
    else
        jw_uuid(&w, "merchant_id", who->merchant);
    jw_c(&w, "mode", who->live ? "live" : "test");
    put_permissions(&w, who);
    jw_close(&w);
    put_memberships(&w, u);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

void auth_me(struct http_exchange *x)
{
    user_get(api_of(x)->flow, x->arena, api_who(x)->user, me_found, x);
}

/* ---- one's own password ---- */

static void check_own(struct auth_op *op, bool without_totp, credential_fn *done)
{
    struct credential_input in = {.user = api_who(op->x)->user,
                                  .password = op->password,
                                  .totp = op->totp,
                                  .without_totp = without_totp,
                                  .address = api_client(op->x)};
    credential_check(flow_of(op), op->x->arena, &in, done, op);
}

static void password_changed(void *ctx, struct err err, const struct rows *r)
{
    struct auth_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    ended(op->x, err, r);
}

static void password_hashed(void *ctx, struct err err, struct str hash)
{
    struct auth_op *op = ctx;
    const struct principal *who = api_who(op->x);
    struct flow *f = flow_of(op);
    int64_t now = loop_wall_us(f->loop);
    if (err_is(err)) {
        http_problem(op->x, err, "");
        return;
    }
    struct value params[] = {V_UUID(who->user),
                             V_I32(op->found.user->version),
                             V_TEXT(hash),
                             V_TIME(now),
                             V_UUID(who->session),
                             V_BYTES(guard_account(&op->found.guard)),
                             V_BYTES(guard_address(&op->found.guard)),
                             V_UUID(random_uuid(now)),
                             V_UUID(own_merchant(who)),
                             V_TEXT(str_c(who->actor))};
    store_exec(f->store, Q_user_password, params, COUNT_OF(params), password_changed, op);
}

static void password_proved(void *ctx, struct err err, const struct credential *c)
{
    struct auth_op *op = ctx;
    op->found = *c;
    if (err_is(err)) {
        auth_refused(op->x, err, c->wait_us);
        return;
    }
    err = password_hash_start(flow_of(op)->passwords, op->new_password, password_hashed, op);
    if (err_is(err))
        http_problem(op->x, err, "");
}

void auth_password(struct http_exchange *x)
{
    const struct field fields[] = {
        FIELD("password", password, REQUIRED, 1, PASSWORD_MAX),
        FIELD("new_password", new_password, REQUIRED, PASSWORD_MIN, PASSWORD_MAX),
    };
    struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
    if (op != NULL)
        check_own(op, true, password_proved);
}

/* ---- the second factor: enrolled with the password, confirmed with a code, disabled with both
 * ---- */

static void totp_shown(struct auth_op *op)
{
    struct http_exchange *x = op->x;
    struct buf b, url;
    buf_init(&b, AUTH_BODY);
    buf_init(&url, AUTH_BODY);
    totp_url(&url, STR("reli"), op->found.user->email, buf_view(&op->secret));
    size_t at = str_find_str(buf_view(&url), STR("secret="));
    struct str secret = at != SIZE_MAX ? str_from(buf_view(&url), at + 7) : STR("");
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_str(&w, "secret", str_first(secret, str_find(secret, '&', 0)));
    jw_str(&w, "otpauth_url", buf_view(&url));
    jw_close(&w);
    buf_free(&url);
    api_reply_buf(x, 200, &b);
}

static void totp_written(void *ctx, struct err err, const struct rows *r)
{
    struct auth_op *op = ctx;
    struct buf secret = op->secret; /* op goes with the answer */
    if (!err_is(err) && rows_n(r) == 0)
        err = op->totp_step != 0 ? ERR(UNAUTHENTICATED, "code used before") : ERR(CONFLICT, NULL);
    if (err_is(err))
        auth_refused(op->x, err, 0);
    else if (op->totp_what == TOTP_ENROL)
        totp_shown(op);
    else
        http_reply(op->x, 204, STR("application/json"), STR_NULL);
    if (secret.n > 0)
        explicit_bzero(secret.p, secret.n);
    buf_free(&secret);
}

static void totp_write(struct auth_op *op, struct str sealed, bool confirmed)
{
    static const char *const actions[] = {"user.totp_enrolled", "user.totp_confirmed",
                                          "user.totp_disabled"};
    const struct principal *who = api_who(op->x);
    struct flow *f = flow_of(op);
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(who->user),
                             V_I32(op->found.user->version),
                             V_BYTES(sealed),
                             V_TIME(confirmed ? now : 0),
                             V_I64(op->totp_step),
                             V_TIME(now),
                             V_TEXT(str_c(actions[op->totp_what])),
                             V_UUID(random_uuid(now)),
                             V_UUID(own_merchant(who)),
                             V_TEXT(str_c(who->actor)),
                             V_BYTES(guard_account(&op->found.guard)),
                             V_BYTES(guard_address(&op->found.guard))};
    store_exec(f->store, Q_user_totp, params, COUNT_OF(params), totp_written, op);
}

static void enrol_proved(void *ctx, struct err err, const struct credential *c)
{
    struct auth_op *op = ctx;
    struct flow *f = flow_of(op);
    uint8_t secret[TOTP_SECRET_LEN];
    struct buf sealed;
    op->found = *c;
    if (!err_is(err) && c->user->totp_on) {
        http_problem(op->x, ERR(INVALID_STATE, NULL),
                     "There is a second factor; disable it first.");
        return;
    }
    if (err_is(err)) {
        auth_refused(op->x, err, c->wait_us);
        return;
    }
    random_bytes(secret, sizeof secret);
    buf_init(&sealed, 1024);
    buf_init(&op->secret, 64);
    buf_add(&op->secret, secret, sizeof secret);
    explicit_bzero(secret, sizeof secret);
    err = vault_seal(f->vault, "account_user.totp", UUID_NIL, c->user->id, buf_view(&op->secret),
                     &sealed);
    if (err_is(err) || op->secret.failed) {
        buf_free(&op->secret);
        http_problem(op->x, ERR(INTERNAL, "second factor"), "");
    } else {
        totp_write(op, buf_view(&sealed), false);
    }
    buf_free(&sealed);
}

void auth_totp_enrol(struct http_exchange *x)
{
    const struct field fields[] = {FIELD("password", password, REQUIRED, 1, PASSWORD_MAX)};
    struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
    if (op == NULL)
        return;
    op->totp_what = TOTP_ENROL;
    check_own(op, true, enrol_proved);
}

static void confirm_found(void *ctx, struct err err, const struct user *u)
{
    struct auth_op *op = ctx;
    struct flow *f = flow_of(op);
    struct str secret;
    if (!err_is(err) && (u == NULL || u->totp.p == NULL || u->totp_on)) {
        http_problem(op->x, ERR(INVALID_STATE, NULL), "No second factor waits for its first code.");
        return;
    }
    if (!err_is(err))
        err = vault_open(f->vault, "account_user.totp", UUID_NIL, u->id, u->totp, op->x->arena,
                         &secret);
    if (!err_is(err) && !totp_check(secret, op->totp, loop_wall_us(f->loop), -1, &op->totp_step))
        err = ERR(UNAUTHENTICATED, "wrong code");
    if (err_is(err)) {
        auth_refused(op->x, err, 0);
        return;
    }
    op->found.user = u;
    totp_write(op, u->totp, true);
}

/* Whoever is here enrolled the secret with the password: a wrong code gives nothing away. */
void auth_totp_confirm(struct http_exchange *x)
{
    const struct field fields[] = {FIELD("totp", totp, REQUIRED, TOTP_DIGITS, TOTP_DIGITS)};
    struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
    if (op == NULL)
        return;
    op->totp_what = TOTP_CONFIRM;
    user_get(flow_of(op), x->arena, api_who(x)->user, confirm_found, op);
}

static void disable_proved(void *ctx, struct err err, const struct credential *c)
{
    struct auth_op *op = ctx;
    op->found = *c;
    op->totp_step = c->totp_step;
    if (!err_is(err) && c->user->totp.p == NULL)
        http_problem(op->x, ERR(INVALID_STATE, NULL), "There is no second factor.");
    else if (err_is(err))
        auth_refused(op->x, err, c->wait_us);
    else
        totp_write(op, STR_NULL, false);
}

void auth_totp_disable(struct http_exchange *x)
{
    const struct field fields[] = {
        FIELD("password", password, REQUIRED, 1, PASSWORD_MAX),
        FIELD("totp", totp, OPTIONAL, TOTP_DIGITS, TOTP_DIGITS),
    };
    struct auth_op *op = op_read(x, fields, COUNT_OF(fields));
    if (op == NULL)
        return;
    op->totp_what = TOTP_DISABLE;
    check_own(op, false, disable_proved);
}
