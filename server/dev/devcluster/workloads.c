/* Deployments, ReplicaSets, StatefulSets and Jobs: each counts the pods it controls, makes those
 * that are missing, ends those that are too many, and says so in its status. */
#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/write.h"

#include <inttypes.h>
#include <string.h>

enum { NAME_BYTES = 300 };

#define REVISION "deployment.kubernetes.io/revision"

static bool is_ending(const json_t *object)
{
    return json_at(object, "metadata.deletionTimestamp");
}

static bool is_ready(const json_t *pod)
{
    return str_equal(json_str(json_find(pod, "status.conditions", "type", "Ready"), "status"),
                     "True");
}

/* ---- status ---- */

/* Counts that are 0 are not told, as typed kinds leave them out. */
static void put_count(json_t *status, const char *name, int64_t count)
{
    if (count)
        json_object_set_new(status, name, json_integer(count));
}

static json_t *status_new(const json_t *live)
{
    json_t *status = json_object();
    put_count(status, "observedGeneration", json_int_or(live, "metadata.generation", 0));
    return status;
}

/* Keeps the time of the last transition where the status of the condition is what it was. */
static void put_condition(const json_t *live, json_t *status, const char *type, bool holds,
                          const char *reason, const char *message)
{
    char now[CLOCK_RFC3339_BYTES];
    const json_t *was = json_find(live, "status.conditions", "type", type);
    const char *value = holds ? "True" : "False";
    clock_rfc3339(now, clock_wall_ms(), 0);
    bool same = str_equal(json_str(was, "status"), value);
    bool told = same && str_equal(json_str(was, "reason"), reason);
    if (!json_object_get(status, "conditions"))
        json_object_set_new(status, "conditions", json_array());
    json_array_append_new(json_object_get(status, "conditions"),
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", type, "status", value,
                                    "reason", reason, "message", message, "lastTransitionTime",
                                    same ? json_str_or(was, "lastTransitionTime", now) : now,
                                    "lastUpdateTime",
                                    told ? json_str_or(was, "lastUpdateTime", now) : now));
}

static void put_status(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *status)
{
    json_t *next = json_deep_copy(live);
    json_object_set_new(next, "status", status);
    control_put(cluster, kind, live, next);
}

/* ---- pods of a template ---- */

static struct kind *pods(const struct devcluster *cluster)
{
    return kinds_find(cluster, "", "v1", "pods");
}

static json_t *pod_of(const json_t *owner, const char *name, const char *label, const char *value)
{
    const json_t *template = json_at(owner, "spec.template");
    json_t *labels = json_at(template, "metadata.labels");
    labels = labels ? json_deep_copy(labels) : json_object();
    if (label)
        json_object_set_new(labels, label, json_string(value));
    json_t *metadata = control_metadata(owner, name, labels);
    json_t *annotations = json_at(template, "metadata.annotations");
    if (annotations)
        json_object_set_new(metadata, "annotations", json_deep_copy(annotations));
    json_decref(labels);
    return json_pack("{s:o, s:o}", "metadata", metadata, "spec",
                     json_deep_copy(json_object_get(template, "spec")));
}

static void make_random_pod(struct devcluster *cluster, const json_t *owner)
{
    struct arena *arena = arena_new();
    const char *stem = json_str_or(owner, "metadata.name", "");
    const char *name = arena_printf(arena, "%s-%s", stem, crypto_random_base32(arena, 5));
    json_t *pod = pod_of(owner, name, NULL, NULL);
    json_put(pod, "metadata.generateName", json_sprintf("%s-", stem));
    control_create(cluster, pods(cluster), pod);
    arena_free(arena);
}

/* ---- ReplicaSet ---- */

void workload_replica_set(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    _cleanup_json_ json_t *children = control_children(pods(cluster), live);
    int64_t wanted = json_int_or(live, "spec.replicas", 0), there = 0, ready = 0;
    size_t at;
    json_t *pod;
    if (is_ending(live))
        return;
    json_array_foreach(children, at, pod) {
        if (is_ending(pod))
            continue;
        if (there == wanted) {
            write_remove(cluster, pods(cluster), pod, "Background");
            continue;
        }
        there++;
        ready += is_ready(pod);
    }
    for (int64_t more = there; more < wanted; more++)
        make_random_pod(cluster, live);
    json_t *status = status_new(live);
    json_object_set_new(status, "replicas", json_integer(wanted));
    put_count(status, "fullyLabeledReplicas", wanted);
    put_count(status, "readyReplicas", ready);
    put_count(status, "availableReplicas", ready);
    put_status(cluster, kind, live, status);
}

