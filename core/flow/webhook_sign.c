/* Standard Webhooks signatures. The key is what the base64 after "whsec_" says, not the text. */
#include "core/flow/webhook_sign.h"

#include <stdio.h>

#include "core/crypto/ed25519.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"

#define SHARED STR("whsec_")
#define PRIVATE STR("whsk_")

static struct str key_text(struct arena *a, struct str prefix, const void *key, size_t n)
{
    struct str text = base64_text(a, str_n(key, n));
    return text.p == NULL ? STR_NULL : arena_fmt(a, "%.*s%.*s", STR_ARG(prefix), STR_ARG(text));
}

struct str webhook_secret_make(struct arena *a)
{
    char key[WEBHOOK_SECRET_MIN];
    random_bytes(key, sizeof key);
    struct str text = key_text(a, SHARED, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return text;
}

/* Seed and public key: what most libraries take for a private key. */
struct str webhook_private_make(struct arena *a)
{
    uint8_t key[ED25519_SEED + ED25519_PUBLIC];
    random_bytes(key, ED25519_SEED);
    struct err err = ed25519_public(key, key + ED25519_SEED);
    struct str text = err_is(err) ? STR_NULL : key_text(a, PRIVATE, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return text;
}

static bool is_private(struct str text)
{
    return str_starts(text, PRIVATE);
}

struct err webhook_key_parse(struct str text, struct arena *a, struct webhook_key *key)
{
    struct str until = str_from(text, str_find(text, '@', 0)), bytes;
    struct str base = str_first(text, text.n - until.n);
    *key = (struct webhook_key){.is_private = is_private(base)};
    if (!key->is_private && !str_starts(base, SHARED))
        return ERR(PARSE, "not a webhook secret");
    if (until.n > 0 && (!str_to_i64(str_from(until, 1), &key->until_s) || key->until_s <= 0))
        return ERR(PARSE, "not a webhook secret");
    bytes = str_from(base, key->is_private ? PRIVATE.n : SHARED.n);
    /* 64 bytes are 88 characters: what is longer is not decoded at all */
    if (bytes.n > (WEBHOOK_SECRET_MAX + 2) / 3 * 4)
        return ERR(PARSE, "not a webhook secret");
    bytes = base64_decode(a, bytes);
    if (bytes.p == NULL || bytes.n < WEBHOOK_SECRET_MIN || bytes.n > WEBHOOK_SECRET_MAX ||
        (key->is_private && bytes.n != ED25519_SEED + ED25519_PUBLIC))
        return ERR(PARSE, "not a webhook secret");
    key->bytes = key->is_private ? str_first(bytes, ED25519_SEED) : bytes;
    return ERR_OK;
}

struct str webhook_public_text(struct arena *a, struct str keys)
{
    struct str rest = keys, text;
    uint8_t public[ED25519_PUBLIC];
    struct webhook_key key;
    while (str_split(&rest, ' ', &text))
        if (is_private(text))
            return err_is(webhook_key_parse(text, a, &key)) ||
                           err_is(ed25519_public((const uint8_t *)key.bytes.p, public))
                       ? STR_NULL
                       : key_text(a, STR("whpk_"), public, sizeof public);
    return STR_NULL;
}

struct str webhook_keys_rotated(struct arena *a, struct str keys, int64_t now_s, int64_t until_s,
                                struct str *secret)
{
    struct str rest = keys, text, out;
    size_t n_of[2] = {1, 1};
    *secret = out = webhook_secret_make(a);
    if (webhook_public_text(a, keys).p != NULL) {
        struct str other = webhook_private_make(a);
        out = other.p == NULL ? STR_NULL : arena_fmt(a, "%.*s %.*s", STR_ARG(out), STR_ARG(other));
    }
    while (out.p != NULL && str_split(&rest, ' ', &text)) {
        struct webhook_key key;
        if (err_is(webhook_key_parse(text, a, &key)) ||
            n_of[key.is_private] == WEBHOOK_SECRETS_MAX ||
            (key.until_s != 0 && key.until_s <= now_s) || until_s <= now_s)
            continue;
        n_of[key.is_private]++;
        if (key.until_s != 0) /* replaced before: its end stands */
            out = arena_fmt(a, "%.*s %.*s", STR_ARG(out), STR_ARG(text));
        else
            out = arena_fmt(a, "%.*s %.*s@%lld", STR_ARG(out), STR_ARG(text), (long long)until_s);
    }
    return secret->p == NULL ? STR_NULL : out;
}

struct err webhook_keys_parse(struct str texts, int64_t now_s, struct arena *a,
                              struct webhook_key keys[WEBHOOK_KEYS_MAX], size_t *n)
{
    struct str rest = texts, text;
    *n = 0;
    while (str_split(&rest, ' ', &text) && *n < WEBHOOK_KEYS_MAX) {
        TRY(webhook_key_parse(text, a, &keys[*n]));
        if (keys[*n].until_s == 0 || keys[*n].until_s > now_s)
            (*n)++;
    }
    return ERR_OK;
}

static void sign_shared(struct str key, const struct str *parts, size_t n, struct buf *out)
{
    uint8_t mac[SHA256_LEN];
    hmac_sha256(key, parts, n, mac);
    buf_c(out, "v1,");
    base64_add(out, str_n((const char *)mac, sizeof mac));
}

static void sign_private(struct str seed, const struct str *parts, size_t n, struct buf *out)
{
    struct buf message;
    uint8_t signature[ED25519_SIGNATURE];
    buf_init(&message, 4 * 1024 * 1024);
    for (size_t i = 0; i < n; i++)
        buf_str(&message, parts[i]);
    struct err err = message.failed
                         ? ERR(NO_MEMORY, "message")
                         : ed25519_sign((const uint8_t *)seed.p, buf_view(&message), signature);
    if (err_is(err)) {
        out->failed = true;
    } else {
        buf_c(out, "v1a,");
        base64_add(out, str_n((const char *)signature, sizeof signature));
    }
    buf_free(&message);
}

void webhook_sign(struct str id, int64_t timestamp_s, struct str body,
                  const struct webhook_key *keys, size_t n, struct buf *out)
{
    char at[24];
    int at_len = snprintf(at, sizeof at, "%lld", (long long)timestamp_s);
    const struct str parts[] = {id, STR("."), str_n(at, (size_t)at_len), STR("."), body};
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(out, ' ');
        if (keys[i].is_private)
            sign_private(keys[i].bytes, parts, COUNT_OF(parts), out);
        else
            sign_shared(keys[i].bytes, parts, COUNT_OF(parts), out);
    }
}
