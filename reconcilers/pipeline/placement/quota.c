#include "reconcilers/pipeline/placement/quota.h"
#include "server/base/ctx.h"

#include <inttypes.h>

static struct tenant *tenant_of(struct placement *placement, uint32_t number)
{
    if (!placement->tenants[number]) {
        struct tenant *made = memory_new(1, sizeof *made);
        for (uint32_t at = 0; at < PLACE_CLASSES_MAX; at++)
            made->quotas[at].may.nominal = INT64_MAX;
        placement->tenants[number] = made;
    }
    return placement->tenants[number];
}

int placement_quota_set(struct ctx *ctx, struct placement *placement, uint32_t tenant,
                        uint32_t class_id, const struct place_quota *quota)
{
    if (tenant >= PLACE_TENANTS_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "tenant %" PRIu32 " is beyond %d", tenant,
                       PLACE_TENANTS_MAX - 1);
    if (class_id >= PLACE_CLASSES_MAX || !placement->classes[class_id])
        return err_set(ctx, ERR_INVALID, NULL, "there is no class %" PRIu32, class_id);
    bool none = quota->nominal == INT64_MAX;
    if (quota->nominal < 0 || (!none && quota->nominal > PLACE_MILLI_MAX) || quota->borrow < 0 ||
        quota->borrow > PLACE_MILLI_MAX)
        return err_set(ctx, ERR_INVALID, NULL, "a quota is not in 0..%" PRId64, PLACE_MILLI_MAX);
    tenant_of(placement, tenant)->quotas[class_id].may = *quota;
    phase_room(placement, placement->classes[class_id]);
    return 0;
}

int64_t quota_asked(const struct pipeline *pipeline, uint32_t class_id)
{
    int64_t sum = 0;
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        sum += pipeline->stages[at].class_id == class_id ? pipeline->stages[at].rate : 0;
    return sum;
}

static bool is_limited(const struct quota *quota)
{
    return quota->may.nominal < INT64_MAX;
}

/* What those who have a quota of the class leave unused of them all together. */
static int64_t unused(const struct placement *placement, uint32_t class_id)
{
    int64_t sum = 0;
    for (uint32_t at = 0; at < PLACE_TENANTS_MAX; at++) {
        const struct tenant *tenant = placement->tenants[at];
        if (tenant && is_limited(&tenant->quotas[class_id]))
            sum += tenant->quotas[class_id].may.nominal - tenant->quotas[class_id].used;
    }
    return sum;
}

uint32_t quota_refuses(const struct placement *placement, const struct pipeline *pipeline,
                       bool *ret_ever)
{
    const struct tenant *tenant = placement->tenants[pipeline->tenant];
    uint32_t refused = PLACE_NONE;
    *ret_ever = false;
    for (uint32_t at = 0; tenant && at < pipeline->stage_count; at++) {
        uint32_t class_id = pipeline->stages[at].class_id;
        const struct quota *quota = &tenant->quotas[class_id];
        int64_t sum = quota_asked(pipeline, class_id);
        if (!is_limited(quota))
            continue;
        if (sum > quota->may.nominal + quota->may.borrow) {
            *ret_ever = true;
            return at;
        }
        int64_t own = quota->may.nominal - quota->used;
        bool fits =
            sum <= own || (sum <= own + quota->may.borrow && sum <= unused(placement, class_id));
        if (refused == PLACE_NONE && !fits)
            refused = at;
    }
    return refused;
}

/* Beyond what is its own, with what the pipeline asks for, if that is not counted yet. */
static bool is_beyond(const struct placement *placement, const struct pipeline *pipeline,
                      uint32_t class_id)
{
    const struct tenant *tenant = placement->tenants[pipeline->tenant];
    if (!tenant || !is_limited(&tenant->quotas[class_id]))
        return false;
    int64_t more = pipeline->admitted ? 0 : quota_asked(pipeline, class_id);
    return tenant->quotas[class_id].used + more > tenant->quotas[class_id].may.nominal;
}

