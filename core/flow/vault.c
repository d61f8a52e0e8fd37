/* The installation's keys and what is made with them. See vault.h. */
#include "core/flow/vault.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/secret.h"
#include "core/base/times.h"
#include "core/crypto/aead.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"

enum { DATA_MAX = 16, MAC_IN_TOKEN = 16 };

struct vault {
    struct aead_key *master[VAULT_MASTER_MAX];
    int n_master;
    struct aead_key *data[DATA_MAX];
    int n_data;
    int32_t sealing; /* 0: the newest */
    struct secret hmac;
    int32_t hmac_number;
    struct {
        char text[64];
        size_t n;
        uint8_t mac[32];
    } route; /* the last one that was asked for */
};

/* What a sealed text says of the key: a number made of its id (FNV-1a). */
static uint32_t master_number(struct str id)
{
    uint32_t h = 0x811c9dc5u;
    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (uint8_t)id.p[i]) * 0x01000193u;
    return h;
}

static struct err add_master(struct vault *v, struct str entry)
{
    struct str id;
    struct str rest = entry;
    if (!str_split(&rest, ':', &id) || rest.p == NULL || id.n == 0 || id.n > 32)
        return ERR(CONFIG, "RELI_MASTER_KEY: each key is id:base64");
    uint32_t number = master_number(id);
    for (int i = 0; i < v->n_master; i++)
        if (aead_key_number(v->master[i]) == number)
            return ERR(CONFIG, "RELI_MASTER_KEY: two keys of one id");
    if (v->n_master == VAULT_MASTER_MAX)
        return ERR(CONFIG, "RELI_MASTER_KEY: too many keys");
    struct arena a;
    arena_init(&a, 4096);
    struct str key = base64_decode(&a, str_trim(rest));
    struct err err = ERR(CONFIG, "RELI_MASTER_KEY: a key is 32 bytes in base64");
    if (key.n == VAULT_KEY_LEN)
        err = aead_key_new(number, (const uint8_t *)key.p, &v->master[v->n_master]);
    if (!err_is(err))
        v->n_master++;
    if (key.n > 0)
        explicit_bzero((void *)(uintptr_t)key.p, key.n);
    arena_free(&a);
    return err;
}

struct err vault_new(struct str master, struct vault **out)
{
    struct vault *v = calloc(1, sizeof *v);
    if (v == NULL)
        return ERR(NO_MEMORY, "vault");
    struct str rest = master, entry;
    struct err err = ERR_OK;
    while (!err_is(err) && str_split(&rest, ',', &entry))
        err = add_master(v, str_trim(entry));
    if (!err_is(err) && v->n_master == 0)
        err = ERR(CONFIG, "RELI_MASTER_KEY is not set");
    if (err_is(err)) {
        vault_free(v);
        return err;
    }
    *out = v;
    return ERR_OK;
}

void vault_free(struct vault *v)
{
    if (v == NULL)
        return;
    for (int i = 0; i < v->n_master; i++)
        aead_key_free(v->master[i]);
    for (int i = 0; i < v->n_data; i++)
        aead_key_free(v->data[i]);
    secret_free(&v->hmac);
    free(v);
}

static const struct str wrap_bound = {"reli.installation_key", 21};

struct err vault_make_wrapped(struct vault *v, struct buf *out)
{
    uint8_t key[VAULT_KEY_LEN];
    random_bytes(key, sizeof key);
    struct err err = aead_seal(v->master[0], wrap_bound, str_n((char *)key, sizeof key), out);
    explicit_bzero(key, sizeof key);
    return err;
}

static struct err unwrap(struct vault *v, struct str wrapped, struct arena *a, struct str *key)
{
    uint32_t number;
    if (!aead_sealed_by(wrapped, &number))
        return ERR(CRYPTO, "not a wrapped key");
    for (int i = 0; i < v->n_master; i++)
        if (aead_key_number(v->master[i]) == number)
            return aead_open(v->master[i], wrap_bound, wrapped, a, key);
    return ERR_D(CRYPTO, number, "RELI_MASTER_KEY lacks the key that wrapped this one");
}

