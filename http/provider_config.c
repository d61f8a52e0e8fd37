/* A merchant's own accounts with providers: set, changed and listed. What comes in once never goes
 * out again: of a secret the last four characters are shown.
 *
 * A change: LOAD the account of that name, put what was sent over it, CHECK the whole, STORE it
 * sealed if nobody else was faster (409), and show it. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "http/list.h"

enum { VALUE_MAX = 8192, SHOWN_FROM = 12, PRIORITY_MAX = 1000, LIST_BODY = 1 << 20 };

/* A member of the request: left as it is, taken away (p == NULL), or set. */
struct given {
    bool is;
    struct str value;
};

struct config_op {
    struct http_exchange *x;
    const struct gateway *gateway;
    struct str name;
    bool has_active, active, has_priority, has_rate;
    int64_t priority, rate_per_s;
    struct given base_url, callback_cidrs, settings[GW_MAX_SETTINGS];
    /* the account */
    struct uuid id;
    int64_t version; /* that was read; 0: it is new */
    bool moves;      /* to another base_url */
    struct account_text text;
    struct str sealed, config, last4;
};

static const char *const role_fields[] = {
    [GW_ROLE_NONE] = NULL,
    [GW_ROLE_API_KEY] = "api_key",
    [GW_ROLE_API_SECRET] = "api_secret",
    [GW_ROLE_WEBHOOK_SECRET] = "webhook_secret",
};

/* The name of a setting's member: of the request itself, or of its config. */
static const char *member_of(const struct gw_setting *s)
{
    return s->role != GW_ROLE_NONE ? role_fields[s->role] : s->name;
}

static void fault_of(struct field_errors *e, const struct gw_setting *s, const char *code,
                     const char *message)
{
    struct str param =
        arena_fmt(e->arena, "%s%s", s->role != GW_ROLE_NONE ? "" : "config.", member_of(s));
    field_error(e, param, code, message);
}

/* ---- reading ---- */

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20)
            return true;
    return false;
}

/* null takes a value away. */
static void read_text(struct config_op *op, struct fields *f, const char *name, struct given *out)
{
    const struct json *j = json_get(f->obj, name);
    struct str s;
    if (j == NULL)
        return;
    out->is = true;
    if (json_kind(j) != JSON_KIND_NULL && fields_text(f, name, OPTIONAL, 1, VALUE_MAX, &s))
        out->value = arena_dup(op->x->arena, s);
}

static void read_setting(struct config_op *op, struct fields *f, size_t i)
{
    const struct gw_setting *s = &op->gateway->settings[i];
    struct given *g = &op->settings[i];
    read_text(op, f, member_of(s), g);
    if (s->file && str_starts(g->value, STR("/")))
        fields_fault(f, s->name, "format", "Send the text itself, not the path of a file.");
    else if (!s->file && has_control(g->value))
        fields_fault(f, member_of(s), "format", "Must be one line.");
}

static void read_place(struct config_op *op, struct fields *f)
{
    struct cidr_list networks;
    struct given *url = &op->base_url, *cidrs = &op->callback_cidrs;
    read_text(op, f, "base_url", url);
    if (url->value.p != NULL) {
        bool allow = api_of(op->x)->flow->settings.webhook_allow_private;
        if (!outbound_url_ok(url->value, allow) || str_find(url->value, '?', 0) != SIZE_MAX ||
            str_find(url->value, '#', 0) != SIZE_MAX)
            fields_fault(f, "base_url", "format",
                         "Must be an https URL of a public host, without credentials or query.");
        if (str_ends(url->value, STR("/")))
            url->value.n--;
    }
    read_text(op, f, "callback_cidrs", cidrs);
    if (cidrs->value.p != NULL && err_is(cidr_list_parse(cidrs->value, &networks)))
        fields_fault(f, "callback_cidrs", "format",
                     "Networks by commas, such as 192.0.2.0/24,198.51.100.7.");
    const struct json *rate = json_get(f->obj, "rate_per_s");
    op->has_rate = rate != NULL && json_kind(rate) == JSON_KIND_NULL;
    if (fields_i64(f, "rate_per_s", OPTIONAL, 0, ACCOUNT_RATE_MAX, &op->rate_per_s))
        op->has_rate = true;
}

