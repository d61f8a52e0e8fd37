/* Money back: asked for, shown, approved, taken back. */
#include "http/api.h"

#include "core/flow/refund.h"
#include "http/list.h"
#include "http/refund_list.h"

enum { REFUND_BODY = 256 * 1024 };

/* ---- showing ---- */

void refund_put(struct jsonw *w, const struct refund_record *rec)
{
    jw_open(w);
    render_refund(w, rec);
    jw_key(w, "attempts");
    jw_open_list(w);
    for (int i = 0; i < rec->r.n_attempts; i++) {
        const struct rail_attempt *a = &rec->r.attempts[i];
        jw_open(w);
        jw_uuid(w, "id", attempt_id(rec->id, a->n));
        jw_i64(w, "n", a->n);
        jw_c(w, "rail", refund_rail_word(a->rail));
        jw_c(w, "status", rail_status_word(a->status));
        jw_str(w, "provider_transaction_id", str_c_opt(a->provider_ref));
        jw_str(w, "provider_receipt", str_c_opt(a->receipt));
        jw_str(w, "provider_code", str_c_opt(a->provider_code));
        jw_str(w, "code", a->code != FAILURE_NONE ? str_c(failure_word(a->code)) : STR_NULL);
        jw_time(w, "sent_at", a->sent_at_us);
        jw_time(w, "answered_at", a->answered_at_us);
        jw_close(w);
    }
    jw_close_list(w);
    jw_close(w);
}

struct err refund_list_put(const struct rows *r, struct arena *a, struct buf *out)
{
    struct jsonw w = jw_into(out);
    jw_open_list(&w);
    for (size_t row = 0; row < rows_n(r);) {
        struct refund_record rec;
        TRY(refund_record_read(r, row, a, &rec, &row));
        refund_put(&w, &rec);
    }
    jw_close_list(&w);
    return ERR_OK;
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    struct refund_record rec = {0};
    size_t next;
    if (!err_is(err))
        err = refund_record_read(r, 0, x->arena, &rec, &next);
    if (!err_is(err) && rec.live != api_who(x)->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such refund." : "");
        return;
    }
    struct buf b;
    buf_init(&b, REFUND_BODY);
    struct jsonw w = jw_into(&b);
    refund_put(&w, &rec);
    api_reply_buf(x, 200, &b);
}

void refund_show(struct http_exchange *x)
{
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID_OPT(UUID_NIL), V_UUID_OPT(id)};
    store_read(api_of(x)->flow->store, Q_refund_get, params, COUNT_OF(params), shown, x);
}

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    struct refund_record rec;
    TRY(refund_record_read(r, row, l->x->arena, &rec, &row));
    refund_put(w, &rec);
    return ERR_OK;
}

static const struct list_kind refunds = {
    .queries = LIST_QUERIES(refund_list),
    .id = 1,
    .joined = true,
    .rising = true,
    .put = put_listed,
};

static void payment_there(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    struct payment_record rec = {0};
    if (!err_is(err))
        err = payment_record_read(r, x->arena, &rec);
    if (!err_is(err) && rec.live != api_who(x)->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    struct listing *l = list_new(x, &refunds, NULL);
    struct value params[] = {V_UUID(rec.merchant), V_UUID(rec.id)};
    if (l != NULL)
        list_run(l, params, COUNT_OF(params));
}

void refund_index(struct http_exchange *x)
{
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID(id)};
    store_read(api_of(x)->flow->store, Q_payment_get, params, COUNT_OF(params), payment_there, x);
}

/* ---- asking ---- */

static void asked(void *ctx, struct err err, const struct refund_result *result)
{
    struct http_exchange *x = ctx;
    if (result->amount_bad) {
        struct field_errors errors = {.arena = x->arena};
        field_error(&errors, STR("amount"), "format", "Not an amount of the payment's currency.");
        http_problem_fields(x, err, "Some fields are missing or wrong.", &errors);
        return;
    }
    if (err_is(err)) {
        struct str detail = arena_dup(x->arena, result->detail);
        http_problem(x, err, detail.n > 0 ? detail.p : "");
        return;
    }
    if (result->replayed)
        api_set_replayed(x, result->original_us);
    if (result->current_status.n > 0)
        http_set_header(x, STR("Reli-Current-Status"), result->current_status);
    http_reply_json(x, result->http_status, result->body);
}

