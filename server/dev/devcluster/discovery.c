#include "server/dev/devcluster/discovery.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/status.h"

#include <string.h>

#define AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

int discovery_version(struct call *call)
{
    /* What is said of the server is what of its version it behaves like. */
    call->answer =
        arena_json(call->ctx.arena,
                   json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "major", "1", "minor",
                             "36", "gitVersion", "v1.36.3+devcluster", "gitCommit", "",
                             "gitTreeState", "clean", "buildDate", "1970-01-01T00:00:00Z",
                             "goVersion", "none", "compiler", "gcc", "platform", "linux/amd64"));
    return 0;
}

/* NULL: there are none. */
static json_t *word_list(const char *words)
{
    json_t *list = *words ? json_array() : NULL;
    while (*words) {
        size_t bytes = strcspn(words, " ");
        json_array_append_new(list, json_stringn(words, bytes));
        words += bytes + (words[bytes] == ' ');
    }
    return list;
}

/* In the real server's order, which is another one for custom resources. */
static json_t *verbs_of(const struct kind *kind)
{
    return word_list(kind->flags & CUSTOM
                         ? "delete deletecollection get list patch create update watch"
                         : "create delete deletecollection get list patch update watch");
}

static const struct {
    const char *name, *group, *version, *kind; /* kind NULL = the resource's own */
    unsigned flag;
} subresources[] = {{"status", NULL, NULL, NULL, STATUS},
                    {"scale", "autoscaling", "v1", "Scale", SCALE}};

/* The first kind of each group and version stands for it. */
static bool opens(const struct devcluster *cluster, const struct kind *kind, bool group_only)
{
    for (const struct kind *at = cluster->kinds; at != kind; at = at->next)
        if (at->served && str_equal(at->group, kind->group) &&
            (group_only || str_equal(at->version, kind->version)))
            return false;
    return kind->served;
}

static bool is_in(const struct kind *kind, const char *group, const char *version)
{
    return kind->served && str_equal(kind->group, group) && str_equal(kind->version, version);
}

/* ---- aggregated ---- */

static json_t *kind_triple(const char *group, const char *version, const char *kind)
{
    return json_pack("{s:s, s:s, s:s}", "group", group, "version", version, "kind", kind);
}

static json_t *aggregated_resource(const struct kind *kind)
{
    json_t *below = kind->flags & (STATUS | SCALE) ? json_array() : NULL;
    for (size_t at = 0; at < ARRAY_SIZE(subresources); at++)
        if (kind->flags & subresources[at].flag)
            json_array_append_new(
                below, json_pack("{s:s, s:o, s:[s, s, s]}", "subresource", subresources[at].name,
                                 "responseKind",
                                 subresources[at].kind
                                     ? kind_triple(subresources[at].group, subresources[at].version,
                                                   subresources[at].kind)
                                     : kind_triple(kind->group, kind->version, kind->name),
                                 "verbs", "get", "patch", "update"));
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o*, s:o*, s:o*}", "resource", kind->plural,
                     "responseKind", kind_triple(kind->group, kind->version, kind->name), "scope",
                     kind->flags & NAMESPACED ? "Namespaced" : "Cluster", "singularResource",
                     kind->singular, "verbs", verbs_of(kind), "shortNames",
                     word_list(kind->short_names), "categories", word_list(kind->categories),
                     "subresources", below);
}

static json_t *aggregated_version(const struct devcluster *cluster, const struct kind *first)
{
    json_t *resources = json_array();
    for (const struct kind *kind = cluster->kinds; kind; kind = kind->next)
        if (is_in(kind, first->group, first->version))
            json_array_append_new(resources, aggregated_resource(kind));
    return json_pack("{s:s, s:s, s:o}", "version", first->version, "freshness", "Current",
                     "resources", resources);
}

static json_t *aggregated_group(const struct devcluster *cluster, const struct kind *first)
{
    json_t *versions = json_array();
    for (const struct kind *kind = cluster->kinds; kind; kind = kind->next)
        if (str_equal(kind->group, first->group) && opens(cluster, kind, false))
            json_array_append_new(versions, aggregated_version(cluster, kind));
    json_t *group = json_pack("{s:{}, s:o}", "metadata", "versions", versions);
    if (*first->group)
        json_put(group, "metadata.name", json_string(first->group));
    return group;
}

