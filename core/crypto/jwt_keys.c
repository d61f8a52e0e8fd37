/* Key sets as they are published for tokens: two forms of JSON, read once per fetch. */
#include "core/crypto/jwt_keys.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/codec/json.h"
#include "core/crypto/jwt.h"
#include "core/crypto/jwt_int.h"
#include "core/crypto/rsa_int.h"
#include "core/crypto/text.h"

enum { NUMBER_MAX = RSA_BITS_MAX / 8, EXPONENT_MAX = 8, PARSE_MEMORY = 256 * 1024 };

struct jwt_key {
    char name[JWT_KID_MAX + 1];
    struct str kid;
    cjose_jwk_t *jwk;
};

struct jwt_keys {
    size_t n;
    struct jwt_key key[JWT_KEYS_MAX];
};

static struct err certificates_read(const struct json *root, struct arena *a, struct jwt_keys *k);
static struct err jwks_read(const struct json *list, struct arena *a, struct jwt_keys *k);
static cjose_jwk_t *certificate_key(struct arena *a, struct str pem);
static cjose_jwk_t *jwk_key(struct arena *a, const struct json *j);
static struct err keep(struct jwt_keys *k, struct str kid, cjose_jwk_t *jwk);

struct err jwt_keys_parse(struct str text, struct jwt_keys **out)
{
    struct json *root = NULL;
    if (err_is(json_parse(text, &root, NULL)) || json_kind(root) != JSON_OBJ ||
        json_get(root, "error") != NULL) {
        json_free(root);
        return ERR(INVALID, "not a set of keys");
    }
    struct jwt_keys *k = calloc(1, sizeof *k);
    struct err err = ERR(NO_MEMORY, "set of keys");
    struct arena a;
    arena_init(&a, PARSE_MEMORY);
    if (k != NULL) {
        const struct json *list = json_get(root, "keys");
        err = json_kind(list) == JSON_ARR ? jwks_read(list, &a, k) : certificates_read(root, &a, k);
        if (!err_is(err) && k->n == 0)
            err = ERR(INVALID, "no key that could be used");
    }
    arena_free(&a);
    json_free(root);
    ERR_clear_error();
    if (err_is(err)) {
        jwt_keys_free(k);
        return err;
    }
    *out = k;
    return ERR_OK;
}

void jwt_keys_free(struct jwt_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->n; i++)
        cjose_jwk_release(keys->key[i].jwk);
    free(keys);
}

size_t jwt_keys_n(const struct jwt_keys *keys)
{
    return keys != NULL ? keys->n : 0;
}

const struct jwt_key *jwt_keys_find(const struct jwt_keys *keys, struct str kid)
{
    for (size_t i = 0; keys != NULL && i < keys->n; i++)
        if (str_eq(keys->key[i].kid, kid))
            return &keys->key[i];
    return NULL;
}

struct str jwt_key_kid(const struct jwt_key *key)
{
    return key->kid;
}

const cjose_jwk_t *jwt_key_jwk(const struct jwt_key *key)
{
    return key->jwk;
}

static struct err certificates_read(const struct json *root, struct arena *a, struct jwt_keys *k)
{
    struct json_iter it = {0};
    while (json_next(root, &it))
        TRY(keep(k, it.name, certificate_key(a, json_str(it.value))));
    return ERR_OK;
}

static struct err jwks_read(const struct json *list, struct arena *a, struct jwt_keys *k)
{
    for (size_t i = 0; i < json_n(list); i++) {
        const struct json *j = json_at(list, i);
        TRY(keep(k, json_str(json_get(j, "kid")), jwk_key(a, j)));
    }
    return ERR_OK;
}

/* Takes over `jwk`, which may be NULL. */
static struct err keep(struct jwt_keys *k, struct str kid, cjose_jwk_t *jwk)
{
    struct err err = ERR_OK;
    if (jwk == NULL)
        return ERR_OK;
    if (kid.n == 0 || kid.n > JWT_KID_MAX || !str_is_printable_ascii(kid))
        err = ERR(INVALID, "a key without a name");
    else if (jwt_keys_find(k, kid) != NULL)
        err = ERR(INVALID, "two keys of one name");
    else if (k->n == JWT_KEYS_MAX)
        err = ERR(INVALID, "too many keys");
    if (err_is(err)) {
        cjose_jwk_release(jwk);
        return err;
    }
    struct jwt_key *key = &k->key[k->n++];
    str_copy_c(key->name, sizeof key->name, kid);
    key->kid = str_n(key->name, kid.n);
    key->jwk = jwk;
    return ERR_OK;
}

static cjose_jwk_t *rsa_public(uint8_t *n, size_t n_len, uint8_t *e, size_t e_len)
{
    cjose_jwk_rsa_keyspec spec = {.n = n, .nlen = n_len, .e = e, .elen = e_len};
    return cjose_jwk_create_RSA_spec(&spec, NULL);
}

static size_t number_of(const EVP_PKEY *key, const char *name, uint8_t *out, size_t cap)
{
    BIGNUM *v = NULL;
    size_t n = 0;
    if (EVP_PKEY_get_bn_param(key, name, &v) == 1 && (size_t)BN_num_bytes(v) <= cap)
        n = (size_t)BN_bn2bin(v, out);
    BN_free(v);
    return n;
}

static cjose_jwk_t *certificate_key(struct arena *a, struct str pem)
{
    uint8_t n[NUMBER_MAX], e[EXPONENT_MAX];
    X509 *x = certificate_read(a, pem);
    const EVP_PKEY *key = x != NULL ? X509_get0_pubkey(x) : NULL;
    cjose_jwk_t *jwk = NULL;
    if (key != NULL && rsa_key_strong(key)) {
        size_t n_len = number_of(key, OSSL_PKEY_PARAM_RSA_N, n, sizeof n);
        size_t e_len = number_of(key, OSSL_PKEY_PARAM_RSA_E, e, sizeof e);
        if (n_len > 0 && e_len > 0)
            jwk = rsa_public(n, n_len, e, e_len);
    }
    X509_free(x);
    return jwk;
}

/* An unsigned number without leading zeros. */
static struct str jwk_number(struct arena *a, const struct json *j, const char *name, size_t max)
{
    struct str v = base64url_decode(a, json_str(json_get(j, name)));
    return v.n > 0 && v.n <= max && v.p[0] != '\0' ? v : STR_NULL;
}

static bool is_or_absent(const struct json *j, const char *name, struct str value)
{
    const struct json *v = json_get(j, name);
    return v == NULL || str_eq(json_str(v), value);
}

static cjose_jwk_t *jwk_key(struct arena *a, const struct json *j)
{
    if (!str_eq(json_str(json_get(j, "kty")), STR("RSA")) || json_get(j, "d") != NULL ||
        !is_or_absent(j, "alg", STR("RS256")) || !is_or_absent(j, "use", STR("sig")))
        return NULL;
    struct str n = jwk_number(a, j, "n", NUMBER_MAX), e = jwk_number(a, j, "e", EXPONENT_MAX);
    /* exactly 2048 bits or more: the first of 256 bytes has its top bit set */
    bool strong = n.n > RSA_BITS_MIN / 8 || (n.n == RSA_BITS_MIN / 8 && (n.p[0] & 0x80) != 0);
    bool odd = n.n > 0 && e.n > 0 && (n.p[n.n - 1] & 1) != 0 && (e.p[e.n - 1] & 1) != 0;
    if (!strong || !odd || (e.n == 1 && e.p[0] == 1))
        return NULL;
    return rsa_public((uint8_t *)(uintptr_t)n.p, n.n, (uint8_t *)(uintptr_t)e.p, e.n);
}
