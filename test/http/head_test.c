/* The head guard and the chunk guard: what they refuse, where they say that a message ends, and
 * that the way in which the bytes are cut into pieces makes no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/chunk.h"
#include "http/head.h"

static struct head head;

/* As a connection does it: all that has come so far, again and again. */
static enum head_status feed(struct str bytes, size_t step, size_t max)
{
    enum head_status status = HEAD_MORE;
    head_init(&head, max);
    for (size_t n = step; status == HEAD_MORE; n += step) {
        status = head_feed(&head, str_first(bytes, n));
        if (n >= bytes.n)
            break;
    }
    return status;
}

#define H "Host: a\r\n"

static const struct {
    const char *text;
    enum err_code code; /* NONE: a good head */
} heads[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ERR_NONE},
    {"GET / HTTP/1.1\r\nhOST:a\r\n\r\n", ERR_NONE},
    {"GET / HTTP/1.1\r\nHost: \t a:80 \t\r\nX:\r\n\r\n", ERR_NONE},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ERR_NONE},
    {"GET / HTTP/1.0\r\n\r\n", ERR_NONE},
    {"BREW /pot HTTP/1.1\r\n" H "\r\n", ERR_NONE},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", ERR_NONE},
    {"GET /a?b=%20&c HTTP/1.1\r\n" H "X: \xc3\xa4\ty\r\n\r\n", ERR_NONE},
    {"GET http://a HTTP/1.1\r\n" H "\r\n", ERR_NONE},
    {"GET HTTPS://[::1]:80/a?b HTTP/1.1\r\n" H "\r\n", ERR_NONE},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", ERR_NONE},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", ERR_NONE},
    /* line ends */
    {"GET / HTTP/1.1\nHost: a\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a\r\n\rX", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", ERR_BAD_REQUEST},
    {"\nGET / HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    /* request line */
    {"GET /\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET  / HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1 \r\n" H "\r\n", ERR_BAD_REQUEST},
    {" GET / HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"G(T / HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET / http/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.10\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/11\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/x.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/0.9\r\n\r\n", ERR_VERSION_NOT_SUPPORTED},
    {"GET / HTTP/1.2\r\n" H "\r\n", ERR_VERSION_NOT_SUPPORTED},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ERR_VERSION_NOT_SUPPORTED},
    {"GET ftp://a/ HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET http:/a HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET http:///a HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET http://u@a/ HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET http://a#b HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET http://a/#b HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET http://a/ HTTP/1.1\r\n\r\n", ERR_BAD_REQUEST},
    {"GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", ERR_BAD_REQUEST},
    {"CONNECT a:443 HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET * HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET /\x7f HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET /\x01 HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    {"GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST},
    /* header lines */
    {"GET / HTTP/1.1\r\n" H " folded\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "\tfolded: x\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H ": empty\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "X\xc3\xa4: a\r\n\r\n", ERR_BAD_REQUEST},
    /* Host */
    {"GET / HTTP/1.1\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" H "Host: a\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.0\r\n" H H "\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", ERR_BAD_REQUEST},
    /* framing */
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
     ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", ERR_BAD_REQUEST},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_BAD_REQUEST},
};

static void test_heads_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct str text = str_c(heads[i].text);
        for (size_t step = 1; step <= text.n; step++) {
            enum head_status status = feed(text, step, 16384);
            if (status != (heads[i].code == ERR_NONE ? HEAD_DONE : HEAD_BAD) ||
                head.err.code != heads[i].code)
                fail_msg("step %zu of: %s", step, heads[i].text);
            if (status == HEAD_DONE)
                assert_int_equal(head.line, text.n);
        }
    }
}

static void test_nul_is_refused_everywhere(void **state)
{
    (void)state;
    const struct str good = STR("GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    char text[64];
    for (size_t i = 0; i < good.n; i++) {
        memcpy(text, good.p, good.n);
        text[i] = '\0';
        head_init(&head, 16384);
        enum head_status status = head_feed(&head, str_n(text, good.n));
        assert_int_equal(status, HEAD_BAD);
    }
}

/* Each byte value at each place of a value and of a name. */
static void test_every_byte_in_a_field(void **state)
{
    (void)state;
    char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX1z: y1z\r\n\r\n";
    size_t name = (size_t)(strstr(text, "X1z") - text) + 1;
    size_t value = (size_t)(strstr(text, "y1z") - text) + 1;
    for (int c = 0; c < 256; c++) {
        bool in_value = c == '\t' || (c >= 0x20 && c != 0x7f);
        bool in_name = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        text[value] = (char)c;
        head_init(&head, 16384);
        assert_int_equal(head_feed(&head, STR_NULL), HEAD_MORE);
        assert_int_equal(head_feed(&head, str_n(text, sizeof text - 1)) == HEAD_DONE, in_value);
        text[value] = '1';
        text[name] = (char)c;
        head_init(&head, 16384);
        bool splits = c == ':'; /* then the name is shorter */
        assert_int_equal(head_feed(&head, str_n(text, sizeof text - 1)) == HEAD_DONE,
                         in_name || splits);
        text[name] = '1';
    }
}

static void test_what_a_head_says(void **state)
{
    (void)state;
    struct str text = STR("POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n"
                          "content-length:  12 \r\nOrigin: https://o\r\nX-Request-Id: r\r\n"
                          "X-Forwarded-For: 1.2.3.4\r\n\r\nbody");
    assert_int_equal(feed(text, 7, 16384), HEAD_DONE);
    assert_int_equal(head.line, text.n - 4);
    assert_int_equal(head.method, HTTP_POST_);
    assert_int_equal(head.minor, 1);
    assert_true(str_eq(head_str(text, head.target), STR("/a/b?c=d")));
    assert_true(head.expects_continue && !head.chunked);
    assert_int_equal(head.length, 12);
    assert_int_equal(head.n_fields, 6);
    assert_true(str_eq(head_known(&head, text, HEAD_ORIGIN), STR("https://o")));
    assert_true(str_eq(head_known(&head, text, HEAD_REQUEST_ID), STR("r")));
    assert_true(str_eq(head_known(&head, text, HEAD_FORWARDED_FOR), STR("1.2.3.4")));
    assert_null(head_known(&head, text, HEAD_TRANSFER_ENCODING).p);
}

/* RFC 9112, 3.2.2: the path is what counts, and the authority is in Host's place. */
static void test_targets_in_absolute_form(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *host;
    } cases[] = {
        {"http://b:80/c/d?e=http://f/", "/c/d?e=http://f/", "b:80"},
        {"https://b?c", "?c", "b"},
        {"HTTP://b", "", "b"},
        {"/c?d=http://b/", "/c?d=http://b/", "a"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].target);
        assert_int_equal(feed(str_c(text), 3, 16384), HEAD_DONE);
        assert_true(str_eq(head_str(str_c(text), head.target), str_c(cases[i].path)));
        assert_true(str_eq(head_known(&head, str_c(text), HEAD_HOST), str_c(cases[i].host)));
    }
}

