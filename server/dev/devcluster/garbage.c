#include "server/dev/devcluster/garbage.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/owned.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/write.h"

#define FOREGROUND "foregroundDeletion"
#define ORPHAN "orphan"

static bool exists(struct devcluster *cluster, const json_t *object, const json_t *reference)
{
    struct kind *kind =
        kinds_named(cluster, json_str(reference, "apiVersion"), json_str(reference, "kind"));
    if (!kind)
        return true; /* of a kind that nobody knows: nobody can say that it is gone */
    const char *namespace =
        kind->flags & NAMESPACED ? json_str(object, "metadata.namespace") : NULL;
    const json_t *owner = store_get(kind, namespace, json_str(reference, "name"));
    return owner && str_equal(json_str(owner, "metadata.uid"), json_str(reference, "uid"));
}

/* ---- what lost its owners ---- */

static bool collect_orphan(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    const json_t *references = json_at(live, "metadata.ownerReferences");
    _cleanup_json_ json_t *kept = json_array();
    json_t *reference;
    size_t at, all = json_array_size(references);
    json_array_foreach((json_t *)(uintptr_t)references, at, reference)
        if (exists(cluster, live, reference))
            json_array_append(kept, reference);
    size_t left = json_array_size(kept);
    if (left == all || json_at(live, "metadata.deletionTimestamp"))
        return false;
    if (left == 0) {
        write_remove(cluster, kind, live, "Background");
        return true;
    }
    json_t *next = json_deep_copy(live);
    json_put(next, "metadata.ownerReferences", json_incref(kept));
    control_put(cluster, kind, live, next);
    return true;
}

/* ---- what ends, and what it owns ---- */

static void look_later(struct devcluster *cluster, struct kind *kind, json_t *child,
                       const char *uid)
{
    (void)uid;
    control_again(cluster, kind, child, 0);
}

static void end_child(struct devcluster *cluster, struct kind *kind, json_t *child, const char *uid)
{
    (void)uid;
    write_remove(cluster, kind, child, "Foreground");
}

static void free_child(struct devcluster *cluster, struct kind *kind, json_t *child,
                       const char *uid)
{
    json_t *next = json_deep_copy(child), *list = json_at(next, "metadata.ownerReferences");
    for (size_t at = json_array_size(list); at-- > 0;)
        if (str_equal(json_str(json_array_get(list, at), "uid"), uid))
            json_array_remove(list, at);
    if (!json_array_size(list))
        json_object_del(json_object_get(next, "metadata"), "ownerReferences");
    control_put(cluster, kind, child, next);
}

static bool has_finalizer(const json_t *object, const char *name)
{
    size_t at;
    json_t *finalizer;
    json_array_foreach(json_at(object, "metadata.finalizers"), at, finalizer)
        if (str_equal(json_string_value(finalizer), name))
            return true;
    return false;
}

static void let_go(struct devcluster *cluster, struct kind *kind, json_t *live, const char *name)
{
    json_t *next = json_deep_copy(live), *list = json_at(next, "metadata.finalizers");
    for (size_t at = json_array_size(list); at-- > 0;)
        if (str_equal(json_string_value(json_array_get(list, at)), name))
            json_array_remove(list, at);
    if (!json_array_size(list))
        json_object_del(json_object_get(next, "metadata"), "finalizers");
    if (write_is_held(kind, next))
        store_put(cluster, kind, live, next);
    else
        store_remove(cluster, kind, live, next);
}

static bool collect_ending(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    const char *uid = json_str_or(live, "metadata.uid", "");
    if (!json_at(live, "metadata.deletionTimestamp"))
        return false;
    if (has_finalizer(live, ORPHAN)) {
        owned_each(cluster, uid, free_child);
        let_go(cluster, kind, live, ORPHAN);
        return true;
    }
    if (has_finalizer(live, FOREGROUND) && owned_each(cluster, uid, end_child) == 0) {
        let_go(cluster, kind, live, FOREGROUND);
        return true;
    }
    return false;
}

bool garbage_collect(struct devcluster *cluster, struct kind *kind, json_t *live)
{
    return collect_ending(cluster, kind, live) || collect_orphan(cluster, kind, live);
}

void garbage_notice(struct devcluster *cluster, const json_t *gone)
{
    owned_each(cluster, json_str_or(gone, "metadata.uid", ""), look_later);
}
