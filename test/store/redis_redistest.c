/* store/redis.c against real servers: the one of REDIS_URL for commands and channels, and servers
 * of its own that are stopped, killed and started again. Exit 77 without REDIS_URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "store/redis.h"

enum { MANY = 5000, FEW = 100, TEXT_MAX = 64 };

/* ---- a server of our own ---- */

struct server {
    pid_t pid;
    char path[64], url[128];
    int port; /* 0: none */
    const char *password;
};

static const char *server_binary(void)
{
    const char *bin = getenv("REDIS_SERVER_BIN");
    return bin != NULL ? bin : "redis-server";
}

static void server_start(struct server *s)
{
    snprintf(s->path, sizeof s->path, "/tmp/redistest.%d.sock", (int)getpid());
    snprintf(s->url, sizeof s->url, "unix://%s", s->path);
    unlink(s->path);
    char port[8];
    snprintf(port, sizeof port, "%d", s->port);
    pid_t parent = getpid();
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    const char *bin = server_binary();
    execlp(bin, bin, "--port", port, "--unixsocket", s->path, "--save", "", "--appendonly", "no",
           "--dir", "/tmp", s->password != NULL ? "--requirepass" : NULL, s->password, NULL);
    _exit(127);
}

static void server_end(struct server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
    unlink(s->path);
}

static bool have_server(void)
{
    char command[256];
    snprintf(command, sizeof command, "command -v '%s' >/dev/null 2>&1", server_binary());
    return system(command) == 0;
}

/* ---- running the loop until something is so ---- */

struct wait {
    struct loop *l;
    bool (*so)(void *ctx);
    void *ctx;
    bool good;
};

static void wait_over(void *ctx)
{
    loop_stop(((struct wait *)ctx)->l);
}

static void wait_hook(void *ctx)
{
    struct wait *w = ctx;
    w->good = w->good || w->so(w->ctx); /* the last turn ends twice */
    if (w->good)
        loop_stop(w->l);
}

/* At most ten seconds: only a failure takes them. */
static void wait_for(struct loop *l, bool (*so)(void *ctx), void *ctx)
{
    struct wait w = {.l = l, .so = so, .ctx = ctx};
    struct turn_hook hook = {0};
    struct timer end = {0};
    loop_hook_add(l, &hook, wait_hook, &w);
    timer_set(l, &end, 10 * US_PER_S, wait_over, &w);
    loop_run(l);
    timer_off(l, &end);
    loop_hook_remove(l, &hook);
    assert_true(w.good);
}

static bool is_up(void *ctx)
{
    return redis_up(ctx);
}

struct result {
    int n;
    enum err_code code;
    bool nil;
    int64_t i64;
    size_t len;
    char text[TEXT_MAX];
    uint8_t sum; /* of all bytes */
};

static void keep(void *ctx, struct err err, const struct redis_reply *reply)
{
    struct result *r = ctx;
    r->n++;
    r->code = err.code;
    if (reply == NULL)
        return;
    r->nil = reply->nil;
    r->i64 = reply->i64;
    r->len = reply->str.n;
    str_copy_c(r->text, sizeof r->text, reply->str);
    for (size_t i = 0; i < reply->str.n; i++)
        r->sum = (uint8_t)(r->sum + (uint8_t)reply->str.p[i]);
}

static bool has_result(void *ctx)
{
    return ((struct result *)ctx)->n > 0;
}

/* Space-separated words. */
static struct result ask(struct loop *l, struct redis *r, const char *words)
{
    struct str rest = str_c(words), args[16];
    size_t n = 0;
    while (str_split(&rest, ' ', &args[n]))
        n++;
    struct result out = {0};
    redis_command(r, args, n, keep, &out);
    assert_int_equal(out.n, 0);
    wait_for(l, has_result, &out);
    assert_int_equal(out.n, 1);
    return out;
}

static char key[64];

static struct result ask_key(struct loop *l, struct redis *r, const char *verb, const char *rest)
{
    char text[256];
    snprintf(text, sizeof text, "%s %s%s", verb, key, rest);
    return ask(l, r, text);
}

