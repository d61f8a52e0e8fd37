/* core/base/log.c: every line is JSON whatever is in it, phone numbers are masked, and a reader who
 * is slow or gone stops nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/codec/json.h"
#include "test/base/child.h"

struct bench {
    int read_fd, write_fd;
    struct buf got;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    int fds[2];
    if (b == NULL || pipe(fds) != 0)
        return 1;
    b->read_fd = fds[0];
    b->write_fd = fds[1];
    (void)fcntl(b->read_fd, F_SETFL, O_NONBLOCK);
    buf_init(&b->got, 4 << 20);
    log_open(b->write_fd, LOG_DEBUG);
    log_now(INT64_C(1795230000123000));
    log_request(NULL);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    if (b->read_fd >= 0)
        (void)close(b->read_fd);
    log_close();
    (void)close(b->write_fd);
    buf_free(&b->got);
    free(b);
    return 0;
}

/* What the pipe holds now. */
static void drain(struct bench *b)
{
    char piece[4096];
    ssize_t n;
    while ((n = read(b->read_fd, piece, sizeof piece)) > 0)
        buf_add(&b->got, piece, (size_t)n);
    assert_false(b->got.failed);
}

static struct str flushed(struct bench *b)
{
    buf_reset(&b->got);
    while (log_waiting() > 0) {
        log_flush();
        drain(b);
    }
    return buf_view(&b->got);
}

static struct json *parsed(struct str line)
{
    struct json *j;
    struct err err = json_parse(line, &j, NULL);
    if (err_is(err))
        fail_msg("not JSON: %.*s", STR_ARG(line));
    return j;
}

static void assert_member(const struct json *j, const char *name, const char *want)
{
    struct str got = json_str(json_get(j, name));
    if (!str_eq(got, str_c(want)))
        fail_msg("%s: %.*s, not %s", name, STR_ARG(got), want);
}

static void a_line(void **state)
{
    struct uuid id = {{0xab, 0xcd}};
    log_request("req-1");
    log_warn("charge.sent", F_ID("payment", id), F_I64("ms", -5), F_BOOL("late", true),
             F_C("word", "x"), F_ERR(ERR_D(IO, -104, "reset")));
    struct str text = flushed(*state);
    assert_true(str_eq(
        text, STR("{\"time\":\"2026-11-21T03:00:00.123Z\",\"level\":\"warn\","
                  "\"event\":\"charge.sent\",\"request_id\":\"req-1\","
                  "\"payment\":\"abcd0000-0000-0000-0000-000000000000\",\"ms\":-5,"
                  "\"late\":true,\"word\":\"x\",\"error\":\"io\",\"error_detail\":-104,"
                  "\"error_words\":\"Connection reset by peer\",\"error_what\":\"reset\"}\n")));
    log_request(NULL);
    log_info("idle", F_ERR(ERR_OK));
    text = flushed(*state);
    assert_true(str_eq(text, STR("{\"time\":\"2026-11-21T03:00:00.123Z\",\"level\":\"info\","
                                 "\"event\":\"idle\",\"request_id\":null,\"error\":\"ok\"}\n")));
}

static void levels(void **state)
{
    struct bench *b = *state;
    for (int level = LOG_DEBUG; level <= LOG_OFF; level++) {
        log_open(b->write_fd, (enum log_level)level);
        assert_int_equal(log_level(), level);
        log_debug("d");
        log_info("i");
        log_warn("w");
        log_error("e");
        struct str text = flushed(b), line;
        int n = 0;
        while (str_split(&text, '\n', &line) && line.n > 0)
            n++;
        assert_int_equal(n, LOG_OFF - level);
    }
}

/* Each byte alone, and between others; foreign ones read as Latin-1. */
static void hostile_bytes(void **state)
{
    for (int c = 1; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'}, want[8];
        size_t n = 0;
        want[n++] = 'a';
        if (c < 0x80) {
            want[n++] = (char)c;
        } else {
            want[n++] = (char)(0xc0 | c >> 6);
            want[n++] = (char)(0x80 | (c & 0x3f));
        }
        want[n++] = 'b';
        want[n] = '\0';
        char request[4] = {'r', (char)c, 0, 0};
        log_request(request);
        log_info("x", F_STR("s", str_n(text, 3)), F_MSISDN("phone", str_n(text, 3)));
        log_request(NULL);
        struct str line = flushed(*state);
        assert_int_equal(str_find(line, '\n', 0), line.n - 1); /* one line */
        for (size_t i = 0; i + 1 < line.n; i++)
            assert_true(line.p[i] >= 0x20 && line.p[i] < 0x7f);
        struct json *j = parsed(line);
        assert_member(j, "s", want);
        assert_member(j, "phone", want);
        json_free(j);
    }
    log_info("x", F_STR("s", str_n("a\0b", 3)), F_STR("none", STR_NULL));
    struct str line = flushed(*state);
    assert_int_not_equal(str_find_str(line, STR("\"s\":\"a\\u0000b\",\"none\":\"\"}")), SIZE_MAX);
    log_info("x", F_C("s", "\",\"level\":\"error\",\"x\":\"\n{\"event\":\"forged\"}"));
    struct json *j = parsed(flushed(*state));
    assert_member(j, "level", "info");
    assert_member(j, "event", "x");
    json_free(j);
}

