/* What a merchant sends to take a payment. See payment_input.h. */
#include "http/payment_input.h"

#include "core/domain/phone.h"
#include "core/flow/account.h"

enum { METADATA_MAX = 16 * 1024 };

static const char *const known_fields[] = {
    "provider",   "payment_method", "payment_method_token",
    "amount",     "currency",       "customer",
    "phone",      "email",          "name",
    "reference",  "description",    "callback_url",
    "return_url", "metadata",       NULL,
};
static const char *const customer_fields[] = {"id", "phone", "email", "name", NULL};

struct reading {
    struct http_exchange *x;
    const struct principal *who;
    const struct routes *routes;
    struct fields f;
    struct charge_input *in;
};

static void read_customer(struct reading *r);

/* A provider named by the last word of the route's own pattern. */
static struct str provider_of_route(const struct http_exchange *x)
{
    struct str rest = str_c(x->route->pattern), word = STR_NULL;
    while (str_split(&rest, '/', &word))
        continue;
    return gateway_find(word) != NULL ? word : STR_NULL;
}

bool payment_input_routed(const struct http_exchange *x, const struct json *body)
{
    return json_kind(json_get(body, "provider")) != JSON_STR && provider_of_route(x).p == NULL &&
           json_kind(json_get(body, "payment_method")) == JSON_STR;
}

static struct route_state state_of(void *ctx, const struct gateway *g, struct str account)
{
    const struct reading *r = ctx;
    return route_state(api_of(r->x)->flow, r->who->merchant, r->who->live, g, account);
}

/* By what the request says of amount and customer; what is wrong with them is told later. */
static void choose_gateway(struct reading *r, struct str method)
{
    struct field_errors ignored = {.arena = r->x->arena};
    struct charge_input peeked = {0};
    struct reading peek = {r->x, r->who, r->routes, {r->f.obj, "", &ignored}, &peeked};
    struct route_choice choice;
    amount_read(&peek.f, NULL, false, &peeked.amount);
    read_customer(&peek);
    struct route_question q = {
        .method = method,
        .country = peeked.phone.n > 0 ? phone_country(peeked.phone) : STR_NULL,
        .has_phone = peeked.phone.n > 0,
        .amount = peeked.amount,
    };
    route_choose(r->routes, &q, state_of, r, &choice);
    if (choice.no_route) {
        fields_fault(&r->f, "payment_method", "unsupported",
                     "None of your routes for this method takes this payment.");
        return;
    }
    r->in->gateway = choice.gateway;
    if (choice.gateway == NULL)
        return;
    r->in->account = arena_dup(r->x->arena, choice.account);
    struct buf b;
    buf_init(&b, 8192);
    route_choice_put(&b, &choice);
    r->in->routed = buf_keep(&b, r->x->arena);
}

static void read_provider(struct reading *r)
{
    struct charge_input *in = r->in;
    struct str provider = STR_NULL, method = STR_NULL;
    if (!fields_text(&r->f, "provider", OPTIONAL, 1, 32, &provider))
        provider = provider_of_route(r->x);
    (void)fields_text(&r->f, "payment_method", OPTIONAL, 1, 32, &method);
    if (provider.p == NULL && method.p == NULL) {
        fields_fault(&r->f, "provider", "required", "Name a provider or a payment_method.");
        return;
    }
    size_t n_faults = r->f.errors->n;
    if (provider.p != NULL)
        in->gateway = gateway_find(provider);
    else if (r->routes != NULL)
        choose_gateway(r, method);
    else
        in->gateway = gateway_for_method(method);
    if (r->f.errors->n > n_faults)
        return;
    if (in->gateway == NULL) {
        fields_fault(&r->f, provider.p != NULL ? "provider" : "payment_method", "unknown",
                     "No such provider or method; GET /api/v1/providers lists them.");
        return;
    }
    if (method.p == NULL) {
        struct str all = str_c(in->gateway->methods);
        (void)str_split(&all, ',', &method);
    } else if (!gateway_lists(in->gateway->methods, method)) {
        fields_fault(&r->f, "payment_method", "unknown",
                     "The provider does not offer this method.");
    }
    in->method = arena_dup(r->x->arena, method);
}

