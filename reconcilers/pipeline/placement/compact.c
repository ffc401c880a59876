#include "reconcilers/pipeline/placement/state.h"
#include "server/base/ctx.h"

#include <inttypes.h>
#include <stdlib.h>

/* One share into room on a lower pod that serves; whole, so that parts stay what they are. */
static bool move_down(struct placement *placement, uint32_t at)
{
    const struct share from = placement->shares[at];
    const struct class *class = placement->classes[from.class_id];
    const struct stage *stage = &placement->pipelines[from.pipeline].stages[from.stage];
    uint32_t zones =
        class->spec.zones_min > 1 ? SHELVES_ZONE(class->pods[from.pod].zone) : SHELVES_ALL;
    uint32_t mask = SHELVES_READY & zones;
    uint32_t to = fit_other_pod(placement, stage, mask & SHELVES_OPEN, from.milli);
    if (to == PLACE_NONE || to > from.pod)
        to = fit_other_pod(placement, stage, mask & ~SHELVES_OPEN, from.milli);
    if (to == PLACE_NONE || to > from.pod)
        return false;
    state_take(placement, at, from.milli, true);
    state_add(placement, from.pipeline, from.stage, to, from.milli);
    return true;
}

/* Its shares on that pod. */
static bool move_pipeline(struct placement *placement, uint32_t id, const struct class *class,
                          uint32_t ordinal)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    bool moved = true;
    for (uint32_t stage = 0; moved && stage < pipeline->stage_count; stage++) {
        if (placement->classes[pipeline->stages[stage].class_id] != class)
            continue;
        uint32_t share = state_share(placement, &pipeline->stages[stage], ordinal);
        moved = share == PLACE_NONE || move_down(placement, share);
    }
    return moved;
}

/* All shares of a pod or none. */
static bool empty_pod(struct placement *placement, struct class *class, uint32_t ordinal)
{
    const struct pod *pod = &class->pods[ordinal];
    placement->journal_count = 0;
    state_pod(class, ordinal, POD_DRAINING, pod->zone, pod->capacity); /* off the shelf meanwhile */
    uint32_t count;
    uint32_t *ids = pods_pipelines(placement, pod, &count);
    bool moved = true;
    for (uint32_t at = 0; moved && at < count; at++)
        moved = move_pipeline(placement, ids[at], class, ordinal);
    free(ids);
    if (!moved)
        state_undo(placement, 0);
    state_pod(class, ordinal, POD_READY, pod->zone, pod->capacity);
    return moved;
}

int placement_compact(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                      uint32_t keep, int64_t budget, int64_t now_s, int64_t *ret_moved)
{
    struct class *class = class_id < PLACE_CLASSES_MAX ? placement->classes[class_id] : NULL;
    *ret_moved = 0;
    if (!class)
        return err_set(ctx, ERR_INVALID, NULL, "there is no class %" PRIu32, class_id);
    for (uint32_t at = class->pods_size; at-- > keep;) {
        const struct pod *pod = &class->pods[at];
        int64_t load = pod->used;
        if (load == 0)
            continue;
        if (pod->state != POD_READY || load > budget - *ret_moved ||
            !empty_pod(placement, class, at))
            break;
        *ret_moved += load;
        for (uint32_t change = 0; change < placement->journal_count; change++)
            phase_settle(placement, placement->journal[change].pipeline, now_s);
    }
    return 0;
}
