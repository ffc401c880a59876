/* Who waits for pods to come takes room that serves, as soon as there is some; what it gives back
 * need not come. */
#include "tests/unit/reconcilers/pipeline/placement/one_class.h"

enum { OTHER = 1 };

/* The same class twice, each with so many pods. */
static struct placement *with_two(struct ctx *ctx, struct place_class spec, uint32_t ready)
{
    struct placement *placement = with(ctx, spec, ready);
    assert_int_equal(placement_class_set(ctx, placement, OTHER, &spec), 0);
    for (uint32_t at = 0; at < ready; at++) {
        struct place_pod pod = {OTHER, at, POD_READY, 0, 15};
        assert_int_equal(placement_pod_set(ctx, placement, &pod, 0), 0);
    }
    return placement;
}

static void admit_in(struct ctx *ctx, struct placement *placement, uint32_t id, uint32_t class_id,
                     int64_t rate)
{
    struct place_stage stage = {class_id, rate};
    struct place_pipeline spec = {id, 0, 0, id, 1, &stage};
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
}

static void admit_in_both(struct ctx *ctx, struct placement *placement, uint32_t id, int64_t rate)
{
    struct place_stage stages[] = {{CLASS, rate}, {OTHER, rate}};
    struct place_pipeline spec = {id, 0, 0, id, 2, stages};
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
}

static void drain(struct ctx *ctx, struct placement *placement, uint32_t class_id, uint32_t pod)
{
    int64_t used, gone;
    placement_pod_look(placement, class_id, pod, &used, &gone);
    assert_int_equal(placement_drained(ctx, placement, class_id, pod, gone, 0), 0);
}

static uint32_t pod_of(const struct placement *placement, uint32_t id, uint32_t stage)
{
    struct place_share found[PLACE_SPLIT_MAX];
    return placement_shares(placement, id, stage, found) ? found[0].ordinal : PLACE_NONE;
}

static void assert_waits(const struct placement *placement, uint32_t id)
{
    struct place_view view = placement_look(placement, id);
    assert_int_equal(view.phase, PLACE_SCALING);
    assert_int_equal(view.reason, PLACE_WAITS_FOR_PODS);
    assert_false(view.due);
}

static void test_sooner__what_drains_is_taken_and_no_pod_need_come(void **state)
{
    static const enum place_mode modes[] = {PLACE_WEIGHTED, PLACE_EQUAL, PLACE_WHOLE};
    for (size_t at = 0; at < ARRAY_SIZE(modes); at++) {
        struct place_class spec = plain;
        spec.mode = modes[at];
        struct placement *placement = with(*state, spec, 1);
        admit(*state, placement, 0, 10, 0, 0, 0);
        admit(*state, placement, 1, 12, 0, 0, 0);
        assert_shares(*state, placement, 1, "1:12");
        placement_tick(placement, 1);
        assert_waits(placement, 1);
        assert_int_equal(placement_class_look(placement, CLASS).replicas, 2);
        assert_int_equal(placement_remove(*state, placement, 0), 0);
        placement_tick(placement, 2); /* it still drains */
        assert_waits(placement, 1);
        assert_int_equal(placement_look(placement, 1).deadline_s, 30);
        drain(*state, placement, CLASS, 0);
        assert_true(placement_look(placement, 1).due);
        placement_tick(placement, 3);
        assert_shares(*state, placement, 1, "0:12");
        assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
        assert_int_equal(placement_class_look(placement, CLASS).replicas, 1);
        assert_int_equal(placement_class_look(placement, CLASS).planned, 0);
        placement_free(placement);
    }
}

