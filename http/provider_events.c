/* What providers have called back with: listed, looked into, processed once more. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/flow/callback.h"
#include "http/list.h"

enum { ANSWER_MAX = 1 << 20 };

enum {
    I_ID,
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
    I_SUBJECT,
    I_DEDUPE,
    I_NEXT,
    I_TRIES,
    I_RAW
};

struct inbound_op {
    struct http_exchange *x;
    struct field_errors errors;
    int64_t limit;
    struct uuid id, payment, cursor;
    struct str state;
    struct uuid last_subject, reach, reach_subject; /* nil: none */
    struct str last_dedupe, reach_dedupe;
    bool again;
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
    *op = (struct inbound_op){.x = x, .errors.arena = x->arena, .limit = LIST_LIMIT};
    return op;
}

static void fail(struct http_exchange *x, struct err err)
{
    http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such provider event." : "");
}

/* ---- the list ---- */

static void listed(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    size_t n = rows_n(r);
    bool more = n > (size_t)op->limit;
    struct buf b;
    if (more)
        n = (size_t)op->limit;
    buf_init(&b, ANSWER_MAX);
    struct jsonw w = jw_into(&b);
    list_put_start(&w);
    for (size_t i = 0; i < n; i++) {
        put(&w, r, i);
        jw_close(&w);
    }
    bool short_of = !more && !uuid_is_nil(op->reach);
    list_put_end(&w, more || short_of, more ? rows_uuid(r, n - 1, I_ID) : op->reach);
    api_reply_buf(op->x, 200, &b);
}

static void list(struct inbound_op *op)
{
    const struct principal *who = api_who(op->x);
    struct value params[] = {
        V_UUID(who->merchant),         V_TEXT(mode_word(who->live)), V_TEXT(op->state),
        V_UUID_OPT(op->last_subject),  V_BYTES(op->last_dedupe),     V_I64(op->limit + 1),
        V_UUID_OPT(op->reach_subject), V_BYTES(op->reach_dedupe)};
    store_read(api_of(op->x)->flow->store, Q_callback_list, params, COUNT_OF(params), listed, op);
}

static void list_of_payment(struct inbound_op *op)
{
    const struct principal *who = api_who(op->x);
    struct uuid last = op->payment;
    last.b[15] |= 15; /* attempts are counted there: attempt_id() */
    struct value params[] = {V_UUID(who->merchant),
                             V_TEXT(mode_word(who->live)),
                             V_TEXT(op->state),
                             V_UUID(op->payment),
                             V_UUID_OPT(op->last_subject),
                             V_BYTES(op->last_dedupe),
                             V_I64(op->limit + 1),
                             V_UUID(last)};
    store_read(api_of(op->x)->flow->store, Q_callback_list_of, params, COUNT_OF(params), listed,
               op);
}

static void reach_known(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    if (rows_n(r) > 0) {
        op->reach = rows_uuid(r, 0, 0);
        op->reach_subject = rows_uuid(r, 0, 1);
        op->reach_dedupe = arena_dup(op->x->arena, rows_str(r, 0, 2));
    }
    list(op);
}

static void look(struct inbound_op *op)
{
    struct value params[] = {V_UUID(api_who(op->x)->merchant), V_UUID_OPT(op->last_subject),
                             V_BYTES(op->last_dedupe), V_I64(LIST_LOOK)};
    if (!uuid_is_nil(op->payment))
        list_of_payment(op);
    else if (op->state.p == NULL)
        list(op);
    else
        store_read(api_of(op->x)->flow->store, Q_callback_reach, params, COUNT_OF(params),
                   reach_known, op);
}

/* The cursor is an id; the page begins behind its row, and behind one that is not there is nothing.
 */
static void cursor_known(void *ctx, struct err err, const struct rows *r)
{
    struct inbound_op *op = ctx;
    if (err_is(err)) {
        fail(op->x, err);
        return;
    }
    if (rows_n(r) == 0) {
        listed(op, err, r);
        return;
    }
    op->last_subject = rows_uuid(r, 0, I_SUBJECT);
    op->last_dedupe = arena_dup(op->x->arena, rows_str(r, 0, I_DEDUPE));
    look(op);
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
    if (op == NULL)
        return;
    op->state = http_query(x, STR("status"));
    list_limit(http_query(x, STR("limit")), LIST_LIMIT_MAX, &op->limit, &op->errors);
    list_id(http_query(x, STR("after")), "after", &op->cursor, &op->errors);
    list_id(http_query(x, STR("payment_id")), "payment_id", &op->payment, &op->errors);
    if (op->state.p != NULL && !state_known(op->state))
        field_error(&op->errors, STR("status"), "format", "No such status.");
    if (!list_ok(x, &op->errors))
        return;
    if (!uuid_is_nil(op->cursor))
        find(op, op->cursor, cursor_known);
    else
        look(op);
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
