#ifndef RELI_FLOW_REFUND_INT_H
#define RELI_FLOW_REFUND_INT_H

#include "gateways/gateway.h"

/* What the flows of refunds share. */

/* The rules of refunds of a gateway's payments: its rails, then an operator. */
void refund_rules_of(const struct gateway *g, struct refund_rules *out);

#endif
