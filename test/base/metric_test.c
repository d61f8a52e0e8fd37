/* core/base/metric.c: Prometheus' text format 0.0.4, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/attr.h"
#include "core/base/metric.h"

static struct metric ok = METRIC_COUNTER("t_sent_total", "outcome=\"ok\"", "What was sent");
static struct metric bad = METRIC_COUNTER("t_sent_total", "outcome=\"bad\"", "What was sent");
static struct metric depth = METRIC_GAUGE("t_depth", "", "How deep");
static struct metric plain = METRIC_HISTOGRAM("t_took_seconds", "", "How long");
static struct metric labelled = METRIC_HISTOGRAM("t_wait_seconds", "kind=\"a\"", "Waits");
static struct metric untouched = METRIC_COUNTER("t_untouched_total", "", "Nobody touches it");

static char *printed(struct buf *b)
{
    buf_init(b, 1 << 16);
    metric_print(b);
    buf_char(b, '\0');
    assert_false(b->failed);
    return b->p;
}

/* One test: the list is the process's, and what stands in it is what was touched. */
static void text(void **state)
{
    (void)state;
    struct buf b;
    assert_string_equal(printed(&b), "");
    buf_free(&b);
    metric_add(&ok, 2);
    metric_set(&depth, 7);
    metric_add(&bad, 0); /* touched later, printed beside its name */
    metric_add(&ok, 3);
    metric_set(&depth, -4);
    assert_string_equal(printed(&b), "# HELP t_sent_total What was sent\n"
                                     "# TYPE t_sent_total counter\n"
                                     "t_sent_total{outcome=\"ok\"} 5\n"
                                     "t_sent_total{outcome=\"bad\"} 0\n"
                                     "# HELP t_depth How deep\n"
                                     "# TYPE t_depth gauge\n"
                                     "t_depth -4\n");
    assert_null(strstr(b.p, untouched.name));
    buf_free(&b);
}

static void histograms(void **state)
{
    (void)state;
    static const int64_t seen[] = {0, 100, 101, 250, 1000, 2500000, 10000000, 10000001, 60000000};
    int64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        metric_observe_us(&plain, seen[i]);
        sum += seen[i];
    }
    assert_int_equal(sum, 82501452);
    metric_observe_us(&labelled, 300);
    struct buf b;
    printed(&b);
    const char *at = strstr(b.p, "# HELP t_took_seconds");
    assert_non_null(at);
    assert_string_equal(
        at, "# HELP t_took_seconds How long\n# TYPE t_took_seconds histogram\n"
            "t_took_seconds_bucket{le=\"0.000100\"} 2\n" /* a bound belongs to its bucket */
            "t_took_seconds_bucket{le=\"0.000250\"} 4\n"
            "t_took_seconds_bucket{le=\"0.000500\"} 4\n"
            "t_took_seconds_bucket{le=\"0.001000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.002500\"} 5\n"
            "t_took_seconds_bucket{le=\"0.005000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.010000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.025000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.050000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.100000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.250000\"} 5\n"
            "t_took_seconds_bucket{le=\"0.500000\"} 5\n"
            "t_took_seconds_bucket{le=\"1.000000\"} 5\n"
            "t_took_seconds_bucket{le=\"2.500000\"} 6\n"
            "t_took_seconds_bucket{le=\"5.000000\"} 6\n"
            "t_took_seconds_bucket{le=\"10.000000\"} 7\n"
            "t_took_seconds_bucket{le=\"+Inf\"} 9\n"
            "t_took_seconds_sum 82.501452\n"
            "t_took_seconds_count 9\n"
            "# HELP t_wait_seconds Waits\n# TYPE t_wait_seconds histogram\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.000100\"} 0\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.000250\"} 0\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.000500\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.001000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.002500\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.005000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.010000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.025000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.050000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.100000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.250000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"0.500000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"1.000000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"2.500000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"5.000000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"10.000000\"} 1\n"
            "t_wait_seconds_bucket{kind=\"a\",le=\"+Inf\"} 1\n"
            "t_wait_seconds_sum{kind=\"a\"} 0.000300\n"
            "t_wait_seconds_count{kind=\"a\"} 1\n");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