/* ---- Deployment ---- */

static void hash_name(char out[NAME_BYTES], const json_t *owner)
{
    snprintf(out, NAME_BYTES, "%s-%010" PRIx64, json_str_or(owner, "metadata.name", ""),
             json_hash(json_at(owner, "spec.template")) >> 24);
}

static int64_t revision_of(const json_t *object)
{
    const char *text =
        json_string_value(json_object_get(json_at(object, "metadata.annotations"), REVISION));
    int64_t revision = 0;
    return text && str_to_int(text, 0, INT32_MAX, &revision) ? revision : 0;
}

static void put_revision(json_t *object, int64_t revision)
{
    json_t *metadata = json_object_get(object, "metadata");
    if (!json_object_get(metadata, "annotations"))
        json_object_set_new(metadata, "annotations", json_object());
    json_object_set_new(json_object_get(metadata, "annotations"), REVISION,
                        json_sprintf("%" PRId64, revision));
}

static void make_replica_set(struct devcluster *cluster, struct kind *sets, const json_t *live,
                             const char *name, int64_t revision)
{
    const char *hash = strrchr(name, '-') + 1;
    json_t *spec = json_object(), *selector = json_deep_copy(json_at(live, "spec.selector"));
    json_t *template = json_deep_copy(json_at(live, "spec.template"));
    json_put(selector, "matchLabels.pod-template-hash", json_string(hash));
    json_put(template, "metadata.labels.pod-template-hash", json_string(hash));
    json_object_set(spec, "replicas", json_at(live, "spec.replicas"));
    json_object_set_new(spec, "selector", selector);
    json_object_set_new(spec, "template", template);
    json_t *set =
        json_pack("{s:o, s:o}", "metadata",
                  control_metadata(live, name, json_at(template, "metadata.labels")), "spec", spec);
    put_revision(set, revision);
    control_create(cluster, sets, set);
}

static void scale_set(struct devcluster *cluster, struct kind *sets, json_t *set, int64_t replicas)
{
    json_t *next = json_deep_copy(set);
    json_put(next, "spec.replicas", json_integer(replicas));
    control_put(cluster, sets, set, next);
}

struct rollout {
    int64_t wanted, there, updated, ready, ready_new, revision;
    const json_t *current; /* the set of the template that is wanted; NULL = not made yet */
};

static struct rollout rollout_of(const json_t *live, const json_t *sets, const char *name)
{
    struct rollout sum = {.wanted = json_int_or(live, "spec.replicas", 0)};
    size_t at;
    json_t *set;
    json_array_foreach((json_t *)(uintptr_t)sets, at, set) {
        int64_t ready = json_int_or(set, "status.readyReplicas", 0);
        int64_t there = json_int_or(set, "status.replicas", 0);
        bool current = str_equal(json_str(set, "metadata.name"), name);
        sum.there += there;
        sum.ready += ready;
        if (revision_of(set) > sum.revision)
            sum.revision = revision_of(set);
        if (!current)
            continue;
        sum.current = set;
        sum.updated = there;
        sum.ready_new = ready;
    }
    return sum;
}

static void tell_deployment(struct devcluster *cluster, struct kind *kind, json_t *live,
                            const struct rollout *sum, const char *name)
{
    char message[2 * NAME_BYTES];
    bool available = sum->ready >= sum->wanted;
    bool done = sum->ready_new >= sum->wanted && sum->there == sum->updated;
    json_t *next = json_deep_copy(live), *status = status_new(live);
    put_count(status, "replicas", sum->there);
    put_count(status, "updatedReplicas", sum->updated);
    put_count(status, "readyReplicas", sum->ready);
    put_count(status, "availableReplicas", sum->ready);
    put_count(status, "unavailableReplicas", sum->there > sum->ready ? sum->there - sum->ready : 0);
    put_condition(live, status, "Available", available,
                  available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                  available ? "Deployment has minimum availability."
                            : "Deployment does not have minimum availability.");
    snprintf(message, sizeof message,
             done ? "ReplicaSet \"%s\" has successfully progressed."
                  : "ReplicaSet \"%s\" is progressing.",
             name);
    put_condition(live, status, "Progressing", true,
                  done ? "NewReplicaSetAvailable" : "ReplicaSetUpdated", message);
    json_object_set_new(next, "status", status);
    put_revision(next, sum->revision);
    control_put(cluster, kind, live, next);
}

