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
#include "core/crypto/random.h"
#include "core/flow/webhook_sign.h"
#include "core/tool.h"
#include "core/version.h"

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
    if (argc < 1 || strcmp(argv[0], "create") != 0 || name == NULL || strlen(name) > 128 ||
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

static void say(bool ok, const char *what, const char *mend)
{
    printf("%s  %s%s%s\n", ok ? "ok   " : "FAULT", what, ok ? "" : ": ", ok ? "" : mend);
}

static int examine(struct tool *t)
{
    int faults = 0;
    struct err err = tool_run(t, Q_live_keys, NULL, 0, tool_see);
    bool database = !err_is(err) && t->found;
    say(database, "PostgreSQL answers and has the schema",
        "check DATABASE_URL, then run reli migrate");
    faults += !database;
    if (database) {
        err = tool_keys(t);
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
        return tool_usage("doctor");
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
        return tool_usage("health");
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
        return tool_usage("version [--crash-points]");
    printf("reli %s\n", reli_version);
    return 0;
}
