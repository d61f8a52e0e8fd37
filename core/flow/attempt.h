#ifndef RELI_FLOW_ATTEMPT_H
#define RELI_FLOW_ATTEMPT_H

#include "core/flow/move.h"
#include "store/kinds.h"

/* One attempt of a payment as its provider gets it, and what its answer means for the payment. */

/* The request, made from the record alone, so that any replica can make it. ERR_CRYPTO … if the
 * customer cannot be read. Texts live in the arena or in `rec`. */
struct err attempt_request(struct flow *f, struct arena *a, const struct payment_record *rec, int n,
                           const struct gateway *g, struct gw_charge *out) MUST_USE;
/* What our id of it is with that provider. */
struct str attempt_our_id(struct arena *a, const struct payment_record *rec, int n,
                          const struct gateway *g);
/* next_action until the provider says more. `from_us`: when it is asked. */
struct str attempt_action(struct arena *a, const struct payment_record *rec,
                          const struct gateway *g, int64_t from_us);

/* The provider's answer to attempt n as an event, and the exchange to be kept with the move; texts
 * live in the arena. */
struct attempt_answer {
    struct payment_event event;
    struct move_call call;
};
void attempt_answer(struct arena *a, const struct payment_record *rec, int n,
                    const struct gw_result *result, const struct gw_exchange *exchange,
                    struct attempt_answer *out);
/* Asks the provider. When it cannot even be asked, `done` is called at once with what is certain
 * then: nothing has left. An attempt whose lease is over (`a`: this process stood still) is not
 * sent any more: others have counted it as unknown, and may have heard that it is not there. */
void attempt_send(struct flow *f, const struct gw_account *account, const struct attempt *a,
                  const struct gw_charge *in, gw_done_fn *done, void *ctx);

#endif
