/* Where a merchant's webhooks go. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/deliver.h"
#include "core/flow/webhook.h"
#include "core/flow/webhook_sign.h"
#include "http/list.h"

enum { URL_MAX = 2000, EVENTS_MAX = 32, ANSWER_MAX = 1 << 20, RECOVER_MAX = 1000 };
enum { RECOVER_AT_ONCE = 32 }; /* others want to read and write as well */
enum { SLOTS = 16, SLOT_TRIES = 64 };

#define NOT_PUBLIC "Must be an https URL of a public host, without credentials."
#define OVERLAP_MAX_US (7 * US_PER_DAY)

/* What a request wants to do with an endpoint; lives in the exchange's arena. */
struct endpoint_op {
    struct http_exchange *x;
    struct uuid id;
    struct str url, events, description, status; /* p == NULL: as it is */
    struct str secret;                           /* shown in this answer only */
    struct str secrets;                          /* all of them, newest first, by blanks */
    struct str ordered;                          /* "true", "false" */
    bool with_pair;                              /* signs with a private key as well */
    bool rotates;
    struct str sealed; /* secrets, of a new endpoint */
    int slot_tries;
    int64_t overlap_us; /* how long replaced secrets sign along */
    int status_code;
    void (*go)(struct endpoint_op *); /* when the URL has been looked at */
    struct uuid *again;               /* recover: what is made again, */
    size_t n_again, asked, answered;  /* how far that is, */
    int started;                      /* and how many have been */
    bool more;
    int64_t since_us, until_us;
    struct err err;
};

static struct endpoint_op *op_new(struct http_exchange *x)
{
    struct endpoint_op *op = ARENA_NEW(x->arena, struct endpoint_op);
    if (op == NULL)
        http_problem(x, ERR(NO_MEMORY, "endpoint"), "");
    else
        op->x = x;
    return op;
}

static void fail(struct http_exchange *x, struct err err)
{
    http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such webhook endpoint." : "");
}

/* ---- reading ---- */

static void read_events(struct fields *f, struct endpoint_op *op)
{
    const struct json *list = json_get(f->obj, "events");
    struct buf b;
    if (list == NULL || json_kind(list) == JSON_KIND_NULL)
        return;
    if (json_kind(list) != JSON_ARR || json_n(list) == 0 || json_n(list) > EVENTS_MAX) {
        fields_fault(f, "events", "type", "A list of 1 to 32 event types, or [\"*\"].");
        return;
    }
    buf_init(&b, 4096);
    for (size_t i = 0; i < json_n(list); i++) {
        struct str word = json_str(json_at(list, i));
        if (word.p == NULL || !webhook_word_ok(word)) {
            fields_fault(f, "events", "unknown", "No such event type.");
            break;
        }
        buf_word(&b, word);
    }
    op->events = arena_dup(op->x->arena, buf_view(&b));
    buf_free(&b);
}

static void read_ordered(struct fields *f, struct endpoint_op *op)
{
    const struct json *j = json_get(f->obj, "ordered");
    bool ordered;
    if (j == NULL)
        return;
    if (!json_bool(j, &ordered))
        fields_fault(f, "ordered", "type", "true or false.");
    else
        op->ordered = ordered ? STR("true") : STR("false");
}

