/* A small world made anew of what is seen of another one. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/world.h"

static inline void restore_pods(const struct world *world, struct placement *placement)
{
    for (uint32_t at = 0; at < CLASSES * PODS; at++) {
        const struct place_pod *pod = &world->seen.pods[at / PODS][at % PODS].pod;
        if (pod->state >= POD_STARTING)
            assert_int_equal(placement_pod_restore(world->ctx, placement, pod,
                                                   world->seen.pods[at / PODS][at % PODS].leaving),
                             0);
    }
}

static inline void restore_pipeline(const struct world *world, struct placement *placement,
                                    uint32_t id)
{
    const struct seen_pipeline *seen = &world->seen.pipelines[id];
    struct place_stage stages[STAGES];
    struct place_kept_share shares[STAGES * PODS];
    struct place_kept kept = {.view = seen->view, .shares = shares};
    for (uint32_t stage = 0; stage < seen->stage_count; stage++) {
        const struct seen_stage *from = &seen->stages[stage];
        stages[stage] = (struct place_stage){from->class_id, from->rate};
        for (uint32_t pod = PODS; pod-- > 0;) /* in whichever order */
            if (from->on[pod])
                shares[kept.share_count++] =
                    (struct place_kept_share){stage, {pod, from->on[pod], from->held[pod]}};
    }
    struct place_pipeline spec = {id,        seen->tenant,      seen->priority,
                                  seen->age, seen->stage_count, stages};
    assert_int_equal(placement_restore(world->ctx, placement, &spec, &kept), 0);
}

/* Another placement made of nothing but what is seen of this one: what a ledger keeps. */
static inline struct world world_restored(const struct world *world)
{
    struct world made = *world;
    made.placement = placement_with_classes(world->ctx, &world->shape);
    for (uint32_t at = 0; at < TENANTS * CLASSES; at++)
        quota_is(&made, at / CLASSES, at % CLASSES, world->seen.quotas[at / CLASSES][at % CLASSES]);
    restore_pods(world, made.placement);
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (world->seen.pipelines[id].view.phase != PLACE_UNKNOWN)
            restore_pipeline(world, made.placement, id);
    return made;
}
