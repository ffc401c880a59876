/*
 * Letting go of the pods of WorkerSets. Who wants one gone marks it (workerset.c), for good; it is
 * emptied like one that is being deleted. Behind the commit of a decision in which it carries
 * nothing, when nothing leads to it either, it is released: written on the pod, fenced by what was
 * read. A marked pod never gets anything again, so what is released stays without anything.
 */
#include "reconcilers/pipeline/routes.h"
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

static bool is_asked(const json_t *pod)
{
    return kube_annotation(pod, ANNOTATION_LEAVING) && !kube_annotation(pod, ANNOTATION_RELEASED) &&
           !kube_is_going(pod);
}

static bool is_ready(const json_t *pod)
{
    return condition_is(json_object_get(pod, "status"), "Ready", "True");
}

/* Of the ledger's classes the numbers on which something runs, or which something leaves; and those
 * on which a pipeline that does not run has its share: that leads nowhere. */
struct kept_class {
    const char *name, *pods;
    bool carried[WORLD_PODS_MAX], reserved[WORLD_PODS_MAX];
};

/* What keeps pods, gathered once for all that are asked for. */
struct keepers {
    struct routes routes;
    struct pod_names bound, bound_ready;
    uint32_t class_count;
    struct kept_class *classes;
};

static struct kept_class *class_named(const struct keepers *keepers, const char *name)
{
    for (uint32_t at = 0; at < keepers->class_count; at++)
        if (str_equal(keepers->classes[at].name, name))
            return &keepers->classes[at];
    return NULL;
}

static void note_numbers(const json_t *items, bool numbers[WORLD_PODS_MAX])
{
    size_t at;
    json_t *item;
    json_array_foreach(items, at, item) {
        int64_t ordinal = json_int_or(item, "pod", -1);
        if (ordinal >= 0 && ordinal < WORLD_PODS_MAX)
            numbers[ordinal] = true;
    }
}

static void note_pipeline(const struct keepers *keepers, const json_t *pipeline)
{
    bool runs = json_bool_or(pipeline, "ran", false);
    size_t at;
    json_t *row;
    json_array_foreach(json_at(pipeline, "stages"), at, row) {
        struct kept_class *class = class_named(keepers, json_str(row, "class"));
        if (class)
            note_numbers(json_at(row, "shares"), runs ? class->carried : class->reserved);
    }
}

static void read_ledger(struct arena *arena, const json_t *ledger, struct keepers *keepers)
{
    const json_t *classes = json_at(ledger, "classes");
    size_t at;
    json_t *item;
    keepers->classes =
        arena_alloc(arena, (json_array_size(classes) + 1) * sizeof *keepers->classes);
    json_array_foreach(classes, at, item) {
        struct kept_class *class = &keepers->classes[keepers->class_count++];
        *class = (struct kept_class){.name = json_str_or(item, "name", ""),
                                     .pods = json_str_or(item, "pods", "")};
        note_numbers(json_at(item, "leaving"), class->carried);
    }
    json_array_foreach(json_at(ledger, "pipelines"), at, item)
        note_pipeline(keepers, item);
}

static void read_bindings(struct arena *arena, const struct bindings *bindings,
                          struct keepers *keepers)
{
    size_t at;
    json_t *share;
    for (uint32_t row = 0; row < bindings->count; row++)
        json_array_foreach(json_at(bindings->rows[row].object, "spec.shares"), at, share) {
            const char *pod = json_str_or(share, "pod", "");
            pod_names_add(arena, &keepers->bound, pod);
            if (json_bool_or(share, "ready", false))
                pod_names_add(arena, &keepers->bound_ready, pod);
        }
    pod_names_sort(&keepers->bound);
    pod_names_sort(&keepers->bound_ready);
}

static int keepers_read(struct ctx *ctx, struct pass *pass, struct keepers **ret)
{
    const struct placer_scope *scope = pass->scope;
    struct keepers *made = arena_alloc(ctx->arena, sizeof *made);
    *made = (struct keepers){0};
    TRY(routes_read(ctx, pass, &made->routes));
    read_ledger(ctx->arena, scope->decision.ledger, made);
    read_bindings(ctx->arena, &scope->bindings, made);
    *ret = made;
    return 0;
}

/* A decision may place something there, or has. What is only reserved on a pod that serves and is
 * to go closes it to all else, and waits for the next one of that number: where no further pod may
 * be asked for, it could wait for nothing else. */
static bool is_kept(const struct kept_class *class, uint32_t ordinal, bool ready)
{
    bool open = ordinal < strlen(class->pods) && strchr("RS", class->pods[ordinal]);
    if (ready)
        return class->carried[ordinal] || (open && !class->reserved[ordinal]);
    return open;
}

/* One that is not ready serves nobody: what waits for its number waits for the next of that name.
 */
static bool is_free(const struct keepers *keepers, const json_t *pod)
{
    const char *name = json_str_or(pod, "metadata.name", "");
    const struct kept_class *class = class_named(keepers, kube_label(pod, LABEL_WORKER_CLASS));
    bool ready = is_ready(pod);
    uint32_t ordinal;
    if (class && world_ordinal(name, &ordinal) && is_kept(class, ordinal, ready))
        return false;
    return !pod_names_have(ready ? &keepers->bound : &keepers->bound_ready, name) &&
           !routes_lead_to(&keepers->routes, name, !ready);
}

static int release(struct ctx *ctx, struct pass *pass, const json_t *pod)
{
    const struct placer_scope *scope = pass->scope;
    const char *decision = arena_printf(ctx->arena, "decision %" PRId64,
                                        json_int_or(scope->decision.ledger, "decision", 0));
    json_t *patch = arena_json(ctx->arena, json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
                                                     ANNOTATION_RELEASED, decision));
    pass_requeue(pass, PLACER_PACE_MS); /* it is no worker any more */
    return pass_patch(ctx, pass, CALL_KUBE_PIPELINE_RELEASE, pod, NULL, patch, NULL);
}

int release_pods(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    struct keepers *keepers = NULL;
    size_t at;
    json_t *pod;
    json_array_foreach(scope->scene.pods, at, pod) {
        if (!is_asked(pod))
            continue;
        if (!keepers)
            TRY(refusals_note(ctx, &scope->scale_refusals, keepers_read(ctx, pass, &keepers)));
        if (!keepers)
            return 0; /* it is told, and holds up nothing else */
        if (is_free(keepers, pod))
            TRY(refusals_note(ctx, &scope->scale_refusals, release(ctx, pass, pod)));
        else
            pass_requeue(pass, LEADS_STILL_MS);
    }
    return 0;
}
