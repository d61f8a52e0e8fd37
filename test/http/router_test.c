/* The router against a naive matcher, its refusals at construction, and percent-decoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/percent.h"
#include "http/router.h"

static void nothing(struct http_exchange *x)
{
    (void)x;
}

enum { ROOT, LIST, MAKE, SHOW, DROP, TOTAL, TOTAL_PUT, NESTED, DEEP, HEADS, ASK };

static const struct route routes[] = {
    [ROOT] = {HTTP_GET_, "/", nothing, 0},
    [LIST] = {HTTP_GET_, "/api/v1/payments", nothing, 0},
    [MAKE] = {HTTP_POST_, "/api/v1/payments", nothing, 0},
    [SHOW] = {HTTP_GET_, "/api/v1/payments/{id}", nothing, 0},
    [DROP] = {HTTP_DELETE_, "/api/v1/payments/{id}", nothing, 0},
    [TOTAL] = {HTTP_GET_, "/api/v1/payments/total", nothing, 0},
    [TOTAL_PUT] = {HTTP_PUT_, "/api/v1/payments/total", nothing, 0},
    [NESTED] = {HTTP_POST_, "/api/v1/payments/{id}/refunds/{refund}", nothing, 0},
    [DEEP] = {HTTP_GET_, "/{a}/{b}/{c}/{d}", nothing, 0},
    [HEADS] = {HTTP_HEAD_, "/heads", nothing, 0},
    [ASK] = {HTTP_OPTIONS_, "/ask", nothing, 0},
    {0, NULL, NULL, 0},
};

static const struct {
    int method;
    const char *path;
    int route; /* -1: none */
    const char *params;
    const char *allow;
} cases[] = {
    {HTTP_GET_, "/", ROOT, "", "GET, HEAD, OPTIONS"},
    {HTTP_GET_, "//", -1, "", ""},
    {HTTP_GET_, "", -1, "", ""},
    {HTTP_GET_, "*", -1, "", ""},
    {HTTP_GET_, "/api/v1/payments", LIST, "", "GET, HEAD, POST, OPTIONS"},
    {HTTP_GET_, "/api/v1/payments/", LIST, "", "GET, HEAD, POST, OPTIONS"},
    {HTTP_GET_, "/api/v1/payments//", -1, "", ""},
    {HTTP_GET_, "/api//v1/payments", -1, "", ""},
    {HTTP_GET_, "//api/v1/payments", -1, "", ""},
    {HTTP_HEAD_, "/api/v1/payments", LIST, "", "GET, HEAD, POST, OPTIONS"},
    {HTTP_POST_, "/api/v1/payments", MAKE, "", "GET, HEAD, POST, OPTIONS"},
    {HTTP_PUT_, "/api/v1/payments", -1, "", "GET, HEAD, POST, OPTIONS"},
    {ROUTER_NO_METHOD, "/api/v1/payments", -1, "", "GET, HEAD, POST, OPTIONS"},
    {HTTP_OPTIONS_, "/api/v1/payments", -1, "", "GET, HEAD, POST, OPTIONS"},
    {HTTP_GET_, "/api/v1/payment", -1, "", ""},
    {HTTP_GET_, "/api/v1/paymentss", -1, "", ""},
    {HTTP_GET_, "/API/v1/payments", -1, "", ""},
    {HTTP_GET_, "/api/v1", -1, "", ""},
    {HTTP_GET_, "/api/v1/payments/p1", SHOW, "p1", "GET, HEAD, DELETE, OPTIONS"},
    {HTTP_GET_, "/api/v1/payments/p1/", SHOW, "p1", "GET, HEAD, DELETE, OPTIONS"},
    {HTTP_GET_, "/api/v1/payments/%2e", SHOW, "%2e", "GET, HEAD, DELETE, OPTIONS"},
    {HTTP_GET_, "/api/v1/payments/total", TOTAL, "", NULL},
    {HTTP_PUT_, "/api/v1/payments/total", TOTAL_PUT, "", NULL},
    {HTTP_DELETE_, "/api/v1/payments/total", DROP, "total", NULL},
    {HTTP_POST_, "/api/v1/payments/total", -1, "", "GET, HEAD, PUT, DELETE, OPTIONS"},
    {HTTP_POST_, "/api/v1/payments/p/refunds/r", NESTED, "p r", "POST, OPTIONS"},
    {HTTP_POST_, "/api/v1/payments/p/refunds", -1, "", ""},
    {HTTP_GET_, "/a/b/c/d", DEEP, "a b c d", "GET, HEAD, OPTIONS"},
    {HTTP_GET_, "/api/v1/payments/x/y", -1, "", ""},
    {HTTP_GET_, "/api/v2/payments/x", DEEP, "api v2 payments x", NULL},
    {HTTP_GET_, "/heads", -1, "", "HEAD, OPTIONS"},
    {HTTP_HEAD_, "/heads", HEADS, "", "HEAD, OPTIONS"},
    {HTTP_OPTIONS_, "/ask", ASK, "", "OPTIONS"},
};

