#ifndef RELI_CRYPTO_JWT_H
#define RELI_CRYPTO_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/json.h"

/* Signed tokens (RFC 7515, 7519) in compact form. The algorithm is the caller's, never the token's:
 * a token that names another one is refused before any key is looked at. Every fault of a token is
 * ERR_UNAUTHENTICATED; `what` says which, for the log only. */
enum { JWT_MAX = 8192, JWT_KID_MAX = 128, JWT_KEY_MIN = 32 };

enum jwt_alg {
    JWT_HS256,
    JWT_RS256,
    JWT_NONE /* unsigned, without kid: an emulator's, never anybody else's */
};

/* ---- our own tokens ---- */

struct jwt_secret {
    struct str kid, key; /* at least JWT_KEY_MIN bytes */
};

/* Appends a token of the claims, which are a JSON object. ERR_INVALID, ERR_CRYPTO. */
struct err jwt_sign_hs256(struct buf *out, struct str kid, struct str claims,
                          struct str key) MUST_USE;
/* The claims of a token that one of the keys has signed: the one that it names. They are the
 * caller's to check and to free. */
struct err jwt_verify_hs256(struct str token, const struct jwt_secret *keys, size_t n,
                            struct json **claims) MUST_USE;

/* ---- in two steps, for who has cheap checks to make before the dear one ---- */

/* A token of the right form. What it says is anybody's claim until jwt_signed_by. */
struct jwt {
    struct str text; /* borrowed */
    struct str kid;  /* "" for JWT_NONE */
    enum jwt_alg alg;
    struct json *header, *claims;
};

/* Three parts of canonical base64url, at most JWT_MAX bytes; header and claims are objects without
 * duplicate members; `alg` exactly; typ absent or "JWT"; a kid; none of the header fields that
 * bring keys or change what is signed. */
struct err jwt_read(struct str token, enum jwt_alg alg, struct jwt *out) MUST_USE;
/* Safe on a zero struct. */
void jwt_free(struct jwt *t);

/* A public RSA key, see jwt_keys.h. */
struct jwt_key;
/* For JWT_RS256. ERR_UNAUTHENTICATED, ERR_NO_MEMORY. */
struct err jwt_signed_by(const struct jwt *t, const struct jwt_key *key) MUST_USE;

/* ---- claims ---- */

/* A moment in seconds since 1970: an integer from 0 to the end of year 9999, no text and no
 * fraction. */
bool jwt_seconds(const struct json *claims, const char *name, int64_t *seconds) MUST_USE;
/* A text of 1 to `max` bytes without control characters; STR_NULL otherwise. */
struct str jwt_text(const struct json *claims, const char *name, size_t max);

struct jwt_rules {
    struct str iss, aud; /* exactly these, aud as a string */
    int64_t now_s, skew_s;
};

/* iss, aud and sub (1 to 128 bytes) are there; now is before exp, and not before iat, nor before
 * nbf if there is one, give or take the skew. */
struct err jwt_check(const struct json *claims, const struct jwt_rules *rules) MUST_USE;

#endif
