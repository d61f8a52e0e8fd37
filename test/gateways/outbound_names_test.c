/* Which packets leave when a merchant chooses where to. This program takes the place of the
 * resolver and of connect(2): names have the addresses that a table says, which may change between
 * two questions, and every address that anybody wants to reach is written down. Nothing is really
 * reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "gateways/outbound.h"
#include "gateways/outbound_addr.h"

#define PUBLIC "93.184.215.14"
#define OTHER_PUBLIC "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

enum { MAX_REACHED = 32 };

/* What was wanted. */
static char reached[MAX_REACHED][SOCKADDR_TEXT];
static int n_reached, n_sockets, n_asked;

/* ---- connect(2) and socket(2), also for libcurl ---- */

int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t n)
{
    const struct sockaddr *a = to.__sockaddr__; /* glibc's own declaration */
    if (a->sa_family != AF_INET && a->sa_family != AF_INET6)
        return (int)syscall(SYS_connect, fd, a, n);
    assert_true(n_reached < MAX_REACHED);
    assert_true(sockaddr_text(a, reached[n_reached++]));
    errno = ECONNREFUSED;
    return -1;
}

int socket(int domain, int type, int protocol)
{
    n_sockets += domain == AF_INET || domain == AF_INET6;
    return (int)syscall(SYS_socket, domain, type, protocol);
}

/* ---- the resolver of core/loop/loop.h ---- */

struct resolve {
    struct loop *l;
    struct later soon;
    resolve_fn *done;
    void *ctx;
    struct err err;
    struct sockaddr_storage room[RESOLVE_MAX];
    struct resolved found;
};

/* The addresses of the next questions, by commas; the last one repeats. */
static const char *const *script;
static bool silent; /* nobody answers */

static void tell(void *ctx)
{
    struct resolve *r = ctx;
    r->done(r->ctx, r->err, &r->found);
    free(r);
}

struct err resolve_start(struct loop *l, const char *host, const char *port, resolve_fn *done,
                         void *ctx, struct resolve **out)
{
    struct resolve *r = calloc(1, sizeof *r);
    struct str rest = str_c(script[0]), one;
    char text[64];
    (void)host, (void)port;
    assert_non_null(r);
    n_asked++;
    if (script[1] != NULL)
        script++;
    r->l = l;
    r->done = done;
    r->ctx = ctx;
    while (rest.n > 0 && str_split(&rest, ',', &one)) {
        struct sockaddr_storage *a = &r->room[r->found.n];
        assert_true(sockaddr_parse(str_copy_c(text, sizeof text, one), 0, a));
        r->found.addr[r->found.n++] = a;
    }
    if (r->found.n == 0)
        r->err = ERR(IO, "no address");
    if (!silent)
        loop_later(l, &r->soon, tell, r);
    *out = r;
    return ERR_OK;
}

void resolve_cancel(struct resolve *r)
{
    loop_later(r->l, &r->soon, tell, r);
    r->err = ERR(CANCELED, "resolve");
    r->found.n = 0;
}

/* ---- calls ---- */

struct house {
    struct loop *loop;
    struct outbound *out;
    struct outbound_response r;
    int n_done;
    char clock[64];
};

static void set_clock(const struct house *h, int seconds)
{
    FILE *f = fopen(h->clock, "w");
    assert_non_null(f);
    fprintf(f, "%ds", seconds);
    fclose(f);
}

static struct house house_new(void)
{
    struct house h = {.clock = "/tmp/reli-names-clock-XXXXXX"};
    const struct outbound_options o = {.user_agent = "reli-test"};
    close(mkstemp(h.clock));
    set_clock(&h, 0);
    assert_int_equal(loop_new(&h.loop).code, ERR_NONE);
    assert_int_equal(loop_test_clock(h.loop, h.clock).code, ERR_NONE);
    assert_int_equal(outbound_new(h.loop, &o, &h.out).code, ERR_NONE);
    n_reached = n_sockets = n_asked = 0;
    return h;
}

static void house_free(struct house *h)
{
    outbound_free(h->out);
    loop_run(h->loop);
    loop_free(h->loop);
    unlink(h->clock);
}

static void done(void *ctx, const struct outbound_response *r)
{
    struct house *h = ctx;
    h->r = *r;
    h->n_done++;
    loop_stop(h->loop);
}

