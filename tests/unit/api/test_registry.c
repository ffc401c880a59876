/* The table tests/kube/crd_inputs.yaml through the C checks; the API server sees the same one. */
#include "tests/unit/test.h"

#include "api/crd.h"
#include "api/registry.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <stdio.h>
#include <string.h>

static json_t *load(struct ctx *ctx, const char *path)
{
    static char text[64 << 10];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_true(bytes < sizeof text);
    json_t *tree = NULL;
    assert_int_equal(yaml_parse(ctx, text, bytes, &tree), 0);
    return tree;
}

/* The same as built() in tests/kube/test_crd_inputs.py. */
static json_t *built(struct ctx *ctx, const json_t *table, const char *base, const json_t *changes)
{
    json_t *item =
        arena_json(ctx->arena, json_deep_copy(json_object_get(json_at(table, "bases"), base)));
    const char *path;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)changes, path, value) {
        if (!json_is_null(value)) {
            json_put(item, path, json_deep_copy(value));
            continue;
        }
        const char *dot = strrchr(path, '.');
        json_t *parent =
            dot ? json_at(item, arena_strndup(ctx->arena, path, (size_t)(dot - path))) : item;
        json_object_del(parent, dot ? dot + 1 : path);
    }
    return item;
}

static bool passes(struct ctx *ctx, const json_t *table, const json_t *one)
{
    const char *base = json_str(one, "base");
    const json_t *before = json_object_get(one, "old");
    const json_t *old = before ? built(ctx, table, base, before) : NULL;
    const json_t *item = built(ctx, table, base, json_object_get(one, "set"));
    json_t *problems = NULL;
    assert_int_equal(registry_object_check(ctx, item, old, &problems), 0);
    return json_array_size(problems) == 0;
}

static void check__agrees_with_the_table(void **state)
{
    struct ctx *ctx = *state;
    const json_t *table = load(ctx, "tests/kube/crd_inputs.yaml");
    size_t at;
    json_t *one;
    int wrong = 0;
    json_array_foreach(json_at(table, "cases"), at, one) {
        if (passes(ctx, table, one) == json_bool_or(one, "valid", false))
            continue;
        print_error("case %zu: %s\n", at, json_text(ctx->arena, one));
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* The CRD's pattern knows three minors, so that this fault of the rule has no case in the table. */
static void hop__goes_to_a_later_patch_or_one_of_two_minors(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        enum hop_fault fault;
    } hops[] = {
        {"2.13.5", "2.13.5", HOP_NO_FAULT}, {"2.13.5", "2.15.0", HOP_NO_FAULT},
        {"2.13", "2.15.2", HOP_NO_FAULT},   {"2.13.5", "2.13", HOP_NO_FAULT},
        {"2.9.9", "2.10.0", HOP_NO_FAULT},  {"2.13.5", "2.16.0", HOP_TOO_FAR},
        {"2.13.5", "3.0.0", HOP_TOO_FAR},   {"2.13.5", "2.13.4", HOP_BACK},
        {"2.13.10", "2.13.9", HOP_BACK},    {"2.13.0", "2.12.9", HOP_BACK},
        {"3.0.0", "2.15.0", HOP_BACK},
    };
    for (size_t at = 0; at < sizeof hops / sizeof *hops; at++)
        assert_int_equal(registry_hop_fault(hops[at].from, hops[at].to), hops[at].fault);
}

/* A hop that was rolled back leaves a spec that is ahead of what runs. */
static void version_that_runs__may_be_named_again(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *to;
        bool holds;
    } cases[] = {
        {"2.14", true}, {"2.14.4", true}, {"2.14.5", true}, {"2.14.3", false}, {"2.13", false}};
    const json_t *table = load(ctx, "tests/kube/crd_inputs.yaml");
    json_t *old = built(ctx, table, "registry", NULL);
    json_put(old, "status.version", json_string("2.14.4"));
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        json_t *item = arena_json(ctx->arena, json_deep_copy(old)), *problems = NULL;
        json_put(item, "spec.version", json_string(cases[at].to));
        assert_int_equal(registry_object_check(ctx, item, old, &problems), 0);
        assert_int_equal(json_array_size(problems) == 0, cases[at].holds);
    }
}

static void check__names_the_field(void **state)
{
    struct ctx *ctx = *state;
    const json_t *table = load(ctx, "tests/kube/crd_inputs.yaml");
    json_t *item = built(ctx, table, "registry", NULL);
    json_t *problems = NULL;
    json_put(item, "spec.size", json_string("XL"));
    assert_int_equal(registry_object_check(ctx, item, NULL, &problems), 0);
    assert_int_equal(json_array_size(problems), 1);
    assert_string_equal(json_str(problems, "0.pointer"), "/spec/size");
    json_put(item, "kind", json_string("Secret"));
    assert_int_equal(registry_object_check(ctx, item, NULL, &problems), -ERR_INVALID);
}

