#ifndef RELI_CRYPTO_JWT_KEYS_H
#define RELI_CRYPTO_JWT_KEYS_H

#include "core/base/err.h"
#include "core/base/str.h"

/* The public RSA keys with which somebody else signs tokens, by their names. */
enum { JWT_KEYS_MAX = 32 };

struct jwt_key;
struct jwt_keys;

/* Reads {"<kid>": "<X.509 certificate as PEM>", …} or a JWK set (RFC 7517). Only a certificate's
 * key counts: membership in the set is the trust. What is no RSA key of 2048 to 8192 bits for
 * signing with RS256 is left out. ERR_INVALID if it is neither form, names a kid twice, has an
 * "error", too many keys, or none that is left. */
struct err jwt_keys_parse(struct str text, struct jwt_keys **out) MUST_USE;
/* NULL is fine. */
void jwt_keys_free(struct jwt_keys *keys);
size_t jwt_keys_n(const struct jwt_keys *keys);
/* NULL if there is none of that name, or no set at all. */
const struct jwt_key *jwt_keys_find(const struct jwt_keys *keys, struct str kid);
struct str jwt_key_kid(const struct jwt_key *key);

#endif
