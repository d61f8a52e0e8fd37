/* Where a merchant's webhooks go, and what became of them. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/deliver.h"
#include "core/flow/webhook_sign.h"

enum { URL_MAX = 2000, EVENTS_MAX = 32, ANSWER_MAX = 1 << 20, RECOVER_MAX = 1000 };

/* What a request wants to do with an endpoint; lives in the exchange's arena. */
struct endpoint_op {
    struct http_exchange *x;
    struct uuid id;
    struct str url, events, description, status; /* p == NULL: as it is */
    struct str secret;                           /* shown in this answer only */
    struct str secrets;                          /* all of them, newest first, by blanks */
    int status_code;
    const char *action;
    int left, started; /* recover */
    int64_t since_us;
    struct err err;
};

static struct endpoint_op *op_new(struct http_exchange *x)
{
    struct endpoint_op *op = ARENA_NEW(x->arena, struct endpoint_op);
    if (op == NULL)
        http_problem(x, ERR(NO_MEMORY, "endpoint"), "");
    else
        op->x = x;
    return op;
}

static void fail(struct http_exchange *x, struct err err)
{
    http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such webhook endpoint." : "");
}

/* ---- reading ---- */

static bool event_word_ok(struct str word)
{
    if (str_eq(word, STR("*")))
        return true;
    for (int n = NOTICE_INITIATED; n <= NOTICE_UPDATED; n++) {
        struct str type = str_c(payment_notice_type((enum payment_notice)n));
        if (str_eq(word, type))
            return true;
    }
    for (int n = REFUND_NOTICE_PENDING; n <= REFUND_NOTICE_IN_RECONCILIATION; n++)
        if (str_eq(word, str_c(refund_notice_type((enum refund_notice)n))))
            return true;
    return str_eq(word, STR("payment.*")) || str_eq(word, STR("refund.*"));
}

static void read_events(struct fields *f, struct endpoint_op *op)
{
    const struct json *list = json_get(f->obj, "events");
    struct buf b;
    if (list == NULL || json_kind(list) == JSON_KIND_NULL)
        return;
    if (json_kind(list) != JSON_ARR || json_n(list) == 0 || json_n(list) > EVENTS_MAX) {
        fields_fault(f, "events", "type", "A list of 1 to 32 event types, or [\"*\"].");
        return;
    }
    buf_init(&b, 4096);
    for (size_t i = 0; i < json_n(list); i++) {
        struct str word = json_str(json_at(list, i));
        if (word.p == NULL || !event_word_ok(word)) {
            fields_fault(f, "events", "unknown", "No such event type.");
            break;
        }
        if (i > 0)
            buf_char(&b, ',');
        buf_str(&b, word);
    }
    op->events = arena_dup(op->x->arena, buf_view(&b));
    buf_free(&b);
}

/* False: answered. */
static bool read_body(struct http_exchange *x, struct endpoint_op *op, bool whole)
{
    static const char *const create_names[] = {"url", "events", "description", NULL};
    static const char *const change_names[] = {"url", "events", "description", "status", NULL};
    struct json *body = api_body(x);
    if (body == NULL)
        return false;
    struct field_errors errors = {.arena = x->arena};
    struct fields f = {body, "", &errors};
    struct str s;
    fields_only(&f, whole ? create_names : change_names);
    if (fields_text(&f, "url", whole ? REQUIRED : OPTIONAL, 8, URL_MAX, &s)) {
        if (!outbound_url_ok(s, api_of(x)->flow->settings.webhook_allow_private))
            fields_fault(&f, "url", "format",
                         "Must be an https URL of a public host, without credentials.");
        op->url = arena_dup(x->arena, s);
    }
    read_events(&f, op);
    if (fields_text(&f, "description", OPTIONAL, 1, 255, &s))
        op->description = arena_dup(x->arena, s);
    if (!whole && fields_text(&f, "status", OPTIONAL, 1, 16, &s)) {
        if (!str_eq(s, STR("enabled")) && !str_eq(s, STR("disabled")))
            fields_fault(&f, "status", "unknown", "enabled or disabled.");
        op->status = arena_dup(x->arena, s);
    }
    json_free(body);
    if (errors.n > 0)
        http_problem_fields(x, ERR(VALIDATION, NULL), "Some fields are missing or wrong.", &errors);
    return errors.n == 0;
}

