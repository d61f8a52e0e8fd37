/* Commands for whoever hosts reli. They talk to PostgreSQL synchronously: nothing else waits for
 * them. */
#include "core/commands.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <unistd.h>

#include "core/base/crash.h"
#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/conf.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/auth.h"
#include "core/flow/vault.h"
#include "core/flow/webhook_sign.h"
#include "core/version.h"
#include "store/store.h"

/* What a command works with: checked settings and, where asked for, the installation's keys. */
struct tool {
    struct conf conf;
    struct vault *vault;
    struct arena arena;
    int64_t now_us;
    struct err err; /* of a row callback */
    bool found;     /* a row callback saw a row */
};

static int64_t wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static int usage(const char *text)
{
    fprintf(stderr, "usage: reli %s\n", text);
    return 2;
}

static int failed(struct err err)
{
    fprintf(stderr, "reli: %s%s%s\n", err_title(err.code), err.what != NULL ? ": " : "",
            err.what != NULL ? err.what : "");
    return err.code == ERR_CONFIG ? 2 : 1;
}

/* The value of "--name VALUE", NULL if it is not there. */
static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 0; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

/* ---- keys ---- */

static void take_key(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    for (size_t i = 0; !err_is(t->err) && i < rows_n(r); i++)
        t->err =
            vault_add(t->vault, rows_str(r, i, 0), (int32_t)rows_i64(r, i, 1), rows_str(r, i, 2));
}

static void ignore_rows(void *ctx, struct err err, const struct rows *r)
{
    (void)r;
    ((struct tool *)ctx)->err = err;
}

static struct err run(struct tool *t, enum query q, const struct value *params, size_t n,
                      store_rows_fn *done)
{
    t->err = ERR_OK;
    TRY(store_run_once(t->conf.database_url, q, params, n, done, t));
    return t->err;
}

static struct err make_key(struct tool *t, const char *kind)
{
    struct buf wrapped;
    buf_init(&wrapped, 256);
    struct err err = vault_make_wrapped(t->vault, &wrapped);
    struct value params[] = {V_TEXT(str_c(kind)), V_I32(1), V_BYTES(buf_view(&wrapped)),
                             V_TIME(t->now_us)};
    if (!err_is(err))
        err = run(t, Q_installation_key_insert, params, COUNT_OF(params), ignore_rows);
    buf_free(&wrapped);
    return err;
}

static struct err open_keys(struct tool *t)
{
    TRY(vault_new(t->conf.master_key, &t->vault));
    TRY(run(t, Q_installation_key_list, NULL, 0, take_key));
    if (vault_ready(t->vault))
        return ERR_OK;
    TRY(make_key(t, "data"));
    TRY(make_key(t, "hmac"));
    return run(t, Q_installation_key_list, NULL, 0, take_key);
}

static struct err tool_open(struct tool *t, unsigned need)
{
    *t = (struct tool){.now_us = wall_now()};
    arena_init(&t->arena, 1024 * 1024);
    TRY(conf_read(&t->conf, need));
    log_open(STDERR_FILENO, t->conf.log_level);
    TRY(crypto_open());
    if ((need & CONF_KEYS) != 0)
        TRY(open_keys(t));
    return ERR_OK;
}

static int tool_close(struct tool *t, struct err err)
{
    vault_free(t->vault);
    conf_free(&t->conf);
    arena_free(&t->arena);
    crypto_close();
    if (t->conf.n_faults > 0)
        return 2;
    return err_is(err) ? failed(err) : 0;
}

/* ---- migrate ---- */

