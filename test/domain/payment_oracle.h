#ifndef RELI_TEST_PAYMENT_ORACLE_H
#define RELI_TEST_PAYMENT_ORACLE_H

/* What domain.md, sections 2.1 and 2.2, says of payments and attempts, written down by hand and
 * without a look at the machine: which moves there are, what each of them means for money, and when
 * an event counts. */
#include "core/base/times.h"
#include "core/domain/payment.h"

/* The column "event" of 2.1: X(NAME, word). */
#define WHATS(X)                                                             \
    X(NOTHING, "nothing")                                                    \
    X(DISPATCH, "dispatch")                                                  \
    X(NEW_ATTEMPT, "new attempt")                                            \
    X(CANNOT_BE_SENT, "cannot be sent")                                      \
    X(NEEDS_CUSTOMER, "needs customer")                                      \
    X(CANCEL, "cancel by merchant")                                          \
    X(CANCEL_ASKED, "the provider is asked to take it back")                 \
    X(TAKEN_BACK, "definitive end without money, as the merchant has asked") \
    X(CODE_GIVEN, "a one-time code is handed on")                            \
    X(CONFIRM, "manual confirm")                                             \
    X(SUCCESS, "provider success")                                           \
    X(WRONG_SUCCESS, "provider success, integrity fails")                    \
    X(SECOND_SUCCESS, "second success")                                      \
    X(CONTRADICTION, "the counted success turns out to name another amount") \
    X(FAILURE, "definitive failure")                                         \
    X(UNKNOWN, "outcome unknown past window")                                \
    X(EXPIRY, "expiry timer")                                                \
    X(REFUND, "refund completed")                                            \
    X(REFUND_UNDONE, "refund turns out failed later")                        \
    X(ROUTE_LEFT, "definitive refusal, route left")                          \
    X(ASKS_MORE, "provider asks more")                                       \
    X(CUSTOMER_ACTED, "customer acted")                                      \
    X(REVERSED, "provider-side reversal")                                    \
    X(RESOLVED_PAID, "operators: it was paid")                               \
    X(ACCEPTED_AS_PAID, "operators: it was paid, by what is unallocated")    \
    X(RESOLVED_UNPAID, "operators: it was not paid")                         \
    X(GIVEN_BACK, "operators: not paid, what is unallocated was given back") \
    X(KEPT, "operators: what is unallocated is the merchant's")              \
    X(RETURNED, "operators: what is unallocated was given back")

enum what {
#define X(name, word) WHAT_##name,
    WHATS(X)
#undef X
        WHAT_N
};

static const char *const what_words[] = {
#define X(name, word) word,
    WHATS(X)
#undef X
};

/* Who makes a move: the machine, left to itself; the machine, but only once other parts of reli (a
 * failover, a customer who chooses another way to pay) can bring a payment there; or those parts.
 */
enum maker { ITSELF, ONCE_OTHERS, OTHERS };

#define S(s) (1u << PAYMENT_##s)
#define TO_SAME PAYMENT_N_STATES
#define UNDECIDED_NOW (S(PROCESSING) | S(REQUIRES_ACTION) | S(IN_RECONCILIATION))
#define HAS_BEEN_PAID (S(COMPLETED) | S(PARTIALLY_REFUNDED) | S(REFUNDED))

