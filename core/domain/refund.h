#ifndef RELI_DOMAIN_REFUND_H
#define RELI_DOMAIN_REFUND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/str.h"
#include "core/domain/failure.h"
#include "core/domain/schedule.h"

/* The life of a refund (domain.md, section 2.3), pure: reserve before send, rails in order, unknown
 * stays reserved. The flows load payment and refund, step, and commit both in one unit. */

/* X(NAME, word, final for the API) */
#define REFUND_STATES(X)                         \
    X(PENDING_APPROVAL, "pending_approval", 0)   \
    X(PENDING, "pending", 0)                     \
    X(PROCESSING, "processing", 0)               \
    X(IN_RECONCILIATION, "in_reconciliation", 0) \
    X(COMPLETED, "completed", 1)                 \
    X(FAILED, "failed", 1)                       \
    X(REJECTED, "rejected", 1)                   \
    X(CANCELLED, "cancelled", 1)

/* A request over one rail: X(NAME, word, final) */
#define RAIL_STATES(X)           \
    X(SENDING, "sending", 0)     \
    X(SUBMITTED, "submitted", 0) \
    X(UNCERTAIN, "uncertain", 0) \
    X(REJECTED, "rejected", 1)   \
    X(SUCCEEDED, "succeeded", 1) \
    X(FAILED, "failed", 1)

/* How money goes back: X(NAME, word). MANUAL: an operator's task; its attempt is `submitted` from
 * the start, is never polled, and ends by CONFIRM, or by FAILURE if it was not paid. */
#define REFUND_RAILS(X)     \
    X(NONE, "")             \
    X(REVERSAL, "reversal") \
    X(PAYOUT, "payout")     \
    X(MANUAL, "manual")

#define REFUND_EVENTS(X)                                                                   \
    X(APPROVE, "approve")             /* operator, not the requester */                    \
    X(REJECT, "reject")               /* operator */                                       \
    X(CANCEL, "cancel")               /* merchant: nothing was sent */                     \
    X(DISPATCH, "dispatch")           /* we: the next rail is about to be asked */         \
    X(ACCEPTED, "accepted")           /* answer: taken, outcome to come */                 \
    X(REFUSED, "refused")             /* answer: definitely not taken */                   \
    X(AMBIGUOUS, "ambiguous")         /* no usable answer */                               \
    X(SUCCESS, "success")             /* result or query: money has gone back */           \
    X(FAILURE, "failure")             /* result or query: definitely not */                \
    X(STILL_PENDING, "still_pending") /* query */                                          \
    X(UNREACHABLE, "unreachable")     /* query: nothing certain */                         \
    X(CONFIRM, "confirm")             /* operator: a manual refund was paid out */         \
    X(REVOKE, "revoke")               /* provider: a completed refund turned out failed */ \
    X(TICK, "tick")

enum refund_status {
#define X(name, word, final) REFUND_##name,
    REFUND_STATES(X)
#undef X
        REFUND_N_STATES
};
enum rail_status {
#define X(name, word, final) RAIL_##name,
    RAIL_STATES(X)
#undef X
        RAIL_N_STATES
};
enum refund_rail {
#define X(name, word) REFUND_RAIL_##name,
    REFUND_RAILS(X)
#undef X
        REFUND_RAIL_N
};
enum refund_event_kind {
#define X(name, word) REFUND_EVENT_##name,
    REFUND_EVENTS(X)
#undef X
        REFUND_EVENT_N
};

const char *refund_status_word(enum refund_status s);
bool refund_status_parse(struct str word, enum refund_status *out) MUST_USE;
bool refund_status_final(enum refund_status s);
const char *rail_status_word(enum rail_status s);
bool rail_status_parse(struct str word, enum rail_status *out) MUST_USE;
const char *refund_rail_word(enum refund_rail r);
bool refund_rail_parse(struct str word, enum refund_rail *out) MUST_USE;

enum {
    REFUND_MAX_RAILS = 4,
    REFUND_MAX_ATTEMPTS = 15, /* some of them over one rail, which was busy */
    REFUND_REF_MAX = 128,
    REFUND_CODE_MAX = 32,
    REFUND_MESSAGE_MAX = 200
};

struct rail_attempt {
    int n; /* from 1 */
    enum refund_rail rail;
    enum rail_status status;
    char provider_ref[REFUND_REF_MAX + 1];
    char receipt[REFUND_REF_MAX + 1];
    char provider_code[REFUND_CODE_MAX + 1];
    enum failure_code code;
    int64_t sent_at_us;
    int64_t answered_at_us;
    int poll_n;
    int64_t next_poll_at_us; /* or, while it is parked, when its rail is asked again; TIME_NEVER:
                                none */
};

struct refund {
    enum refund_status status;
    int32_t version; /* seq of its last event */
    struct money amount;
    bool late; /* completed after failed */
    enum failure_code failure;
    char failure_provider_code[REFUND_CODE_MAX + 1];
    char failure_message[REFUND_MESSAGE_MAX + 1];
    char receipt[REFUND_REF_MAX + 1];
    char provider_ref[REFUND_REF_MAX + 1];
    int64_t created_at_us, updated_at_us, completed_at_us;
    int64_t recon_since_us;
    int park_n; /* times that it has waited for a rail that was busy */
    int n_attempts;
    struct rail_attempt attempts[REFUND_MAX_ATTEMPTS];
};

