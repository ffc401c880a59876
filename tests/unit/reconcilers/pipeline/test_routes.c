/* To which pods slices lead: those of our bindings alone, whatever numbers are asked about. */
#include "reconcilers/pipeline/routes.h"
#include "server/base/json.h"
#include "tests/unit/test.h"

#include <stdint.h>

static json_t *slice_of(struct ctx *ctx, const char *owner, const char *pod)
{
    return arena_json(ctx->arena,
                      json_pack("{s:{s:s, s:[{s:s, s:s, s:s, s:b}]}, s:[{s:{s:s}}]}", "metadata",
                                "name", "a-v4", "ownerReferences", "apiVersion",
                                "scheduling.k8s.xxii.io/v1alpha1", "kind", owner, "name", "a",
                                "controller", true, "endpoints", "targetRef", "name", pod));
}

static const char *beyond(struct ctx *ctx, const char *owner, const char *pod, int64_t from,
                          int64_t before)
{
    const char *slice = "none";
    json_t *slices = arena_json(ctx->arena, json_array());
    json_array_append(slices, slice_of(ctx, owner, pod));
    const struct routes routes = routes_of(ctx, slices);
    const char *found = routes_lead_beyond(&routes, "blue", from, before, &slice);
    assert_string_equal(slice, found ? "a-v4" : "none");
    return found;
}

static void test_who_goes_is_looked_for_by_number(void **state)
{
    static const struct {
        const char *owner, *pod;
        int64_t from, before;
        bool leads;
    } rows[] = {
        {"PipelineBinding", "blue-3", 3, 4, true},
        {"PipelineBinding", "blue-3", 4, INT32_MAX, false}, /* at once, too */
        {"PipelineBinding", "blue-2147483646", 0, INT32_MAX, true},
        {"PipelineBinding", "blue-3", 0, 3, false},
        {"PipelineBinding", "blue-x-3", 0, 9, false},
        {"PipelineBinding", "blues-3", 0, 9, false},
        {"PipelineBinding", "blue", 0, 9, false},
        {"Pipeline", "blue-3", 3, 4, false}, /* anybody's */
    };
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        const char *found =
            beyond(*state, rows[at].owner, rows[at].pod, rows[at].from, rows[at].before);
        assert_int_equal(found != NULL, rows[at].leads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_goes_is_looked_for_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
