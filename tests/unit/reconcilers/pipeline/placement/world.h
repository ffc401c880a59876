/*
 * A small world for random walks: operations as numbers (any subset of a walk is a walk again, so
 * that it can be shrunk), and what is seen of a placement after each as plain arrays, in which a
 * test may plant a fault.
 */
#pragma once

#include "reconcilers/pipeline/placement/placement.h"

#include "tests/unit/test.h"

#include <string.h>

enum { CLASSES = 3, PODS = 6, PIPELINES = 20, STAGES = 2, CAPACITY = 15, SPLIT = 8, WALK = 300 };

struct op {
    uint32_t kind, a, b, c;
};

enum op_kind {
    OP_ADMIT,
    OP_ADMIT_MORE,
    OP_REMOVE,
    OP_RATE,
    OP_POD,
    OP_DRAIN,
    OP_TICK,
    OP_COMPACT,
    OP_CALM,
    OP_REDRAW,
    OPS
};

struct seen_stage {
    uint32_t class_id, count;
    int64_t rate, on[PODS], held[PODS];
};

struct seen_pipeline {
    struct place_view view;
    uint32_t tenant;
    int32_t priority;
    uint64_t age;
    uint32_t stage_count;
    struct seen_stage stages[STAGES];
};

struct seen {
    int64_t now_s;
    struct seen_pipeline pipelines[PIPELINES];
    struct {
        struct place_pod pod;
        int64_t used, leaving;
    } pods[CLASSES][PODS];
    int64_t demand[CLASSES];
    bool changed[PIPELINES];
};

struct world {
    struct ctx *ctx;
    struct placement *placement;
    struct seen seen; /* rates and priorities are kept here, all else is looked up */
    uint32_t zones;
    uint64_t age;
};

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64, Steele et al. 2014 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline void pod_is(struct world *world, uint32_t class_id, uint32_t ordinal,
                          enum pod_state state)
{
    /* One zone more than a stage must be in: one of them may be gone. */
    uint32_t zone = world->zones > 1 ? ordinal % (world->zones + 1) : 0;
    struct place_pod pod = {class_id, ordinal, state, zone, CAPACITY};
    assert_int_equal(placement_pod_set(world->ctx, world->placement, &pod, world->seen.now_s), 0);
}

/* Class 0 weighted, 1 equal, 2 whole. */
static inline struct placement *placement_with_classes(struct ctx *ctx, uint32_t zones)
{
    struct placement *placement = placement_new();
    for (uint32_t id = 0; id < CLASSES; id++) {
        struct place_class spec = {
            CAPACITY, PODS, SPLIT, id == 2 ? 1 : zones, 100, (enum place_mode)id, PLACE_PACK};
        assert_int_equal(placement_class_set(ctx, placement, id, &spec), 0);
    }
    assert_int_equal(placement_quota_set(ctx, placement, 1, 0, 40), 0);
    return placement;
}

/* Half of the pods run. */
static inline struct world world_new(struct ctx *ctx, uint32_t zones)
{
    struct world world = {
        .ctx = ctx, .placement = placement_with_classes(ctx, zones), .zones = zones};
    for (uint32_t id = 0; id < CLASSES; id++)
        for (uint32_t pod = 0; pod < PODS / 2; pod++)
            pod_is(&world, id, pod, POD_READY);
    return world;
}

static inline void see_pipeline(const struct world *world, uint32_t id, struct seen_pipeline *ret)
{
    ret->view = placement_look(world->placement, id);
    for (uint32_t stage = 0; stage < ret->stage_count; stage++) {
        struct place_share shares[PLACE_SPLIT_MAX];
        struct seen_stage *seen = &ret->stages[stage];
        seen->count = placement_shares(world->placement, id, stage, shares);
        memset(seen->on, 0, sizeof seen->on);
        memset(seen->held, 0, sizeof seen->held);
        for (uint32_t at = 0; at < seen->count; at++) {
            seen->on[shares[at].ordinal] = shares[at].milli;
            seen->held[shares[at].ordinal] = shares[at].held;
        }
    }
}

static inline void world_see(struct world *world)
{
    struct seen *seen = &world->seen;
    memset(seen->changed, 0, sizeof seen->changed);
    for (uint32_t id; (id = placement_next_changed(world->placement)) != PLACE_NONE;)
        seen->changed[id] = true;
    for (uint32_t id = 0; id < PIPELINES; id++)
        see_pipeline(world, id, &seen->pipelines[id]);
    for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
        seen->demand[class_id] = placement_class_look(world->placement, class_id).demand;
        for (uint32_t pod = 0; pod < PODS; pod++)
            seen->pods[class_id][pod].pod =
                placement_pod_look(world->placement, class_id, pod, &seen->pods[class_id][pod].used,
                                   &seen->pods[class_id][pod].leaving);
    }
}

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
    made.placement = placement_with_classes(world->ctx, world->zones);
    restore_pods(world, made.placement);
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (world->seen.pipelines[id].view.phase != PLACE_UNKNOWN)
            restore_pipeline(world, made.placement, id);
    return made;
}
