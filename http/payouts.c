/* Money out: asked for, shown, listed, approved, taken back, asked about. */
#include "http/api.h"

#include "core/domain/phone.h"
#include "core/flow/payout.h"
#include "http/list.h"
#include "http/payment_input.h"

/* ---- asking ---- */

struct reading {
    struct http_exchange *x;
    struct fields f;
    struct payout_input *in;
};

static void read_provider(struct reading *r)
{
    struct payout_input *in = r->in;
    struct str provider = STR_NULL, method = STR_NULL;
    (void)fields_text(&r->f, "provider", OPTIONAL, 1, 32, &provider);
    (void)fields_text(&r->f, "payment_method", OPTIONAL, 1, 32, &method);
    const char *named = provider.p != NULL ? "provider" : "payment_method";
    if (provider.p == NULL && method.p == NULL) {
        fields_fault(&r->f, "provider", "required", "Name a provider or a payment_method.");
        return;
    }
    in->gateway = provider.p != NULL ? gateway_find(provider) : gateway_for_method(method);
    if (in->gateway == NULL) {
        fields_fault(&r->f, named, "unknown",
                     "No such provider or method; GET /api/v1/providers lists them.");
        return;
    }
    if (in->gateway->payout_build == NULL)
        fields_fault(&r->f, named, "unsupported", "The provider does not pay out.");
    if (method.p == NULL) {
        struct str all = str_c(in->gateway->methods);
        (void)str_split(&all, ',', &method);
    } else if (!gateway_lists(in->gateway->methods, method)) {
        fields_fault(&r->f, "payment_method", "unknown",
                     "The provider does not offer this method.");
    }
    in->method = arena_dup(r->x->arena, method);
}

static void read_destination(struct reading *r)
{
    static const char *const names[] = {"type", "phone", "name", NULL};
    const struct json *destination;
    char e164[PHONE_TEXT];
    struct str s;
    if (!fields_object(&r->f, "destination", REQUIRED, &destination))
        return;
    struct fields d = {destination, "destination.", r->f.errors};
    fields_only(&d, names);
    if (fields_text(&d, "type", REQUIRED, 1, 32, &s) && !str_eq(s, STR("mobile_money")))
        fields_fault(&d, "type", "unsupported", "Must be mobile_money.");
    if (fields_text(&d, "phone", REQUIRED, 1, 40, &s)) {
        if (!phone_parse(s, str_c(api_who(r->x)->country), e164))
            fields_fault(&d, "phone", "format", "Not a phone number; send it as +254700000000.");
        else if (r->in->gateway != NULL &&
                 !gateway_lists(r->in->gateway->countries, phone_country(str_c(e164))))
            fields_fault(&d, "phone", "unsupported", "The provider does not serve this country.");
        else
            r->in->phone = arena_dup(r->x->arena, str_c(e164));
    }
    if (fields_text(&d, "name", OPTIONAL, 1, 128, &s))
        r->in->name = arena_dup(r->x->arena, s);
}

static void read_words(struct reading *r)
{
    struct payout_input *in = r->in;
    struct arena *a = r->x->arena;
    struct str s;
    if (fields_text(&r->f, "reference", REQUIRED, 1, 64, &s))
        in->reference = arena_dup(a, s);
    if (fields_text(&r->f, "description", OPTIONAL, 1, 255, &s))
        in->description = arena_dup(a, s);
    if (fields_text(&r->f, "purpose", OPTIONAL, 1, 32, &s)) {
        if (!str_eq(s, STR(GW_PURPOSE_BUSINESS)) && !str_eq(s, STR(GW_PURPOSE_SALARY)) &&
            !str_eq(s, STR(GW_PURPOSE_PROMOTION)))
            fields_fault(&r->f, "purpose", "unknown", "One of business, salary, promotion.");
        in->purpose = arena_dup(a, s);
    }
    if (fields_text(&r->f, "callback_url", OPTIONAL, 8, 2000, &s)) {
        if (!outbound_url_ok(s, api_of(r->x)->flow->settings.webhook_allow_private))
            fields_fault(&r->f, "callback_url", "format",
                         "Not a URL that may be used here; https is needed.");
        in->callback_url = arena_dup(a, s);
    }
}

/* New fields go to the end: stored fingerprints have this order. */
static void set_fingerprint(struct payout_input *in, struct arena *a, struct str metadata)
{
    char amount[MONEY_TEXT], currency[CURRENCY_TEXT];
    struct fingerprint_field fields[] = {
        {"provider", str_c(in->gateway->name)},
        {"payment_method", in->method},
        {"amount", arena_dup(a, str_c(money_text(in->amount, amount)))},
        {"currency", arena_dup(a, str_c(currency_text(in->amount.currency, currency)))},
        {"destination", arena_fmt(a, "%.*s\n%.*s", STR_ARG(in->phone), STR_ARG(in->name))},
        {"reference", in->reference},
        {"purpose", in->purpose},
        {"description", in->description},
        {"callback_url", in->callback_url},
        {"metadata", metadata},
    };
    _Static_assert(COUNT_OF(fields) <= FINGERPRINT_MAX_FIELDS, "room in the fingerprint");
    in->n_fields = COUNT_OF(fields);
    memcpy(in->fields, fields, sizeof fields);
    in->route = STR("POST /api/v1/payouts");
}

