/* From environment variables to checked values. See conf.h. */
#include "core/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/times.h"
#include "core/crypto/firebase.h"
#include "core/crypto/tls.h"
#include "core/flow/vault.h"
#include "core/loop/stream.h"
#include "gateways/outbound.h"
#include "http/origin.h"
#include "store/redis_url.h"
#include "store/store.h"

enum { CONF_ARENA = 256 * 1024 };

#define FIREBASE_KEYS_URL \
    "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"

PRINTF_LIKE(2, 3) static void fault(struct conf *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("reli: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    c->n_faults++;
}

/* An empty variable counts as unset. */
static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v != NULL && v[0] != '\0' ? v : NULL;
}

static const char *env_or(const char *name, const char *otherwise)
{
    const char *v = env(name);
    return v != NULL ? v : otherwise;
}

static int64_t read_duration(struct conf *c, const char *name, const char *otherwise)
{
    int64_t us = 0;
    if (!duration_parse(str_c(env_or(name, otherwise)), &us) || us <= 0)
        fault(c, "%s is not a duration such as 30s, 15m or 24h", name);
    return us;
}

static bool read_bool(struct conf *c, const char *name)
{
    struct str v = str_c(env_or(name, "off"));
    if (str_ieq(v, STR("1")) || str_ieq(v, STR("on")) || str_ieq(v, STR("true")) ||
        str_ieq(v, STR("yes")))
        return true;
    if (!str_ieq(v, STR("0")) && !str_ieq(v, STR("off")) && !str_ieq(v, STR("false")) &&
        !str_ieq(v, STR("no")))
        fault(c, "%s is neither on nor off", name);
    return false;
}

static int read_int(struct conf *c, const char *name, int otherwise, int min, int max)
{
    const char *v = env(name);
    int64_t n = otherwise;
    if (v != NULL && (!str_to_i64(str_c(v), &n) || n < min || n > max)) {
        fault(c, "%s is not a number from %d to %d", name, min, max);
        n = otherwise;
    }
    return (int)n;
}

static void read_cidrs(struct conf *c, const char *name, const char *otherwise,
                       struct cidr_list *out)
{
    if (err_is(cidr_list_parse(str_c(env_or(name, otherwise)), out)))
        fault(c, "%s is not a list of networks such as 10.0.0.0/8,192.0.2.1", name);
}

static void read_log_level(struct conf *c)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "off"};
    const char *v = env_or("RELI_LOG_LEVEL", "info");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(v, names[i]) == 0) {
            c->log_level = (enum log_level)i;
            return;
        }
    }
    fault(c, "RELI_LOG_LEVEL is none of debug, info, warn, error, off");
}

/* Looks at the flags of the addresses; gives the first address, one with TLS if there is any. */
static struct str read_addresses(struct conf *c, const char *name, const char *list, bool *has_tls)
{
    struct str rest = str_c(list), one, bare, first = STR_NULL;
    struct listener_flags flags;
    *has_tls = false;
    while (str_split(&rest, ',', &one)) {
        struct err err = listener_flags_parse(str_trim(one), &bare, &flags);
        if (err_is(err))
            fault(c, "%s: %.*s: flags are ;tls and ;proxy", name, STR_ARG(str_trim(one)));
        else if (err_is(listener_address_check(bare)))
            fault(c, "%s: %.*s is no address such as 127.0.0.1:8080, [::1]:8080 or unix:/path",
                  name, STR_ARG(bare));
        if (flags.proxy && c->trusted_proxies.n == 0 && !c->trusted_proxies.has_unix)
            fault(c, "%s has ;proxy, but RELI_TRUSTED_PROXIES names nobody", name);
        if (flags.tls && c->tls_cert == NULL)
            fault(c, "%s has ;tls, but RELI_TLS_CERT and RELI_TLS_KEY are not set", name);
        if (first.p == NULL || (flags.tls && !*has_tls))
            first = bare;
        *has_tls |= flags.tls;
    }
    return first;
}

