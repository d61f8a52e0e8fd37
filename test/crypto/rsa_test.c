/* Encryption to a certificate: every spelling of it opens with its key, everything else is refused,
 * and nothing of it stays in OpenSSL's error queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "core/crypto/rsa.h"
#include "test/crypto/certificate.h"

static struct test_certificate cert;
static struct arena mem;

static void assert_opens(struct str certificate, struct str plain)
{
    struct str sealed;
    struct err err = rsa_seal(&mem, certificate, plain, &sealed);
    if (err_is(err))
        fail_msg("%s", err.what);
    assert_int_equal(sealed.n, 256);
    assert_true(str_eq(certificate_open(&cert, &mem, sealed), plain));
    assert_int_equal(ERR_peek_error(), 0);
}

static struct str der(void)
{
    return str_n((const char *)cert.der, cert.der_n);
}

/* Base64 in lines of 76, as mail programs and people make it. */
static struct str in_lines(struct str text)
{
    struct buf b;
    buf_init(&b, 16384);
    for (size_t i = 0; i < text.n; i += 76) {
        buf_str(&b, str_first(str_from(text, i), 76));
        buf_c(&b, "\r\n");
    }
    struct str copy = arena_dup(&mem, buf_view(&b));
    buf_free(&b);
    return copy;
}

static void spellings(void **state)
{
    (void)state;
    struct str plain = STR("Pa55#word&");
    struct str base64 = base64_text(&mem, der());
    assert_opens(str_c(cert.pem), plain);
    assert_opens(arena_fmt(&mem, "words before\n%s\nand after", cert.pem), plain);
    assert_opens(der(), plain);
    assert_opens(base64, plain);
    assert_opens(in_lines(base64), plain);
    assert_opens(arena_fmt(&mem, " %.*s\n", STR_ARG(base64)), plain);
}

static void lengths(void **state)
{
    (void)state;
    struct str sealed, long_one = arena_fmt(&mem, "%0300d", 7);
    assert_opens(der(), str_first(long_one, 1));
    assert_opens(der(), str_first(long_one, 245));
    assert_int_equal(rsa_seal(&mem, der(), str_first(long_one, 246), &sealed).code, ERR_INVALID);
    assert_int_equal(rsa_seal(&mem, der(), STR(""), &sealed).code, ERR_INVALID);
}

static void random_each_time(void **state)
{
    (void)state;
    struct str a, b;
    assert_false(err_is(rsa_seal(&mem, der(), STR("secret"), &a)));
    assert_false(err_is(rsa_seal(&mem, der(), STR("secret"), &b)));
    assert_false(str_eq(a, b));
}

static void refused(void **state)
{
    (void)state;
    struct str sealed, base64 = base64_text(&mem, der());
    struct str cases[] = {
        STR(""),
        STR("x"),
        STR("M"),
        STR("MIIB"),
        STR("0"),
        STR("-----BEGIN CERTIFICATE-----"),
        STR("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        /* OpenSSL would ask the terminal for its password */
        STR("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
            "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
            "-----END CERTIFICATE-----\n"),
        str_first(der(), cert.der_n - 1),
        str_first(der(), 10),
        str_first(base64, base64.n - 4),
        arena_fmt(&mem, "%070000d", 0),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = rsa_seal(&mem, cases[i], STR("secret"), &sealed);
        if (err.code != ERR_INVALID || ERR_peek_error() != 0)
            fail_msg("case %zu: %d %s", i, err.code, err.what);
    }
}

static void other_keys(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_RSA_gen(1024)};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct test_certificate c;
        struct str sealed;
        certificate_sign(&c, keys[i]);
        assert_int_equal(rsa_seal(&mem, str_c(c.pem), STR("secret"), &sealed).code, ERR_INVALID);
        certificate_free(&c);
    }
}

static void small_arena(void **state)
{
    (void)state;
    struct arena small;
    struct str sealed;
    arena_init(&small, 64);
    assert_int_equal(rsa_seal(&small, der(), STR("secret"), &sealed).code, ERR_NO_MEMORY);
    assert_int_equal(rsa_seal(&small, base64_text(&mem, der()), STR("secret"), &sealed).code,
                     ERR_INVALID);
    arena_free(&small);
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
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    certificate_new(&cert);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    certificate_free(&cert);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(spellings), T(lengths), T(random_each_time), T(refused), T(other_keys), T(small_arena),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
