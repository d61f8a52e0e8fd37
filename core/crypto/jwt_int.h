#ifndef RELI_CRYPTO_JWT_INT_H
#define RELI_CRYPTO_JWT_INT_H

#include <cjose/cjose.h>

#include "core/crypto/jwt_keys.h"

/* What jwt.c needs of a key. */
const cjose_jwk_t *jwt_key_jwk(const struct jwt_key *key);

#endif