static struct loop *start(const char *url, struct redis **r)
{
    struct loop *l;
    assert_false(err_is(loop_new(&l)));
    assert_false(err_is(redis_new(l, url, r)));
    return l;
}

static void stop(struct loop *l, struct redis *r)
{
    redis_free(r);
    loop_run(l);
    loop_free(l);
    arena_trim();
}

/* ---- a healthy server ---- */

static void commands(void **state)
{
    (void)state;
    struct redis *r;
    struct loop *l = start(getenv("REDIS_URL"), &r);
    wait_for(l, is_up, r);
    assert_true(ask_key(l, r, "GET", "").nil);
    assert_string_equal(ask_key(l, r, "SET", " hello").text, "OK");
    assert_string_equal(ask_key(l, r, "GET", "").text, "hello");
    struct result got = ask_key(l, r, "INCR", "");
    assert_int_equal(got.code, ERR_FAILED); /* no number */
    assert_int_equal(got.i64, 0);
    assert_true(str_starts(str_c(got.text), STR("ERR ")));
    assert_int_equal(ask_key(l, r, "DEL", "").i64, 1);
    assert_int_equal(ask_key(l, r, "INCRBY", " 41").i64, 41);
    assert_int_equal(ask_key(l, r, "DECRBY", " 100").i64, -59);
    assert_int_equal(ask(l, r, "NO-SUCH-COMMAND").code, ERR_FAILED);
    assert_int_equal(ask(l, r, "TIME").code, ERR_FAILED); /* an array */
    got = ask(l, r, "EVALSHA 0123456789012345678901234567890123456789 0");
    assert_int_equal(got.code, ERR_FAILED);
    assert_true(str_starts(str_c(got.text), STR("NOSCRIPT")));
    assert_int_equal(ask(l, r, "EVAL return(40+2) 0").i64, 42);
    assert_int_equal(ask_key(l, r, "DEL", "").i64, 1);
    assert_true(redis_up(r));
    stop(l, r);
}

static void bytes_are_bytes(void **state)
{
    (void)state;
    struct redis *r;
    struct loop *l = start(getenv("REDIS_URL"), &r);
    wait_for(l, is_up, r);
    static char bytes[300000];
    uint8_t sum = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 7 % 251 == 0 ? '\r' : i % 256);
        sum = (uint8_t)(sum + (uint8_t)bytes[i]);
    }
    const struct str set[] = {STR("SET"), str_c(key), str_n(bytes, sizeof bytes)};
    struct result done = {0};
    redis_command(r, set, 3, keep, &done);
    struct result got = ask_key(l, r, "GET", "");
    assert_int_equal(got.len, sizeof bytes);
    assert_int_equal(got.sum, sum);
    const struct str empty[] = {STR("SET"), str_c(key), STR_NULL};
    redis_command(r, empty, 3, NULL, NULL);
    got = ask_key(l, r, "GET", "");
    assert_false(got.nil);
    assert_int_equal(got.len, 0);
    ask_key(l, r, "DEL", "");
    stop(l, r);
}

static void answers_come_in_order(void **state)
{
    (void)state;
    struct redis *r;
    struct loop *l = start(getenv("REDIS_URL"), &r);
    wait_for(l, is_up, r);
    struct result *all = calloc(MANY, sizeof *all);
    assert_non_null(all);
    const struct str incr[] = {STR("INCR"), str_c(key)};
    for (int i = 0; i < MANY; i++)
        redis_command(r, incr, 2, keep, &all[i]);
    wait_for(l, has_result, &all[MANY - 1]);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(all[i].n, 1);
        assert_int_equal(all[i].i64, i + 1);
    }
    free(all);
    ask_key(l, r, "DEL", "");
    stop(l, r);
}

/* ---- channels ---- */

struct ear {
    int gaps, messages, wrong, expected;
    char last[TEXT_MAX];
};

static void on_message(void *ctx, struct str payload)
{
    struct ear *e = ctx;
    char want[32];
    snprintf(want, sizeof want, "n%d", e->messages);
    if (!str_eq(payload, str_c(want)))
        e->wrong++;
    e->messages++;
    str_copy_c(e->last, sizeof e->last, payload);
}

static void on_gap(void *ctx)
{
    ((struct ear *)ctx)->gaps++;
}

