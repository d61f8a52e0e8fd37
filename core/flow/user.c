/* People as the database has them. What is personal comes out of one sealed column. */
#include "core/flow/user.h"

#include <stdlib.h>

#include "core/codec/json.h"
#include "core/codec/jsonw.h"

struct user_op {
    struct flow *flow;
    struct arena *arena;
    user_fn *done;
    void *ctx;
};

static const char *const purposes[] = {
    [USER_EMAIL] = "user.email", [USER_FIREBASE] = "user.firebase"};
static const char *const words[] = {[USER_EMAIL] = "email", [USER_FIREBASE] = "firebase"};

/* Not the grammar of RFC 5322, which nobody's mail server takes in full: one @ with something
 * before it and a host behind, nothing that is invisible. */
bool user_email(struct str text, char out[USER_EMAIL_MAX + 1])
{
    struct str s = str_trim(text);
    size_t at = str_find(s, '@', 0);
    if (s.n > USER_EMAIL_MAX || !str_is_printable_ascii(s) || at == SIZE_MAX || at == 0 ||
        at > 64 || at + 1 == s.n || str_find(s, '@', at + 1) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (memchr(" \"(),:;<>[\\]", s.p[i], 12) != NULL)
            return false;
        out[i] = ascii_lower(s.p[i]);
    }
    out[s.n] = '\0';
    return s.p[at + 1] != '.' && s.p[s.n - 1] != '.';
}

void user_hash(struct vault *v, enum user_key kind, struct str text, uint8_t out[USER_HASH])
{
    vault_hash(v, purposes[kind], text, out);
}

const char *user_actor(struct uuid user, char out[USER_ACTOR_TEXT])
{
    memcpy(out, "user:", 5);
    (void)uuid_text(user, out + 5);
    return out;
}

struct err user_person_seal(struct vault *v, struct uuid user, struct str email, struct str name,
                            struct buf *out)
{
    struct buf plain;
    buf_init(&plain, USER_SEALED_MAX);
    struct jsonw w = jw_into(&plain);
    jw_open(&w);
    jw_str(&w, "email", email);
    jw_str(&w, "name", name);
    jw_close(&w);
    struct err err =
        plain.failed ? ERR(NO_MEMORY, "person")
                     : vault_seal(v, "account_user.person", UUID_NIL, user, buf_view(&plain), out);
    buf_free(&plain);
    return err;
}

static struct str copy(struct arena *a, const struct json *j)
{
    struct str s = json_str(j);
    return s.p != NULL ? arena_dup(a, s) : STR_NULL;
}

struct err user_person_open(struct vault *v, struct uuid user, struct str sealed, struct arena *a,
                            struct str *email, struct str *name)
{
    struct str plain;
    struct json *j;
    TRY(vault_open(v, "account_user.person", UUID_NIL, user, sealed, a, &plain));
    TRY(json_parse(plain, &j, NULL));
    *email = copy(a, json_get(j, "email"));
    *name = copy(a, json_get(j, "name"));
    json_free(j);
    return email->p != NULL ? ERR_OK : ERR(NO_MEMORY, "person");
}

/* ---- rows ---- */

enum {
    U_ID,
    U_STATUS,
    U_PERSON,
    U_PASSWORD,
    U_TOTP,
    U_TOTP_ON,
    U_VERSION,
    U_MERCHANT,
    U_ROLE,
    U_NAME,
    U_COUNTRY,
    U_MERCHANT_STATUS,
    U_IS_MEMBER,
    U_STANDS_FOR
};

static struct str text_of(struct arena *a, const struct rows *r, size_t row, int col)
{
    return rows_null(r, row, col) ? STR_NULL : arena_dup(a, rows_str(r, row, col));
}

static struct err read_memberships(struct arena *a, const struct rows *r, struct user *u)
{
    for (size_t i = 0; i < rows_n(r) && u->n_memberships < USER_MAX_MEMBERSHIPS; i++) {
        struct user_membership *m = &u->membership[u->n_memberships];
        if (!rows_bool(r, i, U_IS_MEMBER))
            continue;
        if (!role_parse(rows_str(r, i, U_ROLE), &m->role))
            return ERR(INTERNAL, "stored role not understood");
        m->merchant = rows_uuid(r, i, U_MERCHANT);
        m->name = text_of(a, r, i, U_NAME);
        m->country = text_of(a, r, i, U_COUNTRY);
        m->status = text_of(a, r, i, U_MERCHANT_STATUS);
        u->n_memberships++;
    }
    return ERR_OK;
}

static struct err read_user(const struct user_op *op, const struct rows *r, struct user **out)
{
    struct user *u = ARENA_NEW(op->arena, struct user);
    if (u == NULL)
        return ERR(NO_MEMORY, "user");
    u->id = rows_uuid(r, 0, U_ID);
    u->status = text_of(op->arena, r, 0, U_STATUS);
    u->password_hash = text_of(op->arena, r, 0, U_PASSWORD);
    u->totp = text_of(op->arena, r, 0, U_TOTP);
    u->totp_on = rows_bool(r, 0, U_TOTP_ON);
    u->version = (int32_t)rows_i64(r, 0, U_VERSION);
    u->stands_for = text_of(op->arena, r, 0, U_STANDS_FOR);
    TRY(user_person_open(op->flow->vault, u->id, rows_str(r, 0, U_PERSON), op->arena, &u->email,
                         &u->name));
    TRY(read_memberships(op->arena, r, u));
    *out = u;
    return ERR_OK;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct user_op op = *(struct user_op *)ctx;
    struct user *u = NULL;
    free(ctx);
    if (!err_is(err) && rows_n(r) > 0)
        err = read_user(&op, r, &u);
    op.flow->busy--;
    op.done(op.ctx, err, u);
}

static struct user_op *op_new(struct flow *f, struct arena *a, user_fn *done, void *ctx)
{
    struct user_op *op = malloc(sizeof *op);
    ASSERT(op != NULL);
    *op = (struct user_op){f, a, done, ctx};
    f->busy++;
    return op;
}

void user_find(struct flow *f, struct arena *a, enum user_key kind, struct str text, user_fn *done,
               void *ctx)
{
    uint8_t hash[USER_HASH];
    user_hash(f->vault, kind, text, hash);
    struct value params[] = {V_TEXT(str_c(words[kind])), V_BYTES(str_n((char *)hash, USER_HASH))};
    store_read(f->store, Q_user_find, params, COUNT_OF(params), found, op_new(f, a, done, ctx));
}

void user_get(struct flow *f, struct arena *a, struct uuid id, user_fn *done, void *ctx)
{
    struct value params[] = {V_UUID(id)};
    store_read(f->store, Q_user_get, params, COUNT_OF(params), found, op_new(f, a, done, ctx));
}