/* Whether an address is one of RELI_LISTEN as well, whatever flags it has there. */
static bool listens_anyway(const struct conf *c, struct str one)
{
    struct str rest = str_c(c->listen), other, mine, theirs;
    struct listener_flags flags;
    bool found = false;
    if (err_is(listener_flags_parse(str_trim(one), &mine, &flags)))
        return false;
    while (str_split(&rest, ',', &other) && !found)
        found = !err_is(listener_flags_parse(str_trim(other), &theirs, &flags)) &&
                str_eq(mine, theirs);
    return found;
}

/* Of two listeners with one address each would get some of the requests. The API's has /metrics
 * anyway, so that what it listens on is left out here. */
static void leave_shared(struct conf *c)
{
    struct str rest = str_c(c->metrics_listen), own = STR(""), one;
    while (str_split(&rest, ',', &one))
        if (!listens_anyway(c, one))
            own = arena_fmt(&c->arena, "%.*s%s%.*s", STR_ARG(own), own.n > 0 ? "," : "",
                            STR_ARG(one));
    c->metrics_listen = own.n > 0 ? own.p : NULL;
}

static void read_certificate(struct conf *c)
{
    struct tls_site *site = NULL;
    char why[TLS_WHY];
    c->tls_cert = env("RELI_TLS_CERT");
    c->tls_key = env("RELI_TLS_KEY");
    if ((c->tls_cert != NULL) != (c->tls_key != NULL))
        fault(c, "of RELI_TLS_CERT and RELI_TLS_KEY only one is set");
    else if (c->tls_cert != NULL && err_is(tls_site_load(c->tls_cert, c->tls_key, &site, why)))
        fault(c, "RELI_TLS_CERT, RELI_TLS_KEY: %s", why);
    tls_site_free(site);
}

/* "127.0.0.1:8080,unix:/run/reli.sock" → "http://127.0.0.1:8080". */
static void read_listeners(struct conf *c)
{
    const char *v = env("RELI_PUBLIC_URL");
    bool tls, metrics_tls = false;
    c->listen = env_or("RELI_LISTEN", "127.0.0.1:8080");
    c->metrics_listen = env("RELI_METRICS_LISTEN");
    struct str first = read_addresses(c, "RELI_LISTEN", c->listen, &tls);
    if (c->metrics_listen != NULL) {
        read_addresses(c, "RELI_METRICS_LISTEN", c->metrics_listen, &metrics_tls);
        leave_shared(c);
    }
    if (c->tls_cert != NULL && !tls && !metrics_tls)
        fault(c, "RELI_TLS_CERT is set, but no address of RELI_LISTEN is marked with ;tls");
    c->public_url = v != NULL
                        ? str_c(v)
                        : arena_fmt(&c->arena, "%s://%.*s", tls ? "https" : "http", STR_ARG(first));
    if (v == NULL && str_starts(first, STR("unix:")))
        fault(c, "RELI_PUBLIC_URL is needed when the service listens on a Unix socket");
    if (v != NULL && tls && str_starts(c->public_url, STR("http://")))
        fault(c, "RELI_PUBLIC_URL begins with http://, but RELI_LISTEN has ;tls");
    if (v != NULL && !str_starts(c->public_url, STR("http://")) &&
        !str_starts(c->public_url, STR("https://")))
        fault(c, "RELI_PUBLIC_URL does not begin with http:// or https://");
    else if (v != NULL && (!outbound_url_ok(c->public_url, true) ||
                           str_find(c->public_url, '?', 0) != SIZE_MAX))
        fault(c, "RELI_PUBLIC_URL is no base for links, such as https://pay.example");
    if (str_ends(c->public_url, STR("/")))
        c->public_url.n--;
    c->https_base = tls ? c->public_url : STR("");
}

static void read_master_key(struct conf *c)
{
    const char *v = env("RELI_MASTER_KEY");
    struct vault *vault = NULL;
    if (v == NULL) {
        fault(c, "RELI_MASTER_KEY is not set: 1:<base64 of 32 random bytes>, for example "
                 "1:$(openssl rand -base64 32)");
        return;
    }
    c->master_key = str_c(v);
    struct err err = vault_new(c->master_key, &vault);
    if (err_is(err))
        fault(c, "%s", err.what);
    vault_free(vault);
}

