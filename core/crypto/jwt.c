/* Tokens, by cjose behind a reading of our own: cjose takes the algorithm from the header, is
 * generous with base64 and follows what a header says, and none of that may reach it. */
#include "core/crypto/jwt.h"

#include <cjose/cjose.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "core/base/secret.h"
#include "core/crypto/jwt_int.h"
#include "core/crypto/text.h"

#define YEAR_10000_S INT64_C(253402300800)

enum { SUB_MAX = 128, HS256_SIGNATURE = 32 };

#define REFUSED(what) ERR(UNAUTHENTICATED, "token: " what)

static const char *const alg_names[] = {
    [JWT_HS256] = "HS256", [JWT_RS256] = "RS256", [JWT_NONE] = "none"};

struct parts {
    struct str header, claims, signature;
};

static struct err parts_find(struct str token, struct parts *p);
static struct err parts_check(const struct parts *p, enum jwt_alg alg, struct arena *a,
                              struct str *header, struct str *claims);
static struct err header_check(struct jwt *t);
static struct err signature_check(struct str token, const cjose_jwk_t *key);
static cjose_jwk_t *secret_key(struct str key);
static void secret_key_free(cjose_jwk_t *jwk);

struct err jwt_verify_hs256(struct str token, const struct jwt_secret *keys, size_t n,
                            struct json **claims)
{
    struct jwt t;
    TRY(jwt_read(token, JWT_HS256, &t));
    struct err err = REFUSED("unknown kid");
    for (size_t i = 0; i < n && err_is(err); i++) {
        if (!str_eq(keys[i].kid, t.kid) || keys[i].key.n < JWT_KEY_MIN)
            continue;
        cjose_jwk_t *jwk = secret_key(keys[i].key);
        err = jwk != NULL ? signature_check(token, jwk) : ERR(NO_MEMORY, "token key");
        secret_key_free(jwk);
        break;
    }
    if (!err_is(err)) {
        *claims = t.claims;
        t.claims = NULL;
    }
    jwt_free(&t);
    return err;
}

struct err jwt_read(struct str token, enum jwt_alg alg, struct jwt *out)
{
    struct parts p;
    struct str header, claims;
    struct arena a;
    *out = (struct jwt){.text = token, .alg = alg};
    TRY(parts_find(token, &p));
    arena_init(&a, 6 * JWT_MAX);
    struct err err = parts_check(&p, alg, &a, &header, &claims);
    if (!err_is(err) && err_is(json_parse(header, &out->header, NULL)))
        err = REFUSED("header is not JSON");
    if (!err_is(err))
        err = header_check(out);
    if (!err_is(err) &&
        (err_is(json_parse(claims, &out->claims, NULL)) || json_kind(out->claims) != JSON_OBJ))
        err = REFUSED("claims are no JSON object");
    arena_free(&a);
    if (err_is(err))
        jwt_free(out);
    return err;
}

void jwt_free(struct jwt *t)
{
    json_free(t->header);
    json_free(t->claims);
    *t = (struct jwt){0};
}

struct err jwt_signed_by(const struct jwt *t, const struct jwt_key *key)
{
    ASSERT(t->alg == JWT_RS256);
    if (!str_eq(t->kid, jwt_key_kid(key)))
        return REFUSED("another key");
    return signature_check(t->text, jwt_key_jwk(key));
}

struct err jwt_sign_hs256(struct buf *out, struct str kid, struct str claims, struct str key)
{
    char name[JWT_KID_MAX + 1];
    if (kid.n == 0 || kid.n > JWT_KID_MAX || !str_is_printable_ascii(kid) || key.n < JWT_KEY_MIN)
        return ERR(INVALID, "token key");
    str_copy_c(name, sizeof name, kid);
    const char *text = NULL;
    cjose_jwk_t *jwk = secret_key(key);
    cjose_header_t *header = cjose_header_new(NULL);
    cjose_jws_t *jws = NULL;
    if (jwk != NULL && header != NULL && cjose_header_set(header, "alg", "HS256", NULL) &&
        cjose_header_set(header, "typ", "JWT", NULL) && cjose_header_set(header, "kid", name, NULL))
        jws = cjose_jws_sign(jwk, header, (const uint8_t *)claims.p, claims.n, NULL);
    bool signed_ = jws != NULL && cjose_jws_export(jws, &text, NULL);
    if (signed_)
        buf_c(out, text);
    cjose_jws_release(jws);
    cjose_header_release(header);
    secret_key_free(jwk);
    ERR_clear_error();
    if (!signed_ || out->failed)
        return ERR(CRYPTO, "token signature");
    return ERR_OK;
}

/* ---- form ---- */

