#include "server/dev/devcluster/store.h"

#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/controllers.h"
#include "server/dev/devcluster/owned.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { HISTORY_DEFAULT = 10000, HISTORY_MAX_BYTES = 32 << 20, KEY_BYTES = 640 };

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

/* ---- texts ---- */

static json_t *tell(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_t *told =
        json_pack("{s:o, s:{s:O*, s:O*, s:O*}}", "text", json_string_nocheck(text), "metadata",
                  "namespace", json_at(object, "metadata.namespace"), "name",
                  json_at(object, "metadata.name"), "labels", json_at(object, "metadata.labels"));
    free(text);
    return told;
}

const char *store_text(struct arena *arena, const struct kind *kind, const json_t *object)
{
    const struct object *found =
        find(kind, json_str(object, "metadata.namespace"), json_str(object, "metadata.name"));
    if (!found || found->value != object)
        return NULL;
    return json_str(arena_json(arena, json_incref(found->told)), "text");
}

json_t *store_recall(struct arena *arena, const json_t *told)
{
    const char *text = json_str(told, "text");
    return text ? arena_json(arena, json_loads(text, 0, NULL)) : NULL;
}

/* ---- changes ---- */

const struct change *store_older(const struct kind *kind, const struct change *change)
{
    if (!change)
        return kind->changes ? kind->changes->prev : NULL;
    return change == kind->changes ? NULL : change->prev;
}

static void forget(struct kind *kind)
{
    struct change *oldest = kind->changes;
    DL_DELETE(kind->changes, oldest);
    kind->forgotten = oldest->version;
    kind->changed--;
    kind->bytes -= oldest->bytes;
    json_decref(oldest->before);
    json_decref(oldest->after);
    free(oldest);
}

static void remember(struct devcluster *cluster, struct kind *kind, struct change row)
{
    size_t keep = cluster->options.history ? (size_t)cluster->options.history : HISTORY_DEFAULT;
    struct change *change = calloc(1, sizeof *change);
    if (!change)
        abort();
    *change = row;
    change->version = cluster->version;
    change->bytes = json_string_length(json_object_get(row.after, "text"));
    DL_APPEND(kind->changes, change);
    kind->changed++;
    kind->bytes += change->bytes;
    while (kind->changed > keep || kind->bytes > HISTORY_MAX_BYTES)
        forget(kind);
    pthread_cond_broadcast(&kind->news);
    pthread_cond_signal(&cluster->news);
}

/* Steals `next`: the state that it has from now on, or had at its end. */
static void change(struct devcluster *cluster, struct kind *kind, struct object *object,
                   const char *type, json_t *next)
{
    json_t *was = object->value, *told = object->told;
    json_put(next, "metadata.resourceVersion", json_sprintf("%" PRIu64, ++cluster->version));
    object->value = next;
    object->told = tell(next);
    remember(cluster, kind,
             (struct change){.type = type, .before = told, .after = json_incref(object->told)});
    owned_note(cluster, kind, was, true);
    if (!str_equal(type, "DELETED"))
        owned_note(cluster, kind, next, false);
    controllers_notice(cluster, kind, next, type);
    json_decref(was);
}

void store_put(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *next)
{
    kind = kind->home;
    const char *namespace = json_str(next, "metadata.namespace");
    const char *name = json_str(next, "metadata.name");
    struct object *object = find(kind, namespace, name);
    if (!object) {
        char key[KEY_BYTES];
        object = calloc(1, sizeof *object);
        if (!object || !(object->key = strdup(make_key(key, namespace, name))))
            abort();
        HASH_ADD_KEYPTR(hh, kind->objects, object->key, strlen(object->key), object);
    }
    change(cluster, kind, object, live ? "MODIFIED" : "ADDED", next);
}

static void drop(struct kind *kind, struct object *object)
{
    HASH_DEL(kind->objects, object);
    json_decref(object->value);
    json_decref(object->told);
    free(object->key);
    free(object);
}

void store_remove(struct devcluster *cluster, struct kind *kind, json_t *live, json_t *last)
{
    kind = kind->home;
    struct object *object =
        find(kind, json_str(live, "metadata.namespace"), json_str(live, "metadata.name"));
    if (!object)
        return json_decref(last);
    change(cluster, kind, object, "DELETED", last);
    drop(kind, object);
}

void store_done(struct kind *kind)
{
    while (kind->objects)
        drop(kind, kind->objects);
    while (kind->changes)
        forget(kind);
}
