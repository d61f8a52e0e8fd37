/* store/redis.c against a scripted server in the same loop: what a Redis that is gone, mute, wrong or hostile
 * does to us. Every case ends with a good reply on a new connection: nothing stays broken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/stream.h"
#include "store/redis.h"

enum { MAX_PEERS = 32, BIG = 1100 * 1024, IN_FLIGHT = 10000, MOST = 9000 };

/* A server that greets well and answers everything else with `answer`. */
struct fake {
    struct loop *l;
    struct listener *listener;
    struct peer_conn {
        struct fake *f;
        struct stream *s;
    } peers[MAX_PEERS];
    int n_peers;
    char url[128], path[64];
    bool refuse_login, hang_up, deaf;
    struct str answer; /* NULL: mute */
    bool once;         /* the answer is said once */
    int64_t burn_us;   /* a turn that takes long, after the answer */
};

/* What a command came to. */
struct result {
    struct loop *l;
    int n;
    enum err_code code;
    bool nil;
    int64_t i64;
    char text[64];
    struct redis *to_free;
};

static bool in_call;

static void peer_close(struct peer_conn *p)
{
    if (p->s != NULL)
        stream_close(p->s);
    p->s = NULL;
}

static void peer_say(struct peer_conn *p, struct str s)
{
    stream_write(p->s, &s, 1);
}

static void peer_data(void *ctx, struct str bytes)
{
    struct peer_conn *p = ctx;
    if (p->f->deaf)
        return;
    if (str_find_str(bytes, STR("PING")) != SIZE_MAX ||
        str_find_str(bytes, STR("AUTH")) != SIZE_MAX) {
        peer_say(p, p->f->refuse_login ? STR("-WRONGPASS no\r\n") : STR("+PONG\r\n"));
        return;
    }
    if (p->f->answer.p != NULL)
        peer_say(p, p->f->answer);
    int64_t until_us = (int64_t)(uv_hrtime() / 1000) + p->f->burn_us;
    while (p->f->answer.p != NULL && (int64_t)(uv_hrtime() / 1000) < until_us)
        continue;
    if (p->f->once)
        p->f->answer = STR_NULL;
    if (p->f->hang_up)
        peer_close(p);
}

static void peer_end(void *ctx, struct err err)
{
    (void)err;
    peer_close(ctx);
}

static const struct stream_events peer_events = {.data = peer_data, .end = peer_end};

static void fake_accept(void *ctx, struct stream *s)
{
    struct fake *f = ctx;
    assert_true(f->n_peers < MAX_PEERS);
    struct peer_conn *p = &f->peers[f->n_peers++];
    *p = (struct peer_conn){f, s};
    stream_own(s, &peer_events, p);
    stream_resume(s);
}

static void fake_open(struct fake *f, struct loop *l)
{
    *f = (struct fake){.l = l};
    snprintf(f->path, sizeof f->path, "/tmp/redis_test.%d.sock", (int)getpid());
    snprintf(f->url, sizeof f->url, "unix:%s", f->path);
    assert_false(err_is(listener_open(l, str_c(f->url), fake_accept, f, &f->listener)));
    snprintf(f->url, sizeof f->url, "unix://%s", f->path);
}

static void fake_close(struct fake *f)
{
    listener_close(f->listener);
    for (int i = 0; i < f->n_peers; i++)
        peer_close(&f->peers[i]);
    unlink(f->path);
}

/* ---- running the loop until something is so ---- */

struct wait {
    struct loop *l;
    bool (*so)(void *ctx);
    void *ctx;
    struct timer end;
    bool good;
};

static void wait_over(void *ctx)
{
    struct wait *w = ctx;
    loop_stop(w->l);
}

static void wait_hook(void *ctx)
{
    struct wait *w = ctx;
    w->good = w->good || w->so(w->ctx); /* the last turn ends twice */
    if (w->good)
        loop_stop(w->l);
}

/* At most twenty seconds: only a failure takes them. */
static void wait_for(struct loop *l, bool (*so)(void *ctx), void *ctx)
{
    struct wait w = {.l = l, .so = so, .ctx = ctx};
    struct turn_hook hook = {0};
    loop_hook_add(l, &hook, wait_hook, &w);
    timer_set(l, &w.end, 20 * US_PER_S, wait_over, &w);
    loop_run(l);
    timer_off(l, &w.end);
    loop_hook_remove(l, &hook);
    assert_true(w.good);
}

static bool is_up(void *ctx)
{
    return redis_up(ctx);
}

static bool is_down(void *ctx)
{
    return !redis_up(ctx);
}

static bool has_result(void *ctx)
{
    const struct result *r = ctx;
    return r->n > 0;
}

static void keep(void *ctx, struct err err, const struct redis_reply *reply)
{
    struct result *r = ctx;
    assert_false(in_call);
    r->n++;
    r->code = err.code;
    if (reply != NULL) {
        r->nil = reply->nil;
        r->i64 = reply->i64;
        str_copy_c(r->text, sizeof r->text, reply->str);
    }
    if (r->to_free != NULL) {
        struct redis *gone = r->to_free;
        r->to_free = NULL;
        redis_free(gone);
    }
}

static void get(struct redis *r, struct result *out)
{
    const struct str args[] = {STR("GET"), STR("k")};
    in_call = true;
    redis_command(r, args, 2, keep, out);
    in_call = false;
}

static struct loop *start(void)
{
    struct loop *l;
    assert_false(err_is(loop_new(&l)));
    return l;
}

static void stop(struct loop *l)
{
    loop_run(l); /* the handles' close callbacks */
    loop_free(l);
    arena_trim();
}

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
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", ERR_UNAVAILABLE, "", 0, false, true},
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

static void write_shift(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
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

/* The answers are there, more than one read takes, but we come to read them when their time is over. */
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
        {"unix:///tmp/no/such/sock", NULL, "No such file"},
        {NULL, big, "reply too large"},
        {NULL, ":1\r\n:2\r\n", "unexpected reply"},
        {NULL, NULL, "timeout"},
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
        "redis://127.0.0.1:1",     "redis://[::1]:1", "redis://localhost:1", "redis://name.invalid",
        "unix:///tmp/no/such/sock",
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
    /* at each number of commands, and by turns since the start: wherever the connection is just then */
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

/* ---- channels ---- */

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
        cmocka_unit_test(pushes),
        cmocka_unit_test(strange_but_harmless),
        cmocka_unit_test(silence_is_noticed),
        cmocka_unit_test(free_from_a_subscriber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
