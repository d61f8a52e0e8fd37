/* CPay's signatures, from the provider's side. Source: providers/patterns.md, A1. */
#include <stdlib.h>
#include <string.h>

#include "core/base/secret.h"
#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/cpay.h"

/* The demo credentials; README.md shows them. The secret is 32 bytes of plain words. */
#define DEMO_KEY "cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE"
#define DEMO_WEBHOOK_SECRET "cpw_sandbox_webhook_secret"

#define NONCE_LIFE_US (10 * US_PER_MIN)

enum { NONCE_MIN = 16, NONCE_MAX = 64, SECRET_TEXT = 43 };

static const struct cpay_fault unknown_key = {401, "unknown_key", "CPay-Key", "No such key"};
static const struct cpay_fault bad_time = {401, "timestamp_out_of_range", "CPay-Timestamp",
                                           "The timestamp is not within 300 seconds of our clock"};
static const struct cpay_fault bad_nonce = {401, "signature_invalid", "CPay-Nonce",
                                            "The nonce is not 16 to 64 letters, digits, - or _"};
static const struct cpay_fault bad_signature = {401, "signature_invalid", "CPay-Signature",
                                                "The signature does not fit the request"};
static const struct cpay_fault used_nonce = {401, "nonce_reused", "CPay-Nonce",
                                             "The nonce was used before"};

/* base64url without padding, as secrets are shown. */
static bool secret_decode(struct str text, uint8_t out[CPAY_SECRET_LEN])
{
    char standard[SECRET_TEXT + 1];
    struct arena mem;
    if (text.n != SECRET_TEXT)
        return false;
    for (size_t i = 0; i < SECRET_TEXT; i++)
        standard[i] = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i];
    standard[SECRET_TEXT] = '=';
    arena_init(&mem, 1024);
    struct str plain = base64_decode(&mem, str_n(standard, sizeof standard));
    bool fine = plain.n == CPAY_SECRET_LEN;
    if (fine)
        memcpy(out, plain.p, CPAY_SECRET_LEN);
    arena_free(&mem);
    return fine;
}

static struct str text_or(const char *text, const char *otherwise)
{
    return str_c(text != NULL && text[0] != 0 ? text : otherwise);
}

struct err cpay_auth_open(struct cpay *c, const struct sandbox_options *o)
{
    struct str rest = text_or(o->cpay_api_key, DEMO_KEY), id;
    struct str hook = text_or(o->cpay_webhook_secret, DEMO_WEBHOOK_SECRET);
    (void)str_split(&rest, ':', &id);
    if (!str_starts(id, STR("cpk_")) || !cpay_id_fine(id, 5, CPAY_REFERENCE - 1) ||
        !str_starts(rest, STR("cps_")) || !secret_decode(str_from(rest, 4), c->secret))
        return ERR(CONFIG, "SANDBOX_CPAY_API_KEY is not cpk_…:cps_… with 32 bytes of base64url");
    if (!str_starts(hook, STR("cpw_")))
        return ERR(CONFIG, "SANDBOX_CPAY_WEBHOOK_SECRET does not begin with cpw_");
    c->key_id = strndup(id.p, id.n);
    c->webhook_secret = strndup(hook.p, hook.n);
    return c->key_id != NULL && c->webhook_secret != NULL ? ERR_OK : ERR(NO_MEMORY, "cpay");
}

void cpay_auth_close(struct cpay *c)
{
    free(c->key_id);
    free(c->webhook_secret);
}

bool cpay_id_fine(struct str s, size_t min, size_t max)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !ascii_is_alpha(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n >= min && s.n <= max;
}

/* ---- requests ---- */

static const char *method_word(enum http_method m)
{
    return m == HTTP_POST_ ? "POST" : m == HTTP_HEAD_ ? "HEAD" : "GET";
}

/* Five lines: method, path with query, time, nonce, hash of the body. */
static bool signature_fits(const struct cpay *c, const struct http_exchange *x, struct str time,
                           struct str nonce, struct str claimed)
{
    uint8_t hash[SHA256_LEN], mac[SHA256_LEN];
    struct buf want;
    buf_init(&want, 256);
    sha256_one(x->body, hash);
    hex_add(&want, str_n((const char *)hash, sizeof hash));
    const struct str parts[] = {str_c(method_word(x->method)),
                                STR("\n"),
                                x->path,
                                x->query.n > 0 ? STR("?") : STR(""),
                                x->query,
                                STR("\n"),
                                time,
                                STR("\n"),
                                nonce,
                                STR("\n"),
                                buf_view(&want)};
    hmac_sha256(str_n((const char *)c->secret, sizeof c->secret), parts, COUNT_OF(parts), mac);
    buf_reset(&want);
    buf_c(&want, "v1=");
    hex_add(&want, str_n((const char *)mac, sizeof mac));
    bool fits = !want.failed && secret_eq(buf_view(&want), claimed);
    buf_free(&want);
    return fits;
}

static bool in_time(const struct cpay *c, struct str time)
{
    int64_t tolerance_s = c->s->chaos.timestamp_tolerance_s, sent_s;
    int64_t now_s = loop_wall_us(c->s->loop) / US_PER_S;
    if (!str_is_digits(time) || time.n == 0 || time.n > 11 || !str_to_i64(time, &sent_s))
        return false;
    return tolerance_s == 0 || (sent_s >= now_s - tolerance_s && sent_s <= now_s + tolerance_s);
}

struct cpay_fault cpay_auth_check(struct cpay *c, const struct http_exchange *x)
{
    struct str time = http_header(x, STR("cpay-timestamp"));
    struct str nonce = http_header(x, STR("cpay-nonce"));
    int64_t now_us = loop_mono_us(c->s->loop);
    if (!str_eq(http_header(x, STR("cpay-key")), str_c(c->key_id)))
        return unknown_key;
    if (!in_time(c, time))
        return bad_time;
    if (!cpay_id_fine(nonce, NONCE_MIN, NONCE_MAX))
        return bad_nonce;
    if (!signature_fits(c, x, time, nonce, http_header(x, STR("cpay-signature"))))
        return bad_signature;
    if (memo_find(&c->nonces, nonce, now_us) != NULL)
        return used_nonce;
    (void)memo_add(&c->nonces, nonce, now_us + NONCE_LIFE_US);
    return (struct cpay_fault){0};
}
