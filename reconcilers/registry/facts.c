/*
 * Facts: scope to what the templates of manifests/ may name. Pure. A row of sizes.yaml is the
 * ground; the rest is laid over it. Whether a value is secret makes no difference here: a template
 * of a Secret names it, and no other does (tests/golden checks that).
 */
#include "reconcilers/registry/facts.h"

#include "reconcilers/registry/parts.h"
#include "reconcilers/registry/rotation.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <arpa/inet.h>
#include <string.h>

struct facts {
    struct ctx *ctx;
    const struct registry_operator *home;
    const struct registry_scope *scope;
    json_t *tree;
};

/* ---- "<group>.<name>" = value; NULL is no fact ---- */

static void put(const struct facts *facts, const char *group, const char *name, json_t *value)
{
    json_put(facts->tree, arena_printf(facts->ctx->arena, "%s.%s", group, name), value);
}

static void put_text(const struct facts *facts, const char *group, const char *name,
                     const char *text)
{
    if (text)
        put(facts, group, name, json_string(text));
}

static void put_number(const struct facts *facts, const char *group, const char *name,
                       int64_t value)
{
    put(facts, group, name, json_integer(value));
}

static void put_truth(const struct facts *facts, const char *group, const char *name, bool value)
{
    put(facts, group, name, json_boolean(value));
}

/* ---- servers ---- */

/*
 * Where a NetworkPolicy lets pods go for a server: to its address when it has a literal one, and
 * else to the port alone, for policies know no names.
 */
static json_t *peers_of(struct ctx *ctx, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    int bits = inet_pton(AF_INET, host, address) == 1    ? 32
               : inet_pton(AF_INET6, host, address) == 1 ? 128
                                                         : 0;
    if (!bits)
        return json_array();
    return json_pack("[{s:{s:s}}]", "ipBlock", "cidr",
                     arena_printf(ctx->arena, "%s/%d", host, bits));
}

static void put_server(const struct facts *facts, const char *group, const json_t *pool)
{
    const char *host = pool_host(pool);
    bool literal6 = strchr(host, ':') != NULL;
    put_text(facts, group, "host", host);
    put_number(facts, group, "port", pool_port(pool));
    put_text(facts, group, "address",
             arena_printf(facts->ctx->arena, "%s%s%s:%d", literal6 ? "[" : "", host,
                          literal6 ? "]" : "", pool_port(pool)));
    put_truth(facts, group, "tls", !str_equal(pool_ssl_mode(pool), "disable"));
    put(facts, group, "peers", peers_of(facts->ctx, host));
}

static void put_backends(const struct facts *facts)
{
    static const char *const groups[BACKEND_TYPES] = {
        [BACKEND_POSTGRESQL] = "database", [BACKEND_REDIS] = "redis", [BACKEND_S3] = "s3"};
    for (enum backend_type type = 0; type < BACKEND_TYPES; type++) {
        const struct registry_backend *at = &facts->scope->backends[type];
        const struct backend_work work = {.row = backend_row_of(type, at->pool),
                                          .identity = facts->scope->spec.identity,
                                          .at = at,
                                          .kept = facts->scope->kept};
        if (!work.row->inside)
            put_server(facts, groups[type], at->pool);
        work.row->facts(facts->ctx, &work, facts->tree);
    }
}

/* ---- the registry itself ---- */

/* `<part>.on`: the registry wants it, and the operator does not leave it out. */
static void put_parts(const struct facts *facts)
{
    const struct registry_scope *scope = facts->scope;
    for (const struct registry_part *part = registry_parts; part->name; part++)
        if (part->left_out)
            put_truth(facts, part->name, "on", registry_has_part(facts->home, part->name));
    if (!scope->managed)
        put_truth(facts, "namespace", "on", false);
    if (!scope->spec.trivy)
        put_truth(facts, "trivy", "on", false);
    if (!scope->spec.exporter)
        put_truth(facts, "exporter", "on", false);
}

static bool is_on(const struct facts *facts, const char *part)
{
    return json_bool_or(facts->tree, arena_printf(facts->ctx->arena, "%s.on", part), false);
}

