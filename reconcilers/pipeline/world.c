#include "reconcilers/pipeline/world.h"

#include "reconcilers/kube/kube.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MAX = 100000000, CALM_S_MAX = 3600 };

/* ---- classes ---- */

/* The value of a word of the list, by its place; the first one for what is missing. */
static int word_of(const char *const words[], size_t count, const char *word)
{
    for (size_t at = 0; at < count; at++)
        if (str_equal(words[at], word))
            return (int)at;
    return 0;
}

static int64_t bounded(const json_t *spec, const char *path, int64_t otherwise, int64_t least,
                       int64_t most)
{
    int64_t value = json_int_or(spec, path, otherwise);
    return value < least ? least : value > most ? most : value;
}

/* Absent: what one pod can do. */
static int64_t compaction_of(const json_t *spec)
{
    int64_t capacity = bounded(spec, "capacity", 1, 1, CAPACITY_MAX);
    return bounded(spec, "compaction.documentsPerMinute", capacity, 0, CAPACITY_MAX) * MILLI;
}

/* The bounds are the CRD's: a field of an older one must not stop a whole namespace. */
static struct worker_class class_of(const json_t *object)
{
    static const char *const modes[] = {"Equal", "Weighted", "Whole"};
    static const enum place_mode mode_values[] = {PLACE_EQUAL, PLACE_WEIGHTED, PLACE_WHOLE};
    static const char *const policies[] = {"Pack", "Spread"};
    const json_t *spec = json_at(object, "spec");
    struct worker_class class = {
        .name = json_str_or(object, "metadata.name", ""),
        .generation = json_int_or(object, "metadata.generation", 0),
        .drain_s = (int32_t)bounded(spec, "drainSeconds", 5, 0, 3600),
        .quotas = json_at(spec, "quotas"),
        .compaction = compaction_of(spec),
        .slack = (uint32_t)bounded(spec, "compaction.slackReplicas",
                                   json_at(spec, "scaleTargetRef") ? 0 : 1, 0, WORLD_PODS_MAX),
        .spec = {
            .capacity = bounded(spec, "capacity", 1, 1, CAPACITY_MAX) * MILLI,
            .pods_max = (uint32_t)bounded(spec, "maxReplicas", 10, 1, WORLD_PODS_MAX),
            .split_max = (uint32_t)bounded(spec, "maxSplit", 16, 1, PLACE_SPLIT_MAX),
            .zones_min = (uint32_t)bounded(spec, "minZones", 1, 1, PLACE_ZONES_MAX),
            .timeout_s = (int32_t)bounded(spec, "scaleTimeoutSeconds", 600, 1, PLACE_TIMEOUT_S_MAX),
            .mode = mode_values[word_of(modes, ARRAY_SIZE(modes), json_str(spec, "mode"))],
            .policy = (enum place_policy)word_of(policies, ARRAY_SIZE(policies),
                                                 json_str(spec, "policy")),
        }};
    /* What cannot be in so many zones is in as many as can be. */
    if (class.spec.mode == PLACE_WHOLE)
        class.spec.zones_min = 1;
    else if (class.spec.zones_min > class.spec.split_max)
        class.spec.zones_min = class.spec.split_max;
    return class;
}

static struct scaling scaling_of(const json_t *object)
{
    const json_t *spec = json_at(object, "spec");
    int64_t pods_max = bounded(spec, "maxReplicas", 10, 1, WORLD_PODS_MAX);
    return (struct scaling){.target = json_str(spec, "scaleTargetRef.name"),
                            .any = str_equal(json_str(spec, "scaleTargetRef.kind"), "WorkerSet"),
                            .spare = (uint32_t)bounded(spec, "spareReplicas", 0, 0, pods_max),
                            .calm_s =
                                (int32_t)bounded(spec, "scaleDownSeconds", 30, 0, CALM_S_MAX)};
}

bool world_scales(const struct workers *workers)
{
    return workers->scaling.target && !workers->scaling.refused;
}

static int class_order(const void *a, const void *b)
{
    return strcmp(((const struct workers *)a)->class.name, ((const struct workers *)b)->class.name);
}

static void read_classes(struct ctx *ctx, const json_t *list, struct world *world)
{
    size_t at;
    json_t *object;
    world->classes = arena_alloc(ctx->arena, (json_array_size(list) + 1) * sizeof *world->classes);
    json_array_foreach(list, at, object)
        if (!kube_is_going(object))
            world->classes[world->class_count++] = (struct workers){
                .class = class_of(object),
                .scaling = scaling_of(object),
                .http_route = json_at(object, "spec.httpRoute"),
                .port = bounded(json_at(object, "spec"), "port", 8080, 1, UINT16_MAX)};
    qsort(world->classes, world->class_count, sizeof *world->classes, class_order);
    if (world->class_count > WORLD_CLASSES_MAX)
        world->class_count = WORLD_CLASSES_MAX;
}

/* ---- pods ---- */

bool world_ordinal(const char *name, uint32_t *ret)
{
    const char *dash = strrchr(name, '-');
    int64_t ordinal;
    if (!dash || !str_to_int(dash + 1, 0, WORLD_PODS_MAX - 1, &ordinal))
        return false;
    *ret = (uint32_t)ordinal;
    return true;
}

static int64_t time_s(const json_t *object, const char *path)
{
    int64_t ms;
    const char *text = json_str(object, path);
    return text && clock_parse_rfc3339(text, &ms) == 0 ? ms / 1000 : 0;
}

