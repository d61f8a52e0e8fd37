/* Commands for whoever hosts reli. They talk to PostgreSQL synchronously: nothing else waits for
 * them. */
#include "core/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/crash.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/crypto/tls.h"
#include "core/files.h"
#include "core/flow/webhook_sign.h"
#include "core/tool.h"
#include "core/version.h"
#include "store/redis_ping.h"

/* ---- migrate ---- */

int command_migrate(int argc, char **argv)
{
    struct tool t;
    int applied = 0;
    (void)argv;
    if (argc != 0)
        return tool_usage("migrate");
    struct err err = tool_open(&t, CONF_DATABASE);
    char role[64] = "";
    if (!err_is(err))
        err = store_conninfo_user(t.conf.database_url, role, sizeof role);
    bool same = strcmp(t.conf.migrate_url != NULL ? t.conf.migrate_url : "",
                       t.conf.database_url != NULL ? t.conf.database_url : "") == 0;
    if (!err_is(err))
        err = store_migrate(t.conf.migrate_url, same ? "" : role, &applied);
    if (!err_is(err))
        printf("migrations_applied=%d\n", applied);
    return tool_close(&t, err);
}

/* ---- merchant create ---- */

static struct err create_merchant(struct tool *t, const char *name, const char *country,
                                  int64_t above)
{
    struct uuid id = random_uuid(t->now_us);
    struct str secret = webhook_secret_make(&t->arena);
    struct buf sealed;
    char text[UUID_TEXT];
    buf_init(&sealed, 4096);
    struct err err = vault_seal(t->vault, "merchant.webhook_secret", id, id, secret, &sealed);
    struct value params[] = {V_UUID(id),
                             V_TEXT(str_c(name)),
                             V_TEXT(str_c(country)),
                             V_BYTES(buf_view(&sealed)),
                             V_TIME(t->now_us),
                             V_I64(above),
                             V_TEXT(STR("active")),
                             V_UUID(random_uuid(t->now_us)),
                             V_TEXT(STR("cli"))};
    if (!err_is(err))
        err = tool_run(t, Q_merchant_insert, params, COUNT_OF(params), tool_ignore);
    if (!err_is(err))
        printf("merchant_id=%s\nwebhook_secret=%.*s\n", uuid_text(id, text), STR_ARG(secret));
    buf_free(&sealed);
    return err;
}

int command_merchant(int argc, char **argv)
{
    struct tool t;
    const char *name = tool_option(argc, argv, "--name"),
               *country = tool_option(argc, argv, "--country");
    static const char text[] =
        "merchant create --name NAME [--country KE] [--refund-approval-above MINOR]";
    const char *limit = tool_option(argc, argv, "--refund-approval-above");
    int64_t above = 0;
    if (argc < 1 || strcmp(argv[0], "create") != 0 ||
        !tool_only(argc - 1, argv + 1, "--name --country --refund-approval-above") ||
        name == NULL || name[0] == '\0' || strlen(name) > 128 ||
        (limit != NULL && (!str_to_i64(str_c(limit), &above) || above < 1)))
        return tool_usage(text);
    if (country == NULL)
        country = "KE";
    if (strlen(country) != 2 || country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' ||
        country[1] > 'Z')
        return tool_usage(text);
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = create_merchant(&t, name, country, above);
    return tool_close(&t, err);
}

/* ---- doctor ---- */

enum { FILES_WANTED = 4096 };

static void say(bool ok, const char *what, const char *mend)
{
    printf("%s  %s%s%s\n", ok ? "ok   " : "FAULT", what, ok ? "" : ": ", ok ? "" : mend);
}

/* What conf_read has let pass, and what will go wrong one day. */
static int examine_certificate(const struct conf *c, int64_t now_us)
{
    struct tls_site *site;
    char why[TLS_WHY], host[256];
    struct str rest = str_from(c->https_base, sizeof "https://" - 1);
    if (c->tls_cert == NULL || err_is(tls_site_load(c->tls_cert, c->tls_key, &site, why)))
        return 0;
    bool in_time = tls_site_expires_us(site) - now_us > 14 * US_PER_DAY;
    say(in_time, "the certificate is good for two weeks and more", "renew it, then send SIGHUP");
    size_t end = 0;
    bool six = str_starts(rest, STR("["));
    while (end < rest.n && (six ? rest.p[end] != ']' : rest.p[end] != ':') && rest.p[end] != '/')
        end++;
    str_copy_c(host, sizeof host, six ? str_n(rest.p + 1, end - 1) : str_first(rest, end));
    bool named = c->https_base.n == 0 || tls_site_covers(site, host);
    say(named, "the certificate is for the host of RELI_PUBLIC_URL",
        "clients will refuse it: get one for that name");
    tls_site_free(site);
    struct stat st;
    bool closed = stat(c->tls_key, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) == 0;
    say(closed, "the certificate's key is not for everybody to read", "chmod o= the file");
    return !in_time + !named + !closed;
}

