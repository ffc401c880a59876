#include "server/dev/devcluster/routes.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/base/yaml.h"
#include "server/dev/devcluster/access.h"
#include "server/dev/devcluster/discovery.h"
#include "server/dev/devcluster/faulty.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/lists.h"
#include "server/dev/devcluster/patch.h"
#include "server/dev/devcluster/scale.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/table.h"
#include "server/dev/devcluster/watch.h"
#include "server/dev/devcluster/write.h"

#include <string.h>

enum { HTTP_CREATED = 201, PARTS_MAX = 9, BODY_BYTES_MAX = 3 << 20 };

int call_body(struct call *call, json_t **ret)
{
    const char *type = call_header(call, "Content-Type");
    if (type && str_starts(type, "application/vnd.kubernetes.protobuf"))
        return refuse(call, "UnsupportedMediaType", "devcluster does not serve %s", type);
    bool is_json = call->body[strspn(call->body, " \t\r\n")] == '{';
    int rc = is_json ? json_parse(&call->ctx, call->body, call->body_bytes, BODY_BYTES_MAX, ret)
                     : yaml_parse(&call->ctx, call->body, call->body_bytes, ret);
    if (rc < 0 || !json_is_object(*ret))
        return refuse(call, "BadRequest", "the body is no object: %s", call->ctx.err.message);
    return 0;
}

/* ---- one object ---- */

static int get_one(struct call *call)
{
    json_t *live = faulty_get(call);
    if (!live)
        return refuse_absent(call);
    if (str_equal(call->subresource, "scale"))
        return scale_answer(call, live);
    return table_answer(call, live, false);
}

static int list_or_watch(struct call *call)
{
    return call_flag(call, "watch") ? watch_open(call) : lists_read(call);
}

/* Who names one object gets it, whatever he says of `watch`: as from the real server. */
static int get(struct call *call)
{
    return call->name ? get_one(call) : list_or_watch(call);
}

static int delete (struct call *call)
{
    return call->name ? write_delete(call) : write_delete_all(call);
}

static const struct {
    const char *method;
    bool named, collection; /* where it may be sent */
    int (*run)(struct call *call);
} methods[] = {
    {"GET", true, true, get},        {"POST", false, true, write_create},
    {"PUT", true, false, write_put}, {"PATCH", true, false, patch_run},
    {"DELETE", true, true, delete},
};

static const struct {
    const char *name;
    unsigned flag;
} subresources[] = {{"status", STATUS}, {"scale", SCALE}};

static bool has_subresource(const struct kind *kind, const char *name)
{
    for (size_t at = 0; at < ARRAY_SIZE(subresources); at++)
        if (str_equal(subresources[at].name, name))
            return kind->flags & subresources[at].flag;
    return false;
}

static int run_method(struct call *call)
{
    TRY(faulty_request(call));
    for (size_t at = 0; at < ARRAY_SIZE(methods); at++)
        if (str_equal(methods[at].method, call->method) &&
            (call->name ? methods[at].named : methods[at].collection)) {
            int rc = methods[at].run(call);
            if (call->status == HTTP_CREATED)
                faulty_created(call);
            return rc;
        }
    return refuse(call, "MethodNotAllowed",
                  "the server does not allow this method on the requested resource");
}

static int refuse_path(struct call *call)
{
    call->kind = NULL;
    return refuse(call, "NotFound", "the server could not find the requested resource");
}

/* ---- paths ---- */

/* Where not even the root, or the group, is known. */
static int unknown_page(struct call *call)
{
    call->text = "404 page not found\n";
    call->type = "text/plain";
    call->status = 404;
    return 0;
}

struct path {
    int count;
    const char *part[PARTS_MAX + 1];
};

static struct path split(struct arena *arena, const char *text)
{
    struct path path = {0};
    while (path.count < PARTS_MAX && *(text += strspn(text, "/"))) {
        size_t bytes = strcspn(text, "/");
        path.part[path.count++] = arena_strndup(arena, text, bytes);
        text += bytes;
    }
    return path;
}

/* [namespaces/NAMESPACE/]PLURAL[/NAME[/SUBRESOURCE]], behind group and version. */
static int run_resource(struct call *call, const char *group, const char *version,
                        const char *const *part)
{
    struct devcluster *cluster = call->cluster;
    if (str_equal(part[0], "namespaces") && part[1] && part[2] &&
        (call->kind = kinds_find(cluster, group, version, part[2])) &&
        call->kind->flags & NAMESPACED) {
        call->namespace = part[1];
        part += 2;
    } else {
        call->kind = kinds_find(cluster, group, version, part[0]);
    }
    if (!call->kind)
        return kinds_has_group(cluster, group) || access_has_group(group)
                   ? access_run(call, group, part[0])
                   : unknown_page(call);
    call->name = part[1];
    call->subresource = call->name ? part[2] : NULL;
    if (call->subresource && part[3])
        return refuse_path(call);
    if (call->subresource && !has_subresource(call->kind, call->subresource))
        return refuse_unserved(
            call, arena_printf(call->ctx.arena, "%s/%s", call->kind->plural, call->subresource));
    return run_method(call);
}

/* FAULTS_PATH: no part of Kubernetes, so that it hides nothing of it. */
static int faults(struct call *call, const struct path *path)
{
    (void)path;
    return str_equal(call->path, FAULTS_PATH) ? faulty_table(call) : unknown_page(call);
}

/* /livez and its kin. */
static int healthy(struct call *call, const struct path *path)
{
    (void)path;
    call->text = "ok";
    call->type = "text/plain";
    return 0;
}

static int core(struct call *call, const struct path *path)
{
    if (path->count < 3)
        return discovery_core(call, path->part[1]);
    return run_resource(call, "", path->part[1], path->part + 2);
}

static int groups(struct call *call, const struct path *path)
{
    if (path->count < 4)
        return discovery_groups(call, path->part[1], path->part[2]);
    return run_resource(call, path->part[1], path->part[2], path->part + 3);
}

static int version(struct call *call, const struct path *path)
{
    (void)path;
    return discovery_version(call);
}

static int openapi(struct call *call, const struct path *path)
{
    if (!str_equal(path->part[1], "v3"))
        return refuse_unserved(call, "OpenAPI v2");
    return discovery_openapi(call, path->part[2], path->part[3], path->part[4]);
}

static const struct {
    const char *first;
    int (*run)(struct call *call, const struct path *path);
} roots[] = {
    {"api", core},      {"apis", groups},    {"version", version}, {"openapi", openapi},
    {"livez", healthy}, {"readyz", healthy}, {"healthz", healthy}, {"flotilla", faults},
};

int routes_run(struct call *call)
{
    struct path path = split(call->ctx.arena, call->path);
    for (size_t at = 0; at < ARRAY_SIZE(roots); at++)
        if (str_equal(roots[at].first, path.part[0]))
            return roots[at].run(call, &path);
    return unknown_page(call);
}
