#ifndef RELI_HTTP_PAYMENT_INPUT_H
#define RELI_HTTP_PAYMENT_INPUT_H

#include "core/flow/charge.h"
#include "core/flow/route.h"
#include "http/api.h"

/* Whether the provider is to be found by the merchant's routes: the body names its method only. */
bool payment_input_routed(const struct http_exchange *x, const struct json *body);

/* The body of a create request, validated and brought to one form: aliases, flat and nested
 * customers, numbers and strings become equal. Faults are collected in `errors`; `in` is complete
 * only without any. Texts live in the exchange's arena. `routes` are needed only when it is routed,
 * and the merchant's accounts have to be known then (accounts_fresh). */
void payment_input_read(struct http_exchange *x, const struct json *body,
                        const struct principal *who, const struct routes *routes,
                        struct field_errors *errors, struct charge_input *in);

/* The members `currency` and `amount`, within what the provider takes, or pays out; NULL when it
 * was wrong itself. */
void amount_read(struct fields *f, const struct gateway *g, bool payout, struct money *out);

/* The member `metadata` as the client's own bytes without white space, and in the one form that
 * fingerprints compare; both STR_NULL without. Texts live in the exchange's arena. */
struct str metadata_read(struct http_exchange *x, struct fields *f, struct str *canonical);

#endif
