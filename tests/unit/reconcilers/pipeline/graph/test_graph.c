/* Graphs of pipelines: what is refused, with the stage and what would be allowed, and the rates of
 * what is not. Then many thousand made at random, against the definition. */
#include "reconcilers/pipeline/graph/graph.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <string.h>

static const struct worker_class classes[] = {
    {.name = "blue", .spec = {.capacity = 30000, .pods_max = 10, .split_max = 5, .zones_min = 1}},
    {.name = "green", .spec = {.capacity = 15000, .pods_max = 3, .split_max = 5, .zones_min = 1}},
    {.name = "whole",
     .spec =
         {.capacity = 8000, .pods_max = 10, .split_max = 5, .zones_min = 1, .mode = PLACE_WHOLE}},
};
enum { CLASSES = sizeof classes / sizeof classes[0] };

static struct graph read_spec(struct ctx *ctx, const json_t *spec)
{
    struct graph graph;
    graph_read(ctx, spec, classes, CLASSES, &graph);
    return graph;
}

static struct graph read_text(struct ctx *ctx, const char *text)
{
    json_t *spec;
    if (json_parse(ctx, text, strlen(text), 65536, &spec) < 0)
        fail_msg("%s: %s", text, ctx->err.message);
    return read_spec(ctx, spec);
}

#define SPEC(rate, workers) "{\"documentsPerSecond\":" rate ",\"workers\":{" workers "}}"
#define WORKER(name, class, next) "\"" name "\":{\"class\":\"" class "\",\"next\":[" next "]}"

static const struct {
    const char *spec, *reason, *stage, *says;
} bad[] = {
    {"{}", "StageCount", NULL, "1 to 32"},
    {"{\"workers\":[]}", "StageCount", NULL, "0 stages"},
    {"{\"workers\":\"x\"}", "StageCount", NULL, "0 stages"},
    {SPEC("1", ""), "StageCount", NULL, "0 stages"},
    {SPEC("1", WORKER("A", "blue", "")), "BadStageName", "A", "DNS label"},
    {SPEC("1", WORKER("1a", "blue", "")), "BadStageName", "1a", "DNS label"},
    {SPEC("1", WORKER("a-", "blue", "")), "BadStageName", "a-", "DNS label"},
    {SPEC("1", WORKER("", "blue", "")), "BadStageName", "", "DNS label"},
    {SPEC("1", WORKER("a.b", "blue", "")), "BadStageName", "a.b", "DNS label"},
    {SPEC("1", WORKER("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddx", "blue", "")), "BadStageName",
     "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddx", "at most 40"},
    {SPEC("1", WORKER("a", "blue", "\"b\"") "," WORKER("c", "blue", "")), "UnknownNext", "a",
     "'b' as next, which is no stage; there are: a, c"},
    {SPEC("1", WORKER("a", "blue", "7")), "UnknownNext", "a", "there are: a"},
    {SPEC("1", WORKER("a", "blue", "\"a\"")), "Cycle", "a", "cycle of: a"},
    {SPEC("1", WORKER("a", "blue", "\"b\"") "," WORKER("b", "blue",
                                                       "\"c\"") "," WORKER("c", "green", "\"b\"")),
     "Cycle", "b", "cycle of: b, c"},
    {SPEC("1", WORKER("a", "blue", "\"b\"") "," WORKER("b", "blue", "\"a\"")), "Cycle", "a",
     "documents go forward only"},
    {SPEC("1",
          WORKER("a", "blue", "\"b\"") "," WORKER("b", "green", "") "," WORKER("c", "blue", "")),
     "UnreachableStage", "c", "they enter at 'a', from where the way leads to: b"},
    {SPEC("1",
          WORKER("a", "blue", "") "," WORKER("b", "blue", "\"c\"") "," WORKER("c", "blue", "")),
     "UnreachableStage", "a", "they enter at 'b'"},
    {SPEC("1", WORKER("a", "red", "")), "UnknownClass", "a", "'red'"},
    {SPEC("1", WORKER("a", "red", "")), "UnknownClass", "a", "there are: blue, green, whole"},
    {SPEC("1", "\"a\":{}"), "UnknownClass", "a", "no WorkerClass"},
    {SPEC("1", "\"a\":7"), "UnknownClass", "a", "no WorkerClass"},
    {SPEC("151", WORKER("a", "blue", "")), "ExceedsMaxCapacity", "a", "one stage gets at most 150"},
    {SPEC("46", WORKER("a", "green", "")), "ExceedsMaxCapacity", "a", "(3 pods of 15)"},
    {SPEC("9", WORKER("a", "whole", "")), "ExceedsMaxCapacity", "a", "one stage gets at most 8"},
    {SPEC("23", WORKER("a", "green", "\"b\"") "," WORKER("b", "green", "")), "ExceedsMaxCapacity",
     "a", "all together 45"},
    {SPEC("9223372036854775807", WORKER("a", "blue", "")), "ExceedsMaxCapacity", "a",
     "documents/s"},
};

