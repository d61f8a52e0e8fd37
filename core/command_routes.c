/* reli routes: who takes a merchant's payments that name a method only. Routes are read here as the
 * service will read them, so that none are stored that it does not understand. */
#include <stdio.h>
#include <string.h>

#include "core/commands.h"
#include "core/crypto/random.h"
#include "core/flow/route.h"
#include "core/tool.h"

enum { TEXT_MAX = 64 * 1024 };

static const char usage[] =
    "routes set --merchant ID --mode test|live --routes '[{\"payment_method\": \"mobile_money\",\n"
    "                       \"provider\": \"NAME\", \"country\": \"KE\"}]'\n"
    "       reli routes list [--merchant ID]";

struct setting {
    struct tool tool;
    int32_t version; /* that was made; 0 none */
};

static void made(void *ctx, struct err err, const struct rows *r)
{
    struct setting *s = CONTAINER_OF(ctx, struct setting, tool);
    s->tool.err = err;
    s->version = err_is(err) || rows_n(r) == 0 ? 0 : (int32_t)rows_i64(r, 0, 0);
}

/* As the service keeps them; false: the faults are told. */
static bool read_text(const char *text, struct arena *a, struct buf *out)
{
    struct routes routes;
    struct field_errors errors = {.arena = a};
    struct json *list;
    if (err_is(json_parse(str_c(text), &list, NULL))) {
        fputs("reli: --routes is not a JSON list\n", stderr);
        return false;
    }
    routes_read(list, &errors, &routes);
    json_free(list);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "reli: %.*s: %s\n", STR_ARG(errors.list[i].param), errors.list[i].message);
    struct jsonw w = jw_into(out);
    jw_open(&w);
    jw_key(&w, "routes");
    routes_put(&w, &routes);
    jw_close(&w);
    return errors.n == 0 && !out->failed;
}

static struct err store_routes(struct setting *s, struct uuid merchant, const char *mode,
                               struct str text)
{
    char id[UUID_TEXT];
    struct value params[] = {V_UUID(merchant),
                             V_TEXT(str_c(mode)),
                             V_TEXT(text),
                             V_TIME(s->tool.now_us),
                             V_UUID(random_uuid(s->tool.now_us)),
                             V_TEXT(STR("cli"))};
    TRY(tool_run(&s->tool, Q_route_set, params, COUNT_OF(params), made));
    if (s->version == 0)
        return ERR(NOT_FOUND, "no such merchant, or others were set at the same moment");
    printf("merchant_id=%s mode=%s version=%d\n", uuid_text(merchant, id), mode, (int)s->version);
    return ERR_OK;
}

static int set(int argc, char **argv)
{
    static struct setting s; /* large */
    struct uuid merchant;
    struct arena a;
    struct buf b;
    const char *id = tool_option(argc, argv, "--merchant"),
               *mode = tool_option(argc, argv, "--mode"),
               *text = tool_option(argc, argv, "--routes");
    if (!tool_only(argc - 1, argv + 1, "--merchant --mode --routes") || id == NULL ||
        mode == NULL || text == NULL || !uuid_parse(str_c(id), &merchant) ||
        (strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return tool_usage(usage);
    arena_init(&a, TEXT_MAX);
    buf_init(&b, TEXT_MAX);
    int rc = 2;
    if (read_text(text, &a, &b)) {
        struct err err = tool_open(&s.tool, CONF_DATABASE);
        if (!err_is(err))
            err = store_routes(&s, merchant, mode, buf_view(&b));
        rc = tool_close(&s.tool, err);
    }
    buf_free(&b);
    arena_free(&a);
    return rc;
}

enum { L_MERCHANT, L_MODE, L_VERSION, L_ROUTES };

static void show(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    char merchant[UUID_TEXT];
    t->err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        printf("merchant_id=%s mode=%.*s version=%lld %.*s\n",
               uuid_text(rows_uuid(r, i, L_MERCHANT), merchant), STR_ARG(rows_str(r, i, L_MODE)),
               (long long)rows_i64(r, i, L_VERSION), STR_ARG(rows_str(r, i, L_ROUTES)));
}

int command_routes(int argc, char **argv)
{
    if (argc >= 1 && strcmp(argv[0], "set") == 0)
        return set(argc, argv);
    if (argc >= 1 && strcmp(argv[0], "list") == 0)
        return tool_list(argc, argv, usage, Q_route_list, show);
    return tool_usage(usage);
}
