#ifndef RELI_FLOW_CHARGE_INT_H
#define RELI_FLOW_CHARGE_INT_H

#include "core/flow/account.h"
#include "core/flow/attempt.h"
#include "core/flow/charge.h"
#include "core/flow/fee_terms.h"
#include "core/flow/limit_count.h"
#include "core/flow/move.h"
#include "core/flow/route.h"
#include "store/kinds.h"

/* The parts of a create request: charge.c asks the provider and answers the client, charge_known.c
 * knows what became of an earlier request, charge_reserve.c makes it durable. */

enum { CHARGE_ARENA = 3 * 1024 * 1024, RESERVE_TRIES = 5, BODY_MAX = 2 * 1024 * 1024 };

#define CHARGE_STATES(X)  \
    X(LOOKUP, "lookup")   \
    X(RECOVER, "recover") \
    X(RELEASE, "release") \
    X(PRICE, "price")     \
    X(ACCOUNT, "account") \
    X(RESERVE, "reserve") \
    X(OWNER, "owner")     \
    X(REFUSE, "refuse")   \
    X(SEND, "send")       \
    X(NEXT, "next")       \
    X(RECORD, "record")   \
    X(DONE, "done")

enum charge_state {
#define X(name, word) CHARGE_##name,
    CHARGE_STATES(X)
#undef X
};

struct charge_refusal {
    struct err err;
    struct str detail;
};

struct charge {
    struct flow *flow;
    struct charge_input in;
    struct arena arena;
    int state;
    int tries;
    int64_t started_us; /* monotonic */
    uint8_t fingerprint[FINGERPRINT_LEN];
    struct idempotency_place place;
    struct payment_record rec;
    struct str person;
    struct str snapshot;                /* of the last event made at the reservation */
    const struct flow_account *account; /* held; NULL: nobody takes it */
    bool placed;                        /* the account is known */
    bool priced;
    struct fee_terms fee;
    const struct limit_rules *limits; /* in the arena; NULL: none are set */
    struct limit_counts counts;
    struct charge_refusal refusal; /* what is stored as the answer of its key */
    bool looked;                   /* whether the key is known */
    struct gw_charge request; /* as it was built for attempt request_n; 0 none */
    int request_n;
    struct create_unit unit;
    struct uuid previous_owner;
    bool held; /* the idempotency record is ours already */
    struct timer timer;
    /* the provider's word, kept for the record */
    struct attempt_answer said;
    struct move_answer answer;
    struct route_next next; /* who takes it instead; gateway NULL: nobody */
    bool recorded;          /* it is, and the key has the answer */
    bool replied;
    charge_fn *done;
    void *ctx;
};

/* ---- charge.c ---- */

void charge_enter(struct charge *c, enum charge_state to);
/* The first answer counts. */
void charge_reply(struct charge *c, struct err err, const struct charge_result *result);
void charge_reply_payment(struct charge *c, struct charge_result *result, struct uuid payment,
                          int64_t expires_us, struct str snapshot, struct str person,
                          struct str provider_ref);
void charge_reply_created(struct charge *c, int status, struct str snapshot,
                          struct str provider_ref);
void charge_end(struct charge *c);
void charge_end_with(struct charge *c, struct err err, struct str detail);
/* Asks the provider; what was reserved says that it may have been asked. */
void charge_send(struct charge *c);

/* ---- charge_known.c ---- */

/* Of the key: replays, waits, recovers, refuses, or reserves after all. */
void charge_lookup(struct charge *c);
/* Of the reference: takes it over from a payment that ended without money, or refuses. */
void charge_owner(struct charge *c);
/* It is beyond what the merchant allows himself: refuses, as the key's answer for ever. */
void charge_limited(struct charge *c);

/* ---- charge_reserve.c ---- */

void charge_reserve(struct charge *c);
/* The request as the provider of its latest attempt gets it. */
struct err charge_request(struct charge *c, struct gw_charge *out) MUST_USE;

#endif
