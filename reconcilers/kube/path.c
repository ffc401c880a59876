/* Paths of the Kubernetes API, of any length and with every component encoded: a truncated or
 * unencoded path would address another object. */
#include "reconcilers/kube/path.h"

#include "server/adapters/curl.h"
#include "server/base/ctx.h"

#include <string.h>

static char *add_component(struct ctx *ctx, const char *path, const char *component)
{
    return arena_printf(ctx->arena, "%s/%s", path, http_encode(ctx, component));
}

char *path_object(struct ctx *ctx, enum kube_kind kind, const char *namespace, const char *name,
                  const char *subresource)
{
    const struct kube_kind_row *row = kube_kind_row(kind);
    char *path = arena_printf(ctx->arena, *row->group ? "/apis/%s" : "/api/%s", row->api_version);
    if (row->scope == NAMESPACED && namespace && *namespace)
        path = add_component(ctx, arena_printf(ctx->arena, "%s/namespaces", path), namespace);
    path = add_component(ctx, path, row->plural);
    if (name)
        path = add_component(ctx, path, name);
    if (subresource)
        path = add_component(ctx, path, subresource);
    return path;
}

char *path_query(struct ctx *ctx, const char *path, const char *key, const char *value)
{
    if (!value)
        return arena_strdup(ctx->arena, path);
    return arena_printf(ctx->arena, "%s%s%s=%s", path, strchr(path, '?') ? "&" : "?", key,
                        http_encode(ctx, value));
}
