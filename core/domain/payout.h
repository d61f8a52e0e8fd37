#ifndef RELI_DOMAIN_PAYOUT_H
#define RELI_DOMAIN_PAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/str.h"
#include "core/domain/failure.h"
#include "core/domain/schedule.h"

/* The life of a payout (domain.md, section 2.4), pure. The merchant's money is held from the
 * beginning until the payout has ended; one request at most is open at a time, and another one is
 * sent only after a definite "not taken". What nobody knows stays held and is asked about, never
 * repeated. */

/* X(NAME, word, final for the API, the hold stands) */
#define PAYOUT_STATES(X)                            \
    X(PENDING_APPROVAL, "pending_approval", 0, 1)   \
    X(QUEUED, "queued", 0, 1)                       \
    X(PARKED, "parked", 0, 1)                       \
    X(PROCESSING, "processing", 0, 1)               \
    X(IN_RECONCILIATION, "in_reconciliation", 0, 1) \
    X(COMPLETED, "completed", 1, 0)                 \
    X(FAILED, "failed", 1, 0)                       \
    X(REJECTED, "rejected", 1, 0)                   \
    X(CANCELLED, "cancelled", 1, 0)                 \
    X(RETURNED, "returned", 1, 0)

/* The latest request to the provider: X(NAME, word). DISPUTED: it is said to be paid, but another
 * amount or another request was named; nothing else than people decides then. */
#define PAYOUT_REQUESTS(X)    \
    X(NONE, "none")           \
    X(SENDING, "sending")     \
    X(SUBMITTED, "submitted") \
    X(UNCERTAIN, "uncertain") \
    X(DISPUTED, "disputed")   \
    X(REFUSED, "refused")     \
    X(UNPAID, "unpaid")       \
    X(PAID, "paid")

#define PAYOUT_EVENTS(X)                                                                 \
    X(APPROVE, "approve")             /* operator, not the requester */                  \
    X(REJECT, "reject")               /* operator */                                     \
    X(CANCEL, "cancel")               /* merchant: nothing is open */                    \
    X(DISPATCH, "dispatch")           /* we: the provider is about to be asked */        \
    X(ACCEPTED, "accepted")           /* answer: taken, outcome to come */               \
    X(REFUSED, "refused")             /* answer: definitely not taken */                 \
    X(AMBIGUOUS, "ambiguous")         /* no usable answer */                             \
    X(SUCCESS, "success")             /* result, query, or operators: it was paid */     \
    X(FAILURE, "failure")             /* the same: it was not */                         \
    X(STILL_PENDING, "still_pending") /* query */                                        \
    X(UNREACHABLE, "unreachable")     /* query: nothing certain */                       \
    X(RETURN, "return")               /* provider: it was paid, and the money is back */ \
    X(TICK, "tick")

enum payout_status {
#define X(name, word, final, held) PAYOUT_##name,
    PAYOUT_STATES(X)
#undef X
        PAYOUT_N_STATES
};
enum payout_request {
#define X(name, word) PAYOUT_REQUEST_##name,
    PAYOUT_REQUESTS(X)
#undef X
        PAYOUT_N_REQUESTS
};
enum payout_event_kind {
#define X(name, word) PAYOUT_EVENT_##name,
    PAYOUT_EVENTS(X)
#undef X
        PAYOUT_EVENT_N
};

const char *payout_status_word(enum payout_status s);
bool payout_status_parse(struct str word, enum payout_status *out) MUST_USE;
/* The type of the event that says so: "payout.pending" … */
const char *payout_notice_type(enum payout_status s);
bool payout_status_final(enum payout_status s);
/* The merchant's money is held for it. */
bool payout_status_held(enum payout_status s);
const char *payout_request_word(enum payout_request r);
bool payout_request_parse(struct str word, enum payout_request *out) MUST_USE;

enum {
    PAYOUT_REF_MAX = 128,
    PAYOUT_CODE_MAX = 32,
    PAYOUT_MESSAGE_MAX = 200,
    PAYOUT_MAX_REQUESTS = 15
};

