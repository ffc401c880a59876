/* Token buckets in a fixed table. */
#include "server/http/limits.h"

#include "server/base/clock.h"
#include "server/base/str.h"

#include <pthread.h>
#include <stdlib.h>

enum { SETS = 1024, WAYS = 4 };

struct bucket {
    uint64_t name_hash; /* 0 = unused */
    double tokens;
    int64_t at_ms;
};

struct limits {
    const char *what;
    int rate, burst;
    pthread_mutex_t lock; /* guards the buckets */
    struct bucket bucket[SETS][WAYS];
};

struct limits *limits_new(const char *what, int rate, int burst)
{
    struct limits *limits = calloc(1, sizeof *limits);
    if (!limits)
        abort();
    limits->what = what;
    limits->rate = rate;
    limits->burst = burst;
    pthread_mutex_init(&limits->lock, NULL);
    return limits;
}

void limits_free(struct limits *limits)
{
    if (!limits)
        return;
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static void fill(const struct limits *limits, struct bucket *bucket, int64_t now_ms)
{
    bucket->tokens += (double)(now_ms - bucket->at_ms) * limits->rate / 1000;
    if (bucket->tokens > limits->burst)
        bucket->tokens = limits->burst;
    bucket->at_ms = now_ms;
}

/* With the lock held: the bucket of a name, filled up to now. */
static struct bucket *refill(struct limits *limits, const char *name)
{
    uint64_t hash = str_hash(name) | 1;
    struct bucket *set = limits->bucket[(hash >> 1) % SETS], *fullest = set;
    int64_t now_ms = clock_boottime_ms();
    for (int way = 0; way < WAYS; way++) {
        struct bucket *bucket = &set[way];
        if (!bucket->name_hash)
            *bucket = (struct bucket){.name_hash = hash, .tokens = limits->burst, .at_ms = now_ms};
        fill(limits, bucket, now_ms);
        if (bucket->name_hash == hash)
            return bucket;
        if (bucket->tokens > fullest->tokens)
            fullest = bucket;
    }
    fullest->name_hash = hash;
    return fullest;
}

int limits_check(struct ctx *ctx, struct limits *limits, const char *name,
                 struct response *response)
{
    if (!limits->rate)
        return 0;
    pthread_mutex_lock(&limits->lock);
    double tokens = refill(limits, name)->tokens;
    pthread_mutex_unlock(&limits->lock);
    int seconds = limits->burst / limits->rate;
    if (response) {
        response_header(response, "RateLimit-Policy",
                        arena_printf(ctx->arena, "\"default\";q=%d;w=%d", limits->burst, seconds));
        response_header(response, "RateLimit",
                        arena_printf(ctx->arena, "\"default\";r=%d;t=%d", (int)tokens, seconds));
    }
    if (tokens >= 1)
        return 0;
    (void)err_set(ctx, ERR_RATE_LIMITED, NULL, "more than %d %s per second", limits->rate,
                  limits->what);
    ctx->err.retry_after_ms = (int)((1 - tokens) * 1000 / limits->rate) + 1;
    return -ERR_RATE_LIMITED;
}

void limits_take(struct limits *limits, const char *name)
{
    if (!limits->rate)
        return;
    pthread_mutex_lock(&limits->lock);
    refill(limits, name)->tokens -= 1;
    pthread_mutex_unlock(&limits->lock);
}
