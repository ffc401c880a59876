#include "reconcilers/pipeline/requests.h"

#include "server/base/clock.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* uthash links by offsets, which the analyzer cannot follow: all it keeps looks leaked. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

struct request {
    char *class;
    double documents;
    int64_t told_ms; /* when its status was written; 0 = not by us */
};

struct home {
    UT_hash_handle hh;
    char *namespace;
    int shard;
    uint32_t count;
    struct request *rows;
};

struct requests {
    pthread_mutex_t mutex;
    struct home *homes;
    bool (*holds)(void *arg, int shard);
    void *arg;
    struct metric_source source;
};

static void drop(struct requests *requests, struct home *home)
{
    HASH_DEL(requests->homes, home);
    for (uint32_t at = 0; at < home->count; at++)
        free(home->rows[at].class);
    free(home->rows);
    free(home->namespace);
    free(home);
}

static struct home *find(struct requests *requests, const char *namespace)
{
    struct home *home;
    HASH_FIND_STR(requests->homes, namespace, home);
    return home;
}

static struct request *find_class(const struct home *home, const char *class)
{
    for (uint32_t at = 0; home && at < home->count; at++)
        if (str_equal(home->rows[at].class, class))
            return &home->rows[at];
    return NULL;
}

static void drop_named(struct requests *requests, const char *namespace)
{
    struct home *home = find(requests, namespace);
    if (home)
        drop(requests, home);
}

static void drop_those_of_others(struct requests *requests)
{
    struct home *home, *next;
    HASH_ITER(hh, requests->homes, home, next) {
        if (!requests->holds(requests->arg, home->shard))
            drop(requests, home);
    }
}

/* Called when the metrics are read. */
static void show(void *arg)
{
    struct requests *requests = arg;
    pthread_mutex_lock(&requests->mutex);
    drop_those_of_others(requests);
    metric_clear(METRIC_WORKERCLASS_REQUEST);
    uint32_t shown = 0;
    for (uint32_t at = 0; at < WORLD_CLASSES_MAX; at++)
        for (const struct home *home = requests->homes; home; home = home->hh.next)
            if (at < home->count && shown++ < METRICS_SERIES_MAX)
                metric_set(METRIC_WORKERCLASS_REQUEST, home->rows[at].documents,
                           home->rows[at].class, home->namespace);
    pthread_mutex_unlock(&requests->mutex);
}

static void *filled(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct requests *requests_new(bool (*holds)(void *arg, int shard), void *arg)
{
    struct requests *requests = filled(calloc(1, sizeof *requests));
    pthread_mutex_init(&requests->mutex, NULL);
    requests->holds = holds;
    requests->arg = arg;
    requests->source = (struct metric_source){.show = show, .arg = requests};
    metric_source_add(&requests->source);
    return requests;
}

void requests_free(struct requests *requests)
{
    metric_source_remove(&requests->source);
    while (requests->homes)
        drop(requests, requests->homes);
    pthread_mutex_destroy(&requests->mutex);
    free(requests);
}

static void keep_times(struct home *home, const struct home *before)
{
    for (uint32_t at = 0; at < home->count; at++) {
        const struct request *row = find_class(before, home->rows[at].class);
        home->rows[at].told_ms = row ? row->told_ms : 0;
    }
}

void requests_put(struct requests *requests, const char *namespace, int shard,
                  const struct world *world, const struct decision *decision)
{
    struct home *home = filled(calloc(1, sizeof *home));
    *home = (struct home){.namespace = filled(strdup(namespace)),
                          .shard = shard,
                          .count = world->class_count,
                          .rows = filled(calloc(world->class_count + 1, sizeof *home->rows))};
    for (uint32_t at = 0; at < home->count; at++)
        home->rows[at] =
            (struct request){.class = filled(strdup(world->classes[at].class.name)),
                             .documents = (double)decision->classes[at].demand / MILLI};
    pthread_mutex_lock(&requests->mutex);
    keep_times(home, find(requests, namespace));
    drop_named(requests, namespace);
    HASH_ADD_KEYPTR(hh, requests->homes, home->namespace, strlen(home->namespace), home);
    pthread_mutex_unlock(&requests->mutex);
}

int64_t requests_rest_ms(struct requests *requests, const char *namespace, const char *class,
                         int64_t every_ms)
{
    pthread_mutex_lock(&requests->mutex);
    const struct request *row = find_class(find(requests, namespace), class);
    int64_t left_ms = row && row->told_ms ? row->told_ms + every_ms - clock_boottime_ms() : 0;
    pthread_mutex_unlock(&requests->mutex);
    return left_ms > 0 ? left_ms : 0;
}

void requests_told(struct requests *requests, const char *namespace, const char *class)
{
    pthread_mutex_lock(&requests->mutex);
    struct request *row = find_class(find(requests, namespace), class);
    if (row)
        row->told_ms = clock_boottime_ms();
    pthread_mutex_unlock(&requests->mutex);
}

void requests_drop(struct requests *requests, const char *namespace)
{
    pthread_mutex_lock(&requests->mutex);
    drop_named(requests, namespace);
    pthread_mutex_unlock(&requests->mutex);
}