/* How many pods each part has; none of those that a hop wants stopped. */
static void put_replicas(const struct facts *facts)
{
    bool closed = registry_closed(facts->scope), stopped = facts->scope->hop.stopped;
    for (const struct registry_part *part = registry_parts; part->name; part++) {
        const char *replicas = arena_printf(facts->ctx->arena, "%s.replicas", part->name);
        if (!part->scales)
            continue;
        if (part->left_out)
            put_truth(facts, part->name, "many",
                      is_on(facts, part->name) && json_int_or(facts->tree, replicas, 0) > 1);
        if (closed || (stopped && part->stops))
            put_number(facts, part->name, "replicas", 0);
    }
}

static const char *image_of(const struct facts *facts, const json_t *versions, const json_t *image,
                            const char *version)
{
    return arena_printf(facts->ctx->arena, "%s/%s:v%s", json_str_or(versions, "repository", ""),
                        json_string_value(image), hop_full_version(facts->home, version));
}

static void put_images(const struct facts *facts, const json_t *versions)
{
    const char *version = hop_version(facts->scope), *component;
    const char *next = facts->scope->hop.pulls ? facts->scope->hop.wanted : version;
    json_t *image;
    json_object_foreach(json_object_get(versions, "images"), component, image) {
        put_text(facts, component, "image", image_of(facts, versions, image, version));
        put_text(facts, "next", component, image_of(facts, versions, image, next));
    }
    json_object_foreach(json_object_get(versions, "others"), component, image)
        put_text(facts, component, "image", json_string_value(image));
}

static void put_kept(const struct facts *facts)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_at(facts->scope->kept, "data"), key, value)
        put_text(facts, "kept", key, registry_secret_value(facts->ctx, facts->scope->kept, key));
}

/* The user in front of its line is the one that core and jobservice are; during a rotation the
 * registry knows two. In order of names: it must not roll when they change places. */
static void put_registry_users(const struct facts *facts)
{
    struct ctx *ctx = facts->ctx;
    const char *line = registry_secret_value(ctx, facts->scope->kept, "registryHtpasswd");
    const char *other =
        registry_secret_value(ctx, facts->scope->kept, "registryHtpasswd" KEPT_OTHER);
    size_t length = line ? strcspn(line, ":") : 0;
    put_text(facts, "registry", "user", arena_strndup(ctx->arena, line, length));
    if (!line || !other)
        put_text(facts, "registry", "htpasswd", line);
    else if (strcmp(line, other) < 0)
        put_text(facts, "registry", "htpasswd", arena_printf(ctx->arena, "%s\n%s", line, other));
    else
        put_text(facts, "registry", "htpasswd", arena_printf(ctx->arena, "%s\n%s", other, line));
}

static void put_exposure(const struct facts *facts)
{
    const struct registry_spec *spec = &facts->scope->spec;
    const char *issued = arena_printf(facts->ctx->arena, "%s-tls", facts->scope->name);
    put_text(facts, "exposure", "ingressClass", spec->ingress_class);
    bool reached = is_on(facts, "core");
    put_truth(facts, "exposure", "issued", reached && spec->issuer && facts->scope->certificates);
    put_truth(facts, "exposure", "acme", reached && spec->issuer && is_on(facts, "namespace"));
    put_text(facts, "exposure", "issuer", spec->issuer);
    put_text(facts, "exposure", "issuerKind", spec->issuer_kind);
    put_text(facts, "exposure", "secret", spec->issuer ? issued : spec->tls_secret);
}

json_t *registry_facts(struct ctx *ctx, const struct registry_operator *home,
                       const struct registry_scope *scope)
{
    const struct facts facts = {ctx, home, scope,
                                arena_json(ctx->arena, json_deep_copy(scope->size))};
    put_text(&facts, "registry", "name", scope->name);
    put_text(&facts, "registry", "host", scope->spec.host);
    put_text(&facts, "registry", "identity", scope->spec.identity);
    put_parts(&facts);
    bool migrates = !registry_closed(scope) && is_on(&facts, "core");
    put_truth(&facts, "hop", "pulls", migrates && scope->hop.pulls);
    put_truth(&facts, "migration", "on", migrates && scope->hop.state.step != HOP_ABANDONING);
    put_replicas(&facts);
    put_images(&facts, home->versions);
    put_kept(&facts);
    put_registry_users(&facts);
    put_exposure(&facts);
    put_backends(&facts);
    return facts.tree;
}
