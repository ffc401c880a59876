/*
 * Gather: what the pass looks at, read once. Admit: may this Registry live here at all? Everything
 * that is read live (identity, claims, kept Secret) is read by the phase that acts on it, close to
 * the write that depends on it.
 */
#include "reconcilers/registry/parts.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

/* Oldest first, then by name: every observer gives the same answer. */
bool registry_is_older(const json_t *a, const json_t *b)
{
    int order = strcmp(json_str_or(a, "metadata.creationTimestamp", ""),
                       json_str_or(b, "metadata.creationTimestamp", ""));
    if (order == 0)
        order = strcmp(json_str_or(a, "metadata.name", ""), json_str_or(b, "metadata.name", ""));
    return order < 0;
}

static const json_t *find_elder(struct ctx *ctx, struct pass *pass)
{
    size_t at;
    json_t *other;
    const json_t *all = pass_list(ctx, pass, KIND_REGISTRY, pass->key.namespace, NULL, NULL);
    json_array_foreach(all, at, other)
        if (registry_is_older(other, pass->root))
            return other;
    return NULL;
}

/* Its controller is this Registry; labels anybody may write. */
bool registry_owns(const struct registry_scope *scope, const json_t *object)
{
    return kube_is_controlled_by(object, scope->uid);
}

/*
 * Does the pod hold up the lock of the backends? Not what ran to its end, nor what nobody controls:
 * a label alone must not keep a registry open for ever. Nor a pod that should have ended long ago:
 * its node is lost, and what still runs there loses its sessions when the role is locked.
 */
bool registry_pod_runs(const json_t *pod, int64_t now_ms)
{
    const char *phase = json_str_or(pod, "status.phase", "");
    const char *end = json_str(pod, "metadata.deletionTimestamp"); /* its grace period included */
    return !str_equal(phase, "Succeeded") && !str_equal(phase, "Failed") &&
           json_bool_or(pod, "metadata.ownerReferences.0.controller", false) &&
           !registry_time_passed(end, now_ms - POD_LOST_MS);
}

static bool pod_serves(const json_t *pod, const char *component)
{
    const json_t *ready = json_find(pod, "status.conditions", "type", "Ready");
    return str_equal(json_str(ready, "status"), "True") &&
           str_equal(kube_label(pod, LABEL_COMPONENT), component);
}

static void count_pods(struct registry_scope *scope, const char *component)
{
    int64_t now_ms = clock_wall_ms();
    size_t at;
    json_t *pod;
    json_array_foreach(scope->pods, at, pod) {
        bool runs = registry_pod_runs(pod, now_ms);
        scope->pods_left += runs;
        scope->pods_ready += runs && pod_serves(pod, component);
    }
}

int registry_gather(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const json_t *root = pass->root;
    scope->spec = registry_spec_bind(root);
    scope->namespace = pass->key.namespace;
    scope->name = pass->key.name;
    scope->uid = json_str_or(root, "metadata.uid", "");
    scope->generation = json_int_or(root, "metadata.generation", 0);
    scope->probing = home->serving_probe;
    scope->left_out = home->left_out;
    scope->fleet = str_equal(kube_label(root, LABEL_FLEET), "true");
    scope->deleting = json_at(root, "metadata.deletionTimestamp") != NULL;
    scope->elder = find_elder(ctx, pass);
    scope->pods =
        pass_list(ctx, pass, KIND_POD, pass->key.namespace, LABEL_REGISTRY, pass->key.name);
    scope->managed = pass_get(ctx, pass, KIND_NAMESPACE, NULL, pass->key.namespace) != NULL;
    scope->certificates = pass_serves(pass, KIND_CERTIFICATE);
    count_pods(scope, registry_serving_part(home));
    if (scope->pods_left > 0 && (scope->deleting || registry_closed(scope)))
        pass_requeue(pass, POD_LOST_MS / 10); /* that one is lost wakes nobody */
    return 0;
}

static int64_t age_ms(const json_t *object)
{
    int64_t made_ms, now_ms = clock_wall_ms();
    const char *made = json_str_or(object, "metadata.creationTimestamp", "");
    return clock_parse_rfc3339(made, &made_ms) == 0 && made_ms < now_ms ? now_ms - made_ms : 0;
}

int registry_admit(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    if (!scope->elder)
        return 0;
    /* Its end wakes nobody here. Who waits long asks seldom: there may be a thousand of them. */
    pass_requeue(pass, WAIT_FOR_OTHERS_MS + age_ms(pass->root) / 10);
    return err_set(ctx, ERR_TAKEN, "NamespaceTaken",
                   "Registry '%s' lives in this namespace already; there is one per namespace",
                   json_str_or(scope->elder, "metadata.name", ""));
}

/*
 * Anybody who may make pods in the namespace could hold a registry open with new ones of our label.
 * So the wait ends some time: those that are left lose their sessions with the role.
 */
bool registry_waited_for_pods(const struct pass *pass, int64_t now_ms)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *stack = condition_get(pass->status, "StackReady");
    const char *since = NULL;
    if (scope->deleting)
        since = json_str(pass->root, "metadata.deletionTimestamp");
    else if (str_equal(json_str(stack, "reason"), "PodsRemaining"))
        since = json_str(stack, "lastTransitionTime");
    return registry_time_passed(since, now_ms - PODS_WAIT_MAX_MS);
}

int registry_pods_gone(struct ctx *ctx, const struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    if (scope->pods_left == 0 || registry_waited_for_pods(pass, clock_wall_ms()))
        return 0;
    return err_set(ctx, ERR_WAITING, "PodsRemaining", "%d pods of the stack still run",
                   scope->pods_left);
}

bool registry_time_passed(const char *time, int64_t now_ms)
{
    int64_t at_ms;
    return time && clock_parse_rfc3339(time, &at_ms) == 0 && at_ms <= now_ms;
}
