/* Routes: read and written as JSON, chosen among. See route.h; route_known.c keeps them at hand. */
#include "core/flow/route.h"

static const char *const route_fields[] = {
    "payment_method", "provider",   "account", "country", "currency",
    "min_amount",     "max_amount", "enabled", NULL,
};

/* ---- JSON ---- */

static void read_where(struct fields *f, struct route_rule *r)
{
    struct str country, code;
    if (fields_text(f, "country", OPTIONAL, 2, 2, &country)) {
        if (country.p[0] < 'A' || country.p[0] > 'Z' || country.p[1] < 'A' || country.p[1] > 'Z')
            fields_fault(f, "country", "format", "Two capital letters of ISO 3166.");
        else
            str_copy_c(r->country, sizeof r->country, country);
    }
    if (fields_text(f, "currency", OPTIONAL, 3, 3, &code)) {
        r->currency = currency_parse(code);
        if (r->currency == 0)
            fields_fault(f, "currency", "unknown", "No such currency; send an ISO 4217 code.");
    }
}

static bool is_set(const struct fields *f, const char *name)
{
    enum json_kind kind = json_kind(json_get(f->obj, name));
    return kind != JSON_ABSENT && kind != JSON_KIND_NULL;
}

static void read_range(struct fields *f, struct route_rule *r)
{
    struct money min = {0, 0}, max = {0, 0};
    bool has_min = fields_money(f, "min_amount", OPTIONAL, r->currency, &min);
    bool has_max = fields_money(f, "max_amount", OPTIONAL, r->currency, &max);
    if ((is_set(f, "min_amount") || is_set(f, "max_amount")) && !is_set(f, "currency"))
        fields_fault(f, "currency", "required", "Amounts need their currency.");
    if (has_min && has_max && min.minor > max.minor)
        fields_fault(f, "max_amount", "range", "Less than min_amount.");
    r->min_minor = min.minor;
    r->max_minor = max.minor;
}

static void read_route(struct fields *f, struct route_rule *r)
{
    struct str method, provider, account;
    fields_only(f, route_fields);
    bool named = fields_text(f, "payment_method", REQUIRED, 1, ROUTE_WORD - 1, &method);
    if (fields_text(f, "provider", REQUIRED, 1, ROUTE_WORD - 1, &provider)) {
        const struct gateway *g = gateway_find(provider);
        if (g == NULL)
            fields_fault(f, "provider", "unknown", "GET /api/v1/providers lists them.");
        else if (named && !gateway_lists(g->methods, method))
            fields_fault(f, "payment_method", "unsupported",
                         "The provider does not offer this method.");
        str_copy_c(r->provider, sizeof r->provider, provider);
    }
    if (named)
        str_copy_c(r->method, sizeof r->method, method);
    if (fields_text(f, "account", OPTIONAL, 1, ACCOUNT_NAME_MAX, &account)) {
        if (!account_name_fine(account))
            fields_fault(f, "account", "format",
                         "Lower-case letters, digits, - and _, a letter or digit first.");
        str_copy_c(r->account, sizeof r->account, account);
    }
    read_where(f, r);
    read_range(f, r);
    r->enabled = true;
    const struct json *enabled = json_get(f->obj, "enabled");
    if (json_kind(enabled) != JSON_ABSENT && !json_bool(enabled, &r->enabled))
        fields_fault(f, "enabled", "type", "Send true or false.");
}

void routes_read(const struct json *list, struct field_errors *errors, struct routes *out)
{
    *out = (struct routes){0};
    if (json_kind(list) != JSON_ARR) {
        field_error(errors, STR("routes"), json_kind(list) == JSON_ABSENT ? "required" : "type",
                    "Send a list.");
        return;
    }
    if (json_n(list) > ROUTES_MAX) {
        field_error(errors, STR("routes"), "length", "At most 32 routes.");
        return;
    }
    for (; out->n < json_n(list); out->n++) {
        const struct json *item = json_at(list, out->n);
        struct str prefix = arena_fmt(errors->arena, "routes[%zu].", out->n);
        struct fields f = {item, prefix.p != NULL ? prefix.p : "routes.", errors};
        if (json_kind(item) == JSON_OBJ)
            read_route(&f, &out->list[out->n]);
        else
            field_error(errors, str_first(prefix, prefix.n > 0 ? prefix.n - 1 : 0), "type",
                        "Send an object.");
    }
}

