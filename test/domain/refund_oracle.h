#ifndef RELI_TEST_REFUND_ORACLE_H
#define RELI_TEST_REFUND_ORACLE_H

/* What domain.md, section 2.3, says of refunds and their rails, written down by hand and without a
 * look at the machine. */
#include "core/domain/refund.h"

#define R(s) REFUND_##s
#define IN(s) (1u << REFUND_##s)
#define ON(e) REFUND_EVENT_##e
#define UNDECIDED (IN(PROCESSING) | IN(IN_RECONCILIATION))

/* 2.3: what moves the refund, or tells money or people something. */
static const struct {
    uint32_t from;
    enum refund_event_kind on;
    int to;
    enum refund_money money;
} refund_table[] = {
    {IN(PENDING_APPROVAL), ON(APPROVE), R(PENDING), 0},
    {IN(PENDING_APPROVAL), ON(REJECT), R(REJECTED), REFUND_MONEY_RELEASE},
    {IN(PENDING_APPROVAL) | IN(PENDING), ON(CANCEL), R(CANCELLED), REFUND_MONEY_RELEASE},
    {IN(PENDING) | IN(PROCESSING), ON(DISPATCH), R(PROCESSING), 0}, /* first rail, next rail */
    {IN(PENDING) | IN(PROCESSING), ON(DISPATCH), R(IN_RECONCILIATION), 0}, /* a person's task */
    {UNDECIDED, ON(SUCCESS), R(COMPLETED), REFUND_MONEY_SETTLE},
    {UNDECIDED, ON(SUCCESS), R(IN_RECONCILIATION), 0},         /* integrity fails */
    {UNDECIDED, ON(FAILURE), R(FAILED), REFUND_MONEY_RELEASE}, /* definitive, no rail */
    {UNDECIDED, ON(REFUSED), R(FAILED), REFUND_MONEY_RELEASE},
    {UNDECIDED, ON(REVOKE), R(FAILED), REFUND_MONEY_RELEASE},
    {IN(PROCESSING), ON(TICK), R(IN_RECONCILIATION), 0},         /* unknown past window: reserved */
    {IN(PROCESSING), ON(TICK), R(FAILED), REFUND_MONEY_RELEASE}, /* the settings have no rail */
    {IN(IN_RECONCILIATION), ON(CONFIRM), R(COMPLETED), REFUND_MONEY_SETTLE},
    {IN(COMPLETED), ON(REVOKE), R(FAILED), REFUND_MONEY_UNDO}, /* failure reported later */
    {IN(FAILED), ON(SUCCESS), R(COMPLETED), REFUND_MONEY_SETTLE_LATE},
    {IN(FAILED), ON(CONFIRM), R(COMPLETED), REFUND_MONEY_SETTLE_LATE},
};

#define A(s) RAIL_##s
#define AT(s) (1u << RAIL_##s)
#define OPEN (AT(SENDING) | AT(SUBMITTED) | AT(UNCERTAIN))
static const struct {
    uint32_t from;
    enum refund_event_kind on;
    enum rail_status to;
} rail_table[] = {
    {AT(SENDING) | AT(UNCERTAIN), ON(ACCEPTED), A(SUBMITTED)},
    {AT(SENDING), ON(REFUSED), A(REJECTED)},
    {AT(UNCERTAIN), ON(REFUSED), A(REJECTED)}, /* the same, busy */
    {AT(REJECTED), ON(DISPATCH), A(SENDING)},  /* it was busy, and is sent again by its id */
    {AT(UNCERTAIN), ON(REFUSED), A(FAILED)},   /* an answer after the lease */
    {AT(SENDING), ON(AMBIGUOUS), A(UNCERTAIN)},
    {AT(SENDING), ON(TICK), A(UNCERTAIN)},                         /* lease over */
    {OPEN | AT(REJECTED) | AT(FAILED), ON(SUCCESS), A(SUCCEEDED)}, /* late evidence, too */
    {OPEN, ON(FAILURE), A(FAILED)},
    {OPEN, ON(FAILURE), A(REJECTED)},           /* taken, and then busy */
    {AT(SUBMITTED), ON(CONFIRM), A(SUCCEEDED)}, /* a person has paid */
    {AT(SUCCEEDED), ON(CONFIRM), A(SUCCEEDED)}, /* an operator vouches for it */
    {OPEN | AT(SUCCEEDED), ON(REVOKE), A(FAILED)},
};

static inline bool in(uint32_t set, int state)
{
    return (set >> state & 1u) != 0;
}

static inline bool refund_legal(int from, int on, int to)
{
    for (size_t i = 0; i < COUNT_OF(refund_table); i++)
        if (in(refund_table[i].from, from) && refund_table[i].to == to &&
            (on < 0 || (int)refund_table[i].on == on))
            return true;
    return false;
}

static inline bool rail_legal(int from, int on, int to)
{
    for (size_t i = 0; i < COUNT_OF(rail_table); i++)
        if (in(rail_table[i].from, from) && (int)rail_table[i].to == to &&
            (on < 0 || (int)rail_table[i].on == on))
            return true;
    return false;
}

#endif
