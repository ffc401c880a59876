/*
 * Random walks: after each step the properties that placement.h promises, and what a copy, a life
 * after a death and a replay of the log come to. What breaks is shrunk and told.
 */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/faults.h"
#include "tests/unit/reconcilers/pipeline/placement/properties_order.h"
#include "tests/unit/reconcilers/pipeline/placement/properties_room.h"
#include "tests/unit/reconcilers/pipeline/placement/restored.h"
#include "tests/unit/reconcilers/pipeline/placement/same.h"

#include "server/base/cleanup.h"

#include <stdio.h>

enum row {
    ROW_OVERCOMMIT,
    ROW_EXACT,
    ROW_ZONES,
    ROW_OTHERS,
    ROW_LOST,
    ROW_GANG,
    ROW_REASON,
    ROW_PRIORITY,
    ROW_METRIC,
    ROW_QUOTA,
    ROW_FAIR,
    ROW_SHRINKS,
    PROPERTIES,
    ROW_COPY = PROPERTIES,
    ROW_LEDGER,
    ROW_LOG,
    ROWS,
    HOLDS = ROWS
};

static const struct {
    const char *name;
    bool (*holds)(const struct step *step);
} rows[] = {
    [ROW_OVERCOMMIT] = {"P1  no pod over its capacity", no_overcommit},
    [ROW_EXACT] = {"P2  the rate, in the mode's parts, on no more pods than allowed", is_exact},
    [ROW_ZONES] = {"P2  in each zone the same", in_zones},
    [ROW_OTHERS] = {"P3  others untouched", others_untouched},
    [ROW_LOST] = {"P6  only what was lost moves", only_lost_moves},
    [ROW_GANG] = {"P7  all stages or none", is_gang},
    [ROW_REASON] = {"P10 reason, numbers, a time to come", has_reason},
    [ROW_PRIORITY] = {"P11 by priority", by_priority},
    [ROW_METRIC] = {"P12 the metric is the demand; in the calm no reservation is left", scales},
    [ROW_QUOTA] = {"    nobody gets more than its quota", within_quota},
    [ROW_FAIR] = {"    the tenant with the smaller dominant share first", is_fair},
    [ROW_SHRINKS] = {"    a lower rate is always possible, and shrinks in place", shrinks_in_place},
    [ROW_COPY] = {"P13 a copy decides the same and changes nothing", NULL},
    [ROW_LEDGER] = {"P9  restored from the ledger it decides the same", NULL},
    [ROW_LOG] = {"P8  the log replayed decides the same", NULL},
};

/* In what each step shows; the others where they say. */
enum { PLANT_NONE = -1, PLANT_FORGETFUL = -2, PLANT_GAP = -3, PLANT_STALE = -4, PLANT_SHARED = -5 };
static const struct {
    enum row row;
    void (*plant)(struct seen *seen);
} faults[] = {
    {ROW_OVERCOMMIT, plant_over}, {ROW_EXACT, plant_share},     {ROW_EXACT, plant_uneven},
    {ROW_EXACT, plant_split},     {ROW_ZONES, plant_one_zone},  {ROW_OTHERS, plant_move},
    {ROW_LOST, plant_loss},       {ROW_GANG, plant_half},       {ROW_REASON, plant_bare},
    {ROW_REASON, plant_past},     {ROW_REASON, plant_late},     {ROW_PRIORITY, plant_inverted},
    {ROW_METRIC, plant_demand},   {ROW_METRIC, plant_reserved}, {ROW_QUOTA, plant_quota},
    {ROW_SHRINKS, plant_growth},  {ROW_FAIR, plant_unfair},
};

enum { WALK = 300, LIFE = 8 }; /* LIFE: steps after which the process dies */

struct walk {
    struct op ops[WALK];
    size_t count;
    struct shape shape;
    int plant;
    void (*spoil)(struct world *world, const struct op *op);
    uint64_t *checks; /* by row */
};

static inline struct world walk_begin(struct ctx *ctx, const struct walk *walk)
{
    struct world world = world_new(ctx, walk->shape);
    world.spoil = walk->spoil;
    return world;
}

/* P13: the step on a copy leads to what the step itself leads to, and changes nothing else.
 * Planted: a copy that lags behind; one that is the same placement. */
static inline bool copy_agrees(const struct world *before, struct world *after, const struct op *op,
                               int plant)
{
    static struct world copy;
    static struct seen now;
    copy = *before;
    now = after->seen;
    if (plant == PLANT_STALE)
        pod_is(&copy, 0, 0, POD_ABSENT, 0);
    if (plant == PLANT_SHARED) {
        struct placement *own = copy.placement;
        copy.placement = after->placement;
        pod_is(&copy, 0, 0, POD_ABSENT, 0);
        copy.placement = own;
    }
    world_do(&copy, op);
    placement_free(copy.placement);
    bool same = same_seen(&copy.seen, &after->seen);
    world_see(after);
    memcpy(after->seen.changed, now.changed, sizeof now.changed);
    return same && same_seen(&now, &after->seen);
}

