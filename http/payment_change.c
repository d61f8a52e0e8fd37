/* What a merchant wants of a payment: that a manual method was collected, that a customer's code is
 * handed on, that it is cancelled, that its provider is asked now. */
#include "http/api.h"

#include "core/flow/act.h"
#include "core/flow/ask.h"
#include "core/flow/failover.h"
#include "core/flow/move.h"
#include "core/flow/once.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

enum { BODY_MAX = 2 * 1024 * 1024, CODE_MIN = 4, CODE_MAX = 10 };

/* A merchant's move: looked at first, because the amount, the mode and the state decide what is
 * said to the client. */
struct change {
    struct http_exchange *x;
    enum payment_event_kind kind;
    struct str code; /* CONFIRM: a customer's; else absent */
    struct uuid id;
    struct payment_record rec;
    bool keyed; /* what is said is the answer of `once` */
    struct once once;
    struct err err; /* said once the key is given back: this, or else the body */
    const char *detail;
    struct str body;
};

/* ---- what is said ---- */

static struct err put(struct http_exchange *x, const struct payment_record *rec, struct buf *b)
{
    struct str person = STR("");
    buf_init(b, BODY_MAX);
    TRY(record_person(api_of(x)->flow, rec, x->arena, &person));
    struct jsonw w = jw_into(b);
    jw_open(&w);
    render_payment(&w, rec, person);
    jw_close(&w);
    return ERR_OK;
}

static void show(struct http_exchange *x, int status, const struct payment_record *rec)
{
    struct buf b;
    struct err err = put(x, rec, &b);
    if (err_is(err))
        http_problem(x, err, "");
    else
        api_reply_buf(x, status, &b);
}

/* The answer of the key, as whoever asks again will have it. */
static void known(struct change *c, const struct once_known *k)
{
    struct http_exchange *x = c->x;
    struct payment_record rec = {.merchant = c->once.in.merchant, .id = c->id, .pii = k->pii};
    struct str person = STR("");
    if (c->once.taken_over)
        http_set_header(x, STR("Idempotent-Recovered"), STR("true"));
    if (k->problem.p != NULL) {
        http_reply(x, k->http_status, STR("application/problem+json"), k->problem);
        return;
    }
    struct err err = record_person(api_of(x)->flow, &rec, x->arena, &person);
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, BODY_MAX);
    render_snapshot(&b, k->data, person, STR_NULL);
    api_reply_buf(x, k->http_status, &b);
}

static void answered(void *ctx, struct err err, struct str detail, const struct once_known *k)
{
    struct change *c = ctx;
    (void)detail;
    if (err_is(err))
        http_problem(c->x, err, "");
    else
        known(c, k);
}

static void given_back(void *ctx, struct err err, struct str detail, const struct once_known *k)
{
    struct change *c = ctx;
    (void)err, (void)detail, (void)k;
    if (c->once.taken_over && !err_is(c->err))
        http_set_header(c->x, STR("Idempotent-Recovered"), STR("true"));
    if (err_is(c->err))
        http_problem(c->x, c->err, c->detail);
    else if (c->body.p == NULL)
        http_problem(c->x, ERR(NO_MEMORY, "answer"), "");
    else
        http_reply_json(c->x, 200, c->body);
}

/* A wrong code has used a try, which is the answer of its key; everything else may go better the
 * next time. */
static void end_with(struct change *c, struct err err, const char *detail)
{
    c->err = err;
    c->detail = detail;
    if (!c->keyed)
        http_problem(c->x, err, detail);
    else if (err.code == ERR_OTP_WRONG)
        once_refuse(&c->once, err_http(err.code), http_problem_text(c->x, err, detail, NULL),
                    answered, c);
    else
        once_drop(&c->once, given_back, c);
}

static void end(struct change *c, int status, const struct payment_record *rec)
{
    if (c->keyed)
        once_answer(&c->once, status, rec->p.version, answered, c);
    else
        show(c->x, status, rec);
}

