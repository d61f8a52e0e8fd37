#ifndef RELI_DOMAIN_CARD_H
#define RELI_DOMAIN_CARD_H

#include <stdbool.h>

#include "core/base/str.h"

/* Card numbers are not for this service: a text that holds one is refused where it comes in, before
 * anything keeps or logs it. */

/* Whether some digits of the text are a card number: 13 to 19 of them with a right check digit
 * (Luhn), in one piece or in groups with one blank or dash between two of them; groups before and
 * after it ("4111 1111 1111 1111 12/26") do not hide it. Digits of a UUID, or of a word of 32
 * or more hexadecimal digits that has letters too, are ids and tokens and never count; of longer
 * pieces no part is looked at. */
bool card_in_text(struct str text);

/* As card_in_text for a field that takes phone numbers: what starts with + or 00 and has as many
 * digits as E.164 allows, 15, is one. */
bool card_in_phone(struct str text);

/* A number that is no text: as above, but never one that begins with 1, as times in milli- and
 * microseconds do and no payment card does. */
bool card_in_number(struct str digits);

#endif
