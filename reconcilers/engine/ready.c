/*
 * Readiness by the rules of kstatus. The order matters and is kstatus' own: deletion, stale
 * observedGeneration, the conditions Reconciling and Stalled, then the rule of the kind, else the
 * condition Ready. Each rule answers for the objects of one kind; the table is at the end.
 */
#include "reconcilers/engine/ready.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { UNSCHEDULABLE_GRACE_MS = 15000 };

static struct ready_verdict verdict(enum readiness readiness, const char *message)
{
    return (struct ready_verdict){.readiness = readiness, .message = message};
}

static struct ready_verdict current(void)
{
    return verdict(READY_CURRENT, "");
}

static const json_t *condition(const json_t *object, const char *type)
{
    return json_find(object, "status.conditions", "type", type);
}

static bool is(const json_t *object, const char *type, const char *status)
{
    return str_equal(json_str(condition(object, type), "status"), status);
}

static const char *say(struct ctx *ctx, const json_t *object, const char *type,
                       const char *otherwise)
{
    const json_t *found = condition(object, type);
    const char *message = json_str_or(found, "message", "");
    return *message ? message : arena_strdup(ctx->arena, json_str_or(found, "reason", otherwise));
}

/*
 * Counts: a list of "left must not be less than right", read in order. Both sides are paths; a
 * missing one is 0, but spec.replicas, whose default is 1.
 */
struct count_rule {
    const char *left, *right, *message;
};

static int64_t count_at(const json_t *object, const char *path)
{
    return json_int_or(object, path, str_equal(path, "spec.replicas") ? 1 : 0);
}

static const struct count_rule *first_broken(const json_t *object, const struct count_rule *rules)
{
    for (; rules->left; rules++)
        if (count_at(object, rules->left) < count_at(object, rules->right))
            return rules;
    return NULL;
}

static struct ready_verdict by_counts(struct ctx *ctx, const json_t *object,
                                      const struct count_rule *rules)
{
    const struct count_rule *broken = first_broken(object, rules);
    if (!broken)
        return current();
    return verdict(READY_IN_PROGRESS, arena_printf(ctx->arena, "%s: %lld/%lld", broken->message,
                                                   (long long)count_at(object, broken->left),
                                                   (long long)count_at(object, broken->right)));
}

static struct ready_verdict deployment(struct ctx *ctx, const json_t *object)
{
    static const struct count_rule rules[] = {
        {"status.replicas", "spec.replicas", "replicas"},
        {"status.updatedReplicas", "spec.replicas", "updated"},
        {"status.updatedReplicas", "status.replicas", "pending termination of old replicas"},
        {"status.availableReplicas", "status.updatedReplicas", "available"},
        {"status.readyReplicas", "spec.replicas", "ready"},
        {0},
    };
    const char *progress = json_str_or(condition(object, "Progressing"), "reason", "");
    if (str_equal(progress, "ProgressDeadlineExceeded"))
        return verdict(READY_FAILED, say(ctx, object, "Progressing", progress));
    struct ready_verdict counts = by_counts(ctx, object, rules);
    if (counts.readiness != READY_CURRENT)
        return counts;
    if (json_at(object, "spec.progressDeadlineSeconds") &&
        !(is(object, "Progressing", "True") && str_equal(progress, "NewReplicaSetAvailable")))
        return verdict(READY_IN_PROGRESS, "the new ReplicaSet is not available");
    if (!is(object, "Available", "True"))
        return verdict(READY_IN_PROGRESS, "the Deployment is not available");
    return current();
}

