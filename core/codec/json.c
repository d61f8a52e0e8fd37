/* JSON in, by jansson, behind a scan of the nesting depth. */
#include "core/codec/json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* struct json is json_t under a name of ours: no other file sees jansson. */
static const json_t *in(const struct json *j)
{
    return (const json_t *)(const void *)j;
}

static const struct json *out_of(const json_t *j)
{
    return (const struct json *)(const void *)j;
}

void json_seed(uint32_t seed)
{
    json_object_seed(seed | 1);
}

static bool too_deep(struct str text, size_t *where)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_MAX_DEPTH) {
                *where = i;
                return true;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

/* What is JSON by the letter, and refused all the same, is not called anything else. */
static const char *fault_of(enum json_error_code code)
{
    switch (code) {
    case json_error_duplicate_key:
        return "The same member twice";
    case json_error_numeric_overflow:
        return "A number out of range";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "The character U+0000";
    default:
        return "Not valid JSON";
    }
}

struct err json_parse(struct str text, struct json **out, size_t *where)
{
    size_t ignored;
    if (where == NULL)
        where = &ignored;
    *where = 0;
    *out = NULL;
    if (text.n == 0)
        return ERR(INVALID_JSON, "Not valid JSON");
    if (too_deep(text, where))
        return ERR(INVALID_JSON, "More than 32 levels");
    json_error_t e;
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &e);
    if (root == NULL) {
        *where = e.position > 0 ? (size_t)e.position : 0;
        return ERR_D(INVALID_JSON, json_error_code(&e), fault_of(json_error_code(&e)));
    }
    *out = (struct json *)(void *)root;
    return ERR_OK;
}

void json_free(struct json *root)
{
    if (root != NULL)
        json_decref((json_t *)(void *)root);
}

