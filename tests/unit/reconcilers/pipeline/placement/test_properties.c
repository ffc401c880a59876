/*
 * Random walks: after each step the properties that placement.h promises. PLACE_STEPS and
 * PROOF_SEED lengthen and repeat a walk; what breaks is shrunk and printed. Each row has a fault
 * planted in what is seen, and must catch it.
 */
#include "tests/unit/reconcilers/pipeline/placement/same.h"
#include "tests/unit/reconcilers/pipeline/placement/steps.h"

#include "server/base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

struct step {
    const struct world *world;
    const struct seen *before, *now;
    const struct op *op;
};

static bool is_whole(const struct seen_pipeline *pipeline)
{
    return pipeline->view.phase == PLACE_PLACED || pipeline->view.phase == PLACE_SCALING;
}

static bool holds_room(const struct seen_pipeline *pipeline)
{
    return is_whole(pipeline) || pipeline->view.phase == PLACE_DEGRADED ||
           pipeline->view.phase == PLACE_BROKEN;
}

static int64_t sum_of(const struct seen_stage *stage)
{
    int64_t sum = 0;
    for (uint32_t pod = 0; pod < PODS; pod++)
        sum += stage->on[pod];
    return sum;
}

#define EACH_STAGE(seen, id, at)                                                                   \
    for (uint32_t id = 0; id < PIPELINES; id++)                                                    \
        for (uint32_t at = 0; (seen)->pipelines[id].view.phase != PLACE_UNKNOWN &&                 \
                              at < (seen)->pipelines[id].stage_count;                              \
             at++)

/* P1: no pod over its capacity, neither in the books nor in what may serve. */
static bool no_overcommit(const struct step *step)
{
    int64_t used[CLASSES][PODS] = {0}, serving[CLASSES][PODS] = {0};
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *stage = &step->now->pipelines[id].stages[at];
        for (uint32_t pod = 0; pod < PODS; pod++) {
            used[stage->class_id][pod] += stage->on[pod];
            serving[stage->class_id][pod] += stage->on[pod] - stage->held[pod];
        }
    }
    for (uint32_t at = 0; at < CLASSES * PODS; at++) {
        uint32_t class_id = at / PODS, pod = at % PODS;
        int64_t leaving = step->now->pods[class_id][pod].leaving;
        int64_t capacity = step->now->pods[class_id][pod].pod.capacity;
        if (used[class_id][pod] != step->now->pods[class_id][pod].used ||
            used[class_id][pod] > capacity || serving[class_id][pod] + leaving > capacity)
            return false;
    }
    return true;
}

/* P2: what is placed is the rate, in parts as the mode wants them. */
static bool is_exact(const struct step *step)
{
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *stage = &step->now->pipelines[id].stages[at];
        int64_t sum = sum_of(stage), least = INT64_MAX, most = 0;
        for (uint32_t pod = 0; pod < PODS; pod++) {
            least = stage->on[pod] && stage->on[pod] < least ? stage->on[pod] : least;
            most = stage->on[pod] > most ? stage->on[pod] : most;
        }
        if (sum > stage->rate || (is_whole(&step->now->pipelines[id]) && sum != stage->rate))
            return false;
        if ((stage->class_id == 2 && stage->count > 1) || stage->count > SPLIT)
            return false;
        if (stage->class_id == 1 && step->world->zones == 1 && stage->count && most - least > 1)
            return false;
    }
    return true;
}

/* P3: who is not reported as changed is bit by bit what it was; a decision about one touches
 * victims only. */
static bool others_untouched(const struct step *step)
{
    uint32_t kind = step->op->kind % OPS;
    bool about_one = kind <= OP_RATE || kind == OP_REDRAW;
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_pipeline *now = &step->now->pipelines[id],
                                   *was = &step->before->pipelines[id];
        bool same = was->view.phase != PLACE_UNKNOWN &&
                    memcmp(now->stages[at].on, was->stages[at].on, sizeof now->stages[at].on) == 0;
        if (same || (about_one && id == step->op->a % PIPELINES) ||
            (kind == OP_REDRAW && id == redraw_id(step->op)))
            continue;
        if (!step->now->changed[id] || (about_one && now->view.reason != PLACE_PREEMPTED))
            return false;
    }
    return true;
}

/* P6: losing a pod moves what was on it. A stage that had nothing there and lacked nothing is what
 * it was; others only get more, but for equal parts. Not from victims. */