static void read_config(struct config_op *op, struct fields *f)
{
    const char *names[GW_MAX_SETTINGS + 4] = {"base_url", "callback_cidrs", "rate_per_s"};
    const struct gateway *g = op->gateway;
    const struct json *config;
    size_t n = 3;
    for (size_t i = 0; i < g->n_settings; i++)
        if (g->settings[i].role == GW_ROLE_NONE)
            names[n++] = g->settings[i].name;
    if (!fields_object(f, "config", OPTIONAL, &config))
        return;
    struct fields c = {config, "config.", f->errors};
    fields_only(&c, names);
    read_place(op, &c);
    for (size_t i = 0; i < g->n_settings; i++)
        if (g->settings[i].role == GW_ROLE_NONE)
            read_setting(op, &c, i);
}

static void read_roles(struct config_op *op, struct fields *f)
{
    const struct gateway *g = op->gateway;
    for (enum gw_role role = GW_ROLE_API_KEY; role <= GW_ROLE_WEBHOOK_SECRET; role++) {
        size_t i = 0;
        while (i < g->n_settings && g->settings[i].role != role)
            i++;
        struct str s;
        if (i < g->n_settings)
            read_setting(op, f, i);
        else if (fields_text(f, role_fields[role], OPTIONAL, 1, VALUE_MAX, &s))
            fields_fault(f, role_fields[role], "unsupported", "This provider has none.");
    }
}

static void read_own(struct config_op *op, struct fields *f)
{
    struct str s;
    const struct json *active = json_get(f->obj, "is_active");
    if (fields_text(f, "mode", REQUIRED, 1, 8, &s) && !str_eq(s, mode_word(api_who(op->x)->live)))
        fields_fault(f, "mode", "unsupported",
                     "test or live: the mode of the API key that is used.");
    op->name = STR("default");
    if (fields_text(f, "name", OPTIONAL, 1, ACCOUNT_NAME_MAX, &s)) {
        if (!account_name_fine(s))
            fields_fault(f, "name", "format",
                         "Lower-case letters, digits, - and _, a letter or digit first.");
        op->name = arena_dup(op->x->arena, s);
    }
    if (active != NULL && json_kind(active) != JSON_KIND_NULL) {
        op->has_active = json_bool(active, &op->active);
        if (!op->has_active)
            fields_fault(f, "is_active", "type", "Must be true or false.");
    }
    op->has_priority = fields_i64(f, "priority", OPTIONAL, 0, PRIORITY_MAX, &op->priority);
}

/* False: answered. */
static bool read_body(struct config_op *op)
{
    static const char *const names[] = {"mode",           "is_active", "name",
                                        "priority",       "api_key",   "api_secret",
                                        "webhook_secret", "config",    NULL};
    struct body_fields b;
    if (!body_open(op->x, &b))
        return false;
    fields_only(&b.f, names);
    read_own(op, &b.f);
    read_roles(op, &b.f);
    read_config(op, &b.f);
    return body_close(op->x, &b);
}

/* ---- showing ---- */

enum {
    L_ID,
    L_NAME,
    L_ACTIVE,
    L_PRIORITY,
    L_VERSION,
    L_CONFIG,
    L_LAST4,
    L_CREATED,
    L_UPDATED,
    L_SETTINGS
};

