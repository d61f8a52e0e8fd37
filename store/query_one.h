#ifndef RELI_STORE_QUERY_ONE_H
#define RELI_STORE_QUERY_ONE_H

#include <stdbool.h>

#include "core/base/attr.h"
#include "core/base/buf.h"

/* `text` with `$n::uuid` for each column `whose` of a batch's rows (`u.whose`), and a NUL.
 * False without memory. */
bool query_for_one(const char *text, int n, struct buf *out) MUST_USE;

#endif
