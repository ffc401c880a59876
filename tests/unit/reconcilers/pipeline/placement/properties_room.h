/* Properties of where things are: P1 to P3, P6, the split, shrinking in place. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/properties_zones.h"

/* P1: no pod over its capacity, neither in the books nor in what may serve; but for one that became
 * smaller while it empties. */
static inline bool no_overcommit(const struct step *step)
{
    int64_t used[CLASSES][PODS] = {0}, serving[CLASSES][PODS] = {0};
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *stage = &step->now->pipelines[id].stages[at];
        for (uint32_t pod = 0; pod < PODS; pod++) {
            used[stage->class_id][pod] += stage->on[pod];
            serving[stage->class_id][pod] += stage->on[pod] - stage->held[pod];
        }
    }
    for (uint32_t at = 0; at < CLASSES * PODS; at++) {
        uint32_t class_id = at / PODS, pod = at % PODS;
        int64_t leaving = step->now->pods[class_id][pod].leaving;
        int64_t capacity = step->now->pods[class_id][pod].pod.capacity;
        if (used[class_id][pod] != step->now->pods[class_id][pod].used ||
            used[class_id][pod] > capacity ||
            (used[class_id][pod] > 0 && serving[class_id][pod] + leaving > capacity) ||
            (!step->world->shape.uneven && leaving > capacity))
            return false;
        *step->checks += used[class_id][pod] > 0;
    }
    return true;
}

/* P2: what is placed is the rate, on no more pods than allowed, in equal parts where the mode wants
 * them. */
static inline bool is_exact(const struct step *step)
{
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *stage = &step->now->pipelines[id].stages[at];
        uint32_t split = stage->class_id == 2 ? 1 : step->world->shape.split;
        struct span parts = span_of(stage->on, PODS, false);
        int64_t sum = sum_of(stage);
        if (sum > stage->rate || (is_whole(&step->now->pipelines[id]) && sum != stage->rate))
            return false;
        if (stage->count > split || (stage->class_id == 1 && parts.most - parts.least > 1 && sum))
            return false;
        *step->checks += sum > 0;
    }
    return true;
}

/* P3: who is not reported as changed is bit by bit what it was; a decision about one touches
 * victims only, a quota nobody. */
static inline bool others_untouched(const struct step *step)
{
    bool about_one = is_a(step, OP_ADMIT) || is_a(step, OP_ADMIT_MORE) || is_a(step, OP_REMOVE) ||
                     is_a(step, OP_RATE) || is_a(step, OP_REDRAW);
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_pipeline *now = &step->now->pipelines[id],
                                   *was = &step->before->pipelines[id];
        bool same = was->view.phase != PLACE_UNKNOWN &&
                    memcmp(now->stages[at].on, was->stages[at].on, sizeof now->stages[at].on) == 0;
        ++*step->checks;
        if (same || (about_one && id == step->op->a % PIPELINES) ||
            (is_a(step, OP_REDRAW) && id == redraw_id(step->op)))
            continue;
        if (!step->now->changed[id] || is_a(step, OP_QUOTA) ||
            (about_one && now->view.reason != PLACE_PREEMPTED))
            return false;
    }
    return true;
}

/* Adding alone may not make it whole: equal parts, a split limit, a zone to be left for another
 * one, somebody who made room. */
static inline bool may_move(const struct step *step, const struct seen_stage *was)
{
    const struct shape *shape = &step->world->shape;
    bool lacked = sum_of(was) < was->rate; /* of more pods than one */
    return was->class_id == 1 || was->count >= shape->split || shape->more_zones > 0 ||
           (shape->split < PODS && (lacked || shape->policy == PLACE_SPREAD)) ||
           somebody_was_displaced(step);
}

/* P6: losing a pod moves what was on it. A stage that had nothing there and lacked nothing is what
 * it was; others only get more, if that can make them whole. */
static inline bool only_lost_moves(const struct step *step)
{
    uint32_t class_id = step->op->a % CLASSES, lost = step->op->b % PODS;
    if (!is_a(step, OP_POD) || step->op->c % 5 != 0)
        return true;
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *now = &step->now->pipelines[id].stages[at];
        const struct seen_stage *was = &step->before->pipelines[id].stages[at];
        bool mended = (was->class_id == class_id && was->on[lost] > 0) || sum_of(was) < was->rate;
        if (step->now->pipelines[id].view.reason == PLACE_PREEMPTED)
            continue;
        ++*step->checks;
        for (uint32_t pod = 0; pod < PODS; pod++)
            if (mended ? now->on[pod] < was->on[pod] && !may_move(step, was) &&
                             !(now->class_id == class_id && pod == lost)
                       : now->on[pod] != was->on[pod])
                return false;
    }
    return true;
}

/* A lower rate shrinks where it is: on no pod is more than there was. */
static inline bool shrinks_in_place(const struct step *step)
{
    uint32_t id = step->op->a % PIPELINES;
    const struct seen_pipeline *now = &step->now->pipelines[id],
                               *was = &step->before->pipelines[id];
    if (!is_a(step, OP_RATE) || !is_whole(was))
        return true;
    for (uint32_t at = 0; at < was->stage_count; at++)
        if (now->stages[at].rate > was->stages[at].rate)
            return true;
    for (uint32_t at = 0; at < was->stage_count * PODS; at++)
        if (now->stages[at / PODS].on[at % PODS] > was->stages[at / PODS].on[at % PODS])
            return false;
    ++*step->checks;
    return is_whole(now);
}
