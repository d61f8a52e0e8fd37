/* A merchant's API keys: made, listed, changed, rotated, revoked. A key is shown once, in the
 * answer that made it. Who works with a key gives away no more than that key may.
 *
 * Each change: LOAD the key that it is about and the caller's own, CHECK, STORE with the audit row
 * if the key has not changed meanwhile (409), SHOW. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/flow/api_key.h"
#include "http/list.h"

enum {
    SCOPES_MAX = 16,
    ANSWER_MAX = 256 * 1024,
};
#define OVERLAP_DEFAULT US_PER_DAY
#define OVERLAP_MAX (30 * US_PER_DAY)

struct key_op;
typedef void step_fn(struct key_op *op);

struct key_op {
    struct http_exchange *x;
    struct api_key key;   /* wanted, or as it was found */
    struct api_key maker; /* the caller's own */
    bool has_maker;       /* he is no person */
    struct uuid id;       /* in the path; nil: none */
    step_fn *loaded;      /* what to do with them */
    bool has_name, has_cidrs;
    struct str name, cidrs; /* of a change */
    int64_t overlap_us, limit;
    char secret[AUTH_KEY_LEN + 1];
    uint8_t hash[32];
};

static struct key_op *op_new(struct http_exchange *x)
{
    struct key_op *op = ARENA_NEW(x->arena, struct key_op);
    if (op == NULL)
        http_problem(x, ERR(NO_MEMORY, "api key"), "");
    else
        op->x = x;
    return op;
}

static int64_t now_us(const struct key_op *op)
{
    return loop_wall_us(api_of(op->x)->flow->loop);
}

static void fail(struct key_op *op, struct err err)
{
    http_problem(op->x, err,
                 err.code == ERR_NOT_FOUND ? "No such API key."
                 : err.code == ERR_CONFLICT
                     ? "The key was changed, rotated or revoked at the same moment."
                     : "");
}

/* ---- showing ---- */

static void reply(struct key_op *op, int status)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    api_key_put(&w, &op->key, str_c(op->secret), now_us(op));
    api_reply_buf(op->x, status, &b);
    explicit_bzero(op->secret, sizeof op->secret);
}

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    struct api_key key;
    TRY(api_key_read(r, row, l->x->arena, &key));
    api_key_put(w, &key, STR(""), loop_wall_us(api_of(l->x)->flow->loop));
    return ERR_OK;
}

static const struct list_kind keys = {
    .queries = LIST_QUERIES(api_key_list),
    .put = put_listed,
};

void api_key_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &keys, NULL);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    if (l != NULL)
        list_run(l, params, COUNT_OF(params));
}

/* ---- LOAD ---- */

static void keys_read(void *ctx, struct err err, const struct rows *r)
{
    struct key_op *op = ctx;
    struct uuid own = api_who(op->x)->key;
    bool found = uuid_is_nil(op->id);
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        struct api_key k;
        err = api_key_read(r, i, op->x->arena, &k);
        if (!err_is(err) && uuid_eq(k.id, op->id)) {
            op->key = k;
            found = true;
        }
        if (!err_is(err) && uuid_eq(k.id, own)) {
            op->maker = k;
            op->has_maker = true;
        }
    }
    if (!err_is(err) && !found)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err) && !uuid_is_nil(own) && !op->has_maker)
        err = ERR(CONFLICT, NULL);
    if (err_is(err))
        fail(op, err);
    else
        op->loaded(op);
}

static void load(struct key_op *op, step_fn *then)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)),
                             V_UUID_OPT(op->id), V_UUID_OPT(who->key)};
    op->loaded = then;
    store_read(api_of(op->x)->flow->store, Q_api_key_show, params, COUNT_OF(params), keys_read, op);
}

/* Whether the caller may give away what op->key is; false: answered. */
static bool within(struct key_op *op)
{
    const struct principal *who = api_who(op->x);
    if (api_key_within(who->may, op->has_maker ? &op->maker : NULL, &op->key))
        return true;
    api_security(op->x, SECURITY_SCOPE_REFUSED, "a key that may more than its maker");
    http_problem(op->x, ERR(FORBIDDEN, NULL),
                 "Scopes, networks and end of a key must be within your own.");
    return false;
}

static void show_loaded(struct key_op *op)
{
    reply(op, 200);
}

void api_key_show(struct http_exchange *x)
{
    struct key_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id))
        load(op, show_loaded);
}

static void show_again(struct key_op *op)
{
    reply(op, op->secret[0] != '\0' ? 201 : 200);
}

/* ---- reading ---- */

