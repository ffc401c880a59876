/* Compaction: what the highest pods carry moves down, by a budget and the clock of the ledger, and
 * never where something waits. */
#include "tests/unit/reconcilers/pipeline/talk.h"

enum { PODS = 4 };

/* Four pods of each class, full each with one pipeline; the first two pipelines went, and what they
 * had has drained. `member`: of each class's compaction. */
static struct fixture holes(struct ctx *ctx, const char *member, int value)
{
    struct fixture fixture = fixture_new(ctx);
    size_t at;
    json_t *class;
    json_array_foreach(fixture.classes, at, class) {
        json_put(class, "spec.capacity", json_integer(10));
        json_put(class, arena_printf(ctx->arena, "spec.compaction.%s", member),
                 json_integer(value));
        for (int pod = 0; pod < PODS; pod++)
            put_pod(&fixture, talk[at].name, pod, true);
    }
    for (int number = 0; number < PODS; number++)
        put_pipeline(&fixture, arena_printf(ctx->arena, "p-%d", number), 10);
    decided(&fixture);
    json_array_remove(fixture.pipelines, 0);
    json_array_remove(fixture.pipelines, 0);
    decided(&fixture);
    assert_int_equal(fixture.decision.notes[0].compaction, COMPACTION_BLOCKED); /* it leaves */
    decided(&fixture);
    fixture.now_s += 5;
    return fixture;
}

static enum compaction told(struct fixture *fixture)
{
    decided(fixture);
    return fixture->decision.notes[0].compaction;
}

static void test_the_highest_moves_down_to_the_spare_one(void **state)
{
    struct fixture fixture = holes(*state, "slackReplicas", 1);
    assert_int_equal(told(&fixture), COMPACTION_MOVING);
    assert_string_equal(shares_of(&fixture, "p-3", "blue"), "0:10000");
    assert_string_equal(shares_of(&fixture, "p-2", "blue"), "2:10000");
    assert_int_equal(fixture.decision.classes[0].replicas, 4); /* it serves there still */
    assert_int_equal(verdict_of(&fixture, "p-3")->view.phase, PLACE_PLACED);
    assert_int_equal(told(&fixture), COMPACTION_BLOCKED);
    fixture.now_s += 5;
    assert_int_equal(told(&fixture), COMPACTION_DONE);
    assert_int_equal(fixture.decision.classes[0].replicas, 3);
    fixture.now_s += 600;
    assert_false(decided(&fixture)->changed);
}

static void test_the_budget_is_that_of_a_minute(void **state)
{
    struct fixture fixture = holes(*state, "slackReplicas", 0);
    int64_t began = fixture.now_s;
    assert_int_equal(told(&fixture), COMPACTION_MOVING);
    assert_string_equal(shares_of(&fixture, "p-2", "blue"), "2:10000"); /* one pod's worth */
    decided(&fixture);
    fixture.now_s += 5;
    assert_int_equal(told(&fixture), COMPACTION_SPENT);
    assert_int_equal(fixture.decision.wake_s, began + 60);
    fixture.now_s = began + 59;
    assert_int_equal(told(&fixture), COMPACTION_SPENT);
    fixture.now_s = began + 60;
    assert_int_equal(told(&fixture), COMPACTION_MOVING);
    assert_string_equal(shares_of(&fixture, "p-2", "blue"), "1:10000");
}

/* Else a pod that carries more than a minute's worth would never be left. */
static void test_a_small_budget_is_saved_up_for_a_whole_pod(void **state)
{
    struct fixture fixture = holes(*state, "documentsPerMinute", 4);
    json_put(json_array_get(fixture.classes, 0), "spec.compaction.slackReplicas", json_integer(0));
    int64_t began = fixture.now_s;
    assert_int_equal(told(&fixture), COMPACTION_MOVING);
    decided(&fixture);
    static const struct {
        int64_t after_s;
        enum compaction told;
    } rows[] = {{60, COMPACTION_SPENT}, {120, COMPACTION_SPENT}, {180, COMPACTION_MOVING}};
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        fixture.now_s = began + rows[at].after_s;
        assert_int_equal(told(&fixture), rows[at].told);
    }
}

/* Whoever is scaled by us has what it needs, and no more; the pods in its zones are needed. */
static void test_how_many_it_leaves_in_use(void **state)
{
    static const struct {
        const char *kind; /* of the scaleTargetRef; NULL = none */
        int slack;        /* -1 = it is not said */
        int zones, wanted;
    } rows[] = {{NULL, -1, 1, 3},          {"StatefulSet", -1, 1, 2}, {"StatefulSet", 1, 1, 3},
                {"StatefulSet", -1, 3, 3}, {NULL, -1, 3, 3},          {NULL, 0, 1, 2}};
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        struct fixture fixture = holes(*state, "slackReplicas", 1);
        json_t *class = json_array_get(fixture.classes, 0);
        json_object_del(json_at(class, "spec.compaction"), "slackReplicas");
        if (rows[at].kind) {
            json_put(class, "spec.scaleTargetRef.kind", json_string(rows[at].kind));
            json_put(class, "spec.scaleTargetRef.name", json_string("blue-workers"));
        }
        if (rows[at].slack >= 0)
            json_put(class, "spec.compaction.slackReplicas", json_integer(rows[at].slack));
        json_put(class, "spec.mode", json_string("Equal"));
        json_put(class, "spec.minZones", json_integer(rows[at].zones));
        decided(&fixture);
        assert_int_equal(fixture.decision.notes[0].wanted, rows[at].wanted);
    }
}

