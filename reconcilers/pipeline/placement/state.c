#include "reconcilers/pipeline/placement/state.h"

#include "server/base/cleanup.h"

#include <assert.h>

_Static_assert(PLACE_ZONES_MAX *SHELVES_PER_ZONE == SHELVES, "a mask of shelves is 32 bits");

struct pipeline *state_pipeline(const struct placement *placement, uint32_t id)
{
    if (id >= placement->pipelines_size || !placement->pipelines[id].stages)
        return NULL;
    return &placement->pipelines[id];
}

bool pod_serves(const struct pod *pod)
{
    return pod->state == POD_READY || pod->state == POD_DRAINING;
}

int64_t pod_room(const struct pod *pod)
{
    int64_t room = pod->capacity - pod->used - pod->leaving;
    return pod->state == POD_ABSENT || pod->state == POD_DRAINING || room < 0 ? 0 : room;
}

static uint8_t shelf_of(const struct class *class, uint32_t at)
{
    const struct pod *pod = &class->pods[at];
    if (pod_room(pod) == 0 || at >= class->spec.pods_max)
        return SHELVES;
    return (uint8_t)(pod->zone * SHELVES_PER_ZONE + (pod->state == POD_READY ? 0 : SHELF_COMING) +
                     (pod->used + pod->leaving == 0 ? SHELF_IDLE : 0));
}

static bool is_ready_shelf(uint8_t shelf)
{
    return SHELVES_READY >> shelf & 1;
}

static void root_set(struct class *class, uint8_t shelf, uint32_t root)
{
    class->roots[shelf] = root;
    if (root == PLACE_NONE)
        class->shelves &= ~(UINT32_C(1) << shelf);
    else
        class->shelves |= UINT32_C(1) << shelf;
}

void state_shelve(struct class *class, uint32_t at)
{
    struct pod *pod = &class->pods[at];
    struct shelf_node *node = &class->nodes[at];
    uint8_t old = pod->shelf;
    if (old != SHELVES) {
        root_set(class, old, shelf_remove(class->nodes, class->roots[old], at));
        class->free -= is_ready_shelf(old) ? node->room : 0;
    }
    pod->shelf = shelf_of(class, at);
    if (pod->shelf != SHELVES) {
        node->room = pod_room(pod);
        root_set(class, pod->shelf, shelf_insert(class->nodes, class->roots[pod->shelf], at));
        class->free += is_ready_shelf(pod->shelf) ? node->room : 0;
    }
}

static uint32_t *counter_of(struct class *class, enum pod_state state)
{
    uint32_t *counters[] = {[POD_PLANNED] = &class->planned,
                            [POD_STARTING] = &class->coming,
                            [POD_READY] = &class->ready};
    return state < ARRAY_SIZE(counters) ? counters[state] : NULL;
}

void state_pod(struct class *class, uint32_t at, enum pod_state state, uint32_t zone,
               int64_t capacity)
{
    struct pod *pod = &class->pods[at];
    uint32_t *before = counter_of(class, pod->state), *after = counter_of(class, state);
    if (before)
        (*before)--;
    if (after)
        (*after)++;
    pod->state = state;
    pod->zone = zone;
    pod->capacity = capacity;
    if (state == POD_ABSENT)
        pod->leaving = 0;
    if (state == POD_ABSENT && at < class->absent)
        class->absent = at;
    state_shelve(class, at);
}

uint32_t state_plan(struct class *class, uint32_t zone)
{
    while (class->absent < class->spec.pods_max && class->pods[class->absent].state != POD_ABSENT)
        class->absent++;
    uint32_t at = class->absent;
    while (at < class->spec.pods_max &&
           (class->pods[at].state != POD_ABSENT ||
            (zone != PLACE_NONE && at % class->spec.zones_min != zone)))
        at++;
    if (at >= class->spec.pods_max)
        return PLACE_NONE;
    state_pod(class, at, POD_PLANNED, at % class->spec.zones_min, class->spec.capacity);
    return at;
}

uint32_t state_share(const struct placement *placement, const struct stage *stage, uint32_t pod)
{
    uint32_t at = stage->shares;
    while (at != PLACE_NONE && placement->shares[at].pod != pod)
        at = placement->shares[at].stage_next;
    return at;
}

