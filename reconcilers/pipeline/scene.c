/* From the objects of a namespace to a decision, the same for the controller and for who asks what
 * it would decide. */
#include "reconcilers/pipeline/scope.h"

#include "server/base/ctx.h"
#include "server/base/json.h"

enum { AHEAD_S_MAX = 86400 };

/* Decisions do not go back in time, if our clock does; a ledger that is much later is not ours. */
static int64_t time_of(const struct scene *scene)
{
    int64_t now_s = scene->now_s, last_s = json_int_or(scene->ledger, "time", 0);
    return last_s > now_s && last_s <= now_s + AHEAD_S_MAX ? last_s : now_s;
}

void scene_look(struct ctx *ctx, struct placer_scope *scope)
{
    const struct scene *scene = &scope->scene;
    world_read(ctx, scene->classes, scene->pods, scene->pipelines, time_of(scene), &scope->world);
    bindings_index(ctx->arena, scene->bindings, &scope->bindings);
    scale_look(ctx, scope);
    scope->taken = arena_alloc(ctx->arena, scope->world.pipeline_count + 1);
}

/* A ledger that says what cannot be is as good as none. To stop for it would leave the namespace to
 * whoever can write there. It has shaped the world (which pods are asked for): that is looked at
 * anew, and whoever decides for good verifies it once more. */
static int decide_anew(struct ctx *ctx, struct placer_scope *scope)
{
    scope->refused = arena_strdup(ctx->arena, ctx->err.message);
    err_clear(ctx);
    scope->scene.ledger = NULL;
    scene_look(ctx, scope);
    return decide(ctx, &scope->world, NULL, false, &scope->decision);
}

int scene_decide(struct ctx *ctx, struct placer_scope *scope)
{
    const json_t *ledger = scope->scene.ledger;
    bool settled = bindings_settled(&scope->bindings, ledger);
    int rc = decide(ctx, &scope->world, ledger, settled, &scope->decision);
    if (rc == -ERR_INVALID && ledger)
        rc = decide_anew(ctx, scope);
    scope->decision.changed |= scope->refused != NULL;
    return rc;
}
