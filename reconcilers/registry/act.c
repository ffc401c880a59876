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

int registry_stack(struct ctx *ctx, struct pass *pass)
{
    return registry_closed(pass->scope) ? 0 : apply(ctx, pass);
}
