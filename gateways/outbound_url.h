#ifndef RELI_GATEWAYS_OUTBOUND_URL_H
#define RELI_GATEWAYS_OUTBOUND_URL_H

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* A URL as libcurl's own parser reads it: what is checked is then what is connected to. */
struct url_parts {
    bool https;
    int port;
    const char
        *host; /* lower case, numeric forms made plain, IPv6 without brackets; in the arena */
};

/* http or https, absolute, printable ASCII, without user-info and fragment; ERR_INVALID. */
struct err url_read(struct str url, struct arena *mem, struct url_parts *out) MUST_USE;

/* What the URLs of lately consist of: the same few are called again and again. */
struct url_book;

/* NULL without memory. */
struct url_book *url_book_new(void);
/* NULL is fine. */
void url_book_free(struct url_book *b);
/* url_read, or what it said of this text the last time. */
struct err url_book_read(struct url_book *b, struct str url, struct arena *mem,
                         struct url_parts *out) MUST_USE;

/* https, to one of the ports that endpoints may have, and no literal address that is not public. A
 * name is judged by what it resolves to, at each call. */
bool url_is_public(const struct url_parts *u);

#endif
