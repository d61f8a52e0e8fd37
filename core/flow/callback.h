#ifndef RELI_FLOW_CALLBACK_H
#define RELI_FLOW_CALLBACK_H

#include "core/flow/flow.h"

/* Callbacks from providers: verified by the token in the URL or by their signature, stored,
 * acknowledged, then processed (contract.md, section 6). */

struct callback_input {
    struct str token; /* of the URL, with the kind, if any, behind a dot; p == NULL: none */
    /* Of a webhook: to the account that the token names, else to the installation's. */
    const struct gateway *gateway;
    struct str signature, timestamp; /* of the headers that the gateway names */
    struct str body;
    struct str peer; /* address as text, or "unix" */
};

/* `done` fires once, on a later turn: ERR_OK when it is durable (now or already before), with the
 * provider that wants its own words of thanks. Processing starts after `done` returns.
 * ERR_UNAUTHENTICATED: forged, nothing was changed. A webhook that is about no payment or refund of
 * ours is thanked for and forgotten. Strings of `in` are copied. */
typedef void callback_fn(void *ctx, struct err err, const struct gateway *gateway);
void callback_receive(struct flow *f, const struct callback_input *in, callback_fn *done,
                      void *ctx);

/* What has just come is processed from memory: so many at once; the next ones are kept in line, and
 * what comes beside these is left to the jobs. That is a rush, and only a few are processed while
 * it lasts, since who is not heard may not come again. Who waits for an answer of his provider is
 * in nobody's way, and not counted. */
enum { CALLBACKS_AT_ONCE = 64, CALLBACKS_IN_RUSH = 4, CALLBACKS_KEPT = 256 };

/* How many callbacks may be processed at once now: few in a rush, else `otherwise`. */
int callbacks_most(const struct flow *f, int otherwise);

/* Processes a stored callback whose job the caller has leased; `tries` as the job says. */
void callback_process(struct flow *f, struct uuid merchant, struct uuid subject, int32_t n,
                      int tries, loop_fn *done, void *ctx);

/* The same of one that this process has stored a moment ago, with all that is known of it: nothing
 * is read again. Its texts live in `mem`, which goes with it. `done` fires when it is over, or asks
 * its provider. */
struct callback_known {
    struct uuid merchant, subject;
    int32_t n;
    const struct gateway *gateway;
    bool ip_ok;
    struct str dedupe_key, kind, body;
    struct arena mem;
};
void callback_process_known(struct flow *f, const struct callback_known *known, loop_fn *done,
                            void *ctx);

/* A stored callback's body with what is secret or personal masked, as JSON. `raw` is the column.
 * False when there is nothing to show. */
bool callback_shown(struct flow *f, struct uuid merchant, struct uuid id, struct str provider,
                    struct str raw, struct arena *a, struct buf *out) MUST_USE;
/* Processes a stored callback that moved nothing once more; `actor` is who wants it. `done` gets a
 * row if it will be. */
void callback_again(struct flow *f, struct uuid merchant, struct uuid subject,
                    struct str dedupe_key, struct str actor, store_rows_fn *done, void *ctx);

#endif
