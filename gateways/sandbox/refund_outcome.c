/* The table of scripts of refunds. Result codes: providers/mpesa.md, section 5. */
#include "gateways/sandbox/refund_outcome.h"

#include "core/base/attr.h"

/* <Result code 21>: the initiator lacks the role. <26>: busy. Source: section 5.1. */
static const struct refund_outcome outcomes[] = {
    {0, REFUND_ACK_PLAIN, REFUND_TELL_PLAIN, "0", "0", "success"},
    {89, REFUND_ACK_PLAIN, REFUND_TELL_BUSY, "0", "0", "taken and busy the first time, then paid"},
    {90, REFUND_ACK_PLAIN, REFUND_TELL_PLAIN, "21", "0", "reversal not allowed, payout paid"},
    {91, REFUND_ACK_CUT, REFUND_TELL_PLAIN, "0", "0", "acknowledgement lost, paid"},
    {92, REFUND_ACK_CUT, REFUND_TELL_LOST, "0", "0", "acknowledgement and result lost, paid"},
    {93, REFUND_ACK_PLAIN, REFUND_TELL_LOST, "0", "0", "result lost, paid"},
    {94, REFUND_ACK_PLAIN, REFUND_TELL_TWICE, "0", "0", "result twice, paid"},
    {95, REFUND_ACK_PLAIN, REFUND_TELL_EARLY, "0", "0", "result before the answer, paid"},
    {96, REFUND_ACK_PLAIN, REFUND_TELL_PLAIN, "21", "21", "reversal and payout not allowed"},
    {97, REFUND_ACK_PLAIN, REFUND_TELL_QUEUE_TIMEOUT, "0", "0", "queue timeout, paid later"},
    {98, REFUND_ACK_REFUSED, REFUND_TELL_PLAIN, "0", "0", "refused at the door"},
    {99, REFUND_ACK_PLAIN, REFUND_TELL_NEVER, "0", "0", "unknown for ever"},
};

const struct refund_outcome *refund_outcome_of(int64_t amount, struct str phone)
{
    int64_t ending;
    if (amount % 100 < 90 && phone.n >= 3 && str_to_i64(str_from(phone, phone.n - 3), &ending) &&
        ending >= 590 && ending <= 599)
        amount = ending - 500;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        if (outcomes[i].number == amount % 100)
            return &outcomes[i];
    return &outcomes[0];
}

const struct refund_outcome *refund_outcome_at(size_t i)
{
    return i < COUNT_OF(outcomes) ? &outcomes[i] : NULL;
}
