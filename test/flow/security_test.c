/* core/flow/security.c on a clock of the test's own and a database that keeps what it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/flow/security.h"

static int64_t now_us = INT64_C(1795000000) * US_PER_S;
static struct timer *armed;
static int64_t due_us;

int64_t loop_wall_us(const struct loop *l)
{
    (void)l;
    return now_us;
}

void timer_off(struct loop *l, struct timer *t)
{
    (void)l;
    t->place = 0;
    armed = NULL;
}

void timer_set(struct loop *l, struct timer *t, int64_t after_us, loop_fn *fn, void *ctx)
{
    (void)l;
    assert_null(armed);
    *t = (struct timer){now_us + after_us, 1, fn, ctx};
    armed = t;
    due_us = now_us + after_us;
}

/* ---- the database ---- */

static struct json *written; /* the last statement's rows */
static int n_statements;
static bool away;

void store_exec(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx)
{
    (void)s;
    assert_int_equal(query, Q_security_insert);
    assert_int_equal(n_params, 1);
    if (written != NULL)
        json_free(written);
    assert_false(err_is(json_parse(params[0].u.str, &written, NULL)));
    n_statements++;
    done(ctx, away ? ERR(UNAVAILABLE, "away") : ERR_OK, NULL);
}

static struct flow flow;

static void pass(int64_t us)
{
    now_us += us;
    if (armed == NULL || due_us > now_us)
        return;
    struct timer *t = armed;
    armed = NULL;
    t->place = 0;
    t->fn(t->ctx);
}

static int64_t metric(const char *line)
{
    struct buf b;
    long long value = 0;
    buf_init(&b, 1 << 20);
    metric_print(&b);
    buf_char(&b, '\0');
    const char *at = strstr(b.p, line);
    if (at != NULL)
        value = atoll(at + strlen(line));
    buf_free(&b);
    return value;
}

static int64_t dropped(void)
{
    return metric("\nreli_security_events_dropped_total ");
}

static void note(enum security_kind kind, const char *address, const char *actor)
{
    struct security_event e = {.kind = kind,
                               .address = str_c(address),
                               .actor = str_c(actor),
                               .route = STR("/api/v1/x"),
                               .detail = "why"};
    security_note(&flow, &e);
}

static int64_t times_of(size_t i)
{
    int64_t n = 0;
    assert_true(json_i64(json_get(json_at(written, i), "times"), &n));
    return n;
}

static int begin(void **state)
{
    (void)state;
    armed = NULL;
    n_statements = 0;
    away = false;
    return err_is(security_new(&flow)) ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    security_free(&flow);
    if (written != NULL)
        json_free(written);
    written = NULL;
    return flow.busy == 0 ? 0 : -1;
}

static void equal_ones_are_one(void **state)
{
    (void)state;
    int64_t before = metric("{kind=\"scope_refused\"} ");
    for (int i = 0; i < 1000; i++)
        note(SECURITY_SCOPE_REFUSED, "192.0.2.1", "api_key:1");
    note(SECURITY_SCOPE_REFUSED, "192.0.2.1", "api_key:2");
    note(SECURITY_SCOPE_REFUSED, "192.0.2.2", "api_key:1");
    note(SECURITY_ADDRESS_REFUSED, "192.0.2.1", "api_key:1");
    pass(US_PER_S - 1);
    assert_int_equal(n_statements, 0);
    pass(1);
    assert_int_equal(n_statements, 1);
    assert_int_equal(json_n(written), 4);
    assert_int_equal(times_of(0), 1000);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(times_of(i), 1);
    assert_int_equal(metric("{kind=\"scope_refused\"} ") - before, 1002);
    pass(US_PER_MIN);
    assert_int_equal(n_statements, 1); /* nothing new, nothing written */
    note(SECURITY_SCOPE_REFUSED, "192.0.2.1", "api_key:1");
    pass(US_PER_S);
    assert_int_equal(n_statements, 2);
    assert_int_equal(times_of(0), 1);
}

static void an_attack_is_bounded(void **state)
{
    (void)state;
    char address[32];
    int64_t before = dropped();
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "198.51.%d.%d", i / 250, i % 250);
        note(SECURITY_LOGIN_FAILED, address, "");
    }
    note(SECURITY_LOGIN_FAILED, "198.51.0.0", "");          /* one that is there already */
    note(SECURITY_SCOPE_REFUSED, "192.0.2.1", "api_key:1"); /* another kind has room of its own */
    assert_int_equal(dropped() - before, 1000 - SECURITY_PENDING);
    pass(US_PER_S);
    assert_int_equal(json_n(written), SECURITY_PENDING + 1);
    note(SECURITY_LOGIN_FAILED, "203.0.113.1", "");
    pass(9 * US_PER_S);
    assert_int_equal(n_statements, 1); /* writes less often now */
    pass(US_PER_S);
    assert_int_equal(n_statements, 2);
    note(SECURITY_LOGIN_FAILED, "203.0.113.1", "");
    pass(US_PER_S);
    assert_int_equal(n_statements, 3); /* and as often as before */
}

static void long_texts_fit(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'x', sizeof text);
    text[299] = '\0';
    for (int i = 0; i < 3; i++) {
        struct security_event e = {.kind = SECURITY_RATE_LIMITED,
                                   .address = str_c(text),
                                   .actor = str_c(text),
                                   .route = str_c(text)};
        security_note(&flow, &e);
    }
    pass(US_PER_S);
    assert_int_equal(json_n(written), 1);
    assert_int_equal(times_of(0), 3);
    assert_int_equal(json_str(json_get(json_at(written, 0), "address")).n, ADDRESS_TEXT - 1);
}

static void what_is_not_stored_is_counted(void **state)
{
    (void)state;
    int64_t before = dropped();
    away = true;
    for (int i = 0; i < 5; i++)
        note(SECURITY_LOCKOUT, "192.0.2.1", "");
    pass(US_PER_S);
    assert_int_equal(dropped() - before, 5);
    away = false;
    note(SECURITY_LOCKOUT, "192.0.2.1", "");
    security_stop(&flow);
    assert_int_equal(n_statements, 2); /* what waited was written */
    assert_int_equal(times_of(0), 1);
    note(SECURITY_LOCKOUT, "192.0.2.1", "");
    assert_int_equal(dropped() - before, 6);
}

static void words(void **state)
{
    (void)state;
    for (enum security_kind k = 0; k < SECURITY_N; k++) {
        enum security_kind found = SECURITY_N;
        assert_true(security_parse(str_c(security_word(k)), &found));
        assert_int_equal(found, k);
    }
    enum security_kind none;
    assert_false(security_parse(STR(""), &none));
    assert_false(security_parse(STR("login"), &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_ones_are_one, begin, end),
        cmocka_unit_test_setup_teardown(an_attack_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(long_texts_fit, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_stored_is_counted, begin, end),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
