#include "reconcilers/pipeline/placement/state.h"

static bool serves(const struct placement *placement, const struct share *share)
{
    const struct pod *pod = &placement->classes[share->class_id]->pods[share->pod];
    return pod_serves(pod) && share->held == 0;
}

/* Gives reservations back: all of a pipeline that never ran, else what does not serve. Returns a
 * stage that loses. */
static uint32_t give_back(struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t loser = 0, next;
    for (uint32_t stage = 0; stage < pipeline->stage_count; stage++)
        for (uint32_t at = pipeline->stages[stage].shares; at != PLACE_NONE; at = next) {
            const struct share *share = &placement->shares[at];
            bool stays = serves(placement, share);
            next = share->stage_next;
            loser = stays ? loser : stage;
            if (stays && pipeline->view.ran)
                continue;
            placement->classes[share->class_id]->changes++;
            state_take(placement, at, share->milli, true);
        }
    return loser;
}

static void expire(struct placement *placement, uint32_t id, int64_t now_s)
{
    placement->journal_count = 0;
    uint32_t stage = give_back(placement, id);
    if (!placement->pipelines[id].view.ran)
        phase_admitted(placement, id, false);
    phase_wait(placement, id, stage, PLACE_TIMED_OUT, now_s);
    phase_settle(placement, id, now_s);
}

bool tick_has_room(const struct placement *placement, const struct pipeline *pipeline)
{
    const struct place_view *view = &pipeline->view;
    if (view->phase == PLACE_PLACED || view->phase == PLACE_SCALING ||
        view->reason == PLACE_TIMED_OUT)
        return false;
    uint32_t class_id = pipeline->stages[view->stage].class_id;
    return placement->classes[class_id]->changes != pipeline->seen;
}

/* Its time has come, or, if room is all it lacks, there is more room than when it was last tried.
 */
static bool is_due(const struct placement *placement, const struct pipeline *pipeline,
                   int64_t now_s)
{
    const struct place_view *view = &pipeline->view;
    bool waits = view->phase == PLACE_DEGRADED || view->phase == PLACE_BROKEN ||
                 view->phase == PLACE_WAITING;
    return (waits && view->retry_s <= now_s) || tick_has_room(placement, pipeline);
}

/* The one that has waited long enough to be first in the class it lacks. */
static void take_head(struct placement *placement, uint32_t id, int64_t now_s)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    const struct place_view *view = &pipeline->view;
    if (view->phase != PLACE_WAITING || view->reason != PLACE_NO_CAPACITY ||
        now_s - view->waiting_since_s < PLACE_HOLD_S)
        return;
    struct class *class = placement->classes[pipeline->stages[view->stage].class_id];
    const struct pipeline *head =
        class->head == PLACE_NONE ? NULL : &placement->pipelines[class->head];
    if (!head || pipeline->priority > head->priority ||
        (pipeline->priority == head->priority && pipeline->age < head->age))
        class->head = id;
}

/* Heads anew and reservations that ran out. */
static void look_at_all(struct placement *placement, int64_t now_s)
{
    for (uint32_t at = 0; at < PLACE_CLASSES_MAX; at++)
        if (placement->classes[at])
            placement->classes[at]->head = PLACE_NONE;
    for (uint32_t id = 0; id < placement->pipelines_size; id++) {
        const struct pipeline *pipeline = &placement->pipelines[id];
        if (!pipeline->stages)
            continue;
        if (pipeline->view.phase == PLACE_SCALING && pipeline->view.deadline_s <= now_s)
            expire(placement, id, now_s);
        take_head(placement, id, now_s);
    }
}

uint32_t placement_tick(struct placement *placement, int64_t now_s)
{
    uint32_t tried = 0;
    look_at_all(placement, now_s);
    for (; tried < PLACE_WAKE_MAX; tried++) {
        uint32_t first = PLACE_NONE;
        for (uint32_t id = 0; id < placement->pipelines_size; id++) {
            const struct pipeline *pipeline = &placement->pipelines[id];
            if (pipeline->stages && is_due(placement, pipeline, now_s) &&
                (first == PLACE_NONE || quota_is_before(placement, id, first)))
                first = id;
        }
        if (first == PLACE_NONE)
            break;
        placement->journal_count = 0;
        admit_try(placement, first, now_s);
    }
    return tried;
}
