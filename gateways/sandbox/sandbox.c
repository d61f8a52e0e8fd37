/* The sandbox's own side: one server for all simulated providers, and answers that come late,
 * broken or not at all when the settings say so. */
#include "gateways/sandbox/sandbox_int.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "gateways/sandbox/cpay.h"
#include "gateways/sandbox/daraja.h"
#include "gateways/sandbox/firebase.h"
#include "gateways/sandbox/stripe.h"

static const struct sandbox_provider *const providers[] = {
    &daraja_provider,
    &cpay_provider,
    &stripe_provider,
    &firebase_provider,
};

static_assert(COUNT_OF(providers) <= SANDBOX_MAX_PROVIDERS, "state[] is too small");

enum { SCRATCH_LIMIT = 64 * 1024, INSPECT_TAG = SANDBOX_MAX_PROVIDERS };

struct held {
    struct link link;
    struct timer timer;
    struct sandbox *s;
    struct http_exchange *x;
    struct held **owner;
    int status;
    const char *type;
    struct str body; /* in the arena of x */
};

static struct err settings_read(struct sandbox *s, const struct sandbox_options *o);
static struct err routes_mount(struct sandbox *s);
static struct err providers_open(struct sandbox *s, const struct sandbox_options *o);
static void called_back(void *ctx, const struct delivery *d);
static void held_cut_all(struct sandbox *s);

static struct err sandbox_open(struct sandbox *s, const struct sandbox_options *o)
{
    TRY(settings_read(s, o));
    TRY(courier_new(s->loop, called_back, s, &s->courier));
    TRY(providers_open(s, o));
    TRY(routes_mount(s));
    const struct http_server_options options = {
        .routes = s->routes, .app = s, .max_body = 64 * 1024, .access_log = o->access_log};
    TRY(http_server_new(s->loop, &options, &s->http));
    struct str address = str_empty(o->listen) ? STR("127.0.0.1:8090") : o->listen;
    if (err_is(listener_address_check(address)))
        return ERR(CONFIG, "RELI_SANDBOX_LISTEN is no address such as 127.0.0.1:8090");
    /* Two would share the port, and each know half of what was paid. */
    if (listener_answers(address))
        return ERR_D(IO, -EADDRINUSE, "RELI_SANDBOX_LISTEN: somebody listens there already");
    return http_server_listen(s->http, address);
}

