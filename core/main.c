/* The command line: finds the subcommand and gives it the rest. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/app.h"
#include "core/base/arena.h"
#include "core/codec/json.h"
#include "core/commands.h"
#include "core/crypto/random.h"
#include "core/prove.h"

static int command_serve(int argc, char **argv)
{
    struct conf conf;
    (void)argv;
    if (argc != 0) {
        fputs("usage: reli serve\n", stderr);
        return 2;
    }
    int code = 2;
    if (!err_is(conf_read(&conf, CONF_SERVE))) {
        log_open(STDERR_FILENO, conf.log_level);
        code = app_serve(&conf);
    }
    conf_free(&conf);
    return code;
}

static int command_sandbox(int argc, char **argv)
{
    (void)argv;
    if (argc != 0) {
        fputs("usage: reli sandbox\n", stderr);
        return 2;
    }
    log_open(STDERR_FILENO, LOG_INFO);
    return app_sandbox();
}

static int command_help(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
    const char *help;
} commands[] = {
    {"serve", command_serve, "serve",
     "the gateway: REST, WebSocket, callbacks, timers, deliveries"},
    {"sandbox", command_sandbox, "sandbox", "every provider simulated over real HTTP"},
    {"migrate", command_migrate, "migrate",
     "brings the database to this version's schema; safe to run twice"},
    {"merchant", command_merchant,
     "merchant create --name NAME [--country KE] [--refund-approval-above MINOR]",
     "prints the merchant's id"},
    {"admin", command_admin,
     "admin create --email E [--merchant ID] [--role owner] | "
     "admin confirm|disable|enable --email E",
     "a person with a password (by standard input): staff, or a merchant's"},
    {"keys", command_keys,
     "keys create --merchant ID --mode test|live … | keys list|revoke | keys rotate",
     "prints an API key, once; wraps the installation's keys with a new master key"},
    {"fees", command_fees, "fees set --merchant ID --currency KES --schedule … | fees list",
     "what is taken of payments that are made from now on"},
    {"limits", command_limits, "limits set --merchant ID --mode test|live --limits … | limits list",
     "how much a merchant may be paid"},
    {"routes", command_routes, "routes set --merchant ID --mode test|live --routes … | routes list",
     "who takes payments that name a method only"},
    {"maintenance", command_maintenance, "maintenance on [--message TEXT] | off | status",
     "no new payments on any replica; all that is under way goes on"},
    {"ledger", prove_ledger, "ledger prove",
     "recomputes every balance; exit 1 and the first wrong rows"},
    {"audit", prove_audit, "audit verify [--head MERCHANT:N:HASH]",
     "recomputes the audit trail's chain; exit 1 and the first wrong row"},
    {"replay", prove_replay, "replay --verify",
     "rebuilds every payment from its events; exit 1 and the first that differ"},
    {"listen", command_listen, "listen --forward URL [--after POSITION] [--events TYPE,…]",
     "brings a merchant's events to a developer's machine, as webhooks"},
    {"doctor", command_doctor, "doctor", "checks configuration and database; says what to mend"},
    {"health", command_health, "health", "exit code 0 if the service on RELI_LISTEN is ready"},
    {"version", command_version, "version", "which build this is"},
    {"help", command_help, "help [COMMAND]", "this list"},
};

/* Of one command, or, NULL, of all. */
static int help(const char *name)
{
    bool found = false;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (name != NULL && strcmp(name, commands[i].name) != 0)
            continue;
        printf("  reli %-52s %s\n", commands[i].usage, commands[i].help);
        found = true;
    }
    if (!found) {
        fprintf(stderr, "reli: no command '%s'; try reli help\n", name);
        return 2;
    }
    if (name == NULL)
        puts("\nConfiguration is read from the environment; README.md lists the variables.\n"
             "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.");
    return 0;
}

static int command_help(int argc, char **argv)
{
    return help(argc > 0 ? argv[0] : NULL);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Keys and people's data are in memory: neither a core dump nor a debugger of the same user shows
 * it. */
static void keep_memory(void)
{
    const char *dumps = getenv("RELI_CORE_DUMPS");
    struct rlimit none = {0, 0};
    if (dumps != NULL && strcmp(dumps, "1") == 0)
        return;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* Who starts us may have closed them: what is opened next would get their numbers, and log lines
 * would go to PostgreSQL. */
static void keep_standard_files(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (is_help(name))
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    int code = 2;
    keep_standard_files();
    /* DNS is the thread pool's main work: more threads than libuv's four */
    (void)setenv("UV_THREADPOOL_SIZE", "8", 0);
    (void)signal(SIGPIPE, SIG_IGN);
    keep_memory();
    json_seed((uint32_t)random_u64());
    size_t i = 0;
    while (i < COUNT_OF(commands) && strcmp(commands[i].name, name) != 0)
        i++;
    if (i < COUNT_OF(commands) && argc > 2 && is_help(argv[argc - 1]))
        code = help(name);
    else if (i < COUNT_OF(commands))
        code = commands[i].run(argc > 2 ? argc - 2 : 0, argv + 2);
    else
        fprintf(stderr, "reli: no command '%s'; try reli help\n", name);
    arena_trim();
    log_close();
    return code;
}
