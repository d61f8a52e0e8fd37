/* The table of scripts. Result codes: providers/mpesa.md, section 2.3. */
#include "gateways/sandbox/outcome.h"

#include "core/base/attr.h"

#define BY_AMOUNT STR("254700000999")

/* Accepted, and decided by the customer: the plain cases. */
#define DECIDED(number_, when_, result_, words_)                                     \
    {                                                                                \
        .number = (number_), .when = (when_), .result = (result_), .words = (words_) \
    }
/* Paid, but something about the callback is unusual. */
#define NOTIFIED(number_, callback_, when_, words_)                                   \
    {                                                                                 \
        .number = (number_), .callback = (callback_), .when = (when_), .result = "0", \
        .words = (words_)                                                             \
    }
/* Told to have failed, and paid late all the same. */
#define REVISED(number_, first_, words_)                                                           \
    {                                                                                              \
        .number = (number_), .callback = CALLBACK_FAILURE_FIRST, .when = WHEN_LATE, .result = "0", \
        .words = (words_), .first = (first_)                                                       \
    }
/* The answer of the request is unusual; "0" where the prompt was queued all the same. */
#define ANSWERED(number_, answer_, words_)                                         \
    {                                                                              \
        .number = (number_), .answer = (answer_), .result = "0", .words = (words_) \
    }
/* Paid, but the status query is unusual. */
#define QUERIED(number_, query_, when_, words_)                                                   \
    {                                                                                             \
        .number = (number_), .query = (query_), .when = (when_), .result = "0", .words = (words_) \
    }

static const struct outcome outcomes[] = {
    DECIDED(0, WHEN_DELAY, "0", "success"),
    DECIDED(1, WHEN_DELAY, "1", "insufficient balance"),
    DECIDED(2, WHEN_DELAY, "1032", "cancelled by the customer"),
    DECIDED(3, WHEN_DELAY, "2001", "wrong PIN"),
    DECIDED(4, WHEN_TIMEOUT, "1037", "no answer from the customer"),
    DECIDED(5, WHEN_TIMEOUT, "1019", "transaction expired"),
    DECIDED(6, WHEN_DELAY, "1025", "error sending the push"),
    DECIDED(7, WHEN_DELAY, "9999", "error sending the push, other code"),
    DECIDED(8, WHEN_DELAY, "4", "daily limit exceeded"),
    DECIDED(9, WHEN_DELAY, "26", "system busy"),
    DECIDED(10, WHEN_DELAY, "1001", "unable to lock subscriber"),
    DECIDED(11, WHEN_DELAY, "17", "same amount to same customer too soon"),
    DECIDED(12, WHEN_DELAY, "8006", "customer blocked"),
    DECIDED(13, WHEN_DELAY, "2028", "product not permitted"),
    NOTIFIED(14, CALLBACK_ODD_CODE, WHEN_DELAY, "unknown result code in the callback, paid"),
    DECIDED(15, WHEN_DELAY, "SFC_IC0003", "operator does not exist"),

    NOTIFIED(20, CALLBACK_LOST, WHEN_DELAY, "callback lost, paid"),
    {.number = 21,
     .callback = CALLBACK_LOST,
     .when = WHEN_DELAY,
     .result = "1032",
     .words = "callback lost, cancelled"},
    NOTIFIED(22, CALLBACK_TWICE, WHEN_DELAY, "callback twice, paid"),
    NOTIFIED(23, CALLBACK_EARLY, WHEN_AT_ONCE, "callback before the answer, paid"),
    NOTIFIED(24, CALLBACK_PLAIN, WHEN_LATE, "paid after a long time"),
    REVISED(25, "1037", "no answer first, paid after a long time"),
    NOTIFIED(26, CALLBACK_WRONG_AMOUNT, WHEN_DELAY, "wrong amount in the callback, paid"),
    NOTIFIED(27, CALLBACK_WRONG_PHONE, WHEN_DELAY, "wrong phone in the callback, paid"),
    NOTIFIED(28, CALLBACK_WRONG_ID, WHEN_DELAY, "unknown id in the callback, paid"),
    NOTIFIED(29, CALLBACK_TEXT_FIELDS, WHEN_DELAY, "callback with strings for numbers, paid"),
    NOTIFIED(30, CALLBACK_NO_BALANCE, WHEN_DELAY, "callback without balance, paid"),
    REVISED(31, "1025", "error sending the push first, paid after a long time"),
    {.number = 32,
     .callback = CALLBACK_EARLY,
     .when = WHEN_AT_ONCE,
     .result = "1",
     .words = "callback before the answer, insufficient balance"},

    ANSWERED(40, ANSWER_CUT, "answer lost, paid"),
    {.number = 41,
     .answer = ANSWER_CUT,
     .callback = CALLBACK_LOST,
     .result = "0",
     .words = "answer and callback lost, paid"},
    ANSWERED(42, ANSWER_CUT_NOTHING, "connection cut, nothing queued"),
    ANSWERED(43, ANSWER_SLOW, "answer after the timeout, paid"),
    ANSWERED(44, ANSWER_HTML_503, "HTML 503, nothing queued"),
    ANSWERED(45, ANSWER_EMPTY, "empty answer, paid"),
    ANSWERED(46, ANSWER_HALF, "half an answer, paid"),
    ANSWERED(47, ANSWER_LOCKED, "refused: subscriber locked"),
    ANSWERED(48, ANSWER_SPIKE, "refused: spike arrest"),
    ANSWERED(49, ANSWER_NO_MERCHANT, "refused: merchant does not exist"),
    ANSWERED(50, ANSWER_INTERNAL, "internal error, nothing queued"),
    ANSWERED(51, ANSWER_TOKEN_ONCE, "token refused once, then paid"),
    ANSWERED(52, ANSWER_BAD_PHONE, "refused: invalid phone number"),

    QUERIED(60, QUERY_PENDING_4999, WHEN_TIMEOUT, "query pending as 4999, paid"),
    QUERIED(61, QUERY_PLAIN, WHEN_TIMEOUT, "query pending as error 500, paid"),
    QUERIED(62, QUERY_HTML_502, WHEN_DELAY, "query always HTML 502, paid"),
    {.number = 63,
     .callback = CALLBACK_LOST,
     .when = WHEN_NEVER,
     .result = "0",
     .words = "pending for ever"},
    QUERIED(64, QUERY_EARLY_FAILURE, WHEN_TIMEOUT, "query says no answer too early, paid"),
    QUERIED(65, QUERY_NUMBERS, WHEN_DELAY, "query with numbers for strings, paid"),
};

static const struct outcome *find(int64_t number)
{
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        if (outcomes[i].number == number)
            return &outcomes[i];
    return &outcomes[0];
}

const struct outcome *outcome_of(struct str phone, int64_t amount)
{
    int64_t number;
    if (str_eq(phone, BY_AMOUNT))
        return find(amount % 1000);
    if (phone.n < 3 || !str_to_i64(str_from(phone, phone.n - 3), &number))
        return &outcomes[0];
    return find(number);
}

const struct outcome *outcome_at(size_t i)
{
    return i < COUNT_OF(outcomes) ? &outcomes[i] : NULL;
}
