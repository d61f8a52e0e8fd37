#ifndef RELI_FLOW_SECURITY_H
#define RELI_FLOW_SECURITY_H

#include "core/base/address.h"
#include "core/flow/flow.h"

/* Security events: what was refused to whom. Counted, logged, and listed at GET
 * /api/v1/security-events. */

/* X(NAME, word, what it means) */
#define SECURITY_KINDS(X)                                                                      \
    X(BAD_CREDENTIALS, "bad_credentials", "an unknown, expired or revoked key or token")       \
    X(SCOPE_REFUSED, "scope_refused", "a caller who is known, for what he may not do")         \
    X(ADDRESS_REFUSED, "address_refused", "from outside the networks that are allowed")        \
    X(SIGNATURE_REFUSED, "signature_refused", "a callback without a right token or signature") \
    X(LOGIN_FAILED, "login_failed", "a wrong password, code or identity token")                \
    X(LOCKOUT, "lockout", "too many failed logins")                                            \
    X(REFRESH_REUSED, "refresh_reused", "a refresh token came twice: its family is revoked")   \
    X(RATE_LIMITED, "rate_limited", "more requests than are allowed")

enum security_kind {
#define X(name, word, means) SECURITY_##name,
    SECURITY_KINDS(X)
#undef X
        SECURITY_N
};

const char *security_word(enum security_kind kind);
bool security_parse(struct str word, enum security_kind *kind) MUST_USE;

struct security_event {
    enum security_kind kind;
    struct uuid merchant; /* nil: unknown; it is then the platform's */
    struct str address;   /* the client's, as in struct peer */
    struct str actor;   /* as in the audit trail, "" if unknown; never a secret, e-mail or phone */
    struct str route;   /* the pattern, not the path */
    const char *detail; /* static words; NULL: none */
};

/* Takes a note; never waits and never fails. Equal events of a second (ten under attack) become one
 * row with a count; of each kind at most SECURITY_PENDING rows wait, and what is beyond is counted
 * in reli_security_events_dropped_total only. */
enum { SECURITY_PENDING = 32 };
void security_note(struct flow *f, const struct security_event *e);

/* For core/app.c. Without security_new notes are counted and logged only. */
struct err security_new(struct flow *f) MUST_USE;
/* Writes what waits; what comes later is not written. */
void security_stop(struct flow *f);
void security_free(struct flow *f);

#endif
