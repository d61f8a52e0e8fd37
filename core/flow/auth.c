/* API keys. The database knows an HMAC of each; what it says is believed for a second. */
#include "core/flow/auth.h"

#include <stdlib.h>

#include "core/base/times.h"
#include "core/crypto/random.h"

enum { HASH_LEN = 32, CACHE = 4096 };
#define CACHE_LIFE_US US_PER_S

struct cached {
    uint8_t hash[HASH_LEN];
    int64_t until_us; /* monotonic; 0 empty */
    struct principal who;
};
static struct cached cache[CACHE];

struct auth {
    struct flow *flow;
    uint8_t hash[HASH_LEN];
    auth_fn *done;
    void *ctx;
};

bool auth_key_ok(struct str key)
{
    if (key.n != AUTH_KEY_LEN || (!str_starts(key, STR("sk_")) && !str_starts(key, STR("rk_"))))
        return false;
    struct str mode = str_n(key.p + 3, 5);
    for (size_t i = 8; i < key.n; i++)
        if (!ascii_is_digit(key.p[i]) && (key.p[i] < 'a' || key.p[i] > 'f'))
            return false;
    return str_eq(mode, STR("test_")) || str_eq(mode, STR("live_"));
}

void auth_key_make(bool live, char out[AUTH_KEY_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[24];
    random_bytes(random, sizeof random);
    memcpy(out, live ? "sk_live_" : "sk_test_", 8);
    for (size_t i = 0; i < sizeof random; i++) {
        out[8 + 2 * i] = digits[random[i] >> 4];
        out[9 + 2 * i] = digits[random[i] & 15];
    }
    out[AUTH_KEY_LEN] = '\0';
    explicit_bzero(random, sizeof random);
}

static struct cached *slot(const uint8_t hash[HASH_LEN])
{
    return &cache[((unsigned)hash[0] << 8 | hash[1]) % CACHE];
}

bool auth_cached(struct flow *f, struct str key, struct principal *out)
{
    uint8_t hash[HASH_LEN];
    vault_hash(f->vault, "api_key", key, hash);
    const struct cached *c = slot(hash);
    if (c->until_us <= loop_mono_us(f->loop) || memcmp(c->hash, hash, HASH_LEN) != 0)
        return false;
    *out = c->who;
    return true;
}

enum {
    K_MERCHANT,
    K_ID,
    K_MODE,
    K_SCOPES,
    K_STATUS,
    K_EXPIRES,
    K_MERCHANT_STATUS,
    K_COUNTRY,
    K_NEEDS_KEY,
    K_APPROVAL,
    K_KYC
};

static struct err read_key(struct flow *f, const struct rows *r, struct principal *who)
{
    if (rows_n(r) == 0)
        return ERR(UNAUTHENTICATED, "unknown key");
    if (str_eq(rows_str(r, 0, K_STATUS), STR("revoked")))
        return ERR(UNAUTHENTICATED, "revoked key");
    int64_t expires = rows_time(r, 0, K_EXPIRES);
    if (expires != 0 && expires <= loop_wall_us(f->loop))
        return ERR(UNAUTHENTICATED, "expired key");
    enum merchant_status status;
    if (!merchant_parse(rows_str(r, 0, K_MERCHANT_STATUS), &status))
        return ERR(INTERNAL, "stored status of a merchant not understood");
    char id[UUID_TEXT];
    *who = (struct principal){
        .merchant = rows_uuid(r, 0, K_MERCHANT),
        .live = str_eq(rows_str(r, 0, K_MODE), STR("live")),
        .needs_idempotency_key = rows_bool(r, 0, K_NEEDS_KEY),
        .refund_approval_above = rows_i64(r, 0, K_APPROVAL),
    };
    if (!permission_of_scopes(rows_str(r, 0, K_SCOPES), &who->may))
        return ERR(INTERNAL, "stored scopes not understood");
    who->hold = merchant_holds(status, rows_i64(r, 0, K_KYC), who->live, false);
    str_copy_c(who->country, sizeof who->country, rows_str(r, 0, K_COUNTRY));
    memcpy(who->actor, "api_key:", 8);
    memcpy(who->actor + 8, uuid_text(rows_uuid(r, 0, K_ID), id), UUID_TEXT);
    return ERR_OK;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct auth *a = ctx;
    struct principal who = {0};
    if (!err_is(err))
        err = read_key(a->flow, r, &who);
    if (!err_is(err)) {
        struct cached *c = slot(a->hash);
        memcpy(c->hash, a->hash, HASH_LEN);
        c->who = who;
        c->until_us = loop_mono_us(a->flow->loop) + CACHE_LIFE_US;
    }
    a->flow->busy--;
    a->done(a->ctx, err, &who);
    free(a);
}

void auth_start(struct flow *f, struct str key, auth_fn *done, void *ctx)
{
    struct auth *a = calloc(1, sizeof *a);
    ASSERT(a != NULL);
    a->flow = f;
    a->done = done;
    a->ctx = ctx;
    vault_hash(f->vault, "api_key", key, a->hash);
    f->busy++;
    struct value params[] = {V_BYTES(str_n((char *)a->hash, HASH_LEN))};
    store_read(f->store, Q_api_key_get, params, COUNT_OF(params), found, a);
}