static struct gcra_rule read_rate(struct conf *c, const char *name, const char *otherwise)
{
    struct gcra_rule r;
    if (!gcra_parse(str_c(env_or(name, otherwise)), &r))
        fault(c, "%s is neither 0 nor a limit such as 100/s or 600/m burst 50", name);
    return r;
}

static void read_rates(struct conf *c)
{
    c->rate_limit = read_rate(c, "RELI_RATE_LIMIT", "100/s burst 200");
    c->rate_limit_webhooks = read_rate(c, "RELI_RATE_LIMIT_WEBHOOKS", "1000/s burst 5000");
    c->rate_limit_login = read_rate(c, "RELI_RATE_LIMIT_LOGIN", "10/m burst 20");
}

#define RETRIES "1m,5m,15m,1h,6h"

/* Deliveries can be given three more days; a callback that is not understood by then never is. */
static void read_webhook_schedule(struct conf *c)
{
    const char *given = env_or("RELI_WEBHOOK_SCHEDULE", RETRIES);
    bool extended = strcmp(given, "extended") == 0;
    if (!schedule_parse(str_c(extended ? RETRIES ",12h,24h,24h" : given), &c->webhook_schedule) ||
        !schedule_parse(str_c(extended ? RETRIES : given), &c->callback_schedule))
        fault(c,
              "RELI_WEBHOOK_SCHEDULE is neither a list of durations such as 1m,5m,1h nor extended");
}

static void read_health(struct conf *c)
{
    c->health = health_rules_default();
    c->health.min_calls = read_int(c, "RELI_BREAKER_CALLS", c->health.min_calls, 0, 1000000);
    if (env("RELI_BREAKER_WAIT") != NULL) {
        c->health.open_us = read_duration(c, "RELI_BREAKER_WAIT", "");
        c->health.keys_open_us = 10 * c->health.open_us;
    }
    if (c->health.open_us > US_PER_DAY)
        fault(c, "RELI_BREAKER_WAIT is more than a day");
}

static void read_jwt_secret(struct conf *c, const char *name)
{
    struct session_rules *r = &c->sessions;
    struct str key = str_c(env_or(name, ""));
    if (key.n == 0)
        return;
    if (key.n < JWT_KEY_MIN)
        fault(c, "%s has less than %d bytes", name, JWT_KEY_MIN);
    r->secrets[r->n_secrets++].key = key;
}

static void read_sessions(struct conf *c)
{
    struct session_rules *r = &c->sessions;
    read_jwt_secret(c, "JWT_SECRET_KEY");
    if (r->n_secrets == 0 && env("JWT_SECRET_KEY_PREVIOUS") != NULL)
        fault(c, "JWT_SECRET_KEY_PREVIOUS is set, but JWT_SECRET_KEY is not");
    else
        read_jwt_secret(c, "JWT_SECRET_KEY_PREVIOUS");
    r->access_us = read_duration(c, "RELI_ACCESS_TTL", "15m");
    r->refresh_us = read_duration(c, "RELI_REFRESH_TTL", "30d");
    r->idle_us = read_duration(c, "RELI_SESSION_IDLE", "15m");
    r->max_us = read_duration(c, "RELI_SESSION_MAX", "12h");
    if (r->access_us > US_PER_DAY)
        fault(c, "RELI_ACCESS_TTL is more than a day");
}

/* Of somebody who is believed when he says who a person is: no plain text where money is real. */
static void read_firebase_keys_url(struct conf *c)
{
    c->firebase.keys_url = env_or("FIREBASE_CERTS_URL", FIREBASE_KEYS_URL);
    bool secret = str_starts(str_c(c->firebase.keys_url), STR("https://"));
    if (!secret && c->provider_live)
        fault(c, "FIREBASE_CERTS_URL does not begin with https://, and RELI_PROVIDER_MODE is live");
    if (!secret && !str_starts(str_c(c->firebase.keys_url), STR("http://")))
        fault(c, "FIREBASE_CERTS_URL is no URL");
}