struct err vault_rewrap(struct vault *v, struct str wrapped, struct buf *out, bool *needed)
{
    struct arena a;
    struct str key;
    uint32_t number = 0;
    arena_init(&a, 4096);
    struct err err = unwrap(v, wrapped, &a, &key);
    *needed =
        !err_is(err) && aead_sealed_by(wrapped, &number) && number != aead_key_number(v->master[0]);
    if (*needed)
        err = aead_seal(v->master[0], wrap_bound, key, out);
    if (!err_is(err))
        explicit_bzero((void *)(uintptr_t)key.p, key.n);
    arena_free(&a);
    return err;
}

static struct err take(struct vault *v, struct str kind, int32_t number, struct str key)
{
    if (key.n != VAULT_KEY_LEN)
        return ERR(CRYPTO, "a wrapped key has a wrong length");
    if (str_eq(kind, STR("hmac"))) {
        secret_free(&v->hmac);
        v->route.n = 0; /* was of another key */
        v->hmac_number = number;
        return secret_set(&v->hmac, key);
    }
    if (v->n_data == DATA_MAX)
        return ERR(LIMIT, "too many data keys");
    TRY(aead_key_new((uint32_t)number, (const uint8_t *)key.p, &v->data[v->n_data]));
    v->n_data++;
    return ERR_OK;
}

static const struct aead_key *data_key(const struct vault *v, int32_t number)
{
    for (int i = 0; i < v->n_data; i++)
        if (aead_key_number(v->data[i]) == (uint32_t)number)
            return v->data[i];
    return NULL;
}

static bool has(const struct vault *v, struct str kind, int32_t number)
{
    if (str_eq(kind, STR("hmac")))
        return v->hmac.p != NULL && number <= v->hmac_number;
    return data_key(v, number) != NULL;
}

struct err vault_add(struct vault *v, struct str kind, int32_t number, struct str wrapped)
{
    struct arena a;
    struct str key;
    if (has(v, kind, number))
        return ERR_OK;
    arena_init(&a, 4096);
    struct err err = unwrap(v, wrapped, &a, &key);
    if (!err_is(err)) {
        err = take(v, kind, number, key);
        explicit_bzero((void *)(uintptr_t)key.p, key.n);
    }
    arena_free(&a);
    return err;
}

bool vault_ready(const struct vault *v)
{
    return v->n_data > 0 && v->hmac.p != NULL;
}

static struct aead_key *sealing(const struct vault *v)
{
    struct aead_key *best = v->data[0];
    for (int i = 0; i < v->n_data; i++) {
        uint32_t number = aead_key_number(v->data[i]);
        if (number == (uint32_t)v->sealing)
            return v->data[i];
        if (number > aead_key_number(best))
            best = v->data[i];
    }
    return best;
}

void vault_seal_by(struct vault *v, int32_t number)
{
    if (data_key(v, number) != NULL)
        v->sealing = number;
}

int32_t vault_sealing(const struct vault *v)
{
    ASSERT(vault_ready(v));
    return (int32_t)aead_key_number(sealing(v));
}

void vault_mark(int32_t number, uint8_t out[VAULT_MARK])
{
    aead_mark((uint32_t)number, out);
}

enum { BOUND_MAX = 64 + 32 };

static struct str bound_of(char out[BOUND_MAX], const char *place, struct uuid merchant,
                           struct uuid row)
{
    size_t n = strlen(place);
    ASSERT(n <= 64);
    memcpy(out, place, n);
    memcpy(out + n, merchant.b, 16);
    memcpy(out + n + 16, row.b, 16);
    return str_n(out, n + 32);
}

