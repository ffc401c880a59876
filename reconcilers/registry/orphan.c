/*
 * A Registry that went without its finalizer (somebody removed it by hand) is a deletion that we
 * missed: its identity becomes Retained, whatever its spec said, after its backends are locked.
 *
 * The sign: the identity is Held, and no Registry has the uid of its owner. A uid is in an identity
 * only after its Registry was there, and never comes back: so who is told by the server itself that
 * there is none may rely on it for ever. The cache only saves the asking; it may be behind, and may
 * lack what is there. Between asking and writing somebody may have taken the identity over, which
 * is refused by its resourceVersion. A list is asked rather than a name: where the kind is not
 * served (its definition is being replaced), a list fails, while a name would not be found.
 */
#include "reconcilers/registry/identity.h"
#include "reconcilers/registry/identity_reconciler.h"

#include "server/base/json.h"
#include "server/base/log.h"
#include "server/base/str.h"

static bool is_owner(const json_t *registry, const json_t *identity)
{
    return str_equal(json_str(registry, "metadata.uid"), json_str(identity, "spec.owner.uid"));
}

/* Of the same name and made anew: it takes the identity over by itself, see take_over(). */
static bool is_successor(const json_t *registry, const json_t *identity)
{
    return str_equal(json_str(registry, "metadata.name"), json_str(identity, "spec.owner.name")) &&
           str_equal(json_str(registry, "spec.identity"), json_str(identity, "metadata.name"));
}

/* NULL = nobody holds the identity, nor will. */
static int find_holder(struct ctx *ctx, struct pass *pass, const json_t **ret)
{
    const json_t *identity = pass->root;
    const char *namespace = json_str(identity, "spec.owner.namespace");
    size_t at;
    json_t *registry, *live = NULL;
    registry = pass_get(ctx, pass, KIND_REGISTRY, namespace, json_str(identity, "spec.owner.name"));
    *ret = is_owner(registry, identity) ? registry : NULL;
    if (*ret)
        return 0;
    TRY(kube_list(ctx, CALL_KUBE_REGISTRY_FIND, pass_kube(pass), KIND_REGISTRY, namespace, NULL,
                  &live));
    json_array_foreach(live, at, registry)
        if (is_owner(registry, identity) || is_successor(registry, identity))
            *ret = registry;
    return 0;
}

int identity_orphan(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const json_t *identity = pass->root, *holder;
    json_t *retained = NULL;
    bool exists;
    if (!str_equal(json_str(identity, "spec.state"), "Held") ||
        json_at(identity, "metadata.deletionTimestamp"))
        return 0;
    TRY(find_holder(ctx, pass, &holder));
    if (holder)
        return 0;
    scope->deleting = true;
    scope->spec.identity = pass->key.name;
    scope->uid = json_str_or(identity, "spec.owner.uid", "");
    scope->identity = identity;
    TRY(registry_backend_close(ctx, pass, &exists));
    TRY(identity_retain(ctx, pass, scope->identity, NULL, &retained));
    const char *note = arena_printf(
        ctx->arena, "Registry '%s/%s' went without its finalizer: its data is kept until %s",
        json_str_or(identity, "spec.owner.namespace", ""),
        json_str_or(identity, "spec.owner.name", ""),
        json_str_or(retained, "spec.purgeAfter", "?"));
    log_warn(ctx, "%s", note);
    pass_event(ctx, pass, "Warning", "RegistryGone", "Retain", "%s", note);
    return 0;
}
