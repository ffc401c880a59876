#include "reconcilers/pipeline/graph/layers.h"

enum { SCALE = 1024 }; /* of the mean of rows, which is no whole number */

static bool leads(const struct graph *graph, uint32_t from, uint32_t to)
{
    return graph->stages[from].next >> to & 1;
}

bool layers_has(const struct layers *layers, uint32_t stage, uint32_t column)
{
    uint32_t first = layers->column[stage], until = layers->until[stage];
    return column == first || (column > first && column < until);
}

/* The longest way has a step for each stage but one. */
static void find_columns(const struct graph *graph, struct layers *layers)
{
    for (uint32_t round = 1; round < graph->count; round++)
        for (uint32_t at = 0; at < graph->count; at++)
            for (uint32_t to = 0; to < graph->count; to++)
                if (leads(graph, at, to) && layers->column[to] <= layers->column[at])
                    layers->column[to] = layers->column[at] + 1;
    for (uint32_t at = 0; at < graph->count; at++) {
        layers->until[at] = layers->column[at];
        if (layers->columns <= layers->column[at])
            layers->columns = layers->column[at] + 1;
        for (uint32_t to = 0; to < graph->count; to++)
            if (leads(graph, at, to) && layers->column[to] > layers->until[at])
                layers->until[at] = layers->column[to];
    }
}

/* A lane goes straight on, a box stands at the mean of its predecessors' rows (Sugiyama's
 * barycentre, 1981). */
static uint32_t place_of(const struct graph *graph, const struct layers *layers, uint32_t stage,
                         uint32_t column)
{
    uint32_t sum = 0, count = 0;
    if (column > layers->column[stage])
        return layers->row[stage][column - 1] * SCALE;
    for (uint32_t from = 0; column > 0 && from < graph->count; from++) {
        if (!leads(graph, from, stage))
            continue;
        sum += layers->row[from][column - 1] * SCALE;
        count++;
    }
    return count ? sum / count : 0;
}

/* Sorted by insertion; equals in the order of stages. */
static void fill_column(const struct graph *graph, struct layers *layers, uint32_t column)
{
    uint32_t order[PLACE_STAGES_MAX], place[PLACE_STAGES_MAX], count = 0;
    for (uint32_t stage = 0; stage < graph->count; stage++) {
        if (!layers_has(layers, stage, column))
            continue;
        uint32_t at = count++, own = place_of(graph, layers, stage, column);
        for (; at > 0 && place[at - 1] > own; at--) {
            place[at] = place[at - 1];
            order[at] = order[at - 1];
        }
        place[at] = own;
        order[at] = stage;
    }
    for (uint32_t at = 0; at < count; at++)
        layers->row[order[at]][column] = at;
    layers->filled[column] = count;
    layers->rows = layers->rows > count ? layers->rows : count;
}

void layers_make(const struct graph *graph, struct layers *ret)
{
    *ret = (struct layers){0};
    find_columns(graph, ret);
    for (uint32_t column = 0; column < ret->columns; column++)
        fill_column(graph, ret, column);
}
