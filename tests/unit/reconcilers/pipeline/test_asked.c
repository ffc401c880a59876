/* Which pods are asked for: it follows from ledgers and worlds, and from nothing else. */
#include "tests/unit/reconcilers/pipeline/talk.h"

static void scale_class(struct fixture *fixture, int class, int calm_s)
{
    json_t *spec = json_at(json_array_get(fixture->classes, (size_t) class), "spec");
    json_object_set_new(spec, "scaleTargetRef",
                        json_pack("{s:s, s:s, s:o}", "apiVersion", "apps/v1", "kind", "StatefulSet",
                                  "name", json_sprintf("%s-workers", talk[class].name)));
    json_object_set_new(spec, "scaleDownSeconds", json_integer(calm_s));
}

/* All three classes, so that a line of the talk needs them all. */
static struct fixture scaled_new(struct ctx *ctx, int calm_s)
{
    struct fixture made = fixture_new(ctx);
    for (int class = 0; class < CLASSES; class ++)
        scale_class(&made, class, calm_s);
    return made;
}

static const char *asked_of(const struct fixture *fixture, const char *class)
{
    return json_str_or(json_find(fixture->ledger, "classes", "name", class), "asked", "none");
}

static void take_pipeline(struct fixture *fixture, const char *name)
{
    for (size_t at = 0; at < json_array_size(fixture->pipelines); at++)
        if (str_equal(json_str(json_array_get(fixture->pipelines, at), "metadata.name"), name))
            json_array_remove(fixture->pipelines, at);
}

/* What left is routed as it was decided, and drains from then on. */
static void time_passes(struct fixture *fixture, int seconds)
{
    decided(fixture);
    decided(fixture);
    fixture->now_s += seconds;
    decided(fixture);
}

static void test_from_zero_and_back(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "green"), "");
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "A"); /* 30 holds both */
    assert_string_equal(asked_of(&fixture, "green"), "AA");
    put_talk_pods(&fixture);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "second", "green"), "1:10000");
    assert_string_equal(asked_of(&fixture, "green"), "AA");
    json_array_clear(fixture.pipelines);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "green"), "AA"); /* it drains */
    time_passes(&fixture, 5);
    assert_string_equal(asked_of(&fixture, "green"), "");
    assert_string_equal(asked_of(&fixture, "blue"), "");
}

static void test_a_statefulset_loses_its_highest_pods_alone(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    decided(&fixture);
    put_talk_pods(&fixture);
    decided(&fixture);
    take_pipeline(&fixture, "first");
    time_passes(&fixture, 5);
    assert_string_equal(asked_of(&fixture, "green"), "AA");
    take_pipeline(&fixture, "second");
    time_passes(&fixture, 5);
    assert_string_equal(asked_of(&fixture, "green"), "");
}

static void test_what_a_binding_leads_to_stays(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    put_talk_pods(&fixture);
    decided(&fixture);
    fixture.now_s += 1;
    world_read(fixture.ctx, fixture.classes, fixture.pods, fixture.pipelines, fixture.now_s,
               &fixture.world);
    fixture.world.classes[1].pods[1].bound = true;
    assert_int_equal(decide(fixture.ctx, &fixture.world, fixture.ledger, true, &fixture.decision),
                     0);
    fixture.ledger = fixture.decision.ledger;
    assert_string_equal(asked_of(&fixture, "green"), "AA");
    assert_string_equal(asked_of(&fixture, "blue"), "");
}

static void test_who_is_of_no_use_stays_for_a_while(void **state)
{
    struct fixture fixture = scaled_new(*state, 30);
    put_talk_pods(&fixture);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "AAA"); /* it had three before */
    assert_int_equal(fixture.decision.wake_s, NOW_S + 30);
    fixture.now_s += 20;
    assert_false(decided(&fixture)->changed);
    put_pipeline(&fixture, "first", 10); /* on blue-0 */
    decided(&fixture);
    fixture.now_s += 10;
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "A");
    take_pipeline(&fixture, "first");
    time_passes(&fixture, 5);
    assert_string_equal(asked_of(&fixture, "blue"), "A");
    fixture.now_s += 29;
    assert_false(decided(&fixture)->changed);
    fixture.now_s += 1;
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "");
}

/* A pod with our label makes nobody scale: by another's name, or beyond all that was ever told. */
static void test_whose_pods_they_are_is_not_said_by_a_label(void **state)
{
    struct fixture fixture = scaled_new(*state, 30);
    put_pod(&fixture, "blue", 1, true);
    put_pod(&fixture, "blue", 999, true);
    put_pod(&fixture, "green", 7, true);
    json_put(pod_of(&fixture, "green-workers-7"), "metadata.name", json_string("x-7"));
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "AA");
    assert_string_equal(asked_of(&fixture, "green"), "");
}

