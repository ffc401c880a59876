#include "server/dev/devcluster/patch.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/events.h"
#include "server/dev/devcluster/forms.h"
#include "server/dev/devcluster/managed.h"
#include "server/dev/devcluster/merges.h"
#include "server/dev/devcluster/scale.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/table.h"
#include "server/dev/devcluster/write.h"

enum { PATCH_MAX_BYTES = 3 << 20 };

/* ---- server-side apply ---- */

static int check_applied(struct call *call, const json_t *patch)
{
    const char *kind = json_str(patch, "kind"), *version = json_str(patch, "apiVersion");
    const char *name = json_str(patch, "metadata.name");
    if (!call_query(call, "fieldManager"))
        return refuse_options(call, "PatchOptions", "fieldManager", "FieldValueRequired",
                              "Required value: is required for apply patch");
    if (!kind || !version || !str_equal(version, call->kind->api_version) ||
        !str_equal(kind, call->kind->name))
        return refuse(call, "BadRequest", "the body is no %s of %s", call->kind->name,
                      call->kind->api_version);
    if (name && !str_equal(name, call->name))
        return refuse(call, "BadRequest",
                      "the name of the object (%s) does not match the name on the URL (%s)", name,
                      call->name);
    if (json_array_size(json_at(patch, "metadata.managedFields")))
        return refuse(call, "BadRequest", "metadata.managedFields must be nil");
    return 0;
}

/* Only a uid says that there was an object: docs/adr/0002. */
static int check_seen(struct call *call, const json_t *patch)
{
    const char *uid = json_str(patch, "metadata.uid");
    if (!uid)
        return 0;
    return refuse(call, "Conflict",
                  "Operation cannot be fulfilled on %s \"%s\": uid mismatch: the provided object "
                  "specified uid %s, and no existing object was found",
                  status_resource(call), call->name, uid);
}

static int apply(struct call *call, json_t *live)
{
    json_t *patch = NULL, *merged = NULL;
    TRY(call_body(call, &patch));
    TRY(check_applied(call, patch));
    if (!live && call->subresource)
        return refuse_absent(call);
    if (!live) {
        TRY(check_seen(call, patch));
        TRY(write_check_namespace(call));
    }
    json_put(patch, "metadata.name", json_string(call->name));
    if (call->namespace)
        json_put(patch, "metadata.namespace", json_string(call->namespace));
    if (call->kind->flags & STATUS && !call->subresource)
        json_object_del(patch, "status");
    TRY(forms_check_applied(call, patch));
    TRY(managed_apply(call, live, patch, &merged));
    return write_commit(call, live, merged, true);
}

/* ---- the others ---- */

static int parse(struct call *call, json_t **ret)
{
    if (json_parse(&call->ctx, call->body, call->body_bytes, PATCH_MAX_BYTES, ret) < 0)
        return refuse(call, "BadRequest", "error decoding patch: %s", call->ctx.err.message);
    return 0;
}

static int by_merge(struct call *call, const json_t *base, const json_t *patch, json_t **ret)
{
    if (!json_is_object(patch))
        return refuse(call, "BadRequest", "the patch is no object");
    *ret = merge_patch(call->ctx.arena, base, patch);
    return 0;
}

static int by_operations(struct call *call, const json_t *base, const json_t *patch, json_t **ret)
{
    const char *problem = NULL;
    if (!json_is_array(patch))
        return refuse(call, "BadRequest", "the patch is no list of operations");
    *ret = merge_operations(call->ctx.arena, base, patch, &problem);
    if (*ret)
        return 0;
    call->details = arena_json(call->ctx.arena, json_object());
    return refuse(call, "Invalid",
                  "the server rejected our request due to an error in our request: %s", problem);
}

static int by_strategy(struct call *call, const json_t *base, const json_t *patch, json_t **ret)
{
    struct shape shape = shape_of(call->kind);
    if (call->kind->flags & CUSTOM)
        return refuse(call, "UnsupportedMediaType",
                      "the body of the request was in an unknown format - accepted media types "
                      "include: application/json-patch+json, application/merge-patch+json, "
                      "application/apply-patch+yaml");
    *ret = merge_strategic(call->ctx.arena, &shape, base, patch);
    return *ret ? 0 : refuse_unserved(call, "this directive of a strategic merge patch");
}

static const struct {
    const char *type;
    int (*merge)(struct call *call, const json_t *base, const json_t *patch, json_t **ret);
} forms[] = {
    {"application/merge-patch+json", by_merge},
    {"application/json-patch+json", by_operations},
    {"application/strategic-merge-patch+json", by_strategy},
};

static int patch_live(struct call *call, const char *type, json_t *live)
{
    bool scaled = str_equal(call->subresource, "scale");
    json_t *patch = NULL, *next = NULL;
    const json_t *base =
        scaled ? scale_of(call, live) : present_object(call->ctx.arena, call->kind, live);
    size_t at = 0;
    while (at < ARRAY_SIZE(forms) && !str_starts(type, forms[at].type))
        at++;
    if (at == ARRAY_SIZE(forms))
        return refuse(call, "UnsupportedMediaType", "'%s' is no form of patch", type);
    TRY(parse(call, &patch));
    TRY(forms[at].merge(call, base, patch, &next));
    if (scaled)
        return scale_put(call, live, next);
    if (!str_equal(json_str(next, "metadata.name"), call->name))
        return refuse_invalid(call, "metadata.name: Invalid value: field is immutable");
    if (call->kind->home != call->kind)
        next = arena_json(call->ctx.arena, events_view(next, false));
    return write_commit(call, live, next, false);
}

int patch_run(struct call *call)
{
    const char *type = call_header(call, "Content-Type");
    json_t *live = store_get(call->kind, call->namespace, call->name);
    type = type ? type : "";
    if (str_starts(type, "application/apply-patch+yaml"))
        return apply(call, live);
    return live ? patch_live(call, type, live) : refuse_absent(call);
}
