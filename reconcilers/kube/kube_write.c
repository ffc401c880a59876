/* Writes. Each is strict about unknown fields, so that a misspelt manifest fails loudly instead of
 * being dropped. */
#include "reconcilers/kube/client.h"
#include "reconcilers/kube/path.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

static const struct verb {
    const char *word; /* for messages */
    const char *method, *content_type;
    bool on_collection;
    const char *force, *validation; /* query parameters, NULL = none */
} create = {"create", "POST", "application/json", true, NULL, "Strict"},
  apply = {"apply", "PATCH", "application/apply-patch+yaml", false, "true", "Strict"},
  patch_merge = {"patch", "PATCH", "application/merge-patch+json", false, NULL, "Strict"},
  delete = {"delete", "DELETE", "application/json", false, NULL, NULL};

/* Whom a write is about. */
struct aim {
    enum kube_kind kind;
    const char *namespace, *name, *subresource;
};

static int send_write(struct ctx *ctx, enum call call, struct kube *kube, const struct verb *verb,
                      const struct aim *aim, const json_t *body, const char *manager, json_t **ret)
{
    char *path = path_object(ctx, aim->kind, aim->namespace, verb->on_collection ? NULL : aim->name,
                             aim->subresource);
    path = path_query(ctx, path, "fieldManager", manager);
    path = path_query(ctx, path, "force", verb->force);
    path = path_query(ctx, path, "fieldValidation", verb->validation);
    struct client_request request = {
        .method = verb->method,
        .path = path,
        .content_type = verb->content_type,
        .body = body,
        .what = client_what(ctx, verb->word, aim->kind, aim->namespace, aim->name),
        .call = call,
        .is_write = true,
    };
    return client_send(ctx, kube, &request, ret);
}

/* Sends a whole object: a copy with apiVersion and kind, as the API wants it. */
static int send_object(struct ctx *ctx, enum call call, struct kube *kube, const struct verb *verb,
                       enum kube_kind kind, const json_t *object, const char *manager, json_t **ret)
{
    struct aim aim = {.kind = kind,
                      .namespace = json_str(object, "metadata.namespace"),
                      .name = json_str(object, "metadata.name")};
    if (!aim.name && !(verb->on_collection && json_str(object, "metadata.generateName")))
        return err_set(ctx, ERR_INTERNAL, NULL, "%s %s: the object has no name", verb->word,
                       kube_kind_row(kind)->kind);
    if (kube_kind_row(kind)->scope == NAMESPACED && !aim.namespace)
        return err_set(ctx, ERR_INTERNAL, NULL, "%s %s %s: the object has no namespace", verb->word,
                       kube_kind_row(kind)->kind, aim.name ? aim.name : "*");
    json_t *body = arena_json(ctx->arena, json_copy_with(object, "metadata"));
    client_strip(body);
    client_name_kind(body, kind);
    return send_write(ctx, call, kube, verb, &aim, body, manager, ret);
}

int kube_create(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                const json_t *object, const char *manager, json_t **ret)
{
    return send_object(ctx, call, kube, &create, kind, object, manager, ret);
}

int kube_apply(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
               const json_t *object, const char *manager, json_t **ret)
{
    return send_object(ctx, call, kube, &apply, kind, object, manager, ret);
}

int kube_patch(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
               const char *namespace, const char *name, const char *subresource,
               const json_t *patch, const char *manager, json_t **ret)
{
    struct aim aim = {kind, namespace, name, subresource};
    return send_write(ctx, call, kube, &patch_merge, &aim, patch, manager, ret);
}

int kube_delete(struct ctx *ctx, enum call call, struct kube *kube, enum kube_kind kind,
                const char *namespace, const char *name, const char *uid,
                const char *resource_version)
{
    json_t *options = json_pack("{s:s, s:s, s:s, s:{s:s*, s:s*}}", "apiVersion", "v1", "kind",
                                "DeleteOptions", "propagationPolicy", "Background", "preconditions",
                                "uid", uid, "resourceVersion", resource_version);
    struct aim aim = {.kind = kind, .namespace = namespace, .name = name};
    return send_write(ctx, call, kube, &delete, &aim, arena_json(ctx->arena, options), NULL, NULL);
}
