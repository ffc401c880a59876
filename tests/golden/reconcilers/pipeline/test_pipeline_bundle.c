/*
 * What a PipelineBinding becomes, object by object. UPDATE_GOLDEN=1 writes the expected file anew;
 * the diff is then what a reviewer reads.
 */
#include "reconcilers/engine/bundle.h"
#include "reconcilers/pipeline/scope.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXPECTED "tests/golden/reconcilers/pipeline/expected.json"

static const char root[] =
    "apiVersion: scheduling.k8s.xxii.io/v1alpha1\n"
    "kind: PipelineBinding\n"
    "metadata: {name: first-grey, namespace: shop}\n"
    "spec:\n"
    "  {pipeline: first, stage: grey, class: grey, milliDocumentsPerSecond: 10000, port: 8080,\n"
    "   shares: [{pod: grey-0, address: 10.0.0.1, milliDocumentsPerSecond: 5000, ready: true},\n"
    "            {pod: grey-1, address: 10.0.0.2, milliDocumentsPerSecond: 5000, ready: false}]}\n";

static json_t *render(struct ctx *ctx, const struct bundle *bundle)
{
    json_t *object, *list = arena_json(ctx->arena, json_array());
    struct bundle_plan plan;
    assert_int_equal(yaml_parse(ctx, root, strlen(root), &object), 0);
    assert_int_equal(bundle_render(ctx, bundle, binding_facts(ctx, object), &plan), 0);
    for (int at = 0; at < plan.count; at++)
        json_array_append(list, plan.objects[at].desired);
    return list;
}

static void test_bundle_is_as_expected(void **state)
{
    (void)state;
    struct ctx ctx = ctx_make(arena_new(), "test");
    struct bundle *bundle;
    assert_int_equal(bundle_load(&ctx, "reconcilers/pipeline/manifests", NULL, &bundle), 0);
    json_t *got = render(&ctx, bundle);
    if (getenv("UPDATE_GOLDEN")) {
        _cleanup_file_ FILE *file = fopen(EXPECTED, "w");
        assert_non_null(file);
        json_dumpf(got, file, JSON_INDENT(2) | JSON_SORT_KEYS);
        fputc('\n', file);
    }
    json_error_t error;
    json_t *expected = arena_json(ctx.arena, json_load_file(EXPECTED, 0, &error));
    if (!expected)
        fail_msg("%s: %s", EXPECTED, error.text);
    if (!json_equal(got, expected))
        fail_msg("the bundle is no longer " EXPECTED ", but: %s", json_text(ctx.arena, got));
    bundle_free(bundle);
    arena_free(ctx.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bundle_is_as_expected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