static void read_firebase(struct conf *c)
{
    static const char *const words[] = {
        [FIREBASE_OFF] = "off", [FIREBASE_LINK] = "link", [FIREBASE_CREATE] = "create"};
    struct firebase_settings *f = &c->firebase;
    struct str word = str_c(env_or("RELI_FIREBASE_LOGIN", "link"));
    size_t i = 0;
    while (i < COUNT_OF(words) && !str_eq(word, str_c(words[i])))
        i++;
    if (i == COUNT_OF(words))
        fault(c, "RELI_FIREBASE_LOGIN is none of link, create, off");
    f->project = str_c(env_or("FIREBASE_PROJECT_ID", ""));
    f->emulator = env("FIREBASE_AUTH_EMULATOR_HOST") != NULL;
    f->skew_s = read_duration(c, "FIREBASE_CLOCK_SKEW", "60s") / US_PER_S;
    if (f->skew_s > FIREBASE_SKEW_MAX_S)
        fault(c, "FIREBASE_CLOCK_SKEW is more than %ds", FIREBASE_SKEW_MAX_S);
    read_firebase_keys_url(c);
    if (f->project.n > 0 && !firebase_project_ok(f->project))
        fault(c, "FIREBASE_PROJECT_ID is no project's id");
    if (f->project.n == 0 || i == COUNT_OF(words))
        return;
    f->first = (enum firebase_first)i;
    if (f->emulator && c->provider_live)
        fault(c, "FIREBASE_AUTH_EMULATOR_HOST is set, and RELI_PROVIDER_MODE is live: the "
                 "emulator's tokens are signed by nobody");
}

static void read_origins(struct conf *c)
{
    struct str rest, one;
    c->cors_origins = rest = str_c(env_or("RELI_CORS_ORIGINS", ""));
    while (rest.n > 0 && str_split(&rest, ',', &one))
        if (!origin_ok(str_trim(one)))
            fault(c,
                  "RELI_CORS_ORIGINS: %.*s is no origin as browsers write it: "
                  "https://shop.example, lower case, without path, wildcard or the usual port",
                  STR_ARG(str_trim(one)));
}

static void read_providers(struct conf *c);

static void read_redis(struct conf *c)
{
    struct redis_target target = {0};
    c->redis_url = env("REDIS_URL");
    struct err err = c->redis_url != NULL ? redis_target_parse(c->redis_url, &target) : ERR_OK;
    if (err_is(err))
        fault(c, "REDIS_URL: %s", err.what);
    redis_target_free(&target);
}

