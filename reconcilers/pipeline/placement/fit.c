#include "reconcilers/pipeline/placement/state.h"

/* Pods that serve before pods that are to come, so that nothing waits that could run: also where
 * that is another zone, as one may be gone as a whole. */

static uint32_t zone_mask(uint32_t zone)
{
    return zone == PLACE_NONE ? SHELVES_ALL : SHELVES_ZONE(zone);
}

static uint32_t share_count(const struct placement *placement, const struct stage *stage)
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
static bool choose_planned(struct class *class, uint32_t mask, int64_t milli, uint32_t split,
                           struct choice *ret, uint32_t planned[PLACE_SPLIT_MAX],
                           uint32_t *ret_planned)
{
    while (*ret_planned < split) {
        uint32_t pod = state_plan(class);
        if (pod == PLACE_NONE)
            return false;
        planned[(*ret_planned)++] = pod;
        if (choose(class, mask, milli, split, ret))
            return true;
    }
    return false;
}

static void put(struct placement *placement, uint32_t id, uint32_t stage,
                const struct choice *choice)
{
    for (uint32_t at = 0; at < choice->count; at++)
        state_add(placement, id, stage, choice->pods[at], choice->milli[at]);
}

/* Shares of `milli` on at most `split` pods that serve; the stage's own may be among them. */
static bool place_serving(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
                          int64_t milli, uint32_t split)
{
    struct class *class = placement->classes[placement->pipelines[id].stages[stage].class_id];
    struct choice choice = {0};
    bool found = choose(class, SHELVES_READY & zone_mask(zone), milli, split, &choice);
    if (found)
        put(placement, id, stage, &choice);
    return found;
}

/* The same, or else on pods that are to come. */
static bool place(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
                  int64_t milli, uint32_t split)
{
    struct class *class = placement->classes[placement->pipelines[id].stages[stage].class_id];
    struct choice choice = {0};
    uint32_t planned[PLACE_SPLIT_MAX], count = 0;
    if (place_serving(placement, id, stage, zone, milli, split))
        return true;
    bool found = choose(class, zone_mask(zone), milli, split, &choice) ||
                 choose_planned(class, zone_mask(zone), milli, split, &choice, planned, &count);
    if (found)
        put(placement, id, stage, &choice);
    unplan(class, planned, count);
    return found;
}

/* Even parts in as many zones as the class asks for: first those that serve it now, lower ones
 * before; the larger parts come first. */
static bool place_zones(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct place_class *spec = &placement->classes[stage->class_id]->spec;
    uint32_t parts = spec->zones_min, done = 0, mark = placement->journal_count;
    bool filled[PLACE_ZONES_MAX] = {false};
    int64_t rate = stage->rate;
    if (parts == 1)
        return place(placement, id, stage_at, PLACE_NONE, rate, spec->split_max);
    for (uint32_t at = 0; at < 2 * PLACE_ZONES_MAX && done < parts; at++) {
        uint32_t zone = at % PLACE_ZONES_MAX, split = spec->split_max / parts;
        int64_t part = rate / parts + (done < rate % parts);
        if (filled[zone])
            continue;
        filled[zone] = part == 0 || (at < PLACE_ZONES_MAX
                                         ? place_serving(placement, id, stage_at, zone, part, split)
                                         : place(placement, id, stage_at, zone, part, split));
        done += filled[zone];
    }
    if (done == parts)
        return true;
    state_undo(placement, mark);
    return false;
}

/* The next zone behind *zone in which the stage has nothing; PLACE_NONE before the first. */
static bool next_zone_without(const struct placement *placement, const struct stage *stage,
                              uint32_t *zone)
{
    const struct class *class = placement->classes[stage->class_id];
    while (++*zone < PLACE_ZONES_MAX) {
        uint32_t at = stage->shares;
        while (at != PLACE_NONE && class->pods[placement->shares[at].pod].zone != *zone)
            at = placement->shares[at].stage_next;
        if (at == PLACE_NONE)
            return true;
    }
    return false;
}