/* Its holes leave by themselves: nothing need move into them. */
static void test_the_holes_of_a_set_are_let_go(void **state)
{
    struct fixture fixture = holes(*state, "slackReplicas", 0);
    json_t *class = json_array_get(fixture.classes, 0);
    json_put(class, "spec.scaleTargetRef.kind", json_string("WorkerSet"));
    json_put(class, "spec.scaleTargetRef.name", json_string("blue-workers"));
    json_put(class, "spec.scaleDownSeconds", json_integer(0));
    assert_int_equal(told(&fixture), COMPACTION_DONE);
    assert_string_equal(shares_of(&fixture, "p-3", "blue"), "3:10000");
    const json_t *entry = json_find(fixture.ledger, "classes", "name", "blue");
    assert_string_equal(json_str(entry, "asked"), "--AA");
}

static void test_it_can_be_switched_off(void **state)
{
    struct fixture fixture = holes(*state, "slackReplicas", 1);
    json_put(json_array_get(fixture.classes, 0), "spec.compaction.documentsPerMinute",
             json_integer(0));
    json_put(json_array_get(fixture.classes, 1), "spec.policy", json_string("Spread"));
    decided(&fixture);
    assert_int_equal(fixture.decision.notes[0].compaction, COMPACTION_OFF);
    assert_int_equal(fixture.decision.notes[1].compaction, COMPACTION_OFF);
    assert_string_equal(shares_of(&fixture, "p-3", "blue"), "3:10000");
    assert_string_equal(shares_of(&fixture, "p-3", "green"), "3:10000");
}

static void put_yellow_only(struct fixture *fixture, const char *name)
{
    json_t *workers = json_at(put_pipeline(fixture, name, 10), "spec.workers");
    json_object_del(workers, "blue");
    json_object_del(workers, "green");
}

static void test_nothing_moves_while_something_flaps_or_waits(void **state)
{
    struct fixture fixture = holes(*state, "slackReplicas", 0);
    set_ready(&fixture, "blue-workers-3", false);
    assert_int_equal(told(&fixture), COMPACTION_STUCK); /* a flap is not told */
    assert_string_equal(shares_of(&fixture, "p-3", "blue"), "3:10000");
    set_ready(&fixture, "blue-workers-3", true);
    put_yellow_only(&fixture, "a");
    put_yellow_only(&fixture, "b");
    put_pipeline(&fixture, "late", 10); /* waits for a yellow pod, has a blue one */
    assert_int_equal(told(&fixture), COMPACTION_BLOCKED);
    assert_true(fixture.decision.notes[0].wanted < fixture.decision.notes[0].replicas);
    put_pod(&fixture, "yellow", 4, true);
    put_pod(&fixture, "yellow", 5, true);
    assert_int_equal(told(&fixture), COMPACTION_MOVING);
}

/* What waits for ever, and for no room of the class, stops nothing there. */
static void test_who_waits_for_another_class_or_a_quota_stops_nothing(void **state)
{
    struct fixture fixture = holes(*state, "spareReplicas", 0);
    json_t *yellow = json_array_get(fixture.classes, 2);
    json_put(yellow, "spec.maxReplicas", json_integer(PODS));
    json_put(yellow, "metadata.generation", json_integer(2));
    put_yellow_only(&fixture, "a");
    put_yellow_only(&fixture, "b");
    put_pipeline(&fixture, "late", 10); /* no yellow pod, now or to come */
    json_t *blue = json_array_get(fixture.classes, 0);
    json_put(blue, "spec.quotas",
             json_pack("[{s:s, s:i}]", "tenant", "acme", "documentsPerSecond", 0));
    json_put(blue, "metadata.generation", json_integer(2));
    json_t *over = put_pipeline(&fixture, "over", 10);
    json_put(over, "metadata.labels", json_object());
    json_object_set_new(json_at(over, "metadata.labels"), LABEL_OF_TENANT, json_string("acme"));
    assert_int_equal(told(&fixture), COMPACTION_MOVING);
    assert_int_equal(verdict_of(&fixture, "late")->view.phase, PLACE_WAITING);
    assert_int_equal(fixture.decision.notes[2].compaction, COMPACTION_DONE);
}

static void test_where_no_lower_pod_has_room_it_says_so(void **state)
{
    struct fixture fixture = fixture_new(*state);
    size_t at;
    json_t *class;
    json_array_foreach(fixture.classes, at, class) {
        json_put(class, "spec.capacity", json_integer(10));
        json_put(class, "spec.compaction.slackReplicas", json_integer(0));
        for (int pod = 0; pod < PODS; pod++)
            put_pod(&fixture, talk[at].name, pod, true);
    }
    for (int number = 0; number < PODS; number++) /* whole, and six do not fit beside six */
        put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 6);
    assert_int_equal(told(&fixture), COMPACTION_STUCK);
    assert_int_equal(fixture.decision.notes[0].wanted, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_highest_moves_down_to_the_spare_one),
        TEST(test_the_budget_is_that_of_a_minute),
        TEST(test_a_small_budget_is_saved_up_for_a_whole_pod),
        TEST(test_how_many_it_leaves_in_use),
        TEST(test_the_holes_of_a_set_are_let_go),
        TEST(test_it_can_be_switched_off),
        TEST(test_nothing_moves_while_something_flaps_or_waits),
        TEST(test_who_waits_for_another_class_or_a_quota_stops_nothing),
        TEST(test_where_no_lower_pod_has_room_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
