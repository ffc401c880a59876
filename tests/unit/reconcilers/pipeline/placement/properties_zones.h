/* What is where, zone by zone: P2 in a class that minds. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/property.h"

/* Of a stage's zones, or pods: the least and the most that one has. */
struct span {
    int64_t least, most;
};

static inline struct span span_of(const int64_t *values, uint32_t count, bool with_zero)
{
    struct span span = {INT64_MAX, 0};
    for (uint32_t at = 0; at < count; at++) {
        bool counts = with_zero || values[at] > 0;
        span.least = counts && values[at] < span.least ? values[at] : span.least;
        span.most = values[at] > span.most ? values[at] : span.most;
    }
    return span;
}

/* What the stage has in each zone, in each zone that it is in, and on how many pods of it. */
struct zones_seen {
    uint32_t used;
    int64_t has[PLACE_ZONES_MAX], pods[PLACE_ZONES_MAX];
};

static inline struct zones_seen zones_seen(const struct seen *seen, const struct seen_stage *stage)
{
    struct zones_seen zones = {0};
    for (uint32_t pod = 0; pod < PODS; pod++) {
        uint32_t zone = seen->pods[stage->class_id][pod].pod.zone;
        zones.used += stage->on[pod] > 0 && zones.pods[zone] == 0;
        zones.pods[zone] += stage->on[pod] > 0;
        zones.has[zone] += stage->on[pod];
    }
    return zones;
}

/* In each zone the same, a milli more or less; of equal parts as many in each. */
static inline bool is_spread(const struct step *step, const struct seen *seen,
                             const struct seen_stage *stage)
{
    struct zones_seen zones = zones_seen(seen, stage);
    bool equal = stage->class_id == 1;
    struct span span = span_of(equal ? zones.pods : zones.has, PLACE_ZONES_MAX, false);
    return (zones.used == step->world->shape.zones && span.most - span.least <= (equal ? 0 : 1)) ||
           span_of(stage->on, PODS, false).most <= 1;
}

/* It was not spread, or it lacked something when its rate was changed: what serves it stays. */
static inline bool was_uneven(const struct step *step, uint32_t id, uint32_t at)
{
    const struct seen_pipeline *former_self = former(step, id);
    const struct seen_stage *now = &step->now->pipelines[id].stages[at];
    const struct seen_stage *was = &former_self->stages[at];
    if (former_self->view.phase == PLACE_UNKNOWN || at >= former_self->stage_count ||
        was->class_id != now->class_id || sum_of(was) == 0)
        return false;
    if (sum_of(was) == was->rate)
        return !is_spread(step, step->before, was);
    struct zones_seen zones = zones_seen(step->before, was);
    uint32_t parts = step->world->shape.zones;
    int64_t even = was->rate / parts, odd = was->rate % parts; /* so many may have one more */
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++)
        odd -= zones.has[zone] > even;
    return is_a(step, OP_RATE) || is_a(step, OP_REDRAW) || odd < 0 || zones.used > parts ||
           span_of(zones.has, PLACE_ZONES_MAX, true).most > even + 1;
}

/* Zones: who is whole is in even parts in each. */
static inline bool in_zones(const struct step *step)
{
    if (step->world->shape.zones == 1)
        return true;
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *stage = &step->now->pipelines[id].stages[at];
        if (stage->class_id == 2 || stage->rate == 0 || sum_of(stage) < stage->rate)
            continue;
        if (!is_spread(step, step->now, stage) && !was_uneven(step, id, at))
            return false;
        ++*step->checks;
    }
    return true;
}