static bool only_lost_moves(const struct step *step)
{
    uint32_t class_id = step->op->a % CLASSES, lost = step->op->b % PODS;
    if (step->op->kind % OPS != OP_POD || step->op->c % 5 != 0 || step->world->zones > 1)
        return true;
    EACH_STAGE(step->now, id, at)
    {
        const struct seen_stage *now = &step->now->pipelines[id].stages[at];
        const struct seen_stage *was = &step->before->pipelines[id].stages[at];
        bool mended = (was->class_id == class_id && was->on[lost] > 0) || sum_of(was) < was->rate;
        if (step->now->pipelines[id].view.reason == PLACE_PREEMPTED)
            continue;
        for (uint32_t pod = 0; pod < PODS; pod++)
            if (mended ? now->on[pod] < was->on[pod] && now->class_id != 1 &&
                             !(now->class_id == class_id && pod == lost)
                       : now->on[pod] != was->on[pod])
                return false;
    }
    return true;
}

/* P7: all stages or none. */
static bool is_gang(const struct step *step)
{
    EACH_STAGE(step->now, id, at)
    if (!holds_room(&step->now->pipelines[id]) && sum_of(&step->now->pipelines[id].stages[at]) != 0)
        return false;
    return true;
}

/* P10: nothing waits without a reason, numbers, and a time. */
static bool has_reason(const struct step *step)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        const struct place_view *view = &step->now->pipelines[id].view;
        bool waits = view->phase == PLACE_WAITING || view->phase == PLACE_DEGRADED ||
                     view->phase == PLACE_BROKEN;
        bool comes = view->phase == PLACE_SCALING;
        if ((waits || comes || view->phase == PLACE_REJECTED) &&
            (view->reason == PLACE_FITS || view->stage >= STAGES))
            return false;
        if ((waits && view->retry_s == 0) || (comes && (view->deadline_s == 0 || view->need <= 0)))
            return false;
    }
    return true;
}

/* Without it, is there the room that its equal asks for? Equal parts ask for the larger part on
 * each pod (P5); who has one milli less on one may sit where another cannot come. */
static bool leaves_enough(const struct step *step, const struct seen_stage *stage)
{
    for (uint32_t pod = 0; pod < PODS && stage->class_id == 1; pod++) {
        int64_t room = step->now->pods[1][pod].pod.capacity - step->now->pods[1][pod].used -
                       step->now->pods[1][pod].leaving + stage->on[pod];
        if (stage->on[pod] && room * stage->count < stage->rate)
            return false;
    }
    return true;
}

/* P11: in the calm no lower one runs while its equal of higher priority lacks room. */
static bool by_priority(const struct step *step)
{
    if (step->op->kind % OPS != OP_CALM)
        return true;
    for (uint32_t high = 0; high < PIPELINES; high++)
        for (uint32_t low = 0; low < PIPELINES; low++) {
            const struct seen_pipeline *one = &step->now->pipelines[high],
                                       *other = &step->now->pipelines[low];
            if (one->view.phase == PLACE_WAITING && one->view.reason == PLACE_NO_CAPACITY &&
                other->view.phase == PLACE_PLACED && one->stage_count == 1 &&
                other->stage_count == 1 && one->priority > other->priority &&
                one->stages[0].class_id == other->stages[0].class_id &&
                one->stages[0].rate == other->stages[0].rate &&
                leaves_enough(step, &other->stages[0]))
                return false;
        }
    return true;
}

/* P12: the metric is the demand; when every pod asked for has come and left what must, no
 * reservation is left. */
static bool scales(const struct step *step)
{
    int64_t demand[CLASSES] = {0};
    EACH_STAGE(step->now, id, at)
    if (step->now->pipelines[id].view.phase != PLACE_REJECTED)
        demand[step->now->pipelines[id].stages[at].class_id] +=
            step->now->pipelines[id].stages[at].rate;
    return memcmp(demand, step->now->demand, sizeof demand) == 0;
}