static struct ready_verdict stateful_set(struct ctx *ctx, const json_t *object)
{
    static const struct count_rule rules[] = {
        {"status.replicas", "spec.replicas", "replicas"},
        {"status.readyReplicas", "spec.replicas", "ready"},
        {"spec.replicas", "status.replicas", "pending termination of extra replicas"},
        {0},
    };
    static const struct count_rule whole[] = {
        {"status.currentReplicas", "spec.replicas", "current"},
        {0},
    };
    if (str_equal(json_str(object, "spec.updateStrategy.type"), "OnDelete"))
        return current();
    struct ready_verdict counts = by_counts(ctx, object, rules);
    if (counts.readiness != READY_CURRENT)
        return counts;
    int64_t partition = json_int_or(object, "spec.updateStrategy.rollingUpdate.partition", 0);
    if (partition > 0) {
        int64_t wanted = count_at(object, "spec.replicas") - partition;
        if (json_int_or(object, "status.updatedReplicas", 0) < wanted)
            return verdict(READY_IN_PROGRESS, "the partition's rollout is not complete");
        return current();
    }
    counts = by_counts(ctx, object, whole);
    if (counts.readiness != READY_CURRENT)
        return counts;
    if (!str_equal(json_str(object, "status.currentRevision"),
                   json_str(object, "status.updateRevision")))
        return verdict(READY_IN_PROGRESS, "the rollout is not complete");
    return current();
}

static struct ready_verdict daemon_set(struct ctx *ctx, const json_t *object)
{
    static const struct count_rule rules[] = {
        {"status.currentNumberScheduled", "status.desiredNumberScheduled", "scheduled"},
        {"status.updatedNumberScheduled", "status.desiredNumberScheduled", "updated"},
        {"status.numberAvailable", "status.desiredNumberScheduled", "available"},
        {"status.numberReady", "status.desiredNumberScheduled", "ready"},
        {0},
    };
    if (!json_at(object, "status.observedGeneration") ||
        !json_at(object, "status.desiredNumberScheduled"))
        return verdict(READY_IN_PROGRESS, "the DaemonSet was not looked at yet");
    return by_counts(ctx, object, rules);
}

static struct ready_verdict replica_set(struct ctx *ctx, const json_t *object)
{
    static const struct count_rule rules[] = {
        {"status.fullyLabeledReplicas", "spec.replicas", "labelled"},
        {"status.availableReplicas", "spec.replicas", "available"},
        {"status.readyReplicas", "spec.replicas", "ready"},
        {"spec.replicas", "status.replicas", "pending termination of extra replicas"},
        {0},
    };
    if (is(object, "ReplicaFailure", "True"))
        return verdict(READY_IN_PROGRESS, say(ctx, object, "ReplicaFailure", "ReplicaFailure"));
    return by_counts(ctx, object, rules);
}

static const char *crash_looping(const json_t *pod)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    for (size_t list = 0; list < ARRAY_SIZE(lists); list++) {
        size_t index;
        json_t *container;
        json_array_foreach(json_at(pod, lists[list]), index, container)
            if (str_equal(json_str(container, "state.waiting.reason"), "CrashLoopBackOff"))
                return json_str_or(container, "name", "?");
    }
    return NULL;
}

static bool long_unschedulable(const json_t *pod)
{
    const json_t *scheduled = condition(pod, "PodScheduled");
    int64_t since_ms;
    return str_equal(json_str(scheduled, "status"), "False") &&
           str_equal(json_str(scheduled, "reason"), "Unschedulable") &&
           clock_parse_rfc3339(json_str_or(scheduled, "lastTransitionTime", ""), &since_ms) == 0 &&
           clock_wall_ms() - since_ms > UNSCHEDULABLE_GRACE_MS;
}

static struct ready_verdict pod(struct ctx *ctx, const json_t *object)
{
    const char *phase = json_str_or(object, "status.phase", "Unknown");
    if (str_equal(phase, "Succeeded") || str_equal(phase, "Failed"))
        return current();
    const char *crashing = crash_looping(object);
    if (crashing)
        return verdict(READY_FAILED, arena_printf(ctx->arena, "container %s crashes", crashing));
    if (str_equal(phase, "Running"))
        return is(object, "Ready", "True") ? current()
                                           : verdict(READY_IN_PROGRESS, "the Pod is not ready");
    if (long_unschedulable(object))
        return verdict(READY_FAILED, say(ctx, object, "PodScheduled", "Unschedulable"));
    return verdict(READY_IN_PROGRESS, arena_printf(ctx->arena, "the Pod is %s", phase));
}