static int aggregated(struct call *call, bool core)
{
    json_t *items = json_array();
    for (const struct kind *kind = call->cluster->kinds; kind; kind = kind->next)
        if (!*kind->group == core && opens(call->cluster, kind, true))
            json_array_append_new(items, aggregated_group(call->cluster, kind));
    call->type = AGGREGATED;
    call->answer =
        arena_json(call->ctx.arena,
                   json_pack("{s:s, s:s, s:{}, s:o}", "kind", "APIGroupDiscoveryList", "apiVersion",
                             "apidiscovery.k8s.io/v2", "metadata", "items", items));
    return 0;
}

static bool wants_aggregated(const struct call *call)
{
    const char *accept = call_header(call, "Accept");
    return accept && strstr(accept, "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
}

/* ---- one by one ---- */

static int resources(struct call *call, const char *group, const char *version)
{
    json_t *list = json_array();
    for (const struct kind *kind = call->cluster->kinds; kind; kind = kind->next) {
        if (!is_in(kind, group, version))
            continue;
        bool spaced = kind->flags & NAMESPACED;
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:b, s:s, s:o, s:o*, s:o*}", "name",
                                        kind->plural, "singularName", kind->singular, "namespaced",
                                        spaced, "kind", kind->name, "verbs", verbs_of(kind),
                                        "shortNames", word_list(kind->short_names), "categories",
                                        word_list(kind->categories)));
        for (size_t at = 0; at < ARRAY_SIZE(subresources); at++)
            if (kind->flags & subresources[at].flag)
                json_array_append_new(
                    list, json_pack("{s:o, s:s, s:b, s:s, s:s*, s:s*, s:[s, s, s]}", "name",
                                    json_sprintf("%s/%s", kind->plural, subresources[at].name),
                                    "singularName", "", "namespaced", spaced, "kind",
                                    subresources[at].kind ? subresources[at].kind : kind->name,
                                    "group", subresources[at].group, "version",
                                    subresources[at].version, "verbs", "get", "patch", "update"));
    }
    if (!json_array_size(list)) {
        json_decref(list);
        return refuse(call, "NotFound", "the server could not find the requested resource");
    }
    const char *name = *group ? arena_printf(call->ctx.arena, "%s/%s", group, version) : version;
    call->answer = arena_json(call->ctx.arena, json_pack("{s:s, s:s, s:s, s:o}", "kind",
                                                         "APIResourceList", "apiVersion", "v1",
                                                         "groupVersion", name, "resources", list));
    return 0;
}

static json_t *group_entry(const struct devcluster *cluster, const struct kind *first)
{
    json_t *versions = json_array();
    for (const struct kind *kind = cluster->kinds; kind; kind = kind->next)
        if (str_equal(kind->group, first->group) && opens(cluster, kind, false))
            json_array_append_new(versions, json_pack("{s:s, s:s}", "groupVersion",
                                                      kind->api_version, "version", kind->version));
    return json_pack("{s:s, s:o, s:O}", "name", first->group, "versions", versions,
                     "preferredVersion", json_array_get(versions, 0));
}

static int group_list(struct call *call)
{
    json_t *groups = json_array();
    for (const struct kind *kind = call->cluster->kinds; kind; kind = kind->next)
        if (*kind->group && opens(call->cluster, kind, true))
            json_array_append_new(groups, group_entry(call->cluster, kind));
    call->answer = arena_json(call->ctx.arena, json_pack("{s:s, s:s, s:o}", "kind", "APIGroupList",
                                                         "apiVersion", "v1", "groups", groups));
    return 0;
}

static int one_group(struct call *call, const char *group)
{
    for (const struct kind *kind = call->cluster->kinds; kind; kind = kind->next) {
        if (!kind->served || !str_equal(kind->group, group))
            continue;
        call->answer = arena_json(call->ctx.arena, group_entry(call->cluster, kind));
        json_put(call->answer, "kind", json_string("APIGroup"));
        json_put(call->answer, "apiVersion", json_string("v1"));
        return 0;
    }
    return refuse(call, "NotFound", "the server could not find the requested resource");
}