/* A part that was in `zone`: there, or in a zone where the stage has nothing, or on pods that are
 * to come there. */
static bool place_part(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone,
                       int64_t milli, uint32_t split)
{
    uint32_t other = PLACE_NONE;
    if (place_serving(placement, id, stage, zone, milli, split))
        return true;
    while (zone != PLACE_NONE &&
           next_zone_without(placement, &placement->pipelines[id].stages[stage], &other))
        if (place_serving(placement, id, stage, other, milli, split))
            return true;
    return place(placement, id, stage, zone, milli, split);
}

/* The whole stage on other room; the old shares leave when the new ones serve. */
static bool place_anew(struct placement *placement, uint32_t id, uint32_t stage)
{
    uint32_t mark = placement->journal_count;
    state_clear(placement, id, stage, true);
    if (place_zones(placement, id, stage))
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
    int64_t count = share_count(placement, stage), rich = 0;
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

/* The lowest pod that is not there, and would come in `zone`. */
static uint32_t plan_in(struct class *class, uint32_t zone)
{
    uint32_t others[PLACE_ZONES_MAX], count = 0, pod = state_plan(class);
    while (pod != PLACE_NONE && zone != PLACE_NONE && class->pods[pod].zone != zone) {
        others[count++] = pod;
        pod = count < PLACE_ZONES_MAX ? state_plan(class) : PLACE_NONE;
    }
    unplan(class, others, count);
    return pod;
}

/* Another pod that serves, chosen as place_part() chooses. */
static uint32_t serving_pod(const struct placement *placement, const struct stage *stage,
                            uint32_t zone, int64_t milli)
{
    uint32_t other = PLACE_NONE,
             pod = fit_other_pod(placement, stage, SHELVES_READY & zone_mask(zone), milli);
    while (pod == PLACE_NONE && zone != PLACE_NONE && next_zone_without(placement, stage, &other))
        pod = fit_other_pod(placement, stage, SHELVES_READY & zone_mask(other), milli);
    return pod;
}

/* One pod more, if that keeps the parts equal: what a lost one leaves behind. */
static bool one_more(struct placement *placement, uint32_t id, uint32_t stage_at, uint32_t zone)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    struct class *class = placement->classes[stage->class_id];
    int64_t milli = stage->rate - stage->placed, count = share_count(placement, stage) + 1;
    if (count > class->spec.split_max || milli < stage->rate / count ||
        milli > (stage->rate + count - 1) / count)
        return false;
    uint32_t pod = serving_pod(placement, stage, zone, milli);
    if (pod == PLACE_NONE)
        pod = fit_other_pod(placement, stage, zone_mask(zone), milli);
    if (pod == PLACE_NONE && milli <= class->spec.capacity)
        pod = plan_in(class, zone);
    if (pod != PLACE_NONE)
        state_add(placement, id, stage_at, pod, milli);
    return pod != PLACE_NONE;
}

static bool more_equal(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone)
{
    return (zone == PLACE_NONE && level(placement, &placement->pipelines[id].stages[stage])) ||
           one_more(placement, id, stage, zone);
}

/* First all room on its own pods, lest it be found again, then other pods. */
static bool more_weighted(struct placement *placement, uint32_t id, uint32_t stage_at,
                          uint32_t zone)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct class *class = placement->classes[stage->class_id];
    uint32_t mark = placement->journal_count, count = share_count(placement, stage);
    for (uint32_t at = stage->shares; at != PLACE_NONE && zone == PLACE_NONE;
         at = placement->shares[at].stage_next) {
        const struct share *share = &placement->shares[at];
        int64_t room = pod_room(&class->pods[share->pod]), lacks = stage->rate - stage->placed;
        if (room > 0 && lacks > 0)
            state_add(placement, id, stage_at, share->pod, room < lacks ? room : lacks);
    }
    int64_t lacks = stage->rate - stage->placed;
    if (lacks == 0 ||
        (count < class->spec.split_max &&
         place_part(placement, id, stage_at, zone, lacks, class->spec.split_max - count)))
        return true;
    state_undo(placement, mark);
    return false;
}

