/* What was refused to whom, listed. Callers who are not known belong to the platform merchant, so
 * that its staff see them, and nobody else's. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "http/list.h"

enum { E_ID, E_KIND, E_ADDRESS, E_ACTOR, E_ROUTE, E_DETAIL, E_TIMES, E_CREATED, E_LAST };

static struct err put(struct listing *l, struct jsonw *w, const struct rows *r, size_t i)
{
    (void)l;
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
    return ERR_OK;
}

static const struct list_kind events = {
    .queries = LIST_QUERIES(security_list),
    .filters = "kind date_from date_to",
    .id = E_ID,
    .reach = Q_security_reach,
    .reach_newer = Q_security_reach_newer,
    .put = put,
};

void security_index(struct http_exchange *x)
{
    struct listing *l = list_new(x, &events, NULL);
    struct str word = http_query(x, STR("kind"));
    enum security_kind kind;
    if (l == NULL)
        return;
    list_dates(l);
    if (word.p != NULL && !security_parse(word, &kind))
        field_error(&l->errors, STR("kind"), "format", "No such kind.");
    l->filtered = word.p != NULL;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_TEXT(word)};
    list_run(l, params, COUNT_OF(params));
}