static void read_scopes(struct key_op *op, struct fields *f)
{
    const struct json *list = json_get(f->obj, "scopes");
    struct buf b;
    uint64_t set;
    if (list == NULL || json_kind(list) == JSON_KIND_NULL) {
        fields_fault(f, "scopes", "required", "Say what the key may, or [\"*\"].");
        return;
    }
    if (json_kind(list) != JSON_ARR || json_n(list) == 0 || json_n(list) > SCOPES_MAX) {
        fields_fault(f, "scopes", "type", "A list of 1 to 16 scopes, or [\"*\"].");
        return;
    }
    buf_init(&b, 1024);
    for (size_t i = 0; i < json_n(list); i++) {
        struct str word = json_str(json_at(list, i));
        if (word.p == NULL || str_find(word, ',', 0) != SIZE_MAX ||
            !permission_of_scopes(word, &set)) {
            fields_fault(f, "scopes", "unknown", "No such scope.");
            break;
        }
        buf_word(&b, word);
    }
    op->key.scopes = arena_dup(op->x->arena, buf_view(&b));
    buf_free(&b);
}

/* A list of networks; an empty one, like null, is no limit. */
static bool read_cidrs(struct key_op *op, struct fields *f, struct str *out)
{
    const struct json *list = json_get(f->obj, "cidrs");
    struct buf b;
    *out = STR_NULL;
    if (list == NULL)
        return false;
    if (json_kind(list) == JSON_KIND_NULL || (json_kind(list) == JSON_ARR && json_n(list) == 0))
        return true;
    if (json_kind(list) != JSON_ARR || json_n(list) > API_KEY_CIDRS_MAX) {
        fields_fault(f, "cidrs", "type", "A list of up to 16 networks.");
        return false;
    }
    buf_init(&b, 4096);
    for (size_t i = 0; i < json_n(list); i++) {
        struct str word = json_str(json_at(list, i));
        if (i > 0)
            buf_char(&b, ',');
        buf_str(&b, word.p != NULL && str_find(word, ',', 0) == SIZE_MAX ? word : STR("?"));
    }
    bool good = !b.failed && api_key_networks(buf_view(&b), op->x->arena, out);
    buf_free(&b);
    if (!good)
        fields_fault(f, "cidrs", "format", "Networks such as 192.0.2.0/24 or 2001:db8::/32.");
    return good;
}

static bool read_name(struct key_op *op, struct fields *f, struct str *out)
{
    struct str s;
    const struct json *j = json_get(f->obj, "name");
    *out = STR_NULL;
    if (fields_text(f, "name", OPTIONAL, 1, API_KEY_NAME_MAX, &s))
        *out = arena_dup(op->x->arena, s);
    return j != NULL;
}

static void read_new(struct key_op *op, struct fields *f)
{
    static const char *const names[] = {"name", "scopes", "cidrs", "expires_at", NULL};
    struct str end;
    fields_only(f, names);
    (void)read_name(op, f, &op->key.name);
    read_scopes(op, f);
    (void)read_cidrs(op, f, &op->key.cidrs);
    if (!fields_text(f, "expires_at", OPTIONAL, 4, 40, &end))
        return;
    if (!time_parse(end, &op->key.expires_us))
        fields_fault(f, "expires_at", "format", "A date or time of RFC 3339.");
    else if (op->key.expires_us <= now_us(op))
        fields_fault(f, "expires_at", "range", "Must be in the future.");
}

static void read_change(struct key_op *op, struct fields *f)
{
    static const char *const names[] = {"name", "cidrs", NULL};
    fields_only(f, names);
    op->has_name = read_name(op, f, &op->name);
    op->has_cidrs = read_cidrs(op, f, &op->cidrs);
}

static void read_rotation(struct key_op *op, struct fields *f)
{
    static const char *const names[] = {"overlap", NULL};
    struct str s;
    fields_only(f, names);
    if (!fields_text(f, "overlap", OPTIONAL, 2, 16, &s))
        return;
    if (!duration_parse(s, &op->overlap_us))
        fields_fault(f, "overlap", "format", "A duration such as 0s, 90s, 15m, 6h or 3d.");
    else if (op->overlap_us > OVERLAP_MAX)
        fields_fault(f, "overlap", "range", "At most 30d.");
}

/* False: answered. */
static bool read_body(struct key_op *op, void (*read)(struct key_op *, struct fields *))
{
    struct body_fields b;
    if (!body_open(op->x, &b))
        return false;
    read(op, &b.f);
    return body_close(op->x, &b);
}

/* ---- a new key ---- */

static void make_secret(struct key_op *op)
{
    uint64_t set, all;
    bool restricted = permission_of_scopes(op->key.scopes, &set) &&
                      permission_of_scopes(STR("*"), &all) && set != all;
    auth_key_make(api_who(op->x)->live, restricted, op->secret);
    vault_hash(api_of(op->x)->flow->vault, "api_key", str_c(op->secret), op->hash);
}

