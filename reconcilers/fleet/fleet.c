/*
 * Threads of `flotillad fleet`: one dispatcher (reads the cells' list, sweeps for purges, takes
 * from the outbox only what free workers can carry), the workers, one collector, and one that
 * renews the leases on a session of its own, so that nothing else can make them run out.
 */
#include "reconcilers/fleet/fleet.h"

#include "reconcilers/fleet/collect.h"
#include "reconcilers/fleet/dispatch.h"
#include "server/adapters/kek.h"
#include "server/adapters/pg.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/store/fleet.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESCAN_EVERY_MS = 300000,
};

static bool is_stopping(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    bool stop = fleet->stop;
    pthread_mutex_unlock(&fleet->lock);
    return stop;
}

struct ctx fleet_ctx(struct fleet *fleet, struct arena *arena, int deadline_ms)
{
    arena_reset(arena);
    struct ctx ctx = ctx_make(arena, fleet->identity);
    ctx.deadline_ms = clock_boottime_ms() + deadline_ms;
    return ctx;
}

/* ---- collector and leases ---- */

static void collect_one(struct fleet *fleet, struct arena *arena, struct cell *cell)
{
    struct ctx ctx = fleet_ctx(fleet, arena, STATEMENT_DEADLINE_MS);
    log_field(&ctx, "cell", cell->name);
    if (collect_cell(&ctx, fleet->pool, fleet->identity, cell) < 0)
        log_failure(&ctx, "collect");
}

static void *run_collector(void *arg)
{
    struct fleet *fleet = arg;
    struct arena *arena = arena_new();
    int64_t rescan_ms = clock_boottime_ms() + RESCAN_EVERY_MS, next_ms = 0;
    while (!is_stopping(fleet)) {
        clock_sleep_ms(next_ms - clock_boottime_ms());
        next_ms = clock_boottime_ms() + COLLECT_TICK_MS;
        bool is_rescan = clock_boottime_ms() >= rescan_ms;
        if (is_rescan)
            rescan_ms = clock_boottime_ms() + RESCAN_EVERY_MS;
        size_t count = cells_count(fleet->cells);
        for (size_t index = 0; index < count && !is_stopping(fleet); index++) {
            struct cell *cell = cells_at(fleet->cells, index);
            if (is_rescan)
                cell->rescan = true;
            collect_one(fleet, arena, cell);
        }
    }
    arena_free(arena);
    return NULL;
}

static void *run_leaser(void *arg)
{
    struct fleet *fleet = arg;
    const struct fleet_options *options = &fleet->options;
    struct arena *arena = arena_new();
    int64_t renewed_ms = 0;
    size_t seen = 0;
    while (!is_stopping(fleet)) {
        size_t count = cells_count(fleet->cells);
        int64_t now_ms = clock_boottime_ms();
        if (count > 0 && (count != seen || now_ms - renewed_ms >= options->lease_renew_ms)) {
            struct ctx ctx = fleet_ctx(fleet, arena, options->lease_renew_ms);
            if (collect_lease(&ctx, fleet->lease_pool, fleet->identity, options->lease_duration_ms,
                              !options->lease_gate, fleet->cells) < 0)
                log_failure(&ctx, "renew cell leases");
            else
                renewed_ms = now_ms;
            seen = count;
            if (now_ms - renewed_ms >= options->lease_duration_ms && renewed_ms > 0)
                collect_drop(fleet->cells);
        }
        clock_sleep_ms(options->lease_renew_ms < 200 ? options->lease_renew_ms : 200);
    }
    arena_free(arena);
    return NULL;
}

/* ---- start and stop ---- */

/* Its cells and rows need not wait until its leases run out. */
static void give_back(struct fleet *fleet)
{
    struct arena *arena = arena_new();
    struct ctx ctx = fleet_ctx(fleet, arena, fleet->options.lease_renew_ms);
    if (store_fleet_release(&ctx, fleet->lease_pool, fleet->identity) < 0)
        log_failure(&ctx, "give the leases back");
    arena_free(arena);
}

static struct fleet *fleet_new(const struct fleet_options *options, struct kek_ring *keks)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        abort();
    fleet->options = *options;
    fleet->keks = keks;
    fleet->conninfo = strdup(options->conninfo);
    fleet->cells_dir = strdup(options->cells_dir);
    fleet->identity = strdup(options->identity);
    if (!fleet->conninfo || !fleet->cells_dir || !fleet->identity)
        abort();
    fleet->pool = pg_pool_new(fleet->conninfo, options->workers + 2, NULL);
    fleet->lease_pool = pg_pool_new(fleet->conninfo, 1, NULL);
    fleet->cells = cells_new(fleet->cells_dir);
    pthread_mutex_init(&fleet->lock, NULL);
    clock_cond_init(&fleet->wake);
    return fleet;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    if (pthread_create(thread, NULL, run, arg) != 0)
        abort(); /* at start-up, before any work: the supervisor tries again */
}

int fleet_start(struct ctx *ctx, const struct fleet_options *options, struct fleet **ret)
{
    if (!options->conninfo || !options->cells_dir || !options->identity)
        return err_set(ctx, ERR_CONFIG, NULL, "fleet needs a database, cells and an identity");
    if (options->workers < 1 || options->workers > WORKERS_MAX)
        return err_set(ctx, ERR_CONFIG, NULL, "workers must be from 1 to %d", WORKERS_MAX);
    struct kek_ring *keks;
    TRY(kek_ring_open(ctx, options->kek_file, &keks));
    struct fleet *fleet = fleet_new(options, keks);
    for (int index = 0; index < fleet->options.workers; index++) {
        fleet->desk[index].fleet = fleet;
        start_thread(&fleet->desk[index].thread, dispatch_run_worker, &fleet->desk[index]);
    }
    start_thread(&fleet->dispatcher, dispatch_run, fleet);
    start_thread(&fleet->collector, run_collector, fleet);
    start_thread(&fleet->leaser, run_leaser, fleet);
    *ret = fleet;
    return 0;
}

bool fleet_ready(const struct fleet *fleet)
{
    return fleet->ready;
}

void fleet_stop(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    fleet->stop = true;
    pthread_cond_broadcast(&fleet->wake);
    pthread_mutex_unlock(&fleet->lock);
    for (int index = 0; index < fleet->options.workers; index++)
        pthread_join(fleet->desk[index].thread, NULL);
    pthread_join(fleet->dispatcher, NULL);
    pthread_join(fleet->collector, NULL);
    pthread_join(fleet->leaser, NULL);
    give_back(fleet);
    cells_free(fleet->cells);
    pg_pool_free(fleet->pool);
    pg_pool_free(fleet->lease_pool);
    kek_ring_free(fleet->keks);
    pthread_cond_destroy(&fleet->wake);
    pthread_mutex_destroy(&fleet->lock);
    free(fleet->conninfo);
    free(fleet->cells_dir);
    free(fleet->identity);
    free(fleet);
}
