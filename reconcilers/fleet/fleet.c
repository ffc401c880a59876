/*
 * Threads of `flotillad fleet`: one dispatcher (reads the cells' list, sweeps for purges, takes
 * from the outbox only what free workers can carry), the workers, one collector, and one that
 * renews the leases on a session of its own, so that nothing else can make them run out.
 */
#include "reconcilers/fleet/fleet.h"

#include "reconcilers/fleet/cells.h"
#include "reconcilers/fleet/collect.h"
#include "reconcilers/fleet/publish.h"
#include "server/adapters/pg.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "server/store/fleet.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORKERS_DEFAULT = 8,
    WORKERS_MAX = 64,
    POLL_DEFAULT_MS = 200,
    LEASE_DURATION_DEFAULT_MS = 15000,
    LEASE_RENEW_DEFAULT_MS = 5000,
    CELLS_EVERY_MS = 5000,
    SWEEP_EVERY_MS = 1000,
    RESCAN_EVERY_MS = 300000,
    WORK_DEADLINE_MS = 20000,
    WORK_LEASE_MS = 30000, /* longer than the deadline and the settling after it */
    STATEMENT_DEADLINE_MS = 10000,
    ID_BYTES = 64,
};

/* A worker's desk: empty, or with one outbox row on it. */
struct desk {
    struct fleet *fleet;
    pthread_t thread;
    bool taken;
    char id[ID_BYTES];
    int64_t generation;
    struct cell *cell; /* NULL = not placed yet */
};

struct fleet {
    char *conninfo, *cells_dir, *identity;
    struct fleet_options options;
    struct pg_pool *pool;       /* workers, dispatcher, collector */
    struct pg_pool *lease_pool; /* the lease thread alone */
    struct cells *cells;
    pthread_t dispatcher, collector, leaser;
    pthread_mutex_t lock; /* guards desks, stop; `wake` is signalled when either changes */
    pthread_cond_t wake;
    struct desk desk[WORKERS_MAX];
    bool stop;
    _Atomic bool ready;
};

static bool is_stopping(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    bool stop = fleet->stop;
    pthread_mutex_unlock(&fleet->lock);
    return stop;
}

/* Sleeps until woken, at most ms; false when the fleet stops. */
static bool pause_ms(struct fleet *fleet, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&fleet->lock);
    if (!fleet->stop)
        pthread_cond_timedwait(&fleet->wake, &fleet->lock, &until);
    bool goes_on = !fleet->stop;
    pthread_mutex_unlock(&fleet->lock);
    return goes_on;
}

static struct ctx fresh(struct fleet *fleet, struct arena *arena, int deadline_ms)
{
    arena_reset(arena);
    struct ctx ctx = ctx_make(arena, fleet->identity);
    ctx.deadline_ms = clock_boottime_ms() + deadline_ms;
    return ctx;
}

/* ---- workers ---- */

static void *run_worker(void *arg)
{
    struct desk *desk = arg;
    struct fleet *fleet = desk->fleet;
    struct arena *arena = arena_new();
    pthread_mutex_lock(&fleet->lock);
    while (!fleet->stop) {
        if (!desk->taken) {
            pthread_cond_wait(&fleet->wake, &fleet->lock);
            continue;
        }
        pthread_mutex_unlock(&fleet->lock);
        struct ctx ctx = fresh(fleet, arena, WORK_DEADLINE_MS);
        const struct store_fleet_item item = {desk->id, fleet->identity, desk->generation};
        publish_item(&ctx, fleet->pool, fleet->cells, &item);
        if (desk->cell)
            atomic_fetch_sub(&desk->cell->busy, 1);
        pthread_mutex_lock(&fleet->lock);
        desk->taken = false;
        pthread_cond_broadcast(&fleet->wake);
    }
    pthread_mutex_unlock(&fleet->lock);
    arena_free(arena);
    return NULL;
}

/* ---- dispatcher ---- */

/* Ids under work here, and how many desks are free. */
static int look_at_desks(struct fleet *fleet, json_t *busy)
{
    int free_desks = 0;
    pthread_mutex_lock(&fleet->lock);
    for (int index = 0; index < fleet->options.workers; index++) {
        if (fleet->desk[index].taken)
            json_array_append_new(busy, json_string(fleet->desk[index].id));
        else
            free_desks++;
    }
    pthread_mutex_unlock(&fleet->lock);
    return free_desks;
}

/* One cell may hold three quarters of the workers, one that does not answer a single one. */
static void list_full(struct fleet *fleet, json_t *full)
{
    size_t count = cells_count(fleet->cells);
    int share = (fleet->options.workers * 3 + 3) / 4;
    for (size_t index = 0; index < count; index++) {
        struct cell *cell = cells_at(fleet->cells, index);
        if (cell->busy >= (cell->failing ? 1 : share))
            json_array_append_new(full, json_string(cell->name));
    }
}

static void hand_out(struct fleet *fleet, const json_t *taken)
{
    size_t index;
    json_t *item;
    int next = 0;
    pthread_mutex_lock(&fleet->lock);
    json_array_foreach(taken, index, item) {
        while (next < fleet->options.workers && fleet->desk[next].taken)
            next++;
        if (next == fleet->options.workers)
            break; /* cannot happen: we took no more than there are free desks */
        struct desk *desk = &fleet->desk[next];
        snprintf(desk->id, sizeof desk->id, "%s", json_str_or(item, "id", ""));
        desk->generation = json_int_or(item, "generation", 0);
        desk->cell = cells_find(fleet->cells, json_str_or(item, "cell", ""));
        if (desk->cell)
            atomic_fetch_add(&desk->cell->busy, 1);
        desk->taken = true;
    }
    pthread_cond_broadcast(&fleet->wake);
    pthread_mutex_unlock(&fleet->lock);
}