/* Files that a provider's settings name; they are read when they are needed first. */
static int examine_files(const struct conf *c)
{
    int faults = 0;
    for (int i = 0; i < c->n_accounts; i++) {
        const struct gateway *g = c->accounts[i].gateway;
        for (size_t k = 0; k < g->n_settings; k++) {
            struct str named = gw_setting(&c->accounts[i], g->settings[k].name);
            char what[128], path[4096];
            if (!g->settings[k].file || !str_starts(named, STR("/")))
                continue;
            str_copy_c(path, sizeof path, named);
            snprintf(what, sizeof what, "the file of the setting %s of %s can be read",
                     g->settings[k].name, g->name);
            bool there = access(path, R_OK) == 0;
            say(there, what, "refunds and payouts need it: put it there, readable for this user");
            faults += !there;
        }
    }
    return faults;
}

/* Who trusts everybody lets every client say who he is: lists of addresses and limits for each
 * client are nothing then. */
static int examine_proxies(const struct conf *c)
{
    struct cidr every4, every6;
    bool few = true;
    if (!cidr_parse(STR("0.0.0.0/0"), &every4) || !cidr_parse(STR("::/0"), &every6))
        return 0;
    for (size_t i = 0; i < c->trusted_proxies.n; i++)
        few &= !cidr_within(&every4, &c->trusted_proxies.item[i]) &&
               !cidr_within(&every6, &c->trusted_proxies.item[i]);
    say(few, "not everybody is a trusted proxy",
        "RELI_TRUSTED_PROXIES lets every client choose his address; name your proxies only");
    return !few;
}

/* It may be absent; one that was meant to be there and is not is a fault. */
static int examine_redis(const char *url)
{
    say(url != NULL, "Redis is configured", "set REDIS_URL, or live with slower events and tokens");
    if (url == NULL)
        return 0;
    struct err err = redis_ping_once(url);
    say(!err_is(err), "Redis answers",
        err.code == ERR_UNAUTHENTICATED
            ? "it refuses us: mend user and password in REDIS_URL"
            : "start it, or mend REDIS_URL; events are slower meanwhile");
    return err_is(err);
}

static int examine_database(struct tool *t)
{
    struct store_look look = {0};
    bool answers = !err_is(store_look_once(t->conf.database_url, &look));
    say(answers, "PostgreSQL answers",
        "start it, or mend DATABASE_URL; why it does not is in the line database.unreachable");
    if (!answers)
        return 1;
    bool together = look.skew_us <= STORE_SKEW_MAX_S * US_PER_S;
    say(together, "this machine's clock agrees with PostgreSQL's",
        "they are more than two seconds apart: let both follow NTP");
    say(!look.read_only, "the database takes writes",
        "take back default_transaction_read_only, or whatever made it read-only, such as a full "
        "disk");
    struct err err = tool_run(t, Q_live_keys, NULL, 0, tool_see);
    bool schema = !err_is(err) && t->found;
    say(schema, "the database has the schema, and lets this role use it",
        "run reli migrate, as the database's owner (DATABASE_MIGRATE_URL)");
    if (!schema)
        return 1 + !together + look.read_only;
    err = tool_keys(t);
    say(!err_is(err), "the installation's keys open",
        "RELI_MASTER_KEY must contain the key they were wrapped with");
    return !together + look.read_only + err_is(err);
}

/* Where providers call back; with nothing set it is the listener's address. */
static int examine_public_url(const struct conf *c)
{
    static const char *const anywhere[] = {"://0.0.0.0", "://[::]"};
    static const char *const here[] = {"://127.", "://localhost", "://[::1]"};
    bool reached = true;
    for (size_t i = 0; i < COUNT_OF(anywhere); i++)
        reached &= str_find_str(c->public_url, str_c(anywhere[i])) == SIZE_MAX;
    for (size_t i = 0; c->provider_live && i < COUNT_OF(here); i++)
        reached &= str_find_str(c->public_url, str_c(here[i])) == SIZE_MAX;
    say(reached, "RELI_PUBLIC_URL can be an address for callbacks",
        "providers cannot reach it: set the URL that this service has for them");
    return !reached;
}

static int examine(struct tool *t)
{
    int faults = examine_certificate(&t->conf, t->now_us) + examine_proxies(&t->conf) +
                 examine_files(&t->conf) + examine_public_url(&t->conf);
    bool files = files_raise() >= FILES_WANTED;
    say(files, "enough files may be open", "ulimit -n (LimitNOFILE=) of 4096 and more");
    faults += !files;
    faults += examine_database(t) + examine_redis(t->conf.redis_url);
    say(t->conf.sessions.n_secrets > 0, "people can log in",
        "set JWT_SECRET_KEY, for example to $(openssl rand -hex 32); API keys work without");
    bool provider = false;
    for (int i = 0; i < t->conf.n_accounts; i++)
        provider |= !t->conf.accounts[i].gateway->manual;
    say(provider, "a provider is configured",
        "set a provider's variables; only manual methods work now");
    return faults;
}

int command_doctor(int argc, char **argv)
{
    struct tool t;
    int faults = 0;
    (void)argv;
    if (argc != 0)
        return tool_usage("doctor");
    struct err err = tool_open(&t, CONF_DATABASE | CONF_SERVE);
    if (!err_is(err))
        faults = examine(&t);
    int code = tool_close(&t, err);
    return code != 0 ? code : faults > 0;
}

/* ---- version ---- */

int command_version(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--crash-points") == 0) {
        for (size_t i = 0; i < crash_n_points(); i++)
            printf("%s\t%s\n", crash_point_name(i), crash_point_where(i));
        return 0;
    }
    if (argc != 0)
        return tool_usage("version [--crash-points]");
    printf("reli %s\n", reli_version);
    return 0;
}