static void created(void *ctx, struct err err, const struct rows *r)
{
    struct key_op *op = ctx;
    if (err_is(err)) {
        fail(op, err);
    } else if (!rows_bool(r, 0, 1)) {
        http_problem(op->x, ERR(INVALID_STATE, NULL),
                     "Live keys need an active merchant whose papers are approved.");
    } else if (rows_null(r, 0, 0)) {
        http_problem(op->x, ERR(INVALID_STATE, NULL), "There are 100 keys already; revoke one.");
    } else {
        op->id = rows_uuid(r, 0, 0);
        load(op, show_again);
    }
}

static void create(struct key_op *op)
{
    const struct principal *who = api_who(op->x);
    int64_t now = now_us(op);
    if (!within(op))
        return;
    make_secret(op);
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(random_uuid(now)),
                             V_TEXT(mode_word(who->live)),
                             V_TEXT(str_n(op->secret, AUTH_KEY_SHOWN)),
                             V_TEXT(op->key.scopes),
                             V_BYTES(str_n((char *)op->hash, sizeof op->hash)),
                             V_TIME(now),
                             V_TEXT(op->key.name),
                             V_TEXT(op->key.cidrs),
                             V_TIME(op->key.expires_us),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(who->actor)),
                             V_TEXT(str_c(who->person))};
    store_exec(api_of(op->x)->flow->store, Q_api_key_insert, params, COUNT_OF(params), created, op);
}

void api_key_create(struct http_exchange *x)
{
    struct key_op *op = op_new(x);
    if (op != NULL && read_body(op, read_new))
        load(op, create);
}

/* ---- rotation ---- */

static void rotated(void *ctx, struct err err, const struct rows *r)
{
    struct key_op *op = ctx;
    auth_forget(op->id);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    if (err_is(err)) {
        fail(op, err);
        return;
    }
    op->id = rows_uuid(r, 0, 0);
    load(op, show_again);
}

static void rotate(struct key_op *op)
{
    const struct principal *who = api_who(op->x);
    int64_t now = now_us(op);
    if (strcmp(api_key_status(&op->key, now), "active") != 0) {
        http_problem(op->x, ERR(INVALID_STATE, NULL), "Only an active key can be rotated.");
        return;
    }
    if (!within(op))
        return;
    make_secret(op);
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(op->key.id),
                             V_TEXT(mode_word(who->live)),
                             V_I32(op->key.version),
                             V_TIME(now + op->overlap_us),
                             V_TIME(now),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_n(op->secret, AUTH_KEY_SHOWN)),
                             V_BYTES(str_n((char *)op->hash, sizeof op->hash)),
                             V_TIME(op->key.expires_us),
                             V_UUID(random_uuid(now)),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(who->actor)),
                             V_TEXT(str_c(who->person))};
    store_exec(api_of(op->x)->flow->store, Q_api_key_rotate, params, COUNT_OF(params), rotated, op);
}

void api_key_rotate(struct http_exchange *x)
{
    struct key_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    op->overlap_us = OVERLAP_DEFAULT;
    if (x->body.n == 0 || read_body(op, read_rotation))
        load(op, rotate);
}

/* ---- changes ---- */

static void changed(void *ctx, struct err err, const struct rows *r)
{
    struct key_op *op = ctx;
    auth_forget(op->id);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    if (err_is(err))
        fail(op, err);
    else
        load(op, show_again);
}

static void change(struct key_op *op)
{
    const struct principal *who = api_who(op->x);
    int64_t now = now_us(op);
    const char *status = api_key_status(&op->key, now);
    if (strcmp(status, "active") != 0 && strcmp(status, "rotating") != 0) {
        http_problem(op->x, ERR(INVALID_STATE, NULL), "The key can no longer be used.");
        return;
    }
    if (op->has_name)
        op->key.name = op->name;
    if (op->has_cidrs)
        op->key.cidrs = op->cidrs;
    if (!within(op))
        return;
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(op->key.id),
                             V_TEXT(mode_word(who->live)),
                             V_I32(op->key.version),
                             V_TEXT(op->key.name),
                             V_TEXT(op->key.cidrs),
                             V_TIME(now),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(who->actor)),
                             V_TEXT(op->has_cidrs ? STR("networks") : STR("name"))};
    store_exec(api_of(op->x)->flow->store, Q_api_key_change, params, COUNT_OF(params), changed, op);
}

void api_key_change(struct http_exchange *x)
{
    struct key_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id) && read_body(op, read_change))
        load(op, change);
}

static void revoked(void *ctx, struct err err, const struct rows *r)
{
    struct key_op *op = ctx;
    auth_forget(op->id);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        fail(op, err);
    else
        http_reply(op->x, 204, STR("application/json"), STR_NULL);
}

void api_key_revoke(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct key_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    int64_t now = now_us(op);
    struct value params[] = {V_UUID(who->merchant),        V_UUID(op->id),
                             V_TEXT(mode_word(who->live)), V_TIME(now),
                             V_UUID(random_uuid(now)),     V_TEXT(str_c(who->actor))};
    store_exec(api_of(x)->flow->store, Q_api_key_revoke, params, COUNT_OF(params), revoked, op);
}