/* False if it was refused at once. */
static bool call(struct house *h, const char *url)
{
    struct outbound_request in = {
        .method = "POST", .url = url, .body = STR("{}"), .public_only = true};
    struct outbound_call *c;
    int before = h->n_done;
    if (err_is(outbound_start(h->out, &in, done, h, &c)))
        return false;
    while (h->n_done == before)
        loop_run(h->loop);
    assert_int_equal(h->r.outcome, OUTBOUND_NOT_SENT);
    return true;
}

/* Forbidden in so many words: not taken when they are registered, and when they are called all the
 * same, nothing goes out. */
static const char *const spellings[] = {
    /* every range, first and last */
    "https://0.0.0.0/",
    "https://0.255.255.255/",
    "https://10.0.0.0/",
    "https://10.255.255.255/",
    "https://100.64.0.0/",
    "https://100.127.255.255/",
    "https://127.0.0.1/",
    "https://127.255.255.255/",
    "https://169.254.0.0/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.255.255/",
    "https://172.16.0.0/",
    "https://172.31.255.255/",
    "https://192.0.0.0/",
    "https://192.0.0.255/",
    "https://192.0.2.0/",
    "https://192.0.2.255/",
    "https://192.88.99.0/",
    "https://192.88.99.255/",
    "https://192.168.0.0/",
    "https://192.168.255.255/",
    "https://198.18.0.0/",
    "https://198.19.255.255/",
    "https://198.51.100.0/",
    "https://198.51.100.255/",
    "https://203.0.113.0/",
    "https://203.0.113.255/",
    "https://224.0.0.0/",
    "https://239.255.255.255/",
    "https://240.0.0.0/",
    "https://255.255.255.254/",
    "https://255.255.255.255/",
    /* the same in other numbers */
    "https://0/",
    "https://1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0X7F000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0177.1/",
    "https://00000177.0.0.01/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://127.0x1/",
    "https://3232235777/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://0251.0376.0251.0376/",
    "https://10.1/",
    "https://0xa.0x1/",
    "https://127.0.0.1:8443/",
    "https://127.0.0.1.:8443/",
    "https://2130706433.:8443/",
    "https://%31%32%37.0.0.1/",
    "https://127%2e0%2e0%2e1/",
    "https://127.0.0.%31/",
    /* IPv6, and what it carries */
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[0000::0001]/",
    "https://[::127.0.0.1]/",
    "https://[::7f00:1]/",
    "https://[::8.8.8.8]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::FFFF:8.8.8.8]/",
    "https://[0:0:0:0:0:ffff:10.1.2.3]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[fe80::1]/",
    "https://[febf::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%25lo]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fdff:ffff::1]/",
    "https://[ff02::1]/",
    "https://[ff0e::1]/",
    "https://[2001:db8::1]/",
    "https://[2001:db8:ffff::1]/",
    "https://[2001::1]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[2001:10::1]/",
    "https://[2001:20::1]/",
    "https://[100::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::8.8.8.8]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:808:808::1]/",
    "https://[3fff::1]/",
    "https://[4000::1]/",
    "https://[5f00::1]/",
    /* what parsers disagree about */
    "https://shop.example@127.0.0.1/",
    "https://127.0.0.1@shop.example/",
    "https://user:pw@shop.example/",
    "https://shop.example:443@127.0.0.1/",
    "https://shop.example#@127.0.0.1/",
    "https://127.0.0.1#.shop.example/",
    "https://shop.example\\@127.0.0.1/",
    "https://127.0.0.1\\.shop.example/",
    "https://127.0.0.1\t/",
    "https://127.0.0.1 /",
    "https:///127.0.0.1/",
    "https:127.0.0.1/",
    "https:/127.0.0.1/",
    "https:\\\\127.0.0.1/",
    "//127.0.0.1/",
    "127.0.0.1",
    "https://127.0.0.1%00.shop.example/",
    "https://127.0.0.1%0d%0a.shop.example/",
    "https://[127.0.0.1]/",
    "https://[::1",
    "https://::1/",
    "https://[::1].shop.example/",
    /* digits and dots of other alphabets */
    "https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/",
    "https://127\xe3\x80\x82"
    "0\xe3\x80\x82"
    "0\xe3\x80\x82"
    "1/",
    "https://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1/",
    /* other protocols and doors */
    "http://shop.example/",
    "http://127.0.0.1/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_PING",
    "dict://127.0.0.1:11211/",
    "ldap://127.0.0.1/",
    "unix:/run/postgresql/.s.PGSQL.5432",
    "http+unix://%2frun%2fdocker.sock/",
    "https://unix:%2frun%2fdocker.sock/",
    "https://shop.example:22/",
    "https://shop.example:80/",
    "https://shop.example:6379/",
    "https://shop.example:5432/",
    "https://shop.example:0/",
    "https://shop.example:65536/",
    "https://shop.example:-443/",
};

