#ifndef RELI_FLOW_REFUND_INT_H
#define RELI_FLOW_REFUND_INT_H

#include "gateways/gateway.h"

/* What the flows of refunds share. */

/* The rules of refunds of a gateway's payments: its rails, then an operator. */
void refund_rules_of(const struct gateway *g, struct refund_rules *out);
/* Something has to be sent that has not been: a new refund, or the next rail after a definite
 * refusal. */
bool refund_wants_sending(const struct refund *r, const struct refund_rules *rules);

#endif