/* Nothing was done, and the payment's last event may be about something else. */
static void end_unchanged(struct change *c, const struct payment_record *rec)
{
    struct buf b;
    c->err = put(c->x, rec, &b);
    c->detail = "";
    if (!err_is(c->err) && !b.failed)
        c->body = arena_dup(c->x->arena, buf_view(&b));
    buf_free(&b);
    once_drop(&c->once, given_back, c);
}

static void changed(void *ctx, struct err err, const struct move_result *result)
{
    struct change *c = ctx;
    if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID)
        end_with(c, ERR(INVALID_STATE, NULL), "Not possible in the payment's present state.");
    else if (err_is(err))
        end_with(c, err, "");
    else if (c->keyed && !result->fx->changed)
        end_unchanged(c, result->rec);
    else
        end(c, 200, result->rec);
}

/* What nobody knows for certain yet is 202: it is asked for until it is known. */
static void acted(void *ctx, struct err err, const char *detail, int tries_left,
                  const struct act_result *result)
{
    struct change *c = ctx;
    static const char *const left[] = {
        [0] = "The code is wrong, and no more are taken.",
        [1] = "The code is wrong; one more try.",
        [2] = "The code is wrong; two more tries.",
    };
    if (err.code == ERR_OTP_WRONG)
        end_with(c, err, left[tries_left >= 0 && tries_left <= 2 ? tries_left : 0]);
    else if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID)
        end_with(c, ERR(INVALID_STATE, NULL),
                 detail[0] != '\0' ? detail : "Not possible in the payment's present state.");
    else if (err_is(err))
        end_with(c, err, detail);
    else
        end(c, result->open ? 202 : 200, result->rec);
}

/* By the provider, where the payment is with one that does it. True: he is being asked. */
static bool act(struct change *c)
{
    const struct principal *who = api_who(c->x);
    bool code = c->code.n > 0;
    struct act_input in = {
        .rec = &c->rec,
        .kind = code ? ACT_CODE : ACT_CANCEL,
        .code = c->code,
        .actor = str_c(who->actor),
    };
    if ((!code && c->kind != PAYMENT_EVENT_CANCEL) || !act_possible(&c->rec, in.kind))
        return false;
    act_start(api_of(c->x)->flow, &in, acted, c);
    return true;
}

