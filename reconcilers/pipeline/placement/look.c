#include "reconcilers/pipeline/placement/quota.h"
#include "server/base/ctx.h"

#include <inttypes.h>

/* One bound of a class's description. */
static int in_range(struct ctx *ctx, const char *what, int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        return err_set(ctx, ERR_INVALID, NULL, "%s %" PRId64 " is not in %" PRId64 "..%" PRId64,
                       what, value, least, most);
    return 0;
}

static int check_class(struct ctx *ctx, uint32_t class_id, const struct place_class *spec)
{
    TRY(in_range(ctx, "class", class_id, 0, PLACE_CLASSES_MAX - 1));
    TRY(in_range(ctx, "capacity", spec->capacity, 1, PLACE_MILLI_MAX));
    TRY(in_range(ctx, "pods_max", spec->pods_max, 1, PLACE_PODS_MAX));
    TRY(in_range(ctx, "split_max", spec->split_max, 1, PLACE_SPLIT_MAX));
    TRY(in_range(ctx, "zones_min", spec->zones_min, 1, PLACE_ZONES_MAX));
    TRY(in_range(ctx, "timeout_s", spec->timeout_s, 1, PLACE_TIMEOUT_S_MAX));
    TRY(in_range(ctx, "mode", spec->mode, PLACE_WEIGHTED, PLACE_WHOLE));
    TRY(in_range(ctx, "policy", spec->policy, PLACE_PACK, PLACE_SPREAD));
    if (spec->zones_min > 1)
        TRY(in_range(ctx, "split_max", spec->mode == PLACE_WHOLE ? 0 : spec->split_max,
                     spec->zones_min, PLACE_SPLIT_MAX));
    return 0;
}

static struct class *class_new(void)
{
    struct class *class = memory_new(1, sizeof *class);
    class->lines[false] = class->lines[true] = PLACE_NONE;
    for (uint32_t at = 0; at < SHELVES; at++)
        class->roots[at] = PLACE_NONE;
    return class;
}

int placement_class_set(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                        const struct place_class *spec)
{
    TRY(check_class(ctx, class_id, spec));
    if (!placement->classes[class_id])
        placement->classes[class_id] = class_new();
    struct class *class = placement->classes[class_id];
    bool resized = class->spec.capacity != spec->capacity || class->spec.pods_max != spec->pods_max;
    memory_grow_pods(class, spec->pods_max);
    class->spec = *spec;
    if (resized)
        quota_resize(placement); /* asks all tenants */
    phase_room(placement, class);
    for (uint32_t at = 0; at < class->pods_size; at++)
        state_shelve(class, at);
    return 0;
}

struct place_view placement_look(const struct placement *placement, uint32_t id)
{
    const struct pipeline *pipeline = state_pipeline(placement, id);
    return pipeline ? pipeline->view : (struct place_view){.stage = PLACE_NONE};
}

uint32_t placement_shares(const struct placement *placement, uint32_t id, uint32_t stage,
                          struct place_share shares[PLACE_SPLIT_MAX])
{
    const struct pipeline *pipeline = state_pipeline(placement, id);
    uint32_t count = 0;
    uint32_t at =
        pipeline && stage < pipeline->stage_count ? pipeline->stages[stage].shares : PLACE_NONE;
    for (; at != PLACE_NONE; at = placement->shares[at].stage_next, count++) {
        const struct share *share = &placement->shares[at];
        shares[count] = (struct place_share){share->pod, share->milli, share->held};
    }
    return count;
}

static int64_t demand(const struct placement *placement, uint32_t class_id)
{
    int64_t sum = 0;
    for (uint32_t id = 0; id < placement->pipelines_size; id++) {
        const struct pipeline *pipeline = state_pipeline(placement, id);
        if (!pipeline || pipeline->view.phase == PLACE_REJECTED)
            continue;
        for (uint32_t at = 0; at < pipeline->stage_count; at++)
            sum += pipeline->stages[at].class_id == class_id ? pipeline->stages[at].rate : 0;
    }
    return sum;
}

int64_t placement_room(const struct placement *placement, uint32_t class_id)
{
    const struct class *class = class_id < PLACE_CLASSES_MAX ? placement->classes[class_id] : NULL;
    return class ? class->free : 0;
}

struct place_class_view placement_class_look(const struct placement *placement, uint32_t class_id)
{
    const struct class *class = class_id < PLACE_CLASSES_MAX ? placement->classes[class_id] : NULL;
    if (!class)
        return (struct place_class_view){0};
    uint32_t replicas = class->pods_size;
    while (replicas > 0 && class->pods[replicas - 1].used + class->pods[replicas - 1].leaving == 0)
        replicas--;
    return (struct place_class_view){.ready = class->ready,
                                     .coming = class->coming,
                                     .planned = class->planned,
                                     .replicas = replicas,
                                     .demand = demand(placement, class_id),
                                     .used = class->used,
                                     .free = class->free};
}

struct place_pod placement_pod_look(const struct placement *placement, uint32_t class_id,
                                    uint32_t ordinal, int64_t *ret_used, int64_t *ret_leaving)
{
    const struct class *class = class_id < PLACE_CLASSES_MAX ? placement->classes[class_id] : NULL;
    *ret_used = *ret_leaving = 0;
    if (!class || ordinal >= class->pods_size)
        return (struct place_pod){.class_id = class_id, .ordinal = ordinal};
    const struct pod *pod = &class->pods[ordinal];
    *ret_used = pod->used;
    *ret_leaving = pod->leaving;
    return (struct place_pod){class_id, ordinal, pod->state, pod->zone, pod->capacity};
}