static const struct payment_move {
    uint32_t from; /* set of states */
    enum what what;
    int to;
    enum payment_posting posting;
    enum payment_exception exception;
    enum maker maker;
} payment_table[] = {
    {S(PENDING), WHAT_DISPATCH, PAYMENT_PROCESSING, 0, 0, ITSELF},
    {S(PENDING), WHAT_CANNOT_BE_SENT, PAYMENT_FAILED, 0, 0, ITSELF},
    {S(PENDING), WHAT_NEEDS_CUSTOMER, PAYMENT_REQUIRES_ACTION, 0, 0, ITSELF},
    {S(PENDING) | S(REQUIRES_ACTION), WHAT_CANCEL, PAYMENT_CANCELLED, 0, 0, ITSELF},
    {S(PROCESSING) | S(REQUIRES_ACTION), WHAT_CANCEL_ASKED, TO_SAME, 0, 0, ITSELF},
    {UNDECIDED_NOW, WHAT_TAKEN_BACK, PAYMENT_CANCELLED, 0, 0, ITSELF},
    {S(REQUIRES_ACTION), WHAT_CODE_GIVEN, TO_SAME, 0, 0, ITSELF},
    {S(REQUIRES_ACTION), WHAT_CUSTOMER_ACTED, PAYMENT_PROCESSING, 0, 0, ITSELF},
    {S(REQUIRES_ACTION), WHAT_CONFIRM, PAYMENT_COMPLETED, POSTING_RECEIVED, 0, ITSELF},
    {S(PROCESSING), WHAT_ASKS_MORE, PAYMENT_REQUIRES_ACTION, 0, 0, ITSELF},
    {UNDECIDED_NOW, WHAT_SUCCESS, PAYMENT_COMPLETED, POSTING_RECEIVED, 0, ITSELF},
    {UNDECIDED_NOW, WHAT_WRONG_SUCCESS, PAYMENT_IN_RECONCILIATION, POSTING_UNALLOCATED,
     EXCEPTION_INTEGRITY, ITSELF},
    {S(PROCESSING), WHAT_ROUTE_LEFT, PAYMENT_PROCESSING, 0, 0, OTHERS},
    {S(PROCESSING), WHAT_NEW_ATTEMPT, PAYMENT_PROCESSING, 0, 0, ONCE_OTHERS},
    {UNDECIDED_NOW, WHAT_FAILURE, PAYMENT_FAILED, 0, 0, ITSELF},
    /* a customer who is waited for may have paid as well as one who is not */
    {S(PROCESSING) | S(REQUIRES_ACTION), WHAT_UNKNOWN, PAYMENT_IN_RECONCILIATION, 0,
     EXCEPTION_STUCK, ITSELF},
    {S(PENDING) | S(REQUIRES_ACTION), WHAT_EXPIRY, PAYMENT_EXPIRED, 0, 0, ITSELF},
    {S(PROCESSING), WHAT_EXPIRY, PAYMENT_EXPIRED, 0, 0, ITSELF},
    /* late success; a wrong one is money that is not this payment's (I7) */
    {S(FAILED) | S(EXPIRED) | S(CANCELLED), WHAT_SUCCESS, PAYMENT_COMPLETED, POSTING_RECEIVED, 0,
     ITSELF},
    {S(FAILED) | S(EXPIRED) | S(CANCELLED), WHAT_WRONG_SUCCESS, TO_SAME, POSTING_UNALLOCATED,
     EXCEPTION_INTEGRITY, ITSELF},
    {HAS_BEEN_PAID | S(REVERSED), WHAT_SECOND_SUCCESS, TO_SAME, POSTING_UNALLOCATED,
     EXCEPTION_DOUBLE_SUCCESS, ONCE_OTHERS},
    {HAS_BEEN_PAID | S(REVERSED), WHAT_CONTRADICTION, TO_SAME, 0, EXCEPTION_INTEGRITY, ITSELF},
    {S(COMPLETED) | S(PARTIALLY_REFUNDED), WHAT_REFUND, PAYMENT_PARTIALLY_REFUNDED, 0, 0, ITSELF},
    {S(COMPLETED) | S(PARTIALLY_REFUNDED), WHAT_REFUND, PAYMENT_REFUNDED, 0, 0, ITSELF},
    {S(REFUNDED) | S(PARTIALLY_REFUNDED), WHAT_REFUND_UNDONE, PAYMENT_PARTIALLY_REFUNDED, 0, 0,
     ITSELF},
    {S(REFUNDED) | S(PARTIALLY_REFUNDED), WHAT_REFUND_UNDONE, PAYMENT_COMPLETED, 0, 0, ITSELF},
    {S(COMPLETED) | S(PARTIALLY_REFUNDED), WHAT_REVERSED, PAYMENT_REVERSED, POSTING_REVERSED,
     EXCEPTION_REVERSED, ITSELF},
    /* operators, two of them, with evidence */
    {S(IN_RECONCILIATION), WHAT_RESOLVED_PAID, PAYMENT_COMPLETED, POSTING_RECEIVED, 0, ITSELF},
    {S(IN_RECONCILIATION), WHAT_ACCEPTED_AS_PAID, PAYMENT_COMPLETED, POSTING_KEPT, 0, ITSELF},
    {S(IN_RECONCILIATION), WHAT_RESOLVED_UNPAID, PAYMENT_FAILED, 0, 0, ITSELF},
    {S(IN_RECONCILIATION), WHAT_GIVEN_BACK, PAYMENT_FAILED, POSTING_RETURNED, 0, ITSELF},
    {S(FAILED) | S(EXPIRED) | S(CANCELLED), WHAT_KEPT, TO_SAME, POSTING_KEPT, 0, ITSELF},
    {S(FAILED) | S(EXPIRED) | S(CANCELLED), WHAT_RETURNED, TO_SAME, POSTING_RETURNED, 0, ITSELF},
    {HAS_BEEN_PAID | S(REVERSED), WHAT_KEPT, TO_SAME, POSTING_KEPT, 0, ONCE_OTHERS},
    {HAS_BEEN_PAID | S(REVERSED), WHAT_RETURNED, TO_SAME, POSTING_RETURNED, 0,
     ONCE_OTHERS},
};

