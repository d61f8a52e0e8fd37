/* Wiring: alone in knowing everything. Builds the service from its parts, opens the installation's
 * keys, and takes it down again: /readyz says no, the listener closes, what is in flight ends,
 * watchers are told, and nothing is left. */
#include "core/app.h"

#include <stdlib.h>

#include "core/base/metric.h"
#include "core/certificate.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/files.h"
#include "core/flow/account.h"
#include "core/flow/auth.h"
#include "core/flow/deliver.h"
#include "core/flow/firebase_keys.h"
#include "core/flow/jobs.h"
#include "core/flow/keeper.h"
#include "core/flow/keys.h"
#include "core/flow/maintenance.h"
#include "core/flow/password_work.h"
#include "core/flow/security.h"
#include "core/flow/session.h"
#include "core/flow/throttle.h"
#include "core/flow/token_share.h"
#include "core/version.h"
#include "gateways/sandbox/env.h"
#include "http/api.h"
#include "ws/hub.h"

#define READY_GRACE_US (3 * US_PER_S)
#define CLOSE_STEP_US (10 * US_PER_MS)

enum app_phase { APP_UP, APP_UNREADY, APP_DRAIN, APP_SETTLE, APP_DOWN };

struct app {
    const struct conf *conf;
    struct loop *loop;
    struct flow flow;
    struct outbound *providers; /* their calls; merchants' webhooks have a pool of their own, so
                                   that dead endpoints keep no payment waiting */
    struct api api;
    struct http_server *http, *metrics;
    struct hub *hub;
    struct certificate certificate;
    struct files_share share;
    struct jobs *jobs;
    struct keeper *keeper;
    struct keys_load *keys;
    enum app_phase phase;
    struct timer timer;
    int64_t deadline_us; /* monotonic, of the present phase */
    bool http_done, hub_done, metrics_done;
    int exit_code;
};

/* ---- down ---- */

static void step_down(void *ctx);

static void free_outbound(struct outbound **o)
{
    if (*o != NULL)
        outbound_free(*o);
    *o = NULL;
}

static void plan_step(struct app *a, int64_t after_us)
{
    timer_set(a->loop, &a->timer, after_us, step_down, a);
}

static void http_drained(void *ctx)
{
    ((struct app *)ctx)->http_done = true;
}

static void metrics_drained(void *ctx)
{
    ((struct app *)ctx)->metrics_done = true;
}

static void hub_drained(void *ctx)
{
    ((struct app *)ctx)->hub_done = true;
}

static void start_drain(struct app *a)
{
    int64_t left = a->conf->drain_timeout_us;
    a->phase = APP_DRAIN;
    a->deadline_us = loop_mono_us(a->loop) + left;
    a->flow.closing = true;
    if (a->jobs != NULL)
        jobs_stop(a->jobs);
    if (a->keeper != NULL)
        keeper_stop(a->keeper);
    firebase_keys_stop(a->flow.firebase_keys);
    maintenance_stop(&a->flow);
    security_stop(&a->flow);
    auth_stop(&a->flow);
    http_server_drain(a->http, left, http_drained, a);
    if (a->metrics != NULL)
        http_server_drain(a->metrics, left, metrics_drained, a);
    else
        a->metrics_done = true;
    hub_drain(a->hub, hub_drained, a);
}

static void step_down(void *ctx)
{
    struct app *a = ctx;
    int64_t now = loop_mono_us(a->loop);
    bool quiet = a->flow.busy == 0 && store_busy(a->flow.store) == 0;
    bool late = now >= a->deadline_us;
    if (a->phase == APP_UNREADY) {
        start_drain(a);
    } else if (a->phase == APP_DRAIN &&
               ((a->http_done && a->hub_done && a->metrics_done && quiet) || late)) {
        /* what is still out is cut off; its jobs and leases bring it back */
        free_outbound(&a->flow.outbound);
        free_outbound(&a->providers);
        a->phase = APP_SETTLE;
        a->deadline_us = now + US_PER_S;
    } else if (a->phase == APP_SETTLE && (quiet || late)) {
        a->phase = APP_DOWN;
        loop_stop(a->loop);
        return;
    }
    plan_step(a, CLOSE_STEP_US);
}

/* A second signal does not wait for load balancers. */
static void stop_asked(void *ctx)
{
    struct app *a = ctx;
    if (a->phase == APP_UP) {
        log_info("app.stopping", F_I64("connections", http_server_n_connections(a->http)));
        a->phase = APP_UNREADY;
        a->api.draining = true;
        http_server_lead_away(a->http);
        plan_step(a, READY_GRACE_US);
    } else if (a->phase == APP_UNREADY) {
        plan_step(a, 0);
    }
}

