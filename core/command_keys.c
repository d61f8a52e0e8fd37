/* reli keys: API keys for merchants, and the installation's own keys under a new master key. A
 * rotation changes no key, only what they are wrapped with: services that run have theirs open and
 * go on. */
#include <stdio.h>
#include <string.h>

#include "core/base/times.h"
#include "core/commands.h"
#include "core/crypto/random.h"
#include "core/flow/api_key.h"
#include "core/flow/user.h"
#include "core/tool.h"

enum { KEYS_LISTED = 1000 };

static const char usage[] =
    "keys create --merchant ID --mode test|live [--scopes payments:read,…] [--name NAME]\n"
    "                       [--cidrs 192.0.2.0/24,…] [--expires TIME|30d] [--for EMAIL]\n"
    "       reli keys list --merchant ID [--mode test|live]\n"
    "       reli keys revoke --merchant ID --key ID\n"
    "       reli keys list\n"
    "       reli keys rotate\n"
    "       reli keys rotate-data\n"
    "       reli keys retire-data --number N";

/* ---- create ---- */

static void made(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    t->found = !err_is(err) && rows_n(r) > 0 && !rows_null(r, 0, 0);
}

struct wanted {
    struct tool t; /* the first: row callbacks get it */
    struct uuid merchant;
    bool live;
    struct str scopes, name, cidrs;
    int64_t expires_us;
    char holder[PERSON_TEXT]; /* the member whom it stands for; "": nobody but itself */
};

static void holder_found(void *ctx, struct err err, const struct rows *r)
{
    struct wanted *w = ctx;
    w->t.err = err;
    if (!err_is(err) && rows_n(r) == 0)
        w->t.err = ERR(NOT_FOUND, "no such member of the merchant");
    else if (!err_is(err) && !person_of_user(rows_str(r, 0, 1), rows_uuid(r, 0, 0), w->holder))
        w->t.err = ERR(INTERNAL, "stored people not understood");
}

static struct err find_holder(struct wanted *w, const char *email)
{
    uint8_t index[USER_HASH];
    user_hash(w->t.vault, USER_EMAIL, str_c(email), index);
    struct value params[] = {V_UUID(w->merchant), V_BYTES(str_n((char *)index, USER_HASH))};
    return tool_run(&w->t, Q_member_person, params, COUNT_OF(params), holder_found);
}

/* "30d", or a time of RFC 3339; in the future. */
static bool read_end(const char *text, int64_t now_us, int64_t *out)
{
    int64_t us;
    *out = 0;
    if (text == NULL)
        return true;
    if (duration_parse(str_c(text), &us))
        *out = now_us + us;
    else if (!time_parse(str_c(text), out))
        return false;
    return *out > now_us;
}

static struct err create_key(struct wanted *w)
{
    struct tool *t = &w->t;
    char key[AUTH_KEY_LEN + 1];
    uint8_t hash[32];
    uint64_t set, all;
    struct buf b;
    struct str rest = w->scopes, word;
    bool restricted =
        permission_of_scopes(w->scopes, &set) && permission_of_scopes(STR("*"), &all) && set != all;
    buf_init(&b, 1024);
    while (str_split(&rest, ',', &word))
        buf_word(&b, word);
    struct str scopes = buf_keep(&b, &t->arena);
    if (scopes.p == NULL)
        return ERR(NO_MEMORY, "scopes");
    auth_key_make(w->live, restricted, key);
    vault_hash(t->vault, "api_key", str_c(key), hash);
    struct value params[] = {
        V_UUID(w->merchant),
        V_UUID(random_uuid(t->now_us)),
        V_TEXT(mode_word(w->live)),
        V_TEXT(str_n(key, AUTH_KEY_SHOWN)),
        V_TEXT(scopes),
        V_BYTES(str_n((char *)hash, sizeof hash)),
        V_TIME(t->now_us),
        V_TEXT(w->name),
        V_TEXT(w->cidrs),
        V_TIME(w->expires_us),
        V_UUID(random_uuid(t->now_us)),
        V_TEXT(STR("cli")),
        V_TEXT(w->holder[0] != '\0' ? str_c(w->holder) : STR_NULL),
    };
    TRY(tool_run(t, Q_api_key_insert, params, COUNT_OF(params), made));
    if (t->found)
        printf("api_key=%s\n", key);
    explicit_bzero(key, sizeof key);
    if (t->found)
        return ERR_OK;
    return ERR(NOT_FOUND,
               w->live ? "no such active merchant, or its papers are not approved: live keys need "
                         "that; or it has 100 keys"
                       : "no such active merchant, or it has 100 keys");
}

