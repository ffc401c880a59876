/* DELETE: at once, or by a mark where somebody has a say. */
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/lists.h"
#include "server/dev/devcluster/selectors.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/table.h"
#include "server/dev/devcluster/write.h"

enum { POD_GRACE_S = 30 };

/* These are emptied, or stopped, by a controller, which then removes them. */
static bool ends_slowly(const struct kind *kind)
{
    return !*kind->group && str_has_word("pods namespaces", kind->plural);
}

bool write_is_held(const struct kind *kind, const json_t *object)
{
    return json_array_size(json_at(object, "metadata.finalizers")) > 0 || ends_slowly(kind);
}

static void mark(const struct kind *kind, json_t *object)
{
    bool is_pod = str_equal(kind->plural, "pods");
    json_put(object, "metadata.deletionTimestamp", write_now());
    json_put(object, "metadata.deletionGracePeriodSeconds", json_integer(is_pod ? POD_GRACE_S : 0));
    if (kind->flags & GENERATION)
        json_put(object, "metadata.generation",
                 json_integer(json_int_or(object, "metadata.generation", 0) + 1));
    if (str_equal(kind->plural, "namespaces"))
        json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Terminating"));
}

/* What the garbage collector does first, as the finalizer that it takes away. */
static void add_finalizer(json_t *object, const char *policy)
{
    static const struct {
        const char *policy, *finalizer;
    } rows[] = {{"Foreground", "foregroundDeletion"}, {"Orphan", "orphan"}};
    json_t *finalizers = json_at(object, "metadata.finalizers");
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        if (!str_equal(rows[at].policy, policy))
            continue;
        if (!finalizers)
            json_put(object, "metadata.finalizers", finalizers = json_array());
        json_array_append_new(finalizers, json_string(rows[at].finalizer));
    }
}

bool write_remove(struct devcluster *cluster, struct kind *kind, json_t *live, const char *policy)
{
    if (json_at(live, "metadata.deletionTimestamp"))
        return false;
    json_t *last = json_copy(live); /* the rest is not changed, and may be shared */
    json_object_set_new(last, "metadata", json_deep_copy(json_object_get(live, "metadata")));
    add_finalizer(last, policy);
    if (write_is_held(kind, last)) {
        mark(kind, last);
        store_put(cluster, kind, live, last);
        return false;
    }
    store_remove(cluster, kind, live, last);
    return true;
}

static int check_preconditions(struct call *call, const json_t *options, const json_t *live)
{
    static const struct {
        const char *name, *path, *called, *hint;
    } rows[] = {{"uid", "metadata.uid", "UID", "deleted and then recreated"},
                {"resourceVersion", "metadata.resourceVersion", "ResourceVersion", "modified"}};
    const struct kind *kind = call->kind;
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *have = json_str_or(live, rows[at].path, "");
        const char *want = json_string_value(
            json_object_get(json_object_get(options, "preconditions"), rows[at].name));
        if (!want || str_equal(want, have))
            continue;
        call->details = arena_json(call->ctx.arena,
                                   json_pack("{s:s, s:s}", "kind", kind->name, "name", call->name));
        if (*kind->group)
            json_put(call->details, "group", json_string(kind->group));
        return refuse(call, "Conflict",
                      "Operation cannot be fulfilled on %s%s%s \"%s\": the %s in the precondition "
                      "(%s) does not match the %s in record (%s). The object might have been %s",
                      kind->name, *kind->group ? "." : "", kind->group, call->name, rows[at].called,
                      want, rows[at].called, have, rows[at].hint);
    }
    return 0;
}

static const char *policy_of(const struct call *call, const json_t *options)
{
    const char *query = call_query(call, "propagationPolicy");
    if (json_bool_or(options, "orphanDependents", false))
        return "Orphan";
    return query ? query : json_str_or(options, "propagationPolicy", "Background");
}

static bool is_dry(const struct call *call, const json_t *options)
{
    const char *query = call_query(call, "dryRun");
    return (query && *query) || json_array_size(json_object_get(options, "dryRun"));
}

static int options_of(struct call *call, json_t **ret)
{
    *ret = NULL;
    return call->body_bytes ? call_body(call, ret) : 0;
}

int write_delete(struct call *call)
{
    json_t *options, *live = store_get(call->kind, call->namespace, call->name);
    TRY(options_of(call, &options));
    if (!live)
        return refuse_absent(call);
    TRY(check_preconditions(call, options, live));
    json_t *last = arena_json(call->ctx.arena, json_incref(live));
    bool gone = is_dry(call, options) ||
                write_remove(call->cluster, call->kind->home, live, policy_of(call, options));
    if (!gone)
        last = store_get(call->kind, call->namespace, call->name);
    if (!gone || call->kind->flags & RETURNED)
        return table_answer(call, last, false);
    call->answer = status_success(call, json_str(last, "metadata.uid"));
    return 0;
}

int write_delete_all(struct call *call)
{
    struct selector selector;
    json_t *options, *item, *gone = arena_json(call->ctx.arena, json_array());
    size_t at;
    TRY(options_of(call, &options));
    TRY(selector_of(call, &selector));
    json_t *all = arena_json(call->ctx.arena, store_list(call->kind, call->namespace));
    json_array_foreach(all, at, item) {
        json_t *shown = present_object(call->ctx.arena, call->kind, item);
        if (!selector_matches(call->ctx.arena, &selector, shown))
            continue;
        json_array_append(gone, shown);
        if (!is_dry(call, options))
            write_remove(call->cluster, call->kind->home, item, policy_of(call, options));
    }
    json_t *metadata = json_pack("{s:s}", "resourceVersion",
                                 store_version(call->ctx.arena, call->cluster->version));
    return table_list_answer(call, gone, arena_json(call->ctx.arena, metadata));
}
