/* The private half of an encryption to a certificate: the simulated providers read with it what the
 * adapters seal, and sign tokens with it. By OpenSSL. */
#include "core/crypto/rsa_key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "core/codec/jsonw.h"
#include "core/crypto/text.h"

enum { KEY_BITS = 2048, CERTIFICATE_DAYS = 3650 };

struct rsa_key {
    EVP_PKEY *pkey;
};

struct err rsa_key_new(struct rsa_key **out)
{
    struct rsa_key *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "RSA key");
    k->pkey = EVP_RSA_gen(KEY_BITS);
    ERR_clear_error();
    if (k->pkey == NULL) {
        free(k);
        return ERR(CRYPTO, "RSA key generation");
    }
    *out = k;
    return ERR_OK;
}

void rsa_key_free(struct rsa_key *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

static bool certificate_fill(X509 *x, EVP_PKEY *pkey, struct str common_name)
{
    X509_NAME *name = X509_get_subject_name(x);
    return X509_set_version(x, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(x), CERTIFICATE_DAYS, 0, NULL) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)common_name.p, (int)common_name.n, -1,
                                      0) == 1 &&
           X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, pkey) == 1 &&
           X509_sign(x, pkey, EVP_sha256()) > 0;
}

struct err rsa_key_certificate(const struct rsa_key *k, struct str common_name, struct buf *pem)
{
    struct err err = ERR(CRYPTO, "certificate");
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    if (x != NULL && bio != NULL && certificate_fill(x, k->pkey, common_name) &&
        PEM_write_bio_X509(bio, x) == 1) {
        long n = BIO_get_mem_data(bio, &text);
        buf_add(pem, text, (size_t)n);
        err = pem->failed ? ERR(NO_MEMORY, "certificate") : ERR_OK;
    }
    BIO_free(bio);
    X509_free(x);
    ERR_clear_error();
    return err;
}

struct err rsa_key_open(const struct rsa_key *k, struct arena *a, struct str sealed,
                        struct str *plain)
{
    size_t n = (size_t)EVP_PKEY_get_size(k->pkey);
    unsigned char *out = arena_alloc(a, n);
    if (out == NULL)
        return ERR(NO_MEMORY, "arena");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    bool done = ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_decrypt(ctx, out, &n, (const unsigned char *)sealed.p, sealed.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    if (!done)
        return ERR(INVALID, "not sealed for this key");
    *plain = str_n((const char *)out, n);
    return ERR_OK;
}

static void number_add(const struct rsa_key *k, const char *name, struct buf *out)
{
    BIGNUM *v = NULL;
    unsigned char bytes[KEY_BITS / 8];
    if (EVP_PKEY_get_bn_param(k->pkey, name, &v) == 1 && BN_num_bytes(v) <= (int)sizeof bytes)
        base64url_add(out, str_n((const char *)bytes, (size_t)BN_bn2bin(v, bytes)));
    else
        out->failed = true;
    BN_free(v);
}

struct err rsa_key_jwk(const struct rsa_key *k, struct str kid, struct buf *jwk)
{
    struct jsonw w = jw_into(jwk);
    struct buf n, e;
    buf_init(&n, KEY_BITS);
    buf_init(&e, KEY_BITS);
    number_add(k, "n", &n);
    number_add(k, "e", &e);
    jw_open(&w);
    jw_str(&w, "kid", kid);
    jw_c(&w, "kty", "RSA");
    jw_c(&w, "alg", "RS256");
    jw_c(&w, "use", "sig");
    jw_str(&w, "n", buf_view(&n));
    jw_str(&w, "e", buf_view(&e));
    jw_close(&w);
    bool made = !n.failed && !e.failed;
    buf_free(&n);
    buf_free(&e);
    ERR_clear_error();
    if (!made)
        return ERR(CRYPTO, "JSON Web Key");
    return jwk->failed ? ERR(NO_MEMORY, "JSON Web Key") : ERR_OK;
}

struct err rsa_key_sign(const struct rsa_key *k, struct arena *a, struct str text,
                        struct str *signature)
{
    size_t n = (size_t)EVP_PKEY_get_size(k->pkey);
    unsigned char *out = arena_alloc(a, n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = out != NULL && ctx != NULL &&
                EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
                EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!done)
        return out == NULL ? ERR(NO_MEMORY, "arena") : ERR(CRYPTO, "signature");
    *signature = str_n((const char *)out, n);
    return ERR_OK;
}
