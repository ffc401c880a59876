#include "reconcilers/pipeline/placement/quota.h"

#include <stdlib.h>

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
            phase_room(placement, placement->classes[share->class_id]);
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
    placement->pipelines[id].view.due = true; /* for what serves */
    phase_settle(placement, id, now_s);
}

/* Its time has come, or, if room is all it lacks, there is more than when it was last tried. */
static bool is_due(const struct place_view *view, int64_t now_s)
{
    bool waits = view->phase == PLACE_DEGRADED || view->phase == PLACE_BROKEN ||
                 view->phase == PLACE_WAITING;
    return view->due || (waits && view->retry_s <= now_s);
}

/* Gives back the reservations that ran out. */
static void expire_all(struct placement *placement, int64_t now_s)
{
    for (uint32_t id = 0; id < placement->pipelines_size; id++) {
        const struct place_view *view = &placement->pipelines[id].view;
        if (view->phase == PLACE_SCALING && view->deadline_s <= now_s)
            expire(placement, id, now_s);
    }
}

/* Who is due; of those who wait for pods nobody for whom there is not so much room. How many. */
static uint32_t look_at_all(struct placement *placement, int64_t now_s, uint32_t *due)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < placement->pipelines_size; id++) {
        struct place_view *view = &placement->pipelines[id].view;
        if (view->due && view->phase == PLACE_SCALING)
            view->due = sooner_may(placement, id);
        if (is_due(view, now_s))
            due[count++] = id;
    }
    return count;
}

/* Takes out of the list who is to be served first; a try may displace who was due. */
static uint32_t take_first(const struct placement *placement, uint32_t *due, uint32_t *count,
                           int64_t now_s)
{
    uint32_t first = PLACE_NONE, kept = 0;
    for (uint32_t at = 0; at < *count; at++) {
        if (!is_due(&placement->pipelines[due[at]].view, now_s))
            continue;
        due[kept] = due[at];
        if (first == PLACE_NONE || quota_is_before(placement, due[kept], due[first]))
            first = kept;
        kept++;
    }
    *count = kept;
    return first == PLACE_NONE ? PLACE_NONE : due[first];
}

uint32_t placement_tick(struct placement *placement, int64_t now_s)
{
    uint32_t tried = 0, first;
    uint32_t *due = memory_new(placement->pipelines_size + 1, sizeof *due);
    expire_all(placement, now_s);
    sooner_look(placement);
    uint32_t count = look_at_all(placement, now_s, due);
    for (; tried < PLACE_WAKE_MAX && placement->work < PLACE_WORK_MAX &&
           (first = take_first(placement, due, &count, now_s)) != PLACE_NONE;
         tried++) {
        placement->journal_count = 0;
        placement->news = false;
        if (placement->pipelines[first].view.phase == PLACE_SCALING) {
            admit_sooner(placement, first, now_s);
        } else {
            admit_try(placement, first, now_s);
            sooner_look(placement);
        }
        if (placement->news)
            count = look_at_all(placement, now_s, due);
    }
    placement->behind = take_first(placement, due, &count, now_s) != PLACE_NONE;
    placement->work = 0;
    free(due);
    return tried;
}

bool placement_is_behind(const struct placement *placement)
{
    return placement->behind;
}
