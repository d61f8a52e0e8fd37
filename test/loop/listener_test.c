/* Proves the listener of core/loop/stream.h: addresses, one port for several, socket files, and a
 * lack of file descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"

struct door {
    struct loop *l;
    struct listener *listener;
    int n;
    struct peer last;
    bool close_on_accept;
};

static void came(void *ctx, struct stream *s)
{
    struct door *d = ctx;
    d->n++;
    d->last = *stream_peer(s);
    stream_close(s);
    if (d->close_on_accept) {
        listener_close(d->listener);
        d->listener = NULL;
    }
}

static struct loop *loop_or_die(void)
{
    struct loop *l = NULL;
    assert_int_equal(loop_new(&l).code, ERR_NONE);
    return l;
}

static struct err open_door(struct door *d, const char *address)
{
    return listener_open(d->l, str_c(address), &(struct listener_guard){0}, came, d, &d->listener);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void turns(struct loop *l, int n)
{
    struct timer t = {0};
    for (int i = 0; i < n; i++) {
        timer_set(l, &t, 0, stop, l);
        loop_run(l);
    }
}

/* The error of connecting, 0 if it went well; *fd is open then. */
static int knock4(int port, int *fd)
{
    struct sockaddr_in a;
    assert_int_equal(uv_ip4_addr("127.0.0.1", port, &a), 0);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(*fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : errno;
}

static int knock_unix(const char *path, int *fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(*fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : errno;
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        {"127.0.0.1:0", ERR_NONE},
        {"0.0.0.0:0", ERR_NONE},
        {"", ERR_CONFIG},
        {":", ERR_CONFIG},
        {":80", ERR_CONFIG},
        {"8080", ERR_CONFIG},
        {"127.0.0.1", ERR_CONFIG},
        {"127.0.0.1:", ERR_CONFIG},
        {"127.0.0.1:x", ERR_CONFIG},
        {"127.0.0.1:-1", ERR_CONFIG},
        {"127.0.0.1:65536", ERR_CONFIG},
        {"127.0.0.1:99999999999999999999", ERR_CONFIG},
        {"localhost:80", ERR_CONFIG},
        {"256.0.0.1:80", ERR_CONFIG},
        {"::1:80", ERR_CONFIG},
        {"[::1]", ERR_CONFIG},
        {"[]:80", ERR_CONFIG},
        {"[127.0.0.1]:80", ERR_CONFIG},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80", ERR_CONFIG},
        {"192.0.2.1:0", ERR_IO}, /* TEST-NET: not ours */
        {"unix:", ERR_CONFIG},
        {"unix:/nonexistent/dir/socket", ERR_IO},
        {"unix:/tmp/0123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012345678901234567890123456789",
         ERR_CONFIG},
    };
    struct door d = {.l = loop_or_die()};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum err_code code = open_door(&d, cases[i].text).code;
        if (code != cases[i].code)
            fail_msg("%s: %s", cases[i].text, err_word(code));
        if (code == ERR_NONE) {
            assert_true(listener_port(d.listener) > 0);
            listener_close(d.listener);
        }
    }
    loop_run(d.l);
    loop_free(d.l);
}

static void test_the_peer_has_one_name_by_every_way(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", "[::]:0"};
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        struct door d = {.l = loop_or_die()};
        int fd;
        struct err err = open_door(&d, addresses[i]);
        if (err.detail == UV_EAFNOSUPPORT || err.detail == UV_EADDRNOTAVAIL) {
            loop_free(d.l); /* a machine without IPv6 */
            continue;
        }
        assert_int_equal(err.code, ERR_NONE);
        struct sockaddr_in own;
        socklen_t len = sizeof own;
        assert_int_equal(knock4(listener_port(d.listener), &fd), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
        turns(d.l, 2);
        assert_int_equal(d.n, 1);
        assert_string_equal(d.last.text, "127.0.0.1");
        assert_int_equal(d.last.port, ntohs(own.sin_port));
        assert_false(d.last.is_unix);
        close(fd);
        listener_close(d.listener);
        loop_run(d.l);
        loop_free(d.l);
    }
}

static void test_a_closed_listener_refuses(void **state)
{
    (void)state;
    struct door d = {.l = loop_or_die(), .close_on_accept = true};
    int a, b, c;
    assert_int_equal(open_door(&d, "127.0.0.1:0").code, ERR_NONE);
    int port = listener_port(d.listener);
    assert_int_equal(knock4(port, &a), 0);
    assert_int_equal(knock4(port, &b), 0);
    loop_run(d.l); /* ends: the first one who comes has it closed */
    assert_int_equal(d.n, 1);
    assert_int_equal(knock4(port, &c), ECONNREFUSED);
    close(a);
    close(b);
    close(c);
    loop_free(d.l);
}

