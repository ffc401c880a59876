/* Projections: phase and health by table, size and hash. */
#include "tests/unit/test.h"

#include "reconcilers/fleet/project.h"
#include "reconcilers/fleet/resource.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { PROJECTION_MAX_BYTES = 200 };

struct seen {
    const char *what;
    const char *lifecycle; /* NULL = a pipeline */
    int revision, observed;
    const char *ready, *reason, *available, *stalled;
    bool leaving;
    const char *phase, *health;
};

static const struct seen seen[] = {
    {"nothing said yet", "Active", 1, 0, NULL, NULL, NULL, NULL, false, "updating", "unknown"},
    {"ready", "Active", 2, 2, "True", "ReadyUnprobed", "True", NULL, false, "ready", "healthy"},
    {"about an older revision", "Active", 3, 2, "True", "x", "True", NULL, false, "updating",
     "healthy"},
    {"serves while it changes", "Active", 3, 3, "False", "Progressing", "True", NULL, false,
     "updating", "degraded"},
    {"does not serve", "Active", 3, 3, "False", "Progressing", "False", NULL, false, "updating",
     "down"},
    {"stalled", "Active", 3, 3, "False", "Progressing", "False", "True", false, "error", "down"},
    {"closing", "Closed", 4, 4, "False", "Closing", "False", NULL, false, "updating", "down"},
    {"closed", "Closed", 4, 4, "True", "Closed", "False", NULL, false, "closed", "down"},
    {"still ready as it was", "Closed", 4, 4, "True", "ReadyUnprobed", "True", NULL, false,
     "updating", "healthy"},
    {"leaving", "Closed", 4, 4, "True", "Closed", "False", NULL, true, "deleting", "down"},
    {"a pipeline that serves", NULL, 2, 2, "True", "Routed", NULL, NULL, false, "ready", "healthy"},
    {"with less than it asks for", NULL, 2, 2, "True", "Degraded", NULL, NULL, false, "ready",
     "degraded"},
    {"at its old rate", NULL, 2, 2, "True", "RateRefused", NULL, NULL, false, "updating",
     "healthy"},
    {"that waits for room", NULL, 2, 2, "False", "WaitingForScale", NULL, NULL, false, "updating",
     "down"},
    {"whose class is not there", NULL, 2, 2, "False", "UnknownClass", NULL, NULL, false, "error",
     "down"},
    {"beyond all of its tenant's quota", NULL, 2, 2, "False", "ExceedsQuota", NULL, NULL, false,
     "error", "down"},
    {"that waits for its tenant's quota", NULL, 2, 2, "False", "OverQuota", NULL, NULL, false,
     "updating", "down"},
    {"rejected before it changed", NULL, 3, 2, "False", "UnknownClass", NULL, NULL, false,
     "updating", "down"},
};

static json_t *object_of(struct ctx *ctx, const struct seen *row)
{
    json_t *object = arena_json(ctx->arena, json_object());
    json_t *labels = json_object();
    json_object_set_new(labels, "flotilla.dev/fleet", json_string("true"));
    json_object_set_new(labels, row->lifecycle ? LABEL_REGISTRY_ID : LABEL_PIPELINE_ID,
                        json_string(row->lifecycle ? "reg_1" : "pl_1"));
    json_put(object, "metadata.labels", labels);
    json_put(object, "spec.revision", json_integer(row->revision));
    if (row->lifecycle)
        json_put(object, "spec.lifecycle", json_string(row->lifecycle));
    json_put(object, "status.observedRevision", json_integer(row->observed));
    json_t *status = json_object_get(object, "status");
    if (row->ready)
        condition_set(ctx, status, "Ready", row->ready, row->reason, 1, "step one");
    if (row->available)
        condition_set(ctx, status, "Available", row->available, "Any", 1, "any");
    if (row->stalled)
        condition_set(ctx, status, "Stalled", row->stalled, "IdentityTaken", 1, "by another");
    if (row->leaving)
        json_put(object, "metadata.deletionTimestamp", json_string("2026-01-01T00:00:00Z"));
    return object;
}

static void test_project__phase_and_health(void **state)
{
    struct ctx *ctx = *state;
    for (size_t index = 0; index < ARRAY_SIZE(seen); index++) {
        json_t *projection = project(ctx, object_of(ctx, &seen[index]), false);
        if (!str_equal(json_str(projection, "phase"), seen[index].phase) ||
            !str_equal(json_str(projection, "health"), seen[index].health))
            fail_msg("%s: %s, %s", seen[index].what, json_str(projection, "phase"),
                     json_str(projection, "health"));
    }
    assert_string_equal(json_str(project(ctx, object_of(ctx, &seen[5]), false), "reason"),
                        "IdentityTaken");
}

