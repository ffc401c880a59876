/*
 * The reconciler `workerset`: pods of one WorkerClass whose names stay, made and removed without
 * any owner between. It looks, plans (workerset_plan.c, pure), and does one step for each number.
 * Who is to go is marked; the placement, which alone knows who carries what, answers on the pod
 * (release.c).
 */
#include "reconcilers/pipeline/routes.h"
#include "reconcilers/pipeline/scope.h"
#include "reconcilers/pipeline/workerset_plan.h"

#include "reconcilers/engine/conditions.h"
#include "server/adapters/crypto.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <inttypes.h>
#include <string.h>

/* FAILED_REST_MS: so old is a pod that failed, from its creation, before it is made anew. */
enum { WRITES_MAX = 100, AGAIN_MS = 500, FAILED_REST_MS = 10000, HASH_LENGTH = 16 };

struct set_scope {
    struct set_plan plan;
    const char *hash; /* of the template */
    const char *taken;
    struct routes routes; /* read when the first pod is to be removed */
    bool routes_known;
    uint32_t tries, writes; /* what was asked of the server, and what it did */
};

/* ---- looking ---- */

static bool number_of(const struct pass *pass, const char *pod, uint32_t *ret)
{
    size_t length = strlen(pass->key.name);
    return str_starts(pod, pass->key.name) && pod[length] == '-' &&
           !strchr(pod + length + 1, '-') && world_ordinal(pod, ret);
}

/* How long one that failed still rests. A clock that jumped back keeps none for longer. */
static int64_t rest_ms(const json_t *object)
{
    int64_t made_ms;
    if (clock_parse_rfc3339(json_str_or(object, "metadata.creationTimestamp", ""), &made_ms) < 0)
        return 0;
    int64_t age_ms = clock_wall_ms() - made_ms;
    return age_ms < 0 || age_ms >= FAILED_REST_MS ? 0 : FAILED_REST_MS - age_ms;
}

static struct set_pod pod_of(const struct set_scope *scope, const json_t *object)
{
    return (struct set_pod){
        .object = object,
        .going = kube_is_going(object),
        .leaving = kube_annotation(object, ANNOTATION_LEAVING),
        .released = kube_annotation(object, ANNOTATION_RELEASED),
        .ready = condition_is(json_object_get(object, "status"), "Ready", "True"),
        .failed = str_has_word("Succeeded Failed", json_str_or(object, "status.phase", "")),
        .rests = rest_ms(object) > 0,
        .current = str_equal(kube_annotation(object, ANNOTATION_TEMPLATE), scope->hash)};
}

static void note_bound(struct ctx *ctx, struct pass *pass, struct set_plan *plan)
{
    size_t at, index;
    uint32_t number;
    json_t *binding, *share;
    json_t *bindings = pass_list(ctx, pass, KIND_PIPELINE_BINDING, pass->key.namespace, NULL, NULL);
    json_array_foreach(bindings, at, binding)
        json_array_foreach(json_at(binding, "spec.shares"), index, share)
            if (number_of(pass, json_str_or(share, "pod", ""), &number))
                plan->pods[number].bound = true;
}

/* Those that are its own: what others made is never taken over. */
static int look(struct ctx *ctx, struct pass *pass)
{
    struct set_scope *scope = pass->scope;
    const char *uid = json_str(pass->root, "metadata.uid");
    size_t at;
    uint32_t number;
    json_t *pod;
    scope->hash = crypto_base32_of(
        ctx->arena, json_text(ctx->arena, json_at(pass->root, "spec.template")), HASH_LENGTH);
    json_t *pods =
        pass_list(ctx, pass, KIND_POD, pass->key.namespace, LABEL_WORKER_SET, pass->key.name);
    json_array_foreach(pods, at, pod)
        if (kube_is_controlled_by(pod, uid) &&
            number_of(pass, json_str_or(pod, "metadata.name", ""), &number))
            scope->plan.pods[number] = pod_of(scope, pod);
    note_bound(ctx, pass, &scope->plan);
    set_plan_make(json_at(pass->root, "spec"), &scope->plan);
    return 0;
}

/* ---- making ---- */

/* A template has no say in what is to become of its pods. */
static json_t *strings_with(const json_t *strings, const char *const pairs[][2], size_t count)
{
    json_t *made = strings ? json_deep_copy(strings) : json_object();
    json_object_del(made, ANNOTATION_LEAVING);
    json_object_del(made, ANNOTATION_RELEASED);
    for (size_t at = 0; at < count; at++)
        json_object_set_new(made, pairs[at][0], json_string(pairs[at][1]));
    return made;
}

