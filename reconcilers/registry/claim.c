/*
 * Claims. BackendClaim/<pool>.<slot> is a slot's lock: the API server gives a name once. Before a
 * slot is taken, the identity's claims are listed live, and after it again: of two that a race
 * made, the one that was written first (lowest resourceVersion) stays, which everybody sees alike.
 */
#include "reconcilers/registry/identity.h"

#include "server/base/json.h"
#include "server/base/str.h"

enum { TRIES_MAX = 64 };

static const char *spec_pool(const json_t *claim)
{
    return json_str_or(claim, "spec.pool", "");
}

/* ---- which claim is ours ---- */

static int keep_first(struct ctx *ctx, struct pass *pass, const json_t *claims, const json_t **ret)
{
    size_t at;
    json_t *claim;
    const json_t *first = NULL;
    json_array_foreach(claims, at, claim)
        if (!first || kube_version_compare(json_str(claim, "metadata.resourceVersion"),
                                           json_str(first, "metadata.resourceVersion")) < 0)
            first = claim;
    json_array_foreach(claims, at, claim)
        if (claim != first)
            TRY(pass_delete(ctx, pass, CALL_KUBE_CLAIM_DELETE, claim));
    *ret = first;
    return 0;
}

int registry_claim_live(struct ctx *ctx, struct pass *pass, const char *identity,
                        const json_t **ret)
{
    json_t *claims = NULL;
    const char *selector = arena_printf(ctx->arena, LABEL_IDENTITY "=%s", identity);
    TRY(kube_list(ctx, CALL_KUBE_CLAIM_LIST, pass_kube(pass), KIND_BACKEND_CLAIM, NULL, selector,
                  &claims));
    return keep_first(ctx, pass, claims, ret);
}

/* ---- which pool, which slot ---- */

static int64_t free_slots(struct ctx *ctx, struct pass *pass, const json_t *pool)
{
    const char *name = json_str(pool, "metadata.name");
    return json_int_or(pool, "spec.slots", 0) -
           (int64_t)json_array_size(
               pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_POOL, name));
}

static bool pool_ready(const json_t *pool)
{
    const json_t *ready = json_find(pool, "status.conditions", "type", "Ready");
    return str_equal(json_str(ready, "status"), "True") &&
           !json_at(pool, "metadata.deletionTimestamp");
}

/* The pinned pool, or the ready one with most free slots (then by name: the list is unordered). */
static int choose_pool(struct ctx *ctx, struct pass *pass, const json_t **ret)
{
    const struct registry_scope *scope = pass->scope;
    const char *pinned = scope->spec.postgresql_pool;
    const json_t *best = NULL;
    int64_t best_free = -1;
    size_t at;
    json_t *pool;
    json_array_foreach(pass_list(ctx, pass, KIND_BACKEND_POOL, NULL, NULL, NULL), at, pool) {
        if (!pool_ready(pool) || (pinned && !str_equal(pinned, json_str(pool, "metadata.name"))))
            continue;
        int64_t free = free_slots(ctx, pass, pool);
        if (free > best_free) {
            best = pool;
            best_free = free;
        }
    }
    if (best && best_free > 0) {
        *ret = best;
        return 0;
    }
    pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* pools wake nobody: there may be a thousand waiting */
    if (best)
        return err_set(ctx, ERR_WAITING, "PoolFull", "pool '%s' has no free slot",
                       json_str_or(best, "metadata.name", ""));
    return err_set(ctx, ERR_WAITING, "PoolMissing", "%s%s%s",
                   pinned ? "there is no ready pool '" : "there is no ready pool for PostgreSQL",
                   pinned ? pinned : "", pinned ? "'" : "");
}

static bool slot_used(const json_t *claims, int64_t slot)
{
    size_t at;
    json_t *claim;
    json_array_foreach(claims, at, claim)
        if (json_int_or(claim, "spec.slot", -1) == slot)
            return true;
    return false;
}

