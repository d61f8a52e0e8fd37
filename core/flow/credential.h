#ifndef RELI_FLOW_CREDENTIAL_H
#define RELI_FLOW_CREDENTIAL_H

#include "core/flow/user.h"

/* Whether somebody knows a person's password, and has the second factor. Every try is counted
 * before it is made, by account and by client's address, and forgiven when what it was for is
 * committed (struct guard); after CREDENTIAL_TRIES without success the next has to wait a second,
 * then two, four … up to fifteen minutes. An e-mail address that nobody has is treated like any
 * other, in time as well. */
enum { CREDENTIAL_TRIES = 5, CREDENTIAL_TRIES_ADDRESS = 20 };

/* The counters of a try, to be forgiven. */
struct guard {
    uint8_t account[USER_HASH], address[USER_HASH];
};

/* As parameters of a statement; NULL: there was no try. */
static inline struct str guard_account(const struct guard *g)
{
    return g != NULL ? str_n((const char *)g->account, USER_HASH) : STR_NULL;
}
static inline struct str guard_address(const struct guard *g)
{
    return g != NULL ? str_n((const char *)g->address, USER_HASH) : STR_NULL;
}

struct credential_input {
    struct str email; /* of the person; or */
    struct uuid user; /* not nil: him */
    struct str password;
    struct str totp;    /* p == NULL: not sent */
    bool without_totp;  /* it is not asked for */
    struct str address; /* the client's */
};

struct credential {
    const struct user *user;
    int64_t totp_step; /* of the code that was right; it counts once, which the commit sees to */
    struct guard guard;
    int64_t wait_us; /* with ERR_TOO_MANY_ATTEMPTS */
};

/* `done` fires once, on a later turn. ERR_UNAUTHENTICATED: unknown, wrong, or not active;
 * ERR_TOTP_REQUIRED: the password was right and no code was sent; ERR_TOO_MANY_ATTEMPTS;
 * ERR_OVERLOADED. The user lives in the arena. */
typedef void credential_fn(void *ctx, struct err err, const struct credential *c);
void credential_check(struct flow *f, struct arena *a, const struct credential_input *in,
                      credential_fn *done, void *ctx);

#endif
