/*
 * The queue between watches and workers. An item is one struct for its whole life; it is either
 * idle, ready (in a list), waiting (in the heap) or processing, and may be dirty or waiting while
 * it is processed. An item that is in none of these states and has no failures is freed.
 * One mutex guards everything of one queue.
 */
#include "reconcilers/engine/workqueue.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/net/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) abort()
#include <uthash.h>
#include <utlist.h>

enum {
    BACKOFF_START_MS = 5,
    BACKOFF_DOUBLINGS_MAX = 30,
    /* CLOCK_MONOTONIC, which conditions wait on, stands still while the machine is suspended. */
    WAIT_MAX_MS = 30000,
};

/* What brought a key that is ready, the first to be served first. */
enum bringer { BY_BEGUN, BY_EVENT, BY_CLOCK, BRINGERS };

/* Who is first at every so many takes: without a turn of their own the others would starve. */
static const enum bringer turns[] = {BY_CLOCK, BY_BEGUN, BY_EVENT, BY_BEGUN};

struct item {
    UT_hash_handle hh;
    struct item *prev, *next; /* of its ready list, or of those that are processed */
    enum bringer bringer;     /* while ready, or dirty */
    size_t heap_place;        /* its index in the heap + 1; 0 = not waiting */
    int64_t due_ms;           /* while waiting */
    enum bringer waits;       /* the same: what it is when that has come */
    int64_t ready_since_ms, taken_ms;
    unsigned failures;
    bool ready, processing, dirty;
    char key[];
};

struct workqueue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    const char *name;
    int64_t backoff_cap_ms;
    bool closed;
    struct item *items;           /* all, by key */
    struct item *ready[BRINGERS]; /* each first in, first out */
    struct item *processing;      /* the one taken first is first */
    size_t ready_count;
    unsigned takes;
    struct item **heap; /* soonest first */
    size_t heap_count, heap_capacity;
    struct metric_source source;
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ---- heap ---- */

static void heap_set(struct workqueue *queue, size_t at, struct item *item)
{
    queue->heap[at] = item;
    item->heap_place = at + 1;
}

static void heap_up(struct workqueue *queue, size_t at, struct item *item)
{
    while (at > 0 && queue->heap[(at - 1) / 2]->due_ms > item->due_ms) {
        heap_set(queue, at, queue->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(queue, at, item);
}

static void heap_down(struct workqueue *queue, size_t at, struct item *item)
{
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= queue->heap_count)
            break;
        if (child + 1 < queue->heap_count &&
            queue->heap[child + 1]->due_ms < queue->heap[child]->due_ms)
            child++;
        if (queue->heap[child]->due_ms >= item->due_ms)
            break;
        heap_set(queue, at, queue->heap[child]);
        at = child;
    }
    heap_set(queue, at, item);
}

static void heap_add(struct workqueue *queue, struct item *item, int64_t due_ms)
{
    if (queue->heap_count == queue->heap_capacity) {
        queue->heap_capacity = queue->heap_capacity ? queue->heap_capacity * 2 : 64;
        queue->heap = must(realloc(queue->heap, queue->heap_capacity * sizeof *queue->heap));
    }
    item->due_ms = due_ms;
    heap_up(queue, queue->heap_count++, item);
}

static void heap_remove(struct workqueue *queue, struct item *item)
{
    if (!item->heap_place)
        return;
    size_t at = item->heap_place - 1;
    item->heap_place = 0;
    struct item *last = queue->heap[--queue->heap_count];
    if (last == item)
        return;
    if (at > 0 && queue->heap[(at - 1) / 2]->due_ms > last->due_ms)
        heap_up(queue, at, last);
    else
        heap_down(queue, at, last);
}

/* ---- items; the mutex is held ---- */

static struct item *find(struct workqueue *queue, const char *key)
{
    struct item *item;
    HASH_FIND(hh, queue->items, key, strlen(key), item);
    return item;
}

static struct item *find_or_make(struct workqueue *queue, const char *key)
{
    struct item *item = find(queue, key);
    if (item)
        return item;
    size_t length = strlen(key);
    if (length >= WORKQUEUE_KEY_BYTES)
        abort(); /* keys are made of names that the API server has bounded */
    item = must(calloc(1, sizeof *item + length + 1));
    memcpy(item->key, key, length);
    HASH_ADD_KEYPTR(hh, queue->items, item->key, length, item);
    return item;
}

