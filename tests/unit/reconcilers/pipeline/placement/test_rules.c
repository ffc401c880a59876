/* One rule each: rates, loss, draining, zones, compaction, preemption, back-off, limits. */
#include "tests/unit/reconcilers/pipeline/placement/one_class.h"

static void set_rate_at(struct ctx *ctx, struct placement *placement, uint32_t id, int64_t rate,
                        bool done, int64_t now_s)
{
    struct place_view refusal;
    bool did;
    assert_int_equal(placement_rates_set(ctx, placement, id, &rate, now_s, &refusal, &did), 0);
    assert_int_equal(did, done);
    if (!done)
        assert_int_equal(refusal.reason, PLACE_NO_CAPACITY);
}

static void set_rate(struct ctx *ctx, struct placement *placement, uint32_t id, int64_t rate,
                     bool done)
{
    set_rate_at(ctx, placement, id, rate, done, 0);
}

static void test_rules__modes(void **state)
{
    static const struct {
        enum place_mode mode;
        int64_t rates[4];
        const char *shares[4];
    } rows[] = {
        {PLACE_WEIGHTED,
         {10, 10, 10, 15},
         {"0:10", "1:10", "0:5 1:5", "2:15"}}, /* 45 on three pods */
        {PLACE_EQUAL, {10, 10, 10, 30}, {"0:10", "1:10", "0:5 1:5", "2:15 3:15"}},
        {PLACE_WHOLE, {10, 10, 5, 15}, {"0:10", "1:10", "0:5", "2:15"}},
    };
    for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
        struct place_class spec = plain;
        spec.mode = rows[row].mode;
        struct placement *placement = with(*state, spec, PODS);
        for (uint32_t id = 0; id < 4; id++) {
            admit(*state, placement, id, rows[row].rates[id], 0, 0, 0);
            assert_shares(*state, placement, id, rows[row].shares[id]);
        }
        placement_free(placement);
    }
}

static void test_rules__rates_change_in_place(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 10, 0, 0, 0);
    admit(*state, placement, 1, 2, 0, 0, 0);
    set_rate(*state, placement, 0, 4, true);
    assert_shares(*state, placement, 0, "0:4");
    assert_int_equal(leaving(placement, 0), 6); /* charged until it has drained */
    set_rate(*state, placement, 0, 8, true);
    assert_shares(*state, placement, 0, "0:7 1:1");
    assert_shares(*state, placement, 1, "0:2");
    set_rate(*state, placement, 0, 60, false); /* 58 is all there is, less what leaves */
    assert_shares(*state, placement, 0, "0:7 1:1");
    assert_int_equal(placement_look(placement, 0).phase, PLACE_PLACED);
    set_rate(*state, placement, 0, 0, true);
    assert_shares(*state, placement, 0, "");
    placement_free(placement);
}

static void test_rules__a_lost_pod_moves_its_own_shares(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 20, 0, 0, 0); /* 0:15 1:5 */
    admit(*state, placement, 1, 6, 0, 0, 0);
    assert_shares(*state, placement, 1, "1:6");
    pod_is(*state, placement, 1, POD_ABSENT, 0);
    assert_shares(*state, placement, 0, "0:15 2:5");
    assert_shares(*state, placement, 1, "2:6");
    pod_is(*state, placement, 2, POD_DRAINING, 0);
    assert_shares(*state, placement, 0, "0:15 3:5");
    assert_int_equal(leaving(placement, 2), 11); /* serves until the new ones do */
    pod_is(*state, placement, 3, POD_ABSENT, 0);
    assert_shares(*state, placement, 0, "0:15 1:5"); /* a pod that is to come */
    assert_int_equal(placement_look(placement, 0).phase, PLACE_SCALING);
    placement_tick(placement, 30);
    assert_shares(*state, placement, 0, "0:15"); /* none came: what serves stays */
    assert_int_equal(placement_look(placement, 0).phase, PLACE_DEGRADED);
    assert_int_equal(placement_look(placement, 1).phase, PLACE_BROKEN);
    assert_int_equal(placement_look(placement, 1).retry_s, 30 + PLACE_BACKOFF_S);
    placement_free(placement);
}

static void test_rules__zones(void **state)
{
    struct place_class spec = plain;
    spec.zones_min = 2;
    struct placement *placement = with(*state, spec, PODS);
    admit(*state, placement, 0, 9, 0, 0, 0);
    assert_shares(*state, placement, 0, "0:5 1:4");
    admit(*state, placement, 1, 40, 0, 0, 0);
    assert_shares(*state, placement, 1, "0:10 1:11 2:10 3:9");
    pod_is(*state, placement, 0, POD_ABSENT, 0);
    assert_shares(*state, placement, 0, "1:4 2:5");            /* in the same zone */
    assert_shares(*state, placement, 1, "0:10 1:11 2:10 3:9"); /* on a pod asked for there */
    assert_int_equal(placement_look(placement, 1).phase, PLACE_SCALING);
    pod_is(*state, placement, 0, POD_READY, 1); /* it came elsewhere */
    assert_int_equal(placement_look(placement, 1).phase, PLACE_DEGRADED);
    placement_free(placement);
}

