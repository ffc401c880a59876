/*
 * Registry and its three companions in C: the bind of the spec, and for each kind the rules that
 * its CRD states in CEL. The structural part of the checks comes from the CRD itself (api/crd.c).
 */
#include "api/registry.h"

#include "api/crd.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>
#include <string.h>

#define ALNUM_LOWER "abcdefghijklmnopqrstuvwxyz0123456789"

const struct registry_field registry_fields[] = {
    {"identity", AUDIENCE_SYSTEM, "names every external thing; immutable"},
    {"revision", AUDIENCE_SYSTEM, "generation of the fleet's row"},
    {"version", AUDIENCE_TENANT | AUDIENCE_PROVIDER, "Harbor version"},
    {"size", AUDIENCE_TENANT | AUDIENCE_PROVIDER, "the plan sets it"},
    {"host", AUDIENCE_TENANT | AUDIENCE_PROVIDER, "DNS name of the registry"},
    {"lifecycle", AUDIENCE_PROVIDER | AUDIENCE_SYSTEM, "DELETE and undelete set it"},
    {"purgeAfter", AUDIENCE_SYSTEM, "end of the grace period"},
    {"deletionPolicy", AUDIENCE_PROVIDER, "ignored on a resource that the fleet owns"},
    {"adminSecretRef.name", AUDIENCE_SYSTEM, "Secret with the first admin password"},
    {"backends.postgresql.pool", AUDIENCE_PROVIDER, "pins a pool"},
    {"backends.redis.pool", AUDIENCE_PROVIDER, "pins a pool"},
    {"backends.s3.pool", AUDIENCE_PROVIDER, "pins a pool"},
    {"components.trivy", AUDIENCE_TENANT | AUDIENCE_PROVIDER, "the vulnerability scanner"},
    {"components.exporter", AUDIENCE_TENANT | AUDIENCE_PROVIDER, "metrics"},
    {"storageBytes", AUDIENCE_PROVIDER, "instead of what the size allows"},
    {"exposure.ingressClassName", AUDIENCE_PROVIDER, "which ingress controller serves it"},
    {"exposure.tls.secretName", AUDIENCE_PROVIDER, "a given certificate"},
    {"exposure.tls.issuerRef", AUDIENCE_PROVIDER, "or who issues one"},
    {"credentials.database", AUDIENCE_SYSTEM, ":rotate-credentials sets it"},
    {"credentials.redis", AUDIENCE_SYSTEM, ":rotate-credentials sets it"},
    {"credentials.s3", AUDIENCE_SYSTEM, ":rotate-credentials sets it"},
    {"credentials.registry", AUDIENCE_SYSTEM, ":rotate-credentials sets it"},
    {"credentials.internal", AUDIENCE_SYSTEM, ":rotate-credentials sets it"},
    {0},
};

const char *const backend_type_names[BACKEND_TYPES] = {
    [BACKEND_POSTGRESQL] = "PostgreSQL",
    [BACKEND_REDIS] = "Redis",
    [BACKEND_S3] = "S3",
};

const char *const credential_kind_names[CREDENTIAL_KINDS] = {
    [CREDENTIAL_DATABASE] = "database", [CREDENTIAL_REDIS] = "redis",       [CREDENTIAL_S3] = "s3",
    [CREDENTIAL_REGISTRY] = "registry", [CREDENTIAL_INTERNAL] = "internal",
};

enum backend_type backend_type_of(const char *name)
{
    enum backend_type type = 0;
    while (type < BACKEND_TYPES && !str_equal(backend_type_names[type], name))
        type++;
    return type;
}

enum backend_type backend_claim_type(const json_t *claim)
{
    return backend_type_of(json_str_or(claim, "spec.type", backend_type_names[BACKEND_POSTGRESQL]));
}

