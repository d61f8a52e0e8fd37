/* AES-256-GCM: one vector of the format, and every byte of a sealed text is guarded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/crypto/aead.h"
#include "core/crypto/random.h"

static const uint8_t key_bytes[AEAD_KEY_LEN] = {0};

static struct aead_key *key_of(uint32_t number, const uint8_t bytes[AEAD_KEY_LEN])
{
    struct aead_key *k = NULL;
    assert_false(err_is(aead_key_new(number, bytes, &k)));
    assert_int_equal(aead_key_number(k), number);
    return k;
}

static void zeros(void *out, size_t n)
{
    memset(out, 0, n);
}

/* Test case 14 of the GCM specification (McGrew and Viega): key, nonce and text of zeros. */
static void the_format(void **state)
{
    (void)state;
    static const unsigned char want[] = {1,    0x01, 0x02, 0x03, 0x04, 0,    0,    0,    0,    0,
                                         0,    0,    0,    0,    0,    0,    0,    0xce, 0xa7, 0x40,
                                         0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba,
                                         0xf3, 0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b,
                                         0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
    struct aead_key *k = key_of(0x01020304, key_bytes);
    struct buf b;
    char plain[16] = {0};
    buf_init(&b, 100);
    random_source(zeros);
    assert_false(err_is(aead_seal(k, STR_NULL, str_n(plain, 16), &b)));
    random_source(NULL);
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    buf_free(&b);
    aead_key_free(k);
}

static void round_trips(void **state)
{
    (void)state;
    struct aead_key *k = key_of(7, key_bytes);
    char text[300];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    for (size_t n = 0; n <= sizeof text; n += n < 40 ? 1 : 65) {
        for (size_t bound = 0; bound < 3; bound++) {
            struct buf b;
            struct arena a;
            struct str plain;
            uint32_t number = 0;
            buf_init(&b, 1000);
            arena_init(&a, 1000);
            assert_false(err_is(aead_seal(k, str_n(text, bound * 20), str_n(text, n), &b)));
            assert_int_equal(b.n, n + AEAD_OVERHEAD);
            assert_true(aead_sealed_by(buf_view(&b), &number));
            assert_int_equal(number, 7);
            assert_false(err_is(aead_open(k, str_n(text, bound * 20), buf_view(&b), &a, &plain)));
            assert_true(str_eq(plain, str_n(text, n)));
            arena_free(&a);
            buf_free(&b);
        }
    }
    arena_trim();
    aead_key_free(k);
    aead_key_free(NULL);
}

static bool opens(struct aead_key *k, struct str bound, struct str sealed)
{
    struct arena a;
    struct str plain = STR("untouched");
    arena_init(&a, 4096);
    struct err e = aead_open(k, bound, sealed, &a, &plain);
    if (err_is(e)) {
        assert_int_equal(e.code, ERR_CRYPTO);
        assert_true(str_eq(plain, STR("untouched")));
    }
    arena_free(&a);
    return !err_is(e);
}

static void every_bit_is_guarded(void **state)
{
    (void)state;
    uint8_t other_bytes[AEAD_KEY_LEN] = {1};
    struct aead_key *k = key_of(7, key_bytes), *other = key_of(7, other_bytes),
                    *later = key_of(8, key_bytes);
    struct str bound = STR("payments.pii:0193");
    struct buf b;
    buf_init(&b, 1000);
    assert_false(err_is(aead_seal(k, bound, STR("+254700000000"), &b)));
    assert_true(opens(k, bound, buf_view(&b)));
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] = (char)(b.p[bit / 8] ^ (1 << bit % 8));
        assert_false(opens(k, bound, buf_view(&b)));
        b.p[bit / 8] = (char)(b.p[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t n = 0; n < b.n; n++)
        assert_false(opens(k, bound, str_n(b.p, n)));
    buf_char(&b, 0);
    assert_false(opens(k, bound, buf_view(&b)));
    b.n--;
    assert_false(opens(k, STR("payments.pii:0194"), buf_view(&b))); /* moved to another row */
    assert_false(opens(k, STR(""), buf_view(&b)));
    assert_false(opens(other, bound, buf_view(&b)));
    assert_false(opens(later, bound, buf_view(&b)));
    assert_true(opens(k, bound, buf_view(&b)));
    assert_false(opens(k, bound, STR_NULL));
    buf_free(&b);
    aead_key_free(k);
    aead_key_free(other);
    aead_key_free(later);
    arena_trim();
}

static void nonces_differ(void **state)
{
    (void)state;
    struct aead_key *k = key_of(7, key_bytes);
    struct buf a, b;
    buf_init(&a, 100);
    buf_init(&b, 100);
    assert_false(err_is(aead_seal(k, STR_NULL, STR("x"), &a)));
    assert_false(err_is(aead_seal(k, STR_NULL, STR("x"), &b)));
    assert_false(str_eq(buf_view(&a), buf_view(&b)));
    buf_free(&a);
    buf_free(&b);
    aead_key_free(k);
}

static void no_room(void **state)
{
    (void)state;
    struct aead_key *k = key_of(7, key_bytes);
    struct buf b;
    struct arena a;
    struct str plain;
    buf_init(&b, AEAD_OVERHEAD + 4);
    assert_int_equal(aead_seal(k, STR_NULL, STR("12345"), &b).code, ERR_LIMIT);
    assert_int_equal(b.n, 0);
    buf_reset(&b);
    assert_false(err_is(aead_seal(k, STR_NULL, STR("1234"), &b)));
    arena_init(&a, 4);
    assert_int_equal(aead_open(k, STR_NULL, buf_view(&b), &a, &plain).code, ERR_LIMIT);
    arena_free(&a);
    buf_free(&b);
    aead_key_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_format),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(every_bit_is_guarded),
        cmocka_unit_test(nonces_differ),
        cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