static void read_service(struct conf *c)
{
    read_redis(c);
    c->pg_writers = read_int(c, "RELI_PG_WRITERS", 2, 1, 16);
    c->pg_readers = read_int(c, "RELI_PG_READERS", 4, 1, 32);
    const char *batch = env_or("RELI_BATCH", "all");
    c->batch_by_merchant = strcmp(batch, "merchant") == 0;
    if (!c->batch_by_merchant && strcmp(batch, "all") != 0)
        fault(c, "RELI_BATCH is neither all nor merchant");
    c->trusted_proxies_text = str_c(env_or("RELI_TRUSTED_PROXIES", ""));
    read_cidrs(c, "RELI_TRUSTED_PROXIES", "", &c->trusted_proxies);
    read_certificate(c);
    read_listeners(c);
    read_cidrs(c, "RELI_METRICS_CIDRS", "127.0.0.0/8,::1,unix", &c->metrics_cidrs);
    read_cidrs(c, "RELI_ADMIN_CIDRS", "", &c->admin_cidrs);
    read_origins(c);
    read_webhook_schedule(c);
    c->has_poll_schedule = env("RELI_POLL_SCHEDULE") != NULL;
    if (c->has_poll_schedule &&
        !schedule_parse(str_c(env("RELI_POLL_SCHEDULE")), &c->poll_schedule))
        fault(c, "RELI_POLL_SCHEDULE is not a list of durations such as 15s,30s,1m");
    c->webhook_allow_private = read_bool(c, "RELI_WEBHOOK_ALLOW_PRIVATE");
    c->payment_expiry_us =
        env("RELI_PAYMENT_EXPIRY") != NULL ? read_duration(c, "RELI_PAYMENT_EXPIRY", "") : 0;
    c->provider_timeout_us = read_duration(c, "RELI_PROVIDER_TIMEOUT", "30s");
    read_health(c);
    read_rates(c);
    c->idempotency_retention_us = read_duration(c, "RELI_IDEMPOTENCY_RETENTION", "24h");
    if (c->idempotency_retention_us > 0 && c->idempotency_retention_us < US_PER_DAY)
        fault(c, "RELI_IDEMPOTENCY_RETENTION is less than 24h");
    c->drain_timeout_us = read_duration(c, "RELI_DRAIN_TIMEOUT", "25s");
    c->test_clock = env("RELI_TEST_CLOCK");
    if (c->test_clock != NULL && access(c->test_clock, R_OK) != 0)
        fault(c, "RELI_TEST_CLOCK names a file that cannot be read");
    c->maintenance = read_bool(c, "RELI_MAINTENANCE");
    const char *mode = env_or("RELI_PROVIDER_MODE", "test");
    c->provider_live = strcmp(mode, "live") == 0;
    if (!c->provider_live && strcmp(mode, "test") != 0)
        fault(c, "RELI_PROVIDER_MODE is neither test nor live");
    read_sessions(c);
    read_firebase(c);
    read_providers(c);
}

/* ---- providers: <PREFIX>_<SETTING>, for every gateway that exists ---- */

static const char *setting_env(struct conf *c, const struct gateway *g, const char *setting)
{
    struct str name = arena_fmt(&c->arena, "%s%s", g->env_prefix, setting);
    for (size_t i = 0; i < name.n; i++)
        ((char *)(uintptr_t)name.p)[i] = ascii_upper(name.p[i]);
    return name.p;
}

/* By the same rules as a merchant's own account. */
static void check_account(struct conf *c, const struct gateway *g, const struct gw_account *a)
{
    const char *wrong = NULL;
    struct err err = g->account_check != NULL ? g->account_check(a, &c->arena, &wrong) : ERR_OK;
    if (err_is(err))
        fault(c, "%s: %s", setting_env(c, g, wrong), err.what);
}

static void read_account(struct conf *c, const struct gateway *g)
{
    struct gw_account *a = &c->accounts[c->n_accounts];
    size_t n_set = 0, n_missing = 0;
    *a = (struct gw_account){.gateway = g, .timeout_us = c->provider_timeout_us};
    snprintf(a->id, sizeof a->id, "%s:%s", g->name, c->provider_live ? "live" : "test");
    if (g->env_prefix == NULL) {
        c->n_accounts++;
        return;
    }
    for (size_t i = 0; i < g->n_settings; i++) {
        const char *v = env(setting_env(c, g, g->settings[i].name));
        if (v == NULL) {
            n_missing += g->settings[i].required;
            continue;
        }
        n_set++;
        if (err_is(secret_set(&a->settings[i], str_c(v))))
            fault(c, "out of memory");
    }
    if (n_set > 0 && n_missing > 0) {
        for (size_t i = 0; i < g->n_settings; i++)
            if (g->settings[i].required && a->settings[i].p == NULL)
                fault(c, "%s is not set, but other settings of this provider are",
                      setting_env(c, g, g->settings[i].name));
    }
    if (n_set > 0 && n_missing == 0)
        check_account(c, g, a);
    const char *base = env_or(setting_env(c, g, "base_url"), g->default_base_url);
    a->base_url = base != NULL ? str_c(base) : STR("");
    if (str_ends(a->base_url, STR("/")))
        a->base_url.n--;
    if (n_set > 0 && a->base_url.n > 0 && !str_starts(a->base_url, STR("http://")) &&
        !str_starts(a->base_url, STR("https://")))
        fault(c, "%s does not begin with http:// or https://", setting_env(c, g, "base_url"));
    read_cidrs(c, setting_env(c, g, "callback_cidrs"), "", &a->callback_cidrs);
    a->rate_per_s = read_int(c, setting_env(c, g, "rate_per_s"), 0, 0, 100000);
    /* an incomplete account is kept until conf_free wipes it, but not used */
    if (n_set > 0)
        c->n_accounts++;
}

