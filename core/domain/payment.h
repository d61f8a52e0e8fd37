#ifndef RELI_DOMAIN_PAYMENT_H
#define RELI_DOMAIN_PAYMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/str.h"
#include "core/base/uuid.h"
#include "core/domain/failure.h"
#include "core/domain/schedule.h"

/* The life of a payment (domain.md, sections 2.1 and 2.2), as pure functions of values: no I/O, no
 * clock, no randomness. The flows load a payment, step it, and commit what the step says in one
 * unit. */

/* X(NAME, word, final for the API) */
#define PAYMENT_STATES(X)                          \
    X(PENDING, "pending", 0)                       \
    X(PROCESSING, "processing", 0)                 \
    X(REQUIRES_ACTION, "requires_action", 0)       \
    X(IN_RECONCILIATION, "in_reconciliation", 0)   \
    X(COMPLETED, "completed", 1)                   \
    X(FAILED, "failed", 1)                         \
    X(EXPIRED, "expired", 1)                       \
    X(CANCELLED, "cancelled", 1)                   \
    X(PARTIALLY_REFUNDED, "partially_refunded", 1) \
    X(REFUNDED, "refunded", 1)                     \
    X(REVERSED, "reversed", 1)

#define ATTEMPT_STATES(X)        \
    X(CREATED, "created", 0)     \
    X(SENDING, "sending", 0)     \
    X(SUBMITTED, "submitted", 0) \
    X(UNCERTAIN, "uncertain", 0) \
    X(REJECTED, "rejected", 1)   \
    X(SUCCEEDED, "succeeded", 1) \
    X(FAILED, "failed", 1)       \
    X(EXPIRED, "expired", 1)     \
    X(NOT_FOUND, "not_found", 1)

/* What happens to a payment. The letter tells whose word it is. */
#define PAYMENT_EVENTS(X)                                                                      \
    X(DISPATCH, "dispatch")               /* we: an attempt is about to be sent */             \
    X(CANNOT_SEND, "cannot_send")         /* we: no request can be built */                    \
    X(NEEDS_CUSTOMER, "needs_customer")   /* we: a person has to act (manual methods) */       \
    X(CANCEL, "cancel")                   /* merchant */                                       \
    X(CANCEL_ASKED, "cancel_asked")       /* merchant: the provider is to take it back */      \
    X(CODE_GIVEN, "code_given")           /* merchant: a one-time code is to be handed on */   \
    X(CONFIRM, "confirm")                 /* merchant: a manual method was collected */        \
    X(ACCEPTED, "accepted")               /* answer: prompt queued, provider_ref known */      \
    X(REFUSED, "refused")                 /* answer: definitely not taken */                   \
    X(AMBIGUOUS, "ambiguous")             /* no usable answer: may have been taken */          \
    X(SUCCESS, "success")                 /* callback or query: paid */                        \
    X(FAILURE, "failure")                 /* callback or query: ended unpaid */                \
    X(STILL_PENDING, "still_pending")     /* query: not decided */                             \
    X(UNREACHABLE, "unreachable")         /* query: nothing certain was said */                \
    X(NOT_FOUND, "not_found")             /* query: unknown to the provider */                 \
    X(RESOLVED_PAID, "resolved_paid")     /* operators: it was paid, with evidence */          \
    X(RESOLVED_UNPAID, "resolved_unpaid") /* operators: it was not, or was given back */       \
    X(MONEY_KEPT, "money_kept")           /* operators: unallocated money is the merchant's */ \
    X(MONEY_RETURNED, "money_returned")   /* operators: unallocated money was given back */    \
    X(REVERSED, "reversed")               /* provider: took a payment back, unasked */         \
    X(TICK, "tick")                       /* time: a deadline may have passed */

enum payment_status {
#define X(name, word, final) PAYMENT_##name,
    PAYMENT_STATES(X)
#undef X
        PAYMENT_N_STATES
};

enum attempt_status {
#define X(name, word, final) ATTEMPT_##name,
    ATTEMPT_STATES(X)
#undef X
        ATTEMPT_N_STATES
};

enum payment_event_kind {
#define X(name, word) PAYMENT_EVENT_##name,
    PAYMENT_EVENTS(X)
#undef X
        PAYMENT_EVENT_N
};