static void test_what_is_wrong_is_named(void **state)
{
    for (size_t at = 0; at < sizeof bad / sizeof bad[0]; at++) {
        const struct graph graph = read_text(*state, bad[at].spec);
        if (!str_equal(graph.reason, bad[at].reason) || !str_equal(graph.stage, bad[at].stage) ||
            !strstr(graph.message, bad[at].says))
            fail_msg("%s: %s at %s: %s", bad[at].spec, graph.reason ? graph.reason : "no fault",
                     graph.stage ? graph.stage : "no stage", graph.message ? graph.message : "");
    }
}

static void test_no_known_class_is_said(void **state)
{
    struct graph graph;
    json_t *spec = arena_json(
        ((struct ctx *)*state)->arena,
        json_pack("{s:i, s:{s:{s:s}}}", "documentsPerSecond", 1, "workers", "a", "class", "blue"));
    graph_read(*state, spec, NULL, 0, &graph);
    assert_string_equal(graph.reason, "UnknownClass");
    assert_non_null(strstr(graph.message, "there are: none"));
}

static void test_a_line_has_one_rate(void **state)
{
    const struct graph line = read_text(
        *state, SPEC("8", WORKER("first", "blue", "\"second\"") "," WORKER(
                              "second", "green", "\"third\"") "," WORKER("third", "whole", "")));
    assert_null(line.reason);
    for (uint32_t at = 0; at < 3; at++)
        assert_int_equal(line.stages[at].rate, 8000);
}

static void test_rates_of_a_diamond_add_up(void **state)
{
    const struct graph graph = read_text(
        *state,
        SPEC("7", WORKER("in", "blue", "\"left\",\"right\"") "," WORKER(
                      "left", "blue",
                      "\"out\"") "," WORKER("right", "green",
                                            "\"out\",\"out\"") "," WORKER("out", "blue", "")));
    assert_null(graph.reason);
    assert_int_equal(graph.count, 4);
    static const struct {
        const char *name;
        int64_t rate;
        uint32_t class_at;
    } want[] = {{"in", 7000, 0}, {"left", 7000, 0}, {"out", 14000, 0}, {"right", 7000, 1}};
    for (uint32_t at = 0; at < 4; at++) {
        assert_string_equal(graph.stages[at].name, want[at].name);
        assert_int_equal(graph.stages[at].rate, want[at].rate);
        assert_int_equal(graph.stages[at].class_at, want[at].class_at);
    }
}

static void test_the_longest_chain_of_doubling_does_not_overflow(void **state)
{
    struct ctx *ctx = *state;
    json_t *workers = json_object();
    for (int step = 0; step < 10; step++) /* each step: two ways that meet again */
        for (int part = 0; part < 3; part++) {
            char name[16];
            snprintf(name, sizeof name, "s%d%c", step, 'a' + part);
            json_t *next = json_array();
            if (part == 0) {
                json_array_append_new(next, json_sprintf("s%db", step));
                json_array_append_new(next, json_sprintf("s%dc", step));
            } else if (step < 9)
                json_array_append_new(next, json_sprintf("s%da", step + 1));
            json_object_set_new(workers, name,
                                json_pack("{s:s, s:o}", "class", "blue", "next", next));
        }
    json_t *spec = arena_json(
        ctx->arena, json_pack("{s:i, s:o}", "documentsPerSecond", 100000000, "workers", workers));
    const struct graph graph = read_spec(ctx, spec);
    assert_string_equal(graph.reason, "ExceedsMaxCapacity");
    for (uint32_t at = 0; at < graph.count; at++)
        assert_in_range(graph.stages[at].rate, 0, PLACE_MILLI_MAX + 1);
}

