/* The end of a pass of `placement`: what was decided, as statuses of pipelines and classes. */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

enum { CLASS_MS = 1000 };

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

/* Of two statuses: other words than numbers, which change with each decision. */
static bool is_news(const json_t *live, const json_t *status)
{
    size_t at;
    json_t *row;
    json_array_foreach(json_object_get(status, "conditions"), at, row) {
        const json_t *was = condition_get(live, json_str_or(row, "type", ""));
        if (!str_equal(json_str(was, "reason"), json_str(row, "reason")))
            return true;
    }
    return json_array_size(json_object_get(live, "conditions")) != at;
}

/* Not after each decision: people and autoscalers look every few seconds. */
static int tell_class(struct ctx *ctx, struct pass *pass, const json_t *object, json_t *status)
{
    const struct pipeline_operator *home = pass->home;
    const json_t *live = json_object_get(object, "status");
    if (live && json_equal(live, status))
        return 0;
    int64_t left_ms = requests_tell(home->requests, pass->key.namespace,
                                    json_str_or(object, "metadata.name", ""), CLASS_MS);
    if (left_ms && !is_news(live, status)) {
        pass_requeue(pass, left_ms);
        return 0;
    }
    return pass_put_status(ctx, pass, CALL_KUBE_PIPELINE_STATUS, object, status);
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
