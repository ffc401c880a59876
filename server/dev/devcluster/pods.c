/* A pod's life without a kubelet: placed at once, Ready after the delay; a Job's succeeds then. */
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/write.h"

static void put_conditions(json_t *pod, const char *types_true)
{
    static const char *const types[] = {"PodReadyToStartContainers", "Initialized", "Ready",
                                        "ContainersReady", "PodScheduled"};
    json_t *conditions = json_array();
    for (size_t at = 0; at < ARRAY_SIZE(types); at++) {
        bool holds = str_has_word(types_true, types[at]);
        json_array_append_new(conditions, json_pack("{s:s, s:s, s:o}", "type", types[at], "status",
                                                    holds ? "True" : "False", "lastTransitionTime",
                                                    write_now()));
    }
    json_put(pod, "status.conditions", conditions);
}

static void put_containers(json_t *pod, bool running)
{
    json_t *list = json_array(), *container;
    size_t at;
    json_array_foreach(json_at(pod, "spec.containers"), at, container) {
        json_t *state = running ? json_pack("{s:{s:o}}", "running", "startedAt", write_now())
                                : json_pack("{s:{s:i, s:s, s:o}}", "terminated", "exitCode", 0,
                                            "reason", "Completed", "finishedAt", write_now());
        json_array_append_new(list, json_pack("{s:O*, s:O*, s:s, s:b, s:b, s:i, s:o}", "name",
                                              json_object_get(container, "name"), "image",
                                              json_object_get(container, "image"), "imageID", "",
                                              "ready", running, "started", running, "restartCount",
                                              0, "state", state));
    }
    json_put(pod, "status.containerStatuses", list);
}

static void begin(json_t *pod)
{
    json_put(pod, "spec.nodeName", json_string("node-1"));
    json_put(pod, "status.phase", json_string("Pending"));
    json_put(pod, "status.startTime", write_now());
    put_conditions(pod, "PodScheduled Initialized");
}

/* Another for each pod: one that gets the name of a pod that went is told from it, as elsewhere. */
static json_t *address(const struct devcluster *cluster)
{
    unsigned number = (unsigned)(cluster->version & 0xffffff);
    return json_sprintf("10.%u.%u.%u", number >> 16, number >> 8 & 0xff, number & 0xff);
}

static void run(const struct devcluster *cluster, json_t *pod)
{
    bool ends = json_find(pod, "metadata.ownerReferences", "kind", "Job");
    json_put(pod, "status.phase", json_string(ends ? "Succeeded" : "Running"));
    json_put(pod, "status.podIP", address(cluster));
    put_containers(pod, !ends);
    put_conditions(pod, ends ? "PodScheduled Initialized"
                             : "PodReadyToStartContainers Initialized Ready ContainersReady "
                               "PodScheduled");
}

void workload_pod(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    const char *phase = json_str(live, "status.phase");
    if (json_at(live, "metadata.deletionTimestamp")) {
        if (!json_array_size(json_at(live, "metadata.finalizers")))
            store_remove(cluster, kind, live, json_deep_copy(live));
        return;
    }
    if (phase && !str_equal(phase, "Pending"))
        return;
    json_t *next = json_deep_copy(live);
    if (phase)
        run(cluster, next);
    else
        begin(next);
    store_put(cluster, kind, live, next);
    if (!phase)
        control_again(cluster, kind, next, cluster->options.pod_delay_ms);
}
