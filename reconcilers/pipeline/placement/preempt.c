#include "reconcilers/pipeline/placement/quota.h"

/* Who may have to go, in the order in which they are asked: the least important first. */
struct victims {
    uint32_t count;
    uint32_t ids[PLACE_VICTIMS_MAX];
    uint32_t shares[PLACE_VICTIMS_MAX];
    bool goes[PLACE_VICTIMS_MAX];
};

static bool lacks(const struct pipeline *pipeline, uint32_t class_id)
{
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        if (pipeline->stages[at].class_id == class_id &&
            pipeline->stages[at].placed < pipeline->stages[at].rate)
            return true;
    return false;
}

/* Shares that it has in classes that the other one lacks. */
static uint32_t useful_shares(const struct placement *placement, const struct pipeline *victim,
                              const struct pipeline *for_whom)
{
    uint32_t count = 0;
    for (uint32_t stage = 0; stage < victim->stage_count; stage++)
        if (lacks(for_whom, victim->stages[stage].class_id))
            for (uint32_t at = victim->stages[stage].shares; at != PLACE_NONE;
                 at = placement->shares[at].stage_next)
                count++;
    return count;
}

/* Lowest priority, then fewest shares, then youngest. */
static bool is_lesser(const struct placement *placement, uint32_t a, uint32_t a_shares, uint32_t b,
                      uint32_t b_shares)
{
    const struct pipeline *one = &placement->pipelines[a], *other = &placement->pipelines[b];
    if (one->priority != other->priority)
        return one->priority < other->priority;
    return a_shares != b_shares ? a_shares < b_shares : one->age > other->age;
}

/* Keeps the list sorted; the most important falls out when it is full. */
static void victims_insert(const struct placement *placement, struct victims *victims, uint32_t id,
                           uint32_t shares)
{
    uint32_t at = victims->count;
    if (at == PLACE_VICTIMS_MAX &&
        !is_lesser(placement, id, shares, victims->ids[at - 1], victims->shares[at - 1]))
        return;
    at -= at == PLACE_VICTIMS_MAX;
    victims->count = at + 1;
    for (;
         at > 0 && is_lesser(placement, id, shares, victims->ids[at - 1], victims->shares[at - 1]);
         at--) {
        victims->ids[at] = victims->ids[at - 1];
        victims->shares[at] = victims->shares[at - 1];
    }
    victims->ids[at] = id;
    victims->shares[at] = shares;
}

/* Of what is lent in some class that the other one lacks, once all in `before` have gone. */
static bool is_lent(const struct placement *placement, const struct pipeline *for_whom,
                    const struct pipeline *victim, const struct victims *before)
{
    for (uint32_t at = 0; at < victim->stage_count; at++) {
        uint32_t class_id = victim->stages[at].class_id;
        if (!lacks(for_whom, class_id) || quota_asked(victim, class_id) == 0)
            continue;
        int64_t lent = quota_reclaimable(placement, for_whom, victim, class_id);
        for (uint32_t other = 0; before && other < before->count; other++) {
            const struct pipeline *gone = &placement->pipelines[before->ids[other]];
            if (before->goes[other] && gone->tenant == victim->tenant)
                lent -= quota_asked(gone, class_id);
        }
        if (lent > 0)
            return true;
    }
    return false;
}

static void victims_find(const struct placement *placement, const struct pipeline *for_whom,
                         struct victims *victims)
{
    bool lends = quota_lends(placement, for_whom);
    for (uint32_t id = 0; id < placement->pipelines_size; id++) {
        const struct pipeline *victim = &placement->pipelines[id];
        if (!victim->stages || !victim->admitted)
            continue;
        if (victim->priority >= for_whom->priority &&
            !(lends && is_lent(placement, for_whom, victim, NULL)))
            continue;
        uint32_t shares = useful_shares(placement, victim, for_whom);
        if (shares)
            victims_insert(placement, victims, id, shares);
    }
}

