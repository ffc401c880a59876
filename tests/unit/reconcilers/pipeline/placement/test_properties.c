/*
 * Random walks over small worlds of twelve shapes. PLACE_STEPS and PROOF_SEED lengthen and repeat
 * them. Each row has faults planted in what is seen, and must catch each.
 */
#include "tests/unit/reconcilers/pipeline/placement/seed.h"
#include "tests/unit/reconcilers/pipeline/placement/shrink.h"

#include "server/base/cleanup.h"

/* The split limit binds in all but the first and the last. */
static const struct shape shapes[] = {
    {.zones = 1, .split = 6},
    {.zones = 1, .split = 3},
    {.zones = 1, .split = 3, .crowd = 1},
    {.zones = 1, .split = 4, .crowd = 2},
    {.zones = 1, .split = 3, .uneven = true},
    {.zones = 1, .split = 2, .policy = PLACE_SPREAD},
    {.zones = 2, .split = 4, .crowd = 3},
    {.zones = 2, .split = 4},
    {.zones = 2, .split = 4, .uneven = true, .policy = PLACE_SPREAD},
    {.zones = 3, .split = 3},
    {.zones = 2, .split = 6, .uneven = true, .more_zones = 1},
    {.zones = 2, .split = 4, .more_zones = 2},
};

static struct op random_op(uint64_t *state)
{
    uint64_t x = next_random(state), y = next_random(state);
    static const uint32_t often[] = {OP_ADMIT,   OP_ADMIT,  OP_ADMIT_MORE, OP_REMOVE, OP_RATE,
                                     OP_POD,     OP_POD,    OP_DRAIN,      OP_DRAIN,  OP_TICK,
                                     OP_COMPACT, OP_ADMIT,  OP_POD,        OP_RATE,   OP_DRAIN,
                                     OP_CALM,    OP_REDRAW, OP_REDRAW,     OP_TICK,   OP_QUOTA};
    return (struct op){often[x % ARRAY_SIZE(often)], (uint32_t)(x >> 32), (uint32_t)y,
                       (uint32_t)(y >> 32)};
}

static struct walk random_walk(uint64_t *random, struct shape shape)
{
    struct walk walk = {.count = WALK, .shape = shape, .plant = PLANT_NONE};
    for (size_t at = 0; at < WALK; at++)
        walk.ops[at] = random_op(random);
    return walk;
}

static void test_properties__hold_on_random_walks(void **state)
{
    uint64_t seed = seed_given(), random = seed, checks[ROWS] = {0};
    uint64_t steps = number_from("PLACE_STEPS", 60000);
    for (uint64_t done = 0; done < steps; done += WALK) {
        uint64_t number = done / WALK;
        struct walk walk = random_walk(&random, shapes[number % ARRAY_SIZE(shapes)]);
        walk.checks = checks;
        enum row broken = walk_do(*state, &walk);
        if (broken == HOLDS)
            continue;
        walk_shrink(*state, &walk, broken);
        walk_tell(stderr, &walk, seed, number, broken);
        fail_msg("%s", rows[broken].name);
    }
    for (uint32_t row = 0; row < ROWS; row++) {
        printf("%-68s %10llu checks\n", rows[row].name, (unsigned long long)checks[row]);
        assert_true(checks[row] > 0 || steps < 60000); /* what is never checked holds of itself */
    }
    printf("%llu steps in %zu shapes of world: all hold (seed %llu)\n", (unsigned long long)steps,
           ARRAY_SIZE(shapes), (unsigned long long)seed);
}

/* The first of a few walks that breaks; each shape has its turn. */
static enum row walks_until_broken(struct ctx *ctx, struct walk *walk, int plant,
                                   void (*spoil)(struct world *, const struct op *))
{
    enum row broken = HOLDS;
    uint64_t random = seed_given();
    for (size_t at = 0; broken == HOLDS && at < 30 * ARRAY_SIZE(shapes); at++) {
        *walk = random_walk(&random, shapes[at % ARRAY_SIZE(shapes)]);
        walk->plant = plant;
        walk->spoil = spoil;
        broken = walk_do(ctx, walk);
    }
    return broken;
}

