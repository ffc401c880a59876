#include "reconcilers/pipeline/routes.h"

#include "server/base/json.h"
#include "server/base/str.h"

#define SLICES_OF_OURS "endpointslice.kubernetes.io/managed-by=scheduling.k8s.xxii.io"

int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret)
{
    json_t *slices;
    TRY(kube_list(ctx, CALL_KUBE_PIPELINE_ROUTES, pass_kube(pass), KIND_ENDPOINT_SLICE,
                  pass->key.namespace, SLICES_OF_OURS, &slices));
    ret->slices = slices;
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