struct err vault_seal(struct vault *v, const char *place, struct uuid merchant, struct uuid row,
                      struct str plain, struct buf *out)
{
    char bound[BOUND_MAX];
    ASSERT(vault_ready(v));
    return aead_seal(sealing(v), bound_of(bound, place, merchant, row), plain, out);
}

struct err vault_open(struct vault *v, const char *place, struct uuid merchant, struct uuid row,
                      struct str sealed, struct arena *a, struct str *plain)
{
    char bound[BOUND_MAX];
    uint32_t number;
    if (!aead_sealed_by(sealed, &number))
        return ERR(CRYPTO, "not a sealed text");
    for (int i = 0; i < v->n_data; i++)
        if (aead_key_number(v->data[i]) == number)
            return aead_open(v->data[i], bound_of(bound, place, merchant, row), sealed, a, plain);
    return ERR_D(CRYPTO, number, "no such data key");
}

void vault_hash(struct vault *v, const char *purpose, struct str text, uint8_t out[32])
{
    ASSERT(vault_ready(v));
    struct str parts[] = {str_n(purpose, strlen(purpose) + 1), text};
    hmac_sha256(secret_view(&v->hmac), parts, COUNT_OF(parts), out);
}

void vault_route_hash(struct vault *v, struct str route, uint8_t out[32])
{
    if (route.n == 0 || route.n > sizeof v->route.text) {
        vault_hash(v, "fingerprint", route, out);
        return;
    }
    if (!str_eq(str_n(v->route.text, v->route.n), route)) {
        vault_hash(v, "fingerprint", route, v->route.mac);
        memcpy(v->route.text, route.p, route.n);
        v->route.n = route.n;
    }
    memcpy(out, v->route.mac, sizeof v->route.mac);
}

