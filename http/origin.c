/* Which web pages may use the API from a browser. */
#include "http/origin.h"

static bool host_ok(struct str host)
{
    bool six = str_starts(host, STR("[")) && str_ends(host, STR("]")) && host.n > 3;
    if (six)
        host = str_n(host.p + 1, host.n - 2);
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool plain = ascii_is_digit(c) || (c >= 'a' && c <= 'z');
        if (!plain && !(six ? c == ':' : c == '.' || c == '-' || c == '_'))
            return false;
    }
    return host.n > 0;
}

static bool port_ok(struct str port, bool https)
{
    int64_t n;
    return port.n <= 5 && str_is_digits(port) && port.p[0] != '0' && str_to_i64(port, &n) &&
           n <= 65535 && n != (https ? 443 : 80);
}

bool origin_ok(struct str origin)
{
    bool https = str_starts(origin, STR("https://"));
    if (!https && !str_starts(origin, STR("http://")))
        return false;
    struct str host = str_from(origin, https ? 8 : 7);
    size_t bracket = str_find(host, ']', 0), colon;
    colon = str_find(host, ':', bracket == SIZE_MAX ? 0 : bracket);
    if (colon == SIZE_MAX)
        return host_ok(host);
    return host_ok(str_first(host, colon)) && port_ok(str_from(host, colon + 1), https);
}

struct str origin_of(struct str url)
{
    size_t host = str_find_str(url, STR("://"));
    return host == SIZE_MAX ? STR_NULL : str_first(url, str_find(url, '/', host + 3));
}

bool origin_in(struct str list, struct str origin)
{
    struct str one;
    while (origin.n > 0 && str_split(&list, ',', &one))
        if (str_eq(str_trim(one), origin))
            return true;
    return false;
}
