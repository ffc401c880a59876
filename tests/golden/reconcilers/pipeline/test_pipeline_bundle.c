/* What a PipelineBinding becomes, object by object. */
#include "reconcilers/pipeline/scope.h"
#include "tests/golden/golden.h"

static const char root[] =
    "apiVersion: scheduling.k8s.xxii.io/v1alpha1\n"
    "kind: PipelineBinding\n"
    "metadata: {name: first-grey, namespace: shop}\n"
    "spec:\n"
    "  {pipeline: first, stage: grey, class: grey, milliDocumentsPerSecond: 10000, port: 8080,\n"
    "   shares: [{pod: grey-0, address: 10.0.0.1, milliDocumentsPerSecond: 5000, ready: true},\n"
    "            {pod: grey-1, address: 10.0.0.2, milliDocumentsPerSecond: 5000, ready: false}]}\n";

static json_t *facts_of(struct ctx *ctx, const json_t *binding)
{
    return binding_facts(ctx, binding, &(struct binding_part){0});
}

static void test_bundle_is_as_expected(void **state)
{
    golden_objects(*state, "reconcilers/pipeline/manifests", root, facts_of,
                   "tests/golden/reconcilers/pipeline/expected.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_bundle_is_as_expected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