static uint32_t share_new(struct placement *placement, uint32_t id, uint32_t stage_at, uint32_t pod)
{
    if (placement->share_free == PLACE_NONE)
        memory_grow_shares(placement);
    struct stage *stage = &placement->pipelines[id].stages[stage_at];
    struct pod *carrier = &placement->classes[stage->class_id]->pods[pod];
    uint32_t at = placement->share_free, *link = &stage->shares;
    struct share *share = &placement->shares[at];
    placement->share_free = share->stage_next;
    while (*link != PLACE_NONE && placement->shares[*link].pod < pod)
        link = &placement->shares[*link].stage_next;
    *share = (struct share){.pipeline = id,
                            .stage = stage_at,
                            .class_id = stage->class_id,
                            .pod = pod,
                            .pod_next = carrier->shares,
                            .pod_previous = PLACE_NONE,
                            .stage_next = *link};
    if (carrier->shares != PLACE_NONE)
        placement->shares[carrier->shares].pod_previous = at;
    carrier->shares = *link = at;
    return at;
}

static void share_free(struct placement *placement, uint32_t at)
{
    struct share *share = &placement->shares[at];
    struct pod *pod = &placement->classes[share->class_id]->pods[share->pod];
    uint32_t *link = &placement->pipelines[share->pipeline].stages[share->stage].shares;
    while (*link != at)
        link = &placement->shares[*link].stage_next;
    *link = share->stage_next;
    if (share->pod_previous == PLACE_NONE)
        pod->shares = share->pod_next;
    else
        placement->shares[share->pod_previous].pod_next = share->pod_next;
    if (share->pod_next != PLACE_NONE)
        placement->shares[share->pod_next].pod_previous = share->pod_previous;
    share->stage_next = placement->share_free;
    placement->share_free = at;
}

/* The one place where shares change. A planned pod is there as long as something is placed on it.
 */
static void shift(struct placement *placement, const struct change *change)
{
    struct stage *stage = &placement->pipelines[change->pipeline].stages[change->stage];
    struct class *class = placement->classes[stage->class_id];
    struct pod *pod = &class->pods[change->pod];
    uint32_t at = state_share(placement, stage, change->pod);
    if (at == PLACE_NONE)
        at = share_new(placement, change->pipeline, change->stage, change->pod);
    placement->shares[at].milli += change->milli;
    placement->shares[at].held += change->held;
    stage->placed += change->milli;
    class->used += change->milli;
    pod->used += change->milli;
    pod->leaving += change->leaving;
    if (placement->shares[at].milli == 0)
        share_free(placement, at);
    if (pod->state == POD_ABSENT && pod->used > 0)
        state_pod(class, change->pod, POD_PLANNED, change->pod % class->spec.zones_min,
                  class->spec.capacity);
    else if (pod->state == POD_PLANNED && pod->used == 0)
        state_pod(class, change->pod, POD_ABSENT, 0, 0);
    else
        state_shelve(class, change->pod);
    assert(pod->used >= 0 && pod->leaving >= 0);
}

static void shift_and_note(struct placement *placement, struct change change)
{
    if (placement->journal_count == placement->journal_size)
        memory_grow_journal(placement);
    placement->journal[placement->journal_count++] = change;
    shift(placement, &change);
}

void state_add(struct placement *placement, uint32_t id, uint32_t stage, uint32_t pod,
               int64_t milli)
{
    shift_and_note(placement, (struct change){.pipeline = id,
                                              .stage = stage,
                                              .pod = pod,
                                              .milli = milli,
                                              .held = placement->holding ? milli : 0});
}

void state_take(struct placement *placement, uint32_t at, int64_t milli, bool leaves)
{
    const struct share *share = &placement->shares[at];
    const struct pod *pod = &placement->classes[share->class_id]->pods[share->pod];
    int64_t held = share->held < milli ? share->held : milli;
    shift_and_note(placement,
                   (struct change){.pipeline = share->pipeline,
                                   .stage = share->stage,
                                   .pod = share->pod,
                                   .milli = -milli,
                                   .held = -held,
                                   .leaving = leaves && pod_serves(pod) ? milli - held : 0});
}

void state_clear(struct placement *placement, uint32_t id, uint32_t stage, bool leaves)
{
    const uint32_t *first = &placement->pipelines[id].stages[stage].shares;
    while (*first != PLACE_NONE)
        state_take(placement, *first, placement->shares[*first].milli, leaves);
}

void state_undo(struct placement *placement, uint32_t mark)
{
    while (placement->journal_count > mark) {
        struct change change = placement->journal[--placement->journal_count];
        change.milli = -change.milli;
        change.held = -change.held;
        change.leaving = -change.leaving;
        shift(placement, &change);
    }
}