/* False: answered. */
static bool read_request(struct http_exchange *x, struct payout_input *in)
{
    static const char *const names[] = {"provider",    "payment_method", "amount",      "currency",
                                        "destination", "reference",      "description", "purpose",
                                        "metadata",    "callback_url",   NULL};
    struct str canonical;
    struct body_fields b;
    if (!body_open(x, &b))
        return false;
    struct reading r = {x, b.f, in};
    fields_only(&r.f, names);
    read_provider(&r);
    amount_read(&r.f, in->gateway, true, &in->amount);
    read_destination(&r);
    read_words(&r);
    in->metadata = metadata_read(x, &r.f, &canonical);
    if (!body_close(x, &b))
        return false;
    set_fingerprint(in, x->arena, canonical);
    return true;
}

static struct str problem_text(void *ctx, struct err err, const char *detail)
{
    return http_problem_text(ctx, err, detail, NULL);
}

static void asked(void *ctx, struct err err, const struct payout_result *result)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        struct str detail = arena_dup(x->arena, result->detail);
        http_problem(x, err, detail.n > 0 ? detail.p : "");
        return;
    }
    if (result->replayed)
        api_set_replayed(x, result->original_us);
    if (result->current_status.n > 0)
        http_set_header(x, STR("Reli-Current-Status"), result->current_status);
    http_reply(x, result->http_status,
               result->is_problem ? STR("application/problem+json") : STR("application/json"),
               result->body);
}

void payout_post(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct payout_input in = {
        .merchant = who->merchant,
        .live = who->live,
        .actor = str_c(who->actor),
        .person = str_c(who->person),
        .approval_above = who->payout_approval_above,
        .trace = api_trace(x),
        .problem = problem_text,
        .problem_ctx = x,
    };
    if (api_idempotency_key(x, &in.idem_key) && read_request(x, &in))
        payout_create(api_of(x)->flow, &in, asked, x);
}

/* ---- showing ---- */

static void reply(struct http_exchange *x, const struct payout_record *rec)
{
    struct str body;
    struct err err = payout_body(api_of(x)->flow, x->arena, rec, &body);
    if (err_is(err))
        http_problem(x, err, "");
    else
        http_reply_json(x, 200, body);
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    struct payout_record rec = {0};
    if (!err_is(err))
        err = payout_record_read(r, 0, x->arena, &rec);
    if (!err_is(err) && rec.live != api_who(x)->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such payout." : "");
    else
        reply(x, &rec);
}

void payout_show(struct http_exchange *x)
{
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID(id)};
    store_read(api_of(x)->flow->store, Q_payout_get, params, COUNT_OF(params), shown, x);
}

/* ---- listing ---- */

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    struct payout_record rec;
    struct str body;
    TRY(payout_record_read(r, row, l->x->arena, &rec));
    TRY(payout_body(api_of(l->x)->flow, l->x->arena, &rec, &body));
    jw_raw(w, NULL, body);
    return ERR_OK;
}

static const struct list_kind payouts = {
    .queries = LIST_QUERIES(payout_list),
    .filters = "status provider reference",
    .id = 1,
    .reach = Q_payout_reach,
    .reach_newer = Q_payout_reach_newer,
    .put = put_listed,
};

void payout_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &payouts, NULL);
    struct str status = http_query(x, STR("status")), provider = http_query(x, STR("provider"));
    struct str reference = http_query(x, STR("reference"));
    bool named = reference.p != NULL;
    enum payout_status known;
    if (l == NULL)
        return;
    if (status.p != NULL && !payout_status_parse(status, &known))
        field_error(&l->errors, STR("status"), "format", "No such status.");
    if (named)
        l->queries = (struct list_queries)LIST_QUERIES(payout_named);
    l->filtered = !named && (status.p != NULL || provider.p != NULL);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(status),
                             V_TEXT(provider), V_TEXT(reference)};
    list_run(l, params, named ? COUNT_OF(params) : COUNT_OF(params) - 1);
}

/* ---- people's decisions, and questions ---- */

static void answered(void *ctx, struct err err, const struct payout_moved *result)
{
    struct http_exchange *x = ctx;
    struct flow *f = api_of(x)->flow;
    if (err_is(err)) {
        http_problem(
            x, err,
            err.code == ERR_FORBIDDEN
                ? "Who asked for a payout cannot approve it"
                  "; until another person confirms him, a member and who invited him are one."
            : err.code == ERR_NOT_FOUND ? "No such payout."
                                        : "");
        return;
    }
    struct uuid merchant = result->payout->merchant, id = result->payout->id;
    bool send = result->fx->changed && result->payout->p.status == PAYOUT_QUEUED;
    reply(x, result->payout);
    if (send)
        payout_run(f, merchant, id, NULL, NULL);
}

static void decide(struct http_exchange *x, enum payout_event_kind kind)
{
    const struct principal *who = api_who(x);
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct payout_move rq = {.merchant = who->merchant,
                             .payout = id,
                             .live_only = true,
                             .live = who->live,
                             .event = {.kind = kind},
                             .actor = str_c(who->actor),
                             .person = str_c(who->person)};
    payout_move_start(api_of(x)->flow, &rq, answered, x);
}

void payout_approve(struct http_exchange *x)
{
    decide(x, PAYOUT_EVENT_APPROVE);
}

void payout_reject(struct http_exchange *x)
{
    decide(x, PAYOUT_EVENT_REJECT);
}

void payout_cancel(struct http_exchange *x)
{
    decide(x, PAYOUT_EVENT_CANCEL);
}

void payout_ask(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct uuid id;
    if (api_path_id(x, 0, &id))
        payout_verify(api_of(x)->flow, who->merchant, id, who->live, answered, x);
}
