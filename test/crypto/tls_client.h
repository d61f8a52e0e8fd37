#ifndef RELI_TEST_CRYPTO_TLS_CLIENT_H
#define RELI_TEST_CRYPTO_TLS_CLIENT_H

/* The other side of core/crypto/tls.h, by OpenSSL's own memory buffers; and certificates to shake
 * hands with. cmocka.h comes first. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/crypto/tls.h"

struct tls_files {
    char cert[64], key[64];
};

/* A self-signed certificate for `host`, good for a year, and its key, as files. */
static inline struct tls_files tls_files_new(const char *host)
{
    struct tls_files f = {"/tmp/reli-tls-cert-XXXXXX", "/tmp/reli-tls-key-XXXXXX"};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    char san[128];
    snprintf(san, sizeof san, "DNS:%s,IP:127.0.0.1", host);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    assert_true(key != NULL && x != NULL && e != NULL);
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -60));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 365 * 24 * 3600));
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *c = fdopen(mkstemp(f.cert), "w"), *k = fdopen(mkstemp(f.key), "w");
    assert_true(c != NULL && k != NULL);
    assert_int_equal(PEM_write_X509(c, x), 1);
    assert_int_equal(PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(c);
    fclose(k);
    X509_EXTENSION_free(e);
    X509_free(x);
    EVP_PKEY_free(key);
    return f;
}

static inline void tls_files_free(struct tls_files *f)
{
    unlink(f->cert);
    unlink(f->key);
}

static inline struct tls_site *tls_site_or_die(const struct tls_files *f)
{
    struct tls_site *site = NULL;
    char why[TLS_WHY];
    if (err_is(tls_site_load(f->cert, f->key, &site, why)))
        fail_msg("%s", why);
    return site;
}

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
};

/* `version` is the only one that it speaks, 0 any. */
static inline struct client client_new(int version)
{
    struct client c = {.ctx = SSL_CTX_new(TLS_client_method())};
    c.in = BIO_new(BIO_s_mem());
    c.out = BIO_new(BIO_s_mem());
    assert_non_null(c.ctx);
    if (version != 0) {
        SSL_CTX_set_security_level(c.ctx, 0); /* it may ask for what it should not get */
        assert_int_equal(SSL_CTX_set_min_proto_version(c.ctx, version), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(c.ctx, version), 1);
    }
    c.ssl = SSL_new(c.ctx);
    assert_non_null(c.ssl);
    BIO_set_mem_eof_return(c.in, -1);
    BIO_set_mem_eof_return(c.out, -1);
    SSL_set_bio(c.ssl, c.in, c.out);
    SSL_set_connect_state(c.ssl);
    return c;
}

static inline void client_free(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    ERR_clear_error();
}

/* What it has to send; the caller's until the next call. */
static inline struct str client_take(struct client *c)
{
    static char taken[1 << 20];
    int n = BIO_read(c->out, taken, (int)sizeof taken);
    return str_n(taken, n > 0 ? (size_t)n : 0);
}

static inline void client_give(struct client *c, struct str bytes)
{
    if (bytes.n > 0)
        assert_int_equal(BIO_write(c->in, bytes.p, (int)bytes.n), (int)bytes.n);
}

#endif
