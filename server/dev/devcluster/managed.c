#include "server/dev/devcluster/managed.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/fields.h"
#include "server/dev/devcluster/merges.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/write.h"

#include <string.h>

const char *managed_writer(const struct call *call)
{
    static _Thread_local char agent[64];
    const char *manager = call_query(call, "fieldManager");
    const char *text = call_header(call, "User-Agent");
    if (manager)
        return manager;
    text = text ? text : "unknown";
    snprintf(agent, sizeof agent, "%.*s", (int)strcspn(text, "/ "), text);
    return agent;
}

/* The system's own fields belong to nobody. */
static json_t *owned(json_t *fields)
{
    static const char *const of_metadata[] = {"f:name",
                                              "f:namespace",
                                              "f:creationTimestamp",
                                              "f:generation",
                                              "f:uid",
                                              "f:resourceVersion",
                                              "f:managedFields",
                                              "f:selfLink",
                                              "f:deletionTimestamp",
                                              "f:deletionGracePeriodSeconds"};
    json_t *metadata = json_object_get(fields, "f:metadata");
    for (size_t at = 0; at < ARRAY_SIZE(of_metadata); at++)
        json_object_del(metadata, of_metadata[at]);
    if (metadata && !json_object_size(metadata))
        json_object_del(fields, "f:metadata");
    json_object_del(fields, "f:apiVersion");
    json_object_del(fields, "f:kind");
    return fields;
}

/* ---- entries ---- */

static json_t *entries_of(struct arena *arena, const json_t *object)
{
    json_t *entries = json_at(object, "metadata.managedFields");
    return arena_json(arena, entries ? json_deep_copy(entries) : json_array());
}

static bool is_mine(const struct call *call, const json_t *entry, const char *operation)
{
    return str_equal(json_str(entry, "manager"), managed_writer(call)) &&
           str_equal(json_str(entry, "operation"), operation) &&
           str_equal(json_str(entry, "subresource"), call->subresource);
}

static json_t *entry_new(const struct call *call, const char *operation, json_t *fields)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:O, s:s*}", "manager", managed_writer(call),
                     "operation", operation, "apiVersion", call->kind->api_version, "time",
                     write_now(), "fieldsType", "FieldsV1", "fieldsV1", fields, "subresource",
                     call->subresource);
}

/* Puts the entries into the object, without those that own nothing. */
static void put_entries(json_t *object, json_t *entries)
{
    for (size_t at = json_array_size(entries); at-- > 0;)
        if (!json_object_size(json_object_get(json_array_get(entries, at), "fieldsV1")))
            json_array_remove(entries, at);
    json_t *metadata = json_object_get(object, "metadata");
    json_object_del(metadata, "managedFields");
    if (json_array_size(entries))
        json_object_set(metadata, "managedFields", entries);
}

void managed_note(struct call *call, const json_t *live, json_t *next)
{
    struct arena *arena = call->ctx.arena;
    struct shape shape = shape_of(call->kind);
    json_t *removed = arena_json(arena, json_object()), *entries = entries_of(arena, next), *entry;
    _cleanup_json_ json_t *nothing = json_object();
    json_t *changed = owned(fields_changed(arena, &shape, live ? live : nothing, next, removed));
    bool found = false;
    size_t at;
    owned(removed);
    json_array_foreach(entries, at, entry) {
        json_t *fields = json_object_get(entry, "fieldsV1");
        bool mine = is_mine(call, entry, "Update");
        json_t *now =
            mine ? fields_union(arena, fields, changed) : fields_difference(arena, fields, changed);
        json_object_set(entry, "fieldsV1", fields_without(arena, now, removed));
        found |= mine;
    }
    if (!found && json_object_size(changed))
        json_array_append_new(entries, entry_new(call, "Update", changed));
    put_entries(next, entries);
}

/* ---- server-side apply ---- */

struct conflicts {
    struct call *call;
    const char *who, *list;
    int count;
};

static void add_conflict(void *arg, const char *path)
{
    struct conflicts *conflicts = arg;
    struct arena *arena = conflicts->call->ctx.arena;
    status_cause(conflicts->call, "FieldManagerConflict", path,
                 arena_printf(arena, "conflict with %s", conflicts->who));
    conflicts->list = arena_printf(arena, "%s\n- %s", conflicts->list, path);
    conflicts->count++;
}

