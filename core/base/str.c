/* Borrowed strings: the few operations that the standard library has only for C strings. */
#include "core/base/str.h"

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

bool str_icontains(struct str s, struct str needle)
{
    if (needle.n == 0)
        return true;
    if (needle.n > s.n)
        return false;
    const char lower = ascii_lower(needle.p[0]), upper = ascii_upper(needle.p[0]);
    const char *end = s.p + (s.n - needle.n) + 1;
    for (const char *at = s.p; at < end; at++) {
        const char *a = memchr(at, lower, (size_t)(end - at));
        const char *b = lower == upper ? NULL : memchr(at, upper, (size_t)((a ? a : end) - at));
        at = b != NULL ? b : a;
        if (at == NULL)
            return false;
        if (str_ieq(str_n(at, needle.n), needle))
            return true;
    }
    return false;
}

size_t str_find(struct str s, char c, size_t from)
{
    if (from >= s.n)
        return SIZE_MAX;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit != NULL ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t str_find_str(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *hit = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : SIZE_MAX;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char sep, struct str *part)
{
    if (rest->p == NULL)
        return false;
    size_t at = str_find(*rest, sep, 0);
    if (at == SIZE_MAX) {
        *part = *rest;
        *rest = STR_NULL;
        return true;
    }
    *part = str_first(*rest, at);
    *rest = str_from(*rest, at + 1);
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool neg = s.n > 0 && s.p[0] == '-';
    size_t i = neg ? 1 : 0;
    if (i == s.n)
        return false;
    int64_t v = 0; /* built as a negative number, whose range is the larger one */
    for (; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.p[i] - '0', &v))
            return false;
    }
    if (!neg && v == INT64_MIN)
        return false;
    *out = neg ? v : -v;
    return true;
}

bool str_is_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]))
            return false;
    return s.n > 0;
}

bool str_is_printable_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return true;
}

char *str_copy_c(char *dst, size_t cap, struct str s)
{
    size_t n = s.n < cap - 1 ? s.n : cap - 1;
    for (int back = 0; back < 3 && n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80;
         back++)
        n--; /* not in the middle of a character */
    if (n > 0)
        memcpy(dst, s.p, n);
    dst[n] = '\0';
    return dst;
}

/* Length of the well-formed sequence at `p` (at most `n` bytes are there); 0 if there is none. */
static size_t utf8_step(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return c != 0 ? 1 : 0;
    size_t len = c >= 0xc2 && c <= 0xdf   ? 2
                 : (c & 0xf0) == 0xe0     ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (len == 0 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
               (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : len;
}

bool utf8_valid(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        size_t step = utf8_step(p + i, s.n - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t utf8_count(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.n; i++)
        count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return count;
}
