#include "reconcilers/pipeline/preview.h"

#include "reconcilers/pipeline/scope.h"

#include "api/crd.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/embed.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"

#include <string.h>
#include <strings.h>

enum { CLASSES, PODS, PIPELINES, BINDINGS, LEDGERS };

const struct preview_kind preview_kinds[PREVIEW_KINDS] = {
    [CLASSES] = {KIND_WORKER_CLASS, NULL, "crds/workerclasses.yaml"},
    [PODS] = {KIND_POD, LABEL_WORKER_CLASS, NULL},
    [PIPELINES] = {KIND_PIPELINE, NULL, "crds/pipelines.yaml"},
    [BINDINGS] = {KIND_PIPELINE_BINDING, NULL, "crds/pipelinebindings.yaml"},
    [LEDGERS] = {KIND_PLACEMENT_LEDGER, NULL, "crds/placementledgers.yaml"},
};

/* ---- objects ---- */

static int read_schema(struct ctx *ctx, const char *path, json_t **ret)
{
    const struct embed_file *file = embed_find(path);
    json_t *crd;
    if (!file)
        return err_set(ctx, ERR_INTERNAL, NULL, "%s is not embedded", path);
    TRY(yaml_parse(ctx, file->data, file->bytes, &crd));
    *ret = json_at(crd, "spec.versions.0.schema.openAPIV3Schema");
    return 0;
}

int preview_begin(struct ctx *ctx, const char *namespace, int64_t now_s, struct preview *ret)
{
    *ret = (struct preview){.namespace = namespace, .now_s = now_s};
    for (int at = 0; at < PREVIEW_KINDS; at++) {
        ret->lists[at] = arena_json(ctx->arena, json_array());
        if (preview_kinds[at].crd)
            TRY(read_schema(ctx, preview_kinds[at].crd, &ret->schemas[at]));
    }
    return 0;
}

static int refuse(struct ctx *ctx, const json_t *object, const char *pointer, const char *fault)
{
    return err_set(ctx, ERR_INVALID, NULL, "%s '%s': %s %s", json_str_or(object, "kind", ""),
                   json_str_or(object, "metadata.name", ""), pointer, fault);
}

static int refuse_word(struct ctx *ctx, const json_t *object, const char *member,
                       const char *wanted)
{
    return refuse(ctx, object, arena_printf(ctx->arena, "/%s", member),
                  arena_printf(ctx->arena, "is '%s'; it must be %s",
                               json_str_or(object, member, ""), wanted));
}

static bool is_of_our_group(const char *api_version)
{
    const char *group = kube_kind_row(KIND_PIPELINE)->group;
    size_t length = strlen(group);
    return strncasecmp(api_version, group, length) == 0 && api_version[length] == '/';
}

/* A slip in a kind, group or version is refused: an object that counted for nothing would make the
 * answer a wrong one. So is somebody else's Pipeline. PREVIEW_KINDS = not looked at. */
static int find_kind(struct ctx *ctx, const json_t *object, int *ret)
{
    const char *version = json_str_or(object, "apiVersion", "");
    const char *kind = json_str_or(object, "kind", "");
    int at = 0;
    while (at < PREVIEW_KINDS && strcasecmp(kube_kind_row(preview_kinds[at].kind)->kind, kind) != 0)
        at++;
    *ret = at;
    if (str_equal(kind, kube_kind_row(KIND_WORKER_SET)->kind))
        return 0; /* workloads are not played */
    if (at == PREVIEW_KINDS)
        return is_of_our_group(version) ? refuse(ctx, object, "/kind", "is none of its group") : 0;
    const struct kube_kind_row *row = kube_kind_row(preview_kinds[at].kind);
    if (!str_equal(version, row->api_version))
        return refuse_word(ctx, object, "apiVersion", row->api_version);
    return str_equal(kind, row->kind) ? 0 : refuse_word(ctx, object, "kind", row->kind);
}

/* The CRDs' rule for names, which no schema holds. */
static bool name_is_good(const char *name)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return str_matches(name, set, 1, 63) && *name >= 'a' && name[strlen(name) - 1] != '-';
}

/* What the API server would refuse; a status is not what is applied. */
static int check(struct ctx *ctx, const json_t *schema, json_t *object)
{
    json_t *problems = arena_json(ctx->arena, json_array());
    json_t *applied = arena_json(ctx->arena, json_copy(object));
    json_object_del(applied, "status");
    if (!name_is_good(json_str_or(object, "metadata.name", "")))
        crd_problem(problems, "/metadata/name",
                    "must be a DNS label of at most 63 characters that begins with a letter");
    TRY(crd_check_schema(ctx, schema, applied, problems));
    if (json_array_size(problems) == 0)
        return 0;
    return refuse(ctx, object, json_str_or(problems, "0.pointer", ""),
                  json_str_or(problems, "0.message", ""));
}

static void default_to(json_t *object, const char *path, json_t *value)
{
    const json_t *there = json_at(object, path);
    if (there && json_typeof(there) == json_typeof(value))
        json_decref(value);
    else
        json_put(object, path, value);
}

/* No API server has kept such a one. */
static int drop_odd_status(struct ctx *ctx, const json_t *schema, json_t *object)
{
    json_t *problems = arena_json(ctx->arena, json_array());
    const json_t *status = json_object_get(object, "status");
    if (status)
        TRY(crd_check_schema(ctx, json_at(schema, "properties.status"), status, problems));
    if (json_array_size(problems))
        json_object_del(object, "status");
    return 0;
}

/* What the API server gives to who is new, and keeps of who is there. A spec that differs is of
 * another generation: by that a decision knows. */
