/* Merchants: by staff made, changed and moved through their life; by their own people shown and
 * changed in what is theirs to decide. A move is a compare-and-set with its audit row. */
#include "http/api.h"

#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/webhook_sign.h"
#include "http/list.h"

enum { MERCHANT_BODY = 1 << 20, NAME_LONGEST = 128, KYC_MAX = 3 };

/* One request; in the exchange's arena. */
struct merchant_op {
    struct http_exchange *x;
    struct uuid id;
    enum merchant_status to;
    int status;
    struct str secret;        /* shown once */
    struct str name, country; /* p == NULL: as it is */
    int needs_key;            /* -1: as it is */
    int strict_uuid;          /* the same of the form of these keys */
    int64_t approval_above;   /* of refunds; -1: as it is; 0: none */
    int64_t payouts_above;    /* the same of payouts */
    int64_t kyc_level;        /* -1: as it is */
};

static struct flow *flow_of(const struct merchant_op *op)
{
    return api_of(op->x)->flow;
}

static struct merchant_op *op_new(struct http_exchange *x)
{
    struct merchant_op *op = ARENA_NEW(x->arena, struct merchant_op);
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "merchant"), "");
        return NULL;
    }
    *op = (struct merchant_op){.x = x,
                               .status = 200,
                               .needs_key = -1,
                               .strict_uuid = -1,
                               .approval_above = -1,
                               .payouts_above = -1,
                               .kyc_level = -1};
    return op;
}

static void fail(struct merchant_op *op, struct err err)
{
    http_problem(op->x, err, err.code == ERR_NOT_FOUND ? "No such merchant." : "");
}

/* ---- showing ---- */

enum {
    M_ID,
    M_NAME,
    M_COUNTRY,
    M_STATUS,
    M_KYC,
    M_NEEDS_KEY,
    M_APPROVAL,
    M_CREATED,
    M_UPDATED,
    M_VERSION,
    M_PAYOUT_APPROVAL,
    M_STRICT_UUID
};

static void put_above(struct jsonw *w, const char *name, const struct rows *r, size_t i, int col)
{
    if (rows_null(r, i, col))
        jw_null(w, name);
    else
        jw_i64(w, name, rows_i64(r, i, col));
}

static void put_merchant(struct jsonw *w, const struct rows *r, size_t i, struct str secret)
{
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, M_ID));
    jw_c(w, "object", "merchant");
    jw_str(w, "name", rows_str(r, i, M_NAME));
    jw_str(w, "country", rows_str(r, i, M_COUNTRY));
    jw_str(w, "status", rows_str(r, i, M_STATUS));
    jw_i64(w, "kyc_level", rows_i64(r, i, M_KYC));
    jw_bool(w, "require_idempotency_key", rows_bool(r, i, M_NEEDS_KEY));
    jw_bool(w, "strict_uuid", rows_bool(r, i, M_STRICT_UUID));
    put_above(w, "refund_approval_above", r, i, M_APPROVAL);
    put_above(w, "payout_approval_above", r, i, M_PAYOUT_APPROVAL);
    if (secret.p != NULL)
        jw_str(w, "webhook_secret", secret);
    jw_time(w, "created_at", rows_time(r, i, M_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, M_UPDATED));
    jw_close(w);
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct merchant_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        fail(op, err);
        return;
    }
    struct buf b;
    buf_init(&b, MERCHANT_BODY);
    struct jsonw w = jw_into(&b);
    put_merchant(&w, r, 0, op->secret);
    api_reply_buf(op->x, op->status, &b);
}

static void get(struct merchant_op *op, store_rows_fn *done)
{
    struct value params[] = {V_TEXT(STR_NULL), V_UUID(op->id), V_UUID(uuid_next(op->id)), V_I64(1),
                             V_I64(0)};
    store_read(flow_of(op)->store, Q_merchant_list, params, COUNT_OF(params), done, op);
}

void merchant_show(struct http_exchange *x)
{
    struct merchant_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id))
        get(op, shown);
}

void merchant_own(struct http_exchange *x)
{
    struct merchant_op *op = op_new(x);
    if (op == NULL)
        return;
    op->id = api_who(x)->merchant;
    get(op, shown);
}

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    (void)l;
    put_merchant(w, r, row, STR_NULL);
    return ERR_OK;
}

static const struct list_kind merchants = {
    .queries = LIST_QUERIES(merchant_list),
    .filters = "status",
    .id = M_ID,
    .put = put_listed,
};

