#ifndef RELI_CRYPTO_PASSWORD_H
#define RELI_CRYPTO_PASSWORD_H

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/str.h"

/* Passwords of people: argon2id with 19 MiB, two passes, one lane (OWASP Password Storage Cheat
 * Sheet, the least that it accepts). Hashing and checking take about 20 ms and all that memory:
 * never on the loop, see core/flow/password_work.h. */
enum { PASSWORD_MIN = 8, PASSWORD_MAX = 256, PASSWORD_HASH_TEXT = 128 };

/* PASSWORD_MIN to PASSWORD_MAX bytes of UTF-8 without NUL. */
bool password_fits(struct str password);

/* The text to store, which ends in NUL. ERR_INVALID if it does not fit, ERR_NO_MEMORY. */
struct err password_hash(struct str password, char out[PASSWORD_HASH_TEXT]) MUST_USE;

/* Whether `password` is the one of `hash`. An empty `hash` (nobody of that name) takes as long, and
 * so does a password that does not fit; both are false. */
bool password_check(struct str password, struct str hash) MUST_USE;

#endif
