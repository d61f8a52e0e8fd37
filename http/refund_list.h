#ifndef RELI_HTTP_REFUND_LIST_H
#define RELI_HTTP_REFUND_LIST_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"

struct rows;

/* The rows of refund_get as a JSON list of refunds with their attempts. */
struct err refund_list_put(const struct rows *r, struct arena *a, struct buf *out) MUST_USE;

#endif
