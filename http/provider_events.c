/* What providers have called back with: listed, looked into, processed once more. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/flow/callback.h"
#include "http/list.h"

enum { ANSWER_MAX = 1 << 20 };

enum {
    I_ID,
    I_SUBJECT,
    I_DEDUPE,
    I_PROVIDER,
    I_KIND,
    I_STATE,
    I_REASON,
    I_PAYMENT,
    I_ATTEMPT,
    I_PEER,
    I_IP_OK,
    I_CREATED,
    I_UPDATED,
    I_NEXT,
    I_TRIES,
    I_RAW
};

struct inbound_op {
    struct http_exchange *x;
    struct uuid id;
    bool again;
    struct listing *l; /* of the list */
    struct uuid payment;
    struct str state;
};

/* Leaves the object open. A payment's id is that of the account for news that are nobody's yet. */
static void put(struct jsonw *w, const struct rows *r, size_t i)
{
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, I_ID));
    jw_c(w, "object", "provider_event");
    jw_str(w, "provider", rows_str(r, i, I_PROVIDER));
    jw_str(w, "kind", rows_str(r, i, I_KIND).n > 0 ? rows_str(r, i, I_KIND) : STR_NULL);
    jw_str(w, "status", rows_str(r, i, I_STATE));
    jw_str(w, "reason", rows_str(r, i, I_REASON));
    jw_uuid(w, "subject_id", rows_uuid(r, i, I_PAYMENT));
    jw_i64(w, "attempt", rows_i64(r, i, I_ATTEMPT));
    jw_str(w, "peer", rows_str(r, i, I_PEER));
    jw_bool(w, "address_ok", rows_bool(r, i, I_IP_OK));
    jw_i64(w, "tries", rows_i64(r, i, I_TRIES));
    jw_time(w, "next_at", rows_time(r, i, I_NEXT));
    jw_time(w, "created_at", rows_time(r, i, I_CREATED));
    jw_time(w, "updated_at", rows_time(r, i, I_UPDATED));
}

static struct inbound_op *op_new(struct http_exchange *x)
{
    struct inbound_op *op = ARENA_NEW(x->arena, struct inbound_op);
    if (op == NULL) {
        http_problem(x, ERR(NO_MEMORY, "provider event"), "");
        return NULL;
    }
    *op = (struct inbound_op){.x = x};
    return op;
}

static void fail(struct http_exchange *x, struct err err)
{
    http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such provider event." : "");
}

/* ---- the list ---- */

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    (void)l;
    put(w, r, row);
    jw_close(w);
    return ERR_OK;
}

/* Of equal subjects the next has a key that is longer by a NUL. */
static void key_of(struct listing *l, const struct rows *r, size_t row, struct value *at,
                   struct value *behind)
{
    struct str key = rows_str(r, row, I_DEDUPE);
    char *longer = arena_alloc(l->x->arena, key.n + 1);
    ASSERT(longer != NULL || key.n == 0);
    memcpy(longer, key.p, key.n);
    longer[key.n] = '\0';
    at[0] = behind[0] = V_UUID(rows_uuid(r, row, I_SUBJECT));
    at[1] = V_BYTES(str_n(longer, key.n));
    behind[1] = V_BYTES(str_n(longer, key.n + 1));
}

static const struct list_kind inbound = {
    .queries = LIST_QUERIES(callback_list),
    .filters = "status payment_id",
    .id = I_ID,
    .by_key = true,
    .reach = Q_callback_reach,
    .reach_newer = Q_callback_reach_newer,
    .put = put_listed,
    .key = key_of,
};

static void list(struct inbound_op *op)
{
    const struct principal *who = api_who(op->x);
    struct uuid last = op->payment;
    bool all = uuid_is_nil(op->payment);
    last.b[15] |= 15; /* attempts are counted there: attempt_id() */
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(op->state),
                             V_UUID(op->payment), V_UUID(last)};
    op->l->filtered = all && op->state.p != NULL;
    if (!all)
        op->l->queries = (struct list_queries)LIST_QUERIES(callback_list_of);
    list_run(op->l, params, all ? COUNT_OF(params) - 2 : COUNT_OF(params));
}

/* The cursor is an id; the page begins behind its row, and behind one that is not there is nothing.
 */
static void cursor_known(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    if (err_is(err)) {
        fail(op->x, err);
    } else if (rows_n(r) == 0) {
        list_none(op->l);
    } else {
        struct value at[2], behind[2];
        key_of(op->l, r, 0, at, behind);
        list_past(op->l, at, behind);
        list(op);
    }
}

static void find(struct inbound_op *op, struct uuid id, store_rows_fn *done)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_UUID(id)};
    store_read(api_of(op->x)->flow->store, Q_callback_show, params, COUNT_OF(params), done, op);
}

static bool state_known(struct str word)
{
    static const char *const states[] = {"received", "verified", "processed", "ignored",
                                         "retry",    "dead",     "rejected"};
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (str_eq(word, str_c(states[i])))
            return true;
    return false;
}

void inbound_index(struct http_exchange *x)
{
    struct inbound_op *op = op_new(x);
    struct listing *l = op != NULL ? list_new(x, &inbound, op) : NULL;
    struct uuid cursor;
    if (l == NULL)
        return;
    op->l = l;
    op->state = http_query(x, STR("status"));
    list_id(http_query(x, STR("payment_id")), "payment_id", &op->payment, &l->errors);
    if (op->state.p != NULL && !state_known(op->state))
        field_error(&l->errors, STR("status"), "format", "No such status.");
    struct value first[] = {V_UUID(UUID_NIL), V_BYTES(STR(""))};
    struct value end[] = {V_UUID(UUID_MOST), V_BYTES(STR(""))};
    list_between(l, first, end, COUNT_OF(end));
    if (l->cursor.p == NULL) {
        list(op);
    } else if (uuid_parse(l->cursor, &cursor)) {
        find(op, cursor, cursor_known);
    } else {
        list_bad_cursor(l);
        list(op);
    }
}

/* ---- one ---- */

static void put_body(struct inbound_op *op, struct jsonw *w, const struct rows *r)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    bool there =
        callback_shown(api_of(op->x)->flow, api_who(op->x)->merchant, op->id,
                       rows_str(r, 0, I_PROVIDER), rows_str(r, 0, I_RAW), op->x->arena, &b);
    jw_str(w, "body", there ? buf_view(&b) : STR_NULL);
    buf_free(&b);
}

static void shown(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    struct buf b;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    put(&w, r, 0);
    put_body(op, &w, r);
    jw_close(&w);
    api_reply_buf(op->x, op->again ? 202 : 200, &b);
}

void inbound_show(struct http_exchange *x)
{
    struct inbound_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id))
        find(op, op->id, shown);
}

/* ---- once more ---- */

static void queued(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    if (err_is(err)) {
        fail(op->x, err);
    } else if (rows_n(r) == 0) {
        http_problem(op->x, ERR(INVALID_STATE, NULL),
                     "It has been processed, is about to be, or has been erased.");
    } else {
        op->again = true;
        find(op, op->id, shown);
    }
}

static void to_replay(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    const struct principal *who = api_who(op->x);
    struct flow *f = api_of(op->x)->flow;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    callback_again(f, who->merchant, rows_uuid(r, 0, I_SUBJECT), rows_str(r, 0, I_DEDUPE),
                   str_c(who->actor), queued, op);
}

void inbound_replay(struct http_exchange *x)
{
    struct inbound_op *op = op_new(x);
    if (op != NULL && api_path_id(x, 0, &op->id))
        find(op, op->id, to_replay);
}
