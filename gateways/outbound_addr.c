/* The address rules against server-side request forgery: a merchant chooses the URL, we choose
 * where our packets go. Ranges: providers/webhooks-out.md, section 6.4 (IANA special-purpose
 * registries, 2026-11). */
#include "gateways/outbound_addr.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/address.h"
#include "core/base/attr.h"

#define V4(a, b, c, d, bits_)                                                  \
    {                                                                          \
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}, 96 + (bits_) \
    }

static const struct cidr closed4[] = {
    V4(0, 0, 0, 0, 8),       /* this network */
    V4(10, 0, 0, 0, 8),      /* private */
    V4(100, 64, 0, 0, 10),   /* carrier NAT */
    V4(127, 0, 0, 0, 8),     /* loopback */
    V4(169, 254, 0, 0, 16),  /* link-local, cloud metadata */
    V4(172, 16, 0, 0, 12),   /* private */
    V4(192, 0, 0, 0, 24),    /* protocol assignments */
    V4(192, 0, 2, 0, 24),    /* documentation */
    V4(192, 88, 99, 0, 24),  /* 6to4 relay */
    V4(192, 168, 0, 0, 16),  /* private */
    V4(198, 18, 0, 0, 15),   /* benchmarks */
    V4(198, 51, 100, 0, 24), /* documentation */
    V4(203, 0, 113, 0, 24),  /* documentation */
    V4(224, 0, 0, 0, 4),     /* multicast */
    V4(240, 0, 0, 0, 4),     /* reserved, broadcast */
};

/* IPv6: only global unicast is open, less what is carved out of it. That refuses ::, ::1, the
 * compatible and mapped forms, NAT64, 100::/64, fc00::/7, fe80::/10 and ff00::/8 without naming
 * them; the forms that carry an IPv4 address are refused whatever they carry. */
static const struct cidr open6 = {{{0x20}}, 3};

static const struct cidr closed6[] = {
    {{{0x20, 0x01, 0x00, 0x00}}, 23}, /* protocol assignments: Teredo, ORCHID, benchmarks */
    {{{0x20, 0x01, 0x0d, 0xb8}}, 32}, /* documentation */
    {{{0x20, 0x02}}, 16},             /* 6to4 */
    {{{0x3f, 0xff}}, 20},             /* documentation */
};

/* False for other families. An IPv6 socket address that carries an IPv4 one gives the same bytes as
 * the latter: who must tell them apart looks at the family. */
static bool address_of(const struct sockaddr *a, struct address *out)
{
    if (a->sa_family == AF_INET) {
        uint8_t v4[4];
        memcpy(v4, &((const struct sockaddr_in *)(const void *)a)->sin_addr, sizeof v4);
        *out = address_of_v4(v4);
        return true;
    }
    if (a->sa_family != AF_INET6)
        return false;
    memcpy(out->b, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, sizeof out->b);
    return true;
}

static in_port_t port_of(const struct sockaddr *a)
{
    return a->sa_family == AF_INET ? ((const struct sockaddr_in *)(const void *)a)->sin_port
                                   : ((const struct sockaddr_in6 *)(const void *)a)->sin6_port;
}

static bool in_any(const struct cidr *list, size_t n, const struct address *a)
{
    for (size_t i = 0; i < n; i++)
        if (cidr_has(&list[i], a))
            return true;
    return false;
}

bool sockaddr_is_public(const struct sockaddr *a)
{
    struct address address;
    if (!address_of(a, &address))
        return false;
    if (a->sa_family == AF_INET)
        return !in_any(closed4, COUNT_OF(closed4), &address);
    return cidr_has(&open6, &address) && !in_any(closed6, COUNT_OF(closed6), &address);
}

bool sockaddr_eq(const struct sockaddr *a, const struct sockaddr *b)
{
    struct address x, y;
    return a->sa_family == b->sa_family && address_of(a, &x) && address_of(b, &y) &&
           memcmp(&x, &y, sizeof x) == 0 && port_of(a) == port_of(b);
}

bool sockaddr_text(const struct sockaddr *a, char out[SOCKADDR_TEXT])
{
    struct address address;
    char text[ADDRESS_TEXT];
    if (!address_of(a, &address))
        return false;
    address_text(&address, text);
    if (a->sa_family == AF_INET)
        (void)snprintf(out, SOCKADDR_TEXT, "%s", text);
    else
        (void)snprintf(out, SOCKADDR_TEXT, "[%s%s]", address_is_v4(&address) ? "::ffff:" : "",
                       text);
    return true;
}

bool sockaddr_parse(const char *text, int port, struct sockaddr_storage *out)
{
    struct address address;
    memset(out, 0, sizeof *out);
    if (!address_parse(str_c(text), &address))
        return false;
    if (strchr(text, ':') == NULL) {
        out->ss_family = AF_INET;
        memcpy(&((struct sockaddr_in *)(void *)out)->sin_addr, address.b + 12, 4);
    } else {
        out->ss_family = AF_INET6;
        memcpy(&((struct sockaddr_in6 *)(void *)out)->sin6_addr, address.b, sizeof address.b);
    }
    sockaddr_set_port(out, port);
    return true;
}

void sockaddr_set_port(struct sockaddr_storage *a, int port)
{
    if (a->ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)a)->sin_port = htons((uint16_t)port);
    else if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons((uint16_t)port);
}
