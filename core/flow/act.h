#ifndef RELI_FLOW_ACT_H
#define RELI_FLOW_ACT_H

#include "core/flow/flow.h"

/* What a merchant has done about a payment that its provider has: the customer's one-time code is
 * handed on, or the payment is taken back. The wish is durable before the provider is asked. */
enum act_kind { ACT_CODE, ACT_CANCEL };

struct act_input {
    const struct payment_record *rec; /* read a moment ago; lives until `done` */
    enum act_kind kind;
    struct str code; /* ACT_CODE: digits */
    struct str actor;
};

struct act_result {
    const struct payment_record *rec; /* as it is now */
    bool open; /* the provider has not said for certain what has become of it: it will be asked */
};

/* Whether there is anything to be asked: the latest attempt is with a provider who does that, and
 * of a code also waits for one. */
bool act_possible(const struct payment_record *rec, enum act_kind kind);

/* `done` fires once on a later turn; `result` is NULL with an error and lives during the call,
 * `detail` is static. ERR_OTP_WRONG: the code was wrong; `tries_left` more. ERR_INVALID_STATE: not
 * possible now, or the provider does not do it. ERR_UNAVAILABLE: he could not be asked. Errors of
 * move_start. */
typedef void act_fn(void *ctx, struct err err, const char *detail, int tries_left,
                    const struct act_result *result);
void act_start(struct flow *f, const struct act_input *in, act_fn *done, void *ctx);

#endif
