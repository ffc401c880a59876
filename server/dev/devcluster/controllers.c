#include "server/dev/devcluster/controllers.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/defaults.h"
#include "server/dev/devcluster/garbage.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/lists.h"
#include "server/dev/devcluster/namespaces.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/write.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 1024, IDLE_MS = 1000 };

/* One object that a controller has to look at. */
struct task {
    char *key;
    json_t *namespace, *name; /* NULL: it is in none */
    struct kind *kind;
    int64_t due_ms;
    UT_hash_handle hh;
};

/* ---- the queue ---- */

static struct task *task_of(struct devcluster *cluster, struct kind *kind, const json_t *object)
{
    char key[KEY_BYTES];
    struct task *task = NULL;
    json_t *namespace = json_at(object, "metadata.namespace");
    json_t *name = json_at(object, "metadata.name");
    snprintf(key, sizeof key, "%s.%s/%s/%s", kind->plural, kind->group,
             namespace ? json_string_value(namespace) : "", json_string_value(name));
    HASH_FIND_STR(cluster->tasks, key, task);
    if (task)
        return task;
    task = calloc(1, sizeof *task);
    if (!task)
        abort();
    *task = (struct task){strdup(key), json_incref(namespace), json_incref(name), kind, 0, {0}};
    if (!task->key)
        abort();
    HASH_ADD_KEYPTR(hh, cluster->tasks, task->key, strlen(task->key), task);
    return task;
}

static void task_free(struct devcluster *cluster, struct task *task)
{
    HASH_DEL(cluster->tasks, task);
    free(task->key);
    json_decref(task->namespace);
    json_decref(task->name);
    free(task);
}

void control_again(struct devcluster *cluster, struct kind *kind, const json_t *object,
                   int64_t in_ms)
{
    task_of(cluster, kind, object)->due_ms = clock_boottime_ms() + in_ms;
}

/* ---- who looks at what ---- */

static const struct {
    const char *group, *plural;
    void (*look)(struct devcluster *cluster, struct kind *kind, json_t *live);
} controllers[] = {
    {"apps", "deployments", workload_deployment},
    {"apps", "replicasets", workload_replica_set},
    {"apps", "statefulsets", workload_stateful_set},
    {"batch", "jobs", workload_job},
    {"", "pods", workload_pod},
    {"", "namespaces", namespaces_look},
    {"apiextensions.k8s.io", "customresourcedefinitions", namespaces_establish},
};

static void look(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    if (garbage_collect(cluster, kind, live))
        return;
    for (size_t at = 0; at < ARRAY_SIZE(controllers); at++)
        if (str_equal(controllers[at].group, kind->group) &&
            str_equal(controllers[at].plural, kind->plural))
            controllers[at].look(cluster, kind, live);
}

/* Whoever owns it: a pod that became Ready concerns its ReplicaSet. */
static void notice_owners(struct devcluster *cluster, const json_t *object)
{
    size_t at;
    json_t *owner;
    json_array_foreach(json_at(object, "metadata.ownerReferences"), at, owner) {
        struct kind *kind =
            kinds_named(cluster, json_str(owner, "apiVersion"), json_str(owner, "kind"));
        const char *namespace =
            kind && kind->flags & NAMESPACED ? json_str(object, "metadata.namespace") : NULL;
        json_t *live = kind ? store_get(kind, namespace, json_str(owner, "name")) : NULL;
        if (live)
            control_again(cluster, kind, live, 0);
    }
}

void controllers_notice(struct devcluster *cluster, struct kind *kind, const json_t *object,
                        const char *type)
{
    bool gone = str_equal(type, "DELETED");
    if (str_equal(kind->plural, "customresourcedefinitions"))
        (gone ? kinds_undefine : kinds_define)(cluster, object);
    notice_owners(cluster, object);
    if (gone) {
        garbage_notice(cluster, object);
        namespaces_notice(cluster, object);
        return;
    }
    struct task *task = task_of(cluster, kind, object);
    /* A pod that waits for its time goes on waiting, unless it is to end. */
    if (!task->due_ms || json_at(object, "metadata.deletionTimestamp"))
        task->due_ms = clock_boottime_ms();
}

