#ifndef RELI_FLOW_SENDING_H
#define RELI_FLOW_SENDING_H

#include "core/flow/move.h"

/* Requests that move money, in or out: what holds from the commit that says so until what the
 * provider says of them is committed. */

/* Whoever stood still after that commit does not know what others have made of it since: they count
 * it as unknown once its lease is over, and may have heard that it is not there. ERR_TIMEOUT then.
 * Wall clock. */
struct err sending_in_time(int64_t now_us, int64_t sent_at_us, int64_t lease_us) MUST_USE;

/* What is known of a request that could not even be started: it has not left. `err` is
 * why; the message is static. */
struct gw_result sending_not_started(struct err err);

/* What the provider knows request `id` by: our id of it, and where to call back about it. Texts
 * live in the arena. ERR_NO_MEMORY. */
struct err sending_names(struct flow *f, struct arena *a, const struct gateway *g, struct uuid id,
                         struct uuid merchant, struct str *our_id,
                         struct str *callback_url) MUST_USE;

/* The provider's word on a request that sends money out, by its answer or by a query. */
enum sending_word {
    SENDING_ACCEPTED,      /* answer: taken, outcome to come */
    SENDING_REFUSED,       /* answer: definitely not taken */
    SENDING_AMBIGUOUS,     /* answer: of no use */
    SENDING_SUCCESS,       /* the money has moved */
    SENDING_FAILURE,       /* it has not, and will not */
    SENDING_RETURN,        /* it has moved, and come back */
    SENDING_STILL_PENDING, /* query: not decided */
    SENDING_UNREACHABLE,   /* query: nothing certain */
};
enum sending_word sending_word(enum gw_verdict verdict, bool query);

/* The work on a payout or a refund, part of either's own: its memory, its account, and what the
 * provider says until it is committed. */
struct sending {
    struct flow *flow;
    struct uuid merchant;
    struct arena arena;
    const struct flow_account *account; /* held; NULL: it is not configured here */
    struct move_call call;
    struct timer timer;
    int tries; /* to commit it */
};
/* The drain waits until sending_end. */
void sending_begin(struct sending *s, struct flow *f, struct uuid merchant);
void sending_end(struct sending *s);
/* NULL: none, and the one before is let go. */
void sending_account(struct sending *s, const struct flow_account *account);
/* Keeps the exchange in `s->call`, and the texts of `result` in the arena. */
struct gw_result sending_said(struct sending *s, const struct gw_result *result,
                              const struct gw_exchange *x, int n, const char *op,
                              enum sending_word word);
/* Only we have the provider's word: it is not lost because the database is away. True if `commit`
 * will be called once more, in a second. */
bool sending_again(struct sending *s, struct err err, loop_fn *commit, void *ctx) MUST_USE;

#endif