/* ---- writing ---- */

enum {
    C_ID,
    C_MODE,
    C_URL,
    C_EVENTS,
    C_DESCRIPTION,
    C_STATUS,
    C_REASON,
    C_SECRETS,
    C_CREATED,
    C_UPDATED
};

static void put_words(struct jsonw *w, const char *name, struct str words)
{
    struct str word;
    jw_key(w, name);
    jw_open_list(w);
    while (str_split(&words, ',', &word))
        jw_str(w, NULL, word);
    jw_close_list(w);
}

static void put_endpoint(struct jsonw *w, const struct rows *r, size_t i, struct str secret)
{
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, C_ID));
    jw_c(w, "object", "webhook_endpoint");
    jw_str(w, "mode", rows_str(r, i, C_MODE));
    jw_str(w, "url", rows_str(r, i, C_URL));
    put_words(w, "events", rows_str(r, i, C_EVENTS));
    jw_str(w, "description",
           rows_null(r, i, C_DESCRIPTION) ? STR_NULL : rows_str(r, i, C_DESCRIPTION));
    jw_str(w, "status", rows_str(r, i, C_STATUS));
    jw_str(w, "status_reason", rows_null(r, i, C_REASON) ? STR_NULL : rows_str(r, i, C_REASON));
    if (secret.n > 0)
        jw_str(w, "secret", secret);
    jw_time(w, "created_at", rows_time(r, i, C_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, C_UPDATED));
    jw_close(w);
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    put_endpoint(&w, r, 0, op->secret);
    api_reply_buf(op->x, op->status_code, &b);
}

static void get(struct endpoint_op *op, store_rows_fn *done)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {V_UUID(who->merchant), V_UUID(op->id), V_TEXT(mode_word(who->live))};
    store_read(api_of(op->x)->flow->store, Q_endpoint_get, params, COUNT_OF(params), done, op);
}

static void audited(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    (void)r;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    if (op->status_code == 204)
        http_reply(op->x, 204, STR("application/json"), STR_NULL);
    else
        get(op, shown);
}

static void audit(struct endpoint_op *op)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(who->merchant),     V_UUID(op->id),
                             V_UUID(random_uuid(now)),  V_TEXT(mode_word(who->live)),
                             V_TEXT(str_c(op->action)), V_TEXT(str_c(who->actor)),
                             V_TEXT(STR_NULL),          V_TIME(now)};
    store_exec(f->store, Q_audit_insert, params, COUNT_OF(params), audited, op);
}

static void written(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = op->status_code == 201 ? ERR(INVALID_STATE, NULL) : ERR(NOT_FOUND, NULL);
    if (err.code == ERR_INVALID_STATE)
        http_problem(op->x, err, "There are 16 endpoints already; delete one.");
    else if (err_is(err))
        fail(op->x, err);
    else
        audit(op);
}

static struct err seal_secrets(struct endpoint_op *op, struct str *sealed)
{
    struct flow *f = api_of(op->x)->flow;
    struct buf b;
    buf_init(&b, 4096);
    struct err err = vault_seal(f->vault, "webhook_endpoint.secrets", api_who(op->x)->merchant,
                                op->id, op->secrets, &b);
    *sealed = arena_dup(op->x->arena, buf_view(&b));
    buf_free(&b);
    return sealed->p == NULL && !err_is(err) ? ERR(NO_MEMORY, "secrets") : err;
}

