/* The rows of a registry, and what may change in it. */
#include "api/registry_request.h"

#include "api/registry.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

static const char *const versions[] = {
#define VERSION(version, why) version,
#include "api/versions.def"
#undef VERSION
};

#define EVERYBODY (AUDIENCE_TENANT | AUDIENCE_PROVIDER)
#define AT(member) offsetof(struct registry_request, member)

static const struct field fields[] = {
    {"name", FIELD_STRING, EVERYBODY, true, AT(name), 1, 40, schema_is_service_name,
     "a letter, then lower case letters, digits and inner hyphens; at most 40 characters"},
    {"spec.plan", FIELD_STRING, EVERYBODY, true, AT(plan), 1, 20, NULL, "the name of a plan"},
    {"spec.version", FIELD_STRING, EVERYBODY, false, AT(version), 1, 16, NULL, "a Harbor version"},
    {"spec.host", FIELD_STRING, EVERYBODY, true, AT(host), 1, 253, schema_is_dns_name,
     "a DNS name of two labels or more, lower case"},
    {"spec.components.trivy", FIELD_BOOLEAN, EVERYBODY, false, AT(trivy), 0, 0, NULL,
     "whether images are scanned for vulnerabilities"},
    {"spec.components.exporter", FIELD_BOOLEAN, EVERYBODY, false, AT(exporter), 0, 0, NULL,
     "whether metrics are offered"},
    {.path = "spec.lifecycle", .type = FIELD_READ_ONLY, .doc = "DELETE closes, :undo opens again"},
    {.path = "spec.purgeAfter", .type = FIELD_READ_ONLY, .doc = "DELETE sets it"},
    SCHEMA_RESOURCE_FIELDS,
    {.path = "adminUsername", .type = FIELD_READ_ONLY, .doc = "it is admin"},
    {.path = "adminPassword",
     .type = FIELD_READ_ONLY,
     .doc = "the server makes it and shows it once"},
    {0},
};

static bool is_offered(const char *version)
{
    bool offered = false;
    for (size_t at = 0; at < ARRAY_SIZE(versions); at++)
        offered |= str_equal(versions[at], version);
    return offered;
}

/* The versions that can be ordered; `from` NULL: all, else those that a hop leads to. */
static const char *list_versions(struct ctx *ctx, const char *from)
{
    _cleanup_str_ struct str list;
    str_init(&list, 256);
    for (size_t at = 0; at < ARRAY_SIZE(versions); at++)
        if (!from || registry_hop_fault(from, versions[at]) == HOP_NO_FAULT)
            str_printf(&list, "%s%s", list.length ? ", " : "", versions[at]);
    return arena_strdup(ctx->arena, str_text(&list));
}

static int version_unknown(struct ctx *ctx, struct field_errors *errors)
{
    return schema_refuse(ctx, errors, "/spec/version", "UnsupportedVersion",
                         arena_printf(ctx->arena, "one of %s", list_versions(ctx, NULL)));
}

static int check_hop(struct ctx *ctx, const char *from, const char *to, struct field_errors *errors)
{
    static const struct {
        const char *code, *why;
    } faults[] = {
        [HOP_BACK] = {"VersionDowngrade", "a registry cannot go back to an older version"},
        [HOP_TOO_FAR] = {"VersionTooFar", "a hop leads over one minor version at most"},
    };
    enum hop_fault fault = registry_hop_fault(from, to);
    if (fault == HOP_NO_FAULT)
        return 0;
    return schema_refuse(ctx, errors, "/spec/version", faults[fault].code,
                         arena_printf(ctx->arena, "%s; from %s one of %s", faults[fault].why, from,
                                      list_versions(ctx, from)));
}

int registry_request_create(struct ctx *ctx, enum audience audience, const json_t *body,
                            struct registry_request *ret, struct field_errors *errors)
{
    *ret = (struct registry_request){.version = versions[ARRAY_SIZE(versions) - 1]};
    TRY(schema_bind(ctx, fields, BIND_WHOLE, audience, body, ret, errors));
    return !is_offered(ret->version) ? version_unknown(ctx, errors) : 0;
}

int registry_request_patch(struct ctx *ctx, enum audience audience, const json_t *body,
                           const struct registry_request *current, const char *runs,
                           struct registry_request *ret, struct field_errors *errors)
{
    *ret = *current;
    TRY(schema_bind(ctx, fields, BIND_PATCH, audience, body, ret, errors));
    if (!str_equal(ret->name, current->name))
        return schema_refuse(ctx, errors, "/name", "Immutable", "a registry keeps its name");
    if (!str_equal(ret->host, current->host))
        return schema_refuse(ctx, errors, "/spec/host", "Immutable", "a registry keeps its host");
    if (str_equal(ret->version, current->version) || str_equal(ret->version, runs))
        return 0;
    if (!is_offered(ret->version))
        return version_unknown(ctx, errors);
    return check_hop(ctx, runs ? runs : current->version, ret->version, errors);
}

const char *registry_request_spec(struct ctx *ctx, const struct registry_request *request)
{
    _cleanup_json_ json_t *spec = json_pack(
        "{s:s, s:s, s:s, s:{s:b, s:b}}", "plan", request->plan, "version", request->version, "host",
        request->host, "components", "trivy", request->trivy, "exporter", request->exporter);
    return json_text(ctx->arena, spec);
}

int registry_request_of(struct ctx *ctx, const char *spec, const char *name,
                        struct registry_request *ret)
{
    json_t *json;
    TRY(json_parse(ctx, spec, strlen(spec), JSON_TEXT_MAX_BYTES, &json));
    *ret = (struct registry_request){.name = name,
                                     .plan = json_str_or(json, "plan", ""),
                                     .version = json_str_or(json, "version", ""),
                                     .host = json_str_or(json, "host", ""),
                                     .trivy = json_bool_or(json, "components.trivy", false),
                                     .exporter = json_bool_or(json, "components.exporter", false)};
    return 0;
}
