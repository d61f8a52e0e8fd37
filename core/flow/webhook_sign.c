/* Standard Webhooks signatures. The key is what the base64 after "whsec_" says, not the text. */
#include "core/flow/webhook_sign.h"

#include <stdio.h>

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"

#define PREFIX STR("whsec_")

struct str webhook_secret_make(struct arena *a)
{
    char key[WEBHOOK_SECRET_MIN];
    random_bytes(key, sizeof key);
    struct str text = base64_text(a, str_n(key, sizeof key));
    explicit_bzero(key, sizeof key);
    if (text.p == NULL)
        return STR_NULL;
    return arena_fmt(a, "%.*s%.*s", STR_ARG(PREFIX), STR_ARG(text));
}

struct err webhook_secret_parse(struct str text, struct arena *a, struct str *key)
{
    /* 64 bytes are 88 characters: what is longer is not decoded at all */
    if (!str_starts(text, PREFIX) || text.n > PREFIX.n + (WEBHOOK_SECRET_MAX + 2) / 3 * 4)
        return ERR(PARSE, "not a webhook secret");
    struct str bytes = base64_decode(a, str_from(text, PREFIX.n));
    if (bytes.p == NULL || bytes.n < WEBHOOK_SECRET_MIN || bytes.n > WEBHOOK_SECRET_MAX)
        return ERR(PARSE, "not a webhook secret");
    *key = bytes;
    return ERR_OK;
}

void webhook_sign(struct str id, int64_t timestamp_s, struct str body, const struct str *keys,
                  size_t n, struct buf *out)
{
    char at[24];
    int at_len = snprintf(at, sizeof at, "%lld", (long long)timestamp_s);
    const struct str parts[] = {id, STR("."), str_n(at, (size_t)at_len), STR("."), body};
    for (size_t i = 0; i < n; i++) {
        uint8_t mac[SHA256_LEN];
        hmac_sha256(keys[i], parts, COUNT_OF(parts), mac);
        buf_c(out, i == 0 ? "v1," : " v1,");
        base64_add(out, str_n((const char *)mac, sizeof mac));
    }
}
