#ifndef RELI_CRYPTO_RSA_INT_H
#define RELI_CRYPTO_RSA_INT_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "core/base/arena.h"

/* What the files about RSA keys share; nobody outside this room includes it. */
enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

/* A certificate in PEM, DER or base64 of DER; NULL if it is none. The caller frees it, and clears
 * OpenSSL's error queue. */
X509 *certificate_read(struct arena *a, struct str text);
/* An RSA key (not one bound to PSS) of RSA_BITS_MIN to RSA_BITS_MAX bits. */
bool rsa_key_strong(const EVP_PKEY *key);

#endif
