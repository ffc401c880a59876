/* What preemption may cost in one decision. Those who wait have as many stages as there may be,
 * those who run are as many as may be asked to go, and it helps nobody: each try is the longest
 * there is. */
#include "reconcilers/pipeline/placement/placement.h"

#include "tests/unit/test.h"

enum { FULL, SMALL, RUNNING = PLACE_VICTIMS_MAX, WAITING = 60, FIRST_WAITING = RUNNING };
enum { RATE = 10, SPREAD = RATE * PLACE_SPLIT_MAX };

static void class_of(struct ctx *ctx, struct placement *placement, uint32_t id,
                     const struct place_class *spec)
{
    assert_int_equal(placement_class_set(ctx, placement, id, spec), 0);
    for (uint32_t at = 0; at < spec->pods_max; at++) {
        struct place_pod pod = {id, at, POD_READY, 0, spec->capacity};
        assert_int_equal(placement_pod_set(ctx, placement, &pod, 0), 0);
    }
}

static struct placement *crowded(struct ctx *ctx)
{
    struct placement *placement = placement_new();
    const struct place_class full_spec = {.capacity = RATE * RUNNING,
                                          .pods_max = PLACE_SPLIT_MAX,
                                          .split_max = PLACE_SPLIT_MAX,
                                          .zones_min = 1,
                                          .timeout_s = 30,
                                          .mode = PLACE_EQUAL,
                                          .policy = PLACE_SPREAD};
    const struct place_class small_spec = {.capacity = RATE,
                                           .pods_max = PLACE_STAGES_MAX - 1,
                                           .split_max = 1,
                                           .zones_min = 1,
                                           .timeout_s = 30,
                                           .mode = PLACE_WHOLE};
    class_of(ctx, placement, FULL, &full_spec);
    class_of(ctx, placement, SMALL, &small_spec);
    struct place_stage full = {FULL, SPREAD}, small = {SMALL, RATE};
    for (uint32_t id = 0; id < RUNNING; id++) {
        struct place_pipeline spec = {id, 0, 0, id, 1, &full};
        assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
    }
    /* More important than all: whoever goes, the last stage of those who wait has no pod. */
    struct place_pipeline stays = {FIRST_WAITING + WAITING, 0, 9, 0, 1, &small};
    assert_int_equal(placement_admit(ctx, placement, &stays, 0), 0);
    return placement;
}

/* One stage asks for what running ones have, and the rest for one pod more than is left. */
static void wait_for(struct ctx *ctx, struct placement *placement, uint32_t id)
{
    struct place_stage stages[PLACE_STAGES_MAX];
    for (uint32_t at = 0; at < PLACE_STAGES_MAX; at++)
        stages[at] = (struct place_stage){SMALL, RATE};
    stages[0] = (struct place_stage){FULL, SPREAD};
    struct place_pipeline spec = {id, 0, 5, id, PLACE_STAGES_MAX, stages};
    assert_int_equal(placement_admit(ctx, placement, &spec, 0), 0);
}

static uint32_t still_due(const struct placement *placement)
{
    uint32_t count = 0;
    for (uint32_t id = FIRST_WAITING; id < FIRST_WAITING + WAITING; id++)
        count += placement_look(placement, id).due;
    return count;
}

static void test_work__a_decision_ends(void **state)
{
    struct placement *placement = crowded(*state);
    for (uint32_t id = FIRST_WAITING; id < FIRST_WAITING + WAITING; id++)
        wait_for(*state, placement, id);
    uint32_t due = still_due(placement), ticks = 0;
    assert_in_range(due, WAITING / 2, WAITING - 1); /* of the new ones some were tried, most not */
    assert_int_equal(placement_tick(placement, 1), 0); /* what there was is spent */
    for (; placement_is_behind(placement) && ticks < WAITING; ticks++) {
        uint32_t before = still_due(placement), tried = placement_tick(placement, 1);
        assert_true(tried > 0 && still_due(placement) == before - tried);
    }
    assert_int_equal(still_due(placement), 0);
    assert_in_range(ticks, 2, WAITING - 1);
    for (uint32_t id = 0; id < RUNNING; id++) /* and nobody went for nothing */
        assert_int_equal(placement_look(placement, id).phase, PLACE_PLACED);
    placement_free(placement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_work__a_decision_ends, test_setup, test_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
