#include "reconcilers/pipeline/routes.h"

#include "server/base/ctx.h"
#include "server/base/json.h"

#include <stdlib.h>
#include <string.h>

#define SLICES_OF_OURS "endpointslice.kubernetes.io/managed-by=scheduling.k8s.xxii.io"

enum { NAMES_AT_FIRST = 64 };

/* ---- names ---- */

void pod_names_add(struct arena *arena, struct pod_names *names, const char *name)
{
    if (names->count == names->room) {
        names->room = names->room ? names->room * 2 : NAMES_AT_FIRST;
        const char **rows = arena_alloc(arena, names->room * sizeof *rows);
        for (size_t at = 0; at < names->count; at++)
            rows[at] = names->rows[at];
        names->rows = rows;
    }
    names->rows[names->count++] = name;
}

static int order(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

void pod_names_sort(struct pod_names *names)
{
    if (names->count)
        qsort(names->rows, names->count, sizeof *names->rows, order);
}

bool pod_names_have(const struct pod_names *names, const char *name)
{
    return names->count && bsearch(&name, names->rows, names->count, sizeof *names->rows, order);
}

/* ---- routes ---- */

static void add_endpoint(struct arena *arena, struct routes *routes, const json_t *endpoint)
{
    const char *pod = json_str(endpoint, "targetRef.name");
    if (!pod)
        return;
    pod_names_add(arena, &routes->all, pod);
    if (json_bool_or(endpoint, "conditions.ready", true))
        pod_names_add(arena, &routes->ready, pod);
}

int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret)
{
    size_t at, index;
    json_t *slices, *slice, *endpoint;
    *ret = (struct routes){0};
    TRY(kube_list(ctx, CALL_KUBE_PIPELINE_ROUTES, pass_kube(pass), KIND_ENDPOINT_SLICE,
                  pass->key.namespace, SLICES_OF_OURS, &slices));
    json_array_foreach(slices, at, slice)
        json_array_foreach(json_at(slice, "endpoints"), index, endpoint)
            add_endpoint(ctx->arena, ret, endpoint);
    pod_names_sort(&ret->all);
    pod_names_sort(&ret->ready);
    return 0;
}

bool routes_lead_to(const struct routes *routes, const char *pod, bool ready)
{
    return pod_names_have(ready ? &routes->ready : &routes->all, pod);
}
