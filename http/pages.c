/* The service about itself: health, metrics, documentation, providers. */
#include <stdio.h>

#include "http/api.h"

#include "core/base/embed.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/flow/account.h"
#include "core/flow/maintenance.h"
#include "http/list.h"

enum { METRICS_MAX = 1 << 20, PAGE_MAX = 1 << 20 };

static const struct embed_file *static_file(struct str name)
{
    for (const struct embed_file *f = embed_static; f->name != NULL; f++)
        if (str_eq(str_c(f->name), name))
            return f;
    return NULL;
}

/* ---- health ---- */

void page_livez(struct http_exchange *x)
{
    http_reply(x, 200, STR("text/plain; charset=utf-8"), STR("ok\n"));
}

static bool ready(struct http_exchange *x, const char **why)
{
    struct api *api = api_of(x);
    if (api->draining) {
        *why = "draining";
        return false;
    }
    if (!vault_ready(api->flow->vault)) {
        *why = "the installation's keys are not open";
        return false;
    }
    if (!api->flow->maintenance->known) {
        *why = "whether there is maintenance is not known";
        return false;
    }
    return store_ready(api->flow->store, why);
}

void page_readyz(struct http_exchange *x)
{
    const char *why = "";
    if (ready(x, &why)) {
        http_reply(x, 200, STR("text/plain; charset=utf-8"), STR("ready\n"));
        return;
    }
    http_set_header(x, STR("Retry-After"), STR("1"));
    struct str body = arena_fmt(x->arena, "%s\n", why);
    http_reply(x, 503, STR("text/plain; charset=utf-8"), body);
}

/* As load balancers ask it thousands of times: nothing is looked up. */
void page_health(struct http_exchange *x)
{
    http_reply_json(x, 200, STR("{\"status\":\"ok\"}"));
}

static void put_health(struct jsonw *w, const struct flow *f, const struct flow_account *account)
{
    struct health_view v = gw_client_health(f->gateways, &account->gw);
    jw_c(w, "state", health_state_word(v.state));
    jw_i64(w, "score", v.score);
    jw_str(w, "reason", v.reason != NULL ? str_c(v.reason) : STR_NULL);
    jw_c(w, "money_out", health_state_word(v.money_out));
}

/* The installation's accounts; merchants see their own at GET /providers. */
static void put_provider_health(struct jsonw *w, const struct flow *f)
{
    jw_key(w, "providers");
    jw_open_list(w);
    for (int i = 0; i < f->n_accounts; i++) {
        const struct flow_account *a = &f->accounts[i];
        if (a->gw.gateway->manual)
            continue;
        jw_open(w);
        jw_c(w, "provider", a->gw.gateway->name);
        jw_str(w, "mode", mode_word(f->settings.provider_live));
        put_health(w, f, a);
        jw_close(w);
    }
    jw_close_list(w);
}