/* The provider's own word for a card that its script has taken in the customer's browser. */
static void read_token(struct reading *r)
{
    struct charge_input *in = r->in;
    struct str token;
    if (!fields_text(&r->f, "payment_method_token", OPTIONAL, 1, 128, &token))
        return;
    if (!str_is_printable_ascii(token) || str_find(token, ' ', 0) != SIZE_MAX)
        fields_fault(&r->f, "payment_method_token", "format", "Not a token of a provider's.");
    else if (in->gateway != NULL && (in->gateway->token_methods == NULL ||
                                     !gateway_lists(in->gateway->token_methods, in->method)))
        fields_fault(&r->f, "payment_method_token", "unsupported",
                     "The provider takes no token for this method.");
    else
        in->method_token = arena_dup(r->x->arena, token);
}

static void fault_of_range(struct fields *f, struct money least, struct money most)
{
    char min[MONEY_TEXT], max[MONEY_TEXT];
    money_text(least, min);
    money_text(most, max);
    struct str message =
        most.minor > 0
            ? arena_fmt(f->errors->arena, "The provider takes from %s to %s at once.", min, max)
            : arena_fmt(f->errors->arena, "The provider takes %s and more.", min);
    fields_fault(f, "amount", "range",
                 message.p != NULL ? message.p : "The provider does not take this amount.");
}

void amount_read(struct fields *f, const struct gateway *g, bool payout, struct money *out)
{
    struct str code = STR_NULL;
    uint16_t currency = 0;
    int64_t unit = 1;
    if (fields_text(f, "currency", REQUIRED, 3, 3, &code)) {
        currency = currency_parse(code);
        if (currency == 0)
            fields_fault(f, "currency", "unknown", "No such currency; send an ISO 4217 code.");
        else if (g != NULL && !gateway_lists(g->currencies, code))
            fields_fault(f, "currency", "unsupported", "The provider does not have this currency.");
    }
    if (!fields_money(f, "amount", REQUIRED, currency, out) || currency == 0 || g == NULL ||
        !gateway_lists(g->currencies, code))
        return;
    for (int i = 0; i < currency_exponent(currency); i++)
        unit *= 10;
    struct money least = {payout ? g->payout_min_minor : g->min_minor, currency};
    struct money most = {payout ? g->payout_max_minor : g->max_minor, currency};
    if (g->whole_units && out->minor % unit != 0)
        fields_fault(f, "amount", "format",
                     "The provider takes whole units of this currency only.");
    else if (out->minor < least.minor || (most.minor > 0 && out->minor > most.minor))
        fault_of_range(f, least, most);
}

static void read_phone(struct reading *r, struct fields *f)
{
    char e164[PHONE_TEXT];
    struct str typed;
    if (!fields_text(f, "phone", OPTIONAL, 1, 40, &typed))
        return;
    if (r->in->phone.p != NULL)
        fields_fault(f, "phone", "duplicate", "Given twice.");
    else if (!phone_parse(typed, str_c(r->who->country), e164))
        fields_fault(f, "phone", "format", "Not a phone number; send it as +254700000000.");
    else
        r->in->phone = arena_dup(r->x->arena, str_c(e164));
}

static bool has_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\t')
            return true;
    return false;
}

static void read_email(struct reading *r, struct fields *f)
{
    struct str email;
    if (!fields_text(f, "email", OPTIONAL, 3, 254, &email))
        return;
    size_t at = str_find(email, '@', 0);
    if (r->in->email.p != NULL)
        fields_fault(f, "email", "duplicate", "Given twice.");
    else if (at == 0 || at >= email.n - 1 || has_blank(email) ||
             str_find(email, '@', at + 1) != SIZE_MAX)
        fields_fault(f, "email", "format", "Not an e-mail address.");
    else
        r->in->email = arena_dup(r->x->arena, email);
}

static void read_name(struct reading *r, struct fields *f)
{
    struct str name;
    if (!fields_text(f, "name", OPTIONAL, 1, 128, &name))
        return;
    if (r->in->name.p != NULL)
        fields_fault(f, "name", "duplicate", "Given twice.");
    else
        r->in->name = arena_dup(r->x->arena, name);
}

