/* store/redis_url.c: what an operator may write, and what is refused rather than guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "store/redis_url.h"

static void good(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool is_unix;
        const char *host, *port, *user, *password;
        int db;
    } cases[] = {
        {"redis://localhost", false, "localhost", "6379", "", "", 0},
        {"redis://localhost/", false, "localhost", "6379", "", "", 0},
        {"redis://127.0.0.1:7000/3", false, "127.0.0.1", "7000", "", "", 3},
        {"redis://[::1]", false, "::1", "6379", "", "", 0},
        {"redis://[::1]:1/65535", false, "::1", "1", "", "", 65535},
        {"redis://:secret@h", false, "h", "6379", "", "secret", 0},
        {"redis://me:s%40c%3Aret%2f@h:65535", false, "h", "65535", "me", "s@c:ret/", 0},
        {"redis://m%65:a@b@h", false, "h", "6379", "me", "a@b", 0},
        {"unix:///run/redis.sock", true, "/run/redis.sock", "", "", "", 0},
        {"unix://rel/redis.sock?db=7", true, "rel/redis.sock", "", "", "", 7},
        {"unix:///a%20b%3f", true, "/a b?", "", "", "", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct redis_target t;
        struct err err = redis_target_parse(cases[i].url, &t);
        if (err_is(err))
            fail_msg("%s: %s", cases[i].url, err.what);
        assert_int_equal(t.is_unix, cases[i].is_unix);
        assert_string_equal(t.host, cases[i].host);
        assert_string_equal(t.port, cases[i].port);
        assert_string_equal(t.user, cases[i].user);
        assert_true(str_eq(secret_view(&t.password), str_c(cases[i].password)));
        assert_int_equal(t.db, cases[i].db);
        redis_target_free(&t);
        assert_null(t.password.p);
    }
}

static void bad(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "localhost",
        "redis:/h",
        "rediss://h",
        "REDIS://h",
        "http://h",
        "redis://",
        "redis:///1",
        "redis://:1",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:99999999999",
        "redis://h:-1",
        "redis://h:6379x",
        "redis://h/x",
        "redis://h/65536",
        "redis://h/-1",
        "redis://h/1/2",
        "redis://h?db=1",
        "redis://secret@h",
        "redis://u:@h",
        "redis://u:%zz@h",
        "redis://u:%4@h",
        "redis://u:%@h",
        "redis://u:a%00b@h",
        "redis://a b",
        "redis://h\n",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[]",
        "unix://",
        "unix://?db=1",
        "unix:///s?db=",
        "unix:///s?x=1",
        "unix:///s?db=1&x",
        "unix:///a%00b",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct redis_target t;
        struct err err = redis_target_parse(cases[i], &t);
        if (err.code != ERR_CONFIG)
            fail_msg("taken: %s", cases[i]);
        assert_null(t.password.p);
        assert_string_equal(t.host, "");
    }
}

static void limits(void **state)
{
    (void)state;
    char url[1024];
    struct redis_target t;
    for (int n = 1; n <= 260; n++) {
        snprintf(url, sizeof url, "redis://%.*s", n,
                 "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
                 "hhhhhhhhh"
                 "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
                 "hhhhhhhhh"
                 "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
                 "hhhhhhhhh");
        assert_int_equal(err_is(redis_target_parse(url, &t)), n > 253);
        redis_target_free(&t);
        memset(url, 'p', sizeof url);
        memcpy(url, "unix://", 7);
        url[7 + n] = '\0';
        /* a socket's path ends within 108 bytes, NUL included */
        assert_int_equal(err_is(redis_target_parse(url, &t)), n > 107);
        redis_target_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
