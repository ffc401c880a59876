/* One thread polls for all requests that wait; without any it sleeps. */
#include "server/http/waiters.h"

#include "server/base/clock.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_BYTES = 40, POLL_TIMEOUT_MS = 5000 };
_Static_assert(WAITERS_MAX <= HTTP_CONNECTIONS_MAX / 2, "half of the connections are for others");

struct waiter {
    const struct request *request;
    uint64_t owner; /* hash of its name */
    char id[ID_BYTES];
    int64_t until_ms;
};

struct waiters {
    waiters_finder find;
    void *app;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t added; /* or stopping */
    bool stopping, stopped;
    int count;
    struct waiter waiter[WAITERS_MAX];
};

/* With the lock held. */
static void hand_back(struct waiters *waiters, int at)
{
    http_server_requeue(waiters->waiter[at].request);
    waiters->waiter[at] = waiters->waiter[--waiters->count];
}

/* Copies the ids, so that the lock is not held while the database is asked. */
static int copy_ids(struct waiters *waiters, struct arena *arena, const char **ids)
{
    pthread_mutex_lock(&waiters->lock);
    int count = waiters->count;
    for (int at = 0; at < count; at++)
        ids[at] = arena_strdup(arena, waiters->waiter[at].id);
    pthread_mutex_unlock(&waiters->lock);
    return count;
}

static bool has_ended(const char *id, const char *const ids[], const bool ended[], int count)
{
    for (int at = 0; at < count; at++)
        if (ended[at] && strcmp(ids[at], id) == 0)
            return true;
    return false;
}

static void poll_once(struct waiters *waiters)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "waiters");
    ctx.deadline_ms = clock_boottime_ms() + POLL_TIMEOUT_MS;
    const char **ids = arena_alloc(arena, WAITERS_MAX * sizeof *ids);
    bool *ended = arena_alloc(arena, WAITERS_MAX * sizeof *ended);
    int count = copy_ids(waiters, arena, ids);
    if (waiters->find(&ctx, waiters->app, ids, count, ended) < 0) {
        log_failure(&ctx, "waiting for operations"); /* the next round tries again */
        memset(ended, 0, WAITERS_MAX * sizeof *ended);
    }
    int64_t now_ms = clock_boottime_ms();
    pthread_mutex_lock(&waiters->lock);
    for (int at = waiters->count - 1; at >= 0; at--)
        if (waiters->waiter[at].until_ms <= now_ms ||
            has_ended(waiters->waiter[at].id, ids, ended, count))
            hand_back(waiters, at);
    pthread_mutex_unlock(&waiters->lock);
    arena_free(arena);
}

static void *poller_main(void *arg)
{
    struct waiters *waiters = arg;
    for (;;) {
        pthread_mutex_lock(&waiters->lock);
        while (!waiters->count && !waiters->stopping)
            pthread_cond_wait(&waiters->added, &waiters->lock);
        bool stopping = waiters->stopping;
        while (stopping && waiters->count)
            hand_back(waiters, 0);
        pthread_mutex_unlock(&waiters->lock);
        if (stopping)
            return NULL;
        poll_once(waiters);
        clock_sleep_ms(WAITERS_PERIOD_MS);
    }
}

struct waiters *waiters_new(waiters_finder find, void *app)
{
    struct waiters *waiters = calloc(1, sizeof *waiters);
    if (!waiters)
        abort();
    waiters->find = find;
    waiters->app = app;
    pthread_mutex_init(&waiters->lock, NULL);
    pthread_cond_init(&waiters->added, NULL);
    if (pthread_create(&waiters->thread, NULL, poller_main, waiters) != 0)
        abort();
    return waiters;
}

/* With the lock held. */
static int count_of(const struct waiters *waiters, uint64_t owner)
{
    int count = 0;
    for (int at = 0; at < waiters->count; at++)
        count += waiters->waiter[at].owner == owner;
    return count;
}

bool waiters_add(struct waiters *waiters, const struct request *request, const char *owner,
                 const char *id, int64_t until_ms)
{
    uint64_t hash = str_hash(owner);
    pthread_mutex_lock(&waiters->lock);
    bool room = waiters->count < WAITERS_MAX && count_of(waiters, hash) < WAITERS_PER_OWNER &&
                !waiters->stopping && strlen(id) < ID_BYTES;
    if (room) {
        struct waiter *waiter = &waiters->waiter[waiters->count++];
        *waiter = (struct waiter){.request = request, .owner = hash, .until_ms = until_ms};
        snprintf(waiter->id, sizeof waiter->id, "%s", id);
        pthread_cond_signal(&waiters->added);
    }
    pthread_mutex_unlock(&waiters->lock);
    return room;
}

void waiters_stop(struct waiters *waiters)
{
    if (!waiters || waiters->stopped)
        return;
    pthread_mutex_lock(&waiters->lock);
    waiters->stopping = true;
    pthread_cond_signal(&waiters->added);
    pthread_mutex_unlock(&waiters->lock);
    pthread_join(waiters->thread, NULL);
    waiters->stopped = true;
}

void waiters_free(struct waiters *waiters)
{
    if (!waiters)
        return;
    waiters_stop(waiters);
    pthread_cond_destroy(&waiters->added);
    pthread_mutex_destroy(&waiters->lock);
    free(waiters);
}
