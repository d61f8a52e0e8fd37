/* Everything that is stored about a person, in his own words: FIND him, then read side by side a
 * page of his payments, their refunds, events and what was exchanged with providers, and what
 * was paid out to him; NOTE in the audit trail that somebody has looked, and answer. */
#include "http/customer.h"

#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/crypto/random.h"
#include "core/flow/payout.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "http/list.h"
#include "http/refund_list.h"

enum {
    PAGE_DEFAULT = 10,
    PAGE_MAX = 20,
    MESSAGES_MAX = 200, /* of 16 KiB at most: sql/query/customer_messages.sql */
    PAYERS_MAX = 100,
    PAYOUTS_MAX = 100,
    PART_MAX = 4 << 20,
    ANSWER_MAX = 16 << 20
};

/* A payment with what belongs to it: items of JSON lists, by commas. */
struct part {
    struct payment_record rec;
    struct buf events, refunds, messages;
};

struct export
{
    struct http_exchange *x;
    struct err err;
    int waiting;
    int64_t limit;
    struct uuid after, id;
    struct buf head; /* the customer's members */
    struct buf payers, payouts;
    size_t n;
    bool more, truncated;
    struct part *parts;
};

static struct flow *flow_of(const struct export *e)
{
    return api_of(e->x)->flow;
}

static void finish(struct export *e)
{
    for (size_t i = 0; i < e->n; i++) {
        buf_free(&e->parts[i].events);
        buf_free(&e->parts[i].refunds);
        buf_free(&e->parts[i].messages);
    }
    buf_free(&e->head);
    buf_free(&e->payers);
    buf_free(&e->payouts);
}

/* ---- answer ---- */

static void put_list(struct jsonw *w, const char *name, const struct buf *items)
{
    jw_key(w, name);
    jw_open_list(w);
    buf_str(w->b, buf_view(items));
    w->b->failed |= items->failed;
    jw_close_list(w);
}

static struct err put_payment(struct export *e, struct jsonw *w, const struct part *p)
{
    struct str person;
    TRY(record_person(flow_of(e), &p->rec, e->x->arena, &person));
    jw_open(w);
    render_payment(w, &p->rec, person);
    put_list(w, "refunds", &p->refunds);
    put_list(w, "events", &p->events);
    put_list(w, "provider_messages", &p->messages);
    jw_close(w);
    return ERR_OK;
}

static void answer(struct export *e)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "customer_data");
    jw_key(&w, "customer");
    jw_open(&w);
    buf_str(&b, buf_view(&e->head));
    jw_close(&w);
    jw_key(&w, "payments");
    jw_open_list(&w);
    for (size_t i = 0; i < e->n && !err_is(e->err); i++)
        e->err = put_payment(e, &w, &e->parts[i]);
    jw_close_list(&w);
    put_list(&w, "unallocated", &e->payers);
    put_list(&w, "payouts", &e->payouts);
    jw_bool(&w, "messages_truncated", e->truncated);
    jw_bool(&w, "has_more", e->more);
    if (e->more)
        jw_uuid(&w, "next", e->parts[e->n - 1].rec.id);
    else
        jw_null(&w, "next");
    jw_close(&w);
    b.failed |= e->head.failed;
    struct err err = e->err;
    finish(e);
    if (err_is(err)) {
        buf_free(&b);
        http_problem(e->x, err, "");
        return;
    }
    http_set_header(e->x, STR("Cache-Control"), STR("no-store"));
    api_reply_buf(e->x, 200, &b);
}

static void noted(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    (void)r;
    if (err_is(err))
        e->err = err;
    answer(e);
}

/* Nobody's data leave without a trace. */
static void note(struct export *e)
{
    const struct principal *who = api_who(e->x);
    int64_t now = loop_wall_us(flow_of(e)->loop);
    struct value params[] = {
        V_UUID(who->merchant),
        V_UUID(e->id),
        V_UUID(random_uuid(now)),
        V_TEXT(mode_word(who->live)),
        V_TEXT(STR("customer.exported")),
        V_TEXT(str_c(who->actor)),
        V_TEXT(STR_NULL),
        V_TIME(now),
    };
    store_exec(flow_of(e)->store, Q_audit_insert, params, COUNT_OF(params), noted, e);
}

/* ---- parts ---- */

