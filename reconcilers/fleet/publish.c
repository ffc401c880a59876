#include "reconcilers/fleet/publish.h"

#include "reconcilers/fleet/handover.h"
#include "reconcilers/fleet/place.h"
#include "reconcilers/fleet/purge.h"
#include "reconcilers/fleet/tell.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <inttypes.h>

enum {
    ROUNDS_MAX = 8,
    SETTLE_MS = 10000,
    WAIT_MS = 500,
    WAIT_CAP_MS = 2000,
    CAP_MS = 30000,
    RAISE_MAX = 1 << 20
};

int publish_again(struct ctx *ctx, const char *why)
{
    return err_set(ctx, ERR_CONFLICT, "ReadAgain", "%s", why);
}

static bool flag(const struct work *work, const char *name)
{
    return json_bool_or(work->row, name, false);
}

/* ---- place ---- */

static int choose_cell(struct ctx *ctx, struct work *work)
{
    json_t *cells, *placement;
    const char *cell;
    bool is_changed;
    TRY(store_fleet_cells(ctx, work->pool, work->id, &cells));
    place_choose(ctx, cells, &cell, &placement);
    if (!cell)
        return err_set(ctx, ERR_OVERLOADED, "NoCell", "%s", json_str(placement, "reason"));
    TRY(store_fleet_place(ctx, work->pool, work->id, cell, placement, &is_changed));
    return publish_again(ctx, is_changed ? "placed" : "somebody else placed it");
}

/* ---- write the custom resource ---- */

/* A refusal of the content: is it because the row, or the resource, moved on since we read it? */
static int explain_refusal(struct ctx *ctx, struct work *work, int rc)
{
    struct err refusal = ctx->err;
    json_t *row, *live;
    TRY(store_fleet_row(ctx, work->pool, work->id, &row));
    TRY(kube_get(ctx, CALL_FLEET_RESOURCE_GET, work->cell->kube, work->kind->kube,
                 json_str(work->row, "namespace"), json_str(work->row, "name"), &live));
    if (json_int_or(row, "generation", 0) != work_generation(work) ||
        resource_revision(live) > work_generation(work)) {
        metric_add(METRIC_STALE_WRITES, 1, call_row(CALL_FLEET_RESOURCE_APPLY)->name);
        return publish_again(ctx, "the API server refused an older revision");
    }
    ctx->err = refusal;
    return rc;
}

static int apply(struct ctx *ctx, struct work *work)
{
    json_t *desired = resource_desired(ctx, work->row, work->live);
    json_t *written;
    int rc = kube_apply(ctx, CALL_FLEET_RESOURCE_APPLY, work->cell->kube, work->kind->kube, desired,
                        FLEET_MANAGER, &written);
    if (rc == -ERR_INVALID)
        return explain_refusal(ctx, work, rc);
    TRY(rc);
    kube_cache_put(cell_cache(work->cell, work->id), written);
    work->published = work_generation(work);
    return 0;
}

/* A registry's namespace holds its id and is never used again, that of pipelines the tenant's: who
 * finds it with other labels stops. */
static int ensure_fence(struct ctx *ctx, const struct work *work)
{
    const json_t *fence = json_object_get(work->row, "fence");
    int rc = kube_create(ctx, CALL_FLEET_NAMESPACE_CREATE, work->cell->kube, KIND_NAMESPACE, fence,
                         FLEET_MANAGER, NULL);
    if (rc != -ERR_ALREADY_EXISTS)
        return rc;
    json_t *found;
    const char *name = json_str(work->row, "namespace");
    TRY(kube_get(ctx, CALL_FLEET_NAMESPACE_GET, work->cell->kube, KIND_NAMESPACE, NULL, name,
                 &found));
    if (!found)
        return publish_again(ctx, "the namespace went while we looked");
    if (!resource_owns_fence(work->row, found))
        return err_set(ctx, ERR_TAKEN, "NamespaceNotOurs",
                       "namespace %s does not carry the labels of %s", name, work->id);
    if (json_at(found, "metadata.deletionTimestamp"))
        return err_set(ctx, ERR_WAITING, "NamespaceTerminating", "namespace %s is being deleted",
                       name);
    return 0;
}

int publish_create(struct ctx *ctx, struct work *work)
{
    TRY(ensure_fence(ctx, work));
    json_t *row;
    TRY(store_fleet_row_again(ctx, work->pool, work->id, &row));
    if (!row || json_bool_or(row, "tombstone", false) || json_bool_or(row, "diverged", false) ||
        json_int_or(row, "generation", 0) != work_generation(work))
        return publish_again(ctx, "the row changed while its namespace was made");
    TRY(handover_offer(ctx, work));
    return apply(ctx, work);
}

