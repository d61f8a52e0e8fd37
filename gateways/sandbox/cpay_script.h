#ifndef RELI_GATEWAYS_SANDBOX_CPAY_SCRIPT_H
#define RELI_GATEWAYS_SANDBOX_CPAY_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

/* What happens to a payment, refund or payout of CPay, chosen by the last three digits of the minor
 * amount or, where these choose nothing, of the payer's number. README.md shows the table. Pure. */

enum cpay_trick {
    CPAY_TRICK_NONE,
    CPAY_TRICK_FAIL,
    CPAY_TRICK_WAIT,        /* for ever, until it expires */
    CPAY_TRICK_LOST_ANSWER, /* created, but answered by 500 */
    CPAY_TRICK_TWICE,
    CPAY_TRICK_DISORDER, /* the later event first */
    CPAY_TRICK_SILENT,   /* no event at all */
    CPAY_TRICK_LATE,     /* completed, late */
    CPAY_TRICK_FORGED,   /* each event first with a wrong signature */
    CPAY_TRICK_CODE,     /* asks for a one-time code */
    CPAY_TRICK_DISPUTE,
    CPAY_TRICK_DISPUTE_LOST, /* by us: the payer gets all of it back */
    CPAY_TRICK_NO_REFUND,
    CPAY_TRICK_BUSY, /* sent away twice */
    CPAY_TRICK_SLOW, /* answered late */
};

struct cpay_script {
    int number; /* 0 … 999 */
    enum cpay_trick trick;
    const char *failure; /* failure.code; NULL: it succeeds */
    const char *words;
};

/* `phone` may be empty. Never NULL: whatever is not in the table succeeds. */
const struct cpay_script *cpay_script_of(int64_t minor, struct str phone);
/* The i-th line of the table, NULL at its end. */
const struct cpay_script *cpay_script_at(size_t i);

#endif