static void plant_over(struct seen *seen)
{
    seen->pods[0][0].leaving += CAPACITY + 1;
}
static void plant_share(struct seen *seen)
{
    seen->pipelines[0].stages[0].on[1] += 26;
    seen->pods[seen->pipelines[0].stages[0].class_id][1].used += 26;
}
static void plant_move(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        seen->pipelines[id].stages[0].on[2] ^= 1;
    memset(seen->changed, 0, sizeof seen->changed);
}
static void plant_loss(struct seen *seen)
{
    for (uint32_t at = 0; at < PIPELINES; at++)
        memset(seen->pipelines[at].stages[0].on, 0, sizeof seen->pipelines[at].stages[0].on);
}
static void plant_half(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        if (holds_room(&seen->pipelines[id]))
            seen->pipelines[id].view.phase = PLACE_WAITING;
}
static void plant_bare(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++)
        seen->pipelines[id].view.retry_s = seen->pipelines[id].view.deadline_s = 0;
}
static void plant_inverted(struct seen *seen)
{
    for (uint32_t id = 0; id < PIPELINES; id++) {
        seen->pipelines[id].view.phase =
            seen->pipelines[id].priority ? PLACE_WAITING : PLACE_PLACED;
        seen->pipelines[id].view.reason = PLACE_NO_CAPACITY;
        seen->pipelines[id].stage_count = 1;
        seen->pipelines[id].stages[0].class_id = 0;
        seen->pipelines[id].stages[0].rate = 1;
    }
}
static void plant_demand(struct seen *seen)
{
    seen->demand[1]++;
}

static const struct {
    const char *name;
    bool (*holds)(const struct step *step);
    void (*plant)(struct seen *seen);
} properties[] = {
    {"P1 no pod over its capacity", no_overcommit, plant_over},
    {"P2 the rate, in the mode's parts", is_exact, plant_share},
    {"P3 others untouched", others_untouched, plant_move},
    {"P6 only what was lost moves", only_lost_moves, plant_loss},
    {"P7 all stages or none", is_gang, plant_half},
    {"P10 reason, numbers, time", has_reason, plant_bare},
    {"P11 by priority", by_priority, plant_inverted},
    {"P12 the metric is the demand", scales, plant_demand},
};
enum { PLANT_NONE = -1, PLANT_FORGETFUL = -2, PLANT_GAP = -3 };
enum { DIVERGES = ARRAY_SIZE(properties), FORGETS, STRAYS, HOLDS };
static const char *const beyond[] = {"P13 a copy decides the same",
                                     "P9 restored from the ledger it decides the same",
                                     "P8 the log replayed decides the same", "holds"};
enum { LIFE = 8 }; /* steps after which the process dies */

static struct op random_op(uint64_t *state)
{
    uint64_t x = next_random(state), y = next_random(state);
    static const uint32_t often[] = {OP_ADMIT,   OP_ADMIT,  OP_ADMIT_MORE, OP_REMOVE, OP_RATE,
                                     OP_POD,     OP_POD,    OP_DRAIN,      OP_DRAIN,  OP_TICK,
                                     OP_COMPACT, OP_ADMIT,  OP_POD,        OP_RATE,   OP_DRAIN,
                                     OP_CALM,    OP_REDRAW, OP_REDRAW};
    return (struct op){often[x % ARRAY_SIZE(often)], (uint32_t)(x >> 32), (uint32_t)y,
                       (uint32_t)(y >> 32)};
}

/* P13: the step on a copy leads to what the step itself leads to, and changes nothing else.
 */
static bool copy_agrees(const struct world *before, const struct world *after, const struct op *op)
{
    struct world copy = *before;
    world_do(&copy, op);
    placement_free(copy.placement);
    return same_seen(&copy.seen, &after->seen);
}

/*
 * P9: the process dies after each LIFE steps, at any point of the log; what is made of the ledger
 * then lives beside the one that never died. `forgetful`: a fault planted in the ledger.
 */
static bool lives_on(struct world *twin, const struct world *world, const struct op *op, bool dies,
                     bool forgetful)
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

/* P8: the same inputs, in a world made anew, lead to what was recorded after each of them. `gap`: a
 * fault planted in the log. */
static bool replays(struct ctx *ctx, const struct op *ops, size_t count, uint32_t zones,
                    const struct seen *log, bool gap)
{
    static struct world world;
    world = world_new(ctx, zones);
    bool same = true;
    for (size_t at = 0; at < count && same; at++) {
        if (!gap || at > 0)
            world_do(&world, &ops[at]);
        same = same_seen(&world.seen, &log[at]);
    }
    placement_free(world.placement);
    return same;
}

/* Walks; returns the row that broke. `plant`: that row's fault is planted in what each step shows.
 */