/*
 * P9: the process dies after each LIFE steps, at any point of the log; what is made of the ledger
 * then lives beside the one that never died. `forgetful`: a fault planted in the ledger.
 */
static inline bool lives_on(struct world *twin, const struct world *world, const struct op *op,
                            bool dies, bool forgetful)
{
    world_do(twin, op);
    bool same = same_seen(&twin->seen, &world->seen);
    if (dies) {
        struct world ledger = *world;
        for (uint32_t id = 0; forgetful && id < PIPELINES; id++)
            ledger.seen.pipelines[id].view.due = false;
        placement_free(twin->placement);
        *twin = world_restored(&ledger);
        twin->seen = world->seen;
    }
    return same;
}

/* P8: the same inputs, in a world made anew, lead to what was recorded after each of them. Planted:
 * a gap in the log. */
static inline bool replays(struct ctx *ctx, const struct walk *walk, const struct seen *log)
{
    static struct world world;
    world = walk_begin(ctx, walk);
    bool same = true;
    for (size_t at = 0; at < walk->count && same; at++) {
        if (walk->plant != PLANT_GAP || at > 0)
            world_do(&world, &walk->ops[at]);
        same = same_seen(&world.seen, &log[at]);
    }
    placement_free(world.placement);
    return same;
}

/* The first property that does not hold. */
static inline enum row step_check(const struct step *step, const struct walk *walk)
{
    uint64_t ignored;
    for (uint32_t row = 0; row < PROPERTIES; row++) {
        struct step own = *step;
        own.checks = walk->checks ? &walk->checks[row] : &ignored;
        if ((walk->plant < 0 || faults[walk->plant].row == row) && !rows[row].holds(&own))
            return row;
    }
    return HOLDS;
}

/* Walks; returns the row that broke. */
static inline enum row walk_do(struct ctx *ctx, const struct walk *walk)
{
    static struct world world, before, twin;
    static struct seen log[WALK], now;
    uint64_t ignored[ROWS], *checks = walk->checks ? walk->checks : ignored;
    enum row broken = HOLDS;
    world = walk_begin(ctx, walk);
    twin = walk_begin(ctx, walk);
    for (size_t at = 0; at < walk->count && broken == HOLDS; at++) {
        const struct op *op = &walk->ops[at];
        bool copies = at % 16 == 15;
        before = world;
        if (copies)
            before.placement = placement_copy(world.placement);
        world_do(&world, op);
        now = log[at] = world.seen;
        if (walk->plant >= 0)
            faults[walk->plant].plant(&now);
        broken = step_check(&(struct step){&world, &before.seen, &now, op, NULL}, walk);
        if (copies && !copy_agrees(&before, &world, op, walk->plant) && broken == HOLDS)
            broken = ROW_COPY;
        if (broken == HOLDS &&
            !lives_on(&twin, &world, op, at % LIFE == 0, walk->plant == PLANT_FORGETFUL))
            broken = ROW_LEDGER;
        checks[ROW_COPY] += copies;
        checks[ROW_LEDGER]++;
    }
    placement_free(world.placement);
    placement_free(twin.placement);
    checks[ROW_LOG] += walk->count;
    return broken == HOLDS && !replays(ctx, walk, log) ? ROW_LOG : broken;
}

/* Leaves out what is not needed to break the same row. */
static inline void walk_shrink(struct ctx *ctx, struct walk *walk, enum row broken)
{
    static struct walk fewer;
    walk->checks = NULL;
    for (size_t chunk = walk->count / 2; chunk > 0; chunk /= 2)
        for (size_t at = 0; at + chunk <= walk->count;) {
            fewer = *walk;
            fewer.count = walk->count - chunk;
            memmove(&fewer.ops[at], &walk->ops[at + chunk], (fewer.count - at) * sizeof *fewer.ops);
            if (walk_do(ctx, &fewer) == broken)
                *walk = fewer;
            else
                at += chunk;
        }
}

static inline void walk_tell(FILE *to, const struct walk *walk, uint64_t seed, uint64_t number,
                             enum row broken)
{
    static const char *const words[OPS] = {
        [OP_ADMIT] = "admit",   [OP_ADMIT_MORE] = "admit", [OP_REMOVE] = "remove",
        [OP_RATE] = "rate",     [OP_POD] = "pod",          [OP_DRAIN] = "drain",
        [OP_TICK] = "tick",     [OP_COMPACT] = "compact",  [OP_CALM] = "calm",
        [OP_REDRAW] = "redraw", [OP_QUOTA] = "quota"};
    fprintf(to, "seed %llu, walk %llu: '%s' does not hold after %zu steps:\n",
            (unsigned long long)seed, (unsigned long long)number, rows[broken].name, walk->count);
    for (size_t at = 0; at < walk->count; at++)
        fprintf(to, "{%u, %u, %u, %u}, /* %s */\n", walk->ops[at].kind % OPS, walk->ops[at].a,
                walk->ops[at].b, walk->ops[at].c, words[walk->ops[at].kind % OPS]);
}
