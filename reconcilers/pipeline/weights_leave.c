/*
 * Pods that carry nothing of a stage any more. The route is written without them; but who serves by
 * it may hear of their Services' end before he hears of that, and would fail their part of the
 * requests. So these stay for a moment, and a slice keeps since when.
 */
#include "reconcilers/pipeline/scope.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { LEAVE_MS = 2000 };

static bool serves(const json_t *pod)
{
    const json_t *ready = json_find(pod, "status.conditions", "type", "Ready");
    return pod && !kube_is_going(pod) && str_equal(json_str(ready, "status"), "True");
}

/* Of a slice the share that it had; NULL = it is none of one pod, or that has a share, or serves no
 * more: an address may soon be another's. */
static json_t *share_left(struct ctx *ctx, struct pass *pass, const json_t *binding,
                          const json_t *slice)
{
    const char *pod = kube_annotation(slice, ANNOTATION_WORKER);
    if (!pod || kube_is_going(slice) || json_find(binding, "spec.shares", "pod", pod) ||
        !str_equal(json_str(kube_controller(slice), "uid"), json_str(pass->root, "metadata.uid")))
        return NULL;
    json_t *share = arena_json(
        ctx->arena, json_pack("{s:s, s:s, s:b}", "pod", pod, "address",
                              json_str_or(slice, "endpoints.0.addresses.0", ""), "ready", true));
    bool there = binding_has_pod(ctx, pass, share) &&
                 serves(pass_get(ctx, pass, KIND_POD, pass->key.namespace, pod));
    return there ? share : NULL;
}

/* When it left: now, if the slice does not tell. False: long ago. */
static bool note_time(struct pass *pass, const json_t *slice, json_t *share)
{
    char text[CLOCK_RFC3339_BYTES];
    int64_t now_ms = clock_wall_ms(), left_ms = now_ms;
    const char *told = kube_annotation(slice, ANNOTATION_LEFT);
    if (told && clock_parse_rfc3339(told, &left_ms) < 0)
        return false;
    if (left_ms > now_ms || now_ms - left_ms >= LEAVE_MS)
        return false;
    json_put(share, "left", json_string(told ? told : clock_rfc3339(text, now_ms, 3)));
    pass_requeue(pass, LEAVE_MS - (now_ms - left_ms) + 1);
    return true;
}

json_t *weights_leaving(struct ctx *ctx, struct pass *pass, const json_t *binding)
{
    json_t *shares = arena_json(ctx->arena, json_array()), *slice;
    size_t at;
    const json_t *slices = pass_list(
        ctx, pass, KIND_ENDPOINT_SLICE, pass->key.namespace, LABEL_ROOT,
        shard_root_label(ctx, pass->reconciler->kind, pass->key.namespace, pass->key.name));
    json_array_foreach(slices, at, slice) {
        json_t *share = share_left(ctx, pass, binding, slice);
        if (share && note_time(pass, slice, share))
            json_array_append(shares, share);
    }
    return shares;
}
