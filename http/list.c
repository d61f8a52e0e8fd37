/* What the lists of the API have in common. */
#include "http/list.h"

void list_limit(struct str value, int64_t most, int64_t *limit, struct field_errors *e)
{
    if (value.p == NULL || (str_to_i64(value, limit) && *limit >= 1 && *limit <= most))
        return;
    struct str range = arena_fmt(e->arena, "1 to %lld.", (long long)most);
    field_error(e, STR("limit"), "format", range.p != NULL ? range.p : "Too many.");
}

void list_id(struct str value, const char *param, struct uuid *id, struct field_errors *e)
{
    if (value.p != NULL && !uuid_parse(value, id))
        field_error(e, str_c(param), "format", "Not an id.");
}

bool list_ok(struct http_exchange *x, const struct field_errors *e)
{
    if (e->n == 0)
        return true;
    http_problem_fields(x, ERR(VALIDATION, NULL), "Some parameters are wrong.", e);
    return false; /* they may have been the exchange's, and gone with it */
}
