#include "reconcilers/pipeline/placement/state.h"
#include "server/base/ctx.h"

#include <inttypes.h>
#include <stdlib.h>

static int check_pod(struct ctx *ctx, const struct placement *placement,
                     const struct place_pod *pod)
{
    const struct class *class =
        pod->class_id < PLACE_CLASSES_MAX ? placement->classes[pod->class_id] : NULL;
    if (!class)
        return err_set(ctx, ERR_INVALID, NULL, "there is no class %" PRIu32, pod->class_id);
    if (pod->ordinal >= class->pods_size)
        return err_set(ctx, ERR_INVALID, NULL, "ordinal %" PRIu32 " is beyond pods_max",
                       pod->ordinal);
    if (pod->state == POD_PLANNED || pod->zone >= PLACE_ZONES_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "a pod is absent or known, in a zone below %d",
                       PLACE_ZONES_MAX);
    if (pod->state != POD_ABSENT && (pod->capacity < 1 || pod->capacity > PLACE_MILLI_MAX))
        return err_set(ctx, ERR_INVALID, NULL, "a capacity of %" PRId64 " is not in 1..%" PRId64,
                       pod->capacity, PLACE_MILLI_MAX);
    return 0;
}

static int by_order(const void *a, const void *b, void *of)
{
    const struct placement *placement = of;
    const struct pipeline *one = &placement->pipelines[*(const uint32_t *)a];
    const struct pipeline *other = &placement->pipelines[*(const uint32_t *)b];
    if (one->priority != other->priority)
        return one->priority > other->priority ? -1 : 1;
    return (one->age > other->age) - (one->age < other->age);
}

uint32_t *pods_pipelines(struct placement *placement, const struct pod *pod, uint32_t *ret_count)
{
    uint32_t count = 0, kept = 0;
    for (uint32_t at = pod->shares; at != PLACE_NONE; at = placement->shares[at].pod_next)
        count++;
    uint32_t *ids = memory_new(count + 1, sizeof *ids);
    count = 0;
    for (uint32_t at = pod->shares; at != PLACE_NONE; at = placement->shares[at].pod_next)
        ids[count++] = placement->shares[at].pipeline;
    qsort_r(ids, count, sizeof *ids, by_order, placement);
    for (uint32_t at = 0; at < count; at++)
        if (kept == 0 || ids[kept - 1] != ids[at])
            ids[kept++] = ids[at];
    *ret_count = kept;
    return ids;
}

/* What it lacks. Nothing else moves: what must leave another pod is the next tick's, for which it
 * stays due if it was. */
static void mend(struct placement *placement, uint32_t id, int64_t now_s)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    bool due = pipeline->view.due;
    if (!pipeline->admitted)
        return; /* one before it took its room */
    for (uint32_t stage = 0; stage < pipeline->stage_count; stage++)
        fit_stage(placement, id, stage);
    if (phase_lacks(placement, id, false) != PLACE_NONE && !preempt(placement, id, now_s)) {
        phase_wait(placement, id, phase_lacks(placement, id, true), PLACE_NO_CAPACITY, now_s);
        pipeline->view.due = due || placement->postponed;
    }
    phase_settle(placement, id, now_s);
}

/* What was placed there goes elsewhere, once the pod is what `fact` says. */
static void pod_lost(struct placement *placement, const struct place_pod *fact, int64_t now_s)
{
    struct class *class = placement->classes[fact->class_id];
    struct pod *pod = &class->pods[fact->ordinal];
    uint32_t count;
    uint32_t *ids = pods_pipelines(placement, pod, &count);
    while (pod->shares != PLACE_NONE)
        state_take(placement, pod->shares, placement->shares[pod->shares].milli, false);
    pod->leaving = 0;
    state_pod(class, fact->ordinal, fact->state, fact->zone, fact->capacity);
    for (uint32_t at = 0; at < count; at++)
        mend(placement, ids[at], now_s);
    free(ids);
}

/* What is placed on the pod cannot stay when it comes like this. */
static bool breaks(const struct class *class, const struct place_pod *fact)
{
    const struct pod *pod = &class->pods[fact->ordinal];
    return pod->used > 0 && (fact->capacity < pod->used + pod->leaving ||
                             (fact->zone != pod->zone && class->spec.zones_min > 1));
}

static void unhold(struct placement *placement, struct pod *pod)
{
    if (pod->used + pod->leaving > pod->capacity)
        return;
    for (uint32_t at = pod->shares; at != PLACE_NONE; at = placement->shares[at].pod_next)
        placement->shares[at].held = 0;
}

static void settle_on(struct placement *placement, struct class *class, uint32_t ordinal,
                      int64_t now_s)
{
    uint32_t count;
    uint32_t *ids = pods_pipelines(placement, &class->pods[ordinal], &count);
    for (uint32_t at = 0; at < count; at++)
        if (class->pods[ordinal].state == POD_DRAINING && placement->pipelines[ids[at]].admitted)
            admit_try(placement, ids[at], now_s);
        else
            phase_settle(placement, ids[at], now_s);
    free(ids);
}

/* Is it news to others than who loses what it carried? Not that it only becomes smaller. */
static bool is_more(const struct pod *pod, const struct place_pod *fact)
{
    return fact->state != pod->state || fact->capacity > pod->capacity || fact->zone != pod->zone;
}

int placement_pod_set(struct ctx *ctx, struct placement *placement, const struct place_pod *pod,
                      int64_t now_s)
{
    TRY(check_pod(ctx, placement, pod));
    struct class *class = placement->classes[pod->class_id];
    struct place_pod fact = *pod;
    /* A pod that cannot keep what it carried is empty for others, though it be smaller. */
    bool more = is_more(&class->pods[fact.ordinal], &fact) || breaks(class, &fact);
    placement->journal_count = 0;
    if (more)
        phase_room(placement, class);
    if (fact.state == POD_ABSENT) {
        fact.zone = 0;
        fact.capacity = 0;
        if (class->pods[fact.ordinal].state !=
            POD_PLANNED) /* what is only asked for cannot be lost */
            pod_lost(placement, &fact, now_s);
    } else if (breaks(class, &fact)) {
        pod_lost(placement, &fact, now_s);
    } else {
        state_pod(class, fact.ordinal, fact.state, fact.zone, fact.capacity);
        if (more)
            settle_on(placement, class, fact.ordinal, now_s);
    }
    return 0;
}

int placement_drained(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                      uint32_t ordinal, int64_t milli, int64_t now_s)
{
    struct class *class = class_id < PLACE_CLASSES_MAX ? placement->classes[class_id] : NULL;
    if (!class || ordinal >= class->pods_size || milli < 0 || milli > class->pods[ordinal].leaving)
        return err_set(ctx, ERR_INVALID, NULL, "so much does not leave that pod");
    struct pod *pod = &class->pods[ordinal];
    placement->journal_count = 0;
    pod->leaving -= milli;
    phase_room(placement, class);
    unhold(placement, pod);
    state_shelve(class, ordinal);
    if (pod->state != POD_DRAINING)
        settle_on(placement, class, ordinal, now_s);
    return 0;
}
