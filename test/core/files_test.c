/* Proves core/files.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "core/files.h"

static void test_shares(void **state)
{
    (void)state;
    long left_before = 0;
    struct files_share before = {0, 0};
    for (long limit = 256; limit <= 1 << 20; limit += limit / 64) {
        struct files_share s = files_share(limit);
        long left = limit - s.requests - s.sockets;
        assert_true(s.requests > 0 && s.sockets > 0);
        assert_true(left >= 64 + limit / 8 || left >= 4096); /* ours */
        assert_true(s.requests >= before.requests && s.sockets >= before.sockets);
        assert_true(left >= left_before);
        before = s;
        left_before = left;
    }
    struct files_share usual = files_share(20000), tiny = files_share(10);
    assert_true(usual.requests >= 4000 && usual.sockets >= 10000);
    assert_true(before.requests == 10000 && before.sockets == 100000);
    assert_true(tiny.requests > 0 && tiny.sockets > 0); /* it will not do, but it starts */
}

static void test_the_soft_limit_is_raised(void **state)
{
    struct rlimit r, low;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    low = r;
    low.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    long n = files_raise();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(low.rlim_cur == r.rlim_max);
    assert_true(n > 100 && n <= 1 << 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_the_soft_limit_is_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