static void identify(const struct preview *preview, json_t *object, const json_t *live)
{
    static const char *const kept[] = {"metadata.uid", "metadata.creationTimestamp", "status"};
    char now[CLOCK_RFC3339_BYTES];
    const char *name = json_str_or(object, "metadata.name", "");
    for (size_t at = 0; live && at < sizeof kept / sizeof kept[0]; at++)
        if (json_at(live, kept[at]))
            json_put(object, kept[at], json_incref(json_at(live, kept[at])));
    bool differs = !json_equal(json_object_get(object, "spec"), json_object_get(live, "spec"));
    if (live)
        json_put(object, "metadata.generation",
                 json_integer(json_int_or(live, "metadata.generation", 0) + differs));
    default_to(object, "metadata.uid", json_sprintf("of-%s", name));
    default_to(object, "metadata.generation", json_integer(1));
    default_to(object, "metadata.namespace", json_string(preview->namespace));
    default_to(object, "metadata.creationTimestamp",
               json_string(clock_rfc3339(now, preview->now_s * 1000, 0)));
}

int preview_apply(struct ctx *ctx, struct preview *preview, const json_t *object, bool *ret_used)
{
    int kind;
    TRY(find_kind(ctx, object, &kind));
    const char *namespace = json_str_or(object, "metadata.namespace", preview->namespace);
    *ret_used = kind < PREVIEW_KINDS && str_equal(namespace, preview->namespace);
    if (!*ret_used)
        return 0;
    if (!json_str(object, "metadata.name"))
        return refuse(ctx, object, "/metadata/name", "is missing");
    json_t *schema = preview->schemas[kind], *list = preview->lists[kind];
    json_t *made = arena_json(ctx->arena, json_deep_copy(object));
    size_t at;
    if (schema) {
        TRY(check(ctx, schema, made));
        TRY(drop_odd_status(ctx, schema, made));
        crd_default(schema, made);
    }
    const json_t *live = kube_named(list, json_str_or(made, "metadata.name", ""), &at);
    identify(preview, made, live);
    if (live)
        json_array_set(list, at, made);
    else
        json_array_append(list, made);
    return 0;
}

const json_t *preview_pipeline(const struct preview *preview, const char *name)
{
    return kube_named(preview->lists[PIPELINES], name, NULL);
}

/* ---- what is decided ---- */

/* As the controller finds out when it brings them: a stage's binding is there, and another's. */
static bool is_taken(struct ctx *ctx, const json_t *bindings, const struct pipeline_wish *wish,
                     const struct verdict *verdict)
{
    size_t stage;
    json_t *row;
    json_array_foreach(verdict->view.ran ? json_at(verdict->entry, "stages") : NULL, stage, row) {
        const json_t *live = kube_named(
            bindings, binding_name(ctx->arena, wish->name, json_str_or(row, "name", "")), NULL);
        if (live && !kube_is_controlled_by(live, wish->uid))
            return true;
    }
    return false;
}

static json_t *tell_pipeline(struct ctx *ctx, struct placer_scope *scope, uint32_t at)
{
    const struct pipeline_wish *wish = &scope->world.pipelines[at];
    const json_t *live = json_object_get(wish->object, "status");
    json_t *status = live ? json_deep_copy(live) : json_object();
    scope->taken[at] = is_taken(ctx, scope->scene.bindings, wish, &scope->decision.verdicts[at]);
    pipeline_status(ctx, &scope->world, at, scope, status);
    return json_pack("{s:s, s:s*, s:o}", "name", wish->name, "was", json_str(live, "phase"),
                     "status", status);
}

static json_t *tell_class(struct ctx *ctx, const struct placer_scope *scope, uint32_t at)
{
    const struct workers *workers = &scope->world.classes[at];
    const struct place_class *spec = &workers->class.spec;
    const json_t *object = kube_named(scope->scene.classes, workers->class.name, NULL);
    const json_t *live = json_object_get(object, "status");
    json_t *status = live ? json_deep_copy(live) : json_object();
    class_status(ctx, workers, &scope->decision.classes[at], &scope->decision.notes[at], status);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "name", workers->class.name, "mode",
                     json_str_or(object, "spec.mode", "Equal"), "policy",
                     json_str_or(object, "spec.policy", "Pack"), "capacity",
                     (json_int_t)(spec->capacity / MILLI), "maxReplicas",
                     (json_int_t)spec->pods_max, "status", status);
}

int preview_make(struct ctx *ctx, const struct preview *preview, json_t **ret)
{
    const json_t *ledger = kube_named(preview->lists[LEDGERS], LEDGER_NAME, NULL);
    struct placer_scope scope = {.scene = {.classes = preview->lists[CLASSES],
                                           .pods = preview->lists[PODS],
                                           .pipelines = preview->lists[PIPELINES],
                                           .bindings = preview->lists[BINDINGS],
                                           .ledger = json_object_get(ledger, "spec"),
                                           .now_s = preview->now_s}};
    scene_look(ctx, &scope);
    TRY(scene_decide(ctx, &scope));
    json_t *pipelines = json_array(), *classes = json_array();
    for (uint32_t at = 0; at < scope.world.pipeline_count; at++)
        json_array_append_new(pipelines, tell_pipeline(ctx, &scope, at));
    for (uint32_t at = 0; at < scope.world.class_count; at++)
        json_array_append_new(classes, tell_class(ctx, &scope, at));
    *ret = arena_json(ctx->arena,
                      json_pack("{s:s, s:b, s:s*, s:o, s:o}", "namespace", preview->namespace,
                                "changes", scope.decision.changed, "refused", scope.refused,
                                "pipelines", pipelines, "classes", classes));
    return 0;
}
