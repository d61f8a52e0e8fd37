#ifndef RELI_HTTP_PERCENT_H
#define RELI_HTTP_PERCENT_H

#include <stdbool.h>

#include "core/base/arena.h"

/* Percent-decoding (RFC 3986) of a path segment, or of a part of a query, where `form` also makes a
 * blank of '+'. False on a broken escape, NUL, text that is not UTF-8, or an arena that is full.
 * What needs no decoding is given back as it is. */
bool percent_decode(struct arena *a, struct str s, bool form, struct str *out) MUST_USE;

#endif
