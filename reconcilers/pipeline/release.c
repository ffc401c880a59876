/*
 * Letting go of the pods of WorkerSets. Who wants one gone marks it (workerset.c), for good; it is
 * emptied like one that is being deleted. Behind the commit of a decision in which it carries
 * nothing, when nothing leads to it either, it is released: written on the pod, fenced by what was
 * read. A marked pod never gets anything again, so what is released stays without anything.
 */
#include "reconcilers/pipeline/routes.h"
#include "reconcilers/pipeline/scope.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

enum { LEADS_STILL_MS = 500 };

static bool is_asked(const json_t *pod)
{
    return kube_annotation(pod, ANNOTATION_LEAVING) && !kube_annotation(pod, ANNOTATION_RELEASED) &&
           !json_at(pod, "metadata.deletionTimestamp");
}

static bool is_ready(const json_t *pod)
{
    return str_equal(json_str(json_find(pod, "status.conditions", "type", "Ready"), "status"),
                     "True");
}

/* A decision may place something there. */
static bool is_open(const json_t *ledger, const char *class, uint32_t ordinal)
{
    const char *pods = json_str_or(json_find(ledger, "classes", "name", class), "pods", "");
    return ordinal < strlen(pods) && strchr("RS", pods[ordinal]);
}

/* Something is placed on the number, or leaves it. */
static bool carries(const json_t *ledger, const char *class, uint32_t ordinal)
{
    size_t at, stage, index;
    json_t *pipeline, *row, *item;
    json_array_foreach(json_at(json_find(ledger, "classes", "name", class), "leaving"), index, item)
        if (json_int_or(item, "pod", -1) == ordinal)
            return true;
    json_array_foreach(json_at(ledger, "pipelines"), at, pipeline)
        json_array_foreach(json_at(pipeline, "stages"), stage, row)
            if (str_equal(json_str(row, "class"), class))
                json_array_foreach(json_at(row, "shares"), index, item)
                    if (json_int_or(item, "pod", -1) == ordinal)
                        return true;
    return false;
}

static bool is_bound(const struct placer_scope *scope, const char *pod, bool ready)
{
    size_t at;
    json_t *share;
    for (uint32_t row = 0; row < scope->bindings.count; row++)
        json_array_foreach(json_at(scope->bindings.rows[row].object, "spec.shares"), at, share)
            if (str_equal(json_str(share, "pod"), pod) &&
                (!ready || json_bool_or(share, "ready", false)))
                return true;
    return false;
}

/* One that is not ready serves nobody: what waits for its number waits for the next of that name.
 */
static bool is_free(const struct placer_scope *scope, const struct routes *routes,
                    const json_t *pod)
{
    const char *name = json_str_or(pod, "metadata.name", "");
    const json_t *label = json_object_get(json_at(pod, "metadata.labels"), LABEL_WORKER_CLASS);
    const json_t *ledger = scope->decision.ledger;
    const char *class = json_string_value(label);
    bool ready = is_ready(pod);
    uint32_t ordinal;
    if (class && world_ordinal(name, &ordinal) &&
        (is_open(ledger, class, ordinal) || (ready && carries(ledger, class, ordinal))))
        return false;
    return !is_bound(scope, name, !ready) && !routes_lead_to(routes, name, !ready);
}

static int release(struct ctx *ctx, struct pass *pass, const json_t *pod)
{
    const struct placer_scope *scope = pass->scope;
    const char *decision = arena_printf(ctx->arena, "decision %" PRId64,
                                        json_int_or(scope->decision.ledger, "decision", 0));
    json_t *patch = arena_json(ctx->arena, json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
                                                     ANNOTATION_RELEASED, decision));
    return pass_patch(ctx, pass, CALL_KUBE_PIPELINE_RELEASE, pod, NULL, patch, NULL);
}

int release_pods(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    struct routes routes = {0};
    size_t at;
    json_t *pod;
    json_array_foreach(scope->scene.pods, at, pod) {
        if (!is_asked(pod))
            continue;
        if (!routes.slices)
            TRY(routes_read(ctx, pass, &routes));
        if (is_free(scope, &routes, pod))
            TRY(refusals_note(ctx, &scope->scale_refusals, release(ctx, pass, pod)));
        else
            pass_requeue(pass, LEADS_STILL_MS);
    }
    return 0;
}