/* False: answered. */
static bool read_body(struct http_exchange *x, struct endpoint_op *op, bool whole)
{
    static const char *const create_names[] = {"url",     "events",    "description",
                                               "ordered", "signature", NULL};
    static const char *const change_names[] = {"url",     "events", "description",
                                               "ordered", "status", NULL};
    struct body_fields b;
    struct str s;
    if (!body_open(x, &b))
        return false;
    fields_only(&b.f, whole ? create_names : change_names);
    if (fields_text(&b.f, "url", whole ? REQUIRED : OPTIONAL, 8, URL_MAX, &s)) {
        if (!outbound_url_ok(s, api_of(x)->flow->settings.webhook_allow_private))
            fields_fault(&b.f, "url", "format", NOT_PUBLIC);
        op->url = arena_dup(x->arena, s);
    }
    read_events(&b.f, op);
    if (fields_text(&b.f, "description", OPTIONAL, 1, 255, &s))
        op->description = arena_dup(x->arena, s);
    read_ordered(&b.f, op);
    if (whole && fields_text(&b.f, "signature", OPTIONAL, 1, 16, &s)) {
        op->with_pair = str_eq(s, STR("v1a"));
        if (!op->with_pair && !str_eq(s, STR("v1")))
            fields_fault(&b.f, "signature", "unknown", "v1 or v1a.");
    }
    if (!whole && fields_text(&b.f, "status", OPTIONAL, 1, 16, &s)) {
        if (!str_eq(s, STR("enabled")) && !str_eq(s, STR("disabled")))
            fields_fault(&b.f, "status", "unknown", "enabled or disabled.");
        op->status = arena_dup(x->arena, s);
    }
    return body_close(x, &b);
}

/* ---- writing ---- */

enum {
    C_ID,
    C_MODE,
    C_URL,
    C_EVENTS,
    C_DESCRIPTION,
    C_STATUS,
    C_REASON,
    C_SECRETS,
    C_CREATED,
    C_UPDATED,
    C_ORDERED,
    C_SLOT /* of a list */
};

/* The public half of the key pair with which it signs; {NULL,0} without. */
static struct str public_key(struct http_exchange *x, const struct rows *r, size_t i)
{
    struct str keys;
    struct err err =
        vault_open(api_of(x)->flow->vault, "webhook_endpoint.secrets", api_who(x)->merchant,
                   rows_uuid(r, i, C_ID), rows_str(r, i, C_SECRETS), x->arena, &keys);
    return err_is(err) ? STR_NULL : webhook_public_text(x->arena, keys);
}

static void put_endpoint(struct http_exchange *x, struct jsonw *w, const struct rows *r, size_t i,
                         struct str secret)
{
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, C_ID));
    jw_c(w, "object", "webhook_endpoint");
    jw_str(w, "mode", rows_str(r, i, C_MODE));
    jw_str(w, "url", rows_str(r, i, C_URL));
    jw_words(w, "events", rows_str(r, i, C_EVENTS));
    jw_str(w, "description", rows_str(r, i, C_DESCRIPTION));
    jw_str(w, "status", rows_str(r, i, C_STATUS));
    jw_str(w, "status_reason", rows_str(r, i, C_REASON));
    jw_bool(w, "ordered", rows_bool(r, i, C_ORDERED));
    jw_str(w, "public_key", public_key(x, r, i));
    if (secret.n > 0)
        jw_str(w, "secret", secret);
    jw_time(w, "created_at", rows_time(r, i, C_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, C_UPDATED));
    jw_close(w);
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    put_endpoint(op->x, &w, r, 0, op->secret);
    api_reply_buf(op->x, op->status_code, &b);
}

static void get(struct endpoint_op *op, store_rows_fn *done)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {V_UUID(who->merchant), V_UUID(op->id), V_TEXT(mode_word(who->live))};
    store_read(api_of(op->x)->flow->store, Q_endpoint_get, params, COUNT_OF(params), done, op);
}

static void written(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = op->status_code == 201 || op->rotates ? ERR(CONFLICT, NULL) : ERR(NOT_FOUND, NULL);
    deliver_forget(api_of(op->x)->flow);
    if (err_is(err))
        fail(op->x, err);
    else if (op->status_code == 204)
        http_reply(op->x, 204, STR("application/json"), STR_NULL);
    else
        get(op, shown);
}

static struct err seal_secrets(struct endpoint_op *op, struct str *sealed)
{
    struct flow *f = api_of(op->x)->flow;
    struct buf b;
    buf_init(&b, 4096);
    struct err err = vault_seal(f->vault, "webhook_endpoint.secrets", api_who(op->x)->merchant,
                                op->id, op->secrets, &b);
    *sealed = arena_dup(op->x->arena, buf_view(&b));
    buf_free(&b);
    return sealed->p == NULL && !err_is(err) ? ERR(NO_MEMORY, "secrets") : err;
}