static bool has_gap(void *ctx)
{
    return ((struct ear *)ctx)->gaps > 0;
}

static bool has_all(void *ctx)
{
    struct ear *e = ctx;
    return e->messages >= e->expected;
}

static void listen_to(struct redis *r, const char *channel, struct ear *e)
{
    redis_subscribe(r, str_c(channel), &(struct redis_subscriber){on_message, on_gap, e});
}

static void publish_and_subscribe(void **state)
{
    (void)state;
    struct redis *r, *other;
    struct loop *l = start(getenv("REDIS_URL"), &r);
    assert_false(err_is(redis_new(l, getenv("REDIS_URL"), &other)));
    char first[96], second[96];
    snprintf(first, sizeof first, "%s:a", key);
    snprintf(second, sizeof second, "%s:b", key);
    struct ear a = {.expected = MANY / 5}, b = {.expected = MANY / 5};
    listen_to(r, first, &a);
    wait_for(l, has_gap, &a);
    listen_to(r, second, &b); /* on the connection that stands */
    wait_for(l, has_gap, &b);
    wait_for(l, is_up, other);
    for (int i = 0; i < MANY / 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "n%d", i);
        redis_publish(other, str_c(first), str_c(text));
        redis_publish(r, str_c(second), str_c(text));
    }
    wait_for(l, has_all, &a);
    wait_for(l, has_all, &b);
    assert_int_equal(a.wrong + b.wrong, 0);
    assert_int_equal(a.gaps, 1);
    assert_int_equal(b.gaps, 1);
    redis_free(other);
    stop(l, r);
}

/* ---- servers that fail ---- */

static void killed_and_restarted(void **state)
{
    struct server *s = *state;
    struct redis *r;
    server_start(s);
    struct loop *l = start(s->url, &r);
    struct ear e = {.expected = 1};
    listen_to(r, "c", &e);
    wait_for(l, is_up, r);
    wait_for(l, has_gap, &e);
    for (int round = 1; round <= 2; round++) {
        /* stopped first, so that the commands really are in flight when it dies */
        kill(s->pid, SIGSTOP);
        struct result all[FEW] = {0};
        const struct str incr[] = {STR("INCR"), STR("k")};
        for (int i = 0; i < FEW; i++)
            redis_command(r, incr, 2, keep, &all[i]);
        server_end(s);
        wait_for(l, has_result, &all[FEW - 1]);
        for (int i = 0; i < FEW; i++) {
            assert_int_equal(all[i].n, 1);
            assert_int_equal(all[i].code, ERR_UNAVAILABLE);
        }
        assert_false(redis_up(r));
        assert_int_equal(ask(l, r, "PING").code, ERR_UNAVAILABLE);
        e = (struct ear){.expected = 1};
        server_start(s);
        wait_for(l, is_up, r);
        wait_for(l, has_gap, &e);
        assert_int_equal(e.gaps, 1);
        redis_publish(r, STR("c"), STR("n0"));
        wait_for(l, has_all, &e);
        assert_int_equal(e.wrong, 0);
    }
    stop(l, r);
    server_end(s);
}

static bool is_down(void *ctx)
{
    return !redis_up(ctx);
}

static void stalled_and_back(void **state)
{
    struct server *s = *state;
    struct redis *r;
    server_start(s);
    struct loop *l = start(s->url, &r);
    wait_for(l, is_up, r);
    kill(s->pid, SIGSTOP);
    struct result all[FEW] = {0};
    const struct str incr[] = {STR("INCR"), STR("k")};
    int64_t from_us = loop_mono_us(l);
    for (int i = 0; i < FEW; i++)
        redis_command(r, incr, 2, keep, &all[i]);
    wait_for(l, has_result, &all[FEW - 1]);
    assert_true(loop_mono_us(l) - from_us >= 250 * US_PER_MS);
    for (int i = 0; i < FEW; i++) {
        assert_int_equal(all[i].n, 1);
        assert_int_equal(all[i].code, ERR_UNAVAILABLE);
    }
    /* the kernel still takes connections for it: they must not count as up */
    wait_for(l, is_down, r);
    assert_int_equal(ask(l, r, "PING").code, ERR_UNAVAILABLE);
    kill(s->pid, SIGCONT);
    wait_for(l, is_up, r);
    assert_string_equal(ask(l, r, "PING").text, "PONG");
    stop(l, r);
    server_end(s);
}