static void test_spellings(void **state)
{
    static const char *const loopback[] = {"127.0.0.1,::1", NULL};
    struct house h = house_new();
    (void)state;
    script = loopback; /* should any of them be taken for a name */
    assert_true(COUNT_OF(spellings) >= 80);
    for (size_t i = 0; i < COUNT_OF(spellings); i++) {
        if (outbound_url_ok(str_c(spellings[i]), false))
            fail_msg("may be registered: %s", spellings[i]);
        if (call(&h, spellings[i]) && !h.r.address_refused)
            fail_msg("went out: %s", spellings[i]);
        if (n_reached > 0 || n_sockets > 0)
            fail_msg("%s reaches for %s", spellings[i], n_reached > 0 ? reached[0] : "a socket");
    }
    house_free(&h);
}

/* An honest name that leads to where it must not. */
static void test_names_that_lead_astray(void **state)
{
    static const char *const answers[] = {
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "2001:0:4136:e378::1",
        "2001:db8::1",
        PUBLIC ",127.0.0.1",
        "127.0.0.1," PUBLIC,
        OTHER_PUBLIC ",::1",
        PUBLIC "," OTHER_PUBLIC ",10.0.0.1",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const char *const all[] = {answers[i], NULL};
        struct house h = house_new();
        script = all;
        assert_true(outbound_url_ok(STR("https://hooks.shop.example/x"), false));
        assert_true(call(&h, "https://hooks.shop.example/x"));
        if (!h.r.address_refused || n_reached > 0 || n_sockets > 0)
            fail_msg("%s is reached", answers[i]);
        house_free(&h);
    }
}

static void test_public_names_are_reached_and_nothing_else(void **state)
{
    static const char *const two[] = {PUBLIC "," OTHER_PUBLIC, NULL};
    struct house h = house_new();
    (void)state;
    script = two;
    assert_true(call(&h, "https://hooks.shop.example/x"));
    assert_false(h.r.address_refused);
    assert_int_equal(n_asked, 1);
    assert_int_equal(n_reached, 2); /* the second, since the first refused */
    assert_string_equal(reached[0], PUBLIC);
    assert_string_equal(reached[1], "[" OTHER_PUBLIC "]");
    house_free(&h);
}

/* The name is asked for once per look; what it would answer the next time is nobody's question
 * before its answer has been checked. */
static void test_a_name_that_changes_between_check_and_connect(void **state)
{
    static const char *const first_only[] = {PUBLIC, "127.0.0.1", NULL};
    struct house h = house_new();
    (void)state;
    script = first_only;
    for (int i = 1; i <= 3; i++) { /* what was found is good for some seconds */
        assert_true(call(&h, "https://hooks.shop.example/x"));
        assert_int_equal(n_asked, 1);
        assert_int_equal(n_reached, i);
        assert_string_equal(reached[i - 1], PUBLIC);
    }
    set_clock(&h, 10);
    while (n_asked == 1) {
        assert_true(call(&h, "https://hooks.shop.example/x"));
        if (n_asked == 1)
            assert_string_equal(reached[n_reached - 1], PUBLIC);
        if (n_reached == MAX_REACHED)
            n_reached = 3; /* the clock's file is read every 20 ms */
    }
    int before = n_reached;
    assert_true(h.r.address_refused);
    assert_true(call(&h, "https://hooks.shop.example/x"));
    assert_true(h.r.address_refused);
    assert_int_equal(n_reached, before);
    house_free(&h);
}

static void test_a_name_without_an_address(void **state)
{
    static const char *const none[] = {"", NULL};
    struct house h = house_new();
    (void)state;
    script = none;
    assert_true(call(&h, "https://hooks.shop.example/x"));
    assert_false(h.r.address_refused);
    assert_int_equal(n_reached, 0);
    house_free(&h);
}

/* ---- a look without a call ---- */