static void looked(void *ctx, struct err err)
{
    struct endpoint_op *op = ctx;
    struct field_errors errors = {.arena = op->x->arena};
    if (err.code == ERR_INVALID)
        field_error(&errors, STR("url"), "format", NOT_PUBLIC);
    if (api_no_faults(op->x, &errors))
        op->go(op);
}

/* A name that leads to where no call may go is refused at once. One that has no address yet is
 * taken: each call looks again. */
static void look_first(struct endpoint_op *op, void (*go)(struct endpoint_op *))
{
    struct flow *f = api_of(op->x)->flow;
    op->go = go;
    if (op->url.p == NULL || f->settings.webhook_allow_private ||
        err_is(outbound_look(f->outbound, op->url, looked, op)))
        go(op);
}

static void find_slot(struct endpoint_op *op);

static void inserted(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0 && ++op->slot_tries < SLOT_TRIES)
        find_slot(op); /* somebody else took it */
    else
        written(op, err, r);
}

/* Any free slot, so that those who come at once seldom want the same one. */
static void slots_known(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    bool taken[SLOTS + 1] = {0};
    int slot = 1 + (int)(random_u64() % SLOTS), n = 0;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    for (size_t i = 0; i < rows_n(r); i++)
        taken[rows_i64(r, i, C_SLOT)] = true;
    for (; n < SLOTS && taken[slot]; n++)
        slot = slot % SLOTS + 1;
    if (n == SLOTS) {
        http_problem(op->x, ERR(INVALID_STATE, NULL),
                     "There are 16 endpoints already; delete one.");
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(op->id),
                             V_TEXT(mode_word(who->live)),
                             V_TEXT(op->url),
                             V_TEXT(op->events.p != NULL ? op->events : STR("*")),
                             V_TEXT(op->description),
                             V_BYTES(op->sealed),
                             V_TIME(now),
                             V_BOOL(str_eq(op->ordered, STR("true"))),
                             V_I32(slot),
                             V_UUID(random_uuid(now)),
                             V_TEXT(str_c(who->actor))};
    store_exec(f->store, Q_endpoint_insert, params, COUNT_OF(params), inserted, op);
}

static void find_slot(struct endpoint_op *op)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    store_read(api_of(op->x)->flow->store, Q_endpoint_list, params, COUNT_OF(params), slots_known,
               op);
}

static void create(struct endpoint_op *op)
{
    struct http_exchange *x = op->x;
    op->id = random_uuid(loop_wall_us(api_of(x)->flow->loop));
    op->status_code = 201;
    op->secret = op->secrets = webhook_secret_make(x->arena);
    if (op->with_pair)
        op->secrets = arena_fmt(x->arena, "%.*s %.*s", STR_ARG(op->secret),
                                STR_ARG(webhook_private_make(x->arena)));
    struct err err = seal_secrets(op, &op->sealed);
    if (err_is(err))
        fail(x, err);
    else
        find_slot(op);
}

void endpoint_create(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op != NULL && read_body(x, op, true))
        look_first(op, create);
}

/* `former`: what `sealed` was made of, so that of two rotations none overwrites the other's. */
static void update(struct endpoint_op *op, struct str sealed, struct str former)
{
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    const char *action =
        op->rotates ? "webhook_endpoint.secret_rotated" : "webhook_endpoint.changed";
    struct value params[] = {
        V_UUID(who->merchant), V_UUID(op->id),           V_TEXT(mode_word(who->live)),
        V_TEXT(op->url),       V_TEXT(op->events),       V_TEXT(op->description),
        V_TEXT(op->status),    V_BYTES(sealed),          V_TIME(now),
        V_TEXT(op->ordered),   V_BYTES(former),          V_UUID(random_uuid(now)),
        V_TEXT(str_c(action)), V_TEXT(str_c(who->actor))};
    op->status_code = 200;
    store_exec(f->store, Q_endpoint_update, params, COUNT_OF(params), written, op);
}

static void change(struct endpoint_op *op)
{
    update(op, STR_NULL, STR_NULL);
}

