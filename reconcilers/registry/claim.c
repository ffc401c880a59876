/*
 * Claims, one per type of backend. BackendClaim/<pool>.<slot> is a slot's lock: the API server
 * gives a name once. Before slots are taken, the identity's claims are listed live, and after it
 * again: of two of a type that a race made, the one that was written first (lowest resourceVersion)
 * stays, which everybody sees alike.
 */
#include "reconcilers/registry/identity.h"
#include "reconcilers/registry/room.h"

#include "server/base/json.h"
#include "server/base/str.h"

enum { TRIES_MAX = 64 };

/* ---- which claims are ours ---- */

static bool is_before(const json_t *claim, const json_t *other)
{
    return kube_version_compare(json_str(claim, "metadata.resourceVersion"),
                                json_str(other, "metadata.resourceVersion")) < 0;
}

int registry_claims_live(struct ctx *ctx, struct pass *pass, const char *identity,
                         const json_t *ret[BACKEND_TYPES])
{
    json_t *claims = NULL;
    size_t at;
    json_t *claim;
    const char *selector = arena_printf(ctx->arena, LABEL_IDENTITY "=%s", identity);
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        ret[type] = NULL;
    TRY(kube_list(ctx, CALL_KUBE_CLAIM_LIST, pass_kube(pass), KIND_BACKEND_CLAIM, NULL, selector,
                  &claims));
    json_array_foreach(claims, at, claim) {
        enum backend_type type = backend_claim_type(claim);
        if (type < BACKEND_TYPES && (!ret[type] || is_before(claim, ret[type])))
            ret[type] = claim;
    }
    json_array_foreach(claims, at, claim) {
        enum backend_type type = backend_claim_type(claim);
        if (type < BACKEND_TYPES && claim != ret[type])
            TRY(pass_delete(ctx, pass, CALL_KUBE_CLAIM_DELETE, claim));
    }
    return 0;
}

/* Exactly one of each type is known; else the server is asked. */
static int find_claims(struct ctx *ctx, struct pass *pass, const json_t *ret[BACKEND_TYPES])
{
    const char *identity = ((const struct registry_scope *)pass->scope)->spec.identity;
    const json_t *cached = pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_IDENTITY, identity);
    size_t at, known = 0;
    json_t *claim;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        ret[type] = NULL;
    json_array_foreach(cached, at, claim) {
        enum backend_type type = backend_claim_type(claim);
        known += type < BACKEND_TYPES && !ret[type];
        if (type < BACKEND_TYPES)
            ret[type] = claim;
    }
    if (known == BACKEND_TYPES && json_array_size(cached) == BACKEND_TYPES)
        return 0;
    return registry_claims_live(ctx, pass, identity, ret);
}

/* ---- which pool, which slot ---- */

static int64_t free_slots(struct ctx *ctx, struct pass *pass, const json_t *pool)
{
    return json_int_or(pool, "spec.slots", 0) -
           (int64_t)json_array_size(
               pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_POOL, pool_name(pool)));
}

static bool pool_ready(const json_t *pool)
{
    const json_t *ready = json_find(pool, "status.conditions", "type", "Ready");
    return str_equal(json_str(ready, "status"), "True") &&
           !json_at(pool, "metadata.deletionTimestamp");
}

/* Pools of the type that were passed over, one of each kind. */
struct passed_over {
    const json_t *full, *cramped, *draining;
};

