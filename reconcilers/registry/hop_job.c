/*
 * The Jobs of a hop. Before it, that of the images: each must have come to a node, or nothing is
 * stopped. In it, the migration's: it is never ended while it may be at work, only when its image
 * does not come; and when it failed it is kept, with its pods, for their logs.
 */
#include "reconcilers/registry/scope.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

/* ---- what pods tell of images; pure ---- */

static bool is_of(const json_t *pod, const json_t *job)
{
    const char *uid =
        json_str(job, "metadata.uid"); /* NULL: it is not there yet, and has no pods */
    return uid && kube_is_controlled_by(pod, uid);
}

/* It ran, or tried to. A pod that was lost calls a container ended that never began. */
static bool has_come(const json_t *container)
{
    const char *ended = json_str(container, "state.terminated.reason");
    return *json_str_or(container, "imageID", "") || json_at(container, "state.running") ||
           (json_at(container, "state.terminated") && !str_equal(ended, "ContainerStatusUnknown"));
}

static bool came_with(const json_t *job, const json_t *pods, const char *name)
{
    size_t at;
    json_t *pod;
    json_array_foreach(pods, at, pod)
        if (is_of(pod, job) && has_come(json_find(pod, "status.containerStatuses", "name", name)))
            return true;
    return false;
}

bool hop_images_came(const json_t *job, const json_t *pods)
{
    const json_t *containers = json_at(job, "spec.template.spec.containers");
    size_t at;
    json_t *container;
    json_array_foreach(containers, at, container)
        if (!came_with(job, pods, json_str_or(container, "name", "")))
            return false;
    return json_array_size(containers) > 0;
}

/* The first container of a pod that waits for its image, in words of the kubelet's. */
static const char *missing_in(const json_t *pod)
{
    static const char words[] = "ErrImagePull ImagePullBackOff InvalidImageName ErrImageNeverPull "
                                "ImageInspectError RegistryUnavailable SignatureValidationFailed";
    size_t at;
    json_t *container;
    json_array_foreach(json_at(pod, "status.containerStatuses"), at, container) {
        const char *word = json_str(container, "state.waiting.reason");
        if (word && str_has_word(words, word))
            return json_str_or(container, "image", "");
    }
    return NULL;
}

const char *hop_image_missing(const json_t *job, const json_t *pods, int64_t made_before_ms)
{
    size_t at;
    json_t *pod;
    json_array_foreach(pods, at, pod)
        if (is_of(pod, job) && missing_in(pod) &&
            registry_time_passed(json_str(pod, "metadata.creationTimestamp"), made_before_ms))
            return missing_in(pod);
    return NULL;
}

const char *hop_image_late(const struct pass *pass, const json_t *job)
{
    const struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    return hop_image_missing(job, scope->pods, clock_wall_ms() - home->pull_wait_ms);
}

/* ---- the Jobs ---- */

const json_t *hop_job(struct ctx *ctx, struct pass *pass, const char *component,
                      const char *version)
{
    const struct registry_scope *scope = pass->scope;
    const char *tag = arena_printf(ctx->arena, ":v%s", version);
    const json_t *jobs =
        pass_list(ctx, pass, KIND_JOB, scope->namespace, LABEL_REGISTRY, scope->name);
    size_t at;
    json_t *job;
    json_array_foreach(jobs, at, job) {
        const char *image = json_str_or(job, "spec.template.spec.containers.0.image", "");
        const char *end = strstr(image, tag);
        if (registry_owns(scope, job) && str_equal(kube_label(job, LABEL_COMPONENT), component) &&
            end && str_equal(end, tag))
            return job;
    }
    return NULL;
}

/* ---- a failed one is kept: what no row of the bundle made is not pruned ---- */

int hop_keep_job(struct ctx *ctx, struct pass *pass, const char *version)
{
    const json_t *job = hop_job(ctx, pass, HOP_MIGRATION, version);
    if (!job || !kube_annotation(job, ANNOTATION_BUNDLE_ID))
        return 0;
    json_t *patch = arena_json(
        ctx->arena, json_pack("{s:{s:{s:n}}}", "metadata", "annotations", ANNOTATION_BUNDLE_ID));
    return pass_patch(ctx, pass, CALL_KUBE_HOP_JOB_KEEP, job, NULL, patch, NULL);
}

int hop_drop_kept_jobs(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *jobs =
        pass_list(ctx, pass, KIND_JOB, scope->namespace, LABEL_REGISTRY, scope->name);
    size_t at;
    json_t *job;
    json_array_foreach(jobs, at, job)
        if (str_equal(kube_label(job, LABEL_COMPONENT), HOP_MIGRATION) &&
            registry_owns(scope, job) && !kube_annotation(job, ANNOTATION_BUNDLE_ID) &&
            !json_at(job, "metadata.deletionTimestamp"))
            TRY(pass_delete(ctx, pass, CALL_KUBE_HOP_JOB_DELETE, job));
    return 0;
}

/* ---- one whose image does not come is ended ---- */

/* Live: a pod that the cache does not show yet could find its image, and begin. */
int hop_end_job(struct ctx *ctx, struct pass *pass, const char *version, const char **ret_left)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *job = hop_job(ctx, pass, HOP_MIGRATION, version);
    const char *selector = arena_printf(
        ctx->arena, LABEL_REGISTRY "=%s," LABEL_COMPONENT "=" HOP_MIGRATION, scope->name);
    json_t *pods = NULL, *pod;
    size_t at;
    *ret_left = NULL;
    if (job)
        TRY(pass_delete(ctx, pass, CALL_KUBE_HOP_JOB_DELETE, job));
    TRY(kube_list_where(ctx, CALL_KUBE_HOP_POD_LIST, pass_kube(pass), KIND_POD, scope->namespace,
                        selector, "status.phase!=Succeeded,status.phase!=Failed", &pods));
    json_array_foreach(pods, at, pod)
        if (registry_pod_runs(pod, 0))
            *ret_left = arena_printf(ctx->arena, "pod %s has not ended",
                                     json_str_or(pod, "metadata.name", ""));
    return 0;
}