bool quota_is_borrower(const struct placement *placement, const struct pipeline *pipeline)
{
    const struct tenant *tenant = placement->tenants[pipeline->tenant];
    for (uint32_t at = 0; tenant && at < pipeline->stage_count; at++) {
        uint32_t class_id = pipeline->stages[at].class_id;
        if (tenant->quotas[class_id].may.borrow > 0 && is_beyond(placement, pipeline, class_id))
            return true;
    }
    return false;
}

bool quota_lends(const struct placement *placement, const struct pipeline *pipeline)
{
    const struct tenant *tenant = placement->tenants[pipeline->tenant];
    bool lends = false;
    for (uint32_t at = 0; tenant && at < pipeline->stage_count; at++)
        lends |= is_limited(&tenant->quotas[pipeline->stages[at].class_id]);
    return lends;
}

int64_t quota_reclaimable(const struct placement *placement, const struct pipeline *pipeline,
                          const struct pipeline *victim, uint32_t class_id)
{
    const struct tenant *lender = placement->tenants[pipeline->tenant];
    const struct tenant *borrower = placement->tenants[victim->tenant];
    if (!lender || !borrower || lender == borrower || !is_limited(&lender->quotas[class_id]) ||
        is_beyond(placement, pipeline, class_id) || borrower->quotas[class_id].may.borrow == 0)
        return 0;
    return borrower->quotas[class_id].used - borrower->quotas[class_id].may.nominal;
}

/* 2^12 * 16384 * 10^11 < 2^63. */
static int64_t dominant_share(const struct placement *placement, const struct tenant *tenant)
{
    int64_t most = 0;
    for (uint32_t at = 0; at < PLACE_CLASSES_MAX; at++) {
        const struct class *class = placement->classes[at];
        int64_t used = tenant->quotas[at].used;
        if (!class || used == 0)
            continue;
        int64_t total = class->spec.capacity * class->spec.pods_max;
        int64_t part = (used < total ? used : total) * 4096 / total;
        most = part > most ? part : most;
    }
    return most;
}

void quota_charge(struct placement *placement, const struct pipeline *pipeline, int sign)
{
    struct tenant *tenant = tenant_of(placement, pipeline->tenant);
    for (uint32_t at = 0; at < pipeline->stage_count; at++)
        tenant->quotas[pipeline->stages[at].class_id].used += sign * pipeline->stages[at].rate;
    tenant->dominant = -1;
}

void quota_resize(struct placement *placement)
{
    for (uint32_t at = 0; at < PLACE_TENANTS_MAX; at++)
        if (placement->tenants[at])
            placement->tenants[at]->dominant = -1;
}

static int64_t dominant_of(const struct placement *placement, uint32_t number)
{
    struct tenant *tenant = placement->tenants[number];
    if (tenant && tenant->dominant < 0)
        tenant->dominant = dominant_share(placement, tenant);
    return tenant ? tenant->dominant : 0;
}

/* And not only reserved: that is no more than to wait with a place. */
static bool is_repaired(const struct pipeline *pipeline)
{
    return pipeline->admitted && (pipeline->view.ran || pipeline->view.phase != PLACE_SCALING);
}

bool quota_is_before(const struct placement *placement, uint32_t a, uint32_t b)
{
    const struct pipeline *one = &placement->pipelines[a], *other = &placement->pipelines[b];
    if (is_repaired(one) != is_repaired(other))
        return is_repaired(one);
    if (one->priority != other->priority)
        return one->priority > other->priority;
    if (one->tenant != other->tenant && !is_repaired(one)) {
        int64_t mine = dominant_of(placement, one->tenant);
        int64_t theirs = dominant_of(placement, other->tenant);
        if (mine != theirs)
            return mine < theirs;
    }
    return one->age < other->age;
}
