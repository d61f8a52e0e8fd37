/* Lists of payments, and their filters. */
#include "http/api.h"

#include "core/flow/customer.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "http/list.h"

/* Filters; a text that is absent (p == NULL): any. */
struct filters {
    struct listing *l;
    struct str provider, status, customer, method, currency;
    int64_t least, greatest; /* thousandths; -1: any */
    struct str no_decimals, three_decimals;
};

static struct err put(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    struct payment_record rec;
    struct str person = STR("");
    TRY(payment_record_read_one(r, row, l->x->arena, &rec));
    TRY(record_person(api_of(l->x)->flow, &rec, l->x->arena, &person));
    jw_open(w);
    render_payment(w, &rec, person);
    jw_close(w);
    return ERR_OK;
}

static const struct list_kind payments = {
    .queries = LIST_QUERIES(payment_list),
    .filters = "provider status customer_id payment_method currency reference date_from date_to "
               "min_amount max_amount",
    .id = 1,
    .reach = Q_payment_reach,
    .reach_newer = Q_payment_reach_newer,
    .put = put,
};

/* In thousandths, so that amounts of all currencies compare: of the currency that is named, with
 * its decimals at most, or of whichever a payment has. */
static bool read_amount(struct filters *f, const char *param, int64_t *out)
{
    static const int64_t thousandths[] = {1000, 100, 10, 1};
    struct str text = http_query(f->l->x, str_c(param));
    struct money m;
    uint16_t currency = currency_parse(f->currency.p != NULL ? f->currency : STR("KWD"));
    if (text.p == NULL)
        return false;
    if (currency == 0 || err_is(money_parse(text, currency, &m)))
        field_error(&f->l->errors, str_c(param), "format", "Not an amount of this currency.");
    else
        *out = m.minor * thousandths[currency_exponent(currency)];
    return true;
}

static void read_filters(struct filters *f)
{
    struct http_exchange *x = f->l->x;
    enum payment_status status;
    f->provider = http_query(x, STR("provider"));
    f->status = http_query(x, STR("status"));
    f->customer = http_query(x, STR("customer_id"));
    f->method = http_query(x, STR("payment_method"));
    f->currency = http_query(x, STR("currency"));
    if (f->status.p != NULL && !payment_status_parse(f->status, &status))
        field_error(&f->l->errors, STR("status"), "format", "No such status.");
    bool least = read_amount(f, "min_amount", &f->least);
    bool greatest = read_amount(f, "max_amount", &f->greatest);
    if (least || greatest) {
        f->least = least ? f->least : 0;
        f->no_decimals = currency_list(0, x->arena);
        f->three_decimals = currency_list(3, x->arena);
    }
}

static void run(struct filters *f)
{
    struct listing *l = f->l;
    const struct principal *who = api_who(l->x);
    struct customer_hash theirs = {0};
    struct uuid ours = UUID_NIL;
    bool anybody = f->customer.p == NULL;
    if (!anybody) {
        theirs = customer_hash(api_of(l->x)->flow->vault, who->merchant, who->live,
                               CUSTOMER_EXTERNAL_ID, f->customer);
        if (!uuid_parse(f->customer, &ours))
            ours = UUID_NIL;
        l->queries = (struct list_queries)LIST_QUERIES(payment_list_of);
    }
    /* What is found by index needs no end. */
    l->filtered = anybody && (f->provider.p != NULL || f->status.p != NULL || f->method.p != NULL ||
                              f->currency.p != NULL || f->least >= 0);
    struct value params[] = {
        V_UUID(who->merchant),  V_TEXT(mode_word(who->live)),
        V_TEXT(f->provider),    V_TEXT(f->status),
        V_TEXT(f->method),      V_TEXT(f->currency),
        V_I64(f->least),        V_I64(f->greatest),
        V_TEXT(f->no_decimals), V_TEXT(f->three_decimals),
        V_UUID_OPT(ours),       V_BYTES(str_n((const char *)theirs.b, sizeof theirs.b)),
    };
    list_run(l, params, anybody ? COUNT_OF(params) - 2 : COUNT_OF(params));
}

/* A reference names one payment: the list has it, or nothing. */
static void owner_found(void *ctx, struct err err, const struct rows *r)
{
    struct filters *f = ctx;
    if (err_is(err)) {
        http_problem(f->l->x, err, "");
    } else if (rows_n(r) == 0) {
        list_none(f->l);
    } else {
        list_only(f->l, rows_uuid(r, 0, 0));
        run(f);
    }
}

void payment_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct filters *f = ARENA_NEW(x->arena, struct filters);
    struct listing *l = list_new(x, &payments, f);
    struct str reference = http_query(x, STR("reference"));
    if (l == NULL)
        return;
    *f = (struct filters){.l = l, .least = -1, .greatest = INT64_MAX};
    list_dates(l);
    read_filters(f);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)),
                             V_TEXT(reference)};
    if (reference.p != NULL)
        store_read(api_of(x)->flow->store, Q_reference_get, params, COUNT_OF(params), owner_found,
                   f);
    else
        run(f);
}
