#include "server/dev/devcluster/forms.h"

#include "api/crd.h"
#include "api/registry.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/defaults.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/status.h"

#include <string.h>

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-."

enum { NAME_MAX_BYTES = 253 };

static bool name_fits(const struct kind *kind, const char *name)
{
    if (str_equal(kind->group, "rbac.authorization.k8s.io"))
        return !strpbrk(name, "/%");
    return str_matches(name, NAME_BYTES, 1, NAME_MAX_BYTES) && *name != '-' && *name != '.';
}

static int check_name(struct call *call, const json_t *object)
{
    const char *name = json_str_or(object, "metadata.name", "");
    if (name_fits(call->kind, name))
        return 0;
    const char *problem = arena_printf(
        call->ctx.arena,
        "metadata.name: Invalid value: \"%s\": a lowercase RFC 1123 subdomain must consist of "
        "lower "
        "case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
        "character",
        name);
    status_cause(call, "FieldValueInvalid", "metadata.name", problem);
    return refuse_invalid(call, problem);
}

/* "/spec/ports/0/port" as Kubernetes says it. */
static const char *dotted(struct arena *arena, const char *pointer)
{
    char *path = arena_strdup(arena, *pointer ? pointer + 1 : "");
    for (char *at = path; *at; at++)
        if (*at == '/')
            *at = '.';
    return path;
}

static int refuse_problems(struct call *call, const json_t *problems)
{
    struct arena *arena = call->ctx.arena;
    const char *text = "";
    size_t at;
    json_t *problem;
    json_array_foreach((json_t *)(uintptr_t)problems, at, problem) {
        const char *path = dotted(arena, json_str_or(problem, "pointer", ""));
        const char *message = json_str_or(problem, "message", "");
        bool missing = str_equal(message, "is missing");
        status_cause(call, missing ? "FieldValueRequired" : "FieldValueInvalid", path,
                     missing ? "Required value"
                             : arena_printf(arena, "Invalid value: %s %s", path, message));
        text = arena_printf(arena, "%s%s%s: %s%s%s", text, at ? ", " : "", path,
                            missing ? "Required value" : "Invalid value: ", missing ? "" : path,
                            missing ? "" : arena_printf(arena, " %s", message));
    }
    return refuse_invalid(call,
                          json_array_size(problems) > 1 ? arena_printf(arena, "[%s]", text) : text);
}

static bool is_ours(const struct kind *kind)
{
    return str_equal(kind->group, "registry.flotilla.dev");
}

static int check_custom(struct call *call, const json_t *live, json_t *next)
{
    const json_t *schema = kind_schema(call->kind);
    json_t *problems = arena_json(call->ctx.arena, json_array());
    if (is_ours(call->kind))
        TRY(registry_object_check(&call->ctx, next, live, &problems));
    else
        TRY(crd_check_schema(&call->ctx, schema, next, problems));
    return json_array_size(problems) ? refuse_problems(call, problems) : 0;
}

/* Strict refuses unknown fields, Warn (the default) tells, Ignore drops them. */
static int tell_unknown(struct call *call, const json_t *unknown)
{
    const char *validation = call_query(call, "fieldValidation"), *text = "";
    struct arena *arena = call->ctx.arena;
    size_t at;
    json_t *pointer;
    json_array_foreach((json_t *)(uintptr_t)unknown, at, pointer) {
        const char *one =
            arena_printf(arena, "unknown field \"%s\"", dotted(arena, json_string_value(pointer)));
        if (!str_equal(validation, "Strict") && !str_equal(validation, "Ignore"))
            call_warn(call, "%s", one);
        text = arena_printf(arena, "%s%s%s", text, at ? ", " : "", one);
    }
    if (!at || !str_equal(validation, "Strict"))
        return 0;
    return refuse(call, "BadRequest", "strict decoding error: %s", text);
}

int forms_check_applied(struct call *call, json_t *patch)
{
    const json_t *schema = kind_schema(call->kind);
    json_t *unknown = arena_json(call->ctx.arena, json_array());
    if (schema)
        crd_prune(call->ctx.arena, schema, patch, unknown);
    if (!json_array_size(unknown))
        return 0;
    const char *path = dotted(call->ctx.arena, json_string_value(json_array_get(unknown, 0)));
    return refuse(call, "InternalError",
                  "failed to create typed patch object (%s%s%s; %s, Kind=%s): .%s: field not "
                  "declared in schema",
                  call->namespace ? call->namespace : "", call->namespace ? "/" : "", call->name,
                  call->kind->api_version, call->kind->name, path);
}

int forms_check(struct call *call, const json_t *live, json_t *next, bool applied)
{
    const json_t *schema = kind_schema(call->kind);
    json_t *unknown = arena_json(call->ctx.arena, json_array());
    if (!live)
        TRY(check_name(call, next));
    if (!schema) {
        defaults_fill(call->cluster, call->kind, next);
        return 0;
    }
    crd_prune(call->ctx.arena, schema, next, unknown);
    if (!applied)
        TRY(tell_unknown(call, unknown));
    crd_default(schema, next);
    return check_custom(call, live, next);
}
