/* The list of metrics. One thread, so nothing is atomic. */
#include "core/base/metric.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static struct metric *all;

static const int64_t bounds_us[METRIC_BUCKETS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

/* Metrics of one name stand together, as the format wants them. */
static void enlist(struct metric *m)
{
    m->listed = 1;
    struct metric **at = &all;
    bool seen = false;
    while (*at != NULL) {
        bool same = strcmp((*at)->name, m->name) == 0;
        if (seen && !same)
            break;
        seen = same;
        at = &(*at)->next;
    }
    m->next = *at;
    *at = m;
}

void metric_add(struct metric *m, int64_t n)
{
    if (!m->listed)
        enlist(m);
    m->value += n;
}

void metric_set(struct metric *m, int64_t value)
{
    if (!m->listed)
        enlist(m);
    m->value = value;
}

void metric_drop(struct metric *m)
{
    for (struct metric **at = &all; m->listed && *at != NULL; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            m->listed = 0;
            return;
        }
    }
}

void metric_observe_us(struct metric *m, int64_t us)
{
    metric_add(m, us);
    int i = 0;
    while (i < METRIC_BUCKETS && us > bounds_us[i])
        i++;
    m->bucket[i]++;
}

static void put_seconds(struct buf *out, int64_t us)
{
    buf_fmt(out, "%lld.%06lld", (long long)(us / 1000000), (long long)(us % 1000000));
}

static void put_sample(struct buf *out, const struct metric *m, const char *suffix)
{
    buf_c(out, m->name);
    buf_c(out, suffix);
    if (m->labels[0] != '\0')
        buf_fmt(out, "{%s}", m->labels);
    buf_char(out, ' ');
}

static void put_histogram(struct buf *out, const struct metric *m)
{
    const char *comma = m->labels[0] != '\0' ? "," : "";
    int64_t n = 0;
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        n += m->bucket[i];
        buf_fmt(out, "%s_bucket{%s%sle=\"", m->name, m->labels, comma);
        put_seconds(out, bounds_us[i]);
        buf_fmt(out, "\"} %lld\n", (long long)n);
    }
    n += m->bucket[METRIC_BUCKETS];
    buf_fmt(out, "%s_bucket{%s%sle=\"+Inf\"} %lld\n", m->name, m->labels, comma, (long long)n);
    put_sample(out, m, "_sum");
    put_seconds(out, m->value);
    buf_char(out, '\n');
    put_sample(out, m, "_count");
    buf_fmt(out, "%lld\n", (long long)n);
}

void metric_print(struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const char *name = "";
    for (const struct metric *m = all; m != NULL; m = m->next) {
        if (strcmp(name, m->name) != 0)
            buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
        name = m->name;
        if (m->kind == METRIC_KIND_HISTOGRAM) {
            put_histogram(out, m);
        } else {
            put_sample(out, m, "");
            buf_fmt(out, "%lld\n", (long long)m->value);
        }
    }
}
