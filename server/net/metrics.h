/*
 * Metrics in the Prometheus text format. Families are rows of metrics.def, with a help text each;
 * label values are bounded: past METRICS_SERIES_MAX series of a family new ones count as "other".
 * Thread-safe; cheap enough for hot paths.
 */
#pragma once

#include <stdint.h>

struct str;

enum metric {
#define METRIC(id, name, type, labels, help) METRIC_##id,
#include "server/net/metrics.def"
#undef METRIC
    METRIC_MAX
};

enum { METRICS_SERIES_MAX = 1000 };

/* Label values in the order of the row's label names, as many as it has. */
void metric_add(enum metric metric, double amount, ...);
void metric_set(enum metric metric, double value, ...);
void metric_observe(enum metric metric, double value, ...);

/* All its series go: before a metric_source shows those of the things that are still there. */
void metric_clear(enum metric metric);

/* Shows gauges that change by time alone, or that are of things which go: called whenever somebody
 * reads, with no lock of a metric held. Owned by whoever adds it, until it has removed it. */
struct metric_source {
    void (*show)(void *arg);
    void *arg;
    struct metric_source *prev, *next; /* of metrics.c */
};
void metric_source_add(struct metric_source *source);
/* When it returns, show() runs nowhere. */
void metric_source_remove(struct metric_source *source);

/* The whole exposition, process_* included. */
void metrics_write(struct str *out);
