#ifndef RELI_HTTP_REFUND_LIST_H
#define RELI_HTTP_REFUND_LIST_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/codec/jsonw.h"

struct rows;
struct refund_record;

/* A refund with its attempts. */
void refund_put(struct jsonw *w, const struct refund_record *rec);
/* The rows of refund_get as a JSON list of refunds with their attempts. */
struct err refund_list_put(const struct rows *r, struct arena *a, struct buf *out) MUST_USE;

#endif