#define A(s) (1u << ATTEMPT_##s)
#define MAY_STILL_PAY (A(SENDING) | A(SUBMITTED) | A(UNCERTAIN))
#define ENDED_UNPAID (A(REJECTED) | A(FAILED) | A(EXPIRED) | A(NOT_FOUND))

/* When an event is believed. */
enum when { ALWAYS, LEASE_OVER, BELIEVED, NOT_FOUND_COUNTS, ASKING };

static const struct attempt_move {
    uint32_t from;
    enum payment_event_kind on;
    enum when when;
    enum attempt_status to;
    enum maker maker;
} attempt_table[] = {
    {A(CREATED), PAYMENT_EVENT_DISPATCH, ALWAYS, ATTEMPT_SENDING, ITSELF},
    {A(SENDING) | A(UNCERTAIN), PAYMENT_EVENT_ACCEPTED, ALWAYS, ATTEMPT_SUBMITTED, ITSELF},
    {A(UNCERTAIN), PAYMENT_EVENT_STILL_PENDING, ASKING, ATTEMPT_SUBMITTED, ITSELF},
    {A(SENDING), PAYMENT_EVENT_REFUSED, ALWAYS, ATTEMPT_REJECTED, ITSELF},
    {A(UNCERTAIN), PAYMENT_EVENT_REFUSED, ALWAYS, ATTEMPT_FAILED, ITSELF},
    {A(SENDING), PAYMENT_EVENT_AMBIGUOUS, ALWAYS, ATTEMPT_UNCERTAIN, ITSELF},
    {A(SENDING), PAYMENT_EVENT_TICK, LEASE_OVER, ATTEMPT_UNCERTAIN, ITSELF},
    {MAY_STILL_PAY | ENDED_UNPAID, PAYMENT_EVENT_SUCCESS, ALWAYS, ATTEMPT_SUCCEEDED, ITSELF},
    {MAY_STILL_PAY, PAYMENT_EVENT_FAILURE, BELIEVED, ATTEMPT_FAILED, ITSELF},
    {A(SUBMITTED), PAYMENT_EVENT_NOT_FOUND, NOT_FOUND_COUNTS, ATTEMPT_EXPIRED, ITSELF},
    {A(UNCERTAIN), PAYMENT_EVENT_NOT_FOUND, NOT_FOUND_COUNTS, ATTEMPT_NOT_FOUND, ITSELF},
    {A(SUBMITTED) | A(UNCERTAIN), PAYMENT_EVENT_RESOLVED_PAID, ALWAYS, ATTEMPT_SUCCEEDED, ITSELF},
    {ENDED_UNPAID, PAYMENT_EVENT_RESOLVED_PAID, ALWAYS, ATTEMPT_SUCCEEDED, ONCE_OTHERS},
    {A(SUBMITTED) | A(UNCERTAIN), PAYMENT_EVENT_RESOLVED_UNPAID, ALWAYS, ATTEMPT_FAILED, ITSELF},
};

static inline bool is_in(uint32_t set, int state)
{
    return (set >> state & 1u) != 0;
}

static inline bool may_still_pay(const struct payment *p)
{
    for (int i = 0; i < p->n_attempts; i++)
        if (is_in(MAY_STILL_PAY, (int)p->attempts[i].status))
            return true;
    return false;
}

