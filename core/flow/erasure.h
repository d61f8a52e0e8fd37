#ifndef RELI_FLOW_ERASURE_H
#define RELI_FLOW_ERASURE_H

#include "core/flow/flow.h"

/* Forgetting a person. The request (sql/query/customer_erase.sql) takes away, in one commit, what
 * the customer is found by, and leaves a job; the job blanks payments page by page, each page a
 * commit of its own, and may be stopped and taken up anywhere. Amounts, ledger, events and audit
 * trail stay: they hold no personal data, and what is rendered from them shows nulls. */

struct erasure_input {
    struct uuid merchant, customer;
    bool live;
    struct str actor;
};

/* ERR_INVALID_STATE: money is on its way, nothing was done. Also without an error when he has been
 * erased before. `done` fires once, on a later turn. */
typedef void erasure_fn(void *ctx, struct err err);
void erasure_start(struct flow *f, const struct erasure_input *in, erasure_fn *done, void *ctx);

/* The job. */
void erasure_run(struct flow *f, struct uuid merchant, struct uuid customer, loop_fn *done,
                 void *ctx);

#endif