/* What asks for less stays in all of its zones, and is on no more pods than before. */
static void test_rules__shrinks_in_each_zone(void **state)
{
    struct place_class spec = plain;
    spec.zones_min = 2;
    struct placement *placement = with(*state, spec, PODS);
    admit(*state, placement, 0, 40, 0, 0, 0);
    assert_shares(*state, placement, 0, "0:15 1:15 2:5 3:5");
    static const struct {
        int64_t rate;
        const char *shares;
    } rows[] = {{31, "0:15 1:15 2:1"}, {20, "0:10 1:10"}, {7, "0:4 1:3"}, {1, "0:1"}};
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        struct place_view refusal;
        bool done;
        assert_int_equal(
            placement_rates_set(*state, placement, 0, &rows[at].rate, 0, &refusal, &done), 0);
        assert_true(done);
        assert_shares(*state, placement, 0, rows[at].shares);
    }
    placement_free(placement);
}

static void test_rules__compaction_keeps_its_budget(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    int64_t moved;
    for (uint32_t id = 0; id < 4; id++)
        admit(*state, placement, id, 15, 0, 0, 0);
    for (uint32_t id = 0; id < 2; id++) {
        assert_int_equal(placement_remove(*state, placement, id), 0);
        assert_int_equal(placement_drained(*state, placement, CLASS, id, 15, 0), 0);
    }
    assert_int_equal(placement_compact(*state, placement, CLASS, 0, 14, 0, &moved), 0);
    assert_int_equal(moved, 0);
    assert_int_equal(placement_compact(*state, placement, CLASS, 4, 15, 0, &moved), 0);
    assert_int_equal(moved, 0); /* so many may be left */
    assert_int_equal(placement_compact(*state, placement, CLASS, 3, 15, 0, &moved), 0);
    assert_int_equal(moved, 15);
    assert_shares(*state, placement, 3, "0:15");
    assert_int_equal(placement_class_look(placement, CLASS).replicas,
                     4); /* it serves there still */
    assert_int_equal(placement_drained(*state, placement, CLASS, 3, 15, 0), 0);
    assert_int_equal(placement_class_look(placement, CLASS).replicas, 3);
    placement_free(placement);
}

/* Shares of another mode are a milli apart no more. */
static void test_rules__a_rate_falls_in_a_class_of_another_mode_now(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 10, 0, 0, 0);
    admit(*state, placement, 1, 20, 0, 0, 0);
    admit(*state, placement, 2, 30, 0, 0, 0);
    assert_shares(*state, placement, 1, "0:5 1:15");
    struct place_class equal = plain;
    equal.mode = PLACE_EQUAL;
    assert_int_equal(placement_class_set(*state, placement, CLASS, &equal), 0);
    set_rate(*state, placement, 1, 18, true);
    assert_shares(*state, placement, 1, "0:5 1:13");
    assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
    placement_free(placement);
}

static void test_rules__preemption_takes_as_little_as_it_can(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    static const int32_t priorities[] = {1, 1, 2, 9};
    for (uint32_t id = 0; id < 4; id++)
        admit(*state, placement, id, 15, priorities[id], 0, 0);
    admit(*state, placement, 4, 15, 1, 0, 0);
    assert_int_equal(placement_look(placement, 4).reason, PLACE_NO_CAPACITY);
    admit(*state, placement, 5, 10, 5, 0, 0);
    assert_shares(*state, placement, 5, "1:10held"); /* of the least important the youngest goes */
    assert_int_equal(placement_look(placement, 1).reason, PLACE_PREEMPTED);
    assert_int_equal(placement_look(placement, 5).reason, PLACE_WAITS_FOR_DRAIN);
    assert_int_equal(leaving(placement, 1), 15);
    assert_int_equal(placement_drained(*state, placement, CLASS, 1, 15, 1), 0);
    assert_shares(*state, placement, 5, "1:10");
    assert_int_equal(placement_look(placement, 5).phase, PLACE_PLACED);
    assert_int_equal(placement_look(placement, 0).phase, PLACE_PLACED);
    placement_free(placement);
}

static void test_rules__back_off_and_the_first_in_line(void **state)
{
    static const int64_t pauses[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 50, 0, 0, 0);
    admit(*state, placement, 1, 20, 0, 0, 0);
    int64_t now_s = 0;
    for (size_t at = 0; at < ARRAY_SIZE(pauses); at++) {
        assert_int_equal(placement_look(placement, 1).retry_s, now_s + pauses[at]);
        now_s += pauses[at];
        placement_tick(placement, now_s);
    }
    admit(*state, placement, 2, 5, 0, 0, now_s); /* would fit, yet the other has waited long */
    assert_int_equal(placement_look(placement, 2).reason, PLACE_BEHIND);
    admit(*state, placement, 3, 5, 1, 0, now_s);
    assert_int_equal(placement_look(placement, 3).phase, PLACE_PLACED);
    placement_free(placement);
}

