/* reli keys: API keys for merchants, and the installation's own keys under a new master key. A
 * rotation changes no key, only what they are wrapped with: services that run have theirs open and
 * go on. */
#include <stdio.h>
#include <string.h>

#include "core/commands.h"
#include "core/crypto/random.h"
#include "core/flow/auth.h"
#include "core/tool.h"

static const char usage[] =
    "keys create --merchant ID --mode test|live [--scopes payments:read,…]\n"
    "       reli keys rotate";

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
    TRY(tool_run(t, Q_api_key_insert, params, COUNT_OF(params), tool_see));
    if (!t->found)
        return ERR(
            NOT_FOUND,
            live ? "no such active merchant, or its papers are not approved: live keys need that"
                 : "no such active merchant");
    printf("api_key=%s\n", key);
    explicit_bzero(key, sizeof key);
    return ERR_OK;
}

static int create(int argc, char **argv)
{
    struct tool t;
    struct uuid merchant;
    uint64_t may;
    const char *id = tool_option(argc, argv, "--merchant"),
               *mode = tool_option(argc, argv, "--mode"),
               *words = tool_option(argc, argv, "--scopes");
    if (id == NULL || mode == NULL || (strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return tool_usage(usage);
    if (words == NULL)
        words = "*";
    if (!uuid_parse(str_c(id), &merchant) || !permission_of_scopes(str_c(words), &may))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = create_key(&t, merchant, strcmp(mode, "live") == 0, words);
    return tool_close(&t, err);
}

/* ---- rotate ---- */

enum { STORED_MAX = 64 };

struct rotation {
    struct tool tool;
    size_t n;
    struct stored_key {
        struct str kind, wrapped;
        int32_t number;
    } keys[STORED_MAX];
};

static void stored(void *ctx, struct err err, const struct rows *r)
{
    struct rotation *o = CONTAINER_OF(ctx, struct rotation, tool);
    o->tool.err = err;
    for (size_t i = 0; !err_is(err) && i < rows_n(r) && o->n < STORED_MAX; i++) {
        struct stored_key *k = &o->keys[o->n++];
        k->kind = arena_dup(&o->tool.arena, rows_str(r, i, 0));
        k->number = (int32_t)rows_i64(r, i, 1);
        k->wrapped = arena_dup(&o->tool.arena, rows_str(r, i, 2));
        if (k->kind.p == NULL || k->wrapped.p == NULL)
            o->tool.err = ERR(NO_MEMORY, "keys");
    }
}

static struct err rewrap(struct tool *t, const struct stored_key *k, int *changed)
{
    struct buf fresh;
    bool needed;
    buf_init(&fresh, 512);
    struct err err = vault_rewrap(t->vault, k->wrapped, &fresh, &needed);
    struct value params[] = {V_TEXT(k->kind), V_I32(k->number), V_BYTES(buf_view(&fresh)),
                             V_BYTES(k->wrapped)};
    t->found = false;
    if (!err_is(err) && needed)
        err = tool_run(t, Q_installation_key_rewrap, params, COUNT_OF(params), tool_see);
    if (!err_is(err) && needed && !t->found)
        err = ERR(LOST_RACE, "another rotation is under way");
    *changed += needed;
    buf_free(&fresh);
    return err;
}

static int rotate(void)
{
    static struct rotation o; /* large */
    int changed = 0;
    struct err err = tool_open(&o.tool, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = tool_run(&o.tool, Q_installation_key_list, NULL, 0, stored);
    for (size_t i = 0; !err_is(err) && i < o.n; i++)
        err = rewrap(&o.tool, &o.keys[i], &changed);
    if (!err_is(err))
        printf("keys_rotated=%d\n", changed);
    return tool_close(&o.tool, err);
}

int command_keys(int argc, char **argv)
{
    if (argc >= 1 && strcmp(argv[0], "create") == 0)
        return create(argc, argv);
    if (argc == 1 && strcmp(argv[0], "rotate") == 0)
        return rotate();
    return tool_usage(usage);
}
