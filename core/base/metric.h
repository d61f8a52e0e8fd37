#ifndef RELI_BASE_METRIC_H
#define RELI_BASE_METRIC_H

#include <stdint.h>

#include "core/base/buf.h"

/* Counters, gauges and histograms of this process, printed as Prometheus text. Each is a static
 * object that enters the list when it is first touched:
 *
 *     static struct metric sent = METRIC_COUNTER("reli_deliveries_total", "outcome=\"ok\"",
 * "Deliveries"); metric_add(&sent, 1);
 *
 * Metrics of one name differ in labels and share kind and help. */
enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

enum { METRIC_BUCKETS = 16 };

struct metric {
    enum metric_kind kind;
    const char *name, *labels, *help;
    int64_t value;                      /* histogram: sum of what was observed, microseconds */
    int64_t bucket[METRIC_BUCKETS + 1]; /* not cumulative */
    struct metric *next;
    int listed;
};

#define METRIC_COUNTER(name_, labels_, help_)                                              \
    {                                                                                      \
        .kind = METRIC_KIND_COUNTER, .name = (name_), .labels = (labels_), .help = (help_) \
    }
#define METRIC_GAUGE(name_, labels_, help_)                                              \
    {                                                                                    \
        .kind = METRIC_KIND_GAUGE, .name = (name_), .labels = (labels_), .help = (help_) \
    }
#define METRIC_HISTOGRAM(name_, labels_, help_)                                              \
    {                                                                                        \
        .kind = METRIC_KIND_HISTOGRAM, .name = (name_), .labels = (labels_), .help = (help_) \
    }

void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
/* Takes one off the list, so that its memory may go. */
void metric_drop(struct metric *m);
/* A duration in microseconds; buckets are 100 µs, 250 µs, 500 µs, 1 ms … 10 s. Printed in seconds.
 */
void metric_observe_us(struct metric *m, int64_t us);
/* Prometheus text exposition format 0.0.4 of all. */
void metric_print(struct buf *out);

#endif
