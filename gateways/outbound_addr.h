#ifndef RELI_GATEWAYS_OUTBOUND_ADDR_H
#define RELI_GATEWAYS_OUTBOUND_ADDR_H

#include <stdbool.h>

/* Which addresses a call to a merchant's URL may reach (providers/webhooks-out.md, section 6.4). */
struct sockaddr;
struct sockaddr_storage;

/* False for private, loopback, link-local, multicast, documentation and otherwise reserved
 * addresses, for IPv6 forms that carry an IPv4 address, and for other families. */
bool sockaddr_is_public(const struct sockaddr *a);

/* Same family, address and port. */
bool sockaddr_eq(const struct sockaddr *a, const struct sockaddr *b);

enum { SOCKADDR_TEXT = 64 };
/* "1.2.3.4" or "[2001:4860::1]"; false for other families. */
bool sockaddr_text(const struct sockaddr *a, char out[SOCKADDR_TEXT]);
/* Reads the text of a bare IPv4 or IPv6 address (no brackets, no zone). The text's family stays:
 * "::ffff:1.2.3.4" is an IPv6 address. */
bool sockaddr_parse(const char *text, int port, struct sockaddr_storage *out);
void sockaddr_set_port(struct sockaddr_storage *a, int port);

#endif
