#ifndef RELI_BASE_MONEY_H
#define RELI_BASE_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* An ISO 4217 code packed in 15 bits, five per letter; 0 is none. */
#define CURRENCY(a, b, c) \
    ((uint16_t)(((a) - 'A' + 1) << 10 | ((b) - 'A' + 1) << 5 | ((c) - 'A' + 1)))

enum { CURRENCY_TEXT = 4, MONEY_TEXT = 32 };

/* An amount in the currency's minor unit (cents; whole francs for RWF). */
struct money {
    int64_t minor;
    uint16_t currency;
};

/* Largest amount that reli takes, in minor units: exact in every language's double. */
#define MONEY_MAX INT64_C(999999999999999)

/* The currency of three upper-case letters; 0 if ISO 4217 has none such in use. */
uint16_t currency_parse(struct str code);
bool currency_known(uint16_t currency);
/* Decimals by ISO 4217 (0 to 4); the currency must be known. */
int currency_exponent(uint16_t currency);
/* All that have so many decimals: "BIF CLP …"; STR_NULL if memory is out. */
struct str currency_list(int exponent, struct arena *a);
/* Three letters and NUL. */
const char *currency_text(uint16_t currency, char out[CURRENCY_TEXT]);

/* Reads a plain decimal text in major units ("1000", "1000.00", "0.5"): digits, at most one point
 * with digits on both sides, at most the currency's decimals (trailing zeros beyond them are
 * refused too). ERR_PARSE if it is not such a text, ERR_LIMIT above MONEY_MAX. */
struct err money_parse(struct str text, uint16_t currency, struct money *out) MUST_USE;
/* "1000.00" with all of the currency's decimals, "-3" for negative francs. */
const char *money_text(struct money m, char out[MONEY_TEXT]);

/* Checked: false on overflow, `*out` is then unchanged. The currencies must be equal. */
bool money_add(struct money a, struct money b, struct money *out) MUST_USE;

#endif
