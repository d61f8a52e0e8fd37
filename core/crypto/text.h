#ifndef RELI_CRYPTO_TEXT_H
#define RELI_CRYPTO_TEXT_H

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/buf.h"

/* Bytes as text. */

/* Lower-case hex. */
void hex_add(struct buf *b, struct str bytes);
/* Into `out`, exactly hex.n / 2 bytes; false on an odd length, a foreign character or lack of room.
 * Only lower case is taken when `lower` is set, so that one token has one spelling. */
bool hex_decode(struct str hex, bool lower, void *out, size_t cap) MUST_USE;

/* Standard base64 with padding (RFC 4648, section 4). */
void base64_add(struct buf *b, struct str bytes);
struct str base64_text(struct arena *a, struct str bytes);
/* Strict: padded, no white space. {NULL,0} if it is not such a text or beyond the arena's cap. */
struct str base64_decode(struct arena *a, struct str text);

/* Base64url without padding (RFC 4648, section 5), as tokens have it. Decoding takes the one
 * canonical spelling: no padding, no bits left over in the last character. {NULL,0} if it is not
 * such a text, empty, or beyond the arena's cap. */
void base64url_add(struct buf *b, struct str bytes);
struct str base64url_decode(struct arena *a, struct str text);

/* Base32 in capitals without padding (RFC 4648, section 6), for people to type. */
void base32_add(struct buf *b, struct str bytes);

/* All but unreserved characters as %XX (RFC 3986, section 2.3). */
void percent_add(struct buf *b, struct str bytes);

#endif
