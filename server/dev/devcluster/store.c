#include "server/dev/devcluster/store.h"

#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/owned.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_DEFAULT = 10000, KEY_BYTES = 640 };

static const char *make_key(char out[KEY_BYTES], const char *namespace, const char *name)
{
    snprintf(out, KEY_BYTES, "%s/%s", namespace ? namespace : "", name ? name : "");
    return out;
}

static struct object *find(const struct kind *kind, const char *namespace, const char *name)
{
    char key[KEY_BYTES];
    struct object *found = NULL;
    make_key(key, namespace, name);
    HASH_FIND_STR(kind->home->objects, key, found);
    return found;
}

json_t *store_get(const struct kind *kind, const char *namespace, const char *name)
{
    struct object *found = find(kind, namespace, name);
    return found ? found->value : NULL;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(struct object *const *)a)->key, (*(struct object *const *)b)->key);
}

json_t *store_list(const struct kind *kind, const char *namespace)
{
    size_t count = 0;
    struct object **all = calloc(HASH_COUNT(kind->home->objects) + 1, sizeof(struct object *));
    if (!all)
        abort();
    for (struct object *at = kind->home->objects; at; at = at->hh.next)
        if (!namespace || str_equal(json_str(at->value, "metadata.namespace"), namespace))
            all[count++] = at;
    qsort(all, count, sizeof *all, by_key);
    json_t *list = json_array();
    for (size_t at = 0; at < count; at++)
        json_array_append(list, all[at]->value);
    free(all);
    return list;
}

char *store_version(struct arena *arena, uint64_t version)
{
    return arena_printf(arena, "%" PRIu64, version);
}

/* ---- changes ---- */

static void forget(struct kind *kind, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        json_decref(kind->changes[at].before);
        json_decref(kind->changes[at].after);
    }
    kind->forgotten = kind->changes[count - 1].version;
    kind->changed -= count;
    memmove(kind->changes, kind->changes + count, kind->changed * sizeof *kind->changes);
}

static void remember(struct devcluster *cluster, struct kind *kind, struct change change)
{
    size_t keep = cluster->options.history ? (size_t)cluster->options.history : HISTORY_DEFAULT;
    if (!kind->changes)
        kind->changes = calloc(2 * keep, sizeof *kind->changes);
    if (!kind->changes)
        abort();
    if (kind->changed == 2 * keep)
        forget(kind, keep);
    change.version = cluster->version;
    json_incref(change.before);
    json_incref(change.after);
    kind->changes[kind->changed++] = change;
    pthread_cond_broadcast(&cluster->news);
    owned_note(cluster, kind, change.before, true);
    if (!str_equal(change.type, "DELETED"))
        owned_note(cluster, kind, change.after, false);
    controllers_notice(cluster, kind, change.after, change.type);
}

static void stamp(struct devcluster *cluster, json_t *object)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, ++cluster->version);
    json_put(object, "metadata.resourceVersion", json_string(text));
}

void store_put(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *next)
{
    kind = kind->home;
    stamp(cluster, next);
    struct object *object =
        find(kind, json_str(next, "metadata.namespace"), json_str(next, "metadata.name"));
    if (!object) {
        char key[KEY_BYTES];
        make_key(key, json_str(next, "metadata.namespace"), json_str(next, "metadata.name"));
        object = calloc(1, sizeof *object);
        if (!object || !(object->key = strdup(key)))
            abort();
        HASH_ADD_KEYPTR(hh, kind->objects, object->key, strlen(object->key), object);
    }
    json_t *before = object->value;
    object->value = next;
    remember(cluster, kind,
             (struct change){.type = live ? "MODIFIED" : "ADDED", .before = before, .after = next});
    json_decref(before);
}

static void drop(struct kind *kind, struct object *object)
{
    HASH_DEL(kind->objects, object);
    json_decref(object->value);
    free(object->key);
    free(object);
}

void store_remove(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *last)
{
    kind = kind->home;
    stamp(cluster, last);
    struct object *object =
        find(kind, json_str(live, "metadata.namespace"), json_str(live, "metadata.name"));
    remember(cluster, kind, (struct change){.type = "DELETED", .before = live, .after = last});
    json_decref(last);
    if (object)
        drop(kind, object);
}

void store_done(struct kind *kind)
{
    while (kind->objects)
        drop(kind, kind->objects);
    if (kind->changed)
        forget(kind, kind->changed);
    free(kind->changes);
    kind->changes = NULL;
}