void workload_deployment(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    struct kind *sets = kinds_find(cluster, "apps", "v1", "replicasets");
    _cleanup_json_ json_t *children = control_children(sets, live);
    char name[NAME_BYTES];
    size_t at;
    json_t *set;
    if (is_ending(live))
        return;
    hash_name(name, live);
    struct rollout sum = rollout_of(live, children, name);
    if (!sum.current)
        make_replica_set(cluster, sets, live, name, ++sum.revision);
    json_array_foreach(children, at, set) {
        if (set == sum.current)
            scale_set(cluster, sets, set, sum.wanted);
        else if (sum.current && sum.ready_new >= sum.wanted)
            scale_set(cluster, sets, set, 0);
    }
    tell_deployment(cluster, kind, live, &sum, name);
}

/* ---- StatefulSet ---- */

#define SET_HASH "controller-revision-hash"

struct ordinals {
    int64_t wanted, there, ready, updated;
    bool parallel;
};

/* One pod of its number: made, or made anew of another template. False: the next ones wait. */
static bool tend(struct devcluster *cluster, json_t *live, int64_t number, const char *revision,
                 struct ordinals *sum)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s-%" PRId64, json_str_or(live, "metadata.name", ""), number);
    json_t *pod = store_get(pods(cluster), json_str(live, "metadata.namespace"), name);
    if (!pod) {
        pod = pod_of(live, name, SET_HASH, revision);
        json_put(pod, "spec.hostname", json_string(name));
        json_object_set(json_object_get(pod, "spec"), "subdomain",
                        json_at(live, "spec.serviceName"));
        json_object_set_new(json_at(pod, "metadata.labels"), "statefulset.kubernetes.io/pod-name",
                            json_string(name));
        control_create(cluster, pods(cluster), pod);
        sum->there++;
        sum->updated++;
        return sum->parallel;
    }
    const char *of = json_string_value(json_object_get(json_at(pod, "metadata.labels"), SET_HASH));
    bool current = str_equal(of, revision);
    sum->there++;
    sum->ready += is_ready(pod);
    sum->updated += current;
    if (!current && !is_ending(pod) &&
        !str_equal(json_str(live, "spec.updateStrategy.type"), "OnDelete")) {
        write_remove(cluster, pods(cluster), pod, "Background");
        return sum->parallel;
    }
    return sum->parallel || is_ready(pod);
}

static void end_beyond(struct devcluster *cluster, const json_t *live, int64_t wanted)
{
    _cleanup_json_ json_t *children = control_children(pods(cluster), live);
    size_t at;
    json_t *pod;
    json_array_foreach(children, at, pod) {
        const char *dash = strrchr(json_str_or(pod, "metadata.name", "-"), '-');
        int64_t number;
        if (dash && str_to_int(dash + 1, 0, INT32_MAX, &number) && number >= wanted)
            write_remove(cluster, pods(cluster), pod, "Background");
    }
}

static void make_claims(struct devcluster *cluster, const json_t *live, int64_t number)
{
    struct kind *kind = kinds_find(cluster, "", "v1", "persistentvolumeclaims");
    size_t at;
    json_t *template;
    json_array_foreach(json_at(live, "spec.volumeClaimTemplates"), at, template) {
        json_t *claim = json_deep_copy(template);
        json_put(claim, "metadata.name",
                 json_sprintf("%s-%s-%" PRId64, json_str_or(template, "metadata.name", ""),
                              json_str_or(live, "metadata.name", ""), number));
        json_put(claim, "metadata.namespace", json_incref(json_at(live, "metadata.namespace")));
        json_put(claim, "status", json_pack("{s:s}", "phase", "Bound"));
        control_create(cluster, kind, claim);
    }
}