void endpoint_create(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    const struct principal *who = api_who(x);
    struct flow *f = api_of(x)->flow;
    struct str sealed;
    if (op == NULL || !read_body(x, op, true))
        return;
    int64_t now = loop_wall_us(f->loop);
    op->id = random_uuid(now);
    op->status_code = 201;
    op->action = "webhook_endpoint.created";
    op->secret = op->secrets = webhook_secret_make(x->arena);
    struct err err = seal_secrets(op, &sealed);
    if (err_is(err)) {
        fail(x, err);
        return;
    }
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(op->id),
                             V_TEXT(mode_word(who->live)),
                             V_TEXT(op->url),
                             V_TEXT(op->events.p != NULL ? op->events : STR("*")),
                             V_TEXT(op->description),
                             V_BYTES(sealed),
                             V_TIME(now)};
    store_exec(f->store, Q_endpoint_insert, params, COUNT_OF(params), written, op);
}

static void update(struct endpoint_op *op, struct str sealed)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    struct value params[] = {
        V_UUID(who->merchant), V_UUID(op->id),     V_TEXT(mode_word(who->live)),
        V_TEXT(op->url),       V_TEXT(op->events), V_TEXT(op->description),
        V_TEXT(op->status),    V_BYTES(sealed),    V_TIME(loop_wall_us(f->loop))};
    op->status_code = 200;
    store_exec(f->store, Q_endpoint_update, params, COUNT_OF(params), written, op);
}

void endpoint_change(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id) || !read_body(x, op, false))
        return;
    op->action = "webhook_endpoint.changed";
    update(op, STR_NULL);
}

/* ---- rotation: the new secret first, the former ones sign along until they are pushed out ---- */

static void to_rotate(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    struct http_exchange *x = op->x;
    struct str old, sealed;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err))
        err = vault_open(api_of(x)->flow->vault, "webhook_endpoint.secrets", api_who(x)->merchant,
                         op->id, rows_str(r, 0, C_SECRETS), x->arena, &old);
    if (!err_is(err)) {
        struct str second =
            str_first(old, str_find(old, ' ', 0)); /* the newest of the former ones */
        op->secret = webhook_secret_make(x->arena);
        op->secrets = arena_fmt(x->arena, "%.*s %.*s", STR_ARG(op->secret), STR_ARG(second));
        err = seal_secrets(op, &sealed);
    }
    if (err_is(err)) {
        fail(x, err);
        return;
    }
    op->action = "webhook_endpoint.secret_rotated";
    update(op, sealed);
}

void endpoint_rotate(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id))
        get(op, to_rotate);
}

void endpoint_remove(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct endpoint_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    op->status_code = 204;
    op->action = "webhook_endpoint.deleted";
    struct value params[] = {V_UUID(who->merchant), V_UUID(op->id), V_TEXT(mode_word(who->live))};
    store_exec(api_of(x)->flow->store, Q_endpoint_delete, params, COUNT_OF(params), written, op);
}

void endpoint_show(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    op->status_code = 200;
    get(op, shown);
}

static void put_list_end(struct jsonw *w, bool more, struct uuid next)
{
    jw_close_list(w);
    jw_bool(w, "has_more", more);
    if (more)
        jw_uuid(w, "next", next);
    else
        jw_null(w, "next");
    jw_close(w);
}

static void put_list_start(struct jsonw *w)
{
    jw_open(w);
    jw_c(w, "object", "list");
    jw_key(w, "data");
    jw_open_list(w);
}

static void endpoints_listed(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    put_list_start(&w);
    for (size_t i = 0; i < rows_n(r); i++)
        put_endpoint(&w, r, i, STR_NULL);
    put_list_end(&w, false, UUID_NIL);
    api_reply_buf(x, 200, &b);
}

void endpoint_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    store_read(api_of(x)->flow->store, Q_endpoint_list, params, COUNT_OF(params), endpoints_listed,
               x);
}

/* ---- the merchant's default secret, which signs for callback_url ---- */

static void default_audited(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    (void)r;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    struct buf b;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "webhook_endpoint_default");
    jw_str(&w, "secret", op->secret);
    jw_close(&w);
    api_reply_buf(op->x, 200, &b);
}

