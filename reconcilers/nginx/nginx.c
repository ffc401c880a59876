/*
 * How an operator is written here, top to bottom:
 *   1. manifests/ say what is wanted, as real YAML with ${facts} in it;
 *   2. facts are computed from the root object (pure);
 *   3. phases gather, act and observe; a pass runs them in order, whatever woke it;
 *   4. the reconciler, at the end, names the kind, what wakes it, and the phases.
 * The engine does the rest: caches, queue, back-off, ownership, drift repair, prune, status write,
 * metrics. Deleting an OvhNginx needs no code: its children carry an ownerReference.
 */
#include "reconcilers/nginx/nginx.h"

#include "reconcilers/engine/bundle.h"
#include "reconcilers/engine/conditions.h"
#include "server/base/json.h"

#include <stdlib.h>

/* What the process keeps. Never the state of an object: each pass reads that anew. */
struct nginx_operator {
    struct bundle *bundle;
};

/* What one pass keeps, from phase to phase. */
struct nginx_scope {
    struct bundle_result stack; /* set by apply_stack */
};

int nginx_operator_new(struct ctx *ctx, struct nginx_operator **ret)
{
    struct nginx_operator *nginx = calloc(1, sizeof *nginx);
    if (!nginx)
        abort();
    int rc = bundle_load(ctx, "reconcilers/nginx/manifests", NULL, &nginx->bundle);
    if (rc < 0) {
        free(nginx);
        return rc;
    }
    *ret = nginx;
    return 0;
}

void nginx_operator_free(struct nginx_operator *nginx)
{
    if (!nginx)
        return;
    bundle_free(nginx->bundle);
    free(nginx);
}

json_t *nginx_facts(struct ctx *ctx, const json_t *root)
{
    json_t *facts = json_pack("{s:s, s:O}", "name", json_str_or(root, "metadata.name", ""), "spec",
                              json_at(root, "spec"));
    return arena_json(ctx->arena, facts);
}

/* ---- phases ---- */

static bool is_being_deleted(const struct pass *pass)
{
    return json_at(pass->root, "metadata.deletionTimestamp") != NULL;
}

static int apply_stack(struct ctx *ctx, struct pass *pass)
{
    const struct nginx_operator *nginx = pass->home;
    struct nginx_scope *scope = pass->scope;
    struct bundle_plan plan;
    if (is_being_deleted(pass))
        return 0; /* with --cascade=foreground it lingers: what goes must not be made again */
    TRY(bundle_render(ctx, nginx->bundle, nginx_facts(ctx, pass->root), &plan));
    TRY(bundle_apply(ctx, pass, &plan, &scope->stack));
    if (scope->stack.applied + scope->stack.pruned > 0)
        pass_event(ctx, pass, "Normal", "Applied", "Apply", "%d objects applied, %d removed",
                   scope->stack.applied, scope->stack.pruned);
    return 0;
}

static void set_ready(struct ctx *ctx, struct pass *pass, const char *status, const char *reason,
                      const char *message)
{
    condition_set(ctx, pass->status, "Ready", status, reason,
                  json_int_or(pass->root, "metadata.generation", 0), "%s", message);
}

/* Runs also after a failure: people look at the status, not into our log. */
static int observe(struct ctx *ctx, struct pass *pass)
{
    const struct nginx_scope *scope = pass->scope;
    const char *name = pass->key.name;
    const json_t *deployment = pass_get(ctx, pass, KIND_DEPLOYMENT, pass->key.namespace, name);
    if (is_being_deleted(pass))
        return 0;
    json_put(pass->status, "observedGeneration",
             json_integer(json_int_or(pass->root, "metadata.generation", 0)));
    json_put(pass->status, "replicas", json_integer(json_int_or(deployment, "status.replicas", 0)));
    json_put(pass->status, "readyReplicas",
             json_integer(json_int_or(deployment, "status.readyReplicas", 0)));
    json_put(pass->status, "selector", /* the scale subresource tells it to autoscalers */
             json_sprintf("app.kubernetes.io/name=ovhnginx,app.kubernetes.io/instance=%s", name));
    if (pass->failure)
        set_ready(ctx, pass, "False", pass->failure->reason, pass->failure->message);
    else if (scope->stack.failed)
        set_ready(ctx, pass, "False", "Failed", scope->stack.message);
    else if (!scope->stack.ready)
        set_ready(ctx, pass, "False", "Progressing", scope->stack.message);
    else
        set_ready(ctx, pass, "True", "Current", "nginx serves with all its replicas");
    return 0;
}

/* ---- the reconciler ---- */

static const struct phase phases[] = {
    {"apply-stack", apply_stack, 0, "bring Deployment and Service to what the spec wants"},
    {"observe", observe, PHASE_ALWAYS, "say in the status what came of it"},
    {0},
};

const struct reconciler nginx_reconciler = {
    .name = "ovhnginx",
    .kind = KIND_OVH_NGINX,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = sizeof(struct nginx_scope),
    .sources =
        {
            {.kind = KIND_DEPLOYMENT, .label_selector = LABEL_MANAGED_BY "=flotilla"},
            {.kind = KIND_SERVICE, .label_selector = LABEL_MANAGED_BY "=flotilla"},
        },
    .source_count = 2,
    .phases = phases,
    .resync_ms = INT64_C(10) * 3600 * 1000,
};