static void clear_victims(struct placement *placement, const struct victims *victims)
{
    for (uint32_t at = 0; at < victims->count; at++)
        for (uint32_t stage = 0;
             victims->goes[at] && stage < placement->pipelines[victims->ids[at]].stage_count;
             stage++)
            state_clear(placement, victims->ids[at], stage, false);
}

static bool fits_without(struct placement *placement, uint32_t id, const struct victims *victims)
{
    uint32_t mark = placement->journal_count;
    clear_victims(placement, victims);
    bool fits = fit_all(placement, id) == PLACE_NONE;
    placement->work += placement->pipelines[id].stage_count + placement->journal_count - mark;
    state_undo(placement, mark);
    return fits;
}

/* As few as it takes: twice as many are asked each time until it fits, then each is let off if it
 * still fits without, the most important first. */
static bool victims_choose(struct placement *placement, uint32_t id, struct victims *victims)
{
    const struct pipeline *for_whom = &placement->pipelines[id];
    uint32_t asked = 0;
    bool fits = false;
    while (!fits && asked < victims->count) {
        bool goes = false;
        for (uint32_t more = asked ? asked : 1; more && asked < victims->count; more--, asked++) {
            const struct pipeline *victim = &placement->pipelines[victims->ids[asked]];
            victims->goes[asked] = victim->priority < for_whom->priority ||
                                   is_lent(placement, for_whom, victim, victims);
            goes |= victims->goes[asked];
        }
        fits = goes && fits_without(placement, id, victims);
    }
    for (uint32_t at = asked; fits && at-- > 0;) {
        if (!victims->goes[at])
            continue;
        victims->goes[at] = false;
        victims->goes[at] = !fits_without(placement, id, victims);
    }
    return fits;
}

/* What victims served is charged as leaving from now on: changes [from, to) of the journal took it.
 */
static void charge_leaving(struct placement *placement, uint32_t from, uint32_t to)
{
    for (uint32_t at = from; at < to; at++) {
        const struct change *change = &placement->journal[at];
        uint32_t class_id = placement->pipelines[change->pipeline].stages[change->stage].class_id;
        struct pod *pod = &placement->classes[class_id]->pods[change->pod];
        if (pod_serves(pod))
            pod->leaving += change->held - change->milli;
        state_shelve(placement->classes[class_id], change->pod);
    }
}

/* Only where the pod would be over its capacity does the newcomer have to wait. */
static void release_held(struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = &placement->pipelines[id];
    for (uint32_t stage = 0; stage < pipeline->stage_count; stage++)
        for (uint32_t at = pipeline->stages[stage].shares; at != PLACE_NONE;
             at = placement->shares[at].stage_next) {
            struct share *share = &placement->shares[at];
            const struct pod *pod = &placement->classes[share->class_id]->pods[share->pod];
            if (pod->used + pod->leaving <= pod->capacity)
                share->held = 0;
        }
}

static void evict(struct placement *placement, const struct victims *victims, int64_t now_s)
{
    for (uint32_t at = 0; at < victims->count; at++) {
        if (!victims->goes[at])
            continue;
        phase_admitted(placement, victims->ids[at], false);
        phase_wait(placement, victims->ids[at], 0, PLACE_PREEMPTED, now_s);
    }
}

void preempt_charge(struct placement *placement, uint32_t id, uint32_t from, uint32_t to)
{
    charge_leaving(placement, from, to);
    release_held(placement, id);
}

bool preempt(struct placement *placement, uint32_t id, int64_t now_s)
{
    struct victims victims = {0};
    placement->postponed = false;
    if (quota_is_borrower(placement, &placement->pipelines[id]))
        return false;
    placement->postponed = placement->work >= PLACE_WORK_MAX;
    if (placement->postponed)
        return false;
    victims_find(placement, &placement->pipelines[id], &victims);
    if (!victims_choose(placement, id, &victims))
        return false;
    uint32_t from = placement->journal_count;
    clear_victims(placement, &victims);
    uint32_t to = placement->journal_count;
    placement->holding = true;
    fit_all(placement, id);
    placement->holding = false;
    preempt_charge(placement, id, from, to);
    evict(placement, &victims, now_s);
    return true;
}
