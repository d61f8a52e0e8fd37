#ifndef RELI_FLOW_FIREBASE_LOGIN_H
#define RELI_FLOW_FIREBASE_LOGIN_H

#include "core/flow/user.h"

/* Who the bearer of an ID token of Firebase is here: the person that his Firebase account is linked
 * to. At his first login that is the one with the same e-mail address, if Firebase has verified it:
 * if nobody has confirmed that one yet, the password goes that somebody else may have set; or,
 * where the installation wants it (FIREBASE_CREATE), a new one, who is a member of nothing
 * until somebody invites him. */

struct firebase_bearer {
    const struct user *user;
    bool linked; /* else `account` is to be linked by what comes next */
    uint8_t account[USER_HASH];
};

/* `invitee` nil: session_open comes next. Else somebody accepts an invitation, and nobody but him
 * will do: an account that nobody has opened yet is found by its verified address as well, and is
 * not linked. ERR_NOT_FOUND: logins by Firebase are not set up; ERR_UNAUTHENTICATED: the token is
 * not good; ERR_UNAVAILABLE: there are no keys to check it with; ERR_NO_MEMBERSHIP: it is, but its
 * bearer is nobody here; ERR_TOTP_REQUIRED: he is not linked, and logs in otherwise. `done` fires
 * once, on a later turn. The user lives in the arena, where the token has to be until then. */
typedef void firebase_login_fn(void *ctx, struct err err, const struct firebase_bearer *b);
void firebase_login_start(struct flow *f, struct arena *a, struct str id_token, struct uuid invitee,
                          firebase_login_fn *done, void *ctx);

#endif
