/*
 * P12: an autoscaler that reads the metric, as Kubernetes has it (AverageValue: nothing happens
 * within the tolerance, else ceil(total / target)), and many pipelines one after the other. With
 * the targets of docs/reconcilers/pipeline.md none waits for ever; the talk's own hangs at the
 * eighth.
 */
#include "reconcilers/pipeline/placement/placement.h"

#include "server/base/cleanup.h"
#include "tests/unit/reconcilers/pipeline/placement/seed.h"
#include "tests/unit/reconcilers/pipeline/placement/world.h"

#include <stdio.h>

enum { CLASS, PODS_MAX = 200, NEVER = 0, PIPELINES_MANY = 120, SYNC_S = 15, TIMEOUT_S = 600 };

/* Rates, capacities and targets in milli-documents/s, the tolerance in thousandths. */
struct scaler {
    int64_t target, tolerance;
    uint32_t pods;
    int64_t now_s;
};

struct setting {
    const char *name;
    enum place_mode mode;
    uint32_t split;
    int64_t capacity, least, most; /* rates */
    int64_t target, tolerance;
    uint32_t sticks, pods; /* at the n-th pipeline, with so many pods; NEVER */
};

/* |total / (target * pods) - 1| <= tolerance: in whole numbers. */
static bool is_within(const struct scaler *scaler, int64_t total)
{
    int64_t rest = scaler->target * scaler->pods, off = total > rest ? total - rest : rest - total;
    return off * MILLI <= scaler->tolerance * rest;
}

/* One look of the autoscaler. It never takes pods away: scaleDown is switched off. */
static bool scales(struct ctx *ctx, struct placement *placement, const struct setting *setting,
                   struct scaler *scaler)
{
    int64_t total = placement_class_look(placement, CLASS).demand;
    uint32_t wanted = (uint32_t)((total + scaler->target - 1) / scaler->target);
    if (is_within(scaler, total) || wanted <= scaler->pods)
        return false;
    for (wanted = wanted < PODS_MAX ? wanted : PODS_MAX; scaler->pods < wanted; scaler->pods++) {
        struct place_pod pod = {CLASS, scaler->pods, POD_READY, 0, setting->capacity};
        assert_int_equal(placement_pod_set(ctx, placement, &pod, scaler->now_s), 0);
    }
    return true;
}

static bool all_run(const struct placement *placement, uint32_t count)
{
    for (uint32_t id = 0; id < count; id++) {
        enum place_phase phase = placement_look(placement, id).phase;
        if (phase != PLACE_PLACED && phase != PLACE_UNKNOWN)
            return false;
    }
    return true;
}

/* Until all run and the autoscaler rests; false: it rests, and two deadlines on somebody waits. */
static bool all_run_at_last(struct ctx *ctx, struct placement *placement,
                            const struct setting *setting, struct scaler *scaler, uint32_t count)
{
    for (int64_t since_s = scaler->now_s; scaler->now_s - since_s < INT64_C(2) * TIMEOUT_S;) {
        scaler->now_s += SYNC_S;
        placement_tick(placement, scaler->now_s);
        if (scales(ctx, placement, setting, scaler))
            since_s = scaler->now_s;
        else if (all_run(placement, count))
            return true;
    }
    return false;
}

static void take_out(struct ctx *ctx, struct placement *placement, const struct scaler *scaler,
                     uint32_t id)
{
    if (placement_look(placement, id).phase == PLACE_UNKNOWN)
        return;
    assert_int_equal(placement_remove(ctx, placement, id), 0);
    for (uint32_t pod = 0; pod < scaler->pods; pod++) {
        int64_t used, leaving;
        placement_pod_look(placement, CLASS, pod, &used, &leaving);
        assert_int_equal(placement_drained(ctx, placement, CLASS, pod, leaving, scaler->now_s), 0);
    }
}

/* Pipelines one after the other, one in `leaves` takes another one out again; the first that waits
 * for ever, NEVER = none. */
static uint32_t first_stuck(struct ctx *ctx, const struct setting *setting, uint64_t *random,
                            uint32_t leaves, uint32_t *ret_pods)
{
    struct placement *placement = placement_new();
    struct place_class spec = {setting->capacity, PODS_MAX,      setting->split, 1,
                               TIMEOUT_S,         setting->mode, PLACE_PACK};
    struct scaler scaler = {.target = setting->target, .tolerance = setting->tolerance};
    assert_int_equal(placement_class_set(ctx, placement, CLASS, &spec), 0);
    struct place_pod first = {CLASS, 0, POD_READY, 0, setting->capacity};
    assert_int_equal(placement_pod_set(ctx, placement, &first, 0), 0);
    scaler.pods = 1; /* minReplicas */
    uint32_t stuck = NEVER;
    for (uint32_t id = 0; id < PIPELINES_MANY && stuck == NEVER; id++) {
        uint64_t span = (uint64_t)(setting->most - setting->least) + 1;
        struct place_stage stage = {CLASS, setting->least + (int64_t)(next_random(random) % span)};
        struct place_pipeline pipeline = {.id = id, .age = id, .stage_count = 1, .stages = &stage};
        assert_int_equal(placement_admit(ctx, placement, &pipeline, scaler.now_s), 0);
        if (!all_run_at_last(ctx, placement, setting, &scaler, id + 1))
            stuck = id + 1;
        if (leaves && id % leaves == leaves - 1)
            take_out(ctx, placement, &scaler, (uint32_t)(next_random(random) % (id + 1)));
    }
    *ret_pods = scaler.pods;
    placement_free(placement);
    return stuck;
}