/* A thousand pods, each of another time, are as many letters, and 26 times. */
static void test_a_ledger_of_many_idle_pods_is_small(void **state)
{
    struct fixture fixture = scaled_new(*state, 3000);
    json_put(json_array_get(fixture.classes, 0), "spec.maxReplicas", json_integer(40));
    for (int class = 0; class < CLASSES; class ++)
        json_put(json_array_get(fixture.classes, (size_t) class), "spec.scaleTargetRef.kind",
                 json_string("WorkerSet"));
    put_talk_pods(&fixture);
    for (int pod = 3; pod < 40; pod++) {
        put_pod(&fixture, "blue", pod, true);
        fixture.ledger = NULL; /* each is new */
    }
    decided(&fixture);
    json_t *blue = json_find(fixture.ledger, "classes", "name", "blue");
    assert_int_equal(asked_count(blue), 40);
    assert_int_equal(json_array_size(json_at(blue, "idleUntil")), 1);
    for (int at = 1; at < 40; at++) { /* one after the other is used, and given back */
        char letters[WORLD_PODS_MAX + 1];
        snprintf(letters, sizeof letters, "%s", json_str(blue, "idle"));
        letters[at] = '-';
        json_object_set_new(blue, "idle", json_string(letters));
        fixture.now_s++;
        decided(&fixture);
        blue = json_find(fixture.ledger, "classes", "name", "blue");
    }
    assert_int_equal(asked_count(blue), 40);
    assert_int_equal(json_array_size(json_at(blue, "idleUntil")), 26);
    fixture.now_s += 3000;
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "");
}

static void test_a_ledger_that_places_where_it_asks_for_nobody_is_refused(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    put_talk_pods(&fixture);
    put_pipeline(&fixture, "first", 10);
    decided(&fixture);
    decided(&fixture);
    json_object_set_new(json_find(fixture.ledger, "classes", "name", "green"), "asked",
                        json_string("-"));
    struct decision decision;
    assert_int_equal(decide(fixture.ctx, &fixture.world, fixture.ledger, true, &decision),
                     -ERR_INVALID);
    assert_non_null(strstr(fixture.ctx->err.message, "class 'green'"));
    assert_non_null(strstr(fixture.ctx->err.message, "not asked for"));

    /* As a whole: it has not shaped the world of what is decided instead. */
    struct placer_scope scope = {.scene = {.classes = fixture.classes,
                                           .pods = fixture.pods,
                                           .pipelines = fixture.pipelines,
                                           .bindings = arena_json(fixture.ctx->arena, json_array()),
                                           .ledger = fixture.ledger,
                                           .now_s = fixture.now_s}};
    scene_look(fixture.ctx, &scope);
    assert_int_equal(world_worker(&scope.world.classes[1], 0).state, POD_ABSENT);
    assert_int_equal(scene_decide(fixture.ctx, &scope), 0);
    assert_non_null(scope.refused);
    assert_true(scope.decision.changed);
    assert_int_equal(world_worker(&scope.world.classes[1], 0).state, POD_READY);
    assert_int_equal(scope.decision.verdicts[0].view.phase, PLACE_PLACED);
}

static void test_spare_pods_are_kept_within_the_limit(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    json_t *blue = json_array_get(fixture.classes, 0);
    json_put(blue, "spec.spareReplicas", json_integer(2));
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "AA");
    put_pipeline(&fixture, "first", 30);
    put_pipeline(&fixture, "second", 10);
    json_put(json_array_get(fixture.classes, 1), "spec.capacity", json_integer(40));
    json_put(json_array_get(fixture.classes, 1), "metadata.generation", json_integer(2));
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "AAAA");
    assert_string_equal(asked_of(&fixture, "green"), "A");
    json_put(blue, "spec.maxReplicas", json_integer(3));
    json_put(blue, "metadata.generation", json_integer(2));
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "blue"), "AAA");
}

static void test_who_was_let_go_gets_nothing_though_it_is_still_there(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    put_talk_pods(&fixture);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "green"), "");
    put_pipeline(&fixture, "first", 10); /* both green pods look as if they served */
    decided(&fixture);
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_SCALING);
    assert_string_equal(asked_of(&fixture, "green"), "A");
    assert_int_equal(fixture.decision.classes[1].ready, 0);
    decided(&fixture); /* asked for again: who looks then has seen it alive */
    assert_int_equal(verdict_of(&fixture, "first")->view.phase, PLACE_PLACED);
}

