/* Properties of who has a right to room: P11, quotas, and what is lent. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/properties_zones.h"

/* With what `low` has there, is there room in each zone for a stage of the same class that asks for
 * no more? Equal parts ask for the larger part on each pod (P5); who has one milli less on one may
 * sit where another cannot come. */
static inline bool leaves_enough(const struct step *step, const struct seen_stage *low,
                                 const struct seen_stage *high)
{
    uint32_t zones = low->class_id == 2 ? 1 : step->world->shape.zones;
    int64_t has[PLACE_ZONES_MAX] = {0};
    if (zones > 1 && !is_spread(step, step->now, low))
        return false;
    for (uint32_t pod = 0; pod < PODS; pod++) {
        int64_t room = step->now->pods[low->class_id][pod].pod.capacity -
                       step->now->pods[low->class_id][pod].used -
                       step->now->pods[low->class_id][pod].leaving + low->on[pod];
        if (low->on[pod])
            has[zones > 1 ? step->now->pods[low->class_id][pod].pod.zone : 0] += room;
        if (low->class_id == 1 && low->on[pod] && room * low->count < high->rate + low->count - 1)
            return false;
    }
    for (uint32_t zone = 0; zone < PLACE_ZONES_MAX; zone++)
        if (has[zone] > 0 && has[zone] < (high->rate + zones - 1) / zones)
            return false;
    return low->count <= step->world->shape.split / zones * zones;
}

/* Could the one have what the other one has? Stage by stage, each in a class of its own. */
static inline bool could_replace(const struct step *step, const struct seen_pipeline *high,
                                 const struct seen_pipeline *low)
{
    for (uint32_t at = 0; at < high->stage_count; at++) {
        bool found = false;
        for (uint32_t other = 0; other < low->stage_count && !found; other++)
            found = high->stages[at].class_id == low->stages[other].class_id &&
                    high->stages[at].rate <= low->stages[other].rate &&
                    leaves_enough(step, &low->stages[other], &high->stages[at]);
        if (!found || (at > 0 && high->stages[at].class_id == high->stages[0].class_id))
            return false;
    }
    return true;
}

/* What the pipeline's tenant would use, with it, beyond what is its own; 0 or less = nothing. */
static inline int64_t beyond(const struct step *step, const struct seen_pipeline *pipeline,
                             uint32_t class_id)
{
    const struct place_quota *quota = &step->now->quotas[pipeline->tenant][class_id];
    int64_t used = charged(step->now, pipeline->tenant, class_id);
    if (quota->nominal == INT64_MAX)
        return 0;
    return used + (holds_room(pipeline) ? 0 : asked(pipeline, class_id)) - quota->nominal;
}

static inline bool borrows(const struct step *step, const struct seen_pipeline *pipeline)
{
    bool found = false;
    for (uint32_t at = 0; at < pipeline->stage_count; at++) {
        uint32_t class_id = pipeline->stages[at].class_id;
        found |= step->now->quotas[pipeline->tenant][class_id].borrow > 0 &&
                 beyond(step, pipeline, class_id) > 0;
    }
    return found;
}

/* Has `low` of some class, by itself, more than is its tenant's, and is what `high` asks for there
 * its tenant's own? */
static inline bool is_owed(const struct step *step, const struct seen_pipeline *high,
                           const struct seen_pipeline *low)
{
    for (uint32_t at = 0; at < high->stage_count && high->tenant != low->tenant; at++) {
        uint32_t class_id = high->stages[at].class_id;
        const struct place_quota *lender = &step->now->quotas[high->tenant][class_id],
                                 *borrower = &step->now->quotas[low->tenant][class_id];
        if (high->stages[at].rate > 0 && lender->nominal < INT64_MAX &&
            beyond(step, high, class_id) <= 0 && borrower->borrow > 0 &&
            asked(low, class_id) > borrower->nominal)
            return true;
    }
    return false;
}

/* Who waits for room while the other one runs, and displaces whom it may. */
static inline bool is_in_front(const struct step *step, const struct seen_pipeline *high,
                               const struct seen_pipeline *low)
{
    return high->view.phase == PLACE_WAITING && high->view.reason == PLACE_NO_CAPACITY &&
           low->view.phase == PLACE_PLACED && !borrows(step, high);
}

