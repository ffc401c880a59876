/*
 * Identity: the name of everything external. It is written into the spec before the first external
 * call, the finalizer stands before the lock, and the lock (RegistryIdentity/<identity>) before
 * anything else is made.
 */
#include "reconcilers/registry/identity.h"

#include "reconcilers/registry/scope.h"
#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum { IDENTITY_LENGTH = 16 };

bool identity_is_held_by(const json_t *identity, const char *uid)
{
    return str_equal(json_str(identity, "spec.state"), "Held") &&
           str_equal(json_str(identity, "spec.owner.uid"), uid);
}

json_t *identity_owner(const struct registry_scope *scope)
{
    return json_pack("{s:s, s:s, s:s}", "namespace", scope->namespace, "name", scope->name, "uid",
                     scope->uid);
}

int registry_still_wanted(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    json_t *live = NULL;
    TRY(kube_get(ctx, CALL_KUBE_REGISTRY_READ, pass_kube(pass), KIND_REGISTRY, scope->namespace,
                 scope->name, &live));
    if (live && str_equal(json_str(live, "metadata.uid"), scope->uid) &&
        json_int_or(live, "metadata.generation", -1) ==
            json_int_or(pass->root, "metadata.generation", -2))
        return 0;
    return err_set(ctx, ERR_CONFLICT, NULL, "the Registry changed while this pass ran");
}

/* Once, from the uid: the same for everybody who tries, and never the same for two objects. */
static int derive(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    if (scope->spec.identity)
        return 0;
    const struct kube_kind_row *kind = kube_kind_row(KIND_REGISTRY);
    json_t *wish = arena_json(
        ctx->arena,
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s}}", "apiVersion", kind->api_version, "kind",
                  kind->kind, "metadata", "name", scope->name, "namespace", scope->namespace,
                  "spec", "identity", crypto_base32_of(ctx->arena, scope->uid, IDENTITY_LENGTH)));
    TRY(pass_apply(ctx, pass, CALL_KUBE_IDENTITY_SET, wish, NULL));
    scope->spec = registry_spec_bind(pass->root);
    scope->generation = json_int_or(pass->root, "metadata.generation", 0);
    if (!scope->spec.identity)
        return err_set(ctx, ERR_PROTOCOL, NULL, "the identity that was set is not there");
    return 0;
}

static int create(struct ctx *ctx, struct pass *pass, json_t **ret)
{
    const struct registry_scope *scope = pass->scope;
    const struct kube_kind_row *kind = kube_kind_row(KIND_REGISTRY_IDENTITY);
    const char *root = shard_root_label(ctx, KIND_REGISTRY, scope->namespace, scope->name);
    json_t *object = arena_json(
        ctx->arena,
        json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}}, s:{s:o, s:s, s:b}}", "apiVersion",
                  kind->api_version, "kind", kind->kind, "metadata", "name", scope->spec.identity,
                  "labels", LABEL_MANAGED_BY, "flotilla", LABEL_ROOT, root, "spec", "owner",
                  identity_owner(scope), "state", "Held", "fleet", scope->fleet));
    TRY(registry_still_wanted(ctx, pass)); /* or a cache of before a restore brings it back */
    int rc = pass_create(ctx, pass, CALL_KUBE_IDENTITY_CREATE, object, ret);
    if (rc != -ERR_ALREADY_EXISTS)
        return rc;
    err_clear(ctx);
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 scope->spec.identity, ret));
    if (!*ret)
        return err_set(ctx, ERR_CONFLICT, NULL, "the identity went while it was looked at");
    return 0;
}

static int taken(struct ctx *ctx, struct pass *pass, const char *why)
{
    const struct registry_scope *scope = pass->scope;
    pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* its events go to its owner */
    return err_set(ctx, ERR_TAKEN, "IdentityTaken", "identity '%s' %s", scope->spec.identity, why);
}

