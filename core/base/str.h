#ifndef RELI_BASE_STR_H
#define RELI_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/attr.h"

/* Borrowed bytes, not NUL-terminated. A zero struct str means "absent". */
struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){("" lit), sizeof(lit) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_n(const char *p, size_t n)
{
    return (struct str){p, n};
}

static inline struct str str_c(const char *c)
{
    return (struct str){c, c != NULL ? strlen(c) : 0};
}

/* STR_NULL for "", too. */
static inline struct str str_c_opt(const char *c)
{
    return c != NULL && c[0] != '\0' ? str_c(c) : STR_NULL;
}

static inline bool str_empty(struct str s)
{
    return s.n == 0;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static inline struct str str_from(struct str s, size_t from)
{
    if (from >= s.n)
        return (struct str){s.p != NULL ? s.p + s.n : NULL, 0};
    return (struct str){s.p + from, s.n - from};
}

static inline struct str str_first(struct str s, size_t n)
{
    return (struct str){s.p, n < s.n ? n : s.n};
}

/* ASCII case is ignored. */
bool str_ieq(struct str a, struct str b);
/* Whether `needle` occurs in `s`, ASCII case ignored. */
bool str_icontains(struct str s, struct str needle);
/* Index of `c` at or after `from`; SIZE_MAX if absent. */
size_t str_find(struct str s, char c, size_t from);
/* Index of the first `needle`; SIZE_MAX if absent. */
size_t str_find_str(struct str s, struct str needle);
/* Without blanks, tabs, CR and LF at both ends. */
struct str str_trim(struct str s);
/* Takes the part before the next `sep` off `*rest`; false when `*rest` is used up (p == NULL). */
bool str_split(struct str *rest, char sep, struct str *part);
/* All of `s` as a decimal integer, optional minus sign; false on anything else or overflow. */
bool str_to_i64(struct str s, int64_t *out);
bool str_is_digits(struct str s);
bool str_is_printable_ascii(struct str s);
/* Copies as a C string, truncated to at most cap - 1 bytes between two UTF-8 characters; returns
 * `dst`. */
char *str_copy_c(char *dst, size_t cap, struct str s);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) without NUL. */
bool utf8_valid(struct str s);
/* Number of code points of valid UTF-8. */
size_t utf8_count(struct str s);

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

#endif
