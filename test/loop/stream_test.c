/* Proves core/loop/stream.h: order and completeness of bytes under back-pressure, put-back bytes,
 * each way to close. The other end is a plain non-blocking socket that the test drives itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"

enum { BIG = 5 * 1024 * 1024, MANY = 3 * 1024 * 1024 };

/* What the owner of the stream under test saw, and what it does when it sees it. */
struct side {
    struct loop *l;
    struct stream *s;
    int other; /* the far end */
    int n_data, n_end, n_drained;
    bool calling; /* the test is inside a call of the stream: `end` must not come */
    char *got;
    size_t n_got;
    struct err err;
    bool close_on_data, close_on_end, close_on_drained, stop_on_end;
    struct timer t;
};

static void on_data(void *ctx, struct str bytes)
{
    struct side *d = ctx;
    assert_non_null(d->s);
    assert_int_equal(d->n_end, 0);
    d->n_data++;
    d->got = realloc(d->got, d->n_got + bytes.n);
    memcpy(d->got + d->n_got, bytes.p, bytes.n);
    d->n_got += bytes.n;
    if (d->close_on_data) {
        stream_close(d->s);
        d->s = NULL;
    }
}

static void on_end(void *ctx, struct err err)
{
    struct side *d = ctx;
    assert_non_null(d->s);
    assert_false(d->calling);
    d->n_end++;
    d->err = err;
    if (d->close_on_end) {
        stream_close(d->s);
        d->s = NULL;
    }
    if (d->stop_on_end)
        loop_stop(d->l);
}

static void on_drained(void *ctx)
{
    struct side *d = ctx;
    assert_non_null(d->s);
    assert_false(d->calling);
    assert_int_equal(stream_queued(d->s), 0);
    assert_true(stream_stalled_us(d->s) == 0);
    d->n_drained++;
    if (d->close_on_drained) {
        stream_close(d->s);
        d->s = NULL;
    }
}

static const struct stream_events events = {on_data, on_end, on_drained};

static struct side side_on(struct loop *l)
{
    struct side d = {.l = l};
    int fd[2];
    struct peer peer = {.text = "unix", .is_unix = true};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(stream_from_fd(d.l, fd[0], &peer, &d.s).code, ERR_NONE);
    d.other = fd[1];
    return d;
}

static struct side side_new(void)
{
    struct loop *l;
    assert_int_equal(loop_new(&l).code, ERR_NONE);
    return side_on(l);
}