/* Not enough, or not on one pod: nothing is told, and the time is the same. */
static void test_sooner__room_that_is_too_small_changes_nothing(void **state)
{
    struct place_class spec = plain;
    spec.mode = PLACE_WHOLE;
    struct placement *placement = with(*state, spec, 2);
    for (uint32_t id = 0; id < 4; id++)
        admit(*state, placement, id, 7, 0, 0, 0); /* 1 is left on each */
    admit(*state, placement, 4, 12, 0, 0, 0);
    assert_shares(*state, placement, 4, "2:12");
    struct place_view before = placement_look(placement, 4);
    assert_int_equal(placement_remove(*state, placement, 0), 0);
    assert_int_equal(placement_remove(*state, placement, 2), 0);
    drain(*state, placement, CLASS, 0);
    drain(*state, placement, CLASS, 1); /* 8 on each: 16 */
    while (placement_next_changed(placement) != PLACE_NONE)
        ;
    placement_tick(placement, 1);
    assert_waits(placement, 4);
    assert_shares(*state, placement, 4, "2:12");
    assert_int_equal(placement_look(placement, 4).deadline_s, before.deadline_s);
    assert_int_equal(placement_look(placement, 4).free, before.free);
    assert_int_equal(placement_next_changed(placement), PLACE_NONE);
    placement_free(placement);
}

/* Whichever class has room first: who never ran takes all or nothing. */
static void test_sooner__all_stages_or_none(void **state)
{
    static const uint32_t orders[][2] = {{CLASS, OTHER}, {OTHER, CLASS}};
    for (size_t at = 0; at < ARRAY_SIZE(orders); at++) {
        struct placement *placement = with_two(*state, plain, 1);
        admit_in(*state, placement, 0, CLASS, 10);
        admit_in(*state, placement, 1, OTHER, 10);
        admit_in_both(*state, placement, 2, 10);
        for (uint32_t nth = 0; nth < 2; nth++) {
            assert_int_equal(pod_of(placement, 2, 0), 1);
            assert_int_equal(pod_of(placement, 2, 1), 1);
            assert_int_equal(placement_look(placement, 2).phase, PLACE_SCALING);
            assert_int_equal(placement_remove(*state, placement, orders[at][nth] == CLASS ? 0 : 1),
                             0);
            drain(*state, placement, orders[at][nth], 0);
            placement_tick(placement, 1);
        }
        assert_int_equal(placement_look(placement, 2).phase, PLACE_PLACED);
        assert_int_equal(pod_of(placement, 2, 0), 0);
        assert_int_equal(pod_of(placement, 2, 1), 0);
        placement_free(placement);
    }
}

/* What serves stays; each stage is whole again as soon as it can be. */
static void test_sooner__who_ran_takes_it_stage_by_stage(void **state)
{
    for (uint32_t first = CLASS; first <= OTHER; first++) {
        struct placement *placement = with_two(*state, plain, 2);
        admit_in_both(*state, placement, 0, 20); /* 0:15 1:5 of each */
        admit_in(*state, placement, 1, CLASS, 10);
        admit_in(*state, placement, 2, OTHER, 10);
        for (uint32_t class_id = CLASS; class_id <= OTHER; class_id++) {
            struct place_pod lost = {class_id, 0, POD_ABSENT, 0, 0};
            assert_int_equal(placement_pod_set(*state, placement, &lost, 0), 0);
            assert_int_equal(pod_of(placement, 0, class_id), 0); /* reserved on its successor */
        }
        placement_tick(placement, 1);
        assert_waits(placement, 0);
        assert_true(placement_look(placement, 0).ran);
        assert_int_equal(placement_remove(*state, placement, first == CLASS ? 1 : 2), 0);
        struct place_pod more = {first, 2, POD_READY, 0, 15};
        assert_int_equal(placement_pod_set(*state, placement, &more, 0), 0);
        placement_tick(placement, 2);
        struct place_share shares[PLACE_SPLIT_MAX];
        assert_int_equal(placement_shares(placement, 0, first, shares), 2);
        assert_int_equal(shares[0].ordinal, 1);
        assert_true(shares[0].milli >= 5);
        assert_int_equal(shares[1].ordinal, 2);
        assert_int_equal(pod_of(placement, 0, !first), 0); /* the other one waits on */
        assert_waits(placement, 0);
        placement_free(placement);
    }
}