void endpoint_change(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id) || !read_body(x, op, false))
        return;
    look_first(op, change);
}

/* ---- rotation: the new secret first, the former ones sign along for a while ---- */

static void to_rotate(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    struct http_exchange *x = op->x;
    struct str old, sealed;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err))
        err = vault_open(api_of(x)->flow->vault, "webhook_endpoint.secrets", api_who(x)->merchant,
                         op->id, rows_str(r, 0, C_SECRETS), x->arena, &old);
    if (!err_is(err)) {
        int64_t now_s = loop_wall_us(api_of(x)->flow->loop) / US_PER_S;
        op->secrets = webhook_keys_rotated(x->arena, old, now_s, now_s + op->overlap_us / US_PER_S,
                                           &op->secret);
        err = seal_secrets(op, &sealed);
    }
    if (err_is(err)) {
        fail(x, err);
        return;
    }
    op->rotates = true;
    update(op, sealed, arena_dup(x->arena, rows_str(r, 0, C_SECRETS)));
}

/* {"overlap": "24h"}; the body may be absent. */
static bool read_overlap(struct http_exchange *x, struct endpoint_op *op)
{
    static const char *const names[] = {"overlap", NULL};
    struct str text;
    op->overlap_us = US_PER_DAY;
    if (x->body.n == 0)
        return true;
    struct body_fields b;
    if (!body_open(x, &b))
        return false;
    fields_only(&b.f, names);
    if (fields_text(&b.f, "overlap", OPTIONAL, 1, 16, &text) &&
        (!duration_parse(text, &op->overlap_us) || op->overlap_us > OVERLAP_MAX_US))
        fields_fault(&b.f, "overlap", "format", "A duration such as 24h, at most 7d.");
    return body_close(x, &b);
}

void endpoint_rotate(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id) && read_overlap(x, op))
        get(op, to_rotate);
}

void endpoint_remove(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct endpoint_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    int64_t now = loop_wall_us(api_of(x)->flow->loop);
    op->status_code = 204;
    struct value params[] = {V_UUID(who->merchant),        V_UUID(op->id),
                             V_TEXT(mode_word(who->live)), V_TIME(now),
                             V_UUID(random_uuid(now)),     V_TEXT(str_c(who->actor))};
    store_exec(api_of(x)->flow->store, Q_endpoint_delete, params, COUNT_OF(params), written, op);
}

void endpoint_show(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    op->status_code = 200;
    get(op, shown);
}

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    put_endpoint(l->x, w, r, row, STR_NULL);
    return ERR_OK;
}

static const struct list_kind endpoints = {.put = put_listed};

static void endpoints_listed(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err))
        http_problem(l->x, err, "");
    else
        list_short(l, r, rows_n(r));
}

void endpoint_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &endpoints, NULL);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live))};
    if (l != NULL && list_ok(x, &l->errors))
        store_read(api_of(x)->flow->store, Q_endpoint_list, params, COUNT_OF(params),
                   endpoints_listed, l);
}

/* ---- the merchant's default secret, which signs for callback_url ---- */

static void default_audited(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    (void)r;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    struct buf b;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "webhook_endpoint_default");
    jw_str(&w, "secret", op->secret);
    jw_close(&w);
    api_reply_buf(op->x, 200, &b);
}

static void merchant_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    struct http_exchange *x = op->x;
    const struct principal *who = api_who(x);
    struct flow *f = api_of(x)->flow;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (!err_is(err))
        err = vault_open(f->vault, "merchant.webhook_secret", who->merchant, who->merchant,
                         rows_str(r, 0, 3), x->arena, &op->secret);
    if (err_is(err)) {
        fail(x, err);
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(who->merchant),
                             V_UUID(who->merchant),
                             V_UUID(random_uuid(now)),
                             V_TEXT(mode_word(who->live)),
                             V_TEXT(STR("webhook_secret.shown")),
                             V_TEXT(str_c(who->actor)),
                             V_TEXT(STR_NULL),
                             V_TIME(now)};
    store_exec(f->store, Q_audit_insert, params, COUNT_OF(params), default_audited, op);
}

