/* See gate.h. A linear table: a cell has a handful of pools. */
#include "reconcilers/backends/gate.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64 };

struct backend_gates {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t left;  /* somebody left a pool */
    int per_pool;
    int count;
    struct pool_gate {
        char name[NAME_BYTES];
        int inside;
        int failures;          /* connects that failed in a row */
        int64_t open_until_ms; /* the breaker; 0 = closed */
    } gate[BACKEND_POOLS_MAX];
};

struct backend_gates *backend_gates_new(int per_pool)
{
    struct backend_gates *gates = calloc(1, sizeof *gates);
    if (!gates)
        abort();
    clock_cond_init(&gates->left);
    pthread_mutex_init(&gates->lock, NULL);
    gates->per_pool = per_pool < 1 ? 1 : per_pool;
    return gates;
}

void backend_gates_free(struct backend_gates *gates)
{
    if (!gates)
        return;
    pthread_cond_destroy(&gates->left);
    pthread_mutex_destroy(&gates->lock);
    free(gates);
}

/* NULL when the table is full of pools that are in use. */
static struct pool_gate *find(struct backend_gates *gates, const char *pool)
{
    struct pool_gate *spare = NULL;
    for (int at = 0; at < gates->count; at++) {
        struct pool_gate *gate = &gates->gate[at];
        if (strncmp(gate->name, pool, NAME_BYTES - 1) == 0)
            return gate;
        if (gate->inside == 0 && gate->failures == 0)
            spare = gate;
    }
    if (gates->count < BACKEND_POOLS_MAX)
        spare = &gates->gate[gates->count++];
    if (spare) {
        *spare = (struct pool_gate){0};
        snprintf(spare->name, sizeof spare->name, "%s", pool);
    }
    return spare;
}

static int enter(struct ctx *ctx, struct backend_gates *gates, const char *pool)
{
    struct pool_gate *gate = find(gates, pool);
    int64_t now = clock_boottime_ms();
    if (!gate || gate->inside >= gates->per_pool)
        return err_set(ctx, ERR_OVERLOADED, "PoolBusy",
                       "enough workers are inside pool '%s' already", pool);
    if (gate->open_until_ms > now) {
        int rc = err_set(ctx, ERR_UNAVAILABLE, "BreakerOpen",
                         "pool '%s' failed %d times in a row and is left alone for a while", pool,
                         BREAKER_FAILURES);
        ctx->err.retry_after_ms = (int)(gate->open_until_ms - now);
        return rc;
    }
    /* Half open: this worker is the probe, the others wait for what it finds. */
    if (gate->open_until_ms)
        gate->open_until_ms = now + BREAKER_OPEN_MS;
    gate->inside++;
    return 0;
}

int backend_gate_enter(struct ctx *ctx, struct backend_gates *gates, const char *pool)
{
    const struct timespec until = clock_until(GATE_WAIT_MS);
    pthread_mutex_lock(&gates->lock);
    int rc = enter(ctx, gates, pool);
    while (rc == -ERR_OVERLOADED &&
           pthread_cond_timedwait(&gates->left, &gates->lock, &until) == 0) {
        err_clear(ctx);
        rc = enter(ctx, gates, pool);
    }
    pthread_mutex_unlock(&gates->lock);
    return rc;
}

void backend_gate_leave(struct backend_gates *gates, const char *pool, bool connected)
{
    pthread_mutex_lock(&gates->lock);
    struct pool_gate *gate = find(gates, pool);
    if (gate && gate->inside > 0)
        gate->inside--;
    if (gate && connected) {
        gate->failures = 0;
        gate->open_until_ms = 0;
    } else if (gate && ++gate->failures >= BREAKER_FAILURES) {
        gate->failures = BREAKER_FAILURES;
        gate->open_until_ms = clock_boottime_ms() + BREAKER_OPEN_MS;
    }
    pthread_cond_broadcast(&gates->left);
    pthread_mutex_unlock(&gates->lock);
}

static void move(struct backend_gates *gates, const char *pool, int by)
{
    pthread_mutex_lock(&gates->lock);
    struct pool_gate *gate = find(gates, pool);
    if (gate)
        gate->inside += by;
    pthread_cond_broadcast(&gates->left);
    pthread_mutex_unlock(&gates->lock);
}

void backend_gate_lend(struct backend_gates *gates, const char *pool)
{
    move(gates, pool, -1);
}

void backend_gate_return(struct backend_gates *gates, const char *pool)
{
    move(gates, pool, 1);
}

int backend_hold_back(struct ctx *ctx, int rc, const char **ret_why)
{
    if (rc == 0 || rc == -ERR_LEASE_LOST)
        return rc;
    *ret_why = arena_strdup(ctx->arena, ctx->err.message);
    log_failure(ctx, "one of two credentials is not proved");
    err_clear(ctx);
    return 0;
}
