/* Digests by OpenSSL, fetched once: in OpenSSL 3 the look-up by name costs more than a short
 * digest. */
#include "core/crypto/mac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "core/crypto/random.h"

static struct {
    EVP_MD *sha256, *sha1;
    EVP_MD_CTX *md_ctx;
    EVP_MAC *hmac;
    EVP_MAC_CTX *hmac_ctx;
    unsigned char short_key[crypto_shorthash_KEYBYTES];
} c;

struct err crypto_open(void)
{
    if (c.sha256 != NULL)
        return ERR_OK;
    if (sodium_init() < 0)
        return ERR(CRYPTO, "libsodium");
    c.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    c.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    c.md_ctx = EVP_MD_CTX_new();
    c.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    c.hmac_ctx = c.hmac != NULL ? EVP_MAC_CTX_new(c.hmac) : NULL;
    random_bytes(c.short_key, sizeof c.short_key);
    if (c.sha256 == NULL || c.sha1 == NULL || c.md_ctx == NULL || c.hmac_ctx == NULL)
        return ERR(CRYPTO, "OpenSSL lacks SHA-256 or SHA-1");
    return ERR_OK;
}

void crypto_close(void)
{
    EVP_MAC_CTX_free(c.hmac_ctx);
    EVP_MAC_free(c.hmac);
    EVP_MD_CTX_free(c.md_ctx);
    EVP_MD_free(c.sha256);
    EVP_MD_free(c.sha1);
    explicit_bzero(&c, sizeof c);
}

void sha256(const struct str *parts, size_t n, uint8_t out[SHA256_LEN])
{
    ASSERT(c.sha256 != NULL);
    int ok = EVP_DigestInit_ex2(c.md_ctx, c.sha256, NULL);
    for (size_t i = 0; i < n; i++)
        ok &= EVP_DigestUpdate(c.md_ctx, parts[i].p, parts[i].n);
    ok &= EVP_DigestFinal_ex(c.md_ctx, out, NULL);
    ASSERT(ok == 1);
}

void sha1_one(struct str s, uint8_t out[SHA1_LEN])
{
    ASSERT(c.sha1 != NULL);
    int ok = EVP_DigestInit_ex2(c.md_ctx, c.sha1, NULL);
    ok &= EVP_DigestUpdate(c.md_ctx, s.p, s.n);
    ok &= EVP_DigestFinal_ex(c.md_ctx, out, NULL);
    ASSERT(ok == 1);
}

static void hmac(char *digest, struct str key, const struct str *parts, size_t n, uint8_t *out,
                 size_t out_n)
{
    ASSERT(c.hmac_ctx != NULL);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    static const unsigned char none[1];
    const unsigned char *k = key.n > 0 ? (const unsigned char *)key.p : none;
    int ok = EVP_MAC_init(c.hmac_ctx, k, key.n, params);
    for (size_t i = 0; i < n; i++)
        ok &= EVP_MAC_update(c.hmac_ctx, (const unsigned char *)parts[i].p, parts[i].n);
    size_t len = 0;
    ok &= EVP_MAC_final(c.hmac_ctx, out, &len, out_n);
    ASSERT(ok == 1 && len == out_n);
}

void hmac_sha256(struct str key, const struct str *parts, size_t n, uint8_t out[SHA256_LEN])
{
    static char digest[] = "SHA256";
    hmac(digest, key, parts, n, out, SHA256_LEN);
}

void hmac_sha1(struct str key, struct str s, uint8_t out[SHA1_LEN])
{
    static char digest[] = "SHA1";
    hmac(digest, key, &s, 1, out, SHA1_LEN);
}

uint64_t short_hash(struct str s)
{
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, (const unsigned char *)s.p, s.n, c.short_key);
    uint64_t v;
    memcpy(&v, out, sizeof v);
    return v;
}