int identity_retain(struct ctx *ctx, struct pass *pass, const json_t *identity,
                    const char *purge_after, json_t **ret)
{
    char text[CLOCK_RFC3339_BYTES];
    int64_t end_ms = clock_wall_ms() + (int64_t)RETAIN_DAYS * RETAIN_MS_PER_DAY;
    json_t *patch = json_pack("{s:{s:s, s:s}}", "spec", "state", "Retained", "purgeAfter",
                              purge_after ? purge_after : clock_rfc3339(text, end_ms, 0));
    return pass_patch(ctx, pass, CALL_KUBE_IDENTITY_UPDATE, identity, NULL,
                      arena_json(ctx->arena, patch), ret);
}

/*
 * Taking over: only what is Retained, and only from the recorded namespace or by the provider's
 * leave. A holder of our own namespace and name, but another uid, is a Registry that went without
 * its finalizer: names are unique, so it is gone for certain.
 */
static int take_over(struct ctx *ctx, struct pass *pass, json_t **identity)
{
    const struct registry_scope *scope = pass->scope;
    const char *state = json_str_or(*identity, "spec.state", "");
    const char *namespace = json_str(*identity, "spec.owner.namespace");
    bool same_namespace = str_equal(namespace, scope->namespace);
    bool predecessor =
        same_namespace && str_equal(json_str(*identity, "spec.owner.name"), scope->name);
    if (str_equal(state, "Purging"))
        return taken(ctx, pass, "is being purged; it is free when that is done");
    if (str_equal(state, "Held") && !predecessor)
        return taken(ctx, pass, "is held by another registry");
    if (!same_namespace && !str_equal(json_str(*identity, "spec.releaseTo"), scope->namespace))
        return taken(ctx, pass, "is retained for another namespace");
    TRY(registry_still_wanted(ctx, pass));
    if (str_equal(state, "Held"))
        TRY(identity_retain(ctx, pass, *identity, NULL, identity));
    const char *root = shard_root_label(ctx, KIND_REGISTRY, scope->namespace, scope->name);
    json_t *patch = json_pack("{s:{s:{s:s}}, s:{s:o, s:s, s:n, s:n}}", "metadata", "labels",
                              LABEL_ROOT, root, "spec", "owner", identity_owner(scope), "state",
                              "Held", "purgeAfter", "releaseTo");
    TRY(pass_patch(ctx, pass, CALL_KUBE_IDENTITY_UPDATE, *identity, NULL,
                   arena_json(ctx->arena, patch), identity));
    pass_event(ctx, pass, "Normal", "IdentityTakenOver", "TakeOver",
               "took over the data that was retained under identity '%s'", scope->spec.identity);
    return 0;
}

/* Kept where nobody who may write the Registry can take it back. */
static int note_fleet(struct ctx *ctx, struct pass *pass, json_t **identity)
{
    const struct registry_scope *scope = pass->scope;
    if (!scope->fleet || json_bool_or(*identity, "spec.fleet", false))
        return 0;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:{s:b}}", "spec", "fleet", true));
    return pass_patch(ctx, pass, CALL_KUBE_IDENTITY_UPDATE, *identity, NULL, patch, identity);
}

int registry_identity(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    TRY(derive(ctx, pass));
    if (!pass_has_finalizer(pass, REGISTRY_FINALIZER)) {
        TRY(pass_add_finalizer(ctx, pass, REGISTRY_FINALIZER));
        scope->spec = registry_spec_bind(pass->root);
    }
    json_t *identity = pass_get(ctx, pass, KIND_REGISTRY_IDENTITY, NULL, scope->spec.identity);
    if (!identity)
        TRY(create(ctx, pass, &identity));
    if (!identity_is_held_by(identity, scope->uid))
        TRY(take_over(ctx, pass, &identity));
    TRY(note_fleet(ctx, pass, &identity));
    scope->identity = identity;
    return 0;
}
