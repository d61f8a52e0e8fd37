#ifndef RELI_GATEWAYS_SANDBOX_OUTCOME_H
#define RELI_GATEWAYS_SANDBOX_OUTCOME_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

/* What happens to a charge, chosen by the last three digits of the customer's number, or, for the
 * one number 254700000999, by the amount in major units modulo 1000. README.md shows the table.
 * Pure. */

/* How the request itself is answered. Those up to OUTCOME_LAST_QUEUED put the prompt on the
 * phone. */
enum outcome_answer {
    ANSWER_ACCEPT,
    ANSWER_CUT,   /* connection cut */
    ANSWER_SLOW,  /* after the client's patience has ended */
    ANSWER_EMPTY, /* 200 without a body */
    ANSWER_HALF,  /* half a body, then the end */
    OUTCOME_LAST_QUEUED = ANSWER_HALF,
    ANSWER_CUT_NOTHING,
    ANSWER_HTML_503,
    ANSWER_LOCKED,
    ANSWER_SPIKE,
    ANSWER_NO_MERCHANT,
    ANSWER_INTERNAL,
    ANSWER_BAD_PHONE,
    ANSWER_TOKEN_ONCE, /* the token is refused the first time, afterwards it is accepted */
};

/* What the customer's decision looks like in the callback. */
enum outcome_callback {
    CALLBACK_PLAIN,
    CALLBACK_LOST,
    CALLBACK_TWICE,
    CALLBACK_EARLY, /* before the answer of the request */
    CALLBACK_ODD_CODE,
    CALLBACK_FAILURE_FIRST, /* a failure first, the success late */
    CALLBACK_WRONG_AMOUNT,
    CALLBACK_WRONG_PHONE,
    CALLBACK_WRONG_ID,
    CALLBACK_TEXT_FIELDS,
    CALLBACK_NO_BALANCE,
};

/* How the status query behaves. */
enum outcome_query {
    QUERY_PLAIN,        /* pending as an error 500 until the end, then the result */
    QUERY_PENDING_4999, /* pending as a result */
    QUERY_HTML_502,
    QUERY_EARLY_FAILURE, /* a failure until the end, then the result */
    QUERY_NUMBERS,       /* codes as numbers */
};

/* When the customer's decision falls. */
enum outcome_when { WHEN_DELAY, WHEN_TIMEOUT, WHEN_LATE, WHEN_AT_ONCE, WHEN_NEVER };

struct outcome {
    int number; /* 0 … 999 */
    enum outcome_answer answer;
    enum outcome_callback callback;
    enum outcome_query query;
    enum outcome_when when;
    const char *result; /* "0" is paid */
    const char *words;
    const char *first; /* of CALLBACK_FAILURE_FIRST: that failure */
};

/* `phone` in digits; `amount` in whole major units. Never NULL: an unlisted number is a success. */
const struct outcome *outcome_of(struct str phone, int64_t amount);
/* The i-th line of the table, NULL at its end. */
const struct outcome *outcome_at(size_t i);

#endif
