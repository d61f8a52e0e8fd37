/* AES-256-GCM with a context per key that keeps its key schedule. Random 96 bit nonces are safe for
 * 2^32 texts under one key (NIST SP 800-38D, 8.3); the key ring changes keys long before. */
#include "core/crypto/aead.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "core/crypto/random.h"

enum { FORMAT = 1 };

struct aead_key {
    uint32_t number;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *seal;
    EVP_CIPHER_CTX *open;
};

struct err aead_key_new(uint32_t number, const uint8_t key[AEAD_KEY_LEN], struct aead_key **out)
{
    struct aead_key *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "aead");
    k->number = number;
    k->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    k->seal = EVP_CIPHER_CTX_new();
    k->open = EVP_CIPHER_CTX_new();
    if (k->cipher == NULL || k->seal == NULL || k->open == NULL ||
        EVP_EncryptInit_ex2(k->seal, k->cipher, key, NULL, NULL) != 1 ||
        EVP_DecryptInit_ex2(k->open, k->cipher, key, NULL, NULL) != 1) {
        aead_key_free(k);
        return ERR(CRYPTO, "AES-256-GCM");
    }
    *out = k;
    return ERR_OK;
}

void aead_key_free(struct aead_key *k)
{
    if (k == NULL)
        return;
    EVP_CIPHER_CTX_free(k->seal);
    EVP_CIPHER_CTX_free(k->open);
    EVP_CIPHER_free(k->cipher);
    free(k);
}

uint32_t aead_key_number(const struct aead_key *k)
{
    return k->number;
}

struct err aead_seal(struct aead_key *k, struct str bound, struct str plain, struct buf *out)
{
    unsigned char nonce[AEAD_NONCE_LEN];
    random_bytes(nonce, sizeof nonce);
    unsigned char *p = (unsigned char *)buf_room(out, plain.n + AEAD_OVERHEAD);
    if (p == NULL)
        return ERR(LIMIT, "sealed text too large");
    aead_mark(k->number, p);
    p += AEAD_MARK_LEN;
    memcpy(p, nonce, sizeof nonce);
    p += sizeof nonce;
    int n = 0, last = 0;
    int ok = EVP_EncryptInit_ex2(k->seal, NULL, NULL, nonce, NULL);
    ok &= EVP_EncryptUpdate(k->seal, NULL, &n, (const unsigned char *)bound.p, (int)bound.n);
    n = 0;
    if (plain.n > 0)
        ok &= EVP_EncryptUpdate(k->seal, p, &n, (const unsigned char *)plain.p, (int)plain.n);
    ok &= EVP_EncryptFinal_ex(k->seal, p + n, &last);
    ok &= EVP_CIPHER_CTX_ctrl(k->seal, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, p + plain.n);
    if (ok != 1)
        return ERR(CRYPTO, "seal");
    out->n += plain.n + AEAD_OVERHEAD;
    return ERR_OK;
}

void aead_mark(uint32_t number, uint8_t out[AEAD_MARK_LEN])
{
    out[0] = FORMAT;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(number >> (24 - 8 * i));
}

bool aead_sealed_by(struct str sealed, uint32_t *number)
{
    if (sealed.n < AEAD_OVERHEAD || sealed.p[0] != FORMAT)
        return false;
    const unsigned char *p = (const unsigned char *)sealed.p + 1;
    *number = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return true;
}

struct err aead_open(struct aead_key *k, struct str bound, struct str sealed, struct arena *a,
                     struct str *plain)
{
    uint32_t number;
    if (!aead_sealed_by(sealed, &number) || number != k->number)
        return ERR(CRYPTO, "not sealed by this key");
    const unsigned char *nonce = (const unsigned char *)sealed.p + 5;
    const unsigned char *text = nonce + AEAD_NONCE_LEN;
    size_t text_n = sealed.n - AEAD_OVERHEAD;
    unsigned char tag[AEAD_TAG_LEN];
    memcpy(tag, text + text_n, sizeof tag);
    unsigned char *p = arena_alloc(a, text_n + 1);
    if (p == NULL)
        return ERR(LIMIT, "no room to open");
    int n = 0, last = 0;
    int ok = EVP_DecryptInit_ex2(k->open, NULL, NULL, nonce, NULL);
    ok &= EVP_DecryptUpdate(k->open, NULL, &n, (const unsigned char *)bound.p, (int)bound.n);
    n = 0;
    if (text_n > 0)
        ok &= EVP_DecryptUpdate(k->open, p, &n, text, (int)text_n);
    ok &= EVP_CIPHER_CTX_ctrl(k->open, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag);
    if (ok != 1 || EVP_DecryptFinal_ex(k->open, p + n, &last) != 1) {
        explicit_bzero(p, text_n);
        return ERR(CRYPTO, "does not open: altered, moved, or another key");
    }
    *plain = str_n((const char *)p, text_n);
    return ERR_OK;
}