static void put_account(struct jsonw *w, struct http_exchange *x, const struct gateway *g,
                        const struct rows *r, size_t i)
{
    char token[CALLBACK_TOKEN_LEN + 1];
    const struct principal *who = api_who(x);
    const struct flow *f = api_of(x)->flow;
    struct uuid id = rows_uuid(r, i, L_ID);
    struct str url = STR_NULL;
    if (g->webhook_verify != NULL) {
        callback_token_make(f->vault, g->name, id, who->merchant, token);
        url = arena_fmt(x->arena, "%.*s/api/v1/webhooks/%s/%s", STR_ARG(f->settings.public_url),
                        g->name, token);
    }
    jw_open(w);
    jw_uuid(w, "id", id);
    jw_c(w, "object", "provider_account");
    jw_c(w, "provider", g->name);
    jw_str(w, "mode", mode_word(who->live));
    jw_str(w, "name", rows_str(r, i, L_NAME));
    jw_bool(w, "is_active", rows_bool(r, i, L_ACTIVE));
    jw_i64(w, "priority", rows_i64(r, i, L_PRIORITY));
    jw_i64(w, "version", rows_i64(r, i, L_VERSION));
    jw_raw(w, "config", rows_str(r, i, L_CONFIG));
    jw_raw(w, "last4", rows_str(r, i, L_LAST4));
    jw_str(w, "webhook_url", url);
    jw_time(w, "created_at", rows_time(r, i, L_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, L_UPDATED));
    jw_close(w);
}

static void find(struct config_op *op, store_rows_fn *done, void *ctx)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(str_c(op->gateway->name)),
                             V_TEXT(mode_word(who->live))};
    store_read(api_of(op->x)->flow->store, Q_provider_account_list, params, COUNT_OF(params), done,
               ctx);
}

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    const struct config_op *op = l->ctx;
    put_account(w, op->x, op->gateway, r, row);
    return ERR_OK;
}

static const struct list_kind accounts = {.put = put_listed};

static void listed(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err))
        http_problem(l->x, err, "");
    else
        list_short(l, r, rows_n(r));
}

static size_t row_of(const struct rows *r, struct str name)
{
    size_t i = 0;
    while (i < rows_n(r) && !str_eq(rows_str(r, i, L_NAME), name))
        i++;
    return i;
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct config_op *op = ctx;
    size_t i = err_is(err) ? 0 : row_of(r, op->name);
    if (!err_is(err) && i == rows_n(r))
        err = ERR(INTERNAL, "a stored account is not there");
    if (err_is(err)) {
        http_problem(op->x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, LIST_BODY);
    struct jsonw w = jw_into(&b);
    put_account(&w, op->x, op->gateway, r, i);
    api_reply_buf(op->x, op->version == 0 ? 201 : 200, &b);
}

/* ---- changing ---- */

static void put_shown(struct config_op *op)
{
    const struct gateway *g = op->gateway;
    const struct account_text *t = &op->text;
    struct buf config, last4;
    buf_init(&config, ACCOUNT_SEALED_MAX);
    buf_init(&last4, ACCOUNT_SEALED_MAX);
    struct jsonw c = jw_into(&config), l = jw_into(&last4);
    jw_open(&c);
    jw_open(&l);
    jw_str(&c, "base_url", t->base_url);
    jw_str(&c, "callback_cidrs", t->callback_cidrs);
    jw_i64(&c, "rate_per_s", t->rate_per_s);
    for (size_t i = 0; i < g->n_settings; i++) {
        struct str v = t->settings[i];
        struct str end = v.n >= SHOWN_FROM ? str_from(v, v.n - 4) : STR("****");
        if (!str_is_printable_ascii(end))
            end = STR("****");
        if (!g->settings[i].secret)
            jw_str(&c, g->settings[i].name, v);
        else
            jw_str(&l, member_of(&g->settings[i]), v.p != NULL ? end : STR_NULL);
    }
    jw_close(&c);
    jw_close(&l);
    op->config = buf_keep(&config, op->x->arena);
    op->last4 = buf_keep(&last4, op->x->arena);
}

static struct err seal(struct config_op *op)
{
    struct flow *f = api_of(op->x)->flow;
    struct buf plain, sealed;
    buf_init(&plain, ACCOUNT_SEALED_MAX);
    buf_init(&sealed, ACCOUNT_SEALED_MAX + 256);
    account_text_put(&plain, &op->text);
    struct err err = plain.failed ? ERR(LIMIT, "an account's settings are too long") : ERR_OK;
    if (!err_is(err))
        err = vault_seal(f->vault, ACCOUNT_PLACE, api_who(op->x)->merchant, op->id,
                         buf_view(&plain), &sealed);
    op->sealed = sealed.failed ? STR_NULL : arena_dup(op->x->arena, buf_view(&sealed));
    if (plain.n > 0)
        explicit_bzero(plain.p, plain.n);
    buf_free(&plain);
    buf_free(&sealed);
    return !err_is(err) && op->sealed.p == NULL ? ERR(NO_MEMORY, "account") : err;
}

static void stored(void *ctx, struct err err, const struct rows *r)
{
    struct config_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0) {
        http_problem(op->x, ERR(CONFLICT, NULL),
                     "Another change was faster, or there are 32 accounts already.");
        return;
    }
    accounts_forget(api_of(op->x)->flow, api_who(op->x)->merchant);
    if (err_is(err))
        http_problem(op->x, err, "");
    else
        find(op, shown, op);
}

