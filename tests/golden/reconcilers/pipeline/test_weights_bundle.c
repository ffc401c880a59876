/* What a PipelineBinding becomes where its class asks for an HTTPRoute, object by object. */
#include "reconcilers/pipeline/scope.h"
#include "tests/golden/golden.h"

#define ROOT(route, shares)                                                                        \
    "apiVersion: scheduling.k8s.xxii.io/v1alpha1\n"                                                \
    "kind: PipelineBinding\n"                                                                      \
    "metadata: {name: first-grey, namespace: shop}\n"                                              \
    "spec:\n"                                                                                      \
    "  {pipeline: first, stage: grey, class: grey, milliDocumentsPerSecond: 9000, port: 8080,\n"   \
    "   httpRoute: " route ",\n"                                                                   \
    "   shares: [" shares "]}\n"
#define SHARE(number, milli, ready)                                                                \
    "{pod: grey-" number ", address: 10.0.0." number ", milliDocumentsPerSecond: " milli           \
    ", ready: " ready "}"

static void check(struct ctx *ctx, const char *yaml, const char *file)
{
    json_t *root, *got = arena_json(ctx->arena, json_array());
    struct bundle *bundle;
    struct bundle_plan plan;
    const char *reason;
    assert_int_equal(bundle_load(ctx, "reconcilers/pipeline/manifests", NULL, &bundle), 0);
    assert_int_equal(yaml_parse(ctx, yaml, strlen(yaml), &root), 0);
    assert_int_equal(weights_render(ctx, bundle, root, NULL, weights_form_of(root, &reason), &plan),
                     0);
    for (int at = 0; at < plan.count; at++)
        json_array_append(got, plan.objects[at].desired);
    if (!json_equal(got, golden_file(ctx, file, got)))
        fail_msg("no longer what %s says, but: %s", file, json_text(ctx->arena, got));
    bundle_free(bundle);
}

/* The route is the last: what it leads to is there before. */
static void test_a_mesh_gets_weights(void **state)
{
    check(*state,
          ROOT("{}", SHARE("1", "5000", "true") ", " SHARE("2", "3000", "true") ", " SHARE(
                         "3", "1000", "false")),
          "tests/golden/reconcilers/pipeline/mesh.json");
}

/* Nobody serves: the route leads to the Service, and comes before what the pods get. */
static void test_gateways_tell_bindings_by_their_host(void **state)
{
    check(*state,
          ROOT("{gateways: [{name: public, namespace: infra, sectionName: http}, {name: own, port: "
               "80}], hostnameSuffix: workers.example.com}",
               SHARE("1", "9000", "false")),
          "tests/golden/reconcilers/pipeline/gateways.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_mesh_gets_weights),
        TEST(test_gateways_tell_bindings_by_their_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
