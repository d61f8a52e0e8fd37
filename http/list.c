/* What the lists of the API have in common: one way to ask for a part of them, and one to answer.
 * A page by number costs a count before it, of 10 001 rows at most. A page by cursor costs nothing
 * else, unless its filters have no index: then it is first looked up how far it may look. */
#include "http/list.h"

#include "core/base/times.h"

enum { PAGE_MAX = 1000000, LIST_BYTES = 8 << 20, NAME_SHOWN = 64 };

/* ---- what is asked for ---- */

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

enum { P_LIMIT, P_AFTER, P_BEFORE, P_PAGE, P_FILTER };

/* The number of a parameter that the list has; -1: it has none of that name. */
static int parameter_of(const struct list_kind *kind, struct str name)
{
    static const char all[] = "limit after before page", onwards[] = "limit after";
    struct str rest = str_c(kind->onwards_only ? onwards : all), word;
    for (int i = P_LIMIT; str_split(&rest, ' ', &word); i++)
        if (str_eq(word, name))
            return i;
    rest = kind->filters != NULL ? str_c(kind->filters) : STR_NULL;
    for (int i = P_FILTER; str_split(&rest, ' ', &word); i++)
        if (str_eq(word, name))
            return i;
    return -1;
}

/* So much of a name as is shown, of whole characters. */
static struct str shown(struct str name)
{
    size_t n = NAME_SHOWN;
    if (name.n <= n)
        return name;
    while (n > 0 && ((uint8_t)name.p[n] & 0xc0) == 0x80)
        n--;
    return str_first(name, n);
}

static void read_one(struct listing *l, struct str name, struct str value)
{
    int parameter = parameter_of(l->kind, name);
    uint32_t bit = parameter >= 0 ? 1u << parameter : 0;
    if (parameter < 0) {
        field_error(&l->errors, shown(name), "unknown", "No such parameter.");
    } else if ((l->given & bit) != 0) {
        field_error(&l->errors, name, "duplicate", "Given twice.");
    } else if (parameter == P_LIMIT) {
        list_limit(value, LIST_LIMIT_MAX, &l->limit, &l->errors);
    } else if (parameter == P_AFTER || parameter == P_BEFORE) {
        l->cursor = value;
        l->back = parameter == P_BEFORE;
    } else if (parameter == P_PAGE) {
        if (!str_to_i64(value, &l->page) || l->page < 1 || l->page > PAGE_MAX)
            field_error(&l->errors, name, "format", "1 to 1000000.");
    }
    l->given |= bit;
}

struct listing *list_new(struct http_exchange *x, const struct list_kind *kind, void *ctx)
{
    struct listing *l = ARENA_NEW(x->arena, struct listing);
    struct str name, value;
    size_t at = 0;
    if (l == NULL) {
        http_problem(x, ERR(NO_MEMORY, "list"), "");
        return NULL;
    }
    *l = (struct listing){.x = x,
                          .kind = kind,
                          .ctx = ctx,
                          .errors.arena = x->arena,
                          .queries = kind->queries,
                          .limit = LIST_LIMIT,
                          .n_key = 1,
                          .first = {V_UUID(UUID_NIL)},
                          .end = {V_UUID(UUID_MOST)}};
    while (http_query_next(x, &at, &name, &value))
        read_one(l, name, value);
    if (l->page != 0 && l->cursor.p != NULL)
        field_error(&l->errors, STR("page"), "format", "Send page or a cursor, not both.");
    return l;
}

void list_bad_cursor(struct listing *l)
{
    field_error(&l->errors, l->back ? STR("before") : STR("after"), "format",
                "Not a cursor; send `next` of a page, or the id of what is listed.");
}

/* Of ids whichever leaves less. */
static void begin_at(struct listing *l, const struct value *key)
{
    if (l->kind->by_key || uuid_cmp(key->u.uuid, l->first->u.uuid) > 0)
        memcpy(l->first, key, l->n_key * sizeof *key);
}

static void end_before(struct listing *l, const struct value *key)
{
    if (l->kind->by_key || uuid_cmp(key->u.uuid, l->end->u.uuid) < 0)
        memcpy(l->end, key, l->n_key * sizeof *key);
}

