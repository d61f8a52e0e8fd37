/* Percent-decoding. See percent.h. */
#include "http/percent.h"

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    char l = ascii_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool percent_decode(struct arena *a, struct str s, bool form, struct str *out)
{
    *out = s;
    if (s.n == 0 || (memchr(s.p, '%', s.n) == NULL && !(form && memchr(s.p, '+', s.n) != NULL)))
        return utf8_valid(s);
    char *to = arena_alloc(a, s.n);
    if (to == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+' && form) {
            c = ' ';
        } else if (c == '%') {
            int high = s.n - i > 2 ? hex_digit(s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? hex_digit(s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(unsigned char)(high * 16 + low);
            i += 2;
        }
        to[n++] = c;
    }
    *out = str_n(to, n);
    return utf8_valid(*out);
}
