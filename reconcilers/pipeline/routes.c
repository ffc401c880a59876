#include "reconcilers/pipeline/routes.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

#define SLICES_OF_OURS "endpointslice.kubernetes.io/managed-by=scheduling.k8s.xxii.io"

/* Whoever may make slices can give one our label. An owner that is none is collected with it. */
static bool is_of_binding(const json_t *slice)
{
    const struct kube_kind_row *kind = kube_kind_row(KIND_PIPELINE_BINDING);
    const json_t *owner = kube_controller(slice);
    return str_equal(json_str(owner, "kind"), kind->kind) &&
           str_equal(json_str(owner, "apiVersion"), kind->api_version);
}

struct routes routes_of(struct ctx *ctx, const json_t *slices)
{
    size_t at;
    json_t *slice, *ours = arena_json(ctx->arena, json_array());
    json_array_foreach(slices, at, slice)
        if (is_of_binding(slice))
            json_array_append(ours, slice);
    return (struct routes){ours};
}

int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret)
{
    json_t *slices;
    TRY(kube_list(ctx, CALL_KUBE_PIPELINE_ROUTES, pass_kube(pass), KIND_ENDPOINT_SLICE,
                  pass->key.namespace, SLICES_OF_OURS, &slices));
    *ret = routes_of(ctx, slices);
    return 0;
}

bool routes_lead_to(const struct routes *routes, const char *pod, bool ready)
{
    size_t at, index;
    json_t *slice, *endpoint;
    json_array_foreach(routes->slices, at, slice)
        json_array_foreach(json_at(slice, "endpoints"), index, endpoint)
            if (str_equal(json_str(endpoint, "targetRef.name"), pod) &&
                (!ready || json_bool_or(endpoint, "conditions.ready", true)))
                return true;
    return false;
}

/* Is it "<set>-<number>", of a number from..before-1? */
static bool is_pod_of(const char *pod, const char *set, int64_t from, int64_t before)
{
    size_t length = strlen(set);
    int64_t number;
    return pod && strncmp(pod, set, length) == 0 && pod[length] == '-' &&
           str_to_int(pod + length + 1, from, before - 1, &number);
}

const char *routes_lead_beyond(const struct routes *routes, const char *set, int64_t from,
                               int64_t before, const char **ret_slice)
{
    size_t at, index;
    json_t *slice, *endpoint;
    json_array_foreach(routes->slices, at, slice)
        json_array_foreach(json_at(slice, "endpoints"), index, endpoint) {
            const char *pod = json_str(endpoint, "targetRef.name");
            if (!is_pod_of(pod, set, from, before))
                continue;
            *ret_slice = json_str_or(slice, "metadata.name", "");
            return pod;
        }
    return NULL;
}
