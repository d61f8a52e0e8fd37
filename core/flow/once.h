#ifndef RELI_FLOW_ONCE_H
#define RELI_FLOW_ONCE_H

#include "core/flow/flow.h"
#include "core/flow/idempotency.h"

/* What a request does with a payment that is there already, done once for each idempotency key:
 * the key is taken before anything is done, and has its answer before anybody hears it. (What
 * makes something new takes its key in the commit that makes it: charge.h, refund.h, payout.h.) */
struct once_input {
    struct uuid merchant, payment;
    bool live;
    struct str key, route;
    struct fingerprint_field field; /* all that the request says */
    int64_t wait_us;                /* for another request with the key that is under way */
};

/* What is known of the key. */
struct once_known {
    bool mine; /* nothing: it is taken now, and one of the functions below must follow */
    int http_status;
    struct str problem;   /* the body of a refusal; absent: the answer is the snapshot */
    struct str data, pii; /* of the event that the answer shows, and of the payment */
    struct str now;       /* the payment's status */
    int64_t original_us;
};

/* `known` is NULL with an error and lives during the call. ERR_IDEMPOTENCY_KEY_REUSED,
 * ERR_IDEMPOTENCY_IN_PROGRESS with `detail`; errors of the store. */
typedef void once_fn(void *ctx, struct err err, struct str detail, const struct once_known *known);

/* Belongs to the caller, until the last callback. */
struct once {
    struct flow *flow;
    struct once_input in;
    struct idempotency_place place;
    uint8_t fingerprint[FINGERPRINT_LEN];
    struct arena *arena;
    struct timer timer;
    int64_t started_us;
    int64_t lease_until_us; /* of what it holds: by this it knows its own */
    int tries, claims;
    bool taken_over; /* from somebody who died over it */
    bool answered;   /* it is only to be read now */
    once_fn *done;
    void *ctx;
};

/* Each `done` fires once, on a later turn. `arena` outlives the last of them. */
void once_start(struct once *o, struct flow *f, const struct once_input *in, struct arena *arena,
                once_fn *done, void *ctx);
/* The answer shows the event `seq`: `done` has it as a repetition will. */
void once_answer(struct once *o, int http_status, int32_t seq, once_fn *done, void *ctx);
/* The answer is this refusal. */
void once_refuse(struct once *o, int http_status, struct str problem, once_fn *done, void *ctx);
/* There is no answer to keep: the same request may have another one later. `known` is NULL. */
void once_drop(struct once *o, once_fn *done, void *ctx);

#endif
