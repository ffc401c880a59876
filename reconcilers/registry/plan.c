/*
 * Plan: scope to facts to desired objects. Pure: the same scope gives the same bytes, so that a
 * decision can be replayed (tests/golden/reconcilers/registry). What facts cannot say belongs into
 * manifests/, sizes.yaml or versions.yaml, not here.
 */
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

/* Secrets carry base64. */
static json_t *encoded(struct ctx *ctx, const char *text)
{
    return json_string(crypto_base64(ctx->arena, text, strlen(text)));
}

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
    const json_t *pool = scope->backends[BACKEND_POSTGRESQL].pool;
    int64_t port_number = json_int_or(pool, "spec.endpoint.port", POSTGRESQL_PORT);
    const char *port = arena_printf(ctx->arena, "%" PRId64, port_number);
    const char *database = postgres_name(ctx, scope->spec.identity);
    json_t *facts = arena_json(ctx->arena, json_object());
    json_put(facts, "registry.name", json_string(scope->name));
    json_put(facts, "portal", json_deep_copy(json_at(scope->size, "portal")));
    json_put(facts, "portal.image",
             json_string(image_of(ctx, home->versions, scope->spec.version)));
    if (registry_closed(scope))
        json_put(facts, "portal.replicas", json_integer(0));
    json_put(facts, "database.host", encoded(ctx, json_str_or(pool, "spec.endpoint.host", "")));
    json_put(facts, "database.port", encoded(ctx, port));
    json_put(facts, "database.name", encoded(ctx, database));
    json_put(facts, "database.user", encoded(ctx, database));
    json_put(facts, "database.password", encoded(ctx, registry_kept(ctx, scope, "password")));
    json_put(facts, "database.sslMode",
             encoded(ctx, json_str_or(pool, "spec.endpoint.sslMode", "verify-full")));
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
