/* Templates: types, $when, missing facts, and text that stays text. Comparison: one table. */
#include "tests/unit/test.h"

#include "reconcilers/engine/bundle_internal.h"
#include "reconcilers/engine/engine.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <string.h>

static json_t *yaml(struct ctx *ctx, const char *text)
{
    json_t *value = NULL;
    if (yaml_parse(ctx, text, strlen(text), &value) < 0)
        fail_msg("%s: %s", text, ctx->err.message);
    return value;
}

/* ---- rendering ---- */

static const struct {
    const char *name, *template, *facts;
    const char *expected; /* NULL: the whole object is dropped */
} renders[] = {
    {"a whole scalar takes the type", "{a: '${i}', b: '${t}', c: '${s}', d: '${l}'}",
     "{i: 3, t: true, s: '5', l: [1, {x: y}]}", "{a: 3, b: true, c: '5', d: [1, {x: y}]}"},
    {"inside a text it is text", "{a: 'n=${i} ${t}.${s}'}", "{i: 3, t: false, s: x}",
     "{a: n=3 false.x}"},
    {"paths", "{a: '${x.y.z}'}", "{x: {y: {z: 1}}}", "{a: 1}"},
    {"escaped", "{a: 'cost $${x}', b: '$$${i}', c: '$5'}", "{i: 1}",
     "{a: 'cost ${x}', b: '$${i}', c: '$5'}"},
    {"no facts", "{a: [1, x, null, true]}", "{}", "{a: [1, x, null, true]}"},
    {"a true map stays", "{a: {$when: on, b: 1}}", "{on: true}", "{a: {b: 1}}"},
    {"a false map goes with its key", "{a: {$when: on, b: 1}, c: 2}", "{on: false}", "{c: 2}"},
    {"a false item goes", "{a: [{$when: on, b: 1}, {b: 2}]}", "{on: false}", "{a: [{b: 2}]}"},
    {"facts in a dropped map are not needed", "{a: {$when: on, b: '${missing}'}}", "{on: false}",
     "{}"},
    {"a false whole", "{$when: on, a: 1}", "{on: false}", NULL},
    {"an optional fact that is there", "{a: '${x?}', b: ['${x?}']}", "{x: 3}", "{a: 3, b: [3]}"},
    {"an optional fact that is not", "{a: '${x?}', b: ['${x?}', 1]}", "{}", "{b: [1]}"},
    {"an optional fact that is null", "{a: '${x?}', c: 1}", "{x: null}", "{c: 1}"},
    {"a tree as text", "{a: {$json: {z: '${i}', b: {$when: t, c: 1}, d: {$when: f, e: 1}}}}",
     "{i: 3, t: true, f: false}",
     "{a: \"{\\n  \\\"b\\\": {\\n    \\\"c\\\": 1\\n  },\\n  \\\"z\\\": 3\\n}\\n\"}"},
    {"text in such a tree stays text", "{a: {$json: ['${s}']}}", "{s: \"x\\\", \\\"y\"}",
     "{a: \"[\\n  \\\"x\\\\\\\", \\\\\\\"y\\\"\\n]\\n\"}"},
    /* what a tenant may write must never be anything but the text he wrote */
    {"a fact is not expanded again", "{a: '${s}', b: 'x${s}'}", "{s: '${secret}', secret: no}",
     "{a: '${secret}', b: 'x${secret}'}"},
    {"half a reference", "{a: '${s}{secret}'}", "{s: '$', secret: no}", "{a: '${secret}'}"},
    {"yaml in a fact", "{a: 'n ${s}'}", "{s: \"x\\nprivileged: true\\n- \\\"'{}[]: # &a *a\"}",
     "{a: \"n x\\nprivileged: true\\n- \\\"'{}[]: # &a *a\"}"},
    {"a fact named like a keyword", "{a: '${s}'}", "{s: '$when'}", "{a: $when}"},
};

static void test_render_table(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(renders); at++) {
        json_t *got = NULL;
        if (template_render(ctx, "t.yaml", yaml(ctx, renders[at].template),
                            yaml(ctx, renders[at].facts), &got) < 0)
            fail_msg("%s: %s", renders[at].name, ctx->err.message);
        if (!renders[at].expected) {
            assert_null(got);
            continue;
        }
        if (!json_equal(got, yaml(ctx, renders[at].expected)))
            fail_msg("%s: got %s", renders[at].name, json_text(ctx->arena, got));
    }
}

