/*
 * Audit: everything of one cell read live, by owner mark and by label, never by the names that the
 * code above would make, and compared. It changes nothing. Findings are meant for a quiet system:
 * work in progress looks like a difference.
 */
#include "reconcilers/registry/scope.h"

#include "reconcilers/engine/finding.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

struct audit {
    struct ctx *ctx;
    struct kube *kube;
    const struct registry_operator *home;
    json_t *findings;
    json_t *pools, *claims, *identities, *registries, *secrets;
    json_t *marked; /* of all pools: {kind, name, identity, pool} */
    json_t *silent; /* names of pools that did not answer: {name: true} */
};

/* In the one cell that is asked: what the fleet calls it is not known here. */
static void found(struct audit *audit, const char *finding, const char *kind, const char *object,
                  const char *detail)
{
    finding_add(audit->findings, &(struct finding){finding, kind, object, "", detail});
}

static const char *name_of(const json_t *object)
{
    return json_str_or(object, "metadata.name", "");
}

static const json_t *by_text(const json_t *list, const char *path, const char *value)
{
    size_t at;
    json_t *object;
    json_array_foreach(list, at, object)
        if (str_equal(json_str(object, path), value))
            return object;
    return NULL;
}

/* ---- reading ---- */

static int read_cluster(struct audit *audit)
{
    struct ctx *ctx = audit->ctx;
    struct kube *kube = audit->kube;
    TRY(kube_list(ctx, CALL_NONE, kube, KIND_BACKEND_POOL, NULL, NULL, &audit->pools));
    TRY(kube_list(ctx, CALL_NONE, kube, KIND_BACKEND_CLAIM, NULL, NULL, &audit->claims));
    TRY(kube_list(ctx, CALL_NONE, kube, KIND_REGISTRY_IDENTITY, NULL, NULL, &audit->identities));
    TRY(kube_list(ctx, CALL_NONE, kube, KIND_REGISTRY, NULL, NULL, &audit->registries));
    return kube_list(ctx, CALL_NONE, kube, KIND_SECRET, audit->home->namespace, LABEL_IDENTITY,
                     &audit->secrets);
}

static int list_pool(struct audit *audit, const json_t *pool, json_t **ret)
{
    enum backend_type type = backend_type_of(json_str(pool, "spec.type"));
    if (type == BACKEND_TYPES)
        return err_set(audit->ctx, ERR_INVALID, NULL, "the type of the pool is not known here");
    return backend_row_of(type, pool)->list(audit->ctx, audit->kube, audit->home, pool, ret);
}

/* A pool that does not answer is a finding. Nothing is concluded about what it holds, nor about
 * what one holds that cannot tell. */
static void read_pools(struct audit *audit)
{
    size_t at, each;
    json_t *pool, *item;
    json_array_foreach(audit->pools, at, pool) {
        json_t *items = NULL;
        if (list_pool(audit, pool, &items) < 0) {
            found(audit, "PoolUnreachable", "BackendPool", name_of(pool), audit->ctx->err.message);
            json_object_set_new(audit->silent, name_of(pool), json_true());
            err_clear(audit->ctx);
            continue;
        }
        if (!items)
            json_object_set_new(audit->silent, name_of(pool), json_true());
        json_array_foreach(items, each, item) {
            json_object_set_new(item, "pool", json_string(name_of(pool)));
            json_array_append(audit->marked, item);
        }
    }
}

/* ---- comparing: one function per kind of thing ---- */

/* Two pools may be the same server: what one claims, the other lists too. */
static bool same_server(const struct audit *audit, const char *a, const char *b)
{
    const json_t *first = by_text(audit->pools, "metadata.name", a);
    const json_t *second = by_text(audit->pools, "metadata.name", b);
    return str_equal(a, b) ||
           (first && second &&
            json_equal(json_at(first, "spec.endpoint"), json_at(second, "spec.endpoint")));
}

static bool claimed(const struct audit *audit, const char *pool, const char *identity)
{
    size_t at;
    json_t *claim;
    json_array_foreach(audit->claims, at, claim)
        if (str_equal(json_str(claim, "spec.identity"), identity) &&
            same_server(audit, json_str_or(claim, "spec.pool", ""), pool))
            return true;
    return false;
}

