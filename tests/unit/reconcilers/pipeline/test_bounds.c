/* What no pod and no namespace ever has too much of, whoever goes or dies on the way. */
#include "tests/unit/reconcilers/pipeline/talk.h"

static void test_a_pod_that_goes_gets_nothing_new(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_pod(&fixture, "blue", 0, true);
    put_pod(&fixture, "green", 0, true);
    put_pod(&fixture, "yellow", 0, true);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    let_go(&fixture, "blue-workers-0");
    put_pipeline(&fixture, "later", 5);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "blue"), "0:10000");
    assert_string_equal(shares_of(&fixture, "later", "blue"), "1:5000");
    assert_false(decided_when(&fixture, false)->changed); /* nor is anybody tried for its sake */
}

static void test_of_two_pods_of_one_ordinal_one_counts(void **state)
{
    for (int order = 0; order < 2; order++) {
        struct fixture fixture = fixture_new(*state);
        put_pod(&fixture, "blue", 0, true);
        put_pod(&fixture, "blue", 0, order);
        json_put(json_array_get(fixture.pods, 0), "metadata.name",
                 json_string(order ? "other-0" : "blue-workers-0"));
        json_put(json_array_get(fixture.pods, 1), "metadata.name",
                 json_string(order ? "blue-workers-0" : "a-0"));
        decided(&fixture);
        const struct workers *blue = &fixture.world.classes[0];
        assert_string_equal(blue->pods[0].name, "blue-workers-0");
        assert_string_equal(blue->twin, order ? "other-0" : "a-0");
    }
}

static void test_a_try_for_room_is_none_of_its_own(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_put(json_array_get(fixture.classes, 1), "spec.maxReplicas", json_integer(2));
    for (int number = 0; number < 3; number++)
        put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 10);
    decided(&fixture);
    const struct place_view before = verdict_of(&fixture, "p-2")->view;
    assert_int_equal(before.reason, PLACE_NO_CAPACITY);
    for (int toggle = 0; toggle < 4; toggle++) {
        fixture.now_s += FLAP_S;
        set_ready(&fixture, "green-workers-1", toggle % 2);
        fixture.now_s += FLAP_S;
        decided(&fixture);
    }
    const struct place_view after = verdict_of(&fixture, "p-2")->view;
    assert_int_equal(after.attempts, before.attempts);
    assert_int_equal(after.retry_s, before.retry_s);
    fixture.now_s = before.retry_s;
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "p-2")->view.attempts, before.attempts + 1);
}

/* The drain begins when routes are as the ledger says; one that never is holds up nobody for ever.
 */
static void test_what_left_is_not_given_away_before_it_is_routed(void **state)
{
    for (int settles = 0; settles < 2; settles++) {
        struct fixture fixture = fixture_new(*state);
        for (int class = 0; class < CLASSES; class ++) {
            json_put(json_array_get(fixture.classes, (size_t) class), "spec.maxReplicas",
                     json_integer(1));
            put_pod(&fixture, talk[class].name, 0, true);
        }
        json_t *first = put_pipeline(&fixture, "first", 10);
        decided(&fixture);
        json_put(first, "spec.documentsPerSecond", json_integer(2));
        put_pipeline(&fixture, "later", 13);
        decided(&fixture);
        fixture.now_s += 100;
        decided_when(&fixture, settles);
        fixture.now_s += 4;
        decided_when(&fixture, settles);
        assert_int_not_equal(verdict_of(&fixture, "later")->view.phase, PLACE_PLACED);
        assert_true(fixture.decision.wake_s > 0);
        fixture.now_s += settles ? 1 : 5 + UNSETTLED_S_MAX - 104;
        decided_when(&fixture, settles);
        assert_int_equal(verdict_of(&fixture, "later")->view.phase, PLACE_PLACED);
    }
}

