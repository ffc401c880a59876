/* A stage in even parts in several zones; in equal parts on as many pods in each, for a Service
 * knows of no zones. */
#include "reconcilers/pipeline/placement/fit.h"

struct zones {
    uint32_t used, pods[PLACE_ZONES_MAX];
    int64_t has[PLACE_ZONES_MAX], part[PLACE_ZONES_MAX]; /* part: of the rate */
};

/* One milli more for zones that have more than `even` (order 1), less (-1), as much (0), as long as
 * there are some; returns how many are left. */
static int64_t hand_out(struct zones *zones, int64_t odd, int64_t even, int order)
{
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++) {
        int own = (zones->has[zone] > even) - (zones->has[zone] < even);
        if (odd <= 0 || zones->pods[zone] == 0 || own != order)
            continue;
        zones->part[zone]++;
        odd--;
    }
    return odd;
}

/* What the stage has in each zone and is to have. Odd millis are to be where they are, or where
 * something lacks, or where it is not yet. */
static struct zones zones_of(const struct placement *placement, const struct stage *stage)
{
    const struct class *class = placement->classes[stage->class_id];
    struct zones zones = {0};
    for (uint32_t at = stage->shares; at != PLACE_NONE; at = placement->shares[at].stage_next) {
        uint32_t zone = class->pods[placement->shares[at].pod].zone;
        zones.used += zones.pods[zone] == 0;
        zones.pods[zone]++;
        zones.has[zone] += placement->shares[at].milli;
    }
    uint32_t parts = zones.used > class->spec.zones_min ? zones.used : class->spec.zones_min;
    int64_t even = stage->rate / parts, odd = stage->rate % parts;
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++)
        zones.part[zone] = zones.pods[zone] > 0 ? even : 0;
    odd = hand_out(&zones, odd, even, 1);
    odd = hand_out(&zones, odd, even, -1);
    hand_out(&zones, odd - (parts - zones.used), even, 0);
    return zones;
}

/* A part in each of `parts` zones, lower ones first; the larger parts come first. */
static bool lay(struct placement *placement, uint32_t id, uint32_t stage_at, struct want want,
                enum reach reach)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    uint32_t parts = placement->classes[stage->class_id]->spec.zones_min, done = 0;
    uint32_t mark = placement->journal_count;
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX && done < parts; zone++) {
        want.milli = stage->rate / parts + (done < stage->rate % parts);
        done += want.milli == 0 || fit_place(placement, id, stage_at, zone, &want, reach);
    }
    if (done == parts)
        return true;
    state_undo(placement, mark);
    return false;
}

/* Equal parts: the fewest pods per zone, or, to spread, the most. */
bool zones_place(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    const struct place_class *spec = &placement->classes[stage->class_id]->spec;
    uint32_t split = spec->split_max / spec->zones_min;
    for (enum reach reach = REACH_READY; reach <= REACH_PLANNED; reach++) {
        if (spec->mode != PLACE_EQUAL &&
            lay(placement, id, stage_at, (struct want){.split = split}, reach))
            return true;
        for (uint32_t nth = 1; spec->mode == PLACE_EQUAL && nth <= split; nth++) {
            uint32_t k = spec->policy == PLACE_SPREAD ? split + 1 - nth : nth;
            if (lay(placement, id, stage_at, (struct want){.split = k, .least = k}, reach))
                return true;
        }
    }
    return false;
}

/* As many pods in each zone, and in as many zones as there are to be. */
bool zones_are_even(const struct placement *placement, const struct stage *stage)
{
    struct zones zones = zones_of(placement, stage);
    uint32_t most = 0, pods = fit_share_count(placement, stage);
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++)
        most = zones.pods[zone] > most ? zones.pods[zone] : most;
    return zones.used >= placement->classes[stage->class_id]->spec.zones_min &&
           most * zones.used == pods;
}

/* Equal parts: where a lost pod leaves fewer than the others have. */
bool zones_one_more(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    struct zones zones = zones_of(placement, stage);
    uint32_t most = 0, mark = placement->journal_count;
    uint32_t zones_min = placement->classes[stage->class_id]->spec.zones_min;
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++)
        most = zones.pods[zone] > most ? zones.pods[zone] : most;
    for (enum reach reach = REACH_READY; reach <= REACH_PLANNED; reach++)
        for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++) {
            bool wanted =
                zones.pods[zone] > 0 ? zones.pods[zone] < most : zones.used + 1 == zones_min;
            if (wanted && fit_one_more(placement, id, stage_at, zone, reach) &&
                zones_are_even(placement, stage))
                return true;
            state_undo(placement, mark);
        }
    return false;
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Parts in zones that the stage is not in: those that serve it now come first, as one that it lost
 * may be gone as a whole. `given`: the parts of the others. */
static bool zones_new(struct placement *placement, uint32_t id, uint32_t stage_at,
                      const struct zones *zones, int64_t given)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    uint32_t zones_min = placement->classes[stage->class_id]->spec.zones_min, used = zones->used;
    bool taken[PLACE_ZONES_MAX] = {false};
    for (uint32_t at = 0; at < (REACH_PLANNED + 1) * PLACE_ZONES_MAX && used < zones_min; at++) {
        uint32_t zone = at % PLACE_ZONES_MAX;
        int64_t rest = zones_min - used, part = (stage->rate - given + rest - 1) / rest;
        part = lesser(part, stage->rate - stage->placed);
        taken[zone] = taken[zone] || zones->pods[zone] > 0;
        if (taken[zone] ||
            !fit_beside(placement, id, stage_at, zone, part, (enum reach)(at / PLACE_ZONES_MAX)))
            continue;
        taken[zone] = true;
        given += part;
        used++;
    }
    return stage->placed == stage->rate;
}

/* What a zone lacks of its part, in place and beside; then parts in zones that it is not in. */
bool zones_more(struct placement *placement, uint32_t id, uint32_t stage_at)
{
    const struct stage *stage = &placement->pipelines[id].stages[stage_at];
    struct zones zones = zones_of(placement, stage);
    uint32_t mark = placement->journal_count;
    int64_t given = 0;
    bool fits = true;
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX && fits; zone++) {
        int64_t lacks = lesser(zones.part[zone] - zones.has[zone], stage->rate - stage->placed);
        given += zones.part[zone];
        fits = lacks <= 0 || fit_beside(placement, id, stage_at, zone, lacks, REACH_PLANNED);
    }
    if (fits && zones_new(placement, id, stage_at, &zones, given))
        return true;
    state_undo(placement, mark);
    return false;
}

/* The zone that has most beyond its part; *ret_over: how much. */
uint32_t zones_fullest(const struct placement *placement, const struct stage *stage,
                       int64_t *ret_over)
{
    struct zones zones = zones_of(placement, stage);
    uint32_t fullest = PLACE_NONE;
    *ret_over = 0;
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++)
        if (zones.has[zone] - zones.part[zone] > *ret_over) {
            fullest = zone;
            *ret_over = zones.has[zone] - zones.part[zone];
        }
    return fullest;
}
