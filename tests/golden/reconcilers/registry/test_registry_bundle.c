/*
 * What a Registry becomes, object by object. stack.json holds every object of one combination, the
 * one with most of them; differences.json holds, for each step away from it (another version, a
 * smaller size, an option less, closed), the places that change. Any other combination must be the
 * sum of such steps: all of them are rendered and compared with it. dedicated.json holds what a
 * Redis of its own changes in each version, pulls.json a hop that has not begun. UPDATE_GOLDEN=1
 * writes the files anew; the diff is then what a reviewer reads. Data of Secrets is shown decoded,
 * and configuration that is JSON as a tree.
 */
#include "tests/golden/golden.h"
#include "tests/unit/reconcilers/registry/operator.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

#define FOLDER "tests/golden/reconcilers/registry/"

enum { STEPS = 9, OPTIONS_MAX = 8 };

/* ---- combinations: the base has all options, version 2.15 and size L ---- */

enum dimension { VERSION, SIZE, OPTION_LESS, OPTION_MORE };

/* In the order in which they are summed up: what ends the stack comes last. */
static const struct step {
    enum dimension dimension;
    const char *name;
} steps[STEPS] = {
    {SIZE, "S"},
    {SIZE, "M"},
    {VERSION, "2.13"},
    {VERSION, "2.14"},
    {OPTION_LESS, "exporter"},
    {OPTION_LESS, "trivy"},
    {OPTION_LESS, "managed"},
    {OPTION_LESS, "issuer"},
    {OPTION_MORE, "closed"},
};

static bool is_possible(unsigned mask)
{
    return (mask & 3) != 3 && (mask >> 2 & 3) != 3; /* one size, one version */
}

static void render(struct ctx *ctx, const struct registry_operator *home, unsigned mask,
                   struct bundle_plan *ret)
{
    const char *version = "2.15", *size = "L", *options[OPTIONS_MAX] = {NULL};
    int count = 0;
    options[count++] = "class";
    for (unsigned at = 0; at < STEPS; at++) {
        bool taken = mask >> at & 1;
        if (taken && steps[at].dimension == VERSION)
            version = steps[at].name;
        if (taken && steps[at].dimension == SIZE)
            size = steps[at].name;
        if ((steps[at].dimension == OPTION_LESS && !taken) ||
            (steps[at].dimension == OPTION_MORE && taken))
            options[count++] = steps[at].name;
    }
    if (registry_example(ctx, home, version, size, options, ret) < 0)
        fail_msg("%s", ctx->err.message);
}

/* ---- objects as people want to see them ---- */

static json_t *readable_value(struct ctx *ctx, const json_t *value, bool encoded)
{
    size_t bytes;
    const char *text = json_string_value(value);
    const char *plain = encoded ? crypto_unbase64(ctx->arena, text, &bytes) : text;
    json_t *tree = *plain == '{' ? json_loads(plain, 0, NULL) : NULL;
    return tree ? tree : json_string(plain);
}

/* Without the hash, which repeats everything, and the digest of configuration (see test_stack.c).
 */
static json_t *readable(struct ctx *ctx, const struct bundle_object *object)
{
    json_t *copy = json_deep_copy(object->desired), *data = json_object_get(copy, "data");
    const char *key;
    json_t *value;
    json_object_foreach(data, key, value)
        json_object_set_new(data, key, readable_value(ctx, value, object->kind == KIND_SECRET));
    json_object_del(json_at(copy, "metadata.annotations"), ANNOTATION_HASH);
    json_object_del(json_at(copy, "spec.template.metadata.annotations"), ANNOTATION_CONFIG);
    return copy;
}

static json_t *by_id(struct ctx *ctx, const struct bundle_plan *plan)
{
    json_t *all = arena_json(ctx->arena, json_object());
    for (int at = 0; at < plan->count; at++)
        if (plan->objects[at].desired)
            json_object_set_new(all, plan->objects[at].id, readable(ctx, &plan->objects[at]));
    return all;
}

/* ---- trees as "path": scalar, which can be compared and summed up ---- */

static void flatten(struct ctx *ctx, json_t *flat, const char *path, const json_t *node)
{
    const char *key;
    json_t *value;
    size_t index;
    bool scalar = !json_is_object(node) && !json_is_array(node);
    if (scalar || (json_object_size(node) == 0 && json_array_size(node) == 0))
        json_object_set(flat, path, (json_t *)(uintptr_t)node);
    json_object_foreach((json_t *)(uintptr_t)node, key, value)
        flatten(ctx, flat, arena_printf(ctx->arena, "%s%s%s", path, *path ? " / " : "", key),
                value);
    json_array_foreach(node, index, value)
        flatten(ctx, flat, arena_printf(ctx->arena, "%s / %zu", path, index), value);
}

static json_t *flat_of(struct ctx *ctx, const json_t *objects)
{
    json_t *flat = arena_json(ctx->arena, json_object());
    flatten(ctx, flat, "", objects);
    return flat;
}

static const char *row_of(struct ctx *ctx, const char *path)
{
    return arena_strndup(ctx->arena, path, strcspn(path, " "));
}

/* Path to new value, null = gone; a row that is gone as a whole is its id alone. */
static json_t *difference(struct ctx *ctx, const json_t *base, const json_t *other)
{
    json_t *before = flat_of(ctx, base), *after = flat_of(ctx, other), *value;
    json_t *found = arena_json(ctx->arena, json_object());
    const char *path;
    json_object_foreach(before, path, value) {
        const char *row = row_of(ctx, path);
        if (!json_object_get(other, row))
            json_object_set_new(found, row, json_null());
        else if (!json_object_get(after, path))
            json_object_set_new(found, path, json_null());
    }
    json_object_foreach(after, path, value)
        if (!json_equal(json_object_get(before, path), value))
            json_object_set(found, path, value);
    return found;
}

