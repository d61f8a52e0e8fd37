/* The channels of store/redis.c against a scripted server: what hiredis would assert about must
 * cost a connection and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/store/redis_fake.h"

struct listener_state {
    int gaps, messages;
    char last[32];
    struct redis *free_on_gap, *free_on_message;
};

static void on_message(void *ctx, struct str payload)
{
    struct listener_state *s = ctx;
    s->messages++;
    str_copy_c(s->last, sizeof s->last, payload);
    if (s->free_on_message != NULL)
        redis_free(s->free_on_message);
}

static void on_gap(void *ctx)
{
    struct listener_state *s = ctx;
    s->gaps++;
    if (s->free_on_gap != NULL)
        redis_free(s->free_on_gap);
}

static bool has_message(void *ctx)
{
    return ((struct listener_state *)ctx)->messages > 0;
}

static bool has_gap(void *ctx)
{
    return ((struct listener_state *)ctx)->gaps > 0;
}

static bool has_three_peers(void *ctx)
{
    return ((struct fake *)ctx)->n_peers >= 3;
}

static bool has_four_peers(void *ctx)
{
    return ((struct fake *)ctx)->n_peers >= 4;
}

#define CONFIRM "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"
#define MESSAGE "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n"

static void pushes(void **state)
{
    (void)state;
    static const char *const bad[] = {
        ":1\r\n",
        "$2\r\nhi\r\n",
        "-NOPERM no\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*1\r\n$7\r\nmessage\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        "*4\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nx\r\n$1\r\nx\r\n",
        "*3\r\n:1\r\n$2\r\nch\r\n$1\r\nx\r\n",
        "*3\r\n$-1\r\n$2\r\nch\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n+ch\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n*1\r\n$1\r\nc\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n*1\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$-1\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n$1\r\nx\r\n",
        "*3\r\n$12\r\npunsubscribe\r\n$2\r\nch\r\n:0\r\n",
        "*3\r\n$0\r\n\r\n$2\r\nch\r\n$1\r\nx\r\n",
    };
    for (size_t before = 0; before < 2; before++) {
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            struct loop *l = start();
            struct fake f;
            fake_open(&f, l);
            struct redis *r;
            struct listener_state s = {0};
            assert_false(err_is(redis_new(l, f.url, &r)));
            redis_subscribe(r, STR("ch"), &(struct redis_subscriber){on_message, on_gap, &s});
            char text[256];
            snprintf(text, sizeof text, "%s%s", before == 0 ? "" : CONFIRM MESSAGE, bad[i]);
            f.answer = str_c(text);
            wait_for(l, has_three_peers, &f); /* commands, channels, channels again */
            assert_int_equal(s.gaps, (int)before);
            assert_int_equal(s.messages, (int)before);
            s = (struct listener_state){0};
            f.answer = STR(CONFIRM MESSAGE);
            wait_for(l, has_message, &s);
            assert_int_equal(s.gaps, 1);
            assert_string_equal(s.last, "hi");
            redis_free(r);
            fake_close(&f);
            stop(l);
        }
    }
}

/* Messages of channels that are not ours, and a subscription that is never confirmed. */
static void strange_but_harmless(void **state)
{
    (void)state;
    struct loop *l = start();
    struct fake f;
    fake_open(&f, l);
    struct redis *r;
    struct listener_state s = {0};
    assert_false(err_is(redis_new(l, f.url, &r)));
    redis_subscribe(r, STR("ch"), &(struct redis_subscriber){on_message, on_gap, &s});
    wait_for(l, has_three_peers, &f); /* mute: given up after the timeout */
    assert_int_equal(s.gaps, 0);
    f.answer = STR("*3\r\n$7\r\nmessage\r\n$2\r\nxx\r\n$1\r\nx\r\n"
                   "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n:3\r\n" CONFIRM CONFIRM MESSAGE);
    wait_for(l, has_message, &s);
    assert_int_equal(s.gaps, 1);
    assert_int_equal(s.messages, 1);
    redis_free(r);
    fake_close(&f);
    stop(l);
}

/* A peer that vanished without a word is noticed before anybody needs it. */
static void silence_is_noticed(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/redis_test.%d.clock", (int)getpid());
    write_shift(path, "0s");
    struct loop *l = start();
    assert_false(err_is(loop_test_clock(l, path)));
    struct fake f;
    fake_open(&f, l);
    f.answer = STR(CONFIRM);
    struct redis *r;
    assert_false(err_is(redis_new(l, f.url, &r)));
    struct listener_state s = {0};
    redis_subscribe(r, STR("ch"), &(struct redis_subscriber){on_message, on_gap, &s});
    wait_for(l, is_up, r);
    wait_for(l, has_gap, &s);
    assert_int_equal(f.n_peers, 2);
    f.deaf = true;
    write_shift(path, "6s");
    wait_for(l, is_down, r);
    wait_for(l, has_four_peers, &f); /* both connections are made again */
    f.deaf = false;
    s.gaps = 0;
    wait_for(l, is_up, r);
    wait_for(l, has_gap, &s);
    redis_free(r);
    fake_close(&f);
    unlink(path);
    stop(l);
}

static void free_from_a_subscriber(void **state)
{
    (void)state;
    for (int on_gap_too = 0; on_gap_too < 2; on_gap_too++) {
        struct loop *l = start();
        struct fake f;
        fake_open(&f, l);
        f.answer = STR(CONFIRM MESSAGE);
        struct redis *r;
        assert_false(err_is(redis_new(l, f.url, &r)));
        struct listener_state s = {.free_on_gap = on_gap_too ? r : NULL,
                                   .free_on_message = on_gap_too ? NULL : r};
        redis_subscribe(r, STR("ch"), &(struct redis_subscriber){on_message, on_gap, &s});
        wait_for(l, on_gap_too ? has_gap : has_message, &s);
        assert_int_equal(s.messages, on_gap_too ? 0 : 1);
        fake_close(&f);
        stop(l);
    }
}

int main(void)
{
    log_open(STDERR_FILENO, LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes),
        cmocka_unit_test(strange_but_harmless),
        cmocka_unit_test(silence_is_noticed),
        cmocka_unit_test(free_from_a_subscriber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
