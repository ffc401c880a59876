/*
 * What a Registry becomes, object by object: open in size M, and closed. UPDATE_GOLDEN=1 writes the
 * expected file anew; the diff is then what a reviewer reads.
 */
#include "tests/unit/test.h"

#include "reconcilers/registry/scope.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/yaml.h"

#include <string.h>

#define EXPECTED "tests/golden/reconcilers/registry/expected.json"

static const char root[] = "apiVersion: registry.flotilla.dev/v1alpha1\n"
                           "kind: Registry\n"
                           "metadata: {name: acme, namespace: shop}\n"
                           "spec: {host: acme.example.com, identity: abcdefghijklmnop, size: M}\n";
static const char *const pools[BACKEND_TYPES] = {
    [BACKEND_POSTGRESQL] = "spec:\n"
                           "  type: PostgreSQL\n"
                           "  endpoint: {host: 10.0.0.5, port: 5433, sslMode: require}\n",
    [BACKEND_REDIS] = "spec: {type: Redis, endpoint: {host: redis.example.com}}\n",
    [BACKEND_S3] = "spec:\n"
                   "  type: S3\n"
                   "  driver: versitygw\n"
                   "  endpoint: {host: 'fd00::7', port: 7070, sslMode: disable}\n",
};
static const char kept[] = "data:\n"
                           "  password: bm90LWEtcGFzc3dvcmQ=\n"              /* not-a-password */
                           "  redisPassword: bm90LWEtcmVkaXMtcGFzc3dvcmQ=\n" /* not-a-redis-... */
                           "  s3AccessKey: dC1hYmNkZWZnaGlqa2xtbm9wLWtleQ==\n"
                           "  s3SecretKey: bm90LWEtc2VjcmV0LWtleQ==\n"; /* not-a-secret-key */

static json_t *yaml(struct ctx *ctx, const char *text)
{
    json_t *tree = NULL;
    assert_int_equal(yaml_parse(ctx, text, strlen(text), &tree), 0);
    return tree;
}

static json_t *rendered(struct ctx *ctx, struct registry_operator *home, json_t *object)
{
    struct registry_scope scope = {
        .spec = registry_spec_bind(object),
        .namespace = "shop",
        .name = "acme",
        .kept = yaml(ctx, kept),
    };
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        scope.backends[type] = (struct registry_backend){
            .pool = yaml(ctx, pools[type]),
            .claim = yaml(ctx, "spec: {slot: 6}"),
        };
    struct pass pass = {.root = object, .scope = &scope, .home = home};
    assert_int_equal(registry_plan(ctx, &pass), 0);
    json_t *list = arena_json(ctx->arena, json_array());
    for (int at = 0; at < scope.plan.count; at++)
        json_array_append(list, scope.plan.objects[at].desired);
    return list;
}

static void bundle__is_as_expected(void **state)
{
    struct ctx *ctx = *state;
    const struct registry_options options = {.operator_namespace = "flotilla-system"};
    struct registry_operator *home = NULL;
    assert_int_equal(registry_operator_new(ctx, NULL, &options, &home), 0);
    json_t *object = yaml(ctx, root);
    json_t *got = arena_json(ctx->arena, json_object());
    json_object_set(got, "open", rendered(ctx, home, object));
    json_put(object, "spec.lifecycle", json_string("Closed"));
    json_object_set(got, "closed", rendered(ctx, home, object));
    registry_operator_free(home);
    if (getenv("UPDATE_GOLDEN")) {
        _cleanup_file_ FILE *file = fopen(EXPECTED, "w");
        assert_non_null(file);
        json_dumpf(got, file, JSON_INDENT(2) | JSON_SORT_KEYS);
        fputc('\n', file);
    }
    json_error_t error;
    json_t *expected = arena_json(ctx->arena, json_load_file(EXPECTED, 0, &error));
    if (!expected)
        fail_msg("%s: %s", EXPECTED, error.text);
    if (!json_equal(got, expected))
        fail_msg("the bundle is no longer " EXPECTED ", but: %s", json_text(ctx->arena, got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(bundle__is_as_expected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