void endpoint_default(struct http_exchange *x)
{
    struct endpoint_op *op = op_new(x);
    if (op == NULL)
        return;
    struct value params[] = {V_UUID(api_who(x)->merchant)};
    store_read(api_of(x)->flow->store, Q_merchant_get, params, COUNT_OF(params), merchant_loaded,
               op);
}

/* ---- recover: everything that died since a moment is sent once more ---- */

static void recover_answer(struct endpoint_op *op)
{
    struct buf b;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "webhook_recovery");
    jw_i64(&w, "deliveries", op->started);
    jw_bool(&w, "has_more", op->more);
    jw_close(&w);
    api_reply_buf(op->x, 202, &b);
}

static void recover_next(struct endpoint_op *op);

/* Who asks again finds what could not be made now. */
static void recovered_one(void *ctx, struct err err, struct uuid delivery)
{
    struct endpoint_op *op = ctx;
    (void)delivery;
    op->answered++;
    op->started += err_is(err) ? 0 : 1;
    op->more |= err_is(err);
    recover_next(op);
}

static void recover_next(struct endpoint_op *op)
{
    const struct principal *who = api_who(op->x);
    while (op->asked < op->n_again && op->asked - op->answered < RECOVER_AT_ONCE)
        deliver_again(api_of(op->x)->flow, who->merchant, op->again[op->asked++], who->live,
                      recovered_one, op);
    if (op->answered == op->n_again)
        recover_answer(op);
}

static void dead_found(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    size_t n = !err_is(err) ? rows_n(r) : 0;
    op->more = n > RECOVER_MAX;
    op->n_again = op->more ? RECOVER_MAX : n;
    op->again = arena_alloc(op->x->arena, (op->n_again + 1) * sizeof *op->again);
    if (op->again == NULL)
        err = ERR(NO_MEMORY, "recover");
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    for (size_t i = 0; i < op->n_again; i++)
        op->again[i] = rows_uuid(r, i, 0);
    recover_next(op);
}

static void endpoint_there(void *ctx, struct err err, const struct rows *r)
{
    struct endpoint_op *op = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, "endpoint");
    if (!err_is(err) && !str_eq(rows_str(r, 0, C_STATUS), STR("enabled"))) {
        http_problem(op->x, ERR(INVALID_STATE, NULL), "The endpoint is disabled.");
        return;
    }
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    struct uuid until =
        op->until_us < TIME_NEVER ? uuid_v7_floor(op->until_us / US_PER_MS) : UUID_NIL;
    struct value params[] = {V_UUID(api_who(op->x)->merchant), V_UUID(op->id),
                             V_UUID(uuid_v7_floor(op->since_us / US_PER_MS)),
                             V_I64(RECOVER_MAX + 1), V_UUID_OPT(until)};
    store_read(api_of(op->x)->flow->store, Q_delivery_failed, params, COUNT_OF(params), dead_found,
               op);
}

void endpoint_recover(struct http_exchange *x)
{
    static const char *const names[] = {"since", "until", NULL};
    struct endpoint_op *op = op_new(x);
    struct str since, until;
    if (op == NULL || !api_path_id(x, 0, &op->id))
        return;
    struct body_fields b;
    if (!body_open(x, &b))
        return;
    op->until_us = TIME_NEVER;
    fields_only(&b.f, names);
    if (fields_text(&b.f, "since", REQUIRED, 4, 40, &since) && !time_parse(since, &op->since_us))
        fields_fault(&b.f, "since", "format", "A date or time of RFC 3339.");
    if (fields_text(&b.f, "until", OPTIONAL, 4, 40, &until) && !time_parse(until, &op->until_us))
        fields_fault(&b.f, "until", "format", "A date or time of RFC 3339.");
    if (!body_close(x, &b))
        return;
    const struct principal *who = api_who(x);
    struct value params[] = {V_UUID(who->merchant), V_UUID(op->id), V_TEXT(mode_word(who->live))};
    store_read(api_of(x)->flow->store, Q_endpoint_get, params, COUNT_OF(params), endpoint_there,
               op);
}
