/*
 * A bounded pool of PostgreSQL sessions: opened on demand, last returned first taken (so that a
 * quiet process keeps few of them busy), ended ones replaced when they are taken.
 */
#include "server/adapters/pg.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROLLBACK_TIMEOUT_MS = 2000 };

struct pg_pool {
    char *conninfo;
    char *setup;
    int max;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t freed;
    int open; /* sessions that exist, idle or taken or being opened */
    int idle_count;
    struct pg *idle[];
};

struct pg_pool *pg_pool_new(const char *conninfo, int max, const char *setup)
{
    struct pg_pool *pool = calloc(1, sizeof *pool + (size_t)max * sizeof(struct pg *));
    if (!pool || !(pool->conninfo = strdup(conninfo)) || (setup && !(pool->setup = strdup(setup))))
        abort();
    pool->max = max;
    pthread_mutex_init(&pool->lock, NULL);
    clock_cond_init(&pool->freed);
    return pool;
}

void pg_pool_free(struct pg_pool *pool)
{
    if (!pool)
        return;
    while (pool->idle_count > 0)
        pg_close(pool->idle[--pool->idle_count]);
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
    explicit_bzero(pool->conninfo, strlen(pool->conninfo)); /* it may hold a password */
    free(pool->conninfo);
    free(pool->setup);
    free(pool);
}

/* With the lock held. A session comes back, or the room for one. */
static void release(struct pg_pool *pool, struct pg *pg)
{
    if (pg)
        pool->idle[pool->idle_count++] = pg;
    else
        pool->open--;
    pthread_cond_signal(&pool->freed);
}

static int open_session(struct ctx *ctx, struct pg_pool *pool, struct pg **ret)
{
    struct pg *pg = NULL;
    int rc = pg_open(ctx, pool->conninfo, &pg);
    if (rc == 0 && pool->setup)
        rc = pg_script(ctx, pg, pool->setup);
    if (rc == 0) {
        *ret = pg;
        return 0;
    }
    pg_close(pg);
    pthread_mutex_lock(&pool->lock);
    release(pool, NULL);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* With the lock held. False when the time is over. */
static bool wait_freed(const struct ctx *ctx, struct pg_pool *pool)
{
    int left_ms = ctx_left_ms(ctx, PG_DEFAULT_TIMEOUT_MS);
    const struct timespec until = clock_until(left_ms);
    return left_ms > 0 && pthread_cond_timedwait(&pool->freed, &pool->lock, &until) == 0;
}

int pg_pool_take(struct ctx *ctx, struct pg_pool *pool, struct pg **ret)
{
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        if (pool->idle_count > 0) {
            struct pg *pg = pool->idle[--pool->idle_count];
            if (pg_idle(pg)) {
                pthread_mutex_unlock(&pool->lock);
                *ret = pg;
                return 0;
            }
            pool->open--;
            pg_close(pg);
        } else if (pool->open < pool->max) {
            pool->open++;
            pthread_mutex_unlock(&pool->lock);
            return open_session(ctx, pool, ret);
        } else if (!wait_freed(ctx, pool)) {
            pthread_mutex_unlock(&pool->lock);
            return err_set(ctx, ERR_OVERLOADED, "DatabasePoolFull",
                           "all %d database sessions are busy", pool->max);
        }
    }
}

/* An open transaction of a request that failed half-way is rolled back here. */
static void roll_back(struct pg *pg)
{
    struct arena *arena = arena_new();
    struct ctx ctx = ctx_make(arena, "pool");
    ctx.deadline_ms = clock_boottime_ms() + ROLLBACK_TIMEOUT_MS;
    (void)pg_query(&ctx, pg, "ROLLBACK", 0, NULL, NULL); /* pg_idle() tells whether it worked */
    arena_free(arena);
}

void pg_pool_give(struct pg_pool *pool, struct pg *pg)
{
    if (!pg)
        return;
    if (pg_alive(pg) && !pg_idle(pg))
        roll_back(pg);
    if (!pg_idle(pg)) {
        pg_close(pg);
        pg = NULL;
    }
    pthread_mutex_lock(&pool->lock);
    release(pool, pg);
    pthread_mutex_unlock(&pool->lock);
}