enum json_kind json_kind(const struct json *j)
{
    if (j == NULL)
        return JSON_ABSENT;
    switch (json_typeof(in(j))) {
    case JSON_OBJECT:
        return JSON_OBJ;
    case JSON_ARRAY:
        return JSON_ARR;
    case JSON_STRING:
        return JSON_STR;
    case JSON_INTEGER:
        return JSON_INT;
    case JSON_REAL:
        return JSON_REAL_;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return JSON_KIND_NULL;
}

const struct json *json_get(const struct json *obj, const char *name)
{
    return json_kind(obj) == JSON_OBJ ? out_of(json_object_get(in(obj), name)) : NULL;
}

const struct json *json_path(const struct json *j, ...)
{
    va_list args;
    va_start(args, j);
    const char *name;
    while (j != NULL && (name = va_arg(args, const char *)) != NULL)
        j = json_get(j, name);
    va_end(args);
    return j;
}

struct str json_str(const struct json *j)
{
    if (json_kind(j) != JSON_STR)
        return STR_NULL;
    return str_n(json_string_value(in(j)), json_string_length(in(j)));
}

bool json_i64(const struct json *j, int64_t *out)
{
    if (json_kind(j) != JSON_INT)
        return false;
    *out = json_integer_value(in(j));
    return true;
}

bool json_bool(const struct json *j, bool *out)
{
    if (json_kind(j) != JSON_BOOL)
        return false;
    *out = json_is_true(in(j));
    return true;
}

size_t json_n(const struct json *arr)
{
    return json_kind(arr) == JSON_ARR ? json_array_size(in(arr)) : 0;
}

const struct json *json_at(const struct json *arr, size_t i)
{
    return json_kind(arr) == JSON_ARR ? out_of(json_array_get(in(arr), i)) : NULL;
}

struct str json_number_text(const struct json *j, char out[JSON_NUMBER_TEXT])
{
    int n;
    double real;
    switch (json_kind(j)) {
    case JSON_STR:
        return json_str(j);
    case JSON_INT:
        n = snprintf(out, JSON_NUMBER_TEXT, "%lld", (long long)json_integer_value(in(j)));
        return str_n(out, (size_t)n);
    case JSON_REAL_:
        real = json_real_value(in(j));
        n = snprintf(out, JSON_NUMBER_TEXT, "%.15g", real);
        if (strtod(out, NULL) != real) // NOLINT: equality is the point
            return STR_NULL;
        return str_n(out, (size_t)n);
    default:
        return STR_NULL;
    }
}

bool json_next(const struct json *obj, struct json_iter *it)
{
    if (json_kind(obj) != JSON_OBJ)
        return false;
    json_t *o = (json_t *)(void *)in(obj); /* jansson's iterators take no const */
    it->at = it->obj == NULL ? json_object_iter(o) : json_object_iter_next(o, it->at);
    it->obj = obj;
    if (it->at == NULL)
        return false;
    it->name = str_c(json_object_iter_key(it->at));
    it->value = out_of(json_object_iter_value(it->at));
    return true;
}

static int append(const char *p, size_t n, void *ctx)
{
    buf_add(ctx, p, n);
    return 0;
}

void json_canonical(const struct json *j, struct buf *out)
{
    if (json_dump_callback(in(j), append, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) !=
        0)
        out->failed = true;
}

/* ---- walking over text that is known to be valid ---- */

static size_t skip_blank(struct str t, size_t i)
{
    while (i < t.n && (t.p[i] == ' ' || t.p[i] == '\t' || t.p[i] == '\n' || t.p[i] == '\r'))
        i++;
    return i;
}

static size_t skip_string(struct str t, size_t i)
{
    for (i++; i < t.n && t.p[i] != '"'; i++)
        if (t.p[i] == '\\')
            i++;
    return i < t.n ? i + 1 : t.n;
}

static size_t skip_value(struct str t, size_t i)
{
    int depth = 0;
    while (i < t.n) {
        char c = t.p[i];
        if (c == '"') {
            i = skip_string(t, i);
            if (depth == 0)
                return i;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']') {
            if (depth == 0)
                return i;
            if (--depth == 0)
                return i + 1;
        }
        if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            return i;
        i++;
    }
    return i;
}

/* The ASCII character that an escape stands for; 0 if it is none of those. `*i` goes past it. */
static char unescape(struct str raw, size_t *i)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = raw.p[++*i];
    ++*i;
    if (c != 'u') {
        const char *at = strchr(from, c);
        return at != NULL ? to[at - from] : '\0';
    }
    int v = 0;
    for (size_t end = *i + 4; *i < end && *i < raw.n; ++*i) {
        char d = ascii_lower(raw.p[*i]);
        v = v * 16 + (ascii_is_digit(d) ? d - '0' : d - 'a' + 10);
    }
    return v < 0x80 ? (char)v : '\0';
}

/* Whether the raw key, which may have escapes, is the ASCII `name`. */
static bool key_is(struct str raw, struct str name)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.n; n++) {
        char c = raw.p[i] == '\\' ? unescape(raw, &i) : raw.p[i++];
        if (n == name.n || c != name.p[n])
            return false;
    }
    return n == name.n;
}

struct str json_member_bytes(struct str text, struct str name)
{
    size_t i = skip_blank(text, 0);
    if (i >= text.n || text.p[i] != '{')
        return STR_NULL;
    for (i = skip_blank(text, i + 1); i < text.n && text.p[i] == '"'; i = skip_blank(text, i)) {
        size_t end = skip_string(text, i);
        struct str key = str_n(text.p + i + 1, end - i - 2);
        i = skip_blank(text, skip_blank(text, end) + 1); /* over the colon */
        size_t value = i;
        i = skip_value(text, i);
        if (key_is(key, name))
            return str_n(text.p + value, i - value);
        i = skip_blank(text, i);
        if (i < text.n && text.p[i] == ',')
            i++;
    }
    return STR_NULL;
}

void json_compact(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n;) {
        if (text.p[i] == '"') {
            size_t end = skip_string(text, i);
            buf_add(out, text.p + i, end - i);
            i = end;
        } else {
            if (skip_blank(text, i) == i)
                buf_char(out, text.p[i]);
            i++;
        }
    }
}
