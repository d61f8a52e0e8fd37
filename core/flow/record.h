#ifndef RELI_FLOW_RECORD_H
#define RELI_FLOW_RECORD_H

#include "core/flow/flow.h"
#include "core/flow/move.h"
#include "store/kinds.h"

/* The rows that a step of a payment leaves behind, made from the record as it is after the step.
 * Texts live in the arena. */

/* The snapshot and the row of the event `notice`; its seq is the payment's version. */
struct err record_event(struct flow *f, struct arena *a, const struct payment_record *rec,
                        enum payment_notice notice, struct event_row *out) MUST_USE;
/* The row of an event whose snapshot is made; its seq is the payment's version. */
struct event_row record_event_of(struct flow *f, const struct payment_record *rec, const char *type,
                                 struct str data);
void record_audit(struct flow *f, const struct payment_record *rec, enum payment_status before,
                  const char *action, struct str actor, struct str detail, struct audit_row *out);
/* Both sides of a posting, and the accounts that it names. */
void record_posting(struct arena *a, const struct payment_record *rec,
                    const struct payment_effects *fx, struct move_unit *out);
/* One transfer between two accounts of the merchant, with the accounts. */
struct record_transfer {
    struct uuid journal;
    struct str kind;
    const char *debit, *credit; /* account types */
    struct uuid debit_owner, credit_owner;
    struct money amount;
};
void record_transfer(struct arena *a, const struct payment_record *rec,
                     const struct record_transfer *t, struct move_unit *out);
/* An exchange with a provider, sealed into the arena. */
struct err record_call(struct flow *f, struct arena *a, const struct payment_record *rec,
                       const struct move_call *call, struct move_unit *out) MUST_USE;
/* The callback that is closed with the unit. */
void record_inbound(const struct move_inbound *inbound, struct move_unit *out);
void record_exception(struct flow *f, const struct payment_record *rec, const char *kind,
                      struct str detail, struct move_unit *out);
/* Opens the person of a payment; "" when there is none (any more). */
struct err record_person(struct flow *f, const struct payment_record *rec, struct arena *a,
                         struct str *person) MUST_USE;
/* Seals a person for a payment into the arena. */
struct err record_seal_person(struct flow *f, struct uuid merchant, struct uuid payment,
                              struct arena *a, struct str person, struct str *sealed) MUST_USE;

#endif
