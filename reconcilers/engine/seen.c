#include "reconcilers/engine/seen.h"

#include "server/base/str.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { SLOTS = 4096 };

struct seen {
    pthread_mutex_t mutex;
    uint64_t hashes[SLOTS]; /* each in the place that its low bits say */
};

struct seen *seen_new(void)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (!seen)
        abort();
    pthread_mutex_init(&seen->mutex, NULL);
    return seen;
}

void seen_free(struct seen *seen)
{
    if (!seen)
        return;
    pthread_mutex_destroy(&seen->mutex);
    free(seen);
}

void seen_add(struct seen *seen, const char *text)
{
    uint64_t hash = str_hash(text);
    pthread_mutex_lock(&seen->mutex);
    seen->hashes[hash % SLOTS] = hash;
    pthread_mutex_unlock(&seen->mutex);
}

bool seen_has(struct seen *seen, const char *text)
{
    uint64_t hash = str_hash(text);
    pthread_mutex_lock(&seen->mutex);
    bool known = seen->hashes[hash % SLOTS] == hash;
    pthread_mutex_unlock(&seen->mutex);
    return known;
}