void merchant_index(struct http_exchange *x)
{
    struct listing *l = list_new(x, &merchants, NULL);
    struct str status = http_query(x, STR("status"));
    enum merchant_status s;
    if (l == NULL)
        return;
    if (status.p != NULL && !merchant_parse(status, &s))
        field_error(&l->errors, STR("status"), "unknown", "No such state of a merchant.");
    list_run(l, &V_TEXT(status), 1);
}

/* ---- reading ---- */

static bool country_ok(struct str s)
{
    return s.n == 2 && s.p[0] >= 'A' && s.p[0] <= 'Z' && s.p[1] >= 'A' && s.p[1] <= 'Z';
}

static void read_names(struct fields *f, struct merchant_op *op, enum field_need need)
{
    struct str s;
    if (fields_text(f, "name", need, 1, NAME_LONGEST, &s))
        op->name = arena_dup(op->x->arena, s);
    if (fields_text(f, "country", OPTIONAL, 2, 2, &s)) {
        if (!country_ok(s))
            fields_fault(f, "country", "format", "Two capitals, ISO 3166-1.");
        op->country = arena_dup(op->x->arena, s);
    }
}

static void read_above(struct fields *f, const char *name, int64_t *out)
{
    const struct json *above = json_get(f->obj, name);
    if (above != NULL && json_kind(above) == JSON_KIND_NULL)
        *out = 0;
    else
        (void)fields_i64(f, name, OPTIONAL, 1, INT64_MAX / 1000, out);
}

static void read_switch(struct fields *f, const char *name, int *out)
{
    const struct json *j = json_get(f->obj, name);
    bool on = false;
    if (j == NULL || json_kind(j) == JSON_KIND_NULL)
        return;
    if (!json_bool(j, &on))
        fields_fault(f, name, "type", "Must be true or false.");
    *out = on;
}

static void read_settings(struct fields *f, struct merchant_op *op)
{
    read_switch(f, "require_idempotency_key", &op->needs_key);
    read_switch(f, "strict_uuid", &op->strict_uuid);
    read_above(f, "refund_approval_above", &op->approval_above);
    read_above(f, "payout_approval_above", &op->payouts_above);
}

static void read_new(struct fields *f, struct merchant_op *op)
{
    static const char *const names[] = {"name", "country", NULL};
    fields_only(f, names);
    read_names(f, op, REQUIRED);
}

static void read_own(struct fields *f, struct merchant_op *op)
{
    static const char *const names[] = {"name",
                                        "require_idempotency_key",
                                        "strict_uuid",
                                        "refund_approval_above",
                                        "payout_approval_above",
                                        NULL};
    struct str s;
    fields_only(f, names);
    if (fields_text(f, "name", OPTIONAL, 1, NAME_LONGEST, &s))
        op->name = arena_dup(op->x->arena, s);
    read_settings(f, op);
}

static void read_by_staff(struct fields *f, struct merchant_op *op)
{
    static const char *const names[] = {"name",
                                        "country",
                                        "require_idempotency_key",
                                        "strict_uuid",
                                        "refund_approval_above",
                                        "payout_approval_above",
                                        "kyc_level",
                                        NULL};
    fields_only(f, names);
    read_names(f, op, OPTIONAL);
    read_settings(f, op);
    (void)fields_i64(f, "kyc_level", OPTIONAL, 0, KYC_MAX, &op->kyc_level);
}

/* NULL: answered. */
static struct merchant_op *op_read(struct http_exchange *x,
                                   void (*read)(struct fields *f, struct merchant_op *op))
{
    struct merchant_op *op = op_new(x);
    struct body_fields b;
    if (op == NULL || !body_open(x, &b))
        return NULL;
    read(&b.f, op);
    return body_close(x, &b) ? op : NULL;
}

/* ---- making and changing ---- */

static void written(void *ctx, struct err err, const struct rows *r)
{
    struct merchant_op *op = ctx;
    auth_forget(op->id);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        fail(op, err);
    else
        get(op, shown);
}

