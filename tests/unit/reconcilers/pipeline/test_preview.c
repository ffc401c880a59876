/* Previews: an object of a file stands in for the one that is there; what is told is the
 * controller's. */
#include "reconcilers/pipeline/preview.h"
#include "tests/unit/reconcilers/pipeline/talk.h"

#define API "scheduling.k8s.xxii.io/v1alpha1"

static json_t *typed(json_t *object, const char *version, const char *kind)
{
    json_object_set_new(object, "apiVersion", json_string(version));
    json_object_set_new(object, "kind", json_string(kind));
    return object;
}

static bool apply(struct preview *preview, struct ctx *ctx, const json_t *object)
{
    bool used;
    if (preview_apply(ctx, preview, object, &used) < 0)
        fail_msg("%s", ctx->err.message);
    return used;
}

/* The talk with one pipeline, decided, as a cell has it. */
static struct preview cell_of(struct fixture *fixture)
{
    struct ctx *ctx = fixture->ctx;
    struct preview preview;
    size_t at;
    json_t *object;
    put_talk_pods(fixture);
    put_pipeline(fixture, "first", 10);
    decided(fixture);
    if (preview_begin(ctx, "default", fixture->now_s, &preview) < 0)
        fail_msg("%s", ctx->err.message);
    json_array_foreach(fixture->classes, at, object)
        assert_true(apply(&preview, ctx, typed(object, API, "WorkerClass")));
    json_array_foreach(fixture->pods, at, object)
        assert_true(apply(&preview, ctx, typed(object, "v1", "Pod")));
    json_array_foreach(fixture->pipelines, at, object)
        assert_true(apply(&preview, ctx, typed(object, API, "Pipeline")));
    json_t *ledger =
        json_pack("{s:s, s:s, s:{s:s}, s:O}", "apiVersion", API, "kind", "PlacementLedger",
                  "metadata", "name", LEDGER_NAME, "spec", fixture->ledger);
    assert_true(apply(&preview, ctx, arena_json(ctx->arena, ledger)));
    return preview;
}

static json_t *made(struct ctx *ctx, const struct preview *preview)
{
    json_t *told;
    if (preview_make(ctx, preview, &told) < 0)
        fail_msg("%s", ctx->err.message);
    return told;
}

static void test_what_was_decided_is_told_again(void **state)
{
    struct fixture fixture = fixture_new(*state);
    const struct preview preview = cell_of(&fixture);
    const json_t *told = made(*state, &preview);
    assert_false(json_bool_or(told, "changes", true));
    assert_null(json_at(told, "refused"));
    assert_string_equal(json_str(told, "pipelines.0.status.stages.0.reason"), "Placed");
    assert_int_equal(json_array_size(json_at(told, "classes")), CLASSES);
}

/* Of the same generation, such a class would contradict the ledger. */
static void test_a_class_of_a_file_is_another_generation(void **state)
{
    struct ctx *ctx = *state;
    struct fixture fixture = fixture_new(ctx);
    struct preview preview = cell_of(&fixture);
    json_t *green = json_pack("{s:{s:s}, s:{s:i, s:i, s:s}}", "metadata", "name", "green", "spec",
                              "capacity", 5, "maxReplicas", 2, "mode", "Whole");
    assert_true(apply(&preview, ctx, typed(arena_json(ctx->arena, green), API, "WorkerClass")));
    const json_t *told = made(ctx, &preview);
    assert_null(json_at(told, "refused"));
    assert_int_equal(json_array_size(json_at(told, "classes")), CLASSES);
    assert_string_equal(json_str(told, "pipelines.0.status.conditions.0.reason"),
                        "ExceedsMaxCapacity");
}

static void test_a_pipeline_of_a_file_is_the_one_that_is_there(void **state)
{
    struct ctx *ctx = *state;
    struct fixture fixture = fixture_new(ctx);
    struct preview preview = cell_of(&fixture);
    json_t *again = arena_json(ctx->arena, json_deep_copy(json_array_get(fixture.pipelines, 0)));
    json_object_set_new(again, "metadata", json_pack("{s:s}", "name", "first"));
    json_put(again, "spec.documentsPerSecond", json_integer(12));
    assert_true(apply(&preview, ctx, again));
    const json_t *told = made(ctx, &preview);
    assert_int_equal(json_array_size(json_at(told, "pipelines")), 1);
    assert_string_equal(json_str(preview_pipeline(&preview, "first"), "metadata.uid"),
                        json_str(json_array_get(fixture.pipelines, 0), "metadata.uid"));
    assert_int_equal(
        json_int_or(told, "pipelines.0.status.stages.1.pods.0.milliDocumentsPerSecond", 0), 12000);
    assert_int_equal(json_int_or(told, "pipelines.0.status.stages.1.pods.0.ordinal", -1), 0);
}

static void test_a_binding_of_another_is_seen(void **state)
{
    struct ctx *ctx = *state;
    struct fixture fixture = fixture_new(ctx);
    struct preview preview = cell_of(&fixture);
    json_t *binding = json_pack("{s:{s:s}, s:{s:s, s:s, s:s, s:i, s:i, s:[]}}", "metadata", "name",
                                "first-blue", "spec", "pipeline", "other", "stage", "blue", "class",
                                "blue", "milliDocumentsPerSecond", 0, "port", 80, "shares");
    assert_true(
        apply(&preview, ctx, typed(arena_json(ctx->arena, binding), API, "PipelineBinding")));
    assert_string_equal(json_str(made(ctx, &preview), "pipelines.0.status.conditions.0.reason"),
                        "ObjectTaken");
}

