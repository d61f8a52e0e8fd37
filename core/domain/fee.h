#ifndef RELI_DOMAIN_FEE_H
#define RELI_DOMAIN_FEE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/str.h"

/* What reli takes for a payment. A schedule is for one currency and is written as a text:
 *
 *   schedule = rate { ";" ">" amount ":" rate } [ ";" "payer" ( "merchant" | "customer" ) ]
 *   rate     = ( percent [ "+" amount ] | amount ) { "min" amount | "cap" amount }
 *   percent  = 0 to 100 with up to four decimals, then "%"
 *   amount   = a plain decimal in major units, with at most the currency's decimals
 *
 * "1.5% + 20 cap 2000 min 5; > 100000: 1%" is one and a half percent and 20, at least 5 and at most
 * 2000; of an amount above 100000, one percent, of all of it. Thresholds grow; `min` and `cap`
 * stand at most once in a rate. Blanks do not matter. The merchant pays the fee if nobody is named.
 */

enum fee_payer { FEE_PAYER_MERCHANT, FEE_PAYER_CUSTOMER };

enum { FEE_MAX_RULES = 8, FEE_TEXT_MAX = 512, FEE_PPM_MAX = 1000000 };

/* All amounts in minor units. */
struct fee_rule {
    int64_t over_minor; /* for amounts above this; 0 in the first rule */
    int32_t ppm;        /* parts per million of the amount, 0 to FEE_PPM_MAX */
    int64_t fixed_minor;
    int64_t min_minor;
    int64_t cap_minor; /* 0: none */
};

struct fee_schedule {
    uint16_t currency;
    enum fee_payer payer;
    int n_rules; /* at least one, by growing over_minor */
    struct fee_rule rules[FEE_MAX_RULES];
};

/* For one amount. gross = net + fee, always. */
struct fee {
    struct money gross; /* what the customer pays */
    struct money fee;   /* 0 or more */
    struct money net;   /* what the merchant gets */
};

/* ERR_PARSE with the offset of what it did not understand as detail, ERR_LIMIT for amounts above
 * MONEY_MAX, too many rules or a text above FEE_TEXT_MAX. `*out` is then unchanged. */
struct err fee_parse(struct str text, uint16_t currency, struct fee_schedule *out) MUST_USE;

/* The fee on what the merchant asked for, rounded half up to the minor unit. Who pays decides what
 * it does: the merchant's comes out of `amount` and is never more than that; the customer's is put
 * on top. ERR_INVALID for an amount that is not above zero or in another currency, ERR_LIMIT if it
 * or what the customer would pay is above MONEY_MAX. */
struct err fee_compute(const struct fee_schedule *schedule, struct money amount,
                       struct fee *out) MUST_USE;

/* For a provider that takes whole units of the currency only: rounds a fee that was put on top half
 * up to a whole unit; net, which is what was asked for, stays. ERR_LIMIT as above, `*fee` is then
 * unchanged. */
struct err fee_round_top(struct fee *fee) MUST_USE;

#endif
