#ifndef RELI_TEST_CRYPTO_TOKEN_H
#define RELI_TEST_CRYPTO_TOKEN_H

/* Tokens put together by hand, so that a wrong one can be made as easily as a right one. cmocka.h
 * comes first. */
#include <openssl/evp.h>

#include "core/base/buf.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

struct test_token {
    char text[16384];
    size_t n;
};

static inline struct str token_view(const struct test_token *t)
{
    return str_n(t->text, t->n);
}

static inline void token_begin(struct buf *b, struct str header, struct str claims)
{
    buf_init(b, sizeof((struct test_token *)0)->text);
    base64url_add(b, header);
    buf_char(b, '.');
    base64url_add(b, claims);
}

static inline void token_end(struct buf *b, struct str signature, struct test_token *t)
{
    buf_char(b, '.');
    base64url_add(b, signature);
    assert_false(b->failed);
    memcpy(t->text, b->p, b->n);
    t->n = b->n;
    buf_free(b);
}

static inline void token_hs256(struct test_token *t, struct str header, struct str claims,
                               struct str key)
{
    struct buf b;
    uint8_t mac[SHA256_LEN];
    token_begin(&b, header, claims);
    hmac_sha256_one(key, buf_view(&b), mac);
    token_end(&b, str_n((const char *)mac, sizeof mac), t);
}

static inline void token_rsa(struct test_token *t, struct str header, struct str claims,
                             EVP_PKEY *key, const EVP_MD *digest)
{
    struct buf b;
    unsigned char out[1024];
    size_t n = sizeof out;
    token_begin(&b, header, claims);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, digest, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, out, &n, (const unsigned char *)b.p, b.n), 1);
    EVP_MD_CTX_free(ctx);
    token_end(&b, str_n((const char *)out, n), t);
}

#endif