/* The names of what was sent, for the audit trail: no values. */
static struct str changes(struct config_op *op)
{
    const struct gateway *g = op->gateway;
    struct buf b;
    buf_init(&b, 4096);
    buf_fmt(&b, "%s %.*s:", g->name, STR_ARG(op->name));
    if (op->has_active)
        buf_c(&b, op->active ? " active" : " inactive");
    if (op->has_priority)
        buf_c(&b, " priority");
    if (op->base_url.is)
        buf_c(&b, " base_url");
    if (op->callback_cidrs.is)
        buf_c(&b, " callback_cidrs");
    if (op->has_rate)
        buf_c(&b, " rate_per_s");
    for (size_t i = 0; i < g->n_settings; i++)
        if (op->settings[i].is)
            buf_fmt(&b, " %s", member_of(&g->settings[i]));
    return buf_keep(&b, op->x->arena);
}

static void store_it(struct config_op *op)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct str action =
        op->version == 0 ? STR("provider_account.created") : STR("provider_account.changed");
    put_shown(op);
    struct err err = seal(op);
    if (err_is(err) || op->config.p == NULL || op->last4.p == NULL) {
        http_problem(op->x, err_is(err) ? err : ERR(NO_MEMORY, "account"), "");
        return;
    }
    struct value params[] = {
        V_UUID(who->merchant),
        V_UUID(op->id),
        V_TEXT(mode_word(who->live)),
        V_TEXT(str_c(op->gateway->name)),
        V_TEXT(op->name),
        V_BOOL(op->active),
        V_I32(op->priority),
        V_BYTES(op->sealed),
        V_JSON(op->config),
        V_JSON(op->last4),
        V_I32(op->version),
        V_TIME(now),
        V_UUID(random_uuid(now)),
        V_TEXT(action),
        V_TEXT(str_c(who->actor)),
        V_TEXT(changes(op)),
    };
    store_exec(f->store, Q_provider_account_put, params, COUNT_OF(params), stored, op);
}

/* What was sent over what is there. */
static void merge(struct config_op *op)
{
    struct account_text *t = &op->text;
    op->moves = op->base_url.is && !str_eq(op->base_url.value, t->base_url);
    if (op->base_url.is)
        t->base_url = op->base_url.value;
    if (op->callback_cidrs.is)
        t->callback_cidrs = op->callback_cidrs.value;
    if (op->has_rate)
        t->rate_per_s = op->rate_per_s;
    for (size_t i = 0; i < op->gateway->n_settings; i++)
        if (op->settings[i].is)
            t->settings[i] = op->settings[i].value;
}

