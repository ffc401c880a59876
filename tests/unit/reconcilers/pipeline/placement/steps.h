/* What an operation of a walk does to the small world. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/world.h"

#include "server/base/cleanup.h"

static inline uint32_t class_of(const struct world *world, uint32_t number)
{
    return world->shape.crowd ? world->shape.crowd - 1 : number % CLASSES;
}

/* Every other one is a round number, so that there are equals, and few ask for more than a class of
 * small split can give. */
static inline int64_t rate_of(const struct world *world, const struct op *op, uint32_t stage)
{
    uint32_t number = op->b >> 8;
    return world->shape.crowd || number % 2 ? 5 * (number >> 1) % 20
                                            : (number >> 1) % (stage ? 16 : 32);
}

static inline void op_admit(struct world *world, const struct op *op)
{
    uint32_t id = op->a % PIPELINES;
    struct seen_pipeline *pipeline = &world->seen.pipelines[id];
    if (pipeline->view.phase != PLACE_UNKNOWN)
        return;
    struct place_stage stages[STAGES];
    pipeline->stage_count = world->shape.crowd ? 1 : 1 + op->kind % STAGES;
    pipeline->priority = (int32_t)(world->shape.crowd ? op->c % 8 == 0 : op->c % 3);
    pipeline->tenant = (op->c >> 2) % TENANTS;
    pipeline->age = world->age++;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        stages[at] =
            (struct place_stage){class_of(world, op->b + at * op->c), rate_of(world, op, at)};
        pipeline->stages[at].class_id = stages[at].class_id;
        pipeline->stages[at].rate = stages[at].rate;
    }
    struct place_pipeline spec = {
        id, pipeline->tenant, pipeline->priority, pipeline->age, pipeline->stage_count, stages};
    assert_int_equal(placement_admit(world->ctx, world->placement, &spec, world->seen.now_s), 0);
}

static inline void op_remove(struct world *world, const struct op *op)
{
    uint32_t id = op->a % PIPELINES;
    if (world->seen.pipelines[id].view.phase != PLACE_UNKNOWN)
        assert_int_equal(placement_remove(world->ctx, world->placement, id), 0);
}

/* The id under which it is drawn anew; a stage of the same class at the same place is the same. */
static inline uint32_t redraw_id(const struct op *op)
{
    return (op->a + 1 + op->b % (PIPELINES - 1)) % PIPELINES;
}

static inline void op_redraw(struct world *world, const struct op *op)
{
    uint32_t old_id = op->a % PIPELINES, id = redraw_id(op), from[STAGES];
    struct seen_pipeline *old = &world->seen.pipelines[old_id], *new = &world->seen.pipelines[id];
    struct place_stage stages[STAGES];
    if (old->view.phase == PLACE_UNKNOWN || new->view.phase != PLACE_UNKNOWN)
        return;
    new->stage_count = world->shape.crowd ? 1 : 1 + (op->c >> 4) % STAGES;
    new->priority = old->priority;
    new->tenant = old->tenant;
    new->age = old->age;
    for (uint32_t at = 0; at < new->stage_count; at++) {
        struct seen_stage *stage = &new->stages[at];
        stage->class_id = class_of(world, op->c + at);
        stage->rate = rate_of(world, op, at);
        bool stays = at < old->stage_count && old->stages[at].class_id == stage->class_id;
        from[at] = stays ? at : PLACE_NONE;
        stages[at] = (struct place_stage){stage->class_id, stage->rate};
    }
    struct place_pipeline spec = {id,       new->tenant,      new->priority,
                                  new->age, new->stage_count, stages};
    assert_int_equal(
        placement_redraw(world->ctx, world->placement, old_id, &spec, from, world->seen.now_s), 0);
}

