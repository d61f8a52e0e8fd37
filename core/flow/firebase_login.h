#ifndef RELI_FLOW_FIREBASE_LOGIN_H
#define RELI_FLOW_FIREBASE_LOGIN_H

#include "core/flow/user.h"

/* Who the bearer of an ID token of Firebase is here: the person that his Firebase account is linked
 * to. At his first login that is the one with the same e-mail address, if Firebase has verified it:
 * if nobody has confirmed that one yet, the password goes that somebody else may have set; or,
 * where the installation wants it (FIREBASE_CREATE), a new one, who is a member of nothing
 * until somebody invites him. */

/* `done` fires once, on a later turn; session_open comes next. ERR_NOT_FOUND: logins by Firebase
 * are not set up; ERR_UNAUTHENTICATED: the token is not good; ERR_UNAVAILABLE: there are no keys to
 * check it with; ERR_NO_MEMBERSHIP: it is, but its bearer is nobody here; ERR_TOTP_REQUIRED: he is
 * not linked, and logs in otherwise. The user lives in the arena, where the token has to be until then. */
void firebase_login_start(struct flow *f, struct arena *a, struct str id_token, user_fn *done,
                          void *ctx);

#endif
