#include "server/dev/devcluster/owned.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/store.h"

#include <string.h>

/* By uid of the owner, the children as keys "group/plural/namespace/name"; no part has a slash. */
void owned_note(struct devcluster *cluster, const struct kind *kind, const json_t *object,
                bool gone)
{
    char key[1024];
    size_t at;
    json_t *reference;
    snprintf(key, sizeof key, "%s/%s/%s/%s", kind->group, kind->plural,
             json_str_or(object, "metadata.namespace", ""),
             json_str_or(object, "metadata.name", ""));
    json_array_foreach(json_at(object, "metadata.ownerReferences"), at, reference) {
        const char *uid = json_str_or(reference, "uid", "");
        json_t *children = json_object_get(cluster->owners, uid);
        if (!children && !gone)
            json_object_set_new(cluster->owners, uid, children = json_object());
        if (!gone)
            json_object_set_new(children, key, json_true());
        else if (json_object_del(children, key) == 0 && !json_object_size(children))
            json_object_del(cluster->owners, uid);
    }
}

static json_t *find(const struct devcluster *cluster, char *key, struct kind **ret_kind)
{
    const char *group = strsep(&key, "/"), *plural = strsep(&key, "/"), *space = strsep(&key, "/");
    *ret_kind = kinds_find(cluster, group, NULL, plural);
    return *ret_kind ? store_get(*ret_kind, *space ? space : NULL, key) : NULL;
}

int owned_each(struct devcluster *cluster, const char *uid,
               void (*each)(struct devcluster *cluster, struct kind *kind, json_t *child,
                            const char *uid))
{
    /* A copy: who is called may change all. */
    _cleanup_json_ json_t *children = json_copy(json_object_get(cluster->owners, uid));
    int count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(children, key, value) {
        char parts[1024];
        struct kind *kind;
        snprintf(parts, sizeof parts, "%s", key);
        json_t *live = find(cluster, parts, &kind);
        if (!json_find(live, "metadata.ownerReferences", "uid", uid))
            continue;
        json_incref(live);
        each(cluster, kind, live, uid);
        json_decref(live);
        count++;
    }
    return count;
}
