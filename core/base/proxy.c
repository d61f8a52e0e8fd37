/* The PROXY protocol, read to the letter: a header that could be read in two ways is refused, since
 * it decides whose limits and allow-lists apply. */
#include "core/base/proxy.h"

enum { V1_MAX = 107, V2_HEAD = 16, V4_LEN = 12, V6_LEN = 36, UNIX_LEN = 216 };

#define V1_PREFIX STR("PROXY ")
#define V2_SIGNATURE STR("\r\n\r\n\0\r\nQUIT\n")

static enum proxy_status parse_v1(struct str bytes, struct proxy_header *out);
static enum proxy_status parse_v2(struct str bytes, struct proxy_header *out);

/* Whether the bytes begin like `prefix`, as far as they go. */
static bool begins(struct str bytes, struct str prefix)
{
    return str_eq(str_first(bytes, prefix.n), str_first(prefix, bytes.n));
}

enum proxy_status proxy_parse(struct str bytes, struct proxy_header *out)
{
    *out = (struct proxy_header){.n = 0};
    if (bytes.n == 0)
        return PROXY_MORE;
    if (begins(bytes, V1_PREFIX))
        return parse_v1(bytes, out);
    if (begins(bytes, V2_SIGNATURE))
        return parse_v2(bytes, out);
    return PROXY_BAD;
}

/* ---- version 1: a line of text ---- */

/* Decimal, without leading zeros. */
static bool port_parse(struct str text, uint16_t *out)
{
    int64_t port;
    if (text.n > 5 || !str_is_digits(text) || (text.n > 1 && text.p[0] == '0') ||
        !str_to_i64(text, &port) || port > UINT16_MAX)
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool v1_address(struct str text, bool six, struct address *out)
{
    return address_parse(text, out) && (str_find(text, ':', 0) != SIZE_MAX) == six;
}

static bool v1_line(struct str line, struct proxy_header *out)
{
    struct str word[5], rest = line;
    size_t n = 0;
    if (str_eq(str_first(line, 7), STR("UNKNOWN")) && (line.n == 7 || line.p[7] == ' '))
        return true; /* whatever follows is to be ignored */
    while (n < 5 && str_split(&rest, ' ', &word[n]))
        n++;
    bool six = n > 0 && str_eq(word[0], STR("TCP6"));
    struct address to;
    uint16_t to_port;
    out->has_source = true;
    return n == 5 && rest.p == NULL && (six || str_eq(word[0], STR("TCP4"))) &&
           v1_address(word[1], six, &out->source) && v1_address(word[2], six, &to) &&
           port_parse(word[3], &out->port) && port_parse(word[4], &to_port);
}

static enum proxy_status parse_v1(struct str bytes, struct proxy_header *out)
{
    struct str first = str_first(bytes, V1_MAX);
    size_t end = str_find(first, '\r', 0);
    if (end == SIZE_MAX || end + 1 == first.n) {
        bool hopeless = str_find(first, '\n', 0) != SIZE_MAX || first.n == V1_MAX;
        return hopeless ? PROXY_BAD : PROXY_MORE;
    }
    struct str line = str_first(first, end);
    if (first.p[end + 1] != '\n' || str_find(line, '\n', 0) != SIZE_MAX ||
        !v1_line(str_from(line, V1_PREFIX.n), out))
        return PROXY_BAD;
    out->n = end + 2;
    return PROXY_DONE;
}

/* ---- version 2: binary ---- */

/* By family and transport: the bytes that its addresses need, or 0 if a stream cannot have it. */
static size_t v2_needs(unsigned family, bool *unknown)
{
    *unknown = family == 0x00 || family == 0x31;
    switch (family) {
    case 0x11: /* TCP over IPv4 */
        return V4_LEN;
    case 0x21: /* TCP over IPv6 */
        return V6_LEN;
    case 0x31: /* a Unix socket */
        return UNIX_LEN;
    default:
        return 0;
    }
}

static enum proxy_status parse_v2(struct str bytes, struct proxy_header *out)
{
    const unsigned char *b = (const unsigned char *)bytes.p;
    if (bytes.n < V2_HEAD) /* look at what is there: nobody waits for the rest of rubbish */
        return bytes.n > 12 && b[12] != 0x20 && b[12] != 0x21 ? PROXY_BAD : PROXY_MORE;
    size_t len = (size_t)b[14] << 8 | b[15];
    bool local = b[12] == 0x20, unknown;
    size_t needs = v2_needs(b[13], &unknown);
    if ((!local && b[12] != 0x21) || V2_HEAD + len > PROXY_MAX ||
        (!local && !unknown && needs == 0) || (!local && len < needs))
        return PROXY_BAD;
    if (bytes.n < V2_HEAD + len)
        return PROXY_MORE;
    out->n = V2_HEAD + len;
    out->has_source = !local && !unknown;
    if (!out->has_source)
        return PROXY_DONE;
    size_t port_at = needs - 4;
    if (needs == V4_LEN)
        out->source = address_of_v4(b + V2_HEAD);
    else
        memcpy(out->source.b, b + V2_HEAD, sizeof out->source.b);
    out->port = (uint16_t)(b[V2_HEAD + port_at] << 8 | b[V2_HEAD + port_at + 1]);
    return PROXY_DONE;
}
