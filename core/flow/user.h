#ifndef RELI_FLOW_USER_H
#define RELI_FLOW_USER_H

#include "core/domain/permission.h"
#include "core/flow/flow.h"

/* People. An account is the installation's; a membership gives it a role with a merchant, or, on
 * the platform merchant, makes it staff. */

enum {
    USER_EMAIL_MAX = 254,
    USER_NAME_MAX = 128,
    USER_MAX_MEMBERSHIPS = 100,
    USER_SEALED_MAX = 4096,
    USER_ACTOR_TEXT = 5 + UUID_TEXT, /* "user:…" */
    USER_HASH = 32
};

/* What somebody is known by; the database has an HMAC of it. */
enum user_key { USER_EMAIL, USER_FIREBASE };

struct user_membership {
    struct uuid merchant; /* nil: the platform */
    enum role role;
    struct str name, country, status; /* of the merchant; p == NULL on the platform */
};

struct user {
    struct uuid id;
    struct str status;        /* invited, active, disabled */
    struct str email, name;   /* opened; name may be absent */
    struct str password_hash; /* p == NULL: none */
    struct str totp;          /* sealed for "account_user.totp"; p == NULL: none */
    bool totp_on;             /* asked for at a login */
    struct str stands_for;    /* core/domain/person.h; p == NULL: himself, he is confirmed */
    int32_t version;      /* grows with password, second factor, status and for whom he stands */
    size_t n_memberships; /* active ones, the oldest first */
    struct user_membership membership[USER_MAX_MEMBERSHIPS];
};

/* `out` is the address in the one spelling that counts, lower case; false if it is none. */
bool user_email(struct str text, char out[USER_EMAIL_MAX + 1]) MUST_USE;
void user_hash(struct vault *v, enum user_key kind, struct str text, uint8_t out[USER_HASH]);
const char *user_actor(struct uuid user, char out[USER_ACTOR_TEXT]);

/* Seals name (may be absent) and e-mail for a row; appends to `out`. And the way back. */
struct err user_person_seal(struct vault *v, struct uuid user, struct str email, struct str name,
                            struct buf *out) MUST_USE;
struct err user_person_open(struct vault *v, struct uuid user, struct str sealed, struct arena *a,
                            struct str *email, struct str *name) MUST_USE;

/* Looks somebody up by what he is known by: of an e-mail the spelling of user_email. `done` fires
 * once, on a later turn, with NULL if nobody is known; the user lives in the arena. */
typedef void user_fn(void *ctx, struct err err, const struct user *u);
void user_find(struct flow *f, struct arena *a, enum user_key kind, struct str text, user_fn *done,
               void *ctx);
void user_get(struct flow *f, struct arena *a, struct uuid id, user_fn *done, void *ctx);

#endif
