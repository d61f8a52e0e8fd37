/* What became of a merchant's webhooks: each delivery, each request of it, and once more. */
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/flow/deliver.h"
#include "core/flow/render.h"
#include "http/api.h"
#include "http/list.h"

enum { ANSWER_MAX = 1 << 20, ATTEMPTS_MAX = 32 };

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

/* Leaves the object open. */
static void put_delivery(struct jsonw *w, const struct rows *r, size_t i)
{
    bool own = uuid_eq(rows_uuid(r, i, W_ENDPOINT), rows_uuid(r, i, W_PAYMENT));
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, W_ID));
    jw_c(w, "object", "webhook_delivery");
    jw_uuid(w, "event_id", rows_uuid(r, i, W_EVENT));
    jw_str(w, "event_type", rows_str(r, i, W_TYPE));
    render_subject(w, rows_uuid(r, i, W_PAYMENT));
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
    jw_str(w, "last_error", rows_str(r, i, W_ERROR));
    jw_time(w, "created_at", rows_time(r, i, W_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, W_UPDATED));
}

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t i)
{
    (void)l;
    put_delivery(w, r, i);
    jw_close(w);
    return ERR_OK;
}

static const struct list_kind deliveries = {
    .queries = LIST_QUERIES(delivery_list),
    .filters = "status endpoint_id",
    .id = W_ID,
    .reach = Q_delivery_reach,
    .reach_newer = Q_delivery_reach_newer,
    .put = put_listed,
};

void delivery_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &deliveries, NULL);
    struct str status = http_query(x, STR("status"));
    struct uuid endpoint = UUID_NIL;
    enum delivery_status known;
    if (l == NULL)
        return;
    if (status.p != NULL && !delivery_status_parse(status, &known))
        field_error(&l->errors, STR("status"), "format", "No such status.");
    list_id(http_query(x, STR("endpoint_id")), "endpoint_id", &endpoint, &l->errors);
    l->filtered = status.p != NULL || !uuid_is_nil(endpoint);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(status),
                             V_UUID_OPT(endpoint)};
    list_run(l, params, COUNT_OF(params));
}

/* ---- one, with every request that was made of it ---- */

struct delivery_op {
    struct http_exchange *x;
    struct uuid id;
    struct buf body;
    struct jsonw w;
};

enum { T_N, T_AT, T_HTTP, T_ERROR, T_TOOK, T_ANSWER };

/* It was cut somewhere. */
static struct str without_half_character(struct str text)
{
    for (size_t cut = 0; cut < 4 && cut < text.n; cut++)
        if (utf8_valid(str_first(text, text.n - cut)))
            return str_first(text, text.n - cut);
    return text; /* it may be anything */
}

static void put_answer(struct delivery_op *o, const struct rows *r, size_t i)
{
    struct str text;
    struct http_exchange *x = o->x;
    if (rows_null(r, i, T_ANSWER) ||
        err_is(vault_open(api_of(x)->flow->vault, "delivery_attempt.answer", api_who(x)->merchant,
                          delivery_attempt_row(o->id, (int)rows_i64(r, i, T_N)),
                          rows_str(r, i, T_ANSWER), x->arena, &text)))
        text = STR_NULL;
    text = without_half_character(text);
    if (text.p != NULL && !utf8_valid(text)) {
        char *p = arena_alloc(x->arena, text.n);
        for (size_t k = 0; p != NULL && k < text.n; k++)
            p[k] = text.p[k] >= ' ' && text.p[k] <= '~' ? text.p[k] : '?';
        text = p != NULL ? str_n(p, text.n) : STR_NULL;
    }
    jw_str(&o->w, "answer", text);
}

static void attempts_known(void *ctx, struct err err, const struct rows *r)
{
    struct delivery_op *o = ctx;
    if (err_is(err)) {
        buf_free(&o->body);
        http_problem(o->x, err, "");
        return;
    }
    jw_key(&o->w, "attempts");
    jw_open_list(&o->w);
    for (size_t i = 0; i < rows_n(r); i++) {
        jw_open(&o->w);
        jw_i64(&o->w, "n", rows_i64(r, i, T_N));
        jw_time(&o->w, "at", rows_time(r, i, T_AT));
        if (rows_i64(r, i, T_HTTP) == 0)
            jw_null(&o->w, "http_status");
        else
            jw_i64(&o->w, "http_status", rows_i64(r, i, T_HTTP));
        jw_str(&o->w, "error", rows_str(r, i, T_ERROR));
        jw_i64(&o->w, "latency_ms", rows_i64(r, i, T_TOOK) / US_PER_MS);
        put_answer(o, r, i);
        jw_close(&o->w);
    }
    jw_close_list(&o->w);
    jw_close(&o->w);
    api_reply_buf(o->x, 200, &o->body);
}

static void delivery_known(void *ctx, struct err err, const struct rows *r)
{
    struct delivery_op *o = ctx;
    struct http_exchange *x = o->x;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such delivery." : "");
        return;
    }
    buf_init(&o->body, ANSWER_MAX);
    o->w = jw_into(&o->body);
    put_delivery(&o->w, r, 0);
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID(o->id), V_I64(ATTEMPTS_MAX)};
    store_read(api_of(x)->flow->store, Q_delivery_attempts, params, COUNT_OF(params),
               attempts_known, o);
}

void delivery_show(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct delivery_op *o = ARENA_NEW(x->arena, struct delivery_op);
    if (o == NULL) {
        http_problem(x, ERR(NO_MEMORY, "delivery"), "");
        return;
    }
    o->x = x;
    if (!api_path_id(x, 0, &o->id))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_UUID(o->id)};
    store_read(api_of(x)->flow->store, Q_delivery_show, params, COUNT_OF(params), delivery_known,
               o);
}

static void replayed(void *ctx, struct err err, struct uuid delivery)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        http_problem(x, err,
                     err.code == ERR_NOT_FOUND       ? "No such delivery."
                     : err.code == ERR_INVALID_STATE ? "The endpoint is disabled or deleted."
                                                     : "");
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
