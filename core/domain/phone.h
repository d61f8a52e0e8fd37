#ifndef RELI_DOMAIN_PHONE_H
#define RELI_DOMAIN_PHONE_H

#include <stdbool.h>

#include "core/base/str.h"

enum { PHONE_TEXT = 18 };

/* Normalises what people type to E.164 ("+254700000000"): blanks, hyphens, brackets and dots are
 * dropped, "00" stands for "+", a national number gets `country`'s prefix (ISO 3166 alpha-2). False
 * if it cannot be a number: E.164 allows 15 digits; for the countries of the table the national
 * length is checked too. */
bool phone_parse(struct str text, struct str country, char out[PHONE_TEXT]) MUST_USE;
/* The country of an E.164 number from the prefix table: two letters, or STR_NULL. */
struct str phone_country(struct str e164);

#endif
