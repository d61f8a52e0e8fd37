/* What the lists of the API have in common. */
#include "http/list.h"

#include "core/base/times.h"

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

void list_date(struct str value, const char *param, bool end, struct uuid *id,
               struct field_errors *e)
{
    int64_t us = 0;
    if (value.p == NULL)
        return;
    if (!time_parse(value, &us)) {
        field_error(e, str_c(param), "format", "Not a date or time of RFC 3339.");
        return;
    }
    if (end && value.n == 10)
        us += US_PER_DAY; /* a bare date means its whole day */
    *id = uuid_v7_floor(us / US_PER_MS);
}

bool list_ok(struct http_exchange *x, const struct field_errors *e)
{
    if (e->n == 0)
        return true;
    http_problem_fields(x, ERR(VALIDATION, NULL), "Some parameters are wrong.", e);
    return false; /* they may have been the exchange's, and gone with it */
}
