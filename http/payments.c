/* One payment: created, shown, confirmed, cancelled. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/flow/account.h"
#include "core/flow/ask.h"
#include "core/flow/charge.h"
#include "core/flow/failover.h"
#include "core/flow/move.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "http/payment_input.h"
#include "http/refund_list.h"

enum { BODY_MAX = 2 * 1024 * 1024 };

/* ---- create ---- */

static void set_replay_headers(struct http_exchange *x, const struct charge_result *result)
{
    if (result->replayed)
        api_set_replayed(x, result->original_us);
    if (result->recovered)
        http_set_header(x, STR("Idempotent-Recovered"), STR("true"));
    if (result->current_status.n > 0)
        http_set_header(x, STR("Reli-Current-Status"), result->current_status);
    if (result->location.n > 0) {
        struct str url = arena_fmt(x->arena, "/api/v1/payments/%.*s", STR_ARG(result->location));
        http_set_header(x, STR("Location"), url);
    }
}

static void charged(void *ctx, struct err err, const struct charge_result *result)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        struct str detail = arena_dup(x->arena, result->detail);
        if (result->amount_bad) {
            struct field_errors errors = {.arena = x->arena};
            field_error(&errors, STR("amount"), "range", detail.p);
            http_problem_fields(x, err, "Some fields are missing or wrong.", &errors);
            return;
        }
        http_problem(x, err, detail.n > 0 ? detail.p : "");
        return;
    }
    set_replay_headers(x, result);
    http_reply(x, result->http_status,
               result->is_problem ? STR("application/problem+json") : STR("application/json"),
               result->body);
}

static struct str problem_text(void *ctx, struct err err, const char *detail)
{
    return http_problem_text(ctx, err, detail, NULL);
}

/* Frees the body. */
static void charge(struct http_exchange *x, struct json *body, const struct routes *routes,
                   struct charge_input *in)
{
    struct field_errors errors = {.arena = x->arena};
    payment_input_read(x, body, api_who(x), routes, &errors, in);
    in->trace = api_trace(x);
    json_free(body);
    if (api_no_faults(x, &errors))
        charge_start(api_of(x)->flow, in, charged, x);
}

/* A request whose provider is to be found, while accounts and routes are being asked for. */
struct routing {
    struct http_exchange *x;
    struct json *body;
    struct charge_input in;
};

static void routes_found(void *ctx, struct err err, const struct routes *routes)
{
    struct routing *r = ctx;
    if (err_is(err)) {
        json_free(r->body);
        http_problem(r->x, err, "");
        return;
    }
    charge(r->x, r->body, routes, &r->in);
}

static void accounts_found(void *ctx, struct err err)
{
    struct routing *r = ctx;
    const struct principal *who = api_who(r->x);
    struct flow *f = api_of(r->x)->flow;
    struct routes routes;
    if (err_is(err))
        routes_found(r, err, NULL);
    else if (routes_known(f, who->merchant, who->live, &routes))
        routes_found(r, ERR_OK, &routes);
    else
        routes_start(f, who->merchant, who->live, routes_found, r);
}

static void find_provider(struct http_exchange *x, struct json *body, const struct charge_input *in)
{
    struct routing *r = ARENA_NEW(x->arena, struct routing);
    struct uuid merchant = api_who(x)->merchant;
    if (r == NULL) {
        json_free(body);
        http_problem(x, ERR(NO_MEMORY, "routing"), "");
        return;
    }
    *r = (struct routing){x, body, *in};
    if (accounts_fresh(api_of(x)->flow, merchant))
        accounts_found(r, ERR_OK);
    else
        accounts_start(api_of(x)->flow, merchant, accounts_found, r);
}