static inline bool has_succeeded(const struct payment *p)
{
    for (int i = 0; i < p->n_attempts; i++)
        if (p->attempts[i].status == ATTEMPT_SUCCEEDED)
            return true;
    return false;
}

/* "ref equal": the reference that the event names is not another request's. */
static inline bool names_another(const struct attempt *a, const struct payment_event *ev)
{
    return ev->provider_ref.n > 0 && a->provider_ref[0] != '\0' &&
           !str_eq(ev->provider_ref, str_c(a->provider_ref));
}

static inline bool names_its_amount(const struct attempt *a, const struct payment_event *ev)
{
    return ev->amount.currency == 0 ||
           (ev->amount.currency == a->amount.currency && ev->amount.minor == a->amount.minor);
}

/* What the customer is asked for has the fee on top where he bears it. */
static inline bool is_asked_for(const struct payment *p, struct money m)
{
    int64_t minor = p->amount.minor + (p->fee_on_top ? p->fee_due_minor : 0);
    return m.minor == minor && m.currency == p->amount.currency;
}

static inline bool counts_now(enum when when, const struct attempt *a,
                              const struct payment_event *ev, const struct payment_rules *rules,
                              int64_t now_us)
{
    int64_t age_us = now_us - a->sent_at_us;
    switch (when) {
    case ALWAYS:
        return true;
    case LEASE_OVER: /* section 3: 60 s */
        return age_us >= 60 * US_PER_S;
    case BELIEVED: /* section 3: prompt window 90 s; before its end only what is sure */
        return !names_another(a, ev) &&
               (age_us >= 90 * US_PER_S || ev->source == SOURCE_CALLBACK || ev->sure);
    case NOT_FOUND_COUNTS: /* only where the provider documents it, after its window */
        return rules->not_found_is_final && age_us >= 90 * US_PER_S;
    case ASKING: /* who asks the customer for more has the request */
        return ev->asks && !names_another(a, ev);
    }
    return false;
}

/* The row of 2.2 that an event about an attempt takes; NULL: it changes nothing there. */
static inline const struct attempt_move *attempt_should(const struct attempt *a,
                                                        const struct payment_event *ev,
                                                        const struct payment_rules *rules,
                                                        int64_t now_us)
{
    for (size_t i = 0; i < COUNT_OF(attempt_table); i++)
        if (attempt_table[i].on == ev->kind && is_in(attempt_table[i].from, (int)a->status) &&
            counts_now(attempt_table[i].when, a, ev, rules, now_us))
            return &attempt_table[i];
    return NULL;
}

/* 2.2: a new attempt requires the previous to be over by a definitive answer. */
static inline bool may_be_followed(const struct payment_rules *rules, enum attempt_status a)
{
    return a == ATTEMPT_REJECTED || a == ATTEMPT_FAILED ||
           (rules->not_found_is_final && (a == ATTEMPT_EXPIRED || a == ATTEMPT_NOT_FOUND));
}

static inline bool may_dispatch(const struct payment *p, const struct payment_rules *rules,
                                int64_t now_us)
{
    for (int i = 0; i < p->n_attempts; i++)
        if (!may_be_followed(rules, p->attempts[i].status))
            return false;
    return !rules->manual && now_us < p->expires_at_us;
}

/* Whose turn it is, by the word of who has the request; a contradiction leaves the customer's. */
static inline enum what what_of_turn(const struct attempt *a, const struct payment_event *ev,
                                     bool moves)
{
    if (ev->kind == PAYMENT_EVENT_ACCEPTED)
        return moves && ev->asks ? WHAT_ASKS_MORE : WHAT_NOTHING;
    if (!is_in(A(SUBMITTED) | A(UNCERTAIN), (int)a->status) || names_another(a, ev))
        return WHAT_NOTHING;
    return ev->asks ? WHAT_ASKS_MORE : ev->acted ? WHAT_CUSTOMER_ACTED : WHAT_NOTHING;
}

/* 2.1: retryable by code, a route left, not the customer's refusal, nothing else that may be paid;
 * at most three attempts. */
