/* Tokens: the one form that is taken, and every near miss that is not. Tokens are put together by
 * hand, so that the library does not judge its own work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "core/crypto/jwt.h"
#include "core/crypto/jwt_keys.h"
#include "test/crypto/certificate.h"
#include "test/crypto/token.h"

#define KEY_A "0123456789abcdef0123456789abcdef"
#define KEY_B "fedcba9876543210fedcba9876543210"

static const struct jwt_secret secrets[] = {
    {{"k1", 2}, {KEY_A, 32}},
    {{"k2", 2}, {KEY_B, 32}},
};
static const struct str key_a = {KEY_A, 32}, key_b = {KEY_B, 32};
static struct test_certificate cert, other;

static const struct str plain_claims = {"{\"sub\":\"u\",\"exp\":1}", 19};

static bool taken(struct str token)
{
    struct json *claims = NULL;
    struct err err = jwt_verify_hs256(token, secrets, COUNT_OF(secrets), &claims);
    assert_true(err_is(err) == (claims == NULL));
    assert_true(!err_is(err) || err.code == ERR_UNAUTHENTICATED);
    json_free(claims);
    assert_int_equal(ERR_peek_error(), 0);
    return !err_is(err);
}

static void ours(void **state)
{
    (void)state;
    struct buf b;
    struct json *claims = NULL;
    buf_init(&b, JWT_MAX);
    assert_false(err_is(jwt_sign_hs256(&b, STR("k1"), plain_claims, key_a)));
    assert_false(err_is(jwt_verify_hs256(buf_view(&b), secrets, COUNT_OF(secrets), &claims)));
    assert_true(str_eq(json_str(json_get(claims, "sub")), STR("u")));
    json_free(claims);
    /* the same token made by hand */
    struct test_token t;
    struct str header = str_first(buf_view(&b), str_find(buf_view(&b), '.', 0));
    struct arena a;
    arena_init(&a, 4096);
    token_hs256(&t, base64url_decode(&a, header), plain_claims, key_a);
    assert_true(str_eq(token_view(&t), buf_view(&b)));
    arena_free(&a);
    /* a key that is known, but not under this name; no keys */
    assert_int_equal(jwt_verify_hs256(buf_view(&b), &secrets[1], 1, &claims).code,
                     ERR_UNAUTHENTICATED);
    assert_int_equal(jwt_verify_hs256(buf_view(&b), NULL, 0, &claims).code, ERR_UNAUTHENTICATED);
    buf_reset(&b);
    assert_int_equal(jwt_sign_hs256(&b, STR("k1"), plain_claims, STR("short")).code, ERR_INVALID);
    assert_int_equal(jwt_sign_hs256(&b, STR(""), plain_claims, key_a).code, ERR_INVALID);
    assert_int_equal(jwt_sign_hs256(&b, STR("k\n"), plain_claims, key_a).code, ERR_INVALID);
    assert_int_equal(b.n, 0);
    buf_free(&b);
    /* RFC 7515, appendix A.1: right, but for its lack of a kid */
    struct jwt jwt;
    assert_true(err_is(jwt_read(STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                                    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leG"
                                    "FtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
                                    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                                JWT_HS256, &jwt)));
}

