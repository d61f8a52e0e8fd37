#ifndef RELI_FLOW_RENDER_H
#define RELI_FLOW_RENDER_H

#include "core/base/buf.h"
#include "core/codec/jsonw.h"
#include "store/payout_rows.h"
#include "store/rows.h"

/* The public shapes (contract.md, sections 4 and 7).
 *
 * What is kept of an event is its snapshot: the payment resource without personal data. Whoever
 * shows it fills in the customer from the payment's sealed column, so that an erased person is gone
 * everywhere. */

/* A person, as sealed and spliced: `"phone":…,"email":…,"name":…`, each a string or null. */
void render_person(struct buf *out, struct str phone, struct str email, struct str name);
/* Reads the phone or e-mail out of such a text; "" if there is none. */
struct err person_phone(struct str person, struct arena *a, struct str *phone) MUST_USE;
struct err person_email(struct str person, struct arena *a, struct str *email) MUST_USE;

/* The members of the resource, without braces. `person` as made by render_person, "" for none. */
void render_payment(struct jsonw *w, const struct payment_record *rec, struct str person);

/* A stored snapshot with the person and, when not empty, the provider's reference filled in. */
void render_snapshot(struct buf *out, struct str snapshot, struct str person,
                     struct str provider_ref);

/* The answer to a create: the snapshot and the token of its client. */
void render_created(struct buf *out, struct str snapshot, struct str person,
                    struct str provider_ref, struct str client_token);

/* Who gets a payout, as sealed and spliced: `"phone":…,"name":…`, each a string or null. */
void render_payee(struct buf *out, struct str phone, struct str name);
struct err person_name(struct str person, struct arena *a, struct str *name) MUST_USE;
/* The members of a payout, without braces; `payee` as made by render_payee, "" for none. */
void render_payout(struct jsonw *w, const struct payout_record *rec, struct str payee);

/* The members that say what an event is about: payment_id; of a payout's it is null, and payout_id
 * stands behind it. */
void render_subject(struct jsonw *w, struct uuid subject);
/* One event: {"id","type","seq","timestamp","mode","payment_id","data"}. */
struct event_view {
    struct uuid id, payment; /* or payout */
    struct str type, mode, snapshot;
    int32_t seq;
    int64_t at_us;
};
void render_event(struct buf *out, const struct event_view *e, struct str person);

#endif