int discovery_core(struct call *call, const char *version)
{
    if (version)
        return resources(call, "", version);
    if (wants_aggregated(call))
        return aggregated(call, true);
    call->answer =
        arena_json(call->ctx.arena, json_pack("{s:s, s:[s], s:[]}", "kind", "APIVersions",
                                              "versions", "v1", "serverAddressByClientCIDRs"));
    return 0;
}

int discovery_groups(struct call *call, const char *group, const char *version)
{
    if (version)
        return resources(call, group, version);
    if (group)
        return one_group(call, group);
    return wants_aggregated(call) ? aggregated(call, false) : group_list(call);
}

/* ---- OpenAPI v3: as much as clients ask for before they write, and kubectl explain ---- */

static const char *root_of(struct arena *arena, const struct kind *kind)
{
    return arena_printf(arena, *kind->group ? "apis/%s" : "api/%s", kind->api_version);
}

static int openapi_index(struct call *call)
{
    struct arena *arena = call->ctx.arena;
    json_t *paths = arena_json(arena, json_object());
    for (const struct kind *kind = call->cluster->kinds; kind; kind = kind->next)
        if (opens(call->cluster, kind, false))
            json_object_set_new(paths, root_of(arena, kind),
                                json_pack("{s:o}", "serverRelativeURL",
                                          json_sprintf("/openapi/v3/%s", root_of(arena, kind))));
    call->answer = arena_json(arena, json_pack("{s:O}", "paths", paths));
    return 0;
}

static json_t *query_parameter(const char *name)
{
    return json_pack("{s:s, s:s, s:{s:s}}", "name", name, "in", "query", "schema", "type",
                     "string");
}

static json_t *patch_operation(const struct kind *kind)
{
    json_t *content = json_pack("{s:{}, s:{}, s:{}}", "application/apply-patch+yaml",
                                "application/json-patch+json", "application/merge-patch+json");
    if (!(kind->flags & CUSTOM))
        json_object_set_new(content, "application/strategic-merge-patch+json", json_object());
    return json_pack("{s:[o, o, o, o], s:{s:o}, s:{}, s:s, s:o}", "parameters",
                     query_parameter("dryRun"), query_parameter("fieldManager"),
                     query_parameter("fieldValidation"), query_parameter("force"), "requestBody",
                     "content", content, "responses", "x-kubernetes-action", "patch",
                     "x-kubernetes-group-version-kind",
                     kind_triple(kind->group, kind->version, kind->name));
}

static json_t *component(const struct kind *kind)
{
    const json_t *schema = kind_schema(kind);
    json_t *made = schema ? json_copy((json_t *)(uintptr_t)schema)
                          : json_pack("{s:s, s:b}", "type", "object",
                                      "x-kubernetes-preserve-unknown-fields", 1);
    json_object_set_new(made, "x-kubernetes-group-version-kind",
                        json_pack("[o]", kind_triple(kind->group, kind->version, kind->name)));
    return made;
}

static int openapi_group(struct call *call, const char *group, const char *version)
{
    struct arena *arena = call->ctx.arena;
    json_t *paths = arena_json(arena, json_object());
    json_t *schemas = arena_json(arena, json_object());
    for (const struct kind *kind = call->cluster->kinds; kind; kind = kind->next) {
        if (!is_in(kind, group, version))
            continue;
        const char *space = kind->flags & NAMESPACED ? "/namespaces/{namespace}" : "";
        json_object_set_new(
            paths,
            arena_printf(arena, "/%s%s/%s/{name}", root_of(arena, kind), space, kind->plural),
            json_pack("{s:o}", "patch", patch_operation(kind)));
        json_object_set_new(
            schemas, arena_printf(arena, "%s.%s.%s", *group ? group : "core", version, kind->name),
            component(kind));
    }
    if (!json_object_size(paths))
        return refuse(call, "NotFound", "the server could not find the requested resource");
    call->answer =
        arena_json(arena, json_pack("{s:s, s:{s:s, s:s}, s:O, s:{s:O}}", "openapi", "3.0.0", "info",
                                    "title", "devcluster", "version", "v1", "paths", paths,
                                    "components", "schemas", schemas));
    return 0;
}

int discovery_openapi(struct call *call, const char *root, const char *first, const char *second)
{
    if (!root)
        return openapi_index(call);
    bool core = str_equal(root, "api");
    return openapi_group(call, core ? "" : first, core ? first : second);
}