int publish_identity_state(struct ctx *ctx, const struct work *work, const char **ret_state)
{
    json_t *identity;
    TRY(kube_get(ctx, CALL_FLEET_IDENTITY_GET, work->cell->kube, KIND_REGISTRY_IDENTITY, NULL,
                 json_str(work->row, "identity"), &identity));
    *ret_state = identity ? json_str_or(identity, "spec.state", "Held") : NULL;
    return 0;
}

/* ---- one action per verdict ---- */

static int diverge(struct ctx *ctx, struct work *work, const char *message)
{
    bool is_changed;
    int64_t live = resource_revision(work->live);
    TRY(store_fleet_diverge(ctx, work->pool, work->id, work_generation(work), live, message,
                            &is_changed));
    if (!is_changed)
        return publish_again(ctx, "the row changed before it could be marked");
    log_warn(ctx, "%s is Diverged in cell %s: %s", work->id, work->cell->name, message);
    return 0;
}

/*
 * Never published: make it. Published before and gone now: somebody deleted it (the operator keeps
 * its data under its identity: republish), or a history that this database has forgotten purged it.
 * What keeps no data is made again in either case.
 */
static int on_absent(struct ctx *ctx, struct work *work)
{
    const char *state = NULL;
    if (work->kind->keeps_data && json_int_or(work->row, "published", 0) > 0) {
        TRY(publish_identity_state(ctx, work, &state));
        if (!state)
            return diverge(ctx, work,
                           "the row was published, and its cell knows neither the "
                           "custom resource nor the identity");
        if (str_equal(state, "Purging"))
            return err_set(ctx, ERR_WAITING, "IdentityPurging",
                           "the registry's retained data is being purged");
    }
    return publish_create(ctx, work);
}

static int on_drifted(struct ctx *ctx, struct work *work)
{
    json_t *strays = resource_strays(ctx, work->row, work->live);
    if (strays) {
        TRY(kube_patch(ctx, CALL_FLEET_RESOURCE_APPLY, work->cell->kube, work->kind->kube,
                       json_str(work->row, "namespace"), json_str(work->row, "name"), NULL, strays,
                       FLEET_MANAGER, &work->live));
    }
    TRY(apply(ctx, work));
    tell_reverted(ctx, work->cell, work->live, work_generation(work));
    return 0;
}

/* A revision that leaves no room above it would make every later change invalid, for ever: nothing
 * may lower it again. It is not followed there. */
static int on_raised(struct ctx *ctx, struct work *work)
{
    bool is_changed;
    if (resource_revision(work->live) - work_generation(work) > RAISE_MAX)
        return diverge(ctx, work,
                       "somebody set a revision far above the row's generation: delete the custom "
                       "resource (its data is retained), then let the row win");
    TRY(store_fleet_raise(ctx, work->pool, work->id, work_generation(work),
                          resource_revision(work->live), &is_changed));
    if (is_changed)
        tell_reverted(ctx, work->cell, work->live, resource_revision(work->live) + 1);
    return publish_again(ctx, "somebody else set a higher revision");
}

static int on_ahead(struct ctx *ctx, struct work *work)
{
    return diverge(ctx, work,
                   arena_printf(ctx->arena,
                                "the custom resource has revision %" PRId64
                                " of ours, the row has generation %" PRId64,
                                resource_revision(work->live), work_generation(work)));
}

static int on_leaving(struct ctx *ctx, struct work *work)
{
    return err_set(ctx, ERR_WAITING, verdict_row(VERDICT_LEAVING)->reason,
                   "%s is being deleted in its cell", work->id);
}

static int on_foreign(struct ctx *ctx, struct work *work)
{
    return err_set(ctx, ERR_TAKEN, verdict_row(VERDICT_FOREIGN)->reason,
                   "%s/%s lacks the labels of the fleet or of this row; it is left alone",
                   json_str(work->row, "namespace"), json_str(work->row, "name"));
}

/*
 * What is there again of a purged registry, as after its cell was restored from a backup, does not
 * know that it was closed: deleted like that it would be retained, for nobody.
 */
static int on_tombstone(struct ctx *ctx, struct work *work)
{
    if (work->kind->keeps_data && work->live &&
        resource_judge(work->row, work->live) == VERDICT_STALE) {
        TRY(apply(ctx, work));
        return publish_again(ctx, "a purged registry was there again, and is closed now");
    }
    return purge_bury(ctx, work);
}

