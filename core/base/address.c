/* Addresses by value, and networks as they stand in settings: who may speak for others, who may
 * look at the metrics, where a call may go. */
#include "core/base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_parse(struct str text, struct address *out)
{
    char c[ADDRESS_TEXT];
    if (text.n == 0 || text.n >= sizeof c || memchr(text.p, '\0', text.n) != NULL)
        return false;
    str_copy_c(c, sizeof c, text);
    if (inet_pton(AF_INET6, c, out->b) == 1)
        return true;
    memcpy(out->b, mapped, sizeof mapped);
    return inet_pton(AF_INET, c, out->b + sizeof mapped) == 1;
}

static bool is_port(struct str s)
{
    return s.n <= 5 && str_is_digits(s);
}

bool address_parse_with_port(struct str text, struct address *out)
{
    if (text.n > 0 && text.p[0] == '[') {
        size_t end = str_find(text, ']', 1);
        if (end == SIZE_MAX)
            return false;
        struct str behind = str_from(text, end + 1);
        if (behind.n > 0 && (behind.p[0] != ':' || !is_port(str_from(behind, 1))))
            return false;
        struct str inner = str_n(text.p + 1, end - 1);
        return str_find(inner, ':', 0) != SIZE_MAX && address_parse(inner, out);
    }
    size_t colon = str_find(text, ':', 0);
    if (colon != SIZE_MAX && str_find(text, ':', colon + 1) == SIZE_MAX)
        return is_port(str_from(text, colon + 1)) && address_parse(str_first(text, colon), out);
    return address_parse(text, out);
}

struct address address_of_v4(const uint8_t v4[4])
{
    struct address a;
    memcpy(a.b, mapped, sizeof mapped);
    memcpy(a.b + sizeof mapped, v4, 4);
    return a;
}

bool address_is_v4(const struct address *a)
{
    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

const char *address_text(const struct address *a, char out[ADDRESS_TEXT])
{
    bool four = address_is_v4(a);
    const char *text =
        inet_ntop(four ? AF_INET : AF_INET6, four ? a->b + sizeof mapped : a->b, out, ADDRESS_TEXT);
    ASSERT(text != NULL);
    return text;
}

bool cidr_has(const struct cidr *c, const struct address *a)
{
    size_t bytes = c->bits / 8u, bits = c->bits % 8u;
    if (memcmp(c->net.b, a->b, bytes) != 0)
        return false;
    return bits == 0 || (c->net.b[bytes] >> (8 - bits)) == (a->b[bytes] >> (8 - bits));
}

/* Whether nothing is set behind the prefix. */
static bool is_network(const struct cidr *c)
{
    for (size_t i = c->bits; i < 128; i++)
        if ((c->net.b[i / 8] >> (7 - i % 8) & 1) != 0)
            return false;
    return true;
}

bool cidr_parse(struct str text, struct cidr *out)
{
    size_t slash = str_find(text, '/', 0);
    struct str address = slash == SIZE_MAX ? text : str_first(text, slash);
    if (!address_parse(address, &out->net))
        return false;
    out->bits = 128;
    if (slash == SIZE_MAX)
        return true;
    struct str length = str_from(text, slash + 1);
    int64_t max = str_find(address, ':', 0) == SIZE_MAX ? 32 : 128, bits;
    if (!str_is_digits(length) || (length.n > 1 && length.p[0] == '0') || length.n > 3 ||
        !str_to_i64(length, &bits) || bits > max)
        return false;
    out->bits = (uint8_t)(128 - max + bits);
    return is_network(out);
}

const char *cidr_text(const struct cidr *c, char out[CIDR_TEXT])
{
    bool four = address_is_v4(&c->net) && c->bits >= 96;
    address_text(&c->net, out);
    if (c->bits < 128)
        snprintf(out + strlen(out), 5, "/%d", four ? c->bits - 96 : c->bits);
    return out;
}

bool cidr_within(const struct cidr *inner, const struct cidr *outer)
{
    return inner->bits >= outer->bits && cidr_has(outer, &inner->net);
}

struct err cidr_list_parse(struct str text, struct cidr_list *out)
{
    *out = (struct cidr_list){0};
    struct str rest = text, part;
    if (str_trim(text).n == 0)
        return ERR_OK;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (str_eq(part, STR("unix"))) {
            out->has_unix = true;
            continue;
        }
        if (out->n == CIDR_MAX)
            return ERR(CONFIG, "too many networks in a list");
        if (!cidr_parse(part, &out->item[out->n]))
            return ERR(CONFIG, "not a network (address/length)");
        out->n++;
    }
    return ERR_OK;
}

bool cidr_list_has(const struct cidr_list *l, const struct address *a)
{
    for (size_t i = 0; i < l->n; i++)
        if (cidr_has(&l->item[i], a))
            return true;
    return false;
}

bool cidr_list_has_text(const struct cidr_list *l, struct str peer)
{
    struct address a;
    if (str_eq(peer, STR("unix")))
        return l->has_unix;
    return address_parse(peer, &a) && cidr_list_has(l, &a);
}

bool address_forwarded(const struct cidr_list *trusted, struct str header, struct address *out)
{
    struct address hop;
    bool any = false;
    while (header.n > 0) {
        size_t from = header.n;
        while (from > 0 && header.p[from - 1] != ',')
            from--;
        if (!address_parse_with_port(str_trim(str_from(header, from)), &hop))
            return false;
        *out = hop;
        any = true;
        if (!cidr_list_has(trusted, &hop))
            return true;
        if (from == 1) /* nothing in front of the first comma */
            return false;
        header = str_first(header, from > 0 ? from - 1 : 0);
    }
    return any;
}

const char *address_block(struct str peer, char out[ADDRESS_BLOCK_TEXT])
{
    struct address a;
    if (!address_parse(peer, &a) || address_is_v4(&a))
        return str_copy_c(out, ADDRESS_BLOCK_TEXT, peer);
    memset(a.b + 8, 0, 8);
    address_text(&a, out);
    strcat(out, "/64");
    return out;
}