static void test_methods(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int method;
    } cases[] = {{"GET", HTTP_GET_},
                 {"HEAD", HTTP_HEAD_},
                 {"POST", HTTP_POST_},
                 {"PUT", HTTP_PUT_},
                 {"PATCH", HTTP_PATCH_},
                 {"DELETE", HTTP_DELETE_},
                 {"OPTIONS", HTTP_OPTIONS_},
                 {"get", -1},
                 {"TRACE", -1},
                 {"PUR", -1},
                 {"GETS", -1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "%s / HTTP/1.0\r\n\r\n", cases[i].text);
        assert_int_equal(feed(str_n(text, (size_t)n), 64, 16384), HEAD_DONE);
        assert_int_equal(head.method, cases[i].method);
    }
}

/* A head of `line` bytes of request line and then of exactly `total` bytes. */
static struct str long_head(char *text, size_t line, size_t total)
{
    size_t n = (size_t)sprintf(text, "GET /");
    while (n < line - 11)
        text[n++] = 'a';
    n += (size_t)sprintf(text + n, " HTTP/1.1\r\nHost: a\r\n");
    if (total > n) {
        n += (size_t)sprintf(text + n, "X: ");
        while (n < total - 4)
            text[n++] = 'b';
        n += (size_t)sprintf(text + n, "\r\n\r\n");
    } else {
        n += (size_t)sprintf(text + n, "\r\n");
    }
    return str_n(text, n);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[40000];
    /* The limit is of both together: a line may have all that the headers leave it. */
    struct str fits = long_head(text, 16384 - 11, 0);
    assert_int_equal(fits.n, 16384);
    assert_int_equal(feed(fits, 1000, 16384), HEAD_DONE);
    struct str line = long_head(text, 16384 + 1, 0);
    for (size_t step = 1; step <= line.n; step = step * 3 + 1) {
        assert_int_equal(feed(line, step, 16384), HEAD_BAD);
        assert_int_equal(head.err.code, ERR_URI_TOO_LONG);
    }
    assert_int_equal(feed(long_head(text, 20, 16384), 999, 16384), HEAD_DONE);
    struct str total = long_head(text, 20, 16385);
    for (size_t step = 1; step <= total.n; step = step * 3 + 1) {
        assert_int_equal(feed(total, step, 16384), HEAD_BAD);
        assert_int_equal(head.err.code, ERR_HEADERS_TOO_LARGE);
    }
    /* No line end at all: refused as soon as it cannot become a request line. */
    memset(text, 'a', sizeof text);
    assert_int_equal(feed(str_n(text, 16384 - 1), 1 << 20, 16384), HEAD_MORE);
    assert_int_equal(feed(str_n(text, 16384), 1 << 20, 16384), HEAD_BAD);
    assert_int_equal(head.err.code, ERR_URI_TOO_LONG);
}