static void test_two_listeners_share_a_port(void **state)
{
    (void)state;
    enum { KNOCKS = 64 };
    struct door one = {.l = loop_or_die()}, two = {.l = one.l};
    char address[32];
    int fd[KNOCKS];
    assert_int_equal(open_door(&one, "127.0.0.1:0").code, ERR_NONE);
    snprintf(address, sizeof address, "127.0.0.1:%d", listener_port(one.listener));
    assert_int_equal(open_door(&two, address).code, ERR_NONE);
    assert_int_equal(listener_port(two.listener), listener_port(one.listener));
    for (int i = 0; i < KNOCKS; i++)
        assert_int_equal(knock4(listener_port(one.listener), &fd[i]), 0);
    turns(one.l, 4);
    assert_int_equal(one.n + two.n, KNOCKS);
    assert_true(one.n > 0 && two.n > 0); /* the kernel hashes; all on one side is 2^-63 */
    for (int i = 0; i < KNOCKS; i++)
        close(fd[i]);
    listener_close(one.listener);
    listener_close(two.listener);
    loop_run(one.l);
    loop_free(one.l);
}

static void test_socket_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/reli_listener_XXXXXX", path[64], address[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    snprintf(address, sizeof address, "unix:%s", path);
    struct door d = {.l = loop_or_die()}, other = {.l = d.l};
    struct stat st;
    int fd;

    assert_int_equal(open_door(&d, address).code, ERR_NONE);
    assert_int_equal(listener_port(d.listener), 0);
    assert_int_equal(knock_unix(path, &fd), 0);
    turns(d.l, 2);
    assert_int_equal(d.n, 1);
    assert_string_equal(d.last.text, "unix");
    assert_true(d.last.is_unix);
    close(fd);

    struct err err = open_door(&other, address); /* somebody listens there */
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(err.detail, UV_EADDRINUSE);
    listener_close(d.listener);
    assert_int_equal(lstat(path, &st), -1);

    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd); /* as a killed process leaves it */
    assert_int_equal(open_door(&d, address).code, ERR_NONE);
    listener_close(d.listener);

    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(open_door(&d, address).code, ERR_CONFIG);
    assert_int_equal(lstat(path, &st), 0); /* not ours to remove */
    unlink(path);
    rmdir(dir);
    loop_run(d.l);
    loop_free(d.l);
}

static void test_without_descriptors_clients_wait_and_nothing_spins(void **state)
{
    (void)state;
    struct door d = {.l = loop_or_die()};
    struct rlimit old, low;
    struct timer t = {0};
    int fd, log_pipe[2];
    char text[2048];
    assert_int_equal(pipe(log_pipe), 0);
    log_open(log_pipe[1], LOG_INFO);
    assert_int_equal(open_door(&d, "127.0.0.1:0").code, ERR_NONE);
    assert_int_equal(knock4(listener_port(d.listener), &fd), 0);
    turns(d.l, 1); /* epoll and what else it opens is open now */
    assert_int_equal(d.n, 1);
    close(fd);
    assert_int_equal(knock4(listener_port(d.listener), &fd), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 3; /* standard ones only: no new one can be had */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    timer_set(d.l, &t, 350 * US_PER_MS, stop, d.l);
    loop_run(d.l);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(d.n, 1);
    int64_t cpu_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * US_PER_S +
                     (after.ru_utime.tv_usec - before.ru_utime.tv_usec) +
                     (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * US_PER_S +
                     (after.ru_stime.tv_usec - before.ru_stime.tv_usec);
    assert_true(cpu_us < 100 * US_PER_MS);
    for (int i = 0; i < 500 && d.n < 2; i++) {
        timer_set(d.l, &t, 20 * US_PER_MS, stop, d.l);
        loop_run(d.l);
    }
    assert_int_equal(d.n, 2); /* nobody was turned away */
    close(fd);
    listener_close(d.listener);
    loop_run(d.l);
    loop_free(d.l);
    ssize_t n = read(log_pipe[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    char *line = strstr(text, "\"listener.accept_failed\"");
    assert_non_null(line);
    assert_null(strstr(line + 1, "\"listener.accept_failed\"")); /* four tries, one line a second */
    log_open(STDERR_FILENO, LOG_ERROR);
    close(log_pipe[0]);
    close(log_pipe[1]);
}

int main(void)
{
    alarm(120); /* a loop that hangs fails */
    log_open(STDERR_FILENO, LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_the_peer_has_one_name_by_every_way),
        cmocka_unit_test(test_a_closed_listener_refuses),
        cmocka_unit_test(test_two_listeners_share_a_port),
        cmocka_unit_test(test_socket_files),
        cmocka_unit_test(test_without_descriptors_clients_wait_and_nothing_spins),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