static void read_customer(struct reading *r)
{
    const struct json *customer;
    if (fields_object(&r->f, "customer", OPTIONAL, &customer)) {
        struct fields c = {customer, "customer.", r->f.errors};
        struct str id;
        fields_only(&c, customer_fields);
        if (fields_text(&c, "id", OPTIONAL, 1, 128, &id))
            r->in->customer_id = arena_dup(r->x->arena, id);
        read_phone(r, &c);
        read_email(r, &c);
        read_name(r, &c);
    }
    read_phone(r, &r->f);
    read_email(r, &r->f);
    read_name(r, &r->f);
    if (r->in->gateway != NULL && r->in->gateway->needs_phone && r->in->phone.p == NULL &&
        r->f.errors->n == 0)
        fields_fault(&r->f, "customer.phone", "required",
                     "The provider needs the customer's phone number.");
    if (r->in->phone.p != NULL && r->in->gateway != NULL && r->in->gateway->needs_phone &&
        !gateway_lists(r->in->gateway->countries, phone_country(r->in->phone)))
        fields_fault(&r->f, "customer.phone", "unsupported",
                     "The provider does not serve this country.");
}

static void read_url(struct reading *r, const char *name, bool called, struct str *out)
{
    struct str url;
    if (!fields_text(&r->f, name, OPTIONAL, 8, 2000, &url))
        return;
    bool allow = !called || api_of(r->x)->flow->settings.webhook_allow_private;
    if (!outbound_url_ok(url, allow))
        fields_fault(&r->f, name, "format", "Not a URL that may be used here; https is needed.");
    else
        *out = arena_dup(r->x->arena, url);
}

static void read_text(struct reading *r, const char *name, size_t max, struct str *out)
{
    struct str s;
    if (fields_text(&r->f, name, OPTIONAL, 1, max, &s))
        *out = arena_dup(r->x->arena, s);
}

struct str metadata_read(struct http_exchange *x, struct fields *f, struct str *canonical)
{
    const struct json *j;
    struct str kept = STR_NULL;
    *canonical = STR_NULL;
    if (!fields_object(f, "metadata", OPTIONAL, &j))
        return kept;
    struct buf b;
    buf_init(&b, METADATA_MAX);
    json_compact(json_member_bytes(x->body, STR("metadata")), &b);
    if (b.failed)
        fields_fault(f, "metadata", "length", "More than 16 KiB.");
    else
        kept = arena_dup(x->arena, buf_view(&b));
    buf_reset(&b);
    b.failed = false;
    json_canonical(j, &b);
    *canonical = buf_keep(&b, x->arena);
    return kept;
}

/* In the order that stored fingerprints have: new fields go to the end. A request that names its
 * method only is the same whoever takes it today: it stands for the method's first provider. */
static void set_fingerprint(struct charge_input *in, struct arena *a, struct str canonical_metadata)
{
    char amount[MONEY_TEXT], currency[CURRENCY_TEXT];
    struct str customer = arena_fmt(a, "%.*s\n%.*s\n%.*s\n%.*s", STR_ARG(in->customer_id),
                                    STR_ARG(in->phone), STR_ARG(in->email), STR_ARG(in->name));
    const struct gateway *named =
        in->routed.p != NULL ? gateway_for_method(in->method) : in->gateway;
    struct fingerprint_field fields[] = {
        {"provider", str_c(named->name)},
        {"payment_method", in->method},
        {"amount", arena_dup(a, str_c(money_text(in->amount, amount)))},
        {"currency", arena_dup(a, str_c(currency_text(in->amount.currency, currency)))},
        {"customer", customer},
        {"reference", in->reference},
        {"description", in->description},
        {"callback_url", in->callback_url},
        {"return_url", in->return_url},
        {"metadata", canonical_metadata},
        {"payment_method_token", in->method_token},
    };
    _Static_assert(COUNT_OF(fields) <= FINGERPRINT_MAX_FIELDS, "room in the fingerprint");
    in->n_fields = COUNT_OF(fields);
    memcpy(in->fields, fields, sizeof fields);
    in->route = STR("POST /api/v1/payments/initialize");
}

void payment_input_read(struct http_exchange *x, const struct json *body,
                        const struct principal *who, const struct routes *routes,
                        struct field_errors *errors, struct charge_input *in)
{
    struct reading r = {.x = x, .who = who, .routes = routes, .f = {body, "", errors}, .in = in};
    struct str canonical;
    fields_only(&r.f, known_fields);
    read_provider(&r);
    read_token(&r);
    amount_read(&r.f, in->gateway, false, &in->amount);
    read_customer(&r);
    read_text(&r, "reference", 64, &in->reference);
    read_text(&r, "description", 255, &in->description);
    read_url(&r, "callback_url", true, &in->callback_url);
    read_url(&r, "return_url", false, &in->return_url);
    in->metadata = metadata_read(x, &r.f, &canonical);
    if (errors->n == 0)
        set_fingerprint(in, x->arena, canonical);
}
