/* A key of our own: what is sealed for its certificate opens, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "core/crypto/rsa.h"
#include "core/crypto/rsa_key.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
