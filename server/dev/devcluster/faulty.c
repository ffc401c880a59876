#include "server/dev/devcluster/faulty.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"

enum { RECALLED_MAX = 16 };

static int refuse_it(struct call *call, const struct fault *fault)
{
    call->retry_after_s = fault->retry_after_s;
    return refuse(call, fault->reason, "a fault of the table: %s", fault->reason);
}

/* Others go on meanwhile. */
static int wait(struct call *call, const struct fault *fault)
{
    pthread_mutex_unlock(&call->cluster->lock);
    clock_sleep_ms(fault->ms);
    pthread_mutex_lock(&call->cluster->lock);
    return 0;
}

static struct occasion occasion_of(const struct call *call)
{
    bool watched = call_flag(call, "watch") && !call->name;
    return (struct occasion){.client = call_header(call, "User-Agent"),
                             .verb = faults_verb(call->method, call->name, watched),
                             .resource = call->kind->plural,
                             .namespace = call->namespace,
                             .name = call->name};
}

void faulty_created(struct call *call)
{
    const struct occasion occasion = occasion_of(call);
    faults_created(call->ctx.arena, call->cluster->faults, &occasion);
}

int faulty_request(struct call *call)
{
    const struct occasion occasion = occasion_of(call);
    call->fault = faults_meet(call->ctx.arena, call->cluster->faults, &occasion);
    if (call->fault.action == FAULT_REFUSE)
        return refuse_it(call, &call->fault);
    return call->fault.action == FAULT_SLOW ? wait(call, &call->fault) : 0;
}

struct fault faulty_event(struct arena *arena, struct devcluster *cluster, const char *client,
                          const struct kind *kind, const json_t *object)
{
    const struct occasion occasion = {client, "event", kind->plural,
                                      json_str(object, "metadata.namespace"),
                                      json_str(object, "metadata.name")};
    return faults_meet(arena, cluster->faults, &occasion);
}

void faulty_hit(struct call *call)
{
    (void)faults_hit(call->cluster->faults, &call->fault); /* the lock is held since it was met */
}

/* ---- what was before the last change that is remembered ---- */

/* *version becomes what the whole list had at the most then. */
static json_t *before(const struct call *call, const struct change *change, uint64_t *version)
{
    if (change->version <= *version)
        *version = change->version - 1;
    return store_recall(call->ctx.arena, change->before);
}

/* An object that is there: NULL when it was not, itself when no change of it is remembered. */
static json_t *stale(const struct call *call, json_t *live, uint64_t *version)
{
    const struct kind *home = call->kind->home;
    const char *text = store_text(call->ctx.arena, home, live);
    for (const struct change *change = NULL; (change = store_older(home, change));)
        if (json_str(change->after, "text") == text)
            return before(call, change, version);
    return live;
}

static bool is_end(const struct change *change, const char *namespace, const char *name)
{
    return str_equal(change->type, "DELETED") &&
           (!namespace || str_equal(json_str(change->after, "metadata.namespace"), namespace)) &&
           (!name || str_equal(json_str(change->after, "metadata.name"), name));
}

/* What the call names. */
static json_t *stale_get(const struct call *call, json_t *live)
{
    uint64_t version = call->cluster->version;
    if (live)
        return stale(call, live, &version);
    for (const struct change *change = NULL; (change = store_older(call->kind->home, change));)
        if (is_end(change, call->namespace, call->name))
            return before(call, change, &version);
    return NULL;
}

json_t *faulty_get(struct call *call)
{
    json_t *live = store_get(call->kind, call->namespace, call->name);
    json_t *told = call->fault.action == FAULT_STALE ? stale_get(call, live) : live;
    if (told != live)
        faulty_hit(call);
    return told;
}

static void add_deleted(const struct call *call, json_t *list, uint64_t *version)
{
    const struct kind *home = call->kind->home;
    json_t *known = arena_json(call->ctx.arena, json_object());
    for (const struct change *change = NULL;
         (change = store_older(home, change)) && json_object_size(known) < RECALLED_MAX;) {
        const char *namespace = json_str(change->after, "metadata.namespace");
        const char *name = json_str(change->after, "metadata.name");
        const char *key = arena_printf(call->ctx.arena, "%s/%s", namespace ? namespace : "", name);
        if (!is_end(change, call->namespace, NULL) || store_get(home, namespace, name) ||
            json_object_get(known, key))
            continue;
        json_object_set_new(known, key, json_true());
        json_array_append(list, before(call, change, version));
    }
}

json_t *faulty_list(const struct call *call, uint64_t *version)
{
    json_t *now = arena_json(call->ctx.arena, store_list(call->kind, call->namespace)), *item;
    json_t *then = json_array();
    size_t at;
    json_array_foreach(now, at, item) {
        json_t *seen = stale(call, item, version);
        if (seen)
            json_array_append(then, seen);
    }
    add_deleted(call, then, version);
    return then;
}

int faulty_table(struct call *call)
{
    int rc = faults_serve(&call->ctx, call->cluster->faults, call->method, call->body,
                          call->body_bytes, &call->answer);
    return rc < 0 ? refuse(call, "BadRequest", "%s", call->ctx.err.message) : 0;
}