/* capacity 15; the rates of "Mixed" reach from 1 to 10. */
#define DOCS(n) ((int64_t)((n)*MILLI))
#define WHOLE_10(name, target, tolerance, sticks)                                                  \
    {                                                                                              \
        name, PLACE_WHOLE, 1, DOCS(15), DOCS(10), DOCS(10), target, tolerance, sticks, sticks - 1  \
    }

static void test_autoscaler__the_talk_s_target_sticks_at_the_eighth(void **state)
{
    static const struct setting settings[] = {
        WHOLE_10("70 %: the talk's", DOCS(10.5), 100, 8),
        WHOLE_10("67 %", DOCS(10), 100, 11),
        WHOLE_10("70 %, no tolerance", DOCS(10.5), 0, 21),
        WHOLE_10("100 %", DOCS(15), 100, 3),
        {"the talk's blue", PLACE_WHOLE, 1, DOCS(30), DOCS(10), DOCS(10), DOCS(21), 100, NEVER, 0},
        {"the talk's yellow", PLACE_WHOLE, 1, DOCS(200), DOCS(10), DOCS(10), DOCS(140), 100, NEVER,
         0},
        {"Weighted, more than capacity / (1 + tolerance)", PLACE_WEIGHTED, 16, DOCS(15), DOCS(10),
         DOCS(10), DOCS(14), 100, 35, 23},
    };
    uint64_t random = 0;
    for (size_t at = 0; at < ARRAY_SIZE(settings); at++) {
        uint32_t pods, stuck = first_stuck(*state, &settings[at], &random, 0, &pods);
        if (stuck != settings[at].sticks)
            fail_msg("%s: %u, not %u", settings[at].name, stuck, settings[at].sticks);
        if (stuck != NEVER)
            assert_int_equal(pods, settings[at].pods);
    }
    printf("P12 the talk's target sticks at the eighth pipeline, four others where they must, its "
           "blue and yellow never\n");
}

/* The talk's sample gauge: blue is asked for 30, with a target of 20 it gets two pods. */
static void test_autoscaler__the_talk_s_gauge_asks_for_two(void **state)
{
    const struct setting blue = {.capacity = DOCS(30)};
    const struct place_class spec = {DOCS(30), PODS_MAX, 1, 1, TIMEOUT_S, PLACE_WHOLE, PLACE_PACK};
    struct scaler scaler = {.target = DOCS(20), .tolerance = 100, .pods = 1};
    struct placement *placement = placement_new();
    struct place_stage stage = {CLASS, DOCS(30)};
    struct place_pipeline pipeline = {.stage_count = 1, .stages = &stage};
    assert_int_equal(placement_class_set(*state, placement, CLASS, &spec), 0);
    assert_int_equal(placement_admit(*state, placement, &pipeline, 0), 0);
    assert_true(scales(*state, placement, &blue, &scaler));
    assert_int_equal(scaler.pods, 2);
    assert_false(scales(*state, placement, &blue, &scaler));
    placement_free(placement);
}

/* The table of docs/reconcilers/pipeline.md; r = 10, capacity 15. The last figure of each target is
 * rounded down. */
static void test_autoscaler__with_the_right_target_nobody_waits_for_ever(void **state)
{
    enum { ROUNDS = 12 };
    static const struct setting settings[] = {
        {"Weighted, maxSplit 16", PLACE_WEIGHTED, 16, DOCS(15), DOCS(1), DOCS(10), 13068, 100,
         NEVER, 0},
        {"Weighted, maxSplit 2", PLACE_WEIGHTED, 2, DOCS(15), DOCS(1), DOCS(10), 9090, 100, NEVER,
         0},
        {"Equal, maxSplit 16", PLACE_EQUAL, 16, DOCS(15), DOCS(1), DOCS(10), 11090, 100, NEVER, 0},
        {"Equal, maxSplit 4", PLACE_EQUAL, 4, DOCS(15), DOCS(1), DOCS(10), 11090, 100, NEVER, 0},
        {"Equal, all of one rate", PLACE_EQUAL, 4, DOCS(15), DOCS(10), DOCS(10), 11090, 100, NEVER,
         0},
        {"Whole", PLACE_WHOLE, 1, DOCS(15), DOCS(1), DOCS(10), 4545, 100, NEVER, 0},
        WHOLE_10("Whole, all of one rate", 9090, 100, NEVER),
    };
    uint64_t random = seed_given();
    for (size_t at = 0; at < ARRAY_SIZE(settings); at++)
        for (uint32_t round = 0; round < ROUNDS; round++) {
            uint32_t pods;
            uint32_t stuck = first_stuck(*state, &settings[at], &random, round % 3, &pods);
            if (stuck != NEVER)
                fail_msg("%s: the %uth waits for ever with %u pods", settings[at].name, stuck,
                         pods);
            assert_in_range(pods, 2, PODS_MAX - 1);
        }
    printf("P12 with the right target nobody waits for ever: %zu targets, %d times %d pipelines\n",
           ARRAY_SIZE(settings), ROUNDS, PIPELINES_MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_autoscaler__the_talk_s_target_sticks_at_the_eighth),
        TEST(test_autoscaler__the_talk_s_gauge_asks_for_two),
        TEST(test_autoscaler__with_the_right_target_nobody_waits_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