static void headers(void **state)
{
    (void)state;
    static const struct {
        bool right;
        const char *text;
    } cases[] = {
        {true, "{\"alg\":\"HS256\",\"kid\":\"k1\"}"},
        {true, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"},
        {true, " {\"kid\":\"k1\" , \"alg\":\"HS256\",\"x5t\":\"abc\"}\n"},
        {true, "{\"\\u0061lg\":\"HS256\",\"kid\":\"k\\u0031\"}"},
        {false, "{\"alg\":\"none\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"None\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"\",\"kid\":\"k1\"}"},
        {false, "{\"kid\":\"k1\"}"},
        {false, "{\"alg\":null,\"kid\":\"k1\"}"},
        {false, "{\"alg\":256,\"kid\":\"k1\"}"},
        {false, "{\"alg\":[\"HS256\"],\"kid\":\"k1\"}"},
        {false, "{\"alg\":{\"HS256\":1},\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"hs256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS256 \",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS384\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS512\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"RS256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"ES256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"PS256\",\"kid\":\"k1\"}"},
        {false, "{\"ALG\":\"HS256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS256\\u0000\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS256\",\"alg\":\"HS256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"none\",\"\\u0061lg\":\"HS256\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS256\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":null}"},
        {false, "{\"alg\":\"HS256\",\"kid\":1}"},
        {false, "{\"alg\":\"HS256\",\"kid\":[\"k1\"]}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k2\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k3\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"K1\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\\u0000\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\\n\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1' or '1'='1\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"kid\":\"k1\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"jwt\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":null}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":[\"exp\"]}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":[]}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":null}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"b64\":false}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"b64\":true}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"jku\":\"https://evil.example/k\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"x5u\":\"https://evil.example/c\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"x5c\":[\"MII\"]}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"zip\":\"DEF\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"enc\":\"A128GCM\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"cty\":\"JWT\"}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\"}{}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\",}"},
        {false, "{\"alg\":\"HS256\",\"kid\":\"k1\""},
        {false, "[{\"alg\":\"HS256\",\"kid\":\"k1\"}]"},
        {false, "\"HS256\""},
        {false, "null"},
        {false, "\xef\xbb\xbf{\"alg\":\"HS256\",\"kid\":\"k1\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_token t;
        token_hs256(&t, str_c(cases[i].text), plain_claims, key_a);
        if (taken(token_view(&t)) != cases[i].right)
            fail_msg("%s", cases[i].text);
    }
    /* a name of the longest, and one more */
    for (size_t n = JWT_KID_MAX; n <= JWT_KID_MAX + 1; n++) {
        struct test_token t;
        struct buf b;
        char kid[JWT_KID_MAX + 1];
        memset(kid, 'k', sizeof kid);
        struct jwt_secret secret = {str_n(kid, n), key_a};
        struct json *claims = NULL;
        buf_init(&b, 1024);
        buf_fmt(&b, "{\"alg\":\"HS256\",\"kid\":\"%.*s\"}", (int)n, kid);
        token_hs256(&t, buf_view(&b), plain_claims, key_a);
        assert_int_equal(err_is(jwt_verify_hs256(token_view(&t), &secret, 1, &claims)),
                         n > JWT_KID_MAX);
        json_free(claims);
        buf_free(&b);
    }
}

static const struct str right_header = {"{\"alg\":\"HS256\",\"kid\":\"k1\"}", 26};

static void payloads(void **state)
{
    (void)state;
    static const struct {
        bool right;
        const char *text;
    } cases[] = {
        {true, "{}"},
        {true, "{\"a\":{\"b\":1}}"},
        {false, "[]"},
        {false, "null"},
        {false, "\"x\""},
        {false, "{\"a\":1,\"a\":1}"},
        {false, "{\"a\":{\"b\":1,\"b\":2}}"},
        {false, "{\"a\":1e400}"},
        {false, "{\"a\":\"\\u0000\"}"},
        {false, "{\"a\":99999999999999999999}"},
        {false, "{} {}"},
        {false, "{'a':1}"},
        {false, "{\"a\":NaN}"},
        {false, "{\"a\":\"\xff\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_token t;
        token_hs256(&t, right_header, str_c(cases[i].text), key_a);
        if (taken(token_view(&t)) != cases[i].right)
            fail_msg("%s", cases[i].text);
    }
}

/* Every way to change one character, cut, double or lengthen a good token. */
static void every_change(void **state)
{
    (void)state;
    struct test_token t;
    char text[512];
    token_hs256(&t, right_header, plain_claims, key_a);
    assert_true(taken(token_view(&t)));
    assert_true(t.n + 8 < sizeof text);
    for (size_t i = 0; i < t.n; i++) {
        assert_false(taken(str_n(t.text, i)));
        assert_false(taken(str_n(t.text + i + 1, t.n - i - 1)));
        memcpy(text, t.text, t.n);
        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            assert_int_equal(taken(str_n(text, t.n)), text[i] == t.text[i]);
        }
    }
    static const char *const tails[] = {"=", ".", " ", "\n", "A", "AA", "==", ".AA", "%00", "\t"};
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        size_t n = strlen(tails[i]);
        memcpy(text, t.text, t.n);
        memcpy(text + t.n, tails[i], n);
        assert_false(taken(str_n(text, t.n + n)));
        memcpy(text, tails[i], n);
        memcpy(text + n, t.text, t.n);
        assert_false(taken(str_n(text, t.n + n)));
    }
    assert_false(taken(STR_NULL));
    assert_false(taken(STR("..")));
    assert_false(taken(STR("...")));
    /* the other key, under this one's name */
    token_hs256(&t, right_header, plain_claims, key_b);
    assert_false(taken(token_view(&t)));
    /* a mac cut short is no mac */
    struct buf b;
    uint8_t mac[SHA256_LEN];
    for (size_t n = 1; n <= SHA256_LEN; n++) {
        token_begin(&b, right_header, plain_claims);
        hmac_sha256_one(key_a, buf_view(&b), mac);
        token_end(&b, str_n((const char *)mac, n), &t);
        assert_int_equal(taken(token_view(&t)), n == SHA256_LEN);
    }
}

static void longest(void **state)
{
    (void)state;
    char claims[JWT_MAX];
    memset(claims, ' ', sizeof claims);
    claims[0] = '{';
    size_t largest = 0;
    for (size_t n = JWT_MAX * 3 / 4 - 100; n < JWT_MAX * 3 / 4; n++) {
        struct test_token t;
        claims[n - 1] = '}';
        token_hs256(&t, right_header, str_n(claims, n), key_a);
        claims[n - 1] = ' ';
        assert_int_equal(taken(token_view(&t)), t.n <= JWT_MAX);
        if (t.n <= JWT_MAX)
            largest = t.n;
    }
    assert_true(largest >= JWT_MAX - 1);
}

/* ---- keys of others ---- */

static struct jwt_keys *keys_of(const char *text)
{
    struct jwt_keys *k = NULL;
    struct err err = jwt_keys_parse(str_c(text), &k);
    assert_true(err_is(err) == (k == NULL));
    assert_int_equal(ERR_peek_error(), 0);
    return k;
}

/* PEM as JSON has it. */
static void add_pem(struct buf *b, const char *pem)
{
    for (; *pem != '\0'; pem++)
        if (*pem == '\n')
            buf_c(b, "\\n");
        else
            buf_char(b, *pem);
}

static void add_jwk(struct buf *b, const char *kid, const EVP_PKEY *key, const char *more)
{
    unsigned char number[1024];
    BIGNUM *n = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &n), 1);
    int len = BN_bn2bin(n, number);
    BN_free(n);
    buf_fmt(b, "{\"kid\":\"%s\",\"kty\":\"RSA\",\"e\":\"AQAB\"%s,\"n\":\"", kid, more);
    base64url_add(b, str_n((const char *)number, (size_t)len));
    buf_c(b, "\"}");
}