static const struct {
    const char *template, *facts, *message;
} render_failures[] = {
    {"{a: '${x}'}", "{}", "t.yaml: fact 'x' is missing"},
    {"{a: [{b: 'x ${y.z}'}]}", "{y: {}}", "t.yaml: fact 'y.z' is missing"},
    {"{a: '${x}'}", "{x: null}", "t.yaml: fact 'x' is missing"},
    {"{a: {$when: on}}", "{}", "t.yaml: fact 'on' is missing"},
    {"{a: {$when: on}}", "{on: 'true'}", "t.yaml: fact 'on' is no boolean"},
    {"{a: 'x${l}'}", "{l: []}", "t.yaml: fact 'l' is no scalar"},
};

static void test_render_failures(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(render_failures); at++) {
        json_t *got = NULL;
        assert_int_equal(template_render(ctx, "t.yaml", yaml(ctx, render_failures[at].template),
                                         yaml(ctx, render_failures[at].facts), &got),
                         -ERR_INTERNAL);
        assert_string_equal(ctx->err.message, render_failures[at].message);
    }
}

static void test_malformed_templates_are_refused_at_load(void **state)
{
    struct ctx *ctx = *state;
    static const char *const malformed[] = {
        "{a: '${x'}",    "{a: '${}'}",         "{a: '${x y}'}",         "{a: ['${a-b}']}",
        "{'${x}': 1}",   "{a: {$when: true}}", "{a: {$else: x}}",       "{a: {$when: '${x}'}}",
        "{a: 'b${x?}'}", "{a: '${x?}b'}",      "{a: {$json: 1, b: 2}}", "{a: {$json: '${x'}}",
    };
    for (size_t at = 0; at < ARRAY_SIZE(malformed); at++)
        if (template_check(ctx, "t.yaml", yaml(ctx, malformed[at])) != -ERR_CONFIG)
            fail_msg("accepted: %s", malformed[at]);
    assert_int_equal(template_check(ctx, "t.yaml", yaml(ctx, "{a: 'x ${y.z} $${q'}")), 0);
}

static void test_text_beyond_the_limit_is_refused(void **state)
{
    struct ctx *ctx = *state;
    char *large = arena_alloc(ctx->arena, TEMPLATE_TEXT_MAX_BYTES + 2);
    memset(large, 'x', TEMPLATE_TEXT_MAX_BYTES + 1);
    json_t *facts = arena_json(ctx->arena, json_pack("{s:s}", "s", large));
    json_t *got = NULL;
    assert_int_equal(template_render(ctx, "t.yaml", yaml(ctx, "{a: 'x ${s}'}"), facts, &got),
                     -ERR_TOO_LARGE);
}

/* ---- a whole bundle: nginx's, which is embedded ---- */

static void test_plan_has_common_metadata_and_a_stable_hash(void **state)
{
    struct ctx *ctx = *state;
    struct bundle *bundle;
    assert_int_equal(bundle_load(ctx, "reconcilers/nginx/manifests", NULL, &bundle), 0);
    struct bundle_plan one, two, other;
    json_t *facts = yaml(ctx, "{name: web, spec: {replicaCount: 2, port: 80}}");
    assert_int_equal(bundle_render(ctx, bundle, facts, &one), 0);
    assert_int_equal(bundle_render(ctx, bundle, facts, &two), 0);
    json_put(facts, "spec.port", json_integer(81));
    assert_int_equal(bundle_render(ctx, bundle, facts, &other), 0);
    assert_true(one.hash == two.hash);
    assert_true(one.hash != other.hash);
    const json_t *metadata = json_at(one.objects[0].desired, "metadata");
    const json_t *annotations = json_at(metadata, "annotations");
    assert_string_equal(json_string_value(json_object_get(annotations, ANNOTATION_BUNDLE_ID)),
                        one.objects[0].id);
    assert_int_equal(strlen(json_string_value(json_object_get(annotations, ANNOTATION_HASH))), 16);
    assert_string_equal(
        json_string_value(json_object_get(json_at(metadata, "labels"), LABEL_MANAGED_BY)),
        "flotilla");
    bundle_free(bundle);
}