static void app_free(struct app *a)
{
    struct flow *f = &a->flow;
    http_server_free(a->http);
    http_server_free(a->metrics);
    hub_free(a->hub);
    firebase_keys_stop(f->firebase_keys);
    free_outbound(&f->outbound);
    free_outbound(&a->providers);
    firebase_keys_free(f->firebase_keys);
    keys_load_cancel(a->keys);
    if (f->store != NULL)
        store_free(f->store);
    gw_client_free(f->gateways);
    accounts_free(f);
    jobs_free(a->jobs);
    keeper_free(a->keeper);
    passwords_free(f->passwords);
    security_free(f);
    deliver_gate_free(f);
    maintenance_free(f);
    if (f->redis != NULL)
        redis_free(f->redis);
    throttle_free(f);
    certificate_close(&a->certificate);
    timer_off(a->loop, &a->timer);
    if (a->loop != NULL) {
        loop_run(a->loop); /* close callbacks */
        loop_free(a->loop);
    }
    vault_free(f->vault);
}

/* ---- up ---- */

static void published(void *ctx, struct uuid merchant, struct uuid payment, int32_t seq)
{
    hub_hint(ctx, merchant, payment, seq);
}

static struct uuid account_id(const struct gw_account *account)
{
    uint8_t hash[SHA256_LEN];
    struct uuid id;
    struct str parts[] = {STR("installation account\n"), str_c(account->id)};
    sha256(parts, COUNT_OF(parts), hash);
    memcpy(id.b, hash, 16);
    id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0f)); /* UUID version 8: custom */
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
    return id;
}

static void set_flow(struct app *a)
{
    const struct conf *c = a->conf;
    struct flow *f = &a->flow;
    f->loop = a->loop;
    list_init(&f->callbacks.line);
    f->replica = random_uuid(loop_wall_us(a->loop));
    f->settings = (struct flow_settings){
        .public_url = c->public_url,
        .payment_expiry_us = c->payment_expiry_us,
        .idempotency_retention_us = c->idempotency_retention_us,
        .inbound_waits = c->callback_schedule,
        .webhook_allow_private = c->webhook_allow_private,
        .provider_live = c->provider_live,
        .provider_timeout_us = c->provider_timeout_us,
        .sessions = c->sessions,
        .firebase = c->firebase,
    };
    session_name_secrets(&f->settings.sessions);
    payment_rules_default(&f->settings.rules);
    if (c->has_poll_schedule)
        f->settings.rules.poll = c->poll_schedule;
    delivery_rules_default(&f->settings.delivery);
    f->settings.delivery.waits = c->webhook_schedule;
    f->n_accounts = c->n_accounts;
    for (int i = 0; i < c->n_accounts; i++)
        f->accounts[i] =
            (struct flow_account){.gw = c->accounts[i], .id = account_id(&c->accounts[i])};
}

/* Whoever reads the log of an installation shall see that it believes anybody. */
static struct err open_firebase(struct app *a)
{
    const struct firebase_settings *s = &a->conf->firebase;
    if (s->first == FIREBASE_OFF)
        return ERR_OK;
    if (s->emulator) {
        log_warn("firebase.emulator",
                 F_C("note", "unsigned tokens are taken: anybody can log in as anybody"));
        return ERR_OK;
    }
    return firebase_keys_new(a->loop, a->providers, s->keys_url, &a->flow.firebase_keys);
}

static struct err open_parts(struct app *a)
{
    const struct conf *c = a->conf;
    struct flow *f = &a->flow;
    struct store_options store = {.conninfo = c->database_url,
                                  .writers = c->pg_writers,
                                  .readers = c->pg_readers,
                                  .by_merchant = c->batch_by_merchant};
    struct outbound_options outbound = {.user_agent = "reli/1", .max_in_flight = 2048};
    struct gw_token_share share = token_share(f);
    struct throttle_rules limits = {.of = {
                                        [THROTTLE_API] = c->rate_limit,
                                        [THROTTLE_ADDRESS] = c->rate_limit,
                                        [THROTTLE_LOGIN] = c->rate_limit_login,
                                        [THROTTLE_PROVIDER] = c->rate_limit_webhooks,
                                    }};
    TRY(vault_new(c->master_key, &f->vault));
    TRY(store_new(a->loop, &store, &f->store));
    if (c->redis_url != NULL)
        TRY(redis_new(a->loop, c->redis_url, &f->redis));
    TRY(outbound_new(a->loop, &outbound, &f->outbound));
    TRY(outbound_new(a->loop, &outbound, &a->providers));
    TRY(gw_client_new(a->loop, a->providers, &share, &f->gateways));
    gw_client_health_rules(f->gateways, &c->health);
    a->share = files_share(files_raise());
    TRY(hub_new(f, a->share.sockets, &a->hub));
    TRY(passwords_new(a->loop, &f->passwords));
    TRY(open_firebase(a));
    TRY(security_new(f));
    TRY(deliver_gate_new(f));
    TRY(throttle_new(f, &limits));
    TRY(maintenance_new(f, c->maintenance));
    f->published = published;
    f->published_ctx = a->hub;
    return ERR_OK;
}