static struct err seen;
static int n_seen;

static void stop_loop(void *ctx)
{
    loop_stop(ctx);
}

static void turn(struct house *h)
{
    struct timer t = {0};
    timer_set(h->loop, &t, US_PER_MS, stop_loop, h->loop);
    loop_run(h->loop);
    timer_off(h->loop, &t);
}

static void looked(void *ctx, struct err err)
{
    struct house *h = ctx;
    seen = err;
    n_seen++;
    loop_stop(h->loop);
}

static enum err_code look(struct house *h, const char *url)
{
    int before = n_seen;
    struct err err = outbound_look(h->out, str_c(url), looked, h);
    if (err_is(err))
        return err.code;
    assert_int_equal(n_seen, before); /* on a later turn */
    while (n_seen == before)
        loop_run(h->loop);
    return seen.code;
}

static void test_a_look(void **state)
{
    static const struct {
        const char *url, *found;
        enum err_code code;
    } cases[] = {
        {"https://hooks.shop.example/x", PUBLIC, ERR_NONE},
        {"https://hooks.shop.example/x", PUBLIC "," OTHER_PUBLIC, ERR_NONE},
        {"https://hooks.shop.example/x", "127.0.0.1", ERR_INVALID},
        {"https://hooks.shop.example/x", PUBLIC ",10.0.0.1", ERR_INVALID},
        {"https://hooks.shop.example/x", "", ERR_IO},
        {"https://" PUBLIC "/", "", ERR_NONE},
        {"https://127.0.0.1/", "", ERR_INVALID},
        {"http://hooks.shop.example/", PUBLIC, ERR_INVALID},
        {"nonsense", PUBLIC, ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const answers[] = {cases[i].found, NULL};
        struct house h = house_new();
        script = answers;
        assert_int_equal(look(&h, cases[i].url), cases[i].code);
        if (cases[i].code != ERR_IO)
            assert_int_equal(look(&h, cases[i].url), cases[i].code); /* as it is known now */
        assert_int_equal(n_reached + n_sockets, 0);
        house_free(&h);
    }
}

static void test_a_look_that_is_cut_off(void **state)
{
    static const char *const answers[] = {PUBLIC, NULL};
    struct house h = house_new();
    (void)state;
    script = answers;
    int before = n_seen;
    assert_false(err_is(outbound_look(h.out, STR("https://hooks.shop.example/"), looked, &h)));
    outbound_free(h.out);
    assert_int_equal(n_seen, before + 1);
    assert_int_equal(seen.code, ERR_CANCELED);
    h.out = NULL;
    house_free(&h);
}

static void test_a_name_that_takes_too_long(void **state)
{
    static const char *const answers[] = {PUBLIC, NULL};
    struct house h = house_new();
    (void)state;
    script = answers;
    silent = true;
    int before = n_seen;
    for (int i = 0; i < 4; i++)
        assert_false(err_is(outbound_look(h.out, STR("https://slow.example/"), looked, &h)));
    struct err full = outbound_look(h.out, STR("https://slow.example/"), looked, &h);
    assert_int_equal(full.code, ERR_OVERLOADED);
    set_clock(&h, 3);
    while (n_seen < before + 4)
        loop_run(h.loop);
    assert_int_equal(seen.code, ERR_TIMEOUT);
    silent = false;
    assert_int_equal(look(&h, "https://quick.example/"), ERR_OVERLOADED); /* threads are busy */
    set_clock(&h, 20);
    int64_t from = loop_mono_us(h.loop);
    while (loop_mono_us(h.loop) - from < 10 * US_PER_S)
        turn(&h);
    assert_int_equal(look(&h, "https://quick.example/"), ERR_NONE);
    house_free(&h);
}

static int start(void **state)
{
    (void)state;
    log_open(STDERR_FILENO, LOG_OFF);
    return err_is(crypto_open()) ? 1 : 0;
}

static int stop(void **state)
{
    (void)state;
    crypto_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_names_that_lead_astray),
        cmocka_unit_test(test_public_names_are_reached_and_nothing_else),
        cmocka_unit_test(test_a_name_that_changes_between_check_and_connect),
        cmocka_unit_test(test_a_name_without_an_address),
        cmocka_unit_test(test_a_look),
        cmocka_unit_test(test_a_look_that_is_cut_off),
        cmocka_unit_test(test_a_name_that_takes_too_long),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
