/*
 * Pods that come back before all is rewritten that led to them. What a lost pod carried moves at
 * once, and its room is free; but who was to rewrite the routes may have died, and a pod that is
 * there again at the same address gets what they lead to it. Until they do not, it is taken for one
 * that is still starting, and nothing new is placed there.
 */
#include "reconcilers/pipeline/scope.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

enum { LEADS_STILL_MS = 500 }; /* that a slice is rewritten wakes nobody here */

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
            if (binding_exceeds(&bindings->rows[row], share))
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

static bool comes(const struct workers *workers, const char *letters, uint32_t at)
{
    return letters && workers->pods[at].state == POD_READY && !ledger_serves(letters, at);
}

static bool any_comes(const struct placer_scope *scope)
{
    for (uint32_t class = 0; class < scope->world.class_count; class ++) {
        const struct workers *workers = &scope->world.classes[class];
        const char *letters = letters_of(scope, workers);
        for (uint32_t at = 0; at < workers->count; at++)
            if (comes(workers, letters, at))
                return true;
    }
    return false;
}

static void hold_class(struct ctx *ctx, struct pass *pass, const struct workers *workers,
                       const struct pod_names *misled)
{
    const char *letters = letters_of(pass->scope, workers);
    for (uint32_t at = 0; at < workers->count; at++) {
        struct worker *worker = &workers->pods[at];
        if (!comes(workers, letters, at) ||
            !pod_names_have(misled, place_of(ctx, worker->name, worker->address)))
            continue;
        worker->state = POD_STARTING;
        worker->ready = false; /* or what is to be there would be routed */
        pass_requeue(pass, LEADS_STILL_MS);
    }
}

int misled_hold(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    struct routes routes;
    if (!any_comes(scope) || bindings_settled(&scope->bindings, scope->scene.ledger))
        return 0;
    TRY(routes_read(ctx, pass, &routes));
    const struct pod_names misled = misled_pods(ctx, &scope->bindings, &routes);
    for (uint32_t class = 0; class < scope->world.class_count; class ++)
        hold_class(ctx, pass, &scope->world.classes[class], &misled);
    return 0;
}
