#include "reconcilers/fleet/purge.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

static int wait_for_operator(struct ctx *ctx, const struct work *work)
{
    return err_set(ctx, ERR_WAITING, "Purging", "the operator removes what %s held", work->id);
}

/* Exactly the object that was read: an undo that another process published meanwhile wins. */
static int delete_live(struct ctx *ctx, const struct work *work)
{
    int rc = kube_delete(
        ctx, CALL_FLEET_RESOURCE_DELETE, work->cell->kube, work->kind->kube,
        json_str(work->live, "metadata.namespace"), json_str(work->live, "metadata.name"),
        json_str(work->live, "metadata.uid"), json_str(work->live, "metadata.resourceVersion"));
    return rc == -ERR_NOT_FOUND ? publish_again(ctx, "it went by itself") : rc;
}

static int close_the_way_back(struct ctx *ctx, const struct work *work)
{
    bool is_changed = true;
    if (!json_bool_or(work->row, "purging", false))
        TRY(store_fleet_purging(ctx, work->pool, work->id, work_generation(work), &is_changed));
    return is_changed ? 0 : publish_again(ctx, "the row changed before its purge");
}

int purge_end_row(struct ctx *ctx, const struct work *work)
{
    bool is_changed;
    TRY(close_the_way_back(ctx, work));
    TRY(store_fleet_tombstone(ctx, work->pool, work->id, work_generation(work), &is_changed));
    return is_changed ? 0 : publish_again(ctx, "the row changed before it became a tombstone");
}

static int delete_fence(struct ctx *ctx, const struct work *work, bool *ret_found)
{
    json_t *fence;
    const char *name = json_str(work->row, "namespace");
    TRY(kube_get(ctx, CALL_FLEET_NAMESPACE_GET, work->cell->kube, KIND_NAMESPACE, NULL, name,
                 &fence));
    *ret_found = fence;
    if (!fence || !str_equal(resource_id(fence), work->id) ||
        json_at(fence, "metadata.deletionTimestamp"))
        return 0;
    int rc = kube_delete(ctx, CALL_FLEET_NAMESPACE_DELETE, work->cell->kube, KIND_NAMESPACE, NULL,
                         name, json_str(fence, "metadata.uid"), NULL);
    return rc == -ERR_NOT_FOUND ? 0 : rc;
}

/*
 * An operator that never saw this generation has no finalizer on it, or would still hold what was
 * retained: deleting now could leave data behind without anybody who knows of it.
 */
static int wait_until_observed(struct ctx *ctx, const struct work *work)
{
    if (!work->kind->keeps_data ||
        json_int_or(work->live, "status.observedRevision", 0) >= work_generation(work))
        return 0;
    return err_set(ctx, ERR_WAITING, "PurgeWaits", "no operator has seen the last generation of %s",
                   work->id);
}

/* The custom resource is gone: so must be the identity, or the data is still there. */
static int finish(struct ctx *ctx, struct work *work, bool *ret_handled)
{
    const char *state = NULL;
    if (work->kind->keeps_data)
        TRY(publish_identity_state(ctx, work, &state));
    if (str_equal(state, "Purging"))
        return wait_for_operator(ctx, work);
    if (state) /* deleted by hand and retained: publish it again, then purge it in order */
        return publish_create(ctx, work) < 0 ? -ctx->err.code : wait_for_operator(ctx, work);
    *ret_handled = true;
    bool is_there;
    TRY(purge_end_row(ctx, work));
    TRY(delete_fence(ctx, work, &is_there));
    /* Something of ours lived in it until now: a read that lags must not be the last word. */
    return is_there ? 0 : publish_again(ctx, "its namespace was gone before it");
}

int purge_due(struct ctx *ctx, struct work *work, enum verdict verdict, bool *ret_handled)
{
    *ret_handled = false;
    if (verdict == VERDICT_STALE && !work->kind->keeps_data)
        verdict = VERDICT_CURRENT; /* there is nobody who has to hear of its end first */
    switch (verdict) {
    case VERDICT_ABSENT:
        return finish(ctx, work, ret_handled);
    case VERDICT_LEAVING:
        return wait_for_operator(ctx, work);
    case VERDICT_CURRENT:
        TRY(wait_until_observed(ctx, work));
        TRY(close_the_way_back(ctx, work));
        TRY(delete_live(ctx, work));
        return wait_for_operator(ctx, work);
    case VERDICT_STALE:
    case VERDICT_DRIFTED:
    case VERDICT_RAISED:
    case VERDICT_AHEAD:
    case VERDICT_FOREIGN:
        break;
    }
    return 0;
}

int purge_bury(struct ctx *ctx, struct work *work)
{
    if (work->live && str_equal(resource_id(work->live), work->id)) {
        if (!json_at(work->live, "metadata.deletionTimestamp"))
            TRY(delete_live(ctx, work));
        return wait_for_operator(ctx, work);
    }
    bool is_there;
    return delete_fence(ctx, work, &is_there);
}
