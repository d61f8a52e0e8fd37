#ifndef RELI_FLOW_RESOLVE_H
#define RELI_FLOW_RESOLVE_H

#include "core/codec/jsonw.h"
#include "core/domain/exception.h"
#include "core/flow/flow.h"

/* The operators' queue (contract.md, section 4): how its items are read, shown and ended. Whatever
 * moves money or decides an outcome takes two people, and ends in the same unit as the move. */

struct exception_record {
    struct uuid id, subject; /* a payment, a refund, or nothing but the item */
    struct str mode, kind, detail, status, resolution, evidence, receipt, proposed_by, resolved_by;
    struct str proposer;  /* the person behind proposed_by */
    int attempt;          /* of the subject, 0 none */
    struct money waiting; /* in `unallocated`; minor 0: nothing */
    struct str payer;     /* sealed; of money that came unasked */
    struct str dispute;   /* what is known of it, JSON */
    int64_t created_us, updated_us;
    int32_t version;
};

/* A row of exception_get or exception_list; texts live as long as `rows`. */
void exception_read(const struct rows *rows, size_t row, struct exception_record *out);
/* The members of the resource, into an object that is open. `merchant` whose it is; what is opened
 * for it lives in the arena. */
void render_exception(struct flow *f, struct arena *a, struct uuid merchant, struct jsonw *w,
                      const struct exception_record *rec);

struct resolve_input {
    struct uuid merchant, item;
    bool live;
    enum exception_resolution resolution;
    struct str evidence, receipt; /* receipt: empty if there is none */
    struct str actor, person;
};

/* `done` fires once on a later turn with the item as it is then; `detail` has words for the client
 * when err is set. ERR_NOT_FOUND; ERR_INVALID_STATE if it cannot end so, or has ended otherwise;
 * ERR_FORBIDDEN if the same person proposed it; ERR_CONFLICT if somebody else was faster. */
typedef void exception_resolve_fn(void *ctx, struct err err, const char *detail,
                                  const struct exception_record *rec);
void exception_resolve_start(struct flow *f, const struct resolve_input *in,
                             exception_resolve_fn *done, void *ctx);

#endif