void payment_create(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct charge_input in = {
        .merchant = who->merchant,
        .live = who->live,
        .actor = str_c(who->actor),
        .wait_us = api_preferred_wait(x),
        .problem = problem_text,
        .problem_ctx = x,
    };
    if (!api_idempotency_key(x, &in.idem_key))
        return;
    struct json *body = api_body(x);
    if (body == NULL)
        return;
    if (payment_input_routed(x, body))
        find_provider(x, body, &in);
    else
        charge(x, body, NULL, &in);
}

/* ---- show ---- */

/* A payment and its trail, read side by side, and its refunds, where the trail speaks of any. */
struct show {
    struct http_exchange *x;
    struct uuid id;
    int waiting;
    struct err err;
    struct payment_record rec;
    struct buf timeline, refunds;
    struct str routed; /* how the provider was chosen; absent: the client named it */
};

static void put_attempts(struct jsonw *w, const struct payment_record *rec)
{
    jw_key(w, "attempts");
    jw_open_list(w);
    for (int i = 0; i < rec->p.n_attempts; i++) {
        const struct attempt *a = &rec->p.attempts[i];
        jw_open(w);
        jw_uuid(w, "id", attempt_id(rec->id, a->n));
        jw_i64(w, "n", a->n);
        jw_c(w, "status", attempt_status_word(a->status));
        jw_str(w, "provider", rec->places[i].provider);
        jw_raw(w, "route", rec->places[i].route);
        jw_money(w, "amount", a->amount);
        jw_str(w, "provider_transaction_id", str_c_opt(a->provider_ref));
        jw_str(w, "provider_receipt", str_c_opt(a->receipt));
        jw_str(w, "provider_code", str_c_opt(a->provider_code));
        jw_str(w, "code", a->code != FAILURE_NONE ? str_c(failure_word(a->code)) : STR_NULL);
        jw_time(w, "sent_at", a->sent_at_us);
        jw_time(w, "answered_at", a->answered_at_us);
        jw_close(w);
    }
    jw_close_list(w);
}

/* Of the attempt that counts, before that of the latest; without any, of the request. */
static struct str route_now(const struct show *s)
{
    const struct payment_record *rec = &s->rec;
    for (int i = rec->p.n_attempts - 1; i >= 0; i--)
        if (uuid_eq(rec->places[i].account_id, rec->account_id))
            return rec->places[i].route;
    return s->routed;
}

static void put_route(struct jsonw *w, const struct show *s)
{
    struct str route = route_now(s);
    if (route.n > 0) {
        jw_raw(w, "route", route);
        return;
    }
    jw_key(w, "route");
    jw_open(w);
    jw_str(w, "chosen", s->rec.provider);
    jw_c(w, "reason", "named");
    jw_key(w, "skipped");
    jw_open_list(w);
    jw_close_list(w);
    jw_close(w);
}

static void show_done(struct show *s)
{
    struct http_exchange *x = s->x;
    struct str person = STR("");
    if (--s->waiting > 0)
        return;
    if (!err_is(s->err) && s->rec.live != api_who(x)->live)
        s->err = ERR(NOT_FOUND, NULL);
    if (!err_is(s->err))
        s->err = record_person(api_of(x)->flow, &s->rec, x->arena, &person);
    if (err_is(s->err)) {
        buf_free(&s->timeline);
        buf_free(&s->refunds);
        http_problem(x, s->err, s->err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    struct buf b;
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, &s->rec, person);
    put_route(&w, s);
    put_attempts(&w, &s->rec);
    jw_raw(&w, "refunds", buf_view(&s->refunds));
    jw_raw(&w, "timeline", buf_view(&s->timeline));
    jw_close(&w);
    buf_free(&s->timeline);
    buf_free(&s->refunds);
    api_reply_buf(x, 200, &b);
}

static void payment_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct show *s = ctx;
    if (!err_is(err))
        err = payment_record_read(rows, s->x->arena, &s->rec);
    if (err_is(err))
        s->err = err;
    show_done(s);
}

