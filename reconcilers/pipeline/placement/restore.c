/* What a ledger keeps, put back as it was: nothing is decided, nothing is told as changed. */
#include "reconcilers/pipeline/placement/state.h"
#include "server/base/ctx.h"

#include <inttypes.h>

int placement_pod_restore(struct ctx *ctx, struct placement *placement, const struct place_pod *pod,
                          int64_t leaving)
{
    struct class *class =
        pod->class_id < PLACE_CLASSES_MAX ? placement->classes[pod->class_id] : NULL;
    if (!class || pod->state < POD_STARTING || pod->ordinal >= class->pods_size ||
        pod->zone >= PLACE_ZONES_MAX || pod->capacity < 1 || pod->capacity > PLACE_MILLI_MAX ||
        leaving < 0 || leaving > PLACE_MILLI_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "pod %" PRIu32 " of class %" PRIu32 " cannot be so",
                       pod->ordinal, pod->class_id);
    class->pods[pod->ordinal].leaving = leaving;
    state_pod(class, pod->ordinal, pod->state, pod->zone, pod->capacity);
    return 0;
}

static int share_restore(struct ctx *ctx, struct placement *placement, uint32_t id,
                         const struct place_kept_share *kept)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    const struct stage *stage =
        kept->stage < pipeline->stage_count ? &pipeline->stages[kept->stage] : NULL;
    const struct class *class = stage ? placement->classes[stage->class_id] : NULL;
    const struct place_share *share = &kept->share;
    if (!class || share->ordinal >= class->pods_size || share->milli < 1 || share->held < 0 ||
        share->held > share->milli || share->milli > stage->rate - stage->placed)
        return err_set(ctx, ERR_INVALID, NULL, "pipeline %" PRIu32 " cannot have that share", id);
    placement->holding = true;
    if (share->held > 0)
        state_add(placement, id, kept->stage, share->ordinal, share->held);
    placement->holding = false;
    if (share->milli > share->held)
        state_add(placement, id, kept->stage, share->ordinal, share->milli - share->held);
    const struct pod *pod = &class->pods[share->ordinal];
    if (pod->used > pod->capacity)
        return err_set(ctx, ERR_INVALID, NULL, "pod %" PRIu32 " carries more than it can",
                       share->ordinal);
    return 0;
}

/* What needs no try any more, but for pods to start, lacks nothing. */
static bool is_whole(const struct pipeline *pipeline)
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        if (pipeline->stages[at].placed < pipeline->stages[at].rate)
            return false;
    return true;
}

int placement_restore(struct ctx *ctx, struct placement *placement,
                      const struct place_pipeline *spec, const struct place_kept *kept)
{
    const struct place_view *view = &kept->view;
    bool admitted = view->phase >= PLACE_PLACED && view->phase <= PLACE_BROKEN;
    bool placed = view->phase == PLACE_PLACED;
    if (view->phase == PLACE_UNKNOWN || view->phase > PLACE_REJECTED ||
        (placed ? view->stage != PLACE_NONE : view->stage >= spec->stage_count) ||
        (!admitted && kept->share_count > 0))
        return err_set(ctx, ERR_INVALID, NULL, "pipeline %" PRIu32 " cannot be so", spec->id);
    TRY(admit_new(ctx, placement, spec));
    struct pipeline *pipeline = &placement->pipelines[spec->id];
    placement->journal_count = 0;
    for (uint32_t at = 0; at < kept->share_count; at++)
        TRY(share_restore(ctx, placement, spec->id, &kept->shares[at]));
    if ((placed || view->phase == PLACE_SCALING) && !is_whole(pipeline))
        return err_set(ctx, ERR_INVALID, NULL, "pipeline %" PRIu32 " lacks a part", spec->id);
    phase_admitted(placement, spec->id, admitted);
    pipeline->view = *view;
    pipeline->view.stage = PLACE_NONE;
    pipeline->view.ran |= placed;
    phase_line(placement, spec->id, view->stage,
               admitted ? phase_lacking_all(placement, spec->id) : UINT32_C(1) << view->stage);
    return 0;
}
