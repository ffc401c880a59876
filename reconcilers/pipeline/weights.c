#include "reconcilers/pipeline/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

enum {
    NAME_HASH_LENGTH = 10,
    NAME_CUT = 50, /* of 63: with two dashes and the hash one less than the longest of bindings */
    PLAIN_OBJECTS = 2,        /* a binding's own Service and slice, the first of any plan */
    LOOK_FOR_KIND_MS = 15000, /* nobody tells that a kind has come */
    REFUSED_MS = 60000,       /* nor that a quota has room, or a name is free */
};

static const int64_t MILLI_MAX = 1000000000000; /* so that nothing overflows: ten times any class */

/* ---- weights and names, pure ---- */

static int64_t divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t within(int64_t milli)
{
    return milli < 1 ? 1 : milli > MILLI_MAX ? MILLI_MAX : milli;
}

void weights_of(const int64_t *milli, size_t count, int32_t *ret)
{
    int64_t common = 0, most = 0;
    for (size_t at = 0; at < count; at++) {
        common = divisor(within(milli[at]), common);
        most = within(milli[at]) > most ? within(milli[at]) : most;
    }
    for (size_t at = 0; at < count; at++) {
        int64_t share = within(milli[at]);
        int64_t weight =
            most / common <= WEIGHT_MAX ? share / common : (share * WEIGHT_MAX + most / 2) / most;
        ret[at] = weight < 1 ? 1 : (int32_t)weight;
    }
}

const char *weights_service(struct arena *arena, const char *binding, const char *pod)
{
    const char *hash =
        crypto_base32_of(arena, arena_printf(arena, "%s/%s", binding, pod), NAME_HASH_LENGTH);
    return arena_printf(arena, "%.*s--%s", NAME_CUT, binding, hash);
}

enum weights_form weights_form_of(const json_t *binding, const char **ret_reason)
{
    const json_t *shares = json_at(binding, "spec.shares");
    size_t at;
    json_t *share;
    bool serves = false;
    json_array_foreach(shares, at, share)
        serves |= json_bool_or(share, "ready", false);
    *ret_reason = at > WEIGHTED_PODS_MAX ? "TooManyPods" : serves ? NULL : "NoWorkers";
    return *ret_reason ? WEIGHTS_EVEN : WEIGHTS_SHARED;
}

/* ---- the plan, pure ---- */

/* What the route leads to, and by which weights: the binding's Service, or those of its pods. Who
 * is not ready gets nothing: a proxy would count it as a part of all, and fail that. */
static size_t targets(struct ctx *ctx, const json_t *binding, enum weights_form form,
                      const char **names, int32_t *weights)
{
    const char *name = json_str_or(binding, "metadata.name", "");
    int64_t milli[WEIGHTED_PODS_MAX];
    size_t at, count = json_array_size(json_at(binding, "spec.shares"));
    json_t *share;
    names[0] = name;
    weights[0] = 1;
    if (form != WEIGHTS_SHARED || count > WEIGHTED_PODS_MAX)
        return 1;
    json_array_foreach(json_at(binding, "spec.shares"), at, share)
        milli[at] = json_int_or(share, "milliDocumentsPerSecond", 0);
    weights_of(milli, count, weights);
    json_array_foreach(json_at(binding, "spec.shares"), at, share) {
        struct binding_pod pod = binding_pod_of(share);
        names[at] = weights_service(ctx->arena, name, pod.name);
        weights[at] = pod.ready ? weights[at] : 0;
    }
    return count;
}

static json_t *backends_of(struct ctx *ctx, const json_t *binding, enum weights_form form)
{
    const char *names[WEIGHTED_PODS_MAX];
    int32_t weights[WEIGHTED_PODS_MAX];
    if (form == WEIGHTS_NONE)
        return NULL;
    size_t count = targets(ctx, binding, form, names, weights);
    json_t *list = json_array();
    for (size_t at = 0; at < count; at++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:i}", "name", names[at], "port",
                                              (json_int_t)json_int_or(binding, "spec.port", 0),
                                              "weight", weights[at]));
    return list;
}