static struct err rs256(struct str token, const struct jwt_keys *keys)
{
    struct jwt t;
    TRY(jwt_read(token, JWT_RS256, &t));
    const struct jwt_key *key = jwt_keys_find(keys, t.kid);
    struct err err = key != NULL ? jwt_signed_by(&t, key) : ERR(NOT_FOUND, "kid");
    jwt_free(&t);
    assert_int_equal(ERR_peek_error(), 0);
    return err;
}

static void signatures_checked(const struct jwt_keys *keys)
{
    static const struct str header = {"{\"alg\":\"RS256\",\"kid\":\"one\",\"typ\":\"JWT\"}", 39};
    struct test_token t;
    token_rsa(&t, header, plain_claims, cert.key, EVP_sha256());
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_NONE);
    t.text[t.n / 2] ^= 1;
    assert_true(err_is(rs256(token_view(&t), keys)));
    token_rsa(&t, header, plain_claims, other.key, EVP_sha256());
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_UNAUTHENTICATED);
    token_rsa(&t, header, plain_claims, cert.key, EVP_sha512());
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_UNAUTHENTICATED);
    token_rsa(&t, STR("{\"alg\":\"RS256\",\"kid\":\"two\"}"), plain_claims, cert.key, EVP_sha256());
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_NOT_FOUND);
    token_rsa(&t, STR("{\"alg\":\"RS384\",\"kid\":\"one\"}"), plain_claims, cert.key, EVP_sha384());
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_UNAUTHENTICATED);
    /* the public key as the key of an HMAC */
    token_hs256(&t, STR("{\"alg\":\"HS256\",\"kid\":\"one\"}"), plain_claims, str_c(cert.pem));
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_UNAUTHENTICATED);
    token_hs256(&t, header, plain_claims, str_c(cert.pem));
    assert_int_equal(rs256(token_view(&t), keys).code, ERR_UNAUTHENTICATED);
}

