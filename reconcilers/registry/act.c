/*
 * Act, the half inside the cluster. The same bundle is applied before the backend phase when the
 * registry closes (pods must be gone before the role is locked) and after it when it is open (a
 * stack without its database would only crash).
 */
#include "reconcilers/registry/scope.h"

#include "server/base/json.h"

static int apply(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    TRY(bundle_apply(ctx, pass, &scope->plan, &scope->stack));
    scope->stack_seen = true;
    return 0;
}

int registry_drain(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    if (!registry_closed(scope))
        return 0;
    TRY(apply(ctx, pass));
    TRY(registry_pods_gone(ctx, pass));
    if (!scope->stack.ready)
        return err_set(ctx, ERR_WAITING, "Closing", "%s", scope->stack.message);
    return 0;
}

static bool raises_from_zero(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    bool raises = false;
    for (int at = 0; at < scope->plan.count; at++) {
        const struct bundle_object *object = &scope->plan.objects[at];
        if (object->kind != KIND_DEPLOYMENT ||
            json_int_or(object->desired, "spec.replicas", 0) == 0)
            continue;
        const json_t *live = pass_get(ctx, pass, object->kind, scope->namespace,
                                      json_str(object->desired, "metadata.name"));
        raises |= json_int_or(live, "spec.replicas", 1) == 0;
    }
    return raises;
}

/*
 * What a hop stopped must not come back by somebody whose caches know the zero, and not why: the
 * step was kept before it was acted upon, so that the kept Secret, read live, tells. Who read the
 * object before it went to zero is refused by its version.
 */
int registry_stack(struct ctx *ctx, struct pass *pass)
{
    if (registry_closed(pass->scope))
        return 0;
    if (raises_from_zero(ctx, pass))
        TRY(registry_kept_still(ctx, pass));
    return apply(ctx, pass);
}
