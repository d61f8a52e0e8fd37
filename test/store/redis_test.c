/* store/redis.c against a scripted server in the same loop: what a Redis that is gone, mute, wrong
 * or hostile does to us. Every case ends with a good reply on a new connection: nothing stays
 * broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/store/redis_fake.h"

enum { BIG = 1100 * 1024, IN_FLIGHT = 10000, MOST = 9000 };

/* ---- commands ---- */

static char big[BIG];

static void replies(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum err_code code;
        const char *text;
        int64_t i64;
        bool nil, breaks; /* the connection */
    } cases[] = {
        {"$5\r\nhello\r\n", ERR_NONE, "hello", 0, false, false},
        {"$0\r\n\r\n", ERR_NONE, "", 0, false, false},
        {"+OK\r\n", ERR_NONE, "OK", 0, false, false},
        {":-42\r\n", ERR_NONE, "", -42, false, false},
        {"$-1\r\n", ERR_NONE, "", 0, true, false},
        {"*-1\r\n", ERR_NONE, "", 0, true, false},
        {"-NOSCRIPT none\r\n", ERR_FAILED, "NOSCRIPT none", 0, false, false},
        {"*2\r\n:1\r\n*1\r\n:2\r\n", ERR_FAILED, "", 0, false, false},
        {"*0\r\n", ERR_FAILED, "", 0, false, false},
        /* more than was asked for */
        {":1\r\n:2\r\n", ERR_NONE, "", 1, false, true},
        {":1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", ERR_NONE, "", 1, false, true},
        {":1\r\n-ERR too much\r\n", ERR_NONE, "", 1, false, true},
        /* no protocol, or too much of it */
        {"HTTP/1.1 400 Bad Request\r\n\r\n", ERR_UNAVAILABLE, "", 0, false, true},
        {"$x\r\n", ERR_UNAVAILABLE, "", 0, false, true},
        {"$-2\r\n", ERR_UNAVAILABLE, "", 0, false, true},
        {":99999999999999999999\r\n", ERR_UNAVAILABLE, "", 0, false, true},
        {"*4097\r\n", ERR_UNAVAILABLE, "", 0, false, true},
        {"*2147483647\r\n", ERR_UNAVAILABLE, "", 0, false, true},
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", ERR_UNAVAILABLE, "", 0,
         false, true},
        {big, ERR_UNAVAILABLE, "", 0, false, true},
        /* half of one */
        {"$5\r\nhel", ERR_UNAVAILABLE, "", 0, false, true},
        {NULL, ERR_UNAVAILABLE, "", 0, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loop *l = start();
        struct fake f;
        fake_open(&f, l);
        struct redis *r;
        assert_false(err_is(redis_new(l, f.url, &r)));
        wait_for(l, is_up, r);
        struct result got = {.l = l}, again = {.l = l};
        f.answer = str_c(cases[i].answer);
        get(r, &got);
        wait_for(l, has_result, &got);
        if (got.code != cases[i].code)
            fail_msg("case %zu: %s", i, err_word(got.code));
        assert_int_equal(got.i64, cases[i].i64);
        assert_int_equal(got.nil, cases[i].nil);
        assert_string_equal(got.text, cases[i].text);
        if (cases[i].breaks)
            wait_for(l, is_down, r);
        f.answer = STR(":99\r\n");
        wait_for(l, is_up, r);
        get(r, &again);
        wait_for(l, has_result, &again);
        assert_int_equal(again.i64, 99);
        assert_int_equal(f.n_peers, cases[i].breaks ? 2 : 1);
        assert_int_equal(got.n, 1);
        redis_free(r);
        fake_close(&f);
        stop(l);
    }
}

static void hang_up_answers_all(void **state)
{
    (void)state;
    struct loop *l = start();
    struct fake f;
    fake_open(&f, l);
    struct redis *r;
    assert_false(err_is(redis_new(l, f.url, &r)));
    wait_for(l, is_up, r);
    f.hang_up = true;
    f.answer = STR(":7\r\n");
    struct result first = {.l = l}, second = {.l = l};
    get(r, &first);
    get(r, &second);
    wait_for(l, has_result, &second);
    assert_int_equal(first.code, ERR_NONE);
    assert_int_equal(first.i64, 7);
    assert_int_equal(second.code, ERR_UNAVAILABLE);
    assert_int_equal(first.n + second.n, 2);
    redis_free(r);
    fake_close(&f);
    stop(l);
}

static bool all_told(void *ctx)
{
    const struct result *all = ctx;
    return all[IN_FLIGHT].n == 1 && all[IN_FLIGHT - 1].n == 1;
}