static void certificates(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 65536);
    buf_c(&b, "{\"one\":\"");
    add_pem(&b, cert.pem);
    buf_c(&b, "\",\"rubbish\":\"x\",\"number\":7}");
    buf_char(&b, '\0');
    struct jwt_keys *keys = keys_of(b.p);
    assert_int_equal(jwt_keys_n(keys), 1);
    signatures_checked(keys);
    jwt_keys_free(keys);
    buf_free(&b);
}

static void jwk_sets(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 65536);
    buf_c(&b, "{\"keys\":[");
    add_jwk(&b, "one", cert.key, ",\"alg\":\"RS256\",\"use\":\"sig\"");
    buf_c(&b, ",{\"kid\":\"ec\",\"kty\":\"EC\"},7,null]}");
    buf_char(&b, '\0');
    struct jwt_keys *keys = keys_of(b.p);
    assert_int_equal(jwt_keys_n(keys), 1);
    signatures_checked(keys);
    jwt_keys_free(keys);
    static const char *const refused[] = {
        ",\"alg\":\"RS512\"", ",\"alg\":\"HS256\"", ",\"use\":\"enc\"",
        ",\"alg\":null",      ",\"d\":\"AQAB\"",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        buf_reset(&b);
        buf_c(&b, "{\"keys\":[");
        add_jwk(&b, "one", cert.key, refused[i]);
        buf_c(&b, "]}");
        buf_char(&b, '\0');
        assert_null(keys_of(b.p));
    }
    /* two of one name */
    buf_reset(&b);
    buf_c(&b, "{\"keys\":[");
    add_jwk(&b, "one", cert.key, "");
    buf_char(&b, ',');
    add_jwk(&b, "one", other.key, "");
    buf_c(&b, "]}");
    buf_char(&b, '\0');
    assert_null(keys_of(b.p));
    buf_free(&b);
}

static void bad_sets(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "[]",
        "{}",
        "null",
        "<html>",
        "{\"keys\":[]}",
        "{\"keys\":{}}",
        "{\"error\":\"x\"}",
        "{\"one\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\"}",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_null(keys_of(cases[i]));
    assert_int_equal(jwt_keys_n(NULL), 0);
    assert_null(jwt_keys_find(NULL, STR("one")));
    jwt_keys_free(NULL);
}

/* Keys that are weak or of another kind do not count. */
static void weak_keys(void **state)
{
    (void)state;
    static const struct {
        int bits;
        bool right;
    } cases[] = {{1024, false}, {2040, false}, {2048, true}, {2056, true}};
    for (size_t i = 0; i < COUNT_OF(cases) + 1; i++) {
        struct test_certificate c;
        bool rsa = i < COUNT_OF(cases);
        bool right = rsa && cases[i].right;
        certificate_sign(&c, rsa ? EVP_RSA_gen((unsigned)cases[i].bits) : EVP_EC_gen("P-256"));
        struct buf b;
        buf_init(&b, 65536);
        buf_c(&b, "{\"one\":\"");
        add_pem(&b, c.pem);
        buf_c(&b, "\"}");
        buf_char(&b, '\0');
        struct jwt_keys *keys = keys_of(b.p);
        assert_int_equal(jwt_keys_n(keys), right);
        jwt_keys_free(keys);
        if (rsa) {
            buf_reset(&b);
            buf_c(&b, "{\"keys\":[");
            add_jwk(&b, "one", c.key, "");
            buf_c(&b, "]}");
            buf_char(&b, '\0');
            keys = keys_of(b.p);
            assert_int_equal(jwt_keys_n(keys), right);
            jwt_keys_free(keys);
        }
        buf_free(&b);
        certificate_free(&c);
    }
}

static void unsigned_tokens(void **state)
{
    (void)state;
    static const struct {
        enum jwt_alg alg;
        bool right;
        const char *header, *tail;
    } cases[] = {
        {JWT_NONE, true, "{\"alg\":\"none\",\"typ\":\"JWT\"}", "."},
        {JWT_NONE, false, "{\"alg\":\"none\",\"typ\":\"JWT\"}", ""},
        {JWT_NONE, false, "{\"alg\":\"none\",\"typ\":\"JWT\"}", ".AA"},
        {JWT_NONE, false, "{\"alg\":\"none\",\"kid\":\"k1\"}", "."},
        {JWT_NONE, false, "{\"alg\":\"NONE\"}", "."},
        {JWT_NONE, false, "{\"alg\":\"HS256\"}", "."},
        {JWT_HS256, false, "{\"alg\":\"none\"}", "."},
        {JWT_HS256, false, "{\"alg\":\"none\",\"kid\":\"k1\"}", "."},
        {JWT_HS256, false, "{\"alg\":\"HS256\",\"kid\":\"k1\"}", "."},
        {JWT_RS256, false, "{\"alg\":\"none\",\"kid\":\"k1\"}", "."},
        {JWT_RS256, false, "{\"alg\":\"RS256\",\"kid\":\"k1\"}", "."},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        struct jwt t;
        token_begin(&b, str_c(cases[i].header), plain_claims);
        buf_c(&b, cases[i].tail);
        assert_int_equal(err_is(jwt_read(buf_view(&b), cases[i].alg, &t)), !cases[i].right);
        jwt_free(&t);
        buf_free(&b);
    }
}