static void test_number_of_fields(void **state)
{
    (void)state;
    for (int n = HEAD_MAX_FIELDS - 1; n <= HEAD_MAX_FIELDS + 1; n++) {
        static char text[8192];
        size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < n; i++)
            len += (size_t)sprintf(text + len, "X-%d: y\r\n", i);
        len += (size_t)sprintf(text + len, "\r\n");
        enum head_status status = feed(str_n(text, len), 4096, 16384);
        assert_int_equal(status, n <= HEAD_MAX_FIELDS ? HEAD_DONE : HEAD_BAD);
        assert_int_equal(head.err.code, n <= HEAD_MAX_FIELDS ? ERR_NONE : ERR_HEADERS_TOO_LARGE);
    }
}

/* ---- chunks ---- */

static const struct {
    const char *text;
    enum chunk_status status;
    size_t used;   /* when done */
    unsigned body; /* when done */
} bodies[] = {
    {"0\r\n\r\n", CHUNK_DONE, 5, 0},
    {"0\r\n\r\nGET", CHUNK_DONE, 5, 0},
    {"3\r\nabc\r\n0\r\n\r\n", CHUNK_DONE, 13, 3},
    {"a\r\n0123456789\r\n00\r\n\r\n", CHUNK_DONE, 21, 10},
    {"1;a=b\r\nx\r\n0;c\r\n\r\n", CHUNK_DONE, 17, 1},
    {"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nZ", CHUNK_DONE, 21, 1},
    {"3\r\nabc\r\n", CHUNK_MORE, 0, 0},
    {"3\r\na", CHUNK_MORE, 0, 0},
    {"0\r\n\r", CHUNK_MORE, 0, 0},
    {"0\r\nA: b\r\n", CHUNK_MORE, 0, 0},
    {"\r\n", CHUNK_BAD, 0, 0},
    {"g\r\n", CHUNK_BAD, 0, 0},
    {" 1\r\nx\r\n", CHUNK_BAD, 0, 0},
    {"1 \r\nx\r\n", CHUNK_BAD, 0, 0},
    {"-1\r\n", CHUNK_BAD, 0, 0},
    {"0x1\r\n", CHUNK_BAD, 0, 0},
    {"000000001\r\n", CHUNK_BAD, 0, 0},
    {"1\nx\r\n", CHUNK_BAD, 0, 0},
    {"1\r\nx\n0\r\n\r\n", CHUNK_BAD, 0, 0},
    {"1\r\nxy\r\n", CHUNK_BAD, 0, 0},
    {"1\rx\r\n", CHUNK_BAD, 0, 0},
    {"1;a\nx", CHUNK_BAD, 0, 0},
    {"1;a\rx", CHUNK_BAD, 0, 0},
    {"1;a\x01\r\n", CHUNK_BAD, 0, 0},
    {"0\r\n\rX", CHUNK_BAD, 0, 0},
    {"0\r\n\n", CHUNK_BAD, 0, 0},
    {"0\r\n A: b\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA: b\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA: b\rC: d\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nno colon\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\n: x\r\n\r\n", CHUNK_BAD, 0, 0},
};