/* Whose word made the present status (contract.md, section 4). */
enum status_source {
    SOURCE_API,
    SOURCE_CALLBACK,
    SOURCE_POLL,
    SOURCE_OPERATOR,
    SOURCE_STATEMENT,
    SOURCE_N
};

const char *payment_status_word(enum payment_status s);
bool payment_status_parse(struct str word, enum payment_status *out) MUST_USE;
bool payment_status_final(enum payment_status s);
const char *attempt_status_word(enum attempt_status s);
bool attempt_status_parse(struct str word, enum attempt_status *out) MUST_USE;
bool attempt_status_final(enum attempt_status s);
const char *payment_event_word(enum payment_event_kind k);
const char *status_source_word(enum status_source s);
bool status_source_parse(struct str word, enum status_source *out) MUST_USE;

enum {
    PAYMENT_MAX_ATTEMPTS = 3,
    PAYMENT_MAX_CODES = 3,
    PAYMENT_REF_MAX = 128,
    PAYMENT_CODE_MAX = 32,
    PAYMENT_MESSAGE_MAX = 200
};

/* One request to a provider. Text fields are C strings, "" if unknown. */
struct attempt {
    int n; /* from 1 */
    enum attempt_status status;
    struct money amount; /* what was asked for */
    char provider_ref[PAYMENT_REF_MAX + 1];
    char receipt[PAYMENT_REF_MAX + 1];
    char provider_code[PAYMENT_CODE_MAX + 1]; /* raw */
    enum failure_code code;                   /* normalised */
    int64_t sent_at_us;                       /* write-ahead: committed before a byte leaves */
    int64_t answered_at_us;                   /* 0 until the provider spoke */
    int codes_n;                              /* one-time codes handed on */
    bool cancel_asked;       /* however it ends without money, the merchant has wanted it so */
    int poll_n;              /* queries made in the present phase */
    int64_t next_poll_at_us; /* TIME_NEVER: none */
};

/* The parts of a payment that the machine reads and writes; identity, customer and texts are the
 * flows'. */
struct payment {
    enum payment_status status;
    int32_t version; /* seq of the last event; 0 before the first */
    struct money amount;
    int64_t received_minor; /* amount_received, same currency */
    int64_t refunded_minor;
    /* Taken when it completes, unless late: the terms of the creation, of which a fee on top is
     * rounded as the provider who is asked takes it. */
    int64_t fee_due_minor;
    bool fee_on_top;   /* the customer bears it: he is asked for amount and fee_due */
    int64_t fee_minor; /* taken; amount_received less this is the merchant's */
    bool late;         /* completed after failed, expired or cancelled */
    enum status_source source;
    enum failure_code failure;
    char failure_provider_code[PAYMENT_CODE_MAX + 1];
    char failure_message[PAYMENT_MESSAGE_MAX + 1];
    char receipt[PAYMENT_REF_MAX + 1];
    char provider_ref[PAYMENT_REF_MAX + 1]; /* of the attempt that counts */
    int64_t created_at_us, expires_at_us, completed_at_us, updated_at_us;
    int64_t recon_since_us; /* entered in_reconciliation; 0 never */
    int n_attempts;
    struct attempt attempts[PAYMENT_MAX_ATTEMPTS];
};

/* What the provider and the installation allow; same for all steps of a payment. */
struct payment_rules {
    int64_t prompt_window_us; /* 90 s: from sent_at; earlier only `sure` failures are believed */
    int64_t sending_lease_us; /* 60 s: a `sending` older than this is uncertain */
    struct schedule
        poll; /* 15, 30, 45, 60, 90, 120, 180, 300 s: waits between queries until expiry */
    struct schedule recon;      /* 5m, 1h, 1d x5: waits in in_reconciliation, then operator only */
    struct schedule late_watch; /* 5m, 30m, 2h, 12h, 24h after the end: waits, each from the end */
    bool not_found_is_final;
    bool manual;
};

/* The rules of domain.md, section 3. */
void payment_rules_default(struct payment_rules *r);

