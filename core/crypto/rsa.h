#ifndef RELI_CRYPTO_RSA_H
#define RELI_CRYPTO_RSA_H

#include "core/base/arena.h"
#include "core/base/err.h"

/* Encrypts `plain` with the RSA key of an X.509 certificate, PKCS#1 v1.5 padding; the result is
 * random and lives in the arena. The certificate is PEM text, DER, or base64 of DER; only its key
 * is used: dates, chain and purpose are not looked at. ERR_INVALID if it is none, or its key is no
 * RSA key of 2048 to 8192 bits, or `plain` is empty or too long for it. */
struct err rsa_seal(struct arena *a, struct str certificate, struct str plain,
                    struct str *sealed) MUST_USE;

#endif
