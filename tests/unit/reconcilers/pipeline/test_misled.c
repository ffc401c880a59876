/* Which pods something leads to that the ledger does not let serve it: a pod that is back at its
 * address is one of them until its old routes are rewritten. */
#include "reconcilers/pipeline/scope.h"
#include "server/base/json.h"
#include "tests/unit/test.h"

#define PIPES "scheduling.k8s.xxii.io/v1alpha1"

static json_t *owned(const char *kind, const char *name, const char *owner)
{
    return json_pack("{s:s, s:[{s:s, s:s, s:s, s:s, s:b}]}", "name", name, "ownerReferences",
                     "apiVersion", PIPES, "kind", kind, "name", owner, "uid", "u", "controller",
                     true);
}

static json_t *binding_of(const char *pod, int milli)
{
    return json_pack("[{s:o, s:{s:s, s:s, s:[{s:s, s:s, s:i}]}}]", "metadata",
                     owned("Pipeline", "old-blue", "old"), "spec", "stage", "blue", "class", "blue",
                     "shares", "pod", pod, "address", "10.0.0.1", "milliDocumentsPerSecond", milli);
}

static json_t *ledger_of(int ordinal, int milli)
{
    return json_pack("{s:[{s:s, s:[{s:s, s:s, s:[{s:i, s:i}]}]}]}", "pipelines", "uid", "u",
                     "stages", "name", "blue", "class", "blue", "shares", "pod", ordinal, "milli",
                     milli);
}

static json_t *slice_of(const char *owner, const char *pod, bool ready)
{
    return json_pack("[{s:o, s:[{s:[s], s:{s:b}, s:{s:s}}]}]", "metadata",
                     owned("PipelineBinding", "old-blue-ipv4", owner), "endpoints", "addresses",
                     "10.0.0.1", "conditions", "ready", ready, "targetRef", "name", pod);
}

static void test_who_is_led_to_beyond_the_ledger(void **state)
{
    static const struct {
        const char *bound, *owner, *led;
        int milli, ordinal, lets;
        bool ready, misled;
    } rows[] = {
        /* All is as the ledger says. */
        {"blue-1", "old-blue", "blue-1", 8000, 1, 8000, .ready = true, .misled = false},
        /* It moved, its binding says so, and its slice does not. */
        {"blue-1", "old-blue", "blue-0", 8000, 1, 8000, .ready = true, .misled = true},
        {"blue-1", "old-blue", "blue-0", 8000, 1, 8000, .ready = false, .misled = false},
        /* Nor does its binding say so; nor that it is less. */
        {"blue-0", "old-blue", "blue-1", 8000, 1, 8000, .ready = true, .misled = true},
        {"blue-0", "old-blue", "blue-0", 8000, 0, 4000, .ready = true, .misled = true},
        /* Another has the slice, of whom nobody knows. */
        {"blue-0", "gone-blue", "blue-0", 8000, 0, 8000, .ready = true, .misled = true},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        const json_t *list = arena_json(ctx->arena, binding_of(rows[at].bound, rows[at].milli));
        const json_t *ledger = arena_json(ctx->arena, ledger_of(rows[at].ordinal, rows[at].lets));
        const struct routes routes = routes_of(
            ctx, arena_json(ctx->arena, slice_of(rows[at].owner, rows[at].led, rows[at].ready)));
        struct bindings bindings;
        bindings_index(ctx->arena, list, &bindings);
        bindings_settled(&bindings, ledger);
        const struct pod_names misled = misled_pods(ctx, &bindings, &routes);
        assert_int_equal(pod_names_have(&misled, "blue-0 10.0.0.1"), rows[at].misled);
        assert_false(pod_names_have(&misled, "blue-0 10.0.0.2")); /* another pod of its name */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_led_to_beyond_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
