/* What the fleet keeps of a pipeline's stages: known members only, never more than the limit. */
#include "tests/unit/test.h"

#include "reconcilers/fleet/explain.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"

#include <string.h>

static json_t *parse(struct ctx *ctx, const char *text)
{
    json_t *json;
    if (json_parse(ctx, text, strlen(text), JSON_TEXT_MAX_BYTES, &json) < 0)
        fail_msg("%s: %s", ctx->err.message, text);
    return json;
}

/* The same in the arena. */
static json_t *stages_of(struct ctx *ctx, const json_t *status, const char **ret_cut)
{
    return arena_json(ctx->arena, explain_stages(status, ret_cut));
}

static size_t bytes_of(const json_t *value)
{
    return json_dumpb(value, NULL, 0, JSON_COMPACT);
}

/* `stages` alike, each with `pods` pods; names have `name` bytes. */
static json_t *status_of(struct ctx *ctx, int stages, int pods, int name)
{
    const char *list = "", *row = "";
    char letters[300];
    memset(letters, 'x', sizeof letters);
    for (int at = 0; at < pods; at++)
        row = arena_printf(ctx->arena,
                           "%s%s{\"ordinal\":%d,\"name\":\"%.*s\",\"zone\":\"zone-1\","
                           "\"milliDocumentsPerSecond\":100000000000,\"serves\":true}",
                           row, at ? "," : "", at, name, letters);
    for (int at = 0; at < stages; at++)
        list = arena_printf(ctx->arena,
                            "%s%s{\"name\":\"%.*s\",\"class\":\"%.*s\",\"reason\":\"%.*s\","
                            "\"documentsPerSecond\":9223372036854775807,\"missing\":"
                            "9223372036854775807,\"reserved\":9223372036854775807,\"podsToCome\":"
                            "1000,\"podCount\":1000,\"pods\":[%s]}",
                            list, at ? "," : "", name < 63 ? name : 63, letters,
                            name < 63 ? name : 63, letters, name < 64 ? name : 64, letters, row);
    return parse(ctx, arena_printf(ctx->arena, "{\"stages\":[%s]}", list));
}

static void test_known_members_are_kept_as_they_are(void **state)
{
    struct ctx *ctx = *state;
    const char *cut;
    json_t *status = parse(
        ctx, "{\"stages\":[{\"name\":\"first\",\"class\":\"blue\",\"reason\":\"Placed\","
             "\"documentsPerSecond\":10,\"missing\":0,\"reserved\":0,\"podsToCome\":0,"
             "\"podCount\":1,\"pods\":[{\"ordinal\":0,\"name\":\"blue-0\",\"zone\":\"a\","
             "\"milliDocumentsPerSecond\":10000,\"serves\":true}]}],"
             "\"waiting\":{\"stage\":\"first\",\"need\":10,\"free\":5,\"pods\":1,\"attempts\":2,"
             "\"since\":\"2026-01-01T00:00:00Z\",\"deadline\":\"2026-01-01T00:01:00Z\","
             "\"retry\":\"2026-01-01T00:02:00Z\"}}");
    assert_true(json_equal(stages_of(ctx, status, &cut), json_at(status, "stages")));
    assert_null(cut);
    assert_true(
        json_equal(arena_json(ctx->arena, explain_waiting(status)), json_at(status, "waiting")));
}

static void test_others_are_not_carried_and_the_original_stays(void **state)
{
    struct ctx *ctx = *state;
    const char *cut;
    json_t *status = parse(ctx, "{\"stages\":[{\"name\":\"a\",\"message\":\"beside tenant b\","
                                "\"pods\":[{\"ordinal\":1,\"node\":\"n-7\",\"ip\":\"10.0.0.1\"}]}],"
                                "\"waiting\":{\"stage\":\"a\",\"behind\":\"tenant b\"}}");
    json_t *before = arena_json(ctx->arena, json_deep_copy(status));
    assert_true(json_equal(stages_of(ctx, status, &cut),
                           parse(ctx, "[{\"name\":\"a\",\"pods\":[{\"ordinal\":1}]}]")));
    assert_true(json_equal(arena_json(ctx->arena, explain_waiting(status)),
                           parse(ctx, "{\"stage\":\"a\"}")));
    assert_true(json_equal(status, before));
}

/* What no schema would let through is no reason to fall over. */
static void test_nothing_is_told_of_nothing(void **state)
{
    struct ctx *ctx = *state;
    static const char *const none[] = {"{}", "{\"stages\":null,\"waiting\":null}",
                                       "{\"stages\":{},\"waiting\":[]}",
                                       "{\"stages\":\"x\",\"waiting\":7}"};
    const char *cut;
    for (size_t row = 0; row < ARRAY_SIZE(none); row++) {
        assert_null(explain_stages(parse(ctx, none[row]), &cut));
        assert_null(cut);
        assert_null(explain_waiting(parse(ctx, none[row])));
    }
    assert_null(explain_stages(NULL, &cut));
    assert_null(explain_waiting(NULL));
    assert_true(json_equal(stages_of(ctx, parse(ctx, "{\"stages\":[7,[],{\"pods\":3}]}"), &cut),
                           parse(ctx, "[7,[],{\"pods\":3}]")));
}

/* Pods named: as many of each stage as there is room for. */
static void test_what_is_too_large_is_cut_and_says_so(void **state)
{
    static const struct {
        int stages, pods, name;
        size_t kept; /* pods of a stage */
        bool is_cut;
    } rows[] = {
        {2, 8, 20, 8, false}, {32, 1, 20, 1, false}, {16, 8, 20, 4, true},  {32, 8, 20, 2, true},
        {32, 8, 63, 0, true}, {8, 8, 253, 4, true},  {32, 8, 253, 0, true},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *cut;
        const json_t *told =
            stages_of(ctx, status_of(ctx, rows[at].stages, rows[at].pods, rows[at].name), &cut);
        assert_int_equal(json_array_size(told), rows[at].stages);
        assert_true(bytes_of(told) <= EXPLAIN_STAGES_BYTES);
        size_t kept = json_array_size(json_at(told, "0.pods"));
        if (kept != rows[at].kept || !!cut != rows[at].is_cut)
            fail_msg("row %zu: %zu pods, %s", at, kept, cut ? cut : "whole");
        if (cut)
            assert_string_equal(cut, "PodsLeftOut");
        assert_int_equal(json_int_or(told, "0.podCount", 0), 1000);
    }
}

static void test_what_is_too_large_without_pods_is_left_out(void **state)
{
    struct ctx *ctx = *state;
    const char *cut;
    assert_null(explain_stages(status_of(ctx, 64, 1, 64), &cut));
    assert_string_equal(cut, "StagesLeftOut");
    const char *waiting =
        arena_printf(ctx->arena, "{\"waiting\":{\"stage\":\"%0*d\"}}", EXPLAIN_WAITING_BYTES, 1);
    assert_null(explain_waiting(parse(ctx, waiting)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_known_members_are_kept_as_they_are),
        TEST(test_others_are_not_carried_and_the_original_stays),
        TEST(test_nothing_is_told_of_nothing),
        TEST(test_what_is_too_large_is_cut_and_says_so),
        TEST(test_what_is_too_large_without_pods_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
