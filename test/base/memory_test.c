/* Buffers, arenas, secrets, counted bytes: limits are kept, and nothing is written beyond them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/arena.h"
#include "core/base/blob.h"
#include "core/base/buf.h"
#include "core/base/secret.h"

static void buf_appends(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_view(&b).n, 0);
    buf_str(&b, STR("ab"));
    buf_c(&b, "cd");
    buf_char(&b, 'e');
    buf_add(&b, NULL, 0);
    buf_str(&b, STR_NULL);
    buf_i64(&b, INT64_MIN);
    buf_char(&b, ' ');
    buf_i64(&b, INT64_MAX);
    buf_char(&b, ' ');
    buf_i64(&b, 0);
    buf_fmt(&b, " %d-%s", 7, "x");
    assert_true(str_eq(buf_view(&b), STR("abcde-9223372036854775808 9223372036854775807 0 7-x")));
    buf_reset(&b);
    buf_be16(&b, 0x0102);
    buf_be32(&b, 0x03040506);
    buf_be64(&b, UINT64_C(0x0708090a0b0c0d0e));
    assert_int_equal(b.n, 14);
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(b.p[i], i + 1);
    buf_consume(&b, 13);
    assert_int_equal(b.n, 1);
    assert_int_equal(b.p[0], 14);
    buf_consume(&b, 1);
    assert_int_equal(b.n, 0);
    buf_free(&b);
    buf_free(&b);
}

/* For each limit, bytes one by one: exactly `limit` fit. */
static void buf_keeps_its_limit(void **state)
{
    (void)state;
    static const size_t limits[] = {1, 2, 255, 256, 257, 511, 512, 513, 1000};
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct buf b;
        buf_init(&b, limits[i]);
        for (size_t k = 0; k < limits[i]; k++)
            buf_char(&b, (char)('a' + k % 26));
        assert_false(b.failed);
        assert_true(b.cap <= limits[i]);
        buf_char(&b, '!');
        assert_true(b.failed);
        assert_int_equal(b.n, limits[i]);
        buf_char(&b, '!'); /* what comes after is dropped too */
        assert_null(buf_room(&b, 0));
        assert_int_equal(b.n, limits[i]);
        for (size_t k = 0; k < limits[i]; k++)
            assert_int_equal(b.p[k], 'a' + k % 26);
        buf_reset(&b);
        assert_false(b.failed);
        buf_add(&b, "x", 1);
        assert_int_equal(b.n, 1);
        assert_null(buf_room(&b, SIZE_MAX));
        assert_true(b.failed);
        buf_free(&b);
        assert_int_equal(b.limit, limits[i]);
    }
    struct buf b; /* a long piece fails whole */
    buf_init(&b, 10);
    buf_str(&b, STR("12345678901"));
    assert_true(b.failed);
    assert_int_equal(b.n, 0);
    buf_free(&b);
}

/* A guess: what is too much is no failure, and what comes may be more or less. */
static void buf_expects(void **state)
{
    (void)state;
    for (size_t guess = 0; guess < 40; guess++) {
        struct buf b;
        buf_init(&b, 30);
        buf_c(&b, "0123456789");
        buf_expect(&b, guess);
        assert_true(!b.failed && b.n == 10);
        buf_c(&b, "01234567890123456789");
        assert_true(!b.failed && b.n == 30);
        buf_expect(&b, 1);
        assert_false(b.failed);
        buf_free(&b);
    }
}

static void buf_formats_long_texts(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 2000);
    buf_fmt(&b, "%01000d", 5);
    assert_int_equal(b.n, 1000);
    assert_int_equal(b.p[0], '0');
    assert_int_equal(b.p[999], '5');
    buf_fmt(&b, "%01500d", 5);
    assert_true(b.failed);
    assert_int_equal(b.n, 1000);
    buf_free(&b);
}

static void arena_caps(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    for (int i = 0; i < 64; i++)
        assert_non_null(arena_alloc(&a, 16));
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_alloc(&a, 0));
    assert_int_equal(a.used, 1024);
    arena_free(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 1024)); /* can be used again */
    assert_null(arena_alloc(&a, 1));
    arena_free(&a);
    assert_null(arena_alloc(&a, 1025));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_dup(&a, str_n("x", 1024)).p);
    arena_free(&a);
    arena_free(&a);
    struct arena zero = {0};
    arena_free(&zero);
    arena_trim();
}

static void arena_gives_clean_aligned_memory(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < 20000; n = n * 2 + 1) {
            unsigned char *p = arena_alloc(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xa5, n); /* a recycled chunk must be clean again */
        }
        arena_free(&a);
    }
    arena_trim();
}

static void arena_texts(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 4096);
    char text[] = "hello";
    struct str copy = arena_dup(&a, str_c(text));
    text[0] = 'j';
    assert_string_equal(copy.p, "hello");
    assert_int_equal(copy.n, 5);
    struct str none = arena_dup(&a, STR_NULL);
    assert_non_null(none.p);
    assert_int_equal(none.n, 0);
    assert_string_equal(arena_fmt(&a, "%s-%d", "a", 5).p, "a-5");
    assert_null(arena_fmt(&a, "%05000d", 1).p);
    arena_free(&a);
    arena_trim();
}

static void secrets(void **state)
{
    (void)state;
    struct secret s = {0};
    secret_free(&s);
    assert_false(err_is(secret_set(&s, STR("k\0y"))));
    assert_int_equal(s.n, 3);
    assert_true(secret_eq(secret_view(&s), STR("k\0y")));
    secret_free(&s);
    assert_null(s.p);
    assert_int_equal(s.n, 0);
    assert_false(err_is(secret_set(&s, STR_NULL)));
    assert_int_equal(s.n, 0);
    secret_free(&s);
    assert_true(secret_eq(STR(""), STR_NULL));
    assert_false(secret_eq(STR("a"), STR("ab")));
    char a[33], b[33]; /* each bit counts */
    memset(a, 'x', sizeof a);
    for (size_t bit = 0; bit < sizeof a * 8; bit++) {
        memcpy(b, a, sizeof a);
        b[bit / 8] = (char)(b[bit / 8] ^ (1 << bit % 8));
        assert_false(secret_eq(str_n(a, sizeof a), str_n(b, sizeof b)));
    }
}

static void blobs(void **state)
{
    (void)state;
    struct blob *b = blob_new(STR("frame"));
    assert_non_null(b);
    assert_true(blob_ref(b) == b);
    blob_unref(b);
    assert_int_equal(b->n, 5);
    assert_memory_equal(b->p, "frame", 5);
    blob_unref(b);
    blob_unref(NULL);
    b = blob_new(STR_NULL);
    assert_int_equal(b->n, 0);
    blob_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_appends), cmocka_unit_test(buf_keeps_its_limit),
        cmocka_unit_test(buf_expects), cmocka_unit_test(buf_formats_long_texts),
        cmocka_unit_test(arena_caps),  cmocka_unit_test(arena_gives_clean_aligned_memory),
        cmocka_unit_test(arena_texts), cmocka_unit_test(secrets),
        cmocka_unit_test(blobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
