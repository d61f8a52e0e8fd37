/* When the keys of Firebase are fetched, and what counts meanwhile: against a publisher on the loop
 * of the test, with the hours of the test clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/codec/jsonw.h"
#include "core/crypto/mac.h"
#include "core/crypto/rsa_key.h"
#include "core/flow/firebase_keys.h"
#include "gateways/outbound.h"
#include "test/gateways/peer.h"

static struct rsa_key *rsa;
static char pem[4096];

static struct world {
    struct loop *l;
    struct test_peer peer;
    struct outbound *out;
    struct firebase_keys *k;
    char url[64], clock[64];
    int64_t now_s;
    char answer[16384]; /* of the publisher */
    bool silent;
    int n_done, until_done, until_fetched, n_fetched;
    struct err last;
} w;

static void publish(const char *control, const char *names)
{
    struct buf b;
    struct jsonw j = jw_into(&b);
    buf_init(&b, 12000);
    jw_open(&j);
    for (const char *n = names; *n != '\0'; n++) {
        char name[2] = {*n, '\0'};
        jw_c(&j, name, pem);
    }
    jw_close(&j);
    snprintf(w.answer, sizeof w.answer, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n%.*s",
             control, b.n, STR_ARG(buf_view(&b)));
    buf_free(&b);
}

static void publish_raw(const char *status, const char *body)
{
    snprintf(w.answer, sizeof w.answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
}

static void look(void)
{
    if (w.n_done >= w.until_done && w.n_fetched >= w.until_fetched)
        loop_stop(w.l);
}

static void play(struct peer_conn *c)
{
    w.n_fetched++;
    assert_true(str_starts(c->request, STR("GET /certs HTTP/1.1\r\n")));
    if (!w.silent)
        peer_say(c, str_c(w.answer));
}

static void told(void *ctx, struct err err)
{
    (void)ctx;
    w.n_done++;
    w.last = err;
    look();
}

static void hook(void *ctx)
{
    (void)ctx;
    if (outbound_in_flight(w.out) == 0)
        look();
}

static void advance(int64_t seconds)
{
    FILE *f = fopen(w.clock, "w");
    assert_non_null(f);
    w.now_s += seconds;
    fprintf(f, "%lld", (long long)w.now_s);
    fclose(f);
    assert_false(err_is(loop_test_clock(w.l, w.clock)));
}

static void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("nothing happens: %d fetches, %d answers", w.n_fetched, w.n_done);
}

static void run(void)
{
    struct timer deadline = {0};
    timer_set(w.l, &deadline, 10 * US_PER_S, too_late, NULL);
    loop_run(w.l);
    timer_off(w.l, &deadline);
}

/* Until so many fetches have ended in all. */
static void run_fetched(int n)
{
    w.until_fetched = n;
    w.until_done = 0;
    run();
    assert_int_equal(w.n_fetched, n);
}

static void seek(int n)
{
    w.until_done = w.n_done + n;
    w.until_fetched = 0;
    for (int i = 0; i < n; i++)
        assert_false(err_is(firebase_keys_refresh(w.k, told, NULL)));
    assert_int_equal(w.n_done, w.until_done - n); /* never at once */
    run();
    assert_int_equal(w.n_done, w.until_done);
}

static void wake(void *ctx)
{
    loop_stop(ctx);
}

/* Some turns, in which nothing has to happen. */
static void turns(void)
{
    struct timer t = {0};
    w.until_fetched = w.until_done = INT32_MAX;
    timer_set(w.l, &t, 20 * US_PER_MS, wake, w.l);
    loop_run(w.l);
}

static bool has(const char *name)
{
    return jwt_keys_find(firebase_keys_now(w.k), str_c(name)) != NULL;
}

static struct turn_hook end_hook;

static void begin_world(void)
{
    memset(&w, 0, sizeof w);
    end_hook = (struct turn_hook){0};
    assert_false(err_is(loop_new(&w.l)));
    snprintf(w.clock, sizeof w.clock, "/tmp/firebase_keys_test.%d", (int)getpid());
    advance(0);
    struct outbound_options o = {0};
    assert_false(err_is(outbound_new(w.l, &o, &w.out)));
    peer_start(&w.peer, w.l, play, NULL);
    snprintf(w.url, sizeof w.url, "http://127.0.0.1:%d/certs", w.peer.port);
    assert_false(err_is(firebase_keys_new(w.l, w.out, w.url, &w.k)));
    loop_hook_add(w.l, &end_hook, hook, NULL);
}

static void end_world(void)
{
    firebase_keys_stop(w.k);
    outbound_free(w.out);
    firebase_keys_free(w.k);
    loop_hook_remove(w.l, &end_hook);
    peer_stop(&w.peer);
    loop_run(w.l);
    loop_free(w.l);
    unlink(w.clock);
}

static void in_the_background(void **state)
{
    (void)state;
    begin_world();
    assert_null(firebase_keys_now(w.k));
    publish("Cache-Control: public, max-age=1000\r\n", "a");
    run_fetched(1);
    assert_true(has("a") && !has("b"));
    publish("Cache-Control: max-age=1000\r\n", "b");
    advance(795);
    turns();
    assert_int_equal(w.n_fetched, 1);
    assert_true(has("a"));
    advance(6);
    run_fetched(2);
    assert_true(has("b") && !has("a"));
    end_world();
}

