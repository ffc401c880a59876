/* Properties of where things are: P1 to P3, P6, the split, zones, shrinking in place. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/property.h"

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

/* Of a stage's zones, or pods: the least and the most that one has. */
struct span {
    int64_t least, most;
};

static inline struct span span_of(const int64_t *values, uint32_t count, bool with_zero)
{
    struct span span = {INT64_MAX, 0};
    for (uint32_t at = 0; at < count; at++) {
        bool counts = with_zero || values[at] > 0;
        span.least = counts && values[at] < span.least ? values[at] : span.least;
        span.most = values[at] > span.most ? values[at] : span.most;
    }
    return span;
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

/* In each zone the same, a milli more or less; of equal parts as many in each. */
static inline bool is_spread(const struct world *world, const struct seen_stage *stage)
{
    int64_t has[PLACE_ZONES_MAX] = {0}, pods[PLACE_ZONES_MAX] = {0};
    for (uint32_t pod = 0; pod < PODS; pod++) {
        has[pod % world->shape.zones] += stage->on[pod];
        pods[pod % world->shape.zones] += stage->on[pod] > 0;
    }
    bool equal = stage->class_id == 1;
    struct span span = span_of(equal ? pods : has, world->shape.zones, true);
    return span.most - span.least <= (equal ? 0 : 1) || span_of(stage->on, PODS, false).most <= 1;
}

/* It was not spread, or it lacked something when its rate was changed: what serves it stays. */
static inline bool was_uneven(const struct step *step, uint32_t id, uint32_t at)
{
    const struct seen_pipeline *former_self = former(step, id);
    const struct seen_stage *now = &step->now->pipelines[id].stages[at];
    const struct seen_stage *was = &former_self->stages[at];
    if (former_self->view.phase == PLACE_UNKNOWN || at >= former_self->stage_count ||
        was->class_id != now->class_id || sum_of(was) == 0)
        return false;
    int64_t has[PLACE_ZONES_MAX] = {0}, zones = step->world->shape.zones;
    for (uint32_t pod = 0; pod < PODS; pod++)
        has[pod % zones] += was->on[pod];
    if (sum_of(was) == was->rate)
        return !is_spread(step->world, was);
    int64_t odd = was->rate % zones; /* so many may have one more: what lacks can be added */
    for (uint32_t zone = 0; zone < zones; zone++)
        odd -= has[zone] > was->rate / zones;
    return is_a(step, OP_RATE) || is_a(step, OP_REDRAW) || odd < 0 ||
           span_of(has, (uint32_t)zones, true).most > was->rate / zones + 1;
}

/* Zones: who is whole is in even parts in each. */
static inline bool in_zones(const struct step *step)
{
    if (step->world->shape.zones == 1)
        return true;
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *stage = &step->now->pipelines[id].stages[at];
        if (stage->class_id == 2 || stage->rate == 0 || sum_of(stage) < stage->rate)
            continue;
        if (!is_spread(step->world, stage) && !was_uneven(step, id, at))
            return false;
        ++*step->checks;
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

/* P6: losing a pod moves what was on it. A stage that had nothing there and lacked nothing is what
 * it was; others only get more, but for equal parts, where the split limit forbids one more, and
 * where somebody had to make room. */
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
        const struct shape *shape = &step->world->shape;
        bool anew = now->class_id == 1 || was->count >= shape->split ||
                    (shape->policy == PLACE_SPREAD && shape->split < PODS) ||
                    somebody_was_displaced(step);
        ++*step->checks;
        for (uint32_t pod = 0; pod < PODS; pod++)
            if (mended ? now->on[pod] < was->on[pod] && !anew &&
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
