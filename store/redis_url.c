/* The address of Redis, as an operator writes it. Strict, because a misread address would show only
 * as a Redis that is never there. */
#include "store/redis_url.h"

#include <string.h>

enum { DB_MAX = 65535, SECRET_MAX = 512 };

static struct err parse_tcp(struct str rest, struct redis_target *t);
static struct err parse_unix(struct str rest, struct redis_target *t);
static bool decode(struct str s, char *out, size_t cap, size_t *n);
static bool parse_number(struct str s, int64_t min, int64_t max, int64_t *out);

struct err redis_target_parse(const char *url, struct redis_target *out)
{
    struct str s = str_c(url);
    memset(out, 0, sizeof *out);
    struct err err = ERR(CONFIG, "a Redis address starts with redis:// or unix://");
    if (str_starts(s, STR("redis://")))
        err = parse_tcp(str_from(s, STR("redis://").n), out);
    else if (str_starts(s, STR("unix://")))
        err = parse_unix(str_from(s, STR("unix://").n), out);
    if (err_is(err))
        redis_target_free(out);
    return err;
}

void redis_target_free(struct redis_target *t)
{
    secret_free(&t->password);
    memset(t, 0, sizeof *t);
}

/* Everything up to the last '@' are credentials. A password without a user is ":password". */
static struct err parse_login(struct str *rest, struct redis_target *t)
{
    size_t at = SIZE_MAX;
    for (size_t i = str_find(*rest, '@', 0); i != SIZE_MAX; i = str_find(*rest, '@', i + 1))
        at = i;
    if (at == SIZE_MAX)
        return ERR_OK;
    struct str login = str_first(*rest, at);
    *rest = str_from(*rest, at + 1);
    size_t colon = str_find(login, ':', 0), n;
    if (colon == SIZE_MAX)
        return ERR(CONFIG, "a Redis address has user and password parted by a colon");
    if (!decode(str_first(login, colon), t->user, sizeof t->user, &n))
        return ERR(CONFIG, "the user in the Redis address is malformed");
    char password[SECRET_MAX];
    struct err err = ERR(CONFIG, "the password in the Redis address is malformed");
    if (decode(str_from(login, colon + 1), password, sizeof password, &n) && n > 0)
        err = secret_set(&t->password, str_n(password, n));
    explicit_bzero(password, sizeof password);
    return err;
}

static bool good_host(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && strchr(".-_:%", s.p[i]) == NULL)
            return false;
    return s.n > 0 && s.n <= REDIS_HOST_MAX;
}

static struct err parse_tcp(struct str rest, struct redis_target *t)
{
    TRY(parse_login(&rest, t));
    size_t slash = str_find(rest, '/', 0);
    struct str place = str_first(rest, slash);
    if (slash != SIZE_MAX && slash + 1 < rest.n) {
        int64_t db;
        if (!parse_number(str_from(rest, slash + 1), 0, DB_MAX, &db))
            return ERR(CONFIG, "the database in the Redis address is no number");
        t->db = (int)db;
    }
    struct str host = place, port = STR("6379");
    if (str_starts(place, STR("["))) {
        size_t end = str_find(place, ']', 0);
        if (end == SIZE_MAX || (end + 1 < place.n && place.p[end + 1] != ':'))
            return ERR(CONFIG, "the host in the Redis address is malformed");
        host = str_n(place.p + 1, end - 1);
        if (end + 1 < place.n)
            port = str_from(place, end + 2);
    } else {
        size_t colon = str_find(place, ':', 0);
        host = str_first(place, colon);
        if (colon != SIZE_MAX)
            port = str_from(place, colon + 1);
    }
    int64_t number;
    if (!parse_number(port, 1, 65535, &number))
        return ERR(CONFIG, "the port in the Redis address is no port");
    if (!good_host(host))
        return ERR(CONFIG, "the host in the Redis address is malformed");
    str_copy_c(t->host, sizeof t->host, host);
    str_copy_c(t->port, sizeof t->port, port);
    return ERR_OK;
}

static struct err parse_unix(struct str rest, struct redis_target *t)
{
    t->is_unix = true;
    size_t query = str_find(rest, '?', 0), n;
    if (query != SIZE_MAX) {
        struct str args = str_from(rest, query + 1);
        int64_t db;
        if (!str_starts(args, STR("db=")) || !parse_number(str_from(args, 3), 0, DB_MAX, &db))
            return ERR(CONFIG, "the Redis address takes ?db= and a number");
        t->db = (int)db;
    }
    /* hiredis copies no more than fits and forgets the NUL: the limit is ours to hold */
    if (!decode(str_first(rest, query), t->host, REDIS_PATH_MAX + 1, &n) || n == 0)
        return ERR(CONFIG, "the path in the Redis address is malformed or longer than 107 bytes");
    return ERR_OK;
}

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding to a C string; NUL cannot be part of one. */
static bool decode(struct str s, char *out, size_t cap, size_t *n)
{
    size_t to = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return false;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        if (c == '\0' || to + 1 >= cap)
            return false;
        out[to++] = c;
    }
    out[to] = '\0';
    *n = to;
    return true;
}

static bool parse_number(struct str s, int64_t min, int64_t max, int64_t *out)
{
    return s.n <= 5 && str_is_digits(s) && str_to_i64(s, out) && *out >= min && *out <= max;
}
