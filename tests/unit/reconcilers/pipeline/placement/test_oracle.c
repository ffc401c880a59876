/* P4 and P5: what the engine finds against all that there is, on small cases: every subset of up to
 * seven pods. */
#include "reconcilers/pipeline/placement/placement.h"

#include "tests/unit/reconcilers/pipeline/placement/world.h"

enum { POD_COUNT = 7, CASES = 4000, ARRIVALS = 60 };

/* The fewest pods opened, of these the fewest in all. */
struct best {
    uint32_t opened, count;
};

static bool subset_takes(const int64_t *room, uint32_t subset, int64_t rate, enum place_mode mode)
{
    int64_t sum = 0, least = INT64_MAX, count = __builtin_popcount(subset);
    for (uint32_t pod = 0; pod < POD_COUNT; pod++)
        if (subset >> pod & 1) {
            sum += room[pod];
            least = room[pod] < least ? room[pod] : least;
        }
    if (mode == PLACE_WEIGHTED)
        return sum >= rate;
    return least >= (rate + count - 1) / count && count <= rate &&
           (mode == PLACE_EQUAL || count == 1);
}

static bool oracle(const int64_t *room, int64_t rate, enum place_mode mode, uint32_t split,
                   struct best *ret)
{
    *ret = (struct best){UINT32_MAX, UINT32_MAX};
    for (uint32_t subset = 1; subset < 1U << POD_COUNT; subset++) {
        struct best own = {0, (uint32_t)__builtin_popcount(subset)};
        for (uint32_t pod = 0; pod < POD_COUNT; pod++)
            own.opened += (subset >> pod & 1) && room[pod] == CAPACITY;
        if (own.count <= split && subset_takes(room, subset, rate, mode) &&
            (own.opened < ret->opened || (own.opened == ret->opened && own.count < ret->count)))
            *ret = own;
    }
    return ret->opened != UINT32_MAX;
}

static void admit(struct ctx *ctx, struct placement *placement, uint32_t id, int64_t rate)
{
    struct place_stage stage = {0, rate};
    struct place_pipeline spec = {.id = id, .age = id, .stage_count = 1, .stages = &stage};
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
}

static struct placement *one_class(struct ctx *ctx, enum place_mode mode, uint32_t pods,
                                   uint32_t split)
{
    struct placement *placement = placement_new();
    struct place_class spec = {CAPACITY, pods, split, 1, 100, mode, PLACE_PACK};
    assert_int_equal(placement_class_set(ctx, placement, 0, &spec), 0);
    for (uint32_t pod = 0; pod < pods; pod++) {
        struct place_pod fact = {0, pod, POD_READY, 0, CAPACITY};
        assert_int_equal(placement_pod_set(ctx, placement, &fact, 0), 0);
    }
    return placement;
}

/* Random loads that fit one pod each, some of them gone again; *room: what is left of each pod. */
static struct placement *random_loads(struct ctx *ctx, enum place_mode mode, uint32_t split,
                                      uint64_t *random, int64_t *room)
{
    struct placement *placement = one_class(ctx, mode, POD_COUNT, split);
    for (uint32_t id = 0; id < 12; id++)
        admit(ctx, placement, id, (int64_t)(next_random(random) % CAPACITY) + 1);
    for (uint32_t id = 0; id < 12; id++)
        if (next_random(random) % 2)
            assert_int_equal(placement_remove(ctx, placement, id), 0);
    for (uint32_t pod = 0; pod < POD_COUNT; pod++) {
        int64_t used, leaving;
        placement_pod_look(placement, 0, pod, &used, &leaving);
        assert_int_equal(placement_drained(ctx, placement, 0, pod, leaving, 0), 0);
        room[pod] = CAPACITY - used;
    }
    return placement;
}

static void test_oracle__nothing_better_is_there(void **state)
{
    uint64_t random = 3;
    uint32_t refused[3] = {0};
    for (uint32_t nth = 0; nth < CASES; nth++) {
        enum place_mode mode = (enum place_mode)(nth % 3);
        uint32_t split = 1 + (uint32_t)(next_random(&random) % POD_COUNT);
        int64_t room[POD_COUNT], rate = (int64_t)(next_random(&random) % (split * CAPACITY)) + 1;
        rate = mode == PLACE_WHOLE ? 1 + rate % CAPACITY : rate;
        struct placement *placement = random_loads(*state, mode, split, &random, room);
        struct best best, own = {0, 0};
        bool fits = oracle(room, rate, mode, mode == PLACE_WHOLE ? 1 : split, &best);
        admit(*state, placement, 99, rate);
        assert_int_equal(placement_look(placement, 99).phase == PLACE_PLACED, fits);
        struct place_share shares[PLACE_SPLIT_MAX];
        own.count = placement_shares(placement, 99, 0, shares);
        for (uint32_t at = 0; at < own.count; at++)
            own.opened += room[shares[at].ordinal] == CAPACITY;
        if (fits) {
            assert_int_equal(own.opened, best.opened);
            assert_int_equal(own.count, best.count);
        }
        refused[mode] += !fits;
        placement_free(placement);
    }
    for (int mode = 0; mode < 3; mode++)
        assert_in_range(refused[mode], 10, CASES / 3 - 10);
}

/* P4: weighted, arrivals only: never a pod more than the sum of rates asks for. */
static void test_oracle__as_few_pods_as_there_can_be(void **state)
{
    uint64_t random = 5;
    for (int round = 0; round < 100; round++) {
        struct placement *placement = one_class(*state, PLACE_WEIGHTED, ARRIVALS, PLACE_SPLIT_MAX);
        int64_t sum = 0;
        for (uint32_t id = 0; id < ARRIVALS; id++) {
            int64_t rate = (int64_t)(next_random(&random) % CAPACITY) + 1;
            sum += rate;
            admit(*state, placement, id, rate);
            assert_int_equal(placement_class_look(placement, 0).replicas,
                             (sum + CAPACITY - 1) / CAPACITY);
        }
        placement_free(placement);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_oracle__nothing_better_is_there),
        TEST(test_oracle__as_few_pods_as_there_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
