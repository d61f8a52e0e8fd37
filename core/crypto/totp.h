#ifndef RELI_CRYPTO_TOTP_H
#define RELI_CRYPTO_TOTP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"

/* Codes of a second factor: RFC 6238 with HMAC-SHA-1, 30 seconds, 6 digits, which is what every
 * authenticator app can do. */
enum { TOTP_SECRET_LEN = 20, TOTP_DIGITS = 6, TOTP_STEP_S = 30 };

/* The step that a moment belongs to; `wall_us` is after 1970. */
int64_t totp_step(int64_t wall_us);
/* The code of a step, with its NUL. */
void totp_code(struct str secret, int64_t step, char out[TOTP_DIGITS + 1]);

/* Whether `code` is the one of this step, the one before or the next, and of a step after
 * `used_step` (-1 if none was used): `step` is then the one that it belongs to, for the caller to
 * keep as the next `used_step`. A code works once. Time tells nothing about the code. */
bool totp_check(struct str secret, struct str code, int64_t wall_us, int64_t used_step,
                int64_t *step) MUST_USE;

/* Appends the address that apps read from a QR code, with the secret in base32. Neither name may
 * hold a colon. */
void totp_url(struct buf *b, struct str issuer, struct str account, struct str secret);

#endif
