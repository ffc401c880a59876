/*
 * Which pods a rotation waits for: those of the stack that were started with what was there before.
 * A label proves nothing, for whoever may make pods in the namespace writes it. A pod is a
 * component's if its controller is: the StatefulSet or Job itself, or a ReplicaSet that the
 * Deployment controls, each by uid. (No Deployment controls a pod itself.) Who writes such a uid
 * into a pod of his own does not keep it: its controller ends what is too many, or lets it go.
 *
 * ReplicaSets are no source of the reconciler: there may be thirty per registry, and only a pod
 * that looks like one of before makes us ask whose it is.
 */
#include "reconcilers/registry/rotation.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

/* The pods that a planned object makes are told by their template. */
static const json_t *template_of(const struct registry_scope *scope, const char *component)
{
    for (int at = 0; component && at < scope->plan.count; at++) {
        const json_t *template = json_at(scope->plan.objects[at].desired, "spec.template");
        if (template && str_equal(kube_label(template, LABEL_COMPONENT), component))
            return template;
    }
    return NULL;
}

static bool is_of_before(const struct registry_scope *scope, const json_t *pod,
                         const char *component, int64_t now_ms)
{
    const json_t *planned = template_of(scope, component);
    return planned && registry_pod_runs(pod, now_ms) &&
           !str_equal(kube_annotation(planned, ANNOTATION_CONFIG),
                      kube_annotation(pod, ANNOTATION_CONFIG));
}

static const char *controller_uid(const json_t *object)
{
    return json_str_or(kube_controller(object), "uid", "");
}

static const char *owning_component(const struct registry_scope *scope, const json_t *object)
{
    return json_string_value(json_object_get(scope->pod_owners, controller_uid(object)));
}

bool rotation_pods_current(const struct registry_scope *scope, const char *component,
                           int64_t now_ms)
{
    size_t at;
    json_t *pod;
    json_array_foreach(scope->pods, at, pod) {
        const char *owner = owning_component(scope, pod);
        if ((!component || str_equal(owner, component)) && is_of_before(scope, pod, owner, now_ms))
            return false;
    }
    return true;
}

/* ---- whose is a pod ---- */

static bool some_look_like_before(const struct registry_scope *scope, int64_t now_ms)
{
    size_t at;
    json_t *pod;
    json_array_foreach(scope->pods, at, pod)
        if (is_of_before(scope, pod, kube_label(pod, LABEL_COMPONENT), now_ms))
            return true;
    return false;
}

static void note_owner(json_t *owners, const json_t *object, json_t *component)
{
    if (component)
        json_object_set(owners, json_str_or(object, "metadata.uid", ""), component);
}

static json_t *component_of(const json_t *object)
{
    return json_object_get(json_at(object, "metadata.labels"), LABEL_COMPONENT);
}

json_t *rotation_pod_owners(struct ctx *ctx, const json_t *deployments, const json_t *others,
                            const json_t *replica_sets)
{
    json_t *makers = arena_json(ctx->arena, json_object());
    json_t *owners = arena_json(ctx->arena, json_object()), *object;
    size_t at;
    json_array_foreach(deployments, at, object)
        note_owner(makers, object, component_of(object));
    json_array_foreach(replica_sets, at, object)
        note_owner(owners, object, json_object_get(makers, controller_uid(object)));
    json_array_foreach(others, at, object)
        note_owner(owners, object, component_of(object));
    return owners;
}

/* The live objects of the plan that make pods: those of one kind, or all but those. */
static json_t *workloads_of(struct ctx *ctx, struct pass *pass, bool deployments)
{
    const struct registry_scope *scope = pass->scope;
    json_t *found = arena_json(ctx->arena, json_array());
    for (int at = 0; at < scope->plan.count; at++) {
        const struct bundle_object *object = &scope->plan.objects[at];
        const char *name = json_str_or(object->desired, "metadata.name", "");
        if (json_at(object->desired, "spec.template") &&
            (object->kind == KIND_DEPLOYMENT) == deployments)
            json_array_append(found, pass_get(ctx, pass, object->kind, scope->namespace, name));
    }
    return found;
}

int rotation_find_owners(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    json_t *replica_sets = NULL;
    if (!some_look_like_before(scope, clock_wall_ms()))
        return 0;
    const char *selector = arena_printf(ctx->arena, LABEL_REGISTRY "=%s", scope->name);
    TRY(kube_list(ctx, CALL_KUBE_REPLICA_SET_LIST, pass_kube(pass), KIND_REPLICA_SET,
                  scope->namespace, selector, &replica_sets));
    scope->pod_owners = rotation_pod_owners(ctx, workloads_of(ctx, pass, true),
                                            workloads_of(ctx, pass, false), replica_sets);
    return 0;
}