struct registry_spec registry_spec_bind(const json_t *object)
{
    const json_t *spec = json_at(object, "spec");
    struct registry_spec bound = {
        .identity = json_str(spec, "identity"),
        .revision = json_int_or(spec, "revision", -1),
        .version = json_str_or(spec, "version", "2.15"),
        .size = json_str_or(spec, "size", "S"),
        .host = json_str_or(spec, "host", ""),
        .lifecycle =
            str_equal(json_str(spec, "lifecycle"), "Closed") ? REGISTRY_CLOSED : REGISTRY_ACTIVE,
        .purge_after = json_str(spec, "purgeAfter"),
        .deletion = str_equal(json_str(spec, "deletionPolicy"), "Delete") ? REGISTRY_DELETE
                                                                          : REGISTRY_RETAIN,
        .admin_secret = json_str(spec, "adminSecretRef.name"),
        .pools = {[BACKEND_POSTGRESQL] = json_str(spec, "backends.postgresql.pool"),
                  [BACKEND_REDIS] = json_str(spec, "backends.redis.pool"),
                  [BACKEND_S3] = json_str(spec, "backends.s3.pool")},
        .trivy = json_bool_or(spec, "components.trivy", false),
        .exporter = json_bool_or(spec, "components.exporter", false),
        .storage_bytes = json_int_or(spec, "storageBytes", -1),
        .ingress_class = json_str(spec, "exposure.ingressClassName"),
        .tls_secret = json_str(spec, "exposure.tls.secretName"),
        .issuer = json_str(spec, "exposure.tls.issuerRef.name"),
        .issuer_kind = json_str_or(spec, "exposure.tls.issuerRef.kind", "ClusterIssuer"),
    };
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        bound.credentials[kind] =
            json_int_or(json_at(spec, "credentials"), credential_kind_names[kind], 0);
    return bound;
}

bool registry_identity_valid(const char *identity)
{
    return identity && str_matches(identity, "abcdefghijklmnopqrstuvwxyz234567", 16, 16);
}

/* ---- versions ---- */

struct version {
    int64_t major, minor, patch; /* patch -1 = none is named: whichever we have */
};

static struct version version_of(const char *text)
{
    char *end;
    struct version version = {.patch = -1};
    version.major = strtoll(text, &end, 10);
    if (*end == '.')
        version.minor = strtoll(end + 1, &end, 10);
    if (*end == '.')
        version.patch = strtoll(end + 1, NULL, 10);
    return version;
}

enum hop_fault registry_hop_fault(const char *from, const char *to)
{
    const struct version a = version_of(from), b = version_of(to);
    bool same = a.major == b.major && a.minor == b.minor;
    if (b.major < a.major || (b.major == a.major && b.minor < a.minor) ||
        (same && b.patch >= 0 && b.patch < a.patch))
        return HOP_BACK;
    return b.major > a.major || b.minor - a.minor > HOP_MINORS_MAX ? HOP_TOO_FAR : HOP_NO_FAULT;
}

/* ---- the rules in CEL, one function each; true = holds ---- */

struct rule_input {
    const json_t *object, *old; /* old is never NULL for a transition rule */
    struct ctx *ctx;
};

static bool dns_label(const char *name, bool letter_first)
{
    size_t last = name ? strlen(name) : 0;
    return last && str_matches(name, ALNUM_LOWER "-", 1, 50) && name[0] != '-' &&
           name[last - 1] != '-' && !(letter_first && name[0] >= '0' && name[0] <= '9');
}

static bool registry_name(const struct rule_input *in)
{
    return dns_label(json_str(in->object, "metadata.name"), true);
}

static bool identity_kept(const struct rule_input *in)
{
    const char *before = json_str(in->old, "spec.identity");
    return !before || str_equal(before, json_str(in->object, "spec.identity"));
}

static bool revision_forward(const struct rule_input *in)
{
    return json_int_or(in->object, "spec.revision", -1) >=
           json_int_or(in->old, "spec.revision", -1);
}

/* From what runs, where that is known: a hop that was rolled back can be withdrawn. */
static bool version_reachable(const struct rule_input *in)
{
    const char *before = registry_spec_bind(in->old).version;
    const char *after = registry_spec_bind(in->object).version;
    return str_equal(before, after) ||
           registry_hop_fault(json_str_or(in->object, "status.version", before), after) ==
               HOP_NO_FAULT;
}

static bool one_certificate(const struct rule_input *in)
{
    const json_t *tls = json_at(in->object, "spec.exposure.tls");
    return !json_object_get(tls, "secretName") || !json_object_get(tls, "issuerRef");
}

static bool pool_name(const struct rule_input *in)
{
    return dns_label(json_str(in->object, "metadata.name"), false);
}

static bool pool_type_kept(const struct rule_input *in)
{
    return str_equal(json_str(in->object, "spec.type"), json_str(in->old, "spec.type"));
}

static bool pool_is(const struct rule_input *in, const char *type)
{
    return str_equal(json_str(in->object, "spec.type"), type);
}

static bool pool_is_static(const struct rule_input *in)
{
    return str_equal(json_str(in->object, "spec.driver"), "static");
}

static bool pool_has_driver(const struct rule_input *in)
{
    return pool_is(in, "S3") == (json_at(in->object, "spec.driver") != NULL);
}

