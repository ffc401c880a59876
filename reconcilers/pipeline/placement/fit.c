#include "reconcilers/pipeline/placement/fit.h"

/* Pods that serve before pods that are to come, so that nothing waits that could run. By reach;
 * what is planned beyond has no shelf yet. */
static const uint32_t tiers[] = {[REACH_READY] = SHELVES_READY, [REACH_COMING] = SHELVES_ALL};
enum { TIERS = sizeof tiers / sizeof tiers[0] };

static uint32_t zone_mask(uint32_t zone)
{
    return zone == PLACE_NONE ? SHELVES_ALL : SHELVES_ZONE(zone);
}

uint32_t fit_share_count(const struct placement *placement, const struct stage *stage)
{
    uint32_t count = 0;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next)
        count++;
    return count;
}

static void unplan(struct class *class, const uint32_t *pods, uint32_t count)
{
    for (uint32_t at = 0; at < count; at++)
        if (class->pods[pods[at]].used == 0)
            state_pod(class, pods[at], POD_ABSENT, 0, 0);
}

/* As few more pods as it takes, one after the other: more than `split` cannot help. *ret_planned of
 * them. */
static bool choose_planned(struct class *class, uint32_t zone, const struct want *want,
                           struct choice *ret, uint32_t planned[PLACE_SPLIT_MAX],
                           uint32_t *ret_planned)
{
    while (*ret_planned < want->split) {
        uint32_t pod = state_plan(class, zone);
        if (pod == PLACE_NONE)
            return false;
        planned[(*ret_planned)++] = pod;
        if (choose(class, zone_mask(zone), want, ret))
            return true;
    }
    return false;
}

bool fit_place(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
               const struct want *want, enum reach reach)
{
    struct class *class = placement->classes[placement->pipelines[id].stages[stage].class_id];
    struct choice choice = {0};
    uint32_t planned[PLACE_SPLIT_MAX], count = 0;
    bool found = false;
    reach = placement->serving ? REACH_READY : reach;
    for (int tier = 0; tier < TIERS && tier <= (int)reach && !found; tier++)
        found = choose(class, tiers[tier] & zone_mask(zone), want, &choice);
    if (!found && reach == REACH_PLANNED)
        found = choose_planned(class, zone, want, &choice, planned, &count);
    for (uint32_t at = 0; found && at < choice.count; at++)
        state_add(placement, id, stage, choice.pods[at], choice.milli[at]);
    unplan(class, planned, count);
    return found;
}

/* The whole stage where there is room, in as many zones as the class asks for. */
static bool place(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct place_class *spec = &placement->classes[stage->class_id]->spec;
    const struct want want = {.milli = stage->rate, .split = spec->split_max};
    return spec->zones_min > 1
               ? zones_place(placement, id, stage_at)
               : fit_place(placement, id, stage_at, PLACE_NONE, &want, REACH_PLANNED);
}

/* The whole stage on other room; the old shares leave when the new ones serve. */
static bool place_anew(struct placement *placement, uint32_t id, uint32_t stage)
{
    uint32_t mark = placement->journal_count;
    state_clear(placement, id, stage, true);
    if (place(placement, id, stage))
        return true;
    state_undo(placement, mark);
    return false;
}

/* Hands out equal parts; the odd millis go to shares that have more already, so that shrinking only
 * takes. */
struct evener {
    int64_t part, odd[2]; /* odd: left for poor and for rich shares */
};

static struct evener evener_of(const struct placement *placement, const struct stage *stage)
{
    int64_t count = fit_share_count(placement, stage), rich = 0;
    int64_t part = stage->rate / count, odd = stage->rate % count;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next)
        rich += placement->shares[at].milli > part;
    int64_t for_rich = odd < rich ? odd : rich;
    return (struct evener){part, {odd - for_rich, for_rich}};
}

/* What the next share gets more. */
static int64_t evener_next(struct evener *evener, int64_t milli)
{
    int64_t *odd = &evener->odd[milli > evener->part];
    int64_t extra = *odd > 0;
    *odd -= extra;
    return evener->part + extra - milli;
}

/* Equal parts on the pods that the stage has. */
static bool level(struct placement *placement, const struct stage *stage)
{
    const struct class *class = placement->classes[stage->class_id];
    struct evener look = evener_of(placement, stage), even = look;
    uint32_t next;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        const struct share *share = &placement->shares[at];
        int64_t more = evener_next(&look, share->milli);
        if (more > 0 && more > pod_room(&class->pods[share->pod]))
            return false;
    }
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = next) {
        struct share share = placement->shares[at];
        int64_t more = evener_next(&even, share.milli);
        next = share.stage_next;
        if (more > 0)
            state_add(placement, share.pipeline, share.stage, share.pod, more);
        else if (more < 0)
            state_take(placement, at, -more, true);
    }
    return true;
}

uint32_t fit_other_pod(const struct placement *placement, const struct stage *stage, uint32_t mask,
                       int64_t milli)
{
    const struct class *class = placement->classes[stage->class_id];
    uint32_t at = choose_ceiling(class, mask, milli, 0);
    while (at != PLACE_NONE && state_share(placement, stage, at) != PLACE_NONE)
        at = choose_ceiling(class, mask, class->nodes[at].room, at + 1);
    return at;
}

