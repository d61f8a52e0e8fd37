#ifndef RELI_HTTP_PAYMENT_INPUT_H
#define RELI_HTTP_PAYMENT_INPUT_H

#include "core/flow/charge.h"
#include "http/api.h"

/* The body of a create request, validated and brought to one form: aliases, flat and nested
 * customers, numbers and strings become equal. Faults are collected in `errors`; `in` is complete
 * only without any. Texts live in the exchange's arena. */
void payment_input_read(struct http_exchange *x, const struct json *body,
                        const struct principal *who, struct field_errors *errors,
                        struct charge_input *in);

#endif
