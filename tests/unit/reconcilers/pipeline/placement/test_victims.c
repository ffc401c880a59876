/*
 * Who makes room, on small cases: only who is less important; each of them is needed; and no more
 * important one than it takes: lowest priority, then fewest shares, then youngest. Whether it takes
 * somebody is tried on a copy from which the others are taken out. PROOF_SEED repeats a run.
 */
#include "reconcilers/pipeline/placement/placement.h"

#include "server/base/cleanup.h"
#include "tests/unit/reconcilers/pipeline/placement/seed.h"
#include "tests/unit/reconcilers/pipeline/placement/world.h"

#include <stdio.h>

enum { TWO = 2, FEW_PODS = 4, OLD = 9, NEWCOMER = OLD, CASES = 3000 };

struct few {
    struct place_stage stages[TWO];
    uint32_t count;
    int32_t priority;
};

static struct few random_few(uint64_t *random, int32_t priorities)
{
    struct few few = {.count = 1 + (uint32_t)(next_random(random) % TWO),
                      .priority = (int32_t)(next_random(random) % (uint64_t)priorities)};
    uint32_t first = (uint32_t)(next_random(random) % TWO);
    for (uint32_t at = 0; at < few.count; at++)
        few.stages[at] =
            (struct place_stage){(first + at) % TWO, 1 + (int64_t)(next_random(random) % CAPACITY)};
    return few;
}

static enum place_phase admit(struct ctx *ctx, struct placement *placement, uint32_t id,
                              const struct few *few, int32_t priority)
{
    struct place_pipeline spec = {id, 0, priority, id, few->count, few->stages};
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
    return placement_look(placement, id).phase;
}

static bool runs(const struct placement *placement, uint32_t id)
{
    enum place_phase phase = placement_look(placement, id).phase;
    return phase == PLACE_PLACED || phase == PLACE_SCALING;
}

/* Who waits is taken out, lest it be in the way of the one that is asked about. */
static struct placement *full(struct ctx *ctx, enum place_mode mode, const struct few *old)
{
    struct placement *placement = placement_new();
    for (uint32_t id = 0; id < TWO; id++) {
        struct place_class spec = {CAPACITY, FEW_PODS, FEW_PODS, 1, 100, mode, PLACE_PACK};
        assert_int_equal(placement_class_set(ctx, placement, id, &spec), 0);
        for (uint32_t pod = 0; pod < FEW_PODS; pod++) {
            struct place_pod fact = {id, pod, POD_READY, 0, CAPACITY};
            assert_int_equal(placement_pod_set(ctx, placement, &fact, 0), 0);
        }
    }
    for (uint32_t id = 0; id < OLD; id++)
        if (admit(ctx, placement, id, &old[id], 0) != PLACE_PLACED)
            assert_int_equal(placement_remove(ctx, placement, id), 0);
    for (uint32_t id = 0; id < OLD; id++) { /* the priorities now: nobody displaced anybody */
        if (placement_look(placement, id).phase == PLACE_UNKNOWN)
            continue;
        const uint32_t from[TWO] = {0, 1};
        struct place_pipeline spec = {OLD + 1 + id,  0, old[id].priority, id, old[id].count,
                                      old[id].stages};
        assert_int_equal(placement_redraw(ctx, placement, id, &spec, from, 0), 0);
        assert_int_equal(placement_look(placement, OLD + 1 + id).phase, PLACE_PLACED);
    }
    return placement;
}

/* Does the newcomer fit without anybody's help when all of `gone` are? */
static bool fits_without(struct ctx *ctx, const struct placement *before,
                         const struct few *newcomer, uint32_t gone)
{
    struct placement *copy = placement_copy(before);
    for (uint32_t id = 0; id < OLD; id++)
        if (gone >> id & 1)
            assert_int_equal(placement_remove(ctx, copy, OLD + 1 + id), 0);
    for (uint32_t at = 0; at < TWO * FEW_PODS; at++) {
        int64_t used, leaving;
        placement_pod_look(copy, at % TWO, at / TWO, &used, &leaving);
        assert_int_equal(placement_drained(ctx, copy, at % TWO, at / TWO, leaving, 0), 0);
    }
    bool fits = admit(ctx, copy, NEWCOMER, newcomer, 0) == PLACE_PLACED;
    placement_free(copy);
    return fits;
}

