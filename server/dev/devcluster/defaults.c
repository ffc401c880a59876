#include "server/dev/devcluster/defaults.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { PATH_BYTES = 128, FIRST_NODE_PORT = 30000 };

static const struct {
    const char *plural; /* NULL = pods and their templates, below the pod's spec */
    const char *path, *value;
} rows[] = {
#define DEFAULT(plural, path, value) {plural, path, value},
#define POD(path, value) {NULL, path, value},
#include "server/dev/devcluster/defaults.def"
#undef DEFAULT
#undef POD
};

/* Puts the value at the path, below each item on the way, where it is absent. */
static void fill(json_t *at, const char *path, const char *value)
{
    char name[PATH_BYTES];
    size_t index, bytes = strcspn(path, ".[");
    json_t *item;
    snprintf(name, sizeof name, "%.*s", (int)bytes, path);
    if (!json_is_object(at))
        return;
    json_t *next = json_object_get(at, name);
    if (!path[bytes] && !next)
        json_object_set_new(at, name, json_loads(value, JSON_DECODE_ANY, NULL));
    else if (path[bytes] == '.')
        fill(next, path + bytes + 1, value);
    else if (path[bytes] == '[')
        json_array_foreach(next, index, item)
            fill(item, path + bytes + strlen("[]."), value);
}

/* By the tag: what has none, or "latest", is pulled each time. */
static void fill_pull_policy(json_t *pod, const char *containers)
{
    size_t at;
    json_t *container;
    json_array_foreach(json_object_get(pod, containers), at, container) {
        const char *image = json_str_or(container, "image", "");
        const char *slash = strrchr(image, '/'), *tag = strrchr(slash ? slash : image, ':');
        bool latest = !strchr(image, '@') && (!tag || str_equal(tag, ":latest"));
        if (!json_object_get(container, "imagePullPolicy"))
            json_object_set_new(container, "imagePullPolicy",
                                json_string(latest ? "Always" : "IfNotPresent"));
    }
}

static void fill_address(struct devcluster *cluster, json_t *object)
{
    json_t *spec = json_object_get(object, "spec"), *port;
    unsigned number = (unsigned)cluster->version + 1;
    size_t at;
    char address[32];
    const char *type = json_str_or(spec, "type", "");
    if (!json_object_get(spec, "clusterIP") && !str_equal(type, "ExternalName")) {
        snprintf(address, sizeof address, "10.%u.%u.%u", 96 + (number >> 16) % 16,
                 (number >> 8) & 255, number & 255);
        json_object_set_new(spec, "clusterIP", json_string(address));
    }
    json_t *first = json_object_get(spec, "clusterIP");
    if (first && !json_object_get(spec, "clusterIPs"))
        json_object_set_new(spec, "clusterIPs", json_pack("[O]", first));
    bool outside = str_has_word("LoadBalancer NodePort", type);
    if (str_equal(type, "LoadBalancer"))
        fill(spec, "allocateLoadBalancerNodePorts", "true");
    if (outside)
        fill(spec, "externalTrafficPolicy", "\"Cluster\"");
    json_array_foreach(json_object_get(spec, "ports"), at, port) {
        if (!json_object_get(port, "targetPort"))
            json_object_set(port, "targetPort", json_object_get(port, "port"));
        if (outside && !json_object_get(port, "nodePort"))
            json_object_set_new(port, "nodePort",
                                json_integer(FIRST_NODE_PORT + (number + at) % 2768));
    }
}

/* Maps that hold nothing are not kept by typed kinds. */
static void drop_empty(json_t *metadata)
{
    static const char *const names[] = {"labels", "annotations", "finalizers", "ownerReferences"};
    for (size_t at = 0; at < ARRAY_SIZE(names); at++) {
        json_t *value = json_object_get(metadata, names[at]);
        if (value && !json_object_size(value) && !json_array_size(value))
            json_object_del(metadata, names[at]);
    }
}

/* stringData is a way of writing only. */
static void fold_string_data(json_t *secret)
{
    struct arena *arena = arena_new();
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(secret, "stringData"), name, value) {
        const char *text = json_string_value(value);
        fill(secret, "data", "{}");
        json_object_set_new(json_object_get(secret, "data"), name,
                            json_string(crypto_base64(arena, text, text ? strlen(text) : 0)));
    }
    json_object_del(secret, "stringData");
    arena_free(arena);
}

static void label_namespace(json_t *object)
{
    fill(object, "metadata.labels", "{}");
    json_object_set(json_at(object, "metadata.labels"), "kubernetes.io/metadata.name",
                    json_at(object, "metadata.name"));
}

static const struct {
    const char *plural, *pod; /* where the spec of a pod is, NULL = nowhere */
} pod_specs[] = {{"pods", "spec"},
                 {"deployments", "spec.template.spec"},
                 {"replicasets", "spec.template.spec"},
                 {"statefulsets", "spec.template.spec"},
                 {"jobs", "spec.template.spec"}};

static json_t *pod_spec(const struct kind *kind, const json_t *object)
{
    for (size_t at = 0; at < ARRAY_SIZE(pod_specs); at++)
        if (str_equal(pod_specs[at].plural, kind->plural))
            return json_at(object, pod_specs[at].pod);
    return NULL;
}

static void fill_special(struct devcluster *cluster, const struct kind *kind, json_t *object)
{
    const char *strategy = json_str_or(object, "spec.strategy.type", "");
    if (str_equal(kind->plural, "services"))
        fill_address(cluster, object);
    else if (str_equal(kind->plural, "secrets"))
        fold_string_data(object);
    else if (str_equal(kind->plural, "deployments") && str_equal(strategy, "RollingUpdate"))
        fill(object, "spec.strategy.rollingUpdate",
             "{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"}");
    else if (str_equal(kind->plural, "networkpolicies"))
        fill(object, "spec.policyTypes",
             json_at(object, "spec.egress") ? "[\"Ingress\",\"Egress\"]" : "[\"Ingress\"]");
    else if (str_equal(kind->plural, "namespaces"))
        label_namespace(object);
}

void defaults_fill(struct devcluster *cluster, const struct kind *kind, json_t *object)
{
    json_t *pod = pod_spec(kind, object);
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        if (!rows[at].plural)
            fill(pod, rows[at].path, rows[at].value);
        else if (str_equal(rows[at].plural, kind->plural))
            fill(object, rows[at].path, rows[at].value);
    }
    fill_pull_policy(pod, "containers");
    fill_pull_policy(pod, "initContainers");
    fill_special(cluster, kind, object);
    drop_empty(json_object_get(object, "metadata"));
}
