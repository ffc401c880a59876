/* Filling holes: what the highest pods of a class carry moves into room on lower ones, so that they
 * empty and can go. Bounded by a budget, by the clock of the ledger, and never where something
 * waits, leaves, or is not well. */
#include "reconcilers/pipeline/board.h"

#include "server/base/ctx.h"

enum { MINUTE_S = 60 };

static const char *const words[] = {
    [COMPACTION_DONE] = "Compact",           [COMPACTION_OFF] = "CompactionOff",
    [COMPACTION_BLOCKED] = "ClassUnsettled", [COMPACTION_SPENT] = "BudgetSpent",
    [COMPACTION_STUCK] = "NoLowerRoom",      [COMPACTION_MOVING] = "Compacting",
};

const char *compaction_word(enum compaction compaction)
{
    return words[compaction];
}

static bool is_of_quota(enum place_reason reason)
{
    return reason == PLACE_OVER_QUOTA || reason == PLACE_TOO_LARGE_FOR_QUOTA;
}

/* The stage for which there was no room is of the class. Who waits for a quota waits for no room.
 */
static bool lacks(const struct board_pipeline *pipeline, const struct place_view *view,
                  uint32_t class_id)
{
    return !is_of_quota(view->reason) && view->stage < pipeline->stage_count &&
           pipeline->stages[view->stage].class_id == class_id;
}

static int64_t served(const struct board *board, uint32_t class_id, const struct place_share *share)
{
    int64_t used, leaving;
    struct place_pod pod =
        placement_pod_look(board->placement, class_id, share->ordinal, &used, &leaving);
    return pod.state == POD_READY ? share->milli - share->held : 0;
}

/* Some stage of the class is not, as a whole, on pods that stay. */
static bool is_short(const struct board *board, uint32_t id, uint32_t class_id)
{
    const struct board_pipeline *pipeline = &board->pipelines[id];
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        struct place_share shares[PLACE_SPLIT_MAX];
        int64_t missing = pipeline->stages[at].rate;
        if (pipeline->stages[at].class_id != class_id)
            continue;
        for (uint32_t count = placement_shares(board->placement, id, at, shares); count-- > 0;)
            missing -= served(board, class_id, &shares[count]);
        if (missing > 0)
            return true;
    }
    return false;
}

static bool uses(const struct board_pipeline *pipeline, uint32_t class_id)
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        if (pipeline->stages[at].class_id == class_id)
            return true;
    return false;
}

/* It wants something of the class that it has not. One that has its place and waits for pods of any
 * class does so until its deadline, and nothing of it moves. */
static bool wants(const struct board *board, uint32_t id, uint32_t class_id)
{
    const struct board_pipeline *pipeline = &board->pipelines[id];
    const struct place_view view = placement_look(board->placement, id);
    if (pipeline->taken_out || (pipeline->refused && lacks(pipeline, &pipeline->refusal, class_id)))
        return !pipeline->taken_out;
    switch (view.phase) {
    case PLACE_WAITING:
        return lacks(pipeline, &view, class_id);
    case PLACE_SCALING:
        return uses(pipeline, class_id);
    case PLACE_DEGRADED:
    case PLACE_BROKEN:
        return is_short(board, id, class_id);
    case PLACE_UNKNOWN:
    case PLACE_PLACED:
    case PLACE_REJECTED:
        break;
    }
    return false;
}

/* By the ledger alone: something leaves a pod, or something waits. */
static bool is_unsettled(const struct board *board, uint32_t class_id, uint32_t replicas)
{
    int64_t used, leaving;
    for (uint32_t at = 0; at < replicas; at++) {
        placement_pod_look(board->placement, class_id, at, &used, &leaving);
        if (leaving > 0)
            return true;
    }
    for (uint32_t id = 0; id < board->pipeline_count; id++)
        if (wants(board, id, class_id))
            return true;
    return false;
}

/* One that carries something is, for a moment, not what the ledger takes it for. */
static bool flaps(const struct board *board, uint32_t class_id, uint32_t replicas)
{
    int64_t used, leaving;
    for (uint32_t at = 0; at < replicas; at++)
        if (placement_pod_look(board->placement, class_id, at, &used, &leaving).state ==
                POD_READY &&
            world_worker(board->classes[class_id].workers, at).state != POD_READY)
            return true;
    return false;
}

/* A budget smaller than what is on a pod is saved up for it, up to a pod's capacity. */
static int64_t allowance(const struct board_class *class, int64_t now_s)
{
    const struct worker_class *spec = &class->workers->class;
    int64_t most = spec->compaction > spec->spec.capacity ? spec->compaction : spec->spec.capacity;
    int64_t minutes = class->compacted_s ? (now_s - class->compacted_s) / MINUTE_S : most;
    return minutes > most / spec->compaction ? most : minutes * spec->compaction;
}

/* The next minute in which more is allowed; 0 = all is. */
static int64_t next_s(const struct board_class *class, int64_t allowed, int64_t now_s)
{
    const struct worker_class *spec = &class->workers->class;
    if (!class->compacted_s || (allowed >= spec->compaction && allowed >= spec->spec.capacity))
        return 0;
    return class->compacted_s + ((now_s - class->compacted_s) / MINUTE_S + 1) * MINUTE_S;
}

/* Up to the highest one; of a WorkerSet those alone that carry something, as holes leave it. */
static uint32_t in_use(const struct board *board, uint32_t class_id, uint32_t replicas)
{
    uint32_t count = 0;
    if (!board->classes[class_id].workers->scaling.any)
        return replicas;
    for (uint32_t at = 0; at < replicas; at++) {
        int64_t used, leaving;
        placement_pod_look(board->placement, class_id, at, &used, &leaving);
        count += used > 0;
    }
    return count;
}

/* `more`: not all that wants room has been looked at. */
static int compact_class(struct board *board, uint32_t class_id, bool more, struct class_note *note)
{
    struct board_class *class = &board->classes[class_id];
    const struct worker_class *spec = &class->workers->class;
    int64_t now_s = board->world->now_s, capacity = spec->spec.capacity;
    struct place_class_view view = placement_class_look(board->placement, class_id);
    *note = (struct class_note){.replicas = in_use(board, class_id, view.replicas),
                                .wanted = (uint32_t)((view.used + capacity - 1) / capacity) +
                                          spec->slack};
    if (note->wanted < spec->spec.zones_min)
        note->wanted = spec->spec.zones_min;
    if (note->replicas <= note->wanted)
        return 0;
    note->compaction = COMPACTION_OFF;
    if (spec->compaction == 0 || spec->spec.policy == PLACE_SPREAD)
        return 0;
    note->compaction = COMPACTION_BLOCKED;
    if (more || is_unsettled(board, class_id, view.replicas))
        return 0;
    int64_t allowed = allowance(class, now_s);
    if (!flaps(board, class_id, note->replicas)) /* which no status tells */
        TRY(placement_compact(board->ctx, board->placement, class_id, note->wanted, allowed, now_s,
                              &note->moved));
    if (note->moved)
        class->compacted_s = now_s;
    note->next_s = next_s(class, note->moved ? 0 : allowed, now_s);
    note->compaction = note->moved    ? COMPACTION_MOVING
                       : note->next_s ? COMPACTION_SPENT
                                      : COMPACTION_STUCK;
    return 0;
}

int compact(struct board *board, struct decision *decision)
{
    for (uint32_t at = 0; at < board->world->class_count; at++)
        TRY(compact_class(board, board->class_of_world[at], decision->more, &decision->notes[at]));
    return 0;
}
