/*
 * The reconciler `pipelinebinding`: one stage of one pipeline becomes a Service without a selector
 * and an EndpointSlice of our own, in which each pod's readiness is mirrored: a Service cannot
 * select pods by their names. Where the class asks for it, an HTTPRoute divides requests
 * (weights.c).
 */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/bundle.h"
#include "reconcilers/engine/conditions.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum { LOOK_AGAIN_MS = 1000, REPAIRED_MS = 10, ORPHAN_MS = 2000, PACE_MS = 20 };

struct telling {
    const char *phase, *ready, *reason, *message;
};

struct binding_scope {
    struct weighing weighing;
    json_t *shares;        /* those whose pod is there */
    bool gone;             /* or going */
    struct telling orphan; /* no Pipeline is known of it */
};

/* Of one pod, or of all shares. */
static json_t *endpoints_of(const json_t *binding, const struct binding_part *part)
{
    const json_t *shares = json_at(binding, "spec.shares");
    size_t count = part->pod ? 1 : json_array_size(shares);
    json_t *list = json_array();
    for (size_t at = 0; at < count; at++) {
        struct binding_pod pod =
            part->pod ? *part->pod : binding_pod_of(json_array_get(shares, at));
        json_array_append_new(list, json_pack("{s:[s], s:{s:b, s:b}, s:{s:s, s:s, s:s}}",
                                              "addresses", pod.address, "conditions", "ready",
                                              pod.ready, "serving", pod.ready, "targetRef", "kind",
                                              "Pod", "name", pod.name, "namespace",
                                              json_str_or(binding, "metadata.namespace", "")));
    }
    return list;
}

struct binding_pod binding_pod_of(const json_t *share)
{
    return (struct binding_pod){.name = json_str_or(share, "pod", ""),
                                .address = json_str_or(share, "address", ""),
                                .ready = json_bool_or(share, "ready", false)};
}

json_t *binding_facts(struct ctx *ctx, const json_t *binding, const struct binding_part *part)
{
    /* A slice is of one family for ever; the pods of a class are of one. */
    const char *address =
        part->pod ? part->pod->address : json_str_or(binding, "spec.shares.0.address", "");
    const json_t *route = json_at(binding, "spec.httpRoute");
    const char *name = json_str_or(binding, "metadata.name", "");
    bool ipv6 = strchr(address, ':'), gateways = json_object_get(route, "gateways");
    return arena_json(
        ctx->arena,
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:O, s:b, s:b, s:o*, s:s*, s:s*, s:s*}", "name",
                  part->name ? part->name : name, "namespace",
                  json_str_or(binding, "metadata.namespace", ""), "family", ipv6 ? "ipv6" : "ipv4",
                  "address", ipv6 ? "IPv6" : "IPv4", "endpoints", endpoints_of(binding, part),
                  "spec", json_at(binding, "spec"), "mesh", part->backends && !gateways, "gateways",
                  part->backends && gateways, "backends", part->backends, "protocol",
                  route ? "http" : NULL, "worker", part->pod ? part->pod->name : NULL, "left",
                  part->pod ? part->pod->left : NULL));
}

/* ---- who is believed: a binding may be written by who may not write slices ---- */

/* Our cache may be behind that of the owner who made the binding: the server is asked before
 * anything is taken away. */
static int find_pipeline(struct ctx *ctx, struct pass *pass, bool *ret_known)
{
    const json_t *owner = kube_controller(pass->root);
    const struct kube_kind_row *kind = kube_kind_row(KIND_PIPELINE);
    const char *name = json_str_or(owner, "name", ""), *uid = json_str_or(owner, "uid", "");
    *ret_known = false;
    if (!str_equal(json_str(owner, "kind"), kind->kind) ||
        !str_equal(json_str(owner, "apiVersion"), kind->api_version))
        return 0;
    json_t *pipeline = pass_get(ctx, pass, KIND_PIPELINE, pass->key.namespace, name);
    if (!str_equal(json_str(pipeline, "metadata.uid"), uid))
        TRY(placer_pipeline_live(ctx, pass, name, uid, &pipeline));
    *ret_known = pipeline != NULL;
    return 0;
}

