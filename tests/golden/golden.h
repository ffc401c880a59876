/* What a bundle renders against a file in the tree; UPDATE_GOLDEN=1 writes that file anew. */
#pragma once

#include "reconcilers/engine/bundle.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/yaml.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* What the file says; the arena's. */
static inline json_t *golden_file(struct ctx *ctx, const char *file, json_t *got)
{
    if (getenv("UPDATE_GOLDEN")) {
        _cleanup_file_ FILE *out = fopen(file, "w");
        assert_non_null(out);
        json_dumpf(got, out, JSON_INDENT(1) | JSON_SORT_KEYS);
        fputc('\n', out);
    }
    json_error_t error;
    json_t *expected = arena_json(ctx->arena, json_load_file(file, 0, &error));
    if (!expected)
        fail_msg("%s: %s", file, error.text);
    return expected;
}

/* What is no JSON, byte by byte. */
static inline void golden_text(const char *file, const char *got)
{
    if (getenv("UPDATE_GOLDEN")) {
        _cleanup_file_ FILE *out = fopen(file, "w");
        assert_non_null(out);
        fputs(got, out);
    }
    static char expected[65536];
    _cleanup_file_ FILE *in = fopen(file, "r");
    size_t bytes = in ? fread(expected, 1, sizeof expected - 1, in) : 0;
    expected[bytes] = '\0';
    if (strcmp(expected, got) != 0)
        fail_msg("no longer what %s says, but:\n%s", file, got);
}

/* The objects of one root, in the order of the bundle, are those of the file. */
static inline void golden_objects(struct ctx *ctx, const char *manifests, const char *root_yaml,
                                  json_t *facts_of(struct ctx *ctx, const json_t *root),
                                  const char *file)
{
    json_t *root, *got = arena_json(ctx->arena, json_array());
    struct bundle *bundle;
    struct bundle_plan plan;
    assert_int_equal(bundle_load(ctx, manifests, NULL, &bundle), 0);
    assert_int_equal(yaml_parse(ctx, root_yaml, strlen(root_yaml), &root), 0);
    assert_int_equal(bundle_render(ctx, bundle, facts_of(ctx, root), &plan), 0);
    for (int at = 0; at < plan.count; at++)
        json_array_append(got, plan.objects[at].desired);
    if (!json_equal(got, golden_file(ctx, file, got)))
        fail_msg("the bundle is no longer %s, but: %s", file, json_text(ctx->arena, got));
    bundle_free(bundle);
}
