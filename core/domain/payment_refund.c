/* A payment as its refunds leave it. */
#include "core/domain/payment_refund.h"

bool payment_fits_refund(const struct payment *p, int64_t reserved, enum refund_money m,
                         int64_t minor)
{
    switch (m) {
    case REFUND_MONEY_NONE:
    case REFUND_MONEY_SETTLE_LATE:
        break;
    case REFUND_MONEY_RELEASE:
        return reserved >= minor;
    case REFUND_MONEY_SETTLE:
        return reserved >= minor && p->refunded_minor + minor <= p->received_minor;
    case REFUND_MONEY_UNDO:
        return p->refunded_minor >= minor;
    }
    return true;
}

bool payment_take_refund(struct payment *p, int64_t *reserved, enum refund_money m, int64_t minor)
{
    int64_t refunded = p->refunded_minor;
    ASSERT(minor > 0 && payment_fits_refund(p, *reserved, m, minor));
    switch (m) {
    case REFUND_MONEY_NONE:
        return true;
    case REFUND_MONEY_RELEASE:
        *reserved -= minor;
        return true;
    case REFUND_MONEY_SETTLE:
        *reserved -= minor;
        refunded += minor;
        break;
    case REFUND_MONEY_SETTLE_LATE:
        if (!refund_fits(p->received_minor, refunded, *reserved, minor))
            return false;
        refunded += minor;
        break;
    case REFUND_MONEY_UNDO:
        refunded -= minor;
        break;
    }
    p->refunded_minor = refunded;
    if (p->status != PAYMENT_REVERSED)
        p->status = refunded == 0                   ? PAYMENT_COMPLETED
                    : refunded == p->received_minor ? PAYMENT_REFUNDED
                                                    : PAYMENT_PARTIALLY_REFUNDED;
    return true;
}
