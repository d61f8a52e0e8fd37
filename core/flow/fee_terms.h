#ifndef RELI_FLOW_FEE_TERMS_H
#define RELI_FLOW_FEE_TERMS_H

#include "core/domain/fee.h"
#include "core/domain/limit.h"
#include "core/flow/flow.h"

/* What is taken of a payment, and which limits on money it meets, by what the merchant has set when
 * the payment is created. The payment keeps these terms: whatever is set later is for others. */

struct fee_question {
    struct uuid merchant;
    bool live;
    const struct gateway *gateway;
    struct money amount;
};

struct fee_terms {
    int32_t version;                  /* of the schedule; 0: there is none, and nothing is taken */
    int64_t fee_minor;                /* in the amount's currency */
    bool on_top;                      /* the customer bears it */
    bool too_much;                    /* with the fee on top it is more than the provider takes */
    const struct limit_rules *limits; /* in the currency; until the loop's next turn */
};

/* What a schedule takes with a provider; `limits` and `version` are left alone. */
void fee_terms_by(const struct fee_schedule *schedule, struct money amount,
                  const struct gateway *gateway, struct fee_terms *out);

/* By what is known of the schedule from the last second, without I/O: a new one counts within two
 * seconds. False: not known, ask. */
bool fee_terms_known(struct flow *f, const struct fee_question *q, struct fee_terms *out) MUST_USE;
/* Asks PostgreSQL. `done` fires once, on a later turn; `terms` is NULL with an error and lives
 * during the call. ERR_INTERNAL for a stored schedule that this program does not understand. */
typedef void fee_terms_fn(void *ctx, struct err err, const struct fee_terms *terms);
void fee_terms_start(struct flow *f, const struct fee_question *q, fee_terms_fn *done, void *ctx);
/* What is known of a merchant's is asked again: whoever has just set limits meets them. */
void fee_terms_forget(struct uuid merchant, bool live);

#endif
