#ifndef RELI_SIM_PROVIDER_INT_H
#define RELI_SIM_PROVIDER_INT_H

#include "test/sim/parts.h"

/* Shared by provider_sim.c, back_sim.c, out_sim.c and emit_sim.c. */

enum { ANSWER_LIMIT_S = 30 };

struct gw_client {
    struct process *process;
};

/* One request under way. */
struct call {
    struct process *process;
    int provider;
    int64_t started_us;
    struct prompt *prompt; /* to be made, or found */
    struct back *back;     /* the same of a refund */
    struct out *out;       /* and of a payout … */
    struct out_send *send; /* … that is being sent */
    char ref[PAYMENT_REF_MAX + 1];
    struct gw_result result;
    struct gw_exchange exchange;
    gw_done_fn *done;
    void *ctx;
};

struct call *call_new(struct gw_client *client, const struct gw_account *a, enum gw_op op,
                      gw_done_fn *done, void *ctx);
/* Its answer reaches the process then. */
void call_ends(struct call *c, int64_t at_us);
int provider_of(const struct gw_account *a);
/* The attempt that a callback URL is for, and its token of 96 characters and NUL. */
struct uuid token_attempt(struct str callback_url, char token[97]);

/* ---- emit_sim.c ---- */

/* A callback on its way to whoever is up. */
struct emission {
    int provider;
    struct uuid subject; /* payment, refund or payout */
    struct str token, body;
    bool ip_ok, forged;
    bool by_address; /* of refunds and payouts: it is believed from the provider's own addresses
                        only */
    bool *heard;     /* set when reli has thanked for it; may be NULL */
    bool *misled;    /* set when it arrives, if it is invented; may be NULL */
    int64_t at_us;
    int tries;
    struct process *to;
};

void emissions_begin(void);
/* Sends what `e` tells, once, often, late or never, in one of the wordings. */
void emissions_plan(const struct emission *e, const struct str *bodies, size_t n);
/* An invented one, from a foreign address; `misled` is set if it has the right URL and was taken.
 */
void emission_forged(int provider, struct uuid subject, struct str token, struct str body,
                     bool *misled, int64_t at_us);

/* ---- back_sim.c ---- */

void backs_begin(void);
/* An answer about a refund reaches its process. */
void back_told(struct call *c);
/* gateway.refund_callback_parse of all */
struct err back_callback_parse(const struct gw_callback *in, struct arena *mem,
                               struct gw_result *out);

/* ---- out_sim.c ---- */

void outs_begin(void);
/* An answer about a payout reaches its process. */
void out_told(struct call *c);
/* gateway.payout_build and gateway.payout_callback_parse of all */
struct err out_build(const struct gw_account *a, const struct gw_payout *in, struct str token,
                     struct arena *mem, struct outbound_request *request);
struct err out_callback_parse(const struct gw_callback *in, struct arena *mem,
                              struct gw_result *result);

#endif
