#include "reconcilers/pipeline/placement/quota.h"

static const char *const words[] = {
#define X(name, word, doc) [PLACE_##name] = word,
    PLACE_REASONS(X)
#undef X
};

const char *place_reason_word(enum place_reason reason)
{
    return words[reason];
}

void phase_changed(struct placement *placement, uint32_t id)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    if (pipeline->next_changed != 0)
        return;
    pipeline->next_changed = id + 1;
    if (placement->changed_first == PLACE_NONE)
        placement->changed_first = id;
    else
        placement->pipelines[placement->changed_last].next_changed = id + 1;
    placement->changed_last = id;
}

uint32_t placement_next_changed(struct placement *placement)
{
    uint32_t id = placement->changed_first;
    if (id == PLACE_NONE)
        return PLACE_NONE;
    struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t next = pipeline->next_changed - 1;
    placement->changed_first = next == id ? PLACE_NONE : next;
    pipeline->next_changed = 0;
    return id;
}

void phase_admitted(struct placement *placement, uint32_t id, bool admitted)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    if (pipeline->admitted == admitted)
        return;
    pipeline->admitted = admitted;
    pipeline->view.ran = false;
    quota_charge(placement, pipeline, admitted ? 1 : -1);
}

/* ---- lines ---- */

static struct stage *stage_of(const struct placement *placement, uint32_t place)
{
    return &placement->pipelines[place / PLACE_STAGES_MAX].stages[place % PLACE_STAGES_MAX];
}

static uint32_t *line_of(struct placement *placement, const struct stage *stage, bool holding)
{
    return &placement->classes[stage->class_id]->lines[holding];
}

static void line_leave(struct placement *placement, const struct stage *stage, bool holding)
{
    if (stage->line_previous == PLACE_NONE)
        *line_of(placement, stage, holding) = stage->line_next;
    else
        stage_of(placement, stage->line_previous)->line_next = stage->line_next;
    if (stage->line_next != PLACE_NONE)
        stage_of(placement, stage->line_next)->line_previous = stage->line_previous;
}

static void line_enter(struct placement *placement, uint32_t place, bool holding)
{
    struct stage *stage = stage_of(placement, place);
    uint32_t *line = line_of(placement, stage, holding);
    stage->line_previous = PLACE_NONE;
    stage->line_next = *line;
    if (*line != PLACE_NONE)
        stage_of(placement, *line)->line_previous = place;
    *line = place;
}

void phase_line(struct placement *placement, uint32_t id, uint32_t stage, uint32_t lined)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    for (uint32_t left = pipeline->lined; left; left &= left - 1)
        line_leave(placement, &pipeline->stages[__builtin_ctz(left)], pipeline->lined_holding);
    for (uint32_t left = lined; left; left &= left - 1)
        line_enter(placement, id * PLACE_STAGES_MAX + (uint32_t)__builtin_ctz(left),
                   pipeline->admitted);
    pipeline->lined = lined;
    pipeline->lined_holding = pipeline->admitted;
    pipeline->view.stage = stage;
}

static bool waits_for_pods(const struct place_view *view)
{
    return view->phase == PLACE_SCALING && view->reason == PLACE_WAITS_FOR_PODS;
}

void phase_room(struct placement *placement, const struct class *class)
{
    for (int holding = 0; holding < 2; holding++) {
        uint32_t place = class->lines[holding];
        for (; place != PLACE_NONE; place = stage_of(placement, place)->line_next) {
            struct place_view *view = &placement->pipelines[place / PLACE_STAGES_MAX].view;
            /* What is to drain has its place. */
            view->due |= view->phase != PLACE_SCALING || waits_for_pods(view);
        }
    }
}

bool phase_holds(const struct place_view *view, int64_t now_s)
{
    return view->phase == PLACE_WAITING && view->reason == PLACE_NO_CAPACITY &&
           now_s - view->waiting_since_s >= PLACE_HOLD_S;
}

uint32_t phase_first(const struct placement *placement, const struct class *class, int64_t now_s)
{
    uint32_t first = PLACE_NONE, place = class->lines[false];
    for (; place != PLACE_NONE; place = stage_of(placement, place)->line_next) {
        uint32_t id = place / PLACE_STAGES_MAX;
        const struct pipeline *one = &placement->pipelines[id];
        const struct pipeline *best = first == PLACE_NONE ? NULL : &placement->pipelines[first];
        if (!phase_holds(&one->view, now_s))
            continue;
        if (!best || one->priority > best->priority ||
            (one->priority == best->priority && one->age < best->age))
            first = id;
    }
    return first;
}

/* What the shares of one stage say; OR of all stages. */
enum { STAGE_LACKS = 1, STAGE_DEAD = 2, STAGE_COMES = 4, STAGE_HELD = 8, STAGE_DRAINS = 16 };
enum { STAGE_NEW = 32 }; /* some stage was not in line before */

static unsigned stage_state(const struct placement *placement, const struct stage *stage)
{
    unsigned found = stage->placed < stage->rate ? STAGE_LACKS : 0;
    bool lives = stage->rate == 0;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        const struct share *share = &placement->shares[at];
        const struct pod *pod = &placement->classes[stage->class_id]->pods[share->pod];
        lives |= pod_serves(pod) && share->held < share->milli;
        found |= pod_serves(pod) ? 0 : STAGE_COMES;
        found |= share->held > 0 ? STAGE_HELD : 0;
        found |= pod->state == POD_DRAINING ? STAGE_DRAINS : 0;
    }
    return found | (lives ? 0 : STAGE_DEAD);
}

