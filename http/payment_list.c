/* Lists of payments: filters, pages by number and pages by cursor. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/flow/customer.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "http/list.h"

enum { TOTAL_MAX = 10000, PAGE_MAX = 1000000, LIST_BYTES = 8 << 20 };

struct listing {
    struct http_exchange *x;
    struct field_errors errors;
    /* filters, in the order of the statements' parameters from $3 */
    struct str provider, status, customer, method, currency, reference;
    int64_t least, greatest; /* thousandths; -1: any */
    struct str no_decimals, three_decimals;
    struct value from, until;
    struct str date_from, date_to, least_text, greatest_text;
    int64_t limit, page;
    bool by_page, newer;
    struct uuid cursor; /* nil: none */
    struct uuid reach;  /* the last that is looked at; nil: all of them */
    /* answers */
    int waiting;
    struct err err;
    size_t n;
    bool more;
    int64_t total;
    struct payment_record *found;
};

static void fault(struct listing *l, const char *param, const char *message)
{
    field_error(&l->errors, str_c(param), "format", message);
}

static void read_cursor(struct listing *l, struct str value, const char *param, bool newer)
{
    if (!uuid_parse(value, &l->cursor))
        fault(l, param, "Not a cursor; send the id of a listed payment.");
    l->newer = newer;
}

static void read_one(struct listing *l, struct str name, struct str value)
{
    struct {
        const char *name;
        struct str *out;
    } texts[] = {
        {"provider", &l->provider},     {"status", &l->status},
        {"customer_id", &l->customer},  {"payment_method", &l->method},
        {"currency", &l->currency},     {"reference", &l->reference},
        {"date_from", &l->date_from},   {"date_to", &l->date_to},
        {"min_amount", &l->least_text}, {"max_amount", &l->greatest_text},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (str_eq(name, str_c(texts[i].name))) {
            *texts[i].out = value;
            return;
        }
    }
    if (str_eq(name, STR("limit"))) {
        list_limit(value, LIST_LIMIT_MAX, &l->limit, &l->errors);
    } else if (str_eq(name, STR("page"))) {
        l->by_page = true;
        if (!str_to_i64(value, &l->page) || l->page < 1 || l->page > PAGE_MAX)
            fault(l, "page", "1 or more.");
    } else if (str_eq(name, STR("after"))) {
        read_cursor(l, value, "after", false);
    } else if (str_eq(name, STR("before"))) {
        read_cursor(l, value, "before", true);
    } else {
        struct str shown = str_first(name, 64);
        field_error(&l->errors, shown, "unknown", "No such parameter.");
    }
}

/* In thousandths, so that amounts of all currencies compare: of the currency that is named, with
 * its decimals at most, or of whichever a payment has. */
static void read_amount(struct listing *l, const char *param, struct str text, int64_t *out)
{
    static const int64_t thousandths[] = {1000, 100, 10, 1};
    struct money m;
    uint16_t currency = currency_parse(l->currency.p != NULL ? l->currency : STR("KWD"));
    if (text.p == NULL)
        return;
    if (currency == 0 || err_is(money_parse(text, currency, &m)))
        fault(l, param, "Not an amount of this currency.");
    else
        *out = m.minor * thousandths[currency_exponent(currency)];
}

static void read_query(struct listing *l)
{
    size_t at = 0;
    struct str name, value;
    struct uuid from = UUID_NIL, until = UUID_NIL;
    enum payment_status status;
    while (http_query_next(l->x, &at, &name, &value))
        read_one(l, name, value);
    if (l->status.p != NULL && !payment_status_parse(l->status, &status))
        fault(l, "status", "No such status.");
    if (l->by_page && !uuid_is_nil(l->cursor))
        fault(l, "page", "Send page or a cursor, not both.");
    if (l->least_text.p != NULL || l->greatest_text.p != NULL) {
        l->least = 0;
        l->no_decimals = currency_list(0, l->x->arena);
        l->three_decimals = currency_list(3, l->x->arena);
    }
    read_amount(l, "min_amount", l->least_text, &l->least);
    read_amount(l, "max_amount", l->greatest_text, &l->greatest);
    list_date(l->date_from, "date_from", false, &from, &l->errors);
    list_date(l->date_to, "date_to", true, &until, &l->errors);
    l->from = V_UUID_OPT(from);
    l->until = V_UUID_OPT(until);
}

static void answer(struct listing *l)
{
    struct http_exchange *x = l->x;
    struct buf b;
    buf_init(&b, LIST_BYTES);
    struct jsonw w = jw_into(&b);
    list_put_start(&w);
    for (size_t i = 0; i < l->n && !err_is(l->err); i++) {
        /* nearest first was asked for; newest first is always shown */
        const struct payment_record *rec = &l->found[l->newer ? l->n - 1 - i : i];
        struct str person = STR("");
        l->err = record_person(api_of(x)->flow, rec, x->arena, &person);
        jw_open(&w);
        render_payment(&w, rec, person);
        jw_close(&w);
    }
    bool short_of = !l->more && !uuid_is_nil(l->reach);
    jw_close_list(&w);
    jw_bool(&w, "has_more", l->more || short_of);
    if (l->more || short_of)
        jw_uuid(&w, "next", l->more ? l->found[l->n - 1].id : l->reach);
    else
        jw_null(&w, "next");
    if (l->by_page) {
        jw_i64(&w, "page", l->page);
        jw_i64(&w, "total", l->total < TOTAL_MAX ? l->total : TOTAL_MAX);
        jw_bool(&w, "total_is_capped", l->total > TOTAL_MAX);
    }
    jw_close(&w);
    if (err_is(l->err)) {
        buf_free(&b);
        http_problem(x, l->err, "");
        return;
    }
    api_reply_buf(x, 200, &b);
}