static int take(struct ctx *ctx, struct fleet *fleet)
{
    json_t *busy = arena_json(ctx->arena, json_array());
    json_t *full = arena_json(ctx->arena, json_array());
    struct store_fleet_take wanted = {
        .owner = fleet->identity,
        .limit = look_at_desks(fleet, busy),
        .lease_ms = WORK_LEASE_MS,
        .force = !fleet->options.lease_gate,
        .full = full,
        .busy = busy,
    };
    list_full(fleet, full);
    if (wanted.limit == 0)
        return 0;
    json_t *taken;
    TRY(store_fleet_outbox_take(ctx, fleet->pool, &wanted, &taken));
    hand_out(fleet, taken);
    return 0;
}

static int refresh_cells(struct ctx *ctx, struct fleet *fleet)
{
    json_t *rows;
    TRY(store_fleet_cells(ctx, fleet->pool, &rows));
    cells_refresh(ctx, fleet->cells, rows);
    fleet->ready = true;
    return 0;
}

static int sweep(struct ctx *ctx, struct fleet *fleet)
{
    int64_t depth;
    TRY(store_fleet_sweep(ctx, fleet->pool, &depth));
    metric_set(METRIC_OUTBOX_DEPTH, (double)depth);
    return 0;
}

/* What the dispatcher does, each as often as its row says. */
struct duty {
    const char *name;
    int (*run)(struct ctx *ctx, struct fleet *fleet);
    int64_t every_ms; /* 0 = at every poll */
};

static const struct duty duties[] = {
    {"read cells", refresh_cells, CELLS_EVERY_MS},
    {"sweep for purges", sweep, SWEEP_EVERY_MS},
    {"take from the outbox", take, 0},
};
enum { DUTIES = sizeof duties / sizeof duties[0] };

static void *run_dispatcher(void *arg)
{
    struct fleet *fleet = arg;
    struct arena *arena = arena_new();
    int64_t due_ms[DUTIES] = {0};
    do {
        for (int index = 0; index < DUTIES; index++) {
            int64_t now_ms = clock_boottime_ms();
            if (now_ms < due_ms[index])
                continue;
            due_ms[index] = now_ms + duties[index].every_ms;
            struct ctx ctx = fresh(fleet, arena, STATEMENT_DEADLINE_MS);
            if (duties[index].run(&ctx, fleet) < 0) {
                log_failure(&ctx, duties[index].name);
                due_ms[index] = now_ms + SWEEP_EVERY_MS;
            }
        }
    } while (pause_ms(fleet, fleet->options.poll_ms));
    arena_free(arena);
    return NULL;
}

/* ---- collector and leases ---- */

static void collect_one(struct fleet *fleet, struct arena *arena, struct cell *cell)
{
    struct ctx ctx = fresh(fleet, arena, STATEMENT_DEADLINE_MS);
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
            struct ctx ctx = fresh(fleet, arena, options->lease_renew_ms);
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

static int or_default(int value, int otherwise)
{
    return value > 0 ? value : otherwise;
}

static struct fleet *fleet_new(const struct fleet_options *options)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        abort();
    fleet->options = *options;
    struct fleet_options *own = &fleet->options;
    own->workers = or_default(own->workers, WORKERS_DEFAULT);
    own->workers = own->workers > WORKERS_MAX ? WORKERS_MAX : own->workers;
    own->poll_ms = or_default(own->poll_ms, POLL_DEFAULT_MS);
    own->lease_duration_ms = or_default(own->lease_duration_ms, LEASE_DURATION_DEFAULT_MS);
    own->lease_renew_ms = or_default(own->lease_renew_ms, LEASE_RENEW_DEFAULT_MS);
    fleet->conninfo = strdup(options->conninfo);
    fleet->cells_dir = strdup(options->cells_dir);
    fleet->identity = strdup(options->identity);
    if (!fleet->conninfo || !fleet->cells_dir || !fleet->identity)
        abort();
    fleet->pool = pg_pool_new(fleet->conninfo, own->workers + 2, NULL);
    fleet->lease_pool = pg_pool_new(fleet->conninfo, 1, NULL);
    fleet->cells = cells_new(fleet->cells_dir);
    pthread_mutex_init(&fleet->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fleet->wake, &attributes);
    pthread_condattr_destroy(&attributes);
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
    struct fleet *fleet = fleet_new(options);
    for (int index = 0; index < fleet->options.workers; index++) {
        fleet->desk[index].fleet = fleet;
        start_thread(&fleet->desk[index].thread, run_worker, &fleet->desk[index]);
    }
    start_thread(&fleet->dispatcher, run_dispatcher, fleet);
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
    cells_free(fleet->cells);
    pg_pool_free(fleet->pool);
    pg_pool_free(fleet->lease_pool);
    pthread_cond_destroy(&fleet->wake);
    pthread_mutex_destroy(&fleet->lock);
    free(fleet->conninfo);
    free(fleet->cells_dir);
    free(fleet->identity);
    free(fleet);
}
