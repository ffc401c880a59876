#include "reconcilers/fleet/place.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

enum { SCORE_MAX = 1000 };

/* One reason not to take a cell; the first that holds is recorded. */
struct check {
    bool (*refuses)(const json_t *cell);
    const char *why_not;
};

static bool is_cordoned(const json_t *cell)
{
    return !str_equal(json_str(cell, "state"), "open");
}

static bool is_full(const json_t *cell)
{
    return json_int_or(cell, "used", 0) >= json_int_or(cell, "capacity", 0);
}

static bool is_elsewhere(const json_t *cell)
{
    return json_bool_or(cell, "elsewhere", false);
}

static const struct check checks[] = {
    {is_elsewhere, "TenantElsewhere"},
    {is_cordoned, "Cordoned"},
    {is_full, "Full"},
};

static const char *why_not(const json_t *cell)
{
    for (size_t row = 0; row < sizeof checks / sizeof checks[0]; row++)
        if (checks[row].refuses(cell))
            return checks[row].why_not;
    return NULL;
}

/* A cell that would do for another tenant: only the home of this one's others is in the way. */
static bool is_only_elsewhere(const json_t *cell)
{
    return is_elsewhere(cell) && !is_cordoned(cell) && !is_full(cell);
}

/* Free share in thousandths. */
static int64_t score(const json_t *cell)
{
    int64_t capacity = json_int_or(cell, "capacity", 0);
    int64_t used = json_int_or(cell, "used", 0);
    return capacity > 0 && used < capacity ? (capacity - used) * SCORE_MAX / capacity : 0;
}

static bool is_better(const json_t *cell, const json_t *best)
{
    int64_t difference = score(cell) - score(best);
    if (difference != 0)
        return difference > 0;
    return strcmp(json_str_or(cell, "name", ""), json_str_or(best, "name", "")) < 0;
}

void place_choose(struct ctx *ctx, const json_t *cells, const char **ret_cell,
                  json_t **ret_placement)
{
    const json_t *best = NULL;
    bool has_room_elsewhere = false;
    json_t *considered = json_array();
    size_t index;
    json_t *cell;
    json_array_foreach(cells, index, cell) {
        const char *refusal = why_not(cell);
        has_room_elsewhere |= is_only_elsewhere(cell);
        if (!refusal && (!best || is_better(cell, best)))
            best = cell;
        json_array_append_new(considered,
                              json_pack("{s:s, s:I, s:s*}", "cell", json_str_or(cell, "name", ""),
                                        "score", (json_int_t)score(cell), "why_not", refusal));
    }
    *ret_cell = best ? json_str(best, "name") : NULL;
    const char *reason =
        best                 ? arena_printf(ctx->arena, "most free of %zu cells: %" PRId64 " of %d",
                                            json_array_size(cells), score(best), SCORE_MAX)
        : has_room_elsewhere ? "the cell of the tenant's other pipelines is full or not open, and "
                               "they stay together; others have room"
                             : "no open cell has room";
    *ret_placement = arena_json(ctx->arena, json_pack("{s:s*, s:s, s:o}", "cell", *ret_cell,
                                                      "reason", reason, "considered", considered));
}