static void merchant_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    struct http_exchange *x = op->x;
    const struct principal *who = api_who(x);
    struct flow *f = api_of(x)->flow;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err))
        err = vault_open(f->vault, "merchant.webhook_secret", who->merchant, who->merchant,
                         rows_str(r, 0, 3), x->arena, &op->secret);
    if (err_is(err)) {
        fail(x, err);
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(who->merchant),
                             V_UUID(random_uuid(now)),
                             V_TEXT(mode_word(who->live)),
                             V_TEXT(STR("webhook_secret.shown")),
                             V_TEXT(str_c(who->actor)),
                             V_TEXT(STR_NULL),
                             V_TIME(now)};
    store_exec(f->store, Q_audit_insert, params, COUNT_OF(params), default_audited, op);
}

void endpoint_default(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op == NULL)
        return;
    struct value params[] = {V_UUID(api_who(x)->merchant)};
    store_read(api_of(x)->flow->store, Q_merchant_get, params, COUNT_OF(params), merchant_loaded,
               op);
}

/* ---- deliveries ---- */

enum {
    W_ID,
    W_PAYMENT,
    W_SEQ,
    W_EVENT,
    W_TYPE,
    W_ENDPOINT,
    W_STATUS,
    W_TRIES,
    W_NEXT,
    W_HTTP,
    W_ERROR,
    W_CREATED,
    W_UPDATED
};

static void put_delivery(struct jsonw *w, const struct rows *r, size_t i)
{
    bool own = uuid_eq(rows_uuid(r, i, W_ENDPOINT), rows_uuid(r, i, W_PAYMENT));
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, W_ID));
    jw_c(w, "object", "webhook_delivery");
    jw_uuid(w, "event_id", rows_uuid(r, i, W_EVENT));
    jw_str(w, "event_type", rows_str(r, i, W_TYPE));
    jw_uuid(w, "payment_id", rows_uuid(r, i, W_PAYMENT));
    jw_i64(w, "seq", rows_i64(r, i, W_SEQ));
    if (own)
        jw_null(w, "endpoint_id"); /* the payment's own callback_url */
    else
        jw_uuid(w, "endpoint_id", rows_uuid(r, i, W_ENDPOINT));
    jw_str(w, "status", rows_str(r, i, W_STATUS));
    jw_i64(w, "tries", rows_i64(r, i, W_TRIES));
    jw_time(w, "next_at", rows_time(r, i, W_NEXT));
    if (rows_null(r, i, W_HTTP) || rows_i64(r, i, W_HTTP) == 0)
        jw_null(w, "last_http_status");
    else
        jw_i64(w, "last_http_status", rows_i64(r, i, W_HTTP));
    jw_str(w, "last_error", rows_null(r, i, W_ERROR) ? STR_NULL : rows_str(r, i, W_ERROR));
    jw_time(w, "created_at", rows_time(r, i, W_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, W_UPDATED));
    jw_close(w);
}

struct delivery_listing {
    struct http_exchange *x;
    int64_t limit;
};

static void deliveries_listed(void *ctx, struct err err, const struct rows *r)
{
    struct delivery_listing *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    size_t n = rows_n(r);
    bool more = n > (size_t)l->limit;
    if (more)
        n = (size_t)l->limit;
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    put_list_start(&w);
    for (size_t i = 0; i < n; i++)
        put_delivery(&w, r, i);
    put_list_end(&w, more, more ? rows_uuid(r, n - 1, W_ID) : UUID_NIL);
    api_reply_buf(l->x, 200, &b);
}

