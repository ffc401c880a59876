#include "server/dev/devcluster/faulty.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/status.h"

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

int faulty_request(struct call *call)
{
    bool watched = call_flag(call, "watch") && !call->name;
    const struct occasion occasion = {.client = call_header(call, "User-Agent"),
                                      .verb = faults_verb(call->method, call->name, watched),
                                      .resource = call->kind->plural,
                                      .name = call->name};
    const struct fault fault = faults_meet(call->ctx.arena, call->cluster->faults, &occasion);
    call->cut = fault.action == FAULT_CUT;
    call->stale = fault.action == FAULT_STALE;
    call->reordered = fault.action == FAULT_REORDER;
    if (fault.action == FAULT_REFUSE)
        return refuse_it(call, &fault);
    return fault.action == FAULT_SLOW ? wait(call, &fault) : 0;
}

struct fault faulty_event(struct arena *arena, struct devcluster *cluster, const char *client,
                          const struct kind *kind, const json_t *object)
{
    const struct occasion occasion = {client, "event", kind->plural,
                                      json_str(object, "metadata.name")};
    return faults_meet(arena, cluster->faults, &occasion);
}

json_t *faulty_stale(const struct kind *kind, json_t *object, uint64_t *version)
{
    for (size_t at = kind->home->changed; at-- > 0;) {
        const struct change *change = &kind->home->changes[at];
        if (change->after != object)
            continue;
        if (change->version <= *version)
            *version = change->version - 1;
        return change->before;
    }
    return object;
}

int faulty_table(struct call *call)
{
    int rc = faults_serve(&call->ctx, call->cluster->faults, call->method, call->body,
                          call->body_bytes, &call->answer);
    return rc < 0 ? refuse(call, "BadRequest", "%s", call->ctx.err.message) : 0;
}
