/* What a refund may use: the rails in their order, the times, and what is left of the payment. */
#include "core/base/times.h"
#include "core/domain/payment.h"
#include "core/domain/refund.h"

void refund_rules_default(struct refund_rules *r)
{
    struct payment_rules same;
    payment_rules_default(&same);
    *r = (struct refund_rules){
        .n_rails = 2,
        .rails = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT},
        .sending_lease_us = same.sending_lease_us,
        .unknown_after_us = 15 * US_PER_MIN,
        .poll = same.poll,
        .recon = same.recon,
    };
    bool parsed = schedule_parse(STR("30s,1m,2m,5m,10m,15m,30m,1h,2h,6h,12h"), &r->park);
    ASSERT(parsed && r->park.n + REFUND_MAX_RAILS <= REFUND_MAX_ATTEMPTS);
}

bool refund_is_parked(const struct refund *r)
{
    if (r->status != REFUND_PROCESSING || r->n_attempts == 0)
        return false;
    const struct rail_attempt *last = &r->attempts[r->n_attempts - 1];
    return last->status == RAIL_REJECTED && last->next_poll_at_us != TIME_NEVER;
}

/* Each rail once, but one that was busy: asking another again is what a retry after a timeout would
 * do. */
enum refund_rail refund_next_rail(const struct refund *r, const struct refund_rules *rules)
{
    uint32_t used = 1u << REFUND_RAIL_NONE;
    if (refund_is_parked(r))
        return r->attempts[r->n_attempts - 1].rail;
    for (int i = 0; i < r->n_attempts; i++)
        used |= 1u << r->attempts[i].rail;
    if ((used >> REFUND_RAIL_MANUAL & 1u) != 0 || r->n_attempts == REFUND_MAX_ATTEMPTS)
        return REFUND_RAIL_NONE;
    for (int i = 0; i < rules->n_rails; i++)
        if ((used >> rules->rails[i] & 1u) == 0)
            return rules->rails[i];
    return REFUND_RAIL_NONE;
}

bool refund_fits(int64_t received, int64_t refunded, int64_t reserved, int64_t amount)
{
    int64_t sum;
    return refunded >= 0 && reserved >= 0 && amount > 0 &&
           !__builtin_add_overflow(refunded, reserved, &sum) &&
           !__builtin_add_overflow(sum, amount, &sum) && sum <= received;
}
