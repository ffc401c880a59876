/* The end of a pass of `placement`: what was decided, as statuses of pipelines and classes. */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

enum { CLASS_MS = 5000, PODS_MS = 1000 };

static void note_reason(struct ctx *ctx, const char *name, const json_t *before,
                        const json_t *after)
{
    const json_t *was = condition_get(before, "Ready"), *is = condition_get(after, "Ready");
    const char *reason = json_str(is, "reason");
    if (str_equal(json_str(was, "reason"), reason))
        return;
    metric_add(METRIC_PIPELINE_REASONS, 1, reason);
    log_info(ctx, "pipeline %s: %s: %s", name, reason, json_str_or(is, "message", ""));
}

static int tell_pipelines(struct ctx *ctx, struct pass *pass)
{
    const struct placer_scope *scope = pass->scope;
    struct refusals refusals = {0};
    for (uint32_t at = 0; at < scope->world.pipeline_count; at++) {
        const struct pipeline_wish *wish = &scope->world.pipelines[at];
        json_t *live = json_object_get(wish->object, "status");
        json_t *status = arena_json(ctx->arena, live ? json_deep_copy(live) : json_object());
        pipeline_status(ctx, &scope->world, at, scope, status);
        TRY(refusals_note(
            ctx, &refusals,
            pass_put_status(ctx, pass, CALL_KUBE_PIPELINE_STATUS, wish->object, status)));
        if (str_equal(json_str(live, "phase"), "Broken") &&
            str_equal(json_str(status, "phase"), "Plotted"))
            pass_requeue(pass, PLACER_PACE_MS); /* bindings may have told all already */
        note_reason(ctx, wish->name, live, status);
    }
    return refusals_end(ctx, &refusals);
}

/* What people have to see to. */
static const char *const conditions[] = {"PodsCounted", "Scaled", "Zoned"};

static bool differ(const json_t *live, const json_t *status, const char *number)
{
    return json_int_or(live, number, -1) != json_int_or(status, number, -1);
}

/* Somebody waits for pods, and whoever scales has not heard of it. */
static bool wants_more(const json_t *live, const json_t *status)
{
    int64_t wanted = json_int_or(status, "wantedReplicas", 0);
    return wanted > json_int_or(status, "replicas", 0) &&
           wanted > json_int_or(live, "wantedReplicas", 0);
}

static bool is_urgent(const json_t *live, const json_t *status)
{
    for (size_t at = 0; at < ARRAY_SIZE(conditions); at++)
        if (!str_equal(json_str(condition_get(live, conditions[at]), "reason"),
                       json_str(condition_get(status, conditions[at]), "reason")))
            return true;
    return differ(live, status, "observedGeneration") || wants_more(live, status);
}

/* So long it may rest since it was told last. Pods are waited for, and may flap; the rest, how much
 * is used and wanted, goes up and down with each decision, and autoscalers look every 15 or 30 s.
 */
static int64_t pace_ms(const json_t *live, const json_t *status)
{
    if (is_urgent(live, status))
        return 0;
    return differ(live, status, "readyReplicas") || differ(live, status, "replicas") ? PODS_MS
                                                                                     : CLASS_MS;
}

static int tell_class(struct ctx *ctx, struct pass *pass, const json_t *object, json_t *status)
{
    const struct pipeline_operator *home = pass->home;
    const char *namespace = pass->key.namespace, *name = json_str_or(object, "metadata.name", "");
    const json_t *live = json_object_get(object, "status");
    if (live && json_equal(live, status))
        return 0;
    int64_t rests_ms = requests_rest_ms(home->requests, namespace, name, pace_ms(live, status));
    if (rests_ms) {
        pass_requeue(pass, rests_ms);
        return 0;
    }
    TRY(pass_put_status(ctx, pass, CALL_KUBE_PIPELINE_STATUS, object, status));
    requests_told(home->requests, namespace, name);
    return 0;
}

static int tell_classes(struct ctx *ctx, struct pass *pass)
{
    const struct placer_scope *scope = pass->scope;
    struct refusals refusals = {0};
    for (uint32_t at = 0; at < scope->world.class_count; at++) {
        const struct workers *workers = &scope->world.classes[at];
        const json_t *object =
            pass_get(ctx, pass, KIND_WORKER_CLASS, pass->key.namespace, workers->class.name);
        json_t *live = json_object_get(object, "status");
        json_t *status = arena_json(ctx->arena, live ? json_deep_copy(live) : json_object());
        class_status(ctx, workers, &scope->decision.classes[at], &scope->decision.notes[at],
                     status);
        scale_status(ctx, pass, at, status);
        weights_class_status(ctx, workers, &scope->bindings, status);
        TRY(refusals_note(ctx, &refusals, tell_class(ctx, pass, object, status)));
    }
    return refusals_end(ctx, &refusals);
}

int tell_all(struct ctx *ctx, struct pass *pass)
{
    const struct placer_scope *scope = pass->scope;
    const struct pipeline_operator *home = pass->home;
    struct refusals refusals = {0};
    requests_put(home->requests, pass->key.namespace, pass_shard(ctx, pass), &scope->world,
                 &scope->decision);
    TRY(refusals_note(ctx, &refusals, tell_pipelines(ctx, pass)));
    TRY(refusals_note(ctx, &refusals, tell_classes(ctx, pass)));
    return refusals_end(ctx, &refusals);
}