static bool pool_driver_kept(const struct rule_input *in)
{
    return str_equal(json_str(in->object, "spec.driver"), json_str(in->old, "spec.driver"));
}

static bool pool_has_mode(const struct rule_input *in)
{
    return pool_is(in, "Redis") || !json_at(in->object, "spec.mode");
}

static bool pool_mode_kept(const struct rule_input *in)
{
    return str_equal(json_str(in->object, "spec.mode"), json_str(in->old, "spec.mode"));
}

static bool pool_is_dedicated(const struct rule_input *in)
{
    return str_equal(json_str(in->object, "spec.mode"), "dedicated");
}

static bool pool_endpoint(const struct rule_input *in)
{
    return (json_at(in->object, "spec.endpoint") != NULL) != pool_is_dedicated(in);
}

static bool pool_has_class(const struct rule_input *in)
{
    return pool_is_dedicated(in) || !json_at(in->object, "spec.storageClassName");
}

static bool pool_class_kept(const struct rule_input *in)
{
    return str_equal(json_str(in->object, "spec.storageClassName"),
                     json_str(in->old, "spec.storageClassName"));
}

static bool pool_region(const struct rule_input *in)
{
    return pool_is(in, "S3") || !json_at(in->object, "spec.region");
}

static bool pool_maintenance(const struct rule_input *in)
{
    return pool_is(in, "PostgreSQL") || !json_at(in->object, "spec.maintenanceDatabase");
}

static bool pool_connections(const struct rule_input *in)
{
    return pool_is(in, "PostgreSQL") || !json_at(in->object, "spec.connections");
}

static bool pool_authorities(const struct rule_input *in)
{
    return !pool_is(in, "PostgreSQL") || !json_at(in->object, "spec.endpoint.caSecretRef");
}

static bool pool_administrator(const struct rule_input *in)
{
    bool none = pool_is_static(in) || pool_is_dedicated(in);
    return (json_at(in->object, "spec.adminSecretRef") != NULL) != none;
}

static bool pool_has_buckets(const struct rule_input *in)
{
    return (json_at(in->object, "spec.buckets") != NULL) == pool_is_static(in);
}

static bool pool_buckets_kept(const struct rule_input *in)
{
    size_t now, then;
    json_t *bucket, *before;
    json_array_foreach(json_at(in->object, "spec.buckets"), now, bucket)
        json_array_foreach(json_at(in->old, "spec.buckets"), then, before)
            if (json_int_or(bucket, "slot", 0) == json_int_or(before, "slot", 0) &&
                !str_equal(json_str(bucket, "bucket"), json_str(before, "bucket")))
                return false;
    return true;
}

static bool claim_name(const struct rule_input *in)
{
    const char *want =
        arena_printf(in->ctx->arena, "%s.%lld", json_str_or(in->object, "spec.pool", ""),
                     (long long)json_int_or(in->object, "spec.slot", -1));
    return str_equal(json_str(in->object, "metadata.name"), want);
}

static bool claim_kept(const struct rule_input *in)
{
    static const char *const fields[] = {"spec.pool", "spec.slot", "spec.identity"};
    for (size_t at = 0; at < ARRAY_SIZE(fields); at++)
        if (!json_equal(json_at(in->object, fields[at]), json_at(in->old, fields[at])))
            return false;
    return backend_claim_type(in->object) == backend_claim_type(in->old);
}

static bool identity_name(const struct rule_input *in)
{
    return registry_identity_valid(json_str(in->object, "metadata.name"));
}

static bool retained_has_end(const struct rule_input *in)
{
    return !str_equal(json_str(in->object, "spec.state"), "Retained") ||
           json_str(in->object, "spec.purgeAfter");
}

static bool owner_kept(const struct rule_input *in)
{
    return str_equal(json_str(in->old, "spec.state"), "Retained") ||
           json_equal(json_at(in->object, "spec.owner"), json_at(in->old, "spec.owner"));
}

static bool purge_is_final(const struct rule_input *in)
{
    return !str_equal(json_str(in->old, "spec.state"), "Purging") ||
           str_equal(json_str(in->object, "spec.state"), "Purging");
}