static void put_limit(struct jsonw *w, const char *name, const struct route_rule *r, int64_t minor)
{
    if (minor > 0)
        jw_money(w, name, (struct money){minor, r->currency});
    else
        jw_null(w, name);
}

void routes_put(struct jsonw *w, const struct routes *r)
{
    jw_open_list(w);
    for (size_t i = 0; i < r->n; i++) {
        const struct route_rule *o = &r->list[i];
        char currency[CURRENCY_TEXT];
        jw_open(w);
        jw_c(w, "payment_method", o->method);
        jw_c(w, "provider", o->provider);
        jw_str(w, "account", str_c_opt(o->account));
        jw_str(w, "country", str_c_opt(o->country));
        jw_str(w, "currency",
               o->currency != 0 ? str_c(currency_text(o->currency, currency)) : STR_NULL);
        put_limit(w, "min_amount", o, o->min_minor);
        put_limit(w, "max_amount", o, o->max_minor);
        jw_bool(w, "enabled", o->enabled);
        jw_close(w);
    }
    jw_close_list(w);
}

/* ---- the choice ---- */

/* What the merchant has against it; NULL: nothing. */
static const char *route_against(const struct route_rule *r, const struct route_question *q)
{
    uint16_t currency = q->amount.currency;
    if (!r->enabled)
        return "disabled";
    if (r->country[0] != '\0' && !str_eq(q->country, str_c(r->country)))
        return "country";
    if (r->currency != 0 && currency != 0 && currency != r->currency)
        return "currency";
    if (currency != 0 && ((r->min_minor > 0 && q->amount.minor < r->min_minor) ||
                          (r->max_minor > 0 && q->amount.minor > r->max_minor)))
        return "amount";
    return NULL;
}

/* What the provider cannot do. */
static const char *gateway_against(const struct gateway *g, const struct route_question *q)
{
    char currency[CURRENCY_TEXT];
    if (g->needs_phone && !q->has_phone)
        return "phone";
    if (g->needs_phone && q->country.n > 0 && !gateway_lists(g->countries, q->country))
        return "country";
    if (q->amount.currency == 0)
        return NULL;
    if (!gateway_lists(g->currencies, str_c(currency_text(q->amount.currency, currency))))
        return "currency";
    int64_t unit = 1;
    for (int i = 0; i < currency_exponent(q->amount.currency); i++)
        unit *= 10;
    bool whole = !g->whole_units || q->amount.minor % unit == 0;
    if (!whole || q->amount.minor < g->min_minor ||
        (g->max_minor > 0 && q->amount.minor > g->max_minor))
        return "amount";
    return NULL;
}

struct choosing {
    const struct route_question *q;
    route_state_fn *state_of;
    void *ctx;
    struct route_choice *out;
    const struct gateway *last_resort;
    struct str last_account;
};

static void skip(struct choosing *c, const struct gateway *g, struct str account,
                 const char *reason)
{
    struct route_choice *out = c->out;
    for (size_t i = 0; i < out->n_skipped; i++)
        if (out->skipped[i].gateway == g && str_eq(out->skipped[i].account, account) &&
            strcmp(out->skipped[i].reason, reason) == 0)
            return;
    if (out->n_skipped == ROUTES_MAX)
        return;
    out->skipped[out->n_skipped].gateway = g;
    out->skipped[out->n_skipped].account = account;
    out->skipped[out->n_skipped++].reason = reason;
}

