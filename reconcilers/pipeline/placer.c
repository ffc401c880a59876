/*
 * The reconciler `placement`: all pipelines of a namespace at once. Its root is the namespace's
 * PlacementLedger, so that the shard of a decision is that of the namespace. A pass: look, decide,
 * commit by one fenced write, then bring PipelineBindings and statuses to what was committed. Who
 * dies behind the commit is followed by a pass that finds the same ledger and does the rest; who
 * was too late is refused by the ledger's resourceVersion and decides anew.
 */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AUTOSCALER_MS = 1000, RESYNC_MS = 600000, SECOND_MS = 1000, FAILED_AGAIN_MS = 10000 };

/* ---- the ledger ---- */

int placer_ledger_make(struct ctx *ctx, struct pass *pass)
{
    const struct kube_kind_row *kind = kube_kind_row(KIND_PLACEMENT_LEDGER);
    if (pass_get(ctx, pass, KIND_PLACEMENT_LEDGER, pass->key.namespace, LEDGER_NAME))
        return 0;
    json_t *ledger =
        arena_json(ctx->arena, json_pack("{s:s, s:s, s:{s:s, s:s}, s:{}}", "apiVersion",
                                         kind->api_version, "kind", kind->kind, "metadata", "name",
                                         LEDGER_NAME, "namespace", pass->key.namespace, "spec"));
    int rc = pass_create(ctx, pass, CALL_KUBE_PIPELINE_LEDGER, ledger, NULL);
    /* Nothing of it is anybody's input: a server that does not take it now may take it later. */
    if (rc == -ERR_INVALID)
        return err_set(ctx, ERR_REFUSED, NULL, "an empty ledger: %s",
                       arena_printf(ctx->arena, "%s", ctx->err.message));
    if (rc != -ERR_ALREADY_EXISTS)
        return rc;
    err_clear(ctx);
    return 0;
}

/* ---- many writes ---- */

/* The server has spoken, of this object alone. */
static bool is_of_one(int rc)
{
    static const enum err_code codes[] = {ERR_INVALID,        ERR_FORBIDDEN, ERR_NOT_FOUND,
                                          ERR_CONFLICT,       ERR_TOO_LARGE, ERR_TAKEN,
                                          ERR_ALREADY_EXISTS, ERR_DENIED,    ERR_REFUSED};
    for (size_t at = 0; at < ARRAY_SIZE(codes); at++)
        if (rc == -(int)codes[at])
            return true;
    return false;
}

int refusals_note(struct ctx *ctx, struct refusals *refusals, int rc)
{
    if (rc >= 0 || !is_of_one(rc))
        return rc;
    if (refusals->rc == 0)
        *refusals = (struct refusals){.rc = rc, .err = ctx->err};
    err_clear(ctx);
    return 0;
}

int refusals_end(struct ctx *ctx, const struct refusals *refusals)
{
    if (refusals->rc < 0)
        ctx->err = refusals->err;
    return refusals->rc;
}

/* ---- looking ---- */

static bool any_wish(const json_t *pipelines)
{
    size_t at;
    json_t *pipeline;
    json_array_foreach(pipelines, at, pipeline)
        if (!kube_is_going(pipeline))
            return true;
    return false;
}

/* Zero pods are to be asked for, too. */
static bool any_scaled(const json_t *classes)
{
    size_t at;
    json_t *class;
    json_array_foreach(classes, at, class)
        if (json_at(class, "spec.scaleTargetRef") && !kube_is_going(class))
            return true;
    return false;
}

/* Somebody removed it, or the first pipelines came: all are placed anew. */
static int begin(struct ctx *ctx, struct pass *pass)
{
    const struct pipeline_operator *home = pass->home;
    if (!pass->root)
        requests_drop(home->requests, pass->key.namespace);
    const char *namespace = pass->key.namespace;
    if (pass->root || !(any_wish(pass_list(ctx, pass, KIND_PIPELINE, namespace, NULL, NULL)) ||
                        any_scaled(pass_list(ctx, pass, KIND_WORKER_CLASS, namespace, NULL, NULL))))
        return 0;
    return placer_ledger_make(ctx, pass);
}

int placer_pipeline_live(struct ctx *ctx, struct pass *pass, const char *name, const char *uid,
                         json_t **ret)
{
    *ret = NULL;
    if (pass_heard_end(pass, KIND_PIPELINE, uid))
        return 0;
    TRY(pass_get_live(ctx, pass, CALL_KUBE_OBJECT_READ, KIND_PIPELINE, pass->key.namespace, name,
                      ret));
    if (!str_equal(json_str(*ret, "metadata.uid"), uid))
        *ret = NULL;
    return 0;
}