static const struct rule {
    const char *kind;
    bool transition; /* only where there is an old object */
    bool (*holds)(const struct rule_input *in);
    const char *pointer, *message;
} rules[] = {
    {"Registry", false, registry_name, "",
     "metadata.name must be a DNS label of at most 50 characters that begins with a letter"},
    {"Registry", true, identity_kept, "/spec/identity", "identity is immutable"},
    {"Registry", true, revision_forward, "/spec/revision", "revision must not go back"},
    {"Registry", true, version_reachable, "/spec/version",
     "a hop goes to a later patch or one of the next two minors of the version that runs"},
    {"Registry", false, one_certificate, "/spec/exposure/tls",
     "either secretName or issuerRef, not both"},
    {"BackendPool", false, pool_name, "",
     "metadata.name must be a DNS label of at most 50 characters, for claims are named POOL.SLOT"},
    {"BackendPool", true, pool_type_kept, "/spec/type", "type is immutable"},
    {"BackendPool", false, pool_has_driver, "/spec/driver", "driver is for S3, which needs one"},
    {"BackendPool", true, pool_driver_kept, "/spec/driver", "driver is immutable"},
    {"BackendPool", false, pool_has_mode, "/spec/mode", "mode is for Redis"},
    {"BackendPool", true, pool_mode_kept, "/spec/mode", "mode is immutable"},
    {"BackendPool", false, pool_endpoint, "/spec/endpoint",
     "endpoint is required, but for the mode dedicated, which has no server of its own"},
    {"BackendPool", false, pool_has_class, "/spec/storageClassName",
     "storageClassName is for the mode dedicated"},
    {"BackendPool", true, pool_class_kept, "/spec/storageClassName",
     "storageClassName is immutable, for the StatefulSets that were made with it are"},
    {"BackendPool", false, pool_region, "/spec/region", "region is for S3"},
    {"BackendPool", false, pool_maintenance, "/spec/maintenanceDatabase",
     "maintenanceDatabase is for PostgreSQL"},
    {"BackendPool", false, pool_connections, "/spec/connections", "connections is for PostgreSQL"},
    {"BackendPool", false, pool_authorities, "/spec/endpoint/caSecretRef",
     "caSecretRef is not for PostgreSQL, whose library reads authorities from a file"},
    {"BackendPool", false, pool_administrator, "/spec/adminSecretRef",
     "adminSecretRef is required, but for the driver static and the mode dedicated, which have no "
     "administrator"},
    {"BackendPool", false, pool_has_buckets, "/spec/buckets",
     "buckets are for the driver static, which needs them"},
    {"BackendPool", true, pool_buckets_kept, "/spec/buckets", "the bucket of a slot is immutable"},
    {"BackendClaim", false, claim_name, "", "metadata.name must be POOL.SLOT"},
    {"BackendClaim", true, claim_kept, "/spec/identity",
     "pool, type, slot and identity are immutable"},
    {"RegistryIdentity", false, identity_name, "",
     "metadata.name must be the identity, 16 characters of a-z2-7"},
    {"RegistryIdentity", false, retained_has_end, "/spec/purgeAfter",
     "a retained identity needs purgeAfter"},
    {"RegistryIdentity", true, owner_kept, "/spec/owner",
     "only a retained identity changes its owner"},
    {"RegistryIdentity", true, purge_is_final, "/spec/state",
     "a purge that began cannot be taken back"},
};

static const struct {
    const char *kind, *crd;
} crds[] = {
    {"Registry", "crds/registries.yaml"},
    {"BackendPool", "crds/backendpools.yaml"},
    {"BackendClaim", "crds/backendclaims.yaml"},
    {"RegistryIdentity", "crds/registryidentities.yaml"},
};

int registry_object_check(struct ctx *ctx, const json_t *object, const json_t *old,
                          json_t **ret_problems)
{
    const char *kind = json_str_or(object, "kind", "");
    const char *crd = NULL;
    for (size_t at = 0; at < ARRAY_SIZE(crds); at++)
        if (str_equal(crds[at].kind, kind))
            crd = crds[at].crd;
    if (!crd)
        return err_set(ctx, ERR_INVALID, NULL, "kind '%.63s' is not known here", kind);
    json_t *problems = arena_json(ctx->arena, json_array());
    TRY(crd_check(ctx, crd, object, problems));
    /* As the API server does: rules speak only about what is structurally right. */
    for (size_t at = 0; at < ARRAY_SIZE(rules) && json_array_size(problems) == 0; at++) {
        const struct rule *rule = &rules[at];
        const struct rule_input in = {object, old, ctx};
        if (str_equal(rule->kind, kind) && (old || !rule->transition) && !rule->holds(&in))
            crd_problem(problems, rule->pointer, rule->message);
    }
    *ret_problems = problems;
    return 0;
}
