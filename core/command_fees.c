/* reli fees: what is taken of a merchant's payments. A schedule is read here as the service will
 * read it, so that none is stored that it does not understand. */
#include <stdio.h>
#include <string.h>

#include "core/commands.h"
#include "core/domain/fee.h"
#include "core/tool.h"

static const char usage[] =
    "fees set --merchant ID --currency KES --schedule \"1.5% + 20 cap 2000; > 100000: 1%\"\n"
    "                     [--mode test|live]\n"
    "       reli fees list [--merchant ID]";

struct fees {
    struct tool tool;
    struct uuid merchant;
    struct str currency, schedule;
    int32_t version; /* that was made; 0 none */
};

static void made(void *ctx, struct err err, const struct rows *r)
{
    struct fees *f = CONTAINER_OF(ctx, struct fees, tool);
    f->tool.err = err;
    f->version = err_is(err) || rows_n(r) == 0 ? 0 : (int32_t)rows_i64(r, 0, 0);
}

static struct err set_mode(struct fees *f, const char *mode)
{
    char merchant[UUID_TEXT];
    struct value params[] = {V_UUID(f->merchant), V_TEXT(str_c(mode)), V_TEXT(f->currency),
                             V_TEXT(f->schedule), V_TIME(f->tool.now_us)};
    TRY(tool_run(&f->tool, Q_fee_schedule_insert, params, COUNT_OF(params), made));
    if (f->version == 0)
        return ERR(NOT_FOUND, "no such merchant, or another schedule was set at the same moment");
    printf("merchant_id=%s mode=%s currency=%.*s version=%d\n", uuid_text(f->merchant, merchant),
           mode, STR_ARG(f->currency), (int)f->version);
    return ERR_OK;
}

static int set(int argc, char **argv)
{
    static struct fees f; /* large */
    struct fee_schedule parsed;
    const char *merchant = tool_option(argc, argv, "--merchant"),
               *currency = tool_option(argc, argv, "--currency"),
               *schedule = tool_option(argc, argv, "--schedule"),
               *mode = tool_option(argc, argv, "--mode");
    if (!tool_only(argc - 1, argv + 1, "--merchant --currency --schedule --mode") ||
        merchant == NULL || currency == NULL || schedule == NULL ||
        !uuid_parse(str_c(merchant), &f.merchant) || currency_parse(str_c(currency)) == 0 ||
        (mode != NULL && strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return tool_usage(usage);
    f.currency = str_c(currency);
    f.schedule = str_c(schedule);
    struct err err = fee_parse(f.schedule, currency_parse(f.currency), &parsed);
    if (err_is(err)) {
        fprintf(stderr, "reli: %s\n%s\n%*s^ %s\n", "this is not a fee schedule:", schedule,
                err.code == ERR_PARSE ? (int)err.detail : 0, "", err.what);
        return 2;
    }
    err = tool_open(&f.tool, CONF_DATABASE);
    if (!err_is(err) && (mode == NULL || strcmp(mode, "test") == 0))
        err = set_mode(&f, "test");
    if (!err_is(err) && (mode == NULL || strcmp(mode, "live") == 0))
        err = set_mode(&f, "live");
    return tool_close(&f.tool, err);
}

enum { L_MERCHANT, L_MODE, L_CURRENCY, L_VERSION, L_SCHEDULE };

static void show(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    char merchant[UUID_TEXT];
    t->err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        printf("merchant_id=%s mode=%.*s currency=%.*s version=%lld schedule=%.*s\n",
               uuid_text(rows_uuid(r, i, L_MERCHANT), merchant), STR_ARG(rows_str(r, i, L_MODE)),
               STR_ARG(rows_str(r, i, L_CURRENCY)), (long long)rows_i64(r, i, L_VERSION),
               STR_ARG(rows_str(r, i, L_SCHEDULE)));
}

int command_fees(int argc, char **argv)
{
    if (argc >= 1 && strcmp(argv[0], "set") == 0)
        return set(argc, argv);
    if (argc >= 1 && strcmp(argv[0], "list") == 0)
        return tool_list(argc, argv, usage, Q_fee_schedule_list, show);
    return tool_usage(usage);
}
