/* core/crypto/mac.h and aead.h with sums in place of ciphers: the simulation is about order and
 * loss, and would else spend half its time in AES and SHA-256. What the flows rely on is kept:
 * equal texts have equal digests, other texts, keys or places other ones, a sealed text is no plain
 * text and opens only where it was sealed. */
#include <stdlib.h>

#include "core/crypto/aead.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "test/sim/world.h"

struct err crypto_open(void)
{
    return ERR_OK;
}

void crypto_close(void)
{
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ b) * 0x9fb21c651e98df25u;
    h ^= h >> 35;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static uint64_t sum(uint64_t h, struct str s)
{
    uint64_t v;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        memcpy(&v, s.p + i, 8);
        h = (h ^ v) * 0x9fb21c651e98df25u;
        h ^= h >> 29;
    }
    v = 0;
    if (i < s.n)
        memcpy(&v, s.p + i, s.n - i);
    return mix(h ^ v, s.n); /* pieces do not run into each other */
}

static void spread(uint64_t h, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        h = mix(h, i + 1);
        memcpy(out + i, &h, n - i < 8 ? n - i : 8);
    }
}

void sha256(const struct str *parts, size_t n, uint8_t out[SHA256_LEN])
{
    uint64_t h = 1;
    for (size_t i = 0; i < n; i++)
        h = sum(h, parts[i]);
    spread(h, out, SHA256_LEN);
}

void hmac_sha256(struct str key, const struct str *parts, size_t n, uint8_t out[SHA256_LEN])
{
    uint64_t h = sum(2, key);
    for (size_t i = 0; i < n; i++)
        h = sum(h, parts[i]);
    spread(h, out, SHA256_LEN);
}

/* What a process remembers by this hash is forgotten when it dies. */
uint64_t short_hash(struct str s)
{
    return sum(w.current != NULL ? w.current->n + 3 : 3, s);
}

struct aead_key {
    uint32_t number;
    uint64_t secret;
};

struct err aead_key_new(uint32_t number, const uint8_t key[AEAD_KEY_LEN], struct aead_key **out)
{
    struct aead_key *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "aead");
    k->number = number;
    k->secret = sum(4, str_n((const char *)key, AEAD_KEY_LEN));
    *out = k;
    return ERR_OK;
}

void aead_key_free(struct aead_key *k)
{
    free(k);
}

uint32_t aead_key_number(const struct aead_key *k)
{
    return k->number;
}

/* The same both ways. */
static void cover(uint64_t h, const char *from, char *to, size_t n)
{
    uint64_t stream = mix(h, 5) | 0x8080808080808080u, v;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&v, from + i, 8);
        v ^= stream;
        memcpy(to + i, &v, 8);
    }
    for (; i < n; i++)
        to[i] = (char)(from[i] ^ (char)0x80);
}

void aead_mark(uint32_t number, uint8_t out[AEAD_MARK_LEN])
{
    out[0] = 1;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(number >> (24 - 8 * i));
}

struct err aead_seal(struct aead_key *k, struct str bound, struct str plain, struct buf *out)
{
    char *p = buf_room(out, plain.n + AEAD_OVERHEAD);
    if (p == NULL)
        return ERR(LIMIT, "sealed text too large");
    uint8_t nonce[AEAD_NONCE_LEN], tag[AEAD_TAG_LEN];
    random_bytes(nonce, sizeof nonce);
    uint64_t h = sum(k->secret, str_n((char *)nonce, sizeof nonce));
    aead_mark(k->number, (uint8_t *)p);
    memcpy(p + 5, nonce, sizeof nonce);
    cover(h, plain.p, p + 17, plain.n);
    spread(sum(sum(h, bound), plain), tag, sizeof tag);
    memcpy(p + 17 + plain.n, tag, sizeof tag);
    out->n += plain.n + AEAD_OVERHEAD;
    return ERR_OK;
}

bool aead_sealed_by(struct str sealed, uint32_t *number)
{
    if (sealed.n < AEAD_OVERHEAD || sealed.p[0] != 1)
        return false;
    const unsigned char *p = (const unsigned char *)sealed.p + 1;
    *number = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return true;
}

struct err aead_open(struct aead_key *k, struct str bound, struct str sealed, struct arena *a,
                     struct str *plain)
{
    uint32_t number;
    uint8_t tag[AEAD_TAG_LEN];
    if (!aead_sealed_by(sealed, &number) || number != k->number)
        return ERR(CRYPTO, "not sealed by this key");
    size_t n = sealed.n - AEAD_OVERHEAD;
    uint64_t h = sum(k->secret, str_n(sealed.p + 5, AEAD_NONCE_LEN));
    char *p = arena_alloc(a, n + 1);
    if (p == NULL)
        return ERR(LIMIT, "no room to open");
    cover(h, sealed.p + 17, p, n);
    *plain = str_n(p, n);
    spread(sum(sum(h, bound), *plain), tag, sizeof tag);
    if (memcmp(tag, sealed.p + 17 + n, sizeof tag) != 0)
        return ERR(CRYPTO, "does not open: altered, moved, or another key");
    return ERR_OK;
}