/* Not at its own next time, which may be an hour off. */
static void test_rules__who_stood_behind_another_goes_on_when_that_is_placed(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 50, 0, 0, 0);
    admit(*state, placement, 1, 20, 0, 0, 0);
    placement_tick(placement, PLACE_HOLD_S);
    admit(*state, placement, 2, 5, 0, 0, PLACE_HOLD_S);
    assert_int_equal(placement_look(placement, 2).reason, PLACE_BEHIND);
    set_rate_at(*state, placement, 1, 5, true, PLACE_HOLD_S); /* fits, and leaves as much */
    assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
    placement_tick(placement, PLACE_HOLD_S);
    assert_int_equal(placement_look(placement, 2).phase, PLACE_PLACED);
    placement_free(placement);
}

/* It had waited long, and ran; who takes its room then begins its wait anew. */
static void test_rules__who_was_placed_is_first_in_line_no_more(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 50, 0, 0, 0);
    admit(*state, placement, 1, 20, 0, 0, 0);
    placement_tick(placement, PLACE_HOLD_S);
    assert_int_equal(placement_remove(*state, placement, 0), 0);
    for (uint32_t pod = 0; pod < PODS; pod++)
        assert_int_equal(
            placement_drained(*state, placement, CLASS, pod, leaving(placement, pod), PLACE_HOLD_S),
            0);
    placement_tick(placement, PLACE_HOLD_S);
    assert_int_equal(placement_look(placement, 1).phase, PLACE_PLACED);
    admit(*state, placement, 2, 55, 5, 0, PLACE_HOLD_S);
    assert_int_equal(placement_look(placement, 1).reason, PLACE_PREEMPTED);
    for (uint32_t pod = 0; pod < PODS; pod++)
        assert_int_equal(
            placement_drained(*state, placement, CLASS, pod, leaving(placement, pod), PLACE_HOLD_S),
            0);
    admit(*state, placement, 3, 5, 0, 0, PLACE_HOLD_S);
    assert_int_equal(placement_look(placement, 3).phase, PLACE_PLACED);
    placement_free(placement);
}

static void test_rules__a_copy_decides_the_same_and_changes_nothing(void **state)
{
    struct placement *placement = with(*state, plain, PODS);
    admit(*state, placement, 0, 20, 0, 0, 0);
    struct placement *copy = placement_copy(placement);
    admit(*state, copy, 1, 12, 0, 0, 0);
    assert_int_equal(placement_look(placement, 1).phase, PLACE_UNKNOWN);
    admit(*state, placement, 1, 12, 0, 0, 0);
    assert_shares(*state, placement, 1, "2:12");
    assert_shares(*state, copy, 1, "2:12");
    placement_free(copy);
    placement_free(placement);
}

static void test_rules__limits_are_refused_by_name(void **state)
{
    struct ctx *ctx = *state;
    struct placement *placement = with(ctx, plain, 1);
    struct place_class wrong = plain;
    wrong.capacity = PLACE_MILLI_MAX + 1;
    assert_int_equal(placement_class_set(ctx, placement, CLASS, &wrong), -ERR_INVALID);
    assert_non_null(strstr(ctx->err.message, "capacity"));
    struct place_stage stage = {CLASS, PLACE_MILLI_MAX + 1};
    struct place_pipeline spec = {.stage_count = 1, .stages = &stage};
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), -ERR_INVALID);
    stage.rate = 61;
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
    assert_string_equal(place_reason_word(placement_look(placement, 0).reason),
                        "ExceedsMaxCapacity");
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), -ERR_ALREADY_EXISTS);
    assert_int_equal(placement_remove(ctx, placement, 7), -ERR_NOT_FOUND);
    placement_free(placement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rules__modes),
        TEST(test_rules__rates_change_in_place),
        TEST(test_rules__a_lost_pod_moves_its_own_shares),
        TEST(test_rules__zones),
        TEST(test_rules__shrinks_in_each_zone),
        TEST(test_rules__compaction_keeps_its_budget),
        TEST(test_rules__a_rate_falls_in_a_class_of_another_mode_now),
        TEST(test_rules__preemption_takes_as_little_as_it_can),
        TEST(test_rules__back_off_and_the_first_in_line),
        TEST(test_rules__who_stood_behind_another_goes_on_when_that_is_placed),
        TEST(test_rules__who_was_placed_is_first_in_line_no_more),
        TEST(test_rules__a_copy_decides_the_same_and_changes_nothing),
        TEST(test_rules__limits_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
