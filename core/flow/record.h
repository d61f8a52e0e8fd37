#ifndef RELI_FLOW_RECORD_H
#define RELI_FLOW_RECORD_H

#include "core/flow/flow.h"
#include "store/kinds.h"

/* The rows that a step of a payment leaves behind, made from the record as it is after the step.
 * Texts live in the arena. */

/* The snapshot and the row of the event `notice`; its seq is the payment's version. */
struct err record_event(struct flow *f, struct arena *a, const struct payment_record *rec,
                        enum payment_notice notice, struct event_row *out) MUST_USE;
void record_audit(struct flow *f, const struct payment_record *rec, enum payment_status before,
                  const char *action, struct str actor, struct str detail, struct audit_row *out);
/* Both sides of a posting, and the accounts that it names. */
void record_posting(struct arena *a, const struct payment_record *rec,
                    const struct payment_effects *fx, struct move_unit *out);
/* Opens the person of a payment; "" when there is none (any more). */
struct err record_person(struct flow *f, const struct payment_record *rec, struct arena *a,
                         struct str *person) MUST_USE;
/* Seals a person for a payment into the arena. */
struct err record_seal_person(struct flow *f, struct uuid merchant, struct uuid payment,
                              struct arena *a, struct str person, struct str *sealed) MUST_USE;

#endif
