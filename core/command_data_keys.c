/* reli keys list, rotate-data, retire-data: the keys under which secrets and people's data are
 * sealed. A new one is made here, taken up by all replicas a minute later, and then everything that
 * stays is sealed anew by a job of theirs; an old one goes when nothing is sealed with it. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/commands.h"
#include "core/flow/keys.h"
#include "core/tool.h"

#define RETIRE_US (10 * US_PER_MIN)
/* Twice as long as it takes: who is late reads the key before anything is sealed with it. */
#define RESEAL_US (2 * KEYS_SETTLE_US)

/* ---- list ---- */

enum { K_KIND, K_NUMBER, K_WRAPPED, K_AT, K_PROGRESS };

static void print_keys(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        char at[TIME_TEXT];
        struct str kind = rows_str(r, i, K_KIND),
                   progress = rows_null(r, i, K_PROGRESS) ? STR("") : rows_str(r, i, K_PROGRESS);
        bool data = str_eq(kind, STR("data"));
        int64_t number = rows_i64(r, i, K_NUMBER);
        printf("%.*s %lld  made %s%s%s%.*s\n", STR_ARG(kind), (long long)number,
               time_text(rows_time(r, i, K_AT), at),
               data && number == vault_sealing(t->vault) ? "  seals" : "",
               progress.n > 0 ? "  resealed " : "", STR_ARG(progress));
    }
}

enum { U_NUMBER, U_PLACE, U_N };

static void print_use(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        printf("data %lld  %.*s %lld\n", (long long)rows_i64(r, i, U_NUMBER),
               STR_ARG(rows_str(r, i, U_PLACE)), (long long)rows_i64(r, i, U_N));
}

int command_data_key_list(void)
{
    struct tool t;
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = tool_run(&t, Q_installation_key_list, NULL, 0, print_keys);
    if (!err_is(err))
        err = tool_run(&t, Q_data_key_use, NULL, 0, print_use);
    return tool_close(&t, err);
}

/* ---- rotate-data ---- */

struct newest {
    struct tool tool;
    int32_t number;
};

static void find_newest(void *ctx, struct err err, const struct rows *r)
{
    struct newest *n = CONTAINER_OF(ctx, struct newest, tool);
    n->tool.err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        if (str_eq(rows_str(r, i, K_KIND), STR("data")) && rows_i64(r, i, K_NUMBER) > n->number)
            n->number = (int32_t)rows_i64(r, i, K_NUMBER);
}

static struct err insert(struct tool *t, int32_t number)
{
    struct buf wrapped;
    buf_init(&wrapped, 512);
    struct err err = vault_make_wrapped(t->vault, &wrapped);
    struct value params[] = {V_I32(number), V_BYTES(buf_view(&wrapped)), V_TIME(t->now_us),
                             V_TIME(t->now_us + RESEAL_US)};
    t->found = false;
    if (!err_is(err))
        err = tool_run(t, Q_data_key_insert, params, COUNT_OF(params), tool_see);
    if (!err_is(err) && !t->found)
        err = ERR(LOST_RACE, "another rotation is under way");
    buf_free(&wrapped);
    return err;
}

int command_data_key_rotate(void)
{
    struct newest n = {0};
    struct err err = tool_open(&n.tool, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = tool_run(&n.tool, Q_installation_key_list, NULL, 0, find_newest);
    if (!err_is(err))
        err = insert(&n.tool, n.number + 1);
    if (!err_is(err))
        printf("data_key=%d\n", (int)n.number + 1);
    return tool_close(&n.tool, err);
}

/* ---- retire-data ---- */

int command_data_key_retire(const char *number)
{
    struct tool t;
    int64_t n;
    uint8_t mark[VAULT_MARK];
    if (!str_to_i64(str_c(number), &n) || n < 1 || n > INT32_MAX)
        return tool_usage("keys retire-data --number N");
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    vault_mark((int32_t)n, mark);
    struct value params[] = {V_I32((int32_t)n), V_BYTES(str_n((const char *)mark, sizeof mark)),
                             V_TIME(t.now_us - RETIRE_US)};
    t.found = false;
    if (!err_is(err))
        err = tool_run(&t, Q_data_key_retire, params, COUNT_OF(params), tool_see);
    if (!err_is(err) && !t.found)
        err = ERR(INVALID_STATE, "the key is not there, seals, or something is sealed with it: "
                                 "reli keys list");
    if (!err_is(err))
        printf("data_key_retired=%lld\n", (long long)n);
    return tool_close(&t, err);
}
