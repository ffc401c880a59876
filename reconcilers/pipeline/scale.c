/*
 * Asking for pods: where a WorkerClass names whose pods its are, there are to be as many as the
 * ledger says (asked.c). It is committed first and written then. Nobody is let go to whom anything
 * leads, and a pod that was let go gets nothing any more, even if it is still there: one that is
 * new to the ledger is believed in only when the server shows it alive behind the last change of
 * their number.
 */
#include "reconcilers/pipeline/asked.h"
#include "reconcilers/pipeline/scope.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdarg.h>
#include <string.h>

enum { AGAIN_MS = 1000 };

/* ---- looking ---- */

static const json_t *named(const json_t *list, const char *name)
{
    size_t at;
    json_t *object;
    json_array_foreach(list, at, object)
        if (str_equal(json_str(object, "metadata.name"), name))
            return object;
    return NULL;
}

/* The autoscaler that scales the same target; NULL = none. */
static const char *autoscaler_of(const struct scene *scene, const char *target)
{
    size_t at;
    json_t *scaler;
    json_array_foreach(scene->autoscalers, at, scaler)
        if (str_equal(json_str(scaler, "spec.scaleTargetRef.name"), target) &&
            str_equal(json_str(scaler, "spec.scaleTargetRef.kind"),
                      kube_kind_row(KIND_STATEFUL_SET)->kind))
            return json_str(scaler, "metadata.name");
    return NULL;
}

static const char *class_before(const struct world *world, uint32_t at)
{
    for (uint32_t other = 0; other < at; other++)
        if (str_equal(world->classes[other].scaling.target, world->classes[at].scaling.target))
            return world->classes[other].class.name;
    return NULL;
}

static const char *label_of(const json_t *target)
{
    const json_t *labels = json_at(target, "spec.template.metadata.labels");
    return json_string_value(json_object_get(labels, LABEL_WORKER_CLASS));
}

__attribute__((format(printf, 4, 5))) static void
refuse(struct ctx *ctx, struct scaling *scaling, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    scaling->message = arena_vprintf(ctx->arena, format, args);
    va_end(args);
    scaling->refused = reason;
}

/* Whether it is ours to scale. */
static void judge(struct ctx *ctx, const struct scene *scene, const struct world *world,
                  uint32_t at, struct scaling *scaling)
{
    const char *name = scaling->target, *class = world->classes[at].class.name;
    const char *other = class_before(world, at), *scaler = autoscaler_of(scene, name);
    if (!scaling->object)
        refuse(ctx, scaling, "ScaleTargetMissing", "there is no StatefulSet '%s'", name);
    else if (other)
        refuse(ctx, scaling, "TargetShared", "WorkerClass '%s' scales StatefulSet '%s' already",
               other, name);
    else if (!str_equal(label_of(scaling->object), class))
        refuse(ctx, scaling, "OtherClass",
               "the pods of StatefulSet '%s' do not carry the label %s=%s", name,
               LABEL_WORKER_CLASS, class);
    else if (json_int_or(scaling->object, "spec.ordinals.start", 0) != 0)
        refuse(ctx, scaling, "NotFromZero", "the pods of StatefulSet '%s' are not numbered from 0",
               name);
    else if (scaler)
        refuse(ctx, scaling, "ForeignAutoscaler",
               "HorizontalPodAutoscaler '%s' scales StatefulSet '%s': remove it, or "
               "spec.scaleTargetRef",
               scaler, name);
}

static void look_at_target(struct ctx *ctx, struct placer_scope *scope, uint32_t at)
{
    struct scaling *scaling = &scope->world.classes[at].scaling;
    const json_t *target = named(scope->scene.targets, scaling->target);
    if (json_at(target, "metadata.deletionTimestamp"))
        target = NULL;
    scaling->object = target;
    scaling->there = (uint32_t)json_int_or(target, "spec.replicas", target ? 1 : 0);
    scaling->ordered =
        !str_equal(json_str_or(target, "spec.podManagementPolicy", "OrderedReady"), "Parallel");
    judge(ctx, &scope->scene, &scope->world, at, scaling);
}