static inline void op_rate(struct world *world, const struct op *op)
{
    uint32_t id = op->a % PIPELINES;
    struct seen_pipeline *pipeline = &world->seen.pipelines[id];
    int64_t rates[STAGES];
    struct place_view refusal;
    bool done;
    if (pipeline->view.phase == PLACE_UNKNOWN)
        return;
    bool lower = true;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        rates[at] = (op->b >> (8 * at)) % 25;
        lower &= rates[at] <= pipeline->stages[at].rate;
    }
    assert_int_equal(placement_rates_set(world->ctx, world->placement, id, rates, world->seen.now_s,
                                         &refusal, &done),
                     0);
    assert_true(done || !lower); /* a rate down is always possible */
    for (uint32_t at = 0; done && at < pipeline->stage_count; at++)
        pipeline->stages[at].rate = rates[at];
}

static inline void op_quota(struct world *world, const struct op *op)
{
    static const int64_t borrow[] = {0, 10, 40};
    struct place_quota quota = {op->c % 2 == 0 ? INT64_MAX : (op->c >> 3) % 50,
                                borrow[(op->b >> 8) % ARRAY_SIZE(borrow)]};
    quota_is(world, op->a % TENANTS, class_of(world, op->b), quota);
}

static inline void op_pod(struct world *world, const struct op *op)
{
    static const enum pod_state states[] = {POD_ABSENT, POD_READY, POD_READY, POD_STARTING,
                                            POD_DRAINING};
    pod_is(world, op->a % CLASSES, op->b % PODS, states[op->c % 5], op->c >> 8);
}

static inline void drain(struct world *world, uint32_t class_id, uint32_t pod)
{
    int64_t used, leaving;
    placement_pod_look(world->placement, class_id, pod, &used, &leaving);
    assert_int_equal(
        placement_drained(world->ctx, world->placement, class_id, pod, leaving, world->seen.now_s),
        0);
}

static inline void op_drain(struct world *world, const struct op *op)
{
    drain(world, op->a % CLASSES, op->b % PODS);
}

static inline void op_tick(struct world *world, const struct op *op)
{
    world->seen.now_s += op->a % 200;
    placement_tick(world->placement, world->seen.now_s);
}

static inline void op_compact(struct world *world, const struct op *op)
{
    int64_t moved, budget = op->b % 40;
    assert_int_equal(placement_compact(world->ctx, world->placement, op->a % CLASSES, op->c % PODS,
                                       budget, world->seen.now_s, &moved),
                     0);
    assert_true(moved <= budget);
}

/* All that was asked for comes, all that leaves has left. */
static inline void everything_comes(struct world *world)
{
    for (uint32_t at = 0; at < CLASSES * PODS; at++) {
        uint32_t class_id = at % CLASSES, pod = at / CLASSES;
        int64_t used, leaving;
        drain(world, class_id, pod);
        struct place_pod fact =
            placement_pod_look(world->placement, class_id, pod, &used, &leaving);
        fact.state = fact.state == POD_ABSENT ? POD_ABSENT : POD_READY;
        if (fact.state != POD_ABSENT)
            pod_set(world, fact);
    }
}

/* Who waits is tried again until nobody is tried; then what was asked for last comes. */
static inline void op_calm(struct world *world, const struct op *op)
{
    (void)op;
    for (int round = 0; round < 12; round++) {
        everything_comes(world);
        if (round < 11)
            world->seen.now_s += PLACE_BACKOFF_S_MAX;
        if (placement_tick(world->placement, world->seen.now_s) == 0)
            break;
    }
    everything_comes(world);
}

static inline void world_do(struct world *world, const struct op *op)
{
    static void (*const does[])(struct world *, const struct op *) = {
        [OP_ADMIT] = op_admit,   [OP_ADMIT_MORE] = op_admit, [OP_REMOVE] = op_remove,
        [OP_RATE] = op_rate,     [OP_POD] = op_pod,          [OP_DRAIN] = op_drain,
        [OP_TICK] = op_tick,     [OP_COMPACT] = op_compact,  [OP_CALM] = op_calm,
        [OP_REDRAW] = op_redraw, [OP_QUOTA] = op_quota};
    does[op->kind % OPS](world, op);
    if (world->spoil)
        world->spoil(world, op);
    world_see(world);
}