static void test_bad_name_and_missing_folder(void **state)
{
    struct ctx *ctx = *state;
    struct bundle *bundle;
    struct bundle_plan plan;
    assert_int_equal(bundle_load(ctx, "reconcilers/nowhere", NULL, &bundle), -ERR_CONFIG);
    assert_int_equal(bundle_load(ctx, "reconcilers/nginx/manifests", NULL, &bundle), 0);
    json_t *facts = yaml(ctx, "{name: '../../secrets', spec: {replicaCount: 2, port: 80}}");
    assert_int_equal(bundle_render(ctx, bundle, facts, &plan), -ERR_INTERNAL);
    bundle_free(bundle);
}

/* ---- a folder of differences ---- */

static const struct {
    const char *base, *patch, *expected;
} merges[] = {
    {"{a: 1, b: 2}", "{b: 3}", "{a: 1, b: 3}"},
    {"{a: 1, b: 2}", "{b: null}", "{a: 1}"},
    {"{a: {b: 1, c: 2}}", "{a: {c: null, d: 3}}", "{a: {b: 1, d: 3}}"},
    {"{a: [1, 2]}", "{a: [3]}", "{a: [3]}"},
    {"{a: 1}", "{a: {b: 1, c: null}}", "{a: {b: 1}}"},
    {"{a: 1}", "{}", "{a: 1}"},
};

static void test_merge_table(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(merges); at++) {
        json_t *tree = yaml(ctx, merges[at].base);
        template_merge(tree, yaml(ctx, merges[at].patch));
        if (!json_equal(tree, yaml(ctx, merges[at].expected)))
            fail_msg("%s: got %s", merges[at].patch, json_text(ctx->arena, tree));
    }
}

static const json_t *template_of(const struct bundle *bundle, const char *id)
{
    for (int at = 0; at < bundle->count; at++)
        if (str_equal(bundle->rows[at].id, id))
            return bundle->rows[at].object;
    return NULL;
}

static void test_a_variant_differs_where_it_says_so(void **state)
{
    struct ctx *ctx = *state;
    struct bundle *base, *other;
    assert_int_equal(bundle_load(ctx, "reconcilers/registry/manifests", NULL, &base), 0);
    assert_int_equal(bundle_load(ctx, "reconcilers/registry/manifests", "2.14", &other), 0);
    assert_int_equal(base->count, other->count);
    assert_false(
        json_equal(template_of(base, "registry-config"), template_of(other, "registry-config")));
    assert_true(json_equal(template_of(base, "core-config"), template_of(other, "core-config")));
    bundle_free(base);
    bundle_free(other);
}