/* Equal parts stay equal: two that wait go to two others. */
static void test_sooner__equal_parts_go_one_by_one(void **state)
{
    struct place_class spec = plain;
    spec.mode = PLACE_EQUAL;
    spec.policy = PLACE_SPREAD;
    spec.split_max = 3;
    struct placement *placement = with(*state, spec, 3);
    admit(*state, placement, 0, 33, 0, 0, 0);
    assert_shares(*state, placement, 0, "0:11 1:11 2:11");
    pod_is(*state, placement, 3, POD_STARTING, 0);
    pod_is(*state, placement, 1, POD_ABSENT, 0);
    assert_shares(*state, placement, 0, "0:11 2:11 3:11");
    pod_is(*state, placement, 0, POD_ABSENT, 0);
    placement_tick(placement, 1);
    assert_waits(placement, 0);
    assert_shares(*state, placement, 0, "0:11 2:11 3:11"); /* 0 is to come again */
    struct place_pod pod = {CLASS, 1, POD_READY, 0, 15};
    assert_int_equal(placement_pod_set(*state, placement, &pod, 0), 0);
    placement_tick(placement, 2);
    assert_shares(*state, placement, 0, "0:11 2:11 3:11"); /* one is no room for two */
    pod_is(*state, placement, 3, POD_READY, 0);
    placement_tick(placement, 3);
    assert_shares(*state, placement, 0, "1:11 2:11 3:11");
    assert_int_equal(placement_look(placement, 0).phase, PLACE_PLACED);
    placement_free(placement);
}

/* The class may have no more pods: what the one gives back the other one has at once. */
static void test_sooner__what_is_given_back_is_for_who_waits(void **state)
{
    struct place_class spec = plain;
    spec.pods_max = 2;
    struct placement *placement = with(*state, spec, 1);
    admit(*state, placement, 0, 15, 0, 0, 0);
    admit(*state, placement, 1, 15, 0, 0, 0);
    admit(*state, placement, 2, 15, 0, 0, 0);
    placement_tick(placement, 1);
    assert_waits(placement, 1);
    assert_int_equal(placement_look(placement, 2).phase, PLACE_WAITING);
    assert_int_equal(placement_remove(*state, placement, 0), 0);
    drain(*state, placement, CLASS, 0);
    placement_tick(placement, 2);
    assert_shares(*state, placement, 1, "0:15");
    assert_shares(*state, placement, 2, "1:15");
    assert_false(placement_is_behind(placement));
    placement_free(placement);
}

/* Who is only reserved is no better than who waits: priority and age decide. */
static void test_sooner__an_older_one_that_waits_comes_first(void **state)
{
    struct place_class spec = plain;
    spec.pods_max = 2;
    spec.mode = PLACE_WHOLE;
    struct placement *placement = with(*state, spec, 1);
    admit(*state, placement, 0, 15, 0, 0, 0);
    admit(*state, placement, 3, 5, 0, 0, 0);
    admit(*state, placement, 1, 15, 0, 0, 0); /* older than 3, by its number */
    assert_shares(*state, placement, 3, "1:5");
    assert_int_equal(placement_look(placement, 1).phase, PLACE_WAITING);
    assert_int_equal(placement_remove(*state, placement, 0), 0);
    drain(*state, placement, CLASS, 0);
    placement_tick(placement, 1);
    assert_shares(*state, placement, 1, "0:15");
    assert_shares(*state, placement, 3, "1:5");
    placement_free(placement);
}

/* For whom no pod came asks for none until its time; what serves it need not wait for. */
static void test_sooner__who_timed_out_takes_what_serves(void **state)
{
    struct placement *placement = with(*state, plain, 1);
    admit(*state, placement, 0, 10, 0, 0, 0);
    admit(*state, placement, 1, 10, 0, 0, 0);
    placement_tick(placement, 30);
    struct place_view out = placement_look(placement, 1);
    assert_int_equal(out.reason, PLACE_TIMED_OUT);
    assert_false(out.due);
    pod_is(*state, placement, 1, POD_STARTING, 0);
    placement_tick(placement, 31);
    assert_int_equal(placement_look(placement, 1).reason, PLACE_TIMED_OUT);
    assert_int_equal(placement_look(placement, 1).retry_s, out.retry_s);
    assert_int_equal(placement_look(placement, 1).attempts, out.attempts);
    assert_shares(*state, placement, 1, ""); /* nor does it look at one that starts */
    assert_int_equal(placement_remove(*state, placement, 0), 0);
    drain(*state, placement, CLASS, 0);
    placement_tick(placement, 32);
    assert_shares(*state, placement, 1, "0:10");
    assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
    placement_free(placement);
}

