#ifndef RELI_FLOW_RECORD_H
#define RELI_FLOW_RECORD_H

#include "core/domain/ledger.h"
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
/* The audit row of a step of the payment from the status `before`; `detail` may be empty. */
void record_audit(struct flow *f, const struct payment_record *rec, enum payment_status before,
                  const char *action, struct str actor, struct str detail, struct audit_row *out);
/* The same of whatever `rec` is the head of, its statuses in words. */
struct audit_row record_audit_of(struct flow *f, const struct payment_record *rec,
                                 const char *before, const char *after, const char *action,
                                 struct str actor, struct str detail);
/* What a step posts. `item`: the exception that is resolved with it, nil if none. */
struct err record_posting(struct arena *a, const struct payment_record *rec,
                          const struct payment_effects *fx, struct uuid item,
                          struct move_unit *out) MUST_USE;
/* The transfers of an event in the books, with the accounts that they name, behind those that the
 * unit has. A journal is written by one unit, whole, and a unit writes one journal: balances are
 * rolled up by it. */
struct record_journal {
    struct uuid id;
    enum ledger_event event;
    struct money gross;
    int64_t fee_minor;
    struct uuid account;         /* the provider's that holds it; nil: the payment's */
    enum ledger_account against; /* as in ledger_amounts */
};
/* The id of an account of the merchant's own. */
struct uuid record_account_id(struct uuid merchant, bool live, enum ledger_account type,
                              uint16_t currency);
struct err record_journal(struct arena *a, const struct payment_record *rec,
                          const struct record_journal *j, struct move_unit *out) MUST_USE;
/* What is kept of an exchange with a provider; texts go into the arena. */
struct move_call record_exchange(struct arena *a, int attempt, const char *op, const char *outcome,
                                 const struct gw_exchange *x);
/* The same, sealed into the arena. */
struct err record_call(struct flow *f, struct arena *a, const struct payment_record *rec,
                       const struct move_call *call, struct move_unit *out) MUST_USE;
/* The callback that is closed with the unit. */
void record_inbound(const struct move_inbound *inbound, struct move_unit *out);
/* Something that operators have to look at. */
struct record_exception {
    const char *kind;
    struct uuid refund;   /* that it is about; nil: the payment itself */
    int attempt;          /* of payment or refund, 0 none */
    struct money waiting; /* what it has left in `unallocated` */
    struct str detail;
};
void record_exception(struct flow *f, struct arena *a, const struct payment_record *rec,
                      const struct record_exception *x, struct move_unit *out);
/* The exceptions that end with the unit. */
void record_resolution(struct flow *f, const struct payment_record *rec, struct uuid subject,
                       const struct move_resolution *r, struct move_unit *out);
/* Opens the person of a payment, or of a payout of which id, merchant and pii stand here; "" when
 * there is none (any more). */
struct err record_person(struct flow *f, const struct payment_record *rec, struct arena *a,
                         struct str *person) MUST_USE;
/* Seals a person for a payment or payout into the arena. */
struct err record_seal_person(struct flow *f, struct uuid merchant, struct uuid payment,
                              struct arena *a, struct str person, struct str *sealed) MUST_USE;

#endif
