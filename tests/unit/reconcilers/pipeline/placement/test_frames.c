/* The numbers of the talk that the kinds come from, and the rules they stand for, as tables. */
#include "reconcilers/pipeline/placement/placement.h"

#include "server/base/cleanup.h"
#include "tests/unit/test.h"

enum { BLUE, GREEN, YELLOW, RED, GREY, PURPLE };
enum { FIRST, SECOND, THIRD };
#define DOCS(n) (INT64_C(1000) * (n))

static const struct {
    uint32_t id;
    int64_t capacity;
    uint32_t pods, pods_max;
    enum place_policy policy;
} classes[] = {
    {BLUE, DOCS(30), 3, 10, PLACE_PACK},    {GREEN, DOCS(15), 2, 10, PLACE_PACK},
    {YELLOW, DOCS(200), 2, 10, PLACE_PACK}, {RED, DOCS(10), 2, 10, PLACE_PACK},
    {GREY, DOCS(5), 5, 10, PLACE_SPREAD},   {PURPLE, DOCS(40), 3, 10, PLACE_PACK},
};

static void pod_is(struct ctx *ctx, struct placement *placement, uint32_t class_id,
                   uint32_t ordinal, enum pod_state state, int64_t now_s)
{
    struct place_pod pod = {class_id, ordinal, state, 0, classes[class_id].capacity};
    assert_int_equal(placement_pod_set(ctx, placement, &pod, now_s), 0);
}

static struct placement *seed(struct ctx *ctx, enum place_mode mode)
{
    struct placement *placement = placement_new();
    for (size_t at = 0; at < ARRAY_SIZE(classes); at++) {
        struct place_class spec = {.capacity = classes[at].capacity,
                                   .pods_max = classes[at].pods_max,
                                   .split_max = PLACE_SPLIT_MAX,
                                   .zones_min = 1,
                                   .timeout_s = 600,
                                   .mode = classes[at].policy == PLACE_SPREAD ? PLACE_EQUAL : mode,
                                   .policy = classes[at].policy};
        assert_int_equal(placement_class_set(ctx, placement, classes[at].id, &spec), 0);
        for (uint32_t pod = 0; pod < classes[at].pods; pod++)
            pod_is(ctx, placement, classes[at].id, pod, POD_READY, 0);
    }
    return placement;
}

static void admit(struct ctx *ctx, struct placement *placement, uint32_t id, int64_t docs,
                  const uint32_t class_ids[3], int64_t now_s)
{
    struct place_stage stages[3] = {
        {class_ids[0], DOCS(docs)}, {class_ids[1], DOCS(docs)}, {class_ids[2], DOCS(docs)}};
    struct place_pipeline spec = {.id = id, .age = id, .stage_count = 3, .stages = stages};
    assert_int_equal(placement_admit(ctx, placement, &spec, now_s), 0);
}

static const uint32_t primary[] = {BLUE, GREEN, YELLOW}, other[] = {RED, GREY, PURPLE};

/* "0:10 3:5": ordinal:documents per second of a stage's shares. */
static const char *shares(struct ctx *ctx, const struct placement *placement, uint32_t id,
                          uint32_t stage)
{
    struct place_share found[PLACE_SPLIT_MAX];
    uint32_t count = placement_shares(placement, id, stage, found);
    const char *text = "";
    for (uint32_t at = 0; at < count; at++)
        text = arena_printf(ctx->arena, "%s%s%u:%ld", text, at ? " " : "", found[at].ordinal,
                            (long)(found[at].milli / 1000));
    return text;
}

static const enum place_mode modes[] = {PLACE_WEIGHTED, PLACE_EQUAL, PLACE_WHOLE};

/* A2, A7, A10. Pods are the lowest ones, where the talk drew any. */
static void test_placement__frames_of_selecting(void **state)
{
    static const struct {
        uint32_t id, stage;
        const char *shares;
    } rows[] = {
        {0, 0, "0:10"}, {0, 1, "0:10"},
        {0, 2, "0:10"}, /* first */
        {1, 0, "0:10"}, {1, 1, "1:10"},
        {1, 2, "0:10"}, /* second: another green, for 5 < 10 are left */
        {2, 0, "0:10"}, {2, 1, "0:2 1:2 2:2 3:2 4:2"},
        {2, 2, "0:10"}, /* all greys, 2 each */
        {3, 0, "1:10"}, {3, 1, "0:2 1:2 2:2 3:2 4:2"},
        {3, 2, "0:10"},
    };
    for (size_t mode = 1; mode < ARRAY_SIZE(modes);
         mode++) { /* weighted would split second's green */
        struct placement *placement = seed(*state, modes[mode]);
        for (uint32_t id = 0; id < 4; id++)
            admit(*state, placement, id, 10, id < 2 ? primary : other, 0);
        for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
            assert_string_equal(shares(*state, placement, rows[at].id, rows[at].stage),
                                rows[at].shares);
        for (uint32_t id = 0; id < 4; id++)
            assert_int_equal(placement_look(placement, id).phase, PLACE_PLACED);
        placement_free(placement);
    }
}

static long percent(const struct placement *placement, uint32_t class_id)
{
    struct place_class_view view = placement_class_look(placement, class_id);
    return (long)(100 * view.demand / (view.ready * classes[class_id].capacity));
}

