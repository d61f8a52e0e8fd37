#ifndef RELI_HTTP_ORIGIN_H
#define RELI_HTTP_ORIGIN_H

#include <stdbool.h>

#include "core/base/str.h"

/* Origins of web pages, compared byte by byte (RFC 6454): no wildcards, no subdomains, no null. */

/* Whether it is written as browsers write one: "https://shop.example", "http://localhost:3000";
 * lower case, without path, user or a port that is the scheme's own. Anything else would never be
 * equal to what they send. */
bool origin_ok(struct str origin);
/* Of a URL: what stands before its path. */
struct str origin_of(struct str url);
/* Whether a list by commas has it; false for an absent one. */
bool origin_in(struct str list, struct str origin);

#endif
