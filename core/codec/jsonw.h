#ifndef RELI_CODEC_JSONW_H
#define RELI_CODEC_JSONW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/money.h"
#include "core/base/str.h"
#include "core/base/uuid.h"

/* JSON out: appends to a buffer, puts the commas, escapes. The order of calls is the document.
 *
 *     jw_open(w); jw_str(w, "id", id);
 *     jw_key(w, "data"); jw_open_list(w); … jw_close_list(w); jw_close(w);
 *
 * A NULL name writes a bare value (a list's item). Strings must be valid UTF-8. */
struct jsonw {
    struct buf *b;
    bool comma; /* a value was written at this level */
};

static inline struct jsonw jw_into(struct buf *b)
{
    return (struct jsonw){.b = b};
}

void jw_key(struct jsonw *w, const char *name);
void jw_open(struct jsonw *w);
void jw_close(struct jsonw *w);
void jw_open_list(struct jsonw *w);
void jw_close_list(struct jsonw *w);

/* STR_NULL (p == NULL) is written as null. */
void jw_str(struct jsonw *w, const char *name, struct str s);
void jw_c(struct jsonw *w, const char *name, const char *c);
void jw_i64(struct jsonw *w, const char *name, int64_t v);
void jw_bool(struct jsonw *w, const char *name, bool v);
void jw_null(struct jsonw *w, const char *name);
/* A list of the words of `words`, which are separated by commas. */
void jw_words(struct jsonw *w, const char *name, struct str words);
void jw_uuid(struct jsonw *w, const char *name, struct uuid u);
/* RFC 3339 with milliseconds; null when `wall_us` is 0 or TIME_NEVER. */
void jw_time(struct jsonw *w, const char *name, int64_t wall_us);
/* A string with the currency's decimals. */
void jw_money(struct jsonw *w, const char *name, struct money m);
/* Text that is JSON already; null when empty. */
void jw_raw(struct jsonw *w, const char *name, struct str json);

/* A quoted, escaped string without comma handling. */
void json_quote(struct buf *b, struct str s);

#endif
