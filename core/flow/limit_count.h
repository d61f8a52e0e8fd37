#ifndef RELI_FLOW_LIMIT_COUNT_H
#define RELI_FLOW_LIMIT_COUNT_H

#include "core/domain/limit.h"
#include "core/flow/flow.h"

/* Limits on money as rows of a unit: which counters a payment meets, and what it takes of them. */

enum { LIMIT_COUNTER_ID = 16 };

/* The counters of a new payment, in the arena, and their ids side by side for the payment's row.
 * `customer`: the customer's key, p == NULL for none. */
struct limit_counts {
    const struct limit_rule *rules[LIMIT_MEET_MAX]; /* of each row */
    struct limit_row *rows;
    size_t n;
    struct str counted; /* STR_NULL: none */
};
struct err limit_count(struct arena *a, const struct payment_record *rec,
                       const struct limit_rules *rules, struct str customer,
                       struct limit_counts *out) MUST_USE;

/* What moves in the counters when a payment goes from one status to another: taken back when it
 * ends without money, taken again by money that comes late. */
struct err limit_recount(struct arena *a, const struct payment_record *rec,
                         enum payment_status before, const struct limit_row **rows,
                         size_t *n) MUST_USE;

#endif