static struct err parts_find(struct str token, struct parts *p)
{
    if (token.n > JWT_MAX)
        return REFUSED("too long");
    size_t first = str_find(token, '.', 0);
    size_t second = first != SIZE_MAX ? str_find(token, '.', first + 1) : SIZE_MAX;
    if (second == SIZE_MAX || str_find(token, '.', second + 1) != SIZE_MAX)
        return REFUSED("not three parts");
    p->header = str_first(token, first);
    p->claims = str_n(token.p + first + 1, second - first - 1);
    p->signature = str_from(token, second + 1);
    return ERR_OK;
}

static struct err parts_check(const struct parts *p, enum jwt_alg alg, struct arena *a,
                              struct str *header, struct str *claims)
{
    *header = base64url_decode(a, p->header);
    *claims = base64url_decode(a, p->claims);
    if (header->p == NULL || claims->p == NULL)
        return REFUSED("not base64url");
    if (alg == JWT_NONE)
        return p->signature.n == 0 ? ERR_OK : REFUSED("a signature where none belongs");
    struct str signature = base64url_decode(a, p->signature);
    if (signature.p == NULL)
        return REFUSED("the signature is not base64url");
    if (alg == JWT_HS256 && signature.n != HS256_SIGNATURE)
        return REFUSED("the signature's length");
    return ERR_OK;
}

static struct err header_check(struct jwt *t)
{
    /* They bring keys along, or change what is signed or how (RFC 7515, 7516, 7797). */
    static const char *const never[] = {"crit", "b64", "jku", "jwk", "x5u",
                                        "x5c",  "zip", "enc", "epk", "cty"};
    for (size_t i = 0; i < COUNT_OF(never); i++)
        if (json_get(t->header, never[i]) != NULL)
            return REFUSED("a header field that is not taken");
    if (!str_eq(json_str(json_get(t->header, "alg")), str_c(alg_names[t->alg])))
        return REFUSED("algorithm");
    const struct json *typ = json_get(t->header, "typ"), *kid = json_get(t->header, "kid");
    if (typ != NULL && !str_eq(json_str(typ), STR("JWT")))
        return REFUSED("typ");
    if (t->alg == JWT_NONE)
        return kid == NULL ? ERR_OK : REFUSED("a kid where none belongs");
    t->kid = json_str(kid);
    if (t->kid.n == 0 || t->kid.n > JWT_KID_MAX || !str_is_printable_ascii(t->kid))
        return REFUSED("kid");
    return ERR_OK;
}

/* ---- signature ---- */

/* cjose reads the header again, and finds the algorithm that header_check has found. */
static struct err signature_check(struct str token, const cjose_jwk_t *key)
{
    cjose_jws_t *jws = cjose_jws_import(token.p, token.n, NULL);
    bool right = jws != NULL && cjose_jws_verify(jws, key, NULL);
    cjose_jws_release(jws);
    ERR_clear_error();
    return right ? ERR_OK : REFUSED("signature");
}

static cjose_jwk_t *secret_key(struct str key)
{
    return cjose_jwk_create_oct_spec((const uint8_t *)key.p, key.n, NULL);
}

/* cjose frees its copy of the key and leaves the bytes. */
static void secret_key_free(cjose_jwk_t *jwk)
{
    if (jwk == NULL)
        return;
    explicit_bzero(cjose_jwk_get_keydata(jwk, NULL), cjose_jwk_get_keysize(jwk, NULL) / 8);
    cjose_jwk_release(jwk);
}

/* ---- claims ---- */

bool jwt_seconds(const struct json *claims, const char *name, int64_t *seconds)
{
    int64_t v;
    if (!json_i64(json_get(claims, name), &v) || v < 0 || v >= YEAR_10000_S)
        return false;
    *seconds = v;
    return true;
}

struct str jwt_text(const struct json *claims, const char *name, size_t max)
{
    struct str s = json_str(json_get(claims, name));
    if (s.n == 0 || s.n > max)
        return STR_NULL;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return STR_NULL;
    return s;
}

struct err jwt_check(const struct json *claims, const struct jwt_rules *rules)
{
    int64_t exp, iat, nbf;
    if (!str_eq(json_str(json_get(claims, "iss")), rules->iss))
        return REFUSED("iss");
    if (!str_eq(json_str(json_get(claims, "aud")), rules->aud))
        return REFUSED("aud");
    if (jwt_text(claims, "sub", SUB_MAX).p == NULL)
        return REFUSED("sub");
    if (!jwt_seconds(claims, "exp", &exp) || rules->now_s >= exp + rules->skew_s)
        return REFUSED("exp");
    if (!jwt_seconds(claims, "iat", &iat) || iat > rules->now_s + rules->skew_s)
        return REFUSED("iat");
    if (json_get(claims, "nbf") != NULL &&
        (!jwt_seconds(claims, "nbf", &nbf) || nbf > rules->now_s + rules->skew_s))
        return REFUSED("nbf");
    return ERR_OK;
}
