/* Idempotency keys. See idempotency.h. */
#include "core/flow/idempotency.h"

#include "core/base/times.h"
#include "core/crypto/mac.h"

enum { KEY_MIN = 16, KEY_MAX = 255, SLOTS = 4, FINGERPRINT_USUAL = 512 };
enum { ROUTE_TAG = 32 + 2 * FINGERPRINT_MAX_FIELDS };
#define PLACE_LIFE_US (5 * US_PER_MIN)

bool idempotency_key_ok(struct str key)
{
    return key.n >= KEY_MIN && key.n <= KEY_MAX && str_is_printable_ascii(key);
}

struct idempotency_place idempotency_place(int64_t wall_us, int64_t retention_us)
{
    int64_t margin = 2 * PLACE_LIFE_US;
    int64_t period = wall_us / retention_us, into = wall_us % retention_us;
    struct idempotency_place p = {
        .period = (int32_t)period,
        .slot = (int16_t)(period % SLOTS),
        .slot_b = -1,
        .look_a = (int16_t)(period % SLOTS),
        .look_b = (int16_t)((period + SLOTS - 1) % SLOTS),
        .made_from = uuid_v7_floor(((period - 1) * retention_us - US_PER_DAY) / US_PER_MS),
        .made_until = uuid_v7_floor((wall_us + US_PER_DAY) / US_PER_MS),
        .until_us = wall_us + PLACE_LIFE_US,
    };
    if (into < margin)
        p.slot_b = p.look_b;
    else if (into >= retention_us - margin)
        p.slot_b = (int16_t)((period + 1) % SLOTS);
    return p;
}

bool idempotency_look_there(struct idempotency_place *p, struct uuid made)
{
    if (uuid_cmp(p->made_from, made) <= 0 && uuid_cmp(made, p->made_until) <= 0)
        return false;
    p->made_from = p->made_until = made;
    return true;
}

struct err idempotency_place_fresh(const struct idempotency_place *p, int64_t wall_us)
{
    return wall_us <= p->until_us ? ERR_OK : ERR(UNAVAILABLE, "stood still too long");
}

static uint16_t tag(uint64_t key, struct str value)
{
    uint64_t h = key;
    for (size_t i = 0; i < value.n; i++)
        h = (h ^ (uint8_t)value.p[i]) * 0x100000001b3u;
    h ^= h >> 32;
    return (uint16_t)(h ^ h >> 16);
}

void fingerprint_make(struct vault *v, struct str route, const struct fingerprint_field *fields,
                      size_t n, uint8_t out[FINGERPRINT_LEN])
{
    ASSERT(n <= FINGERPRINT_MAX_FIELDS);
    uint8_t route_mac[32];
    vault_route_hash(v, route, route_mac);
    uint64_t key;
    memcpy(&key, route_mac, sizeof key);
    struct buf all;
    buf_init(&all, 1 << 21);
    buf_expect(&all, FINGERPRINT_USUAL);
    buf_str(&all, route);
    memset(out, 0, FINGERPRINT_LEN);
    for (size_t i = 0; i < n; i++) {
        buf_be32(&all, (uint32_t)fields[i].value.n);
        buf_str(&all, fields[i].value);
        uint16_t t = tag(key + i * 0x9e3779b97f4a7c15u, fields[i].value);
        out[32 + 2 * i] = (uint8_t)(t >> 8);
        out[33 + 2 * i] = (uint8_t)t;
    }
    memcpy(out + ROUTE_TAG, route_mac + sizeof key, 2);
    ASSERT(!all.failed); /* a body has 1 MiB at most */
    vault_hash(v, "fingerprint", buf_view(&all), out);
    buf_free(&all);
}

struct str fingerprint_difference(const uint8_t ours[FINGERPRINT_LEN], struct str stored,
                                  const struct fingerprint_field *fields, size_t n, struct arena *a)
{
    struct buf b;
    buf_init(&b, 1024);
    /* the fields of two routes have no tags in common, whatever they say */
    bool same_route =
        stored.n == FINGERPRINT_LEN && memcmp(ours + ROUTE_TAG, stored.p + ROUTE_TAG, 2) == 0;
    for (size_t i = 0; i < n && same_route; i++) {
        if (memcmp(ours + 32 + 2 * i, stored.p + 32 + 2 * i, 2) == 0)
            continue;
        if (b.n > 0)
            buf_c(&b, ", ");
        buf_c(&b, fields[i].name);
    }
    struct str names = arena_dup(a, b.n > 0 ? buf_view(&b) : STR("the route"));
    buf_free(&b);
    return names;
}

void idempotency_look(struct flow *f, struct uuid merchant, bool live, struct str key,
                      const struct idempotency_place *place, store_rows_fn *done, void *ctx)
{
    struct value params[] = {
        V_UUID(merchant),         V_TEXT(mode_word(live)), V_TEXT(key),
        V_I16(place->look_a),     V_I16(place->look_b),    V_UUID(place->made_from),
        V_UUID(place->made_until)};
    store_read(f->store, Q_idempotency_get, params, COUNT_OF(params), done, ctx);
}

enum { SEEN = 1 << 16 };
static uint64_t seen[SEEN];

static uint64_t seen_hash(struct uuid merchant, bool live, struct str key)
{
    return short_hash(key) ^ short_hash(str_n((const char *)merchant.b, 16)) * 31 ^ (live ? 1 : 0);
}

bool idempotency_seen(struct uuid merchant, bool live, struct str key)
{
    uint64_t h = seen_hash(merchant, live, key);
    return seen[h % SEEN] == h;
}

void idempotency_remember(struct uuid merchant, bool live, struct str key)
{
    uint64_t h = seen_hash(merchant, live, key);
    seen[h % SEEN] = h;
}