/* B0 to B3: the third asks for a green pod, and is placed when it is there; nobody else moves. */
static void test_placement__frames_of_scaling(void **state)
{
    static const long before[] = {22, 66, 5}, pending[] = {33, 100, 7}, after[] = {33, 66, 7};
    struct placement *placement = seed(*state, PLACE_WHOLE);
    admit(*state, placement, FIRST, 10, primary, 0);
    admit(*state, placement, SECOND, 10, primary, 0);
    for (uint32_t class_id = BLUE; class_id <= YELLOW; class_id++)
        assert_int_equal(percent(placement, class_id), before[class_id]);
    admit(*state, placement, THIRD, 10, primary, 5);
    struct place_view third = placement_look(placement, THIRD);
    assert_int_equal(third.phase, PLACE_SCALING);
    assert_int_equal(third.reason, PLACE_WAITS_FOR_PODS);
    assert_int_equal(third.stage, 1);
    assert_int_equal(third.need, DOCS(10));
    assert_int_equal(third.pods_needed, 1);
    assert_int_equal(third.deadline_s, 605);
    for (uint32_t class_id = BLUE; class_id <= YELLOW; class_id++)
        assert_int_equal(percent(placement, class_id), pending[class_id]);
    assert_int_equal(placement_class_look(placement, GREEN).replicas, 3);
    pod_is(*state, placement, GREEN, 2, POD_READY, 9);
    assert_int_equal(placement_look(placement, THIRD).phase, PLACE_PLACED);
    for (uint32_t class_id = BLUE; class_id <= YELLOW; class_id++)
        assert_int_equal(percent(placement, class_id), after[class_id]);
    assert_string_equal(shares(*state, placement, FIRST, 1), "0:10");
    assert_string_equal(shares(*state, placement, SECOND, 1), "1:10");
    placement_free(placement);
}

/* C0 to C9: only the two yellow shares move, at once; the talk unset all six bindings. */
static void test_placement__frames_of_a_lost_worker(void **state)
{
    struct placement *placement = seed(*state, PLACE_WHOLE);
    pod_is(*state, placement, GREEN, 2, POD_READY, 0);
    for (uint32_t id = FIRST; id <= THIRD; id++)
        admit(*state, placement, id, 10, primary, 0);
    while (placement_next_changed(placement) != PLACE_NONE)
        ;
    pod_is(*state, placement, YELLOW, 0, POD_ABSENT, 1);
    for (uint32_t id = FIRST; id <= THIRD; id++) {
        assert_string_equal(shares(*state, placement, id, 2), "1:10");
        assert_int_equal(placement_look(placement, id).phase, PLACE_PLACED);
        assert_int_equal(placement_next_changed(placement), id);
    }
    assert_string_equal(shares(*state, placement, SECOND, 0), "0:10");
    assert_string_equal(shares(*state, placement, SECOND, 1), "1:10");
    placement_free(placement);
}

/* The talk's machine stays at seven pods for ever; here the tenth gets its pod and the eleventh a
 * reason. */
static void test_placement__the_eighth_green_is_placed(void **state)
{
    struct placement *placement = seed(*state, PLACE_WHOLE);
    for (uint32_t id = 0; id < 10; id++) {
        admit(*state, placement, id, 10, primary, id);
        pod_is(*state, placement, GREEN, id, POD_READY, id);
        if (id % 3 == 0 && id > 6)
            pod_is(*state, placement, BLUE, id / 3, POD_READY, id);
        assert_int_equal(placement_look(placement, id).phase, PLACE_PLACED);
    }
    admit(*state, placement, 10, 10, primary, 20);
    struct place_view view = placement_look(placement, 10);
    assert_int_equal(view.phase, PLACE_WAITING);
    assert_string_equal(place_reason_word(view.reason), "NoCapacity");
    assert_int_equal(view.need, DOCS(10));
    assert_int_equal(view.free, DOCS(50)); /* ten times five */
    assert_int_equal(view.retry_s, 20 + PLACE_BACKOFF_S);
    assert_int_equal(placement_class_look(placement, GREEN).demand, DOCS(110));
    assert_int_equal(placement_remove(*state, placement, 3), 0);
    assert_int_equal(placement_drained(*state, placement, GREEN, 3, DOCS(10), 25), 0);
    assert_int_equal(placement_tick(placement, 25), 1);
    assert_string_equal(shares(*state, placement, 10, 1), "3:10");
    placement_free(placement);
}

/* S9: from zero. */
static void test_placement__scales_from_zero(void **state)
{
    struct placement *placement = seed(*state, PLACE_WEIGHTED);
    for (uint32_t pod = 0; pod < 3; pod++)
        pod_is(*state, placement, PURPLE, pod, POD_ABSENT, 0);
    struct place_stage stage = {PURPLE, DOCS(60)};
    struct place_pipeline spec = {.id = 0, .stage_count = 1, .stages = &stage};
    assert_int_equal(placement_admit(*state, placement, &spec, 0), 0);
    struct place_class_view view = placement_class_look(placement, PURPLE);
    assert_int_equal(view.planned, 2);
    assert_int_equal(view.replicas, 2);
    assert_int_equal(placement_look(placement, 0).pods_needed, 2);
    placement_tick(placement, 600); /* nobody came */
    assert_int_equal(placement_class_look(placement, PURPLE).planned, 0);
    assert_int_equal(placement_look(placement, 0).reason, PLACE_TIMED_OUT);
    assert_int_equal(placement_look(placement, 0).retry_s, 600 + PLACE_BACKOFF_S);
    placement_free(placement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_placement__frames_of_selecting),
        TEST(test_placement__frames_of_scaling),
        TEST(test_placement__frames_of_a_lost_worker),
        TEST(test_placement__the_eighth_green_is_placed),
        TEST(test_placement__scales_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
