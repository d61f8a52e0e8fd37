/* What happened and what it adds up to: events, balances and transfers. */
#include "http/api.h"

#include <stdio.h>

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/domain/ledger.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "core/flow/webhook.h"
#include "http/list.h"

enum { BOOKS_MAX = 8 << 20, TRANSFER_CURSOR = UUID_TEXT + 8 };

/* A list in the making. */
struct books {
    struct http_exchange *x;
    struct field_errors errors;
    int64_t limit, after; /* of events: a position */
};

static struct books *books_new(struct http_exchange *x)
{
    struct books *b = ARENA_NEW(x->arena, struct books);
    if (b == NULL) {
        http_problem(x, ERR(NO_MEMORY, "list"), "");
        return NULL;
    }
    b->x = x;
    b->errors.arena = x->arena;
    b->limit = LIST_LIMIT;
    list_limit(http_query(x, STR("limit")), LIST_LIMIT_MAX, &b->limit, &b->errors);
    return b;
}

static void list_close(struct jsonw *w, bool more)
{
    jw_close_list(w);
    jw_bool(w, "has_more", more);
}

/* ---- events ---- */

enum { E_UPTO, E_POSITION, E_SUBJECT, E_SEQ, E_ID, E_TYPE, E_DATA, E_AT, E_MODE, E_PII };
enum { EVENTS_WINDOW = 4000 }; /* positions that one page looks at */

static struct err put_event(struct books *l, struct buf *b, const struct rows *r, size_t i)
{
    struct flow *f = api_of(l->x)->flow;
    struct payment_record rec = {.merchant = api_who(l->x)->merchant,
                                 .id = rows_uuid(r, i, E_SUBJECT),
                                 .pii = rows_str(r, i, E_PII)};
    struct str person;
    TRY(record_person(f, &rec, l->x->arena, &person));
    struct event_view e = {
        .id = rows_uuid(r, i, E_ID),
        .payment = rec.id,
        .type = rows_str(r, i, E_TYPE),
        .mode = rows_str(r, i, E_MODE),
        .snapshot = rows_str(r, i, E_DATA),
        .seq = (int32_t)rows_i64(r, i, E_SEQ),
        .at_us = rows_time(r, i, E_AT),
    };
    render_event(b, &e, person);
    return ERR_OK;
}

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct books *l = ctx;
    struct buf b;
    buf_init(&b, BOOKS_MAX);
    struct jsonw w = jw_into(&b);
    size_t n = err_is(err) || rows_null(r, 0, E_POSITION) ? 0 : rows_n(r);
    int64_t end = l->after;
    bool more = false;
    if (n > (size_t)l->limit) {
        n = (size_t)l->limit;
        end = rows_i64(r, n - 1, E_POSITION);
        more = true;
    } else if (!err_is(err) && rows_i64(r, 0, E_UPTO) > l->after) {
        end = rows_i64(r, 0, E_UPTO);
        more = end == l->after + EVENTS_WINDOW;
    }
    list_put_start(&w);
    for (size_t i = 0; i < n && !err_is(err); i++) {
        if (i > 0)
            buf_char(&b, ',');
        err = put_event(l, &b, r, i);
    }
    list_close(&w, more);
    if (end > 0) {
        char next[24];
        snprintf(next, sizeof next, "%lld", (long long)end);
        jw_c(&w, "next", next);
    } else {
        jw_null(&w, "next");
    }
    jw_close(&w);
    if (err_is(err)) {
        buf_free(&b);
        http_problem(l->x, err, "");
        return;
    }
    api_reply_buf(l->x, 200, &b);
}

/* `next` is given even on the last page: it is where to look for what comes later. A page may be
 * short and not the last: it looks at so many positions and no further, whatever it is to find. */
void event_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct books *l = books_new(x);
    if (l == NULL)
        return;
    struct str cursor = http_query(x, STR("after")), type = http_query(x, STR("type"));
    if (cursor.p != NULL &&
        (!str_to_i64(cursor, &l->after) || l->after < 0 || l->after > INT64_MAX / 2))
        field_error(&l->errors, STR("after"), "format", "Not a cursor; send `next` of a page.");
    if (type.p != NULL && (!webhook_word_ok(type) || str_find(type, '*', 0) != SIZE_MAX))
        field_error(&l->errors, STR("type"), "unknown", "No such event type.");
    if (!list_ok(x, &l->errors))
        return;
    struct value params[] = {
        V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_I64(l->after), V_TEXT(STR_NULL),
        V_I64(EVENTS_WINDOW),  V_I64(l->limit + 1),          V_TEXT(type)};
    store_read(api_of(x)->flow->store, Q_feed_page, params, COUNT_OF(params), events_read, l);
}

/* ---- ledger ---- */

enum { B_ID, B_TYPE, B_OWNER, B_CURRENCY, B_BALANCE };

