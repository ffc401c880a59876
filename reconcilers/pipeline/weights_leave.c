/*
 * Pods that carry nothing of a stage any more. The route is written without them; but who serves by
 * it may hear of their Services' end before he hears of that, and would fail their part of the
 * requests. So these stay for a moment, and a slice keeps since when.
 */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { LEAVE_MS = 2000 };

static bool serves(const json_t *pod)
{
    return pod && !kube_is_going(pod) &&
           condition_is(json_object_get(pod, "status"), "Ready", "True");
}

/* By its name, of which there is one for each pod: what is written about it comes to that slice, so
 * that a pass which notes the time finds it noted. */
bool weights_pod_of(struct ctx *ctx, const char *binding, const json_t *slice,
                    struct binding_pod *ret)
{
    const char *pod = kube_annotation(slice, ANNOTATION_WORKER);
    if (!pod || !kube_annotation(slice, ANNOTATION_BUNDLE_ID))
        return false;
    *ret = (struct binding_pod){
        .name = pod, .address = json_str_or(slice, "endpoints.0.addresses.0", ""), .ready = true};
    const char *name = arena_printf(ctx->arena, "%s-%s", weights_service(ctx->arena, binding, pod),
                                    strchr(ret->address, ':') ? "ipv6" : "ipv4");
    return str_equal(json_str(slice, "metadata.name"), name);
}

/* Of a slice the pod that left; false: it is none of one pod, or that has a share, or serves no
 * more: an address may soon be another's. */
static bool has_left(struct ctx *ctx, struct pass *pass, const json_t *binding, const json_t *slice,
                     struct binding_pod *ret)
{
    if (kube_is_going(slice) ||
        !kube_is_controlled_by(slice, json_str(pass->root, "metadata.uid")) ||
        !weights_pod_of(ctx, pass->key.name, slice, ret))
        return false;
    return !json_find(binding, "spec.shares", "pod", ret->name) &&
           binding_has_pod(ctx, pass, ret) &&
           serves(pass_get(ctx, pass, KIND_POD, pass->key.namespace, ret->name));
}

/* Since when: now, if the slice does not tell. False: for long. */
static bool note_time(struct ctx *ctx, struct pass *pass, const json_t *slice,
                      struct binding_pod *pod)
{
    char text[CLOCK_RFC3339_BYTES];
    int64_t now_ms = clock_wall_ms(), left_ms = now_ms;
    const char *told = kube_annotation(slice, ANNOTATION_LEFT);
    if (told && clock_parse_rfc3339(told, &left_ms) < 0)
        return false;
    if (left_ms > now_ms || now_ms - left_ms >= LEAVE_MS)
        return false;
    pod->left = told ? told : arena_strdup(ctx->arena, clock_rfc3339(text, now_ms, 3));
    pass_requeue(pass, LEAVE_MS - (now_ms - left_ms) + 1);
    return true;
}

struct leaving weights_leaving(struct ctx *ctx, struct pass *pass, const json_t *binding)
{
    json_t *slice;
    size_t at;
    const json_t *slices = pass_list(
        ctx, pass, KIND_ENDPOINT_SLICE, pass->key.namespace, LABEL_ROOT,
        shard_root_label(ctx, pass->reconciler->kind, pass->key.namespace, pass->key.name));
    struct leaving leaving = {.pods = arena_alloc(ctx->arena, LEAVING_MAX * sizeof *leaving.pods)};
    json_array_foreach(slices, at, slice) {
        struct binding_pod pod;
        if (leaving.count < LEAVING_MAX && has_left(ctx, pass, binding, slice, &pod) &&
            note_time(ctx, pass, slice, &pod))
            leaving.pods[leaving.count++] = pod;
    }
    return leaving;
}