static void free_if_idle(struct workqueue *queue, struct item *item)
{
    if (item->ready || item->processing || item->heap_place || item->failures)
        return;
    HASH_DEL(queue->items, item);
    free(item);
}

static void show_depth(struct workqueue *queue)
{
    metric_set(METRIC_QUEUE_DEPTH, (double)queue->ready_count, queue->name);
}

/* Workers that are stuck show nowhere else: what they do is counted when it is done. */
static void show_unfinished(void *arg)
{
    struct workqueue *queue = arg;
    pthread_mutex_lock(&queue->mutex);
    int64_t now = clock_boottime_ms(), sum_ms = 0;
    int64_t longest_ms = queue->processing ? now - queue->processing->taken_ms : 0;
    for (const struct item *item = queue->processing; item; item = item->next)
        sum_ms += now - item->taken_ms;
    pthread_mutex_unlock(&queue->mutex);
    metric_set(METRIC_QUEUE_UNFINISHED, (double)sum_ms / 1000, queue->name);
    metric_set(METRIC_QUEUE_LONGEST, (double)longest_ms / 1000, queue->name);
}

static void enlist(struct workqueue *queue, struct item *item, enum bringer bringer)
{
    item->bringer = bringer;
    DL_APPEND(queue->ready[bringer], item);
}

static void delist(struct workqueue *queue, struct item *item)
{
    DL_DELETE(queue->ready[item->bringer], item);
}

static void make_ready(struct workqueue *queue, struct item *item, enum bringer bringer)
{
    if (item->processing) {
        item->bringer = item->dirty && item->bringer < bringer ? item->bringer : bringer;
        item->dirty = true;
        return;
    }
    if (item->ready) {
        if (bringer < item->bringer) {
            delist(queue, item);
            enlist(queue, item, bringer);
        }
        return;
    }
    heap_remove(queue, item);
    item->ready = true;
    item->ready_since_ms = clock_boottime_ms();
    enlist(queue, item, bringer);
    queue->ready_count++;
    metric_add(METRIC_QUEUE_ADDS, 1, queue->name);
    show_depth(queue);
    pthread_cond_signal(&queue->changed);
}

static void make_wait(struct workqueue *queue, struct item *item, int64_t delay_ms,
                      enum bringer bringer)
{
    if (delay_ms <= 0) {
        make_ready(queue, item, bringer);
        return;
    }
    int64_t due_ms = clock_boottime_ms() + delay_ms;
    if (item->ready || (item->heap_place && item->due_ms <= due_ms))
        return;
    heap_remove(queue, item);
    item->waits = bringer;
    heap_add(queue, item, due_ms);
    if (queue->heap[0] == item)
        pthread_cond_signal(&queue->changed); /* somebody must wait less long */
}

static void make_due_ready(struct workqueue *queue)
{
    int64_t now = clock_boottime_ms();
    while (queue->heap_count && queue->heap[0]->due_ms <= now) {
        struct item *item = queue->heap[0];
        heap_remove(queue, item);
        make_ready(queue, item, item->waits);
    }
}

/* The next one to be taken, still in its list. */
static struct item *first_ready(struct workqueue *queue)
{
    enum bringer by = turns[queue->takes % ARRAY_SIZE(turns)];
    if (!queue->ready[by])
        for (by = 0; !queue->ready[by];)
            by++;
    return queue->ready[by];
}

static void wait_for_change(struct workqueue *queue)
{
    int64_t wait_ms = WAIT_MAX_MS;
    if (queue->heap_count) {
        int64_t left = queue->heap[0]->due_ms - clock_boottime_ms();
        wait_ms = left < 1 ? 1 : left < wait_ms ? left : wait_ms;
    }
    const struct timespec until = clock_until(wait_ms);
    pthread_cond_timedwait(&queue->changed, &queue->mutex, &until);
}

/* ---- public ---- */

struct workqueue *workqueue_new(const char *name, int64_t backoff_cap_ms)
{
    struct workqueue *queue = must(calloc(1, sizeof *queue));
    queue->name = name;
    queue->backoff_cap_ms = backoff_cap_ms;
    pthread_mutex_init(&queue->mutex, NULL);
    clock_cond_init(&queue->changed);
    queue->source = (struct metric_source){.show = show_unfinished, .arg = queue};
    metric_source_add(&queue->source);
    return queue;
}

