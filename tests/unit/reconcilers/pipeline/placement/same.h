/* Is what is seen of two small worlds the same? */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/world.h"

/* Field by field: what lies between fields is no part of what is seen. */
static inline bool same_view(const struct place_view *a, const struct place_view *b)
{
    return a->phase == b->phase && a->reason == b->reason && a->stage == b->stage &&
           a->need == b->need && a->free == b->free && a->pods_needed == b->pods_needed &&
           a->deadline_s == b->deadline_s && a->retry_s == b->retry_s &&
           a->waiting_since_s == b->waiting_since_s && a->attempts == b->attempts &&
           a->ran == b->ran && a->due == b->due;
}

_Static_assert(sizeof(struct seen_stage) == 2 * sizeof(uint32_t) + (1 + 2 * PODS) * sizeof(int64_t),
               "nothing lies between what is compared as memory");

static inline bool same_pipeline(const struct seen_pipeline *a, const struct seen_pipeline *b)
{
    if (a->view.phase == PLACE_UNKNOWN && b->view.phase == PLACE_UNKNOWN)
        return true;
    return same_view(&a->view, &b->view) && a->tenant == b->tenant && a->priority == b->priority &&
           a->age == b->age && a->stage_count == b->stage_count &&
           memcmp(a->stages, b->stages, a->stage_count * sizeof *a->stages) == 0;
}

/* The same placement; what it tells as changed, too. */
static inline bool same_seen(const struct seen *a, const struct seen *b)
{
    bool same = a->now_s == b->now_s && memcmp(a->pods, b->pods, sizeof a->pods) == 0 &&
                memcmp(a->demand, b->demand, sizeof a->demand) == 0 &&
                memcmp(a->quotas, b->quotas, sizeof a->quotas) == 0 &&
                memcmp(a->changed, b->changed, sizeof a->changed) == 0;
    for (uint32_t id = 0; same && id < PIPELINES; id++)
        same = same_pipeline(&a->pipelines[id], &b->pipelines[id]);
    return same;
}
