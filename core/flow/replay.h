#ifndef RELI_FLOW_REPLAY_H
#define RELI_FLOW_REPLAY_H

#include "core/codec/json.h"
#include "store/rows.h"

/* A payment rebuilt from its events alone, and held against the stored one. An event of the payment
 * carries it as it was then; an event of a refund says what became of the refund, and the payment's
 * status and amount_refunded follow by domain.md, section 2.1. */

enum { REPLAY_MAX_REFUNDS = 256 };

struct replay {
    int32_t seq;          /* of the last event; 0 before the first */
    struct json *payment; /* as its last own event had it */
    struct money received, refunded;
    char status[32];
    int n_refunds;
    struct {
        struct uuid id;
        bool settled; /* its money counts as gone */
    } refunds[REPLAY_MAX_REFUNDS];
};

void replay_begin(struct replay *r);
void replay_end(struct replay *r);
/* ERR_INVALID: it does not follow the one before, or says something that no event says; `what`
 * names it. */
struct err replay_event(struct replay *r, int32_t seq, struct str type, struct str data) MUST_USE;
/* The name of the first member that differs, static or of the arena; NULL if none does. When it was
 * last changed is no event's business, and a provider's reference may be learned without one. */
const char *replay_difference(const struct replay *r, const struct payment_record *stored,
                              struct arena *a);

#endif
