/* Proves what stands between accept(2) and the owner of a connection, and TLS inside a stream: the
 * PROXY header and the handshake, their deadline and their crowd, then bytes in order through
 * pauses, put-back bytes, full queues and goodbyes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/address.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"
#include "test/crypto/tls_client.h"

enum {
    FITS = 2 * 1024 * 1024, /* in what the kernel keeps for a reader who has turned away */
    BIG = 8 * 1024 * 1024,  /* does not */
    CROWD = 1024
};

/* The owner of what is accepted. */
struct house {
    struct loop *l;
    struct listener *listener;
    struct tls_site *site;
    struct cidr_list proxies;
    char clock[64];
    struct stream *s; /* the latest */
    struct peer peer;
    bool secure;
    int n_accepted, n_data, n_end, n_drained;
    struct buf got;
    struct err err;
    bool pause_each, echo;
    int put_back_at; /* this `data` call hands the stream over with its bytes put back */
};

static struct tls_files files;

static void on_data(void *ctx, struct str bytes)
{
    struct house *h = ctx;
    h->n_data++;
    if (h->n_data == h->put_back_at) {
        stream_pause(h->s);
        assert_false(err_is(stream_unread(h->s, bytes)));
        return;
    }
    buf_str(&h->got, bytes);
    if (h->echo)
        stream_write(h->s, &bytes, 1);
    if (h->pause_each)
        stream_pause(h->s);
}

static void on_end(void *ctx, struct err err)
{
    struct house *h = ctx;
    h->n_end++;
    h->err = err;
}

static void on_drained(void *ctx)
{
    ((struct house *)ctx)->n_drained++;
}

static const struct stream_events events = {on_data, on_end, on_drained};

static void came(void *ctx, struct stream *s)
{
    struct house *h = ctx;
    if (h->s != NULL)
        stream_close(h->s);
    h->n_accepted++;
    h->s = s;
    h->peer = *stream_peer(s);
    h->secure = stream_is_secure(s);
    stream_own(s, &events, h);
    stream_resume(s);
}

static void set_clock(const struct house *h, const char *shift)
{
    FILE *f = fopen(h->clock, "w");
    assert_non_null(f);
    fputs(shift, f);
    fclose(f);
}

static struct house house_new(const char *proxies)
{
    struct house h = {.clock = "/tmp/reli-secure-clock-XXXXXX"};
    close(mkstemp(h.clock));
    set_clock(&h, "0s");
    buf_init(&h.got, 16 << 20);
    assert_int_equal(loop_new(&h.l).code, ERR_NONE);
    assert_int_equal(loop_test_clock(h.l, h.clock).code, ERR_NONE);
    assert_int_equal(cidr_list_parse(str_c(proxies), &h.proxies).code, ERR_NONE);
    h.site = tls_site_or_die(&files);
    return h;
}

/* Apart from house_new, since the listener keeps pointers into the house. */
static void house_open(struct house *h, const char *flags)
{
    char address[64];
    struct listener_guard guard = {&h->site, &h->proxies};
    snprintf(address, sizeof address, "127.0.0.1:0%s", flags);
    assert_int_equal(listener_open(h->l, str_c(address), &guard, came, h, &h->listener).code,
                     ERR_NONE);
}