static void lives(void **state)
{
    (void)state;
    static const struct {
        const char *control;
        int64_t life_s;
    } cases[] = {
        {"", 300},
        {"Cache-Control: no-cache\r\n", 300},
        {"Cache-Control: max-age=soon\r\n", 300},
        {"Cache-Control: max-age=0\r\n", 60},
        {"Cache-Control: max-age=59\r\n", 60},
        {"Cache-Control: max-age=20000\r\n", 20000},
        {"Cache-Control: max-age=86400\r\n", 86400},
        {"Cache-Control: max-age=99999999999999999999\r\n", 86400},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        begin_world();
        publish(cases[i].control, "a");
        run_fetched(1);
        advance(cases[i].life_s * 4 / 5 - 4);
        turns();
        assert_int_equal(w.n_fetched, 1);
        advance(5);
        run_fetched(2);
        end_world();
    }
}

static void unknown_names(void **state)
{
    (void)state;
    begin_world();
    publish("Cache-Control: max-age=86400\r\n", "a");
    run_fetched(1);
    publish("Cache-Control: max-age=86400\r\n", "ab");
    seek(5); /* one fetch for all */
    assert_int_equal(w.last.code, ERR_NONE);
    assert_int_equal(w.n_fetched, 2);
    assert_true(has("a") && has("b"));
    advance(58);
    seek(3); /* not within a minute */
    assert_int_equal(w.last.code, ERR_NONE);
    assert_int_equal(w.n_fetched, 2);
    advance(3);
    seek(3);
    assert_int_equal(w.n_fetched, 3);
    end_world();
}

/* Who may not ask for a fetch, but comes when one is due anyway, is told after it. */
static void just_in_time(void **state)
{
    (void)state;
    begin_world();
    publish("Cache-Control: max-age=60\r\n", "a");
    run_fetched(1);
    seek(1);
    assert_int_equal(w.n_fetched, 2);
    publish("Cache-Control: max-age=60\r\n", "b");
    advance(50);
    seek(1);
    assert_int_equal(w.n_fetched, 3);
    assert_true(has("b"));
    end_world();
}

static void publisher_away(void **state)
{
    (void)state;
    static const char *const bodies[] = {"<html>busy</html>", "{}", "{\"error\":{\"code\":503}}"};
    begin_world();
    publish("Cache-Control: max-age=1000\r\n", "a");
    run_fetched(1);
    advance(801);
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        publish_raw("200 OK", bodies[i]);
        run_fetched(2 + (int)i);
        assert_true(has("a"));
        turns();
        assert_int_equal(w.n_fetched, 2 + i); /* not again and again */
        advance(31);
    }
    publish("Cache-Control: max-age=1000\r\n", "b");
    memcpy(w.answer + strlen("HTTP/1.1 "), "503", 3); /* a good set, but not said to be one */
    run_fetched(5);
    assert_true(has("a") && !has("b"));
    /* a day after the set came nothing is believed any more */
    advance(86400 - 801 - 3 * 31 - 10);
    run_fetched(6);
    assert_true(has("a"));
    advance(11);
    assert_null(firebase_keys_now(w.k));
    seek(2);
    assert_int_equal(w.last.code, ERR_UNAVAILABLE);
    int n = w.n_fetched;
    seek(2); /* the last try was just now */
    assert_int_equal(w.last.code, ERR_UNAVAILABLE);
    assert_int_equal(w.n_fetched, n);
    publish("Cache-Control: max-age=1000\r\n", "c");
    advance(6);
    seek(1);
    assert_int_equal(w.last.code, ERR_NONE);
    assert_true(has("c") && !has("a"));
    end_world();
}

static void too_large(void **state)
{
    (void)state;
    begin_world();
    snprintf(w.answer, sizeof w.answer, "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n");
    seek(1);
    assert_int_equal(w.last.code, ERR_UNAVAILABLE);
    end_world();
}

static void many_wait(void **state)
{
    (void)state;
    begin_world();
    w.silent = true;
    w.until_done = INT32_MAX;
    for (int i = 0; i < FIREBASE_KEYS_WAITING; i++)
        assert_false(err_is(firebase_keys_refresh(w.k, told, NULL)));
    assert_int_equal(firebase_keys_refresh(w.k, told, NULL).code, ERR_UNAVAILABLE);
    assert_int_equal(w.n_done, 0);
    end_world(); /* all are told */
    assert_int_equal(w.n_done, FIREBASE_KEYS_WAITING);
    assert_true(err_is(w.last));
}

static int begin(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, sizeof pem);
    log_open(STDERR_FILENO, LOG_ERROR);
    if (err_is(crypto_open()) || err_is(rsa_key_new(&rsa)) ||
        err_is(rsa_key_certificate(rsa, STR("test"), &b)))
        return 1;
    str_copy_c(pem, sizeof pem, buf_view(&b));
    buf_free(&b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rsa_key_free(rsa);
    crypto_close();
    arena_trim();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_background), cmocka_unit_test(lives),
        cmocka_unit_test(unknown_names),     cmocka_unit_test(just_in_time),
        cmocka_unit_test(publisher_away),    cmocka_unit_test(too_large),
        cmocka_unit_test(many_wait),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
