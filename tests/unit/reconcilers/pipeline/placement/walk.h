/*
 * Random walks: after each step the properties that placement.h promises, and what a copy, a life
 * after a death and a replay of the log come to.
 */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/restored.h"
#include "tests/unit/reconcilers/pipeline/placement/rows.h"
#include "tests/unit/reconcilers/pipeline/placement/same.h"

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
    uint64_t ignored[ROWS] = {0}, *checks = walk->checks ? walk->checks : ignored;
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