void page_health_detailed(struct http_exchange *x)
{
    struct api *api = api_of(x);
    const char *why = "";
    struct buf b;
    buf_init(&b, 16384);
    struct jsonw w = jw_into(&b);
    bool ok = ready(x, &why);
    jw_open(&w);
    jw_c(&w, "status", ok ? "ok" : "unavailable");
    jw_str(&w, "detail", ok ? STR_NULL : str_c(why));
    jw_c(&w, "version", api->version);
    jw_time(&w, "started_at", api->started_wall_us);
    jw_time(&w, "time", loop_wall_us(api->flow->loop));
    jw_bool(&w, "maintenance", maintenance_on(api->flow));
    jw_key(&w, "components");
    jw_open(&w);
    jw_c(&w, "postgresql", store_ready(api->flow->store, NULL) ? "ok" : "unavailable");
    jw_c(&w, "redis",
         api->flow->redis == NULL     ? "not_configured"
         : redis_up(api->flow->redis) ? "ok"
                                      : "unavailable");
    jw_close(&w);
    put_provider_health(&w, api->flow);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

void page_metrics(struct http_exchange *x)
{
    struct api *api = api_of(x);
    struct buf b;
    if (!cidr_list_has_text(&api->metrics_cidrs, str_c(x->peer.text))) {
        api_security(x, SECURITY_ADDRESS_REFUSED, "metrics");
        http_problem(x, ERR(FORBIDDEN, NULL),
                     "Metrics are for loopback and allow-listed addresses.");
        return;
    }
    buf_init(&b, METRICS_MAX);
    gw_client_measure(api->flow->gateways);
    metric_print(&b);
    if (b.failed)
        http_problem(x, ERR(NO_MEMORY, "metrics"), "");
    else
        http_reply(x, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_view(&b));
    buf_free(&b);
}

/* ---- documentation ---- */

#define DOCS_CSP                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' " \
    "data:; "                                                                                  \
    "connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'"

static struct str type_of(struct str name)
{
    static const struct {
        const char *end;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_ends(name, str_c(types[i].end)))
            return str_c(types[i].type);
    return STR("application/octet-stream");
}

static void serve(struct http_exchange *x, struct str name)
{
    bool gzip = str_icontains(http_header(x, STR("accept-encoding")), STR("gzip"));
    struct str packed_name = arena_fmt(x->arena, "%.*s.gz", STR_ARG(name));
    const struct embed_file *packed = gzip ? static_file(packed_name) : NULL;
    const struct embed_file *plain = packed == NULL ? static_file(name) : packed;
    if (plain == NULL || str_ends(name, STR(".gz"))) {
        http_problem(x, ERR(NOT_FOUND, NULL), "No such page.");
        return;
    }
    if (packed != NULL)
        http_set_header(x, STR("Content-Encoding"), STR("gzip"));
    http_set_header(x, STR("Vary"), STR("Accept-Encoding"));
    http_set_header(x, STR("Cache-Control"), STR("public, max-age=300"));
    http_set_header(x, STR("Content-Security-Policy"), STR(DOCS_CSP));
    http_reply(x, 200, type_of(name), embed_text(plain));
}

void page_openapi(struct http_exchange *x)
{
    http_set_header(x, STR("Access-Control-Allow-Origin"), STR("*"));
    serve(x, STR("openapi.json"));
}

void page_docs(struct http_exchange *x)
{
    serve(x, STR("docs.html"));
}

void page_docs_file(struct http_exchange *x)
{
    serve(x, x->params[0]);
}

/* What `type` of a problem points to: the catalogue itself. */
void page_errors(struct http_exchange *x)
{
    struct buf b;
    buf_init(&b, PAGE_MAX);
    buf_c(&b,
          "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>reli: errors</title>\n"
          "<h1>Errors</h1>\n<p>Every error is <code>application/problem+json</code> (RFC 9457) "
          "with one of "
          "these codes.</p>\n<table><tr><th>code</th><th>status</th><th>meaning</th>"
          "<th>the same request may be sent again</th><th>what to do</th></tr>\n");
    for (int i = 1; i < ERR_N_CODES; i++) {
        enum err_code code = (enum err_code)i;
        if (err_public(code))
            buf_fmt(&b,
                    "<tr id=\"%s\"><td><code>%s</code></td><td>%d</td><td>%s</td><td>%s</td>"
                    "<td>%s</td></tr>\n",
                    err_word(code), err_word(code), err_http(code), err_title(code),
                    err_retryable(code) ? "yes" : "no", err_advice(code));
    }
    buf_c(&b, "</table></html>\n");
    http_reply(x, 200, STR("text/html; charset=utf-8"), buf_view(&b));
    buf_free(&b);
}

/* ---- providers ---- */

static void put_words(struct jsonw *w, const char *name, const char *words)
{
    struct str rest = str_c(words), word;
    jw_key(w, name);
    jw_open_list(w);
    while (rest.n > 0 && str_split(&rest, ',', &word))
        jw_str(w, NULL, word);
    jw_close_list(w);
}

/* In the only currency of those that have limits. */
static void put_limit(struct jsonw *w, const char *name, int64_t minor, uint16_t currency)
{
    if (minor > 0 && currency != 0)
        jw_money(w, name, (struct money){minor, currency});
    else
        jw_null(w, name);
}

/* What the core reads of a gateway too. */
static void put_capabilities(struct jsonw *w, const struct gateway *g)
{
    struct str currency = str_c(g->currencies);
    uint16_t code = currency_parse(currency);
    jw_key(w, "limits");
    jw_open(w);
    put_limit(w, "min_amount", g->min_minor, code);
    put_limit(w, "max_amount", g->max_minor, code);
    put_limit(w, "min_payout", g->payout_min_minor, code);
    put_limit(w, "max_payout", g->payout_max_minor, code);
    jw_bool(w, "whole_units", g->whole_units);
    jw_close(w);
    jw_key(w, "capabilities");
    jw_open(w);
    jw_bool(w, "manual", g->manual);
    jw_bool(w, "needs_phone", g->needs_phone);
    jw_bool(w, "query", g->query_build != NULL);
    jw_bool(w, "resend_safe", g->may_resend);
    jw_bool(w, "not_found_is_final", g->not_found_is_final);
    jw_bool(w, "payouts", g->payout_build != NULL);
    put_words(w, "token_methods", g->token_methods != NULL ? g->token_methods : "");
    jw_i64(w, "prompt_window_s", g->prompt_window_us / US_PER_S);
    jw_key(w, "refund_rails");
    jw_open_list(w);
    for (int i = 0; i < g->n_refund_rails; i++)
        jw_c(w, NULL, refund_rail_word(g->refund_rails[i]));
    jw_c(w, NULL, refund_rail_word(REFUND_RAIL_MANUAL));
    jw_close_list(w);
    jw_close(w);
}

/* null where there is nothing that could be unwell. */
static void put_health_of(struct jsonw *w, const struct flow *f, const struct flow_account *account)
{
    if (account == NULL || account->gw.gateway->manual) {
        jw_null(w, "health");
        return;
    }
    jw_key(w, "health");
    jw_open(w);
    put_health(w, f, account);
    jw_close(w);
}

static struct err put_provider(struct listing *l, struct jsonw *w, const struct rows *r, size_t i)
{
    const struct principal *who = api_who(l->x);
    const struct gateway *g = gateways[i];
    const struct flow *f = api_of(l->x)->flow;
    const struct flow_account *account = account_for(f, who->merchant, g, who->live);
    (void)r;
    jw_open(w);
    jw_c(w, "object", "provider");
    jw_c(w, "name", g->name);
    jw_c(w, "title", g->title);
    jw_str(w, "mode", mode_word(who->live));
    jw_bool(w, "active", account != NULL);
    put_words(w, "methods", g->methods);
    put_words(w, "currencies", g->currencies);
    put_words(w, "countries", g->countries);
    put_capabilities(w, g);
    put_health_of(w, f, account);
    jw_close(w);
    return ERR_OK;
}

static void provider_cursor(const struct rows *r, size_t i, char out[LIST_CURSOR])
{
    (void)r;
    snprintf(out, LIST_CURSOR, "%s", gateways[i]->name);
}

static const struct list_kind providers = {.put = put_provider, .cursor = provider_cursor};

static void list_providers(struct listing *l)
{
    size_t n = 0;
    while (gateways[n] != NULL)
        n++;
    list_short(l, NULL, n);
}

static void accounts_found(void *ctx, struct err err)
{
    struct listing *l = ctx;
    if (err_is(err))
        http_problem(l->x, err, "");
    else
        list_providers(l);
}

void provider_index(struct http_exchange *x)
{
    struct flow *f = api_of(x)->flow;
    struct uuid merchant = api_who(x)->merchant;
    struct listing *l = list_new(x, &providers, NULL);
    if (l == NULL)
        return;
    if (accounts_fresh(f, merchant))
        list_providers(l);
    else
        accounts_start(f, merchant, accounts_found, l);
}
