/*
 * A hop's steps: the phase before the plan takes the next one where it may be taken, the phase
 * behind the stack those that end when the stack stands. What a step asks of the stack is in the
 * table; the objects themselves are the plan's.
 *
 * A step that cannot be taken now holds up nothing else: children and backends are looked after as
 * ever. Only while a dump is being restored the pass ends there, for what follows would find half a
 * database.
 */
#include "reconcilers/registry/facts.h"

#include "server/adapters/crypto.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/net/metrics.h"

#include <string.h>

enum { STEP_SOON_MS = 1, RUN_LENGTH = 8 };

typedef int advance_fn(struct ctx *ctx, struct pass *pass);
static advance_fn begin, stop, dump, migrate, restore;

/* Before the plan; what has none ends when the stack stands. */
static advance_fn *const advances[HOP_STEPS] = {
    [HOP_SETTLED] = begin,     [HOP_STOPPING] = stop,     [HOP_DUMPING] = dump,
    [HOP_MIGRATING] = migrate, [HOP_RESTORING] = restore, [HOP_ROLLED_BACK] = begin,
};

/* ---- steps ---- */

static int go_to(struct ctx *ctx, struct pass *pass, const struct hop_state *next)
{
    struct registry_scope *scope = pass->scope;
    const struct hop_row *row = &hop_rows[next->step];
    json_t *kept,
        *patch = arena_json(ctx->arena, json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
                                                  ANNOTATION_HOP, hop_note(ctx, next)));
    TRY(pass_patch(ctx, pass, CALL_KUBE_HOP_STEP, scope->kept, NULL, patch, &kept));
    scope->kept = kept;
    scope->hop.state = *next;
    metric_add(METRIC_HOP_STEPS, 1, row->name);
    if (row->event)
        pass_event(ctx, pass, next->why ? "Warning" : "Normal", row->event, "Hop",
                   "from %s to %s: %s%s%s", next->from, next->to, row->note, next->why ? ": " : "",
                   next->why ? next->why : "");
    pass_requeue(pass, STEP_SOON_MS);
    return 0;
}

static int stall(struct pass *pass, const char *reason, const char *message)
{
    struct registry_scope *scope = pass->scope;
    scope->hop.stalled = reason;
    scope->hop.message = message;
    return 0;
}

static int wait_until(struct pass *pass, const char *what)
{
    struct registry_scope *scope = pass->scope;
    scope->hop.held = what;
    return 0;
}

/* The one that runs is the one that is wanted, or is held to be: there is no data yet. */
static int settle(struct ctx *ctx, struct pass *pass, const char *runs)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    next.step = HOP_SETTLED;
    next.runs = runs;
    next.why = NULL;
    if (!str_equal(next.to, runs)) /* it came to nothing, and so did its dump */
        next.from = next.to = next.dump.prefix = NULL;
    return go_to(ctx, pass, &next);
}

/* A hop that failed is not tried again until somebody wants another one, or wants it once more. */
static bool was_rolled_back(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    const struct hop_state *state = &scope->hop.state;
    const char *retry = kube_annotation(pass->root, ANNOTATION_RETRY_HOP);
    if (state->step != HOP_ROLLED_BACK || !str_equal(state->to, scope->hop.wanted) ||
        (retry && !str_equal(retry, state->retry)))
        return false;
    stall(pass, hop_rows[HOP_ROLLED_BACK].name,
          arena_printf(ctx->arena,
                       "the hop to %s failed (%s), and %s runs with the data from before it; name "
                       "another version, or try again with a new value of the "
                       "annotation " ANNOTATION_RETRY_HOP,
                       state->to, state->why ? state->why : "?", state->runs));
    return true;
}

static const char *reachable(struct ctx *ctx, const struct registry_scope *scope)
{
    const struct registry_hop *hop = &scope->hop;
    if (registry_hop_fault(hop->state.runs, hop->wanted) == HOP_NO_FAULT)
        return NULL;
    return arena_printf(ctx->arena,
                        "%s runs on: from it a hop goes to a later patch or one of the next two "
                        "minors, not to %s",
                        hop->state.runs, hop->wanted);
}

