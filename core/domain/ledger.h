#ifndef RELI_DOMAIN_LEDGER_H
#define RELI_DOMAIN_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/str.h"

/* The books (domain.md, section 5), pure: which accounts there are, and which transfers an event
 * makes. A transfer names one debit, one credit and one amount, so that no list of them can be
 * unbalanced. The flows turn types into accounts, by owner, and store the list in one unit. */

/* X(NAME, word, normal side, owner, guarded: has a running balance that may not go below zero) */
#define LEDGER_ACCOUNTS(X)                                                    \
    X(PROVIDER_RECEIVABLE, "provider_receivable", DEBIT, PROVIDER_ACCOUNT, 0) \
    X(BANK, "bank", DEBIT, BANK_ACCOUNT, 0)                                   \
    X(MERCHANT_PENDING, "merchant_pending", CREDIT, MERCHANT, 0)              \
    X(MERCHANT_AVAILABLE, "merchant_available", CREDIT, MERCHANT, 1)          \
    X(MERCHANT_RESERVE, "merchant_reserve", CREDIT, MERCHANT, 1)              \
    X(FEES_INCOME, "fees_income", CREDIT, MERCHANT, 0)                        \
    X(PROVIDER_FEE_EXPENSE, "provider_fee_expense", DEBIT, MERCHANT, 0)       \
    X(COMMISSION, "commission", CREDIT, AGENT, 0)                             \
    X(UNALLOCATED, "unallocated", CREDIT, MERCHANT, 0)                        \
    X(REFUND_CLEARING, "refund_clearing", CREDIT, MERCHANT, 0)                \
    X(PAYOUT_CLEARING, "payout_clearing", CREDIT, MERCHANT, 0)                \
    X(DISPUTE_HOLD, "dispute_hold", CREDIT, MERCHANT, 1)                      \
    X(FX_POSITION, "fx_position", DEBIT, MERCHANT, 0)                         \
    X(ROUNDING, "rounding", DEBIT, MERCHANT, 0)                               \
    X(POINTS_LIABILITY, "points_liability", CREDIT, MERCHANT, 0)

/* X(NAME, what happened) */
#define LEDGER_EVENTS(X)                                                                   \
    X(PAYMENT_RECEIVED, "a payment was completed; fee, cost")                              \
    X(PAYMENT_UNALLOCATED, "money came that is no payment's")                              \
    X(UNALLOCATED_KEPT, "operators gave it to the merchant")                               \
    X(UNALLOCATED_RETURNED, "operators gave it back")                                      \
    X(PAYMENT_REVERSED, "the provider took a payment back; fee: as much as is given back") \
    X(REFUND_SETTLED, "a refund was completed; cost")                                      \
    X(REFUND_UNDONE, "a completed refund turned out failed")                               \
    X(REFUND_EXCESS, "a refund was paid a second time, over another rail")                 \
    X(REFUND_EXCESS_UNDONE, "and came back")                                               \
    X(MATURED, "what is pending can be paid out")                                          \
    X(MATURED_BACK, "less is pending than was brought: a refund, a reversal")              \
    X(PAYOUT_PAID, "what was held for a payout has left")                                  \
    X(PAYOUT_PAID_LATE, "a payout has left although its hold was given back")              \
    X(PAYOUT_RETURNED, "a payout that had left came back")                                 \
    X(HOLD, "merchant_available is held for `against`")                                    \
    X(POST, "what was held is used")                                                       \
    X(VOID, "what was held is free again")

enum ledger_account {
#define X(name, word, side, owner, guarded) LEDGER_##name,
    LEDGER_ACCOUNTS(X)
#undef X
        LEDGER_N_ACCOUNTS
};
enum ledger_event {
#define X(name, what) LEDGER_EVENT_##name,
    LEDGER_EVENTS(X)
#undef X
        LEDGER_EVENT_N
};
enum ledger_side { LEDGER_DEBIT, LEDGER_CREDIT };
enum ledger_owner {
    LEDGER_OWNER_MERCHANT,
    LEDGER_OWNER_PROVIDER_ACCOUNT,
    LEDGER_OWNER_BANK_ACCOUNT,
    LEDGER_OWNER_AGENT
};
/* Balances count what is posted. A hold is a pending row; as rows are never changed, using it and
 * freeing it are rows of their own, and what is held is pending less posted less voided. */
enum ledger_state { LEDGER_POSTED, LEDGER_PENDING, LEDGER_VOIDED };

const char *ledger_account_word(enum ledger_account a);
bool ledger_account_parse(struct str word, enum ledger_account *out) MUST_USE;
enum ledger_side ledger_account_side(enum ledger_account a);
enum ledger_owner ledger_account_owner(enum ledger_account a);
bool ledger_account_guarded(enum ledger_account a);
const char *ledger_state_word(enum ledger_state s);

/* What an event is about. A field that the event does not name above must be zero. */
struct ledger_amounts {
    struct money gross;          /* above zero */
    int64_t fee_minor;           /* ours, 0 to gross */
    int64_t cost_minor;          /* the provider's, kept back by him */
    enum ledger_account against; /* HOLD, POST, VOID: a clearing account, or dispute_hold */
    int first_step;              /* of this list in its journal: 1, or after those before */
};

enum { LEDGER_MAX_TRANSFERS = 4 };

struct ledger_transfer {
    int step;
    const char *kind; /* static, of ledger_transfer.kind */
    enum ledger_account debit, credit;
    struct money amount; /* above zero */
    enum ledger_state state;
};

struct ledger_posting {
    int n; /* at least one; steps follow each other */
    struct ledger_transfer transfers[LEDGER_MAX_TRANSFERS];
};

/* The transfers of an event. ERR_INVALID for amounts that it cannot have, ERR_LIMIT above
 * MONEY_MAX; `*out` is then unchanged. */
struct err ledger_post(enum ledger_event event, const struct ledger_amounts *amounts,
                       struct ledger_posting *out) MUST_USE;

#endif
