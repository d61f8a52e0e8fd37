#ifndef RELI_HTTP_LIST_H
#define RELI_HTTP_LIST_H

#include "http/server.h"

#include "core/codec/fields.h"
#include "core/codec/jsonw.h"

enum {
    LIST_LIMIT = 20, /* rows of a page, unless told */
    LIST_LIMIT_MAX = 100,
    LIST_LOOK = 4000 /* rows that a page with filters looks at: it may be short and not the last */
};

/* The query of a list (contract.md, section 3). A parameter that is absent (p == NULL) leaves what
 * is there; one that is wrong is added to the errors. `limit` counts rows, 1 to `most`. */
void list_limit(struct str value, int64_t most, int64_t *limit, struct field_errors *e);
void list_id(struct str value, const char *param, struct uuid *id, struct field_errors *e);
/* The id that a time begins with; of the end of a bare date, the one that the day after begins
 * with. */
void list_date(struct str value, const char *param, bool end, struct uuid *id,
               struct field_errors *e);
/* Whether nothing was wrong; if something was, it has been answered. */
bool list_ok(struct http_exchange *x, const struct field_errors *e);

/* {"object":"list","data":[ … ],"has_more":…,"next":…}, contract.md, section 3. */
static inline void list_put_start(struct jsonw *w)
{
    jw_open(w);
    jw_c(w, "object", "list");
    jw_key(w, "data");
    jw_open_list(w);
}

/* `next`: the cursor, when there is more. */
static inline void list_put_end(struct jsonw *w, bool more, struct uuid next)
{
    jw_close_list(w);
    jw_bool(w, "has_more", more);
    if (more)
        jw_uuid(w, "next", next);
    else
        jw_null(w, "next");
    jw_close(w);
}

#endif
