/*
 * Owns the values behind metrics.def. A family is a hash of series keyed by the escaped label text
 * as it is printed ("code=\"200\",method=\"GET\""), under a lock of its own.
 */
#include "server/net/metrics.h"

#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "server/net/process.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

/* uthash links by offsets, which the analyzer cannot follow: all it keeps looks leaked. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

enum { LABELS_MAX = 4, LABEL_VALUE_MAX_BYTES = 128, LABELS_MAX_BYTES = 1024 };

enum metric_type { COUNTER, GAUGE, HISTOGRAM };

static const char *const type_names[] = {
    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

static const struct {
    const char *name;
    enum metric_type type;
    const char *labels;
    const char *help;
} rows[METRIC_MAX] = {
#define METRIC(id, name, type, labels, help) [METRIC_##id] = {name, type, labels, help},
#include "server/net/metrics.def"
#undef METRIC
};

/* Seconds; from a hash look-up to a request that is given up. */
static const double bounds[] = {0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                0.5,    1,     2.5,   5,    10,    30,   60};

enum { BOUNDS = ARRAY_SIZE(bounds) };

struct series {
    UT_hash_handle hh;
    double value; /* of a histogram: the sum */
    uint64_t count;
    uint64_t *buckets; /* histograms only, BOUNDS of them, not cumulated */
    char labels[];
};

static struct family {
    pthread_mutex_t lock;
    struct series *series;
} families[METRIC_MAX] = {[0 ... METRIC_MAX - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static void add_escaped(struct str *out, const char *value)
{
    size_t length = value ? strnlen(value, LABEL_VALUE_MAX_BYTES) : 0;
    for (size_t at = 0; at < length; at++) {
        if (value[at] == '\\' || value[at] == '"')
            str_add(out, "\\");
        if (value[at] == '\n')
            str_add(out, "\\n");
        else
            str_add_bytes(out, &value[at], 1);
    }
}

/* name="value" pairs in the row's order; values NULL makes each "other". */
static void write_labels(struct str *out, const char *names, const char *const *values)
{
    for (int label = 0; *names && label < LABELS_MAX; label++) {
        size_t length = strcspn(names, ",");
        str_add(out, label ? "," : "");
        str_add_bytes(out, names, length);
        str_add(out, "=\"");
        add_escaped(out, values ? values[label] : "other");
        str_add(out, "\"");
        names += length + (names[length] == ',');
    }
}

static struct series *add_series(struct family *family, enum metric metric, const struct str *key)
{
    struct series *series = calloc(1, sizeof *series + key->length + 1);
    if (!series)
        abort();
    memcpy(series->labels, str_text(key), key->length + 1);
    if (rows[metric].type == HISTOGRAM && !(series->buckets = calloc(BOUNDS, sizeof(uint64_t))))
        abort();
    HASH_ADD_KEYPTR(hh, family->series, series->labels, key->length, series);
    return series;
}

/* Finds or makes the series; the family's lock is held. */
static struct series *take_series(enum metric metric, struct str *key)
{
    struct family *family = &families[metric];
    struct series *series;
    HASH_FIND(hh, family->series, str_text(key), key->length, series);
    if (series)
        return series;
    if (HASH_COUNT(family->series) >= METRICS_SERIES_MAX) {
        str_clear(key);
        write_labels(key, rows[metric].labels, NULL);
        HASH_FIND(hh, family->series, str_text(key), key->length, series);
    }
    return series ? series : add_series(family, metric, key);
}

enum action { ADD, SET, OBSERVE };

static void change(enum metric metric, enum action action, double value, va_list args)
{
    const char *values[LABELS_MAX] = {0};
    const char *names = rows[metric].labels;
    for (int label = 0; *names && label < LABELS_MAX; label++) {
        values[label] = va_arg(args, const char *);
        names += strcspn(names, ",");
        names += *names == ',';
    }
    _cleanup_str_ struct str key;
    str_init(&key, LABELS_MAX_BYTES);
    str_add(&key, "");
    write_labels(&key, rows[metric].labels, values);

    pthread_mutex_lock(&families[metric].lock);
    struct series *series = take_series(metric, &key);
    series->value = action == SET ? value : series->value + value;
    if (action == OBSERVE && series->buckets) {
        int at = 0;
        while (at < BOUNDS && value > bounds[at])
            at++;
        if (at < BOUNDS)
            series->buckets[at]++;
        series->count++;
    }
    pthread_mutex_unlock(&families[metric].lock);
}

void metric_add(enum metric metric, double amount, ...)
{
    va_list args;
    va_start(args, amount);
    change(metric, ADD, amount, args);
    va_end(args);
}

void metric_set(enum metric metric, double value, ...)
{
    va_list args;
    va_start(args, value);
    change(metric, SET, value, args);
    va_end(args);
}

void metric_observe(enum metric metric, double value, ...)
{
    va_list args;
    va_start(args, value);
    change(metric, OBSERVE, value, args);
    va_end(args);
}

void metric_clear(enum metric metric)
{
    struct family *family = &families[metric];
    struct series *series, *next;
    pthread_mutex_lock(&family->lock);
    HASH_ITER(hh, family->series, series, next) {
        HASH_DEL(family->series, series);
        free(series->buckets);
        free(series);
    }
    pthread_mutex_unlock(&family->lock);
}

static void write_histogram(struct str *out, const char *name, const struct series *series)
{
    const char *comma = *series->labels ? "," : "";
    uint64_t below = 0;
    for (int at = 0; at < BOUNDS; at++) {
        below += series->buckets[at];
        str_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, series->labels, comma, bounds[at],
                   (unsigned long long)below);
    }
    str_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, series->labels, comma,
               (unsigned long long)series->count);
    const char *open = *series->labels ? "{" : "", *close = *series->labels ? "}" : "";
    str_printf(out, "%s_sum%s%s%s %.15g\n", name, open, series->labels, close, series->value);
    str_printf(out, "%s_count%s%s%s %llu\n", name, open, series->labels, close,
               (unsigned long long)series->count);
}

