#include "reconcilers/pipeline/placement/state.h"

#include <stdlib.h>
#include <string.h>

/* Like an arena: memory that is really exhausted ends the process; growth is bounded by the limits
 * of placement.h. */
void *memory_new(size_t count, size_t bytes)
{
    void *made = calloc(count, bytes);
    if (!made)
        abort();
    return made;
}

static void *again(const void *from, size_t count, size_t bytes)
{
    void *made = memory_new(count ? count : 1, bytes);
    if (count)
        memcpy(made, from, count * bytes);
    return made;
}

/* Doubles an array; what is new is zero. */
static void grow(void **array, uint32_t *size, size_t bytes)
{
    uint32_t wider = *size ? *size * 2 : 64;
    void *made = memory_new(wider, bytes);
    if (*size)
        memcpy(made, *array, *size * bytes);
    free(*array);
    *array = made;
    *size = wider;
}

void memory_grow_journal(struct placement *placement)
{
    grow((void **)&placement->journal, &placement->journal_size, sizeof *placement->journal);
}

void memory_grow_shares(struct placement *placement)
{
    uint32_t from = placement->shares_size;
    grow((void **)&placement->shares, &placement->shares_size, sizeof *placement->shares);
    for (uint32_t at = placement->shares_size; at-- > from;) {
        placement->shares[at].stage_next = placement->share_free;
        placement->share_free = at;
    }
}

void memory_grow_pipelines(struct placement *placement, uint32_t id)
{
    while (id >= placement->pipelines_size)
        grow((void **)&placement->pipelines, &placement->pipelines_size,
             sizeof *placement->pipelines);
}

void memory_grow_pods(struct class *class, uint32_t count)
{
    if (count <= class->pods_size)
        return;
    struct pod *pods = memory_new(count, sizeof *pods);
    struct shelf_node *nodes = memory_new(count, sizeof *nodes);
    if (class->pods_size) {
        memcpy(pods, class->pods, class->pods_size * sizeof *pods);
        memcpy(nodes, class->nodes, class->pods_size * sizeof *nodes);
    }
    for (uint32_t at = class->pods_size; at < count; at++) {
        pods[at].shares = PLACE_NONE;
        pods[at].shelf = SHELVES;
    }
    free(class->pods);
    free(class->nodes);
    class->pods = pods;
    class->nodes = nodes;
    class->pods_size = count;
}

struct placement *placement_new(void)
{
    struct placement *placement = memory_new(1, sizeof *placement);
    placement->share_free = placement->changed_first = placement->changed_last = PLACE_NONE;
    return placement;
}

void placement_free(struct placement *placement)
{
    for (uint32_t at = 0; at < PLACE_CLASSES_MAX; at++) {
        if (!placement->classes[at])
            continue;
        free(placement->classes[at]->pods);
        free(placement->classes[at]->nodes);
        free(placement->classes[at]);
    }
    for (uint32_t at = 0; at < PLACE_TENANTS_MAX; at++)
        free(placement->tenants[at]);
    for (uint32_t at = 0; at < placement->pipelines_size; at++)
        free(placement->pipelines[at].stages);
    free(placement->pipelines);
    free(placement->shares);
    free(placement->journal);
    free(placement);
}

struct placement *placement_copy(const struct placement *from)
{
    struct placement *made = again(from, 1, sizeof *from);
    for (uint32_t at = 0; at < PLACE_CLASSES_MAX; at++) {
        const struct class *class = from->classes[at];
        if (!class)
            continue;
        made->classes[at] = again(class, 1, sizeof *class);
        made->classes[at]->pods = again(class->pods, class->pods_size, sizeof *class->pods);
        made->classes[at]->nodes = again(class->nodes, class->pods_size, sizeof *class->nodes);
    }
    for (uint32_t at = 0; at < PLACE_TENANTS_MAX; at++)
        if (from->tenants[at])
            made->tenants[at] = again(from->tenants[at], 1, sizeof **from->tenants);
    made->pipelines = again(from->pipelines, from->pipelines_size, sizeof *from->pipelines);
    for (uint32_t at = 0; at < from->pipelines_size; at++)
        if (from->pipelines[at].stages)
            made->pipelines[at].stages =
                again(from->pipelines[at].stages, from->pipelines[at].stage_count,
                      sizeof *from->pipelines[at].stages);
    made->shares = again(from->shares, from->shares_size, sizeof *from->shares);
    made->journal = NULL;
    made->journal_size = made->journal_count = 0;
    return made;
}