static void house_free(struct house *h)
{
    if (h->s != NULL)
        stream_close(h->s);
    if (h->listener != NULL)
        listener_close(h->listener);
    loop_run(h->l);
    loop_free(h->l);
    tls_site_free(h->site);
    buf_free(&h->got);
    unlink(h->clock);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void turn(struct house *h)
{
    struct timer t = {0};
    timer_set(h->l, &t, 0, stop, h->l);
    loop_run(h->l);
}

/* ---- a visitor ---- */

struct visit {
    struct house *h;
    int fd;
    struct client client;
    bool through, hung_up; /* the handshake is over; the connection is */
};

static int knock(struct house *h)
{
    struct sockaddr_in a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int small = 64 * 1024; /* what is not read has to wait on the other side */
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", listener_port(h->listener), &a), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static struct visit visit_new(struct house *h)
{
    struct visit v = {.h = h, .fd = knock(h), .client = client_new(0)};
    return v;
}

static void visit_free(struct visit *v)
{
    client_free(&v->client);
    close(v->fd);
}

static void say(struct visit *v, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(v->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            turn(v->h);
            continue;
        }
        assert_true(n > 0);
        bytes = str_from(bytes, (size_t)n);
    }
}

static void hear(struct visit *v)
{
    static char heard[256 * 1024];
    ssize_t n = recv(v->fd, heard, sizeof heard, MSG_DONTWAIT);
    v->hung_up |= n == 0 || (n < 0 && errno != EAGAIN);
    if (n > 0)
        client_give(&v->client, str_n(heard, (size_t)n));
}

/* One round: what the client has to say goes over, what came is taken. */
static void round_trip(struct visit *v)
{
    say(v, client_take(&v->client));
    turn(v->h);
    hear(v);
    if (!v->through)
        v->through = SSL_do_handshake(v->client.ssl) == 1;
    ERR_clear_error();
}

/* The condition may do something: it is asked until it holds, and not again. */
#define UNTIL(v, condition)                            \
    do {                                               \
        int rounds_ = 0;                               \
        bool met_ = (condition);                       \
        for (; !met_ && rounds_ < 200000; rounds_++) { \
            round_trip(v);                             \
            met_ = (condition);                        \
        }                                              \
        assert_true(met_);                             \
    } while (0)

static void get_in(struct visit *v)
{
    UNTIL(v, v->through && v->h->n_accepted > 0);
}

/* ---- tests ---- */

static void test_flags(void **state)
{
    static const struct {
        const char *text, *bare;
        int tls, proxy; /* -1: refused */
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", 0, 0}, {"127.0.0.1:80;tls", "127.0.0.1:80", 1, 0},
        {"[::1]:80;proxy", "[::1]:80", 0, 1},   {"unix:/a;tls;proxy", "unix:/a", 1, 1},
        {"unix:/a;proxy;tls", "unix:/a", 1, 1}, {"127.0.0.1:80;", "", -1, -1},
        {"127.0.0.1:80;TLS", "", -1, -1},       {"127.0.0.1:80;tls;tls", "", -1, -1},
        {"127.0.0.1:80;tls ", "", -1, -1},      {"127.0.0.1:80;ssl", "", -1, -1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str bare;
        struct listener_flags flags;
        struct err err = listener_flags_parse(str_c(cases[i].text), &bare, &flags);
        assert_int_equal(err.code, cases[i].tls < 0 ? ERR_CONFIG : ERR_NONE);
        if (cases[i].tls < 0)
            continue;
        assert_true(str_eq(bare, str_c(cases[i].bare)));
        assert_int_equal(flags.tls, cases[i].tls);
        assert_int_equal(flags.proxy, cases[i].proxy);
    }
    struct house h = house_new("");
    struct listener *none = NULL;
    struct listener_guard unguarded = {0};
    assert_int_equal(listener_open(h.l, STR("127.0.0.1:0;tls"), &unguarded, came, &h, &none).code,
                     ERR_CONFIG);
    assert_int_equal(listener_open(h.l, STR("127.0.0.1:0;proxy"), &unguarded, came, &h, &none).code,
                     ERR_CONFIG);
    house_free(&h);
}

static void test_through_tls(void **state)
{
    struct house h = house_new("");
    char back[16];
    (void)state;
    house_open(&h, ";tls");
    h.echo = true;
    struct visit v = visit_new(&h);
    get_in(&v);
    assert_true(h.secure);
    assert_string_equal(h.peer.text, "127.0.0.1");
    assert_int_equal(SSL_write(v.client.ssl, "hello", 5), 5);
    UNTIL(&v, SSL_read(v.client.ssl, back, sizeof back) == 5);
    assert_memory_equal(back, "hello", 5);
    /* their goodbye, then ours */
    (void)SSL_shutdown(v.client.ssl);
    UNTIL(&v, h.n_end == 1);
    assert_false(err_is(h.err));
    struct str late = STR("late");
    stream_write(h.s, &late, 1);
    stream_close_gently(h.s, US_PER_S);
    h.s = NULL;
    UNTIL(&v, v.hung_up);
    assert_int_equal(SSL_read(v.client.ssl, back, sizeof back), 4);
    assert_true(SSL_read(v.client.ssl, back, sizeof back) <= 0);
    assert_int_equal(SSL_get_shutdown(v.client.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    visit_free(&v);
    house_free(&h);
}

static void test_a_new_site_is_for_new_connections(void **state)
{
    struct house h = house_new("");
    struct tls_files other = tls_files_new("other.example");
    char back[16];
    (void)state;
    house_open(&h, ";tls");
    h.echo = true;
    struct visit old = visit_new(&h);
    get_in(&old);
    struct stream *kept = h.s;
    h.s = NULL;
    tls_site_free(h.site);
    h.site = tls_site_or_die(&other);
    struct visit young = visit_new(&h);
    UNTIL(&young, young.through && h.n_accepted == 2);
    X509 *x = SSL_get1_peer_certificate(young.client.ssl);
    assert_int_equal(X509_check_host(x, "other.example", 0, 0, NULL), 1);
    X509_free(x);
    stream_close(h.s);
    h.s = kept;
    assert_int_equal(SSL_write(old.client.ssl, "still", 5), 5);
    UNTIL(&old, SSL_read(old.client.ssl, back, sizeof back) == 5);
    visit_free(&old);
    visit_free(&young);
    house_free(&h);
    tls_files_free(&other);
}

static char *big_new(void)
{
    char *p = malloc(BIG);
    assert_non_null(p);
    for (size_t i = 0; i < BIG; i++)
        p[i] = (char)(i * 13 + i / 509);
    return p;
}

/* A reader that looks at one record and then turns away, as the parser does when it is busy. */
static void test_much_in_through_pauses(void **state)
{
    struct house h = house_new("");
    char *big = big_new();
    (void)state;
    house_open(&h, ";tls");
    h.pause_each = true;
    h.put_back_at = 3;
    struct visit v = visit_new(&h);
    get_in(&v);
    for (size_t at = 0; at < FITS; at += 50000) {
        size_t n = FITS - at < 50000 ? FITS - at : 50000;
        assert_int_equal(SSL_write(v.client.ssl, big + at, (int)n), (int)n);
        int before = h.n_data;
        round_trip(&v);
        assert_true(h.n_data <= before + 1);
        stream_resume(h.s);
    }
    for (int i = 0; i < 5000 && h.got.n < FITS; i++) {
        round_trip(&v);
        stream_resume(h.s);
    }
    assert_int_equal(h.got.n, FITS);
    assert_memory_equal(h.got.p, big, FITS);
    free(big);
    visit_free(&v);
    house_free(&h);
}

static void test_much_out_to_a_slow_reader(void **state)
{
    struct house h = house_new("");
    char *big = big_new(), *back = malloc(BIG);
    size_t n = 0;
    (void)state;
    assert_non_null(back);
    house_open(&h, ";tls");
    struct visit v = visit_new(&h);
    get_in(&v);
    for (int i = 0; i < 4; i++) { /* three times copied, once counted */
        struct str part = str_n(big + i * (BIG / 4), BIG / 4);
        struct blob *b = blob_new(part);
        if (i == 3)
            stream_write_blob(h.s, b);
        else
            stream_write(h.s, &part, 1);
        blob_unref(b);
    }
    assert_true(stream_queued(h.s) > 0);
    while (n < BIG) {
        round_trip(&v);
        for (int rc; (rc = SSL_read(v.client.ssl, back + n, (int)(BIG - n))) > 0;)
            n += (size_t)rc;
        ERR_clear_error();
    }
    assert_memory_equal(back, big, BIG);
    UNTIL(&v, h.n_drained > 0);
    assert_int_equal(stream_queued(h.s), 0);
    free(big);
    free(back);
    visit_free(&v);
    house_free(&h);
}

/* Said in the clear to one who expects a handshake: an alert, then the end; never an owner. */
static void test_garbage_gets_an_alert(void **state)
{
    struct house h = house_new("");
    char back[64] = "";
    (void)state;
    house_open(&h, ";tls");
    struct visit v = visit_new(&h);
    say(&v, STR("\x16\x03\x01\x00\x04\x01\x00\x00\x00"));
    ssize_t n = -1;
    while ((n = recv(v.fd, back, sizeof back, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        turn(&h);
    assert_true(n == 7 && back[0] == 0x15);
    while ((n = recv(v.fd, back, sizeof back, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        turn(&h);
    assert_int_equal(n, 0);
    assert_int_equal(h.n_accepted, 0);
    visit_free(&v);
    house_free(&h);
}

static void expect_hang_up(struct visit *v)
{
    while (!v->hung_up && v->h->n_accepted == 0) {
        turn(v->h);
        hear(v);
    }
    assert_int_equal(v->h->n_accepted, 0);
}

static void test_broken_records_end_it(void **state)
{
    struct house h = house_new("");
    (void)state;
    house_open(&h, ";tls");
    struct visit v = visit_new(&h);
    get_in(&v);
    say(&v, STR("\x17\x03\x03\x00\x20 this was never sealed by anyone"));
    UNTIL(&v, h.n_end == 1);
    assert_true(err_is(h.err));
    assert_int_equal(h.got.n, 0);
    visit_free(&v);
    house_free(&h);
}

#define BYTES(text)           \
    {                         \
        text, sizeof text - 1 \
    }
#define V2(command, family, len) "\r\n\r\n\0\r\nQUIT\n" command family len

static void test_proxy_headers(void **state)
{
    static const struct {
        struct str header;
        const char *peer; /* NULL: refused */
    } cases[] = {
        {BYTES("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"), "192.0.2.7"},
        {BYTES("PROXY TCP6 2001:db8::7 2001:db8::2 1 2\r\n"), "2001:db8::7"},
        {BYTES("PROXY UNKNOWN\r\n"), "127.0.0.1"},
        {BYTES(V2("\x21", "\x11", "\0\x0c") "\xc0\0\2\x08\1\2\3\4\0\1\0\2"), "192.0.2.8"},
        {BYTES(V2("\x21", "\x11", "\0\x10") "\xc0\0\2\x09\1\2\3\4\0\1\0\2\x04\0\1x"), "192.0.2.9"},
        {BYTES(V2("\x20", "\0", "\0\0")), "127.0.0.1"},
        {BYTES(V2("\x21", "\0", "\0\0")), "127.0.0.1"},
        {BYTES(V2("\x22", "\x11", "\0\0")), NULL},
        {BYTES("GET / HTTP/1.1\r\n\r\n"), NULL},
        {BYTES("PROXY TCP4 localhost 198.51.100.2 1 2\r\n"), NULL},
    };
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        struct str header = cases[i / 2].header;
        struct house h = house_new("127.0.0.0/8");
        struct visit v = {.h = &h};
        house_open(&h, ";proxy");
        v.fd = knock(&h);
        v.client = client_new(0);
        if (i % 2 == 0) { /* with what follows, in one piece */
            char all[128];
            memcpy(all, header.p, header.n);
            memcpy(all + header.n, "hello", 5);
            say(&v, str_n(all, header.n + 5));
        } else {
            for (size_t k = 0; k < header.n; k++) {
                say(&v, str_n(header.p + k, 1));
                turn(&h);
                if (cases[i / 2].peer == NULL && k > 0)
                    break; /* it may have hung up already */
            }
            if (cases[i / 2].peer != NULL)
                say(&v, STR("hello"));
            else
                shutdown(v.fd, SHUT_WR);
        }
        if (cases[i / 2].peer == NULL) {
            expect_hang_up(&v);
        } else {
            for (int k = 0; k < 1000 && h.got.n < 5; k++)
                turn(&h);
            assert_true(str_eq(buf_view(&h.got), STR("hello")));
            assert_string_equal(h.peer.text, cases[i / 2].peer);
            assert_false(h.secure);
        }
        visit_free(&v);
        house_free(&h);
    }
}

static void test_proxy_before_tls(void **state)
{
    struct house h = house_new("127.0.0.1");
    char all[2048];
    (void)state;
    house_open(&h, ";tls;proxy");
    struct visit v = visit_new(&h);
    (void)SSL_do_handshake(v.client.ssl);
    struct str header = STR("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"),
               hello = client_take(&v.client);
    assert_true(header.n + hello.n < sizeof all);
    memcpy(all, header.p, header.n);
    memcpy(all + header.n, hello.p, hello.n);
    say(&v, str_n(all, header.n + hello.n)); /* one segment */
    get_in(&v);
    assert_true(h.secure);
    assert_string_equal(h.peer.text, "192.0.2.7");
    assert_int_equal(h.peer.port, 56324);
    assert_int_equal(SSL_write(v.client.ssl, "hello", 5), 5);
    UNTIL(&v, h.got.n == 5);
    visit_free(&v);
    house_free(&h);
}

static void test_who_may_not_speak_for_others(void **state)
{
    struct house h = house_new("10.0.0.0/8,unix");
    (void)state;
    house_open(&h, ";proxy");
    struct visit v = visit_new(&h);
    say(&v, STR("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\nhello"));
    expect_hang_up(&v);
    visit_free(&v);
    house_free(&h);
}

static void test_slow_ones_are_cut_off(void **state)
{
    static const char *const flags[] = {";tls", ";proxy", ";tls;proxy"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        struct house h = house_new("127.0.0.1");
        house_open(&h, flags[i]);
        struct visit v = visit_new(&h), late = visit_new(&h);
        say(&v, i == 0 ? STR("\x16\x03") : STR("PROXY "));
        for (int k = 0; k < 5; k++)
            turn(&h);
        set_clock(&h, "9s");
        int64_t from = loop_mono_us(h.l);
        while (loop_mono_us(h.l) - from < 9 * US_PER_S)
            turn(&h);
        hear(&v);
        assert_false(v.hung_up);
        set_clock(&h, "11s");
        expect_hang_up(&v);
        expect_hang_up(&late);
        visit_free(&v);
        visit_free(&late);
        house_free(&h);
    }
}

static void test_the_oldest_goes_when_it_is_crowded(void **state)
{
    static int fd[CROWD];
    struct house h = house_new("");
    struct rlimit limit, more;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    more = limit;
    if (more.rlim_cur < 4096)
        more.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    house_open(&h, ";tls");
    struct visit first = visit_new(&h);
    turn(&h);
    for (int i = 0; i < CROWD - 1; i++) {
        fd[i] = knock(&h);
        if (i % 100 == 0)
            turn(&h);
    }
    for (int i = 0; i < 50; i++)
        turn(&h);
    hear(&first);
    assert_false(first.hung_up);
    struct visit last = visit_new(&h);
    expect_hang_up(&first);
    get_in(&last); /* and who is honest gets in */
    for (int i = 0; i < CROWD - 1; i++)
        close(fd[i]);
    visit_free(&first);
    visit_free(&last);
    house_free(&h);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_a_closed_listener_leaves_nobody(void **state)
{
    struct house h = house_new("");
    (void)state;
    house_open(&h, ";tls");
    struct visit v = visit_new(&h);
    for (int i = 0; i < 5; i++)
        turn(&h);
    listener_close(h.listener);
    h.listener = NULL;
    expect_hang_up(&v);
    visit_free(&v);
    house_free(&h);
}

static int open_files(void **state)
{
    (void)state;
    files = tls_files_new("pay.example");
    log_open(STDERR_FILENO, LOG_OFF);
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    tls_files_free(&files);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_through_tls),
        cmocka_unit_test(test_a_new_site_is_for_new_connections),
        cmocka_unit_test(test_much_in_through_pauses),
        cmocka_unit_test(test_much_out_to_a_slow_reader),
        cmocka_unit_test(test_garbage_gets_an_alert),
        cmocka_unit_test(test_broken_records_end_it),
        cmocka_unit_test(test_proxy_headers),
        cmocka_unit_test(test_proxy_before_tls),
        cmocka_unit_test(test_who_may_not_speak_for_others),
        cmocka_unit_test(test_slow_ones_are_cut_off),
        cmocka_unit_test(test_the_oldest_goes_when_it_is_crowded),
        cmocka_unit_test(test_a_closed_listener_leaves_nobody),
    };
    return cmocka_run_group_tests(tests, open_files, drop_files);
}