static void test_chunks_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct str text = str_c(bodies[i].text);
        for (size_t size = 1; size <= text.n; size++) {
            struct chunk_guard g = chunk_guard();
            enum chunk_status status = CHUNK_MORE;
            size_t at = 0, used = 0;
            while (status == CHUNK_MORE && at < text.n) {
                status = chunk_feed(&g, str_first(str_from(text, at), size), &used);
                at += used;
            }
            if (status != bodies[i].status)
                fail_msg("pieces of %zu: %s", size, bodies[i].text);
            if (status == CHUNK_DONE) {
                assert_int_equal(at, bodies[i].used);
                assert_int_equal(g.body, bodies[i].body);
            }
        }
    }
}

static void test_chunk_overhead_is_bounded(void **state)
{
    (void)state;
    static const char *const starts[] = {"1;", "0\r\nA:"};
    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        struct chunk_guard g = chunk_guard();
        size_t used, sent = 0;
        enum chunk_status status = chunk_feed(&g, str_c(starts[i]), &used);
        while (status == CHUNK_MORE && sent < 100000) {
            status = chunk_feed(&g, STR("x"), &used);
            sent++;
        }
        assert_int_equal(status, CHUNK_BAD);
        assert_in_range(sent, 16000, 17000);
    }
    /* Single bytes, each its own chunk, are odd but honest. */
    struct chunk_guard g = chunk_guard();
    size_t used;
    for (int i = 0; i < 20000; i++)
        assert_int_equal(chunk_feed(&g, STR("1\r\nx\r\n"), &used), CHUNK_MORE);
    assert_int_equal(chunk_feed(&g, STR("0\r\n\r\n"), &used), CHUNK_DONE);
    assert_int_equal(g.body, 20000);
}

static void test_announced_length(void **state)
{
    (void)state;
    struct chunk_guard g = chunk_guard();
    size_t used;
    assert_int_equal(chunk_feed(&g, STR("2\r\nab\r\nffffffff\r\n"), &used), CHUNK_MORE);
    assert_true(chunk_announced(&g) == UINT64_C(0xffffffff) + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_in_pieces_of_any_size),
        cmocka_unit_test(test_nul_is_refused_everywhere),
        cmocka_unit_test(test_every_byte_in_a_field),
        cmocka_unit_test(test_what_a_head_says),
        cmocka_unit_test(test_targets_in_absolute_form),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_number_of_fields),
        cmocka_unit_test(test_chunks_in_pieces_of_any_size),
        cmocka_unit_test(test_chunk_overhead_is_bounded),
        cmocka_unit_test(test_announced_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