int command_migrate(int argc, char **argv)
{
    struct tool t;
    int applied = 0;
    (void)argv;
    if (argc != 0)
        return usage("migrate");
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

static struct err create_merchant(struct tool *t, const char *name, const char *country)
{
    struct uuid id = random_uuid(t->now_us);
    struct str secret = webhook_secret_make(&t->arena);
    struct buf sealed;
    char text[UUID_TEXT];
    buf_init(&sealed, 4096);
    struct err err = vault_seal(t->vault, "merchant.webhook_secret", id, id, secret, &sealed);
    struct value params[] = {V_UUID(id), V_TEXT(str_c(name)), V_TEXT(str_c(country)),
                             V_BYTES(buf_view(&sealed)), V_TIME(t->now_us)};
    if (!err_is(err))
        err = run(t, Q_merchant_insert, params, COUNT_OF(params), ignore_rows);
    if (!err_is(err))
        printf("merchant_id=%s\nwebhook_secret=%.*s\n", uuid_text(id, text), STR_ARG(secret));
    buf_free(&sealed);
    return err;
}

int command_merchant(int argc, char **argv)
{
    struct tool t;
    const char *name = option(argc, argv, "--name"), *country = option(argc, argv, "--country");
    if (argc < 1 || strcmp(argv[0], "create") != 0 || name == NULL || strlen(name) > 128)
        return usage("merchant create --name NAME [--country KE]");
    if (country == NULL)
        country = "KE";
    if (strlen(country) != 2 || country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' ||
        country[1] > 'Z')
        return usage("merchant create --name NAME [--country KE]  (two capital letters)");
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = create_merchant(&t, name, country);
    return tool_close(&t, err);
}

/* ---- keys create ---- */

static void see_row(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    t->found = !err_is(err) && rows_n(r) > 0;
}

static struct err create_key(struct tool *t, struct uuid merchant, bool live, const char *scopes)
{
    char key[AUTH_KEY_LEN + 1];
    uint8_t hash[32];
    auth_key_make(live, key);
    vault_hash(t->vault, "api_key", str_c(key), hash);
    struct value params[] = {
        V_UUID(merchant),
        V_UUID(random_uuid(t->now_us)),
        V_TEXT(live ? STR("live") : STR("test")),
        V_TEXT(str_n(key, AUTH_KEY_SHOWN)),
        V_TEXT(str_c(scopes)),
        V_BYTES(str_n((char *)hash, sizeof hash)),
        V_TIME(t->now_us),
    };
    TRY(run(t, Q_api_key_insert, params, COUNT_OF(params), see_row));
    if (!t->found)
        return ERR(
            NOT_FOUND,
            live ? "no such active merchant, or its papers are not approved: live keys need that"
                 : "no such active merchant");
    printf("api_key=%s\n", key);
    explicit_bzero(key, sizeof key);
    return ERR_OK;
}

int command_keys(int argc, char **argv)
{
    static const char text[] =
        "keys create --merchant ID --mode test|live [--scopes payments:read,…]";
    struct tool t;
    struct uuid merchant;
    unsigned scopes;
    const char *id = option(argc, argv, "--merchant"), *mode = option(argc, argv, "--mode"),
               *words = option(argc, argv, "--scopes");
    if (argc < 1 || strcmp(argv[0], "create") != 0 || id == NULL || mode == NULL ||
        (strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return usage(text);
    if (words == NULL)
        words = "*";
    if (!uuid_parse(str_c(id), &merchant) || !auth_scopes_parse(str_c(words), &scopes))
        return usage(text);
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = create_key(&t, merchant, strcmp(mode, "live") == 0, words);
    return tool_close(&t, err);
}

/* ---- doctor ---- */

static void say(bool ok, const char *what, const char *mend)
{
    printf("%s  %s%s%s\n", ok ? "ok   " : "FAULT", what, ok ? "" : ": ", ok ? "" : mend);
}

static int examine(struct tool *t)
{
    int faults = 0;
    struct err err = run(t, Q_live_keys, NULL, 0, see_row);
    bool database = !err_is(err) && t->found;
    say(database, "PostgreSQL answers and has the schema",
        "check DATABASE_URL, then run reli migrate");
    faults += !database;
    if (database) {
        err = open_keys(t);
        say(!err_is(err), "the installation's keys open",
            "RELI_MASTER_KEY must contain the key they were wrapped with");
        faults += err_is(err);
    }
    say(t->conf.redis_url != NULL, "Redis is configured",
        "set REDIS_URL, or live with slower events and tokens");
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
        return usage("doctor");
    struct err err = tool_open(&t, CONF_DATABASE | CONF_SERVE);
    if (!err_is(err))
        faults = examine(&t);
    int code = tool_close(&t, err);
    return code != 0 ? code : faults > 0;
}

/* ---- health: asks the service that this configuration describes ---- */

static int connect_to(struct str address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct str host = address;
    int64_t port = 0;
    if (str_starts(address, STR("unix:"))) {
        str_copy_c(un.sun_path, sizeof un.sun_path, str_from(address, 5));
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) == 0 ? fd : -1;
    }
    size_t colon = str_find(address, ':', 0);
    char text[64];
    host = str_first(address, colon);
    if (colon == SIZE_MAX || !str_to_i64(str_from(address, colon + 1), &port) || port < 1 ||
        port > 65535)
        return -1;
    str_copy_c(text, sizeof text, str_eq(host, STR("0.0.0.0")) ? STR("127.0.0.1") : host);
    in.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, text, &in.sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof in) == 0 ? fd : -1;
}

int command_health(int argc, char **argv)
{
    static const char request[] =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[64] = "";
    (void)argv;
    if (argc != 0)
        return usage("health");
    const char *listen = getenv("RELI_LISTEN");
    struct str rest = str_c(listen != NULL && listen[0] != '\0' ? listen : "127.0.0.1:8080"),
               first = STR_NULL;
    (void)str_split(&rest, ',', &first);
    alarm(3);
    int fd = connect_to(first);
    ssize_t n = -1;
    if (fd >= 0 && write(fd, request, sizeof request - 1) == (ssize_t)(sizeof request - 1))
        n = read(fd, answer, sizeof answer - 1);
    if (fd >= 0)
        close(fd);
    bool ok = n > 12 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
    puts(ok ? "ready" : "not ready");
    return ok ? 0 : 1;
}

int command_version(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--crash-points") == 0) {
        for (size_t i = 0; i < crash_n_points(); i++)
            printf("%s\t%s\n", crash_point_name(i), crash_point_where(i));
        return 0;
    }
    if (argc != 0)
        return usage("version [--crash-points]");
    printf("reli %s\n", reli_version);
    return 0;
}