static void test_one_of_them_is_told_with_its_classes(void **state)
{
    struct ctx *ctx = *state;
    struct fixture fixture = fixture_new(ctx);
    struct preview preview = cell_of(&fixture);
    json_t *strange = json_pack("{s:{s:s}, s:{s:i, s:{s:{s:s}}}}", "metadata", "name", "strange",
                                "spec", "documentsPerSecond", 1, "workers", "a", "class", "red");
    assert_true(apply(&preview, ctx, typed(arena_json(ctx->arena, strange), API, "Pipeline")));
    const struct {
        const char *name;
        bool placed;
        size_t classes;
    } rows[] = {{"first", true, CLASSES}, {"strange", false, 0}};
    for (size_t at = 0; at < 2; at++) {
        json_t *told = made(ctx, &preview);
        assert_false(preview_placed(told));
        assert_int_equal(preview_narrow(ctx, told, rows[at].name), 0);
        assert_int_equal(json_array_size(json_at(told, "pipelines")), 1);
        assert_string_equal(json_str(told, "pipelines.0.name"), rows[at].name);
        assert_int_equal(json_bool_or(told, "placed", !rows[at].placed), rows[at].placed);
        assert_int_equal(preview_placed(told), rows[at].placed);
        assert_int_equal(json_array_size(json_at(told, "classes")), rows[at].classes);
    }
    assert_int_equal(preview_narrow(ctx, made(ctx, &preview), "nobody"), -ERR_NOT_FOUND);
    assert_non_null(strstr(ctx->err.message, "there are: first, strange"));
}

static void test_what_is_elsewhere_is_left_out(void **state)
{
    struct ctx *ctx = *state;
    struct fixture fixture = fixture_new(ctx);
    struct preview preview = cell_of(&fixture);
    json_t *other = json_pack("{s:{s:s, s:s}}", "metadata", "name", "x", "namespace", "elsewhere");
    assert_false(apply(&preview, ctx, typed(arena_json(ctx->arena, other), API, "Pipeline")));
    json_t *set = json_pack("{s:{s:s}}", "metadata", "name", "x");
    assert_false(
        apply(&preview, ctx, typed(arena_json(ctx->arena, set), "apps/v1", "StatefulSet")));
}

static void test_a_slip_in_what_it_is_is_refused(void **state)
{
    static const struct {
        const char *version, *kind;
        bool is_left_out;
    } rows[] = {
        {"scheduling.k8s.xxii.io/v1", "Pipeline", false},
        {"scheduling.k8s.xxii.io", "WorkerClass", false},
        {"Scheduling.k8s.xxii.io/v1alpha1", "Pipeline", false},
        {"Scheduling.k8s.xxii.io/v1alpha1", "Line", false},
        {API, "pipelinebinding", false},
        {"v2", "Pod", false},
        {"scheduling.k8s.xxii.io.other/v1", "Line", true},
        {"v1", "Pods", true},
    };
    struct fixture fixture = fixture_new(*state);
    struct preview preview = cell_of(&fixture);
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        bool used = true;
        json_t *object =
            arena_json(fixture.ctx->arena, json_pack("{s:{s:s}}", "metadata", "name", "x"));
        int rc =
            preview_apply(*state, &preview, typed(object, rows[at].version, rows[at].kind), &used);
        assert_int_equal(rc, rows[at].is_left_out ? 0 : -ERR_INVALID);
        assert_true(rc < 0 || !used);
    }
}

/* Files are written by hand, too. */
static json_t *odd_first(struct fixture *fixture, const char *metadata, const char *status)
{
    json_t *made = json_deep_copy(json_array_get(fixture->pipelines, 0));
    json_object_set_new(made, "metadata", json_loads(metadata, JSON_DECODE_ANY, NULL));
    json_object_set_new(made, "status", json_loads(status, JSON_DECODE_ANY, NULL));
    return arena_json(fixture->ctx->arena, made);
}

static void test_what_no_api_server_would_keep_harms_nobody(void **state)
{
    static const char *const statuses[] = {"\"gone\"", "{\"conditions\": [1]}", "{\"phase\": 7}"};
    static const char odd[] = "{\"name\": \"first\", \"uid\": 5, \"generation\": \"x\", "
                              "\"creationTimestamp\": []}";
    struct fixture fixture = fixture_new(*state);
    struct preview preview = cell_of(&fixture);
    bool used;
    assert_int_equal(preview_apply(*state, &preview, odd_first(&fixture, "\"x\"", "{}"), &used),
                     -ERR_INVALID);
    for (size_t at = 0; at < sizeof statuses / sizeof statuses[0]; at++) {
        assert_true(apply(&preview, *state, odd_first(&fixture, odd, statuses[at])));
        const json_t *told = made(*state, &preview);
        assert_int_equal(json_array_size(json_at(told, "pipelines")), 1);
        assert_string_equal(json_str(told, "pipelines.0.status.stages.0.reason"), "Placed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_decided_is_told_again),
        TEST(test_a_class_of_a_file_is_another_generation),
        TEST(test_a_pipeline_of_a_file_is_the_one_that_is_there),
        TEST(test_a_binding_of_another_is_seen),
        TEST(test_one_of_them_is_told_with_its_classes),
        TEST(test_what_is_elsewhere_is_left_out),
        TEST(test_a_slip_in_what_it_is_is_refused),
        TEST(test_what_no_api_server_would_keep_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
