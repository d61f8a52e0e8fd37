#ifndef RELI_HTTP_CUSTOMER_H
#define RELI_HTTP_CUSTOMER_H

#include "core/codec/jsonw.h"
#include "http/api.h"

struct rows;

/* A customer as the API shows him. */

/* Finds the customer whom the path names, by our id or the merchant's own; answers itself when
 * there is none, and on errors. `found` gets the one row, on a later turn. */
typedef void customer_found_fn(void *ctx, const struct rows *r);
void customer_of_path(struct http_exchange *x, customer_found_fn *found, void *ctx);

/* The members of the resource, without braces, from a row of customer_get. */
struct err customer_put(struct http_exchange *x, struct jsonw *w, const struct rows *r,
                        size_t row) MUST_USE;

#endif