/* Paths whose values are not the same on both sides. */
static json_t *unequal(struct ctx *ctx, json_t *a, json_t *b)
{
    json_t *found = arena_json(ctx->arena, json_object()), *value;
    const char *path;
    json_object_foreach(a, path, value)
        if (!json_equal(json_object_get(b, path), value))
            json_object_set_new(found, path, json_pack("[O, O*]", value, json_object_get(b, path)));
    json_object_foreach(b, path, value)
        if (!json_object_get(a, path))
            json_object_set(found, path, value);
    return found;
}

static void drop_row(struct ctx *ctx, json_t *flat, const char *id)
{
    const char *path;
    void *next;
    json_t *value;
    json_object_foreach_safe(flat, next, path, value)
        if (str_equal(row_of(ctx, path), id))
            json_object_del(flat, path);
}

static void add_step(struct ctx *ctx, json_t *flat, json_t *gone, const json_t *step)
{
    const char *path;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)step, path, value) {
        if (json_is_null(value) && !strchr(path, ' '))
            json_object_set_new(gone, path, json_true());
        else if (json_is_null(value))
            json_object_del(flat, path);
        else
            json_object_set(flat, path, value);
    }
    json_object_foreach(gone, path, value)
        drop_row(ctx, flat, path);
}

static json_t *objects_of(struct ctx *ctx, const struct registry_operator *home, unsigned mask)
{
    struct bundle_plan plan;
    render(ctx, home, mask, &plan);
    return by_id(ctx, &plan);
}

static void stack__is_as_expected(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    json_t *base = objects_of(ctx, home, 0);
    json_t *changes = arena_json(ctx->arena, json_object());
    for (unsigned at = 0; at < STEPS; at++)
        json_object_set(changes, steps[at].name,
                        difference(ctx, base, objects_of(ctx, home, 1u << at)));
    registry_operator_free(home);
    json_t *expected = golden_file(ctx, FOLDER "stack.json", base);
    json_t *off = unequal(ctx, flat_of(ctx, expected), flat_of(ctx, base));
    if (json_object_size(off))
        fail_msg("not as in stack.json: %s", json_text(ctx->arena, off));
    expected = golden_file(ctx, FOLDER "differences.json", changes);
    off = unequal(ctx, flat_of(ctx, expected), flat_of(ctx, changes));
    if (json_object_size(off))
        fail_msg("not as in differences.json: %s", json_text(ctx->arena, off));
}

static json_t *example_of(struct ctx *ctx, const struct registry_operator *home,
                          const char *version, const char *redis)
{
    const char *const options[] = {"class", "exporter", "trivy", "managed", "issuer", redis, NULL};
    struct bundle_plan plan;
    if (registry_example(ctx, home, version, "L", options, &plan) < 0)
        fail_msg("%s", ctx->err.message);
    return by_id(ctx, &plan);
}

/* No step: what such an option changes is another thing in each version. */
static void check_option(struct ctx *ctx, const char *option)
{
    static const char *const versions[] = {"2.13", "2.14", "2.15"};
    struct registry_operator *home = test_operator(ctx);
    json_t *changes = arena_json(ctx->arena, json_object());
    for (size_t at = 0; at < ARRAY_SIZE(versions); at++) {
        json_t *without = example_of(ctx, home, versions[at], NULL);
        json_t *with = example_of(ctx, home, versions[at], option);
        json_object_set(changes, versions[at], difference(ctx, without, with));
    }
    registry_operator_free(home);
    json_t *expected =
        golden_file(ctx, arena_printf(ctx->arena, FOLDER "%s.json", option), changes);
    json_t *off = unequal(ctx, flat_of(ctx, expected), flat_of(ctx, changes));
    if (json_object_size(off))
        fail_msg("not as in %s.json: %s", option, json_text(ctx->arena, off));
}

static void dedicated__is_as_expected(void **state)
{
    check_option(*state, "dedicated");
}

static void pulls__is_as_expected(void **state)
{
    check_option(*state, "pulls");
}

static void combinations__are_the_sum_of_their_steps(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    json_error_t error;
    json_t *base = arena_json(ctx->arena, json_load_file(FOLDER "stack.json", 0, &error));
    json_t *changes = arena_json(ctx->arena, json_load_file(FOLDER "differences.json", 0, &error));
    int count = 0;
    for (unsigned mask = 0; mask < 1u << STEPS; mask++) {
        struct arena *arena = arena_new();
        struct ctx own = ctx_make(arena, "test");
        json_t *sum = flat_of(&own, base), *gone = arena_json(arena, json_object());
        for (unsigned at = 0; at < STEPS; at++)
            if (mask >> at & 1)
                add_step(&own, sum, gone, json_object_get(changes, steps[at].name));
        if (is_possible(mask)) {
            json_t *got = flat_of(&own, objects_of(&own, home, mask));
            json_t *off = unequal(&own, sum, got);
            if (json_object_size(off))
                fail_msg("combination %x: %s", mask, json_text(arena, off));
            count++;
        }
        arena_free(arena);
    }
    assert_int_equal(count, 3 * 3 * 2 * 2 * 2 * 2 * 2);
    registry_operator_free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stack__is_as_expected),
        TEST(dedicated__is_as_expected),
        TEST(pulls__is_as_expected),
        TEST(combinations__are_the_sum_of_their_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