/* The digest of what pods read follows its data and nothing else; a Job has one in its name. */
static void test_configuration_and_jobs_carry_digests(void **state)
{
    struct ctx *ctx = *state;
    struct bundle bundle = {.arena = ctx->arena, .count = 3};
    bundle.rows[0] = (struct bundle_row){
        .id = "config",
        .kind = KIND_CONFIGMAP,
        .object = yaml(ctx, "{metadata: {name: c, labels: {x: '${label}'}}, data: {n: '${n}'}}")};
    bundle.rows[1] = (struct bundle_row){
        .id = "pods",
        .kind = KIND_DEPLOYMENT,
        .config = {"config"},
        .object = yaml(ctx, "{metadata: {name: d}, spec: {template: {metadata: {}}}}")};
    bundle.rows[2] = (struct bundle_row){
        .id = "job", .kind = KIND_JOB, .object = yaml(ctx, "{metadata: {name: j}, spec: '${n}'}")};
    static const char *const facts[] = {"{n: 1, label: a}", "{n: 1, label: b}", "{n: 2, label: a}"};
    const char *digests[3], *names[3];
    for (size_t at = 0; at < ARRAY_SIZE(facts); at++) {
        struct bundle_plan plan;
        assert_int_equal(bundle_render(ctx, &bundle, yaml(ctx, facts[at]), &plan), 0);
        assert_string_equal(json_str(plan.objects[0].desired, "data.n"), at == 2 ? "2" : "1");
        digests[at] = json_string_value(
            json_object_get(json_at(plan.objects[1].desired, "spec.template.metadata.annotations"),
                            ANNOTATION_CONFIG));
        names[at] = json_str(plan.objects[2].desired, "metadata.name");
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
    assert_string_equal(names[0], names[1]);
    assert_string_not_equal(names[0], names[2]);
    assert_true(str_starts(names[0], "j-"));
}

/* ---- comparison ---- */

static const struct {
    const char *name, *desired, *live;
    bool differs;
} comparisons[] = {
    {"equal", "{a: 1}", "{a: 1}", false},
    {"defaults of the server", "{a: {b: 1}}", "{a: {b: 1, c: 2}, d: 3}", false},
    {"missing", "{a: 1, b: 2}", "{a: 1}", true},
    {"another value", "{a: x}", "{a: y}", true},
    {"another type", "{a: '1'}", "{a: 1}", true},
    {"numbers by value", "{a: 1}", "{a: 1.0}", false},
    {"numbers", "{a: 1}", "{a: 1.5}", true},
    {"a quantity as a number", "{a: 16}", "{a: '16'}", false},
    {"quantities", "{a: 16}", "{a: '17'}", true},
    {"booleans", "{a: true}", "{a: false}", true},
    {"hash", "{metadata: {annotations: {h: '1'}}}", "{metadata: {annotations: {h: '2'}}}", true},
    {"hash was taken away", "{metadata: {annotations: {h: '1'}}}", "{metadata: {}}", true},
    {"ordered list", "{a: [1, 2]}", "{a: [1, 2]}", false},
    {"order matters", "{a: [1, 2]}", "{a: [2, 1]}", true},
    {"an added argument is drift", "{a: [x]}", "{a: [x, y]}", true},
    {"a list cut short", "{a: [1, 2]}", "{a: [1]}", true},
    {"named items by name", "{a: [{name: x, v: 1}, {name: y, v: 2}]}",
     "{a: [{name: y, v: 2, d: 0}, {name: z}, {name: x, v: 1}]}", false},
    {"a named item differs", "{a: [{name: x, v: 1}]}", "{a: [{name: x, v: 2}]}", true},
    {"a named item is missing", "{a: [{name: x}]}", "{a: [{name: y}]}", true},
    {"items of one name go by where they are mounted",
     "{a: [{name: x, mountPath: /b}, {name: x, mountPath: /c}]}",
     "{a: [{name: x, mountPath: /b}, {name: z, mountPath: /a}, {name: x, mountPath: /c}]}", false},
    {"one of them differs", "{a: [{name: x, mountPath: /b}, {name: x, mountPath: /c, v: 1}]}",
     "{a: [{name: x, mountPath: /b}, {name: x, mountPath: /c, v: 2}]}", true},
    {"one of them is missing", "{a: [{name: x, mountPath: /b}, {name: x, mountPath: /c}]}",
     "{a: [{name: x, mountPath: /b}]}", true},
    {"items of one name are ordered", "{a: [{name: x, v: 1}, {name: x, v: 2}]}",
     "{a: [{name: x, v: 2}, {name: x, v: 1}]}", true},
    {"maps without a name are ordered", "{a: [{k: 1}]}", "{a: [{k: 1, d: 2}]}", false},
    {"maps without a name differ", "{a: [{k: 1}, {k: 2}]}", "{a: [{k: 2}, {k: 1}]}", true},
    {"empty things that the server drops", "{a: {}, b: [], c: null}", "{}", false},
    {"an empty list that was filled", "{a: []}", "{a: [{name: x}]}", true},
    {"status is not ours", "{a: 1}", "{a: 1, status: {x: y}}", false},
};

static void test_comparison_table(void **state)
{
    struct ctx *ctx = *state;
    for (size_t at = 0; at < ARRAY_SIZE(comparisons); at++)
        if (bundle_differs(yaml(ctx, comparisons[at].desired), yaml(ctx, comparisons[at].live)) !=
            comparisons[at].differs)
            fail_msg("%s: expected %d", comparisons[at].name, comparisons[at].differs);
    assert_true(bundle_differs(yaml(ctx, "{a: 1}"), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_render_table),
        TEST(test_render_failures),
        TEST(test_malformed_templates_are_refused_at_load),
        TEST(test_text_beyond_the_limit_is_refused),
        TEST(test_plan_has_common_metadata_and_a_stable_hash),
        TEST(test_bad_name_and_missing_folder),
        TEST(test_merge_table),
        TEST(test_a_variant_differs_where_it_says_so),
        TEST(test_configuration_and_jobs_carry_digests),
        TEST(test_comparison_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