/* Why no pool of the type was chosen; the first row that fits. */
static int no_pool(struct ctx *ctx, struct pass *pass, enum backend_type type,
                   const struct passed_over *over)
{
    const struct registry_scope *scope = pass->scope;
    const char *pinned = scope->spec.pools[type];
    pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* pools wake nobody: there may be a thousand waiting */
    if (over->full)
        return err_set(ctx, ERR_WAITING, "PoolFull", "pool '%s' (%s) has no free slot",
                       pool_name(over->full), backend_type_names[type]);
    if (over->cramped)
        return err_set(ctx, ERR_WAITING, "PoolConnections",
                       "pool '%s' (%s) has promised %lld of %lld connections: no room for size %s",
                       pool_name(over->cramped), backend_type_names[type],
                       (long long)room_promised(ctx, pass, pool_name(over->cramped)),
                       (long long)room_limit(over->cramped), scope->spec.size);
    if (over->draining)
        return err_set(ctx, ERR_WAITING, "PoolDraining",
                       "pool '%s' (%s) is drained and takes no further registry",
                       pool_name(over->draining), backend_type_names[type]);
    if (pinned)
        return err_set(ctx, ERR_WAITING, "PoolMissing", "there is no ready pool '%s' for %s",
                       pinned, backend_type_names[type]);
    return err_set(ctx, ERR_WAITING, "PoolMissing", "there is no ready pool for %s",
                   backend_type_names[type]);
}

/* A Redis of its own is more than what most pay for: it is given to who asks for it by name. */
static bool pool_fits(const json_t *pool, enum backend_type type, const char *pinned)
{
    return backend_type_of(json_str(pool, "spec.type")) == type && pool_ready(pool) &&
           (pinned ? str_equal(pinned, pool_name(pool)) : !pool_is_dedicated(pool));
}

/* The pinned pool, or the ready one with most free slots (then by name: the list is unordered). */
static int choose_pool(struct ctx *ctx, struct pass *pass, enum backend_type type,
                       const json_t **ret)
{
    const struct registry_scope *scope = pass->scope;
    const char *pinned = scope->spec.pools[type];
    const json_t *best = NULL;
    struct passed_over over = {0};
    int64_t best_free = 0;
    size_t at;
    json_t *pool;
    const json_t *pools = pass_list(ctx, pass, KIND_BACKEND_POOL, NULL, NULL, NULL);
    json_array_foreach(pools, at, pool) {
        if (!pool_fits(pool, type, pinned))
            continue;
        int64_t free = free_slots(ctx, pass, pool);
        if (json_bool_or(pool, "spec.drain", false)) {
            over.draining = pool;
        } else if (free <= 0) {
            over.full = pool;
        } else if (!room_for(ctx, pass, pool, scope->spec.size, NULL)) {
            over.cramped = pool;
        } else if (free > best_free) {
            best = pool;
            best_free = free;
        }
    }
    if (!best)
        return no_pool(ctx, pass, type, &over);
    *ret = best;
    return 0;
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

static json_t *build(struct ctx *ctx, const struct registry_scope *scope, enum backend_type type,
                     const char *pool, int64_t slot)
{
    const struct kube_kind_row *kind = kube_kind_row(KIND_BACKEND_CLAIM);
    const char *identity = scope->spec.identity;
    const char *size = type == BACKEND_POSTGRESQL ? scope->spec.size : NULL;
    return arena_json(
        ctx->arena,
        json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s, s:s}}, s:{s:s, s:s, s:I, s:s, s:s*, s:o}}",
                  "apiVersion", kind->api_version, "kind", kind->kind, "metadata", "name",
                  arena_printf(ctx->arena, "%s.%lld", pool, (long long)slot), "labels",
                  LABEL_MANAGED_BY, "flotilla", LABEL_ROOT,
                  shard_root_label(ctx, KIND_REGISTRY, scope->namespace, scope->name),
                  LABEL_IDENTITY, identity, LABEL_POOL, pool, "spec", "pool", pool, "type",
                  backend_type_names[type], "slot", (json_int_t)slot, "identity", identity, "size",
                  size, "registry", identity_owner(scope)));
}

/*
 * The lowest slot that is free in the cache. Taken meanwhile: by a stranger = the next one; perhaps
 * by somebody who works for this registry, too, which is looked up at the first refusal.
 */
