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

enum { BOOKS_MAX = 8 << 20 };

/* ---- events ---- */

enum { E_UPTO, E_POSITION, E_SUBJECT, E_SEQ, E_ID, E_TYPE, E_DATA, E_AT, E_MODE, E_PII };
enum { EVENTS_WINDOW = 4000 }; /* positions that one page looks at */

static struct err put_event(struct listing *l, struct jsonw *w, const struct rows *r, size_t i)
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
    struct buf one;
    buf_init(&one, BOOKS_MAX);
    render_event(&one, &e, person);
    bool failed = one.failed;
    if (!failed)
        jw_raw(w, NULL, buf_view(&one));
    buf_free(&one);
    return failed ? ERR(NO_MEMORY, "events") : ERR_OK;
}

static const struct list_kind events = {
    .filters = "type",
    .by_key = true,
    .goes_on = true,
    .onwards_only = true, /* its pages are parts of the log, whatever they show */
    .put = put_event,
};

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    const int64_t *after = l->ctx;
    int64_t end = *after;
    bool more = false;
    char next[24];
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    size_t n = rows_null(r, 0, E_POSITION) ? 0 : rows_n(r);
    if (n > (size_t)l->limit) {
        n = (size_t)l->limit;
        end = rows_i64(r, n - 1, E_POSITION);
        more = true;
    } else if (rows_i64(r, 0, E_UPTO) > *after) {
        end = rows_i64(r, 0, E_UPTO);
        more = end == *after + EVENTS_WINDOW;
    }
    snprintf(next, sizeof next, "%lld", (long long)end);
    list_give(l, r, n, more, end > 0 ? str_c(next) : STR_NULL);
}

/* `next` is given even on the last page: it is where to look for what comes later. A page may be
 * short and not the last: it looks at so many positions and no further, whatever it is to find. */
void event_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    int64_t *after = ARENA_NEW(x->arena, int64_t);
    struct listing *l = list_new(x, &events, after);
    struct str type = http_query(x, STR("type"));
    if (l == NULL)
        return;
    *after = 0;
    if (l->cursor.p != NULL &&
        (!str_to_i64(l->cursor, after) || *after < 0 || *after > INT64_MAX / 2))
        list_bad_cursor(l);
    if (type.p != NULL && (!webhook_word_ok(type) || str_find(type, '*', 0) != SIZE_MAX))
        field_error(&l->errors, STR("type"), "unknown", "No such event type.");
    if (!list_ok(x, &l->errors))
        return;
    struct value params[] = {
        V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_I64(*after), V_TEXT(STR_NULL),
        V_I64(EVENTS_WINDOW),  V_I64(l->limit + 1),          V_TEXT(type)};
    store_read(api_of(x)->flow->store, Q_feed_page, params, COUNT_OF(params), events_read, l);
}

/* ---- ledger ---- */

enum { B_ID, B_TYPE, B_OWNER, B_CURRENCY, B_BALANCE };

static struct err put_balance(struct listing *l, struct jsonw *w, const struct rows *r, size_t i)
{
    struct str currency = rows_str(r, i, B_CURRENCY);
    struct str type = rows_str(r, i, B_TYPE);
    enum ledger_account account;
    bool debit_side =
        ledger_account_parse(type, &account) && ledger_account_side(account) == LEDGER_DEBIT;
    int64_t minor = rows_i64(r, i, B_BALANCE);
    (void)l;
    jw_open(w);
    jw_c(w, "object", "balance");
    jw_uuid(w, "account_id", rows_uuid(r, i, B_ID));
    jw_str(w, "type", type);
    jw_str(w, "owner", rows_str(r, i, B_OWNER));
    jw_str(w, "currency", currency);
    jw_c(w, "normal_side", debit_side ? "debit" : "credit");
    jw_money(w, "balance", (struct money){debit_side ? minor : -minor, currency_parse(currency)});
    jw_close(w);
    return ERR_OK;
}

static const struct list_kind balances = {.id = B_ID, .put = put_balance};

static void balances_read(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err))
        http_problem(l->x, err, "");
    else
        list_short(l, r, rows_n(r));
}

void balance_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &balances, NULL);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    if (l != NULL && list_ok(x, &l->errors))
        store_read(api_of(x)->flow->store, Q_balance_list, params, COUNT_OF(params), balances_read,
                   l);
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

static struct err put_transfer(struct listing *l, struct jsonw *w, const struct rows *r, size_t i)
{
    struct str currency = rows_str(r, i, T_CURRENCY);
    (void)l;
    jw_open(w);
    jw_c(w, "object", "ledger_transfer");
    jw_uuid(w, "journal_id", rows_uuid(r, i, T_JOURNAL));
    jw_i64(w, "step", rows_i64(r, i, T_STEP));
    jw_str(w, "kind", rows_str(r, i, T_KIND));
    jw_uuid(w, "debit_account_id", rows_uuid(r, i, T_DEBIT));
    jw_uuid(w, "credit_account_id", rows_uuid(r, i, T_CREDIT));
    jw_money(w, "amount", (struct money){rows_i64(r, i, T_AMOUNT), currency_parse(currency)});
    jw_str(w, "currency", currency);
    jw_str(w, "state", rows_str(r, i, T_STATE));
    jw_uuid(w, "payment_id", rows_uuid(r, i, T_PAYMENT));
    jw_time(w, "created_at", rows_time(r, i, T_AT));
    jw_close(w);
    return ERR_OK;
}

/* "journal.step": a page may end within a journal. */
static void transfer_cursor(const struct rows *r, size_t row, char out[LIST_CURSOR])
{
    char journal[UUID_TEXT];
    snprintf(out, LIST_CURSOR, "%s.%d", uuid_text(rows_uuid(r, row, T_JOURNAL), journal),
             (int)rows_i64(r, row, T_STEP));
}

static const struct list_kind transfers = {
    .queries = LIST_QUERIES(transfer_list),
    .filters = "payment_id",
    .id = T_JOURNAL,
    .by_key = true,
    .put = put_transfer,
    .cursor = transfer_cursor,
};

static void read_transfer_cursor(struct listing *l)
{
    struct str rest = l->cursor, part;
    struct uuid journal;
    int64_t step;
    struct value first[] = {V_UUID(UUID_NIL), V_I16(0)}, end[] = {V_UUID(UUID_MOST), V_I16(0)};
    list_between(l, first, end, COUNT_OF(end));
    if (rest.p == NULL)
        return;
    if (!str_split(&rest, '.', &part) || !uuid_parse(part, &journal) || !str_is_digits(rest) ||
        !str_to_i64(rest, &step) || step >= INT16_MAX) {
        list_bad_cursor(l);
        return;
    }
    struct value at[] = {V_UUID(journal), V_I16((int16_t)step)};
    struct value behind[] = {V_UUID(journal), V_I16((int16_t)(step + 1))};
    list_past(l, at, behind);
}

void transfer_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &transfers, NULL);
    struct uuid payment = UUID_NIL;
    if (l == NULL)
        return;
    list_id(http_query(x, STR("payment_id")), "payment_id", &payment, &l->errors);
    read_transfer_cursor(l);
    bool all = uuid_is_nil(payment);
    if (!all)
        l->queries = (struct list_queries)LIST_QUERIES(transfer_of_payment);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_UUID(payment)};
    list_run(l, params, COUNT_OF(params) - all);
}
