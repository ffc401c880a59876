/* The phases of a pipeline from those of its bindings: the way back from Broken and from Degraded.
 */
#include "tests/unit/reconcilers/pipeline/talk.h"

#include "reconcilers/engine/conditions.h"

struct play {
    struct fixture fixture;
    json_t *bindings, *status;
};

/* The bindings as the last decision wants them; each is in `phase`, and routed. */
static void bind(struct play *play, const char *phase)
{
    struct fixture *fixture = &play->fixture;
    const json_t *entry = json_find(fixture->ledger, "pipelines", "name", "first");
    size_t at;
    json_t *row;
    play->bindings = arena_json(fixture->ctx->arena, json_array());
    json_put(fixture->world.pipelines[0].object, "metadata.namespace", json_string("shop"));
    json_array_foreach(json_at(entry, "stages"), at, row) {
        json_t *made =
            binding_wanted(fixture->ctx->arena, &fixture->world, &fixture->world.pipelines[0], row);
        json_put(made, "metadata.generation", json_integer(1));
        json_put(made, "status.observedGeneration", json_integer(1));
        json_put(made, "status.phase", json_string(phase));
        json_array_append(play->bindings, made);
    }
}

static void put_phase(struct play *play, const char *stage, const char *phase)
{
    size_t at;
    json_t *binding;
    json_array_foreach(play->bindings, at, binding)
        if (str_equal(json_str(binding, "spec.stage"), stage))
            json_put(binding, "status.phase", json_string(phase));
}

/* "Phase/Status/Reason" of the next pass. */
static const char *told(struct play *play)
{
    struct fixture *fixture = &play->fixture;
    struct ctx *ctx = fixture->ctx;
    struct placer_scope scope = {.world = fixture->world, .decision = fixture->decision};
    bindings_index(ctx->arena, play->bindings, &scope.bindings);
    scope.taken = arena_alloc(ctx->arena, fixture->world.pipeline_count + 1);
    pipeline_status(ctx, &fixture->world, 0, &scope, play->status);
    const json_t *ready = condition_get(play->status, "Ready");
    return arena_printf(ctx->arena, "%s/%s/%s", json_str_or(play->status, "phase", ""),
                        json_str_or(ready, "status", ""), json_str_or(ready, "reason", ""));
}

static struct play play_of(struct ctx *ctx)
{
    struct play play = {.fixture = fixture_new(ctx),
                        .bindings = arena_json(ctx->arena, json_array()),
                        .status = arena_json(ctx->arena, json_object())};
    for (int class = 0; class < CLASSES; class ++)
        put_pod(&play.fixture, talk[class].name, 0, true);
    put_pipeline(&play.fixture, "first", 10);
    decided(&play.fixture);
    return play;
}

static void test_from_broken_by_plotted_to_ready(void **state)
{
    struct play play = play_of(*state);
    assert_string_equal(told(&play), "Plotted/False/BindingsPending");
    bind(&play, "Ready");
    assert_string_equal(told(&play), "Ready/True/Routed");
    lose_pod(&play.fixture, "blue-workers-0");
    decided(&play.fixture);
    put_phase(&play, "blue", "DeadEnd");
    assert_string_equal(told(&play), "Broken/False/DeadEnd");
    put_pod(&play.fixture, "blue", 0, true);
    decided(&play.fixture);
    assert_string_equal(told(&play), "Plotted/False/BindingsPending");
    put_phase(&play, "blue", "Pending");
    assert_string_equal(told(&play), "Plotted/False/BindingsPending");
    put_phase(&play, "blue", "Ready");
    assert_string_equal(told(&play), "Ready/True/Routed");
}

/* A moment is no repair: nothing was placed anew. */
static void test_a_flap_is_broken_until_the_pod_is_ready(void **state)
{
    struct play play = play_of(*state);
    bind(&play, "Ready");
    told(&play);
    set_ready(&play.fixture, "blue-workers-0", false);
    decided(&play.fixture);
    put_phase(&play, "blue", "DeadEnd");
    assert_string_equal(told(&play), "Broken/False/DeadEnd");
    set_ready(&play.fixture, "blue-workers-0", true);
    decided(&play.fixture);
    assert_string_equal(told(&play), "Plotted/False/BindingsPending");
}

/* Bindings that were routed before anybody looked. */
static void test_nobody_is_ready_right_behind_broken(void **state)
{
    struct play play = play_of(*state);
    bind(&play, "Ready");
    json_put(play.status, "phase", json_string("Broken"));
    assert_string_equal(told(&play), "Plotted/False/BindingsPending");
    assert_string_equal(told(&play), "Ready/True/Routed");
}

static void test_degraded_is_plotted_while_it_is_routed_anew(void **state)
{
    struct play play = {.fixture = fixture_new(*state),
                        .status = arena_json(((struct ctx *)*state)->arena, json_object())};
    size_t at;
    json_t *class;
    json_array_foreach(play.fixture.classes, at, class) {
        json_put(class, "spec.mode", json_string("Weighted"));
        json_put(class, "spec.capacity", json_integer(25));
        json_put(class, "spec.maxReplicas", json_integer(2));
        for (int pod = 0; pod < 2; pod++)
            put_pod(&play.fixture, talk[at].name, pod, true);
    }
    json_t *first = put_pipeline(&play.fixture, "first", 40);
    decided(&play.fixture);
    bind(&play, "Ready");
    assert_string_equal(told(&play), "Ready/True/Routed");
    lose_pod(&play.fixture, "blue-workers-1");
    decided(&play.fixture);
    bind(&play, "Ready");
    json_put(first, "spec.minDocumentsPerSecond", json_integer(26)); /* 25 are left */
    assert_string_equal(told(&play), "Broken/False/BelowMinimum");
    json_put(first, "spec.minDocumentsPerSecond", json_integer(25));
    assert_string_equal(told(&play), "Plotted/False/BindingsPending");
    assert_string_equal(told(&play), "Ready/True/Degraded");
    put_pod(&play.fixture, "blue", 1, true);
    decided(&play.fixture);
    assert_string_equal(told(&play), "Plotted/True/Degraded");
    bind(&play, "Ready");
    assert_string_equal(told(&play), "Ready/True/Routed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_from_broken_by_plotted_to_ready),
        TEST(test_a_flap_is_broken_until_the_pod_is_ready),
        TEST(test_nobody_is_ready_right_behind_broken),
        TEST(test_degraded_is_plotted_while_it_is_routed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
