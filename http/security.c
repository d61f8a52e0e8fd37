/* What was refused to whom, listed. Callers who are not known belong to the platform merchant, so
 * that its staff see them, and nobody else's. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "http/list.h"

enum { EVENTS_BODY = 256 * 1024 };

enum { E_ID, E_KIND, E_ADDRESS, E_ACTOR, E_ROUTE, E_DETAIL, E_TIMES, E_CREATED, E_LAST };

struct listing {
    struct http_exchange *x;
    struct field_errors errors;
    int64_t limit;
    struct str kind;
    struct uuid cursor; /* nil: none */
    struct uuid from, until;
};

static void put(struct jsonw *w, const struct rows *r, size_t i)
{
    jw_open(w);
    jw_uuid(w, "id", rows_uuid(r, i, E_ID));
    jw_c(w, "object", "security_event");
    jw_str(w, "kind", rows_str(r, i, E_KIND));
    jw_str(w, "address", rows_str(r, i, E_ADDRESS));
    jw_str(w, "actor", rows_str(r, i, E_ACTOR));
    jw_str(w, "route", rows_str(r, i, E_ROUTE));
    jw_str(w, "detail", rows_str(r, i, E_DETAIL));
    jw_i64(w, "count", rows_i64(r, i, E_TIMES));
    jw_time(w, "created_at", rows_time(r, i, E_CREATED));
    jw_time(w, "last_at", rows_time(r, i, E_LAST));
    jw_close(w);
}

static void listed(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    struct buf b;
    size_t n = rows_n(r);
    bool more = n > (size_t)l->limit;
    if (more)
        n = (size_t)l->limit;
    buf_init(&b, EVENTS_BODY);
    struct jsonw w = jw_into(&b);
    list_put_start(&w);
    for (size_t i = 0; i < n; i++)
        put(&w, r, i);
    list_put_end(&w, more, more ? rows_uuid(r, n - 1, E_ID) : UUID_NIL);
    api_reply_buf(l->x, 200, &b);
}

void security_index(struct http_exchange *x)
{
    struct listing *l = ARENA_NEW(x->arena, struct listing);
    enum security_kind kind;
    if (l == NULL) {
        http_problem(x, ERR(NO_MEMORY, "list"), "");
        return;
    }
    l->x = x;
    l->errors.arena = x->arena;
    l->limit = LIST_LIMIT;
    l->kind = http_query(x, STR("kind"));
    list_limit(http_query(x, STR("limit")), LIST_LIMIT_MAX, &l->limit, &l->errors);
    list_id(http_query(x, STR("after")), "after", &l->cursor, &l->errors);
    if (l->kind.p != NULL && !security_parse(l->kind, &kind))
        field_error(&l->errors, STR("kind"), "format", "No such kind.");
    list_date(http_query(x, STR("date_from")), "date_from", false, &l->from, &l->errors);
    list_date(http_query(x, STR("date_to")), "date_to", true, &l->until, &l->errors);
    if (!list_ok(x, &l->errors))
        return;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_TEXT(l->kind),
                             V_UUID_OPT(l->from),          V_UUID_OPT(l->until),
                             V_UUID_OPT(l->cursor),        V_I64(l->limit + 1)};
    store_read(api_of(x)->flow->store, Q_security_list, params, COUNT_OF(params), listed, l);
}
