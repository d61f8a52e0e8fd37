#ifndef RELI_BASE_PROXY_H
#define RELI_BASE_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/address.h"

/* The PROXY protocol: what a proxy writes in front of a connection's own bytes to say whose they
 * are. Both versions, told apart by their first bytes. Source: haproxy.org, doc/proxy-protocol.txt,
 * "The PROXY protocol, Versions 1 & 2", 2020/03/05. Pure. */

enum proxy_status {
    PROXY_MORE, /* bytes are missing */
    PROXY_DONE,
    PROXY_BAD /* no such header: nothing that follows can be believed */
};

struct proxy_header {
    size_t n;              /* its length: what is behind belongs to the connection */
    bool has_source;       /* false: the proxy speaks for itself (LOCAL), or knows no address
                              (UNKNOWN, UNSPEC, a Unix socket); the connection's own one stands */
    struct address source; /* the client */
    uint16_t port;
};

/* Longer ones are refused: version 2 may have 64 KiB of extensions (TLVs), which are skipped. */
enum { PROXY_MAX = 4096 };

/* `bytes` is all that has come. PROXY_MORE is never the answer to PROXY_MAX bytes. */
enum proxy_status proxy_parse(struct str bytes, struct proxy_header *out);

#endif