bool binding_has_pod(struct ctx *ctx, struct pass *pass, const struct binding_pod *wanted)
{
    const json_t *pod = pass_get(ctx, pass, KIND_POD, pass->key.namespace, wanted->name);
    const json_t *class = json_object_get(json_at(pod, "metadata.labels"), LABEL_WORKER_CLASS);
    return pod && str_equal(json_string_value(class), json_str(pass->root, "spec.class")) &&
           str_equal(json_str(pod, "status.podIP"), wanted->address);
}

/* The binding with those of its shares that are there. The others: the pod has gone or come again
 * since, which the placement sees as well; or nobody but their writer knows of them. */
static json_t *believed(struct ctx *ctx, struct pass *pass)
{
    struct binding_scope *scope = pass->scope;
    json_t *binding = arena_json(ctx->arena, json_copy(pass->root));
    json_t *spec = json_copy(json_object_get(pass->root, "spec")), *share;
    size_t at;
    scope->shares = json_array();
    json_array_foreach(json_at(pass->root, "spec.shares"), at, share) {
        struct binding_pod pod = binding_pod_of(share);
        if (binding_has_pod(ctx, pass, &pod))
            json_array_append(scope->shares, share);
    }
    if (json_array_size(scope->shares) < at)
        pass_requeue(pass, LOOK_AGAIN_MS);
    json_object_set_new(spec, "shares", scope->shares);
    json_object_set_new(binding, "spec", spec);
    return binding;
}

/* A Pipeline that went takes its bindings with it, and each watch tells in its own time. */
static int look_for(struct ctx *ctx, struct pass *pass, bool *ret_gone)
{
    json_t *live;
    TRY(pass_get_live(ctx, pass, CALL_KUBE_OBJECT_READ, KIND_PIPELINE_BINDING, pass->key.namespace,
                      pass->key.name, &live));
    *ret_gone = !live || kube_is_going(live);
    return 0;
}

/* The garbage collector may be on its way: it is told, and a failure only if it stays so. */
static int refuse(struct ctx *ctx, struct pass *pass)
{
    struct binding_scope *scope = pass->scope;
    const json_t *status = json_object_get(pass->root, "status");
    const json_t *ready = condition_get(status, "Ready");
    scope->orphan = (struct telling){"Pending", "False", "NoPipeline",
                                     "no Pipeline is its controller: it was not made by the "
                                     "operator, and leads nowhere"};
    if (str_equal(json_str(ready, "reason"), scope->orphan.reason) &&
        condition_age_ms(status, "Ready") >= ORPHAN_MS)
        return err_set(ctx, ERR_REFUSED, "NoPipeline", "%s", scope->orphan.message);
    pass_requeue(pass, LOOK_AGAIN_MS);
    return 0;
}

/* Of whom no Pipeline is known gets nothing, and what it had is taken away. */
static int route(struct ctx *ctx, struct pass *pass)
{
    struct binding_scope *scope = pass->scope;
    struct bundle_plan nothing = {0};
    bool known;
    scope->gone = kube_is_going(pass->root);
    if (scope->gone) /* nor must what goes be made again, nor lead anywhere while it is held */
        return bundle_apply(ctx, pass, &nothing, &scope->weighing.stack);
    TRY(find_pipeline(ctx, pass, &known));
    if (known)
        return weights_apply(ctx, pass, believed(ctx, pass), &scope->weighing);
    TRY(look_for(ctx, pass, &scope->gone));
    if (scope->gone)
        return 0;
    TRY(bundle_apply(ctx, pass, &nothing, &scope->weighing.stack));
    return refuse(ctx, pass);
}

/* Apart from routing, which it does not hold up. */
static int weigh(struct ctx *ctx, struct pass *pass)
{
    const struct binding_scope *scope = pass->scope;
    return refusals_end(ctx, &scope->weighing.refusals);
}

/* What failed is the routing, not the weights alone. */
static bool is_unrouted(const struct pass *pass)
{
    const struct binding_scope *scope = pass->scope;
    return scope->orphan.reason || (pass->failure && scope->weighing.refusals.rc == 0);
}

static bool is_in(const struct pass *pass, const char *phases)
{
    return str_has_word(phases, json_str_or(pass->root, "status.phase", ""));
}

