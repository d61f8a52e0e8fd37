#ifndef RELI_GATEWAYS_CLIENT_INT_H
#define RELI_GATEWAYS_CLIENT_INT_H

#include "core/base/list.h"
#include "core/base/metric.h"
#include "gateways/client.h"
#include "gateways/health.h"

/* What client.c (operations), client_token.c (tokens and rates, per account) and client_health.c
 * (how each account is doing) share. */
enum op_state { OP_TOKEN, OP_TURN, OP_SEND, OP_DONE };

struct slot;

struct gw_client {
    struct loop *loop;
    struct outbound *out;
    struct gw_token_share share;
    struct health_rules health;
    struct list ops;
    bool closing;
    struct slot *slots; /* a hash table, oldest first */
};

/* What an HTTP call holds instead of its operation, which may be gone when the call ends. */
struct op_link {
    struct op *op;
};

struct op {
    struct link link;    /* in gw_client.ops */
    struct link waiting; /* in one of its slot's lists */
    struct list *in;
    struct gw_client *client;
    struct slot *slot;
    int state; /* enum op_state */
    enum gw_op kind;
    struct arena mem;
    struct gw_account account;
    struct gw_charge charge;
    struct gw_refund refund;
    struct gw_payout payout;
    struct gw_register places;
    struct gw_qr qr;
    struct gw_act act;
    struct gw_balance_ask balance;
    struct str trace; /* traceparent, sent along; "" if none */
    struct str provider_ref;
    gw_done_fn *done;
    void *ctx;
    int64_t started_us;
    struct timer deadline;
    struct later report;
    unsigned generation;           /* of the token that was sent */
    bool again;                    /* a token was rejected once */
    struct outbound_request built; /* at the start; with the token if is_built */
    bool is_built;
    struct outbound_request request; /* as it was sent */
    struct outbound_call *call;
    struct op_link *call_link;
    struct gw_result result;
    struct gw_exchange exchange;
    unsigned probes;             /* as its account's health admitted it */
    enum health_outcome outcome; /* what its end says of the provider */
};

/* Whether it changes something, and does not only ask. */
static inline bool op_is_order(const struct op *op)
{
    return op->kind == GW_OP_CHARGE || op->kind == GW_OP_REFUND || op->kind == GW_OP_PAYOUT ||
           op->kind == GW_OP_REGISTER || op->kind == GW_OP_CONFIRM || op->kind == GW_OP_CANCEL;
}

/* The steps that a slot calls. */
void op_has_token(struct op *op);
void op_has_turn(struct op *op);
/* Ends it without an answer: a charge, refund or payout is refused, or unknown if it was sent; a
 * query is unknown. */
void op_fail(struct op *op, bool sent, enum failure_code code, const char *why);
struct err account_copy(struct arena *mem, const struct gw_account *in,
                        struct gw_account *out) MUST_USE;

/* One account's token, rate and health: opaque, held by the operations that use it. */
struct err slot_hold(struct gw_client *c, const struct gw_account *a, struct slot **out) MUST_USE;
void slot_release(struct slot *s);
void slots_free(struct gw_client *c);
/* How its account is doing, and what tells it outside. */
struct slot_health {
    struct health health;
    char labels[128];
    struct metric score, state;
};
struct slot_health *slot_health(struct slot *s);
/* All slots, one after the other; NULL: the first, the end. */
struct slot *slot_next(const struct gw_client *c, struct slot *s);
/* The slot that an account has, NULL if it was not used lately. */
struct slot *slot_find(const struct gw_client *c, const struct gw_account *a);

/* ---- client_health.c ---- */

void slot_health_init(struct slot_health *h, const struct gw_account *a);
void slot_health_drop(struct slot_health *h);
/* Whether the account's health lets an operation be sent. */
enum health_refusal health_admit_op(struct op *op);
/* Counts what its end says. */
void health_note_op(const struct op *op);
/* What an answer says of the provider. */
enum health_outcome health_of_answer(const struct op *op, const struct outbound_response *in);

/* Calls op_has_token or op_fail, now or later. */
void slot_want_token(struct slot *s, struct op *op);
/* Calls op_has_turn, now or later. */
void slot_want_turn(struct slot *s, struct op *op);
/* `op` waits for nothing any more. */
void slot_leave(struct op *op);
/* The token and its number. False if there is none (any more); a gateway without tokens has "". */
bool slot_token(const struct slot *s, struct str *token, unsigned *generation) MUST_USE;
/* The token of that generation was refused by the provider. True: nobody has said so before. */
bool slot_token_rejected(struct slot *s, unsigned generation);

#endif