static void note_bound(struct placer_scope *scope)
{
    uint32_t class_at, ordinal;
    size_t at;
    json_t *share;
    for (uint32_t row = 0; row < scope->bindings.count; row++) {
        const json_t *binding = scope->bindings.rows[row].object;
        const struct workers *workers =
            world_class(&scope->world, json_str_or(binding, "spec.class", ""), &class_at);
        json_array_foreach(json_at(binding, "spec.shares"), at, share)
            if (workers && world_ordinal(json_str_or(share, "pod", ""), &ordinal) &&
                ordinal < workers->count)
                workers->pods[ordinal].bound = true;
    }
}

void scale_look(struct ctx *ctx, struct placer_scope *scope)
{
    scope->outcomes =
        arena_alloc(ctx->arena, (scope->world.class_count + 1) * sizeof *scope->outcomes);
    for (uint32_t at = 0; scope->scene.targets && at < scope->world.class_count; at++)
        if (scope->world.classes[at].scaling.target)
            look_at_target(ctx, scope, at);
    note_bound(scope);
    asked_close(&scope->world, scope->scene.ledger);
}

/* ---- pods that are new ---- */

/* The ledger has it as one that serves or starts: it was seen alive, and has not been let go since.
 */
static bool is_known(const json_t *entry, uint32_t ordinal)
{
    const char *pods = json_str_or(entry, "pods", "");
    return ordinal < strlen(pods) && strchr("RS", pods[ordinal]);
}

static bool is_new(const struct workers *workers, const json_t *entry, uint32_t ordinal)
{
    enum pod_state state = workers->pods[ordinal].state;
    return (state == POD_STARTING || state == POD_READY) && !is_known(entry, ordinal);
}

/* How many pods its controller is at work to have; 0 = it has not heard of the last change. */
static int64_t followed(const json_t *target)
{
    int64_t seen = json_int_or(target, "status.observedGeneration", -1);
    return seen >= json_int_or(target, "metadata.generation", 0)
               ? json_int_or(target, "spec.replicas", 0)
               : 0;
}

/* First their number, then the pods: who was let go before is seen to go. */
static int verify_class(struct ctx *ctx, struct pass *pass, struct workers *workers,
                        const json_t *entry)
{
    json_t *target, *pods;
    const char *namespace = pass->key.namespace;
    const char *selector =
        arena_printf(ctx->arena, "%s=%s", LABEL_WORKER_CLASS, workers->class.name);
    TRY(pass_get_live(ctx, pass, CALL_KUBE_PIPELINE_TARGET, KIND_STATEFUL_SET, namespace,
                      workers->scaling.target, &target));
    int64_t wanted = followed(target);
    TRY(kube_list(ctx, CALL_KUBE_PIPELINE_PODS, pass_kube(pass), KIND_POD, namespace, selector,
                  &pods));
    for (uint32_t at = 0; at < workers->count; at++) {
        struct worker *worker = &workers->pods[at];
        const json_t *pod = named(pods, worker->name);
        if (!is_new(workers, entry, at) ||
            (at < wanted && str_equal(json_str(pod, "metadata.uid"), worker->uid) &&
             !json_at(pod, "metadata.deletionTimestamp")))
            continue;
        *worker = (struct worker){.bound = worker->bound};
        pass_requeue(pass, AGAIN_MS);
    }
    return 0;
}

int scale_verify(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    for (uint32_t class = 0; class < scope->world.class_count; class ++) {
        struct workers *workers = &scope->world.classes[class];
        const json_t *entry =
            json_find(scope->scene.ledger, "classes", "name", workers->class.name);
        uint32_t at = 0;
        while (at < workers->count && !is_new(workers, entry, at))
            at++;
        if (world_scales(workers) && at < workers->count)
            TRY(verify_class(ctx, pass, workers, entry));
    }
    return 0;
}
