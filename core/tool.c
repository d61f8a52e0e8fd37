/* The commands' common ground. See tool.h. */
#include "core/tool.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/flow/keys.h"

static int64_t wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int tool_usage(const char *text)
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

/* Whether `known` has the name, and whether it stands alone. */
static bool is_known(struct str known, struct str name, bool *alone)
{
    struct str one;
    while (str_split(&known, ' ', &one)) {
        *alone = str_ends(one, STR("!"));
        if (*alone)
            one.n--;
        if (str_eq(one, name))
            return true;
    }
    return false;
}

/* A name that is spelt wrong must not count as absent: a key without --scopes may everything. */
bool tool_only(int argc, char **argv, const char *known)
{
    const char *wrong = NULL;
    int i = 0;
    while (wrong == NULL && i < argc) {
        bool alone = false;
        if (!is_known(str_c(known), str_c(argv[i]), &alone))
            wrong = "is not known here";
        else if (!alone && (i + 1 == argc || str_starts(str_c(argv[i + 1]), STR("--"))))
            wrong = "needs a value";
        for (int k = 0; wrong == NULL && k < i; k++)
            if (strcmp(argv[k], argv[i]) == 0)
                wrong = "is given twice";
        if (wrong == NULL)
            i += alone ? 1 : 2;
    }
    if (wrong != NULL)
        fprintf(stderr, "reli: %s %s\n", argv[i], wrong);
    return wrong == NULL;
}

const char *tool_option(int argc, char **argv, const char *name)
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
    t->err = err_is(err) ? err : keys_take(t->vault, r, t->now_us);
}

void tool_ignore(void *ctx, struct err err, const struct rows *r)
{
    (void)r;
    ((struct tool *)ctx)->err = err;
}

struct err tool_run(struct tool *t, enum query q, const struct value *params, size_t n,
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
        err = tool_run(t, Q_installation_key_insert, params, COUNT_OF(params), tool_ignore);
    buf_free(&wrapped);
    return err;
}

struct err tool_keys(struct tool *t)
{
    TRY(vault_new(t->conf.master_key, &t->vault));
    TRY(tool_run(t, Q_installation_key_list, NULL, 0, take_key));
    if (vault_ready(t->vault))
        return ERR_OK;
    TRY(make_key(t, "data"));
    TRY(make_key(t, "hmac"));
    return tool_run(t, Q_installation_key_list, NULL, 0, take_key);
}

struct err tool_open(struct tool *t, unsigned need)
{
    *t = (struct tool){.now_us = wall_now()};
    arena_init(&t->arena, 1024 * 1024);
    TRY(conf_read(&t->conf, need));
    log_open(STDERR_FILENO, t->conf.log_level);
    TRY(crypto_open());
    if ((need & CONF_KEYS) != 0)
        TRY(tool_keys(t));
    return ERR_OK;
}

int tool_close(struct tool *t, struct err err)
{
    vault_free(t->vault);
    conf_free(&t->conf);
    arena_free(&t->arena);
    crypto_close();
    if (t->conf.n_faults > 0)
        return 2;
    return err_is(err) ? failed(err) : 0;
}

void tool_see(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    t->found = !err_is(err) && rows_n(r) > 0;
}

void tool_first_id(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    tool_see(ctx, err, r);
    if (t->found)
        t->id = rows_uuid(r, 0, 0);
}

int tool_list(int argc, char **argv, const char *usage, enum query q, store_rows_fn *show)
{
    static struct tool t; /* large */
    struct uuid merchant = UUID_NIL;
    const char *id = tool_option(argc, argv, "--merchant");
    if (!tool_only(argc - 1, argv + 1, "--merchant") ||
        (id != NULL && !uuid_parse(str_c(id), &merchant)))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE);
    struct value params[] = {V_UUID_OPT(merchant), V_I64(TOOL_LIST_MAX)};
    if (!err_is(err))
        err = tool_run(&t, q, params, COUNT_OF(params), show);
    return tool_close(&t, err);
}
