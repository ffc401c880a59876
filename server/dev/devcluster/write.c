#include "server/dev/devcluster/write.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/events.h"
#include "server/dev/devcluster/forms.h"
#include "server/dev/devcluster/kinds.h"
#include "server/dev/devcluster/managed.h"
#include "server/dev/devcluster/scale.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/table.h"

#include <string.h>

/* ---- the system's own fields ---- */

json_t *write_now(void)
{
    char text[CLOCK_RFC3339_BYTES];
    return json_string(clock_rfc3339(text, clock_wall_ms(), 0));
}

void write_stamp_new(json_t *object)
{
    unsigned char id[16];
    char uid[37];
    crypto_random(id, sizeof id);
    id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
    id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
    snprintf(uid, sizeof uid,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
             id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13],
             id[14], id[15]);
    json_put(object, "metadata.uid", json_string(uid));
    json_put(object, "metadata.creationTimestamp", write_now());
}

/* Whatever a client sends for these, they are as they were. */
static void keep_system_fields(const struct kind *kind, const json_t *live, json_t *next)
{
    static const char *const kept[] = {"uid",
                                       "creationTimestamp",
                                       "generation",
                                       "deletionTimestamp",
                                       "deletionGracePeriodSeconds",
                                       "resourceVersion"};
    json_t *metadata = json_object_get(next, "metadata");
    json_object_del(metadata, "selfLink");
    for (size_t at = 0; at < ARRAY_SIZE(kept); at++) {
        json_t *was = json_object_get(json_object_get(live, "metadata"), kept[at]);
        json_object_del(metadata, kept[at]);
        if (was)
            json_object_set(metadata, kept[at], was);
    }
    if (live)
        return;
    write_stamp_new(next);
    if (kind->flags & GENERATION)
        json_put(next, "metadata.generation", json_integer(1));
}

static bool spec_changed(const json_t *live, const json_t *next)
{
    _cleanup_json_ json_t *a = json_copy((json_t *)(uintptr_t)live);
    _cleanup_json_ json_t *b = json_copy((json_t *)(uintptr_t)next);
    static const char *const besides[] = {"metadata", "status", "apiVersion", "kind"};
    for (size_t at = 0; at < ARRAY_SIZE(besides); at++) {
        json_object_del(a, besides[at]);
        json_object_del(b, besides[at]);
    }
    return !json_equal(a, b);
}

/* Each of spec and status has a door of its own. */
static json_t *through_door(struct call *call, json_t *live, json_t *next)
{
    if (!(call->kind->flags & STATUS))
        return next;
    if (str_equal(call->subresource, "status")) {
        json_t *whole = arena_json(call->ctx.arena, json_deep_copy(live));
        json_t *status = json_object_get(next, "status");
        json_object_del(whole, "status");
        if (status)
            json_object_set(whole, "status", status);
        json_t *fields = json_at(next, "metadata.managedFields");
        if (fields)
            json_object_set(json_object_get(whole, "metadata"), "managedFields", fields);
        return whole;
    }
    json_t *status = json_object_get(live, "status");
    json_object_del(next, "status");
    if (status)
        json_object_set(next, "status", status);
    return next;
}

/* ---- commit ---- */

static int refuse_other_uid(struct call *call, const char *uid)
{
    const char *problem =
        arena_printf(call->ctx.arena, "Invalid value: \"%s\": field is immutable", uid);
    status_cause(call, "FieldValueInvalid", "metadata.uid", problem);
    status_cause(call, "FieldValueInvalid", "metadata.uid", problem); /* two checks say the same */
    return refuse_invalid(call, arena_printf(call->ctx.arena, "metadata.uid: %s", problem));
}

static int check_versions(struct call *call, const json_t *live, const json_t *next)
{
    const char *version = json_str(next, "metadata.resourceVersion");
    const char *uid = json_str(next, "metadata.uid"), *live_uid = json_str(live, "metadata.uid");
    bool other = uid && *uid && !str_equal(uid, live_uid);
    if (other && str_equal(call->method, "PATCH"))
        return refuse_other_uid(call, uid);
    if (other)
        return refuse(call, "Conflict",
                      "Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in "
                      "precondition: %s, UID in object meta: %s",
                      status_resource(call), call->name, uid, live_uid);
    if (version && *version && !str_equal(version, json_str(live, "metadata.resourceVersion")))
        return refuse_stale(call);
    return 0;
}

/* Puts it where everybody sees it, unless nothing is different or it is a rehearsal. */
static json_t *put(struct call *call, json_t *live, json_t *next)
{
    struct devcluster *cluster = call->cluster;
    const char *dry_run = call_query(call, "dryRun");
    if (live && json_equal(live, next))
        return live;
    if (dry_run && *dry_run)
        return next;
    if (live && json_at(next, "metadata.deletionTimestamp") && !write_is_held(call->kind, next))
        store_remove(cluster, call->kind, live, json_incref(next));
    else
        store_put(cluster, call->kind, live, json_incref(next));
    return next;
}

int write_commit(struct call *call, json_t *live, json_t *next, bool applied)
{
    json_t *kept = live ? arena_json(call->ctx.arena, json_incref(live)) : NULL;
    if (live)
        TRY(check_versions(call, live, next));
    keep_system_fields(call->kind, kept, next);
    next = through_door(call, kept, next);
    TRY(forms_check(call, kept, next, applied));
    if (!applied)
        managed_note(call, kept, next);
    if (kept && call->kind->flags & GENERATION && spec_changed(kept, next))
        json_put(next, "metadata.generation",
                 json_integer(json_int_or(kept, "metadata.generation", 0) + 1));
    json_t *shown = put(call, kept, next);
    if (str_equal(call->subresource, "scale"))
        return scale_answer(call, shown);
    return table_answer(call, shown, !kept);
}

