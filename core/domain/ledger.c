/* The books' rules in one table: a row is a leg of an event, and an event has the legs that have an
 * amount. Reversals are rows of their own, written beside what they reverse. */
#include "core/domain/ledger.h"

/* Which of the amounts a leg carries. */
enum part { PART_GROSS, PART_NET /* gross less fee */, PART_FEE, PART_COST };

enum { LEDGER_AGAINST = LEDGER_N_ACCOUNTS };

struct leg {
    enum ledger_event event;
    const char *kind;
    int debit, credit; /* accounts; LEDGER_AGAINST: the one named in the amounts */
    enum part part;
    enum ledger_state state;
};

#define LEG(event, kind, debit, credit, part, state)                                             \
    {                                                                                            \
        LEDGER_EVENT_##event, kind, LEDGER_##debit, LEDGER_##credit, PART_##part, LEDGER_##state \
    }

/* clang-format off */
static const struct leg legs[] = {
    LEG(PAYMENT_RECEIVED, "payment_received",
        PROVIDER_RECEIVABLE,  MERCHANT_PENDING,     NET,   POSTED),
    LEG(PAYMENT_RECEIVED, "payment_fee",
        PROVIDER_RECEIVABLE,  FEES_INCOME,          FEE,   POSTED),
    LEG(PAYMENT_RECEIVED, "payment_cost",
        PROVIDER_FEE_EXPENSE, PROVIDER_RECEIVABLE,  COST,  POSTED),
    LEG(PAYMENT_UNALLOCATED, "payment_unallocated",
        PROVIDER_RECEIVABLE,  UNALLOCATED,          GROSS, POSTED),
    LEG(UNALLOCATED_KEPT, "unallocated_kept",
        UNALLOCATED,          MERCHANT_PENDING,     GROSS, POSTED),
    LEG(UNALLOCATED_RETURNED, "unallocated_returned",
        UNALLOCATED,          PROVIDER_RECEIVABLE,  GROSS, POSTED),
    LEG(PAYMENT_REVERSED, "payment_reversed",
        MERCHANT_PENDING,     PROVIDER_RECEIVABLE,  NET,   POSTED),
    LEG(PAYMENT_REVERSED, "payment_fee_reversed",
        FEES_INCOME,          PROVIDER_RECEIVABLE,  FEE,   POSTED),
    LEG(REFUND_SETTLED, "refund_settled",
        MERCHANT_PENDING,     PROVIDER_RECEIVABLE,  GROSS, POSTED),
    LEG(REFUND_SETTLED, "refund_cost",
        PROVIDER_FEE_EXPENSE, PROVIDER_RECEIVABLE,  COST,  POSTED),
    LEG(REFUND_UNDONE, "refund_undone",
        PROVIDER_RECEIVABLE,  MERCHANT_PENDING,     GROSS, POSTED),
    LEG(REFUND_EXCESS, "refund_excess",
        REFUND_CLEARING,      PROVIDER_RECEIVABLE,  GROSS, POSTED),
    LEG(REFUND_EXCESS_UNDONE, "refund_excess_undone",
        PROVIDER_RECEIVABLE,  REFUND_CLEARING,      GROSS, POSTED),
    LEG(MATURED, "matured",
        MERCHANT_PENDING,     MERCHANT_AVAILABLE,   GROSS, POSTED),
    LEG(MATURED_BACK, "matured_back",
        MERCHANT_AVAILABLE,   MERCHANT_PENDING,     GROSS, POSTED),
    LEG(PAYOUT_PAID, "payout_paid",
        PAYOUT_CLEARING,      PROVIDER_RECEIVABLE,  GROSS, POSTED),
    LEG(PAYOUT_PAID_LATE, "payout_paid_late",
        MERCHANT_PENDING,     PROVIDER_RECEIVABLE,  GROSS, POSTED),
    LEG(PAYOUT_RETURNED, "payout_returned",
        PROVIDER_RECEIVABLE,  MERCHANT_AVAILABLE,   GROSS, POSTED),
    LEG(HOLD, "hold",
        MERCHANT_AVAILABLE,   AGAINST,              GROSS, PENDING),
    LEG(POST, "hold_posted",
        MERCHANT_AVAILABLE,   AGAINST,              GROSS, POSTED),
    LEG(VOID, "hold_voided",
        MERCHANT_AVAILABLE,   AGAINST,              GROSS, VOIDED),
};
/* clang-format on */

