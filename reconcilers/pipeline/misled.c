/*
 * Pods that come back before all is rewritten that led to them. What a lost pod carried moves at
 * once, and its room is free; but who was to rewrite the routes may have died, and a pod that is
 * there again at the same address gets what they lead to it. Until they do not, it is taken for one
 * that is still starting, and nothing new is placed there; like any drain, for UNSETTLED_S_MAX at
 * most. While all bindings are routed as the ledger says nobody is asked: slices of a binding that
 * went are not seen then, but its Service goes with them.
 */
#include "reconcilers/pipeline/scope.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { LATER_MS = 100 }; /* later by this for each second that it was held */

static const char *place_of(struct ctx *ctx, const char *pod, const char *address)
{
    return arena_printf(ctx->arena, "%s %s", pod, address);
}

/* ---- pure ---- */

static void note_bindings(struct ctx *ctx, const struct bindings *bindings,
                          struct pod_names *misled)
{
    size_t at;
    json_t *share;
    for (uint32_t row = 0; row < bindings->count; row++)
        json_array_foreach(json_at(bindings->rows[row].object, "spec.shares"), at, share)
            if (!kube_is_going(bindings->rows[row].object) && /* its slices tell */
                binding_exceeds(&bindings->rows[row], share))
                pod_names_add(ctx->arena, misled,
                              place_of(ctx, json_str_or(share, "pod", ""),
                                       json_str_or(share, "address", "")));
}

static const char *name_of(const struct binding_row *row)
{
    return json_str_or(row->object, "metadata.name", "");
}

static int name_order(const void *a, const void *b)
{
    return strcmp(name_of(*(const struct binding_row *const *)a),
                  name_of(*(const struct binding_row *const *)b));
}

static int by_name(const void *name, const void *item)
{
    return strcmp(name, name_of(*(const struct binding_row *const *)item));
}

static const struct binding_row **sorted(struct ctx *ctx, const struct bindings *bindings)
{
    const struct binding_row **rows = arena_alloc(ctx->arena, (bindings->count + 1) * sizeof *rows);
    for (uint32_t row = 0; row < bindings->count; row++)
        rows[row] = &bindings->rows[row];
    qsort(rows, bindings->count, sizeof *rows, name_order);
    return rows;
}

static void note_slice(struct ctx *ctx, const json_t *slice, const struct binding_row *binding,
                       struct pod_names *misled)
{
    size_t at;
    json_t *endpoint;
    json_array_foreach(json_at(slice, "endpoints"), at, endpoint) {
        const char *pod = json_str_or(endpoint, "targetRef.name", "");
        if (json_bool_or(endpoint, "conditions.ready", true) &&
            (!binding || binding_lets(binding, pod) <= 0))
            pod_names_add(ctx->arena, misled,
                          place_of(ctx, pod, json_str_or(endpoint, "addresses.0", "")));
    }
}

struct pod_names misled_pods(struct ctx *ctx, const struct bindings *bindings,
                             const struct routes *routes)
{
    struct pod_names misled = {0};
    const struct binding_row **rows = sorted(ctx, bindings), **row;
    size_t at;
    json_t *slice;
    note_bindings(ctx, bindings, &misled);
    json_array_foreach(routes->slices, at, slice) {
        const char *owner = json_str_or(kube_controller(slice), "name", "");
        row = bsearch(owner, rows, bindings->count, sizeof *rows, by_name);
        note_slice(ctx, slice, row ? *row : NULL, &misled);
    }
    pod_names_sort(&misled);
    return misled;
}

/* ---- in a pass ---- */

/* By the class's letters in the ledger, something is or may be placed on each pod that serves; NULL
 * = the ledger does not know the class, and so nothing that it took off a pod. */
static const char *letters_of(const struct placer_scope *scope, const struct workers *workers)
{
    return json_str(json_find(scope->scene.ledger, "classes", "name", workers->class.name), "pods");
}

/* How long it serves; 0 also where nothing says so. */
static int64_t serves_s(const struct world *world, const struct worker *worker)
{
    int64_t since_s = worker->unready_since_s;
    return since_s && since_s < world->now_s ? world->now_s - since_s : 0;
}

static bool comes(const struct world *world, const struct workers *workers, const char *letters,
                  uint32_t at)
{
    const struct worker *worker = &workers->pods[at];
    return letters && worker->state == POD_READY && !ledger_serves(letters, at) &&
           serves_s(world, worker) < UNSETTLED_S_MAX;
}

static bool any_comes(const struct placer_scope *scope)
{
    for (uint32_t class = 0; class < scope->world.class_count; class ++) {
        const struct workers *workers = &scope->world.classes[class];
        const char *letters = letters_of(scope, workers);
        for (uint32_t at = 0; at < workers->count; at++)
            if (comes(&scope->world, workers, letters, at))
                return true;
    }
    return false;
}

static void hold(struct ctx *ctx, struct pass *pass, struct worker *worker)
{
    static const char reason[] = "OldRoutes";
    const struct placer_scope *scope = pass->scope;
    int64_t held_s = serves_s(&scope->world, worker);
    worker->state = POD_STARTING;
    worker->ready = false; /* or what is to be there would be routed */
    pass_requeue(pass, LEADS_STILL_MS + held_s * LATER_MS);
    if (held_s < FLAP_S)
        return;
    metric_add(METRIC_PIPELINE_REASONS, 1, reason);
    pass_event(ctx, pass, "Warning", reason, "Decide",
               "pod %s serves again and gets nothing for %d s at most: PipelineBindings or "
               "EndpointSlices lead more to it than the ledger lets it have",
               worker->name, UNSETTLED_S_MAX);
}

/* `misled` NULL: nobody knows whom, and so each that comes. */
static void hold_class(struct ctx *ctx, struct pass *pass, const struct workers *workers,
                       const struct pod_names *misled)
{
    const struct placer_scope *scope = pass->scope;
    const char *letters = letters_of(scope, workers);
    for (uint32_t at = 0; at < workers->count; at++) {
        struct worker *worker = &workers->pods[at];
        if (comes(&scope->world, workers, letters, at) &&
            (!misled || pod_names_have(misled, place_of(ctx, worker->name, worker->address))))
            hold(ctx, pass, worker);
    }
}

int misled_hold(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    struct routes routes = {0};
    struct pod_names misled;
    if (!any_comes(scope) || bindings_settled(&scope->bindings, scope->scene.ledger))
        return 0;
    int rc = routes_read(ctx, pass, &routes);
    if (rc < 0 && rc != -ERR_TOO_LARGE)
        return rc;
    if (rc < 0)
        err_clear(ctx);
    misled = misled_pods(ctx, &scope->bindings, &routes);
    for (uint32_t class = 0; class < scope->world.class_count; class ++)
        hold_class(ctx, pass, &scope->world.classes[class], rc < 0 ? NULL : &misled);
    return 0;
}
