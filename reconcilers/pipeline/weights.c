#include "reconcilers/pipeline/scope.h"

#include "server/adapters/crypto.h"
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

/* ---- facts, pure ---- */

static json_t *backend(const char *name, const json_t *binding, int32_t weight)
{
    return json_pack("{s:s, s:I, s:i}", "name", name, "port",
                     (json_int_t)json_int_or(binding, "spec.port", 0), "weight", weight);
}

/* Who is not ready gets nothing: a proxy would count it as a part of all, and fail that. */
static json_t *backends_of(struct ctx *ctx, const json_t *binding, enum weights_form form)
{
    const char *name = json_str_or(binding, "metadata.name", "");
    int64_t milli[WEIGHTED_PODS_MAX];
    int32_t weights[WEIGHTED_PODS_MAX];
    size_t at, count = json_array_size(json_at(binding, "spec.shares"));
    json_t *list = json_array(), *share;
    if (form != WEIGHTS_SHARED || count > WEIGHTED_PODS_MAX) {
        json_array_append_new(list, backend(name, binding, 1));
        return list;
    }
    json_array_foreach(json_at(binding, "spec.shares"), at, share)
        milli[at] = json_int_or(share, "milliDocumentsPerSecond", 0);
    weights_of(milli, count, weights);
    json_array_foreach(json_at(binding, "spec.shares"), at, share) {
        const char *service = weights_service(ctx->arena, name, json_str_or(share, "pod", ""));
        bool ready = json_bool_or(share, "ready", false);
        json_array_append_new(list, backend(service, binding, ready ? weights[at] : 0));
    }
    return list;
}

/* Gateways as the class names them, and the host by which they tell bindings apart; else the
 * binding's own Service, as a mesh has it. */
static json_t *facts_of_route(struct ctx *ctx, const json_t *binding, enum weights_form form)
{
    json_t *facts = binding_facts(ctx, binding);
    json_t *parents = json_incref(json_at(binding, "spec.httpRoute.gateways"));
    const char *name = json_str_or(binding, "metadata.name", "");
    json_t *hosts = NULL;
    if (form == WEIGHTS_NONE) {
        json_decref(parents);
        return facts;
    }
    if (parents)
        hosts = json_pack(
            "[o]", json_sprintf("%s.%s.%s", name, json_str_or(binding, "metadata.namespace", ""),
                                json_str_or(binding, "spec.httpRoute.hostnameSuffix", "invalid")));
    else
        parents = json_pack("[{s:s, s:s, s:s}]", "group", "", "kind", "Service", "name", name);
    json_object_update_new(facts, json_pack("{s:b, s:o, s:o*, s:o}", "routed", true, "parents",
                                            parents, "hostnames", hosts, "backends",
                                            backends_of(ctx, binding, form)));
    return facts;
}

/* The binding as if it were of one pod alone, under the name of the pod's Service. */
static json_t *facts_of_worker(struct ctx *ctx, const json_t *binding, json_t *share)
{
    const char *pod = json_str_or(share, "pod", "");
    const char *name = weights_service(ctx->arena, json_str_or(binding, "metadata.name", ""), pod);
    json_t *spec = json_copy(json_object_get(binding, "spec"));
    json_object_update_new(spec, json_pack("{s:[O]}", "shares", share));
    json_t *one = arena_json(
        ctx->arena, json_pack("{s:{s:s, s:s}, s:o}", "metadata", "name", name, "namespace",
                              json_str_or(binding, "metadata.namespace", ""), "spec", spec));
    json_t *facts = binding_facts(ctx, one);
    json_object_update_new(
        facts, json_pack("{s:s, s:s*}", "worker", pod, "left", json_str(share, "left")));
    return facts;
}

/* ---- the plan, pure ---- */

static void take(struct bundle_plan *into, const struct bundle_plan *from, bool route)
{
    for (int at = 0; at < from->count; at++)
        if ((from->objects[at].kind == KIND_HTTP_ROUTE) == route)
            into->objects[into->count++] = from->objects[at];
}