static void test_properties__catch_a_planted_fault(void **state)
{
    static const struct {
        int plant;
        enum row row;
    } beyond[] = {{PLANT_FORGETFUL, ROW_LEDGER},
                  {PLANT_GAP, ROW_LOG},
                  {PLANT_STALE, ROW_COPY},
                  {PLANT_SHARED, ROW_COPY}};
    struct walk walk;
    for (size_t at = 0; at < ARRAY_SIZE(faults); at++)
        assert_int_equal(walks_until_broken(*state, &walk, (int)at, NULL), faults[at].row);
    for (size_t at = 0; at < ARRAY_SIZE(beyond); at++)
        assert_int_equal(walks_until_broken(*state, &walk, beyond[at].plant, NULL), beyond[at].row);
    printf("%zu planted faults: each is caught by its own row\n",
           ARRAY_SIZE(faults) + ARRAY_SIZE(beyond));
}

/* As if the engine let go of another one, too, when a pipeline is removed. */
static void take_the_next_one(struct world *world, const struct op *op)
{
    int64_t none[STAGES] = {0};
    struct place_view refusal;
    bool done;
    uint32_t next = (op->a + 1) % PIPELINES;
    if (op->kind % OPS == OP_REMOVE && world->seen.pipelines[next].view.phase == PLACE_PLACED)
        placement_rates_set(world->ctx, world->placement, next, none, world->seen.now_s, &refusal,
                            &done);
}

/* As if it had forgotten the time of those who wait. */
static void never_come_back(struct world *world, const struct op *op)
{
    if (op->kind % OPS == OP_TICK)
        world->seen.now_s += PLACE_BACKOFF_S_MAX;
}

/* As if what drains were room for nobody who waits for pods. */
static void pass_over(struct world *world, const struct op *op)
{
    struct world kept;
    if (op->kind % OPS != OP_DRAIN)
        return;
    world_see(world); /* a drain moves nothing, and so nobody is missed as changed */
    kept = *world;
    for (uint32_t id = 0; id < PIPELINES; id++)
        kept.seen.pipelines[id].view.due &= kept.seen.pipelines[id].view.phase != PLACE_SCALING;
    placement_free(world->placement);
    world->placement = world_restored(&kept).placement;
}

static void test_properties__what_breaks_is_shrunk_and_told(void **state)
{
    static const struct {
        void (*spoil)(struct world *, const struct op *);
        enum row row;
        size_t steps; /* at most: what it takes to see the fault */
        const char *word;
    } spoilt[] = {{take_the_next_one, ROW_EXACT, 8, "/* remove */"},
                  {never_come_back, ROW_REASON, 8, "/* tick */"},
                  {pass_over, ROW_SOONER, 12, "/* drain */"}};
    for (size_t at = 0; at < ARRAY_SIZE(spoilt); at++) {
        char text[4096] = "", seed[64];
        struct walk walk;
        enum row broken = walks_until_broken(*state, &walk, PLANT_NONE, spoilt[at].spoil);
        assert_int_equal(broken, spoilt[at].row);
        size_t before = walk.count;
        walk_shrink(*state, &walk, broken);
        assert_int_equal(walk_do(*state, &walk), broken);
        assert_in_range(walk.count, 1, spoilt[at].steps);
        FILE *to = fmemopen(text, sizeof text, "w");
        walk_tell(to, &walk, seed_given(), 0, broken);
        fclose(to);
        snprintf(seed, sizeof seed, "seed %llu,", (unsigned long long)seed_given());
        assert_non_null(strstr(text, seed));
        assert_non_null(strstr(text, rows[broken].name));
        assert_non_null(strstr(text, spoilt[at].word));
        printf("a planted fault of the engine, found by '%s': %zu steps shrunk to %zu\n",
               rows[broken].name, before, walk.count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_properties__hold_on_random_walks),
        TEST(test_properties__catch_a_planted_fault),
        TEST(test_properties__what_breaks_is_shrunk_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
