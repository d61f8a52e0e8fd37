#ifndef RELI_DOMAIN_PAYMENT_INT_H
#define RELI_DOMAIN_PAYMENT_INT_H

#include "core/domain/payment.h"

/* The parts of the payment machine: payment.c finds the rows that an event takes, payment_move.c
 * carries them out. For these two only. */

/* One call of payment_step. */
struct step {
    struct payment *p;
    struct attempt *a; /* that the event is about; NULL: none */
    const struct payment_event *ev;
    const struct payment_rules *rules;
    int64_t now_us;
    struct payment_effects *out;
};

typedef bool guard_fn(const struct step *s);

/* Sets of states. */
#define IN(s) (1u << PAYMENT_##s)
#define WAITING (IN(PENDING) | IN(REQUIRES_ACTION))
#define UNDECIDED (IN(PROCESSING) | IN(REQUIRES_ACTION) | IN(IN_RECONCILIATION))
#define ENDED (IN(FAILED) | IN(EXPIRED) | IN(CANCELLED))
#define PAID (IN(COMPLETED) | IN(PARTIALLY_REFUNDED) | IN(REFUNDED) | IN(REVERSED))

#define AT(s) (1u << ATTEMPT_##s)
#define OPEN (AT(SENDING) | AT(SUBMITTED) | AT(UNCERTAIN))
#define UNPAID (AT(REJECTED) | AT(FAILED) | AT(EXPIRED) | AT(NOT_FOUND))

static inline bool in(uint32_t set, int state)
{
    return (set >> state & 1u) != 0;
}

enum { PAYMENT_STAY = PAYMENT_N_STATES };

/* The first row that fits wins. A new state is told by its own notice, and so is each dispatch. */
struct payment_row {
    uint32_t from; /* set of states */
    enum payment_event_kind on;
    guard_fn *guard; /* NULL: always */
    int to;          /* PAYMENT_STAY: where it is; without effect: merely repeated */
    enum payment_posting posting;
    enum payment_exception exception;
};

struct attempt_row {
    uint32_t from;
    enum payment_event_kind on;
    guard_fn *guard;
    enum attempt_status to;
};

/* The event names the amount that was asked for, or none. */
bool same_amount(const struct step *s);

/* Why it ended unpaid, as the event says. */
enum failure_code failure_of(const struct payment_event *ev);

/* Goes where the row says, with the fields and effects that belong to it. */
void attempt_move(struct step *s, const struct attempt_row *row);
void payment_move(struct step *s, const struct payment_row *row);
/* The payment has changed its phase: each attempt's questions begin anew. */
void watch_all(struct step *s);
/* What an event brings that moves no attempt: a fact, or the next question is put off. */
void add_facts(struct step *s);

#endif