static json_t *pod_made(struct ctx *ctx, const struct pass *pass, uint32_t number)
{
    const struct set_scope *scope = pass->scope;
    const struct kube_kind_row *kind = kube_kind_row(KIND_WORKER_SET);
    const json_t *template = json_at(pass->root, "spec.template");
    const char *name = arena_printf(ctx->arena, "%s-%" PRIu32, pass->key.name, number);
    const char *const labels[][2] = {
        {LABEL_WORKER_CLASS, json_str_or(pass->root, "spec.class", "")},
        {LABEL_WORKER_SET, pass->key.name}};
    const char *const annotations[][2] = {{ANNOTATION_TEMPLATE, scope->hash}};
    json_t *metadata =
        json_pack("{s:s, s:s, s:o, s:o, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]}", "name", name,
                  "namespace", pass->key.namespace, "labels",
                  strings_with(json_at(template, "metadata.labels"), labels, 2), "annotations",
                  strings_with(json_at(template, "metadata.annotations"), annotations, 1),
                  "ownerReferences", "apiVersion", kind->api_version, "kind", kind->kind, "name",
                  pass->key.name, "uid", json_str_or(pass->root, "metadata.uid", ""), "controller",
                  true, "blockOwnerDeletion", true);
    json_t *spec = json_deep_copy(json_at(template, "spec"));
    if (!json_object_get(spec, "hostname"))
        json_object_set_new(spec, "hostname", json_string(name));
    return arena_json(ctx->arena, json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind",
                                            "Pod", "metadata", metadata, "spec", spec));
}

/* Of that name there is one already: ours, of which the cache has not heard, or somebody else's. */
static int look_whose(struct ctx *ctx, struct pass *pass, const char *name)
{
    struct set_scope *scope = pass->scope;
    json_t *live;
    err_clear(ctx);
    TRY(pass_get_live(ctx, pass, CALL_KUBE_SET_POD_READ, KIND_POD, pass->key.namespace, name,
                      &live));
    if (live && !kube_is_controlled_by(live, json_str(pass->root, "metadata.uid")))
        scope->taken = arena_strdup(ctx->arena, name);
    pass_requeue(pass, AGAIN_MS);
    return 0;
}

static int make(struct ctx *ctx, struct pass *pass, uint32_t number)
{
    struct set_scope *scope = pass->scope;
    json_t *pod = pod_made(ctx, pass, number);
    scope->tries++;
    int rc = pass_create(ctx, pass, CALL_KUBE_SET_POD_CREATE, pod, NULL);
    scope->writes += rc == 0;
    return rc == -ERR_ALREADY_EXISTS ? look_whose(ctx, pass, json_str_or(pod, "metadata.name", ""))
                                     : rc;
}

/* ---- letting go ---- */

static int mark(struct ctx *ctx, struct pass *pass, const json_t *pod, const char *why)
{
    struct set_scope *scope = pass->scope;
    json_t *patch = arena_json(
        ctx->arena, json_pack("{s:{s:{s:s}}}", "metadata", "annotations", ANNOTATION_LEAVING, why));
    scope->tries++;
    TRY(pass_patch(ctx, pass, CALL_KUBE_SET_POD_MARK, pod, NULL, patch, NULL));
    scope->writes++;
    return 0;
}

/* What was released leads nowhere. One that failed serves nobody, but its endpoint may say so later
 * than the pod does. */
static int remove_pod(struct ctx *ctx, struct pass *pass, const struct set_pod *pod)
{
    struct set_scope *scope = pass->scope;
    if (!scope->routes_known)
        TRY(routes_read(ctx, pass, &scope->routes));
    scope->routes_known = true;
    if (routes_lead_to(&scope->routes, json_str_or(pod->object, "metadata.name", ""), true)) {
        pass_requeue(pass, AGAIN_MS);
        return 0;
    }
    scope->tries++;
    TRY(pass_delete(ctx, pass, CALL_KUBE_SET_POD_DELETE, pod->object));
    scope->writes++;
    return 0;
}

/* Where nothing is placed nobody answers. A ledger that comes behind this look sees the marks. */
static int release_all(struct ctx *ctx, struct pass *pass)
{
    struct set_scope *scope = pass->scope;
    bool asks = false;
    json_t *ledger;
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++)
        asks |= scope->plan.pods[number].leaving && !scope->plan.pods[number].released;
    if (!asks || pass_get(ctx, pass, KIND_PLACEMENT_LEDGER, pass->key.namespace, LEDGER_NAME))
        return 0;
    TRY(pass_get_live(ctx, pass, CALL_KUBE_SET_LEDGER, KIND_PLACEMENT_LEDGER, pass->key.namespace,
                      LEDGER_NAME, &ledger));
    for (uint32_t number = 0; !ledger && number < WORLD_PODS_MAX; number++) {
        const struct set_pod *pod = &scope->plan.pods[number];
        if (pod->leaving && !pod->going)
            scope->plan.steps[number] = SET_REMOVE;
    }
    return 0;
}

