/* reli limits: how much a merchant lets himself be paid. Limits are read here as the service will
 * read them, so that none are stored that it does not understand. */
#include <stdio.h>
#include <string.h>

#include "core/commands.h"
#include "core/crypto/random.h"
#include "core/flow/limit_text.h"
#include "core/tool.h"

enum { TEXT_MAX = 64 * 1024 };

static const char usage[] =
    "limits set --merchant ID --mode test|live --limits '[{\"currency\": \"KES\",\n"
    "                       \"scope\": \"customer\", \"window\": \"daily\", \"max_amount\": "
    "70000}]'\n"
    "       reli limits list [--merchant ID]";

static void show(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    char merchant[UUID_TEXT], amount[MONEY_TEXT];
    struct limit_rule rule;
    t->err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        if (!limit_rule_of(r, i, 2, &rule))
            continue;
        printf("merchant_id=%s mode=%.*s currency=%.*s scope=%s window=%s",
               uuid_text(rows_uuid(r, i, 0), merchant), STR_ARG(rows_str(r, i, 1)),
               STR_ARG(rows_str(r, i, 2)), limit_scope_word(rule.scope),
               limit_span_word(rule.span));
        if (rule.method[0] != '\0')
            printf(" payment_method=%s", rule.method);
        if (rule.max_minor > 0)
            printf(" max_amount=%s",
                   money_text((struct money){rule.max_minor, rule.currency}, amount));
        if (rule.max_count > 0)
            printf(" max_count=%lld", (long long)rule.max_count);
        putchar('\n');
    }
}

static struct err store_limits(struct tool *t, struct uuid merchant, const char *mode,
                               struct str text)
{
    struct value params[] = {V_UUID(merchant),
                             V_TEXT(str_c(mode)),
                             V_JSON(text),
                             V_TIME(t->now_us),
                             V_UUID(random_uuid(t->now_us)),
                             V_TEXT(STR("cli"))};
    TRY(tool_run(t, Q_limit_set, params, COUNT_OF(params), tool_see));
    if (!t->found)
        return ERR(NOT_FOUND, "no such merchant");
    struct value whose[] = {V_UUID(merchant), V_I64(TOOL_LIST_MAX)};
    return tool_run(t, Q_limit_list, whose, COUNT_OF(whose), show);
}

/* As they are stored; false: the faults are told. */
static bool read_text(const char *text, struct arena *a, struct buf *out)
{
    static struct limit_rules rules; /* large */
    struct field_errors errors = {.arena = a};
    struct json *list;
    if (err_is(json_parse(str_c(text), &list, NULL))) {
        fputs("reli: --limits is not a JSON list\n", stderr);
        return false;
    }
    limits_read(list, &errors, &rules);
    json_free(list);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "reli: %.*s: %s\n", STR_ARG(errors.list[i].param), errors.list[i].message);
    struct jsonw w = jw_into(out);
    limits_put_stored(&w, &rules);
    return errors.n == 0 && !out->failed;
}

static int set(int argc, char **argv)
{
    static struct tool t; /* large */
    struct uuid merchant;
    struct arena a;
    struct buf b;
    const char *id = tool_option(argc, argv, "--merchant"),
               *mode = tool_option(argc, argv, "--mode"),
               *text = tool_option(argc, argv, "--limits");
    if (!tool_only(argc - 1, argv + 1, "--merchant --mode --limits") || id == NULL ||
        mode == NULL || text == NULL || !uuid_parse(str_c(id), &merchant) ||
        (strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return tool_usage(usage);
    arena_init(&a, TEXT_MAX);
    buf_init(&b, TEXT_MAX);
    int rc = 2;
    if (read_text(text, &a, &b)) {
        struct err err = tool_open(&t, CONF_DATABASE);
        if (!err_is(err))
            err = store_limits(&t, merchant, mode, buf_view(&b));
        rc = tool_close(&t, err);
    }
    buf_free(&b);
    arena_free(&a);
    return rc;
}

int command_limits(int argc, char **argv)
{
    if (argc >= 1 && strcmp(argv[0], "set") == 0)
        return set(argc, argv);
    if (argc >= 1 && strcmp(argv[0], "list") == 0)
        return tool_list(argc, argv, usage, Q_limit_list, show);
    return tool_usage(usage);
}