void delivery_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct delivery_listing *l = ARENA_NEW(x->arena, struct delivery_listing);
    struct field_errors errors = {.arena = x->arena};
    struct uuid cursor = UUID_NIL;
    struct str status = http_query(x, STR("status")), after = http_query(x, STR("after")),
               limit = http_query(x, STR("limit"));
    enum delivery_status known;
    if (l == NULL) {
        http_problem(x, ERR(NO_MEMORY, "deliveries"), "");
        return;
    }
    l->x = x;
    l->limit = 20;
    if (status.p != NULL && !delivery_status_parse(status, &known))
        field_error(&errors, STR("status"), "format", "No such status.");
    if (after.p != NULL && !uuid_parse(after, &cursor))
        field_error(&errors, STR("after"), "format", "Not a cursor.");
    if (limit.p != NULL && (!str_to_i64(limit, &l->limit) || l->limit < 1 || l->limit > 100))
        field_error(&errors, STR("limit"), "format", "1 to 100.");
    if (errors.n > 0) {
        http_problem_fields(x, ERR(VALIDATION, NULL), "Some parameters are wrong.", &errors);
        return;
    }
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(status),
                             V_UUID_OPT(cursor), V_I64(l->limit + 1)};
    store_read(api_of(x)->flow->store, Q_delivery_list, params, COUNT_OF(params), deliveries_listed,
               l);
}

static void replayed(void *ctx, struct err err, struct uuid delivery)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such delivery." : "");
        return;
    }
    struct buf b;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_uuid(&w, "id", delivery);
    jw_c(&w, "object", "webhook_delivery");
    jw_close(&w);
    api_reply_buf(x, 202, &b);
}

void delivery_replay(struct http_exchange *x)
{
    struct uuid id;
    const struct principal *who = api_who(x);
    if (api_path_id(x, 0, &id))
        deliver_again(api_of(x)->flow, who->merchant, id, who->live, replayed, x);
}

/* ---- recover: everything that died since a moment is sent once more ---- */

static void recover_answer(struct endpoint_op *op)
{
    struct buf b;
    if (op->left > 0)
        return;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "webhook_recovery");
    jw_i64(&w, "deliveries", op->started);
    jw_close(&w);
    api_reply_buf(op->x, 202, &b);
}

static void recovered_one(void *ctx, struct err err, struct uuid delivery)
{
    struct endpoint_op *op = ctx;
    (void)delivery;
    op->left--;
    op->started += err_is(err) ? 0 : 1;
    recover_answer(op);
}

static void dead_found(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    const struct principal *who = api_who(op->x);
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    op->left = (int)rows_n(r);
    if (op->left == 0)
        recover_answer(op);
    for (size_t i = 0, n = rows_n(r); i < n; i++)
        deliver_again(api_of(op->x)->flow, who->merchant, rows_uuid(r, i, 0), who->live,
                      recovered_one, op);
}

static void endpoint_there(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, "endpoint");
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    struct value params[] = {V_UUID(api_who(op->x)->merchant), V_UUID(op->id),
                             V_UUID(uuid_v7_floor(op->since_us / US_PER_MS)), V_I64(RECOVER_MAX)};
    store_read(api_of(op->x)->flow->store, Q_delivery_failed, params, COUNT_OF(params), dead_found,
               op);
}

void endpoint_recover(struct http_exchange *x)
{
    static const char *const names[] = {"since", NULL};
    struct endpoint_op *op = op_new(x);
    struct str since;
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    struct json *body = api_body(x);
    if (body == NULL)
        return;
    struct field_errors errors = {.arena = x->arena};
    struct fields f = {body, "", &errors};
    fields_only(&f, names);
    if (fields_text(&f, "since", REQUIRED, 4, 40, &since) && !time_parse(since, &op->since_us))
        fields_fault(&f, "since", "format", "A date or time of RFC 3339.");
    json_free(body);
    if (errors.n > 0) {
        http_problem_fields(x, ERR(VALIDATION, NULL), "Some fields are missing or wrong.", &errors);
        return;
    }
    const struct principal *who = api_who(x);
    struct value params[] = {V_UUID(who->merchant), V_UUID(op->id), V_TEXT(mode_word(who->live))};
    store_read(api_of(x)->flow->store, Q_endpoint_get, params, COUNT_OF(params), endpoint_there,
               op);
}
