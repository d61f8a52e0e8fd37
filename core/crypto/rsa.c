/* Encryption to the holder of a certificate, as some payment providers want their operators'
 * passwords. By OpenSSL; used a few times a minute, so nothing is kept between calls. */
#include "core/crypto/rsa.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/crypto/rsa_int.h"
#include "core/crypto/text.h"

enum { CERTIFICATE_MAX = 64 * 1024 };

static struct err key_seal(struct arena *a, EVP_PKEY *key, struct str plain, struct str *sealed);

struct err rsa_seal(struct arena *a, struct str certificate, struct str plain, struct str *sealed)
{
    X509 *x = certificate_read(a, certificate);
    EVP_PKEY *key = x != NULL ? X509_get0_pubkey(x) : NULL;
    struct err err = ERR(INVALID, "not an X.509 certificate");
    if (key != NULL)
        err = key_seal(a, key, plain, sealed);
    X509_free(x);
    /* What OpenSSL has to say stays in a queue, where the next caller would take it for his. */
    ERR_clear_error();
    return err;
}

static X509 *der_read(struct str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    return d2i_X509(NULL, &p, (long)der.n);
}

static X509 *pem_read(struct str pem)
{
    /* The empty password keeps OpenSSL from asking the terminal for one. */
    static char password[] = "";
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, password) : NULL;
    BIO_free(bio);
    return x;
}

/* Base64 as people paste it, with line breaks. */
static struct str without_blanks(struct arena *a, struct str text)
{
    char *p = arena_alloc(a, text.n);
    size_t n = 0;
    for (size_t i = 0; p != NULL && i < text.n; i++)
        if (str_find(STR(" \t\r\n"), text.p[i], 0) == SIZE_MAX)
            p[n++] = text.p[i];
    return str_n(p, n);
}

/* The three spellings exclude each other: DER begins with 0x30, which base64 writes as "M". */
X509 *certificate_read(struct arena *a, struct str text)
{
    if (text.n == 0 || text.n > CERTIFICATE_MAX)
        return NULL;
    if (str_find_str(text, STR("-----BEGIN ")) != SIZE_MAX)
        return pem_read(text);
    if (text.p[0] == 0x30)
        return der_read(text);
    struct str der = base64_decode(a, without_blanks(a, text));
    return der.n > 0 ? der_read(der) : NULL;
}

bool rsa_key_strong(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= RSA_BITS_MIN &&
           bits <= RSA_BITS_MAX;
}

static struct err key_seal(struct arena *a, EVP_PKEY *key, struct str plain, struct str *sealed)
{
    if (!rsa_key_strong(key))
        return ERR(INVALID, "the certificate's key is no RSA key of 2048 to 8192 bits");
    size_t n = (size_t)EVP_PKEY_get_size(key);
    if (plain.n == 0 || plain.n + RSA_PKCS1_PADDING_SIZE > n)
        return ERR(INVALID, "too long for the certificate's key, or empty");
    unsigned char *out = arena_alloc(a, n);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool done = out != NULL && ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_encrypt(ctx, out, &n, (const unsigned char *)plain.p, plain.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!done)
        return out == NULL ? ERR(NO_MEMORY, "arena") : ERR(CRYPTO, "RSA encryption");
    *sealed = str_n((const char *)out, n);
    return ERR_OK;
}