static int check_and_stop(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const char *retry = kube_annotation(pass->root, ANNOTATION_RETRY_HOP), *reason = NULL;
    struct postgres_schema schema;
    TRY(hop_has_place(ctx, pass));
    TRY(hop_look(ctx, pass, &schema));
    const char *refusal = hop_refusal(ctx, home, &scope->hop.state, &schema, &reason);
    if (!refusal && postgres_tools_check(ctx, home->postgres_tools, schema.server) < 0) {
        reason = "DumpToolMissing";
        refusal = arena_strdup(ctx->arena, ctx->err.message);
        err_clear(ctx);
    }
    if (refusal) {
        pass_requeue(pass, WAIT_FOR_OTHERS_MS); /* whoever mends it wakes nobody here */
        return stall(pass, reason, refusal);
    }
    const struct hop_state next = {.step = HOP_STOPPING,
                                   .runs = scope->hop.state.runs,
                                   .from = scope->hop.state.runs,
                                   .to = scope->hop.wanted,
                                   .retry = retry ? retry : "",
                                   .tables = schema.tables,
                                   .schema = schema.version};
    return go_to(ctx, pass, &next);
}

/* Read live: a cache that is behind must not have data pass for none. */
static int look_for_data(struct ctx *ctx, struct pass *pass, bool *ret)
{
    const struct registry_scope *scope = pass->scope;
    json_t *identity = NULL;
    TRY(kube_get(ctx, CALL_KUBE_IDENTITY_READ, pass_kube(pass), KIND_REGISTRY_IDENTITY, NULL,
                 scope->spec.identity, &identity));
    *ret = registry_made(identity, BACKEND_POSTGRESQL) != NULL;
    return 0;
}

/* Settled, RolledBack. */
static int begin(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const struct registry_hop *hop = &scope->hop;
    bool data = registry_made(scope->identity, BACKEND_POSTGRESQL) != NULL;
    if (str_equal(hop->wanted, hop->state.runs))
        return hop->state.step == HOP_SETTLED ? 0 : settle(ctx, pass, hop->wanted);
    if (!data)
        TRY(look_for_data(ctx, pass, &data));
    if (!registry_has_part(home, "core") || !data)
        return settle(ctx, pass, hop->wanted);
    if (registry_closed(scope) || was_rolled_back(ctx, pass))
        return 0;
    const char *refusal = reachable(ctx, scope);
    return refusal ? stall(pass, "VersionUnreachable", refusal) : check_and_stop(ctx, pass);
}

/* NULL = nothing. Also a pod whose node is lost: it may come back in the middle of a migration. */
static const char *what_runs(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    const json_t *deployments =
        pass_list(ctx, pass, KIND_DEPLOYMENT, scope->namespace, LABEL_REGISTRY, scope->name);
    size_t at;
    json_t *object;
    json_array_foreach(deployments, at, object)
        if (hop_stops(kube_label(object, LABEL_COMPONENT)) &&
            (json_int_or(object, "spec.replicas", 1) != 0 ||
             json_int_or(object, "status.replicas", 0) != 0))
            return arena_printf(ctx->arena, "Deployment %s is not at zero",
                                json_str_or(object, "metadata.name", ""));
    json_array_foreach(scope->pods, at, object)
        if (hop_stops(kube_label(object, LABEL_COMPONENT)) && registry_pod_runs(object, 0))
            return arena_printf(ctx->arena, "pod %s still runs",
                                json_str_or(object, "metadata.name", ""));
    return NULL;
}

/* The migration of a version, whatever our name for it. */
static const json_t *find_job(struct ctx *ctx, struct pass *pass, const char *version)
{
    const struct registry_scope *scope = pass->scope;
    const char *tag = arena_printf(ctx->arena, ":v%s", version);
    const json_t *jobs =
        pass_list(ctx, pass, KIND_JOB, scope->namespace, LABEL_REGISTRY, scope->name);
    size_t at;
    json_t *job;
    json_array_foreach(jobs, at, job) {
        const char *image = json_str_or(job, "spec.template.spec.containers.0.image", "");
        const char *end = strstr(image, tag);
        if (str_equal(kube_label(job, LABEL_COMPONENT), "migration") && end && str_equal(end, tag))
            return job;
    }
    return NULL;
}

/* Before the schema is touched a hop can be given up: everything is as it was. */
static bool is_withdrawn(const struct registry_scope *scope)
{
    return !str_equal(scope->hop.wanted, scope->hop.state.to);
}

static int stop(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const char *left = what_runs(ctx, pass);
    if (is_withdrawn(scope))
        return settle(ctx, pass, next.runs);
    if (left)
        return wait_until(pass, left);
    next.step = HOP_DUMPING;
    return go_to(ctx, pass, &next);
}

