#ifndef RELI_GATEWAYS_SANDBOX_REFUND_OUTCOME_H
#define RELI_GATEWAYS_SANDBOX_REFUND_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

/* What happens to a reversal or a payout, chosen by its amount in major units modulo 100.
 * README.md shows the table. Pure. */

enum refund_ack {
    REFUND_ACK_PLAIN,
    REFUND_ACK_CUT,    /* taken, then the connection is cut */
    REFUND_ACK_REFUSED /* not taken */
};

enum refund_tell {
    REFUND_TELL_PLAIN,
    REFUND_TELL_LOST,
    REFUND_TELL_TWICE,
    REFUND_TELL_EARLY,         /* before the acknowledgement */
    REFUND_TELL_BUSY,          /* that it is busy, the first time that it is asked for this */
    REFUND_TELL_QUEUE_TIMEOUT, /* the other URL is told first, the result never */
    REFUND_TELL_NEVER,         /* nothing happens, and queries are not told either */
};

struct refund_outcome {
    int number; /* 0 … 99 */
    enum refund_ack ack;
    enum refund_tell tell;
    const char *reversal, *payout; /* result codes; "0" is success */
    const char *words;
};

/* Never NULL: an unlisted number is a success. `phone`, of who gets a payout, is looked at where
 * the amount chooses nothing: its endings 590 to 599 are the lines 90 to 99; empty of a reversal.
 */
const struct refund_outcome *refund_outcome_of(int64_t amount, struct str phone);
/* The i-th line of the table, NULL at its end. */
const struct refund_outcome *refund_outcome_at(size_t i);

#endif
