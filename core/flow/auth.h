#ifndef RELI_FLOW_AUTH_H
#define RELI_FLOW_AUTH_H

#include "core/domain/merchant.h"
#include "core/domain/permission.h"
#include "core/domain/person.h"
#include "core/flow/flow.h"

/* Who calls: by API key, or a person by a session (session.h). */

struct principal {
    struct uuid merchant;
    struct uuid key; /* the API key; nil for anybody else */
    bool live;
    uint64_t may;              /* a set of permissions */
    struct merchant_hold hold; /* of these, what the merchant's state holds back now */
    char country[3];
    bool needs_idempotency_key, needs_uuid_key;
    /* minor units; larger ones wait for a second person; 0 none */
    int64_t refund_approval_above, payout_approval_above;
    char actor[PERSON_NAME];  /* "api_key:…", "user:…" for the audit trail */
    char person[PERSON_TEXT]; /* who may stand behind, where it takes two people */
    /* of a person */
    struct uuid user, session; /* nil: an API key */
    enum role role;
    bool staff; /* by membership of the platform merchant, whoever he acts for */
};

static inline bool principal_may(const struct principal *who, enum permission p)
{
    return (who->may & permission_bit(p)) != 0;
}

/* Whether a text can be an API key at all: sk_ or rk_, test_ or live_, 48 hex digits. */
bool auth_key_ok(struct str key);
/* A new key for a mode: prefix and 24 random bytes in hex. One that has not all scopes begins with
 * rk_. */
enum { AUTH_KEY_LEN = 8 + 48, AUTH_KEY_SHOWN = 12 };
void auth_key_make(bool live, bool restricted, char out[AUTH_KEY_LEN + 1]);

static inline bool principal_is_person(const struct principal *who)
{
    return !uuid_is_nil(who->user);
}

/* What is known of a key from the last second, without I/O: true, *out and *err, which is ERR_OK or
 * ADDRESS_NOT_ALLOWED. A revoked key is therefore refused within a second. `client` is the text of
 * a struct peer. */
bool auth_cached(struct flow *f, struct str key, struct str client, struct principal *out,
                 struct err *err);
/* Asks PostgreSQL. `done` fires once, on a later turn; ERR_UNAUTHENTICATED for an unknown, revoked
 * or expired key, ERR_ADDRESS_NOT_ALLOWED (`who` is then filled) if the key is not for use from
 * there. */
typedef void auth_fn(void *ctx, struct err err, const struct principal *who);
void auth_start(struct flow *f, struct str key, struct str client, auth_fn *done, void *ctx);

/* What was believed of this API key, of this person's sessions, or of all that call for this
 * merchant, is asked again: for whoever has just committed a change of it, whose next request here
 * must see it. Other replicas hear of it within the second. */
void auth_forget(struct uuid whose);

/* When keys were used is written once a minute for each, some time later; this writes what waits.
 * At the end of a process. */
void auth_stop(struct flow *f);

#endif