void list_dates(struct listing *l)
{
    struct uuid from = UUID_NIL, until = l->end->u.uuid;
    list_date(http_query(l->x, STR("date_from")), "date_from", false, &from, &l->errors);
    list_date(http_query(l->x, STR("date_to")), "date_to", true, &until, &l->errors);
    begin_at(l, &V_UUID(from));
    end_before(l, &V_UUID(until));
}

void list_only(struct listing *l, struct uuid id)
{
    begin_at(l, &V_UUID(id));
    end_before(l, &V_UUID(uuid_next(id)));
}

void list_between(struct listing *l, const struct value *first, const struct value *end, size_t n)
{
    l->n_key = n;
    begin_at(l, first);
    end_before(l, end);
}

void list_past(struct listing *l, const struct value *at, const struct value *behind)
{
    if (l->back == l->kind->rising)
        end_before(l, at);
    else
        begin_at(l, behind);
}

/* ---- answering ---- */

static struct str cursor_of(const struct listing *l, const struct rows *r, size_t row,
                            char out[LIST_CURSOR])
{
    if (l->kind->cursor != NULL)
        l->kind->cursor(r, row, out);
    else
        uuid_text(rows_uuid(r, row, l->kind->id), out);
    return str_c(out);
}

/* The rows at `at`, in this order; NULL: as they come. */
static void answer(struct listing *l, const struct rows *r, const size_t *at, size_t n, bool more,
                   struct str next)
{
    struct err err = ERR_OK;
    struct buf b;
    buf_init(&b, LIST_BYTES);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "list");
    jw_key(&w, "data");
    jw_open_list(&w);
    for (size_t i = 0; i < n && !err_is(err); i++)
        err = l->kind->put(l, &w, r, at != NULL ? at[i] : i);
    jw_close_list(&w);
    jw_bool(&w, "has_more", more);
    jw_str(&w, "next", more || l->kind->goes_on ? next : STR_NULL);
    if (l->page != 0) {
        jw_i64(&w, "page", l->page);
        jw_i64(&w, "total", l->total < LIST_TOTAL_MAX ? l->total : LIST_TOTAL_MAX);
        jw_bool(&w, "total_is_capped", l->total > LIST_TOTAL_MAX);
    }
    jw_close(&w);
    if (err_is(err)) {
        buf_free(&b);
        http_problem(l->x, err, "");
        return;
    }
    api_reply_buf(l->x, 200, &b);
}

void list_give(struct listing *l, const struct rows *r, size_t n, bool more, struct str next)
{
    answer(l, r, NULL, n, more, next);
}

void list_none(struct listing *l)
{
    if (list_ok(l->x, &l->errors))
        answer(l, NULL, NULL, 0, false, STR_NULL);
}

static bool begins_item(const struct listing *l, const struct rows *r, size_t row)
{
    int id = l->kind->id;
    return row == 0 || !l->kind->joined ||
           !uuid_eq(rows_uuid(r, row, id), rows_uuid(r, row - 1, id));
}

static void rows_read_(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    size_t at[LIST_LIMIT_MAX + 1], n = 0, limit = (size_t)l->limit;
    char cursor[LIST_CURSOR];
    struct str next = l->reached;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    for (size_t row = 0; row < rows_n(r) && n <= limit; row++)
        if (begins_item(l, r, row))
            at[n++] = row;
    bool more = n > limit;
    if (more)
        n = limit;
    if (n > 0 && (more || l->reached.p == NULL))
        next = cursor_of(l, r, at[n - 1], cursor);
    for (size_t i = 0; l->back && i < n / 2; i++) {
        size_t other = at[i];
        at[i] = at[n - 1 - i];
        at[n - 1 - i] = other;
    }
    answer(l, r, at, n, more || l->reached.p != NULL, next);
}

/* ---- asking ---- */

static struct store *store_of(const struct listing *l)
{
    return api_of(l->x)->flow->store;
}