static json_t *put_binding(struct fixture *fixture, json_t *list, const char *stage)
{
    const struct pipeline_wish *wish = &fixture->world.pipelines[0];
    const json_t *row = json_find(fixture->decision.verdicts[0].entry, "stages", "name", stage);
    json_t *made = binding_wanted(fixture->ctx->arena, &fixture->world, wish, row);
    json_put(made, "metadata.generation", json_integer(3));
    json_put(made, "status.observedGeneration", json_integer(3));
    json_array_append(list, made);
    return made;
}

static bool settled(const struct fixture *fixture, const json_t *list)
{
    struct bindings bindings;
    bindings_index(fixture->ctx->arena, list, &bindings);
    return bindings_settled(&bindings, fixture->ledger);
}

static void test_a_binding_that_says_more_than_the_ledger_is_not_settled(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_t *first = put_pipeline(&fixture, "first", 10);
    json_put(first, "metadata.namespace", json_string("pipes"));
    decided(&fixture);
    json_t *list = arena_json(fixture.ctx->arena, json_array());
    assert_true(settled(&fixture, list));
    json_t *green = put_binding(&fixture, list, "green");
    put_binding(&fixture, list, "blue");
    assert_true(settled(&fixture, list));
    json_put(green, "status.observedGeneration", json_integer(2));
    assert_false(settled(&fixture, list)); /* its routes are not there yet */
    json_put(green, "status.observedGeneration", json_integer(3));
    json_put(first, "spec.documentsPerSecond", json_integer(2));
    decided(&fixture); /* and whoever decided died before he told the bindings */
    assert_false(settled(&fixture, list));
    json_array_clear(list);
    put_binding(&fixture, list, "green");
    assert_true(settled(&fixture, list));
    json_array_clear(fixture.pipelines);
    decided(&fixture); /* its bindings are still there */
    assert_false(settled(&fixture, list));
}

/* What is reserved on a pod to come, and what is carried by one that flaps or goes: the ledger
 * keeps one capacity for all pods of a class. */
static void test_pods_that_can_do_less_keep_no_more(void **state)
{
    for (int flaps = 0; flaps < 2; flaps++) {
        struct fixture fixture = fixture_new(*state);
        put_talk_pods(&fixture);
        for (int number = 0; number < 6; number++)
            put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 5);
        decided(&fixture);
        assert_string_equal(shares_of(&fixture, "p-0", "green"), "0:5000");
        if (flaps)
            set_ready(&fixture, "green-workers-0", false);
        else
            lose_pod(&fixture, "green-workers-1");
        json_t *green = json_array_get(fixture.classes, 1);
        decided(&fixture);
        json_put(green, "spec.capacity", json_integer(8));
        json_put(green, "metadata.generation", json_integer(2));
        for (int pass = 0; pass < 3; pass++)
            decided(&fixture);
        int64_t on[WORLD_PODS_MAX] = {0};
        for (int number = 0; number < 6; number++) {
            const char *name = arena_printf(fixture.ctx->arena, "p-%d", number);
            on[*shares_of(&fixture, name, "green") - '0']++;
        }
        for (int pod = 0; pod < 10; pod++)
            assert_true(on[pod] <= 1); /* of 8, each needs 5 */
    }
}

static void test_a_namespace_has_so_many_stages(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    for (int number = 0; number < 500; number++)
        put_pipeline(&fixture, arena_printf(fixture.ctx->arena, "p-%d", number), 0);
    while (decided(&fixture)->more)
        ;
    assert_int_equal(json_array_size(json_at(fixture.ledger, "pipelines")), LEDGER_STAGES_MAX / 3);
    assert_true(verdict_of(&fixture, "p-499")->full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_pod_that_goes_gets_nothing_new),
        TEST(test_of_two_pods_of_one_ordinal_one_counts),
        TEST(test_a_try_for_room_is_none_of_its_own),
        TEST(test_what_left_is_not_given_away_before_it_is_routed),
        TEST(test_a_binding_that_says_more_than_the_ledger_is_not_settled),
        TEST(test_pods_that_can_do_less_keep_no_more),
        TEST(test_a_namespace_has_so_many_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
