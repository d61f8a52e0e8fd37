#ifndef RELI_FLOW_KEYS_H
#define RELI_FLOW_KEYS_H

#include "core/flow/flow.h"

/* Opens the installation's keys at the start of a service, making them if there are none; waits for
 * the database as long as it takes. */
struct keys_load;

struct keys_options {
    bool refuse_live; /* a test clock or an emulator is set: refuse to start while a live key exists
                       */
};

/* A new data key seals only when every replica has had the time to read it. */
#define KEYS_SETTLE_US (60 * US_PER_S)
/* Takes rows of installation_key_list in, and chooses by their age which data key seals. The first
 * error, after all have been tried. */
struct err keys_take(struct vault *v, const struct rows *r, int64_t now_us) MUST_USE;
/* Reads the keys again, for those that have come since; more often than they settle. */
void keys_refresh(struct flow *f);

/* `done` fires once, on a later turn. ERR_CONFIG: the master key opens nothing, or live keys forbid
 * this start (a test clock, or a database role that may change the audit trail). */
typedef void keys_fn(void *ctx, struct err err);
struct err keys_load_start(struct flow *f, const struct keys_options *o, keys_fn *done, void *ctx,
                           struct keys_load **out) MUST_USE;
/* `done` no longer fires. Safe on NULL. Before the store is freed. */
void keys_load_cancel(struct keys_load *k);

#endif
