/*
 * What a user chooses of a request to the metrics API, "PATH?SELECTOR": the question's parts are
 * the path's own segments, a selector either has a fault or means the same however it is spaced,
 * and nobody is both taken and left by one and its opposite.
 */
#include "reconcilers/pipeline/metricsapi/asked.h"
#include "reconcilers/pipeline/metricsapi/selector.h"
#include "tests/fuzz/fuzz.h"

#include "server/base/str.h"

#include <string.h>

static void ask(struct ctx *ctx, const char *path)
{
    struct asked asked = asked_read(ctx->arena, path);
    if (asked.what != ASKED_METRIC)
        return;
    MUST(str_equal(path,
                   arena_printf(ctx->arena, "/apis/" METRICS_GROUP "/%s/namespaces/%s/%s/%s/%s",
                                asked.version, asked.namespace, asked.resource, asked.name,
                                asked.metric)));
    MUST(*asked.namespace && *asked.resource && *asked.name && *asked.metric);
    MUST(!strchr(asked.name, '/') && !strchr(asked.metric, '/'));
}

static const char *values_of(struct ctx *ctx, const struct selector_requirement *row)
{
    const char *text = "";
    for (size_t at = 0; at < row->count; at++)
        text = arena_printf(ctx->arena, "%s%s%s", text, at ? "," : "", row->values[at]);
    return text;
}

/* The same in the longest form. */
static const char *write_out(struct ctx *ctx, const struct selector *selector)
{
    const char *text = "";
    for (size_t at = 0; at < selector->count; at++) {
        const struct selector_requirement *row = selector->rows[at];
        const char *no = row->negated ? "not" : "";
        text = row->presence ? arena_printf(ctx->arena, "%s%s %s%s ", text, at ? " , " : "",
                                            row->negated ? "! " : "", row->key)
                             : arena_printf(ctx->arena, "%s%s%s %sin (%s)", text, at ? " , " : "",
                                            row->key, no, values_of(ctx, row));
    }
    return text;
}

static bool same(struct ctx *ctx, const struct selector *a, const struct selector *b)
{
    bool equal = a->count == b->count;
    for (size_t at = 0; equal && at < a->count; at++)
        equal = str_equal(a->rows[at]->key, b->rows[at]->key) &&
                a->rows[at]->negated == b->rows[at]->negated &&
                a->rows[at]->presence == b->rows[at]->presence &&
                a->rows[at]->count == b->rows[at]->count &&
                str_equal(values_of(ctx, a->rows[at]), values_of(ctx, b->rows[at]));
    return equal;
}

static void select_by(struct ctx *ctx, const char *text)
{
    struct selector selector, again;
    if (selector_read(ctx, text, &selector) < 0) {
        MUST(strstr(ctx->err.message, "at byte"));
        return;
    }
    MUST(selector.count <= SELECTOR_REQUIREMENTS_MAX);
    MUST(selector_read(ctx, write_out(ctx, &selector), &again) == 0);
    MUST(same(ctx, &selector, &again));
    if (selector.count != 1)
        return;
    struct selector_requirement opposite = *selector.rows[0];
    opposite.negated = !opposite.negated;
    struct selector other = {.count = 1, .rows = {&opposite}};
    json_t *labels = json_pack("{s:s}", opposite.key, opposite.count ? opposite.values[0] : "v");
    MUST(labels);
    MUST(selector_matches(&selector, labels) != selector_matches(&other, labels));
    MUST(selector_matches(&selector, NULL) != selector_matches(&other, NULL));
    json_decref(labels);
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    const char *query = memchr(text, '?', bytes);
    ask(ctx, arena_strndup(ctx->arena, text, query ? (size_t)(query - text) : bytes));
    select_by(ctx, query ? query + 1 : text);
}