static int free_port(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    close(fd);
    return ntohs(sa.sin_port);
}

static FILE *lines;

static bool has_logged(void *ctx)
{
    (void)ctx;
    log_flush();
    return lseek(fileno(lines), 0, SEEK_END) > 0;
}

static void logged(char *text, size_t cap)
{
    rewind(lines);
    size_t n = fread(text, 1, cap - 1, lines);
    text[n] = '\0';
}

static void passwords_users_databases(void **state)
{
    struct server *s = *state;
    s->password = "p@ss:word";
    s->port = free_port();
    static const struct {
        const char *login, *place, *why; /* NULL: let in */
    } cases[] = {
        {":p%40ss%3Aword@", "127.0.0.1", NULL}, /* first: from here on the server is there */
        {"", "127.0.0.1", "NOAUTH"},
        {":wrong@", "127.0.0.1", "WRONGPASS"},
        {"default:p%40ss%3Aword@", "localhost", NULL},
        {"nobody:p%40ss%3Aword@", "127.0.0.1", "WRONGPASS"},
    };
    server_start(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[256], text[4096];
        snprintf(url, sizeof url, "redis://%s%s:%d/%zu", cases[i].login, cases[i].place, s->port,
                 i);
        lines = tmpfile();
        assert_non_null(lines);
        log_open(fileno(lines), LOG_INFO);
        struct redis *r;
        struct loop *l = start(url, &r);
        if (cases[i].why != NULL) {
            wait_for(l, has_logged, NULL);
            logged(text, sizeof text);
            assert_non_null(strstr(text, cases[i].why));
            assert_int_equal(ask(l, r, "PING").code, ERR_UNAVAILABLE);
        } else {
            wait_for(l, is_up, r);
            /* each case has its own database */
            assert_true(ask(l, r, "GET k").nil);
            assert_string_equal(ask(l, r, "SET k v").text, "OK");
        }
        stop(l, r);
        logged(text, sizeof text);
        assert_null(strstr(text, "p@ss"));
        log_close();
        log_open(STDERR_FILENO, LOG_OFF);
        fclose(lines);
    }
    server_end(s);
}

static int server_teardown(void **state)
{
    server_end(*state);
    return 0;
}

static void free_in_flight(void **state)
{
    (void)state;
    struct redis *r;
    struct loop *l = start(getenv("REDIS_URL"), &r);
    wait_for(l, is_up, r);
    struct result all[FEW] = {0};
    const struct str incr[] = {STR("PING")};
    for (int i = 0; i < FEW; i++)
        redis_command(r, incr, 1, keep, &all[i]);
    struct ear e = {0};
    listen_to(r, "c", &e);
    redis_free(r);
    for (int i = 0; i < FEW; i++)
        assert_true(all[i].n == 1 && all[i].code == ERR_CANCELED);
    loop_run(l);
    loop_free(l);
}

int main(void)
{
    if (getenv("REDIS_URL") == NULL)
        return 77;
    log_open(STDERR_FILENO, LOG_OFF);
    snprintf(key, sizeof key, "reli:redistest:%d", (int)getpid());
    const struct CMUnitTest healthy[] = {
        cmocka_unit_test(commands),
        cmocka_unit_test(bytes_are_bytes),
        cmocka_unit_test(answers_come_in_order),
        cmocka_unit_test(publish_and_subscribe),
        cmocka_unit_test(free_in_flight),
    };
    int failed = cmocka_run_group_tests(healthy, NULL, NULL);
    if (!have_server())
        return failed;
    static struct server s;
    const struct CMUnitTest failing[] = {
        cmocka_unit_test_prestate_setup_teardown(killed_and_restarted, NULL, server_teardown, &s),
        cmocka_unit_test_prestate_setup_teardown(stalled_and_back, NULL, server_teardown, &s),
        cmocka_unit_test_prestate_setup_teardown(passwords_users_databases, NULL, server_teardown,
                                                 &s),
    };
    return failed + cmocka_run_group_tests(failing, NULL, NULL);
}
