/* Who has signed a webhook, and when. See signature.h. */
#include "gateways/signature.h"

#include "core/base/secret.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

enum { TIME_DIGITS = 11 };

bool signature_read(struct str header, size_t header_max, size_t macs_max,
                    struct signature_claim *c)
{
    struct str part;
    ASSERT(macs_max <= SIGNATURE_MACS_MAX);
    *c = (struct signature_claim){0};
    if (header.n == 0 || header.n > header_max)
        return false;
    while (str_split(&header, ',', &part)) {
        struct str value = str_trim(part), name = STR_NULL;
        (void)str_split(&value, '=', &name);
        if (str_eq(name, STR("t")) && c->time.p == NULL)
            c->time = value;
        else if (str_eq(name, STR("t")))
            return false;
        else if (str_eq(name, STR("v1")) && c->n == macs_max)
            return false;
        else if (str_eq(name, STR("v1")))
            c->macs[c->n++] = value;
    }
    return c->n > 0;
}

bool signature_in_time(const struct signature_claim *c, int64_t tolerance_s, int64_t now_us)
{
    int64_t sent_s, now_s = now_us / US_PER_S;
    if (c->time.n == 0 || c->time.n > TIME_DIGITS || !str_is_digits(c->time) ||
        !str_to_i64(c->time, &sent_s))
        return false;
    return sent_s >= now_s - tolerance_s && sent_s <= now_s + tolerance_s;
}

bool signature_fits(const struct signature_claim *c, struct str secret, struct str body)
{
    uint8_t want[SHA256_LEN], got[SHA256_LEN];
    bool any = false;
    const struct str parts[] = {c->time, STR("."), body};
    hmac_sha256(secret, parts, COUNT_OF(parts), want);
    for (size_t i = 0; i < c->n; i++)
        any |=
            c->macs[i].n == sizeof got * 2 && hex_decode(c->macs[i], true, got, sizeof got) &&
            secret_eq(str_n((const char *)want, sizeof want), str_n((const char *)got, sizeof got));
    return any;
}
