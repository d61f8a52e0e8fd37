/* POST /auth/firebase: an ID token for a session. Who its bearer is here, core/flow/firebase_login
 * says; the rest is a login as any other. */
#include "http/api.h"

#include "core/flow/firebase_login.h"

struct firebase_op {
    struct http_exchange *x;
    struct str id_token, merchant;
};

void firebase_refused(struct http_exchange *x, struct err err)
{
    if (err.code == ERR_UNAUTHENTICATED) {
        api_security(x, SECURITY_LOGIN_FAILED, err.what);
        http_set_header(x, STR("WWW-Authenticate"), STR("Bearer realm=\"reli\""));
        http_problem(x, ERR(UNAUTHENTICATED, NULL), "The ID token is not good.");
    } else if (err.code == ERR_TOTP_REQUIRED) {
        http_problem(x, ERR(FORBIDDEN, NULL),
                     "With a second factor here you log in by password and code.");
    } else if (err.code == ERR_NOT_FOUND) {
        http_problem(x, err, "Logins by Firebase are not set up here.");
    } else {
        auth_refused(x, err, 0);
    }
}

static void opened(void *ctx, struct err err, const struct session_grant *g)
{
    struct firebase_op *op = ctx;
    if (err_is(err))
        firebase_refused(op->x, err);
    else
        auth_reply_grant(op->x, g);
}

static void known(void *ctx, struct err err, const struct firebase_bearer *b)
{
    struct firebase_op *op = ctx;
    if (err_is(err)) {
        firebase_refused(op->x, err);
        return;
    }
    struct session_input in = {
        .user = b->user, .merchant = op->merchant, .address = api_client(op->x), .how = "firebase"};
    session_open(api_of(op->x)->flow, op->x->arena, &in, opened, op);
}

/* False: answered. */
static bool read_body(struct firebase_op *op)
{
    static const char *const names[] = {"id_token", "merchant", NULL};
    struct http_exchange *x = op->x;
    struct str token = STR_NULL, merchant = STR_NULL;
    struct body_fields b;
    if (!body_open(x, &b))
        return false;
    fields_only(&b.f, names);
    (void)fields_text(&b.f, "id_token", REQUIRED, 1, ID_TOKEN_FIELD_MAX, &token);
    (void)fields_text(&b.f, "merchant", OPTIONAL, 36, 36, &merchant);
    op->id_token = arena_dup(x->arena, token);
    op->merchant = merchant.p != NULL ? arena_dup(x->arena, merchant) : STR_NULL;
    if (!body_close(x, &b))
        return false;
    if (op->id_token.p == NULL)
        http_problem(x, ERR(NO_MEMORY, "ID token"), "");
    return op->id_token.p != NULL;
}

void auth_firebase(struct http_exchange *x)
{
    struct firebase_op *op = ARENA_NEW(x->arena, struct firebase_op);
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "login"), "");
        return;
    }
    op->x = x;
    if (read_body(op))
        firebase_login_start(api_of(x)->flow, x->arena, op->id_token, UUID_NIL, known, op);
}
