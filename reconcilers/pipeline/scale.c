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

/* "apps" of "apps/v1"; "" of "v1". */
static bool same_group(const char *one, const char *other)
{
    size_t length = strchr(one, '/') ? strcspn(one, "/") : 0;
    return length == (strchr(other, '/') ? strcspn(other, "/") : 0) &&
           strncmp(one, other, length) == 0;
}

/* The autoscaler that scales the same target; NULL = none. */
static const char *autoscaler_of(const struct scene *scene, const struct kube_kind_row *kind,
                                 const char *target)
{
    size_t at;
    json_t *scaler;
    json_array_foreach(scene->autoscalers, at, scaler)
        if (str_equal(json_str(scaler, "spec.scaleTargetRef.name"), target) &&
            str_equal(json_str(scaler, "spec.scaleTargetRef.kind"), kind->kind) &&
            same_group(json_str_or(scaler, "spec.scaleTargetRef.apiVersion", ""),
                       kind->api_version))
            return json_str(scaler, "metadata.name");
    return NULL;
}

/* The class whose pods it makes. */
static const char *class_of(const struct scaling *scaling)
{
    const json_t *labels = json_at(scaling->object, "spec.template.metadata.labels");
    return scaling->any ? json_str(scaling->object, "spec.class")
                        : json_string_value(json_object_get(labels, LABEL_WORKER_CLASS));
}

static const struct kube_kind_row *row_of(const struct scaling *scaling)
{
    return kube_kind_row(scaling->any ? KIND_WORKER_SET : KIND_STATEFUL_SET);
}

const char *scale_kind(const struct scaling *scaling)
{
    return row_of(scaling)->kind;
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

/* Whether it is ours to scale. Pods carry the label of one class: of two that name a target it is
 * that one's. */
static void judge(struct ctx *ctx, const struct scene *scene, const struct world *world,
                  uint32_t at, struct scaling *scaling)
{
    const char *kind = scale_kind(scaling), *name = scaling->target;
    const char *class = world->classes[at].class.name;
    const char *scaler = autoscaler_of(scene, row_of(scaling), name);
    if (!scaling->object)
        refuse(ctx, scaling, "ScaleTargetMissing", "there is no %s '%s'", kind, name);
    else if (!str_equal(class_of(scaling), class))
        refuse(ctx, scaling, "OtherClass", "the pods of %s '%s' do not carry the label %s=%s", kind,
               name, LABEL_WORKER_CLASS, class);
    else if (json_int_or(scaling->object, "spec.ordinals.start", 0) != 0)
        refuse(ctx, scaling, "NotFromZero", "the pods of %s '%s' are not numbered from 0", kind,
               name);
    else if (scaler)
        refuse(ctx, scaling, "ForeignAutoscaler",
               "HorizontalPodAutoscaler '%s' scales %s '%s': remove it, or spec.scaleTargetRef",
               scaler, kind, name);
}

static void look_at_target(struct ctx *ctx, struct placer_scope *scope, uint32_t at)
{
    struct scaling *scaling = &scope->world.classes[at].scaling;
    const json_t *target =
        kube_named(scaling->any ? scope->scene.worker_sets : scope->scene.stateful_sets,
                   scaling->target, NULL);
    if (kube_is_going(target))
        target = NULL;
    scaling->object = target;
    scaling->there = (uint32_t)json_int_or(target, "spec.replicas", target ? 1 : 0);
    scaling->ordered =
        !scaling->any &&
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
    for (uint32_t at = 0; scope->scene.stateful_sets && at < scope->world.class_count; at++)
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
    const struct worker *worker = &workers->pods[ordinal];
    return (worker->of_set || world_scales(workers)) && !is_known(entry, ordinal) &&
           (worker->state == POD_STARTING || worker->state == POD_READY);
}

/* How many pods the StatefulSet's controller is at work to have; 0 = it has not heard of the last
 * change. */
static int followed(struct ctx *ctx, struct pass *pass, const struct scaling *scaling, int64_t *ret)
{
    json_t *target;
    *ret = WORLD_PODS_MAX; /* of a WorkerSet each pod says itself that it is to go */
    if (!scaling->target || scaling->refused || scaling->any)
        return 0;
    TRY(pass_get_live(ctx, pass, CALL_KUBE_PIPELINE_TARGET, KIND_STATEFUL_SET, pass->key.namespace,
                      scaling->target, &target));
    bool heard = json_int_or(target, "status.observedGeneration", -1) >=
                 json_int_or(target, "metadata.generation", 0);
    *ret = heard ? json_int_or(target, "spec.replicas", 0) : 0;
    return 0;
}

/* Nobody wants it gone. */
static bool is_alive(const json_t *pod, const char *uid)
{
    return str_equal(json_str(pod, "metadata.uid"), uid) && !kube_is_going(pod) &&
           !kube_annotation(pod, ANNOTATION_LEAVING);
}

/* First their number, then the pods: who was let go before is seen to go. */
static int verify_class(struct ctx *ctx, struct pass *pass, struct workers *workers,
                        const json_t *entry)
{
    json_t *pods;
    int64_t wanted;
    size_t budget = PODS_MAX_BYTES;
    const char *selector =
        arena_printf(ctx->arena, "%s=%s", LABEL_WORKER_CLASS, workers->class.name);
    TRY(followed(ctx, pass, &workers->scaling, &wanted));
    TRY(kube_list_within(ctx, CALL_KUBE_PIPELINE_PODS, pass_kube(pass), KIND_POD,
                         pass->key.namespace, selector, &budget, &pods));
    for (uint32_t at = 0; at < workers->count; at++) {
        struct worker *worker = &workers->pods[at];
        if (!is_new(workers, entry, at) ||
            (at < wanted && is_alive(kube_named(pods, worker->name, NULL), worker->uid)))
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
        if (at < workers->count)
            TRY(verify_class(ctx, pass, workers, entry));
    }
    return 0;
}