uint32_t phase_lacks(const struct placement *placement, uint32_t id, bool drains)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    unsigned wanted = drains ? STAGE_LACKS | STAGE_DRAINS : STAGE_LACKS;
    uint32_t at = 0;
    while (at < pipeline->stage_count && !(stage_state(placement, &pipeline->stages[at]) & wanted))
        at++;
    return at < pipeline->stage_count ? at : PLACE_NONE;
}

uint32_t phase_lacking_all(const struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t lined = 0;
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        lined |= (uint32_t)(stage_state(placement, &pipeline->stages[at]) != 0) << at;
    return lined;
}

static int32_t longest_timeout(const struct placement *placement, const struct pipeline *pipeline)
{
    int32_t longest = 0;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        int32_t own = placement->classes[pipeline->stages[at].class_id]->spec.timeout_s;
        longest = own > longest ? own : longest;
    }
    return longest;
}

/* What the reservation waits for, in numbers. */
static void tell_coming(const struct placement *placement, struct pipeline *pipeline)
{
    struct place_view *view = &pipeline->view;
    const struct stage *stage = &pipeline->stages[view->stage];
    const struct class *class = placement->classes[stage->class_id];
    view->need = view->pods_needed = 0;
    view->free = class->free;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        const struct share *share = &placement->shares[at];
        bool comes = !pod_serves(&class->pods[share->pod]);
        view->need += comes ? share->milli : share->held;
        view->pods_needed += comes;
    }
}

static void settle_whole(struct placement *placement, struct pipeline *pipeline, unsigned state,
                         int64_t now_s)
{
    struct place_view *view = &pipeline->view;
    if (state & (STAGE_COMES | STAGE_HELD)) {
        /* Who is given a pod to come may have been led past what serves. */
        view->due |= state & STAGE_COMES && (state & STAGE_NEW || !waits_for_pods(view));
        if (view->phase != PLACE_SCALING) {
            view->deadline_s = now_s + longest_timeout(placement, pipeline);
            view->waiting_since_s = view->waiting_since_s ? view->waiting_since_s : now_s;
        }
        view->phase = PLACE_SCALING;
        tell_coming(placement, pipeline);
        view->reason = state & STAGE_COMES ? PLACE_WAITS_FOR_PODS : PLACE_WAITS_FOR_DRAIN;
        view->retry_s = 0;
        return;
    }
    *view = (struct place_view){
        .phase = PLACE_PLACED, .reason = PLACE_FITS, .stage = PLACE_NONE, .ran = true};
}

void phase_settle(struct placement *placement, uint32_t id, int64_t now_s)
{
    struct pipeline *pipeline = &placement->pipelines[id];
    if (!pipeline->admitted)
        return;
    unsigned state = 0;
    uint32_t lacking = PLACE_NONE, coming = PLACE_NONE, lined = 0;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        unsigned own = stage_state(placement, &pipeline->stages[at]);
        if (own & (STAGE_LACKS | STAGE_DRAINS) && lacking == PLACE_NONE)
            lacking = at;
        if (own && coming == PLACE_NONE)
            coming = at;
        lined |= (uint32_t)(own != 0) << at;
        state |= own;
    }
    state |= lined & ~pipeline->lined ? STAGE_NEW : 0;
    phase_line(placement, id, lacking != PLACE_NONE ? lacking : coming, lined);
    if (state & (STAGE_LACKS | STAGE_DRAINS)) {
        pipeline->view.phase = state & STAGE_DEAD ? PLACE_BROKEN : PLACE_DEGRADED;
        pipeline->view.deadline_s = 0;
    } else
        settle_whole(placement, pipeline, state, now_s);
    phase_changed(placement, id);
}

static int64_t pods_for(const struct class *class, int64_t need)
{
    int64_t lacks = class->spec.mode != PLACE_WEIGHTED ? need
                    : need > class->free               ? need - class->free
                                                       : 0;
    return (lacks + class->spec.capacity - 1) / class->spec.capacity;
}

bool phase_never(enum place_reason reason)
{
    return reason == PLACE_TOO_LARGE || reason == PLACE_TOO_LARGE_FOR_QUOTA;
}

struct place_view phase_lacking(const struct placement *placement, uint32_t id, uint32_t stage_at,
                                enum place_reason reason, int64_t now_s)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    const struct stage *stage = &pipeline->stages[stage_at];
    const struct class *class = placement->classes[stage->class_id];
    struct place_view view = pipeline->view;
    bool never = phase_never(reason);
    if (!pipeline->admitted)
        view.phase = never ? PLACE_REJECTED : PLACE_WAITING;
    view.reason = reason;
    view.stage = stage_at;
    view.due = false;
    view.need = stage->rate - stage->placed;
    view.free = class->free;
    view.pods_needed = (uint32_t)pods_for(class, view.need);
    /* A try that other's room brought is none of its own: the next one stays when it was to be. */
    bool by_time = view.attempts == 0 || (view.retry_s <= now_s && !never);
    int64_t pause = (int64_t)PLACE_BACKOFF_S << (view.attempts < 6 ? view.attempts : 6);
    pause = pause < PLACE_BACKOFF_S_MAX ? pause : PLACE_BACKOFF_S_MAX;
    if (never || by_time)
        view.retry_s = never ? 0 : now_s + pause;
    view.deadline_s = 0;
    if (view.attempts == 0)
        view.waiting_since_s = now_s;
    view.attempts += by_time && view.attempts < UINT32_MAX;
    return view;
}

void phase_wait(struct placement *placement, uint32_t id, uint32_t stage, enum place_reason reason,
                int64_t now_s)
{
    struct place_view view = phase_lacking(placement, id, stage, reason, now_s);
    phase_line(placement, id, stage, UINT32_C(1) << stage);
    placement->pipelines[id].view = view;
    phase_changed(placement, id);
}
