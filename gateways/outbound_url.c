/* URLs are taken apart by the parser that will connect: two parsers that disagree are the classic
 * way around an address check. */
#include "gateways/outbound_url.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gateways/outbound.h"
#include "gateways/outbound_addr.h"

enum { URL_MAX = 2048, HOST_MAX = 253 };

/* Ports that a merchant's endpoint may have. */
static const int public_ports[] = {443, 8443};

static bool plain_text(struct str url)
{
    size_t host = str_find_str(url, STR("://"));
    if (url.n > URL_MAX || host == SIZE_MAX || host + 3 >= url.n)
        return false;
    if (url.p[host + 3] == '/') /* libcurl takes three slashes for two */
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~' || url.p[i] == '\\')
            return false;
    return true;
}

/* Letters, digits and ".-_", or what an IPv6 literal has, without a zone. */
static bool plain_host(struct str host, bool *is_v6)
{
    *is_v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (*is_v6)
        host = str_n(host.p + 1, host.n - 2);
    if (host.n == 0 || host.n > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool dotted = ascii_is_digit(c) || ascii_is_alpha(c) || c == '.' || c == '-' || c == '_';
        if (*is_v6 ? !dotted && c != ':' : !dotted)
            return false;
    }
    return true;
}

static bool part_is_absent(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    CURLUcode rc = curl_url_get(u, part, &text, 0);
    curl_free(text);
    return rc == CURLUE_NO_USER || rc == CURLUE_NO_PASSWORD || rc == CURLUE_NO_OPTIONS ||
           rc == CURLUE_NO_FRAGMENT || rc == CURLUE_NO_ZONEID;
}

static struct err parts_take(CURLU *u, struct arena *mem, struct url_parts *out)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    struct err err = ERR(INVALID, "URL: scheme, host or port");
    int64_t number = 0;
    bool v6 = false;
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
        plain_host(str_c(host), &v6) && str_to_i64(str_c(port), &number) && number > 0 &&
        number < 65536) {
        struct str bare = str_c(host);
        struct str copy = arena_dup(mem, v6 ? str_n(bare.p + 1, bare.n - 2) : bare);
        for (size_t i = 0; i < copy.n; i++)
            ((char *)(uintptr_t)copy.p)[i] = ascii_lower(copy.p[i]);
        *out = (struct url_parts){strcmp(scheme, "https") == 0, (int)number, copy.p};
        err = copy.p != NULL ? ERR_OK : ERR(NO_MEMORY, "arena");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return err;
}

struct err url_read(struct str url, struct arena *mem, struct url_parts *out)
{
    char text[URL_MAX + 1];
    if (!plain_text(url))
        return ERR(INVALID, "URL: empty, too long or not printable");
    str_copy_c(text, sizeof text, url);
    CURLU *u = curl_url();
    if (u == NULL)
        return ERR(NO_MEMORY, "curl_url");
    struct err err = ERR_OK;
    if (curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        err = ERR(INVALID, "URL: syntax");
    else if (!part_is_absent(u, CURLUPART_USER) || !part_is_absent(u, CURLUPART_PASSWORD) ||
             !part_is_absent(u, CURLUPART_OPTIONS) || !part_is_absent(u, CURLUPART_FRAGMENT) ||
             !part_is_absent(u, CURLUPART_ZONEID))
        err = ERR(INVALID, "URL: user-info, fragment or zone");
    else
        err = parts_take(u, mem, out);
    curl_url_cleanup(u);
    return err;
}

/* ---- lately ---- */

enum { BOOK_PAGES = 256 };

/* One URL; the texts stand behind it. */
struct url_page {
    struct url_parts parts;
    struct str text;
};

struct url_book {
    struct url_page *pages[BOOK_PAGES]; /* where a URL would stand; NULL: none yet */
};

struct url_book *url_book_new(void)
{
    return calloc(1, sizeof(struct url_book));
}

static void page_free(struct url_page *p)
{
    if (p == NULL)
        return;
    explicit_bzero((char *)(uintptr_t)p->text.p, p->text.n); /* a path may be a secret */
    free(p);
}

void url_book_free(struct url_book *b)
{
    for (size_t i = 0; b != NULL && i < BOOK_PAGES; i++)
        page_free(b->pages[i]);
    free(b);
}

static struct url_page *page_new(struct str text, const struct url_parts *parts)
{
    size_t host = strlen(parts->host) + 1;
    struct url_page *p = malloc(sizeof *p + text.n + host);
    if (p == NULL)
        return NULL;
    char *to = memcpy((char *)(p + 1), text.p, text.n);
    p->text = str_n(to, text.n);
    p->parts = *parts;
    p->parts.host = memcpy(to + text.n, parts->host, host);
    return p;
}

static struct url_page **place_of(struct url_book *b, struct str url)
{
    uint32_t h = 0x811c9dc5u;
    for (size_t i = 0; i < url.n; i++)
        h = (h ^ (uint8_t)url.p[i]) * 0x01000193u;
    return &b->pages[h % BOOK_PAGES];
}

struct err url_book_read(struct url_book *b, struct str url, struct arena *mem,
                         struct url_parts *out)
{
    struct url_page **place = place_of(b, url);
    if (*place != NULL && str_eq((*place)->text, url)) {
        *out = (*place)->parts;
        out->host = arena_dup(mem, str_c(out->host)).p;
        return out->host != NULL ? ERR_OK : ERR(NO_MEMORY, "arena");
    }
    TRY(url_read(url, mem, out));
    page_free(*place);
    *place = page_new(url, out); /* NULL: it is read again */
    return ERR_OK;
}

/* ---- public ones ---- */

static bool under(struct str host, struct str suffix)
{
    return str_eq(host, suffix) || (str_ends(host, suffix) && host.p[host.n - suffix.n - 1] == '.');
}

/* Names that mean this machine or this network wherever they are asked for (RFC 6761, 6762, 8375),
 * that have no dot, or that end in a number: some library will take the latter for an address. All
 * of these are found out when they resolve, too; here the merchant is told at once. */
static bool public_name(struct str host)
{
    static const char *const closed[] = {"localhost", "local", "internal", "home.arpa", "onion"};
    if (str_ends(host, STR(".")))
        host.n--;
    size_t last = host.n;
    while (last > 0 && host.p[last - 1] != '.')
        last--;
    struct str label = str_from(host, last);
    bool number = str_is_digits(label) || str_starts(label, STR("0x"));
    for (size_t i = 0; i < COUNT_OF(closed); i++)
        if (under(host, str_c(closed[i])))
            return false;
    return last > 1 && label.n > 0 && !number;
}

bool url_is_public(const struct url_parts *u)
{
    struct sockaddr_storage literal;
    bool port_ok = false;
    for (size_t i = 0; i < COUNT_OF(public_ports); i++)
        port_ok |= u->port == public_ports[i];
    return u->https && port_ok &&
           (!sockaddr_parse(u->host, u->port, &literal) ||
            sockaddr_is_public((const struct sockaddr *)&literal));
}

bool outbound_url_ok(struct str url, bool allow_private)
{
    struct arena mem;
    struct url_parts parts;
    struct sockaddr_storage literal;
    arena_init(&mem, 1024);
    bool ok = !err_is(url_read(url, &mem, &parts));
    if (ok && !allow_private)
        ok = url_is_public(&parts) &&
             (sockaddr_parse(parts.host, parts.port, &literal) || public_name(str_c(parts.host)));
    arena_free(&mem);
    return ok;
}
