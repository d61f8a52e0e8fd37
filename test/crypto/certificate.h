#ifndef RELI_TEST_CRYPTO_CERTIFICATE_H
#define RELI_TEST_CRYPTO_CERTIFICATE_H

/* A key pair of the test's own, and its certificate, long past its dates as those of some payment
 * providers are. cmocka.h comes first. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/crypto/text.h"

struct test_certificate {
    EVP_PKEY *key;
    char pem[8192];
    unsigned char der[4096];
    size_t der_n;
};

static inline void certificate_sign(struct test_certificate *c, EVP_PKEY *key)
{
    X509 *x = X509_new();
    unsigned char *at = c->der;
    c->key = key;
    assert_non_null(key);
    assert_non_null(x);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), 946684800)); /* the year 2000 */
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), 946771200));
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    int n = i2d_X509(x, NULL);
    assert_true(n > 0 && (size_t)n <= sizeof c->der);
    c->der_n = (size_t)i2d_X509(x, &at);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, x), 1);
    n = BIO_read(bio, c->pem, (int)sizeof c->pem - 1);
    assert_true(n > 0);
    c->pem[n] = '\0';
    BIO_free(bio);
    X509_free(x);
}

static inline void certificate_new(struct test_certificate *c)
{
    certificate_sign(c, EVP_RSA_gen(2048));
}

static inline void certificate_free(struct test_certificate *c)
{
    EVP_PKEY_free(c->key);
    c->key = NULL;
}

/* What the holder of the key reads. */
static inline struct str certificate_open(const struct test_certificate *c, struct arena *mem,
                                          struct str sealed)
{
    size_t n = (size_t)EVP_PKEY_get_size(c->key);
    unsigned char *out = arena_alloc(mem, n);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, c->key, NULL);
    assert_non_null(out);
    assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, out, &n, (const unsigned char *)sealed.p, sealed.n), 1);
    EVP_PKEY_CTX_free(ctx);
    return str_n((const char *)out, n);
}

#endif
