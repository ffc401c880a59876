/* Asking the target of a class for its pods, and telling what came of it. */
#include "reconcilers/engine/conditions.h"
#include "reconcilers/pipeline/asked.h"
#include "reconcilers/pipeline/routes.h"
#include "reconcilers/pipeline/scope.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <inttypes.h>

enum {
    LOOK_AGAIN_MS = 500,
    REFUSED_AGAIN_MS = 10000, /* a policy says so, and nobody tells when it does no more */
    LEADS_TELL_S = 5,         /* so long a slice that is still there is nothing to tell */
    LEADS_MS_MAX = 60000,
};

/* ---- who may go ---- */

/* Since the decision that lets them go was committed. */
static int64_t waited_s(const struct placer_scope *scope)
{
    int64_t since_s = json_int_or(scope->scene.ledger, "time", scope->world.now_s);
    return scope->decision.changed ? 0 : scope->world.now_s - since_s;
}

/* A slice that nobody takes away is looked at ever more seldom. */
static void wait_for_slice(struct ctx *ctx, struct pass *pass, const char *pod, const char *slice,
                           struct scale_outcome *outcome)
{
    int64_t waited = waited_s(pass->scope), after_ms = waited * 1000;
    pass_requeue(pass, after_ms < LOOK_AGAIN_MS  ? LOOK_AGAIN_MS
                       : after_ms > LEADS_MS_MAX ? LEADS_MS_MAX
                                                 : after_ms);
    if (waited >= LEADS_TELL_S)
        *outcome = (struct scale_outcome){
            "PodsLead",
            arena_printf(ctx->arena,
                         "it keeps pods that are not needed: EndpointSlice '%s' leads to pod '%s'",
                         slice, pod),
            true};
}

/* A binding that went leaves its slice for a moment, of which no cache of ours may know yet. */
static int leads_beyond(struct ctx *ctx, struct pass *pass, const char *set, int64_t wanted,
                        int64_t before, struct scale_outcome *outcome, bool *ret)
{
    struct routes routes;
    const char *slice;
    TRY(routes_read(ctx, pass, &routes));
    const char *pod = routes_lead_beyond(&routes, set, wanted, before, &slice);
    *ret = pod != NULL;
    if (pod)
        wait_for_slice(ctx, pass, pod, slice, outcome);
    return 0;
}

/* ---- asking ---- */

static void tell_asked(struct ctx *ctx, struct pass *pass, const struct workers *workers,
                       int64_t before, int64_t wanted)
{
    const char *word = wanted > before ? "ScaledUp" : "ScaledDown";
    const char *message = arena_printf(
        ctx->arena, "class '%s': %s '%s' from %" PRId64 " to %" PRId64, workers->class.name,
        scale_kind(&workers->scaling), workers->scaling.target, before, wanted);
    log_info(ctx, "%s: %s", word, message);
    pass_event(ctx, pass, "Normal", word, "Scale", "%s", message);
    metric_add(METRIC_PIPELINE_SCALED, 1, word);
}

static bool is_same(const json_t *one, const json_t *other)
{
    const char *version = json_str(one, "metadata.resourceVersion");
    return version && str_equal(version, json_str(other, "metadata.resourceVersion"));
}

/* Fenced by the version that was decided upon: who changed it since, by hand or with a newer
 * decision, is looked at first. It is read live before, so that the server is seldom asked in vain.
 */
static int ask_stateful_set(struct ctx *ctx, struct pass *pass, const struct workers *workers,
                            int64_t wanted, struct scale_outcome *outcome)
{
    const char *namespace = pass->key.namespace, *name = workers->scaling.target;
    bool leads = false;
    json_t *live;
    TRY(pass_get_live(ctx, pass, CALL_KUBE_PIPELINE_TARGET, KIND_STATEFUL_SET, namespace, name,
                      &live));
    if (!is_same(live, workers->scaling.object)) {
        pass_requeue(pass, LOOK_AGAIN_MS);
        return 0;
    }
    int64_t before = json_int_or(live, "spec.replicas", 1);
    if (wanted < before)
        TRY(leads_beyond(ctx, pass, name, wanted, before, outcome, &leads));
    if (leads)
        return 0;
    json_t *scale =
        arena_json(ctx->arena, json_pack("{s:{s:s}, s:{s:I}}", "metadata", "resourceVersion",
                                         json_str(live, "metadata.resourceVersion"), "spec",
                                         "replicas", (json_int_t)wanted));
    TRY(kube_patch(ctx, CALL_KUBE_PIPELINE_SCALE, pass_kube(pass), KIND_STATEFUL_SET, namespace,
                   name, "scale", scale, pass_manager(pass), NULL));
    tell_asked(ctx, pass, workers, before, wanted);
    return 0;
}