static struct telling telling_of(const struct pass *pass)
{
    const struct binding_scope *scope = pass->scope;
    bool served = is_in(pass, "Ready DeadEnd");
    bool new = !json_at(pass->root, "status.observedGeneration");
    int64_t wanted = json_int_or(pass->root, "spec.milliDocumentsPerSecond", 0), serves = 0;
    size_t at;
    json_t *share;
    json_array_foreach(scope->shares, at, share)
        if (json_bool_or(share, "ready", false))
            serves += json_int_or(share, "milliDocumentsPerSecond", 0);
    if (scope->orphan.reason)
        return scope->orphan;
    if (is_unrouted(pass))
        return (struct telling){"Pending", "False", pass->failure->reason, pass->failure->message};
    if (wanted == 0)
        return (struct telling){"Unset", "False", "Unset", "the stage is not to run"};
    if (serves == 0 && at < json_array_size(json_at(pass->root, "spec.shares")))
        return (struct telling){served ? "DeadEnd" : "Pending", "False", "PodsUnknown",
                                "no pod of the class has name and address of its shares"};
    if (serves == 0)
        return served || (at == 0 && !new)
                   ? (struct telling){"DeadEnd", "False", "DeadEnd",
                                      "no worker of the stage serves"}
                   : (struct telling){"Pending", "False", "WorkersStarting",
                                      "no worker of the stage is ready yet"};
    if (!scope->weighing.plain)
        return (struct telling){"Pending", "False", "Progressing", scope->weighing.stack.message};
    if (serves < wanted)
        return (struct telling){"Ready", "True", "Degraded", "some of its workers do not serve"};
    return (struct telling){"Ready", "True", "Routed", "its Service leads to its workers"};
}

static int observe(struct ctx *ctx, struct pass *pass)
{
    const struct binding_scope *scope = pass->scope;
    if (scope->gone)
        return 0;
    struct telling telling = telling_of(pass);
    if (str_equal(telling.phase, "Ready") && is_in(pass, "DeadEnd")) {
        /* No way leads from DeadEnd to Ready but this one: who watches sees each repair. */
        telling = (struct telling){"Pending", "False", "Progressing",
                                   "a worker of the stage serves again; it is being routed"};
        pass_requeue(pass, REPAIRED_MS);
    }
    /* Who has no shares yet may have none at the next look, too: see telling_of(). */
    if (str_equal(telling.reason, "WorkersStarting") && !json_array_size(scope->shares))
        pass_requeue(pass, LOOK_AGAIN_MS);
    int64_t generation = json_int_or(pass->root, "metadata.generation", 0);
    bool routed = !is_unrouted(pass) && !scope->weighing.stale; /* as this generation says */
    json_object_update_new(pass->status,
                           json_pack("{s:s, s:o*}", "phase", telling.phase, "observedGeneration",
                                     routed ? json_integer(generation) : NULL));
    condition_set(ctx, pass->status, "Ready", telling.ready, telling.reason, generation, "%s",
                  telling.message);
    weights_tell(ctx, pass, &scope->weighing);
    return 0;
}

static const struct phase phases[] = {
    {"route", route, 0, "Service and EndpointSlice lead where the binding says"},
    {"weigh", weigh, 0, "an HTTPRoute divides requests by the shares, if the class asks for one"},
    {"observe", observe, PHASE_ALWAYS, "say in the status what came of it"},
    {0},
};

static bool wakes_nobody(const json_t *object, struct key *ret)
{
    (void)object;
    (void)ret;
    return false;
}

const struct reconciler binding_reconciler = {
    .name = "pipelinebinding",
    .kind = KIND_PIPELINE_BINDING,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = sizeof(struct binding_scope),
    .sources =
        {
            /* The first: what is no longer wanted goes in this order. */
            {.kind = KIND_HTTP_ROUTE,
             .label_selector = LABEL_MANAGED_BY "=flotilla",
             .optional = true,
             .wake_every_ms = PACE_MS},
            {.kind = KIND_SERVICE,
             .label_selector = LABEL_MANAGED_BY "=flotilla",
             .wake_every_ms = PACE_MS},
            {.kind = KIND_ENDPOINT_SLICE,
             .label_selector = LABEL_MANAGED_BY "=flotilla",
             .wake_every_ms = PACE_MS},
            {.kind = KIND_PIPELINE, .map = wakes_nobody},
            {.kind = KIND_POD, .label_selector = LABEL_WORKER_CLASS, .map = wakes_nobody},
        },
    .source_count = 5,
    .phases = phases,
    .root_every_ms = PACE_MS,
    .knows_own_writes = true,
    .resync_ms = INT64_C(10) * 3600 * 1000,
};