static bool read_number(struct str text, uint16_t currency, int64_t *out)
{
    struct money m;
    if (currency == 0)
        return str_to_i64(text, out);
    if (err_is(money_parse(text, currency, &m)))
        return false;
    *out = m.minor;
    return true;
}

static const char *number_text(int64_t n, uint16_t currency, char out[MONEY_TEXT])
{
    if (currency != 0)
        return money_text((struct money){n, currency}, out);
    snprintf(out, MONEY_TEXT, "%lld", (long long)n);
    return out;
}

static void read_fact(struct conf *c, const struct gateway *g, const struct gw_fact *fact)
{
    const char *name = setting_env(c, g, fact->name), *v = env(name);
    char least[MONEY_TEXT], most[MONEY_TEXT], step[MONEY_TEXT];
    int64_t n = 0;
    if (v == NULL)
        return;
    if (read_number(str_c(v), fact->currency, &n) && n >= fact->least && n <= fact->most &&
        (n - fact->least) % fact->step == 0)
        *fact->value = n;
    else
        fault(c, "%s is not a number from %s to %s by %s", name,
              number_text(fact->least, fact->currency, least),
              number_text(fact->most, fact->currency, most),
              number_text(fact->step, fact->currency, step));
}

/* Of all providers, with or without an account of the installation's. */
static void read_facts(struct conf *c, const struct gateway *g)
{
    for (size_t i = 0; i < g->n_facts; i++)
        read_fact(c, g, &g->facts[i]);
    if (g->payout_max_minor > 0 && g->payout_min_minor > g->payout_max_minor)
        fault(c, "%s is more than %s", setting_env(c, g, "min_payout"),
              setting_env(c, g, "max_payout"));
}

static void read_providers(struct conf *c)
{
    for (size_t i = 0; gateways[i] != NULL; i++)
        read_facts(c, gateways[i]);
    for (size_t i = 0; gateways[i] != NULL && c->n_accounts < CONF_MAX_ACCOUNTS; i++)
        read_account(c, gateways[i]);
}

static void check_databases(struct conf *c)
{
    char user[64];
    if (c->database_url == NULL)
        fault(c, "DATABASE_URL is not set: a libpq connection string");
    else if (err_is(store_conninfo_user(c->database_url, user, sizeof user)))
        fault(c, "DATABASE_URL is not a libpq connection string");
    else if (err_is(store_conninfo_user(c->migrate_url, user, sizeof user)))
        fault(c, "DATABASE_MIGRATE_URL is not a libpq connection string");
}

struct err conf_read(struct conf *c, unsigned need)
{
    *c = (struct conf){0};
    arena_init(&c->arena, CONF_ARENA);
    read_log_level(c);
    c->database_url = env("DATABASE_URL");
    c->migrate_url = env_or("DATABASE_MIGRATE_URL", c->database_url);
    if ((need & (CONF_DATABASE | CONF_SERVE)) != 0)
        check_databases(c);
    if ((need & (CONF_KEYS | CONF_SERVE)) != 0)
        read_master_key(c);
    if ((need & CONF_SERVE) != 0)
        read_service(c);
    return c->n_faults > 0 ? ERR(CONFIG, "configuration") : ERR_OK;
}

void conf_free(struct conf *c)
{
    for (int i = 0; i < CONF_MAX_ACCOUNTS; i++)
        for (int k = 0; k < GW_MAX_SETTINGS; k++)
            secret_free(&c->accounts[i].settings[k]);
    arena_free(&c->arena);
}
