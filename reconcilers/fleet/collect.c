#include "reconcilers/fleet/collect.h"

#include "reconcilers/engine/engine.h"
#include "reconcilers/fleet/project.h"
#include "reconcilers/fleet/resource.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"
#include "server/store/fleet.h"
#include "server/store/sealed.h"

#include <string.h>

/* A batch on its way. */
struct batch {
    struct cell *cell;
    size_t count;
    struct cell_key *keys;
    json_t *projections;
    json_t *suspects; /* ids of rows that publish.c has to look at */
    json_t *urgent;   /* those of them that may be under work right now */
};

static json_t *new_array(struct ctx *ctx)
{
    return arena_json(ctx->arena, json_array());
}

static void append(json_t *array, const char *text)
{
    json_array_append_new(array, json_string(text));
}

static void suspect(struct batch *batch, const char *id, bool is_urgent)
{
    append(batch->suspects, id);
    if (is_urgent)
        append(batch->urgent, id);
}

/* ---- look at the whole cell ---- */

static void mark_present(struct ctx *ctx, struct cell *cell, struct kube_cache *cache)
{
    size_t index;
    json_t *object;
    const json_t *all = kube_cache_list(ctx, cache, NULL, NULL, NULL);
    json_array_foreach(all, index, object) {
        const struct cell_key key = {json_str_or(object, "metadata.namespace", ""),
                                     json_str_or(object, "metadata.name", ""), resource_id(object)};
        if (key.id)
            cell_mark(cell, &key);
    }
}

/* Rows whose custom resource went while nobody watched: no event will ever tell of them. */
static int mark_missing(struct ctx *ctx, struct pg_pool *pool, struct cell *cell)
{
    const char *after = "";
    json_t *rows;
    do {
        TRY(store_fleet_cell_rows(ctx, pool, cell->name, after, &rows));
        size_t index;
        json_t *row;
        json_array_foreach(rows, index, row) {
            const struct cell_key key = {json_str_or(row, "namespace", ""),
                                         json_str_or(row, "name", ""), json_str_or(row, "id", "")};
            after = key.id;
            if (!cell_blind(cell, key.id) &&
                !kube_cache_get(ctx, cell_cache(cell, key.id), key.namespace, key.name))
                cell_mark(cell, &key);
        }
    } while (json_array_size(rows) > 0);
    return 0;
}

/*
 * Namespaces whose registry is a tombstone: a slow process made one after the purge and died before
 * it could look at the row again. Nothing is in them, and no event will ever tell of them.
 */
static int find_leftovers(struct ctx *ctx, struct pg_pool *pool, struct cell *cell)
{
    json_t *fences, *rows, *ids = new_array(ctx), *buried = new_array(ctx);
    TRY(kube_list(ctx, CALL_FLEET_NAMESPACE_LIST, cell->kube, KIND_NAMESPACE, NULL,
                  LABEL_FLEET "=true", &fences));
    size_t index;
    json_t *fence, *row;
    json_array_foreach(fences, index, fence) {
        if (resource_id(fence) && !json_at(fence, "metadata.deletionTimestamp"))
            append(ids, resource_id(fence));
    }
    const char *after = "";
    do {
        TRY(store_fleet_rows(ctx, pool, ids, after, &rows));
        json_array_foreach(rows, index, row) {
            after = json_str_or(row, "id", "");
            if (json_bool_or(row, "tombstone", false))
                append(buried, after);
        }
    } while (json_array_size(rows) > 0);
    return json_array_size(buried) > 0 ? store_fleet_enqueue(ctx, pool, buried, NULL) : 0;
}

static int rescan(struct ctx *ctx, struct pg_pool *pool, struct cell *cell)
{
    cell->rescan = false;
    for (size_t at = 0; at < PUBLISHED_KINDS; at++)
        mark_present(ctx, cell, cell->cache[at]);
    int rc = mark_missing(ctx, pool, cell);
    if (rc == 0)
        rc = find_leftovers(ctx, pool, cell);
    if (rc == 0)
        rc = store_fleet_undelivered(ctx, pool, cell->name);
    if (rc < 0)
        cell->rescan = true;
    return rc;
}

/* ---- one batch ---- */

/* What publish.c has to look at. Who works on it now may have read before this happened, unless
 * the resource is merely older than the row: that is what he is there for. */
static void note_suspect(struct batch *batch, const json_t *row, enum verdict verdict)
{
    bool is_tombstone = json_bool_or(row, "tombstone", false);
    if (!is_tombstone && json_bool_or(row, "diverged", false))
        return; /* a person has to decide first */
    if (!is_tombstone && (verdict == VERDICT_CURRENT || verdict == VERDICT_LEAVING))
        return;
    suspect(batch, json_str(row, "id"), is_tombstone || verdict != VERDICT_STALE);
}