static void long_texts_are_cut(void **state)
{
    static char text[5000];
    memset(text, 'y', sizeof text);
    log_info("x", F_STR("s", str_n(text, sizeof text)), F_I64("n", 1));
    struct json *j = parsed(flushed(*state));
    assert_int_equal(json_str(json_get(j, "s")).n, 2048);
    int64_t n;
    assert_true(json_i64(json_get(j, "n"), &n) && n == 1);
    json_free(j);
}

static void masks(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"254712345678", "25471*****78"},
        {"+254712345678", "+2547******78"},
        {"0712345678", "07123***78"},
        {"12345678", "12345*78"},
        {"", ""},
        {"123456789012345678901234567890", "12345*****************34"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_info("x", F_MSISDN("phone", str_c(cases[i].in)));
        struct json *j = parsed(flushed(*state));
        assert_member(j, "phone", cases[i].out);
        json_free(j);
    }
}

/* A pipe that nobody reads: a flush comes back at once (SIGALRM kills the test that hangs), what
 * does not fit is dropped and counted, and what stayed arrives whole when the reader wakes. */
static void a_reader_who_sleeps(void **state)
{
    struct bench *b = *state;
    static char text[1000];
    memset(text, 'z', sizeof text);
    int64_t dropped_before = log_dropped();
    int n = 0;
    (void)alarm(60);
    for (; log_dropped() == dropped_before; n++) {
        log_info("x", F_I64("n", n), F_STR("s", str_n(text, sizeof text)));
        log_flush();
        assert_true(n < 5000);
    }
    assert_true(log_waiting() > 0 && log_waiting() <= 1 << 20);
    for (int i = 0; i < 9; i++)
        log_info("lost");
    (void)alarm(0);
    assert_int_equal(log_dropped() - dropped_before, 10);
    struct str all = flushed(b), line;
    int64_t want = 0, got;
    while (str_split(&all, '\n', &line) && line.n > 0) {
        struct json *j = parsed(line);
        assert_true(json_i64(json_get(j, "n"), &got) && got == want++);
        json_free(j);
    }
    assert_int_equal(want, n - 1); /* all but the one that was dropped */
    log_info("after");
    all = flushed(b);
    assert_true(str_split(&all, '\n', &line));
    struct json *j = parsed(line);
    assert_member(j, "event", "log.dropped");
    assert_true(json_i64(json_get(j, "lines"), &got) && got == 10);
    json_free(j);
    assert_true(str_split(&all, '\n', &line));
    j = parsed(line);
    assert_member(j, "event", "after");
    json_free(j);
    assert_true(str_split(&all, '\n', &line) && line.n == 0); /* told once */
}

static void a_reader_who_is_gone(void **state)
{
    struct bench *b = *state;
    (void)close(b->read_fd);
    b->read_fd = -1;
    log_info("x");
    log_flush(); /* SIGPIPE would end the test */
    assert_int_equal(log_waiting(), 0);
}

static void to_a_file(void **state)
{
    struct bench *b = *state;
    FILE *f = tmpfile();
    assert_non_null(f);
    log_open(fileno(f), LOG_INFO);
    for (int i = 0; i < 1000; i++)
        log_info("x", F_I64("n", i));
    log_flush();
    assert_int_equal(log_waiting(), 0);
    char line[256];
    rewind(f);
    int n = 0;
    for (; fgets(line, sizeof line, f) != NULL; n++) {
        struct json *j = parsed(str_trim(str_c(line)));
        int64_t got;
        assert_true(json_i64(json_get(j, "n"), &got) && got == n);
        json_free(j);
    }
    assert_int_equal(n, 1000);
    log_open(b->write_fd, LOG_DEBUG);
    (void)fclose(f);
}

static void fail_here(int fd, const void *arg)
{
    (void)arg;
    log_open(fd, LOG_ERROR);
    ASSERT(1 + 1 == 3);
}

static void a_failed_assertion(void **state)
{
    (void)state;
    char out[1024];
    int status = child_run(fail_here, NULL, out, sizeof out);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    struct json *j = parsed(str_c(out));
    assert_member(j, "event", "assert.failed");
    assert_member(j, "condition", "1 + 1 == 3");
    json_free(j);
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_line),
        EACH(levels),
        EACH(hostile_bytes),
        EACH(long_texts_are_cut),
        EACH(masks),
        EACH(a_reader_who_sleeps),
        EACH(a_reader_who_is_gone),
        EACH(to_a_file),
        cmocka_unit_test(a_failed_assertion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
