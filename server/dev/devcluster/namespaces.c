#include "server/dev/devcluster/namespaces.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/write.h"

static json_t *named(const char *namespace, const char *name)
{
    return json_pack("{s:{s:s, s:s*}}", "metadata", "name", name, "namespace", namespace);
}

void namespaces_init(struct devcluster *cluster)
{
    static const char *const first[] = {"default", "kube-node-lease", "kube-public", "kube-system"};
    struct kind *kind = kinds_find(cluster, "", "v1", "namespaces");
    for (size_t at = 0; at < ARRAY_SIZE(first); at++)
        control_create(cluster, kind, named(NULL, first[at]));
    json_t *node = named(NULL, "node-1");
    json_put(node, "status.conditions",
             json_pack("[{s:s, s:s}]", "type", "Ready", "status", "True"));
    control_create(cluster, kinds_find(cluster, "", "v1", "nodes"), node);
}

void namespaces_notice(struct devcluster *cluster, const json_t *gone)
{
    struct kind *kind = kinds_find(cluster, "", "v1", "namespaces");
    const json_t *namespace = store_get(kind, NULL, json_str(gone, "metadata.namespace"));
    if (json_at(namespace, "metadata.deletionTimestamp"))
        control_again(cluster, kind, namespace, 0);
}

/* Ends all that is in the namespace; how much there still is. */
static size_t empty(struct devcluster *cluster, const char *name)
{
    size_t left = 0;
    for (struct kind *kind = cluster->kinds; kind; kind = kind->next) {
        if (!(kind->flags & NAMESPACED) || kind->home != kind)
            continue;
        _cleanup_json_ json_t *all = store_list(kind, name);
        size_t at;
        json_t *item;
        json_array_foreach(all, at, item)
            left += !write_remove(cluster, kind, item, "Background");
    }
    return left;
}

void namespaces_look(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    const char *name = json_str_or(live, "metadata.name", "");
    if (!json_at(live, "metadata.deletionTimestamp")) {
        json_t *map = named(name, "kube-root-ca.crt");
        json_put(map, "data", json_pack("{s:s}", "ca.crt", ""));
        control_create(cluster, kinds_find(cluster, "", "v1", "serviceaccounts"),
                       named(name, "default"));
        control_create(cluster, kinds_find(cluster, "", "v1", "configmaps"), map);
        return;
    }
    if (empty(cluster, name) == 0 && !json_array_size(json_at(live, "metadata.finalizers")))
        store_remove(cluster, kind, live, json_deep_copy(live));
}

void namespaces_establish(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    static const struct {
        const char *type, *reason, *message;
    } rows[] = {{"NamesAccepted", "NoConflicts", "no conflicts found"},
                {"Established", "InitialNamesAccepted", "the initial names have been accepted"}};
    if (json_at(live, "status.conditions"))
        return;
    json_t *next = json_deep_copy(live), *conditions = json_array();
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        json_array_append_new(conditions,
                              json_pack("{s:s, s:s, s:o, s:s, s:s}", "type", rows[at].type,
                                        "status", "True", "lastTransitionTime", write_now(),
                                        "reason", rows[at].reason, "message", rows[at].message));
    json_put(next, "status.conditions", conditions);
    json_put(next, "status.acceptedNames", json_incref(json_at(live, "spec.names")));
    json_put(next, "status.storedVersions",
             json_pack("[O]", json_at(live, "spec.versions.0.name")));
    store_put(cluster, kind, live, next);
}
