/*
 * What clients of the embedded API write in small languages. The first byte chooses which: label
 * and field selectors, printer columns' JSONPath, JSON patches. They may ask for more only by
 * finding less; they leave what they look at as it was.
 */
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/jsonpath.h"
#include "server/dev/devcluster/merges.h"
#include "server/dev/devcluster/selectors.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char live[] =
    "{\"metadata\":{\"name\":\"web\",\"labels\":{\"app\":\"web\",\"tier\":\"a\"}},"
    "\"spec\":{\"list\":[{\"type\":\"x\",\"n\":1},{\"type\":\"y\"},[]],\"a/b~\":null}}";

/* `more` holds for the object: behind the text it changes nothing, however odd the text is. */
static void labels(struct ctx *ctx, const char *text, const json_t *object)
{
    const struct selector own = {.labels = text};
    const struct selector more = {.labels = arena_printf(ctx->arena, "%s,app=web", text)};
    const struct selector less = {.labels = arena_printf(ctx->arena, "%s,app!=web", text)};
    bool matches = selector_matches(ctx->arena, &own, object);
    if (!*text || text[strlen(text) - 1] == ',')
        return; /* a comma that is the last is read over, two are refused */
    MUST(selector_matches(ctx->arena, &more, object) == matches);
    MUST(!selector_matches(ctx->arena, &less, object));
}

static void fields(struct ctx *ctx, const char *text, const json_t *object)
{
    const struct selector own = {.fields = text};
    const struct selector more = {.fields = arena_printf(ctx->arena, "%s,metadata.name=web", text)};
    bool matches = selector_matches(ctx->arena, &own, object);
    if (!*text || text[strlen(text) - 1] == ',')
        return;
    MUST(selector_matches(ctx->arena, &more, object) == matches);
}

static void path(struct ctx *ctx, const char *text, const json_t *object)
{
    const json_t *first = jsonpath_first(ctx->arena, object, text);
    MUST(strstr(live, first && json_is_string(first) ? json_string_value(first) : ""));
    MUST(jsonpath_text(ctx->arena, first) && jsonpath_count(ctx->arena, object, text) <= 3);
}

static void operations(struct ctx *ctx, const char *text, size_t bytes, const json_t *object)
{
    const char *problem = NULL;
    json_t *list;
    if (json_parse(ctx, text, bytes, bytes, &list) < 0)
        return;
    const json_t *patched = merge_operations(ctx->arena, object, list, &problem);
    MUST(!patched == !!problem && (!patched || json_text(ctx->arena, patched)));
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    json_t *object;
    if (!bytes)
        return;
    MUST(json_parse(ctx, live, strlen(live), strlen(live), &object) == 0);
    const char *before = json_text(ctx->arena, object);
    switch ((unsigned char)*text % 4) {
    case 0:
        labels(ctx, text + 1, object);
        break;
    case 1:
        fields(ctx, text + 1, object);
        break;
    case 2:
        path(ctx, text + 1, object);
        break;
    default:
        operations(ctx, text + 1, bytes - 1, object);
    }
    MUST(str_equal(json_text(ctx->arena, object), before));
}
