#ifndef RELI_CRYPTO_MAC_H
#define RELI_CRYPTO_MAC_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

enum { SHA256_LEN = 32, SHA1_LEN = 20 };

/* Fetches the algorithms once; everything below asserts that it was called. */
struct err crypto_open(void) MUST_USE;
void crypto_close(void);

/* SHA-256 and HMAC-SHA256 over the concatenation of `n` parts. Not for concurrent use: one loop
 * thread. */
void sha256(const struct str *parts, size_t n, uint8_t out[SHA256_LEN]);
void hmac_sha256(struct str key, const struct str *parts, size_t n, uint8_t out[SHA256_LEN]);

static inline void sha256_one(struct str s, uint8_t out[SHA256_LEN])
{
    sha256(&s, 1, out);
}

static inline void hmac_sha256_one(struct str key, struct str s, uint8_t out[SHA256_LEN])
{
    hmac_sha256(key, &s, 1, out);
}

/* For codes of RFC 6238, whose apps know nothing else. */
void hmac_sha1(struct str key, struct str s, uint8_t out[SHA1_LEN]);

/* SHA-1, for the handshake of WebSockets (RFC 6455), which asks for it; never as a proof. */
void sha1_one(struct str s, uint8_t out[SHA1_LEN]);

/* Keyed hash for tables whose keys a client chooses; the key is made at crypto_open. */
uint64_t short_hash(struct str s);

#endif
