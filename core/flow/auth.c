/* API keys. The database knows an HMAC of each; what it says is believed for a second. That a key
 * was used is noted at most once a minute and written apart from everything else. */
#include "core/flow/session.h"

#include <stdlib.h>

#include "core/base/address.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"

enum { HASH_LEN = 32, CACHE = 4096, USES = 256, USES_TEXT = 64 * 1024 };
#define CACHE_LIFE_US US_PER_S
#define USE_EVERY_US US_PER_MIN
#define USE_WAIT_US US_PER_S

struct cached {
    uint8_t hash[HASH_LEN];
    int64_t until_us; /* monotonic; 0 empty */
    int64_t used_us;  /* wall: the last use that was noted */
    struct principal who;
    struct cidr_list cidrs; /* empty: from anywhere */
};
static struct cached cache[CACHE];
static unsigned n_forgotten; /* what was asked for before is not kept */

/* Uses that wait to be written. */
static struct use {
    struct uuid merchant, key;
    int64_t at_us; /* wall */
} uses[USES];
static size_t n_uses;
static struct timer use_timer;

struct auth {
    struct flow *flow;
    uint8_t hash[HASH_LEN];
    unsigned n_forgotten; /* when it was asked */
    char client[ADDRESS_TEXT];
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

void auth_key_make(bool live, bool restricted, char out[AUTH_KEY_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[24];
    random_bytes(random, sizeof random);
    memcpy(out, live ? "sk_live_" : "sk_test_", 8);
    if (restricted)
        out[0] = 'r';
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

/* ---- uses ---- */

static void uses_written(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    (void)r;
    f->busy--;
    if (err_is(err)) /* a later use will be written */
        log_warn("auth.uses_not_written", F_ERR(err));
}

static void write_uses(void *ctx)
{
    struct flow *f = ctx;
    struct buf b;
    buf_init(&b, USES_TEXT);
    struct jsonw w = jw_into(&b);
    jw_open_list(&w);
    for (size_t i = 0; i < n_uses; i++) {
        jw_open(&w);
        jw_uuid(&w, "merchant_id", uses[i].merchant);
        jw_uuid(&w, "id", uses[i].key);
        jw_time(&w, "at", uses[i].at_us);
        jw_close(&w);
    }
    jw_close_list(&w);
    struct value list = V_JSON(buf_view(&b));
    if (n_uses > 0 && !b.failed) {
        f->busy++;
        store_exec(f->store, Q_api_key_used, &list, 1, uses_written, f);
    }
    n_uses = 0;
    buf_free(&b);
}

/* Beyond what fits a use is forgotten: the key will be used again. */
static void note_use(struct flow *f, struct cached *c)
{
    int64_t now = loop_wall_us(f->loop);
    if (now - c->used_us < USE_EVERY_US || n_uses == USES || f->closing)
        return;
    c->used_us = now;
    uses[n_uses++] = (struct use){c->who.merchant, c->who.key, now};
    if (!timer_is_on(&use_timer))
        timer_set(f->loop, &use_timer, USE_WAIT_US, write_uses, f);
}

void auth_stop(struct flow *f)
{
    timer_off(f->loop, &use_timer);
    write_uses(f);
}

/* ---- what is known ---- */

static struct err admit(struct flow *f, struct cached *c, struct str client)
{
    if (c->cidrs.n > 0 && !cidr_list_has_text(&c->cidrs, client))
        return ERR(ADDRESS_NOT_ALLOWED, "outside the networks of the key");
    note_use(f, c);
    return ERR_OK;
}

bool auth_cached(struct flow *f, struct str key, struct str client, struct principal *out,
                 struct err *err)
{
    uint8_t hash[HASH_LEN];
    vault_hash(f->vault, "api_key", key, hash);
    struct cached *c = slot(hash);
    if (c->until_us <= loop_mono_us(f->loop) || memcmp(c->hash, hash, HASH_LEN) != 0)
        return false;
    *out = c->who;
    *err = admit(f, c, client);
    return true;
}

void auth_forget(struct uuid whose)
{
    n_forgotten++;
    for (size_t i = 0; i < CACHE; i++)
        if (uuid_eq(cache[i].who.key, whose) || uuid_eq(cache[i].who.merchant, whose))
            cache[i].until_us = 0;
    session_forget(whose);
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
    K_KYC,
    K_CIDRS,
    K_LAST_USED,
    K_PAYOUT_APPROVAL,
    K_STRICT_UUID,
    K_CREATED_BY
};

static struct err read_key(struct flow *f, const struct rows *r, struct cached *c)
{
    struct principal *who = &c->who;
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
    *who = (struct principal){
        .merchant = rows_uuid(r, 0, K_MERCHANT),
        .key = rows_uuid(r, 0, K_ID),
        .live = str_eq(rows_str(r, 0, K_MODE), STR("live")),
        .needs_idempotency_key = rows_bool(r, 0, K_NEEDS_KEY),
        .needs_uuid_key = rows_bool(r, 0, K_STRICT_UUID),
        .refund_approval_above = rows_i64(r, 0, K_APPROVAL),
        .payout_approval_above = rows_i64(r, 0, K_PAYOUT_APPROVAL),
    };
    if (!permission_of_scopes(rows_str(r, 0, K_SCOPES), &who->may))
        return ERR(INTERNAL, "stored scopes not understood");
    who->hold = merchant_holds(status, rows_i64(r, 0, K_KYC), who->live, false);
    if (!rows_null(r, 0, K_CIDRS) && err_is(cidr_list_parse(rows_str(r, 0, K_CIDRS), &c->cidrs)))
        return ERR(INTERNAL, "stored networks not understood");
    c->used_us = rows_time(r, 0, K_LAST_USED);
    c->until_us = loop_mono_us(f->loop) + CACHE_LIFE_US;
    if (expires != 0 && expires - loop_wall_us(f->loop) < CACHE_LIFE_US)
        c->until_us = loop_mono_us(f->loop) + expires - loop_wall_us(f->loop);
    str_copy_c(who->country, sizeof who->country, rows_str(r, 0, K_COUNTRY));
    person_key_name(who->key, who->actor);
    person_of_key(rows_str(r, 0, K_CREATED_BY), who->key, who->person);
    return ERR_OK;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct auth *a = ctx;
    struct cached read = {0};
    struct principal who = {0};
    if (!err_is(err))
        err = read_key(a->flow, r, &read);
    if (!err_is(err)) {
        struct cached *c = slot(a->hash);
        if (memcmp(c->hash, a->hash, HASH_LEN) == 0 && c->used_us > read.used_us)
            read.used_us = c->used_us; /* noted, and not written yet */
        *c = read;
        memcpy(c->hash, a->hash, HASH_LEN);
        if (a->n_forgotten != n_forgotten)
            c->until_us = 0;
        who = c->who;
        err = admit(a->flow, c, str_c(a->client));
    }
    a->flow->busy--;
    a->done(a->ctx, err, &who);
    free(a);
}

void auth_start(struct flow *f, struct str key, struct str client, auth_fn *done, void *ctx)
{
    struct auth *a = calloc(1, sizeof *a);
    ASSERT(a != NULL);
    a->flow = f;
    a->n_forgotten = n_forgotten;
    a->done = done;
    a->ctx = ctx;
    str_copy_c(a->client, sizeof a->client, client);
    vault_hash(f->vault, "api_key", key, a->hash);
    f->busy++;
    struct value params[] = {V_BYTES(str_n((char *)a->hash, HASH_LEN))};
    store_read(f->store, Q_api_key_get, params, COUNT_OF(params), found, a);
}