static int add_workers(struct ctx *ctx, const struct bundle *bundle, const json_t *binding,
                       const json_t *shares, struct bundle_plan *plan)
{
    size_t at;
    json_t *share;
    json_array_foreach(shares, at, share) {
        struct bundle_plan one;
        TRY(bundle_render(ctx, bundle, facts_of_worker(ctx, binding, share), &one));
        take(plan, &one, false);
    }
    return 0;
}

int weights_render(struct ctx *ctx, const struct bundle *bundle, const json_t *binding,
                   const json_t *leaving, enum weights_form form, struct bundle_plan *ret)
{
    const json_t *shares = json_at(binding, "spec.shares");
    size_t pods = json_array_size(shares), gone = json_array_size(leaving);
    struct bundle_plan own;
    TRY(bundle_render(ctx, bundle, facts_of_route(ctx, binding, form), &own));
    *ret = (struct bundle_plan){0};
    ret->objects =
        arena_alloc(ctx->arena, (size_t)own.count * (pods + gone + 1) * sizeof *ret->objects);
    take(ret, &own, false);
    /* A route that leads to none of the pods comes before their Services: whose its name is shows
     * before these are made. */
    if (form == WEIGHTS_EVEN)
        take(ret, &own, true);
    if (form != WEIGHTS_NONE && pods <= WEIGHTED_PODS_MAX)
        TRY(add_workers(ctx, bundle, binding, shares, ret));
    if (form == WEIGHTS_SHARED)
        take(ret, &own, true);
    return form == WEIGHTS_NONE ? 0 : add_workers(ctx, bundle, binding, leaving, ret);
}

/* ---- in a pass ---- */

static bool is_ours(const struct pass *pass, const json_t *live)
{
    return live && !kube_is_going(live) &&
           str_equal(json_str(kube_controller(live), "uid"), json_str(pass->root, "metadata.uid"));
}

static const json_t *route_of_ours(struct ctx *ctx, struct pass *pass)
{
    const json_t *live = pass_get(ctx, pass, KIND_HTTP_ROUTE, pass->key.namespace, pass->key.name);
    return is_ours(pass, live) ? live : NULL;
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

static int bring(struct ctx *ctx, struct pass *pass, const json_t *binding, enum weights_form form,
                 bool made_only, struct weighing *weighing)
{
    const struct pipeline_operator *home = pass->home;
    struct bundle_plan plan;
    const json_t *leaving = form == WEIGHTS_NONE ? NULL : weights_leaving(ctx, pass, binding);
    TRY(weights_render(ctx, home->bundle, binding, leaving, form, &plan));
    if (made_only)
        leave_out_unmade(ctx, pass, &plan);
    int rc = bundle_apply(ctx, pass, &plan, &weighing->stack);
    weighing->plain = is_plain_current(ctx, pass, &plan);
    return rc;
}

/* The server has refused one object: a route that is there must not go on leading as before, to
 * pods that drain. Even is better than none, and what is not ours is left alone. */
static void retreat(struct ctx *ctx, struct pass *pass, const json_t *binding,
                    struct weighing *weighing)
{
    int rc = bring(ctx, pass, binding, WEIGHTS_EVEN, true, weighing);
    if (rc == -ERR_TAKEN || rc == -ERR_NOT_FOUND) {
        err_clear(ctx);
        rc = bring(ctx, pass, binding, WEIGHTS_NONE, false, weighing);
    }
    if (rc < 0)
        err_clear(ctx);
    weighing->stale = rc < 0 && route_of_ours(ctx, pass);
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
    if (form == WEIGHTS_SHARED && !route_of_ours(ctx, pass))
        rc = bring(ctx, pass, binding, WEIGHTS_EVEN, false, ret);
    if (rc >= 0)
        rc = bring(ctx, pass, binding, form, false, ret);
    if (rc >= 0 || !ret->asked || !ret->plain || err_row(rc)->retry == RETRY_NOW)
        return rc;
    bool refused = refusals_note(ctx, &ret->refusals, rc) == 0;
    ret->stale = route_of_ours(ctx, pass) != NULL;
    if (refused) {
        retreat(ctx, pass, binding, ret);
        pass_requeue(pass, REFUSED_MS);
        return 0;
    }
    ret->refusals = (struct refusals){.rc = rc, .err = ctx->err};
    err_clear(ctx);
    return 0;
}
