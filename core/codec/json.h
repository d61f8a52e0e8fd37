#ifndef RELI_CODEC_JSON_H
#define RELI_CODEC_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* JSON in. A parsed document is a tree of borrowed `struct json`, alive until json_free of its
 * root. Every getter takes NULL and a value of another kind, and then answers "absent". */
struct json;

enum { JSON_MAX_DEPTH = 32, JSON_NUMBER_TEXT = 48 };

enum json_kind {
    JSON_ABSENT,
    JSON_KIND_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_REAL_,
    JSON_STR,
    JSON_ARR,
    JSON_OBJ
};

/* Once, before the first parse: keys the hash tables against flooding. */
void json_seed(uint32_t seed);

/* RFC 8259, one object or array and nothing after it; refuses duplicate members, NUL, invalid
 * UTF-8, numbers out of range, more than JSON_MAX_DEPTH levels. ERR_INVALID_JSON, whose `what` may
 * be shown to the client; `where` (may be NULL) is then the byte offset of the fault. */
struct err json_parse(struct str text, struct json **out, size_t *where) MUST_USE;
void json_free(struct json *root);

enum json_kind json_kind(const struct json *j);
const struct json *json_get(const struct json *obj, const char *name);
/* Follows a path of names, NULL at its end: json_path(j, "Body", "stkCallback", NULL). */
const struct json *json_path(const struct json *j, ...) __attribute__((sentinel));
struct str json_str(const struct json *j);
bool json_i64(const struct json *j, int64_t *out) MUST_USE;
bool json_bool(const struct json *j, bool *out) MUST_USE;
size_t json_n(const struct json *arr);
const struct json *json_at(const struct json *arr, size_t i);

/* The decimal text of a number, or of a string that holds one; STR_NULL if `j` is neither or the
 * number is a real that 15 significant digits do not tell apart. The one place where a double is
 * looked at. Providers that send ids as numbers or strings are read with it too. */
struct str json_number_text(const struct json *j, char out[JSON_NUMBER_TEXT]);

/* The members of an object, in the order of the text. */
struct json_iter {
    void *at;
    const struct json *obj;
    struct str name;
    const struct json *value;
};
bool json_next(const struct json *obj, struct json_iter *it);

/* Appends the value as compact JSON with sorted members: equal values, equal bytes. */
void json_canonical(const struct json *j, struct buf *out);

/* The bytes of member `name` at the top level of the object in `text`, which json_parse has
 * accepted; STR_NULL if absent. */
struct str json_member_bytes(struct str text, struct str name);
/* Appends JSON text without the white space between its tokens. The text must be valid. */
void json_compact(struct str text, struct buf *out);

#endif