static void put_hex(char *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static void mac_of(struct vault *v, const char *purpose, const char *name, const uint8_t *bytes,
                   size_t n, uint8_t out[32])
{
    struct str parts[] = {str_n(purpose, strlen(purpose) + 1), str_n(name, strlen(name) + 1),
                          str_n((const char *)bytes, n)};
    ASSERT(vault_ready(v));
    hmac_sha256(secret_view(&v->hmac), parts, COUNT_OF(parts), out);
}

static void add_mac(struct vault *v, const char *purpose, const char *name, uint8_t *bytes,
                    size_t n)
{
    uint8_t mac[32];
    mac_of(v, purpose, name, bytes, n, mac);
    memcpy(bytes + n, mac, MAC_IN_TOKEN);
}

static bool mac_fits(struct vault *v, const char *purpose, const char *name, const uint8_t *bytes,
                     size_t n)
{
    uint8_t mac[32];
    mac_of(v, purpose, name, bytes, n, mac);
    return secret_eq(str_n((const char *)mac, MAC_IN_TOKEN),
                     str_n((const char *)bytes + n, MAC_IN_TOKEN));
}

enum { CALLBACK_BODY = 32, CLIENT_BODY = 16 + 16 + 1 + 8 };
_Static_assert(2 * (CALLBACK_BODY + MAC_IN_TOKEN) == CALLBACK_TOKEN_LEN, "callback token");
_Static_assert(4 + 2 * (CLIENT_BODY + MAC_IN_TOKEN) == CLIENT_TOKEN_LEN, "client token");

void callback_token_make(struct vault *v, const char *provider, struct uuid subject,
                         struct uuid merchant, char out[CALLBACK_TOKEN_LEN + 1])
{
    uint8_t b[CALLBACK_BODY + MAC_IN_TOKEN];
    memcpy(b, subject.b, 16);
    memcpy(b + 16, merchant.b, 16);
    add_mac(v, "callback", provider, b, CALLBACK_BODY);
    put_hex(out, b, sizeof b);
}

bool callback_token_read(struct vault *v, const char *provider, struct str token,
                         struct uuid *subject, struct uuid *merchant)
{
    uint8_t b[CALLBACK_BODY + MAC_IN_TOKEN];
    if (token.n != CALLBACK_TOKEN_LEN || !hex_decode(token, true, b, sizeof b) ||
        !mac_fits(v, "callback", provider, b, CALLBACK_BODY))
        return false;
    memcpy(subject->b, b, 16);
    memcpy(merchant->b, b + 16, 16);
    return true;
}

static void put_seconds(uint8_t out[8], int64_t us)
{
    uint64_t seconds = (uint64_t)(us / US_PER_S);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(seconds >> (56 - 8 * i));
}

static int64_t get_seconds(const uint8_t in[8])
{
    uint64_t seconds = 0;
    for (int i = 0; i < 8; i++)
        seconds = seconds << 8 | in[i];
    return (int64_t)seconds * US_PER_S;
}

void client_token_make(struct vault *v, const struct client_token *t,
                       char out[CLIENT_TOKEN_LEN + 1])
{
    uint8_t b[CLIENT_BODY + MAC_IN_TOKEN];
    memcpy(b, t->payment.b, 16);
    memcpy(b + 16, t->merchant.b, 16);
    b[32] = t->live ? 1 : 0;
    put_seconds(b + 33, t->expires_us);
    add_mac(v, "client", "", b, CLIENT_BODY);
    memcpy(out, "rct_", 4);
    put_hex(out + 4, b, sizeof b);
}

bool client_token_read(struct vault *v, struct str token, int64_t now_us, struct client_token *out)
{
    uint8_t b[CLIENT_BODY + MAC_IN_TOKEN];
    if (token.n != CLIENT_TOKEN_LEN || !str_starts(token, STR("rct_")) ||
        !hex_decode(str_from(token, 4), true, b, sizeof b) ||
        !mac_fits(v, "client", "", b, CLIENT_BODY))
        return false;
    memcpy(out->payment.b, b, 16);
    memcpy(out->merchant.b, b + 16, 16);
    out->live = b[32] == 1;
    out->expires_us = get_seconds(b + 33);
    return now_us < out->expires_us;
}

enum { TICKET_BODY = 5 * 16 + 1 + 8 };
_Static_assert(4 + 2 * (TICKET_BODY + MAC_IN_TOKEN) == SIGNED_TICKET_LEN, "ticket");

void signed_ticket_make(struct vault *v, const struct signed_ticket *t,
                        char out[SIGNED_TICKET_LEN + 1])
{
    uint8_t b[TICKET_BODY + MAC_IN_TOKEN];
    memcpy(b, t->id.b, 16);
    memcpy(b + 16, t->subject.b, 16);
    memcpy(b + 32, t->merchant.b, 16);
    memcpy(b + 48, t->session.b, 16);
    memcpy(b + 64, t->key.b, 16);
    b[80] = (uint8_t)(t->channel << 1 | (t->live ? 1 : 0));
    put_seconds(b + 81, t->expires_us);
    add_mac(v, "ticket", "", b, TICKET_BODY);
    memcpy(out, "wst_", 4);
    put_hex(out + 4, b, sizeof b);
}

bool signed_ticket_read(struct vault *v, struct str token, int64_t now_us,
                        struct signed_ticket *out)
{
    uint8_t b[TICKET_BODY + MAC_IN_TOKEN];
    if (token.n != SIGNED_TICKET_LEN || !str_starts(token, STR("wst_")) ||
        !hex_decode(str_from(token, 4), true, b, sizeof b) ||
        !mac_fits(v, "ticket", "", b, TICKET_BODY))
        return false;
    memcpy(out->id.b, b, 16);
    memcpy(out->subject.b, b + 16, 16);
    memcpy(out->merchant.b, b + 32, 16);
    memcpy(out->session.b, b + 48, 16);
    memcpy(out->key.b, b + 64, 16);
    out->channel = b[80] >> 1;
    out->live = (b[80] & 1) == 1;
    out->expires_us = get_seconds(b + 81);
    return now_us < out->expires_us;
}