/* What carries our mark on a pool. */
static const struct {
    const char *kind;
    const struct backend_row *row;
    const char *orphan, *missing; /* findings; NULL = it may be missing */
    bool retained;                /* is there as long as an identity is retained, too */
} kinds[] = {
    {"Owner", &backend_postgres, "OrphanRole", "MissingRole", true},
    {"Role", &backend_postgres, "OrphanRole", NULL, false}, /* made when it is to log in */
    {"Database", &backend_postgres, "OrphanDatabase", "MissingDatabase", true},
    {"User", &backend_redis, "OrphanUser", "MissingUser", false}, /* a cache's, made anew */
    {"Volume", &backend_dedicated, "OrphanVolume", "MissingVolume", false},
    {"Bucket", &backend_s3, "OrphanBucket", "MissingBucket", true},
    {"Account", &backend_s3, "OrphanAccount", NULL, false}, /* made when the bucket is opened */
};

static void check_marked(struct audit *audit)
{
    size_t at, row;
    json_t *item;
    json_array_foreach(audit->marked, at, item) {
        const char *pool = json_str_or(item, "pool", "");
        const char *kind = json_str_or(item, "kind", "");
        if (claimed(audit, pool, json_str(item, "identity")))
            continue;
        for (row = 0; row < ARRAY_SIZE(kinds); row++)
            if (str_equal(kinds[row].kind, kind))
                found(audit, kinds[row].orphan, kind,
                      arena_printf(audit->ctx->arena, "%s/%s", pool, json_str_or(item, "name", "")),
                      "carries our mark, and no claim stands for it");
    }
}

static bool is_marked(const struct audit *audit, const char *kind, const json_t *claim)
{
    size_t at;
    json_t *item;
    json_array_foreach(audit->marked, at, item)
        if (str_equal(json_str(item, "kind"), kind) &&
            str_equal(json_str(item, "pool"), json_str(claim, "spec.pool")) &&
            str_equal(json_str(item, "identity"), json_str(claim, "spec.identity")))
            return true;
    return false;
}

/* Should it be there? Yes once the registry said so. */
static bool is_made(const struct audit *audit, const json_t *identity, enum backend_type type)
{
    const json_t *registry =
        by_text(audit->registries, "metadata.uid", json_str(identity, "spec.owner.uid"));
    const char *state = json_str(registry_external(json_at(registry, "status"), type), "state");
    return state && !str_equal(state, "Pending");
}

static void check_claimed(struct audit *audit, const json_t *claim, const json_t *identity)
{
    enum backend_type type = backend_claim_type(claim);
    const struct backend_row *by = backend_row_of(
        type, by_text(audit->pools, "metadata.name", json_str_or(claim, "spec.pool", "")));
    bool retained = str_equal(json_str(identity, "spec.state"), "Retained");
    for (size_t row = 0; row < ARRAY_SIZE(kinds); row++)
        if (kinds[row].row == by && kinds[row].missing &&
            (retained ? kinds[row].retained && registry_made(identity, type)
                      : is_made(audit, identity, type)) &&
            !is_marked(audit, kinds[row].kind, claim))
            found(audit, kinds[row].missing, "BackendClaim", name_of(claim),
                  "the pool has none with our mark");
}

static void check_claims(struct audit *audit)
{
    size_t at;
    json_t *claim;
    json_array_foreach(audit->claims, at, claim) {
        const char *pool = json_str_or(claim, "spec.pool", "");
        const json_t *identity =
            by_text(audit->identities, "metadata.name", json_str(claim, "spec.identity"));
        if (!identity)
            found(audit, "OrphanClaim", "BackendClaim", name_of(claim),
                  "nobody holds its identity");
        else if (!str_equal(json_str(claim, "spec.registry.uid"),
                            json_str(identity, "spec.owner.uid")))
            found(audit, "ClaimHolder", "BackendClaim", name_of(claim),
                  "names another holder than its identity");
        if (!by_text(audit->pools, "metadata.name", pool))
            found(audit, "MissingPool", "BackendClaim", name_of(claim), "its pool is not there");
        else if (!json_object_get(audit->silent, pool) && identity)
            check_claimed(audit, claim, identity);
    }
}