static void ten_thousand_in_flight(void **state)
{
    (void)state;
    struct loop *l = start();
    struct fake f;
    fake_open(&f, l);
    struct redis *r;
    assert_false(err_is(redis_new(l, f.url, &r)));
    wait_for(l, is_up, r);
    struct result *all = calloc(IN_FLIGHT + 1, sizeof *all);
    assert_non_null(all);
    int64_t from_us = loop_mono_us(l);
    for (int i = 0; i <= IN_FLIGHT; i++)
        get(r, &all[i]);
    wait_for(l, all_told, all);
    /* not before its time; the upper bound is wait_for's */
    assert_true(loop_mono_us(l) - from_us >= 250 * US_PER_MS);
    for (int i = 0; i < IN_FLIGHT; i++)
        assert_true(all[i].n == 1 && all[i].code == ERR_UNAVAILABLE);
    assert_int_equal(all[IN_FLIGHT].code, ERR_OVERLOADED);
    free(all);
    redis_free(r);
    fake_close(&f);
    stop(l);
}

static bool has_jumped(void *ctx)
{
    return loop_mono_us(ctx) > 3 * US_PER_HOUR + (int64_t)(uv_hrtime() / 1000) - US_PER_MIN;
}

/* The test clock moves our day, not the network's. */
static void a_moved_clock_is_no_timeout(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/redis_test.%d.clock", (int)getpid());
    write_shift(path, "0s");
    struct loop *l = start();
    assert_false(err_is(loop_test_clock(l, path)));
    struct fake f;
    fake_open(&f, l);
    struct redis *r;
    assert_false(err_is(redis_new(l, f.url, &r)));
    wait_for(l, is_up, r);
    struct result got = {.l = l};
    get(r, &got);
    write_shift(path, "3h");
    struct wait w = {.l = l, .so = has_jumped, .ctx = l};
    struct turn_hook hook = {0};
    loop_hook_add(l, &hook, wait_hook, &w); /* no deadline: it would be due at once */
    loop_run(l);
    loop_hook_remove(l, &hook);
    assert_int_equal(got.n, 0);
    peer_say(&f.peers[0], STR(":5\r\n"));
    wait_for(l, has_result, &got);
    assert_int_equal(got.code, ERR_NONE);
    redis_free(r);
    fake_close(&f);
    unlink(path);
    stop(l);
}

static bool has_most(void *ctx)
{
    return ((struct result *)ctx)[MOST - 1].n > 0;
}

/* The answers are there, more than one read takes, but we come to read them when their time is
 * over. */
static void a_long_turn_is_no_timeout(void **state)
{
    (void)state;
    struct loop *l = start();
    struct fake f;
    fake_open(&f, l);
    struct redis *r;
    assert_false(err_is(redis_new(l, f.url, &r)));
    wait_for(l, is_up, r);
    static char answers[MOST * 4];
    for (size_t i = 0; i < MOST; i++)
        memcpy(answers + 4 * i, ":6\r\n", 4);
    f.answer = str_n(answers, sizeof answers);
    f.once = true;
    f.burn_us = 300 * US_PER_MS;
    struct result *all = calloc(MOST, sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < MOST; i++)
        get(r, &all[i]);
    wait_for(l, has_most, all);
    for (int i = 0; i < MOST; i++)
        assert_true(all[i].n == 1 && all[i].code == ERR_NONE && all[i].i64 == 6);
    free(all);
    redis_free(r);
    fake_close(&f);
    stop(l);
}

/* ---- what the log says ---- */

static FILE *log_begin(void)
{
    FILE *lines = tmpfile();
    assert_non_null(lines);
    log_open(fileno(lines), LOG_INFO);
    return lines;
}

static void log_end(FILE *lines, char *text, size_t cap)
{
    log_close();
    log_open(STDERR_FILENO, LOG_OFF);
    rewind(lines);
    text[fread(text, 1, cap - 1, lines)] = '\0';
    fclose(lines);
}

static bool has_failed(void *ctx)
{
    (void)ctx;
    return log_waiting() > 0;
}

