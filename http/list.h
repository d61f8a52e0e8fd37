#ifndef RELI_HTTP_LIST_H
#define RELI_HTTP_LIST_H

#include "http/api.h"

#include "core/codec/fields.h"
#include "core/codec/jsonw.h"

/* The lists of the API (contract.md, section 3): `limit`, and `page` with a total, or a cursor,
 * `after` or `before`. Handlers say what there is to list (struct list_kind), add their filters and
 * let it run:
 *
 *     struct listing *l = list_new(x, &things, ctx);
 *     if (l == NULL)
 *         return;
 *     … = http_query(x, STR("status")); field_error(&l->errors, …);
 *     list_run(l, params, COUNT_OF(params));
 */
enum {
    LIST_LIMIT = 20, /* rows of a page, unless told */
    LIST_LIMIT_MAX = 100,
    LIST_TOTAL_MAX = 10000, /* counted exactly */
    LIST_LOOK = 4000, /* rows that a page with filters looks at: it may be short and not the last */
    LIST_PARAMS = 24, /* of a statement */
    LIST_CURSOR = 64, /* text of a cursor, with its NUL */
};

/* The statements of a file of sql/list (scripts/lists.sh). */
struct list_queries {
    enum query onwards, newer, count;
};
#define LIST_QUERIES(name)                           \
    {                                                \
        Q_##name, Q_##name##_newer, Q_##name##_count \
    }

struct listing;

struct list_kind {
    /* The statement; its last parameters are the part that is asked for: the first key, what
     * follows the last, int8 limit, int8 offset. */
    struct list_queries queries;
    const char *filters; /* parameters of its own, by spaces; NULL: none */
    int id; /* column of a row's id: what a cursor is. Rows of one id are one item, if `joined` */
    bool joined;
    bool by_key;  /* keys and cursors are the handler's (list_between, list_past), not the id */
    bool rising;  /* the oldest are first */
    bool goes_on; /* `next` is given on the last page too: it is where to look for what comes */
    bool onwards_only; /* neither `before` nor `page` */
    /* How far a page looks if list.filtered; its first columns are those of the list. */
    enum query reach, reach_newer;
    struct err (*put)(struct listing *l, struct jsonw *w, const struct rows *r, size_t row);
    /* The key of a row and the one that follows it, if by_key and there is a reach. */
    void (*key)(struct listing *l, const struct rows *r, size_t row, struct value *at,
                struct value *behind);
    /* The cursor of a row, if it is not the id. */
    void (*cursor)(const struct rows *r, size_t row, char out[LIST_CURSOR]);
};

/* A list that is asked for; in the exchange's arena. */
struct listing {
    struct http_exchange *x;
    const struct list_kind *kind;
    void *ctx; /* the handler's */
    struct field_errors errors;
    struct list_queries queries; /* the kind's, unless the handler names others */
    int64_t limit, page;         /* page 0: by cursor */
    bool back;                   /* what is before the cursor */
    struct str cursor;           /* p == NULL: none */
    bool filtered;               /* by what has no index */
    /* The rest is list.c's. */
    uint32_t given; /* a bit for each parameter */
    struct value params[LIST_PARAMS];
    size_t n_params, n_key;
    struct value first[2], end[2]; /* of the keys */
    struct str reached;            /* cursor of the last that is looked at; p == NULL: all are */
    int64_t total;
};

/* Reads what all lists have. NULL: answered. Errors of parameters are answered by list_run. */
struct listing *list_new(struct http_exchange *x, const struct list_kind *kind, void *ctx);
/* Only what was made at or after date_from and before, or on, date_to: parameters of those names.
 */
void list_dates(struct listing *l);
/* Only this one. */
void list_only(struct listing *l, struct uuid id);
/* Of a list by_key: its keys lie between these, `n` values each; and what a cursor means, by its
 * key and the one that follows that. */
void list_between(struct listing *l, const struct value *first, const struct value *end, size_t n);
void list_past(struct listing *l, const struct value *at, const struct value *behind);
void list_bad_cursor(struct listing *l);
/* Answers, by and by; `params` are the statement's but for the part. */
void list_run(struct listing *l, const struct value *params, size_t n_params);
/* Answers with none. */
void list_none(struct listing *l);
/* Answers with the first n rows; `next` is where the following page begins. */
void list_give(struct listing *l, const struct rows *r, size_t n, bool more, struct str next);
/* Answers with a part of what is short enough to be known whole: n rows (or, if r is NULL, whatever
 * else `put` and `cursor` know by number). */
void list_short(struct listing *l, const struct rows *r, size_t n);

/* Parameters of requests that are not lists, but parts of one. A parameter that is absent
 * (p == NULL) leaves what is there; one that is wrong is added to the errors. */
void list_limit(struct str value, int64_t most, int64_t *limit, struct field_errors *e);
void list_id(struct str value, const char *param, struct uuid *id, struct field_errors *e);
/* The id that a time begins with; of the end of a bare date, the one that the day after begins
 * with. */
void list_date(struct str value, const char *param, bool end, struct uuid *id,
               struct field_errors *e);
/* Whether nothing was wrong; if something was, it has been answered. */
bool list_ok(struct http_exchange *x, const struct field_errors *e);
#endif
