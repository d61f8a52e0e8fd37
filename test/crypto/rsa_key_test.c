/* A key of our own: what is sealed for its certificate opens, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "core/crypto/jwt.h"
#include "core/crypto/jwt_keys.h"
#include "core/crypto/rsa.h"
#include "core/crypto/rsa_key.h"
#include "core/crypto/text.h"

static struct arena mem;

static void opens_what_was_sealed(void **state)
{
    struct rsa_key *key, *other;
    struct buf pem;
    struct str sealed, plain = STR_NULL;
    (void)state;
    buf_init(&pem, 8192);
    assert_int_equal(rsa_key_new(&key).code, ERR_NONE);
    assert_int_equal(rsa_key_new(&other).code, ERR_NONE);
    assert_int_equal(rsa_key_certificate(key, STR("a name"), &pem).code, ERR_NONE);
    assert_true(str_starts(buf_view(&pem), STR("-----BEGIN CERTIFICATE-----\n")));
    assert_int_equal(rsa_seal(&mem, buf_view(&pem), STR("Pa55#word&"), &sealed).code, ERR_NONE);
    assert_int_equal(sealed.n, 256);
    assert_int_equal(rsa_key_open(key, &mem, sealed, &plain).code, ERR_NONE);
    assert_true(str_eq(plain, STR("Pa55#word&")));
    /* another key, a byte less, nothing at all; implicit rejection may answer with rubbish */
    const struct {
        const struct rsa_key *key;
        struct str sealed;
    } strange[] = {{other, sealed}, {key, str_first(sealed, 255)}, {key, STR("")}};
    for (size_t i = 0; i < COUNT_OF(strange); i++) {
        plain = STR_NULL;
        struct err err = rsa_key_open(strange[i].key, &mem, strange[i].sealed, &plain);
        assert_true(err.code == ERR_INVALID || !str_eq(plain, STR("Pa55#word&")));
    }
    assert_int_equal(ERR_peek_error(), 0);
    rsa_key_free(key);
    rsa_key_free(other);
    rsa_key_free(NULL);
    buf_free(&pem);
}

static void a_certificate_needs_room(void **state)
{
    struct rsa_key *key;
    struct buf pem;
    (void)state;
    buf_init(&pem, 100);
    assert_int_equal(rsa_key_new(&key).code, ERR_NONE);
    assert_int_equal(rsa_key_certificate(key, STR("a name"), &pem).code, ERR_NO_MEMORY);
    rsa_key_free(key);
    buf_free(&pem);
}

/* A token of its own opens with what it publishes: as a certificate and as a JSON Web Key. */
static void signs(void **state)
{
    struct rsa_key *key, *other;
    struct buf token, sets[2];
    struct str signature;
    (void)state;
    assert_int_equal(rsa_key_new(&key).code, ERR_NONE);
    assert_int_equal(rsa_key_new(&other).code, ERR_NONE);
    buf_init(&token, 4096);
    base64url_add(&token, STR("{\"alg\":\"RS256\",\"kid\":\"one\"}"));
    buf_char(&token, '.');
    base64url_add(&token, STR("{\"sub\":\"u\"}"));
    assert_int_equal(rsa_key_sign(key, &mem, buf_view(&token), &signature).code, ERR_NONE);
    assert_int_equal(signature.n, 256);
    buf_char(&token, '.');
    base64url_add(&token, signature);
    buf_init(&sets[0], 8192);
    buf_init(&sets[1], 8192);
    buf_c(&sets[0], "{\"keys\":[");
    assert_int_equal(rsa_key_jwk(key, STR("one"), &sets[0]).code, ERR_NONE);
    buf_c(&sets[0], "]}");
    buf_c(&sets[1], "{\"keys\":[");
    assert_int_equal(rsa_key_jwk(other, STR("one"), &sets[1]).code, ERR_NONE);
    buf_c(&sets[1], "]}");
    for (int i = 0; i < 2; i++) {
        struct jwt_keys *keys;
        struct jwt t;
        assert_int_equal(jwt_keys_parse(buf_view(&sets[i]), &keys).code, ERR_NONE);
        assert_int_equal(jwt_read(buf_view(&token), JWT_RS256, &t).code, ERR_NONE);
        assert_int_equal(jwt_signed_by(&t, jwt_keys_find(keys, STR("one"))).code,
                         i == 0 ? ERR_NONE : ERR_UNAUTHENTICATED);
        jwt_free(&t);
        jwt_keys_free(keys);
        buf_free(&sets[i]);
    }
    buf_free(&token);
    rsa_key_free(key);
    rsa_key_free(other);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&mem, 1024 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&mem);
    arena_trim();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_what_was_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_certificate_needs_room, setup, teardown),
        cmocka_unit_test_setup_teardown(signs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
