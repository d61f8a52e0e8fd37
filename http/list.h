#ifndef RELI_HTTP_LIST_H
#define RELI_HTTP_LIST_H

#include "core/codec/jsonw.h"

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
