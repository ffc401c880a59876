/* What a property looks at: a step of a walk, and how often it found something to check. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/steps.h"

struct step {
    const struct world *world;
    const struct seen *before, *now;
    const struct op *op;
    uint64_t *checks;
};

static inline bool is_a(const struct step *step, enum op_kind kind)
{
    return step->op->kind % OPS == kind;
}

static inline bool is_whole(const struct seen_pipeline *pipeline)
{
    return pipeline->view.phase == PLACE_PLACED || pipeline->view.phase == PLACE_SCALING;
}

static inline bool holds_room(const struct seen_pipeline *pipeline)
{
    return is_whole(pipeline) || pipeline->view.phase == PLACE_DEGRADED ||
           pipeline->view.phase == PLACE_BROKEN;
}

static inline int64_t sum_of(const struct seen_stage *stage)
{
    int64_t sum = 0;
    for (uint32_t pod = 0; pod < PODS; pod++)
        sum += stage->on[pod];
    return sum;
}

/* What the pipeline asks of the class: what a quota is about. */
static inline int64_t asked(const struct seen_pipeline *pipeline, uint32_t class_id)
{
    int64_t sum = 0;
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        sum += pipeline->stages[at].class_id == class_id ? pipeline->stages[at].rate : 0;
    return sum;
}

/* Of all pipelines of the tenant that hold room. */
static inline int64_t charged(const struct seen *seen, uint32_t tenant, uint32_t class_id)
{
    int64_t sum = 0;
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (seen->pipelines[id].tenant == tenant && holds_room(&seen->pipelines[id]))
            sum += asked(&seen->pipelines[id], class_id);
    return sum;
}

/* The same pipeline one step ago, under another id if it was drawn anew. */
static inline const struct seen_pipeline *former(const struct step *step, uint32_t id)
{
    bool redrawn = is_a(step, OP_REDRAW) && id == redraw_id(step->op) &&
                   step->before->pipelines[id].view.phase == PLACE_UNKNOWN;
    return &step->before->pipelines[redrawn ? step->op->a % PIPELINES : id];
}

/* Be it one that got its room within the step: who is displaced is told as changed. */
static inline bool somebody_was_displaced(const struct step *step)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (step->now->changed[id] && step->now->pipelines[id].view.reason == PLACE_PREEMPTED)
            return true;
    return false;
}

#define EACH_STAGE(seen, id, at)                                                                   \
    for (uint32_t id = 0; id < PIPELINES; id++)                                                    \
        for (uint32_t at = 0; (seen)->pipelines[id].view.phase != PLACE_UNKNOWN &&                 \
                              at < (seen)->pipelines[id].stage_count;                              \
             at++)