static void change_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct change *c = ctx;
    struct http_exchange *x = c->x;
    const struct principal *who = api_who(x);
    if (!err_is(err))
        err = payment_record_read(rows, x->arena, &c->rec);
    if (!err_is(err) && c->rec.live != who->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        end_with(c, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    if (act(c))
        return;
    if (c->code.n > 0) {
        end_with(c, ERR(INVALID_STATE, NULL), "The payment does not wait for a code.");
        return;
    }
    struct move_request rq = {
        .merchant = who->merchant,
        .payment = c->rec.id,
        .event = {.kind = c->kind, .source = SOURCE_API, .amount = payment_asked(&c->rec.p)},
        .actor = str_c(who->actor),
        .known = &c->rec,
    };
    move_start(api_of(x)->flow, &rq, changed, c);
}

static void load(struct change *c)
{
    struct value params[] = {V_UUID(api_who(c->x)->merchant), V_UUID(c->id)};
    store_read(api_of(c->x)->flow->store, Q_payment_get, params, COUNT_OF(params), change_loaded,
               c);
}

/* ---- the requests ---- */

static void key_known(void *ctx, struct err err, struct str detail, const struct once_known *k)
{
    struct change *c = ctx;
    if (err_is(err)) {
        http_problem(c->x, err, detail.n > 0 ? detail.p : "");
    } else if (k->mine) {
        c->keyed = true;
        load(c);
    } else {
        api_set_replayed(c->x, k->original_us);
        http_set_header(c->x, STR("Reli-Current-Status"), k->now);
        known(c, k);
    }
}

static void change(struct http_exchange *x, enum payment_event_kind kind, struct str code,
                   struct str key)
{
    const struct principal *who = api_who(x);
    char id[UUID_TEXT];
    struct change *c = ARENA_NEW(x->arena, struct change);
    if (c == NULL) {
        http_problem(x, ERR(NO_MEMORY, "change"), "");
        return;
    }
    c->x = x;
    c->kind = kind;
    c->code = code;
    if (!api_path_id(x, 0, &c->id))
        return;
    if (key.p == NULL) {
        load(c);
        return;
    }
    struct once_input in = {
        .merchant = who->merchant,
        .payment = c->id,
        .live = who->live,
        .key = key,
        .route = arena_fmt(x->arena, "POST /api/v1/payments/%s/confirm", uuid_text(c->id, id)),
        .field = {"otp", code.p != NULL ? code : STR("")},
        .wait_us = api_preferred_wait(x),
    };
    once_start(&c->once, api_of(x)->flow, &in, x->arena, key_known, c);
}

/* {"otp": "123456"}; a manual method needs no body. False: answered. */
static bool read_code(struct http_exchange *x, struct str *code)
{
    static const char *const known[] = {"otp", NULL};
    *code = STR_NULL;
    if (x->body.n == 0)
        return true;
    struct body_fields b;
    if (!body_open(x, &b))
        return false;
    fields_only(&b.f, known);
    bool named = fields_text(&b.f, "otp", OPTIONAL, CODE_MIN, CODE_MAX, code);
    if (named && !str_is_digits(*code))
        fields_fault(&b.f, "otp", "format", "4 to 10 digits.");
    *code = named ? arena_dup(x->arena, *code) : STR_NULL;
    return body_close(x, &b);
}

void payment_confirm(struct http_exchange *x)
{
    struct str code, key;
    if (api_idempotency_key(x, &key) && read_code(x, &code))
        change(x, PAYMENT_EVENT_CONFIRM, code, key);
}

void payment_cancel(struct http_exchange *x)
{
    change(x, PAYMENT_EVENT_CANCEL, STR_NULL, STR_NULL);
}

/* ---- verify: ask the provider now ---- */

struct verify {
    struct http_exchange *x;
    struct change change; /* carries the answer */
    struct payment_event said;
    struct move_call call;
};

static void verify_answered(void *ctx, const struct payment_event *said,
                            const struct move_call *call)
{
    struct verify *v = ctx;
    struct http_exchange *x = v->x;
    struct arena *a = x->arena;
    v->said = *said;
    v->said.provider_ref = arena_dup(a, said->provider_ref);
    v->said.receipt = arena_dup(a, said->receipt);
    v->said.provider_code = arena_dup(a, said->provider_code);
    v->said.message = arena_dup(a, said->message);
    struct move_request rq = {
        .merchant = api_who(x)->merchant,
        .payment = v->change.rec.id,
        .event = v->said,
        .actor = str_c(api_who(x)->actor),
    };
    if (call != NULL) {
        v->call = *call;
        v->call.body = arena_dup(a, call->body);
        rq.call = &v->call;
    }
    failover_start(api_of(x)->flow, &rq, changed, &v->change);
}

static void verify_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct verify *v = ctx;
    struct http_exchange *x = v->x;
    if (!err_is(err))
        err = payment_record_read(rows, x->arena, &v->change.rec);
    if (!err_is(err) && v->change.rec.live != api_who(x)->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    const struct payment *p = &v->change.rec.p;
    const struct attempt *at = p->n_attempts > 0 ? &p->attempts[p->n_attempts - 1] : NULL;
    if (at == NULL || at->provider_ref[0] == '\0') {
        http_problem(x, ERR(INVALID_STATE, NULL),
                     "The provider has given no reference to ask about.");
        return;
    }
    struct ask_request rq = {api_who(x)->merchant, payment_place(&v->change.rec, at->n).account_id,
                             str_c(at->provider_ref), at->n};
    ask_start(api_of(x)->flow, &rq, verify_answered, v);
}

void payment_verify(struct http_exchange *x)
{
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct verify *v = ARENA_NEW(x->arena, struct verify);
    if (v == NULL) {
        http_problem(x, ERR(NO_MEMORY, "verify"), "");
        return;
    }
    v->x = v->change.x = x;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID(id)};
    store_read(api_of(x)->flow->store, Q_payment_get, params, COUNT_OF(params), verify_loaded, v);
}