static void take(struct bundle_plan *into, const struct bundle_plan *from, bool route)
{
    for (int at = 0; at < from->count; at++)
        if ((from->objects[at].kind == KIND_HTTP_ROUTE) == route)
            into->objects[into->count++] = from->objects[at];
}

static int add_worker(struct ctx *ctx, const struct bundle *bundle, const json_t *binding,
                      const struct binding_pod *pod, struct bundle_plan *plan)
{
    const char *name =
        weights_service(ctx->arena, json_str_or(binding, "metadata.name", ""), pod->name);
    struct binding_part part = {.name = name, .pod = pod};
    struct bundle_plan one;
    TRY(bundle_render(ctx, bundle, binding_facts(ctx, binding, &part), &one));
    take(plan, &one, false);
    return 0;
}

int weights_render(struct ctx *ctx, const struct bundle *bundle, const json_t *binding,
                   const struct leaving *leaving, enum weights_form form, struct bundle_plan *ret)
{
    const json_t *shares = json_at(binding, "spec.shares");
    size_t pods = json_array_size(shares), gone = leaving ? leaving->count : 0;
    struct binding_part own = {.backends = backends_of(ctx, binding, form)};
    struct bundle_plan plan;
    TRY(bundle_render(ctx, bundle, binding_facts(ctx, binding, &own), &plan));
    *ret = (struct bundle_plan){0};
    ret->objects =
        arena_alloc(ctx->arena, (size_t)plan.count * (pods + gone + 1) * sizeof *ret->objects);
    take(ret, &plan, false);
    /* A route that leads to none of the pods comes before their Services: whose its name is shows
     * before these are made. */
    if (form == WEIGHTS_EVEN)
        take(ret, &plan, true);
    for (size_t at = 0; form != WEIGHTS_NONE && pods <= WEIGHTED_PODS_MAX && at < pods; at++) {
        struct binding_pod pod = binding_pod_of(json_array_get(shares, at));
        TRY(add_worker(ctx, bundle, binding, &pod, ret));
    }
    if (form == WEIGHTS_SHARED)
        take(ret, &plan, true);
    for (size_t at = 0; at < gone; at++)
        TRY(add_worker(ctx, bundle, binding, &leaving->pods[at], ret));
    return 0;
}

/* ---- in a pass ---- */

static bool is_ours(const struct pass *pass, const json_t *live)
{
    return live && !kube_is_going(live) &&
           kube_is_controlled_by(live, json_str(pass->root, "metadata.uid"));
}

static const json_t *live_of(struct ctx *ctx, struct pass *pass, const struct bundle_object *object)
{
    return pass_get(ctx, pass, object->kind, pass->key.namespace,
                    json_str_or(object->desired, "metadata.name", ""));
}

static bool is_plain_current(struct ctx *ctx, struct pass *pass, const struct bundle_plan *plan)
{
    for (int at = 0; at < PLAIN_OBJECTS; at++) {
        const json_t *live = live_of(ctx, pass, &plan->objects[at]);
        if (!is_ours(pass, live) || bundle_differs(plan->objects[at].desired, live))
            return false;
    }
    return true;
}

/* Of the pods' objects only those stay in the plan that are there: others would be made, and
 * removed again, in each pass that is refused one. */
static void leave_out_unmade(struct ctx *ctx, struct pass *pass, struct bundle_plan *plan)
{
    int kept = 0;
    for (int at = 0; at < plan->count; at++)
        if (!kube_annotation(plan->objects[at].desired, ANNOTATION_WORKER) ||
            is_ours(pass, live_of(ctx, pass, &plan->objects[at])))
            plan->objects[kept++] = plan->objects[at];
    plan->count = kept;
}

/* To a bundle what somebody adds is no difference; here it is a way to a stranger. The route's
 * lists are atomic: what we apply replaces them, whoever wrote what is in them. */
static int drop_added(struct ctx *ctx, struct pass *pass, const struct bundle_object *object)
{
    const json_t *live = live_of(ctx, pass, object);
    if (!is_ours(pass, live) || !weights_added(object->desired, live))
        return 0;
    return pass_apply(ctx, pass, CALL_KUBE_OBJECT_APPLY, object->desired, NULL);
}