static const struct {
    const char *word;
    enum ledger_side side;
    enum ledger_owner owner;
    bool guarded;
} accounts[LEDGER_N_ACCOUNTS] = {
#define X(name, word, side, owner, guarded) \
    [LEDGER_##name] = {word, LEDGER_##side, LEDGER_OWNER_##owner, guarded},
    LEDGER_ACCOUNTS(X)
#undef X
};

static const char *const state_words[] = {
    [LEDGER_POSTED] = "posted",
    [LEDGER_PENDING] = "pending",
    [LEDGER_VOIDED] = "voided",
};

static struct err check(enum ledger_event event, const struct ledger_amounts *in);

struct err ledger_post(enum ledger_event event, const struct ledger_amounts *amounts,
                       struct ledger_posting *out)
{
    ASSERT((unsigned)event < LEDGER_EVENT_N);
    TRY(check(event, amounts));
    const int64_t parts[] = {
        [PART_GROSS] = amounts->gross.minor,
        [PART_NET] = amounts->gross.minor - amounts->fee_minor,
        [PART_FEE] = amounts->fee_minor,
        [PART_COST] = amounts->cost_minor,
    };
    struct ledger_posting made = {0};
    for (size_t i = 0; i < COUNT_OF(legs); i++) {
        const struct leg *leg = &legs[i];
        if (leg->event != event || parts[leg->part] == 0)
            continue;
        ASSERT(made.n < LEDGER_MAX_TRANSFERS);
        made.transfers[made.n] = (struct ledger_transfer){
            .step = amounts->first_step + made.n,
            .kind = leg->kind,
            .debit = (enum ledger_account)leg->debit,
            .credit =
                leg->credit == LEDGER_AGAINST ? amounts->against : (enum ledger_account)leg->credit,
            .amount = {parts[leg->part], amounts->gross.currency},
            .state = leg->state,
        };
        made.n++;
    }
    *out = made;
    return ERR_OK;
}

static bool has_leg(enum ledger_event event, enum part part)
{
    for (size_t i = 0; i < COUNT_OF(legs); i++)
        if (legs[i].event == event && legs[i].part == part)
            return true;
    return false;
}

static bool holds(enum ledger_event event)
{
    return event == LEDGER_EVENT_HOLD || event == LEDGER_EVENT_POST || event == LEDGER_EVENT_VOID;
}

static bool may_hold(enum ledger_account a)
{
    return a == LEDGER_REFUND_CLEARING || a == LEDGER_PAYOUT_CLEARING || a == LEDGER_DISPUTE_HOLD;
}

static struct err check(enum ledger_event event, const struct ledger_amounts *in)
{
    if (!currency_known(in->gross.currency) || in->gross.minor <= 0 || in->first_step < 1)
        return ERR(INVALID, "nothing to post");
    if (in->gross.minor > MONEY_MAX || in->cost_minor > MONEY_MAX)
        return ERR(LIMIT, "amount too large");
    if (in->fee_minor < 0 || in->cost_minor < 0 || in->fee_minor > in->gross.minor)
        return ERR(INVALID, "fee or cost out of range");
    if ((in->fee_minor != 0 && !has_leg(event, PART_FEE)) ||
        (in->cost_minor != 0 && !has_leg(event, PART_COST)))
        return ERR(INVALID, "the event has no fee or cost");
    if (holds(event) ? !may_hold(in->against) : in->against != 0)
        return ERR(INVALID, "no account to hold for");
    return ERR_OK;
}

const char *ledger_account_word(enum ledger_account a)
{
    ASSERT((unsigned)a < LEDGER_N_ACCOUNTS);
    return accounts[a].word;
}

bool ledger_account_parse(struct str word, enum ledger_account *out)
{
    for (int i = 0; i < LEDGER_N_ACCOUNTS; i++) {
        if (str_eq(word, str_c(accounts[i].word))) {
            *out = (enum ledger_account)i;
            return true;
        }
    }
    return false;
}

enum ledger_side ledger_account_side(enum ledger_account a)
{
    ASSERT((unsigned)a < LEDGER_N_ACCOUNTS);
    return accounts[a].side;
}

enum ledger_owner ledger_account_owner(enum ledger_account a)
{
    ASSERT((unsigned)a < LEDGER_N_ACCOUNTS);
    return accounts[a].owner;
}

bool ledger_account_guarded(enum ledger_account a)
{
    ASSERT((unsigned)a < LEDGER_N_ACCOUNTS);
    return accounts[a].guarded;
}

const char *ledger_state_word(enum ledger_state s)
{
    ASSERT((unsigned)s < COUNT_OF(state_words));
    return state_words[s];
}