/* Asks the provider's own rules, which can look at values but not at each other's names. */
static void check_values(struct config_op *op, struct field_errors *e)
{
    const struct gateway *g = op->gateway;
    struct flow_account account;
    const char *wrong = "";
    struct err err = account_make(api_of(op->x)->flow, &op->text, &account);
    if (!err_is(err) && g->account_check != NULL)
        err = g->account_check(&account.gw, op->x->arena, &wrong);
    for (size_t i = 0; err_is(err) && i < g->n_settings; i++)
        if (strcmp(g->settings[i].name, wrong) == 0)
            fault_of(e, &g->settings[i], "format", err.what);
    if (err_is(err) && e->n == 0)
        field_error(e, STR("config"), "format", err.what);
    account_wipe(&account);
}

/* Whoever moves an account must know its secrets: they would be told to a server of his choice. */
static bool keeps_secret(const struct config_op *op, size_t i)
{
    return op->gateway->settings[i].secret && op->text.settings[i].n > 0 && !op->settings[i].is;
}

static bool check(struct config_op *op)
{
    const struct gateway *g = op->gateway;
    struct field_errors errors = {.arena = op->x->arena};
    for (size_t i = 0; i < g->n_settings; i++)
        if (g->settings[i].required && op->text.settings[i].n == 0)
            fault_of(&errors, &g->settings[i], "required", "The provider needs it.");
        else if (op->moves && keeps_secret(op, i))
            fault_of(&errors, &g->settings[i], "required",
                     "Another base_url gets it: send it again.");
    if (errors.n == 0)
        check_values(op, &errors);
    return api_no_faults(op->x, &errors);
}

/* An account whose sealed text cannot be opened any more is mended by sending all of it. */
static void read_stored(struct config_op *op, const struct rows *r, size_t i)
{
    struct str plain;
    const struct principal *who = api_who(op->x);
    struct arena *mem = op->x->arena;
    op->id = rows_uuid(r, i, L_ID);
    op->version = rows_i64(r, i, L_VERSION);
    if (!op->has_active)
        op->active = rows_bool(r, i, L_ACTIVE);
    if (!op->has_priority)
        op->priority = rows_i64(r, i, L_PRIORITY);
    struct err err = vault_open(api_of(op->x)->flow->vault, ACCOUNT_PLACE, who->merchant, op->id,
                                rows_str(r, i, L_SETTINGS), mem, &plain);
    if (!err_is(err))
        err = account_text_read(plain, op->gateway, who->live, mem, &op->text);
    if (err_is(err)) {
        log_error("account.not_opened", F_ID("account", op->id), F_ERR(err));
        op->text = (struct account_text){.gateway = op->gateway, .live = who->live};
    }
}

static void loaded(void *ctx, struct err err, const struct rows *r)
{
    struct config_op *op = ctx;
    if (err_is(err)) {
        http_problem(op->x, err, "");
        return;
    }
    size_t i = row_of(r, op->name);
    op->text = (struct account_text){.gateway = op->gateway, .live = api_who(op->x)->live};
    op->id = account_id_make(loop_wall_us(api_of(op->x)->flow->loop));
    if (i < rows_n(r))
        read_stored(op, r, i);
    else if (!op->has_active)
        op->active = true;
    merge(op);
    if (check(op))
        store_it(op);
}

static struct config_op *op_new(struct http_exchange *x)
{
    struct config_op *op = ARENA_NEW(x->arena, struct config_op);
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "account"), "");
        return NULL;
    }
    op->x = x;
    op->gateway = gateway_find(x->params[0]);
    if (op->gateway == NULL || op->gateway->n_settings == 0) {
        http_problem(x, ERR(NOT_FOUND, NULL), "No such provider, or one without accounts.");
        return NULL;
    }
    return op;
}

void provider_config_post(struct http_exchange *x)
{
    struct config_op *op = op_new(x);
    if (op != NULL && read_body(op))
        find(op, loaded, op);
}

void provider_config_index(struct http_exchange *x)
{
    struct config_op *op = op_new(x);
    struct listing *l = op != NULL ? list_new(x, &accounts, op) : NULL;
    if (l != NULL && list_ok(x, &l->errors))
        find(op, listed, l);
}