static void write_family(struct str *out, enum metric metric)
{
    const char *name = rows[metric].name;
    str_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, rows[metric].help, name,
               type_names[rows[metric].type]);
    pthread_mutex_lock(&families[metric].lock);
    const struct series *series = families[metric].series;
    if (!series && !*rows[metric].labels && rows[metric].type != HISTOGRAM)
        str_printf(out, "%s 0\n", name);
    for (; series; series = series->hh.next) {
        if (rows[metric].type == HISTOGRAM)
            write_histogram(out, name, series);
        else if (*series->labels)
            str_printf(out, "%s{%s} %.15g\n", name, series->labels, series->value);
        else
            str_printf(out, "%s %.15g\n", name, series->value);
    }
    pthread_mutex_unlock(&families[metric].lock);
}

static pthread_mutex_t sources_lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric_source *sources;
/* One reader at a time: a source may clear a family and show it anew. */
static pthread_mutex_t reading_lock = PTHREAD_MUTEX_INITIALIZER;

void metric_source_add(struct metric_source *source)
{
    pthread_mutex_lock(&sources_lock);
    DL_APPEND(sources, source);
    pthread_mutex_unlock(&sources_lock);
}

void metric_source_remove(struct metric_source *source)
{
    pthread_mutex_lock(&sources_lock);
    DL_DELETE(sources, source);
    pthread_mutex_unlock(&sources_lock);
}

static void show_sources(void)
{
    pthread_mutex_lock(&sources_lock);
    for (struct metric_source *source = sources; source; source = source->next)
        source->show(source->arg);
    pthread_mutex_unlock(&sources_lock);
}

void metrics_write(struct str *out)
{
    pthread_mutex_lock(&reading_lock);
    show_sources();
    for (int metric = 0; metric < METRIC_MAX; metric++)
        write_family(out, (enum metric)metric);
    pthread_mutex_unlock(&reading_lock);
    process_write(out);
}