static int apply(struct ctx *ctx, struct pass *pass, const struct bundle_plan *plan,
                 struct bundle_result *ret)
{
    TRY(bundle_apply(ctx, pass, plan, ret));
    for (int at = 0; at < plan->count; at++)
        if (plan->objects[at].desired && plan->objects[at].kind == KIND_HTTP_ROUTE)
            TRY(drop_added(ctx, pass, &plan->objects[at]));
    return 0;
}

static int bring(struct ctx *ctx, struct pass *pass, const json_t *binding, enum weights_form form,
                 bool made_only, struct weighing *weighing)
{
    const struct pipeline_operator *home = pass->home;
    struct bundle_plan plan;
    struct leaving leaving = {0};
    if (form != WEIGHTS_NONE)
        leaving = weights_leaving(ctx, pass, binding);
    TRY(weights_render(ctx, home->bundle, binding, &leaving, form, &plan));
    if (made_only)
        leave_out_unmade(ctx, pass, &plan);
    int rc = apply(ctx, pass, &plan, &weighing->stack);
    weighing->plain = is_plain_current(ctx, pass, &plan);
    return rc;
}

/* All was written, but a route that is going (somebody's finalizer holds it) was not: it leads to
 * where it did until it is gone, which will wake us. */
static void note_stale(struct ctx *ctx, struct pass *pass, enum weights_form form,
                       struct weighing *weighing)
{
    const json_t *live = weights_route_led(ctx, pass);
    weighing->stale = live && (form == WEIGHTS_NONE || kube_is_going(live));
    if (weighing->stale && weighing->asked)
        weighing->reason = "RouteGoing";
}

/* The server has refused one object: a route that is there must not go on leading as before, to
 * pods that drain. Even is better than none, and what is not ours is left alone. */
static void retreat(struct ctx *ctx, struct pass *pass, const json_t *binding,
                    struct weighing *weighing)
{
    enum weights_form form = WEIGHTS_EVEN;
    int rc = bring(ctx, pass, binding, form, true, weighing);
    if (rc == -ERR_TAKEN || rc == -ERR_NOT_FOUND) {
        err_clear(ctx);
        form = WEIGHTS_NONE;
        rc = bring(ctx, pass, binding, form, false, weighing);
    }
    if (rc >= 0) {
        note_stale(ctx, pass, form, weighing);
        return;
    }
    err_clear(ctx);
    weighing->stale = weights_route_led(ctx, pass) != NULL;
}

static enum weights_form form_wanted(struct pass *pass, const json_t *binding,
                                     struct weighing *weighing)
{
    if (!json_at(binding, "spec.httpRoute"))
        return WEIGHTS_NONE;
    weighing->asked = true;
    if (pass_serves(pass, KIND_HTTP_ROUTE))
        return weights_form_of(binding, &weighing->reason);
    weighing->reason = "RouteKindMissing";
    pass_requeue(pass, LOOK_FOR_KIND_MS);
    return WEIGHTS_NONE;
}

int weights_apply(struct ctx *ctx, struct pass *pass, const json_t *binding, struct weighing *ret)
{
    enum weights_form form = form_wanted(pass, binding, ret);
    int rc = 0;
    if (form == WEIGHTS_SHARED && !weights_route(ctx, pass))
        rc = bring(ctx, pass, binding, WEIGHTS_EVEN, false, ret);
    if (rc >= 0)
        rc = bring(ctx, pass, binding, form, false, ret);
    if (rc >= 0)
        note_stale(ctx, pass, form, ret);
    if (rc >= 0 || !ret->asked || !ret->plain || err_row(rc)->retry == RETRY_NOW)
        return rc;
    bool refused = refusals_note(ctx, &ret->refusals, rc) == 0;
    ret->stale = weights_route_led(ctx, pass) != NULL;
    if (refused) {
        retreat(ctx, pass, binding, ret);
        pass_requeue(pass, REFUSED_MS);
        return 0;
    }
    ret->refusals = (struct refusals){.rc = rc, .err = ctx->err};
    err_clear(ctx);
    return 0;
}
