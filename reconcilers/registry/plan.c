/*
 * Plan: scope to facts to desired objects. Pure: the same scope gives the same bytes, so that a
 * decision can be replayed (tests/golden/reconcilers/registry). What facts cannot say belongs into
 * manifests/, sizes.yaml or versions.yaml, not here.
 */
#include "reconcilers/registry/scope.h"

#include "server/base/json.h"

/* "2.15" stands for the newest patch that we know of it. */
static const char *image_of(struct ctx *ctx, const json_t *versions, const char *version)
{
    const char *patch =
        json_string_value(json_object_get(json_object_get(versions, "patches"), version));
    return arena_printf(ctx->arena, "%s%s", json_str_or(versions, "image", ""),
                        patch ? patch : version);
}

json_t *registry_facts(struct ctx *ctx, const struct registry_operator *home,
                       const struct registry_scope *scope)
{
    json_t *facts = arena_json(ctx->arena, json_object());
    json_put(facts, "registry.name", json_string(scope->name));
    json_put(facts, "portal", json_deep_copy(json_at(scope->size, "portal")));
    json_put(facts, "portal.image",
             json_string(image_of(ctx, home->versions, scope->spec.version)));
    if (registry_closed(scope))
        json_put(facts, "portal.replicas", json_integer(0));
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        const struct backend_work work = {.row = backend_rows[type],
                                          .identity = scope->spec.identity,
                                          .at = &scope->backends[type],
                                          .kept = scope->kept};
        work.row->facts(ctx, &work, facts);
    }
    return facts;
}

int registry_plan(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    scope->size = json_object_get(home->sizes, scope->spec.size);
    if (!scope->size)
        return err_set(ctx, ERR_INVALID, NULL, "size '%s' is not known", scope->spec.size);
    return bundle_render(ctx, home->bundle, registry_facts(ctx, home, scope), &scope->plan);
}
