/*
 * Teardown: the finalizer. Data is purged only when that was said twice (Closed, and purgeAfter
 * passed) or by a deletionPolicy of a resource that the fleet does not own. In every other case the
 * backends are locked, the identity is Retained, and the object is let go: deleting a namespace by
 * mistake loses nothing. Purging itself is done by one place only, identity_reconciler.c; here we
 * hand over to it and wait until the identity is gone.
 */
#include "reconcilers/registry/identity.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

enum teardown registry_teardown_decide(const struct registry_scope *scope, int64_t now_ms)
{
    if (registry_closed(scope) && registry_time_passed(scope->spec.purge_after, now_ms))
        return TEARDOWN_PURGE;
    if (scope->spec.deletion == REGISTRY_DELETE && !scope->fleet)
        return TEARDOWN_PURGE;
    return TEARDOWN_RETAIN;
}

static int let_go(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    TRY(pass_remove_finalizer(ctx, pass, REGISTRY_FINALIZER));
    scope->let_go = true;
    return err_set(ctx, ERR_WAITING, "Deleting", "nothing of ours holds the object any more");
}

static int end_kind(struct ctx *ctx, struct pass *pass, enum kube_kind kind)
{
    const struct registry_scope *scope = pass->scope;
    size_t at;
    json_t *object;
    const json_t *all = pass_list(ctx, pass, kind, scope->namespace, LABEL_REGISTRY, scope->name);
    json_array_foreach(all, at, object) {
        const json_t *owner = json_at(object, "metadata.ownerReferences.0");
        if (str_equal(json_str(owner, "uid"), scope->uid) &&
            !json_at(object, "metadata.deletionTimestamp"))
            TRY(pass_delete(ctx, pass, CALL_KUBE_OBJECT_DELETE, object));
    }
    return 0;
}

/*
 * What runs pods is deleted rather than scaled: in a namespace that is being deleted nothing can be
 * created, and what is ours goes anyway. But a migration that is under way is waited for.
 */
static int end_stack(struct ctx *ctx, struct pass *pass)
{
    TRY(end_kind(ctx, pass, KIND_DEPLOYMENT));
    TRY(end_kind(ctx, pass, KIND_STATEFUL_SET));
    return registry_pods_gone(ctx, pass);
}

/* ---- the two ways out ---- */

static int hand_to_purge(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    /* The purge also asks the pool's own clock before it drops anything. */
    const char *end = registry_closed(scope) ? scope->spec.purge_after : NULL;
    json_t *patch = json_pack("{s:{s:s, s:s*}}", "spec", "state", "Purging", "purgeAfter", end);
    TRY(pass_patch(ctx, pass, CALL_KUBE_IDENTITY_UPDATE, scope->identity, NULL,
                   arena_json(ctx->arena, patch), NULL));
    return err_set(ctx, ERR_WAITING, "Purging", "backends and credentials are being removed");
}

const char *registry_kept_until(struct ctx *ctx, const struct registry_scope *scope, int64_t now_ms)
{
    int64_t end_ms, latest_ms = now_ms + (int64_t)RETAIN_DAYS_MAX * RETAIN_MS_PER_DAY;
    const char *wish = registry_closed(scope) ? scope->spec.purge_after : NULL;
    if (!wish || clock_parse_rfc3339(wish, &end_ms) < 0)
        return NULL;
    if (end_ms <= latest_ms)
        return wish;
    char *latest = arena_alloc(ctx->arena, CLOCK_RFC3339_BYTES);
    return clock_rfc3339(latest, latest_ms, 0);
}

static int retain(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    bool exists = false;
    TRY(registry_backend_close(ctx, pass, &exists));
    if (!exists) /* nothing was ever made: there is nothing to keep */
        return hand_to_purge(ctx, pass);
    json_t *retained = NULL;
    TRY(identity_retain(ctx, pass, scope->identity,
                        registry_kept_until(ctx, scope, clock_wall_ms()), &retained));
    pass_event(ctx, pass, "Normal", "Retained", "Delete",
               "data is kept under RegistryIdentity '%s' until %s", scope->spec.identity,
               json_str_or(retained, "spec.purgeAfter", "?"));
    return let_go(ctx, pass);
}

/* Ours to handle? The lock tells, read live: deciding by a cache would be deciding by the past. */
static int handle(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    json_t *identity = NULL;
    if (!scope->spec.identity)
        return let_go(ctx, pass);
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 scope->spec.identity, &identity));
    scope->identity = identity;
    scope->fleet = scope->fleet || json_bool_or(identity, "spec.fleet", false);
    bool ours = str_equal(json_str(identity, "spec.owner.uid"), scope->uid);
    const char *state = json_str_or(identity, "spec.state", "");
    if (!identity && registry_external(pass->status, BACKEND_POSTGRESQL))
        pass_event(ctx, pass, "Normal", "Purged", "Delete",
                   "backends and credentials of identity '%s' are gone", scope->spec.identity);
    if (!ours || str_equal(state, "Retained"))
        return let_go(ctx, pass);
    if (str_equal(state, "Purging")) {
        pass_requeue(pass, WAIT_FOR_OTHERS_MS);
        return err_set(ctx, ERR_WAITING, "Purging", "backends and credentials are being removed");
    }
    TRY(end_stack(ctx, pass));
    return registry_teardown_decide(scope, clock_wall_ms()) == TEARDOWN_PURGE
               ? hand_to_purge(ctx, pass)
               : retain(ctx, pass);
}

int registry_teardown(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    if (!scope->deleting)
        return 0;
    if (pass_has_finalizer(pass, REGISTRY_FINALIZER))
        return handle(ctx, pass);
    scope->let_go = true;
    return err_set(ctx, ERR_WAITING, "Deleting", "the object waits for others");
}
