#ifndef RELI_FLOW_CHARGE_H
#define RELI_FLOW_CHARGE_H

#include "core/flow/flow.h"
#include "core/flow/idempotency.h"

/* Takes a payment (contract.md, section 4): idempotency, write-ahead, the call to the provider, the
 * record of its answer. */

/* A validated request. Texts are borrowed until `done`; absent ones have p == NULL. */
struct charge_input {
    struct uuid merchant;
    bool live;
    struct str actor;
    const struct gateway *gateway;
    struct str account; /* the merchant's own of that name; empty: who takes new payments */
    struct str method;
    struct str method_token; /* goes to the provider and is kept nowhere */
    struct money amount;
    struct str customer_id, phone, email, name;
    struct str reference, description, callback_url, return_url;
    struct str metadata; /* compact JSON */
    struct str routed;   /* how its provider was chosen, JSON; absent: the client named it */
    struct str trace; /* traceparent of the request; absent without */
    struct str idem_key;
    struct str route; /* canonical, part of the fingerprint */
    size_t n_fields;
    struct fingerprint_field fields[FINGERPRINT_MAX_FIELDS];
    int64_t wait_us; /* Prefer: wait — how long to wait for another request with this key */
    /* Makes the body of a refusal that will be replayed; in the caller's memory, alive until
     * `done`. */
    struct str (*problem)(void *ctx, struct err err, const char *detail);
    void *problem_ctx;
};

struct charge_result {
    int http_status;
    struct str body; /* payment, or problem+json when is_problem */
    bool is_problem;
    bool replayed, recovered;
    int64_t original_us;       /* replayed: when the first answer was made */
    struct str current_status; /* replayed: the payment's status now */
    struct str location;       /* id of the payment, empty if there is none */
    struct str detail;         /* with an error: words for the client, may be empty */
    bool amount_bad;           /* with ERR_VALIDATION: the amount is what is wrong */
};

/* `done` fires once on a later turn; the result lives during the call. With an error nothing is
 * known to have come into being, or (AMBIGUOUS, UNAVAILABLE) the same request may be sent again. */
typedef void charge_fn(void *ctx, struct err err, const struct charge_result *result);
void charge_start(struct flow *f, const struct charge_input *in, charge_fn *done, void *ctx);

#endif