/* ---- at random ---- */

static uint64_t seed = 20261128;

static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1;
    return (uint32_t)(seed >> 33) % below;
}

/* Can `to` be reached from `from` in at least one step? By definition, without masks. */
static bool leads(const json_t *workers, const char *from, const char *to, int steps)
{
    size_t at;
    json_t *next;
    json_array_foreach(json_object_get(json_object_get(workers, from), "next"), at, next) {
        const char *name = json_string_value(next);
        if (str_equal(name, to) || (steps > 0 && leads(workers, name, to, steps - 1)))
            return true;
    }
    return false;
}

static bool has_cycle(const json_t *workers)
{
    const char *name;
    json_t *worker;
    json_object_foreach((json_t *)(uintptr_t)workers, name, worker)
        if (leads(workers, name, name, 5))
            return true;
    return false;
}

static bool has_entrance(const json_t *workers)
{
    const char *name, *other;
    json_t *worker;
    json_object_foreach((json_t *)(uintptr_t)workers, name, worker) {
        bool reaches_all = true;
        json_object_foreach((json_t *)(uintptr_t)workers, other, worker)
            reaches_all &= str_equal(name, other) || leads(workers, name, other, 5);
        if (reaches_all)
            return true;
    }
    return false;
}

static json_t *random_workers(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "x"}; /* x is none of them */
    uint32_t count = 1 + draw(5), edges = draw(7);
    json_t *workers = json_object();
    for (uint32_t at = 0; at < count; at++)
        json_object_set_new(workers, names[at], json_pack("{s:s, s:[]}", "class", "blue", "next"));
    for (uint32_t at = 0; at < edges; at++) {
        uint32_t to = draw(40) == 0 ? 5 : draw(count);
        json_array_append_new(json_object_get(json_object_get(workers, names[draw(count)]), "next"),
                              json_string(names[to]));
    }
    return workers;
}

static const char *expected(const json_t *workers)
{
    const char *name;
    json_t *worker, *next;
    size_t at;
    json_object_foreach((json_t *)(uintptr_t)workers, name, worker)
        json_array_foreach(json_object_get(worker, "next"), at, next)
            if (!json_object_get(workers, json_string_value(next)))
                return "UnknownNext";
    return has_cycle(workers) ? "Cycle" : has_entrance(workers) ? NULL : "UnreachableStage";
}

static void test_random_graphs_are_judged_as_defined(void **state)
{
    struct ctx *ctx = *state;
    int seen[4] = {0};
    for (int round = 0; round < 20000; round++) {
        json_t *workers = random_workers();
        json_t *spec = json_pack("{s:i, s:o}", "documentsPerSecond", 1, "workers", workers);
        const struct graph graph = read_spec(ctx, spec);
        const char *want = expected(workers);
        if (!str_equal(graph.reason, want))
            fail_msg("round %d: %s, not %s: %s", round, graph.reason ? graph.reason : "valid",
                     want ? want : "valid", json_text(ctx->arena, workers));
        seen[!want ? 0 : want[0] == 'C' ? 1 : want[2] == 'k' ? 2 : 3]++;
        json_decref(spec);
        arena_reset(ctx->arena);
    }
    for (int at = 0; at < 4; at++)
        assert_true(seen[at] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_wrong_is_named),
        TEST(test_no_known_class_is_said),
        TEST(test_a_line_has_one_rate),
        TEST(test_rates_of_a_diamond_add_up),
        TEST(test_the_longest_chain_of_doubling_does_not_overflow),
        TEST(test_random_graphs_are_judged_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
