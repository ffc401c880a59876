/* Which pods of a WorkerSet are made, are to leave, and are removed. */
#include "reconcilers/pipeline/workerset_plan.h"
#include "server/base/json.h"
#include "tests/unit/test.h"

#include <string.h>

/*
 * A pod for each place: - none, r ready, b ready and bound, s starting, R B S the same of an older
 * template, l marked, x marked and released, g being deleted, f failed, y failed a moment
 * ago. What is to become of it: -
 * nothing, M made, s t marked as surplus or of an older template, x removed.
 */
static struct set_pod pod_of(char letter)
{
    static const char object[] = "";
    struct set_pod pod = {.current = !strchr("RBS", letter),
                          .ready = strchr("rbRBlxg", letter),
                          .bound = strchr("bBl", letter),
                          .leaving = strchr("lx", letter),
                          .released = letter == 'x',
                          .going = letter == 'g',
                          .failed = strchr("fy", letter),
                          .rests = letter == 'y'};
    pod.object = letter == '-' ? NULL : (const json_t *)(const void *)object;
    return pod;
}

static const struct {
    const char *why, *spec, *pods, *steps;
} cases[] = {
    {"from nothing", "{\"replicas\": 3}", "", "MMM"},
    {"to nothing, but it is only marked", "{\"replicas\": 0}", "rbs", "sss"},
    {"who carries stays, wherever it is", "{\"replicas\": 2}", "rbrb", "s-s-"},
    {"who is kept stays, whatever it carries", "{\"replicas\": 2, \"keep\": [2, 0]}", "rbrb",
     "-s-s"},
    {"who is kept is made", "{\"replicas\": 3, \"keep\": [0, 4, 7]}", "r", "----M--M"},
    {"fewer than are kept: the first", "{\"replicas\": 1, \"keep\": [1, 2]}", "-rr", "--s"},
    {"more than are kept: others that are there, then new ones", "{\"replicas\": 4, \"keep\": [3]}",
     "-r-r-", "M-M--"},
    {"a hole is filled", "{\"replicas\": 3}", "r-r", "-M-"},
    {"who is marked counts for nothing, and its number waits", "{\"replicas\": 2}", "lr", "--M"},
    {"released: now it goes", "{\"replicas\": 1}", "xr", "x-"},
    {"a person deleted it: the same number comes again", "{\"replicas\": 2}", "gr", "--"},
    {"failed: removed, and made anew then", "{\"replicas\": 2}", "fr", "x-"},
    {"failed a moment ago: it rests", "{\"replicas\": 2}", "yr", "--"},
    {"failed a moment ago, and is not wanted: removed", "{\"replicas\": 1}", "yb", "x-"},
    {"a new template: one at a time, who carries nothing first", "{\"replicas\": 3}", "BRB", "-t-"},
    {"then the highest", "{\"replicas\": 3}", "BrB", "--t"},
    {"not while one is missing", "{\"replicas\": 3}", "Bs-", "--M"},
    {"not while one leaves", "{\"replicas\": 2}", "lBr", "---"},
    {"as many as may be missing", "{\"replicas\": 3, \"maxUnavailable\": 2}", "BBB", "-tt"},
    {"who serves nobody at once", "{\"replicas\": 3}", "SSB", "tt-"},
};

static void test_plans(void **state)
{
    struct ctx *ctx = *state;
    static const char steps[] = {'-', 'M', 's', 't', 'x'};
    for (size_t row = 0; row < sizeof cases / sizeof cases[0]; row++) {
        json_t *spec;
        struct set_plan *plan = arena_alloc(ctx->arena, sizeof *plan);
        char told[16] = "";
        assert_int_equal(json_parse(ctx, cases[row].spec, strlen(cases[row].spec), 1024, &spec), 0);
        for (size_t at = 0; cases[row].pods[at]; at++)
            plan->pods[at] = pod_of(cases[row].pods[at]);
        set_plan_make(spec, plan);
        for (size_t at = 0; at < strlen(cases[row].steps); at++)
            told[at] = steps[plan->steps[at]];
        if (strcmp(told, cases[row].steps) != 0)
            fail_msg("%s: %s, not %s", cases[row].why, told, cases[row].steps);
        for (size_t at = strlen(cases[row].steps); at < WORLD_PODS_MAX; at++)
            if (plan->steps[at] != SET_NOTHING)
                fail_msg("%s: something becomes of %zu", cases[row].why, at);
    }
}

static void test_counts(void **state)
{
    struct ctx *ctx = *state;
    json_t *spec;
    struct set_plan *plan = arena_alloc(ctx->arena, sizeof *plan);
    assert_int_equal(json_parse(ctx, "{\"replicas\": 5}", 15, 1024, &spec), 0);
    for (size_t at = 0; at < 6; at++)
        plan->pods[at] = pod_of("rsRlg-"[at]);
    set_plan_make(spec, plan);
    assert_int_equal(plan->there, 4);
    assert_int_equal(plan->ready, 3);
    assert_int_equal(plan->updated, 3);
    assert_int_equal(plan->leaving, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_plans), TEST(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
