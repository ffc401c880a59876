#include "reconcilers/fleet/explain.h"

#include "server/base/json.h"
#include "server/base/str.h"

enum { PODS_SHOWN = 8 }; /* as the CRD has it */

static const char stage_members[] =
    "name class reason documentsPerSecond missing reserved podsToCome podCount pods";
static const char pod_members[] = "ordinal name zone milliDocumentsPerSecond serves";
static const char waiting_members[] = "stage need free pods since deadline retry attempts";

static void keep_members(json_t *object, const char *members)
{
    const char *key;
    void *next;
    json_t *value;
    json_object_foreach_safe(object, next, key, value) {
        if (!str_has_word(members, key))
            json_object_del(object, key);
    }
}

static void keep_first(json_t *list, size_t count)
{
    while (json_array_size(list) > count)
        json_array_remove(list, json_array_size(list) - 1);
}

static size_t bytes_of(const json_t *value)
{
    return json_dumpb(value, NULL, 0, JSON_COMPACT);
}

/* The pods of every stage, of each as many at most. */
static void keep_pods(json_t *stages, size_t count)
{
    size_t index;
    json_t *stage;
    json_array_foreach(stages, index, stage)
        keep_first(json_object_get(stage, "pods"), count);
}

static json_t *known_part_of(const json_t *stages)
{
    json_t *copy = json_deep_copy(stages), *stage, *pod;
    size_t at, pod_at;
    json_array_foreach(copy, at, stage) {
        keep_members(stage, stage_members);
        json_array_foreach(json_object_get(stage, "pods"), pod_at, pod)
            keep_members(pod, pod_members);
    }
    return copy;
}

json_t *explain_stages(const json_t *status, const char **ret_cut)
{
    const json_t *stages = json_object_get(status, "stages");
    *ret_cut = NULL;
    if (!json_is_array(stages))
        return NULL;
    json_t *told = known_part_of(stages);
    size_t pods = PODS_SHOWN;
    keep_pods(told, pods);
    while (bytes_of(told) > EXPLAIN_STAGES_BYTES && pods > 0) {
        pods /= 2;
        keep_pods(told, pods);
        *ret_cut = "PodsLeftOut";
    }
    if (bytes_of(told) <= EXPLAIN_STAGES_BYTES)
        return told;
    *ret_cut = "StagesLeftOut";
    json_decref(told);
    return NULL;
}

json_t *explain_waiting(const json_t *status)
{
    const json_t *waiting = json_object_get(status, "waiting");
    if (!json_is_object(waiting))
        return NULL;
    json_t *told = json_deep_copy(waiting);
    keep_members(told, waiting_members);
    if (bytes_of(told) <= EXPLAIN_WAITING_BYTES)
        return told;
    json_decref(told);
    return NULL;
}
