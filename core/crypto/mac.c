/* Digests by OpenSSL, fetched once: in OpenSSL 3 the look-up by name costs more than a short
 * digest. */
#include "core/crypto/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "core/crypto/random.h"

enum { KEPT_KEY = 32 };

static struct {
    EVP_MD *sha256, *sha1;
    EVP_MD_CTX *md_ctx;
    EVP_MAC *hmac;
    EVP_MAC_CTX *hmac_ctx;
    EVP_MAC_CTX *kept_ctx; /* under kept_key: what one key is used for again and again */
    unsigned char kept_key[KEPT_KEY];
    size_t kept_len;
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
    c.kept_ctx = c.hmac != NULL ? EVP_MAC_CTX_new(c.hmac) : NULL;
    random_bytes(c.short_key, sizeof c.short_key);
    if (c.sha256 == NULL || c.sha1 == NULL || c.md_ctx == NULL || c.hmac_ctx == NULL ||
        c.kept_ctx == NULL)
        return ERR(CRYPTO, "OpenSSL lacks SHA-256 or SHA-1");
    return ERR_OK;
}

void crypto_close(void)
{
    EVP_MAC_CTX_free(c.kept_ctx);
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

static int hmac_begin(EVP_MAC_CTX *ctx, char *digest, struct str key)
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    static const unsigned char none[1];
    const unsigned char *k = key.n > 0 ? (const unsigned char *)key.p : none;
    return EVP_MAC_init(ctx, k, key.n, params);
}

static void hmac_end(EVP_MAC_CTX *ctx, int ok, const struct str *parts, size_t n, uint8_t *out,
                     size_t out_n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        ok &= EVP_MAC_update(ctx, (const unsigned char *)parts[i].p, parts[i].n);
    ok &= EVP_MAC_final(ctx, out, &len, out_n);
    ASSERT(ok == 1 && len == out_n);
}

/* To set the key up costs more than a short text: a key that was the last one stays set. */
static int hmac_begin_again(char *digest, struct str key)
{
    if (c.kept_len == key.n && CRYPTO_memcmp(c.kept_key, key.p, key.n) == 0)
        return EVP_MAC_init(c.kept_ctx, NULL, 0, NULL);
    memcpy(c.kept_key, key.p, key.n);
    c.kept_len = key.n;
    return hmac_begin(c.kept_ctx, digest, key);
}

void hmac_sha256(struct str key, const struct str *parts, size_t n, uint8_t out[SHA256_LEN])
{
    static char digest[] = "SHA256";
    ASSERT(c.hmac_ctx != NULL);
    if (key.n == KEPT_KEY)
        hmac_end(c.kept_ctx, hmac_begin_again(digest, key), parts, n, out, SHA256_LEN);
    else
        hmac_end(c.hmac_ctx, hmac_begin(c.hmac_ctx, digest, key), parts, n, out, SHA256_LEN);
}

void hmac_sha1(struct str key, struct str s, uint8_t out[SHA1_LEN])
{
    static char digest[] = "SHA1";
    ASSERT(c.hmac_ctx != NULL);
    hmac_end(c.hmac_ctx, hmac_begin(c.hmac_ctx, digest, key), &s, 1, out, SHA1_LEN);
}

uint64_t short_hash(struct str s)
{
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, (const unsigned char *)s.p, s.n, c.short_key);
    uint64_t v;
    memcpy(&v, out, sizeof v);
    return v;
}