/* How many and which, in one write. Who is not among them is marked, emptied and released before he
 * goes: here nothing need be waited for. */
static int ask_worker_set(struct ctx *ctx, struct pass *pass, const struct workers *workers,
                          const json_t *entry)
{
    const json_t *set = workers->scaling.object;
    int64_t before = workers->scaling.there, wanted = asked_count(entry);
    json_t *keep = arena_json(ctx->arena, json_array());
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        if (asked_for(entry, number))
            json_array_append_new(keep, json_integer(number));
    const json_t *kept = json_at(set, "spec.keep");
    bool same = kept ? json_equal(kept, keep) : wanted == 0;
    if (before == wanted && same)
        return 0;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:{s:I, s:O}}", "spec", "replicas",
                                                     (json_int_t)wanted, "keep", keep));
    TRY(pass_patch(ctx, pass, CALL_KUBE_PIPELINE_SCALE, set, NULL, patch, NULL));
    if (before != wanted)
        tell_asked(ctx, pass, workers, before, wanted);
    return 0;
}

static const json_t *entry_of(const struct placer_scope *scope, uint32_t at)
{
    return json_find(scope->decision.ledger, "classes", "name",
                     scope->world.classes[at].class.name);
}

static int ask(struct ctx *ctx, struct pass *pass, const struct workers *workers,
               const json_t *entry, struct scale_outcome *outcome)
{
    int64_t wanted = asked_count(entry);
    if (!world_scales(workers) || wanted < 0)
        return 0;
    if (workers->scaling.any)
        return ask_worker_set(ctx, pass, workers, entry);
    return workers->scaling.there == wanted ? 0
                                            : ask_stateful_set(ctx, pass, workers, wanted, outcome);
}

int scale_ask(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    for (uint32_t at = 0; at < scope->world.class_count; at++) {
        int rc =
            ask(ctx, pass, &scope->world.classes[at], entry_of(scope, at), &scope->outcomes[at]);
        if (rc == -ERR_CONFLICT ||
            rc == -ERR_NOT_FOUND) { /* somebody was faster: the cache tells */
            err_clear(ctx);
            pass_requeue(pass, LOOK_AGAIN_MS);
            continue;
        }
        if (rc < 0) {
            scope->outcomes[at] = (struct scale_outcome){
                "ScaleRefused", arena_printf(ctx->arena, "%s", ctx->err.message), false};
            pass_requeue(pass, REFUSED_AGAIN_MS);
        }
        TRY(refusals_note(ctx, &scope->scale_refusals, rc));
    }
    return 0;
}

int scale_end(struct ctx *ctx, struct pass *pass)
{
    const struct placer_scope *scope = pass->scope;
    return refusals_end(ctx, &scope->scale_refusals);
}

/* ---- telling ---- */

struct telling {
    const char *status, *reason, *message;
};

static struct telling telling_of(const struct scaling *scaling, const struct scale_outcome *outcome)
{
    if (scaling->refused)
        return (struct telling){"False", scaling->refused, scaling->message};
    if (outcome->reason)
        return (struct telling){outcome->asked ? "True" : "False", outcome->reason,
                                outcome->message};
    if (scaling->ordered)
        return (struct telling){"True", "OrderedReady",
                                "it has as many pods as are needed, but one that is not ready "
                                "holds up those behind it: set podManagementPolicy: Parallel"};
    return (struct telling){"True", "AsAsked", "its target is asked for the pods that are needed"};
}

static void note_change(struct ctx *ctx, struct pass *pass, const char *class,
                        const struct telling *telling)
{
    if (str_equal(telling->reason, "AsAsked"))
        return;
    log_warn(ctx, "class %s: %s: %s", class, telling->reason, telling->message);
    pass_event(ctx, pass, "Warning", telling->reason, "Scale", "class '%s': %s", class,
               telling->message);
    metric_add(METRIC_PIPELINE_SCALED, 1, telling->reason);
}

void scale_status(struct ctx *ctx, struct pass *pass, uint32_t at, json_t *status)
{
    const struct placer_scope *scope = pass->scope;
    const struct workers *workers = &scope->world.classes[at];
    json_object_del(status, "replicas");
    if (!workers->scaling.target) {
        condition_remove(status, "Scaled");
        return;
    }
    const struct telling telling = telling_of(&workers->scaling, &scope->outcomes[at]);
    if (!str_equal(json_str(condition_get(status, "Scaled"), "reason"), telling.reason))
        note_change(ctx, pass, workers->class.name, &telling);
    if (world_scales(workers))
        json_object_set_new(status, "replicas", json_integer(asked_count(entry_of(scope, at))));
    condition_set(ctx, status, "Scaled", telling.status, telling.reason, workers->class.generation,
                  "%s", telling.message);
}
