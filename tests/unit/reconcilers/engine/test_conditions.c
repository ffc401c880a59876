/* Conditions: what does not change keeps its bytes; the time moves only when status flips. */
#include "tests/unit/test.h"

#include "reconcilers/engine/conditions.h"

#include "server/base/json.h"

#include <string.h>

#define LONG_AGO "2020-01-01T00:00:00Z"

static void set_time(json_t *status, const char *type, const char *time)
{
    json_t *condition = json_find(status, "conditions", "type", type);
    json_put(condition, "lastTransitionTime", json_string(time));
}

static const char *time_of(const json_t *status, const char *type)
{
    return json_str(condition_get(status, type), "lastTransitionTime");
}

static void test_first_set_has_all_fields(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    condition_set(ctx, status, "Ready", "False", "Progressing", 3, "%d of %d", 1, 2);
    const json_t *condition = condition_get(status, "Ready");
    assert_string_equal(json_str(condition, "reason"), "Progressing");
    assert_string_equal(json_str(condition, "message"), "1 of 2");
    assert_int_equal(json_int_or(condition, "observedGeneration", 0), 3);
    assert_int_equal(strlen(time_of(status, "Ready")), strlen(LONG_AGO));
    assert_true(condition_is(status, "Ready", "False"));
    assert_false(condition_is(status, "Other", "False"));
}

static void test_same_again_changes_nothing(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    condition_set(ctx, status, "Ready", "True", "Current", 1, "fine");
    set_time(status, "Ready", LONG_AGO);
    json_t *before = arena_json(ctx->arena, json_deep_copy(status));
    condition_set(ctx, status, "Ready", "True", "Current", 1, "fine");
    assert_true(json_equal(before, status));
}

static void test_time_moves_only_when_status_flips(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    condition_set(ctx, status, "Ready", "False", "Progressing", 1, "one");
    set_time(status, "Ready", LONG_AGO);
    condition_set(ctx, status, "Ready", "False", "Failed", 2, "two");
    assert_string_equal(time_of(status, "Ready"), LONG_AGO);
    condition_set(ctx, status, "Ready", "True", "Current", 2, "three");
    assert_string_not_equal(time_of(status, "Ready"), LONG_AGO);
}

static void test_types_stand_side_by_side_and_go(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    condition_set(ctx, status, "A", "True", "X", 1, "a");
    condition_set(ctx, status, "B", "True", "X", 1, "b");
    condition_remove(status, "A");
    condition_remove(status, "A");
    assert_null(condition_get(status, "A"));
    assert_non_null(condition_get(status, "B"));
    assert_int_equal(json_array_size(json_at(status, "conditions")), 1);
}

static void test_long_message_is_cut_at_a_character(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    char message[2048];
    for (size_t at = 0; at + 2 < sizeof message; at += 2)
        memcpy(message + at, "\xc3\xa9", 3); /* e with acute accent: two bytes */
    condition_set(ctx, status, "Ready", "True", "X", 1, "x%s", message);
    const char *kept = json_str(condition_get(status, "Ready"), "message");
    assert_int_equal(strlen(kept), 1023);
}

static void test_message_that_is_not_utf8_is_replaced(void **state)
{
    struct ctx *ctx = *state;
    json_t *status = arena_json(ctx->arena, json_object());
    condition_set(ctx, status, "Ready", "True", "X", 1, "%s", "\xff\xfe");
    assert_non_null(json_str(condition_get(status, "Ready"), "message"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_set_has_all_fields),
        TEST(test_same_again_changes_nothing),
        TEST(test_time_moves_only_when_status_flips),
        TEST(test_types_stand_side_by_side_and_go),
        TEST(test_long_message_is_cut_at_a_character),
        TEST(test_message_that_is_not_utf8_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