/* Two stages lack something; room comes in the class of the second one alone. */
static void test_sooner__who_lacks_in_two_classes_waits_in_both_lines(void **state)
{
    struct place_class spec = plain;
    spec.pods_max = 2;
    struct placement *placement = with_two(*state, spec, 2);
    admit_in_both(*state, placement, 0, 30);
    for (uint32_t class_id = CLASS; class_id <= OTHER; class_id++) {
        spec.pods_max = 1;
        assert_int_equal(placement_class_set(*state, placement, class_id, &spec), 0);
        struct place_pod lost = {class_id, 1, POD_ABSENT, 0, 0};
        assert_int_equal(placement_pod_set(*state, placement, &lost, 0), 0);
    }
    placement_tick(placement, 1);
    assert_int_equal(placement_look(placement, 0).phase, PLACE_DEGRADED);
    assert_int_equal(placement_look(placement, 0).stage, 0);
    spec.pods_max = 2;
    assert_int_equal(placement_class_set(*state, placement, OTHER, &spec), 0);
    placement_tick(placement, 2);
    struct place_share shares[PLACE_SPLIT_MAX];
    assert_int_equal(placement_shares(placement, 0, 1, shares), 2);
    assert_int_equal(placement_shares(placement, 0, 0, shares), 1);
    placement_free(placement);
}

/* The pods of a stage that is spread come one after the other: the first does not get all of it. */
static void test_sooner__what_is_to_be_spread_stays_so(void **state)
{
    static const enum place_mode modes[] = {PLACE_WEIGHTED, PLACE_EQUAL};
    for (size_t at = 0; at < ARRAY_SIZE(modes); at++) {
        struct place_class spec = plain;
        spec.mode = modes[at];
        spec.policy = PLACE_SPREAD;
        struct placement *placement = with(*state, spec, 0);
        for (uint32_t pod = 0; pod < 3; pod++)
            pod_is(*state, placement, pod, POD_STARTING, 0);
        admit(*state, placement, 0, 9, 0, 0, 0);
        for (uint32_t pod = 0; pod < 3; pod++) {
            assert_int_equal(placement_look(placement, 0).phase, PLACE_SCALING);
            pod_is(*state, placement, pod, POD_READY, 0);
            placement_tick(placement, 1);
            assert_shares(*state, placement, 0, "0:3 1:3 2:3");
        }
        assert_int_equal(placement_look(placement, 0).phase, PLACE_PLACED);
        placement_free(placement);
    }
}

/* Enough in all, on no pod: one of those who ask for as much is tried for all of them. */
static void test_sooner__one_that_is_refused_speaks_for_all(void **state)
{
    struct place_class spec = plain;
    spec.mode = PLACE_EQUAL;
    spec.split_max = 1;
    spec.pods_max = 64;
    struct placement *placement = with(*state, spec, 2);
    admit(*state, placement, 0, 8, 0, 0, 0);
    admit(*state, placement, 1, 8, 0, 0, 0); /* 7 are left on each */
    for (uint32_t id = 2; id < 42; id++)
        admit(*state, placement, id, 9, 0, 0, 0);
    assert_int_equal(placement_tick(placement, 1), 1);
    assert_int_equal(placement_class_set(*state, placement, CLASS, &spec), 0);
    assert_true(placement_look(placement, 41).due);
    assert_int_equal(placement_tick(placement, 2), 1);
    assert_waits(placement, 41);
    assert_int_equal(placement_tick(placement, 3), 0);
    placement_free(placement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sooner__what_drains_is_taken_and_no_pod_need_come),
        TEST(test_sooner__room_that_is_too_small_changes_nothing),
        TEST(test_sooner__all_stages_or_none),
        TEST(test_sooner__who_ran_takes_it_stage_by_stage),
        TEST(test_sooner__equal_parts_go_one_by_one),
        TEST(test_sooner__what_is_given_back_is_for_who_waits),
        TEST(test_sooner__an_older_one_that_waits_comes_first),
        TEST(test_sooner__who_timed_out_takes_what_serves),
        TEST(test_sooner__what_is_to_be_spread_stays_so),
        TEST(test_sooner__one_that_is_refused_speaks_for_all),
        TEST(test_sooner__who_lacks_in_two_classes_waits_in_both_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
