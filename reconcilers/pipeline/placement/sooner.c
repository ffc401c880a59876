/* Who is reserved on pods to come takes room that serves as soon as there is some: what it gives
 * back need not come. */
#include "reconcilers/pipeline/placement/fit.h"

static bool comes(const struct placement *placement, const struct share *share)
{
    return !pod_serves(&placement->classes[share->class_id]->pods[share->pod]);
}

/* What the stage has there, and the largest part of it. */
static int64_t coming(const struct placement *placement, const struct stage *stage, int64_t *ret)
{
    int64_t sum = 0;
    *ret = 0;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        int64_t milli = comes(placement, &placement->shares[at]) ? placement->shares[at].milli : 0;
        *ret = milli > *ret ? milli : *ret;
        sum += milli;
    }
    return sum;
}

/* Else its parts stay as they are. */
static bool divides(const struct class *class)
{
    return class->spec.policy == PLACE_PACK && class->spec.mode != PLACE_WHOLE;
}

/* Is there as much room in all, and where parts stay as they are, on one pod? `refused`: and was
 * nobody refused who asked for no more? */
static bool may_move(const struct placement *placement, const struct stage *stage, bool refused)
{
    const struct class *class = placement->classes[stage->class_id];
    int64_t part, milli = coming(placement, stage, &part);
    return milli <= class->free &&
           (divides(class) || choose_ceiling(class, SHELVES_READY, part, 0) != PLACE_NONE) &&
           (!refused || milli < class->refused || milli < stage->placed);
}

static bool may(const struct placement *placement, uint32_t id, bool refused)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    bool any = false, all = true;
    int64_t part;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        const struct stage *stage = &pipeline->stages[at];
        if (coming(placement, stage, &part) == 0)
            continue;
        bool fits = may_move(placement, stage, refused);
        any |= fits;
        all &= fits;
    }
    return any && (all || pipeline->view.ran);
}

bool sooner_may(const struct placement *placement, uint32_t id)
{
    return may(placement, id, true);
}

/* Each part as it is, on another pod. */
static bool move_parts(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct class *class = placement->classes[stage->class_id];
    uint32_t next, mark = placement->journal_count;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = next) {
        const struct share share = placement->shares[at];
        next = share.stage_next;
        if (!comes(placement, &share))
            continue;
        uint32_t zone = class->pods[share.pod].zone;
        uint32_t mask =
            SHELVES_READY & (class->spec.zones_min > 1 ? SHELVES_ZONE(zone) : SHELVES_ALL);
        uint32_t pod = fit_other_pod(placement, stage, mask, share.milli);
        if (pod == PLACE_NONE) {
            state_undo(placement, mark);
            return false;
        }
        state_take(placement, at, share.milli, true);
        state_add(placement, id, stage_at, pod, share.milli);
        next = stage->shares; /* the list is another now, and this part comes no more */
    }
    return true;
}

/* The same milli, otherwise divided: not what is to be spread, or all would go to the pod that is
 * the first to come. */
static bool place_parts(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    uint32_t next, mark = placement->journal_count;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = next) {
        next = placement->shares[at].stage_next;
        if (comes(placement, &placement->shares[at]))
            state_take(placement, at, placement->shares[at].milli, true);
    }
    placement->serving = true;
    bool fits = fit_rest(placement, id, stage_at);
    placement->serving = false;
    if (!fits)
        state_undo(placement, mark);
    return fits;
}

/* Who asks for as much, and has nothing that serves, need not be looked at. */
static void note_refused(struct placement *placement, const struct stage *stage, int64_t milli)
{
    struct class *class = placement->classes[stage->class_id];
    if (milli < stage->placed || milli >= class->refused)
        return;
    class->refused = milli;
    placement->news = true;
}

static bool move_stage(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    bool divided = divides(placement->classes[stage->class_id]);
    int64_t part, milli = coming(placement, stage, &part);
    uint32_t mark = placement->journal_count;
    if (milli == 0 || move_parts(placement, id, stage_at) ||
        (divided && place_parts(placement, id, stage_at)))
        return true;
    if (divided && mark == 0) /* nothing that other stages took lacks */
        note_refused(placement, stage, milli);
    return false;
}

/* What was reserved is room to others, to come or, if it is there by now, that serves. */
static void give_back(struct placement *placement, uint32_t from)
{
    placement->news |= placement->journal_count > from;
    for (uint32_t at = from; at < placement->journal_count; at++) {
        const struct change *change = &placement->journal[at];
        if (change->milli < 0)
            phase_room(placement,
                       placement->classes
                           [placement->pipelines[change->pipeline].stages[change->stage].class_id]);
    }
}

void sooner_look(struct placement *placement)
{
    for (uint32_t at = 0; at < PLACE_CLASSES_MAX; at++)
        if (placement->classes[at])
            placement->classes[at]->refused = INT64_MAX;
}

bool sooner(struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t mark = placement->journal_count;
    if (!may(placement, id, false))
        return false;
    if (!pipeline->view.ran) {
        if (fit_each_of(placement, id, move_stage) != PLACE_NONE)
            state_undo(placement, mark);
    } else {
        for (uint32_t stage = 0; stage < pipeline->stage_count; stage++)
            move_stage(placement, id, stage);
    }
    give_back(placement, mark);
    return placement->journal_count > mark;
}