struct err sandbox_new(struct loop *l, const struct sandbox_options *o, struct sandbox **out)
{
    struct sandbox *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR(NO_MEMORY, "sandbox");
    s->loop = l;
    s->serial = random_u64() >> 8;
    list_init(&s->held);
    journal_init(&s->journal);
    buf_init(&s->scratch, SCRATCH_LIMIT);
    struct err e = sandbox_open(s, o);
    if (err_is(e)) {
        sandbox_free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

int sandbox_port(const struct sandbox *s)
{
    return http_server_port(s->http);
}

void sandbox_drain(struct sandbox *s, int64_t timeout_us, loop_fn *done, void *ctx)
{
    http_server_drain(s->http, timeout_us, done, ctx);
    held_cut_all(s);
}

void sandbox_reset(struct sandbox *s)
{
    held_cut_all(s);
    courier_reset(s->courier);
    journal_reset(&s->journal);
    book_reset(&s->book);
    payback_reset(&s->paybacks);
    s->chaos = s->chaos_start;
    dice_seed(&s->dice, s->chaos.seed);
    memset(s->spike_second, 0, sizeof s->spike_second);
    memset(s->n_in_second, 0, sizeof s->n_in_second);
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        providers[i]->reset(s->state[i]);
}

void sandbox_free(struct sandbox *s)
{
    if (s == NULL)
        return;
    held_cut_all(s);
    if (s->http != NULL)
        http_server_free(s->http);
    courier_free(s->courier);
    book_reset(&s->book);
    payback_reset(&s->paybacks);
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        if (s->state[i] != NULL)
            providers[i]->close(s->state[i]);
    journal_reset(&s->journal);
    if (s->routes != NULL)
        for (struct route *r = s->routes; r->pattern != NULL; r++)
            free((char *)(uintptr_t)r->pattern);
    free(s->routes);
    buf_free(&s->scratch);
    free(s);
}

/* ---- starting ---- */

static struct err settings_read(struct sandbox *s, const struct sandbox_options *o)
{
    struct str text = o->settings, url = str_c(o->cpay_webhook_url);
    s->chaos = chaos_default();
    if (url.n > 0 && !chaos_url(url, s->chaos.cpay_webhook_url))
        return ERR(CONFIG, "SANDBOX_CPAY_WEBHOOK_URL is no URL, or too long");
    url = str_c(o->stripe_webhook_url);
    if (url.n > 0 && !chaos_url(url, s->chaos.stripe_webhook_url))
        return ERR(CONFIG, "SANDBOX_STRIPE_WEBHOOK_URL is no URL, or too long");
    if (!str_empty(text)) {
        struct arena arena;
        struct json *obj;
        size_t where;
        if (err_is(json_parse(text, &obj, &where)))
            return ERR(CONFIG, "the sandbox's settings are not a JSON object");
        arena_init(&arena, 16 * 1024);
        struct field_errors errors = {.arena = &arena};
        chaos_change(&s->chaos, obj, &errors);
        bool wrong = errors.n > 0 || json_kind(obj) != JSON_OBJ;
        for (size_t i = 0; i < errors.n; i++)
            log_error("sandbox.setting", F_STR("param", errors.list[i].param),
                      F_C("fault", errors.list[i].message));
        arena_free(&arena);
        json_free(obj);
        if (wrong)
            return ERR(CONFIG, "the sandbox's settings have invalid fields");
    }
    s->chaos_start = s->chaos;
    dice_seed(&s->dice, s->chaos.seed);
    return ERR_OK;
}

static struct err providers_open(struct sandbox *s, const struct sandbox_options *o)
{
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        TRY(providers[i]->open(s, o, &s->state[i]));
    return ERR_OK;
}

static size_t routes_count(const struct route *r)
{
    size_t n = 0;
    while (r[n].pattern != NULL)
        n++;
    return n;
}

/* Appends `from` with "/name" in front of each pattern. */
static struct err routes_add(struct route **to, const struct route *from, const char *name,
                             unsigned tag)
{
    for (; from->pattern != NULL; from++) {
        char *pattern;
        if (asprintf(&pattern, "/%s%s", name, from->pattern) < 0)
            return ERR(NO_MEMORY, "sandbox routes");
        **to = *from;
        (*to)->pattern = pattern;
        (*to)->tag = tag;
        (*to)++;
    }
    return ERR_OK;
}

static struct err routes_mount(struct sandbox *s)
{
    size_t n = routes_count(inspect_routes) + 1;
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        n += routes_count(providers[i]->routes);
    struct route *to = s->routes = calloc(n, sizeof *s->routes);
    if (to == NULL)
        return ERR(NO_MEMORY, "sandbox routes");
    TRY(routes_add(&to, inspect_routes, "_sandbox", INSPECT_TAG));
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        TRY(routes_add(&to, providers[i]->routes, providers[i]->name, (unsigned)i));
    return ERR_OK;
}

/* ---- what providers use ---- */

void *sandbox_state(const struct http_exchange *x)
{
    const struct sandbox *s = x->app;
    return s->state[x->route->tag];
}

void *sandbox_state_of(struct sandbox *s, const char *provider)
{
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        if (strcmp(providers[i]->name, provider) == 0)
            return s->state[i];
    return NULL;
}

struct call sandbox_call(const struct http_exchange *x, const char *op)
{
    const struct sandbox *s = x->app;
    return (struct call){.at_us = loop_wall_us(s->loop),
                         .provider = providers[x->route->tag]->name,
                         .op = op,
                         .outcome = ""};
}

struct buf *sandbox_scratch(struct sandbox *s)
{
    buf_reset(&s->scratch);
    s->scratch.failed = false;
    return &s->scratch;
}

static bool spiked(struct sandbox *s, unsigned provider)
{
    int64_t second = loop_mono_us(s->loop) / US_PER_S;
    if (s->spike_second[provider] != second) {
        s->spike_second[provider] = second;
        s->n_in_second[provider] = 0;
    }
    s->n_in_second[provider]++;
    return s->chaos.spike_limit_per_s > 0 && s->n_in_second[provider] > s->chaos.spike_limit_per_s;
}

enum gate sandbox_gate(struct sandbox *s, struct http_exchange *x, struct call *call)
{
    bool over = spiked(s, x->route->tag);
    if (s->chaos.down) {
        call->outcome = "settings: down";
        sandbox_cut(s, x, call, STR_NULL);
        return GATE_SHUT;
    }
    if (dice_hit(&s->dice, s->chaos.reset_rate)) {
        call->outcome = "settings: connection cut, nothing done";
        sandbox_cut(s, x, call, STR_NULL);
        return GATE_SHUT;
    }
    if (dice_hit(&s->dice, s->chaos.fail_rate)) {
        call->outcome = "settings: HTML 500, nothing done";
        sandbox_reply(s, x, call, 500, "text/html",
                      STR("<html><body><h1>500 Internal Server Error</h1></body></html>"));
        return GATE_SHUT;
    }
    return over ? GATE_SPIKE : GATE_OPEN;
}

void sandbox_cut(struct sandbox *s, struct http_exchange *x, struct call *call, struct str raw)
{
    call->status = 0;
    journal_add(&s->journal, call);
    http_abort(x, raw);
}

void sandbox_reply(struct sandbox *s, struct http_exchange *x, struct call *call, int status,
                   const char *type, struct str body)
{
    sandbox_reply_after(s, x, call, 0, status, type, body, NULL);
}

static void held_time(void *ctx)
{
    held_release(ctx);
}

void sandbox_reply_after(struct sandbox *s, struct http_exchange *x, struct call *call,
                         int64_t after_us, int status, const char *type, struct str body,
                         struct held **owner)
{
    if (dice_hit(&s->dice, s->chaos.drop_answer_rate)) {
        sandbox_cut(s, x, call, STR_NULL);
        return;
    }
    call->status = status;
    journal_add(&s->journal, call);
    after_us += US_PER_MS * dice_between(&s->dice, s->chaos.answer_min_ms, s->chaos.answer_max_ms);
    struct held *h = after_us > 0 ? ARENA_NEW(x->arena, struct held) : NULL;
    struct str copy = h != NULL ? arena_dup(x->arena, body) : STR_NULL;
    if (h == NULL || copy.p == NULL) {
        http_reply(x, status, str_c(type), body);
        return;
    }
    h->s = s;
    h->x = x;
    h->owner = owner;
    h->status = status;
    h->type = type;
    h->body = copy;
    if (owner != NULL)
        *owner = h;
    list_push(&s->held, &h->link);
    timer_set(s->loop, &h->timer, after_us, held_time, h);
}

static struct http_exchange *held_take(struct held *h)
{
    timer_off(h->s->loop, &h->timer);
    list_remove(&h->s->held, &h->link);
    if (h->owner != NULL)
        *h->owner = NULL;
    return h->x;
}

void held_release(struct held *h)
{
    if (h == NULL)
        return;
    struct http_exchange *x = held_take(h);
    http_reply(x, h->status, str_c(h->type), h->body);
}

static void held_cut_all(struct sandbox *s)
{
    struct link *k;
    while ((k = list_first(&s->held)) != NULL)
        http_abort(held_take(CONTAINER_OF(k, struct held, link)), STR_NULL);
}

static void called_back(void *ctx, const struct delivery *d)
{
    struct sandbox *s = ctx;
    struct booking *b = book_at(&s->book, d->booking);
    struct payback *p = payback_at(&s->paybacks, -d->booking);
    for (size_t i = 0; i < COUNT_OF(providers); i++) {
        if (strcmp(providers[i]->name, d->provider) != 0)
            continue;
        if (b != NULL && providers[i]->called_back != NULL)
            providers[i]->called_back(s->state[i], b);
        if (p != NULL && providers[i]->told != NULL)
            providers[i]->told(s->state[i], p);
        if (d->tag != 0 && providers[i]->delivered != NULL)
            providers[i]->delivered(s->state[i], d);
    }
}
