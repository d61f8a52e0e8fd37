#ifndef RELI_FLOW_PAYOUT_H
#define RELI_FLOW_PAYOUT_H

#include "core/flow/idempotency.h"
#include "core/flow/move.h"
#include "store/payout_rows.h"

/* Money out (domain.md, section 2.4): held on what the merchant has available before anything is
 * sent, sent once, and asked about until the outcome is known. */

/* A validated request. Texts are borrowed until `done`; absent ones have p == NULL. */
struct payout_input {
    struct uuid merchant;
    bool live;
    struct str actor, person;      /* who asks, and who stands behind (core/domain/person.h) */
    const struct gateway *gateway; /* that can pay out */
    struct str method;
    struct money amount;
    struct str phone, name;
    struct str reference, purpose, description, callback_url;
    struct str metadata;    /* compact JSON */
    struct str trace;       /* traceparent of the request; absent without */
    int64_t approval_above; /* minor units; larger payouts wait for a second person; 0: none does */
    struct str idem_key;
    struct str route; /* canonical, part of the fingerprint */
    size_t n_fields;
    struct fingerprint_field fields[FINGERPRINT_MAX_FIELDS];
    /* Makes the body of a refusal that will be replayed; in the caller's memory, alive until
     * `done`. */
    struct str (*problem)(void *ctx, struct err err, const char *detail);
    void *problem_ctx;
};

struct payout_result {
    int http_status;
    struct str body; /* payout, or problem+json when is_problem */
    bool is_problem;
    bool replayed;
    int64_t original_us;       /* replayed: when the first answer was made */
    struct str current_status; /* replayed: the payout's status now */
    struct str detail;         /* with an error: words for the client, may be empty */
};

/* `done` fires once, on a later turn; strings of the result live during the call.
 * ERR_INVALID_STATE (no account, or one that cannot pay out), ERR_VALIDATION (what no request can
 * be built of), ERR_INSUFFICIENT_BALANCE and ERR_DUPLICATE_REFERENCE as a problem that is replayed,
 * ERR_IDEMPOTENCY_*. The payout is sent afterwards. */
typedef void payout_fn(void *ctx, struct err err, const struct payout_result *result);
void payout_create(struct flow *f, const struct payout_input *in, payout_fn *done, void *ctx);

/* One event on one payout, as move_start for payments. `result` has the payout as it is then. */
struct payout_move {
    struct uuid merchant, payout;
    bool live_only, live; /* with live_only: 404 for the other mode */
    struct payout_event event;
    struct str actor, person;
    const struct move_inbound *inbound; /* these three may be NULL */
    const struct move_call *call;
    const struct move_resolution *resolution;
};
struct payout_moved {
    const struct payout_record *payout;
    const struct payout_effects *fx;
};
typedef void payout_moved_fn(void *ctx, struct err err, const struct payout_moved *result);
void payout_move_start(struct flow *f, const struct payout_move *rq, payout_moved_fn *done,
                       void *ctx);

/* What a payout needs next: sends it, asks the provider, or lets time pass. For its job, and after
 * every step that leaves something to be sent. `done` may be NULL. */
void payout_run(struct flow *f, struct uuid merchant, struct uuid payout, loop_fn *done, void *ctx);
/* Asks the provider now, if there is something to ask about; `result` has the payout as it is then.
 * ERR_NOT_FOUND for the other mode. */
void payout_verify(struct flow *f, struct uuid merchant, struct uuid payout, bool live,
                   payout_moved_fn *done, void *ctx);

/* The resource with who gets it. */
struct err payout_body(struct flow *f, struct arena *a, const struct payout_record *rec,
                       struct str *body) MUST_USE;

#endif