/* ---- create and update ---- */

int write_check_namespace(struct call *call)
{
    if (!(call->kind->flags & NAMESPACED))
        return 0;
    struct kind *kind = kinds_find(call->cluster, "", "v1", "namespaces");
    const json_t *namespace = store_get(kind, NULL, call->namespace);
    if (!namespace) {
        const char *missing = call->namespace;
        call->kind = kind;
        call->name = missing;
        return refuse_absent(call);
    }
    if (!json_at(namespace, "metadata.deletionTimestamp"))
        return 0;
    status_cause(
        call, "NamespaceTerminating", "metadata.namespace",
        arena_printf(call->ctx.arena, "namespace %s is being terminated", call->namespace));
    return refuse(call, "Forbidden",
                  "%s \"%s\" is forbidden: unable to create new content in namespace %s because it "
                  "is being terminated",
                  status_resource(call), call->name, call->namespace);
}

/* The body must speak of what the path speaks of. */
static int read_object(struct call *call, json_t **ret)
{
    json_t *body = NULL;
    TRY(call_body(call, &body));
    const char *version = json_str(body, "apiVersion"), *kind = json_str(body, "kind");
    const char *namespace = json_str(body, "metadata.namespace");
    bool scaled = str_equal(call->subresource, "scale");
    if (!scaled && version && kind &&
        !(str_equal(version, call->kind->api_version) && str_equal(kind, call->kind->name)))
        return refuse(call, "BadRequest",
                      "%s in version \"%s\" cannot be handled as a %s: converting (%s.%s) to "
                      "(%.*s.%s): unknown conversion",
                      kind, version, call->kind->name, version, kind,
                      *call->kind->group ? (int)strcspn(call->kind->group, ".") : 4,
                      *call->kind->group ? call->kind->group : "core", call->kind->name);
    if (namespace && call->namespace && !str_equal(namespace, call->namespace))
        return refuse(call, "BadRequest",
                      "the namespace of the provided object does not match the namespace sent on "
                      "the request");
    if (!json_is_object(json_object_get(body, "metadata")))
        json_put(body, "metadata", json_object());
    if (call->namespace)
        json_put(body, "metadata.namespace", json_string(call->namespace));
    json_put(body, "apiVersion", json_string(call->kind->home->api_version));
    json_put(body, "kind", json_string(call->kind->name));
    *ret = call->kind->home == call->kind ? body
                                          : arena_json(call->ctx.arena, events_view(body, false));
    return 0;
}

/* generateName: five random characters, as the server adds. */
static int name_it(struct call *call, json_t *body)
{
    const char *stem = json_str(body, "metadata.generateName");
    call->name = json_str(body, "metadata.name");
    if (!call->name && stem) {
        call->name =
            arena_printf(call->ctx.arena, "%s%s", stem, crypto_random_base32(call->ctx.arena, 5));
        json_put(body, "metadata.name", json_string(call->name));
    }
    if (call->name && *call->name)
        return 0;
    status_cause(call, "FieldValueRequired", "metadata.name",
                 "Required value: name or "
                 "generateName is required");
    return refuse_invalid(call, "metadata.name: Required value: name or generateName is required");
}

int write_create(struct call *call)
{
    json_t *body = NULL;
    if (call->kind->flags & NAMESPACED && !call->namespace)
        return refuse(call, "MethodNotAllowed",
                      "the server does not allow this method on the requested resource");
    TRY(read_object(call, &body));
    TRY(name_it(call, body));
    if (json_at(body, "metadata.resourceVersion"))
        return refuse(call, "InternalError",
                      "resourceVersion should not be set on objects to be created");
    TRY(write_check_namespace(call));
    if (store_get(call->kind, call->namespace, call->name))
        return refuse(call, "AlreadyExists", "%s \"%s\" already exists", status_resource(call),
                      call->name);
    return write_commit(call, NULL, body, false);
}

/* Custom kinds are not overwritten blindly. */
static int refuse_unfenced(struct call *call)
{
    static const char problem[] = "Invalid value: 0: must be specified for an update";
    const struct kind *kind = call->kind;
    status_cause(call, "FieldValueInvalid", "metadata.resourceVersion", problem);
    call->details = arena_json(call->ctx.arena,
                               json_pack("{s:s, s:s, s:s, s:O}", "group", kind->group, "kind",
                                         kind->plural, "name", call->name, "causes", call->causes));
    return refuse(call, "Invalid", "%s \"%s\" is invalid: metadata.resourceVersion: %s",
                  status_resource(call), call->name, problem);
}

int write_put(struct call *call)
{
    json_t *body = NULL;
    json_t *live = store_get(call->kind, call->namespace, call->name);
    TRY(read_object(call, &body));
    const char *name = json_str_or(body, "metadata.name", "");
    if (!str_equal(name, call->name))
        return refuse(call, "BadRequest",
                      "the name of the object (%s) does not match the name on the URL (%s)", name,
                      call->name);
    if (!live)
        return refuse_absent(call);
    if (str_equal(call->subresource, "scale"))
        return scale_put(call, live, body);
    if (call->kind->flags & CUSTOM && !json_at(body, "metadata.resourceVersion"))
        return refuse_unfenced(call);
    return write_commit(call, live, body, false);
}
