/* Whether a pod is lost is asked of the server before anything is taken from it. The fence is
 * around the ledger, not around the pods: who was stopped for a while, or whose watch lags, has the
 * newest ledger beside old pods, and would move what a pod carries that has been well for long. */
#include "reconcilers/pipeline/scope.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#include <string.h>

/* What each pod carries, by class of the world and ordinal; NULL = nothing in that class. */
struct carried {
    int64_t *milli[WORLD_CLASSES_MAX];
};

static void count_stage(struct ctx *ctx, const struct world *world, const json_t *stage,
                        struct carried *carried)
{
    uint32_t at;
    size_t index;
    json_t *share;
    if (!world_class(world, json_str(stage, "class"), &at))
        return;
    if (!carried->milli[at])
        carried->milli[at] = arena_alloc(ctx->arena, WORLD_PODS_MAX * sizeof *carried->milli[at]);
    json_array_foreach(json_at(stage, "shares"), index, share) {
        int64_t ordinal = json_int_or(share, "pod", -1);
        if (ordinal >= 0 && ordinal < WORLD_PODS_MAX)
            carried->milli[at][ordinal] += json_int_or(share, "milli", 0);
    }
}

static struct carried count(struct ctx *ctx, const struct world *world, const json_t *ledger)
{
    struct carried carried = {0};
    size_t at, stage_at;
    json_t *pipeline, *stage;
    json_array_foreach(json_at(ledger, "pipelines"), at, pipeline)
        json_array_foreach(json_at(pipeline, "stages"), stage_at, stage)
            count_stage(ctx, world, stage, &carried);
    return carried;
}

/* In a class: does a pod that served, and is not well as we see it, have less than before? */
static bool takes_in_class(const struct workers *workers, const char *letters,
                           const int64_t *before, const int64_t *after)
{
    for (uint32_t ordinal = 0; before && letters[ordinal] && ordinal < WORLD_PODS_MAX; ordinal++)
        if (ledger_serves(letters, ordinal) && world_worker(workers, ordinal).state != POD_READY &&
            before[ordinal] > (after ? after[ordinal] : 0))
            return true;
    return false;
}

bool lost_takes(struct ctx *ctx, const struct world *world, const json_t *before,
                const json_t *after)
{
    struct carried was = count(ctx, world, before), is = count(ctx, world, after);
    for (uint32_t at = 0; at < world->class_count; at++) {
        const struct workers *workers = &world->classes[at];
        const json_t *kept = json_find(before, "classes", "name", workers->class.name);
        if (takes_in_class(workers, json_str_or(kept, "pods", ""), was.milli[at], is.milli[at]))
            return true;
    }
    return false;
}

int lost_ask(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    json_t *pods;
    size_t budget = PODS_MAX_BYTES;
    if (scope->refused ||
        !lost_takes(ctx, &scope->world, scope->scene.ledger, scope->decision.ledger))
        return 0;
    TRY(kube_list_within(ctx, CALL_KUBE_OBJECT_READ, pass_kube(pass), KIND_POD, pass->key.namespace,
                         LABEL_WORKER_CLASS, &budget, &pods));
    scope->scene.pods = pods;
    scope->scene.now_s = clock_wall_ms() / 1000;
    scene_look(ctx, scope);
    TRY(placer_verify(ctx, pass));
    return scene_decide(ctx, scope);
}