void merchant_create(struct http_exchange *x)
{
    struct merchant_op *op = op_read(x, read_new);
    if (op == NULL)
        return;
    struct flow *f = flow_of(op);
    int64_t now = loop_wall_us(f->loop);
    struct buf sealed;
    op->id = random_uuid(now);
    op->status = 201;
    op->secret = webhook_secret_make(x->arena);
    buf_init(&sealed, 4096);
    struct err err =
        vault_seal(f->vault, "merchant.webhook_secret", op->id, op->id, op->secret, &sealed);
    struct value params[] = {V_UUID(op->id),
                             V_TEXT(op->name),
                             V_TEXT(op->country.p != NULL ? op->country : STR("KE")),
                             V_BYTES(buf_view(&sealed)),
                             V_TIME(now),
                             V_I64(0),
                             V_TEXT(str_c(merchant_word(MERCHANT_ONBOARDING))),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(api_who(x)->actor))};
    if (err_is(err))
        fail(op, err);
    else
        store_exec(f->store, Q_merchant_insert, params, COUNT_OF(params), written, op);
    buf_free(&sealed);
}

/* The names of what was sent, for the audit trail. */
static struct str what_changed(const struct merchant_op *op)
{
    const char *words[7] = {op->name.p != NULL ? " name" : "",
                            op->country.p != NULL ? " country" : "",
                            op->needs_key >= 0 ? " require_idempotency_key" : "",
                            op->approval_above >= 0 ? " refund_approval_above" : "",
                            op->payouts_above >= 0 ? " payout_approval_above" : "",
                            op->kyc_level >= 0 ? " kyc_level" : "",
                            op->strict_uuid >= 0 ? " strict_uuid" : ""};
    return str_trim(arena_fmt(op->x->arena, "%s%s%s%s%s%s%s", words[0], words[1], words[2],
                              words[3], words[4], words[5], words[6]));
}

static void change(struct merchant_op *op)
{
    struct flow *f = flow_of(op);
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(op->id),
                             V_TEXT(op->name),
                             V_TEXT(op->country),
                             V_I16(op->needs_key),
                             V_I64(op->approval_above),
                             V_I16(op->kyc_level),
                             V_TIME(now),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(api_who(op->x)->actor)),
                             V_TEXT(what_changed(op)),
                             V_I64(op->payouts_above),
                             V_I16(op->strict_uuid)};
    store_exec(f->store, Q_merchant_change, params, COUNT_OF(params), written, op);
}

void merchant_change_own(struct http_exchange *x)
{
    struct merchant_op *op = op_read(x, read_own);
    if (op == NULL)
        return;
    op->id = api_who(x)->merchant;
    change(op);
}

void merchant_change(struct http_exchange *x)
{
    struct merchant_op *op = op_read(x, read_by_staff);
    if (op != NULL && api_path_id(x, 0, &op->id))
        change(op);
}

/* ---- its life ---- */

static void moved(void *ctx, struct err err, const struct rows *r)
{
    struct merchant_op *op = ctx;
    auth_forget(op->id);
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(CONFLICT, NULL);
    if (err_is(err))
        fail(op, err);
    else
        get(op, shown);
}

static void to_move(void *ctx, struct err err, const struct rows *r)
{
    struct merchant_op *op = ctx;
    struct flow *f = flow_of(op);
    enum merchant_status from;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err) && !merchant_parse(rows_str(r, 0, M_STATUS), &from))
        err = ERR(INTERNAL, "stored status of a merchant not understood");
    if (err_is(err)) {
        fail(op, err);
        return;
    }
    if (!merchant_may_become(from, op->to)) {
        struct str detail = arena_fmt(op->x->arena, "A merchant that is %s does not become %s.",
                                      merchant_word(from), merchant_word(op->to));
        http_problem(op->x, ERR(INVALID_STATE, NULL), detail.p != NULL ? detail.p : "");
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {
        V_UUID(op->id), V_TEXT(str_c(merchant_word(from))), V_TEXT(str_c(merchant_word(op->to))),
        V_TIME(now),    V_UUID(random_uuid(now)),           V_TEXT(str_c(api_who(op->x)->actor))};
    store_exec(f->store, Q_merchant_move, params, COUNT_OF(params), moved, op);
}

static void move(struct http_exchange *x, enum merchant_status to)
{
    struct merchant_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    op->to = to;
    get(op, to_move);
}

void merchant_activate(struct http_exchange *x)
{
    move(x, MERCHANT_ACTIVE);
}

void merchant_suspend(struct http_exchange *x)
{
    move(x, MERCHANT_SUSPENDED);
}

void merchant_close(struct http_exchange *x)
{
    move(x, MERCHANT_CLOSED);
}
