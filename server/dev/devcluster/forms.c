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

/* What the cause of a problem is called, by the words of api/crd.c. */
static const struct {
    const char *message, *reason;
    bool stops_rules; /* no rule is evaluated then */
} causes[] = {{"is missing", "FieldValueRequired", true},
              {"is none of the values allowed", "FieldValueNotSupported", true},
              {"is no ", "FieldValueTypeInvalid", true},
              {"", "FieldValueInvalid", false}};

/* As the API server words it; true when the rules were not evaluated because of it. */
static bool add_problem(struct call *call, const json_t *problem, const char **text)
{
    struct arena *arena = call->ctx.arena;
    const char *path = dotted(arena, json_str_or(problem, "pointer", ""));
    const char *message = json_str_or(problem, "message", "");
    size_t at = 0;
    while (!str_starts(message, causes[at].message))
        at++;
    message =
        at == 0 ? "Required value" : arena_printf(arena, "Invalid value: %s %s", path, message);
    status_cause(call, causes[at].reason, path, message);
    *text = arena_printf(arena, "%s%s%s: %s", *text, **text ? ", " : "", path, message);
    return causes[at].stops_rules;
}

/* /scale has a check of its own. */
static void check_scale(struct call *call, const json_t *next)
{
    static const char *const names[] = {"specReplicasPath", "statusReplicasPath"};
    for (size_t at = 0; at < ARRAY_SIZE(names); at++) {
        const char *path = json_string_value(
            json_object_get(json_at(call->kind->definition, "subresources.scale"), names[at]));
        if (path && json_int_or(next, path + 1, 0) < 0)
            status_cause(call, "FieldValueInvalid", path,
                         "Invalid value: should be a non-negative integer");
    }
}

static int refuse_problems(struct call *call, const json_t *next, const json_t *problems)
{
    const char *text = "";
    bool stopped = false;
    size_t at;
    json_t *problem;
    json_array_foreach((json_t *)(uintptr_t)problems, at, problem)
        stopped |= add_problem(call, problem, &text);
    check_scale(call, next);
    if (stopped)
        status_cause(call, "FieldValueInvalid", "<nil>",
                     "Invalid value: null: some validation rules were not checked because the "
                     "object was invalid; correct the existing errors to complete validation");
    return refuse_invalid(call, at > 1 ? arena_printf(call->ctx.arena, "[%s]", text) : text);
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
    return json_array_size(problems) ? refuse_problems(call, next, problems) : 0;
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
    return refuse(call, "BadRequest",
                  "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s",
                  call->kind->name, call->kind->version, call->kind->name, text);
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
    return refuse(call, STATUS_REASONLESS,
                  "failed to create typed patch object (/%s; %s, Kind=%s): .%s: field not declared "
                  "in schema",
                  call->name, call->kind->api_version, call->kind->name, path);
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