static int by_uid(const void *uid, const void *item)
{
    return strcmp(uid, *(const char *const *)item);
}

static int uid_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The fence is around the ledger, not around what is read beside it: one that another owner has let
 * in may be missing in our cache, and who is taken for gone loses its place. */
static int add_unseen(struct ctx *ctx, struct pass *pass, json_t *pipelines)
{
    size_t at, count = json_array_size(pipelines);
    json_t *item, *live;
    const char **uids = arena_alloc(ctx->arena, (count + 1) * sizeof *uids);
    json_array_foreach(pipelines, at, item)
        uids[at] = json_str_or(item, "metadata.uid", "");
    qsort(uids, count, sizeof *uids, uid_order);
    json_array_foreach(json_at(pass->root, "spec.pipelines"), at, item) {
        const char *uid = json_str_or(item, "uid", "");
        if (bsearch(uid, uids, count, sizeof *uids, by_uid))
            continue;
        TRY(placer_pipeline_live(ctx, pass, json_str_or(item, "name", ""), uid, &live));
        if (live)
            json_array_append(pipelines, live);
    }
    return 0;
}

int placer_verify(struct ctx *ctx, struct pass *pass)
{
    TRY(scale_verify(ctx, pass));
    return misled_hold(ctx, pass);
}

static int gather(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    const char *namespace = pass->key.namespace;
    json_t *pipelines = pass_list(ctx, pass, KIND_PIPELINE, namespace, NULL, NULL);
    TRY(add_unseen(ctx, pass, pipelines));
    scope->scene = (struct scene){
        .classes = pass_list(ctx, pass, KIND_WORKER_CLASS, namespace, NULL, NULL),
        .pods = pass_list(ctx, pass, KIND_POD, namespace, NULL, NULL),
        .pipelines = pipelines,
        .bindings = pass_list(ctx, pass, KIND_PIPELINE_BINDING, namespace, NULL, NULL),
        .stateful_sets = pass_list(ctx, pass, KIND_STATEFUL_SET, namespace, NULL, NULL),
        .worker_sets = pass_list(ctx, pass, KIND_WORKER_SET, namespace, NULL, NULL),
        .autoscalers = pass_list(ctx, pass, KIND_AUTOSCALER, namespace, NULL, NULL),
        .ledger = json_at(pass->root, "spec"),
        .now_s = clock_wall_ms() / 1000};
    scene_look(ctx, scope);
    return placer_verify(ctx, pass);
}

/* ---- deciding ---- */

static int decide_all(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    TRY(scene_decide(ctx, scope));
    if (scope->refused) { /* without it all pods are new */
        TRY(placer_verify(ctx, pass));
        TRY(scene_decide(ctx, scope));
    }
    TRY(lost_ask(ctx, pass));
    if (scope->decision.more)
        pass_requeue(pass, PLACER_PACE_MS);
    return 0;
}

/* Stays until the ledger is removed: what was written there once may be written again. */
static void tell_refused(struct ctx *ctx, struct pass *pass, const char *why)
{
    static const char reason[] = "LedgerRefused";
    const char *message =
        arena_printf(ctx->arena,
                     "it said what cannot be (%s), and all pipelines of the namespace were placed "
                     "anew; only the operator may write it: see who else can. Deleting it removes "
                     "this message, and places all anew",
                     why);
    condition_set(ctx, pass->status, "Believed", "False", reason, 0, "%s", message);
    pass_event(ctx, pass, "Warning", reason, "Decide", "%s", message);
    log_warn(ctx, "%s: %s", reason, message);
    metric_add(METRIC_PIPELINE_REASONS, 1, reason);
}

static int commit(struct ctx *ctx, struct pass *pass)
{
    struct placer_scope *scope = pass->scope;
    scope->committed = !scope->decision.changed;
    if (scope->committed)
        return 0;
    json_t *patch = arena_json(ctx->arena, json_pack("{s:O}", "spec", scope->decision.ledger));
    TRY(pass_patch(ctx, pass, CALL_KUBE_PIPELINE_COMMIT, pass->root, NULL, patch, NULL));
    scope->committed = true;
    metric_add(METRIC_PIPELINE_DECISIONS, 1);
    if (scope->refused)
        tell_refused(ctx, pass, scope->refused);
    return 0;
}

/* Pods go all the same, and their addresses are given to others. */
static int follow_pods(struct ctx *ctx, struct pass *pass)
{
    const struct placer_scope *scope = pass->scope;
    return scope->committed ? 0 : bindings_follow_pods(ctx, pass);
}

