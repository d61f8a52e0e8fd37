#ifndef RELI_FLOW_LIMIT_TEXT_H
#define RELI_FLOW_LIMIT_TEXT_H

#include "core/codec/fields.h"
#include "core/codec/jsonw.h"
#include "core/domain/limit.h"
#include "store/value.h"

/* Limits on money as a client writes them (`limits` of PUT /api/v1/limits), and as they are
 * stored. */

/* Every fault is told with its parameter's name. */
void limits_read(const struct json *list, struct field_errors *errors, struct limit_rules *out);
/* The list, as it is shown. */
void limits_put(struct jsonw *w, const struct limit_rules *rules);
/* The list for limit_set.sql. */
void limits_put_stored(struct jsonw *w, const struct limit_rules *rules);
/* Of the columns of limit_get.sql that begin at `col`; false for what this program cannot mean. */
bool limit_rule_of(const struct rows *r, size_t row, int col, struct limit_rule *out) MUST_USE;

#endif
