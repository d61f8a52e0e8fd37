#ifndef RELI_FLOW_DISPUTE_H
#define RELI_FLOW_DISPUTE_H

#include "core/flow/flow.h"
#include "gateways/gateway.h"

/* What a provider says about a payment that the customer disputes with his bank, kept as an item of
 * the operators' queue: one item for each dispute, whatever comes in whatever order. */
struct dispute_input {
    const struct payment_record *payment;
    int attempt;
    const struct gw_dispute *said;
    bool settled; /* nobody has to look at it any more */
};

/* The part of a dispute that has been lost that the payment's books cannot take back as a whole. */
bool dispute_is_partial(const struct payment *p, const struct gw_dispute *d);
/* `done` fires once, on a later turn. Doing it again changes nothing. */
typedef void dispute_fn(void *ctx, struct err err);
void dispute_start(struct flow *f, const struct dispute_input *in, dispute_fn *done, void *ctx);

#endif