/* Something happened. Only the fields that its kind names are read. */
struct payment_event {
    enum payment_event_kind kind;
    int attempt; /* n of the attempt that it is about; 0: none (CANCEL, CONFIRM, TICK …) */
    enum status_source source; /* SUCCESS, FAILURE, CONFIRM … */
    /* SUCCESS, CONFIRM: as reported; currency 0: the provider does not say. RESOLVED_…, MONEY_…:
     * what is unallocated of the attempt; 0: nothing. */
    struct money amount;
    enum failure_code code; /* REFUSED, FAILURE, CANNOT_SEND */
    bool sure;              /* FAILURE: believed before the prompt window ends */
    bool renames; /* provider_ref is the provider's own for what went out under our name */
    bool asks;    /* ACCEPTED, STILL_PENDING: the customer has to act before it goes on */
    /* REFUSED, FAILURE, NOT_FOUND: another provider takes it if this one does not */
    bool route_left;
    bool acted; /* STILL_PENDING, not `asks`: he has acted, the provider is at work */
    struct str provider_ref, receipt, provider_code, message; /* "" if not said */
    uint32_t random;                                          /* for jitter */
};

/* Public event types (contract.md, section 7). */
enum payment_notice {
    NOTICE_NONE,
    NOTICE_INITIATED,
    NOTICE_PROCESSING,
    NOTICE_REQUIRES_ACTION,
    NOTICE_COMPLETED,
    NOTICE_FAILED,
    NOTICE_EXPIRED,
    NOTICE_CANCELLED,
    NOTICE_IN_RECONCILIATION,
    NOTICE_REVERSED,
    NOTICE_UPDATED, /* facts were added to a final payment: a receipt that came later */
};
/* "payment.initiated" …; NULL for NONE. */
const char *payment_notice_type(enum payment_notice n);

enum payment_posting {
    POSTING_NONE,
    POSTING_RECEIVED,    /* Dr provider_receivable / Cr merchant_pending, journal = payment */
    POSTING_UNALLOCATED, /* Dr provider_receivable / Cr unallocated, journal = attempt */
    POSTING_KEPT,        /* Dr unallocated / Cr merchant_pending, journal = exception item */
    POSTING_RETURNED,    /* Dr unallocated / Cr provider_receivable, journal = exception item */
    POSTING_REVERSED,    /* what was received and not refunded goes back, journal = payment */
};

enum payment_exception {
    EXCEPTION_NONE,
    EXCEPTION_INTEGRITY,
    EXCEPTION_DOUBLE_SUCCESS,
    EXCEPTION_STUCK,
    EXCEPTION_REVERSED
};
const char *payment_exception_word(enum payment_exception e);

/* What the world must be told of one step; at most one of each. */
struct payment_effects {
    bool changed;               /* anything to be stored */
    enum payment_notice notice; /* p->version has grown by one when not NONE */
    enum payment_posting posting;
    struct money posted; /* of `posting` */
    int posted_attempt;  /* n, 0 for a manual method */
    enum payment_exception exception;
    const char *action; /* audit action, "payment.completed", "attempt.submitted" …; NULL: none */
    bool next_attempt;  /* the attempt has ended, the payment goes on: DISPATCH must follow, in the
                           same commit */
    int ask_attempt;    /* TICK: the attempt whose state the provider must be asked for; 0 none.
                           The answer comes back as an event of its own */
};

/* Starts a payment: PENDING, version 1, notice INITIATED. Caller has filled amount, created_at_us,
 * expires_at_us; the rest is zero. */
void payment_begin(struct payment *p, struct payment_effects *out);

/* Moves `p`. ERR_INVALID_STATE if the event is impossible in this state (p unchanged); an event
 * that is merely out of date or repeated is ERR_OK with out->changed false. */
struct err payment_step(struct payment *p, const struct payment_event *ev,
                        const struct payment_rules *rules, int64_t now_us,
                        struct payment_effects *out) MUST_USE;

/* When payment_step next wants a TICK, wall µs; TIME_NEVER if never. */
int64_t payment_deadline_us(const struct payment *p, const struct payment_rules *rules);

/* The moves that the machines can make, as the SQL CHECK and the tests see them. */
bool payment_may_move(enum payment_status from, enum payment_status to);
bool attempt_may_move(enum attempt_status from, enum attempt_status to);

/* What the customer is asked for: `amount`, and the fee where he bears it. */
struct money payment_asked(const struct payment *p);
/* The attempt with that n, NULL if there is none. */
struct attempt *payment_attempt(struct payment *p, int n);
/* No attempt is in a state in which money may still move. */
bool payment_idle(const struct payment *p);

#endif