/* What a request for a refund says; false: answered. */
static bool read_request(struct http_exchange *x, bool by_reference, struct refund_input *in,
                         struct str *reference)
{
    static const char *const names[] = {"amount", "reason", NULL};
    static const char *const names_by_reference[] = {"reference", "amount", "reason", NULL};
    char number[JSON_NUMBER_TEXT];
    struct body_fields b;
    struct str s;
    if (!body_open(x, &b))
        return false;
    fields_only(&b.f, by_reference ? names_by_reference : names);
    if (by_reference && fields_text(&b.f, "reference", REQUIRED, 1, 64, &s))
        *reference = arena_dup(x->arena, s);
    if (fields_text(&b.f, "reason", OPTIONAL, 1, 255, &s))
        in->reason = arena_dup(x->arena, s);
    const struct json *amount = json_get(b.json, "amount");
    in->whole = amount == NULL || json_kind(amount) == JSON_KIND_NULL;
    if (!in->whole) {
        s = json_number_text(amount, number);
        if (s.p == NULL)
            fields_fault(&b.f, "amount", "type", "Must be a number or a decimal string.");
        in->amount = arena_dup(x->arena, s);
    }
    return body_close(x, &b);
}

/* The amount as the fingerprint sees it: 10, 10.0 and "10.00" are one. */
static struct str plain_amount(struct str amount)
{
    size_t point = str_find(amount, '.', 0);
    while (point != SIZE_MAX && amount.n > point &&
           (amount.p[amount.n - 1] == '0' || amount.n == point + 1))
        amount.n--;
    return amount;
}

static void start(struct http_exchange *x, struct refund_input *in, struct uuid payment)
{
    const struct principal *who = api_who(x);
    char id[UUID_TEXT];
    in->merchant = who->merchant;
    in->live = who->live;
    in->actor = str_c(who->actor);
    in->person = str_c(who->person);
    in->approval_above = who->refund_approval_above;
    in->payment = payment;
    in->trace = api_trace(x);
    in->route = arena_fmt(x->arena, "POST /api/v1/payments/%s/refund", uuid_text(payment, id));
    in->fields[0] = (struct fingerprint_field){"amount", plain_amount(in->amount)};
    in->fields[1] = (struct fingerprint_field){"reason", in->reason};
    in->n_fields = 2;
    refund_create(api_of(x)->flow, in, asked, x);
}

void refund_post(struct http_exchange *x)
{
    struct refund_input in = {0};
    struct uuid id;
    if (api_path_id(x, 0, &id) && api_idempotency_key(x, &in.idem_key) &&
        read_request(x, false, &in, NULL))
        start(x, &in, id);
}

struct by_reference {
    struct http_exchange *x;
    struct refund_input in;
};

static void owner_found(void *ctx, struct err err, const struct rows *r)
{
    struct by_reference *o = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(o->x, err, err.code == ERR_NOT_FOUND ? "No payment has this reference." : "");
    else
        start(o->x, &o->in, rows_uuid(r, 0, 0));
}

void refund_post_by_reference(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct by_reference *o = ARENA_NEW(x->arena, struct by_reference);
    struct str reference = STR_NULL;
    if (o == NULL) {
        http_problem(x, ERR(NO_MEMORY, "refund"), "");
        return;
    }
    o->x = x;
    if (!api_idempotency_key(x, &o->in.idem_key) || !read_request(x, true, &o->in, &reference))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)),
                             V_TEXT(reference)};
    store_read(api_of(x)->flow->store, Q_reference_get, params, COUNT_OF(params), owner_found, o);
}

/* ---- people's decisions ---- */

static void decided(void *ctx, struct err err, const struct refund_moved *result)
{
    struct http_exchange *x = ctx;
    struct flow *f = api_of(x)->flow;
    if (err.code == ERR_FORBIDDEN) {
        http_problem(x, err,
                     "Who asked for a refund cannot approve it"
                     "; until another person confirms him, a member and who invited him are one.");
        return;
    }
    if (err.code == ERR_INVALID)
        err = ERR(INVALID_STATE, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such refund." : "");
        return;
    }
    struct uuid merchant = result->refund->merchant, id = result->refund->id;
    bool send = result->fx->changed && result->refund->r.status == REFUND_PENDING;
    struct buf b;
    buf_init(&b, REFUND_BODY);
    struct jsonw w = jw_into(&b);
    refund_put(&w, result->refund);
    api_reply_buf(x, 200, &b);
    if (send)
        refund_run(f, merchant, id, NULL, NULL);
}

static void decide(struct http_exchange *x, enum refund_event_kind kind)
{
    const struct principal *who = api_who(x);
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct refund_move rq = {.merchant = who->merchant,
                             .refund = id,
                             .live_only = true,
                             .live = who->live,
                             .event = {.kind = kind},
                             .actor = str_c(who->actor),
                             .person = str_c(who->person)};
    refund_move_start(api_of(x)->flow, &rq, decided, x);
}

void refund_approve(struct http_exchange *x)
{
    decide(x, REFUND_EVENT_APPROVE);
}

void refund_reject(struct http_exchange *x)
{
    decide(x, REFUND_EVENT_REJECT);
}

void refund_cancel(struct http_exchange *x)
{
    decide(x, REFUND_EVENT_CANCEL);
}

void refund_confirm(struct http_exchange *x)
{
    decide(x, REFUND_EVENT_CONFIRM);
}