/* Its shares in classes that the newcomer asks for. */
static uint32_t useful_shares(const struct placement *placement, uint32_t id, const struct few *old,
                              const struct few *newcomer)
{
    uint32_t count = 0;
    struct place_share shares[PLACE_SPLIT_MAX];
    for (uint32_t at = 0; at < old[id].count; at++)
        for (uint32_t other = 0; other < newcomer->count; other++)
            if (old[id].stages[at].class_id == newcomer->stages[other].class_id)
                count += placement_shares(placement, OLD + 1 + id, at, shares);
    return count;
}

static bool is_lesser(const struct placement *before, const struct few *old,
                      const struct few *newcomer, uint32_t one, uint32_t other)
{
    if (old[one].priority != old[other].priority)
        return old[one].priority < old[other].priority;
    uint32_t mine = useful_shares(before, one, old, newcomer);
    uint32_t theirs = useful_shares(before, other, old, newcomer);
    return mine != theirs ? mine < theirs : one > other;
}

/* All that are less important than the most important victim: without him they do not suffice. */
static uint32_t lesser_ones(const struct placement *before, const struct few *old,
                            const struct few *newcomer, uint32_t victims)
{
    uint32_t most = UINT32_MAX, lesser = 0;
    for (uint32_t id = 0; id < OLD; id++)
        if (victims >> id & 1 && (most == UINT32_MAX || is_lesser(before, old, newcomer, most, id)))
            most = id;
    for (uint32_t id = 0; id < OLD; id++)
        if (id != most && runs(before, OLD + 1 + id) &&
            useful_shares(before, id, old, newcomer) > 0 &&
            is_lesser(before, old, newcomer, id, most))
            lesser |= 1U << id;
    return lesser;
}

static uint32_t victims_of(const struct placement *before, const struct placement *after)
{
    uint32_t victims = 0;
    for (uint32_t id = 0; id < OLD; id++)
        if (runs(before, OLD + 1 + id) && !runs(after, OLD + 1 + id))
            victims |= 1U << id;
    return victims;
}

static void test_victims__are_as_few_and_as_small_as_can_be(void **state)
{
    uint64_t seed = seed_given(), random = seed;
    uint32_t displaced = 0, several = 0;
    for (uint32_t nth = 0; nth < CASES; nth++) {
        struct few old[OLD];
        for (uint32_t id = 0; id < OLD; id++)
            old[id] = random_few(&random, 4);
        struct few newcomer = random_few(&random, 5);
        struct placement *placement = full(*state, (enum place_mode)(nth % 3), old);
        struct placement *before = placement_copy(placement);
        bool placed =
            admit(*state, placement, NEWCOMER, &newcomer, newcomer.priority) != PLACE_WAITING;
        uint32_t victims = victims_of(before, placement), all = 0;
        for (uint32_t id = 0; id < OLD; id++) {
            bool goes = victims >> id & 1;
            all |= (runs(before, OLD + 1 + id) && old[id].priority < newcomer.priority) << id;
            assert_true(!goes || old[id].priority < newcomer.priority);
            assert_true(!goes || !fits_without(*state, before, &newcomer, victims & ~(1U << id)));
        }
        assert_int_equal(placed, fits_without(*state, before, &newcomer, all));
        if (victims)
            assert_false(fits_without(*state, before, &newcomer,
                                      lesser_ones(before, old, &newcomer, victims)));
        displaced += victims != 0;
        several += __builtin_popcount(victims) > 1;
        placement_free(before);
        placement_free(placement);
    }
    assert_true(displaced > CASES / 20 && several > CASES / 100);
    printf(
        "    victims: in %u of %d cases somebody made room, in %u several: none needlessly (seed "
        "%llu)\n",
        displaced, CASES, several, (unsigned long long)seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_victims__are_as_few_and_as_small_as_can_be)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