static void side_free(struct side *d)
{
    if (d->s != NULL)
        stream_close(d->s);
    d->s = NULL;
    timer_off(d->l, &d->t);
    if (d->other >= 0)
        close(d->other);
    loop_run(d->l);
    loop_free(d->l);
    free(d->got);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

/* Some turns; long enough for what is in the kernel to arrive, since nothing here crosses a
 * network. */
static void turns(struct loop *l, int n)
{
    struct timer t = {0};
    for (int i = 0; i < n; i++) {
        timer_set(l, &t, 0, stop, l);
        loop_run(l);
    }
}

static void feed(struct side *d, const char *text)
{
    assert_int_equal(write(d->other, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_got(const struct side *d, const char *text)
{
    assert_int_equal(d->n_got, strlen(text));
    if (d->n_got > 0)
        assert_memory_equal(d->got, text, d->n_got);
}

static char pattern(size_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

/* ---- echo through a slow reader ---- */

struct echo {
    struct loop *l;
    struct listener *listener;
    struct stream *s;
    int client;
    size_t sent, received, most_queued;
    int n_paused, n_end;
    bool eof;
    struct timer t;
};

static void echo_data(void *ctx, struct str bytes)
{
    struct echo *e = ctx;
    stream_write(e->s, &bytes, 1);
    size_t queued = stream_queued(e->s);
    if (queued > e->most_queued)
        e->most_queued = queued;
    if (queued > 128 * 1024) {
        e->n_paused++;
        stream_pause(e->s);
    }
}

static void echo_end(void *ctx, struct err err)
{
    struct echo *e = ctx;
    e->n_end++;
    assert_int_equal(err.code, ERR_NONE);
    stream_close_gently(e->s, 30 * US_PER_S);
    e->s = NULL;
}

static void echo_drained(void *ctx)
{
    struct echo *e = ctx;
    stream_resume(e->s);
}

static void echo_accept(void *ctx, struct stream *s)
{
    static const struct stream_events echoes = {echo_data, echo_end, echo_drained};
    struct echo *e = ctx;
    assert_null(e->s);
    e->s = s;
    stream_own(s, &echoes, e);
    stream_resume(s);
    listener_close(e->listener);
}

/* Offers as much as the kernel takes, reads little. */
static void echo_client(void *ctx)
{
    struct echo *e = ctx;
    char buf[16 * 1024];
    while (e->sent < BIG) {
        size_t n = BIG - e->sent < sizeof buf ? BIG - e->sent : sizeof buf;
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(e->sent + i);
        ssize_t rc = send(e->client, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (rc <= 0)
            break;
        e->sent += (size_t)rc;
        if (e->sent == BIG)
            shutdown(e->client, SHUT_WR);
    }
    ssize_t n = recv(e->client, buf, sizeof buf, MSG_DONTWAIT);
    for (ssize_t i = 0; i < n; i++)
        if (buf[i] != pattern(e->received + (size_t)i))
            fail_msg("byte %zu differs", e->received + (size_t)i);
    if (n > 0)
        e->received += (size_t)n;
    e->eof = n == 0;
    if (e->eof)
        close(e->client);
    else
        timer_set(e->l, &e->t, 0, echo_client, e);
}

static int connect_to(int port)
{
    struct sockaddr_in a;
    int small = 64 * 1024;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", port, &a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void test_echo_of_5_mb_to_a_slow_reader(void **state)
{
    (void)state;
    struct echo e = {0};
    assert_int_equal(loop_new(&e.l).code, ERR_NONE);
    assert_int_equal(listener_open(e.l, STR("127.0.0.1:0"), &(struct listener_guard){0},
                                   echo_accept, &e, &e.listener)
                         .code,
                     ERR_NONE);
    e.client = connect_to(listener_port(e.listener));
    timer_set(e.l, &e.t, 0, echo_client, &e);
    loop_run(e.l);
    assert_int_equal(e.received, BIG);
    assert_true(e.eof);
    assert_int_equal(e.n_end, 1);
    assert_true(e.n_paused > 0);
    /* Never more than the mark and the one read that crossed it. */
    assert_true(e.most_queued > 128 * 1024 && e.most_queued <= (128 + 64) * 1024);
    loop_free(e.l);
}

/* ---- writing ---- */

static void slurp(struct side *d, size_t at_most)
{
    char buf[32 * 1024];
    ssize_t n;
    while (at_most > 0 &&
           (n = read(d->other, buf, at_most < sizeof buf ? at_most : sizeof buf)) > 0) {
        d->got = realloc(d->got, d->n_got + (size_t)n);
        memcpy(d->got + d->n_got, buf, (size_t)n);
        d->n_got += (size_t)n;
        at_most -= (size_t)n;
    }
}

static void test_parts_and_blobs_keep_their_order(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    char *text = malloc(MANY);
    for (size_t i = 0; i < MANY; i++)
        text[i] = pattern(i);
    struct blob *blob = blob_new(str_n(text, 50000));
    struct blob *none = blob_new(STR_NULL);
    struct str want[400];
    size_t n_want = 0, total = 0, at = 0;
    uint32_t seed = 7;
    d.calling = true;
    while (total < MANY / 2) {
        struct str parts[70];
        size_t n = 0;
        seed = seed * 1664525u + 1013904223u;
        for (size_t i = 0; i < seed >> 8 && i < 70 && i < (seed >> 8) % 90; i++) {
            size_t len = (seed >> (i % 20)) % 900;
            parts[n++] = i % 7 == 3 ? STR_NULL : str_n(text + at % (MANY - 1000), len);
            at += len;
        }
        stream_write(d.s, parts, n);
        size_t n_bytes = 0;
        char *copy = malloc(70 * 900 + 50000);
        for (size_t i = 0; i < n; i++) {
            if (parts[i].n > 0)
                memcpy(copy + n_bytes, parts[i].p, parts[i].n);
            n_bytes += parts[i].n;
        }
        if (n_want % 3 == 0) {
            stream_write_blob(d.s, blob);
            stream_write_blob(d.s, none);
            memcpy(copy + n_bytes, blob->p, blob->n);
            n_bytes += blob->n;
        }
        assert_true(n_want < COUNT_OF(want));
        want[n_want++] = str_n(copy, n_bytes);
        total += n_bytes;
    }
    d.calling = false;
    assert_true(blob->owners > 1); /* queued by reference */
    assert_true(stream_queued(d.s) > 0 && stream_queued(d.s) < total);
    assert_int_equal(d.n_drained, 0);
    for (int i = 0; i < 3000 && d.n_got < total; i++) {
        turns(d.l, 1);
        slurp(&d, 7000);
    }
    turns(d.l, 2);
    assert_int_equal(d.n_got, total);
    assert_int_equal(d.n_drained, 1);
    assert_int_equal(blob->owners, 1);
    for (size_t i = 0, from = 0; i < n_want; from += want[i].n, i++) {
        if (want[i].n > 0)
            assert_memory_equal(d.got + from, want[i].p, want[i].n);
        free((char *)want[i].p);
    }
    blob_unref(blob);
    blob_unref(none);
    free(text);
    side_free(&d);
}

static void fill(struct side *d, size_t n)
{
    char *text = calloc(1, n);
    struct str s = str_n(text, n);
    d->calling = true;
    stream_write(d->s, &s, 1);
    d->calling = false;
    free(text);
}

static void test_a_stalled_reader_shows(void **state)
{
    (void)state;
    struct side d = side_new();
    struct timer t = {0};
    stream_own(d.s, &events, &d);
    assert_true(stream_stalled_us(d.s) == 0);
    fill(&d, MANY);
    fill(&d, MANY); /* a second batch */
    size_t queued = stream_queued(d.s);
    assert_true(queued > MANY);
    timer_set(d.l, &t, 30 * US_PER_MS, stop, d.l);
    loop_run(d.l);
    assert_true(stream_stalled_us(d.s) >= 25 * US_PER_MS);
    assert_int_equal(stream_queued(d.s), queued);
    int64_t read_at = loop_mono_us(d.l);
    slurp(&d, MANY / 2);
    turns(d.l, 2);
    assert_true(stream_queued(d.s) > MANY && stream_queued(d.s) < queued);
    assert_true(stream_stalled_us(d.s) < loop_mono_us(d.l) - read_at); /* a part has left */
    timer_set(d.l, &t, 30 * US_PER_MS, stop, d.l);
    loop_run(d.l);
    read_at = loop_mono_us(d.l);
    for (int i = 0; i < 1000 && stream_queued(d.s) > MANY; i++) {
        slurp(&d, 60000);
        turns(d.l, 1);
    }
    assert_true(stream_queued(d.s) > 0);
    assert_true(stream_stalled_us(d.s) < loop_mono_us(d.l) - read_at); /* a batch has left */
    side_free(&d);
}

static void test_a_full_queue_ends_the_stream(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    for (int i = 0; i < 22; i++)
        fill(&d, MANY);
    fill(&d, 1);
    assert_int_equal(d.n_end, 0);
    turns(d.l, 2);
    assert_int_equal(d.n_end, 1);
    assert_int_equal(d.err.code, ERR_LIMIT);
    fill(&d, 1);
    turns(d.l, 2);
    assert_int_equal(d.n_end, 1);
    side_free(&d);
}

/* What waits for all of them is bounded, and who has let it wait longest pays for it. */
static void test_peers_that_do_not_read_cost_so_much_and_no_more(void **state)
{
    (void)state;
    enum { N = 6, EACH = 60 * 1024 * 1024 };
    struct side d[N] = {side_new()};
    struct loop *l = d[0].l;
    for (int i = 0; i < N; i++) {
        if (i > 0)
            d[i] = side_on(l);
        stream_own(d[i].s, &events, &d[i]);
    }
    for (int i = 0; i < N; i++)
        fill(&d[i], EACH);
    turns(l, 2);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].n_end, i < 2);
        assert_int_equal(d[i].err.code, i < 2 ? ERR_LIMIT : ERR_NONE);
    }
    /* They are gone from the books, and so is what was read. */
    assert_true(l->copies > 3u * EACH && l->copies <= 256u * 1024 * 1024);
    for (int i = 0; i < N - 1; i++) {
        stream_close(d[i].s);
        close(d[i].other);
    }
    turns(l, 2);
    assert_true(l->copies <= EACH);
    for (int i = 0; i < EACH && l->copies > 0; i++) {
        slurp(&d[N - 1], EACH);
        turns(l, 1);
    }
    assert_int_equal(l->copies, 0);
    assert_true(list_is_empty(&l->holding));
    side_free(&d[N - 1]);
}

static void test_a_write_to_nobody_ends_on_a_later_turn(void **state)
{
    (void)state;
    for (int resumed = 0; resumed < 2; resumed++) {
        struct side d = side_new();
        stream_own(d.s, &events, &d);
        close(d.other);
        d.other = -1;
        fill(&d, 10);
        if (resumed)
            stream_resume(d.s);
        fill(&d, 10);
        assert_int_equal(d.n_end, 0);
        turns(d.l, 3);
        assert_int_equal(d.n_end, 1);
        assert_int_equal(d.err.code, ERR_IO);
        side_free(&d);
    }
}

static void test_the_peer_breaks_with_a_full_queue(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    fill(&d, MANY);
    fill(&d, MANY);
    close(d.other);
    d.other = -1;
    turns(d.l, 3);
    assert_int_equal(d.n_end, 1);
    assert_int_equal(d.err.code, ERR_IO);
    assert_int_equal(d.n_drained, 0);
    side_free(&d);
}

/* ---- reading ---- */

static void test_pause_and_resume_are_idempotent(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    feed(&d, "one");
    turns(d.l, 2);
    assert_int_equal(d.n_data, 0); /* nobody has resumed */
    stream_resume(d.s);
    stream_resume(d.s);
    assert_int_equal(d.n_data, 0);
    turns(d.l, 2);
    assert_got(&d, "one");
    stream_pause(d.s);
    stream_pause(d.s);
    feed(&d, "two");
    turns(d.l, 2);
    assert_got(&d, "one");
    stream_resume(d.s);
    stream_own(d.s, &events, &d); /* a new owner starts paused */
    turns(d.l, 2);
    assert_got(&d, "one");
    stream_resume(d.s);
    turns(d.l, 2);
    assert_got(&d, "onetwo");
    side_free(&d);
}

static void test_put_back_bytes_come_first(void **state)
{
    (void)state;
    struct side d = side_new();
    char *huge = calloc(1, 1 << 20);
    stream_own(d.s, &events, &d);
    stream_resume(d.s);
    assert_int_equal(stream_unread(d.s, STR("cd")).code, ERR_NONE);
    assert_int_equal(stream_unread(d.s, STR("ab")).code, ERR_NONE);
    assert_int_equal(stream_unread(d.s, STR("")).code, ERR_NONE);
    assert_int_equal(stream_unread(d.s, str_n(huge, 1 << 20)).code, ERR_LIMIT);
    feed(&d, "ef");
    stream_own(d.s, &events, &d);
    turns(d.l, 2);
    assert_int_equal(d.n_data, 0);
    stream_resume(d.s);
    turns(d.l, 3);
    assert_got(&d, "abcdef");
    assert_int_equal(d.n_data, 2);
    stream_pause(d.s);
    assert_int_equal(stream_unread(d.s, STR("never read")).code, ERR_NONE); /* freed with it */
    stream_resume(d.s);
    stream_pause(d.s);
    turns(d.l, 2);
    assert_got(&d, "abcdef");
    free(huge);
    side_free(&d);
}

/* The first owner takes a head off and hands the rest to the second, as an upgrade does. */
static void hand_over(void *ctx, struct str bytes)
{
    struct side *d = ctx;
    assert_true(bytes.n >= 4);
    assert_memory_equal(bytes.p, "head", 4);
    assert_int_equal(stream_unread(d->s, str_from(bytes, 4)).code, ERR_NONE);
    stream_own(d->s, &events, d);
    stream_resume(d->s);
}

static void test_a_second_owner_gets_the_rest(void **state)
{
    (void)state;
    static const struct stream_events first = {hand_over, on_end, NULL};
    struct side d = side_new();
    stream_own(d.s, &first, &d);
    stream_resume(d.s);
    feed(&d, "headbody");
    turns(d.l, 1);
    feed(&d, " and more");
    close(d.other);
    d.other = -1;
    turns(d.l, 4);
    assert_got(&d, "body and more");
    assert_int_equal(d.n_end, 1);
    assert_int_equal(d.err.code, ERR_NONE);
    stream_resume(d.s);
    turns(d.l, 3);
    assert_int_equal(d.n_end, 1);
    side_free(&d);
}

static void test_an_answer_after_the_peers_end(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    stream_resume(d.s);
    shutdown(d.other, SHUT_WR);
    turns(d.l, 2);
    assert_int_equal(d.n_end, 1);
    stream_write(d.s, &STR("answer"), 1);
    stream_close_gently(d.s, US_PER_HOUR);
    d.s = NULL;
    loop_run(d.l); /* both sides are done: no lingering */
    slurp(&d, 100);
    assert_got(&d, "answer");
    side_free(&d);
}

/* ---- closing ---- */

static void test_close_within_each_event(void **state)
{
    (void)state;
    for (int event = 0; event < 5; event++) {
        struct side d = side_new();
        d.close_on_data = event == 0 || event == 1;
        d.close_on_end = event == 2 || event == 3;
        d.close_on_drained = event == 4;
        stream_own(d.s, &events, &d);
        stream_resume(d.s);
        if (event == 0)
            feed(&d, "bytes");
        if (event == 1)
            assert_int_equal(stream_unread(d.s, STR("bytes")).code, ERR_NONE);
        if (event == 4)
            fill(&d, MANY);
        if (event == 2 || event == 3) {
            close(d.other);
            d.other = -1;
        }
        if (event == 3)
            fill(&d, 10);
        for (int i = 0; i < 1000 && d.s != NULL; i++) {
            turns(d.l, 1);
            if (event == 4)
                slurp(&d, MANY);
        }
        assert_null(d.s);
        assert_int_equal(d.n_data, event <= 1);
        assert_int_equal(d.n_end, event == 2 || event == 3);
        assert_int_equal(d.n_drained, event == 4);
        side_free(&d);
    }
}

static void test_no_event_after_close(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    stream_resume(d.s);
    feed(&d, "bytes");
    fill(&d, MANY);
    fill(&d, MANY);
    assert_int_equal(stream_unread(d.s, STR("back")).code, ERR_NONE);
    stream_close(d.s);
    d.s = NULL; /* each event asserts that it is not NULL */
    turns(d.l, 3);
    side_free(&d);
}

static void test_gentle_close_sends_all_then_waits_for_the_peer(void **state)
{
    (void)state;
    struct side d = side_new();
    stream_own(d.s, &events, &d);
    stream_resume(d.s);
    fill(&d, MANY);
    feed(&d, "nobody reads this");
    stream_close_gently(d.s, US_PER_HOUR);
    d.s = NULL;
    char one;
    for (int i = 0; i < 3000 && d.n_got < MANY; i++) {
        turns(d.l, 1);
        slurp(&d, 60000);
    }
    assert_int_equal(d.n_got, MANY);
    turns(d.l, 2);
    assert_int_equal(read(d.other, &one, 1), 0); /* FIN, not a reset */
    feed(&d, "still open");
    turns(d.l, 2);
    assert_int_equal(d.l->n_timers, 1); /* it lingers */
    close(d.other);
    d.other = -1;
    loop_run(d.l); /* ends without the hour */
    side_free(&d);
}

static void test_gentle_close_ends_with_the_linger_time(void **state)
{
    (void)state;
    for (int queued = 0; queued < 2; queued++) {
        struct side d = side_new();
        stream_own(d.s, &events, &d);
        if (queued)
            fill(&d, MANY);
        int64_t begin = loop_mono_us(d.l);
        stream_close_gently(d.s, 20 * US_PER_MS);
        d.s = NULL;
        loop_run(d.l);
        assert_true(loop_mono_us(d.l) - begin >= 20 * US_PER_MS);
        side_free(&d);
    }
}

/* Nobody counts streams that close: of those whose peers take their time the first goes. */
static void test_only_so_many_close_gently(void **state)
{
    (void)state;
    enum { MOST = 256 };
    struct side first = side_new(), d;
    struct loop *l = first.l;
    int other[MOST];
    stream_close_gently(first.s, US_PER_HOUR);
    first.s = NULL;
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(send(first.other, "x", 1, MSG_NOSIGNAL), 1);
        d = side_on(l);
        other[i] = d.other;
        stream_close_gently(d.s, US_PER_HOUR);
    }
    turns(l, 2);
    assert_int_equal(send(first.other, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(send(other[i], "x", 1, MSG_NOSIGNAL), 1);
        close(other[i]);
    }
    side_free(&first);
}

static void test_gentle_close_when_the_peer_is_gone(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct side d = side_new();
        stream_own(d.s, &events, &d);
        if (how == 1)
            fill(&d, MANY);
        close(d.other);
        d.other = -1;
        if (how == 2)
            fill(&d, 1); /* broken already */
        stream_close_gently(d.s, US_PER_HOUR);
        d.s = NULL;
        loop_run(d.l);
        side_free(&d);
    }
}

int main(void)
{
    alarm(120); /* a loop that hangs fails */
    log_open(STDERR_FILENO, LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_of_5_mb_to_a_slow_reader),
        cmocka_unit_test(test_parts_and_blobs_keep_their_order),
        cmocka_unit_test(test_a_stalled_reader_shows),
        cmocka_unit_test(test_a_full_queue_ends_the_stream),
        cmocka_unit_test(test_peers_that_do_not_read_cost_so_much_and_no_more),
        cmocka_unit_test(test_a_write_to_nobody_ends_on_a_later_turn),
        cmocka_unit_test(test_the_peer_breaks_with_a_full_queue),
        cmocka_unit_test(test_pause_and_resume_are_idempotent),
        cmocka_unit_test(test_put_back_bytes_come_first),
        cmocka_unit_test(test_a_second_owner_gets_the_rest),
        cmocka_unit_test(test_an_answer_after_the_peers_end),
        cmocka_unit_test(test_close_within_each_event),
        cmocka_unit_test(test_no_event_after_close),
        cmocka_unit_test(test_gentle_close_sends_all_then_waits_for_the_peer),
        cmocka_unit_test(test_gentle_close_ends_with_the_linger_time),
        cmocka_unit_test(test_only_so_many_close_gently),
        cmocka_unit_test(test_gentle_close_when_the_peer_is_gone),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