void workqueue_free(struct workqueue *queue)
{
    if (!queue)
        return;
    metric_source_remove(&queue->source);
    struct item *item, *next;
    HASH_ITER(hh, queue->items, item, next) {
        HASH_DEL(queue->items, item);
        free(item);
    }
    free(queue->heap);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

void workqueue_close(struct workqueue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

void workqueue_add(struct workqueue *queue, const char *key)
{
    pthread_mutex_lock(&queue->mutex);
    make_ready(queue, find_or_make(queue, key), BY_EVENT);
    pthread_mutex_unlock(&queue->mutex);
}

void workqueue_add_after(struct workqueue *queue, const char *key, int64_t delay_ms)
{
    pthread_mutex_lock(&queue->mutex);
    make_wait(queue, find_or_make(queue, key), delay_ms, BY_CLOCK);
    pthread_mutex_unlock(&queue->mutex);
}

void workqueue_add_paced(struct workqueue *queue, const char *key, int64_t every_ms, bool begun)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find_or_make(queue, key);
    int64_t rests_ms = item->taken_ms ? item->taken_ms + every_ms - clock_boottime_ms() : 0;
    make_wait(queue, item, rests_ms, begun ? BY_BEGUN : BY_EVENT);
    pthread_mutex_unlock(&queue->mutex);
}

int64_t workqueue_add_backoff(struct workqueue *queue, const char *key, int64_t at_least_ms)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find_or_make(queue, key);
    unsigned doublings =
        item->failures < BACKOFF_DOUBLINGS_MAX ? item->failures : BACKOFF_DOUBLINGS_MAX;
    int64_t delay_ms = (int64_t)BACKOFF_START_MS << doublings;
    if (delay_ms > queue->backoff_cap_ms)
        delay_ms = queue->backoff_cap_ms;
    if (delay_ms < at_least_ms)
        delay_ms = at_least_ms;
    item->failures++;
    make_wait(queue, item, delay_ms, BY_CLOCK);
    pthread_mutex_unlock(&queue->mutex);
    metric_add(METRIC_QUEUE_RETRIES, 1, queue->name);
    return delay_ms;
}

void workqueue_forget(struct workqueue *queue, const char *key)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find(queue, key);
    if (item) {
        item->failures = 0;
        free_if_idle(queue, item);
    }
    pthread_mutex_unlock(&queue->mutex);
}

unsigned workqueue_failures(struct workqueue *queue, const char *key)
{
    pthread_mutex_lock(&queue->mutex);
    const struct item *item = find(queue, key);
    unsigned failures = item ? item->failures : 0;
    pthread_mutex_unlock(&queue->mutex);
    return failures;
}

bool workqueue_take(struct workqueue *queue, char key[WORKQUEUE_KEY_BYTES])
{
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        make_due_ready(queue);
        if (queue->closed || queue->ready_count)
            break;
        wait_for_change(queue);
    }
    if (queue->closed) {
        pthread_mutex_unlock(&queue->mutex);
        return false;
    }
    queue->takes++;
    struct item *item = first_ready(queue);
    delist(queue, item);
    queue->ready_count--;
    item->ready = false;
    item->processing = true;
    DL_APPEND(queue->processing, item);
    item->taken_ms = clock_boottime_ms();
    int64_t waited_ms = item->taken_ms - item->ready_since_ms;
    snprintf(key, WORKQUEUE_KEY_BYTES, "%s", item->key);
    show_depth(queue);
    if (queue->ready_count || queue->heap_count)
        pthread_cond_signal(&queue->changed); /* the next worker takes over the watch */
    pthread_mutex_unlock(&queue->mutex);
    metric_observe(METRIC_QUEUE_WAIT, (double)waited_ms / 1000, queue->name);
    return true;
}

void workqueue_done(struct workqueue *queue, const char *key)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find(queue, key);
    if (!item || !item->processing)
        abort(); /* done without take */
    int64_t worked_ms = clock_boottime_ms() - item->taken_ms;
    item->processing = false;
    DL_DELETE(queue->processing, item);
    if (item->dirty) {
        item->dirty = false;
        make_ready(queue, item, item->bringer);
    } else {
        free_if_idle(queue, item);
    }
    pthread_mutex_unlock(&queue->mutex);
    metric_observe(METRIC_QUEUE_WORK, (double)worked_ms / 1000, queue->name);
}

size_t workqueue_depth(struct workqueue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    size_t depth = queue->ready_count;
    pthread_mutex_unlock(&queue->mutex);
    return depth;
}