static const char *who(struct arena *arena, const json_t *entry)
{
    const char *manager = json_str_or(entry, "manager", ""), *sub = json_str(entry, "subresource");
    bool updated = str_equal(json_str(entry, "operation"), "Update");
    return arena_printf(arena, "\"%s\"%s%s%s%s%s", manager, sub ? " with subresource \"" : "",
                        sub ? sub : "", sub ? "\"" : "", updated ? " using " : "",
                        updated ? json_str_or(entry, "apiVersion", "") : "");
}

static int refuse_conflicts(const struct conflicts *conflicts)
{
    struct call *call = conflicts->call;
    call->details = arena_json(call->ctx.arena, json_pack("{s:O}", "causes", call->causes));
    if (conflicts->count == 1)
        return refuse(call, "Conflict", "Apply failed with 1 conflict: conflict with %s: %s",
                      conflicts->who, strrchr(conflicts->list, '\n') + strlen("\n- "));
    return refuse(call, "Conflict", "Apply failed with %d conflicts: %s", conflicts->count,
                  conflicts->list + 1);
}

/* Takes what changes from whom it belonged to, or says who that is. */
static int take_over(struct call *call, json_t *entries, const json_t *changed)
{
    struct arena *arena = call->ctx.arena;
    struct conflicts conflicts = {.call = call, .list = ""};
    bool force = call_flag(call, "force");
    size_t at;
    json_t *entry;
    json_array_foreach(entries, at, entry) {
        json_t *fields = json_object_get(entry, "fieldsV1");
        json_t *taken = fields_intersection(arena, fields, changed);
        if (is_mine(call, entry, "Apply") || !json_object_size(taken))
            continue;
        if (force) {
            json_object_set(entry, "fieldsV1", fields_difference(arena, fields, taken));
            continue;
        }
        conflicts.who = who(arena, entry);
        conflicts.list =
            arena_printf(arena, "%s\nconflicts with %s:", conflicts.list, conflicts.who);
        fields_each(arena, taken, add_conflict, &conflicts);
    }
    return conflicts.count ? refuse_conflicts(&conflicts) : 0;
}

/* What this manager set before, does not set any more, and nobody else sets. */
static json_t *given_up(struct call *call, const json_t *entries, const json_t *set)
{
    struct arena *arena = call->ctx.arena;
    json_t *gone = arena_json(arena, json_object()), *entry;
    size_t at;
    json_array_foreach((json_t *)(uintptr_t)entries, at, entry)
        if (is_mine(call, entry, "Apply"))
            gone = fields_difference(arena, json_object_get(entry, "fieldsV1"), set);
    json_array_foreach((json_t *)(uintptr_t)entries, at, entry)
        if (!is_mine(call, entry, "Apply"))
            gone = fields_difference(arena, gone, json_object_get(entry, "fieldsV1"));
    return gone;
}

/* Who sets nothing new keeps his entry with its time: an apply that changes nothing is no write. */
static void put_mine(struct call *call, json_t *entries, json_t *set, bool changed)
{
    for (size_t at = json_array_size(entries); at-- > 0;) {
        json_t *entry = json_array_get(entries, at);
        if (!is_mine(call, entry, "Apply"))
            continue;
        if (!changed && json_equal(json_object_get(entry, "fieldsV1"), set))
            return;
        json_array_remove(entries, at);
    }
    json_array_append_new(entries, entry_new(call, "Apply", set));
}

int managed_apply(struct call *call, const json_t *live, const json_t *patch, json_t **ret)
{
    struct arena *arena = call->ctx.arena;
    struct shape shape = shape_of(call->kind);
    json_t *nothing = arena_json(arena, json_object()), *removed = arena_json(arena, json_object());
    json_t *entries = entries_of(arena, live);
    json_t *set = owned(fields_of(arena, &shape, patch));
    json_t *merged = merge_apply(arena, &shape, live ? live : nothing, patch);
    json_t *changed = json_array_size(entries) /* nobody minds what becomes of a new one */
                          ? owned(fields_changed(arena, &shape, live, merged, removed))
                          : nothing;
    TRY(take_over(call, entries, changed));
    fields_prune(arena, &shape, merged, given_up(call, entries, set));
    put_mine(call, entries, set, json_object_size(changed));
    put_entries(merged, entries);
    *ret = merged;
    return 0;
}