static void test_project__equal_objects_have_equal_hashes(void **state)
{
    struct ctx *ctx = *state;
    json_t *one = project(ctx, object_of(ctx, &seen[1]), false);
    assert_string_equal(json_str(one, "hash"),
                        json_str(project(ctx, object_of(ctx, &seen[1]), false), "hash"));
    assert_string_not_equal(json_str(one, "hash"),
                            json_str(project(ctx, object_of(ctx, &seen[1]), true), "hash"));
    assert_string_not_equal(json_str(one, "hash"),
                            json_str(project(ctx, object_of(ctx, &seen[3]), false), "hash"));
}

static void test_project__long_messages_are_cut_between_characters(void **state)
{
    struct ctx *ctx = *state;
    json_t *object = object_of(ctx, &seen[1]);
    json_put(object, "status.version", json_string("2.14.4"));
    char message[PROJECT_MESSAGE_BYTES * 2 + 2] = "x";
    for (int index = 0; index < PROJECT_MESSAGE_BYTES; index++)
        memcpy(message + 1 + index * 2, "\xC3\xA9", 3);
    condition_set(ctx, json_object_get(object, "status"), "Ready", "True", "R", 1, "%s", message);
    json_t *projection = project(ctx, object, false);
    assert_int_equal(strlen(json_str(projection, "message")), PROJECT_MESSAGE_BYTES - 1);
    size_t values = 0;
    const char *key;
    json_t *value;
    json_object_foreach(projection, key, value) {
        values += json_is_string(value) ? json_string_length(value) : 8;
    }
    assert_true(values <= PROJECTION_MAX_BYTES);
}

/* A cell whose operator asks no Harbor tells none: then nothing is said, and nothing written. */
static void test_project__usage_is_told_as_it_is(void **state)
{
    struct ctx *ctx = *state;
    json_t *object = object_of(ctx, &seen[1]);
    json_t *without = project(ctx, object, false);
    assert_null(json_at(without, "usage"));
    json_put(object, "status.usage.storageBytes", json_integer(7));
    json_t *with = project(ctx, object, false);
    assert_int_equal(json_int_or(with, "usage.storageBytes", -1), 7);
    assert_string_not_equal(json_str(with, "hash"), json_str(without, "hash"));
}

/* Another place is something new to write. */
static void test_project__stages_are_told(void **state)
{
    struct ctx *ctx = *state;
    json_t *object = object_of(ctx, &seen[10]);
    json_t *without = project(ctx, object, false);
    assert_null(json_at(without, "stages"));
    json_put(object, "status.stages", json_loads("[{\"name\":\"a\",\"note\":1}]", 0, NULL));
    json_put(object, "status.waiting.stage", json_string("a"));
    json_t *with = project(ctx, object, false);
    assert_string_equal(json_str(with, "stages.0.name"), "a");
    assert_null(json_at(with, "stages.0.note"));
    assert_string_equal(json_str(with, "waiting.stage"), "a");
    assert_null(json_at(with, "stagesCut"));
    assert_string_not_equal(json_str(with, "hash"), json_str(without, "hash"));
}

static void test_project__version_is_the_one_that_runs(void **state)
{
    struct ctx *ctx = *state;
    json_t *object = object_of(ctx, &seen[1]);
    json_put(object, "spec.version", json_string("2.15.2"));
    assert_null(json_at(project(ctx, object, false), "version"));
    json_put(object, "status.version", json_string("2.14.4"));
    assert_string_equal(json_str(project(ctx, object, false), "version"), "2.14.4");
}

static void test_project__gone(void **state)
{
    struct ctx *ctx = *state;
    json_t *projection = project_gone(ctx, "reg_1");
    assert_string_equal(json_str(projection, "reason"), "Missing");
    assert_non_null(json_str(projection, "hash"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_project__phase_and_health),
        TEST(test_project__equal_objects_have_equal_hashes),
        TEST(test_project__long_messages_are_cut_between_characters),
        TEST(test_project__usage_is_told_as_it_is),
        TEST(test_project__stages_are_told),
        TEST(test_project__version_is_the_one_that_runs),
        TEST(test_project__gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
