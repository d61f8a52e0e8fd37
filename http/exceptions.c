/* The operators' queue: listed, and ended by one person or two. */
#include "http/api.h"

#include "core/flow/resolve.h"
#include "http/list.h"

enum { EXCEPTIONS_BODY = 1 << 20 };

static struct err put(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    struct http_exchange *x = l->x;
    struct exception_record rec = {0};
    exception_read(r, row, &rec);
    jw_open(w);
    render_exception(api_of(x)->flow, x->arena, api_who(x)->merchant, w, &rec);
    jw_close(w);
    return ERR_OK;
}

static const struct list_kind exceptions = {
    .queries = LIST_QUERIES(exception_list),
    .filters = "status",
    .reach = Q_exception_reach,
    .reach_newer = Q_exception_reach_newer,
    .put = put,
};

void exception_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &exceptions, NULL);
    struct str status = http_query(x, STR("status"));
    if (l == NULL)
        return;
    if (status.p != NULL && !str_eq(status, STR("open")) && !str_eq(status, STR("assigned")) &&
        !str_eq(status, STR("resolved")))
        field_error(&l->errors, STR("status"), "format", "open, assigned or resolved.");
    l->filtered = status.p != NULL;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_TEXT(status)};
    list_run(l, params, COUNT_OF(params));
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
    struct resolve_input in = {.merchant = who->merchant,
                               .live = who->live,
                               .actor = str_c(who->actor),
                               .person = str_c(who->person)};
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