/* ---- the thread ---- */

/* A task that is due, or NULL; *ret_wait_ms: until the next one is. */
static struct task *due(struct devcluster *cluster, int64_t *ret_wait_ms)
{
    int64_t now_ms = clock_boottime_ms();
    *ret_wait_ms = IDLE_MS;
    for (struct task *task = cluster->tasks; task; task = task->hh.next) {
        if (task->due_ms <= now_ms)
            return task;
        if (task->due_ms - now_ms < *ret_wait_ms)
            *ret_wait_ms = task->due_ms - now_ms;
    }
    return NULL;
}

static void *controllers_main(void *arg)
{
    struct devcluster *cluster = arg;
    pthread_mutex_lock(&cluster->lock);
    while (!cluster->stopping) {
        int64_t wait_ms;
        struct task *task = due(cluster, &wait_ms);
        if (!task) {
            lists_expire(cluster);
            struct timespec until = clock_until(wait_ms);
            pthread_cond_timedwait(&cluster->news, &cluster->lock, &until);
            continue;
        }
        struct kind *kind = task->kind;
        json_t *live =
            store_get(kind, json_string_value(task->namespace), json_string_value(task->name));
        task_free(cluster, task);
        if (live && kind->served) {
            json_incref(live); /* a write may put another in its place */
            look(cluster, kind, live);
            json_decref(live);
        }
    }
    pthread_mutex_unlock(&cluster->lock);
    return NULL;
}

void controllers_start(struct devcluster *cluster)
{
    pthread_mutex_lock(&cluster->lock);
    namespaces_init(cluster);
    pthread_mutex_unlock(&cluster->lock);
    if (pthread_create(&cluster->controllers, NULL, controllers_main, cluster) != 0)
        abort();
}

void controllers_stop(struct devcluster *cluster)
{
    pthread_join(cluster->controllers, NULL);
    while (cluster->tasks)
        task_free(cluster, cluster->tasks);
}

/* ---- what the controllers share ---- */

json_t *control_create(struct devcluster *cluster, struct kind *kind, json_t *object)
{
    if (store_get(kind, json_str(object, "metadata.namespace"),
                  json_str(object, "metadata.name"))) {
        json_decref(object);
        return NULL;
    }
    json_object_set_new(object, "apiVersion", json_string(kind->api_version));
    json_object_set_new(object, "kind", json_string(kind->name));
    write_stamp_new(object);
    if (kind->flags & GENERATION)
        json_put(object, "metadata.generation", json_integer(1));
    defaults_fill(cluster, kind, object);
    store_put(cluster, kind, NULL, object);
    return object;
}

void control_put(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *next)
{
    if (json_equal(live, next)) {
        json_decref(next);
        return;
    }
    if (kind->flags & GENERATION &&
        !json_equal(json_object_get(live, "spec"), json_object_get(next, "spec")))
        json_put(next, "metadata.generation",
                 json_integer(json_int_or(live, "metadata.generation", 0) + 1));
    store_put(cluster, kind, live, next);
}

json_t *control_children(const struct kind *kind, const json_t *owner)
{
    const char *uid = json_str_or(owner, "metadata.uid", "");
    json_t *children = json_array(), *item;
    _cleanup_json_ json_t *all = store_list(kind, json_str(owner, "metadata.namespace"));
    size_t at;
    json_array_foreach(all, at, item) {
        const json_t *reference = json_find(item, "metadata.ownerReferences", "uid", uid);
        if (json_bool_or(reference, "controller", false))
            json_array_append(children, item);
    }
    return children;
}

json_t *control_metadata(const json_t *owner, const char *name, json_t *labels)
{
    return json_pack("{s:s, s:O*, s:O*, s:[{s:O, s:O, s:O, s:O, s:b, s:b}]}", "name", name,
                     "namespace", json_at(owner, "metadata.namespace"), "labels", labels,
                     "ownerReferences", "apiVersion", json_at(owner, "apiVersion"), "kind",
                     json_at(owner, "kind"), "name", json_at(owner, "metadata.name"), "uid",
                     json_at(owner, "metadata.uid"), "controller", 1, "blockOwnerDeletion", 1);
}