bool fit_one_more(struct placement *placement, uint32_t id, uint32_t stage_at, uint32_t zone,
                  enum reach reach)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    struct class *class = placement->classes[stage->class_id];
    int64_t milli = stage->rate - stage->placed, count = fit_share_count(placement, stage) + 1;
    uint32_t pod = PLACE_NONE;
    reach = placement->serving ? REACH_READY : reach;
    if (count > class->spec.split_max || milli < stage->rate / count ||
        milli > (stage->rate + count - 1) / count)
        return false;
    for (int tier = 0; tier < TIERS && tier <= (int)reach && pod == PLACE_NONE; tier++)
        pod = fit_other_pod(placement, stage, tiers[tier] & zone_mask(zone), milli);
    if (pod == PLACE_NONE && reach == REACH_PLANNED && milli <= class->spec.capacity)
        pod = state_plan(class, zone);
    if (pod != PLACE_NONE)
        state_add(placement, id, stage_at, pod, milli);
    return pod != PLACE_NONE;
}

static bool more_equal(struct placement *placement, uint32_t id, uint32_t stage)
{
    const struct stage *own = &placement->pipelines[id].stages[stage];
    if (placement->classes[own->class_id]->spec.zones_min > 1)
        return (zones_are_even(placement, own) && level(placement, own)) ||
               zones_one_more(placement, id, stage);
    return level(placement, own) || fit_one_more(placement, id, stage, PLACE_NONE, REACH_PLANNED);
}

/* First all room on its own pods, lest it be found again, then other pods. */
bool fit_beside(struct placement *placement, uint32_t id, uint32_t stage_at, uint32_t zone,
                int64_t lacks, enum reach reach)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct class *class = placement->classes[stage->class_id];
    uint32_t mark = placement->journal_count, count = fit_share_count(placement, stage);
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        const struct pod *pod = &class->pods[placement->shares[at].pod];
        int64_t room = pod_room(pod), more = room < lacks ? room : lacks;
        if (more == 0 || (zone != PLACE_NONE && pod->zone != zone))
            continue;
        state_add(placement, id, stage_at, placement->shares[at].pod, more);
        lacks -= more;
    }
    const struct want want = {.milli = lacks, .split = class->spec.split_max - count};
    if (lacks == 0 ||
        (count < class->spec.split_max && fit_place(placement, id, stage_at, zone, &want, reach)))
        return true;
    state_undo(placement, mark);
    return false;
}

static bool more_weighted(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    if (placement->classes[stage->class_id]->spec.zones_min > 1)
        return zones_more(placement, id, stage_at);
    return fit_beside(placement, id, stage_at, PLACE_NONE, stage->rate - stage->placed,
                      REACH_PLANNED);
}

static bool more_whole(struct placement *placement, uint32_t id, uint32_t stage)
{
    return level(placement, &placement->pipelines[id].stages[stage]);
}

bool fit_rest(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    static bool (*const more[])(struct placement *, uint32_t, uint32_t) = {
        [PLACE_WEIGHTED] = more_weighted, [PLACE_EQUAL] = more_equal, [PLACE_WHOLE] = more_whole};
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    enum place_mode mode = placement->classes[stage->class_id]->spec.mode;
    return stage->shares != PLACE_NONE ? more[mode](placement, id, stage_at)
                                       : place(placement, id, stage_at);
}

bool fit_stage(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    return stage->placed == stage->rate || fit_rest(placement, id, stage_at) ||
           (stage->shares != PLACE_NONE && place_anew(placement, id, stage_at));
}

/* The highest pod's share, of those in `zone`; PLACE_NONE = none. */
static uint32_t last_share(const struct placement *placement, const struct stage *stage,
                           uint32_t zone)
{
    const struct class *class = placement->classes[stage->class_id];
    uint32_t last = PLACE_NONE;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next)
        if (zone == PLACE_NONE || class->pods[placement->shares[at].pod].zone == zone)
            last = at; /* they stand in that order */
    return last;
}

void fit_shrink(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct place_class *spec = &placement->classes[stage->class_id]->spec;
    if (spec->mode == PLACE_EQUAL && stage->shares != PLACE_NONE && level(placement, stage))
        return; /* it finds room where shares are a milli apart at most: not of another mode before
                 */
    while (stage->placed > stage->rate) {
        int64_t over = stage->placed - stage->rate, most = over;
        uint32_t zone = spec->zones_min > 1 ? zones_fullest(placement, stage, &most) : PLACE_NONE;
        uint32_t last = last_share(placement, stage, zone);
        int64_t milli = placement->shares[last].milli;
        most = most < over ? most : over;
        state_take(placement, last, most < milli ? most : milli, true);
    }
}

uint32_t fit_each_of(struct placement *placement, uint32_t id,
                     bool (*fit)(struct placement *, uint32_t, uint32_t))
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t done = 0;
    for (uint32_t count = 0; count < pipeline->stage_count; count++) {
        uint32_t largest = PLACE_NONE;
        for (uint32_t at = 0; at < pipeline->stage_count; at++)
            if (!(done >> at & 1) && (largest == PLACE_NONE ||
                                      pipeline->stages[at].rate > pipeline->stages[largest].rate))
                largest = at;
        if (!fit(placement, id, largest))
            return largest;
        done |= UINT32_C(1) << largest;
    }
    return PLACE_NONE;
}

uint32_t fit_all(struct placement *placement, uint32_t id)
{
    return fit_each_of(placement, id, fit_stage);
}

bool fit_move(struct placement *placement, uint32_t share)
{
    struct share from = placement->shares[share];
    uint32_t mark = placement->journal_count;
    state_take(placement, share, from.milli, true);
    if (fit_stage(placement, from.pipeline, from.stage))
        return true;
    state_undo(placement, mark);
    return false;
}