static int step(struct ctx *ctx, struct pass *pass, uint32_t number)
{
    const struct set_scope *scope = pass->scope;
    const struct set_pod *pod = &scope->plan.pods[number];
    switch (scope->plan.steps[number]) {
    case SET_MAKE:
        return make(ctx, pass, number);
    case SET_MARK_SURPLUS:
        return mark(ctx, pass, pod->object, "Surplus");
    case SET_MARK_TEMPLATE:
        return mark(ctx, pass, pod->object, "Template");
    case SET_REMOVE:
        return remove_pod(ctx, pass, pod);
    case SET_NOTHING:
        break;
    }
    return 0;
}

/* Who rests is looked at when it has rested. */
static void wait_for_rest(struct pass *pass)
{
    const struct set_scope *scope = pass->scope;
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++) {
        const struct set_pod *pod = &scope->plan.pods[number];
        if (pod->failed && pod->rests && !pod->going && scope->plan.steps[number] == SET_NOTHING)
            pass_requeue(pass, rest_ms(pod->object) + 1);
    }
}

static int act(struct ctx *ctx, struct pass *pass)
{
    struct set_scope *scope = pass->scope;
    struct refusals refusals = {0};
    if (kube_is_going(pass->root))
        return 0; /* its pods go with it */
    wait_for_rest(pass);
    TRY(release_all(ctx, pass));
    for (uint32_t number = 0; number < WORLD_PODS_MAX; number++) {
        if (scope->plan.steps[number] == SET_NOTHING)
            continue;
        if (scope->tries == WRITES_MAX) {
            pass_requeue(pass, scope->writes ? 1 : AGAIN_MS);
            break;
        }
        TRY(refusals_note(ctx, &refusals, step(ctx, pass, number)));
    }
    return refusals_end(ctx, &refusals);
}

/* ---- telling ---- */

static void put_counts(struct pass *pass, const struct set_plan *plan)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {{"observedGeneration", json_int_or(pass->root, "metadata.generation", 0)},
                {"replicas", plan->there},
                {"readyReplicas", plan->ready},
                {"updatedReplicas", plan->updated},
                {"leavingReplicas", plan->leaving}};
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++)
        json_put(pass->status, rows[at].name, json_integer(rows[at].value));
    json_put(pass->status, "selector", json_sprintf("%s=%s", LABEL_WORKER_SET, pass->key.name));
}

static void tell(struct ctx *ctx, struct pass *pass, const char *status, const char *reason,
                 const char *message)
{
    const json_t *was = condition_get(pass->status, "Ready");
    if (!str_equal(json_str(was, "reason"), reason)) {
        log_info(ctx, "workerset %s: %s: %s", pass->key.name, reason, message);
        pass_event(ctx, pass, str_equal(status, "True") ? "Normal" : "Warning", reason, "Scale",
                   "%s", message);
    }
    condition_set(ctx, pass->status, "Ready", status, reason,
                  json_int_or(pass->root, "metadata.generation", 0), "%s", message);
}

static int observe(struct ctx *ctx, struct pass *pass)
{
    const struct set_scope *scope = pass->scope;
    const struct set_plan *plan = &scope->plan;
    if (kube_is_going(pass->root))
        return 0;
    put_counts(pass, plan);
    if (pass->failure)
        tell(ctx, pass, "False", pass->failure->reason, pass->failure->message);
    else if (scope->taken)
        tell(ctx, pass, "False", "ObjectTaken",
             arena_printf(ctx->arena, "pod '%s' is there and is not its own; it is left alone",
                          scope->taken));
    else if (plan->leaving)
        tell(ctx, pass, "False", "PodsLeave",
             "pods are to go; each is deleted when nothing leads to it any more: what it carries "
             "needs room on others of its class");
    else if (plan->failed)
        tell(ctx, pass, "False", "PodsFail",
             "pods failed; each is made anew when it is 10 s old: the container's log tells why");
    else if (plan->there != plan->wanted || plan->ready != plan->wanted ||
             plan->updated != plan->wanted)
        tell(ctx, pass, "False", "PodsStart", "pods are being made, or are not ready yet");
    else
        tell(ctx, pass, "True", "AllReady", "all its pods are there, of this template, and ready");
    return 0;
}

/* ---- the reconciler ---- */

static const struct phase phases[] = {
    {"look", look, 0, "its pods, and what bindings give them; then the plan"},
    {"act", act, 0, "one step for each number: make, mark, remove"},
    {"observe", observe, PHASE_ALWAYS, "say in the status what there is"},
    {0},
};

static bool wakes_nobody(const json_t *object, struct key *ret)
{
    (void)object;
    (void)ret;
    return false;
}

const struct reconciler workerset_reconciler = {
    .name = "workerset",
    .kind = KIND_WORKER_SET,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = sizeof(struct set_scope),
    .sources =
        {
            {.kind = KIND_POD, .label_selector = LABEL_WORKER_CLASS},
            {.kind = KIND_PIPELINE_BINDING, .map = wakes_nobody},
            {.kind = KIND_PLACEMENT_LEDGER, .map = wakes_nobody},
        },
    .source_count = 3,
    .phases = phases,
    .resync_ms = 600000,
};
