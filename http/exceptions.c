/* The operators' queue: listed, and ended by one person or two. */
#include "http/api.h"

#include "core/flow/resolve.h"
#include "http/list.h"

enum { EXCEPTIONS_BODY = 1 << 20 };

struct listing {
    struct http_exchange *x;
    int64_t limit;
};

static void listed(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    struct buf b;
    struct exception_record rec = {0};
    size_t n = rows_n(r);
    bool more = n > (size_t)l->limit;
    if (more)
        n = (size_t)l->limit;
    buf_init(&b, EXCEPTIONS_BODY);
    struct jsonw w = jw_into(&b);
    list_put_start(&w);
    for (size_t i = 0; i < n; i++) {
        exception_read(r, i, &rec);
        jw_open(&w);
        render_exception(api_of(l->x)->flow, l->x->arena, api_who(l->x)->merchant, &w, &rec);
        jw_close(&w);
    }
    list_put_end(&w, more, more ? rec.id : UUID_NIL);
    api_reply_buf(l->x, 200, &b);
}

void exception_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct field_errors errors = {.arena = x->arena};
    struct listing *l = ARENA_NEW(x->arena, struct listing);
    struct uuid after = UUID_NIL;
    struct str status = http_query(x, STR("status"));
    if (l == NULL) {
        http_problem(x, ERR(NO_MEMORY, "list"), "");
        return;
    }
    *l = (struct listing){x, LIST_LIMIT};
    list_limit(http_query(x, STR("limit")), LIST_LIMIT_MAX, &l->limit, &errors);
    list_id(http_query(x, STR("after")), "after", &after, &errors);
    if (status.p != NULL && !str_eq(status, STR("open")) && !str_eq(status, STR("assigned")) &&
        !str_eq(status, STR("resolved")))
        field_error(&errors, STR("status"), "format", "open, assigned or resolved.");
    if (!list_ok(x, &errors))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(status),
                             V_UUID_OPT(after), V_I64(l->limit + 1)};
    store_read(api_of(x)->flow->store, Q_exception_list, params, COUNT_OF(params), listed, l);
}

static void resolved(void *ctx, struct err err, const char *detail,
                     const struct exception_record *rec)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        http_problem(x, err, detail);
        return;
    }
    struct buf b;
    buf_init(&b, EXCEPTIONS_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_exception(api_of(x)->flow, x->arena, api_who(x)->merchant, &w, rec);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

void exception_resolve(struct http_exchange *x)
{
    static const char *const names[] = {"resolution", "evidence", "provider_receipt", NULL};
    const struct principal *who = api_who(x);
    struct resolve_input in = {
        .merchant = who->merchant, .live = who->live, .actor = str_c(who->actor)};
    struct body_fields b;
    struct str s;
    if (!api_path_id(x, 0, &in.item) || !body_open(x, &b))
        return;
    fields_only(&b.f, names);
    if (fields_text(&b.f, "resolution", REQUIRED, 1, 16, &s) &&
        !resolution_parse(s, &in.resolution))
        fields_fault(&b.f, "resolution", "format", "noted, completed, failed, kept or returned.");
    if (fields_text(&b.f, "evidence", REQUIRED, 3, 500, &s))
        in.evidence = arena_dup(x->arena, s);
    if (fields_text(&b.f, "provider_receipt", OPTIONAL, 1, 64, &s))
        in.receipt = arena_dup(x->arena, s);
    if (body_close(x, &b))
        exception_resolve_start(api_of(x)->flow, &in, resolved, x);
}
