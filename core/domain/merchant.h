#ifndef RELI_DOMAIN_MERCHANT_H
#define RELI_DOMAIN_MERCHANT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

/* The life of a merchant, and what its state holds back. Pure.
 * X(NAME, word, states that may follow) */
#define MERCHANT_STATES(X)                                                 \
    X(ONBOARDING, "onboarding", MERCHANT_TO(ACTIVE) | MERCHANT_TO(CLOSED)) \
    X(ACTIVE, "active", MERCHANT_TO(SUSPENDED) | MERCHANT_TO(CLOSED))      \
    X(SUSPENDED, "suspended", MERCHANT_TO(ACTIVE) | MERCHANT_TO(CLOSED))   \
    X(CLOSED, "closed", 0)
#define MERCHANT_TO(name) (1u << MERCHANT_##name)

enum merchant_status {
#define X(name, word, next) MERCHANT_##name,
    MERCHANT_STATES(X)
#undef X
        MERCHANT_N
};

const char *merchant_word(enum merchant_status s);
bool merchant_parse(struct str word, enum merchant_status *s) MUST_USE;
bool merchant_may_become(enum merchant_status from, enum merchant_status to);

/* Permissions (a set as in permission.h) that nobody has now in this mode, and how to refuse them:
 * suspended: all but reading and refunds; closed: all but reading; live mode before the merchant is
 * active with approved papers: taking and sending money. Staff are held back by none of it but the
 * last and from taking and sending money. */
struct merchant_hold {
    uint64_t held;
    enum err_code code;
    const char *detail;
};
struct merchant_hold merchant_holds(enum merchant_status s, int64_t kyc_level, bool live,
                                    bool staff);

#endif