/* P11: in the calm no lower one runs while one of higher priority, that asks for no more, lacks
 * room; but who borrows displaces nobody. */
static inline bool by_priority(const struct step *step)
{
    for (uint32_t at = 0; is_a(step, OP_CALM) && at < PIPELINES * PIPELINES; at++) {
        const struct seen_pipeline *high = &step->now->pipelines[at / PIPELINES],
                                   *low = &step->now->pipelines[at % PIPELINES];
        if (!is_in_front(step, high, low) || high->priority <= low->priority)
            continue;
        ++*step->checks;
        if (could_replace(step, high, low))
            return false;
    }
    return true;
}

/* Of what it lends or lent: had the tenant of who was displaced borrowed in a class of the other?
 */
static inline bool had_borrowed(const struct step *step, const struct seen_pipeline *victim,
                                const struct seen_pipeline *newcomer)
{
    for (uint32_t at = 0; at < newcomer->stage_count; at++) {
        uint32_t class_id = newcomer->stages[at].class_id;
        const struct place_quota *quota = &step->before->quotas[victim->tenant][class_id];
        if (quota->borrow > 0 && asked(victim, class_id) > 0 &&
            charged(step->before, victim->tenant, class_id) > quota->nominal)
            return victim->tenant != newcomer->tenant;
    }
    return false;
}

/* A newcomer displaces who is less important, or has borrowed; none that borrows itself. */
static inline bool displaces_rightly(const struct step *step)
{
    const struct seen_pipeline *newcomer = &step->now->pipelines[step->op->a % PIPELINES];
    for (uint32_t id = 0; id < PIPELINES; id++) {
        const struct seen_pipeline *victim = &step->now->pipelines[id];
        if (!holds_room(&step->before->pipelines[id]) || holds_room(victim))
            continue;
        ++*step->checks;
        if (borrows(step, newcomer) ||
            (victim->priority >= newcomer->priority && !had_borrowed(step, victim, newcomer)))
            return false;
    }
    return true;
}

/* P11 goes for who has borrowed, too, while one of who has lent it, of whatever priority, lacks
 * room. */
static inline bool is_given_back(const struct step *step)
{
    if (is_a(step, OP_ADMIT) || is_a(step, OP_ADMIT_MORE))
        return displaces_rightly(step);
    for (uint32_t at = 0; is_a(step, OP_CALM) && at < PIPELINES * PIPELINES; at++) {
        const struct seen_pipeline *high = &step->now->pipelines[at / PIPELINES],
                                   *low = &step->now->pipelines[at % PIPELINES];
        if (!is_in_front(step, high, low) || !is_owed(step, high, low))
            continue;
        ++*step->checks;
        if (could_replace(step, high, low))
            return false;
    }
    return true;
}

/* Nobody gets more than its quota and what it may borrow; one that is made smaller takes nothing.
 */
static inline bool within_quota(const struct step *step)
{
    for (uint32_t at = 0; at < TENANTS * CLASSES; at++) {
        uint32_t tenant = at / CLASSES, class_id = at % CLASSES;
        const struct place_quota *quota = &step->now->quotas[tenant][class_id];
        int64_t now = charged(step->now, tenant, class_id);
        if (now == 0 || quota->nominal == INT64_MAX)
            continue;
        ++*step->checks;
        if (now > quota->nominal + quota->borrow && now > charged(step->before, tenant, class_id))
            return false;
    }
    return true;
}

/* What is borrowed is what others leave unused: with one that got more than is its tenant's, all
 * have no more than is theirs together. In a tick others may come after it. */
static inline bool is_lent_of_unused(const struct step *step)
{
    for (uint32_t at = 0; !is_a(step, OP_TICK) && !is_a(step, OP_CALM) && at < TENANTS * CLASSES;
         at++) {
        uint32_t own = at / CLASSES, class_id = at % CLASSES;
        int64_t now = charged(step->now, own, class_id), left = 0;
        if (now <= step->now->quotas[own][class_id].nominal ||
            now <= charged(step->before, own, class_id))
            continue;
        for (uint32_t tenant = 0; tenant < TENANTS; tenant++)
            if (step->now->quotas[tenant][class_id].nominal < INT64_MAX)
                left += step->now->quotas[tenant][class_id].nominal -
                        charged(step->now, tenant, class_id);
        ++*step->checks;
        if (left < 0)
            return false;
    }
    return true;
}
