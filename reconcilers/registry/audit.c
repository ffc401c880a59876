/*
 * Audit: everything of one cell read live, by owner mark and by label, never by the names that the
 * code above would make, and compared. It changes nothing. Findings are meant for a quiet system:
 * work in progress looks like a difference.
 */
#include "reconcilers/registry/scope.h"

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

static void found(struct audit *audit, const char *kind, const char *object, const char *detail)
{
    json_array_append_new(audit->findings, json_pack("{s:s, s:s, s:s}", "kind", kind, "object",
                                                     object, "detail", detail));
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
    struct postgres_pool access;
    TRY(registry_pool_access(audit->ctx, audit->kube, audit->home, pool, &access));
    return postgres_list(audit->ctx, &access, ret);
}

/* A pool that does not answer is a finding, and nothing is concluded about what it holds. */
static void read_pools(struct audit *audit)
{
    size_t at, each;
    json_t *pool, *item;
    json_array_foreach(audit->pools, at, pool) {
        json_t *items = NULL;
        if (list_pool(audit, pool, &items) < 0) {
            found(audit, "PoolUnreachable", name_of(pool), audit->ctx->err.message);
            json_object_set_new(audit->silent, name_of(pool), json_true());
            err_clear(audit->ctx);
            continue;
        }
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

static void check_marked(struct audit *audit)
{
    size_t at;
    json_t *item;
    json_array_foreach(audit->marked, at, item) {
        const char *pool = json_str_or(item, "pool", "");
        bool role = str_equal(json_str(item, "kind"), "Role");
        if (!claimed(audit, pool, json_str(item, "identity")))
            found(audit, role ? "OrphanRole" : "OrphanDatabase",
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

/* Should there be a database? Yes once the registry said so, and for as long as it is retained. */
static bool expects_database(const struct audit *audit, const json_t *identity)
{
    if (str_equal(json_str(identity, "spec.state"), "Retained"))
        return true;
    const json_t *registry =
        by_text(audit->registries, "metadata.uid", json_str(identity, "spec.owner.uid"));
    const char *state =
        json_str(registry_external(json_at(registry, "status"), "PostgreSQL"), "state");
    return state && !str_equal(state, "Pending");
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
            found(audit, "OrphanClaim", name_of(claim), "nobody holds its identity");
        else if (!str_equal(json_str(claim, "spec.registry.uid"),
                            json_str(identity, "spec.owner.uid")))
            found(audit, "ClaimHolder", name_of(claim), "names another holder than its identity");
        if (!by_text(audit->pools, "metadata.name", pool))
            found(audit, "MissingPool", name_of(claim), "its pool is not there");
        else if (!json_object_get(audit->silent, pool) && identity &&
                 expects_database(audit, identity)) {
            if (!is_marked(audit, "Database", claim))
                found(audit, "MissingDatabase", name_of(claim), "the pool has none with our mark");
            if (!is_marked(audit, "Role", claim))
                found(audit, "MissingRole", name_of(claim), "the pool has none with our mark");
        }
    }
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
            found(audit, "OrphanIdentity", name_of(identity), "its Registry is gone");
        if (str_equal(json_str(identity, "spec.state"), "Purging") && !registry)
            found(audit, "PurgeUnfinished", name_of(identity), "its data is still being removed");
        if (!by_text(audit->claims, "spec.identity", name_of(identity)) &&
            str_equal(json_str(identity, "spec.state"), "Retained"))
            found(audit, "MissingClaim", name_of(identity), "retained, but no claim stands for it");
    }
}

static void check_secrets(struct audit *audit)
{
    size_t at;
    json_t *object;
    json_array_foreach(audit->secrets, at, object) {
        const char *identity =
            json_string_value(json_object_get(json_at(object, "metadata.labels"), LABEL_IDENTITY));
        if (!by_text(audit->identities, "metadata.name", identity))
            found(audit, "OrphanSecret", name_of(object), "nobody holds its identity");
    }
    json_array_foreach(audit->claims, at, object) {
        const char *name =
            registry_secret_name(audit->ctx, json_str_or(object, "spec.identity", ""));
        if (!by_text(audit->secrets, "metadata.name", name))
            found(audit, "MissingSecret", name, "a claim stands, and its credential is not kept");
    }
}

static void check_registries(struct audit *audit)
{
    size_t at;
    json_t *registry;
    json_array_foreach(audit->registries, at, registry) {
        const char *object =
            arena_printf(audit->ctx->arena, "%s/%s",
                         json_str_or(registry, "metadata.namespace", ""), name_of(registry));
        const char *state =
            json_str(registry_external(json_at(registry, "status"), "PostgreSQL"), "state");
        const json_t *identity =
            by_text(audit->identities, "metadata.name", json_str(registry, "spec.identity"));
        if (state &&
            !str_equal(json_str(identity, "spec.owner.uid"), json_str(registry, "metadata.uid")))
            found(audit, "MissingIdentity", object, "has externals and does not hold its identity");
        if (state && !by_text(audit->claims, "spec.identity", json_str(registry, "spec.identity")))
            found(audit, "MissingClaim", object, "has externals, and no claim stands for it");
    }
}

static json_t *for_the_fleet(struct audit *audit)
{
    json_t *list = arena_json(audit->ctx->arena, json_array());
    size_t at;
    json_t *registry;
    json_array_foreach(audit->registries, at, registry) {
        const json_t *labels = json_at(registry, "metadata.labels");
        const char *fleet = json_string_value(json_object_get(labels, LABEL_FLEET));
        const struct registry_spec spec = registry_spec_bind(registry);
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:b, s:s}", "namespace",
                      json_str_or(registry, "metadata.namespace", ""), "name", name_of(registry),
                      "uid", json_str_or(registry, "metadata.uid", ""), "identity", spec.identity,
                      "revision", (json_int_t)spec.revision, "generation",
                      (json_int_t)json_int_or(registry, "metadata.generation", 0), "fleet",
                      str_equal(fleet, "true"), "lifecycle",
                      spec.lifecycle == REGISTRY_CLOSED ? "Closed" : "Active"));
    }
    return list;
}

int registry_audit(struct ctx *ctx, struct kube *kube, const struct registry_operator *home,
                   json_t *findings, json_t **ret_registries)
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
    *ret_registries = for_the_fleet(&audit);
    return 0;
}