/* The next item of its list: NULL when the page does not have that payment. */
static struct buf *item(struct export *e, struct uuid payment, size_t list)
{
    for (size_t i = 0; i < e->n; i++) {
        struct part *p = &e->parts[i];
        struct buf *lists[] = {&p->events, &p->refunds, &p->messages};
        if (!uuid_eq(p->rec.id, payment))
            continue;
        if (lists[list]->n > 0)
            buf_char(lists[list], ',');
        return lists[list];
    }
    return NULL;
}
enum { L_EVENTS, L_REFUNDS, L_MESSAGES };

static void part_done(struct export *e, struct err err)
{
    if (err_is(err))
        e->err = err;
    if (--e->waiting > 0)
        return;
    if (err_is(e->err))
        answer(e);
    else
        note(e);
}

static struct err open_person(struct export *e, struct uuid payment, struct str *person)
{
    *person = STR("");
    for (size_t i = 0; i < e->n; i++)
        if (uuid_eq(e->parts[i].rec.id, payment))
            return record_person(flow_of(e), &e->parts[i].rec, e->x->arena, person);
    return ERR_OK;
}

enum { E_PAYMENT, E_SEQ, E_ID, E_TYPE, E_DATA, E_AT, E_MODE };

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    struct str person = STR("");
    struct uuid of = UUID_NIL;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        struct event_view v = {
            .id = rows_uuid(r, i, E_ID),
            .payment = rows_uuid(r, i, E_PAYMENT),
            .type = rows_str(r, i, E_TYPE),
            .mode = rows_str(r, i, E_MODE),
            .snapshot = rows_str(r, i, E_DATA),
            .seq = (int32_t)rows_i64(r, i, E_SEQ),
            .at_us = rows_time(r, i, E_AT),
        };
        if (!uuid_eq(of, v.payment))
            err = open_person(e, v.payment, &person);
        of = v.payment;
        struct buf *out = item(e, v.payment, L_EVENTS);
        if (out != NULL && !err_is(err))
            render_event(out, &v, person);
    }
    part_done(e, err);
}

static void refunds_read(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    for (size_t row = 0; !err_is(err) && row < rows_n(r);) {
        struct refund_record rec;
        err = refund_record_read(r, row, e->x->arena, &rec, &row);
        struct buf *out = err_is(err) ? NULL : item(e, rec.payment, L_REFUNDS);
        if (out == NULL)
            continue;
        struct jsonw w = jw_into(out);
        refund_put(&w, &rec);
    }
    part_done(e, err);
}

enum { M_PAYMENT, M_MERCHANT, M_ID, M_INBOUND, M_WHAT, M_AT, M_BODY };

/* A body that is JSON is shown as such. */
static void put_message(struct buf *out, const struct rows *r, size_t i, struct str body)
{
    struct jsonw w = jw_into(out);
    struct json *j = NULL;
    bool is_json = body.p != NULL && !err_is(json_parse(body, &j, NULL));
    json_free(j);
    jw_open(&w);
    jw_c(&w, "direction", rows_bool(r, i, M_INBOUND) ? "in" : "out");
    jw_str(&w, "what", rows_str(r, i, M_WHAT));
    jw_time(&w, "at", rows_time(r, i, M_AT));
    if (is_json)
        jw_raw(&w, "body", body);
    else if (body.p != NULL && utf8_valid(body))
        jw_str(&w, "body", body);
    else
        jw_null(&w, "body");
    jw_close(&w);
}

static void messages_read(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    size_t n = err_is(err) ? 0 : rows_n(r);
    struct arena a;
    arena_init(&a, 32 << 20);
    e->truncated = n == MESSAGES_MAX;
    for (size_t i = 0; i < n && !err_is(err); i++) {
        struct str body = STR_NULL;
        if (!rows_null(r, i, M_BODY))
            err =
                vault_open(flow_of(e)->vault,
                           rows_bool(r, i, M_INBOUND) ? "provider_event.raw" : "provider_call.body",
                           rows_uuid(r, i, M_MERCHANT), rows_uuid(r, i, M_ID),
                           rows_str(r, i, M_BODY), &a, &body);
        struct buf *out = err_is(err) ? NULL : item(e, rows_uuid(r, i, M_PAYMENT), L_MESSAGES);
        if (out != NULL)
            put_message(out, r, i, body);
    }
    arena_free(&a);
    part_done(e, err);
}

enum { P_ID, P_STATUS, P_AMOUNT, P_CURRENCY, P_RECEIPT, P_PAYER, P_AT };