static int create(int argc, char **argv)
{
    struct wanted w = {.scopes = STR("*")};
    char email[USER_EMAIL_MAX + 1];
    uint64_t may;
    const char *id = tool_option(argc, argv, "--merchant"),
               *mode = tool_option(argc, argv, "--mode"),
               *scopes = tool_option(argc, argv, "--scopes"),
               *name = tool_option(argc, argv, "--name"),
               *cidrs = tool_option(argc, argv, "--cidrs"),
               *expires = tool_option(argc, argv, "--expires"),
               *holder = tool_option(argc, argv, "--for");
    if (!tool_only(argc - 1, argv + 1,
                   "--merchant --mode --scopes --name --cidrs --expires --for") ||
        id == NULL || mode == NULL || (strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return tool_usage(usage);
    if (scopes != NULL)
        w.scopes = str_c(scopes);
    w.live = strcmp(mode, "live") == 0;
    w.name = str_c(name);
    if (!permission_of_scopes(w.scopes, &may)) {
        fputs("reli: --scopes is neither * nor a list of payments:read, payments:write, "
              "refunds:write, payouts:write, webhooks:write\n",
              stderr);
        return tool_usage(usage);
    }
    if (!uuid_parse(str_c(id), &w.merchant) ||
        (holder != NULL && !user_email(str_c(holder), email)) ||
        (name != NULL && (w.name.n == 0 || utf8_count(w.name) > API_KEY_NAME_MAX)))
        return tool_usage(usage);
    struct err err = tool_open(&w.t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err) && ((cidrs != NULL && !api_key_networks(str_c(cidrs), &w.t.arena, &w.cidrs)) ||
                         !read_end(expires, w.t.now_us, &w.expires_us))) {
        (void)tool_close(&w.t, ERR_OK);
        return tool_usage(usage);
    }
    if (!err_is(err) && holder != NULL)
        err = find_holder(&w, email);
    if (!err_is(err))
        err = create_key(&w);
    return tool_close(&w.t, err);
}

/* ---- list, revoke ---- */

static void print_keys(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    t->err = err;
    for (size_t i = 0; !err_is(t->err) && i < rows_n(r); i++) {
        struct api_key k;
        char id[UUID_TEXT], end[TIME_TEXT] = "never", used[TIME_TEXT] = "never";
        t->err = api_key_read(r, i, &t->arena, &k);
        if (err_is(t->err))
            return;
        if (k.expires_us != 0)
            time_text(k.expires_us, end);
        if (k.last_used_us != 0)
            time_text(k.last_used_us, used);
        printf("%s  %.*s…  %-8s  expires %-24s  used %-24s  %.*s  from %.*s  %.*s\n",
               uuid_text(k.id, id), STR_ARG(k.prefix), api_key_status(&k, t->now_us), end, used,
               STR_ARG(k.scopes), STR_ARG(k.cidrs.p != NULL ? k.cidrs : STR("anywhere")),
               STR_ARG(k.name));
    }
}

static struct err list_mode(struct tool *t, struct uuid merchant, const char *mode)
{
    struct value params[] = {V_UUID(merchant),  V_TEXT(str_c(mode)), V_UUID(UUID_NIL),
                             V_UUID(UUID_MOST), V_I64(KEYS_LISTED),  V_I64(0)};
    return tool_run(t, Q_api_key_list, params, COUNT_OF(params), print_keys);
}

static int list(int argc, char **argv)
{
    struct tool t;
    struct uuid merchant;
    const char *id = tool_option(argc, argv, "--merchant"),
               *mode = tool_option(argc, argv, "--mode");
    if (!tool_only(argc - 1, argv + 1, "--merchant --mode") || id == NULL ||
        !uuid_parse(str_c(id), &merchant) ||
        (mode != NULL && strcmp(mode, "test") != 0 && strcmp(mode, "live") != 0))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE);
    if (!err_is(err))
        err = list_mode(&t, merchant, mode != NULL ? mode : "live");
    if (!err_is(err) && mode == NULL)
        err = list_mode(&t, merchant, "test");
    return tool_close(&t, err);
}

static struct err revoke_in(struct tool *t, struct uuid merchant, struct uuid key, struct str mode)
{
    struct value params[] = {V_UUID(merchant),
                             V_UUID(key),
                             V_TEXT(mode),
                             V_TIME(t->now_us),
                             V_UUID(random_uuid(t->now_us)),
                             V_TEXT(STR("cli"))};
    return tool_run(t, Q_api_key_revoke, params, COUNT_OF(params), tool_see);
}

static int revoke(int argc, char **argv)
{
    struct tool t;
    struct uuid merchant, key;
    const char *id = tool_option(argc, argv, "--merchant"), *k = tool_option(argc, argv, "--key");
    if (!tool_only(argc - 1, argv + 1, "--merchant --key") || id == NULL || k == NULL ||
        !uuid_parse(str_c(id), &merchant) || !uuid_parse(str_c(k), &key))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE);
    t.found = false;
    if (!err_is(err))
        err = revoke_in(&t, merchant, key, STR("live"));
    if (!err_is(err) && !t.found)
        err = revoke_in(&t, merchant, key, STR("test"));
    if (!err_is(err) && !t.found)
        err = ERR(NOT_FOUND, "no such key");
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
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return command_data_key_list();
    if (argc == 1 && strcmp(argv[0], "rotate-data") == 0)
        return command_data_key_rotate();
    if (argc == 3 && strcmp(argv[0], "retire-data") == 0 && strcmp(argv[1], "--number") == 0)
        return command_data_key_retire(argv[2]);
    if (argc >= 1 && strcmp(argv[0], "list") == 0)
        return list(argc, argv);
    if (argc >= 1 && strcmp(argv[0], "revoke") == 0)
        return revoke(argc, argv);
    if (argc == 1 && strcmp(argv[0], "rotate") == 0)
        return rotate();
    return tool_usage(usage);
}