struct refund_rules {
    int n_rails;
    enum refund_rail rails[REFUND_MAX_RAILS]; /* in order, each used once; the last may be MANUAL */
    int64_t sending_lease_us;                 /* 60 s */
    int64_t unknown_after_us;                 /* 15 min from sent_at: then in_reconciliation */
    bool may_revoke; /* what has succeeded may fail: a success that comes after it may be the older
                        word */
    struct schedule poll, recon;
    struct schedule park; /* between tries over a rail that is busy; then the next one */
};
/* Reversal, then payout (the caller drops what the provider lacks); times of domain.md, 3. */
void refund_rules_default(struct refund_rules *r);

struct refund_event {
    enum refund_event_kind kind;
    int attempt;      /* n of the rail attempt; 0 none (CONFIRM then finds it) */
    bool same_person; /* APPROVE: the approver is the requester */
    bool again;       /* DISPATCH: the provider knows a repeated request by its id: as the last */
    /* REFUSED, FAILURE: for lack of capacity; the same may be taken later. Of a failure only where
     * every sending is an attempt of its own: it does not say of which one it speaks. */
    bool later;
    int64_t sent_at_us;  /* ACCEPTED, REFUSED, AMBIGUOUS: of the sending that was answered so */
    bool afresh;         /* SUCCESS, FAILURE, REVOKE: the answer to a question that was asked when
                            the attempt had failed already */
    struct money amount; /* SUCCESS: reported; currency 0: not said */
    enum failure_code code;
    struct str provider_ref, receipt, provider_code, message;
    uint32_t random;
};

enum refund_notice {
    REFUND_NOTICE_NONE,
    REFUND_NOTICE_PENDING,
    REFUND_NOTICE_PROCESSING,
    REFUND_NOTICE_COMPLETED,
    REFUND_NOTICE_FAILED,
    REFUND_NOTICE_REJECTED,
    REFUND_NOTICE_CANCELLED,
    REFUND_NOTICE_IN_RECONCILIATION,
};
/* "refund.pending" …; NULL for NONE. */
const char *refund_notice_type(enum refund_notice n);

/* What a step does to the payment's amounts and the books. */
enum refund_money {
    REFUND_MONEY_NONE,
    REFUND_MONEY_RELEASE,     /* reserved -= amount */
    REFUND_MONEY_SETTLE,      /* reserved -= amount, refunded += amount;
                                 Dr merchant_pending / Cr provider_receivable */
    REFUND_MONEY_SETTLE_LATE, /* refunded += amount although the reserve was released: may exceed
                                 what was received: the caller posts to the books and raises
                                 double_refund if it does */
    REFUND_MONEY_UNDO, /* a settled refund is taken back: refunded -= amount, the reverse posting */
};

enum refund_exception {
    REFUND_EXCEPTION_NONE,
    REFUND_EXCEPTION_STUCK,
    REFUND_EXCEPTION_MANUAL, /* an operator has to pay by hand */
    REFUND_EXCEPTION_REVOKED,
    REFUND_EXCEPTION_LATE, /* paid after it had ended, or while another rail is at work */
    REFUND_EXCEPTION_INTEGRITY,
    REFUND_EXCEPTION_TWICE, /* two rails have moved money: double_refund */
};

struct refund_effects {
    bool changed;
    enum refund_notice notice; /* version has grown by one when not NONE */
    enum refund_money money;
    enum refund_exception exception;
    const char *action;         /* audit */
    int ask_attempt;            /* TICK: ask the provider about this attempt */
    enum refund_rail next_rail; /* a rail failed definitely and this one is left, or a TICK found
                                   that nobody has dispatched it: the caller does */
};

/* Starts a refund: PENDING or PENDING_APPROVAL, version 1, notice PENDING. The caller has reserved
 * the amount and filled amount and created_at_us. */
void refund_begin(struct refund *r, bool needs_approval, struct refund_effects *out);
/* Moves `r`. ERR_INVALID_STATE if impossible (r unchanged); out of date or repeated: ERR_OK,
 * nothing changed. ERR_FORBIDDEN for an approval by the requester. */
struct err refund_step(struct refund *r, const struct refund_event *ev,
                       const struct refund_rules *rules, int64_t now_us,
                       struct refund_effects *out) MUST_USE;
int64_t refund_deadline_us(const struct refund *r, const struct refund_rules *rules);
bool refund_may_move(enum refund_status from, enum refund_status to);
bool rail_may_move(enum rail_status from, enum rail_status to);
struct rail_attempt *refund_attempt(struct refund *r, int n);
/* Its last rail was busy, and will be asked again at next_poll_at_us. */
bool refund_is_parked(const struct refund *r);
/* Something has to be sent that has not been: a new refund, the next rail after a definite refusal,
 * or, its time having come, the one that was busy. */
bool refund_wants_sending(const struct refund *r, const struct refund_rules *rules, int64_t now_us);
/* The rail that would be asked next; NONE if there is none left. */
enum refund_rail refund_next_rail(const struct refund *r, const struct refund_rules *rules);

/* Whether a payment that received, refunded and reserved this much may give back `amount` more
 * (I4). */
bool refund_fits(int64_t received, int64_t refunded, int64_t reserved, int64_t amount);

#endif