/* Behind the first `n` parameters the part, the last of them included if it has an offset. */
static void ask(struct listing *l, enum query query, size_t n, int64_t limit, int64_t offset,
                store_rows_fn *done)
{
    struct value params[LIST_PARAMS];
    memcpy(params, l->params, n * sizeof *params);
    for (size_t i = 0; i < l->n_key; i++, n++)
        params[n] = l->first[i];
    for (size_t i = 0; i < l->n_key; i++, n++)
        params[n] = l->end[i];
    params[n++] = V_I64(limit);
    if (offset >= 0)
        params[n++] = V_I64(offset);
    store_read(store_of(l), query, params, n, done, l);
}

static void read_rows(struct listing *l)
{
    ask(l, l->back ? l->queries.newer : l->queries.onwards, l->n_params, l->limit + 1,
        l->page != 0 ? (l->page - 1) * l->limit : 0, rows_read_);
}

static void counted(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    l->total = rows_i64(r, 0, 0);
    if (l->total <= LIST_TOTAL_MAX && l->total <= (l->page - 1) * l->limit)
        list_none(l);
    else
        read_rows(l);
}

static void reach_known(void *ctx, struct err err, const struct rows *r)
{
    struct listing *l = ctx;
    const struct list_kind *kind = l->kind;
    if (err_is(err)) {
        http_problem(l->x, err, "");
        return;
    }
    if (rows_n(r) > 0) {
        struct value at[2], behind[2];
        char text[LIST_CURSOR];
        l->reached = arena_dup(l->x->arena, cursor_of(l, r, 0, text));
        at[0] = V_UUID(rows_uuid(r, 0, kind->id));
        behind[0] = V_UUID(uuid_next(at->u.uuid));
        if (kind->key != NULL)
            kind->key(l, r, 0, at, behind);
        if (l->back)
            end_before(l, behind);
        else
            begin_at(l, at);
    }
    read_rows(l);
}

void list_run(struct listing *l, const struct value *params, size_t n_params)
{
    struct uuid id;
    ASSERT(n_params + 2 * l->n_key + 2 <= LIST_PARAMS);
    memcpy(l->params, params, n_params * sizeof *params);
    l->n_params = n_params;
    if (l->cursor.p != NULL && !l->kind->by_key) {
        if (uuid_parse(l->cursor, &id))
            list_past(l, &V_UUID(id), &V_UUID(uuid_next(id)));
        else
            list_bad_cursor(l);
    }
    if (!list_ok(l->x, &l->errors))
        return;
    if (l->page != 0)
        ask(l, l->queries.count, n_params, LIST_TOTAL_MAX + 1, 0, counted);
    else if (l->filtered)
        ask(l, l->back ? l->kind->reach_newer : l->kind->reach, 1, LIST_LOOK, -1, reach_known);
    else
        read_rows(l);
}

/* ---- short ones ---- */

void list_short(struct listing *l, const struct rows *r, size_t n)
{
    size_t at[LIST_LIMIT_MAX], limit = (size_t)l->limit, from = 0, to = n, i = 0;
    char cursor[LIST_CURSOR];
    l->total = (int64_t)n;
    if (l->page != 0 && (size_t)(l->page - 1) * limit < n)
        from = (size_t)(l->page - 1) * limit;
    else if (l->page != 0)
        from = n;
    struct uuid id;
    while (l->cursor.p != NULL && i < n && !str_eq(l->cursor, cursor_of(l, r, i, cursor)))
        i++;
    bool lost = l->cursor.p != NULL && i == n; /* it may have been there once */
    if (lost && (l->kind->cursor != NULL || !uuid_parse(l->cursor, &id)))
        list_bad_cursor(l);
    if (!list_ok(l->x, &l->errors))
        return;
    if (lost) {
        list_none(l);
        return;
    }
    if (l->cursor.p != NULL && l->back)
        from = i > limit ? i - limit : 0, to = i;
    else if (l->cursor.p != NULL)
        from = i + 1;
    if (to - from > limit)
        to = from + limit;
    for (i = from; i < to; i++)
        at[i - from] = i;
    bool more = l->back ? from > 0 : to < n;
    answer(l, r, at, to - from, more,
           more && to > from ? cursor_of(l, r, l->back ? from : to - 1, cursor) : STR_NULL);
}