static size_t walk(struct ctx *ctx, const struct op *ops, size_t count, uint32_t zones, int plant)
{
    static struct world world, before, twin;
    static struct seen log[WALK];
    world = world_new(ctx, zones);
    twin = world_new(ctx, zones);
    size_t broken = HOLDS;
    for (size_t at = 0; at < count && broken == HOLDS; at++) {
        bool copies = at % 16 == 15;
        before = world;
        if (copies)
            before.placement = placement_copy(world.placement);
        world_do(&world, &ops[at]);
        log[at] = world.seen;
        struct seen now = world.seen;
        if (plant >= 0)
            properties[plant].plant(&now);
        struct step step = {&world, &before.seen, &now, &ops[at]};
        for (size_t row = 0; row < ARRAY_SIZE(properties) && broken == HOLDS; row++)
            if ((plant == PLANT_NONE || plant == (int)row) && !properties[row].holds(&step))
                broken = row;
        if (copies && !copy_agrees(&before, &world, &ops[at]) && broken == HOLDS)
            broken = DIVERGES;
        if (!lives_on(&twin, &world, &ops[at], at % LIFE == 0, plant == PLANT_FORGETFUL) &&
            broken == HOLDS)
            broken = FORGETS;
    }
    placement_free(world.placement);
    placement_free(twin.placement);
    if (broken == HOLDS && !replays(ctx, ops, count, zones, log, plant == PLANT_GAP))
        broken = STRAYS;
    return broken;
}

/* Leaves out what is not needed to break the same row. */
static size_t shrink(struct ctx *ctx, struct op *ops, size_t count, uint32_t zones, size_t broken)
{
    struct op *fewer = test_calloc(count, sizeof *fewer);
    for (size_t chunk = count / 2; chunk > 0; chunk /= 2)
        for (size_t at = 0; at + chunk <= count;) {
            memcpy(fewer, ops, at * sizeof *ops);
            memcpy(fewer + at, ops + at + chunk, (count - at - chunk) * sizeof *ops);
            if (walk(ctx, fewer, count - chunk, zones, PLANT_NONE) == broken) {
                count -= chunk;
                memcpy(ops, fewer, count * sizeof *ops);
            } else
                at += chunk;
        }
    test_free(fewer);
    return count;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_properties__hold_on_random_walks(void **state)
{
    uint64_t seed = number_from("PROOF_SEED", 1), random = seed;
    uint64_t steps = number_from("PLACE_STEPS", 60000);
    struct op ops[WALK];
    for (uint64_t done = 0; done < steps; done += WALK) {
        uint32_t zones = done / WALK % 4 == 3 ? 2 : 1; /* each fourth walk in two zones */
        for (size_t at = 0; at < WALK; at++)
            ops[at] = random_op(&random);
        size_t broken = walk(*state, ops, WALK, zones, PLANT_NONE);
        if (broken == HOLDS)
            continue;
        size_t count = shrink(*state, ops, WALK, zones, broken);
        for (size_t at = 0; at < count; at++)
            fprintf(stderr, "{%u, %u, %u, %u},\n", ops[at].kind % OPS, ops[at].a, ops[at].b,
                    ops[at].c);
        fail_msg("seed %llu, zones %u, walk %llu: %s", (unsigned long long)seed, zones,
                 (unsigned long long)(done / WALK),
                 broken < DIVERGES ? properties[broken].name : beyond[broken - DIVERGES]);
    }
    printf("%llu steps, %zu properties, a copy, a life after each %d, a replay: all hold (seed "
           "%llu)\n",
           (unsigned long long)steps, ARRAY_SIZE(properties), LIFE, (unsigned long long)seed);
}

static void test_properties__catch_a_planted_fault(void **state)
{
    struct op ops[WALK];
    uint64_t random = 7;
    for (size_t at = 0; at < WALK; at++)
        ops[at] = random_op(&random);
    for (size_t row = 0; row < ARRAY_SIZE(properties); row++)
        assert_int_equal(walk(*state, ops, WALK, 1, (int)row), row);
    assert_int_equal(walk(*state, ops, WALK, 1, PLANT_FORGETFUL), FORGETS);
    assert_int_equal(walk(*state, ops, WALK, 1, PLANT_GAP), STRAYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_properties__hold_on_random_walks),
        TEST(test_properties__catch_a_planted_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