static struct worker worker_of(const json_t *pod)
{
    const json_t *ready = json_find(pod, "status.conditions", "type", "Ready");
    const char *phase = json_str_or(pod, "status.phase", "");
    struct worker worker = {.name = json_str(pod, "metadata.name"),
                            .uid = json_str(pod, "metadata.uid"),
                            .address = json_str(pod, "status.podIP"),
                            .zone = kube_label(pod, LABEL_ZONE),
                            .ready = str_equal(json_str(ready, "status"), "True"),
                            .unready_since_s = time_s(ready, "lastTransitionTime"),
                            .of_set = kube_label(pod, LABEL_WORKER_SET) != NULL,
                            .leaving = kube_annotation(pod, ANNOTATION_LEAVING) != NULL};
    if (kube_annotation(pod, ANNOTATION_RELEASED))
        return (struct worker){0}; /* it may be gone at any moment */
    if (str_has_word("Succeeded Failed", phase))
        worker.state = POD_ABSENT;
    else if (kube_is_going(pod) || worker.leaving)
        worker.state = worker.ready ? POD_DRAINING : POD_ABSENT;
    else
        worker.state = worker.ready && worker.address ? POD_READY : POD_STARTING;
    return worker;
}

const struct workers *world_class(const struct world *world, const char *name, uint32_t *ret_at)
{
    for (uint32_t at = 0; name && at < world->class_count; at++) {
        if (!str_equal(world->classes[at].class.name, name))
            continue;
        *ret_at = at;
        return &world->classes[at];
    }
    return NULL;
}

/* Two workloads may make pods of one class and ordinal. The one that serves counts, then the lower
 * name, in whatever order they are listed. */
static bool is_before(const struct worker *one, const struct worker *other)
{
    if ((one->state == POD_READY) != (other->state == POD_READY))
        return one->state == POD_READY;
    return strcmp(one->name, other->name) < 0;
}

static void put_worker(struct workers *workers, uint32_t ordinal, struct worker worker)
{
    struct worker *there = &workers->pods[ordinal];
    if (worker.state == POD_ABSENT && there->state != POD_ABSENT)
        return;
    if (there->state != POD_ABSENT && worker.state != POD_ABSENT) {
        bool first = is_before(&worker, there);
        const char *twin = first ? there->name : worker.name;
        if (!workers->twin || strcmp(twin, workers->twin) < 0)
            workers->twin = twin;
        if (!first)
            return;
    }
    *there = worker;
}

static struct workers *class_of_pod(const struct world *world, const json_t *pod)
{
    uint32_t at;
    const char *class = kube_label(pod, LABEL_WORKER_CLASS);
    return world_class(world, class, &at) ? &world->classes[at] : NULL;
}

static void read_pods(struct ctx *ctx, const json_t *list, struct world *world)
{
    size_t at;
    json_t *pod;
    uint32_t ordinal;
    json_array_foreach(list, at, pod) {
        struct workers *workers = class_of_pod(world, pod);
        if (!workers || !world_ordinal(json_str_or(pod, "metadata.name", ""), &ordinal))
            continue;
        if (!workers->pods)
            workers->pods = arena_alloc(ctx->arena, WORLD_PODS_MAX * sizeof *workers->pods);
        struct worker worker = worker_of(pod);
        if (worker.state == POD_READY && ordinal >= workers->class.spec.pods_max)
            worker.state = POD_DRAINING; /* one too many: it is emptied */
        put_worker(workers, ordinal, worker);
        if (ordinal >= workers->count)
            workers->count = ordinal + 1;
    }
}

/* ---- pipelines ---- */

static int wish_order(const void *a, const void *b)
{
    const json_t *one = ((const struct pipeline_wish *)a)->object;
    const json_t *other = ((const struct pipeline_wish *)b)->object;
    int order = strcmp(json_str_or(one, "metadata.creationTimestamp", ""),
                       json_str_or(other, "metadata.creationTimestamp", ""));
    return order ? order
                 : strcmp(json_str_or(one, "metadata.name", ""),
                          json_str_or(other, "metadata.name", ""));
}

static const char *tenant_of(const json_t *object)
{
    const char *tenant = kube_label(object, LABEL_OF_TENANT);
    return tenant ? tenant : "";
}

static void read_pipelines(struct ctx *ctx, const json_t *list, struct world *world)
{
    size_t at;
    json_t *object;
    struct worker_class classes[WORLD_CLASSES_MAX];
    for (uint32_t class = 0; class < world->class_count; class ++)
        classes[class] = world->classes[class].class;
    world->pipelines =
        arena_alloc(ctx->arena, (json_array_size(list) + 1) * sizeof *world->pipelines);
    json_array_foreach(list, at, object) {
        if (kube_is_going(object) || world->pipeline_count == WORLD_PIPELINES_MAX)
            continue;
        struct pipeline_wish *wish = &world->pipelines[world->pipeline_count++];
        const json_t *spec = json_at(object, "spec");
        *wish = (struct pipeline_wish){
            .name = json_str_or(object, "metadata.name", ""),
            .uid = json_str_or(object, "metadata.uid", ""),
            .tenant = tenant_of(object),
            .priority = (int32_t)bounded(spec, "priority", 0, 0, PLACE_PRIORITY_MAX),
            .object = object};
        graph_read(ctx, spec, classes, world->class_count, &wish->graph);
    }
    qsort(world->pipelines, world->pipeline_count, sizeof *world->pipelines, wish_order);
}

struct worker world_worker(const struct workers *workers, uint32_t ordinal)
{
    return workers && ordinal < workers->count ? workers->pods[ordinal] : (struct worker){0};
}

void world_read(struct ctx *ctx, const json_t *classes, const json_t *pods, const json_t *pipelines,
                int64_t now_s, struct world *ret)
{
    *ret = (struct world){.now_s = now_s};
    read_classes(ctx, classes, ret);
    read_pods(ctx, pods, ret);
    read_pipelines(ctx, pipelines, ret);
}