static struct err open_http(struct app *a)
{
    const struct conf *c = a->conf;
    a->api = (struct api){
        .flow = &a->flow,
        .hub = a->hub,
        .metrics_cidrs = c->metrics_cidrs,
        .admin_cidrs = c->admin_cidrs,
        .cors_origins = c->cors_origins,
        .started_wall_us = loop_wall_us(a->loop),
        .version = reli_version,
    };
    struct http_server_options o = {
        .routes = api_routes(),
        .app = &a->api,
        .guard = {.tls = c->tls_cert != NULL ? &a->certificate.site : NULL,
                  .proxies = &c->trusted_proxies},
        .https_base = c->https_base,
        .max_connections = a->share.requests,
        .plain_tags = API_PLAIN,
        .closed_tags = API_NO_PAGE,
        .trusted_proxies = c->trusted_proxies_text,
        .cors_origins = c->cors_origins,
        .access_log = true,
        .before = api_before,
    };
    if (c->tls_cert != NULL)
        TRY(certificate_open(&a->certificate, a->loop, c->tls_cert, c->tls_key));
    TRY(http_server_new(a->loop, &o, &a->http));
    TRY(http_server_listen(a->http, str_c(c->listen)));
    if (c->metrics_listen == NULL)
        return ERR_OK;
    o.routes = api_metrics_routes;
    o.access_log = false;
    o.https_base = STR("");
    TRY(http_server_new(a->loop, &o, &a->metrics));
    return http_server_listen(a->metrics, str_c(c->metrics_listen));
}

static void keys_loaded(void *ctx, struct err err)
{
    struct app *a = ctx;
    a->keys = NULL;
    if (!err_is(err) && a->phase == APP_UP) {
        struct jobs_options o = {.version = reli_version};
        err = jobs_new(&a->flow, &o, &a->jobs);
        if (!err_is(err))
            err = keeper_new(&a->flow, &a->keeper);
        log_info("app.ready", F_ID("replica", a->flow.replica), F_C("version", reli_version));
    }
    if (!err_is(err))
        return;
    log_error("app.refused", F_ERR(err));
    a->exit_code = err.code == ERR_CONFIG ? 2 : 1;
    loop_stop(a->loop);
}

/* Hosts send SIGHUP to whatever runs: unhandled it would end the service without draining. */
static void nothing_to_reload(void *ctx)
{
    (void)ctx;
    log_info("app.nothing_to_reload", F_C("note", "only certificates are read again"));
}

static bool believes_anybody(const struct conf *c)
{
    return c->firebase.first != FIREBASE_OFF && c->firebase.emulator;
}

static struct err open_all(struct app *a)
{
    const struct conf *c = a->conf;
    TRY(loop_new(&a->loop));
    if (c->test_clock != NULL)
        TRY(loop_test_clock(a->loop, c->test_clock));
    TRY(loop_on_stop_signal(a->loop, stop_asked, a));
    TRY(loop_on_reload_signal(a->loop, nothing_to_reload, a)); /* certificate_open takes it over */
    set_flow(a);
    TRY(open_parts(a));
    TRY(open_http(a));
    struct keys_options o = {.refuse_live = c->test_clock != NULL || believes_anybody(c)};
    return keys_load_start(&a->flow, &o, keys_loaded, a, &a->keys);
}

int app_serve(const struct conf *c)
{
    struct app a = {.conf = c};
    struct err err = crypto_open();
    if (!err_is(err))
        err = open_all(&a);
    if (err_is(err)) {
        log_error("app.failed", F_ERR(err));
        a.exit_code = err.code == ERR_CONFIG ? 2 : 1;
    } else {
        log_info("app.listening", F_C("listen", c->listen));
        loop_run(a.loop);
    }
    app_free(&a);
    log_info("app.stopped", F_I64("exit", a.exit_code));
    crypto_close();
    return a.exit_code;
}

/* ---- the sandbox ---- */

struct sandbox_app {
    struct loop *loop;
    struct sandbox *sandbox;
    bool stopping;
};

static void sandbox_drained(void *ctx)
{
    loop_stop(((struct sandbox_app *)ctx)->loop);
}

static void sandbox_stop(void *ctx)
{
    struct sandbox_app *a = ctx;
    if (!a->stopping)
        sandbox_drain(a->sandbox, US_PER_S, sandbox_drained, a);
    a->stopping = true;
}

static struct err sandbox_open(struct sandbox_app *a)
{
    struct sandbox_options o = sandbox_options_env();
    TRY(crypto_open());
    TRY(loop_new(&a->loop));
    TRY(loop_on_stop_signal(a->loop, sandbox_stop, a));
    return sandbox_new(a->loop, &o, &a->sandbox);
}

int app_sandbox(void)
{
    struct sandbox_app a = {0};
    struct err err = sandbox_open(&a);
    if (err_is(err)) {
        log_error("sandbox.failed", F_ERR(err));
    } else {
        log_info("sandbox.listening", F_I64("port", sandbox_port(a.sandbox)));
        loop_run(a.loop);
    }
    sandbox_free(a.sandbox);
    if (a.loop != NULL) {
        loop_run(a.loop);
        loop_free(a.loop);
    }
    crypto_close();
    return err_is(err) ? (err.code == ERR_CONFIG ? 2 : 1) : 0;
}
