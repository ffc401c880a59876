#include "reconcilers/fleet/dispatch.h"

#include "reconcilers/fleet/ask.h"
#include "reconcilers/fleet/publish.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "server/store/fleet.h"
#include "server/store/preview.h"

#include <inttypes.h>
#include <stdio.h>

enum { CELLS_EVERY_MS = 1000, SWEEP_EVERY_MS = 1000, WORK_DEADLINE_MS = 20000 };
enum { ASKERS = 4 }; /* one worker of so many may be at a dry run; of fewer, one */

/* Sleeps until woken, at most ms; false when the fleet stops. */
static bool pause_ms(struct fleet *fleet, int64_t ms)
{
    const struct timespec until = clock_until(ms);
    pthread_mutex_lock(&fleet->lock);
    if (!fleet->stop)
        pthread_cond_timedwait(&fleet->wake, &fleet->lock, &until);
    bool goes_on = !fleet->stop;
    pthread_mutex_unlock(&fleet->lock);
    return goes_on;
}

/* ---- workers ---- */

static bool is_question(const char *id)
{
    return str_starts(id, ASK_ID_PREFIX);
}

static void work_on(struct fleet *fleet, struct arena *arena, const struct desk *desk)
{
    bool asks = is_question(desk->id);
    struct ctx ctx = fleet_ctx(fleet, arena, asks ? ASK_DEADLINE_MS : WORK_DEADLINE_MS);
    const struct ask ask = {fleet->pool, fleet->cells, fleet->options.preview, fleet->identity,
                            desk->id};
    const struct store_fleet_item item = {desk->id, fleet->identity, desk->generation};
    if (asks)
        ask_item(&ctx, &ask);
    else
        publish_item(&ctx, fleet->pool, fleet->cells, fleet->keks, &item);
}

void *dispatch_run_worker(void *arg)
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
        work_on(fleet, arena, desk);
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
        .lease_ms = fleet->options.lease_duration_ms,
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

/* How many more dry runs may be taken: those of many tenants hold up no change. */
static int room_for_questions(const struct fleet *fleet, int free_desks, const json_t *busy)
{
    int room = (fleet->options.workers + ASKERS - 1) / ASKERS;
    size_t at;
    json_t *id;
    json_array_foreach(busy, at, id)
        room -= is_question(json_string_value(id));
    return room < free_desks ? room : free_desks;
}

static int take_questions(struct ctx *ctx, struct fleet *fleet)
{
    json_t *busy = arena_json(ctx->arena, json_array()), *taken;
    int free_desks = look_at_desks(fleet, busy);
    const struct store_fleet_take wanted = {
        .owner = fleet->identity,
        .limit = room_for_questions(fleet, free_desks, busy),
        .lease_ms = fleet->options.lease_duration_ms,
        .force = !fleet->options.lease_gate,
        .busy = busy,
    };
    if (!fleet->options.preview || wanted.limit <= 0)
        return 0;
    TRY(store_fleet_preview_take(ctx, fleet->pool, &wanted, &taken));
    hand_out(fleet, taken);
    return 0;
}

static int refresh_cells(struct ctx *ctx, struct fleet *fleet)
{
    json_t *rows;
    TRY(store_fleet_cells(ctx, fleet->pool, NULL, &rows));
    cells_refresh(ctx, fleet->cells, rows);
    fleet->ready = true;
    return 0;
}

/* fleet_sweep.sql has written it into the operations; here it is counted, and told to people. */
static void tell_expired(struct ctx *ctx, int64_t expired)
{
    if (expired <= 0)
        return;
    err_set(ctx, ERR_TIMEOUT, "PreviewExpired", "no fleet process answered %" PRId64 " within 30 s",
            expired);
    log_failure(ctx, "dry runs");
    metric_add(METRIC_PREVIEWS, (double)expired, "", ctx->err.reason);
    err_clear(ctx);
}

static int sweep(struct ctx *ctx, struct fleet *fleet)
{
    int64_t depth, expired;
    TRY(store_fleet_sweep(ctx, fleet->pool, &depth, &expired));
    metric_set(METRIC_OUTBOX_DEPTH, (double)depth);
    tell_expired(ctx, expired);
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
    {"take dry runs", take_questions, 0},
};
enum { DUTIES = sizeof duties / sizeof duties[0] };

void *dispatch_run(void *arg)
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
            struct ctx ctx = fleet_ctx(fleet, arena, STATEMENT_DEADLINE_MS);
            if (duties[index].run(&ctx, fleet) < 0) {
                log_failure(&ctx, duties[index].name);
                due_ms[index] = now_ms + SWEEP_EVERY_MS;
            }
        }
    } while (pause_ms(fleet, fleet->options.poll_ms));
    arena_free(arena);
    return NULL;
}