static json_t *build(struct ctx *ctx, const struct registry_scope *scope, const char *pool,
                     int64_t slot)
{
    const struct kube_kind_row *kind = kube_kind_row(KIND_BACKEND_CLAIM);
    const char *identity = scope->spec.identity;
    return arena_json(
        ctx->arena,
        json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s, s:s}}, s:{s:s, s:I, s:s, s:o}}",
                  "apiVersion", kind->api_version, "kind", kind->kind, "metadata", "name",
                  arena_printf(ctx->arena, "%s.%lld", pool, (long long)slot), "labels",
                  LABEL_MANAGED_BY, "flotilla", LABEL_ROOT,
                  shard_root_label(ctx, KIND_REGISTRY, scope->namespace, scope->name),
                  LABEL_IDENTITY, identity, LABEL_POOL, pool, "spec", "pool", pool, "slot",
                  (json_int_t)slot, "identity", identity, "registry", identity_owner(scope)));
}

/* The lowest slot that is free in the cache. Taken meanwhile: by a stranger = the next one; perhaps
 * by somebody who works for this registry, too, which is looked up at the first refusal. */
static int create(struct ctx *ctx, struct pass *pass, const json_t **ret)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *pool = NULL;
    TRY(choose_pool(ctx, pass, &pool));
    const char *name = json_str_or(pool, "metadata.name", "");
    const json_t *claims = pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_POOL, name);
    int64_t slots = json_int_or(pool, "spec.slots", 0);
    int tries = 0;
    for (int64_t slot = 0; slot < slots && tries < TRIES_MAX; slot++) {
        if (slot_used(claims, slot))
            continue;
        tries++;
        int rc =
            pass_create(ctx, pass, CALL_KUBE_CLAIM_CREATE, build(ctx, scope, name, slot), NULL);
        if (rc == 0)
            return registry_claim_live(ctx, pass, scope->spec.identity, ret);
        if (rc != -ERR_ALREADY_EXISTS)
            return rc;
        err_clear(ctx);
        if (tries == 1)
            TRY(registry_claim_live(ctx, pass, scope->spec.identity, ret));
        if (*ret)
            return 0;
    }
    return err_set(ctx, ERR_CONFLICT, NULL, "others took the free slots of pool '%s'", name);
}

/* ---- the phase ---- */

/* A retained identity was taken over: the claim names its new holder. */
static int rename_holder(struct ctx *ctx, struct pass *pass, const json_t **claim)
{
    const struct registry_scope *scope = pass->scope;
    if (str_equal(json_str(*claim, "spec.registry.uid"), scope->uid))
        return 0;
    json_t *live = NULL;
    const char *root = shard_root_label(ctx, KIND_REGISTRY, scope->namespace, scope->name);
    json_t *patch = json_pack("{s:{s:{s:s}}, s:{s:o}}", "metadata", "labels", LABEL_ROOT, root,
                              "spec", "registry", identity_owner(scope));
    TRY(pass_patch(ctx, pass, CALL_KUBE_CLAIM_UPDATE, *claim, NULL, arena_json(ctx->arena, patch),
                   &live));
    *claim = live;
    return 0;
}

int registry_pool_of(struct ctx *ctx, struct pass *pass, const json_t *claim, const json_t **ret)
{
    *ret = pass_get(ctx, pass, KIND_BACKEND_POOL, NULL, spec_pool(claim));
    if (*ret)
        return 0;
    pass_requeue(pass, WAIT_FOR_OTHERS_MS);
    return err_set(ctx, ERR_WAITING, "PoolMissing", "pool '%s', which holds the data, is not there",
                   spec_pool(claim));
}

int registry_claim(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const json_t *cached =
        pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_IDENTITY, scope->spec.identity);
    const json_t *claim = NULL;
    if (json_array_size(cached) == 1)
        claim = json_array_get(cached, 0);
    else
        TRY(registry_claim_live(ctx, pass, scope->spec.identity, &claim));
    if (!claim)
        TRY(create(ctx, pass, &claim));
    if (!claim)
        return err_set(ctx, ERR_CONFLICT, NULL, "the claim went while it was looked at");
    TRY(rename_holder(ctx, pass, &claim));
    struct registry_backend *backend = &scope->backends[BACKEND_POSTGRESQL];
    backend->claim = claim;
    return registry_pool_of(ctx, pass, claim, &backend->pool);
}