/* By the account, whatever a route calls it. */
static bool was_tried(const struct route_question *q, struct uuid account)
{
    for (size_t i = 0; i < q->n_tried; i++)
        if (uuid_eq(q->tried[i], account))
            return true;
    return false;
}

/* What speaks against the account at this moment. One that was asked already is no last resort. */
static const char *account_against(struct choosing *c, const struct gateway *g, struct str account)
{
    struct route_state state = c->state_of(c->ctx, g, account);
    if (!state.has_account)
        return "no_account";
    if (was_tried(c->q, state.account))
        return "tried";
    if (state.unwell != NULL && c->last_resort == NULL) {
        c->last_resort = g;
        c->last_account = account;
    }
    return state.unwell;
}

/* True: it takes the payment. */
static bool consider(struct choosing *c, const struct gateway *g, const struct route_rule *r,
                     const char *reason)
{
    struct str account = r != NULL ? str_c(r->account) : STR("");
    const char *against = r != NULL ? route_against(r, c->q) : NULL;
    if (against == NULL)
        against = gateway_against(g, c->q);
    if (against == NULL)
        against = account_against(c, g, account);
    if (against != NULL) {
        skip(c, g, account, against);
        return false;
    }
    c->out->gateway = g;
    c->out->account = account;
    c->out->reason = reason;
    return true;
}

static void take_last_resort(struct choosing *c)
{
    struct route_choice *out = c->out;
    size_t n = 0;
    for (size_t i = 0; i < out->n_skipped; i++)
        if (out->skipped[i].gateway != c->last_resort ||
            !str_eq(out->skipped[i].account, c->last_account))
            out->skipped[n++] = out->skipped[i];
    out->n_skipped = n;
    out->gateway = c->last_resort;
    out->account = c->last_account;
    out->reason = "last_resort";
}

void route_choose(const struct routes *routes, const struct route_question *q,
                  route_state_fn *state_of, void *ctx, struct route_choice *out)
{
    struct choosing c = {
        .q = q, .state_of = state_of, .ctx = ctx, .out = out, .last_account = STR("")};
    bool routed = false;
    *out = (struct route_choice){.account = STR("")};
    for (size_t i = 0; i < routes->n; i++) {
        const struct route_rule *r = &routes->list[i];
        const struct gateway *g = gateway_find(str_c(r->provider));
        if (g == NULL || !str_eq(str_c(r->method), q->method) ||
            !gateway_lists(g->methods, q->method))
            continue;
        routed = true;
        if (consider(&c, g, r, "route"))
            return;
    }
    const struct gateway *first = NULL;
    for (size_t i = 0; !routed && gateways[i] != NULL; i++) {
        if (gateways[i]->methods[0] == '\0' || !gateway_lists(gateways[i]->methods, q->method))
            continue;
        if (first == NULL)
            first = gateways[i];
        if (consider(&c, gateways[i], NULL, "default"))
            return;
    }
    out->no_route = routed && c.last_resort == NULL;
    if (c.last_resort == NULL)
        c.last_resort = first;
    if (c.last_resort != NULL)
        take_last_resort(&c);
}

static void put_account(struct jsonw *w, struct str account)
{
    if (account.n > 0)
        jw_str(w, "account", account);
}

void route_choice_put(struct buf *out, const struct route_choice *c)
{
    struct jsonw w = jw_into(out);
    jw_open(&w);
    jw_c(&w, "chosen", c->gateway->name);
    put_account(&w, c->account);
    jw_c(&w, "reason", c->reason);
    jw_key(&w, "skipped");
    jw_open_list(&w);
    for (size_t i = 0; i < c->n_skipped; i++) {
        jw_open(&w);
        jw_c(&w, "provider", c->skipped[i].gateway->name);
        put_account(&w, c->skipped[i].account);
        jw_c(&w, "reason", c->skipped[i].reason);
        jw_close(&w);
    }
    jw_close_list(&w);
    jw_close(&w);
}
