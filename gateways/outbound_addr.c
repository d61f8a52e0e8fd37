/* The address rules against server-side request forgery: a merchant chooses the URL, we choose
 * where our packets go. Ranges: providers/webhooks-out.md, section 6.4 (IANA special-purpose
 * registries, 2026-11). */
#include "gateways/outbound_addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"

struct range4 {
    uint8_t net[4];
    int bits;
};

static const struct range4 closed4[] = {
    {{0, 0, 0, 0}, 8},       /* this network */
    {{10, 0, 0, 0}, 8},      /* private */
    {{100, 64, 0, 0}, 10},   /* carrier NAT */
    {{127, 0, 0, 0}, 8},     /* loopback */
    {{169, 254, 0, 0}, 16},  /* link-local, cloud metadata */
    {{172, 16, 0, 0}, 12},   /* private */
    {{192, 0, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2, 0}, 24},    /* documentation */
    {{192, 88, 99, 0}, 24},  /* 6to4 relay */
    {{192, 168, 0, 0}, 16},  /* private */
    {{198, 18, 0, 0}, 15},   /* benchmarks */
    {{198, 51, 100, 0}, 24}, /* documentation */
    {{203, 0, 113, 0}, 24},  /* documentation */
    {{224, 0, 0, 0}, 4},     /* multicast */
    {{240, 0, 0, 0}, 4},     /* reserved, broadcast */
};

/* IPv6: only global unicast is open, less what is carved out of it. That refuses ::, ::1, the
 * compatible and mapped forms, NAT64, 100::/64, fc00::/7, fe80::/10 and ff00::/8 without naming
 * them; the forms that carry an IPv4 address are refused whatever they carry. */
struct range6 {
    uint8_t net[6];
    int bits;
};

static const struct range6 open6 = {{0x20}, 3};

static const struct range6 closed6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4 */
    {{0x3f, 0xff}, 20},             /* documentation */
};

static bool in_range(const uint8_t *address, const uint8_t *net, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(address, net, (size_t)whole) != 0)
        return false;
    return rest == 0 || ((address[whole] ^ net[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

bool address_is_public(const struct sockaddr *a)
{
    uint8_t bytes[16];
    if (a->sa_family == AF_INET) {
        memcpy(bytes, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
        for (size_t i = 0; i < COUNT_OF(closed4); i++)
            if (in_range(bytes, closed4[i].net, closed4[i].bits))
                return false;
        return true;
    }
    if (a->sa_family != AF_INET6)
        return false;
    memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
    if (!in_range(bytes, open6.net, open6.bits))
        return false;
    for (size_t i = 0; i < COUNT_OF(closed6); i++)
        if (in_range(bytes, closed6[i].net, closed6[i].bits))
            return false;
    return true;
}

bool address_eq(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
        return x->sin6_port == y->sin6_port &&
               memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
    }
    return false;
}

bool sockaddr_text(const struct sockaddr *a, char out[ADDRESS_TEXT])
{
    if (a->sa_family == AF_INET)
        return inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, out,
                         ADDRESS_TEXT) != NULL;
    if (a->sa_family != AF_INET6)
        return false;
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in6 *in6 = (const void *)a;
    if (inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text) == NULL)
        return false;
    (void)snprintf(out, ADDRESS_TEXT, "[%s]", text);
    return true;
}

bool sockaddr_parse(const char *text, int port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    struct sockaddr_in *in4 = (void *)out;
    struct sockaddr_in6 *in6 = (void *)out;
    if (inet_pton(AF_INET, text, &in4->sin_addr) == 1)
        out->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
        out->ss_family = AF_INET6;
    else
        return false;
    address_set_port(out, port);
    return true;
}

void address_set_port(struct sockaddr_storage *a, int port)
{
    if (a->ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)a)->sin_port = htons((uint16_t)port);
    else if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons((uint16_t)port);
}