static void payers_read(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    struct jsonw w = jw_into(&e->payers);
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        struct uuid id = rows_uuid(r, i, P_ID);
        struct str payer = STR_NULL;
        if (!rows_null(r, i, P_PAYER))
            err = vault_open(flow_of(e)->vault, "exception_item.payer", api_who(e->x)->merchant, id,
                             rows_str(r, i, P_PAYER), e->x->arena, &payer);
        uint16_t currency = currency_parse(rows_str(r, i, P_CURRENCY));
        if (err_is(err))
            break;
        jw_open(&w);
        jw_uuid(&w, "exception_id", id);
        jw_str(&w, "status", rows_str(r, i, P_STATUS));
        jw_money(&w, "amount", (struct money){rows_i64(r, i, P_AMOUNT), currency});
        jw_str(&w, "currency", rows_str(r, i, P_CURRENCY));
        jw_str(&w, "provider_receipt", rows_str(r, i, P_RECEIPT));
        jw_raw(&w, "payer", payer);
        jw_time(&w, "created_at", rows_time(r, i, P_AT));
        jw_close(&w);
    }
    part_done(e, err);
}

static void payouts_read(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        struct payout_record rec;
        struct str body;
        err = payout_record_read(r, i, e->x->arena, &rec);
        if (!err_is(err))
            err = payout_body(flow_of(e), e->x->arena, &rec, &body);
        if (err_is(err))
            break;
        if (i > 0)
            buf_char(&e->payouts, ',');
        buf_str(&e->payouts, body);
    }
    part_done(e, err);
}

/* ---- the page ---- */

static void payments_read(void *ctx, struct err err, const struct rows *r)
{
    struct export *e = ctx;
    size_t n = err_is(err) ? 0 : rows_n(r);
    e->more = n > (size_t)e->limit;
    n = e->more ? (size_t)e->limit : n;
    e->parts = ARENA_ARRAY(e->x->arena, struct part, n);
    if (e->parts == NULL)
        err = ERR(NO_MEMORY, "customer data");
    for (size_t i = 0; i < n && !err_is(err); i++) {
        struct part *p = &e->parts[e->n++];
        buf_init(&p->events, PART_MAX);
        buf_init(&p->refunds, PART_MAX);
        buf_init(&p->messages, PART_MAX);
        err = payment_record_read_one(r, i, e->x->arena, &p->rec);
    }
    if (err_is(err)) {
        e->err = err;
        answer(e);
        return;
    }
    struct store *s = flow_of(e)->store;
    struct value params[] = {V_UUID(api_who(e->x)->merchant), V_UUID(e->id), V_UUID_OPT(e->after),
                             V_I64(e->limit), V_I64(MESSAGES_MAX)};
    bool first = uuid_is_nil(e->after);
    struct value payers[] = {params[0], params[1], V_I64(first ? PAYERS_MAX : 0)};
    struct value payouts[] = {params[0], params[1], V_I64(first ? PAYOUTS_MAX : 0)};
    e->waiting = 5;
    store_read(s, Q_customer_events, params, 4, events_read, e);
    store_read(s, Q_customer_refunds, params, 4, refunds_read, e);
    store_read(s, Q_customer_messages, params, 5, messages_read, e);
    store_read(s, Q_customer_payers, payers, COUNT_OF(payers), payers_read, e);
    store_read(s, Q_customer_payouts, payouts, COUNT_OF(payouts), payouts_read, e);
}

static void found(void *ctx, const struct rows *r)
{
    struct export *e = ctx;
    struct jsonw w = jw_into(&e->head);
    e->id = rows_uuid(r, 0, 0);
    e->err = customer_put(e->x, &w, r, 0);
    if (err_is(e->err)) {
        answer(e);
        return;
    }
    struct value params[] = {V_UUID(api_who(e->x)->merchant), V_UUID(e->id), V_UUID_OPT(e->after),
                             V_I64(e->limit + 1)};
    store_read(flow_of(e)->store, Q_customer_payments, params, COUNT_OF(params), payments_read, e);
}

void customer_export(struct http_exchange *x)
{
    struct export *e = ARENA_NEW(x->arena, struct export);
    struct field_errors errors = {.arena = x->arena};
    if (e == NULL) {
        http_problem(x, ERR(NO_MEMORY, "customer data"), "");
        return;
    }
    e->x = x;
    e->limit = PAGE_DEFAULT;
    buf_init(&e->head, PART_MAX);
    buf_init(&e->payers, PART_MAX);
    buf_init(&e->payouts, PART_MAX);
    list_limit(http_query(x, STR("limit")), PAGE_MAX, &e->limit, &errors);
    list_id(http_query(x, STR("after")), "after", &e->after, &errors);
    if (list_ok(x, &errors))
        customer_of_path(x, found, e);
}