static struct ready_verdict volume_claim(struct ctx *ctx, const json_t *object)
{
    const char *phase = json_str_or(object, "status.phase", "Pending");
    if (str_equal(phase, "Bound"))
        return current();
    return verdict(READY_IN_PROGRESS, arena_printf(ctx->arena, "the claim is %s", phase));
}

static struct ready_verdict service(struct ctx *ctx, const json_t *object)
{
    (void)ctx;
    if (str_equal(json_str(object, "spec.type"), "LoadBalancer") &&
        !*json_str_or(object, "spec.clusterIP", ""))
        return verdict(READY_IN_PROGRESS, "the Service has no cluster IP");
    return current();
}

/* Not as kstatus, to which a Job is current once it started: what stands behind it needs its work.
 */
static struct ready_verdict job(struct ctx *ctx, const json_t *object)
{
    if (is(object, "Complete", "True"))
        return current();
    if (is(object, "Failed", "True"))
        return verdict(READY_FAILED, say(ctx, object, "Failed", "the Job failed"));
    if (is(object, "Suspended", "True"))
        return verdict(READY_IN_PROGRESS, "the Job is suspended");
    return verdict(READY_IN_PROGRESS, json_at(object, "status.startTime")
                                          ? "the Job runs"
                                          : "the Job has not started");
}

static struct ready_verdict crd(struct ctx *ctx, const json_t *object)
{
    if (is(object, "NamesAccepted", "False"))
        return verdict(READY_FAILED, say(ctx, object, "NamesAccepted", "names are taken"));
    if (!is(object, "Established", "True"))
        return verdict(READY_IN_PROGRESS, "the definition is not established");
    return current();
}

static struct ready_verdict always(struct ctx *ctx, const json_t *object)
{
    (void)ctx;
    (void)object;
    return current();
}

static struct ready_verdict generic(struct ctx *ctx, const json_t *object)
{
    if (!condition(object, "Ready") || is(object, "Ready", "True"))
        return current();
    return verdict(READY_IN_PROGRESS, say(ctx, object, "Ready", "not ready"));
}

static const struct {
    const char *group, *kind; /* group without version, "" = core */
    struct ready_verdict (*rule)(struct ctx *ctx, const json_t *object);
} rules_of_kinds[] = {
    {"apps", "Deployment", deployment},
    {"apps", "StatefulSet", stateful_set},
    {"apps", "DaemonSet", daemon_set},
    {"apps", "ReplicaSet", replica_set},
    {"", "Pod", pod},
    {"", "PersistentVolumeClaim", volume_claim},
    {"", "Service", service},
    {"", "ConfigMap", always},
    {"", "Secret", always},
    {"batch", "Job", job},
    {"batch", "CronJob", always},
    {"policy", "PodDisruptionBudget", always},
    {"apiextensions.k8s.io", "CustomResourceDefinition", crd},
};

static bool in_group(const char *api_version, const char *group)
{
    const char *slash = strchr(api_version, '/');
    size_t length = slash ? (size_t)(slash - api_version) : 0;
    return strlen(group) == length && strncmp(api_version, group, length) == 0;
}

struct ready_verdict ready_of(struct ctx *ctx, const json_t *object)
{
    if (!object)
        return verdict(READY_ABSENT, "it does not exist");
    if (json_at(object, "metadata.deletionTimestamp"))
        return verdict(READY_TERMINATING, "it is being deleted");
    int64_t generation = json_int_or(object, "metadata.generation", 0);
    if (json_int_or(object, "status.observedGeneration", generation) != generation)
        return verdict(READY_IN_PROGRESS, "its controller has not seen the latest change");
    if (is(object, "Reconciling", "True"))
        return verdict(READY_IN_PROGRESS, say(ctx, object, "Reconciling", "reconciling"));
    if (is(object, "Stalled", "True"))
        return verdict(READY_FAILED, say(ctx, object, "Stalled", "stalled"));
    for (size_t row = 0; row < ARRAY_SIZE(rules_of_kinds); row++)
        if (str_equal(json_str(object, "kind"), rules_of_kinds[row].kind) &&
            in_group(json_str_or(object, "apiVersion", ""), rules_of_kinds[row].group))
            return rules_of_kinds[row].rule(ctx, object);
    return generic(ctx, object);
}
