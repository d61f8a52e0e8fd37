#ifndef RELI_FLOW_PAYOUT_INT_H
#define RELI_FLOW_PAYOUT_INT_H

#include "core/flow/payout.h"
#include "gateways/gateway.h"
#include "store/kinds.h"

/* What the flows of payouts share. */

/* The record's head as record.h takes it: events, calls, books and exceptions are written alike for
 * payments and payouts. */
struct payment_record payout_head(const struct payout_record *rec);
/* The snapshot and the row of an event; its seq is the payout's version. */
struct err payout_event_row(struct flow *f, struct arena *a, const struct payout_record *rec,
                            const char *type, struct event_row *out) MUST_USE;
void payout_audit_row(struct flow *f, const struct payout_record *rec, enum payout_status before,
                      const char *action, struct str actor, struct audit_row *out);
/* The request number `n`. */
struct err payout_request(struct flow *f, struct arena *a, const struct payout_record *rec, int n,
                          const struct gateway *g, struct gw_payout *out) MUST_USE;

#endif
