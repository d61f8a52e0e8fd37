#ifndef RELI_CRYPTO_RSA_KEY_H
#define RELI_CRYPTO_RSA_KEY_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"

/* The other end of rsa.h and jwt_keys.h: a private RSA key of 2048 bits, with a certificate for
 * those who encrypt to it or check what it signs. Made anew, never stored. */
struct rsa_key;

/* Takes some hundred milliseconds: for the start of a process. ERR_CRYPTO, ERR_NO_MEMORY. */
struct err rsa_key_new(struct rsa_key **out) MUST_USE;
/* NULL is fine. */
void rsa_key_free(struct rsa_key *k);

/* Appends its self-signed X.509 certificate as PEM. ERR_CRYPTO, ERR_NO_MEMORY. */
struct err rsa_key_certificate(const struct rsa_key *k, struct str common_name,
                               struct buf *pem) MUST_USE;

/* Appends its public half as a JSON Web Key for RS256. ERR_CRYPTO, ERR_NO_MEMORY. */
struct err rsa_key_jwk(const struct rsa_key *k, struct str kid, struct buf *jwk) MUST_USE;

/* Signs with PKCS#1 v1.5 and SHA-256 (RS256); the signature lives in the arena. ERR_CRYPTO,
 * ERR_NO_MEMORY. */
struct err rsa_key_sign(const struct rsa_key *k, struct arena *a, struct str text,
                        struct str *signature) MUST_USE;

/* What was sealed for it with PKCS#1 v1.5 padding, in the arena; ERR_INVALID if it was not. Tells a
 * stranger who may try often enough what was inside (Bleichenbacher, 1998): not for keys that
 * protect anything. */
struct err rsa_key_open(const struct rsa_key *k, struct arena *a, struct str sealed,
                        struct str *plain) MUST_USE;

#endif
