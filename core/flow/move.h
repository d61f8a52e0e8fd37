#ifndef RELI_FLOW_MOVE_H
#define RELI_FLOW_MOVE_H

#include "core/flow/flow.h"

/* Applies one event to one payment: load, step, commit everything that the step says in one unit;
 * who loses the race loads again and steps again. What a provider says, what time does and what a
 * merchant wants all go through here. */

/* The answer to the create request, committed with the move that decides it. */
struct move_answer {
    struct str key;
    int16_t slot, slot_b;
    int16_t http_status; /* 201 or 202 */
    int32_t seq;         /* the event that is shown when the move makes none itself */
    bool given;          /* it was given before it was durable: event seq as it was, always */
};

/* The callback that says so, closed with the move. */
struct move_inbound {
    struct uuid subject;
    struct str dedupe_key;
    int32_t n;
};

/* The exchange with the provider, kept with the move. */
struct move_call {
    int attempt;
    const char *op, *outcome; /* outcome: ok, refused, ambiguous */
    int http_status;
    int64_t took_us;
    struct str body;        /* redacted, plain; sealed here */
    struct str next_action; /* what the customer has to do now, as it says; "" nothing new */
};

/* What operators decided about an exception, which ends with the move. */
struct move_resolution {
    struct uuid item; /* nil: whatever of the subject is stuck */
    struct str resolution, evidence, by;
};

struct route_next;

struct move_request {
    struct uuid merchant, payment;
    struct payment_event event;
    struct str actor;
    const struct payment_record
        *known;                       /* the record to start from, saves the load; NULL: load it */
    const struct move_answer *answer; /* these four may be NULL */
    const struct move_inbound *inbound;
    const struct move_call *call;
    const struct move_resolution *resolution;
    const struct route_next *next; /* takes the payment if the event ends its attempt (route.h);
                                      NULL: the payment then ends with it */
    bool receipts_differ;  /* a second receipt for an attempt is other money: ERR_CONFLICT, with the
                              detail MOVE_OTHER_MONEY */
    const char *exception; /* an operator is to look at it; NULL: none but the step's own */
};

/* Details of ERR_CONFLICT, beside MOVE_RECEIPT_TAKEN of store/kinds.h. */
enum { MOVE_OTHER_MONEY = 16 };

struct move_result {
    const struct payment_record *rec; /* as it is now */
    const struct payment_effects *fx; /* of the step that was committed */
    struct str snapshot;              /* of the event that the step made; empty if it made none */
    int dispatched;       /* n of the attempt that rq.next now has, durable, to be sent; 0 none */
    bool answered_before; /* rq.answer may be as a commit left it that we had no answer of, before
                             others moved the payment: the key knows */
};

/* `done` fires once on a later turn; `result` is NULL when err is set and lives during the call.
 * Everything that `rq` points at must live until then. ERR_NOT_FOUND; ERR_INVALID_STATE,
 * ERR_INVALID of payment_step; ERR_CONFLICT, with the detail MOVE_RECEIPT_TAKEN, when the receipt
 * belongs to another payment;
 * ERR_UNAVAILABLE, ERR_AMBIGUOUS of the store: doing it again is safe. */
typedef void move_fn(void *ctx, struct err err, const struct move_result *result);
void move_start(struct flow *f, const struct move_request *rq, move_fn *done, void *ctx);

#endif