static inline bool goes_on(const struct payment *p, const struct payment_event *ev, int64_t now_us)
{
    static const enum failure_code others_may_take_it[] = {
        FAILURE_AMOUNT_INVALID, FAILURE_PROVIDER_BUSY, FAILURE_PROVIDER_UNAVAILABLE,
        FAILURE_PROVIDER_ERROR, FAILURE_CONFIGURATION};
    bool fits = ev->kind == PAYMENT_EVENT_NOT_FOUND || ev->code == FAILURE_NONE;
    for (size_t i = 0; i < COUNT_OF(others_may_take_it); i++)
        fits |= ev->code == others_may_take_it[i];
    for (int i = 0; i < p->n_attempts; i++)
        if (i != ev->attempt - 1 && is_in(MAY_STILL_PAY, (int)p->attempts[i].status))
            return false;
    return fits && ev->route_left && p->status == PAYMENT_PROCESSING && p->n_attempts < 3 &&
           now_us < p->expires_at_us;
}

static inline enum what what_of_attempt(const struct payment *p, int counted,
                                        const struct payment_event *ev,
                                        const struct payment_rules *rules, int64_t now_us)
{
    const struct attempt *a = &p->attempts[ev->attempt - 1];
    const struct attempt_move *move = attempt_should(a, ev, rules, now_us);
    bool paid = is_in(HAS_BEEN_PAID | S(REVERSED), (int)p->status);
    if (ev->kind == PAYMENT_EVENT_ACCEPTED || ev->kind == PAYMENT_EVENT_STILL_PENDING)
        return what_of_turn(a, ev, move != NULL);
    if (ev->kind == PAYMENT_EVENT_SUCCESS) {
        bool intact = names_its_amount(a, ev) && !names_another(a, ev);
        if (move != NULL)
            return paid ? WHAT_SECOND_SUCCESS : intact ? WHAT_SUCCESS : WHAT_WRONG_SUCCESS;
        /* a query has said so before, without amount and receipt */
        bool news = a->receipt[0] == '\0' && ev->receipt.n > 0;
        bool other = ev->attempt == counted && !names_its_amount(a, ev);
        return news && other ? WHAT_CONTRADICTION : WHAT_NOTHING;
    }
    if (move == NULL || has_succeeded(p) || is_in(MAY_STILL_PAY, (int)move->to))
        return WHAT_NOTHING;
    if (a->cancel_asked)
        return WHAT_TAKEN_BACK;
    if (goes_on(p, ev, now_us))
        return WHAT_ROUTE_LEFT;
    if (ev->kind == PAYMENT_EVENT_NOT_FOUND && p->status == PAYMENT_PROCESSING &&
        now_us >= p->expires_at_us)
        return WHAT_EXPIRY;
    return WHAT_FAILURE;
}

/* The attempt that operators speak of: the one that they name, or the one that is open. */
static inline int resolved_attempt(const struct payment *p, const struct payment_event *ev)
{
    if (ev->attempt >= 1 && ev->attempt <= p->n_attempts)
        return ev->attempt;
    for (int i = 0; i < p->n_attempts; i++)
        if (is_in(MAY_STILL_PAY, (int)p->attempts[i].status))
            return i + 1;
    return 0;
}

static inline bool is_resolution(enum payment_event_kind k)
{
    return k == PAYMENT_EVENT_RESOLVED_PAID || k == PAYMENT_EVENT_RESOLVED_UNPAID ||
           k == PAYMENT_EVENT_MONEY_KEPT || k == PAYMENT_EVENT_MONEY_RETURNED;
}

/* `ev->amount`: what is unallocated. In another currency it cannot be the payment's. */
static inline enum what what_of_people(const struct payment *p, const struct payment_event *ev)
{
    int n = resolved_attempt(p, ev);
    bool waits = n > 0 && p->attempts[n - 1].status == ATTEMPT_SUCCEEDED && ev->amount.minor > 0;
    bool usable = waits && ev->amount.currency == p->amount.currency;
    switch (ev->kind) {
    case PAYMENT_EVENT_RESOLVED_PAID:
        return !has_succeeded(p) ? WHAT_RESOLVED_PAID
               : usable          ? WHAT_ACCEPTED_AS_PAID
                                 : WHAT_NOTHING;
    case PAYMENT_EVENT_RESOLVED_UNPAID:
        return !has_succeeded(p) ? WHAT_RESOLVED_UNPAID : waits ? WHAT_GIVEN_BACK : WHAT_NOTHING;
    case PAYMENT_EVENT_MONEY_KEPT:
        return usable ? WHAT_KEPT : WHAT_NOTHING;
    default:
        return waits ? WHAT_RETURNED : WHAT_NOTHING;
    }
}

