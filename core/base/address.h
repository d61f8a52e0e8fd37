#ifndef RELI_BASE_ADDRESS_H
#define RELI_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

/* Internet addresses and lists of networks, by value. An IPv4 address is kept as its IPv4-mapped
 * IPv6 address, so that both spellings of one host are equal. */
struct address {
    uint8_t b[16];
};

enum { ADDRESS_TEXT = 46, CIDR_MAX = 64 };

/* "192.0.2.7", "2001:db8::1". No port, no brackets, no zone. */
bool address_parse(struct str text, struct address *out) MUST_USE;
/* As proxies write it: also "192.0.2.7:443", "[2001:db8::1]" and "[2001:db8::1]:443". */
bool address_parse_with_port(struct str text, struct address *out) MUST_USE;
/* The shortest text; IPv4 in dots. */
const char *address_text(const struct address *a, char out[ADDRESS_TEXT]);
/* The mapped form of four bytes in network order, and whether an address has it. */
struct address address_of_v4(const uint8_t v4[4]);
bool address_is_v4(const struct address *a);

/* A network. */
struct cidr {
    struct address net;
    uint8_t bits; /* of 128 */
};

/* "10.0.0.0/8", "2001:db8::/32"; an address alone is itself only. Bits behind the prefix must be
 * zero: "10.1.2.3/8" is more often a mistake than a wish. */
bool cidr_parse(struct str text, struct cidr *out) MUST_USE;
bool cidr_has(const struct cidr *c, const struct address *a);

/* The shortest text: "10.0.0.0/8", an address alone without its length. */
enum { CIDR_TEXT = ADDRESS_TEXT + 4 };
const char *cidr_text(const struct cidr *c, char out[CIDR_TEXT]);
/* Whether all of `inner` is in `outer`. */
bool cidr_within(const struct cidr *inner, const struct cidr *outer);

struct cidr_list {
    size_t n;
    bool has_unix; /* the word "unix": peers of a Unix socket */
    struct cidr item[CIDR_MAX];
};

/* Networks by commas, blanks around them ignored; an empty text is an empty list. ERR_CONFIG. */
struct err cidr_list_parse(struct str text, struct cidr_list *out) MUST_USE;
bool cidr_list_has(const struct cidr_list *l, const struct address *a);
/* By the text of a struct peer: an address, or "unix". False for anything else. */
bool cidr_list_has_text(const struct cidr_list *l, struct str peer);

/* Who sent a request, of the X-Forwarded-For that trusted proxies have written: from the right,
 * skipping trusted hops, since whatever stands further left came from the client. False if nothing
 * in it can be believed: empty, or something that is no address comes before (right of) the first
 * address that is not trusted. The peer itself is then the client. */
bool address_forwarded(const struct cidr_list *trusted, struct str header,
                       struct address *out) MUST_USE;

/* What counts as one client by the text of a struct peer: an IPv4 address itself, of IPv6 its /64,
 * which is the least that anybody is given ("2001:db8::/64"); any other text, such as "unix",
 * itself. */
enum { ADDRESS_BLOCK_TEXT = ADDRESS_TEXT + 4 };
const char *address_block(struct str peer, char out[ADDRESS_BLOCK_TEXT]);

#endif