static void check__tells_a_bound_in_what_it_counts(void **state)
{
    static const struct {
        const char *keyword;
        int bound;
        const char *value, *message;
    } rows[] = {
        {"minProperties", 1, "{}", "has fewer than 1 members"},
        {"maxProperties", 1, "{\"a\": 1, \"b\": 2}", "has more than 1 members"},
        {"minItems", 1, "[]", "has fewer than 1 items"},
        {"maxItems", 1, "[1, 2]", "has more than 1 items"},
        {"minLength", 1, "\"\"", "is shorter than 1"},
        {"maxLength", 1, "\"ab\"", "is longer than 1"},
    };
    struct ctx *ctx = *state;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        json_t *problems = arena_json(ctx->arena, json_array());
        json_t *value = arena_json(ctx->arena, json_loads(rows[at].value, JSON_DECODE_ANY, NULL));
        const json_t *schema =
            arena_json(ctx->arena, json_pack("{s:i}", rows[at].keyword, rows[at].bound));
        assert_int_equal(crd_check_schema(ctx, schema, value, problems), 0);
        assert_string_equal(json_str(problems, "0.message"), rows[at].message);
    }
}

/* A keyword that api/crd.c does not know would be ignored in silence. */
static void schema__has_only_keywords_that_are_checked(void **state)
{
    static const char *const known[] = {"type",
                                        "required",
                                        "properties",
                                        "items",
                                        "enum",
                                        "pattern",
                                        "format",
                                        "minLength",
                                        "maxLength",
                                        "minItems",
                                        "maxItems",
                                        "minimum",
                                        "maximum",
                                        "minProperties",
                                        "maxProperties",
                                        "additionalProperties",
                                        "description",
                                        "default",
                                        "x-kubernetes-validations",
                                        "x-kubernetes-list-type",
                                        "x-kubernetes-list-map-keys",
                                        "x-kubernetes-map-type",
                                        NULL};
    static const char *const files[] = {"crds/registries.yaml",    "crds/backendpools.yaml",
                                        "crds/backendclaims.yaml", "crds/registryidentities.yaml",
                                        "crds/pipelines.yaml",     "crds/pipelinebindings.yaml",
                                        "crds/workerclasses.yaml", "crds/placementledgers.yaml"};
    struct ctx *ctx = *state;
    json_t *todo = arena_json(ctx->arena, json_array());
    for (size_t at = 0; at < sizeof files / sizeof *files; at++)
        json_array_append(todo,
                          json_at(load(ctx, files[at]), "spec.versions.0.schema.openAPIV3Schema"));
    for (size_t at = 0; at < json_array_size(todo); at++) {
        const char *key;
        json_t *value;
        json_object_foreach(json_array_get(todo, at), key, value) {
            size_t row = 0;
            while (known[row] && strcmp(known[row], key) != 0)
                row++;
            if (!known[row])
                print_error("unknown keyword %s\n", key);
            assert_non_null(known[row]);
        }
        json_object_foreach(json_object_get(json_array_get(todo, at), "properties"), key, value)
            json_array_append(todo, value);
        static const char *const below[] = {"items", "additionalProperties"};
        for (size_t kind = 0; kind < sizeof below / sizeof *below; kind++)
            if (json_object_get(json_array_get(todo, at), below[kind]))
                json_array_append(todo, json_object_get(json_array_get(todo, at), below[kind]));
    }
    assert_true(json_array_size(todo) > 60);
}

static void bind__gives_defaults(void **state)
{
    struct ctx *ctx = *state;
    const json_t *table = load(ctx, "tests/kube/crd_inputs.yaml");
    json_t *item = built(ctx, table, "registry", NULL);
    json_object_clear(json_at(item, "spec"));
    struct registry_spec spec = registry_spec_bind(item);
    assert_null(spec.identity);
    assert_int_equal(spec.revision, -1);
    assert_string_equal(spec.version, "2.15");
    assert_int_equal(spec.lifecycle, REGISTRY_ACTIVE);
    assert_int_equal(spec.deletion, REGISTRY_RETAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(check__agrees_with_the_table),
        TEST(hop__goes_to_a_later_patch_or_one_of_two_minors),
        TEST(version_that_runs__may_be_named_again),
        TEST(check__names_the_field),
        TEST(check__tells_a_bound_in_what_it_counts),
        TEST(schema__has_only_keywords_that_are_checked),
        TEST(bind__gives_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