static bool more_whole(struct placement *placement, uint32_t id, uint32_t stage, uint32_t zone)
{
    (void)zone;
    return level(placement, &placement->pipelines[id].stages[stage]);
}

bool fit_stage(struct placement *placement, uint32_t id, uint32_t stage_at, uint32_t zone)
{
    static bool (*const more[])(struct placement *, uint32_t, uint32_t, uint32_t) = {
        [PLACE_WEIGHTED] = more_weighted, [PLACE_EQUAL] = more_equal, [PLACE_WHOLE] = more_whole};
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct place_class *spec = &placement->classes[stage->class_id]->spec;
    if (stage->placed == stage->rate)
        return true;
    bool anywhere = spec->zones_min == 1;
    if (stage->shares != PLACE_NONE && (anywhere || zone != PLACE_NONE) &&
        more[spec->mode](placement, id, stage_at, anywhere ? PLACE_NONE : zone))
        return true;
    return place_anew(placement, id, stage_at);
}

/* The highest pod's share: it is to become empty. Where zones matter it is that of the zone that
 * has most, and no more than its part, so that the stage stays in all of them. */
static uint32_t share_to_shrink(const struct placement *placement, const struct stage *stage,
                                int64_t *ret_most)
{
    const struct class *class = placement->classes[stage->class_id];
    int64_t sums[PLACE_ZONES_MAX] = {0}, parts = 0;
    uint32_t fullest = 0, last = PLACE_NONE;
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        const struct share *share = &placement->shares[at];
        uint32_t zone = class->spec.zones_min > 1 ? class->pods[share->pod].zone : 0;
        parts += sums[zone] == 0;
        sums[zone] += share->milli;
        fullest = sums[zone] > sums[fullest] ? zone : fullest;
    }
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        const struct share *share = &placement->shares[at];
        bool counts = class->spec.zones_min == 1 || class->pods[share->pod].zone == fullest;
        if (counts && (last == PLACE_NONE || share->pod > placement->shares[last].pod))
            last = at;
    }
    int64_t milli = placement->shares[last].milli;
    int64_t over = sums[fullest] - stage->rate / (parts ? parts : 1); /* it has a share */
    *ret_most = over < milli ? over : milli;
    return last;
}

void fit_shrink(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct place_class *spec = &placement->classes[stage->class_id]->spec;
    if (spec->mode == PLACE_EQUAL && stage->shares != PLACE_NONE && spec->zones_min == 1) {
        level(placement, stage); /* shrinking finds room: shares are a milli apart at most */
        return;
    }
    while (stage->placed > stage->rate) {
        int64_t over = stage->placed - stage->rate, most;
        uint32_t share = share_to_shrink(placement, stage, &most);
        state_take(placement, share, over < most ? over : most, true);
    }
}

uint32_t fit_all(struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    uint32_t done = 0;
    for (uint32_t count = 0; count < pipeline->stage_count; count++) {
        uint32_t largest = PLACE_NONE;
        for (uint32_t at = 0; at < pipeline->stage_count; at++)
            if (!(done >> at & 1) && (largest == PLACE_NONE ||
                                      pipeline->stages[at].rate > pipeline->stages[largest].rate))
                largest = at;
        if (!fit_stage(placement, id, largest, PLACE_NONE))
            return largest;
        done |= UINT32_C(1) << largest;
    }
    return PLACE_NONE;
}

bool fit_move(struct placement *placement, uint32_t share)
{
    struct share from = placement->shares[share];
    uint32_t zone = placement->classes[from.class_id]->pods[from.pod].zone;
    uint32_t mark = placement->journal_count;
    state_take(placement, share, from.milli, true);
    if (fit_stage(placement, from.pipeline, from.stage, zone))
        return true;
    state_undo(placement, mark);
    return false;
}
