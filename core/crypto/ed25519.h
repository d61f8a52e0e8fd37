#ifndef RELI_CRYPTO_ED25519_H
#define RELI_CRYPTO_ED25519_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

/* Ed25519 (RFC 8032), by OpenSSL. A private key is its 32-byte seed. */

enum { ED25519_SEED = 32, ED25519_PUBLIC = 32, ED25519_SIGNATURE = 64 };

/* The public key of a seed. ERR_INTERNAL when OpenSSL refuses. */
struct err ed25519_public(const uint8_t seed[ED25519_SEED], uint8_t out[ED25519_PUBLIC]) MUST_USE;
/* About 50 microseconds. */
struct err ed25519_sign(const uint8_t seed[ED25519_SEED], struct str message,
                        uint8_t out[ED25519_SIGNATURE]) MUST_USE;

#endif
