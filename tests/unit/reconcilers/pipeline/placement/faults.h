/* Faults planted in what a step shows: each row of the table must catch each of its own. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/property.h"

static inline void plant_over(struct seen *seen)
{
    seen->pods[0][0].leaving += CAPACITY_MAX + 1;
}
static inline void plant_share(struct seen *seen)
{
    seen->pipelines[0].stages[0].on[1] += 32;
}
static inline void plant_uneven(struct seen *seen)
{
    EACH_STAGE(seen, id, at)
    for (uint32_t pod = 0; pod + 1 < PODS; pod++) {
        int64_t *on = &seen->pipelines[id].stages[at].on[pod];
        on[0] += on[0] && on[1] ? 2 : 0;
        on[1] -= on[0] && on[1] ? 2 : 0;
    }
}
static inline void plant_split(struct seen *seen)
{
    EACH_STAGE(seen, id, at)
    seen->pipelines[id].stages[at].count += seen->pipelines[id].stages[at].count == 3;
}
static inline void plant_one_zone(struct seen *seen)
{
    EACH_STAGE(seen, id, at)
    {
        int64_t *on = seen->pipelines[id].stages[at].on;
        on[0] += on[1];
        on[1] = 0;
    }
}
static inline void plant_move(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        seen->pipelines[id].stages[0].on[2] ^= 1;
    memset(seen->changed, 0, sizeof seen->changed);
}
static inline void plant_loss(struct seen *seen)
{
    for (uint32_t at = 0; at < PIPELINES; at++)
        memset(seen->pipelines[at].stages[0].on, 0, sizeof seen->pipelines[at].stages[0].on);
}
static inline void plant_growth(struct seen *seen)
{
    EACH_STAGE(seen, id, at)
    seen->pipelines[id].stages[at].on[5] += 25;
}
static inline void plant_half(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (holds_room(&seen->pipelines[id]))
            seen->pipelines[id].view.phase = PLACE_WAITING;
}
static inline void plant_bare(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        seen->pipelines[id].view.reason = PLACE_FITS;
}
static inline void plant_past(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (seen->pipelines[id].view.retry_s)
            seen->pipelines[id].view.retry_s = seen->now_s;
}
static inline void plant_late(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (seen->pipelines[id].view.deadline_s)
            seen->pipelines[id].view.deadline_s = seen->now_s;
}
/* Who holds room is taken for one of least priority, who does not for one that must come first. */
static inline void plant_inverted(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        struct seen_pipeline *pipeline = &seen->pipelines[id];
        pipeline->priority = pipeline->view.phase == PLACE_WAITING;
        for (uint32_t at = 0; pipeline->view.phase == PLACE_WAITING && at < pipeline->stage_count;
             at++)
            pipeline->stages[at].rate = 1;
    }
}
static inline void plant_demand(struct seen *seen)
{
    seen->demand[1]++;
}
static inline void plant_reserved(struct seen *seen)
{
    seen->pods[2][5].pod.state = POD_PLANNED;
}
/* All pods that serve are empty, and nobody has noticed. */
static inline void plant_passed_over(struct seen *seen)
{
    for (uint32_t at = 0; at < CLASSES * PODS; at++)
        seen->pods[at / PODS][at % PODS].used = seen->pods[at / PODS][at % PODS].leaving = 0;
}
static inline void plant_quota(struct seen *seen)
{
    memset(seen->quotas, 0, sizeof seen->quotas);
}
/* All have a little less than they use. */
static inline void plant_lent(struct seen *seen)
{
    for (uint32_t at = 0; at < TENANTS * CLASSES; at++)
        if (seen->quotas[at / CLASSES][at % CLASSES].nominal < INT64_MAX)
            seen->quotas[at / CLASSES][at % CLASSES].nominal =
                charged(seen, at / CLASSES, at % CLASSES) - 1;
}
/* Those who hold room are taken for borrowers, those who do not for pipelines of one lender. */
static inline void plant_kept(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        struct seen_pipeline *pipeline = &seen->pipelines[id];
        bool waits = pipeline->view.phase == PLACE_WAITING;
        pipeline->tenant = waits;
        for (uint32_t at = 0; waits && at < pipeline->stage_count; at++)
            pipeline->stages[at].rate = 1;
    }
    for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
        seen->quotas[0][class_id] = (struct place_quota){0, 1};
        seen->quotas[1][class_id] = (struct place_quota){CAPACITY, 0};
    }
}
/* Those who were let in are taken for pipelines of those who have much. */
static inline void plant_unfair(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        struct seen_pipeline *pipeline = &seen->pipelines[id];
        if (pipeline->view.phase == PLACE_WAITING)
            pipeline->view.reason = PLACE_NO_CAPACITY;
        else
            pipeline->tenant = 0;
    }
}