static void test_who_is_scaled_by_others_is_not_spoken_of(void **state)
{
    struct fixture fixture = scaled_new(*state, 0);
    put_talk_pods(&fixture);
    decided(&fixture);
    json_object_del(json_at(json_array_get(fixture.classes, 1), "spec"), "scaleTargetRef");
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "green"), "none");
    assert_int_equal(asked_count(json_find(fixture.ledger, "classes", "name", "green")), -1);
    assert_int_equal(asked_count(json_find(fixture.ledger, "classes", "name", "blue")), 0);
    fixture.now_s += 1;
    decided(&fixture);
    assert_int_equal(fixture.decision.classes[1].ready, 2);
}

/* ---- of a WorkerSet ---- */

static struct fixture set_new(struct ctx *ctx)
{
    struct fixture made = scaled_new(ctx, 0);
    for (int class = 0; class < CLASSES; class ++) {
        json_t *object = json_array_get(made.classes, (size_t) class);
        json_put(object, "spec.scaleTargetRef.kind", json_string("WorkerSet"));
    }
    put_pipeline(&made, "first", 10);
    put_pipeline(&made, "second", 10);
    decided(&made);
    put_talk_pods(&made);
    decided(&made);
    return made;
}

static void annotate(struct fixture *fixture, const char *pod, const char *annotation)
{
    json_t *metadata = json_object_get(pod_of(fixture, pod), "metadata");
    if (!json_object_get(metadata, "annotations"))
        json_object_set_new(metadata, "annotations", json_object());
    json_object_set_new(json_object_get(metadata, "annotations"), annotation, json_string("x"));
}

static void test_any_pod_of_a_set_can_leave(void **state)
{
    struct fixture fixture = set_new(*state);
    assert_string_equal(asked_of(&fixture, "green"), "AA");
    take_pipeline(&fixture, "first");
    time_passes(&fixture, 5);
    assert_string_equal(asked_of(&fixture, "green"), "-A");
    assert_true(asked_for(json_find(fixture.ledger, "classes", "name", "green"), 1));
    put_pipeline(&fixture, "third", 10);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "green"), "AA");
}

static void test_who_is_to_leave_is_emptied_onto_one_more(void **state)
{
    struct fixture fixture = set_new(*state);
    annotate(&fixture, "green-workers-0", ANNOTATION_LEAVING);
    decided(&fixture);
    assert_string_equal(asked_of(&fixture, "green"), "AAA");
    assert_string_equal(shares_of(&fixture, "first", "green"), "0:10000"); /* it serves on */
    put_pod(&fixture, "green", 2, true);
    decided(&fixture);
    assert_string_equal(shares_of(&fixture, "first", "green"), "2:10000");
    assert_string_equal(asked_of(&fixture, "green"), "AAA"); /* it drains */
    time_passes(&fixture, 5);
    assert_string_equal(asked_of(&fixture, "green"), "-AA");
    const char *letters = json_str(json_find(fixture.ledger, "classes", "name", "green"), "pods");
    assert_null(strchr("RS", letters[0])); /* so it may be released */
}

static void test_who_was_released_is_not_there(void **state)
{
    struct fixture fixture = set_new(*state);
    annotate(&fixture, "green-workers-0", ANNOTATION_LEAVING);
    annotate(&fixture, "green-workers-0", ANNOTATION_RELEASED);
    decided(&fixture);
    assert_int_equal(world_worker(&fixture.world.classes[1], 0).state, POD_ABSENT);
    assert_null(world_worker(&fixture.world.classes[1], 0).address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_from_zero_and_back),
        TEST(test_a_statefulset_loses_its_highest_pods_alone),
        TEST(test_what_a_binding_leads_to_stays),
        TEST(test_who_is_of_no_use_stays_for_a_while),
        TEST(test_whose_pods_they_are_is_not_said_by_a_label),
        TEST(test_a_ledger_of_many_idle_pods_is_small),
        TEST(test_a_ledger_that_places_where_it_asks_for_nobody_is_refused),
        TEST(test_spare_pods_are_kept_within_the_limit),
        TEST(test_who_was_let_go_gets_nothing_though_it_is_still_there),
        TEST(test_who_is_scaled_by_others_is_not_spoken_of),
        TEST(test_any_pod_of_a_set_can_leave),
        TEST(test_who_is_to_leave_is_emptied_onto_one_more),
        TEST(test_who_was_released_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