static void part_done(struct listing *l)
{
    if (--l->waiting > 0)
        return;
    if (err_is(l->err))
        http_problem(l->x, l->err, "");
    else
        answer(l);
}

static void rows_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    size_t n = err_is(err) ? 0 : rows_n(r);
    l->more = n > (size_t)l->limit;
    l->n = l->more ? (size_t)l->limit : n;
    l->found = ARENA_ARRAY(l->x->arena, struct payment_record, l->n);
    if (l->found == NULL)
        err = ERR(NO_MEMORY, "list");
    for (size_t i = 0; i < l->n && !err_is(err); i++)
        err = payment_record_read_one(r, i, l->x->arena, &l->found[i]);
    if (err_is(err))
        l->err = err;
    part_done(l);
}

static void counted(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err))
        l->err = err;
    else
        l->total = rows_i64(r, 0, 0);
    part_done(l);
}

static void query(struct listing *l)
{
    const struct principal *who = api_who(l->x);
    struct flow *f = api_of(l->x)->flow;
    struct store *store = f->store;
    struct customer_hash theirs = {0};
    struct uuid ours = UUID_NIL;
    bool anybody = l->customer.p == NULL;
    if (!anybody)
        theirs =
            customer_hash(f->vault, who->merchant, who->live, CUSTOMER_EXTERNAL_ID, l->customer);
    if (!anybody && !uuid_parse(l->customer, &ours))
        ours = UUID_NIL;
    struct value params[] = {
        V_UUID(who->merchant),
        V_TEXT(mode_word(who->live)),
        V_TEXT(l->provider),
        V_TEXT(l->status),
        V_TEXT(l->method),
        V_TEXT(l->currency),
        V_I64(l->least),
        V_I64(l->greatest),
        l->from,
        l->until,
        V_UUID_OPT(l->cursor),
        V_I64(l->limit + 1),
        V_I64(l->by_page ? (l->page - 1) * l->limit : 0),
        V_TEXT(l->no_decimals),
        V_TEXT(l->three_decimals),
        V_UUID_OPT(ours),
        V_BYTES(str_n((const char *)theirs.b, sizeof theirs.b)),
    };
    enum query found = l->newer ? Q_payment_list_newer : Q_payment_list;
    if (!anybody)
        found = l->newer ? Q_payment_list_of_newer : Q_payment_list_of;
    l->waiting = l->by_page ? 2 : 1;
    store_read(store, found, params, anybody ? 15 : 17, rows_loaded, l);
    if (l->by_page) {
        params[10] = V_I64(TOTAL_MAX + 1);
        for (size_t i = 11; i < 15; i++)
            params[i] = params[i + 2];
        store_read(store, anybody ? Q_payment_count : Q_payment_count_of, params, anybody ? 13 : 15,
                   counted, l);
    }
}

static void reach_known(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    if (rows_n(r) > 0) {
        l->reach = rows_uuid(r, 0, 0);
        *(l->newer ? &l->until : &l->from) = V_UUID_OPT(l->newer ? uuid_next(l->reach) : l->reach);
    }
    query(l);
}

/* What is found by index needs no end; and pages by number have the count of all. */
static bool looks_far(const struct listing *l)
{
    bool filters = l->provider.p != NULL || l->status.p != NULL || l->method.p != NULL ||
                   l->currency.p != NULL;
    return filters && l->customer.p == NULL && !l->by_page;
}

static void look(struct listing *l)
{
    struct value params[] = {V_UUID(api_who(l->x)->merchant),
                             l->from,
                             l->until,
                             V_UUID_OPT(l->cursor),
                             V_BOOL(!l->newer),
                             V_BOOL(l->newer),
                             V_I64(LIST_LOOK)};
    if (looks_far(l))
        store_read(api_of(l->x)->flow->store, Q_payment_reach, params, COUNT_OF(params),
                   reach_known, l);
    else
        query(l);
}

static void one_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    l->found = ARENA_NEW(l->x->arena, struct payment_record);
    if (l->found == NULL)
        err = ERR(NO_MEMORY, "list");
    else if (!err_is(err))
        err = payment_record_read(r, l->x->arena, l->found);
    if (err.code == ERR_NOT_FOUND)
        err = ERR_OK;
    else
        l->total = (int64_t)(l->n = 1);
    if (err_is(err))
        http_problem(l->x, err, "");
    else
        answer(l);
}

/* A reference names one payment: the list has it, or nothing. */
static void owner_found(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    if (rows_n(r) == 0) {
        answer(l);
        return;
    }
    struct value params[] = {V_UUID(api_who(l->x)->merchant), V_UUID(rows_uuid(r, 0, 0))};
    store_read(api_of(l->x)->flow->store, Q_payment_get, params, COUNT_OF(params), one_loaded, l);
}

void payment_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = ARENA_NEW(x->arena, struct listing);
    if (l == NULL) {
        http_problem(x, ERR(NO_MEMORY, "list"), "");
        return;
    }
    l->x = x;
    l->errors.arena = x->arena;
    l->limit = LIST_LIMIT;
    l->least = -1;
    l->greatest = INT64_MAX;
    l->page = 1;
    read_query(l);
    if (!list_ok(x, &l->errors))
        return;
    if (l->reference.p == NULL) {
        look(l);
        return;
    }
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)),
                             V_TEXT(l->reference)};
    store_read(api_of(x)->flow->store, Q_reference_get, params, COUNT_OF(params), owner_found, l);
}
