#ifndef RELI_DOMAIN_REFERENCE_H
#define RELI_DOMAIN_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

enum { REFERENCE_NO_TEXT = 18, PAY_CODE_TEXT = 13 };

/* "TXN20261121K7Q2ZD": the UTC date, a letter, and 25 random bits in Crockford's base 32. Without
 * the letter the date and the digits that may follow it would be a card number (card.h) once in
 * some thousands. */
void reference_no_make(int64_t wall_us, uint64_t random, char out[REFERENCE_NO_TEXT]);

/* What people type (providers/patterns.md, B2): "RL", 8 characters of Crockford's base 32 (40
 * random bits), 2 check digits by ISO 7064 MOD 97-10. 12 characters, as M-Pesa's account reference
 * allows. */
void pay_code_make(uint64_t random, char out[PAY_CODE_TEXT]);
/* Reads one code as typed: case, blanks and punctuation ignored, O for 0, I and L for 1. */
bool pay_code_parse(struct str typed, char out[PAY_CODE_TEXT]) MUST_USE;

#endif