static const json_t *claim_of(const struct audit *audit, const char *identity,
                              enum backend_type type)
{
    size_t at;
    json_t *claim;
    json_array_foreach(audit->claims, at, claim)
        if (str_equal(json_str(claim, "spec.identity"), identity) &&
            backend_claim_type(claim) == type)
            return claim;
    return NULL;
}

static void check_retained(struct audit *audit, const json_t *identity)
{
    if (!str_equal(json_str(identity, "spec.state"), "Retained"))
        return;
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        if (registry_made(identity, type) && !claim_of(audit, name_of(identity), type))
            found(audit, "MissingClaim", "RegistryIdentity", name_of(identity),
                  arena_printf(audit->ctx->arena, "retained, but no claim of %s stands for it",
                               backend_type_names[type]));
}

static void check_identities(struct audit *audit)
{
    size_t at;
    json_t *identity;
    json_array_foreach(audit->identities, at, identity) {
        bool held = str_equal(json_str(identity, "spec.state"), "Held");
        const json_t *registry =
            by_text(audit->registries, "metadata.uid", json_str(identity, "spec.owner.uid"));
        if (held && !registry)
            found(audit, "OrphanIdentity", "RegistryIdentity", name_of(identity),
                  "its Registry is gone");
        if (str_equal(json_str(identity, "spec.state"), "Purging") && !registry)
            found(audit, "PurgeUnfinished", "RegistryIdentity", name_of(identity),
                  "its data is still being removed");
        check_retained(audit, identity);
    }
}

static void check_secrets(struct audit *audit)
{
    size_t at;
    json_t *object;
    json_array_foreach(audit->secrets, at, object) {
        if (!by_text(audit->identities, "metadata.name", kube_label(object, LABEL_IDENTITY)))
            found(audit, "OrphanSecret", "Secret", name_of(object), "nobody holds its identity");
    }
    json_array_foreach(audit->claims, at, object) {
        const char *name =
            registry_secret_name(audit->ctx, json_str_or(object, "spec.identity", ""));
        if (!by_text(audit->secrets, "metadata.name", name))
            found(audit, "MissingSecret", "Secret", name,
                  "a claim stands, and its credential is not kept");
    }
}

static void check_externals(struct audit *audit, const json_t *registry, const char *object)
{
    const json_t *status = json_at(registry, "status");
    const char *identity = json_str(registry, "spec.identity");
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++)
        if (registry_external(status, type) && !claim_of(audit, identity, type))
            found(audit, "MissingClaim", "Registry", object,
                  arena_printf(audit->ctx->arena,
                               "has an external of %s, and no claim stands for it",
                               backend_type_names[type]));
}

static void check_registries(struct audit *audit)
{
    size_t at;
    json_t *registry;
    json_array_foreach(audit->registries, at, registry) {
        const char *object =
            arena_printf(audit->ctx->arena, "%s/%s",
                         json_str_or(registry, "metadata.namespace", ""), name_of(registry));
        const json_t *identity =
            by_text(audit->identities, "metadata.name", json_str(registry, "spec.identity"));
        if (json_at(registry, "status.externals") &&
            !str_equal(json_str(identity, "spec.owner.uid"), json_str(registry, "metadata.uid")))
            found(audit, "MissingIdentity", "Registry", object,
                  "has externals and does not hold its identity");
        check_externals(audit, registry, object);
    }
}

int registry_audit(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                   json_t *findings)
{
    struct audit audit = {
        .ctx = ctx,
        .kube = kube,
        .home = home,
        .findings = findings,
        .marked = arena_json(ctx->arena, json_array()),
        .silent = arena_json(ctx->arena, json_object()),
    };
    TRY(read_cluster(&audit));
    read_pools(&audit);
    check_marked(&audit);
    check_claims(&audit);
    check_identities(&audit);
    check_secrets(&audit);
    check_registries(&audit);
    return 0;
}