/* ---- claims ---- */

static bool claims_right(const char *text)
{
    static const struct jwt_rules rules = {{"reli", 4}, {"api", 3}, 1000, 60};
    struct json *j = NULL;
    assert_false(err_is(json_parse(str_c(text), &j, NULL)));
    bool right = !err_is(jwt_check(j, &rules));
    json_free(j);
    return right;
}

#define NAMES "\"iss\":\"reli\",\"aud\":\"api\",\"sub\":\"u\""

static void claims(void **state)
{
    (void)state;
    static const struct {
        bool right;
        const char *text;
    } cases[] = {
        {true, "{" NAMES ",\"exp\":2000,\"iat\":1000}"},
        {true, "{" NAMES ",\"exp\":941,\"iat\":0}"},
        {false, "{" NAMES ",\"exp\":940,\"iat\":0}"},
        {true, "{" NAMES ",\"exp\":2000,\"iat\":1060}"},
        {false, "{" NAMES ",\"exp\":2000,\"iat\":1061}"},
        {true, "{" NAMES ",\"exp\":2000,\"iat\":1,\"nbf\":1060}"},
        {false, "{" NAMES ",\"exp\":2000,\"iat\":1,\"nbf\":1061}"},
        {false, "{" NAMES ",\"exp\":2000,\"iat\":1,\"nbf\":null}"},
        {false, "{" NAMES ",\"exp\":2000}"},
        {false, "{" NAMES ",\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":\"2000\",\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":2000.0,\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":2e3,\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":true,\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":2000,\"iat\":-1}"},
        {false, "{" NAMES ",\"exp\":-2000,\"iat\":1}"},
        {true, "{" NAMES ",\"exp\":253402300799,\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":253402300800,\"iat\":1}"},
        {false, "{" NAMES ",\"exp\":9223372036854775807,\"iat\":1}"},
        {false, "{\"iss\":\"relix\",\"aud\":\"api\",\"sub\":\"u\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"aud\":\"api\",\"sub\":\"u\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":[\"api\"],\"sub\":\"u\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":\"ap\",\"sub\":\"u\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":\"api\",\"sub\":\"\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":\"api\",\"sub\":7,\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":\"api\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":\"api\",\"sub\":\"a\\nb\",\"exp\":2000,\"iat\":1}"},
        {false, "{\"iss\":\"reli\",\"aud\":\"api\",\"sub\":\"a\\u007f\",\"exp\":2000,\"iat\":1}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (claims_right(cases[i].text) != cases[i].right)
            fail_msg("%s", cases[i].text);
    struct json *j = NULL;
    assert_false(err_is(json_parse(STR("{\"s\":\"abc\"}"), &j, NULL)));
    assert_true(str_eq(jwt_text(j, "s", 3), STR("abc")));
    assert_null(jwt_text(j, "s", 2).p);
    assert_null(jwt_text(j, "t", 2).p);
    json_free(j);
}

static int begin(void **state)
{
    (void)state;
    certificate_new(&cert);
    certificate_new(&other);
    return err_is(crypto_open());
}

static int end(void **state)
{
    (void)state;
    certificate_free(&cert);
    certificate_free(&other);
    crypto_close();
    arena_trim();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours),      cmocka_unit_test(headers),
        cmocka_unit_test(payloads),  cmocka_unit_test(every_change),
        cmocka_unit_test(longest),   cmocka_unit_test(certificates),
        cmocka_unit_test(jwk_sets),  cmocka_unit_test(bad_sets),
        cmocka_unit_test(weak_keys), cmocka_unit_test(unsigned_tokens),
        cmocka_unit_test(claims),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