static int dump(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const char *left = what_runs(ctx, pass);
    if (is_withdrawn(scope))
        return settle(ctx, pass, next.runs);
    if (left || find_job(ctx, pass, next.to))
        return wait_until(pass, left ? left : "the Job of an earlier try is still there");
    next.dump = (struct dump){.prefix = arena_printf(ctx->arena, DUMP_FOLDER "%s-%s/%s/", next.from,
                                                     next.to,
                                                     crypto_random_base32(ctx->arena, RUN_LENGTH))};
    TRY(hop_dump(ctx, pass, &next.dump));
    next.step = HOP_MIGRATING;
    return go_to(ctx, pass, &next);
}

static const json_t *true_condition(const json_t *job, const char *type)
{
    const json_t *condition = json_find(job, "status.conditions", "type", type);
    return str_equal(json_str(condition, "status"), "True") ? condition : NULL;
}

static int migrate(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    const json_t *job = find_job(ctx, pass, next.to);
    const json_t *failed = true_condition(job, "Failed");
    struct postgres_schema schema;
    bool works = json_int_or(job, "status.active", 0) > 0;
    if (works || (!failed && !true_condition(job, "Complete")))
        return wait_until(pass, "the migration Job has not ended");
    if (failed) {
        next.why = arena_printf(ctx->arena, "the migration Job failed: %.200s",
                                json_str_or(failed, "message", ""));
    } else {
        TRY(hop_look(ctx, pass, &schema));
        next.why = hop_failure(ctx, pass->home, &next, &schema);
    }
    next.step = next.why ? HOP_RESTORING : HOP_STARTING;
    next.runs = next.why ? next.runs : next.to;
    return go_to(ctx, pass, &next);
}

static int restore(struct ctx *ctx, struct pass *pass)
{
    const struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    TRY(hop_restore(ctx, pass));
    next.step = HOP_RETURNING;
    return go_to(ctx, pass, &next);
}

/* ---- the phases ---- */

/* Somebody else went further, or we may not write any more: then nothing that follows is ours. */
static int hold_up(struct ctx *ctx, struct pass *pass, int rc)
{
    struct registry_scope *scope = pass->scope;
    if (rc == 0 || rc == -ERR_CONFLICT || rc == -ERR_LEASE_LOST ||
        scope->hop.state.step == HOP_RESTORING)
        return rc;
    if (rc != -ERR_WAITING)
        log_failure(ctx, "a step to another version is not taken");
    scope->hop.held = arena_strdup(ctx->arena, ctx->err.message);
    err_clear(ctx);
    pass_requeue(pass, WAIT_FOR_OTHERS_MS);
    return 0;
}

int registry_hop(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    struct registry_hop *hop = &scope->hop;
    TRY(hop_state_of(ctx, scope->kept, &hop->state));
    hop->wanted = hop_full_version(pass->home, scope->spec.version);
    if (!hop->state.runs) /* an earlier operator kept the Secret: it ran what the spec said */
        TRY(settle(ctx, pass, hop->wanted));
    enum hop_step step = hop->state.step;
    bool pauses = registry_closed(scope) && hop_moves(scope) && step != HOP_RESTORING;
    if (advances[step] && !pauses)
        TRY(hold_up(ctx, pass, advances[step](ctx, pass)));
    const struct hop_row *row = &hop_rows[hop->state.step];
    hop->version = row->of_new ? hop->state.to : hop->state.runs;
    hop->stopped = row->stopped;
    return 0;
}

int registry_hop_end(struct ctx *ctx, struct pass *pass)
{
    struct registry_scope *scope = pass->scope;
    struct hop_state next = scope->hop.state;
    if (registry_closed(scope) || !scope->stack.ready)
        return 0;
    if (next.step == HOP_STARTING) {
        pass_event(ctx, pass, "Normal", "Migrated", "Hop", "from %s to %s: the new version runs",
                   next.from, next.to);
        return settle(ctx, pass, next.runs);
    }
    if (next.step != HOP_RETURNING)
        return 0;
    TRY(hold_up(ctx, pass, hop_forget_failed(ctx, pass)));
    if (scope->hop.held)
        return 0;
    next.step = HOP_ROLLED_BACK;
    TRY(go_to(ctx, pass, &next));
    (void)was_rolled_back(ctx, pass); /* told with this pass already */
    return 0;
}
