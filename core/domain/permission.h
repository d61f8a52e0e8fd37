#ifndef RELI_DOMAIN_PERMISSION_H
#define RELI_DOMAIN_PERMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"
#include "core/base/str.h"

/* Who may do what: the one matrix. A row for each kind of operation, a column for API keys and one
 * for each role of people. A route names its row (http/routes.c), nothing else decides. Pure. */

/* What an API key can be limited to: X(NAME, word). "*" has them all, and the rows of SCOPE_STAR.
 */
#define PERMISSION_SCOPES(X)            \
    X(PAYMENTS_READ, "payments:read")   \
    X(PAYMENTS_WRITE, "payments:write") \
    X(REFUNDS_WRITE, "refunds:write")   \
    X(PAYOUTS_WRITE, "payouts:write")   \
    X(WEBHOOKS_WRITE, "webhooks:write")

enum scope {
    SCOPE_NEVER, /* no key at all: people only */
#define X(name, word) SCOPE_##name,
    PERMISSION_SCOPES(X)
#undef X
        SCOPE_STAR /* only a key that may do everything that keys may do */
};

/* Roles of people: X(NAME, word, letter in the matrix). */
#define PERMISSION_ROLES(X) \
    X(OWNER, "owner")       \
    X(ADMIN, "admin")       \
    X(OPERATOR, "operator") \
    X(VIEWER, "viewer")     \
    X(SUPPORT, "support")

enum role {
#define X(name, word) ROLE_##name,
    PERMISSION_ROLES(X)
#undef X
        ROLE_N
};

/* Letters of the roles, in the order of enum role: o owner, a admin, p operator, v viewer,
 * s support. In capitals: only on the platform merchant, that is the installation's staff.
 * X(NAME, word, scope, roles) */
#define PERMISSIONS(X)                                                      \
    X(PAYMENTS_READ, "payments.read", SCOPE_PAYMENTS_READ, "oapvs")         \
    X(PAYMENTS_WRITE, "payments.write", SCOPE_PAYMENTS_WRITE, "oap")        \
    X(REFUNDS_WRITE, "refunds.write", SCOPE_REFUNDS_WRITE, "oap")           \
    X(PAYOUTS_READ, "payouts.read", SCOPE_PAYMENTS_READ, "oapv")            \
    X(PAYOUTS_WRITE, "payouts.write", SCOPE_PAYOUTS_WRITE, "oap")           \
    X(EXCEPTIONS_READ, "exceptions.read", SCOPE_PAYMENTS_READ, "oapvs")     \
    X(EXCEPTIONS_RESOLVE, "exceptions.resolve", SCOPE_REFUNDS_WRITE, "oap") \
    X(BOOKS_READ, "books.read", SCOPE_PAYMENTS_READ, "oapv")                \
    X(WEBHOOKS_READ, "webhooks.read", SCOPE_WEBHOOKS_WRITE, "oapv")         \
    X(WEBHOOKS_WRITE, "webhooks.write", SCOPE_WEBHOOKS_WRITE, "oa")         \
    X(PROVIDERS_READ, "providers.read", SCOPE_PAYMENTS_READ, "oapvs")       \
    X(PROVIDERS_WRITE, "providers.write", SCOPE_STAR, "oa")                 \
    X(PROVIDER_EVENTS_READ, "provider_events.read", SCOPE_STAR, "oaps")     \
    X(PROVIDER_EVENTS_REPLAY, "provider_events.replay", SCOPE_STAR, "oap")  \
    X(CUSTOMERS_READ, "customers.read", SCOPE_PAYMENTS_READ, "oaps")        \
    X(CUSTOMERS_DATA, "customers.data", SCOPE_STAR, "oa")                   \
    X(KEYS, "api_keys", SCOPE_STAR, "oa")                                   \
    X(LIMITS_READ, "limits.read", SCOPE_PAYMENTS_READ, "oapv")              \
    X(LIMITS_WRITE, "limits.write", SCOPE_STAR, "oa")                       \
    X(MERCHANT_READ, "merchant.read", SCOPE_PAYMENTS_READ, "oapvs")         \
    X(MERCHANT_WRITE, "merchant.write", SCOPE_NEVER, "oa")                  \
    X(MEMBERS_READ, "members.read", SCOPE_NEVER, "oa")                      \
    X(MEMBERS_WRITE, "members.write", SCOPE_NEVER, "oa")                    \
    X(SECURITY_READ, "security.read", SCOPE_STAR, "oa")                     \
    X(SELF, "self", SCOPE_NEVER, "oapvs")                                   \
    X(MERCHANTS_READ, "merchants.read", SCOPE_NEVER, "OAPVS")               \
    X(MERCHANTS_WRITE, "merchants.write", SCOPE_NEVER, "OA")                \
    X(MAINTENANCE, "maintenance", SCOPE_NEVER, "OAP")

enum permission {
    PERM_NONE, /* a route that anybody may call */
#define X(name, word, scope, roles) PERM_##name,
    PERMISSIONS(X)
#undef X
        PERM_N
};

/* A set of permissions: bit 1 << enum permission. */
static inline uint64_t permission_bit(enum permission p)
{
    return (uint64_t)1 << p;
}

/* "payments:read,payments:write" or "*"; false for an unknown word, and for none. */
bool permission_of_scopes(struct str scopes, uint64_t *set) MUST_USE;
/* What a role may; `staff`: it is one on the platform merchant. */
uint64_t permission_of_role(enum role role, bool staff) MUST_USE;
/* Whatever changes nothing of the merchant's: the rows named .read, and one's own account. */
uint64_t permission_of_reading(void) MUST_USE;
/* What has a meaning on the platform merchant itself; for the rest staff name a merchant. */
uint64_t permission_of_platform(void) MUST_USE;

/* What no limited key reaches: members, keys, accounts with providers, maintenance … Routes of
 * these rows may be called from RELI_ADMIN_CIDRS only. One's own account is none of these: whoever
 * has logged in may log out anywhere. */
bool permission_is_admin(enum permission p) MUST_USE;

bool role_parse(struct str word, enum role *role) MUST_USE;
const char *role_word(enum role role);
const char *permission_word(enum permission p);

#endif
