/* Tokens and key sets as anybody may send them. The first byte chooses what the rest is:
 *
 *   'h', 'r', 'n'  a token, read as HS256, RS256, unsigned
 *   's'            "<header>\n<claims>", signed by hand as a good token would be
 *   'f'            claims of a Firebase token of the emulator
 *   'k'            a set of keys
 *
 * What is taken must be in the one form that there is for it, and carry what was signed. */
#include <stddef.h>
#include <stdint.h>

#include "core/base/secret.h"
#include "core/crypto/firebase.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define KEY "0123456789abcdef0123456789abcdef"

static const struct jwt_secret secret = {{"k1", 2}, {KEY, 32}};

static void check_text(struct str s, size_t max)
{
    ASSERT(s.p == NULL || (s.n > 0 && s.n <= max));
    for (size_t i = 0; i < s.n; i++)
        ASSERT((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

/* The parts decode and encode to themselves. */
static void check_form(struct str token, bool is_signed)
{
    struct arena a;
    struct str part;
    int n = 0;
    ASSERT(token.n <= JWT_MAX);
    arena_init(&a, 65536);
    while (str_split(&token, '.', &part)) {
        struct buf b;
        struct str bytes = base64url_decode(&a, part);
        ASSERT(bytes.p != NULL || (n == 2 && !is_signed && part.n == 0));
        buf_init(&b, JWT_MAX);
        base64url_add(&b, bytes);
        ASSERT(str_eq(buf_view(&b), part));
        buf_free(&b);
        n++;
    }
    ASSERT(n == 3);
    arena_free(&a);
}

static void check_claims(const struct json *claims)
{
    static const struct jwt_rules rules = {{"i", 1}, {"a", 1}, 1000, 60};
    int64_t s;
    ASSERT(json_kind(claims) == JSON_OBJ);
    if (jwt_seconds(claims, "exp", &s))
        ASSERT(s >= 0 && s < INT64_C(253402300800));
    check_text(jwt_text(claims, "sub", 128), 128);
    if (!err_is(jwt_check(claims, &rules)))
        ASSERT(jwt_seconds(claims, "exp", &s) && s > 940);
}

static void read_as(struct str token, enum jwt_alg alg)
{
    struct jwt t;
    struct err err = jwt_read(token, alg, &t);
    ASSERT(!err_is(err) || err.code == ERR_UNAUTHENTICATED);
    if (!err_is(err)) {
        check_form(token, alg != JWT_NONE);
        check_claims(t.claims);
        ASSERT((t.kid.n == 0) == (alg == JWT_NONE) && t.kid.n <= JWT_KID_MAX);
    }
    jwt_free(&t);
}

/* Nobody has the key: what is believed is what was signed below. */
static void verify(struct str token, struct str made)
{
    struct json *claims = NULL;
    if (err_is(jwt_verify_hs256(token, &secret, 1, &claims)))
        return;
    ASSERT(str_eq(token, made));
    check_form(token, true);
    check_claims(claims);
    json_free(claims);
}

static void sign(struct str rest)
{
    struct str header = STR_NULL, claims;
    struct buf b;
    uint8_t mac[SHA256_LEN];
    (void)str_split(&rest, '\n', &header);
    claims = rest;
    buf_init(&b, 65536);
    base64url_add(&b, header);
    buf_char(&b, '.');
    base64url_add(&b, claims);
    hmac_sha256_one(secret.key, buf_view(&b), mac);
    buf_char(&b, '.');
    base64url_add(&b, str_n((const char *)mac, sizeof mac));
    if (!b.failed)
        verify(buf_view(&b), buf_view(&b));
    buf_free(&b);
}

static void firebase(struct str claims)
{
    static const struct firebase_rules rules = {{"p", 1}, 1000, 60, true};
    struct firebase_token t;
    struct buf b;
    buf_init(&b, 65536);
    base64url_add(&b, STR("{\"alg\":\"none\"}"));
    buf_char(&b, '.');
    base64url_add(&b, claims);
    buf_char(&b, '.');
    struct err err = firebase_read(buf_view(&b), &rules, &t);
    if (!err_is(err)) {
        check_text(t.user.sub, FIREBASE_SUB_MAX);
        check_text(t.user.email, FIREBASE_EMAIL_MAX);
        check_text(t.user.name, FIREBASE_NAME_MAX);
        check_text(t.user.provider, FIREBASE_NAME_MAX);
        ASSERT(t.user.sub.n > 0 && (!t.user.email_verified || t.user.email.n > 0));
        ASSERT(t.user.auth_time_s <= 1060);
    }
    firebase_free(&t);
    buf_free(&b);
}

static void keys(struct str text)
{
    struct jwt_keys *k = NULL;
    struct err err = jwt_keys_parse(text, &k);
    ASSERT(err_is(err) == (k == NULL));
    ASSERT(jwt_keys_n(k) <= JWT_KEYS_MAX && (k == NULL || jwt_keys_n(k) > 0));
    jwt_keys_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool open;
    if (!open)
        ASSERT(!err_is(crypto_open()));
    open = true;
    if (n == 0)
        return 0;
    struct str rest = str_n((const char *)data + 1, n - 1);
    switch (data[0]) {
    case 'h':
        read_as(rest, JWT_HS256);
        verify(rest, STR_NULL);
        break;
    case 'r':
        read_as(rest, JWT_RS256);
        break;
    case 'n':
        read_as(rest, JWT_NONE);
        break;
    case 's':
        sign(rest);
        break;
    case 'f':
        firebase(rest);
        break;
    case 'k':
        keys(rest);
        break;
    default:
        return -1;
    }
    return 0;
}
