/* The second factor. Truncation of the digest as in RFC 4226, section 5.3. */
#include "core/crypto/totp.h"

#include <stdio.h>

#include "core/base/secret.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

int64_t totp_step(int64_t wall_us)
{
    return wall_us / (TOTP_STEP_S * US_PER_S);
}

bool totp_check(struct str secret, struct str code, int64_t wall_us, int64_t used_step,
                int64_t *step)
{
    int64_t now = totp_step(wall_us);
    bool found = false;
    for (int64_t s = now - 1; s <= now + 1; s++) {
        char want[TOTP_DIGITS + 1];
        totp_code(secret, s, want);
        bool same = secret_eq(str_n(want, TOTP_DIGITS), code);
        if (same && s > used_step && !found) {
            found = true;
            *step = s;
        }
    }
    return found;
}

void totp_code(struct str secret, int64_t step, char out[TOTP_DIGITS + 1])
{
    char counter[8];
    uint8_t mac[SHA1_LEN];
    uint64_t v = (uint64_t)step;
    for (int i = 7; i >= 0; i--, v >>= 8)
        counter[i] = (char)(v & 0xff);
    hmac_sha1(secret, str_n(counter, sizeof counter), mac);
    const uint8_t *at = mac + (mac[SHA1_LEN - 1] & 15);
    uint32_t cut = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
                   (uint32_t)at[3];
    snprintf(out, TOTP_DIGITS + 1, "%06u", (unsigned)(cut % 1000000));
    explicit_bzero(mac, sizeof mac);
}

/* Source: google/google-authenticator wiki, "Key Uri Format". The parameters that follow the secret
 * are the defaults; some apps want them said. */
void totp_url(struct buf *b, struct str issuer, struct str account, struct str secret)
{
    buf_c(b, "otpauth://totp/");
    percent_add(b, issuer);
    buf_char(b, ':');
    percent_add(b, account);
    buf_c(b, "?secret=");
    base32_add(b, secret);
    buf_c(b, "&issuer=");
    percent_add(b, issuer);
    buf_fmt(b, "&algorithm=SHA1&digits=%d&period=%d", TOTP_DIGITS, TOTP_STEP_S);
}