static void test_matches(void **state)
{
    (void)state;
    struct router *r;
    assert_false(err_is(router_new(routes, &r)));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct router_match m;
        router_find(r, cases[i].method, str_c(cases[i].path), &m);
        if (m.route != (cases[i].route >= 0 ? &routes[cases[i].route] : NULL))
            fail_msg("%s", cases[i].path);
        char params[128] = "", allow[ALLOW_TEXT];
        size_t n = 0;
        for (int p = 0; m.route != NULL && p < m.n_params; p++)
            n += (size_t)snprintf(params + n, sizeof params - n, "%s%.*s", p > 0 ? " " : "",
                                  STR_ARG(m.params[p]));
        assert_string_equal(params, cases[i].params);
        if (cases[i].allow != NULL)
            assert_string_equal(allow_text(m.allowed, allow), cases[i].allow);
    }
    router_free(r);
}

static void test_bad_tables(void **state)
{
    (void)state;
    static const char *const patterns[][2] = {
        {"", NULL},    {"a", NULL},     {"/a/", NULL},        {"/a//b", NULL},
        {"/{}", NULL}, {"/a{b}", NULL}, {"/{a}b", NULL},      {"/{a", NULL},
        {"/a}", NULL}, {"/a", "/a"},    {"/x/{a}", "/x/{b}"}, {"/{a}/{b}/{c}/{d}/{e}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct route table[3] = {{HTTP_GET_, patterns[i][0], nothing, 0}};
        if (patterns[i][1] != NULL)
            table[1] = (struct route){HTTP_GET_, patterns[i][1], nothing, 0};
        struct router *r;
        if (router_new(table, &r).code != ERR_CONFIG || r != NULL)
            fail_msg("%s", patterns[i][0]);
    }
}

/* ---- a model that compares pattern by pattern ---- */

static bool model_matches(const char *pattern, struct str path, int *literals)
{
    struct str p = str_from(str_c(pattern), 1), q = str_from(path, 1), a, b;
    *literals = 0;
    if (q.n > 1 && q.p[q.n - 1] == '/')
        q.n--;
    for (int bit = 1 << 8;; bit >>= 1) {
        bool more_a = str_split(&p, '/', &a), more_b = str_split(&q, '/', &b);
        if (!more_a || !more_b)
            return more_a == more_b;
        if (a.n > 0 && a.p[0] == '{') {
            if (b.n == 0)
                return false;
        } else if (str_eq(a, b)) {
            *literals |= bit; /* an earlier literal weighs more */
        } else {
            return false;
        }
    }
}

static void test_against_model(void **state)
{
    (void)state;
    static const char *const words[] = {"api", "v1", "payments", "total", "p", "refunds", ""};
    struct router *r;
    assert_false(err_is(router_new(routes, &r)));
    int found = 0;
    for (unsigned n = 0; n < 7 * 7 * 7 * 7 * 7 * 7; n++) {
        char path[80];
        size_t len = 0;
        for (unsigned k = n, i = 0; i < 6 && (k > 0 || i == 0); i++, k /= 7)
            len += (size_t)snprintf(path + len, sizeof path - len, "/%s", words[k % 7]);
        for (int method = 0; method <= HTTP_DELETE_; method++) {
            const struct route *best = NULL;
            int best_literals = -1, literals;
            for (const struct route *route = routes; route->pattern != NULL; route++) {
                bool serves = (int)route->method == method ||
                              (method == HTTP_HEAD_ && route->method == HTTP_GET_);
                if (serves && model_matches(route->pattern, str_n(path, len), &literals) &&
                    literals > best_literals) {
                    best = route;
                    best_literals = literals;
                }
            }
            struct router_match m;
            router_find(r, method, str_n(path, len), &m);
            if (m.route != best)
                fail_msg("%d %s", method, path);
            found += best != NULL;
        }
    }
    assert_true(found > 100);
    router_free(r);
}

/* ---- percent-decoding ---- */

static void test_percent(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool form;
        const char *out; /* NULL: refused */
    } escapes[] = {
        {"", false, ""},
        {"abc", false, "abc"},
        {"a%20b", false, "a b"},
        {"a+b", false, "a+b"},
        {"a+b", true, "a b"},
        {"%2B+", true, "+ "},
        {"%41%6a%6A", false, "Ajj"},
        {"%c3%a4", false, "\xc3\xa4"},
        {"%2F", false, "/"},
        {"%25", false, "%"},
        {"%2525", false, "%25"},
        {"%", false, NULL},
        {"%4", false, NULL},
        {"a%", false, NULL},
        {"%zz", false, NULL},
        {"%4g", false, NULL},
        {"%00", false, NULL},
        {"%c3", false, NULL},
        {"%ff", false, NULL},
        {"%c0%af", false, NULL},
        {"%ed%a0%80", false, NULL},
        {"%+1", true, NULL},
        {"% 1", false, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(escapes); i++) {
        struct arena a;
        struct str out;
        arena_init(&a, 4096);
        bool ok = percent_decode(&a, str_c(escapes[i].in), escapes[i].form, &out);
        if (ok != (escapes[i].out != NULL) || (ok && !str_eq(out, str_c(escapes[i].out))))
            fail_msg("%s", escapes[i].in);
        arena_free(&a);
    }
    arena_trim();
}

/* Every byte escaped: what comes back is that byte, or it is refused. */
static void test_percent_every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        struct arena a;
        struct str out;
        char text[4];
        snprintf(text, sizeof text, "%%%02X", (unsigned)c);
        arena_init(&a, 4096);
        bool ok = percent_decode(&a, str_c(text), false, &out);
        assert_int_equal(ok, c > 0 && c < 0x80);
        if (ok)
            assert_int_equal(out.p[0], c);
        arena_free(&a);
    }
    arena_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_percent_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
