/*
 * A small world for random walks: operations as numbers (any subset of a walk is a walk again, so
 * that it can be shrunk), and what is seen of a placement after each as plain arrays, in which a
 * test may plant a fault.
 */
#pragma once

#include "reconcilers/pipeline/placement/placement.h"

#include "tests/unit/test.h"

#include <string.h>

enum {
    CLASSES = 3,
    PODS = 6,
    PIPELINES = 20,
    STAGES = 2,
    TENANTS = 3,
    CAPACITY = 15,
    CAPACITY_MAX = 20
};

/* Class 0 is weighted, 1 equal, 2 whole, and in one zone therefore. */
struct shape {
    uint32_t zones, split;
    uint32_t more_zones; /* that there are; a pod comes in any, if there are any */
    bool uneven;         /* pods of 10 to CAPACITY_MAX */
    uint32_t crowd;      /* 1 + the class that all ask for, in round numbers: many are equals */
    enum place_policy policy;
};

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
    OP_QUOTA,
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
    struct place_quota quotas[TENANTS][CLASSES];
    bool changed[PIPELINES];
};

struct op;
struct world {
    struct ctx *ctx;
    struct placement *placement;
    struct seen seen; /* rates, priorities and quotas are kept here, all else is looked up */
    struct shape shape;
    uint64_t age;
    void (*spoil)(struct world *world, const struct op *op); /* a fault of the engine, planted */
};

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64, Steele et al. 2014 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline void pod_set(struct world *world, struct place_pod pod)
{
    assert_int_equal(placement_pod_set(world->ctx, world->placement, &pod, world->seen.now_s), 0);
}

/* `any`: a number from which size and zone are made; of pods that are all alike it says nothing. */
static inline void pod_is(struct world *world, uint32_t class_id, uint32_t ordinal,
                          enum pod_state state, uint32_t any)
{
    const struct shape *shape = &world->shape;
    uint32_t zone = ordinal % shape->zones;
    if (shape->more_zones && any % 4 == 0)
        zone = (any >> 2) % (shape->zones + shape->more_zones);
    int64_t capacity = shape->uneven ? CAPACITY_MAX - any % 11 : CAPACITY;
    pod_set(world, (struct place_pod){class_id, ordinal, state, zone, capacity});
}

static inline struct placement *placement_with_classes(struct ctx *ctx, const struct shape *shape)
{
    struct placement *placement = placement_new();
    for (uint32_t id = 0; id < CLASSES; id++) {
        struct place_class spec = {
            CAPACITY,     PODS, shape->split, id == 2 ? 1 : shape->zones, 100, (enum place_mode)id,
            shape->policy};
        assert_int_equal(placement_class_set(ctx, placement, id, &spec), 0);
    }
    return placement;
}

static inline void quota_is(struct world *world, uint32_t tenant, uint32_t class_id,
                            struct place_quota quota)
{
    world->seen.quotas[tenant][class_id] = quota;
    assert_int_equal(placement_quota_set(world->ctx, world->placement, tenant, class_id, &quota),
                     0);
}

/* Half of the pods run. */
static inline struct world world_new(struct ctx *ctx, struct shape shape)
{
    struct world world = {
        .ctx = ctx, .placement = placement_with_classes(ctx, &shape), .shape = shape};
    for (uint32_t at = 0; at < TENANTS * CLASSES; at++)
        quota_is(&world, at / CLASSES, at % CLASSES, (struct place_quota){INT64_MAX, 0});
    quota_is(&world, 1, 0, (struct place_quota){40, 0});
    for (uint32_t tenant = 0; shape.crowd && tenant < TENANTS; tenant++)
        quota_is(&world, tenant, shape.crowd - 1,
                 (struct place_quota){PODS * CAPACITY / TENANTS, 2 * CAPACITY});
    for (uint32_t id = 0; id < CLASSES; id++)
        for (uint32_t pod = 0; pod < PODS / 2; pod++)
            pod_is(&world, id, pod, POD_READY, 3 * pod);
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