static inline enum what what_of_time(const struct payment *p, const struct payment_rules *rules,
                                     int64_t now_us)
{
    static const struct payment_event tick = {.kind = PAYMENT_EVENT_TICK};
    for (int i = 0; i < p->n_attempts; i++)
        if (attempt_should(&p->attempts[i], &tick, rules, now_us) != NULL)
            return WHAT_NOTHING; /* first things first */
    if (now_us < p->expires_at_us)
        return WHAT_NOTHING;
    if (!may_still_pay(p))
        return WHAT_EXPIRY;
    return WHAT_UNKNOWN;
}

/* The provider has it, and it is not paid. */
static inline bool has_request(const struct payment *p, int n)
{
    return is_in(A(SUBMITTED) | A(UNCERTAIN), (int)p->attempts[n - 1].status) && !has_succeeded(p);
}

/* What an event is, seen from 2.1. `counted`: the attempt by which the payment was completed. */
static inline enum what what_is(const struct payment *p, int counted,
                                const struct payment_event *ev, const struct payment_rules *rules,
                                int64_t now_us)
{
    bool about = ev->attempt >= 1 && ev->attempt <= p->n_attempts;
    switch (ev->kind) {
    case PAYMENT_EVENT_DISPATCH:
        if (!may_dispatch(p, rules, now_us))
            return WHAT_NOTHING;
        return p->n_attempts == 0 ? WHAT_DISPATCH : WHAT_NEW_ATTEMPT;
    case PAYMENT_EVENT_CANNOT_SEND:
        return WHAT_CANNOT_BE_SENT;
    case PAYMENT_EVENT_NEEDS_CUSTOMER:
        return rules->manual ? WHAT_NEEDS_CUSTOMER : WHAT_NOTHING;
    case PAYMENT_EVENT_CANCEL:
        return may_still_pay(p) ? WHAT_NOTHING : WHAT_CANCEL;
    case PAYMENT_EVENT_CANCEL_ASKED:
        return about && has_request(p, ev->attempt) && !p->attempts[ev->attempt - 1].cancel_asked
                   ? WHAT_CANCEL_ASKED
                   : WHAT_NOTHING;
    case PAYMENT_EVENT_CODE_GIVEN: /* section 3: three tries */
        return about && has_request(p, ev->attempt) &&
                       p->attempts[ev->attempt - 1].codes_n < 3 && now_us < p->expires_at_us
                   ? WHAT_CODE_GIVEN
                   : WHAT_NOTHING;
    case PAYMENT_EVENT_CONFIRM:
        return rules->manual && !may_still_pay(p) && is_asked_for(p, ev->amount) ? WHAT_CONFIRM
                                                                                 : WHAT_NOTHING;
    case PAYMENT_EVENT_RESOLVED_PAID:
    case PAYMENT_EVENT_RESOLVED_UNPAID:
    case PAYMENT_EVENT_MONEY_KEPT:
    case PAYMENT_EVENT_MONEY_RETURNED:
        return what_of_people(p, ev);
    case PAYMENT_EVENT_REVERSED:
        return WHAT_REVERSED;
    case PAYMENT_EVENT_TICK:
        return what_of_time(p, rules, now_us);
    default:
        return about ? what_of_attempt(p, counted, ev, rules, now_us) : WHAT_NOTHING;
    }
}

/* The row of 2.1 that is taken; NULL: none, the payment stays as it is. `to` matters where one
 * event leads to several states (a refund's amount decides): PAYMENT_N_STATES: any. */
static inline const struct payment_move *payment_should(enum payment_status from, enum what what,
                                                        int to)
{
    for (size_t i = 0; i < COUNT_OF(payment_table); i++) {
        const struct payment_move *m = &payment_table[i];
        if (m->what == what && is_in(m->from, (int)from) && (to == PAYMENT_N_STATES || m->to == to))
            return m;
    }
    return NULL;
}

#endif