void workload_stateful_set(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    struct ordinals sum = {.wanted = json_int_or(live, "spec.replicas", 0),
                           .parallel =
                               str_equal(json_str(live, "spec.podManagementPolicy"), "Parallel")};
    char revision[NAME_BYTES];
    if (is_ending(live))
        return;
    hash_name(revision, live);
    for (int64_t number = 0; number < sum.wanted; number++) {
        make_claims(cluster, live, number);
        if (!tend(cluster, live, number, revision, &sum))
            break;
    }
    end_beyond(cluster, live, sum.wanted);
    bool done = sum.updated == sum.wanted && sum.ready == sum.wanted;
    const char *was = json_str_or(live, "status.currentRevision", revision);
    json_t *status = status_new(live);
    json_object_set_new(status, "replicas", json_integer(sum.there));
    put_count(status, "readyReplicas", sum.ready);
    json_object_set_new(status, "availableReplicas", json_integer(sum.ready));
    put_count(status, "updatedReplicas", sum.updated);
    put_count(status, "currentReplicas", done ? sum.there : sum.there - sum.updated);
    json_object_set_new(status, "collisionCount", json_integer(0));
    json_object_set_new(status, "currentRevision", json_string(done ? revision : was));
    json_object_set_new(status, "updateRevision", json_string(revision));
    put_status(cluster, kind, live, status);
}

/* ---- Job ---- */

#define JOB_UID "batch.kubernetes.io/controller-uid"
#define JOB_NAME "batch.kubernetes.io/job-name"

/* The server gives a Job its selector, and its pods what is selected. */
static bool label_job(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    static const char *const names[] = {JOB_NAME, "job-name", JOB_UID, "controller-uid"};
    json_t *uid = json_at(live, "metadata.uid"), *name = json_at(live, "metadata.name");
    if (json_at(live, "spec.selector"))
        return false;
    json_t *next = json_deep_copy(live), *labels = json_at(next, "spec.template.metadata.labels");
    json_put(next, "spec.selector", json_pack("{s:{s:O}}", "matchLabels", JOB_UID, uid));
    if (!labels)
        json_put(next, "spec.template.metadata.labels", labels = json_object());
    for (size_t at = 0; at < ARRAY_SIZE(names); at++)
        json_object_set(labels, names[at], at < 2 ? name : uid);
    store_put(cluster, kind, live, next);
    return true;
}

static void tell_job(struct devcluster *cluster, struct kind *kind, json_t *live, int64_t active,
                     int64_t succeeded)
{
    bool done = succeeded >= json_int_or(live, "spec.completions", 1);
    json_t *status = json_object(), *began = json_at(live, "status.startTime");
    json_object_set_new(status, "startTime", began ? json_incref(began) : write_now());
    put_count(status, "active", active);
    put_count(status, "succeeded", succeeded);
    json_object_set_new(status, "ready", json_integer(0));
    json_object_set_new(status, "terminating", json_integer(0));
    json_object_set_new(status, "uncountedTerminatedPods", json_object());
    if (done) {
        json_object_set_new(status, "completionTime", write_now());
        put_condition(live, status, "SuccessCriteriaMet", true, "CompletionsReached",
                      "Reached expected number of succeeded pods");
        put_condition(live, status, "Complete", true, "CompletionsReached",
                      "Reached expected number of succeeded pods");
    }
    put_status(cluster, kind, live, status);
}

void workload_job(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    int64_t active = 0, succeeded = 0, wanted = json_int_or(live, "spec.completions", 1);
    size_t at;
    json_t *pod;
    bool over = json_find(live, "status.conditions", "type", "Complete");
    if (is_ending(live) || over || label_job(cluster, kind, live))
        return;
    _cleanup_json_ json_t *children = control_children(pods(cluster), live);
    json_array_foreach(children, at, pod) {
        bool done = str_equal(json_str(pod, "status.phase"), "Succeeded");
        succeeded += done;
        active += !done && !is_ending(pod);
    }
    int64_t room =
        json_bool_or(live, "spec.suspend", false) ? 0 : json_int_or(live, "spec.parallelism", 1);
    while (active < room && active + succeeded < wanted) {
        make_random_pod(cluster, live);
        active++;
    }
    tell_job(cluster, kind, live, active, succeeded);
}