static void add_present(struct ctx *ctx, struct batch *batch, const json_t *row, json_t *object)
{
    enum verdict verdict = resource_judge(row, object);
    note_suspect(batch, row, verdict);
    if (verdict == VERDICT_CURRENT && json_is_object(json_object_get(row, "handover")) &&
        resource_keeps_password(object))
        suspect(batch, json_str(row, "id"), true);
    if (!json_bool_or(row, "tombstone", false))
        json_array_append(batch->projections, project(ctx, object, verdict_row(verdict)->is_drift));
}

static void add_gone(struct ctx *ctx, struct batch *batch, const json_t *row)
{
    const char *id = json_str(row, "id");
    if (json_bool_or(row, "tombstone", false) || json_int_or(row, "published", 0) == 0)
        return;
    note_suspect(batch, row, VERDICT_ABSENT);
    json_array_append(batch->projections, project_gone(ctx, id));
}

/* A custom resource without a row, or in another cell than its row says, is the audit's business.
 */
static int compare(struct ctx *ctx, struct pg_pool *pool, struct batch *batch)
{
    json_t *ids = new_array(ctx), *rows;
    for (size_t index = 0; index < batch->count; index++)
        append(ids, batch->keys[index].id);
    TRY(store_fleet_rows(ctx, pool, ids, "", &rows));
    json_t *by_id = arena_json(ctx->arena, json_object());
    size_t position;
    json_t *row;
    json_array_foreach(rows, position, row) {
        json_object_set(by_id, json_str_or(row, "id", ""), row);
    }
    for (size_t index = 0; index < batch->count; index++) {
        const struct cell_key *key = &batch->keys[index];
        row = json_object_get(by_id, key->id);
        if (!row || !str_equal(json_str(row, "cell"), batch->cell->name) ||
            !str_equal(json_str(row, "name"), key->name) ||
            !str_equal(json_str(row, "namespace"), key->namespace))
            continue;
        json_t *object =
            kube_cache_get(ctx, cell_cache(batch->cell, key->id), key->namespace, key->name);
        if (object && str_equal(resource_id(object), key->id))
            add_present(ctx, batch, row, object);
        else if (!cell_blind(batch->cell, key->id))
            add_gone(ctx, batch, row);
    }
    return 0;
}

static int write_batch(struct ctx *ctx, struct pg_pool *pool, const char *owner,
                       struct batch *batch)
{
    if (json_array_size(batch->suspects) > 0)
        TRY(store_fleet_enqueue(ctx, pool, batch->suspects, batch->urgent));
    if (json_array_size(batch->projections) == 0)
        return 0;
    int64_t epoch = batch->cell->epoch, written;
    const struct store_fleet_batch statement = {batch->cell->name, owner, epoch,
                                                batch->projections};
    bool is_held;
    TRY(store_fleet_collect(ctx, pool, &statement, &is_held, &written));
    if (!is_held) {
        atomic_compare_exchange_strong(&batch->cell->epoch, &epoch, 0);
        return err_set(ctx, ERR_LEASE_LOST, NULL, "cell %s has another collector",
                       batch->cell->name);
    }
    metric_add(METRIC_COLLECTED, (double)written, batch->cell->name);
    return 0;
}

int collect_cell(struct ctx *ctx, struct pg_pool *pool, const char *owner, struct cell *cell)
{
    if (cell->epoch == 0 || !cell_synced(cell))
        return 0;
    if (cell->rescan)
        TRY(rescan(ctx, pool, cell));
    struct batch batch = {
        .cell = cell,
        .projections = new_array(ctx),
        .suspects = new_array(ctx),
        .urgent = new_array(ctx),
    };
    batch.count = cell_drain(ctx, cell, COLLECT_BATCH, &batch.keys);
    if (batch.count == 0)
        return 0;
    int rc = compare(ctx, pool, &batch);
    if (rc == 0)
        rc = write_batch(ctx, pool, owner, &batch);
    if (rc < 0)
        for (size_t index = 0; index < batch.count; index++)
            cell_mark(cell, &batch.keys[index]);
    return rc;
}

/* ---- leases ---- */

static void note_held(struct cell *cell, int64_t epoch)
{
    if (atomic_exchange(&cell->epoch, epoch) != epoch && epoch > 0)
        cell->rescan = true;
}

int collect_lease(struct ctx *ctx, struct pg_pool *pool, const char *owner, int duration_ms,
                  bool force, struct cells *cells)
{
    json_t *names = new_array(ctx), *held;
    size_t count = cells_count(cells);
    for (size_t index = 0; index < count; index++)
        append(names, cells_at(cells, index)->name);
    TRY(store_fleet_lease(ctx, pool, names, owner, duration_ms, force, &held));
    for (size_t index = 0; index < count; index++) {
        struct cell *cell = cells_at(cells, index);
        const json_t *lease = NULL;
        size_t position;
        json_t *row;
        json_array_foreach(held, position, row) {
            if (str_equal(json_str(row, "cell"), cell->name))
                lease = row;
        }
        note_held(cell, json_int_or(lease, "epoch", 0));
    }
    return 0;
}

void collect_drop(struct cells *cells)
{
    size_t count = cells_count(cells);
    for (size_t index = 0; index < count; index++)
        cells_at(cells, index)->epoch = 0;
}
