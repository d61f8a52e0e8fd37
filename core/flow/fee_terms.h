#ifndef RELI_FLOW_FEE_TERMS_H
#define RELI_FLOW_FEE_TERMS_H

#include "core/domain/fee.h"
#include "core/flow/flow.h"

/* What is taken of a merchant's payments in a currency from now on. A payment keeps the terms under
 * which it was made: its fee is computed once, when it is created. */
struct fee_terms {
    int32_t version; /* 0: nothing is taken, `schedule` says nothing */
    struct fee_schedule schedule;
};

/* As known from the last second, without I/O: a new schedule counts within two seconds. NULL: not
 * known, ask. Good until the caller returns to the loop. */
const struct fee_terms *fee_terms_known(struct flow *f, struct uuid merchant, bool live,
                                        uint16_t currency);
/* Asks PostgreSQL. `done` fires once, on a later turn; `terms` is NULL with an error and lives
 * during the call. ERR_INTERNAL for a stored schedule that this program does not understand. */
typedef void fee_terms_fn(void *ctx, struct err err, const struct fee_terms *terms);
void fee_terms_start(struct flow *f, struct uuid merchant, bool live, uint16_t currency,
                     fee_terms_fn *done, void *ctx);

#endif
