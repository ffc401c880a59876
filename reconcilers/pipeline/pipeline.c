/*
 * The operator of pipelines, and its smallest reconciler. A Pipeline is placed by the ledger of its
 * namespace (placer.c, read first), and routed by its bindings (binding.c).
 */
#include "reconcilers/pipeline/scope.h"

#include "reconcilers/engine/bundle.h"
#include "reconcilers/engine/conditions.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdlib.h>

enum { NEWS_MS = 30000 };

static bool holds(void *engine, int shard)
{
    return engine_holds(engine, shard);
}

int pipeline_operator_new(struct ctx *ctx, struct engine *engine, struct pipeline_operator **ret)
{
    struct pipeline_operator *home = calloc(1, sizeof *home);
    if (!home)
        abort();
    int rc = bundle_load(ctx, "reconcilers/pipeline/manifests", NULL, &home->bundle);
    if (rc < 0) {
        free(home);
        return rc;
    }
    home->requests = requests_new(holds, engine);
    *ret = home;
    return 0;
}

void pipeline_operator_free(struct pipeline_operator *home)
{
    if (!home)
        return;
    requests_free(home->requests);
    bundle_free(home->bundle);
    free(home);
}

/* Who acquires a shard looks at roots that are there: a ledger that is not cannot be among them. */
static int see_to_ledger(struct ctx *ctx, struct pass *pass)
{
    return kube_is_going(pass->root) ? 0 : placer_ledger_make(ctx, pass);
}

/* Without numbers and times, which change with each other pipeline of the namespace: an event of
 * the same words is not sent again. */
static const char *event_note(struct ctx *ctx, const json_t *status, const json_t *ready)
{
    const char *stage = json_str(status, "waiting.stage");
    if (stage)
        return arena_printf(ctx->arena, "stage '%s': status.waiting tells what it lacks", stage);
    if (str_has_word("BindingsPending RateRefused DeadEnd", json_str_or(ready, "reason", "")))
        return "the condition Ready tells more";
    return json_str_or(ready, "message", "");
}

/* Routes are being made: in a moment they are, and that is no news; if not, it is. */
static bool is_passing(struct pass *pass, const json_t *status, const char *reason)
{
    int64_t age_ms = condition_age_ms(status, "Ready");
    if (!str_equal(reason, "BindingsPending") || age_ms < 0 || age_ms >= NEWS_MS)
        return false;
    pass_requeue(pass, NEWS_MS - age_ms);
    return true;
}

/* What the placement said last; nothing new is not sent again. */
static int tell_event(struct ctx *ctx, struct pass *pass)
{
    const json_t *status = json_at(pass->root, "status"), *ready = condition_get(status, "Ready");
    const char *reason = json_str_or(ready, "reason", "");
    bool well = str_equal(json_str(ready, "status"), "True");
    if (ready && !is_passing(pass, status, reason))
        pass_event(ctx, pass, well ? "Normal" : "Warning", reason, "Place", "%s",
                   event_note(ctx, status, ready));
    return 0;
}

static bool wakes_nobody(const json_t *object, struct key *ret)
{
    (void)object;
    (void)ret;
    return false;
}

static const struct phase phases[] = {
    {"ledger", see_to_ledger, 0, "its namespace has a ledger, by which it is placed"},
    {"event", tell_event, 0, "people see in `kubectl describe` what became of it"},
    {0},
};

static const struct reconciler pipeline_reconciler = {
    .name = "pipeline",
    .kind = KIND_PIPELINE,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = 1,
    .sources = {{.kind = KIND_PLACEMENT_LEDGER, .map = wakes_nobody}},
    .source_count = 1,
    .phases = phases,
    .resync_ms = INT64_C(10) * 3600 * 1000,
};

/* Nothing may be placed yet, and yet zero pods are to be asked for. */
static int see_to_ledger_of_class(struct ctx *ctx, struct pass *pass)
{
    return json_at(pass->root, "spec.scaleTargetRef") ? see_to_ledger(ctx, pass) : 0;
}

static const struct phase class_phases[] = {
    {"ledger", see_to_ledger_of_class, 0, "a class that is scaled is so by a ledger"},
    {0},
};

static const struct reconciler class_reconciler = {
    .name = "workerclass",
    .kind = KIND_WORKER_CLASS,
    .shard = SHARD_BY_ROOT,
    .scope_bytes = 1,
    .sources = {{.kind = KIND_PLACEMENT_LEDGER, .map = wakes_nobody}},
    .source_count = 1,
    .phases = class_phases,
    .resync_ms = INT64_C(10) * 3600 * 1000,
};

const struct reconciler *const pipeline_reconcilers[PIPELINE_RECONCILERS] = {
    &pipeline_reconciler, &class_reconciler,     &placement_reconciler,
    &binding_reconciler,  &workerset_reconciler,
};
