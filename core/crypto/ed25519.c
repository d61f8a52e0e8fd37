/* Signatures that a receiver can check without being able to make them. */
#include "core/crypto/ed25519.h"

#include <openssl/evp.h>

struct err ed25519_public(const uint8_t seed[ED25519_SEED], uint8_t out[ED25519_PUBLIC])
{
    size_t n = ED25519_PUBLIC;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_SEED);
    bool ok = key != NULL && EVP_PKEY_get_raw_public_key(key, out, &n) == 1 && n == ED25519_PUBLIC;
    EVP_PKEY_free(key);
    return ok ? ERR_OK : ERR(INTERNAL, "ed25519");
}

struct err ed25519_sign(const uint8_t seed[ED25519_SEED], struct str message,
                        uint8_t out[ED25519_SIGNATURE])
{
    size_t n = ED25519_SIGNATURE;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_SEED);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = key != NULL && md != NULL && EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(md, out, &n, (const uint8_t *)message.p, message.n) == 1 &&
              n == ED25519_SIGNATURE;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return ok ? ERR_OK : ERR(INTERNAL, "ed25519");
}
