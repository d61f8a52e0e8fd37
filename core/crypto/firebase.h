#ifndef RELI_CRYPTO_FIREBASE_H
#define RELI_CRYPTO_FIREBASE_H

#include "core/crypto/jwt.h"
#include "core/crypto/jwt_keys.h"

/* ID tokens of Firebase Authentication. The same keys sign for every project of the world: who the
 * token is for counts as much as who signed it. Tenants (of Identity Platform) are not taken. */
enum {
    FIREBASE_SUB_MAX = 128,
    FIREBASE_EMAIL_MAX = 254,
    FIREBASE_NAME_MAX = 200,
    FIREBASE_SKEW_MAX_S = 300
};

struct firebase_rules {
    struct str project;
    int64_t now_s, skew_s;
    bool emulator; /* takes unsigned tokens, and none but those */
};

/* What a token says of its bearer: borrowed from it. */
struct firebase_user {
    struct str sub;            /* 1 to FIREBASE_SUB_MAX bytes without control characters */
    struct str email;          /* "" if none, too long, or no text */
    struct str name, provider; /* likewise; provider as in "google.com" */
    bool email_verified;
    int64_t auth_time_s; /* when the bearer proved who he is */
};

struct firebase_token {
    struct jwt jwt;
    struct firebase_user user;
};

/* Everything that can be checked without a key: form, algorithm, kid, project, times, sub. Nobody
 * may believe it before firebase_signed. ERR_UNAUTHENTICATED. */
struct err firebase_read(struct str token, const struct firebase_rules *rules,
                         struct firebase_token *out) MUST_USE;
/* Whether the key that the token names has signed it; `keys` may be NULL. An emulator's token needs
 * none. ERR_NOT_FOUND if there is no such key: perhaps a newer set has it. ERR_UNAUTHENTICATED. */
struct err firebase_signed(const struct firebase_token *t, const struct firebase_rules *rules,
                           const struct jwt_keys *keys) MUST_USE;
/* Safe on a zero struct. */
void firebase_free(struct firebase_token *t);

/* Whether a text can be a project id. */
bool firebase_project_ok(struct str id);

#endif