/* Why a connection ended, which a timeout would hide. */
static void the_log_knows_why(void **state)
{
    (void)state;
    static const struct {
        const char *url, *answer, *why;
    } cases[] = {
        {"redis://127.0.0.1:1", NULL, "Connection refused"}, /* libuv reports it as a bad socket */
        {"unix:///tmp/no/such/sock", NULL, "No such file"},  {NULL, big, "reply too large"},
        {NULL, ":1\r\n:2\r\n", "unexpected reply"},          {NULL, NULL, "timeout"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loop *l = start();
        struct fake f;
        fake_open(&f, l);
        f.answer = str_c(cases[i].answer);
        struct redis *r;
        assert_false(err_is(redis_new(l, cases[i].url != NULL ? cases[i].url : f.url, &r)));
        struct result got = {0};
        if (cases[i].url == NULL) {
            wait_for(l, is_up, r);
            get(r, &got);
        }
        FILE *lines = log_begin();
        if (cases[i].url == NULL)
            wait_for(l, is_down, r);
        else
            wait_for(l, has_failed, NULL);
        redis_free(r);
        fake_close(&f);
        stop(l);
        char text[4096];
        log_end(lines, text, sizeof text);
        if (strstr(text, cases[i].why) == NULL)
            fail_msg("%s not in %s", cases[i].why, text);
    }
}

static void wrong_password_is_no_connection(void **state)
{
    (void)state;
    FILE *lines = log_begin();
    struct loop *l = start();
    struct fake f;
    fake_open(&f, l);
    f.refuse_login = true;
    struct redis *r;
    assert_false(err_is(redis_new(l, f.url, &r)));
    struct result got = {.l = l};
    get(r, &got);
    wait_for(l, has_result, &got);
    assert_int_equal(got.code, ERR_UNAVAILABLE);
    while (f.n_peers < 3) {
        got.n = 0;
        get(r, &got);
        wait_for(l, has_result, &got);
        assert_int_equal(got.code, ERR_UNAVAILABLE);
    }
    f.refuse_login = false;
    wait_for(l, is_up, r);
    redis_free(r);
    fake_close(&f);
    stop(l);
    char text[4096];
    log_end(lines, text, sizeof text);
    /* one line for all refusals, and one for the good end */
    struct str s = str_c(text);
    size_t down = str_find_str(s, STR("redis.down")), up = str_find_str(s, STR("redis.up"));
    assert_true(down != SIZE_MAX && up != SIZE_MAX && down < up);
    assert_true(str_find_str(s, STR("WRONGPASS")) != SIZE_MAX);
    assert_true(str_find_str(str_from(s, down + 1), STR("redis.down")) == SIZE_MAX);
    assert_true(str_find_str(str_from(s, up + 1), STR("redis.up")) == SIZE_MAX);
}

static void nobody_there(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "redis://127.0.0.1:1",  "redis://[::1]:1",          "redis://localhost:1",
        "redis://name.invalid", "unix:///tmp/no/such/sock",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct loop *l = start();
        struct redis *r;
        assert_false(err_is(redis_new(l, urls[i], &r)));
        for (int n = 0; n < 3; n++) {
            struct result got = {.l = l};
            get(r, &got);
            wait_for(l, has_result, &got);
            assert_int_equal(got.code, ERR_UNAVAILABLE);
        }
        assert_false(redis_up(r));
        redis_free(r);
        stop(l);
    }
    struct loop *l = start();
    struct redis *r;
    assert_int_equal(redis_new(l, "tcp://h", &r).code, ERR_CONFIG);
    stop(l);
}

/* ---- the end ---- */

static void free_with_work_in_flight(void **state)
{
    (void)state;
    /* at each number of commands, and by turns since the start: wherever the connection is just
     * then */
    for (int turns = 0; turns < 8; turns++) {
        struct loop *l = start();
        struct fake f;
        fake_open(&f, l);
        struct redis *r;
        assert_false(err_is(redis_new(l, turns % 2 == 0 ? f.url : "redis://localhost:1", &r)));
        for (int i = 0; i < turns; i++) {
            loop_stop(l);
            loop_run(l);
        }
        struct result got[5] = {0};
        for (int i = 0; i < 5; i++)
            get(r, &got[i]);
        redis_publish(r, STR("c"), STR("nobody waits for this"));
        redis_free(r);
        for (int i = 0; i < 5; i++)
            assert_true(got[i].n == 1 && got[i].code == ERR_CANCELED);
        fake_close(&f);
        stop(l);
    }
}

static void free_from_within(void **state)
{
    (void)state;
    static const char *const answers[] = {":1\r\n", NULL, "garbage\r\n"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct loop *l = start();
        struct fake f;
        fake_open(&f, l);
        struct redis *r;
        assert_false(err_is(redis_new(l, f.url, &r)));
        wait_for(l, is_up, r);
        f.answer = str_c(answers[i]);
        struct result first = {.l = l, .to_free = r}, second = {.l = l};
        get(r, &first);
        get(r, &second);
        wait_for(l, has_result, &second);
        assert_int_equal(first.n, 1);
        assert_int_equal(second.n, 1);
        assert_int_equal(second.code, ERR_CANCELED);
        fake_close(&f);
        stop(l);
    }
}

int main(void)
{
    log_open(STDERR_FILENO, LOG_OFF);
    memset(big, 'x', sizeof big);
    memcpy(big, "$2000000\r\n", 10);
    big[BIG - 1] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies),
        cmocka_unit_test(hang_up_answers_all),
        cmocka_unit_test(ten_thousand_in_flight),
        cmocka_unit_test(a_moved_clock_is_no_timeout),
        cmocka_unit_test(a_long_turn_is_no_timeout),
        cmocka_unit_test(the_log_knows_why),
        cmocka_unit_test(wrong_password_is_no_connection),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(free_with_work_in_flight),
        cmocka_unit_test(free_from_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
