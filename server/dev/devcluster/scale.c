#include "server/dev/devcluster/scale.h"

#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/write.h"

/* Without the leading dot of the CRD; where it says nothing, as built-in kinds have it. */
static const char *path_of(const struct kind *kind, const char *name, const char *otherwise)
{
    const char *path =
        json_string_value(json_object_get(json_at(kind->definition, "subresources.scale"), name));
    return path ? path + (*path == '.') : otherwise;
}

static const char *selector_text(struct call *call, const json_t *object)
{
    const char *path = path_of(call->kind, "labelSelectorPath", NULL), *text = "", *key;
    json_t *value;
    if (path)
        return json_str_or(object, path, "");
    json_object_foreach(json_at(object, "spec.selector.matchLabels"), key, value)
        text = arena_printf(call->ctx.arena, "%s%s%s=%s", text, *text ? "," : "", key,
                            json_string_value(value));
    return text;
}

json_t *scale_of(struct call *call, const json_t *object)
{
    const struct kind *kind = call->kind;
    int64_t wanted = json_int_or(object, path_of(kind, "specReplicasPath", "spec.replicas"), 0);
    int64_t there = json_int_or(object, path_of(kind, "statusReplicasPath", "status.replicas"), 0);
    const char *selector = selector_text(call, object);
    json_t *scale = json_pack(
        "{s:s, s:s, s:{s:O*, s:O*, s:O*, s:O*, s:O*}, s:{s:I}, s:{s:I}}", "kind", "Scale",
        "apiVersion", "autoscaling/v1", "metadata", "name", json_at(object, "metadata.name"),
        "namespace", json_at(object, "metadata.namespace"), "uid", json_at(object, "metadata.uid"),
        "resourceVersion", json_at(object, "metadata.resourceVersion"), "creationTimestamp",
        json_at(object, "metadata.creationTimestamp"), "spec", "replicas", (json_int_t)wanted,
        "status", "replicas", (json_int_t)there);
    if (*selector)
        json_put(scale, "status.selector", json_string(selector));
    return arena_json(call->ctx.arena, scale);
}

int scale_answer(struct call *call, const json_t *object)
{
    call->answer = scale_of(call, object);
    return 0;
}

int scale_put(struct call *call, json_t *live, const json_t *scale)
{
    json_t *next = arena_json(call->ctx.arena, json_deep_copy(live));
    const char *path = path_of(call->kind, "specReplicasPath", "spec.replicas");
    const char *version = json_str(scale, "metadata.resourceVersion");
    int64_t replicas = json_int_or(scale, "spec.replicas", 0);
    if (version && *version && !str_equal(version, json_str(live, "metadata.resourceVersion")))
        return refuse_stale(call);
    if (replicas < 0)
        return refuse_invalid(call, "spec.replicas: Invalid value: must be greater than or equal "
                                    "to 0");
    json_put(next, path, json_integer(replicas));
    return write_commit(call, live, next, false);
}