static int take_slot(struct ctx *ctx, struct pass *pass, enum backend_type type, const json_t *pool)
{
    const struct registry_scope *scope = pass->scope;
    const char *name = pool_name(pool);
    const json_t *claims = pass_list(ctx, pass, KIND_BACKEND_CLAIM, NULL, LABEL_POOL, name);
    const json_t *live[BACKEND_TYPES];
    int64_t slots = json_int_or(pool, "spec.slots", 0);
    int tries = 0;
    TRY(registry_still_wanted(ctx, pass)); /* or a cache of before a restore brings it back */
    for (int64_t slot = 0; slot < slots && tries < TRIES_MAX; slot++) {
        if (slot_used(claims, slot))
            continue;
        tries++;
        int rc = pass_create(ctx, pass, CALL_KUBE_CLAIM_CREATE, build(ctx, scope, type, name, slot),
                             NULL);
        if (rc != -ERR_ALREADY_EXISTS)
            return rc;
        err_clear(ctx);
        if (tries > 1)
            continue;
        TRY(registry_claims_live(ctx, pass, scope->spec.identity, live));
        if (live[type])
            return 0;
    }
    return err_set(ctx, ERR_CONFLICT, NULL, "others took the free slots of pool '%s'", name);
}

/*
 * Pools are chosen for all types before a slot of one is taken: a registry that cannot have all of
 * its backends holds no slot. One that closes needs no more than it has.
 */
static int take_missing(struct ctx *ctx, struct pass *pass, const json_t *claims[BACKEND_TYPES])
{
    const struct registry_scope *scope = pass->scope;
    const json_t *pools[BACKEND_TYPES] = {0};
    int wanted = 0;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        if (claims[type])
            continue;
        int rc = choose_pool(ctx, pass, type, &pools[type]);
        if (rc == -ERR_WAITING && registry_closed(scope))
            err_clear(ctx);
        else
            TRY(rc);
        wanted += pools[type] != NULL;
    }
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        if (pools[type])
            TRY(take_slot(ctx, pass, type, pools[type]));
    return wanted ? registry_claims_live(ctx, pass, scope->spec.identity, claims) : 0;
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
    const char *name = json_str_or(claim, "spec.pool", "");
    enum backend_type type = backend_claim_type(claim);
    *ret = pass_get(ctx, pass, KIND_BACKEND_POOL, NULL, name);
    if (*ret && backend_type_of(json_str(*ret, "spec.type")) == type)
        return 0;
    pass_requeue(pass, WAIT_FOR_OTHERS_MS);
    return err_set(ctx, ERR_WAITING, "PoolMissing", "pool '%s' (%s), which holds the data, is %s",
                   name, backend_type_names[type], *ret ? "of another type now" : "not there");
}

int registry_resolve(struct ctx *ctx, struct pass *pass, const json_t *const claims[BACKEND_TYPES],
                     struct registry_backend ret[BACKEND_TYPES])
{
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        struct registry_backend *backend = &ret[type];
        *backend = (struct registry_backend){.claim = claims[type]};
        if (!backend->claim)
            continue;
        TRY(registry_pool_of(ctx, pass, backend->claim, &backend->pool));
        const struct backend_row *row = backend_row_of(type, backend->pool);
        if (row->give)
            TRY(row->give(ctx, pass_kube(pass), pass->home, backend));
    }
    return 0;
}

int registry_claim(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const json_t *claims[BACKEND_TYPES];
    TRY(find_claims(ctx, pass, claims));
    TRY(take_missing(ctx, pass, claims));
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        if (claims[type])
            TRY(rename_holder(ctx, pass, &claims[type]));
        else if (!registry_closed(scope))
            return err_set(ctx, ERR_CONFLICT, NULL, "a claim went while it was looked at");
    }
    TRY(registry_resolve(ctx, pass, claims, scope->backends));
    struct registry_backend *postgres = &scope->backends[BACKEND_POSTGRESQL];
    return postgres->claim ? room_grant(ctx, pass, postgres->pool, &postgres->claim) : 0;
}
