#ifndef RELI_FLOW_SESSION_H
#define RELI_FLOW_SESSION_H

#include "core/flow/auth.h"
#include "core/flow/credential.h"
#include "core/flow/user.h"

/* Sessions of people. A login opens one. Its access token, a JWT of some minutes, names it and says
 * nothing else: role, merchant and whether it still counts are asked of PostgreSQL and believed for
 * a second, as API keys are. Its refresh token is good once; one that comes twice ends the session
 * with all tokens that came of it. */

enum { SESSION_REFRESH_LEN = 4 + 72, SESSION_ACCESS_MAX = 1024 };

struct session_tokens {
    struct str access; /* in the arena */
    char refresh[SESSION_REFRESH_LEN + 1];
    int64_t access_until_us, refresh_until_us; /* wall; neither outlives the session */
};

/* A token names the secret that signed it by a hash of that secret, so that two can be good at a
 * time. Once, at the start, where the rules will stay. */
void session_name_secrets(struct session_rules *rules);

/* ---- opening ---- */

struct session_input {
    const struct user *user;   /* as user_find gave it: if he changed since, nothing is opened */
    struct str merchant;       /* an id; p == NULL: of his oldest membership */
    int64_t totp_step;         /* that the right code of the second factor had; 0: none was given */
    const struct guard *guard; /* the counters of the try, to be forgiven; NULL: none */
    struct str address;        /* the client's */
    const char *how;           /* "password", "firebase": static words for the audit trail */
};

struct session_grant {
    const struct user *user;
    const struct user_membership *membership;
    struct uuid session;
    struct session_tokens tokens;
};

/* `done` fires once, on a later turn. ERR_UNAUTHENTICATED: he is not active, has changed, or the
 * code was used before; ERR_TOTP_REQUIRED: he has a second factor and no code was given;
 * ERR_NO_MEMBERSHIP: of nothing, or not of that merchant. The grant lives in the arena. */
typedef void session_open_fn(void *ctx, struct err err, const struct session_grant *g);
void session_open(struct flow *f, struct arena *a, const struct session_input *in,
                  session_open_fn *done, void *ctx);

/* ---- going on ---- */

/* Takes a refresh token. ERR_UNAUTHENTICATED if it is not good (any more); `reused` says that it
 * had been used, and that its session has ended for it: who and where are then given. */
struct session_reuse {
    bool is;
    struct uuid user, merchant;
};
typedef void session_refresh_fn(void *ctx, struct err err, const struct session_tokens *t,
                                const struct session_reuse *reused);
void session_refresh(struct flow *f, struct arena *a, struct str refresh, session_refresh_fn *done,
                     void *ctx);

/* Ends one session of a person, or all of his when `session` is nil. `why`: static words. */
struct session_ending {
    struct uuid user, session;
    struct uuid merchant; /* of the audit row */
    struct str actor;
    const char *why;
};
void session_end(struct flow *f, const struct session_ending *e, store_rows_fn *done, void *ctx);

/* ---- checking ---- */

/* Whether a text may be an access token at all: it has dots. */
bool session_looks_like(struct str token);

/* Who an access token says that he is, and what he wants to act for. */
struct session_use {
    struct uuid user, session;
    bool live;
    bool for_other;    /* the header Reli-Merchant was sent */
    struct uuid other; /* its merchant: for staff, whose own is the platform */
};
/* Signature, times, issuer and audience, and user and session out of it. */
struct err session_token_read(struct flow *f, struct str token, struct session_use *out) MUST_USE;

/* As auth_cached and auth_start. ERR_UNAUTHENTICATED; ERR_FORBIDDEN: another merchant is named, and
 * he is no staff; ERR_NOT_FOUND: there is no such merchant. */
bool session_cached(struct flow *f, const struct session_use *u, struct principal *out);
void session_start(struct flow *f, const struct session_use *u, auth_fn *done, void *ctx);
/* Part of auth_forget: of a person, or of all that act for a merchant. */
void session_forget(struct uuid whose);

#endif