/* ---- telling ---- */

/* When its time has come, and not as long after as the pass took, or as this second is old. A time
 * that came while the pass failed hurries nobody past the back-off; as failures that wait for a
 * change have none, it counts a while later. */
static void look_again(struct pass *pass)
{
    const struct placer_scope *scope = pass->scope;
    int64_t ahead_s = scope->world.now_s - scope->scene.now_s; /* of our clock */
    int64_t after_ms = (scope->decision.wake_s - ahead_s) * SECOND_MS - clock_wall_ms();
    if (pass->failure && after_ms <= 0)
        after_ms = FAILED_AGAIN_MS;
    if (scope->decision.wake_s)
        pass_requeue(pass, after_ms);
}

/* Without a generation: a ledger that tells of each decision would be written twice for each. */
static int observe(struct ctx *ctx, struct pass *pass)
{
    if (pass->failure)
        condition_set(ctx, pass->status, "Ready", "False", pass->failure->reason, 0, "%s",
                      pass->failure->message);
    else
        condition_set(ctx, pass->status, "Ready", "True", "Replayed", 0,
                      "bindings and statuses are as the ledger says");
    look_again(pass);
    return 0;
}

/* ---- the reconciler ---- */

static const struct phase phases[] = {
    {"ledger", begin, PHASE_GONE, "a namespace with pipelines has a ledger"},
    {"gather", gather, 0, "classes, pods, pipelines and bindings, from the caches"},
    {"decide", decide_all, 0, "pure: the ledger and the world to the next ledger"},
    {"commit", commit, 0, "one fenced write: from here on it is decided"},
    {"scale", scale_ask, 0, "as many pods as the ledger asks for"},
    {"release", release_pods, 0, "pods to which nothing leads may go"},
    {"bind", bindings_apply, 0, "PipelineBindings as the ledger says"},
    {"follow", follow_pods, PHASE_ALWAYS,
     "without a decision: at least no route to a pod that went"},
    {"tell", tell_all, 0, "statuses of pipelines and classes"},
    {"scaled", scale_end, 0, "what refused to be scaled, once all else is told"},
    {"observe", observe, PHASE_ALWAYS, "whether the ledger could be followed; when to look again"},
    {0},
};

static bool to_ledger(const json_t *object, struct key *ret)
{
    snprintf(ret->namespace, sizeof ret->namespace, "%s",
             json_str_or(object, "metadata.namespace", ""));
    snprintf(ret->name, sizeof ret->name, "%s", LEDGER_NAME);
    return true;
}

/* Of the many StatefulSets of a cell those whose pods are workers. */
static bool workers_to_ledger(const json_t *object, struct key *ret)
{
    const json_t *labels = json_at(object, "spec.template.metadata.labels");
    return json_object_get(labels, LABEL_WORKER_CLASS) && to_ledger(object, ret);
}

/* Of autoscalers those that may scale workers, whatever their status. */
static bool scaler_to_ledger(const json_t *object, struct key *ret)
{
    const char *kind = json_str_or(object, "spec.scaleTargetRef.kind", "");
    return str_has_word("StatefulSet WorkerSet", kind) && to_ledger(object, ret);
}

const struct reconciler placement_reconciler = {
    .name = "placement",
    .kind = KIND_PLACEMENT_LEDGER,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = sizeof(struct placer_scope),
    .sources =
        {
            {.kind = KIND_PIPELINE, .map = to_ledger, .wake_every_ms = PLACER_PACE_MS},
            {.kind = KIND_WORKER_CLASS, .map = to_ledger, .wake_every_ms = PLACER_PACE_MS},
            {.kind = KIND_PIPELINE_BINDING, .map = to_ledger, .wake_every_ms = PLACER_PACE_MS},
            {.kind = KIND_POD,
             .label_selector = LABEL_WORKER_CLASS,
             .map = to_ledger,
             .wake_every_ms = PLACER_PACE_MS},
            {.kind = KIND_STATEFUL_SET, .map = workers_to_ledger, .wake_every_ms = PLACER_PACE_MS},
            {.kind = KIND_WORKER_SET, .map = to_ledger, .wake_every_ms = PLACER_PACE_MS},
            {.kind = KIND_AUTOSCALER,
             .map = scaler_to_ledger,
             .optional = true,
             .wake_every_ms = AUTOSCALER_MS},
        },
    .source_count = 7,
    .phases = phases,
    .root_every_ms = PLACER_PACE_MS,
    .resync_ms = RESYNC_MS,
};