static void refunds_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct show *s = ctx;
    buf_reset(&s->refunds);
    if (!err_is(err))
        err = refund_list_put(r, s->x->arena, &s->refunds);
    if (err_is(err))
        s->err = err;
    show_done(s);
}

static void load_refunds(struct show *s)
{
    struct value params[] = {V_UUID(api_who(s->x)->merchant), V_UUID_OPT(s->id),
                             V_UUID_OPT(UUID_NIL)};
    s->waiting++;
    store_read(api_of(s->x)->flow->store, Q_refund_get, params, COUNT_OF(params), refunds_loaded,
               s);
}

enum { L_ID, L_ACTION, L_ACTOR, L_BEFORE, L_AFTER, L_DETAIL, L_AT };
enum { TRAIL_MAX = 200 }; /* of audit_list: a longer one may speak of refunds behind its end */

static void trail_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct show *s = ctx;
    if (err_is(err)) {
        s->err = err;
    } else {
        struct jsonw w = jw_into(&s->timeline);
        bool refunded = rows_n(r) >= TRAIL_MAX;
        jw_open_list(&w);
        for (size_t i = 0; i < rows_n(r); i++) {
            struct str action = rows_str(r, i, L_ACTION), detail = rows_str(r, i, L_DETAIL);
            if (str_eq(action, STR("payment.initiated"))) {
                s->routed = arena_dup(s->x->arena, detail);
                detail = STR_NULL;
            }
            refunded |= str_starts(action, STR("refund."));
            jw_open(&w);
            jw_uuid(&w, "id", rows_uuid(r, i, L_ID));
            jw_str(&w, "action", action);
            jw_str(&w, "actor", rows_str(r, i, L_ACTOR));
            jw_str(&w, "from", rows_str(r, i, L_BEFORE));
            jw_str(&w, "to", rows_str(r, i, L_AFTER));
            jw_str(&w, "detail", detail);
            jw_time(&w, "at", rows_time(r, i, L_AT));
            jw_close(&w);
        }
        jw_close_list(&w);
        if (refunded)
            load_refunds(s);
    }
    show_done(s);
}

static void show(struct http_exchange *x, struct uuid id)
{
    struct store *store = api_of(x)->flow->store;
    struct show *s = ARENA_NEW(x->arena, struct show);
    if (s == NULL) {
        http_problem(x, ERR(NO_MEMORY, "show"), "");
        return;
    }
    s->x = x;
    s->id = id;
    s->waiting = 2;
    buf_init(&s->timeline, BODY_MAX);
    buf_init(&s->refunds, BODY_MAX);
    buf_c(&s->refunds, "[]");
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID(id)};
    store_read(store, Q_payment_get, params, COUNT_OF(params), payment_loaded, s);
    store_read(store, Q_audit_list, params, COUNT_OF(params), trail_loaded, s);
}

void payment_show(struct http_exchange *x)
{
    struct uuid id;
    if (api_path_id(x, 0, &id))
        show(x, id);
}

static void owner_found(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No payment has this reference." : "");
    else
        show(x, rows_uuid(r, 0, 0));
}

void payment_status_post(struct http_exchange *x)
{
    static const char *const names[] = {"reference", "reference_no", NULL};
    const struct principal *who = api_who(x);
    struct str word = STR_NULL, number = STR_NULL;
    struct body_fields b;
    if (!body_open(x, &b))
        return;
    fields_only(&b.f, names);
    (void)fields_text(&b.f, "reference", OPTIONAL, 1, 64, &word);
    (void)fields_text(&b.f, "reference_no", OPTIONAL, 1, 64, &number);
    if (b.errors.n == 0 && (word.p == NULL) == (number.p == NULL))
        fields_fault(&b.f, "reference", "required", "Send either reference or reference_no.");
    word = arena_dup(x->arena, word.p != NULL ? word : number);
    if (!body_close(x, &b))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(word)};
    store_read(api_of(x)->flow->store, Q_reference_get, params, COUNT_OF(params), owner_found, x);
}