struct payout {
    enum payout_status status;
    int32_t version; /* seq of its last event */
    struct money amount;
    bool late; /* completed after its hold had been given back */
    enum failure_code failure;
    char failure_provider_code[PAYOUT_CODE_MAX + 1];
    char failure_message[PAYOUT_MESSAGE_MAX + 1];
    char receipt[PAYOUT_REF_MAX + 1];
    int64_t created_at_us, updated_at_us, completed_at_us, recon_since_us;
    /* the latest request */
    int n; /* requests with an id of their own so far; the latest's number */
    enum payout_request request;
    int paid_n; /* the request that was paid, 0 none */
    char provider_ref[PAYOUT_REF_MAX + 1];
    int64_t sent_at_us, answered_at_us;
    int poll_n, park_n;
    int64_t next_at_us; /* the next question, or when it leaves the park; TIME_NEVER: none */
};

struct payout_rules {
    int64_t sending_lease_us; /* 60 s */
    int64_t unknown_after_us; /* 15 min from sent_at: then in_reconciliation */
    struct schedule poll, recon;
    struct schedule park; /* between tries while the provider takes nothing; then it fails */
};
void payout_rules_default(struct payout_rules *r);

struct payout_event {
    enum payout_event_kind kind;
    int request;        /* n that it is about; 0: the latest */
    int64_t sent_at_us; /* ACCEPTED, REFUSED, AMBIGUOUS: of the sending that was answered so */
    bool same_person;   /* APPROVE: the approver is the requester */
    bool again;         /* DISPATCH: the provider knows a repeated request by its id: as the last */
    bool later;         /* REFUSED: for lack of capacity; the same may be taken later */
    bool vouched;       /* SUCCESS, FAILURE: two people say so */
    struct money amount; /* SUCCESS: reported; currency 0: not said */
    enum failure_code code;
    struct str provider_ref, receipt, provider_code, message;
    uint32_t random;
};

enum payout_money {
    PAYOUT_MONEY_NONE,
    PAYOUT_MONEY_RELEASE,     /* the hold is given back */
    PAYOUT_MONEY_SETTLE,      /* the hold is used: available, clearing, receivable */
    PAYOUT_MONEY_SETTLE_LATE, /* paid although the hold was given back: the merchant owes it */
    PAYOUT_MONEY_GIVE_BACK,   /* what was paid has come back: receivable, available */
};

enum payout_exception {
    PAYOUT_EXCEPTION_NONE,
    PAYOUT_EXCEPTION_STUCK,
    PAYOUT_EXCEPTION_LATE, /* paid after it had ended, or by a request that was said not taken */
    PAYOUT_EXCEPTION_INTEGRITY,
    PAYOUT_EXCEPTION_TWICE, /* two requests have moved money */
};

struct payout_effects {
    bool changed;
    const char *notice; /* "payout.completed" …, version has grown by one; NULL: none */
    enum payout_money money;
    enum payout_exception exception;
    const char *action; /* audit; NULL: none */
    bool ask;           /* TICK: ask the provider */
};

/* Starts a payout: QUEUED or PENDING_APPROVAL, version 1. The caller holds the amount with the same
 * commit, and has filled amount and created_at_us. */
void payout_begin(struct payout *p, bool needs_approval, struct payout_effects *out);
/* Moves `p`. ERR_INVALID_STATE if impossible (p unchanged); out of date or repeated: ERR_OK,
 * nothing changed. ERR_FORBIDDEN for an approval by the requester. */
struct err payout_step(struct payout *p, const struct payout_event *ev,
                       const struct payout_rules *rules, int64_t now_us,
                       struct payout_effects *out) MUST_USE;
/* When payout_step next wants a TICK, or a queued payout is to be dispatched by whoever finds it;
 * TIME_NEVER if never. */
int64_t payout_deadline_us(const struct payout *p, const struct payout_rules *rules);
/* A request whose outcome is not known. */
bool payout_is_open(const struct payout *p);

#endif