/* NULL: nothing to do. */
static int (*const actions[])(struct ctx *ctx, struct work *work) = {
    [VERDICT_ABSENT] = on_absent,   [VERDICT_CURRENT] = NULL,       [VERDICT_STALE] = apply,
    [VERDICT_DRIFTED] = on_drifted, [VERDICT_RAISED] = on_raised,   [VERDICT_AHEAD] = on_ahead,
    [VERDICT_LEAVING] = on_leaving, [VERDICT_FOREIGN] = on_foreign,
};

/* ---- one round ---- */

static int open_cell(struct ctx *ctx, struct work *work)
{
    const char *name = json_str_or(work->row, "cell", "");
    work->cell = cells_find(work->cells, name);
    if (!work->cell)
        return err_set(ctx, ERR_UNAVAILABLE, "CellUnknown", "cell %s is not open here", name);
    return 0;
}

/* After which the operator's word about the hand-over counts. */
static bool is_live_and_ours(enum verdict verdict)
{
    return verdict == VERDICT_CURRENT || verdict == VERDICT_STALE || verdict == VERDICT_DRIFTED;
}

static int run_round(struct ctx *ctx, struct work *work)
{
    TRY(store_fleet_row(ctx, work->pool, work->id, &work->row));
    if (!work->row)
        return 0;
    work->handled = work_generation(work);
    if (flag(work, "tombstone") && !json_str(work->row, "cell"))
        return 0;
    if (!json_str(work->row, "cell") && !flag(work, "diverged"))
        return flag(work, "due") ? purge_end_row(ctx, work) : choose_cell(ctx, work);
    if (flag(work, "diverged") && !flag(work, "tombstone"))
        return 0;
    TRY(open_cell(ctx, work));
    TRY(kube_get(ctx, CALL_FLEET_RESOURCE_GET, work->cell->kube, work->kind->kube,
                 json_str(work->row, "namespace"), json_str(work->row, "name"), &work->live));
    if (flag(work, "tombstone"))
        return on_tombstone(ctx, work);
    enum verdict verdict = resource_judge(work->row, work->live);
    if (verdict == VERDICT_CURRENT) /* perhaps by somebody who died before he could record it */
        work->published = work_generation(work);
    bool is_handled = false;
    if (flag(work, "due"))
        TRY(purge_due(ctx, work, verdict, &is_handled));
    if (is_handled)
        return 0;
    if (actions[verdict])
        TRY(actions[verdict](ctx, work));
    return is_live_and_ours(verdict) ? handover_settle(ctx, work) : 0;
}

static int run_rounds(struct ctx *ctx, struct work *work)
{
    int rc = -ERR_CONFLICT;
    for (int round = 0; round < ROUNDS_MAX && rc == -ERR_CONFLICT; round++) {
        err_clear(ctx);
        work->published = 0;
        rc = run_round(ctx, work);
    }
    return rc;
}

/* ---- settle ---- */

static void note_reach(struct cell *cell, int rc)
{
    if (cell)
        cell->failing = rc == -ERR_UNAVAILABLE || rc == -ERR_TIMEOUT;
}

static int settle(struct ctx *ctx, const struct work *work, const struct store_fleet_item *item,
                  int rc)
{
    ctx->deadline_ms = clock_boottime_ms() + SETTLE_MS;
    if (rc == 0)
        return store_fleet_outbox_done(
            ctx, work->pool, item, work->row ? work->handled : item->generation, work->published);
    struct err failure = ctx->err;
    int64_t refused = work->row && rc == -ERR_INVALID ? work_generation(work) : 0;
    const struct store_fleet_retry retry = {
        .at_least_ms = failure.retry_after_ms > WAIT_MS ? failure.retry_after_ms : WAIT_MS,
        .at_most_ms = rc == -ERR_WAITING ? WAIT_CAP_MS : CAP_MS,
        .reason = failure.reason,
        .message = failure.message,
        .failed = refused,
        .published = work->published,
    };
    return store_fleet_outbox_retry(ctx, work->pool, item, &retry);
}

void publish_item(struct ctx *ctx, struct pg_pool *pool, struct cells *cells,
                  const struct kek_ring *keks, const struct store_fleet_item *item)
{
    struct work work = {.pool = pool,
                        .cells = cells,
                        .keks = keks,
                        .id = item->id,
                        .kind = published_kind(item->id)};
    log_field(ctx, "resource", item->id);
    int rc = run_rounds(ctx, &work);
    const char *cell = work.cell ? work.cell->name : "";
    if (rc < 0) {
        log_field(ctx, "cell", cell);
        log_failure(ctx, "publish");
    }
    note_reach(work.cell, rc);
    metric_add(METRIC_PUBLISHED, 1, cell, rc < 0 ? ctx->err.reason : "Published");
    if (settle(ctx, &work, item, rc) < 0)
        log_failure(ctx, "settle outbox row"); /* its lease runs out, then it comes again */
}
