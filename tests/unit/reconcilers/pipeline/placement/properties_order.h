/* Properties of what is told of those who are not served, and of who is first: P7, P10, P12, fair
 * order. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/property.h"

/* P7: all stages or none. */
static inline bool is_gang(const struct step *step)
{
    EACH_STAGE(step->now, id, at)
    {
        if (holds_room(&step->now->pipelines[id]))
            continue;
        if (sum_of(&step->now->pipelines[id].stages[at]) != 0)
            return false;
        ++*step->checks;
    }
    return true;
}

/* P10: nothing waits without a reason, numbers, and a time that is still to come. */
static inline bool has_reason(const struct step *step)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        const struct place_view *view = &step->now->pipelines[id].view;
        bool waits = view->phase == PLACE_WAITING || view->phase == PLACE_DEGRADED ||
                     view->phase == PLACE_BROKEN;
        bool comes = view->phase == PLACE_SCALING;
        if ((waits || comes || view->phase == PLACE_REJECTED) &&
            (view->reason == PLACE_FITS || view->stage >= STAGES))
            return false;
        if ((waits && view->retry_s <= step->now->now_s) ||
            (comes && (view->deadline_s <= step->now->now_s || view->need <= 0)))
            return false;
        *step->checks += waits || comes;
    }
    return true;
}

/* Has a pod that serves room for the one part that the stage has on a pod to come? 1 = it has, 0 =
 * none has, or there are several such parts, -1 = it has no such part. */
static inline int could_serve(const struct step *step, const struct seen_stage *stage)
{
    const struct shape *shape = &step->world->shape;
    uint32_t count = 0, from = 0;
    for (uint32_t pod = 0; pod < PODS; pod++)
        if (stage->on[pod] && step->now->pods[stage->class_id][pod].pod.state < POD_READY) {
            count++;
            from = pod;
        }
    for (uint32_t to = 0; count == 1 && to < PODS; to++) {
        const struct place_pod *pod = &step->now->pods[stage->class_id][to].pod;
        int64_t room = pod->capacity - step->now->pods[stage->class_id][to].used -
                       step->now->pods[stage->class_id][to].leaving;
        bool zone = shape->zones == 1 || stage->class_id == 2 ||
                    pod->zone == step->now->pods[stage->class_id][from].pod.zone;
        if (pod->state == POD_READY && zone && !stage->on[to] && room >= stage->on[from])
            return 1;
    }
    return count == 0 ? -1 : 0;
}

/* P14: nobody waits for pods to come while others serve that have the room, but who is tried at the
 * next tick: all stages of one that never ran, or any. Two stages of one class may want the same
 * room. */
static inline bool takes_what_serves(const struct step *step)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        const struct seen_pipeline *pipeline = &step->now->pipelines[id];
        bool any = false, all = true;
        if (pipeline->view.phase != PLACE_SCALING || pipeline->view.due)
            continue;
        for (uint32_t at = 0; at < pipeline->stage_count; at++) {
            int could = could_serve(step, &pipeline->stages[at]);
            any |= could > 0;
            all &= could != 0 &&
                   (at == 0 || pipeline->stages[at].class_id != pipeline->stages[0].class_id);
        }
        ++*step->checks;
        if (any && (all || pipeline->view.ran))
            return false;
    }
    return true;
}

/* P12: the metric is the demand; in the calm every pod asked for has come and what must has left,
 * so that no reservation is left. */
static inline bool scales(const struct step *step)
{
    int64_t demand[CLASSES] = {0};
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_pipeline *pipeline = &step->now->pipelines[id];
        if (pipeline->view.phase != PLACE_REJECTED)
            demand[pipeline->stages[at].class_id] += pipeline->stages[at].rate;
        if (is_a(step, OP_CALM) && pipeline->view.phase == PLACE_SCALING)
            return false;
    }
    for (uint32_t at = 0; is_a(step, OP_CALM) && at < CLASSES * PODS; at++)
        if (step->now->pods[at / PODS][at % PODS].pod.state == POD_PLANNED ||
            step->now->pods[at / PODS][at % PODS].leaving > 0)
            return false;
    ++*step->checks;
    return memcmp(demand, step->now->demand, sizeof demand) == 0;
}

static inline bool is_tried(const struct step *step, const struct seen_pipeline *was)
{
    return was->view.phase == PLACE_WAITING && was->stage_count == 1 &&
           (was->view.due || was->view.retry_s <= step->now->now_s);
}

/* The tenant's dominant share at any time within the step: at least (of those who held room all the
 * while), or at most. All classes are equally large, so that sums themselves can be compared. */
static inline int64_t dominant(const struct step *step, uint32_t tenant, bool at_least)
{
    int64_t most = 0;
    for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
        int64_t sum = 0;
        for (uint32_t id = 0; id < PIPELINES; id++) {
            bool was = holds_room(&step->before->pipelines[id]),
                 is = holds_room(&step->now->pipelines[id]);
            if (step->now->pipelines[id].tenant == tenant && (at_least ? was && is : was || is))
                sum += asked(&step->now->pipelines[id], class_id);
        }
        most = sum > most ? sum : most;
    }
    return most < PODS * CAPACITY ? most : PODS * CAPACITY;
}

/* Has it waited so long that its equals, whosever they are, stand behind it? */
static inline bool is_held_for(const struct step *step, const struct seen_pipeline *was)
{
    return was->view.reason == PLACE_NO_CAPACITY &&
           step->now->now_s - was->view.waiting_since_s >= PLACE_HOLD_S;
}

/* Both wait, and may be tried; who is left out asks for no more of the class, and lacks room. */
static inline bool compete(const struct step *step, uint32_t in, uint32_t out)
{
    const struct seen_pipeline *one = &step->before->pipelines[in],
                               *other = &step->before->pipelines[out];
    return is_tried(step, one) && is_tried(step, other) && one->tenant != other->tenant &&
           !is_held_for(step, one) && one->priority == other->priority &&
           one->stages[0].class_id == other->stages[0].class_id &&
           other->stages[0].rate <= one->stages[0].rate && holds_room(&step->now->pipelines[in]) &&
           step->now->pipelines[out].view.phase == PLACE_WAITING &&
           step->now->pipelines[out].view.reason == PLACE_NO_CAPACITY;
}

/*
 * Of those who wait at one priority the tenant with the smaller dominant share comes first: the
 * tenant of one who was let in had no more than that of one who found no room in the same tick.
 * (Where somebody is displaced room may appear in between.)
 */
static inline bool is_fair(const struct step *step)
{
    if (!is_a(step, OP_TICK) || somebody_was_displaced(step))
        return true;
    for (uint32_t at = 0; at < PIPELINES * PIPELINES; at++) {
        uint32_t in = at / PIPELINES, out = at % PIPELINES;
        if (!compete(step, in, out))
            continue;
        ++*step->checks;
        if (dominant(step, step->now->pipelines[in].tenant, true) >
            dominant(step, step->now->pipelines[out].tenant, false))
            return false;
    }
    return true;
}
