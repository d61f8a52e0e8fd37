#ifndef RELI_DOMAIN_PAYMENT_REFUND_H
#define RELI_DOMAIN_PAYMENT_REFUND_H

#include "core/domain/payment.h"
#include "core/domain/refund.h"

/* Whether a payment with these amounts can be the one of this step. What was read before the refund
 * moved on may not be: it is to be read again. */
bool payment_fits_refund(const struct payment *p, int64_t reserved, enum refund_money m,
                         int64_t minor) MUST_USE;

/* What a refund's step means for its payment (domain.md, section 2.1, the rows on refunds): moves
 * *reserved and p->refunded_minor, and the status between completed, partially_refunded and
 * refunded, of a payment that fits. False for money that went back beyond what was received
 * (SETTLE_LATE only): the amounts then stay, and the books must show it. */
bool payment_take_refund(struct payment *p, int64_t *reserved, enum refund_money m,
                         int64_t minor) MUST_USE;

#endif