static void balances_read(void *ctx, struct err err, const struct rows *r)
{
    struct books *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, BOOKS_MAX);
    struct jsonw w = jw_into(&b);
    list_put_start(&w);
    for (size_t i = 0; i < rows_n(r); i++) {
        struct str currency = rows_str(r, i, B_CURRENCY);
        struct str type = rows_str(r, i, B_TYPE);
        enum ledger_account account;
        bool debit_side =
            ledger_account_parse(type, &account) && ledger_account_side(account) == LEDGER_DEBIT;
        int64_t minor = rows_i64(r, i, B_BALANCE);
        jw_open(&w);
        jw_c(&w, "object", "balance");
        jw_uuid(&w, "account_id", rows_uuid(r, i, B_ID));
        jw_str(&w, "type", type);
        jw_str(&w, "owner", rows_str(r, i, B_OWNER));
        jw_str(&w, "currency", currency);
        jw_c(&w, "normal_side", debit_side ? "debit" : "credit");
        jw_money(&w, "balance",
                 (struct money){debit_side ? minor : -minor, currency_parse(currency)});
        jw_close(&w);
    }
    list_close(&w, false);
    jw_null(&w, "next");
    jw_close(&w);
    api_reply_buf(l->x, 200, &b);
}

void balance_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct books *l = books_new(x);
    if (l == NULL || !list_ok(x, &l->errors))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    store_read(api_of(x)->flow->store, Q_balance_list, params, COUNT_OF(params), balances_read, l);
}

enum {
    T_JOURNAL,
    T_STEP,
    T_KIND,
    T_DEBIT,
    T_CREDIT,
    T_AMOUNT,
    T_CURRENCY,
    T_STATE,
    T_PAYMENT,
    T_AT
};

static void transfers_read(void *ctx, struct err err, const struct rows *r)
{
    struct books *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, BOOKS_MAX);
    struct jsonw w = jw_into(&b);
    size_t n = rows_n(r);
    bool more = n > (size_t)l->limit;
    if (more)
        n = (size_t)l->limit;
    list_put_start(&w);
    for (size_t i = 0; i < n; i++) {
        struct str currency = rows_str(r, i, T_CURRENCY);
        jw_open(&w);
        jw_c(&w, "object", "ledger_transfer");
        jw_uuid(&w, "journal_id", rows_uuid(r, i, T_JOURNAL));
        jw_i64(&w, "step", rows_i64(r, i, T_STEP));
        jw_str(&w, "kind", rows_str(r, i, T_KIND));
        jw_uuid(&w, "debit_account_id", rows_uuid(r, i, T_DEBIT));
        jw_uuid(&w, "credit_account_id", rows_uuid(r, i, T_CREDIT));
        jw_money(&w, "amount", (struct money){rows_i64(r, i, T_AMOUNT), currency_parse(currency)});
        jw_str(&w, "currency", currency);
        jw_str(&w, "state", rows_str(r, i, T_STATE));
        jw_uuid(&w, "payment_id", rows_uuid(r, i, T_PAYMENT));
        jw_time(&w, "created_at", rows_time(r, i, T_AT));
        jw_close(&w);
    }
    list_close(&w, more);
    if (more) {
        char next[TRANSFER_CURSOR], journal[UUID_TEXT];
        snprintf(next, sizeof next, "%s.%d", uuid_text(rows_uuid(r, n - 1, T_JOURNAL), journal),
                 (int)rows_i64(r, n - 1, T_STEP));
        jw_c(&w, "next", next);
    } else {
        jw_null(&w, "next");
    }
    jw_close(&w);
    api_reply_buf(l->x, 200, &b);
}

/* "journal.step": a page may end within a journal. */
static void transfer_cursor(struct books *b, struct uuid *journal, int64_t *step)
{
    struct str rest = http_query(b->x, STR("after")), part;
    *journal = UUID_NIL;
    *step = 0;
    if (rest.p != NULL && (!str_split(&rest, '.', &part) || !uuid_parse(part, journal) ||
                           !str_is_digits(rest) || !str_to_i64(rest, step) || *step > INT16_MAX))
        field_error(&b->errors, STR("after"), "format", "Not a cursor; send `next` of a page.");
}

void transfer_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct books *l = books_new(x);
    if (l == NULL)
        return;
    struct uuid payment = UUID_NIL, journal;
    int64_t step;
    list_id(http_query(x, STR("payment_id")), "payment_id", &payment, &l->errors);
    transfer_cursor(l, &journal, &step);
    if (!list_ok(x, &l->errors))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)),
                             V_UUID_OPT(journal),   V_I32((int32_t)step),
                             V_I64(l->limit + 1),   V_UUID(payment)};
    bool all = uuid_is_nil(payment);
    store_read(api_of(x)->flow->store, all ? Q_transfer_list : Q_transfer_of_payment, params,
               COUNT_OF(params) - all, transfers_read, l);
}
