/* What is shown of what a preview tells: one pipeline of it, and whether all is well. */
#include "reconcilers/pipeline/preview.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { NAMES_TOLD_MAX = 10 };

/* "a, b, c and 7 more" */
static const char *names_of(struct ctx *ctx, const json_t *pipelines)
{
    const char *text = "";
    size_t at, count = json_array_size(pipelines);
    for (at = 0; at < count && at < NAMES_TOLD_MAX; at++)
        text = arena_printf(ctx->arena, "%s%s%s", text, at ? ", " : "",
                            json_str_or(json_array_get(pipelines, at), "name", ""));
    return at < count ? arena_printf(ctx->arena, "%s and %zu more", text, count - at) : text;
}

int preview_told(struct ctx *ctx, const json_t *told, const char *name, const json_t **ret)
{
    const json_t *list = json_at(told, "pipelines");
    *ret = name ? json_find(told, "pipelines", "name", name) : json_array_get(list, 0);
    if (*ret && (name || json_array_size(list) == 1))
        return 0;
    return err_set(ctx, ERR_NOT_FOUND, NULL, "Namespace %s has %s%s; there are: %s",
                   json_str_or(told, "namespace", ""),
                   name ? "no pipeline named " : "several pipelines, and one has to be named",
                   name ? name : "", names_of(ctx, list));
}

static bool is_placed(const json_t *pipeline)
{
    const json_t *stages = json_at(pipeline, "status.stages");
    size_t at;
    json_t *row;
    json_array_foreach(stages, at, row)
        if (json_int_or(row, "missing", 1))
            return false;
    return stages;
}

int preview_narrow(struct ctx *ctx, json_t *told, const char *name)
{
    const json_t *pipeline;
    TRY(preview_told(ctx, told, name, &pipeline));
    json_t *kept = json_array(), *class;
    size_t at;
    json_array_foreach(json_at(told, "classes"), at, class)
        if (json_find(pipeline, "status.stages", "class", json_str_or(class, "name", "")))
            json_array_append(kept, class);
    json_object_update_new(told, json_pack("{s:o, s:[O], s:b}", "classes", kept, "pipelines",
                                           pipeline, "placed", is_placed(pipeline)));
    return 0;
}

bool preview_placed(const json_t *told)
{
    size_t at;
    json_t *pipeline;
    json_array_foreach(json_at(told, "pipelines"), at, pipeline)
        if (!is_placed(pipeline))
            return false;
    return true;
}
