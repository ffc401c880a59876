#include "reconcilers/pipeline/routes.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

#define SLICES_OF_OURS "endpointslice.kubernetes.io/managed-by=scheduling.k8s.xxii.io"

/* A tenant may write slices: a tree takes some twenty times of it, for the length of a pass. */
enum { NAMES_AT_FIRST = 64, ROUTES_MAX_BYTES = 16 << 20 };

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
    size_t at, index;
    json_t *slice, *endpoint, *ours = arena_json(ctx->arena, json_array());
    json_array_foreach(slices, at, slice)
        if (is_of_binding(slice))
            json_array_append(ours, slice);
    struct routes made = {.slices = ours};
    json_array_foreach(ours, at, slice)
        json_array_foreach(json_at(slice, "endpoints"), index, endpoint)
            add_endpoint(ctx->arena, &made, endpoint);
    pod_names_sort(&made.all);
    pod_names_sort(&made.ready);
    return made;
}

int routes_read(struct ctx *ctx, struct pass *pass, struct routes *ret)
{
    json_t *slices;
    size_t budget = ROUTES_MAX_BYTES;
    TRY(kube_list_within(ctx, CALL_KUBE_PIPELINE_ROUTES, pass_kube(pass), KIND_ENDPOINT_SLICE,
                         pass->key.namespace, SLICES_OF_OURS, &budget, &slices));
    *ret = routes_of(ctx, slices);
    return 0;
}

bool routes_lead_to(const struct routes *routes, const char *pod, bool ready)
{
    return pod_names_have(ready ? &routes->ready : &routes->all, pod);
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
