#ifndef RELI_GATEWAYS_SANDBOX_STRIPE_SCRIPT_H
#define RELI_GATEWAYS_SANDBOX_STRIPE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

/* What happens at Stripe: the test payment method chooses what the bank says, the last three digits
 * of the amount how Stripe tells it. README.md shows both tables. Pure. */

enum stripe_card_end {
    STRIPE_CARD_PAID,
    STRIPE_CARD_DECLINED,
    STRIPE_CARD_3DS,        /* asks the customer, then is paid */
    STRIPE_CARD_3DS_NO,     /* asks the customer, then is declined */
    STRIPE_CARD_DISPUTED,   /* paid, a dispute follows */
    STRIPE_CARD_DEBIT,      /* no card: processing, paid later */
    STRIPE_CARD_DEBIT_FAILS /* the same, and fails later */
};

struct stripe_card {
    const char *token; /* pm_… */
    enum stripe_card_end end;
    const char *code, *decline_code; /* of last_payment_error; decline_code may be NULL */
    const char *advice;              /* advice_code; NULL if none */
    bool refund_pending, refund_fails;
    const char *words;
};

/* NULL for one that is none. */
const struct stripe_card *stripe_card_of(struct str token);
/* The i-th line of the table, NULL at its end. */
const struct stripe_card *stripe_card_at(size_t i);

enum stripe_trick {
    STRIPE_TRICK_NONE,
    STRIPE_TRICK_LOST_ANSWER, /* done, but answered by 500 */
    STRIPE_TRICK_TWICE,       /* each event twice, under two ids */
    STRIPE_TRICK_DISORDER,    /* the intent's events after those of Checkout */
    STRIPE_TRICK_SILENT,      /* no event at all */
    STRIPE_TRICK_FORGED,      /* each event first with a wrong signature */
    STRIPE_TRICK_BUSY,        /* 429 twice */
    STRIPE_TRICK_SLOW,        /* answered late */
    STRIPE_TRICK_DROPPED,     /* nothing done, answered by 500 */
};

enum stripe_trick stripe_trick_of(int64_t amount);
/* Static words. */
const char *stripe_trick_words(enum stripe_trick t);

#endif
