/* What a Pipeline's status tells of each stage: where it runs, or what it lacks, and no more often
 * than that changes. */
#include "tests/unit/reconcilers/pipeline/talk.h"

/* As the controller would write it; bindings are not played. */
static json_t *status_of(struct fixture *fixture, const char *name)
{
    struct ctx *ctx = fixture->ctx;
    struct placer_scope scope = {.world = fixture->world, .decision = fixture->decision};
    json_t *status = arena_json(ctx->arena, json_object());
    bindings_index(ctx->arena, NULL, &scope.bindings);
    scope.taken = arena_alloc(ctx->arena, fixture->world.pipeline_count + 1);
    for (uint32_t at = 0; at < fixture->world.pipeline_count; at++)
        if (str_equal(fixture->world.pipelines[at].name, name))
            pipeline_status(ctx, &fixture->world, at, &scope, status);
    return status;
}

/* "reason asked/missing/reserved +podsToCome pod:milli pod:milli"; "!" behind a pod that does not
 * serve. */
static const char *told(struct fixture *fixture, const char *name, const char *stage)
{
    struct arena *arena = fixture->ctx->arena;
    const json_t *row = json_find(status_of(fixture, name), "stages", "name", stage);
    char *text = arena_printf(
        arena, "%s %d/%d/%d +%d", json_str_or(row, "reason", "none"),
        (int)json_int_or(row, "documentsPerSecond", -1), (int)json_int_or(row, "missing", -1),
        (int)json_int_or(row, "reserved", -1), (int)json_int_or(row, "podsToCome", -1));
    size_t at;
    json_t *pod;
    json_array_foreach(json_at(row, "pods"), at, pod)
        text = arena_printf(arena, "%s %s:%d%s", text, json_str_or(pod, "name", "?"),
                            (int)json_int_or(pod, "milliDocumentsPerSecond", -1),
                            json_bool_or(pod, "serves", false) ? "" : "!");
    return text;
}

static void check(struct fixture *fixture, const char *name, const char *stage, const char *want)
{
    const char *got = told(fixture, name, stage);
    if (!str_equal(got, want))
        fail_msg("%s/%s: %s, not %s", name, stage, got, want);
}

static struct fixture talk_of(struct ctx *ctx, int pipelines)
{
    static const char *const names[] = {"first", "second", "third"};
    struct fixture fixture = fixture_new(ctx);
    put_talk_pods(&fixture);
    for (int at = 0; at < pipelines; at++)
        put_pipeline(&fixture, names[at], 10);
    decided(&fixture);
    return fixture;
}

static void test_who_runs_has_pods(void **state)
{
    struct fixture fixture = talk_of(*state, 1);
    check(&fixture, "first", "blue", "Placed 10/0/0 +0 blue-workers-0:10000");
    check(&fixture, "first", "yellow", "Placed 10/0/0 +0 yellow-workers-0:10000");
    assert_null(json_at(status_of(&fixture, "first"), "waiting"));
}

static void test_who_waits_for_a_pod_says_which_stage_and_since_when(void **state)
{
    struct fixture fixture = talk_of(*state, 3);
    check(&fixture, "third", "blue", "Placed 10/0/0 +0 blue-workers-0:10000");
    check(&fixture, "third", "green", "WaitingForScale 10/10/10 +1 ?:10000!");
    const json_t *waiting = json_at(status_of(&fixture, "third"), "waiting");
    assert_string_equal(json_str(waiting, "since"), time_text(fixture.ctx, NOW_S));
    assert_string_equal(json_str(waiting, "deadline"), time_text(fixture.ctx, NOW_S + 600));
    fixture.now_s += 600; /* no pod came: nothing is held any more */
    decided(&fixture);
    check(&fixture, "third", "green", "ScaleTimeout 10/10/0 +1");
    check(&fixture, "third", "blue", "NothingHeld 10/10/0 +0");
}

static void test_a_flap_changes_nothing_and_a_loss_does(void **state)
{
    struct fixture fixture = talk_of(*state, 1);
    const char *before = json_text(fixture.ctx->arena, status_of(&fixture, "first"));
    set_ready(&fixture, "green-workers-0", false);
    fixture.now_s += 1;
    decided(&fixture);
    assert_string_equal(json_text(fixture.ctx->arena, status_of(&fixture, "first")), before);
    fixture.now_s += FLAP_S;
    decided(&fixture);
    check(&fixture, "first", "green", "Placed 10/0/0 +0 green-workers-1:10000");
}

static void test_what_others_do_changes_nothing(void **state)
{
    struct fixture fixture = talk_of(*state, 3);
    const char *before = json_text(fixture.ctx->arena, status_of(&fixture, "third"));
    put_pod(&fixture, "blue", 3, true);
    put_pipeline(&fixture, "fourth", 1);
    fixture.now_s += 1;
    decided(&fixture);
    assert_string_equal(json_text(fixture.ctx->arena, status_of(&fixture, "third")), before);
}

static void test_a_rate_that_is_refused_is_told_where(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_put(json_array_get(fixture.classes, 1), "spec.maxReplicas", json_integer(2));
    put_pipeline(&fixture, "first", 10);
    put_pipeline(&fixture, "second", 10);
    json_t *third = put_pipeline(&fixture, "third", 5);
    decided(&fixture);
    check(&fixture, "third", "green", "Placed 5/0/0 +0 green-workers-0:5000");
    json_put(third, "spec.documentsPerSecond", json_integer(10));
    decided(&fixture);
    check(&fixture, "third", "green", "NoCapacity 10/5/0 +1 green-workers-0:5000");
    check(&fixture, "third", "blue", "RateRefused 10/5/0 +0 blue-workers-0:5000");
}

static void test_of_many_pods_the_first_are_shown(void **state)
{
    struct fixture fixture = fixture_new(*state);
    json_t *blue = json_array_get(fixture.classes, 0);
    put_talk_pods(&fixture);
    json_put(blue, "spec.mode", json_string("Equal"));
    json_put(blue, "spec.capacity", json_integer(1));
    for (int at = 3; at < 10; at++)
        put_pod(&fixture, "blue", at, true);
    put_pipeline(&fixture, "wide", 10);
    decided(&fixture);
    const json_t *row = json_find(status_of(&fixture, "wide"), "stages", "name", "blue");
    assert_int_equal(json_int_or(row, "podCount", 0), 10);
    assert_int_equal(json_array_size(json_at(row, "pods")), 8);
    assert_int_equal(json_int_or(row, "missing", -1), 0);
}

static void test_no_stage_is_told_of_what_is_not_drawn_well(void **state)
{
    struct fixture fixture = talk_of(*state, 1);
    json_put(json_array_get(fixture.pipelines, 0), "spec.workers.blue.class", json_string("red"));
    decided(&fixture);
    const json_t *status = status_of(&fixture, "first");
    assert_null(json_at(status, "stages"));
    assert_string_equal(json_str(status, "conditions.0.reason"), "UnknownClass");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_runs_has_pods),
        TEST(test_who_waits_for_a_pod_says_which_stage_and_since_when),
        TEST(test_a_flap_changes_nothing_and_a_loss_does),
        TEST(test_what_others_do_changes_nothing),
        TEST(test_a_rate_that_is_refused_is_told_where),
        TEST(test_of_many_pods_the_first_are_shown),
        TEST(test_no_stage_is_told_of_what_is_not_drawn_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
